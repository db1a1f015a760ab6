/*
 * The handler of INT 15h that bios_map.c puts at the start of a page. Real mode; it uses the
 * caller's stack and answers three ways to ask for the size of memory. ACPI "INT 15H, E820H".
 */
#define AT(label) (label - bios_int15)
#define SMAP 0x534d4150
#define ANSWER_SIZE 20
#define FLAGS 6			/* of the caller, on the stack above BP, IP, CS */
#define CARRY 1

	.section .rodata
	.globl bios_int15, bios_int15_data
	.code16
bios_int15:
	cmp $0xe820, %ax
	je query
	cmp $0xe801, %ax
	je size
	cmp $0x88, %ah
	je old_size
	ljmpw *%cs:AT(next)

query:
	cmp $SMAP, %edx
	jne failed
	cmp $ANSWER_SIZE, %ecx
	jb failed
	movzwl %cs:AT(answers), %eax
	cmp %eax, %ebx
	jae failed
	push %si
	push %di
	push %ds
	imul $ANSWER_SIZE, %bx, %si
	add $AT(answer), %si
	push %cs
	pop %ds
	mov $(ANSWER_SIZE / 2), %cx
	cld
	rep movsw
	pop %ds
	pop %di
	pop %si
	inc %ebx
	cmp %eax, %ebx
	jb 1f
	xor %ebx, %ebx
1:	mov $ANSWER_SIZE, %ecx
	mov %edx, %eax
done:
	push %bp
	mov %sp, %bp
	andw $~CARRY, FLAGS(%bp)
	pop %bp
	iret

size:
	mov %cs:AT(below_16m), %ax
	mov %cs:AT(blocks), %bx
	mov %ax, %cx
	mov %bx, %dx
	jmp done

old_size:
	mov %cs:AT(extended), %ax
	jmp done

failed:
	mov $0x86, %ah
	push %bp
	mov %sp, %bp
	orw $CARRY, FLAGS(%bp)
	pop %bp
	iret

	.balign 4
bios_int15_data:
next:
	.long 0
extended:
	.word 0
below_16m:
	.word 0
blocks:
	.word 0
answers:
	.word 0
answer:
