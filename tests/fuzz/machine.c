/* See machine.h. L1's memory is a private mapping of a file with the start state's. */
#include "machine.h"

#include <sys/mman.h>
#include <unistd.h>

#define ALLOWED_MAX 64

struct machine {
	struct fx live, start;
	struct hw_region vmcs01;
	bool made;
};

static struct machine machines[BASES][SHADOWS];
static struct { u64 start, end; } allowed[ALLOWED_MAX];
static unsigned allowed_count;
struct fuzz_trace *fuzz_trace;

void fuzz_tell(const char *what, u64 value)
{
	struct fuzz_trace *t = fuzz_trace;

	if (!t || t->rows == ARRAY_SIZE(t->row))
		return;
	t->row[t->rows].what = what;
	t->row[t->rows++].value = value;
}

void fuzz_tell_bytes(const char *what, const void *bytes, size_t len)
{
	const u8 *b = bytes;
	u64 hash = 0xcbf29ce484222325;	/* FNV-1a */

	for (size_t i = 0; fuzz_trace && i < len; i++)
		hash = (hash ^ b[i]) * 0x100000001b3;
	fuzz_tell(what, hash);
}

void fuzz_same(const struct fuzz_trace *a, const struct fuzz_trace *b)
{
	for (unsigned i = 0; i < a->rows && i < b->rows; i++)
		if (strcmp(a->row[i].what, b->row[i].what) || a->row[i].value != b->row[i].value)
			fail_msg("row %u: %s is %#llx, but %s is %#llx", i, a->row[i].what,
				 (unsigned long long)a->row[i].value, b->row[i].what,
				 (unsigned long long)b->row[i].value);
	assert_int_equal(a->rows, b->rows);
}

void fuzz_forbid(void)
{
	allowed_count = 0;
}

void fuzz_allow(u64 at, u64 len)
{
	assert_true(allowed_count < ALLOWED_MAX);
	allowed[allowed_count].start = at;
	allowed[allowed_count++].end = at + len;
}

void fuzz_allow_regions(const struct fx *f)
{
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		if (f->n.slot[i].gpa.v != NESTED_NO_VMPTR.v)
			fuzz_allow(f->n.slot[i].gpa.v + 8, PAGE_SIZE - 8);
}

static void before_write(struct vm *vm, gpa1_t a, const void *src, size_t len)
{
	(void)vm;
	fuzz_tell("address written", a.v);
	fuzz_tell_bytes("bytes written", src, len);
	for (unsigned i = 0; i < allowed_count; i++)
		if (a.v >= allowed[i].start && a.v + len <= allowed[i].end)
			return;
	fail_msg("%zu byte(s) written at %#llx, where nothing may be written", len,
		 (unsigned long long)a.v);
}

/* L1's page tables, at its host CR3: the first 8 MiB, one to one. */
static void start_paging(struct fx *f, bool wide)
{
	u64 *top = (u64 *)(void *)fx_at(f, 0x3000), *next = (u64 *)(void *)fx_at(f, 0x4000);

	*top = 0x4000 | (wide ? 0x27 : 1);
	if (wide)
		*next = 0xe7;	/* one page of 1 GiB */
	else
		for (u64 i = 0; i < 4; i++)
			next[i] = i * SZ_2M | 0xe7;
	FX01(f, GUEST_CR3) = 0x3000;
	FX01(f, GUEST_PDPTE0) = wide ? 0 : *top;
}

static void start_vmcs01(struct fx *f, bool wide)
{
	for (unsigned seg = 0; seg < 6; seg++) {
		*fx_vmcs01(f, VF_GUEST_ES_AR + seg) = seg == SEG_CS ? 0xa09b : 0xc093;
		*fx_vmcs01(f, VF_GUEST_ES_LIMIT + seg) = 0xffffffff;
	}
	if (!wide)
		FX01(f, GUEST_CS_AR) = 0xc09b;
	FX01(f, GUEST_TR_AR) = 0x8b;
	FX01(f, GUEST_TR_LIMIT) = 0x67;
	FX01(f, GUEST_LDTR_AR) = AR_UNUSABLE;
	FX01(f, GUEST_CR0) |= CR0_WP;
	FX01(f, PIN_CONTROLS) = 0x16;
	FX01(f, PROC_CONTROLS) = 0x04006172 | PROC_SECONDARY | PROC_MSR_BITMAPS | PROC_IO_BITMAPS;
	FX01(f, PROC2_CONTROLS) |= PROC2_EPT | PROC2_VPID | PROC2_UNRESTRICTED;
	FX01(f, EXIT_CONTROLS) = 0x00036dfb | EXIT_HOST_64 | EXIT_LOAD_PAT | EXIT_LOAD_EFER;
	FX01(f, ENTRY_CONTROLS) = f->n.entry_controls01 | (wide ? ENTRY_IA32E : 0);
	FX01(f, MSR_BITMAP) = f->n.msr_bitmap01.v;
	FX01(f, IO_BITMAP_A) = f->n.io_bitmap01[0].v;
	FX01(f, IO_BITMAP_B) = f->n.io_bitmap01[1].v;
	FX01(f, EPT_POINTER) = f->n.eptp01;
}

