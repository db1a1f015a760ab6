/*
 * Page tables at the memory, and tables in it: EPT with leaves of each size and tables of each
 * level there, tables that lead to themselves, and the guest's own tables.
 */
#include "hostile.h"

#define LEAF(page)	((page) | EPT_RWX | EPT_WB)

/* The window's first gibibyte has small pages, the second 2-MiB ones, the third one of 1 GiB. */
static bool try_leaf(const struct home *home, u64 page, struct vm *vm, u64 size, u64 gpa)
{
	u64 value = fresh(), at = gpa + page % size;

	ept_map(ept_root, gpa, page & ~(size - 1), size, EPT_RWX);
	use_root(vm, ept_root);
	if (run_at(vm, guest_write, at + 64, value) != REASON_VMCALL ||
	    !everywhere(home, 64, value))
		return false;
	words(home->base)[9] = value = fresh();
	return run_at(vm, guest_read, at + 72, 0) == REASON_VMCALL && vm->regs[RBX] == value;
}

static bool try_small(const struct home *home, u64 page, struct vm *vm)
{
	return try_leaf(home, page, vm, PAGE_SIZE, WINDOW);
}

static bool try_large(const struct home *home, u64 page, struct vm *vm)
{
	return try_leaf(home, page, vm, 2 << 20, WINDOW + BIT(30));
}

static bool try_huge(const struct home *home, u64 page, struct vm *vm)
{
	if (!(vmx_caps.ept_vpid & BIT(17)))
		return true;
	return try_leaf(home, page, vm, BIT(30), WINDOW + BIT(31));
}

/* With EPT's accessed and dirty flags where the CPU has them. */
static bool reads_data(struct vm *vm, u64 root)
{
	u64 eptp = root | 3 << 3 | 6 | (vmx_caps.ept_vpid & BIT(21) ? BIT(6) : 0);

	vm_reset(vm, guest_end);
	vm_use_ept(eptp);
	must(invept(2, 0), "INVEPT");
	return run_at(vm, guest_read, WINDOW, 0) == REASON_VMCALL && vm->regs[RBX] == DATA_WORD;
}

/* A chain of tables for the window's first page, the one of this level at the page. */
static bool try_table(const struct home *home, u64 page, struct vm *vm, unsigned int level)
{
	u64 table[5], flag = vmx_caps.ept_vpid & BIT(21) ? BIT(8) : 0;

	for (unsigned int i = 1; i < 5; i++)
		table[i] = i == level ? page : (u64)page_alloc();
	words(table[4])[0] = table[3] | EPT_RWX;
	memcpy(words(table[3]), words(ept_root[0] & ~0xfffull), 32);
	words(table[3])[WINDOW >> 30] = table[2] | EPT_RWX;
	words(table[2])[0] = table[1] | EPT_RWX;
	words(table[1])[0] = LEAF((u64)data);
	return reads_data(vm, table[4]) &&
	       everywhere(home, level == 3 ? 8 * (WINDOW >> 30) : 0,
			  (level == 1 ? LEAF((u64)data) : table[level - 1] | EPT_RWX) | flag);
}

static bool try_level1(const struct home *home, u64 page, struct vm *vm)
{
	return try_table(home, page, vm, 1);
}

static bool try_level2(const struct home *home, u64 page, struct vm *vm)
{
	return try_table(home, page, vm, 2);
}

static bool try_level3(const struct home *home, u64 page, struct vm *vm)
{
	return try_table(home, page, vm, 3);
}

static bool try_level4(const struct home *home, u64 page, struct vm *vm)
{
	return try_table(home, page, vm, 4);
}

/* Every entry leads to the page itself: it is all tables, and at the end the memory, too. */
static bool try_itself(const struct home *home, u64 page, struct vm *vm)
{
	u64 value = fresh(), gpa = WINDOW + BIT(30), *entry;

	for (unsigned int i = 0; i < 512; i++)
		words(page)[i] = page | EPT_RWX;
	entry = ept_entry(ept_root, gpa, 2 << 20);
	*entry = page | EPT_RWX;
	use_root(vm, ept_root);
	if (run_at(vm, guest_write, gpa + 0x3000 + 80, value) != REASON_VMCALL ||
	    !everywhere(home, 80, value))
		return false;
	*entry = 0;
	vm_reset(vm, guest_end);	/* and as the root: the guest's code is nowhere */
	vmwrite(EXCEPTION_BITMAP, 0xffffffff);
	vm_use_ept(page | 3 << 3 | 6);
	must(invept(2, 0), "INVEPT");
	return vm_run(vm) != REASON_VMCALL && everywhere(home, 80, value);
}

/* The guest's top level there, with EPT and without; the CPU sets the accessed flag. */
static bool try_cr3(const struct home *home, u64 page, struct vm *vm)
{
	u64 link = *(u64 *)read_cr3() & ~0xfe0ull;

	for (unsigned int ept = 0; ept < 2; ept++) {
		if (ept && !control_can(SECONDARY_CONTROLS, SEC_EPT))
			break;
		words(page)[0] = link;
		if (ept)
			use_root(vm, ept_root);
		else
			vm_reset(vm, guest_end);
		vmwrite(GUEST_CR3, page);
		if (run_at(vm, guest_read, (u64)data, 0) != REASON_VMCALL ||
		    vm->regs[RBX] != DATA_WORD || !everywhere(home, 0, link | 0x20))
			return false;
	}
	return true;
}

/* PAE paging: four pointers there, that lead nowhere; then some that no CPU takes. */
static bool try_pointers(const struct home *home, u64 page, struct vm *vm)
{
	u32 reason;

	for (unsigned int i = 0; i < 4; i++)
		words(page)[i] = 0;
	vm_reset(vm, guest_end);
	control_clear(ENTRY_CONTROLS, ENTRY_GUEST_64);
	if (control_can(ENTRY_CONTROLS, ENTRY_LOAD_EFER)) {
		control_set(ENTRY_CONTROLS, ENTRY_LOAD_EFER);
		vmwrite(GUEST_EFER, 0);
	}
	vmwrite(GUEST_CS_RIGHTS, 0xc09b);
	vmwrite(GUEST_CR3, page);
	vmwrite(EXCEPTION_BITMAP, 0xffffffff);
	if (run_at(vm, guest_end, 0, 0) != REASON_EXCEPTION)
		return false;
	words(page)[2] = 0x1e7;
	reason = vm_run(vm);
	return reason == (REASON_GUEST_STATE | REASON_ENTRY_FAILURE) && everywhere(home, 16, 0x1e7);
}

const struct attack tables_attacks[] = {
	{ "4-KiB page of EPT", try_small, SEC_EPT },
	{ "2-MiB page of EPT", try_large, SEC_EPT },
	{ "1-GiB page of EPT", try_huge, SEC_EPT },
	{ "level 1 of EPT", try_level1, SEC_EPT },
	{ "level 2 of EPT", try_level2, SEC_EPT },
	{ "level 3 of EPT", try_level3, SEC_EPT },
	{ "level 4 of EPT", try_level4, SEC_EPT },
	{ "EPT that leads to itself", try_itself, SEC_EPT },
	{ "the guest's CR3", try_cr3, 0 },
	{ "the guest's directory pointers", try_pointers, 0 },
	{ NULL, NULL, 0 },
};
