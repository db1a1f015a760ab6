/*
 * INS and OUTS whose ports a hypervisor below may watch, and whose memory operands are where the
 * guest's paging, its segments or the VMM's EPT have something against them. The VMM asks for no
 * exits of I/O. SDM: INS, OUTS; EPT Violations; Exit Qualification for EPT Violations; Accessed and
 * Dirty Flags for EPT.
 */
#include "vmx_events.h"

#define BUFFER		(WINDOW + 4 * PAGE_SIZE)	/* two pages */
#define SECOND		(BUFFER + PAGE_SIZE)
#define UNMAPPED	0x500000000ull			/* in the guest's tables */
#define NOT_CANONICAL	0x800000000000ull

#define KEYBOARD_STATUS	0x64
#define SHUTDOWN_PORT	0x8900

asm("g_outsb: outsb; vmcall\n"
    "g_insb: insb; vmcall\n"
    "g_insw: insw; vmcall\n"
    "g_rep_insb: rep insb; vmcall\n"
    "g_rep_outsb: rep outsb; vmcall\n"
    "g_std: std; rep outsb; vmcall\n"
    "g_short: rep outsb (%esi), %dx; vmcall\n"
    "g_short_insb: rep insb %dx, (%edi); vmcall\n"
    "g_fs: outsb %fs:(%rsi), %dx; vmcall\n");
extern const char g_outsb[], g_insb[], g_insw[], g_rep_insb[], g_rep_outsb[], g_std[], g_short[];
extern const char g_short_insb[], g_fs[];

static const struct row {
	const char *text;
	const char *code;
	u64 address, count;
	u32 rights[2];		/* of the pages, in EPT */
	u32 exceptions;		/* intercepted */
} rows[] = {
	{ "OUTS", g_outsb, BUFFER, 0, { EPT_RWX, EPT_RWX }, 0 },
	{ "INS", g_insb, BUFFER, 0, { EPT_RWX, EPT_RWX }, 0 },
	{ "INS over two pages", g_insw, SECOND - 1, 0, { EPT_RWX, EPT_RWX }, 0 },
	{ "OUTS, page not there", g_outsb, BUFFER, 0, { 0, EPT_RWX }, 0 },
	{ "INS, page not there", g_insb, BUFFER + 5, 0, { 0, EPT_RWX }, 0 },
	{ "OUTS, page read-only", g_outsb, BUFFER, 0, { EPT_R, EPT_RWX }, 0 },
	{ "INS, page read-only", g_insb, BUFFER, 0, { EPT_R, EPT_RWX }, 0 },
	{ "INS over two pages, the second read-only", g_insw, SECOND - 1, 0, { EPT_RWX, EPT_R },
	  0 },
	{ "REP INS into a page not there", g_rep_insb, SECOND - 2, 5, { EPT_RWX, 0 }, 0 },
	{ "REP OUTS up to a page not there", g_rep_outsb, SECOND - 2, 5, { EPT_RWX, 0 }, 0 },
	{ "OUTS downwards", g_std, SECOND + 1, 3, { EPT_RWX, EPT_RWX }, 0 },
	{ "OUTS, #PF", g_outsb, UNMAPPED + 0x10, 0, { EPT_RWX, EPT_RWX }, 0 },
	{ "INS, #PF", g_insb, UNMAPPED + 0x20, 0, { EPT_RWX, EPT_RWX }, 0 },
	{ "INS, #PF intercepted", g_insb, UNMAPPED + 0x30, 0, { EPT_RWX, EPT_RWX }, 1 << 14 },
	{ "OUTS, not canonical", g_outsb, NOT_CANONICAL, 0, { EPT_RWX, EPT_RWX }, 0 },
	{ "INS, half canonical, #GP intercepted", g_insw, NOT_CANONICAL - 1, 0,
	  { EPT_RWX, EPT_RWX },
	  1 << 13 },
	{ "OUTS by FS", g_fs, BUFFER - 0x1000, 0, { 0, EPT_RWX }, 0 },
	{ "32-bit addresses", g_short, 0xffff00000000ull, 0x500000002, { EPT_RWX, EPT_RWX }, 0 },
	{ "32-bit addresses, INS", g_short_insb, 0, 0, { EPT_RWX, EPT_RWX }, 0 },
	{ "REP OUTS of nothing, not canonical", g_rep_outsb, NOT_CANONICAL, 0, { EPT_RWX, EPT_RWX },
	  0 },
};

