/*
 * Three CPUs that do to each other what no VMM should: the same VMCSs active on all of them, EPT tables
 * and bitmaps that one changes while another's guest runs on them, more EPTs than an L0 can keep,
 * memory types set all the time. Nothing is expected of it but that it goes on: that guests which
 * should run do, and that whoever is below neither hangs nor gives up.
 * SDM: Software Use of Virtual-Machine Control Structures, which forbids the first.
 */
#include "vmx.h"

#define CPUS		3u
#define ROUNDS		600u
#define VMCSS		6u
#define ROOTS		45u
#define SZ_2M		BIT(21)
#define MSR_MTRR_DEF_TYPE	0x2ff

asm("h_guest: mov $0x174, %ecx; rdmsr; mov (%rdi), %rax; mov %rax, 8(%rsi); vmcall\n");
extern const char h_guest[];

struct cpu {
	u32 number, seed;
	volatile u32 rounds, ran;
	struct vm vm;
	u64 *page;			/* its guest reads and writes it */
};

static struct cpu cpus[CPUS];
static u64 *region[VMCSS], *root[ROOTS], *bitmap[2];
static volatile u32 starting;

static u32 draw(struct cpu *c, u32 below)
{
	c->seed = c->seed * 1103515245 + 12345;
	return (c->seed >> 8) % below;
}

/* To the guest's end, if it comes to that. */
static bool finishes(struct cpu *c)
{
	u32 reason = vm_run(&c->vm);

	if (reason == REASON_RDMSR) {
		vm_skip();
		c->vm.launched = true;
		reason = vm_run(&c->vm);
	}
	return reason == REASON_VMCALL;
}

/* Host and guest state anew, whatever another CPU has made of this VMCS. */
static void run(struct cpu *c)
{
	vm_reset(&c->vm, h_guest);
	if (draw(c, 2)) {
		control_set(PRIMARY_CONTROLS, PRI_MSR_BITMAPS);
		vmwrite(MSR_BITMAP, (u64)bitmap[draw(c, 2)]);
	}
	if (draw(c, 4))
		vm_use_ept(ept_pointer(root[draw(c, ROOTS)]));
	c->vm.regs[RDI] = (u64)c->page;
	c->vm.regs[RSI] = (u64)c->page;
	c->vm.launched = draw(c, 2);
	c->ran += finishes(c);
}

static void change_ept(struct cpu *c)
{
	u64 *pd = (u64 *)(root[draw(c, ROOTS)][0] & ~0xfffull), *entry;

	pd = (u64 *)(pd[0] & ~0xfffull);
	entry = &pd[(u64)c->page / SZ_2M];
	*entry ^= draw(c, 2) ? EPT_W : EPT_RWX;
	if (draw(c, 2))
		invept(1 + draw(c, 2), ept_pointer(root[draw(c, ROOTS)]));
}

static void step(struct cpu *c)
{
	switch (draw(c, 8)) {
	case 0:
		vmclear((u64)region[draw(c, VMCSS)]);
		vmptrld((u64)region[draw(c, VMCSS)]);
		break;
	case 1:
		vmptrld((u64)region[draw(c, VMCSS)]);
		break;
	case 2:
		change_ept(c);
		break;
	case 3:
		((volatile u8 *)bitmap[draw(c, 2)])[draw(c, PAGE_SIZE)] ^= (u8)draw(c, 256);
		break;
	case 4:
		if (c->number == 0)
			wrmsr(MSR_MTRR_DEF_TYPE, rdmsr(MSR_MTRR_DEF_TYPE));
		break;
	default:
		run(c);
	}
}

static void work(struct cpu *c)
{
	vmx_on();
	for (u32 i = 0; i < ROUNDS; i++) {
		if (vmptrst() == ~0ull)
			vmptrld((u64)region[draw(c, VMCSS)]);
		step(c);
		c->rounds++;
	}
	/* A VMCS of its own still works. */
	vm_init(&c->vm);
	vm_reset(&c->vm, h_guest);
	c->vm.regs[RDI] = c->vm.regs[RSI] = (u64)c->page;
	c->rounds += finishes(c);
}

static void work_there(void)
{
	work(&cpus[starting]);
}

int main(void)
{
	u32 self = cpu_id();

	apic_enable();
	vmx_prepare();
	for (u32 i = 0; i < VMCSS; i++)
		region[i] = vmx_region();
	for (u32 i = 0; i < ROOTS; i++) {
		root[i] = ept_new();
		ept_identity(root[i], BIT(30), SZ_2M);
	}
	bitmap[0] = page_alloc();
	bitmap[1] = page_alloc();
	for (u32 i = 0; i < CPUS; i++) {
		cpus[i].number = i;
		cpus[i].seed = 77 + i;
		cpus[i].page = page_alloc();
		cpus[i].vm.stack = pages_alloc(GUEST_STACK / PAGE_SIZE);
	}
	for (u32 i = 1; i < CPUS; i++) {
		starting = i;
		cpu_start((self + i) % CPUS, work_there);
		while (!cpus[i].rounds)
			cpu_relax(1);
	}
	work(&cpus[0]);
	for (u32 i = 0; i < CPUS; i++) {
		for (u32 k = 0; k < 5000000 && cpus[i].rounds <= ROUNDS; k++)
			cpu_relax(1);
		print("CPU %u: %u rounds, guests ran %s\n", i, cpus[i].rounds,
		      cpus[i].ran > ROUNDS / 20 ? "often" : "SELDOM");
	}
	return 0;
}
