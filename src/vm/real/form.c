/* See form.h. SDM 3C "Checks on Guest Segment Registers", 3B "8086 Emulation". */
#include "vm/real/form.h"

#define LIMIT_64K 0xffffu
#define RPL 3u
#define AR_V86 (3u | AR_S | AR_DPL | AR_P)
#define AR_DATA (3u | AR_S | AR_P)
#define AR_CODE (11u | AR_S | AR_P)
#define TYPE_DOWN 4u		/* of data: expands down */
#define IDLE_RIP 0xfff0u	/* beyond the limit of 0 */
#define SHADOW (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS)
/* All but VM, and VIF and VIP, which real mode does not have and virtual-8086 mode goes by. */
#define REAL_FLAGS 0x00257fd5u
/* What one instruction in REAL_STEP cannot have changed. */
#define STEP_FLAGS (u32)(RFLAGS_TF | RFLAGS_IF)

static bool expands_down(const struct real_segment *s)
{
	return (s->ar & (AR_TYPE & ~1u)) == (2u | TYPE_DOWN);
}

static bool is_flat_64k(const struct real_segment *s)
{
	return !(s->ar & AR_UNUSABLE) && !expands_down(s) && s->limit >= LIMIT_64K &&
	       s->base == (u32)s->selector << 4;
}

bool real_fits_v86(const struct real_cpu *cpu)
{
	if ((cpu->seg[SEG_CS].ar | cpu->seg[SEG_SS].ar) & AR_DB)
		return false;
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		if (!is_flat_64k(&cpu->seg[i]))
			return false;
	return cpu->eip <= LIMIT_64K;
}

bool real_is_big(const struct real_cpu *cpu)
{
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		if (cpu->seg[i].limit > LIMIT_64K)
			return true;
	return false;
}

/* Granularity must agree with the limit. */
static u32 granularity(u32 limit)
{
	return limit >> 20 ? AR_G : 0;
}

static void set_data(struct real_segment *s, u32 dpl)
{
	u32 keep = s->ar & AR_DB;

	if (s->ar & AR_UNUSABLE)
		return;
	s->ar = AR_DATA | (expands_down(s) ? TYPE_DOWN : 0) | keep | granularity(s->limit) |
		dpl << AR_DPL_SHIFT;
}

/* CS and SS decide on CPL, by their RPL as well: their selectors are not L1's. */
static void set_privileged(struct real_image *image, u32 cpl)
{
	struct real_segment *cs = &image->seg[SEG_CS], *ss = &image->seg[SEG_SS];

	if (ss->ar & AR_UNUSABLE)
		*ss = (struct real_segment){ .limit = 0, .ar = AR_DATA };
	set_data(ss, cpl);
	cs->ar = AR_CODE | (cs->ar & AR_DB) | granularity(cs->limit) | cpl << AR_DPL_SHIFT;
	cs->selector = (u16)((cs->selector & ~RPL) | cpl);
	ss->selector = (u16)((ss->selector & ~RPL) | cpl);
}

/* DPL 3 admits every RPL. */
static void set_all(struct real_image *image, u32 cpl)
{
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		if (i != SEG_CS && i != SEG_SS)
			set_data(&image->seg[i], 3);
	set_privileged(image, cpl);
}

static void set_v86(struct real_image *image)
{
	for (u32 i = 0; i < REAL_SEGMENTS; i++) {
		image->seg[i].limit = LIMIT_64K;
		image->seg[i].ar = AR_V86;
	}
	image->rflags |= (u32)(RFLAGS_VM | RFLAGS_IOPL);
	if ((image->blocking & SHADOW) && (image->rflags & RFLAGS_TF))
		image->pending_debug = PENDING_DEBUG_BS;
}

/*
 * MOV SS keeps the trap back until the instruction is done; STI does not, and so
 * IF is clear for as long.
 */
static void set_step(struct real_image *image)
{
	set_all(image, 3);
	image->gdtr_limit = 0;
	image->rflags |= (u32)(RFLAGS_IOPL | RFLAGS_TF);
	if (image->blocking & BLOCKED_BY_MOV_SS)
		image->pending_debug = PENDING_DEBUG_BS;
	if (image->blocking & BLOCKED_BY_STI)
		image->rflags &= ~(u32)RFLAGS_IF;
	image->blocking &= ~BLOCKED_BY_STI;
}

static void set_idle(struct real_image *image)
{
	image->seg[SEG_CS] = (struct real_segment){ .limit = 0, .ar = AR_CODE };
	image->seg[SEG_SS] = (struct real_segment){ .limit = LIMIT_64K, .ar = AR_DATA };
	set_all(image, 0);
	image->gdtr_limit = 0;
	image->rip = IDLE_RIP;
	/* An instruction breakpoint of L1's may be where it stands. */
	image->rflags = (image->rflags & ~(u32)RFLAGS_TF) | (u32)RFLAGS_RF;
	image->blocking &= ~SHADOW;
}

static void set_left(struct real_image *image, u32 idtr_limit)
{
	set_all(image, 0);
	image->idtr_limit = idtr_limit;
	if (image->rflags & RFLAGS_TF)
		image->pending_debug = PENDING_DEBUG_BS;
}

void real_image_of(const struct real_cpu *cpu, enum real_form form, struct real_image *image)
{
	*image = (struct real_image){
		.gdtr_limit = cpu->gdtr.limit,
		.rip = cpu->eip,
		.rflags = (cpu->eflags & REAL_FLAGS) | (u32)RFLAGS_FIXED,
		.blocking = cpu->blocking,
	};
	/* One of them at most, and STI only with IF. */
	if ((image->blocking & BLOCKED_BY_MOV_SS) || !(image->rflags & RFLAGS_IF))
		image->blocking &= ~BLOCKED_BY_STI;
	for (u32 i = 0; i < REAL_SEGMENTS; i++)
		image->seg[i] = cpu->seg[i];
	switch (form) {
	case REAL_V86:
		set_v86(image);
		break;
	case REAL_STEP:
		set_step(image);
		break;
	case REAL_IDLE:
		set_idle(image);
		break;
	default:
		set_left(image, cpu->idtr.limit);
	}
}

u32 real_flags_of(const struct real_cpu *cpu, enum real_form form, u32 rflags)
{
	switch (form) {
	case REAL_V86:
		return rflags & ~(u32)RFLAGS_VM;
	case REAL_STEP:
		return (rflags & ~STEP_FLAGS) | (cpu->eflags & STEP_FLAGS);
	default:
		return cpu->eflags;
	}
}
