/*
 * EPT of five levels: what the PML5 adds to what vmx_ept_walk5 and vmx_ept2_walk5 see below it.
 * Guest-physical addresses here have less than 48 bits, so that entry 0 of the PML5 decides about
 * all of them, the guest's own code and tables included. What is printed is the SDM's: "EPT
 * Translation Mechanism", "EPT Misconfigurations", "EPT Violations" and "Accessed and Dirty Flags
 * for EPT" of Vol. 3C.
 */
#include "vmx.h"

#define WINDOW	0x140000000ull	/* linear and guest-physical */
#define LARGE	(2ull << 20)
#define EPTP_AD	BIT(6)
#define WALK(n)	((u64)(n) << 3)

/* The last one reads, switches EPTPs and reads again. */
asm("guest_read: mov (%rsi), %ebx; vmcall\n"
    "guest_write: mov %ebx, (%rsi); vmcall\n"
    "guest_switch: mov (%rsi), %ebx; vmfunc; shl $16, %ebx; or (%rsi), %ebx; vmcall\n");
extern const char guest_read[], guest_write[], guest_switch[];

static u64 *page_a, *page_b, *pml5, *top, *other_top;	/* top: a PML4 */
static struct vm vm;

static u64 *filled_page(u64 base)
{
	u64 *page = page_alloc();

	for (u64 i = 0; i < 512; i++)
		page[i] = base + i;
	return page;
}

static u64 *identity_tables(void)
{
	u64 *root = ept_new();

	ept_identity(root, BIT(32), LARGE);
	return root;
}

/* Accessed and dirty, so that the guest's walks write nothing. */
static void make_window(void)
{
	u64 *directory = window_open(WINDOW);

	for (u64 i = 0; i < 512; i++)
		directory[i] |= PTE_A | PTE_D;
	pdpt[WINDOW >> 30] |= PTE_A;
}

static u64 five(void)
{
	return (u64)pml5 | WALK(4) | 6;
}

static void set(u64 bits)
{
	pml5[0] = (u64)top | bits;
	must(invept(1, five()), "INVEPT");
}

static void start(u64 flags)
{
	vm_reset(&vm, NULL);
	vm_use_ept(five() | flags);
	set(EPT_RWX);
}

static u32 run(const char *code, u64 address)
{
	vmwrite(GUEST_RIP, (u64)code);
	vm.regs[RBX] = 0;
	vm.regs[RSI] = address;
	return vm_run(&vm);
}

/* Of a violation: no mode-based execute control, no advanced information. */
static void show(const char *code, u64 address)
{
	u32 reason = run(code, address);

	if (reason == REASON_VMCALL)
		print(" %lx", vm.regs[RBX]);
	else if (reason == REASON_EPT_VIOLATION)
		print(" [q=%lx]", vmread(EXIT_QUALIFICATION) & 0x1bf);
	else
		print(" [%s]", reason_name(reason));
}

static void show_both(const char *text, u64 address)
{
	must(invept(2, 0), "INVEPT");
	print("%s, by four levels and by five:", text);
	vmwrite(EPTP, ept_pointer(top));
	show(guest_read, address);
	vmwrite(EPTP, five());
	show(guest_read, address);
	print("\n");
}

static void test_mappings(void)
{
	start(0);
	ept_map(top, WINDOW, (u64)page_a, PAGE_SIZE, EPT_RWX);
	show_both("4 KiB", WINDOW + 8);
	ept_map(top, WINDOW, (u64)page_a & -LARGE, LARGE, EPT_RWX);
	show_both("2 MiB", WINDOW + (u64)page_a % LARGE + 16);
	ept_map(top, WINDOW, 0, BIT(30), EPT_RWX);
	show_both("1 GiB", WINDOW + (u64)page_a + 24);
	*ept_entry(top, WINDOW, BIT(30)) = 0;
	show_both("nothing", WINDOW);
	*ept_entry(top, WINDOW, BIT(30)) = EPT_RWX | 7 << 3 | EPT_LARGE;
	show_both("nonsense", WINDOW);
	*ept_entry(top, WINDOW, BIT(30)) = 0;
	ept_map(top, WINDOW, (u64)page_a, PAGE_SIZE, EPT_RWX);
	ept_map(other_top, WINDOW, (u64)page_b, PAGE_SIZE, EPT_RWX);
}

/* The guest's code is read and executed, too: where that is denied, nothing else is seen. */
static void test_rights(void)
{
	static const char *const names[8] = {
		"none", "R", "W", "RW", "X", "RX", "WX", "RWX",
	};

	for (u64 rights = 0; rights < 8; rights++) {
		start(0);
		set(rights);
		print("%s: read", names[rights]);
		show(guest_read, WINDOW + 8);
		print(", write");
		show(guest_write, WINDOW + 0xff8);
		print("\n");
	}
}

static void test_reserved(void)
{
	unsigned int width = cpuid(0x80000008, 0).eax & 0xff, wrong = 0, right = 0;

	start(0);
	for (unsigned int bit = 3; bit < 64; bit++) {
		bool ignored = (bit >= 8 && bit < 12) || bit >= 52;

		if (bit >= 12 && bit < width)
			continue;	/* of the PML4's address */
		set(EPT_RWX | BIT(bit));
		if (run(guest_read, WINDOW + 8) != (ignored ? REASON_VMCALL : REASON_EPT_MISCONFIG))
			print("bit %u: %s\n", bit, reason_name(vmread(EXIT_REASON)));
		wrong += !ignored;
		right += ignored;
	}
	print("reserved bits 7:3 and 51:width: %s; ignored: %u\n",
	      wrong == 57 - width ? "all" : "?", right);
	start(0);
	set(BIT(63) | 0xbf8);
	print("not present, other bits set:");
	show(guest_read, WINDOW + 8);
	print("\n");
}

