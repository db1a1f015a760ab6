/* Between main.c and the assembly: where things are in low memory. */
#ifndef REAL_H
#define REAL_H

#define CODE		0x8000	/* real.S, copied */
#define RESULTS		0xb000	/* pairs: value, name */
#define RESULTS_END	0xd000
#define OTHER_IVT	0xd000
#define SCRATCH		0xe000	/* for the tests to write to */
#define STACK		0x7c00

#define IRQ0_VECTOR	0x08	/* as the BIOS has it */
#define IPI_VECTOR	0x61

#endif