static u64 *pages[2];

static void set_rights(u32 first, u32 second)
{
	ept_map(ept_root, BUFFER, (u64)pages[0], PAGE_SIZE, first);
	ept_map(ept_root, SECOND, (u64)pages[1], PAGE_SIZE, second);
	must(invept(1, ept_pointer(ept_root)), "INVEPT");
}

static void set_table_rights(u32 rights)
{
	ept_map(ept_root, (u64)window_directory, (u64)window_directory, PAGE_SIZE, rights);
	must(invept(1, ept_pointer(ept_root)), "INVEPT");
}

static bool is_input(const struct row *row)
{
	return row->code == g_insb || row->code == g_insw || row->code == g_rep_insb ||
	       row->code == g_short_insb;
}

static void reset(struct vm *vm, const struct row *row)
{
	event_reset(vm, row->code);
	set_rights(row->rights[0], row->rights[1]);
	memset(pages[0], 0xcc, PAGE_SIZE);
	memset(pages[1], 0xcc, PAGE_SIZE);
	vmwrite(EXCEPTION_BITMAP, row->exceptions);
	vmwrite(GUEST_FS_BASE, 0x1000);
	vmwrite(GUEST_FS_RIGHTS, 0xc093);
	vm->regs[RSI] = vm->regs[RDI] = row->address;
	vm->regs[RCX] = row->count;
	vm->regs[RDX] = is_input(row) ? KEYBOARD_STATUS : SHUTDOWN_PORT;
	asm volatile("mov %0, %%cr2" : : "r" (0x1230ul));
}

static void run(struct vm *vm, const struct row *row)
{
	u32 reason = vm_run(vm);

	print("%s: ", row->text);
	print_event_exit(vm, reason, row->code);
	print(" rdi=+%lx rsi=+%lx rcx=%lx cr2=%lx", vm->regs[RDI] - row->address,
	      vm->regs[RSI] - row->address, vm->regs[RCX], read_cr2());
	if (is_input(row))
		print(" read %lx %lx %lx", pages[0][0] & 0xff, pages[0][511] >> 48,
		      pages[1][0] & 0xffff);
	print("\n");
}

/* Accessed and dirty flags of EPT: of the page, and of the guest's own table that leads to it. */
static void test_flags(struct vm *vm, const struct row *row)
{
	reset(vm, row);
	set_table_rights(EPT_RWX);
	vmwrite(EPTP, ept_pointer(ept_root) | BIT(6));
	run(vm, row);
	print("  flags: page %lx", *ept_entry(ept_root, BUFFER, PAGE_SIZE) >> 8 & 3);
	print(", table %lx\n", *ept_entry(ept_root, (u64)window_directory, PAGE_SIZE) >> 8 & 3);
}

/* The guest's own tables are where its EPT does not allow it. */
static void test_tables(struct vm *vm, const struct row *row)
{
	reset(vm, row);
	set_table_rights(0);
	print("%s, no page directory: %s", row->text, reason_name(vm_run(vm)));
	print(" q=%lx gla=%lx gpa is the table's: %u\n", vmread(EXIT_QUALIFICATION) & 0x1ff,
	      vmread(GUEST_LINEAR), vmread(GUEST_PHYSICAL) == (u64)window_directory);
	set_table_rights(EPT_RWX);
}

void test_strings(struct vm *vm)
{
	pages[0] = page_alloc();
	pages[1] = page_alloc();
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		reset(vm, &rows[i]);
		run(vm, &rows[i]);
	}
	for (unsigned int i = 0; i < 2; i++) {
		test_flags(vm, &rows[i]);
		test_tables(vm, &rows[i]);
	}
}
