/*
 * Entry from a Multiboot loader (32-bit protected mode, paging off) into 64-bit mode, and from
 * there into C. Builds the identity map of the first 4 GiB. With HEADER_MULTIBOOT1 the image
 * carries only a Multiboot1 header, else only a Multiboot2 header.
 * SDM: Initializing IA-32e Mode.
 */
#include "macros.h"

	.section .multiboot, "a"
#ifdef HEADER_MULTIBOOT1
	.balign 4
	.long 0x1badb002
	.long 3			/* page-aligned modules, memory information */
	.long -(0x1badb002 + 3)
#else
	.balign 8
header:
	.long 0xe85250d6
	.long 0
	.long header_end - header
	.long -(0xe85250d6 + (header_end - header))
	.balign 8
	.word 0, 0		/* end tag */
	.long 8
header_end:
#endif

	.text
	.code32
	.globl start
start:
	cli
	cld
	mov %eax, boot_magic
	mov %ebx, boot_address
	mov $stack_top, %esp

	movl $(pdpt + 7), pml4
	xor %ecx, %ecx
1:	mov %ecx, %eax		/* four page directories of 512 entries, one after another */
	shl $12, %eax
	add $(pd + 7), %eax
	mov %eax, pdpt(, %ecx, 8)
	inc %ecx
	cmp $4, %ecx
	jb 1b
	xor %ecx, %ecx
2:	mov %ecx, %eax
	shl $21, %eax
	or $0x87, %eax		/* present, writable, user, 2 MiB */
	mov %eax, pd(, %ecx, 8)
	inc %ecx
	cmp $2048, %ecx
	jb 2b

	mov %cr4, %eax
	or $0x20, %eax		/* PAE */
	mov %eax, %cr4
	load_tables
	mov %cr0, %eax
	and $~0x60000000, %eax	/* caches on */
	or $0x80010021, %eax	/* PG, WP, NE, PE */
	mov %eax, %cr0
	lgdt gdt_register
	ljmp $SEL_CODE, $start64

	.code64
start64:
	load_data SEL_DATA
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov $stack_top, %rsp
	xor %ebp, %ebp
	mov boot_magic, %edi
	mov boot_address, %esi
	call kit_start
1:	hlt
	jmp 1b

	.data
	.balign 16
	.globl gdt
gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00cf93000000ffff	/* data */
	.quad 0x00cf9b000000ffff	/* 32-bit code */
	.quad 0x00cf93000000ffff	/* 32-bit data */
	.quad 0x00cff3000000ffff	/* user data */
	.quad 0x00affb000000ffff	/* user 64-bit code */
	.quad 0x00009b000000ffff	/* 16-bit code, base 0 */
	.quad 0x000093000000ffff	/* 16-bit data, base 0 */
	.quad 0, 0			/* TSS: trap.c */
	.quad 0, 0, 0			/* tasks: by the tests that switch them */
gdt_end:
	.balign 8
	.word 0, 0, 0
	.globl gdt_register
gdt_register:
	.word gdt_end - gdt - 1
	.quad gdt
boot_magic:
	.long 0
boot_address:
	.long 0

	.bss
	.balign 4096
	.globl pml4, pdpt, pd
pml4:	.skip 4096
pdpt:	.skip 4096
pd:	.skip 4 * 4096
	.skip 65536
	.globl stack_top
stack_top:
