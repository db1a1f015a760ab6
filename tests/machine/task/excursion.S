/*
 * From 64-bit mode to one case's code as task A in 32-bit protected mode, and back, from
 * whatever task and stack. Snapshots on the way go to world_log[].
 * SDM: Task Management.
 */
#include "macros.h"
#include "world.h"

	.text
	.code64
	.globl world_run
world_run:			/* RDI: code, ESI: CR3 or 0, EDX: CR4 */
	mov %edi, run_code
	mov %esi, run_cr3
	mov %edx, run_cr4
	movl $0, world_count
	mov $in_32_bits, %edi
	jmp legacy_enter

	.code32
in_32_bits:
	lgdt world_gdtr
	lidt world_idtr
	ljmp $CODE, $1f
1:	load_data DATA
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	lldt %ax
	mov %eax, %cr2
	mov %eax, %dr6
	mov run_cr4, %eax
	mov %eax, %cr4
	mov run_cr3, %eax
	test %eax, %eax
	jz 2f
	mov %eax, %cr3
	paging_on
2:	clts
	mov $TASK_A, %eax
	ltr %ax
	mov $world_stack + WORLD_STACK, %esp
	push $2
	popf
	jmp *run_code

	.globl world_leave
world_leave:
	load_data DATA
	mov $world_stack + WORLD_STACK, %esp
	push $2
	popf
	clts
	mov $0x400, %eax
	mov %eax, %dr7
	jmp legacy_leave

	/* A far routine that takes a snapshot and changes nothing but arithmetic flags. */
	.code32
	.globl snap
snap:
	call keep_registers
	movl $-1, now + SNAP_VECTOR
	mov %ss, %eax
	lar %eax, %ebx
	mov %esp, %ebp
	test $0x400000, %ebx
	jnz 1f
	movzwl %sp, %ebp
1:	mov %ss:(%ebp), %eax
	mov %eax, now + SNAP_EIP
	mov %ss:8(%ebp), %eax
	mov %eax, now + SNAP_TOP
	lea 8(%ebp), %eax
	mov %eax, now + SNAP_GPR + 16
	call take
	mov %ss:4(%ebp), %eax
	mov %eax, now + SNAP_SEG + 4
	call append
	mov now + SNAP_GPR + 0, %eax
	mov now + SNAP_GPR + 4, %ecx
	mov now + SNAP_GPR + 8, %edx
	mov now + SNAP_GPR + 12, %ebx
	mov now + SNAP_GPR + 20, %ebp
	mov now + SNAP_GPR + 24, %esi
	mov now + SNAP_GPR + 28, %edi
	lret

keep_registers:
	mov %eax, now + SNAP_GPR + 0
	mov %ecx, now + SNAP_GPR + 4
	mov %edx, now + SNAP_GPR + 8
	mov %ebx, now + SNAP_GPR + 12
	mov %ebp, now + SNAP_GPR + 20
	mov %esi, now + SNAP_GPR + 24
	mov %edi, now + SNAP_GPR + 28
	ret

	/* Exceptions end the case. */
	.balign 16
	.globl world_stubs
world_stubs:
	trap_stubs_to trap32
trap32:
	push %ds
	push %eax
	mov $DATA, %eax
	mov %eax, %ds
	pop %eax
	call keep_registers
	mov %esp, %ebp
	lea 12(%ebp), %eax
	mov %eax, now + SNAP_GPR + 16
	call take
	mov (%ebp), %eax
	mov %eax, now + SNAP_SEG + 12
	mov 4(%ebp), %eax
	mov %eax, now + SNAP_VECTOR
	mov 8(%ebp), %eax
	mov %eax, now + SNAP_ERROR
	mov 12(%ebp), %eax
	mov %eax, now + SNAP_EIP
	mov 16(%ebp), %eax
	mov %eax, now + SNAP_FRAME
	mov 20(%ebp), %eax
	mov %eax, now + SNAP_FRAME + 4
	mov 24(%ebp), %eax
	mov %eax, now + SNAP_FRAME + 8
	mov 28(%ebp), %eax
	mov %eax, now + SNAP_FRAME + 12
	call append
	jmp world_leave

append:
	mov world_count, %eax
	cmp $LOG_SIZE, %eax
	jae world_leave
	incl world_count
	imul $SNAP_SIZE, %eax, %edi
	xor %esi, %esi
1:	mov now(%esi), %eax
	mov %eax, world_log(%edi, %esi)
	add $4, %esi
	cmp $SNAP_SIZE, %esi
	jb 1b
	ret

	.macro keep_segment register, place
	mov \register, %eax
	mov %eax, now + SNAP_SEG + \place
	.endm
	.macro keep_control register, place
	mov \register, %eax
	mov %eax, now + \place
	.endm
take:				/* leaves EBP */
	pushf
	pop %eax
	mov %eax, now + SNAP_EFLAGS
	keep_segment %es, 0
	keep_segment %cs, 4
	keep_segment %ss, 8
	keep_segment %ds, 12
	keep_segment %fs, 16
	keep_segment %gs, 20
	keep_control %cr0, SNAP_CR0
	keep_control %cr2, SNAP_CR2
	keep_control %cr3, SNAP_CR3
	keep_control %dr6, SNAP_DR6
	keep_control %dr7, SNAP_DR7
	xor %eax, %eax
	str %ax
	mov %eax, now + SNAP_TR
	sldt %ax
	mov %eax, now + SNAP_LDTR
	movl $0, now + SNAP_PROBE
	cmpl $0, run_cr3
	je 1f
	mov PROBE, %eax
	mov %eax, now + SNAP_PROBE
1:	xor %ecx, %ecx
	xor %edx, %edx
2:	mov world_gdt + TASK_A + 4(, %ecx, 8), %eax
	mov %eax, now + SNAP_RIGHTS(, %ecx, 4)
	movzwl world_tss(%edx), %eax
	mov %eax, now + SNAP_LINK(, %ecx, 4)
	add $TSS_STRIDE, %edx
	inc %ecx
	cmp $TASKS, %ecx
	jb 2b
	ret

	.data
	.balign 8
	.word 0, 0, 0
world_gdtr:
	.word 255
	.long world_gdt
	.balign 8
	.word 0, 0, 0
world_idtr:
	.word 2047
	.long world_idt
	.balign 8
run_code:
	.long 0
run_cr3:
	.long 0
run_cr4:
	.long 0
	.globl world_count, world_target, world_skip
world_count:
	.long 0
world_skip:
	.long 0
	.balign 8
world_target:
	.long 0, 0

	.bss
	.balign 16
now:	.skip SNAP_SIZE
	.globl world_log
world_log:
	.skip LOG_SIZE * SNAP_SIZE
