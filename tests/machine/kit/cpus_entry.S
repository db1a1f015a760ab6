/*
 * The way of another CPU from its startup IPI into 64-bit mode and to cpus_arrived(). The first part
 * is copied to a page below 1 MiB; it finds there what depends on the page's address.
 * SDM: Multiple-Processor (MP) Initialization; Initializing IA-32e Mode.
 */
#include "macros.h"

#define AT(label)	(label - cpus_code)

	.section .rodata
	.balign 16
	.globl cpus_code, cpus_code_end
cpus_code:
	.code16
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	mov %cr0, %eax
	mov %eax, AT(found_cr0)
	lgdtl AT(gdt_register_low)
	mov $0x11, %eax		/* ET, PE */
	mov %eax, %cr0
	ljmpl $SEL_CODE32, $protected

	.balign 8
gdt_register_low:
	.word 0x7f
	.long gdt
found_cr0:
	.long 0
cpus_code_end:

	.globl cpus_found_cr0
	.set cpus_found_cr0, AT(found_cr0)

	.text
	.code32
protected:
	load_data SEL_DATA32
	mov $0x20, %eax		/* PAE */
	mov %eax, %cr4
	load_tables
	mov $0x80010031, %eax	/* PG, WP, NE, ET, PE */
	mov %eax, %cr0
	ljmp $SEL_CODE, $cpus_start64

	.code64
cpus_start64:
	load_data SEL_DATA
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov cpus_stack, %rsp
	xor %ebp, %ebp
	call cpus_arrived
1:	cli
	hlt
	jmp 1b
