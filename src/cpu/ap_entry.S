/*
 * The way of another CPU from its startup IPI to cpu_ap_main(). The first
 * part is copied to a page below 1 MiB (it is no code of the image); what
 * depends on that page's address is in cpu_ap_args and filled in there.
 * SDM 3A "Multiple-Processor (MP) Initialization", "Initializing IA-32e Mode".
 */
#define CR0_ON 0x80010033		/* PG, WP, NE, ET, MP, PE; caches on */
#define CR0_PE_ET 0x00000011
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_ON 0x900			/* LME, NXE */

#define CODE32 0x08
#define CODE64 0x10
#define DATA 0x18

#define AT(label) (label - cpu_ap_code)

	.section .rodata
	.balign 16
	.globl cpu_ap_code, cpu_ap_code_end, cpu_ap_args
cpu_ap_code:
	.code16
	cli
	cld
	xor %ebx, %ebx
	mov %cs, %bx
	mov %bx, %ds
	shl $4, %ebx			/* the page */
	lgdtl AT(gdt_register)
	mov $CR0_PE_ET, %eax
	mov %eax, %cr0
	ljmpl *AT(to_protected)

	.code32
protected:
	mov $DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov AT(tables)(%ebx), %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_ON, %eax
	wrmsr
	mov $CR0_ON, %eax
	mov %eax, %cr0
	ljmp *AT(to_long)(%ebx)

	.code64
long:
	mov $cpu_ap_entry64, %rax
	jmp *%rax

	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff	/* 32-bit code */
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00cf93000000ffff	/* data */
gdt_end:

cpu_ap_args:				/* struct ap_args: the page is added to each address */
to_protected:
	.long AT(protected)
	.short CODE32
to_long:
	.long AT(long)
	.short CODE64
gdt_register:
	.short gdt_end - gdt - 1
	.long AT(gdt)
tables:
	.long 0
cpu_ap_code_end:

/* In L0's image; the tables still have the page, which L0's own have not. */
	.text
cpu_ap_entry64:
	mov cpu_ap_cr3(%rip), %rax
	mov %rax, %cr3
	mov cpu_ap_stack(%rip), %rsp
	xor %ebp, %ebp
	call cpu_ap_main
	ud2

	.section .note.GNU-stack, "", @progbits
