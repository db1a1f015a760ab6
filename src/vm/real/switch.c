/*
 * Between L1's real mode and vmcs01: into it, out of it, and the forms in which
 * hardware runs it. What L1 does there is exits.c.
 */
#include "vm/real/switch.h"

#include "cpu/home.h"
#include "cpu/memory.h"
#include "vm/cr.h"
#include "vm/init.h"
#include "vm/regs.h"

#define TSS_TYPE 11u			/* busy, 32 bits */
#define IVT_LIMIT 0x3ffu

hpa_t vm_real_tss(void)
{
	u8 *page = cpu_alloc_pages(REAL_TSS_PAGES);

	((struct x86_tss32 *)page)->io_map = REAL_TSS_IO_BITMAP;
	page[REAL_TSS_SIZE - 1] = 0xff;
	return ptr_to_hpa(page);
}

static struct real_system_segment system_segment(enum x86_seg s)
{
	return (struct real_system_segment){
		.selector = (u16)vmx_read(VMCS_GUEST_ES_SELECTOR + 2 * s),
		.base = vmx_read(VMCS_GUEST_ES_BASE + 2 * s),
		.limit = (u32)vmx_read(VMCS_GUEST_ES_LIMIT + 2 * s),
		.ar = (u32)vmx_read(VMCS_GUEST_ES_AR + 2 * s),
	};
}

static void set_system_segment(enum x86_seg s, const struct real_system_segment *from)
{
	vm_set_segment(s, from->selector, from->base, from->limit, from->ar);
}

/* What protected mode left null: real mode has no such thing. */
static struct real_segment null_segment(u16 selector)
{
	return (struct real_segment){ selector, (u32)selector << 4, 0xffff, 3u | AR_S | AR_P };
}

static void load_segments(struct real_cpu *c)
{
	for (u32 s = 0; s < REAL_SEGMENTS; s++) {
		struct real_system_segment from = system_segment(s);

		c->seg[s] = (struct real_segment){ from.selector, (u32)from.base, from.limit,
						   from.ar };
		if (from.ar & AR_UNUSABLE)
			c->seg[s] = null_segment(from.selector);
	}
}

static void load_registers(struct vcpu *v)
{
	struct real_cpu *c = &v->real.cpu;

	for (u32 i = 0; i < REAL_GPRS; i++)
		c->gpr[i] = (u32)vcpu_gpr(v, i);
	c->cr0 = (u32)vcpu_cr0();
	c->blocking = (u32)vmx_read(VMCS_GUEST_INTERRUPTIBILITY);
}

/* Virtual-8086 mode loads segment registers without L0. */
static void load_selectors(struct real_cpu *c)
{
	for (u32 s = 0; s < REAL_SEGMENTS; s++) {
		c->seg[s].selector = (u16)vmx_read(VMCS_GUEST_ES_SELECTOR + 2 * s);
		c->seg[s].base = (u32)c->seg[s].selector << 4;
	}
}

void vm_real_load(struct vcpu *v)
{
	struct real_mode *r = &v->real;
	u32 shadow = r->cpu.blocking & BLOCKED_BY_STI;

	load_registers(v);
	r->cpu.eflags = real_flags_of(&r->cpu, r->form, (u32)vmx_read(VMCS_GUEST_RFLAGS));
	if (r->form != REAL_IDLE)
		r->cpu.eip = (u32)vmx_read(VMCS_GUEST_RIP);
	if (r->form == REAL_V86)
		load_selectors(&r->cpu);
	if (r->form == REAL_STEP) {
		r->cpu.blocking |= shadow;
		vmx_write(VMCS_GUEST_DEBUGCTL, r->debugctl);
	}
}

/* Of a register, what real mode does not have stays as it is. */
static void store_registers(struct vcpu *v)
{
	for (u32 i = 0; i < REAL_GPRS; i++)
		vcpu_set_gpr(v, i, (vcpu_gpr(v, i) & ~0xffffffffull) | v->real.cpu.gpr[i]);
}

static void store_image(const struct real_image *image)
{
	for (u32 s = 0; s < REAL_SEGMENTS; s++)
		vm_set_segment(s, image->seg[s].selector, image->seg[s].base,
			       image->seg[s].limit, image->seg[s].ar);
	vmx_write(VMCS_GUEST_GDTR_LIMIT, image->gdtr_limit);
	vmx_write(VMCS_GUEST_IDTR_LIMIT, image->idtr_limit);
	vmx_write(VMCS_GUEST_RIP, image->rip);
	vmx_write(VMCS_GUEST_RFLAGS, image->rflags);
	vmx_write(VMCS_GUEST_INTERRUPTIBILITY, image->blocking);
}

