/*
 * 32-bit code of the cases and of the tasks they switch to. A case starts as task A with flat
 * segments and ends by jumping to world_leave; the tasks are written to be entered again.
 */
#include "world.h"

	.text
	.code32

	.macro code name
	.globl \name
	\name:
	.endm
	.macro snap
	lcall $CODE, $snap
	.endm
	.macro load_registers
	mov $0xa0a0a0a0, %eax
	mov $0xa1a1a1a1, %ecx
	mov $0xa2a2a2a2, %edx
	mov $0xa3a3a3a3, %ebx
	mov $0xa5a5a5a5, %ebp
	mov $0xa6a6a6a6, %esi
	mov $0xa7a7a7a7, %edi
	.endm
	.macro end_case
	snap
	jmp world_leave
	.endm
	.macro set_nt
	pushf
	orl $0x4000, (%esp)
	popf
	.endm

code case_call
	load_registers
	lcall *world_target
	end_case
code case_jmp
	load_registers
	ljmp *world_target
	end_case
code case_call_16			/* with an operand-size prefix */
	.byte 0x66
	lcall *world_target16
	end_case
code case_iret
	set_nt
	iret
	end_case
code case_int
	int $0x40
	end_case
code case_int3
	int3
	end_case
code case_into
	mov $0x7fffffff, %eax
	inc %eax
	into
	end_case
code case_int1
	.byte 0xf1
	end_case
code case_ud
	ud2
	end_case
code case_vmxoff				/* the hypervisor's own #UD */
	vmxoff
	end_case
code case_de
	xor %ecx, %ecx
	div %ecx
	end_case
code case_gp
	mov $0xf8, %eax
	mov %eax, %gs
	end_case
code case_load_victim
	mov $VICTIM, %eax
	mov %eax, %gs
	end_case
code case_pf
	movl $1, 0x50000004
	end_case
code case_nmi
	movl $0x4400, 0xfee00300
	nop
	nop
	nop
	end_case
code case_interrupt
	sti
	movl $0x44050, 0xfee00300
	nop
	nop
	nop
	cli
	end_case
code case_trace				/* no single-step trap after the switch */
	pushf
	orl $0x100, (%esp)
	popf
	lcall $TASK_B, $0
	nop
	end_case
code case_breakpoints
	mov $0x7ff, %eax
	mov %eax, %dr7
	lcall $TASK_B, $0
	end_case
code case_again				/* NT of the task that was left is kept by a second CALL */
	lcall $TASK_B, $0
	lcall $TASK_B, $0
	end_case
code case_set_nt_jmp
	set_nt
	ljmp $TASK_B, $0
	end_case

	/* tasks */
code task_return
	snap
	iret
	snap
	iret
	jmp task_return
code task_jmp_a
	snap
	ljmp $TASK_A, $0
code task_call_d
	snap
	lcall $TASK_D, $0
	snap
	iret
code task_call_c
	snap
	lcall $TASK_C, $0
	snap
	iret
code task_call_a			/* busy: a fault */
	snap
	lcall $TASK_A, $0
	jmp world_leave
code task_fault				/* handles a fault without an error code */
	snap
	mov world_skip, %eax
	add %eax, world_tss + 0x20
	iret
	jmp task_fault
code task_error_code			/* and with one */
	snap
	add $4, %esp
	mov world_skip, %eax
	add %eax, world_tss + 0x20
	iret
	jmp task_error_code
code task_error_code_16
	snap
	add $2, %esp
	mov world_skip, %eax
	add %eax, world_tss + 0x20
	iret
	jmp task_error_code_16
code task_leave
	snap
	jmp world_leave
code task_nmi				/* a second NMI must wait for the IRET */
	snap
	movl $0x4400, 0xfee00300
	nop
	nop
	nop
	snap
	iret
	snap
	iret
code task_interrupt
	snap
	movl $0, 0xfee000b0
	iret
code task_step
	nop
	nop
	jmp world_leave
code task_user
	int $0x30
	int $0x31
code task_data
	mov %ds:(%esi), %ecx
	snap
	iret

	.code16
	.globl task_v86_start, task_v86_end
task_v86_start:
	mov %ds, %ax
	mov %cs, %bx
	hlt
task_v86_end:

	.data
	.balign 4
world_target16:
	.word 0, TASK_B
