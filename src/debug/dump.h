/*
 * The end of L0: its own invariants are broken. Never for anything a guest
 * can cause.
 */
#pragma once

#include "cpu/pcpu.h"

/* Prints the message and where it came from, and stops the CPU. */
void debug_stop(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * The machine cannot do what Plastron needs: tells the person in front of it, on
 * the screen too, and ends.
 */
void debug_refuse(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Ends an emulator that can be ended, and stops the CPU everywhere else. */
void debug_end(void) __attribute__((noreturn));

#define DEBUG_BUG_ON(cond) do {						\
		if (unlikely(cond))					\
			debug_stop("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

/* For cpu_stopped. */
void debug_stopped(const char *why);

/* For cpu_unexpected: dumps the registers and stack of an exception in L0. */
void debug_exception(const struct cpu_frame *frame);
