/*
 * memcpy, memmove, memset, memcmp: what the compiler calls on its own
 * account. Not part of the host libraries, which use the host's.
 */
	.text
	.globl memcpy
memcpy:
	mov %rdi, %rax
	mov %rdx, %rcx
	shr $3, %rcx
	rep movsq
	mov %edx, %ecx
	and $7, %ecx
	rep movsb
	ret

	.globl memmove
memmove:
	mov %rdi, %rax
	mov %rdi, %rcx
	sub %rsi, %rcx
	cmp %rdx, %rcx			/* unsigned: to is not inside [from, from + n) */
	jae memcpy
	std
	lea -1(%rdi, %rdx), %rdi
	lea -1(%rsi, %rdx), %rsi
	mov %edx, %ecx
	and $7, %ecx
	rep movsb
	sub $7, %rdi
	sub $7, %rsi
	mov %rdx, %rcx
	shr $3, %rcx
	rep movsq
	cld
	ret

	.globl memset
memset:
	mov %rdi, %r8
	movzbl %sil, %eax
	mov $0x0101010101010101, %rcx
	imul %rcx, %rax
	mov %rdx, %rcx
	shr $3, %rcx
	rep stosq
	mov %edx, %ecx
	and $7, %ecx
	rep stosb
	mov %r8, %rax
	ret

	.globl memcmp
memcmp:
	xor %eax, %eax
	mov %rdx, %rcx
	cmp %rcx, %rcx			/* equal when n is 0 */
	repe cmpsb
	je 1f
	movzbl -1(%rdi), %ecx
	movzbl -1(%rsi), %eax
	sub %eax, %ecx
	mov %ecx, %eax
1:	ret

	.section .note.GNU-stack, "", @progbits
