/*
 * The console: whole lines, each with L0's label in front, to the outputs
 * chosen at boot. A line is written when it ends; L0 has no input.
 */
#pragma once

#include "types.h"

#define CON_E9 BIT32(0)
#define CON_COM1 BIT32(1)
#define CON_VGA BIT32(2)
#define CON_DEFAULT BIT32(31)		/* E9 if it is there, and COM1 */

/* Chooses outputs and label ("L0"); may be called again. */
void con_init(u32 outputs, const char *label);

/* Further outputs, from now on. */
void con_also(u32 outputs);

void con_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, for what only says that all is well: not with the option quiet. */
void con_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void con_set_quiet(bool quiet);

/* From now on without the lock: for the dump of a machine that stops. */
void con_break_lock(void);
