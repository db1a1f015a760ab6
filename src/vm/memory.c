/*
 * L1's physical memory. GPA1 equals HPA in the root VM, but nobody outside this
 * file relies on it: all go through ept01. L0's home is not mapped: L1 finds
 * one scratch page of its own behind every address of it.
 */
#include "vm/memory.h"

#include <string.h>

#include "cpu/cpu.h"
#include "cpu/home.h"
#include "cpu/memory.h"
#include "debug/console.h"
#include "vm/e820.h"
#include "vm/mtrr.h"
#include "vm/shared.h"
#include "vmx/insn.h"

/* Maps an identity range with the types that the MTRRs give it. */
static bool map_identity(struct vm *vm, u64 start, u64 end)
{
	while (start < end) {
		u64 len;
		u8 type = mtrr_run(&vm->mtrr, HPA(start), end - start, &len);

		if (!ept01_map(&vm->ept01, GPA1(start), len, HPA(start), EPT_RWX, type))
			return false;
		start += len;
	}
	return true;
}

static bool hide_home(struct vm *vm)
{
	const struct cpu_home *home = &cpu_home;

	for (u64 a = 0; a < home->size; a += PAGE_SIZE)
		if (!ept01_map(&vm->ept01, GPA1(home->base.v + a), PAGE_SIZE, vm->scratch,
			       EPT_RWX, MT_WB))
			return false;
	return true;
}

bool vm_memory_init(struct vm *vm, const struct boot_info *bi)
{
	vm->ram_end = cpu_direct_map_end.v;
	vm->map = &bi->map;
	return ept01_init(&vm->ept01, vm, &vm->pool01, &vm->ept_caps) &&
	       map_identity(vm, 0, vm->ram_end) && hide_home(vm);
}

/* ept01 changed: what was made from it goes, too. */
static void flush(struct vm *vm)
{
	for (u32 i = 0; i < VM_WINDOWS; i++)
		vm->windows.large[i].size = vm->windows.small[i].size = 0;
	vm->windows.epoch++;
	if (!vm->ept01.stale)
		return;
	vm->ept01.stale = false;
	if (likely(!vm->no_ept)) {
		vmx_invept(INVEPT_SINGLE, vm->ept01.eptp);
		return;
	}
	vtlb_drop(&vm->vtlb);
	vm->vtlb_dropped = vm->attention = true;
}

/*
 * Devices above the end of RAM come back when they are touched. The guest that exited may have
 * run on what goes, and not every exit looks at that again.
 */
static void forget_devices(struct vm *vm)
{
	gpa1_t start = GPA1(vm->ram_end);
	u64 len = BIT(vm->hw.maxphyaddr) - vm->ram_end;

	vm_stop_others(vm);
	ept01_unmap(&vm->ept01, start, len);
	ept02_unmap_gpa1(&vm->ept02s, start, len);
	vm->ept02_dropped = vm->attention = true;
	flush(vm);
}

/* Brings ept01 from the types that it had to those that there are now. */
static bool change_types(struct vm *vm, const struct mtrr_state *old)
{
	const struct cpu_home *home = &cpu_home;
	u64 home_end = home->base.v + home->size;

	for (u64 a = 0, len; a < vm->ram_end; a += len) {
		u8 type = mtrr_run(&vm->mtrr, HPA(a), vm->ram_end - a, &len);

		if (mtrr_run(old, HPA(a), len, &len) == type)
			continue;
		if (!ept01_set_memtype(&vm->ept01, GPA1(a), len, type))
			return false;
		if (a < home_end && a + len > home->base.v &&
		    !ept01_set_memtype(&vm->ept01, GPA1(home->base.v), home->size, MT_WB))
			return false;
	}
	return true;
}

static bool home_has(const struct mtrr_state *s, u8 type)
{
	u64 at = cpu_home.base.v, end = at + cpu_home.size;

	for (u64 len; at < end; at += len)
		if (mtrr_run(s, HPA(at), end - at, &len) == type)
			return true;
	return false;
}

/*
 * MTRRs hold for L0's own accesses. Stores that a processor combines reach memory late and in
 * another order (SDM 3A "Methods of Caching Available"): neither other CPUs nor walks of L0's
 * tables may rely on them. Where the SDM leaves an overlap undefined, each range counts.
 */
static bool home_combines(const struct mtrr_state *s)
{
	struct mtrr_state one = {
		.def_type = MTRR_DEF_ENABLE | MT_UC, .variable_count = 1,
		.maxphyaddr = s->maxphyaddr,
	};

	for (u32 i = 0; i < s->variable_count; i++) {
		one.variable[0] = s->variable[i];
		if (home_has(&one, MT_WC))
			return true;
	}
	return home_has(s, MT_WC);
}

void vm_memory_types_changed(struct vm *vm)
{
	struct mtrr_state old = vm->mtrr;

	vm_stop_others(vm);
	mtrr_read(&vm->mtrr);
	if (home_combines(&vm->mtrr))
		vm_kill(vm, "L1's MTRRs make L0's own memory write-combining");
	if (!change_types(vm, &old)) {
		forget_devices(vm);
		if (!change_types(vm, &old))
			vm_kill(vm, "no page-table memory left for the memory types");
	}
	flush(vm);
}

