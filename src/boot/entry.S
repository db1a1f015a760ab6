/*
 * The first instructions: from GRUB's 32-bit protected mode to long mode and
 * boot_main() at its linked address. Everything in .boot runs where GRUB put
 * it and is left behind when L0 moves to its home.
 *
 * The tables made here map the first 4 GiB at 0 and at the direct map, and
 * the first GiB at the image's virtual base; boot_main() replaces them.
 */
#include "multiboot2.h"

#define BASE 0xffffffff80000000
#define MSR_EFER 0xc0000080
#define BOOT_STACK_SIZE 16384

	.section .boot.header, "awx"
	.balign MB2_HEADER_ALIGN
mb2_header:
	.long MB2_HEADER_MAGIC
	.long 0				/* i386, protected mode */
	.long mb2_header_end - mb2_header
	.long -(MB2_HEADER_MAGIC + (mb2_header_end - mb2_header))

	.short MB2_HTAG_MODULE_ALIGN, 0
	.long 8
	.short MB2_HTAG_END, 0
	.long 8
mb2_header_end:

	.section .boot, "awx"
	.code32
	.globl boot_entry32
boot_entry32:
	cli
	cld
	mov $boot_early_stack, %esp
	mov $msg_no_multiboot, %edi
	cmp $MB2_BOOT_MAGIC, %eax
	jne die
	mov %ebx, %ebp			/* the boot information */

	mov $msg_no_long_mode, %edi
	mov $0x80000000, %eax
	cpuid
	cmp $0x80000001, %eax
	jb die
	mov $0x80000001, %eax
	cpuid
	bt $29, %edx			/* long mode */
	jnc die
	bt $20, %edx			/* execute disable */
	jnc die

	/* 2048 entries of 2 MiB: four page directories in a row. */
	mov $0x83, %eax
	mov $boot_pd, %edi
	mov $2048, %ecx
1:	mov %eax, (%edi)
	movl $0, 4(%edi)
	add $0x200000, %eax
	add $8, %edi
	loop 1b

	mov $boot_pd + 0x3, %eax
	mov $boot_pdpt, %edi
	mov $4, %ecx
2:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	loop 2b
	movl $boot_pd + 0x3, boot_pdpt_image + 510 * 8
	movl $boot_pdpt + 0x3, boot_pml4
	movl $boot_pdpt + 0x3, boot_pml4 + 256 * 8
	movl $boot_pdpt_image + 0x3, boot_pml4 + 511 * 8

	mov $(1 << 5), %eax		/* PAE */
	mov %eax, %cr4
	mov $boot_pml4, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $((1 << 8) | (1 << 11)), %eax	/* LME, NXE */
	wrmsr
	mov %cr0, %eax
	/* PG, WP, NE, MP, PE on; CD, NW, AM, TS, EM off */
	and $~((1 << 30) | (1 << 29) | (1 << 18) | (1 << 3) | (1 << 2)), %eax
	or $((1 << 31) | (1 << 16) | (1 << 5) | (1 << 1) | 1), %eax
	mov %eax, %cr0
	lgdt boot_gdtr
	ljmp $0x8, $boot_entry64

/* Prints the string at EDI on port 0xE9, COM1 and the screen, and stops. */
die:
	mov $0xb8000, %ebx
1:	movzbl (%edi), %eax
	test %al, %al
	jz 3f
	out %al, $0xe9
	mov $0x3f8, %edx
	out %al, %dx
	mov $0x07, %ah
	mov %ax, (%ebx)
	add $2, %ebx
	inc %edi
	mov $100000, %ecx
2:	pause
	loop 2b
	jmp 1b
3:	cli
	hlt
	jmp 3b

msg_no_multiboot:
	.asciz "L0| Plastron was not started by a Multiboot2 boot loader: use GRUB's command multiboot2\r\n"
msg_no_long_mode:
	.asciz "L0| Plastron needs a 64-bit CPU with execute-disable: this one has not both (or the firmware has switched one off)\r\n"

	.code64
boot_entry64:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	lldt %ax
	mov $boot_stack_top, %rsp
	mov %ebp, %edi
	xor %ebp, %ebp
	mov $boot_main, %rax
	call *%rax
	ud2

	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00cf93000000ffff	/* data */
boot_gdtr:
	.short . - boot_gdt - 1
	.long boot_gdt
	.long 0				/* when loaded in 64-bit mode */

	.section .boot.bss, "aw", @progbits
	.balign 4096
boot_pml4:
	.fill 4096, 1, 0
boot_pdpt:
	.fill 4096, 1, 0
boot_pdpt_image:
	.fill 4096, 1, 0
boot_pd:
	.fill 4 * 4096, 1, 0
	.fill 256, 1, 0
boot_early_stack:

	.bss
	.balign 16
	.fill BOOT_STACK_SIZE, 1, 0
boot_stack_top:

/*
 * void boot_move_image(void *to, const void *from, size_t len, u64 cr3)
 * Copies the running image and continues in the copy: the virtual addresses
 * are the same, and what is on the stack by now goes with it.
 */
	.text
	.globl boot_move_image
boot_move_image:
	mov %rcx, %rax
	mov %rdx, %rcx
	shr $3, %rcx
	rep movsq
	mov %rax, %cr3
	ret

/* void boot_call_on_stack(void *arg, void (*fn)(void *), u64 stack_top) */
	.globl boot_call_on_stack
boot_call_on_stack:
	mov %rdx, %rsp
	xor %ebp, %ebp
	call *%rsi
	ud2

	.section .note.GNU-stack, "", @progbits
