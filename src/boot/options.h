/* Parser of Plastron's own options. */
#pragma once

#include "boot_info.h"

/*
 * Never fails: *complaint is NULL, or the first word that is not understood
 * (which is ignored), of *complaint_len characters.
 */
void boot_options_parse(const char *cmdline, struct boot_options *o,
			const char **complaint, size_t *complaint_len);

/* All of them, in words apart, for who mistyped one. */
extern const char boot_options_known[];
