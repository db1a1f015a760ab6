/* Strings: what the hypervisor needs of them, without locale or allocation. */
#pragma once

#include "types.h"

size_t lib_strlen(const char *s);
size_t lib_strnlen(const char *s, size_t max);
bool lib_starts_with(const char *s, const char *prefix);

/* Copies at most size - 1 bytes and terminates; false: did not fit. */
bool lib_strcopy(char *to, size_t size, const char *from);

/*
 * The next word of *s, which are separated by spaces: its start and length;
 * *s moves behind it. False: no more.
 */
bool lib_next_word(const char **s, const char **word, size_t *len);
