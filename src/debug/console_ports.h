/* The outputs of the console, for console.c only. */
#pragma once

#include "types.h"

bool con_e9_present(void);
void con_e9_write(const char *s, size_t n);

bool con_uart_init(void);
void con_uart_write(const char *s, size_t n);

void con_vga_write(const char *s, size_t n);
