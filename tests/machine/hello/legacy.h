/* Excursions out of 64-bit mode: 32-bit protected mode with hardware tasks, and real mode. */
#ifndef HELLO_LEGACY_H
#define HELLO_LEGACY_H

void test_legacy(void);

#endif
