/*
 * From 64-bit mode to 32-bit protected mode without paging, and back. The GDT in use stays, and
 * needs the kit's first nine descriptors; what else a test changes on the way it mends itself.
 * SDM: Initializing IA-32e Mode; Switching Out of IA-32e Mode Operation.
 */
#include "selectors.h"

	/* void legacy_enter(code32): returns when 32-bit code jumps to legacy_leave */
	.text
	.code64
	.globl legacy_enter, legacy_leave
legacy_enter:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
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
	mov $SEL_DATA32, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0
	mov $0xc0000080, %ecx
	rdmsr
	and $~0x100, %eax
	wrmsr
	jmp *continue_at

legacy_leave:			/* at CPL 0 in flat 32-bit segments, paging on or off */
	mov %cr0, %eax
	and $0x7fffffff, %eax
	mov %eax, %cr0
	lgdt saved_gdt
	mov $SEL_DATA32, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov saved_cr4, %eax
	mov %eax, %cr4
	mov $0xc0000080, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov saved_cr3, %eax
	mov %eax, %cr3
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	ljmp $SEL_CODE, $back64

	.code64
back64:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov saved_rsp, %rsp
	lidt saved_idt
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
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
