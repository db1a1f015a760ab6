/*
 * One VM entry from 32-bit protected mode with PAE paging, which only an L1
 * outside VMX operation can get to: VMXOFF, the other mode, VMXON, the entry,
 * and all the way back. The VMCS is clear before and after.
 * SDM 3A "Switching Out of IA-32e Mode Operation".
 */
#include "macros.h"

	.text
	/* u64 entry_run32(void): 0 after an exit, else RFLAGS of the failure */
	.globl entry_run32, entry_exit32
entry_run32:
	vmclear entry32_vmcs
	vmxoff
	mov $in_32, %edi
	call legacy_enter
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	andb $~2, gdt + SEL_TSS + 5	/* no longer busy */
	mov $SEL_TSS, %eax
	ltr %ax
	vmxon entry32_vmxon
	vmptrld entry32_vmcs
	mov entry32_failure, %eax
	ret

	.code32
in_32:
	mov %esp, entry32_esp
	mov entry32_cr3, %eax
	mov %eax, %cr3
	paging_on
	vmxon entry32_vmxon
	vmptrld entry32_vmcs
	vmlaunch
	pushf
	pop %esi
	jmp 1f

entry_exit32:
	lgdtl %cs:gdt_register
	load_data SEL_DATA32
	mov entry32_esp, %esp
	xor %esi, %esi
1:	mov %esi, entry32_failure
	vmclear entry32_vmcs
	vmxoff
	jmp legacy_leave

	.bss
	.balign 8
	.globl entry32_cr3, entry32_vmxon, entry32_vmcs
entry32_cr3:	.quad 0		/* of the 32-bit mode */
entry32_vmxon:	.quad 0
entry32_vmcs:	.quad 0
entry32_esp:	.long 0
entry32_failure: .long 0
