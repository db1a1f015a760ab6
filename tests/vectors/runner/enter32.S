/*
 * One VM entry from 32-bit protected mode with PAE paging, which only an L1
 * outside VMX operation can get to: VMXOFF, the other mode, VMXON, the entry,
 * and all the way back. The VMCS is clear before and after.
 * SDM 3A "Switching Out of IA-32e Mode Operation".
 */
#include "selectors.h"

#define CR0_PG 0x80000000
#define EFER 0xc0000080
#define EFER_LME 0x100

	.text
	/* u64 entry_run32(void): 0 after an exit, else RFLAGS of the failure */
	.globl entry_run32, entry_exit32
entry_run32:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, entry32_rsp
	mov %cr3, %rax
	mov %rax, entry32_cr3_64
	vmclear entry32_vmcs
	vmxoff
	ljmp *to_32

	.code32
in_32:
	mov $SEL_DATA32, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov %cr0, %eax
	and $~CR0_PG, %eax
	mov %eax, %cr0
	mov $EFER, %ecx
	rdmsr
	and $~EFER_LME, %eax
	wrmsr
	mov entry32_cr3, %eax
	mov %eax, %cr3
	mov %cr0, %eax
	or $CR0_PG, %eax
	mov %eax, %cr0
	vmxon entry32_vmxon
	vmptrld entry32_vmcs
	vmlaunch
	mov entry32_rsp, %esp
	pushf
	pop %esi
	jmp 1f

entry_exit32:
	lgdtl %cs:gdt_register
	mov $SEL_DATA32, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %esi, %esi
1:	vmclear entry32_vmcs
	vmxoff
	mov %cr0, %eax
	and $~CR0_PG, %eax
	mov %eax, %cr0
	mov entry32_cr3_64, %eax
	mov %eax, %cr3
	mov $EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov %cr0, %eax
	or $CR0_PG, %eax
	mov %eax, %cr0
	ljmp $SEL_CODE, $in_64

	.code64
in_64:
	mov $SEL_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	mov entry32_rsp, %rsp
	andb $~2, gdt + SEL_TSS + 5	/* no longer busy */
	mov $SEL_TSS, %eax
	ltr %ax
	vmxon entry32_vmxon
	vmptrld entry32_vmcs
	mov %esi, %eax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.data
	.balign 8
to_32:
	.long in_32
	.word SEL_CODE32

	.bss
	.balign 8
	.globl entry32_cr3, entry32_vmxon, entry32_vmcs
entry32_cr3:	.quad 0		/* of the 32-bit mode */
entry32_vmxon:	.quad 0
entry32_vmcs:	.quad 0
entry32_cr3_64:	.quad 0
entry32_rsp:	.quad 0
