/*
 * A hypervisor that tries every way it has to reach the memory of the one below it: loads and
 * stores, its own and its guest's tables, every address in a VMCS and every operand of a VMX
 * instruction. The memory map tells where that memory is: large reserved ranges below 4 GiB.
 * There it must find one page of its own, the same at every address, in which each way sees what
 * every other one wrote; and the machine must go on.
 *
 * DMA is not tried. On the bare machine there is no such range, and nothing to try.
 */
#include "hostile.h"

#define HOMES	4u
#define SMALLEST	(8ull << 20)

u64 *ept_root, *data;
static struct home homes[HOMES];
static unsigned int home_count;
static struct cpuid_regs identity;

asm(".globl guest_end, guest_read, guest_write\n"
    "guest_end: vmcall\n"
    "guest_read: mov (%rsi), %rbx; vmcall\n"
    "guest_write: mov %rbx, (%rsi); vmcall\n");

u64 fresh(void)
{
	static u64 last = 0xc0de000000001000;

	return last += 0x1000;
}

u64 *words(u64 page)
{
	return (u64 *)page;
}

bool everywhere(const struct home *home, u64 offset, u64 value)
{
	for (u64 page = home->base; page < home->base + home->size; page += PAGE_SIZE)
		if (*(volatile u64 *)(page + offset) != value)
			return false;
	return true;
}

u32 run_at(struct vm *vm, const char *code, u64 rsi, u64 rbx)
{
	vmwrite(GUEST_RIP, (u64)code);
	vm->regs[RSI] = rsi;
	vm->regs[RBX] = rbx;
	return vm_run(vm);
}

void use_root(struct vm *vm, const u64 *root)
{
	vm_reset(vm, guest_end);
	vm_use_ept(ept_pointer(root));
	must(invept(2, 0), "INVEPT");
}

/* One hypervisor's memory ends where a page is not the same any more; another's may follow. */
static void find_homes_in(u64 start, u64 end)
{
	while (start < end) {
		u64 value = fresh(), page = start;

		words(start)[0] = value;
		while (page < end && words(page)[0] == value)
			page += PAGE_SIZE;
		print("# %lu KiB at %#lx\n", (page - start) >> 10, start);
		if (page - start < SMALLEST || home_count == HOMES)
			die("a reserved range is not what it should be");
		homes[home_count++] = (struct home){ start, page - start };
		start = page;
	}
}

static void find_homes(void)
{
	for (unsigned int i = 0; i < boot.ranges; i++) {
		const struct memory_range *r = &boot.range[i];

		if (r->type == 1 || r->size < SMALLEST || r->base + r->size > 0xc0000000)
			continue;
		find_homes_in(r->base, r->base + r->size);
	}
	if (!home_count)
		die("the memory map shows no memory of a hypervisor below");
}

/* Whatever was tried, CPUID and a guest must be what they were. */
static bool alive(struct vm *vm)
{
	struct cpuid_regs now = cpuid(0, 0);

	vm_load(vm);
	vm_reset(vm, guest_end);
	return !memcmp(&now, &identity, sizeof(now)) && vm_run(vm) == REASON_VMCALL;
}

/* The first pages, one in the middle, one at an odd place, the last. */
static u64 place(const struct home *home, unsigned int which)
{
	const u64 pages[] = { 0, 1, home->size / PAGE_SIZE / 2, home->size / PAGE_SIZE / 3 * 2 + 1,
			      home->size / PAGE_SIZE - 1 };

	return which < ARRAY_SIZE(pages) ? home->base + pages[which] * PAGE_SIZE : 0;
}

static void attack(const struct attack *a, struct vm *vm)
{
	unsigned int good = 0, all = 0, lived = 0;

	if (a->needs && !control_can(SECONDARY_CONTROLS, a->needs)) {
		print("%s: not on this CPU\n", a->text);
		return;
	}
	for (unsigned int h = 0; h < home_count; h++) {
		u64 page;

		for (unsigned int which = 0; (page = place(&homes[h], which)) != 0; which++) {
			memset(words(page), 0, PAGE_SIZE);
			all++;
			good += a->try(&homes[h], page, vm);
			lived += alive(vm);
		}
	}
	print("%s: %s, then %s\n", a->text, good == all ? "a page as others" : "?",
	      lived == all ? "goes on" : "?");
	if (good != all)
		print("# %u of %u\n", good, all);
}

static void attack_all(const struct attack *a, struct vm *vm)
{
	for (; a->text; a++)
		attack(a, vm);
}

int main(void)
{
	struct vm vm;

	vmx_on();
	identity = cpuid(0, 0);
	find_homes();
	for (u64 gib = 0; gib < 4; gib++)
		window_open(WINDOW + (gib << 30));
	vm_init(&vm);
	ept_root = ept_new();
	ept_identity(ept_root, BIT(32), 2 << 20);
	data = page_alloc();
	data[0] = DATA_WORD;
	attack_all(cpu_attacks, &vm);
	attack_all(tables_attacks, &vm);
	attack_all(fields_attacks, &vm);
	attack_all(operands_attacks, &vm);
	vmx_off();
	return 0;
}