/* Devices above the end of RAM: a large page at a time. */
static bool fill(struct vm *vm, u64 gpa)
{
	u64 size = vm->ept_caps.pg_1g ? SZ_1G : SZ_2M;
	u64 start = ALIGN_DOWN(gpa, size);

	if (gpa >> vm->hw.maxphyaddr || !ept_reaches(vm->ept01.eptp, gpa) || gpa < vm->ram_end)
		return false;
	vm_stop_others(vm);	/* what an attempt without success has left may go */
	if (map_identity(vm, start, start + size))
		return true;
	/* Touched all over the place: begin again with this one. */
	forget_devices(vm);
	return map_identity(vm, start, start + size);
}

static void unwatch(struct vm *vm, u32 i)
{
	gpa1_t page = vm->watched[i];

	vm->watched[i] = vm->watched[--vm->watched_count];
	ept01_protect(&vm->ept01, page, EPT_RWX);
	flush(vm);
	for (u32 c = 0; c < vm->vcpu_count; c++)
		nested_page_written(&vm->vcpu[c]->nested, page);
}

bool vm_memory_fault(struct vm *vm, gpa1_t gpa, bool write)
{
	struct ept01_mapping m = ept01_lookup(&vm->ept01, gpa);

	if (!m.present)
		return fill(vm, gpa.v);
	if (!write || (m.perms & EPT_W))
		return true;	/* somebody else was faster, or the TLB is old */
	for (u32 i = 0; i < vm->watched_count; i++) {
		if (vm->watched[i].v == (gpa.v & PAGE_MASK)) {
			unwatch(vm, i);
			return true;
		}
	}
	return false;
}

bool vm_memory_watch(struct vm *vm, gpa1_t page)
{
	struct ept01_mapping m = ept01_lookup(&vm->ept01, page);

	if (!m.present)
		return false;
	for (u32 i = 0; i < vm->watched_count; i++)
		if (vm->watched[i].v == page.v)
			return true;
	if (vm->watched_count == VM_MAX_WATCHED)
		unwatch(vm, vm->watched_hand++ % VM_MAX_WATCHED);
	vm_stop_others(vm);
	if (!ept01_protect(&vm->ept01, page, EPT_R | EPT_X))
		return false;
	vm->watched[vm->watched_count++] = page;
	ept02_unmap_gpa1(&vm->ept02s, page, PAGE_SIZE);
	flush(vm);
	return true;
}

static void move_window(struct vm *vm, gpa1_t gpa, const struct ept01_mapping *m)
{
	u64 size = BIT(m->shift), offset = gpa.v & (size - 1), end = cpu_direct_map_end.v;
	u64 start = m->hpa.v - offset;
	bool large = m->shift >= VM_WINDOW_SHIFT;

	*(large ? &vm->windows.large[vm_window_large(gpa)] :
		  &vm->windows.small[vm_window_small(gpa)]) = (struct vm_window){
		.base = gpa.v - offset,
		.size = MIN(size, end - start),
		.ptr = hpa_to_ptr(HPA(start)),
		.writable = m->perms & EPT_W,
	};
}

/* A device: L0 must not touch it in ways and widths of its own. */
static bool is_device(const struct vm *vm, const struct ept01_mapping *m)
{
	return m->memtype == MT_UC && e820_type_at(vm->map, m->hpa.v) != E820_AVAILABLE;
}

void *vm_memory_ptr(struct vm *vm, gpa1_t gpa, bool write)
{
	struct ept01_mapping m = ept01_lookup(&vm->ept01, gpa);

	if (unlikely(!m.present || (write && !(m.perms & EPT_W)))) {
		if (!vm_memory_fault(vm, gpa, write))
			return NULL;
		m = ept01_lookup(&vm->ept01, gpa);
	}
	if (m.hpa.v >= cpu_direct_map_end.v || is_device(vm, &m))
		return NULL;
	if (m.memtype != MT_UC)
		move_window(vm, gpa, &m);
	return hpa_to_ptr(m.hpa);
}

bool vm_memory_read(struct vm *vm, gpa1_t gpa, void *dst, size_t len)
{
	while (len) {
		size_t n = MIN(len, PAGE_SIZE - (gpa.v & ~PAGE_MASK));
		const void *src = vm_memory_ptr(vm, gpa, false);

		if (!src)
			return false;
		memcpy(dst, src, n);
		dst = (char *)dst + n;
		gpa.v += n;
		len -= n;
	}
	return true;
}

bool vm_memory_write(struct vm *vm, gpa1_t gpa, const void *src, size_t len)
{
	while (len) {
		size_t n = MIN(len, PAGE_SIZE - (gpa.v & ~PAGE_MASK));
		void *dst = vm_memory_ptr(vm, gpa, true);

		if (!dst)
			return false;
		memcpy(dst, src, n);
		src = (const char *)src + n;
		gpa.v += n;
		len -= n;
	}
	return true;
}

hpa_t vm_memory_page(struct vm *vm, gpa1_t page)
{
	struct ept01_mapping m = ept01_lookup(&vm->ept01, page);

	if (!m.present && vm_memory_fault(vm, page, true))
		m = ept01_lookup(&vm->ept01, page);
	return m.present ? HPA(m.hpa.v & PAGE_MASK) : vm->scratch;
}