/* What L0 intercepts, and MSRs of the machine. */
static void start_intercepts(struct fx *f)
{
	static const u32 msrs[] = { 0x1b, 0x3a, 0x480, 0x491, 0x830 };
	static const u16 ports[] = { 0x64, 0xcf9, 0x604, 0x8900 };

	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++)
		fx_page02(f, f->n.msr_bitmap01.v)[0x800 + msrs[i] / 8] |= (u8)(1 << msrs[i] % 8);
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
		fx_page02(f, f->n.io_bitmap01[ports[i] >> 15].v)[(ports[i] & 0x7fff) / 8] |=
			(u8)(1 << ports[i] % 8);
	hw_msr_set(&f->hw, MSR_IA32_DEBUGCTL, 0);
	hw_msr_set(&f->hw, MSR_KERNEL_GS_BASE, 0x1234);
	hw_msr_set(&f->hw, MSR_TSC_AUX, 0);
	/* Only what the SDM says of lists keeps L1 from these. */
	hw_msr_set(&f->hw, MSR_IA32_X2APIC_ICR, 0);
	hw_msr_set(&f->hw, MSR_IA32_SMM_MONITOR_CTL, 0);
}

/* The bitmaps of L1's shadowing, behind those pages that the fixture uses. */
static void start_shadow_bitmaps(struct fx *f)
{
	hpa_t *const bitmap[] = {
		&f->n.vmread_bitmap, &f->n.vmwrite_bitmap,
		&f->n.wide_bitmap[0], &f->n.wide_bitmap[1],
	};
	u8 *page[4];

	for (unsigned i = 0; i < 4; i++) {
		*bitmap[i] = HPA(FX_HOME + (FX_OWN_PAGES - 1 - i) * PAGE_SIZE);
		page[i] = fx_page02(f, bitmap[i]->v);
		assert_true(f->n.slot[NESTED_SLOTS - 1].field_bitmap[1].page.v < bitmap[i]->v);
	}
	nested_shadow_bitmaps(&f->n, false, page[0], page[1]);
	nested_shadow_bitmaps(&f->n, true, page[2], page[3]);
	FX01(f, VMREAD_BITMAP) = f->n.linked_bitmap = f->n.vmread_bitmap.v;
	FX01(f, VMWRITE_BITMAP) = f->n.vmwrite_bitmap.v;
}

/* Puts L1's memory into a file, and maps that. */
static void move_memory(struct fx *f)
{
	static const u8 zero[PAGE_SIZE];
	int fd = memfd_create("ram", 0);
	u8 *ram = f->vm.memory.ram;

	assert_true(fd >= 0 && !ftruncate(fd, FX_RAM));
	for (u64 at = 0; at < FX_RAM; at += PAGE_SIZE)
		if (memcmp(ram + at, zero, PAGE_SIZE))
			assert_true(pwrite(fd, ram + at, PAGE_SIZE, (off_t)at) ==
				    (ssize_t)PAGE_SIZE);
	host_memory_free(&f->vm.memory);
	ram = mmap(NULL, FX_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_true(ram != MAP_FAILED);
	close(fd);
	f->vm.memory.ram = ram;
}

/* As L1 would find it with hardware that has none. */
static void withhold_shadowing(struct fx *f)
{
	f->n.caps.proc2.may &= ~PROC2_SHADOW_VMCS;
	field_clear(&f->n.exists, VF_VMREAD_BITMAP);
	field_clear(&f->n.exists, VF_VMWRITE_BITMAP);
}

static void make(struct machine *m, enum state_base base, enum fuzz_shadow shadow)
{
	struct fx *f = &m->live;

	fx_start(f, base, shadow != SHADOW_NONE);
	f->n.always_ept5 = base != B64;
	nested_caps_init(&f->n);
	if (shadow == SHADOW_KEPT)
		withhold_shadowing(f);
	start_paging(f, base != HOST32);
	start_vmcs01(f, base != HOST32);
	start_intercepts(f);
	if (shadow != SHADOW_NONE)
		start_shadow_bitmaps(f);
	move_memory(f);
	f->vm.memory.before_write = before_write;
	m->vmcs01 = *hw_region_at(&f->hw, f->n.vmcs01);
	m->start = *f;
	m->made = true;
}

struct fx *fuzz_machine(enum state_base base, enum fuzz_shadow shadow)
{
	struct machine *m = &machines[base][shadow];

	if (!m->made) {
		make(m, base, shadow);
	} else {
		madvise(m->live.vm.memory.ram, FX_RAM, MADV_DONTNEED);
		m->live = m->start;
	}
	fuzz_forbid();
	return &m->live;
}

const struct hw_region *fuzz_start_vmcs01(const struct fx *f)
{
	return &((const struct machine *)(const void *)f)->vmcs01;
}
