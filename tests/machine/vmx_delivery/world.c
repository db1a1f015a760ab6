/* Builds the window. Every vector's handler puts its number in RBX and calls the VMM. */
#include "world.h"

static u64 *ept_root, *table;
static u8 *pages[PAGES];

asm(".balign 16; handlers: .set n, 0; .rept 256; .balign 16; mov $n, %ebx; vmcall; iretq;"
    ".set n, n + 1; .endr");
extern const u8 handlers[];

void *world_page(enum page page)
{
	return pages[page];
}

struct idt_gate *world_gate(unsigned int vector)
{
	return (struct idt_gate *)pages[IDT_PAGE] + vector;
}

static void invalidate(void)
{
	must(invept(1, ept_pointer(ept_root)), "INVEPT");
}

void world_ept(enum page page, u64 clear, u64 set)
{
	u64 *entry = ept_entry(ept_root, PAGE_AT(page), PAGE_SIZE);

	*entry = (*entry & ~clear) | set;
	invalidate();
}

void world_unmap(enum page page)
{
	table[page] &= ~BIT(0);
}

void world_make(void)
{
	u64 *directory = page_alloc();

	table = page_alloc();
	directory[0] = (u64)table | 7;
	pdpt[5] = (u64)directory | 7;
	ept_root = ept_new();
	ept_identity(ept_root, BIT(32), 2 << 20);
	for (unsigned int i = 0; i < PAGES; i++)
		pages[i] = page_alloc();
	memcpy(pages[HANDLER_PAGE], handlers, PAGE_SIZE);
}

static void make_gates(void)
{
	for (unsigned int i = 0; i < 256; i++) {
		u64 handler = PAGE_AT(HANDLER_PAGE) + 16 * i;
		u64 type = i == 1 || i == 3 || i == 4 || i == 0x61 ? 0xee : 0x8e;

		world_gate(i)->low = (handler & 0xffff) | SEL_CODE << 16 | type << 40 |
				     (handler & 0xffff0000) << 32;
		world_gate(i)->high = handler >> 32;
	}
	world_gate(8)->low |= 2ull << 32;	/* IST 2: so that #DF always finds a stack */
}

void world_mend(void)
{
	for (enum page i = 0; i < PAGES; i++) {
		table[i] = PAGE_AT(i) | 7;
		ept_map(ept_root, PAGE_AT(i), (u64)pages[i], PAGE_SIZE, EPT_RWX);
	}
	invalidate();
	write_cr3(read_cr3());
	vmwrite(EXCEPTION_BITMAP, 0);
	control_clear(SECONDARY_CONTROLS, SEC_APIC_ACCESS | SEC_PML);
	vmwrite(EPTP, ept_pointer(ept_root));
	make_gates();
	vmwrite(GUEST_IDTR_LIMIT, PAGE_SIZE - 1);
	vmwrite(GUEST_TR_LIMIT, sizeof(struct tss64) - 1);
}

static void make_tables(void)
{
	struct tss64 *t = world_page(TSS_PAGE);

	memcpy(pages[GDT_PAGE], gdt, SEL_TASK_GATE + 8);
	memset(t, 0, sizeof(*t));
	t->rsp[0] = STACK_START(RING0_PAGE);
	t->ist[0] = STACK_START(IST_PAGE);
	t->ist[1] = STACK_START(IST_PAGE) - 1024;
	for (enum page i = STACK_PAGE; i <= RING0_PAGE; i++)
		memset(pages[i], 0, PAGE_SIZE);
}

void world_reset(struct vm *vm, const void *code)
{
	make_tables();
	vm_reset(vm, code);
	control_set(SECONDARY_CONTROLS, SEC_EPT);
	world_mend();
	vmwrite(GUEST_IDTR_BASE, PAGE_AT(IDT_PAGE));
	vmwrite(GUEST_GDTR_BASE, PAGE_AT(GDT_PAGE));
	vmwrite(GUEST_TR_BASE, PAGE_AT(TSS_PAGE));
	vmwrite(GUEST_RSP, STACK_START(STACK_PAGE));
}

void world_user(void)
{
	vmwrite(GUEST_CS, SEL_USER_CODE | 3);
	vmwrite(GUEST_CS_RIGHTS, 0xa0fb);
	vmwrite(GUEST_SS, SEL_USER_DATA | 3);
	vmwrite(GUEST_SS_RIGHTS, 0xc0f3);
}
