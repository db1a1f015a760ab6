/*
 * From 64-bit mode to 32-bit protected mode without paging, and back. The GDT in use stays, and
 * needs the kit's first nine descriptors; what else a test changes on the way it mends itself.
 * SDM: Initializing IA-32e Mode; Switching Out of IA-32e Mode Operation.
 */
#include "macros.h"

	/* void legacy_enter(code32): returns when 32-bit code jumps to legacy_leave */
	.text
	.code64
	.globl legacy_enter, legacy_leave
legacy_enter:
	save_registers
	mov %edi, continue_at
	mov %rsp, saved_rsp
	mov %cr3, %rax
	mov %rax, saved_cr3
	mov %cr4, %rax
	mov %rax, saved_cr4
	sgdt saved_gdt
	sidt saved_idt
	ljmp *to32

	.code32
start32:
	load_data SEL_DATA32
	paging_off
	long_mode_off
	jmp *continue_at

legacy_leave:			/* at CPL 0 in flat 32-bit segments, paging on or off */
	paging_off
	lgdt saved_gdt
	load_data SEL_DATA32
	mov saved_cr4, %eax
	mov %eax, %cr4
	long_mode_on
	mov saved_cr3, %eax
	mov %eax, %cr3
	paging_on
	ljmp $SEL_CODE, $back64

	.code64
back64:
	load_data SEL_DATA
	mov saved_rsp, %rsp
	lidt saved_idt
	restore_registers
	ret

	.data
	.balign 8
to32:
	.long start32
	.word SEL_CODE32
	.balign 8
saved_gdt:
	.skip 16
saved_idt:
	.skip 16
saved_rsp:
	.quad 0
saved_cr3:
	.quad 0
saved_cr4:
	.quad 0
continue_at:
	.long 0
