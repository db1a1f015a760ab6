/*
 * One VM entry and what follows it, for host state that may be anything legal:
 * the way back notes what only assembly can see of it, then loads every register
 * that an exit may have left odd but control registers and MSRs, which C puts
 * right. L2 has entry_registers, and leaves none behind.
 */
#include "macros.h"

	.text
	/* u64 entry_run(u64 resume): 0 after an exit, else RFLAGS of the failure */
	.globl entry_run, entry_exit
entry_run:
	save_registers
	mov %rsp, entry_rsp
	test %edi, %edi
	mov entry_registers, %rax
	mov entry_registers + 8, %rcx
	mov entry_registers + 16, %rdx
	mov entry_registers + 24, %rbx
	mov entry_registers + 32, %rdi
	mov $0, %esi
	jnz 1f
	vmlaunch
	jmp 2f
1:	vmresume
2:	pushfq
	pop %rax
	jmp 4f

entry_exit:
	mov %rsp, entry_seen_rsp
	pushfq
	popq entry_seen_rflags
	mov %es, entry_seen_selectors
	mov %cs, entry_seen_selectors + 2
	mov %ss, entry_seen_selectors + 4
	mov %ds, entry_seen_selectors + 6
	mov %fs, entry_seen_selectors + 8
	mov %gs, entry_seen_selectors + 10
	sldt entry_seen_selectors + 12
	str entry_seen_selectors + 14
	sgdt entry_seen_gdtr
	sidt entry_seen_idtr
	mov $0xc0000100, %ecx	/* the bases of FS and GS */
	rdmsr
	mov %eax, entry_seen_bases
	mov %edx, entry_seen_bases + 4
	inc %ecx
	rdmsr
	mov %eax, entry_seen_bases + 8
	mov %edx, entry_seen_bases + 12
	mov entry_rsp, %rsp
	lgdt gdt_register
	push $SEL_CODE
	push $3f
	lretq
3:	load_data SEL_DATA
	xor %eax, %eax
	mov %eax, %fs
	mov %eax, %gs
	andb $~2, gdt + SEL_TSS + 5	/* no longer busy */
	mov $SEL_TSS, %eax
	ltr %ax
	xor %eax, %eax
4:	restore_registers
	ret

	/* A page that is mapped at both ends of what is canonical, entered at either of its own. */
	.balign 4096
	.globl entry_stub
entry_stub:
	movabs $entry_exit, %rax
	jmp *%rax
	.org entry_stub + 0xff0
	movabs $entry_exit, %rax
	jmp *%rax
	.org entry_stub + 4096

	.bss
	.balign 8
entry_rsp:
	.quad 0
	.globl entry_registers, entry_seen_rsp, entry_seen_rflags, entry_seen_selectors
	.globl entry_seen_gdtr, entry_seen_idtr, entry_seen_bases
entry_registers:	.quad 0, 0, 0, 0, 0	/* RAX, RCX, RDX, RBX, RDI */
entry_seen_rsp:		.quad 0
entry_seen_rflags:	.quad 0
entry_seen_selectors:	.quad 0, 0
entry_seen_bases:	.quad 0, 0
entry_seen_gdtr:	.quad 0, 0
entry_seen_idtr:	.quad 0, 0
