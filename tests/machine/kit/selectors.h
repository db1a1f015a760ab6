/* Selectors of the kit's GDT (start.S), for C and assembly; the user ones in SYSRET's order. */
#ifndef KIT_SELECTORS_H
#define KIT_SELECTORS_H

#define SEL_CODE	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_DATA32	0x20
#define SEL_USER_DATA	0x28
#define SEL_USER_CODE	0x30
#define SEL_CODE16	0x38
#define SEL_DATA16	0x40
#define SEL_TSS		0x48	/* two slots */
#define SEL_TASK_A	0x58	/* 32-bit TSSs and a task gate, for tests of task switches */
#define SEL_TASK_B	0x60
#define SEL_TASK_GATE	0x68

#define VECTOR_USER_DONE	0x81	/* "int $0x81" ends a piece of CPL-3 code */
#define VECTOR_SPURIOUS		0xff

#endif
