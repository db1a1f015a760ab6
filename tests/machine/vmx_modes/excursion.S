/*
 * Where a trip leaves for its mode, and where it ends: by an exception, by "int $0x81", or by an
 * exit of the VM that the case entered. Everything about the case is in `trip`.
 */
#include "macros.h"
#include "trip.h"

	/* void trip_long(void): 64-bit and compatibility mode; the kit continues at trip_back */
	.text
	.code64
	.globl trip_long, trip_back
trip_long:
	save_registers
	mov %rsp, trip_rsp
	mov trip + TRIP_SEG + 8, %eax
	push %rax
	push trip + TRIP_GPR + 32
	push trip + TRIP_RFLAGS
	mov trip + TRIP_SEG + 4, %eax
	push %rax
	push trip + TRIP_RIP
	mov trip + TRIP_GPR + 0, %rax
	mov trip + TRIP_GPR + 8, %rcx
	mov trip + TRIP_GPR + 16, %rdx
	mov trip + TRIP_GPR + 24, %rbx
	mov trip + TRIP_GPR + 40, %rbp
	mov trip + TRIP_GPR + 48, %rsi
	mov trip + TRIP_GPR + 56, %rdi
	mov trip + TRIP_GPR + 64, %r8
	mov trip + TRIP_GPR + 72, %r9
	mov trip + TRIP_GPR + 80, %r10
	mov trip + TRIP_GPR + 88, %r11
	mov trip + TRIP_GPR + 96, %r12
	mov trip + TRIP_GPR + 104, %r13
	mov trip + TRIP_GPR + 112, %r14
	mov trip + TRIP_GPR + 120, %r15
	iretq
trip_back:
	restore_registers
	ret

	.macro load_gprs
	mov trip + TRIP_GPR + 0, %eax
	mov trip + TRIP_GPR + 8, %ecx
	mov trip + TRIP_GPR + 16, %edx
	mov trip + TRIP_GPR + 24, %ebx
	mov trip + TRIP_GPR + 40, %ebp
	mov trip + TRIP_GPR + 48, %esi
	mov trip + TRIP_GPR + 56, %edi
	.endm

	/* The code for legacy_enter(). */
	.code32
	.globl trip_legacy
trip_legacy:
	mov $SEL_TSS32, %eax
	ltr %ax
	mov $trip_stack_top, %esp
	mov trip + TRIP_CR4, %eax
	mov %eax, %cr4
	mov trip + TRIP_CR3, %eax
	mov %eax, %cr3
	mov trip + TRIP_CR0, %eax
	test $1, %eax
	jz to_real
	lidt idt32
	mov %eax, %cr0
	mov trip + TRIP_POKE, %eax
	test %eax, %eax
	jz 1f
	movl $0, (%eax)
1:	call enter_vmx
	mov trip + TRIP_RFLAGS, %ebx
	test $0x20000, %ebx
	jnz to_v86
	mov trip + TRIP_SEG + 0, %es
	mov trip + TRIP_SEG + 16, %fs
	mov trip + TRIP_SEG + 20, %gs
	testb $3, trip + TRIP_SEG + 4
	jnz to_user
	mov trip + TRIP_SEG + 8, %ss
	mov trip + TRIP_GPR + 32, %esp
	jmp 1f
to_user:
	push trip + TRIP_SEG + 8
	push trip + TRIP_GPR + 32
1:	push %ebx
	push trip + TRIP_SEG + 4
	push trip + TRIP_RIP
	load_gprs
	mov %cs:trip + TRIP_SEG + 12, %ds
	iret

to_v86:
	push trip + TRIP_SEG + 20
	push trip + TRIP_SEG + 16
	push trip + TRIP_SEG + 12
	push trip + TRIP_SEG + 0
	push trip + TRIP_SEG + 8
	push trip + TRIP_GPR + 32
	push %ebx
	push trip + TRIP_SEG + 4
	push trip + TRIP_RIP
	load_gprs
	iret

enter_vmx:
	mov trip + TRIP_VMXON, %eax
	test %eax, %eax
	jz 1f
	vmxon (%eax)
	jbe trip_broken
	mov trip + TRIP_VMCS, %eax
	test %eax, %eax
	jz 1f
	vmptrld (%eax)
	jbe trip_broken
1:	ret
trip_broken:
	movl $0xffff, trip + AFTER_VECTOR
	jmp leave_vmx

to_real:
	mov $SEL_DATA16, %ecx
	mov %ecx, %ss
	mov %ecx, %es
	mov %ecx, %fs
	mov %ecx, %gs
	lidt real_idt
	ljmp $SEL_CODE16, $REAL_PAGE + (real_start - real_copy)

	/* An exit of the VM that the case entered; CPUID's is answered and counted. */
	.globl trip_exit
trip_exit:
	mov %eax, trip + TRIP_AFTER + 0
	mov %ecx, trip + TRIP_AFTER + 8
	pushf
	pop trip + AFTER_RFLAGS
	mov $0x4402, %eax		/* exit reason */
	vmread %eax, %ecx
	cmp $10, %ecx
	jne 1f
	incl trip + AFTER_ERROR
	mov $0x440c, %eax		/* instruction length */
	vmread %eax, %ecx
	mov $0x681e, %eax
	vmread %eax, trip + TRIP_AFTER + 32
	add trip + TRIP_AFTER + 32, %ecx
	vmwrite %ecx, %eax
	mov $0x51, %eax			/* what CPUID gives */
	mov $0x52, %ecx
	vmresume
	jmp trip_broken
