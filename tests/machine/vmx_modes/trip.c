/*
 * The modes, and the descriptors, gates and task state that a trip to them needs. The trips' GDT is
 * a longer copy of the kit's and is in use throughout.
 */
#include "spaces.h"

const struct mode modes[MODES] = {
	{ "64-bit", false, false, true, false, 64, LONG, true },
	{ "64-bit CPL 3", true, false, true, false, 64, LONG, true },
	{ "compatibility", false, false, true, false, 32, LONG, false },
	{ "compatibility CPL 3", true, false, true, false, 32, LONG, false },
	{ "16-bit compatibility", false, false, true, false, 16, LONG, false },
	{ "32-bit", false, false, true, false, 32, FLAT, true },
	{ "32-bit CPL 3", true, false, true, false, 32, FLAT, true },
	{ "16-bit", false, false, true, false, 16, FLAT, true },
	{ "PAE", false, false, true, false, 32, PAE, true },
	{ "PAE CPL 3", true, false, true, false, 32, PAE, true },
	{ "no paging", false, false, false, false, 32, FLAT, true },
	{ "no paging CPL 3", true, false, false, false, 32, FLAT, true },
	{ "virtual-8086", true, true, true, false, 16, FLAT, false },
	{ "real", false, false, false, true, 16, FLAT, false },
};

#define RESUME_FLAG	BIT(16)
#define VM_FLAG		BIT(17)
#define SEL_USER_CODE16	SEL_CASE_B

struct trip trip;
struct trip_host trip_host;
u64 trip_gdt[TRIP_SELECTORS / 8] __attribute__((aligned(16)));
u64 trip_idt[256] __attribute__((aligned(16)));
extern u64 trip_rsp;
extern const u8 trip_stubs[], trip_back[], trip_legacy[], real_copy[], real_end[];
extern u8 trip_stack_top[];
void trip_long(void);
void legacy_enter(const void *code32);

static struct {
	u32 link, esp0, ss0, rest[22], io_map;
} tss32;
static u8 trap_stack[8192];

u64 segment(u64 base, u32 limit, u32 type)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (u64)(type & 0xf0ff) << 40 |
	       (u64)(limit >> 16 & 15) << 48 | (base >> 24 & 0xff) << 56;
}

static void end_trip(struct trap_frame *f)
{
	const u64 gpr[16] = { f->rax, f->rcx, f->rdx, f->rbx, f->rsp, f->rbp, f->rsi, f->rdi,
			      f->r8, f->r9, f->r10, f->r11, f->r12, f->r13, f->r14, f->r15 };

	memcpy(trip.after.gpr, gpr, sizeof(gpr));
	trip.after.rip = f->rip;
	trip.after.rflags = f->rflags;
	trip.after.vector = (u32)f->vector;
	trip.after.error = (u32)f->error;
	trip.after.cr2 = read_cr2();
	f->cs = SEL_CODE;
	f->ss = SEL_DATA;
	f->rip = (u64)trip_back;
	f->rsp = trip_rsp;
	f->rflags = 2;
}

static void make_gates(void)
{
	u16 *vectors = (u16 *)REAL_VECTORS;

	memcpy((void *)REAL_PAGE, real_copy, (size_t)(real_end - real_copy));
	for (u32 i = 0; i < 256; i++) {
		u64 stub = (u64)trip_stubs + 16 * i;

		trip_idt[i] = (stub & 0xffff) | SEL_CODE32 << 16 | 0xee00ull << 32 |
			      (stub & 0xffff0000) << 32;
		vectors[2 * i] = (u16)(REAL_PAGE + 3 * i);
		vectors[2 * i + 1] = 0;
		trap_set_gate(i, (u64)idt[i].high << 32 | (idt[i].low >> 32 & 0xffff0000) |
			      (idt[i].low & 0xffff), 3, 1);
	}
	tss.ist[0] = (u64)trap_stack + sizeof(trap_stack);
	tss32.esp0 = (u32)(u64)trip_stack_top;
	tss32.ss0 = SEL_DATA32;
	tss32.io_map = sizeof(tss32) << 16;
}