static void show_flags(const char *text)
{
	print(" %s %lx", text, pml5[0] & (EPT_A | EPT_D));
}

static void test_flags(void)
{
	start(0);
	print("flags off:");
	show(guest_write, WINDOW + 0xff8);
	show_flags("flags");
	start(EPTP_AD);
	print("\nflags on:");
	show(guest_read, WINDOW + 8);
	show_flags("read");
	set(EPT_RWX);
	show_flags("cleared");
	show(guest_write, WINDOW + 0xff8);
	show_flags("written");
	set(EPT_RWX | EPT_D);
	show(guest_read, WINDOW + 8);
	show_flags("dirty before");
	set(EPT_RWX | BIT(3));
	show(guest_read, WINDOW + 8);
	show_flags("misconfigured");
	print("\n");
}

/* The guest's code is at linear addresses of the user. */
static void test_mode_exec(void)
{
	static const u64 rights[] = { EPT_RWX, EPT_R | EPT_W | EPT_XU, EPT_RWX | EPT_XU };

	print("mode-based execute control:");
	for (unsigned int i = 0; i < ARRAY_SIZE(rights); i++) {
		start(0);
		control_set(SECONDARY_CONTROLS, SEC_MODE_EXEC);
		for (u64 address = 0; address < BIT(32); address += LARGE)
			*ept_entry(top, address, LARGE) |= EPT_XU;
		top[0] |= EPT_XU;
		for (u64 address = 0; address < BIT(32); address += BIT(30))
			*ept_entry(top, address, BIT(30)) |= EPT_XU;
		set(rights[i]);
		if (run(guest_read, WINDOW + 8) == REASON_EPT_VIOLATION)
			print(" [q=%lx]", vmread(EXIT_QUALIFICATION) & 0x1ff);
		else
			print(" %lx", vm.regs[RBX]);
	}
	print("\n");
}

/* SDM: INVEPT, and "Operations that Invalidate Cached Mappings". */
static void test_invept(void)
{
	const struct { const char *text; u64 type, eptp; } kinds[] = {
		{ "INVEPT of five levels", 1, five() },
		{ "INVEPT of four levels there", 1, (u64)pml5 | WALK(3) | 6 },
		{ "INVEPT of all", 2, 0 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		start(0);
		print("another PML4, %s:", kinds[i].text);
		show(guest_read, WINDOW + 8);
		pml5[0] = (u64)other_top | EPT_RWX;
		must(invept(kinds[i].type, kinds[i].eptp), "INVEPT");
		show(guest_read, WINDOW + 8);
		pml5[0] = (u64)top | EPT_RWX;
		must(invept(kinds[i].type, kinds[i].eptp), "INVEPT");
		show(guest_read, WINDOW + 8);
		print("\n");
	}
	start(0);
	set(0);
	print("present after a violation, no INVEPT:");
	show(guest_read, WINDOW + 8);
	pml5[0] = (u64)top | EPT_R | EPT_X;
	show(guest_read, WINDOW + 8);
	print(", then writable:");
	show(guest_write, WINDOW + 0xff8);
	pml5[0] = (u64)top | EPT_RWX;
	show(guest_write, WINDOW + 0xff8);
	print("\n");
}

/* SDM: EPTP Switching. */
static void test_switching(void)
{
	static const char *const texts[] = {
		"to itself", "from five levels to four", "to six levels",
		"from four levels to five",
	};
	u64 *list = page_alloc();

	list[0] = five();
	list[1] = ept_pointer(other_top);
	list[2] = (u64)pml5 | WALK(5) | 6;
	for (u64 to = 0; to < 4; to++) {
		start(0);
		control_set(SECONDARY_CONTROLS, SEC_VMFUNC);
		vmwrite(VMFUNC_CONTROLS, 1);
		vmwrite(EPTP_LIST, (u64)list);
		if (to == 3)
			vmwrite(EPTP, list[1]);
		vm.regs[RAX] = 0;
		vm.regs[RCX] = to % 3;
		print("VMFUNC %s:", texts[to]);
		show(guest_switch, WINDOW + 8);
		print(", EPTP %s\n", vmread(EPTP) == five() ? "of five levels" : "of four");
	}
}

static void show_entry(u64 eptp)
{
	start(0);
	vmwrite(EPTP, eptp);
	if (run(guest_read, WINDOW + 8) == NO_EXIT)
		print(" %s", outcome_text(vm.entry));
	else
		print(" %lx", vm.regs[RBX]);
	print(", INVEPT %s\n", outcome_text(invept(1, eptp)));
}

/* SDM: Checks on VMX Controls; INVEPT. */
static void test_walk_lengths(void)
{
	for (u64 length = 0; length < 8; length++) {
		u64 eptp = ((u64)(length == 3 ? top : pml5)) | WALK(length) | 6;

		print("walk length %lu:", length + 1);
		show_entry(eptp);
	}
	print("a reserved bit:");
	show_entry(five() | BIT(11));
	print("a memory type that no table has:");
	show_entry(five() ^ 6 ^ 1);
}

int main(void)
{
	page_a = filled_page(0xa000);
	page_b = filled_page(0xb000);
	make_window();
	vmx_on();
	print("four levels: %s, five: %s\n", vmx_caps.ept_vpid & BIT(6) ? "yes" : "no",
	      vmx_caps.ept_vpid & EPT_CAP_WALK5 ? "yes" : "no");
	top = identity_tables();
	other_top = identity_tables();
	pml5 = page_alloc();
	vm_init(&vm);
	test_mappings();
	test_rights();
	test_reserved();
	test_flags();
	test_invept();
	test_switching();
	test_walk_lengths();
	test_mode_exec();
	vmx_off();
	return 0;
}