1:	mov %edx, trip + TRIP_AFTER + 16
	mov %ebx, trip + TRIP_AFTER + 24
	mov %esp, trip + TRIP_AFTER + 32
	mov %ebp, trip + TRIP_AFTER + 40
	mov %esi, trip + TRIP_AFTER + 48
	mov %edi, trip + TRIP_AFTER + 56
	movl $VECTOR_EXIT, trip + AFTER_VECTOR
	sgdt trip_host + HOST_SAW_GDTR
	sidt trip_host + HOST_SAW_IDTR
	str trip_host + HOST_SAW_TR
	sldt trip_host + HOST_SAW_LDTR
	mov %cs, trip_host + HOST_SAW_SEG
	mov %ss, trip_host + HOST_SAW_SEG + 4
	mov %ds, trip_host + HOST_SAW_SEG + 8
	mov %es, trip_host + HOST_SAW_SEG + 12
	mov %fs, trip_host + HOST_SAW_SEG + 16
	mov %gs, trip_host + HOST_SAW_SEG + 20
	mov %cr0, %eax
	mov %eax, trip_host + HOST_SAW_CR
	mov %cr3, %eax
	mov %eax, trip_host + HOST_SAW_CR + 4
	mov %cr4, %eax
	mov %eax, trip_host + HOST_SAW_CR + 8
	mov %fs:0, %eax
	mov %eax, trip_host + HOST_SAW_FS
	mov $0xc0000080, %ecx
	rdmsr
	mov %eax, trip_host + HOST_SAW_EFER
	jmp leave_vmx

	.balign 16
	.globl trip_stubs
trip_stubs:
	trap_stubs_to trap32
trap32:				/* DS may be anything; CS is flat */
	push %ds
	push %eax
	mov $SEL_DATA32, %eax
	mov %eax, %ds
	mov catch, %eax
	test %eax, %eax
	jz 1f
	jmp *%eax
1:	pop trip + TRIP_AFTER + 0
	mov %ecx, trip + TRIP_AFTER + 8
	mov %edx, trip + TRIP_AFTER + 16
	mov %ebx, trip + TRIP_AFTER + 24
	mov %ebp, trip + TRIP_AFTER + 40
	mov %esi, trip + TRIP_AFTER + 48
	mov %edi, trip + TRIP_AFTER + 56
	add $4, %esp
	pop trip + AFTER_VECTOR
	pop trip + AFTER_ERROR
	pop trip + AFTER_RIP
	pop %eax			/* CS */
	pop %ebx
	mov %ebx, trip + AFTER_RFLAGS
	mov %esp, trip + TRIP_AFTER + 32
	test $0x20000, %ebx
	jnz 2f
	test $3, %al
	jz leave_vmx
2:	pop trip + TRIP_AFTER + 32
leave_vmx:
	load_data SEL_DATA32
	mov $trip_stack_top, %esp
	mov %cr2, %eax
	mov %eax, trip + AFTER_CR2
	movl $0, trip + AFTER_WAS_ON
	movl $1f, catch
	mov trip + TRIP_VMCS, %ebx
	test %ebx, %ebx
	jz 2f
	mov $0x4400, %ecx		/* VM-instruction error */
	vmread %ecx, trip + AFTER_NUMBER
	vmclear (%ebx)
2:	vmxoff
	movl $1, trip + AFTER_WAS_ON
1:	movl $0, catch
	jmp legacy_leave

	/* Real mode: this much is copied to REAL_PAGE; 256 calls first, one for each vector. */
	.code16
	.globl real_copy, real_end
real_copy:
	.rept 256
	call 1f
	.endr
1:	jmp real_trap
real_start:
	mov %eax, %cr0
	ljmp $0, $REAL_PAGE + (1f - real_copy)
1:	mov $trip, %edi			/* DS has its 4-GiB limit still */
	mov TRIP_GPR + 0(%edi), %eax
	mov TRIP_GPR + 8(%edi), %ecx
	xor %bx, %bx
	mov %bx, %ss
	mov %bx, %es
	mov %bx, %fs
	mov %bx, %gs
	mov $REAL_PAGE, %sp
	pushw TRIP_RFLAGS(%edi)
	mov TRIP_GPR + 56(%edi), %edi
	popf
	mov %bx, %ds
	ljmp $0, $CASE_PAGE
real_trap:
	pop %bx
	mov %cr0, %esi
	or $1, %esi
	mov %esi, %cr0
	ljmp $SEL_CODE32, $REAL_PAGE + (2f - real_copy)
	.code32
2:	mov $SEL_DATA32, %esi
	mov %esi, %ds
	mov %eax, trip + TRIP_AFTER + 0
	mov %ecx, trip + TRIP_AFTER + 8
	mov %edi, trip + TRIP_AFTER + 56
	sub $REAL_PAGE + 3, %bx
	movzwl %bx, %eax
	mov $3, %ecx
	xor %edx, %edx
	div %ecx
	mov %eax, trip + AFTER_VECTOR
	mov $real_frame, %eax
	jmp *%eax
real_end:
real_frame:
	mov $SEL_DATA32, %eax
	mov %eax, %ss
	movzwl %sp, %esp
	movzwl (%esp), %eax
	mov %eax, trip + AFTER_RIP
	movzwl 4(%esp), %eax
	mov %eax, trip + AFTER_RFLAGS
	lidt idt32
	jmp leave_vmx

	.data
	.balign 8
	.word 0, 0, 0
idt32:
	.word 2047
	.long trip_idt
	.balign 8
	.word 0, 0, 0
real_idt:
	.word 0x3ff
	.long REAL_VECTORS
catch:
	.long 0
	.globl trip_rsp
	.balign 8
trip_rsp:
	.quad 0

	.bss
	.balign 4096
	.globl trip_stack_top
	.skip 8192
trip_stack_top:
