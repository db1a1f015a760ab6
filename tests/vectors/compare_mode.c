/*
 * What the engine makes of a vector of gen_mode.h: vmcs01 says the mode that a trip
 * of the runner gets to, and the segments that it loads there.
 */
#include "compare_insn.h"

#define AR_FLAT_CODE 0x809bu
#define AR_FLAT_DATA 0xc093u
#define USER_DPL (3u << AR_DPL_SHIFT)

static u64 *field(unsigned i)
{
	struct insn_l1 *l = insn_l1();

	return &hw_region_at(&l->hw, l->n.vmcs01)->v[i];
}

#define L1(name) (*field(VF_##name))

static void flat_segments(const struct gen_mode *mode)
{
	u32 code = AR_FLAT_CODE | (mode->bits == 32 ? AR_DB : 0), data = AR_FLAT_DATA;

	if (mode->user) {
		code |= USER_DPL;
		data |= USER_DPL;
	}
	for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
		*field(VF_GUEST_ES_BASE + s) = 0;
		*field(VF_GUEST_ES_LIMIT + s) = s == SEG_CS && mode->bits == 16 ? 0xffff : 0xffffffff;
		*field(VF_GUEST_ES_AR + s) = s == SEG_CS ? code : data;
	}
}

static void own_segment(const struct mode_segment *s)
{
	bool pages = s->type & AR_G;

	*field(VF_GUEST_ES_BASE + s->index) = s->base;
	*field(VF_GUEST_ES_LIMIT + s->index) = pages ? s->limit << 12 | 0xfff : s->limit;
	*field(VF_GUEST_ES_AR + s->index) = s->null ? AR_UNUSABLE : s->type;
}

static void load_cr3(struct insn_l1 *l, const struct gen_mode *mode)
{
	u32 cr3 = gen_mode_cr3(&l->world, mode);
	u64 pdpte[4];

	hw_write(&l->hw, l->n.at.cr3, cr3);
	if (mode->format != FORMAT_PAE)
		return;
	memcpy(pdpte, l->vm.memory.ram + cr3, sizeof(pdpte));
	for (unsigned i = 0; i < 4; i++)
		hw_write(&l->hw, l->n.at.pdpte + 2 * i, pdpte[i]);
}

static void enter_mode(struct insn_l1 *l, const struct mode_vector *m)
{
	const struct gen_mode *mode = &gen_modes[m->mode];

	flat_segments(mode);
	if (mode->format == FORMAT_LONG)
		return;
	if (m->segment.own && !mode->user && !mode->real)
		own_segment(&m->segment);
	hw_write(&l->hw, l->n.at.efer, l->world.w[W_EFER] & ~(EFER_LMA | EFER_LME));
	load_cr3(l, mode);
	if (!mode->paging)
		L1(GUEST_CR0) &= ~(CR0_PG | (mode->real ? CR0_PE : 0));
	L1(GUEST_CR4) = (L1(GUEST_CR4) & ~CR4_PAE) |
			(mode->format == FORMAT_PAE ? CR4_PAE : CR4_PSE);
}

struct insn_outcome mode_judge(const struct mode_vector *m)
{
	struct insn_l1 *l = insn_l1();
	const struct gen_mode *mode = &gen_modes[m->mode];
	u8 *area = l->vm.memory.ram + l->world.w[W_SCRATCH];
	struct insn_outcome r = { 0 };
	struct outcome o;
	u64 value = 0;
	bool on;

	insn_l1_prepare(&m->x);
	gen_mode_place(&l->world, area, m);
	enter_mode(l, m);
	for (unsigned i = 0; i < 8; i++)
		l->gpr[i] = m->gpr[i];
	o = insn_l1_run(m->x.insn, m->info, m->displacement, mode->v86 ? RFLAGS_VM : 0);
	r.did = insn_l1_did(o);
	if (r.did >= INSN_FAULT) {
		r.error = o.has_error_code ? (u8)o.error_code : 0;
		value = r.did == INSN_FAULT + X86_PF ? o.value : 0;
	} else {
		value = (u32)l->gpr[GPR_RCX];
	}
	on = l->n.vmxon;
	r.rest = gen_insn_rest(value, mode->format != FORMAT_LONG && on, gen_insn_memory(area));
	insn_l1_64_bit();
	insn_l1_bring_into(STATE_OFF);
	return r;
}
