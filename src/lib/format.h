/* printf-style formatting into a buffer. See format.c for what it knows. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Always terminates (size > 0); returns the length it would have needed. */
int lib_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
int lib_snprintf(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
