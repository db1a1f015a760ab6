/*
 * From the loader (32-bit protected mode, no paging) to 64-bit mode with the first GiB mapped to
 * itself, and the way into a guest and out of it.
 */
	.text
	.balign 8
header:				/* Multiboot2's, in the first 32 KiB */
	.long 0xe85250d6, 0, header_end - header, -(0xe85250d6 + (header_end - header))
	.word 0, 0
	.long 8
header_end:

	.code32
	.globl start
start:
	mov $stack_top, %esp
	movl $(pdpt + 3), pml4
	movl $(directory + 3), pdpt
	mov $511, %ecx
1:	mov %ecx, %eax
	shl $21, %eax
	or $0x83, %eax		/* present, writable, 2 MiB */
	mov %eax, directory(, %ecx, 8)
	dec %ecx
	jns 1b
	mov %cr4, %eax
	or $0x2020, %eax	/* PAE, VMXE */
	mov %eax, %cr4
	mov $pml4, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx	/* IA32_EFER.LME */
	rdmsr
	or $0x100, %eax
	wrmsr
	mov %cr0, %eax
	and $~0x60000000, %eax	/* caches on */
	or $0x80000021, %eax	/* PG, NE, PE */
	mov %eax, %cr0
	lgdt gdt_register
	ljmp $8, $1f
	.code64
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $0x18, %eax
	ltr %ax
	call main
2:	cli
	hlt
	jmp 2b

	/*
	 * u64 enter(u64 regs[16], u64 resume): runs the guest until its next exit; 0, or RFLAGS
	 * of an entry that failed. regs[] is in the order of encoding; RSP is in the VMCS.
	 */
	.globl enter, exited
enter:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdi
	mov $0x6c14, %eax	/* HOST_RSP */
	vmwrite %rsp, %rax
	test %esi, %esi
	mov 0(%rdi), %rax
	mov 8(%rdi), %rcx
	mov 16(%rdi), %rdx
	mov 24(%rdi), %rbx
	mov 40(%rdi), %rbp
	mov 48(%rdi), %rsi
	mov 64(%rdi), %r8
	mov 72(%rdi), %r9
	mov 80(%rdi), %r10
	mov 88(%rdi), %r11
	mov 96(%rdi), %r12
	mov 104(%rdi), %r13
	mov 112(%rdi), %r14
	mov 120(%rdi), %r15
	mov 56(%rdi), %rdi
	jnz 1f
	vmlaunch
	jmp 2f
1:	vmresume
2:	pushf
	pop %rax
	pop %rdi
	jmp 3f
exited:				/* HOST_RIP */
	xchg %rdi, (%rsp)
	mov %rax, 0(%rdi)
	mov %rcx, 8(%rdi)
	mov %rdx, 16(%rdi)
	mov %rbx, 24(%rdi)
	mov %rbp, 40(%rdi)
	mov %rsi, 48(%rdi)
	mov %r8, 64(%rdi)
	mov %r9, 72(%rdi)
	mov %r10, 80(%rdi)
	mov %r11, 88(%rdi)
	mov %r12, 96(%rdi)
	mov %r13, 104(%rdi)
	mov %r14, 112(%rdi)
	mov %r15, 120(%rdi)
	pop 56(%rdi)
	xor %eax, %eax
3:	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.data
	.balign 8
	.globl gdt_register
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff	/* 64-bit code, data */
	.quad 0x0000890000000067, 0	/* a TSS at address 0, which is never used */
gdt_register:
	.word . - gdt - 1
	.quad gdt

	.bss
	.balign 4096
pml4:	.skip 4096
pdpt:	.skip 4096
directory:
	.skip 4096
	.skip 16384
stack_top:
