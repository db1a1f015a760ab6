/*
 * The least that a hypervisor does at an exit. Guest and host share their registers: the handlers
 * use RAX and RDX alone. An exit that is not expected goes to the kit's vm_exit, which returns to
 * C.
 */
	.text
	.macro CHECK_REASON
	mov $0x4402, %eax
	vmread %rax, %rdx
	cmp %edx, expected_reason
	jne vm_exit
	.endm

	.macro SKIP_INSTRUCTION
	mov $0x440c, %eax		/* VM-exit instruction length */
	vmread %rax, %rdx
	mov $0x681e, %eax		/* guest RIP */
	vmread %rax, %rax
	add %rax, %rdx
	mov $0x681e, %eax
	vmwrite %rdx, %rax
	.endm

	.globl on_instruction, on_ud, on_vmcall_inject, on_ept_violation, interrupt_stub
on_instruction:
	CHECK_REASON
	SKIP_INSTRUCTION
	vmresume
	ud2

on_ud:
	CHECK_REASON
	mov $0x681e, %eax
	vmread %rax, %rdx
	add $2, %rdx
	vmwrite %rdx, %rax
	vmresume
	ud2

on_vmcall_inject:
	CHECK_REASON
	SKIP_INSTRUCTION
	mov $0x4016, %eax		/* VM-entry interruption information: external, 0x60 */
	mov $0x80000060, %edx
	vmwrite %rdx, %rax
	vmresume
	ud2

on_ept_violation:
	CHECK_REASON
	mov $0x2400, %eax		/* guest-physical address */
	vmread %rax, %rdx
	mov %rdx, %rax
	shr $12, %rax
	and $511, %eax
	movq $0x37, window_table(, %rax, 8)	/* page 0, all rights, write-back */
	vmresume
	ud2

interrupt_stub:
	iretq

	.data
	.balign 4096
	.globl window_table, expected_reason
window_table:
	.skip 4096
expected_reason:
	.long 0