void trip_init(void)
{
	struct table_register r = { sizeof(trip_gdt) - 1, (u64)trip_gdt };

	memcpy(trip_gdt, gdt, SEL_USER_CODE32);
	trip_gdt[SEL_USER_CODE32 / 8] = segment(0, 0xfffff, 0xc0fb);
	asm volatile("lgdt %0" : : "m" (r));
	make_gates();
	spaces_init();
}

static void reset_segments(const struct mode *m)
{
	static const u32 code[2][3] = {
		{ SEL_CODE16, SEL_CODE32, SEL_CODE },
		{ SEL_USER_CODE16 | 3, SEL_USER_CODE32 | 3, SEL_USER_CODE | 3 },
	};
	u32 data = m->user ? SEL_USER_DATA | 3 : SEL_DATA32;

	if (m->v86 || m->real)
		data = 0;
	for (unsigned int i = 0; i < 6; i++)
		trip.seg[i] = i != CS ? data : data ? code[m->user][m->bits / 32] : 0;
	trip_gdt[SEL_CASE_A / 8] = segment(0, 0xfffff, 0xc093);
	trip_gdt[SEL_CASE_B / 8] = segment(0, 0xfffff, 0xc093);
	trip_gdt[SEL_TSS32 / 8] = segment((u64)&tss32, sizeof(tss32) - 1, 0x89);
}

void trip_reset(const struct mode *m)
{
	memset(&trip, 0, sizeof(trip));
	for (unsigned int i = 0; i < 16; i++)
		trip.gpr[i] = 0x1111111111111111ul * i;
	trip.gpr[RSP] = (u64)trip_stack_top - 4096;
	trip.rip = CASE_PAGE;
	trip.rflags = STATUS_FLAGS | 2 | (m->v86 ? VM_FLAG : 0);
	trip.cr0 = (u32)read_cr0();
	if (!m->paging)
		trip.cr0 &= ~(u32)CR0_PG;
	if (m->real)
		trip.cr0 &= ~(u32)CR0_PE;
	trip.cr4 = (u32)read_cr4();
	if (m->format != LONG)
		trip.cr4 &= ~(u32)CR4_PAE;
	trip.cr4 |= (u32)(m->format == FLAT ? CR4_PSE : CR4_PAE);
	reset_segments(m);
	space_reset(m);
	trip.cr3 = space_cr3(m);
}

static void long_trip(void)
{
	u64 cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4(), fs = rdmsr(MSR_FS_BASE),
	    gs = rdmsr(MSR_GS_BASE);

	for (unsigned int i = 0; i < 256; i++)
		trap_hook[i] = end_trip;
	asm volatile("mov %0, %%ds; mov %1, %%es; mov %2, %%fs; mov %3, %%gs"
		     : : "r" (trip.seg[DS]), "r" (trip.seg[ES]), "r" (trip.seg[FS]),
		     "r" (trip.seg[GS]));
	wrmsr(MSR_FS_BASE, fs);
	wrmsr(MSR_GS_BASE, gs);
	write_cr3(trip.cr3);
	write_cr0(trip.cr0);
	write_cr4(trip.cr4);
	trip_long();
	write_cr4(cr4);
	write_cr0(cr0);
	write_cr3(cr3);
	asm volatile("mov %0, %%ds; mov %0, %%es" : : "r" (SEL_DATA));
	for (unsigned int i = 0; i < 256; i++)
		trap_hook[i] = NULL;
}

void trip_run(const struct mode *m)
{
	u64 cr0 = read_cr0();

	trip.after.vector = 0xffff;
	if (m->format == LONG) {
		long_trip();
		return;
	}
	legacy_enter(trip_legacy);
	write_cr0(cr0);
	trip_gdt[SEL_TSS / 8] &= ~BIT(41);	/* no longer busy */
	asm volatile("ltr %w0" : : "r" (SEL_TSS));
}