static void store_pending(const struct real_image *image)
{
	bool branches = vmx_read(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF;

	vmx_write(VMCS_GUEST_PENDING_DEBUG, branches ? 0 : image->pending_debug);
}

static void store_tables(const struct real_cpu *c)
{
	vmx_write(VMCS_GUEST_GDTR_BASE, c->gdtr.base);
	vmx_write(VMCS_GUEST_IDTR_BASE, c->idtr.base);
}

/* INT n goes through L1's vectors without L0 if they are where virtual-8086 mode has them. */
static bool redirects(const struct real_mode *r, enum real_form form)
{
	return form == REAL_V86 && !r->cpu.idtr.base && r->cpu.idtr.limit >= IVT_LIMIT;
}

void vm_real_store(struct vcpu *v, enum real_form form)
{
	struct real_mode *r = &v->real;
	bool was_v86 = vmx_read(VMCS_GUEST_RFLAGS) & RFLAGS_VM;
	struct real_image image;

	r->form = form;
	r->polled = false;
	if (form == REAL_STEP) {
		r->stepped = r->cpu.eip;
		r->debugctl = vmx_read(VMCS_GUEST_DEBUGCTL);
		vmx_write(VMCS_GUEST_DEBUGCTL, r->debugctl & ~DEBUGCTL_BTF);
	}
	real_image_of(&r->cpu, form, &image);
	store_registers(v);
	store_image(&image);
	store_pending(&image);
	store_tables(&r->cpu);
	vmx_write(VMCS_GUEST_ACTIVITY, form == REAL_IDLE ? r->activity : ACTIVITY_ACTIVE);
	vm_cr_set_real(v, redirects(r, form));
	if (was_v86 != (form == REAL_V86))
		nested_vtlb_flush(&v->nested);
}

static void hide_state(struct real_mode *r)
{
	const struct real_system_segment tr = {
		.base = VTLB_TSS, .limit = REAL_TSS_SIZE - 1, .ar = TSS_TYPE | AR_P,
	};
	const struct real_system_segment ldtr = { .ar = AR_UNUSABLE };

	r->ldtr = system_segment(SEG_LDTR);
	r->tr = system_segment(SEG_TR);
	r->sysenter_cs = vmx_read(VMCS_GUEST_SYSENTER_CS);
	set_system_segment(SEG_LDTR, &ldtr);
	set_system_segment(SEG_TR, &tr);
	vmx_write(VMCS_GUEST_SYSENTER_CS, 0);	/* SYSENTER is #GP, as in real mode */
	vmx_write(VMCS_EXCEPTION_BITMAP, 0xffffffff);
}

static void load_all(struct vcpu *v)
{
	struct real_mode *r = &v->real;
	struct real_cpu *c = &r->cpu;

	load_registers(v);
	load_segments(c);
	c->eip = (u32)vmx_read(VMCS_GUEST_RIP);
	c->eflags = (u32)vmx_read(VMCS_GUEST_RFLAGS);
	r->iopl = c->eflags & (u32)RFLAGS_IOPL;
	c->eflags |= (u32)RFLAGS_IOPL;
	c->gdtr = (struct real_table){ (u32)vmx_read(VMCS_GUEST_GDTR_BASE),
				       (u16)vmx_read(VMCS_GUEST_GDTR_LIMIT) };
	c->idtr = (struct real_table){ (u32)vmx_read(VMCS_GUEST_IDTR_BASE),
				       (u16)vmx_read(VMCS_GUEST_IDTR_LIMIT) };
}

void vm_real_enter(struct vcpu *v)
{
	struct real_mode *r = &v->real;
	bool trap = vmx_read(VMCS_GUEST_PENDING_DEBUG) & PENDING_DEBUG_BS;

	load_all(v);
	hide_state(r);
	r->on = true;
	r->activity = (u32)vmx_read(VMCS_GUEST_ACTIVITY);
	vm_cr_init(v, vcpu_cr0(), vcpu_cr4());
	vm_real_begin(v, trap);
}

void vm_real_leave(struct vcpu *v)
{
	struct real_mode *r = &v->real;

	vm_real_store(v, REAL_LEFT);
	vmx_write(VMCS_GUEST_RFLAGS, (vmx_read(VMCS_GUEST_RFLAGS) & ~RFLAGS_IOPL) | r->iopl);
	set_system_segment(SEG_LDTR, &r->ldtr);
	set_system_segment(SEG_TR, &r->tr);
	vmx_write(VMCS_GUEST_SYSENTER_CS, r->sysenter_cs);
	vmx_write(VMCS_EXCEPTION_BITMAP, BIT32(X86_PF));
	r->on = false;
	vm_cr_init(v, vcpu_cr0(), vcpu_cr4());
}
