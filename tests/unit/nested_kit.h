/*
 * A vcpu of L1 for tests of the nested engine: 64-bit mode at CPL 0, four
 * megabytes of memory mapped one to one, VMX allowed and off. Instructions are
 * given as the exit describes them.
 */
#pragma once

#include "engine_ops.h"
#include "nested/caps.h"
#include "nested/fields.h"
#include "nested/nested.h"
#include "unit.h"

#define KIT_RAM (4ull << 20)
#define KIT_TABLES 0x1000ull		/* L1's: PML4, PDPT, PD, PT of the last 2 MiB */
#define KIT_OPERAND 0x8000ull		/* where operands lie */
#define KIT_VMXON 0x10000ull
#define KIT_VMCS(i) (0x100000ull + (u64)(i) * PAGE_SIZE)
#define KIT_VMCS_COUNT 128u
#define KIT_NOT_PRESENT 0x3ff000ull	/* a page that L1 did not map */
#define KIT_READ_ONLY 0x3fe000ull

#define KIT_CR0 (CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define KIT_CR4 (CR4_PAE | CR4_VMXE)
#define KIT_HPA(i) HPA(0x80000000ull + (u64)(i) * PAGE_SIZE)

struct kit {
	struct vm vm;
	struct hw_model hw;
	struct nested_vcpu n;
	struct ept02_set ept02s;
	u64 gpr[GPR_COUNT];
};

static inline void kit_poke(struct kit *k, u64 gpa, u64 value)
{
	memcpy(k->vm.memory.ram + gpa, &value, sizeof(value));
}

static inline u64 kit_peek(const struct kit *k, u64 gpa)
{
	u64 value;

	memcpy(&value, k->vm.memory.ram + gpa, sizeof(value));
	return value;
}

/* Fields of vmcs01. */
static inline void kit_set(struct kit *k, u32 encoding, u64 value)
{
	hw_write(&k->hw, encoding, value);
}

static inline u64 kit_get(struct kit *k, u32 encoding)
{
	return hw_read(&k->hw, encoding);
}

static inline void kit_page_tables(struct kit *k)
{
	const u64 rw = BIT(0) | BIT(1), accessed = BIT(5) | BIT(6);

	kit_poke(k, KIT_TABLES, (KIT_TABLES + 0x1000) | rw | accessed);
	kit_poke(k, KIT_TABLES + 0x1000, (KIT_TABLES + 0x2000) | rw | accessed);
	kit_poke(k, KIT_TABLES + 0x2000, rw | accessed | BIT(7));
	kit_poke(k, KIT_TABLES + 0x2008, (KIT_TABLES + 0x3000) | rw | accessed);
	for (u64 i = 0; i < 512; i++) {
		u64 page = 0x200000 + i * PAGE_SIZE;
		u64 rights = page == KIT_NOT_PRESENT ? 0 : page == KIT_READ_ONLY ? BIT(0) : rw;

		kit_poke(k, KIT_TABLES + 0x3000 + i * 8, page | rights | accessed);
	}
}

static inline void kit_long_mode(struct kit *k)
{
	kit_set(k, VMCS_GUEST_CR0, KIT_CR0);
	kit_set(k, VMCS_GUEST_CR3, KIT_TABLES);
	kit_set(k, VMCS_GUEST_CR4, KIT_CR4);
	kit_set(k, VMCS_GUEST_EFER, EFER_LME | EFER_LMA | EFER_NXE);
	kit_set(k, VMCS_GUEST_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
	for (u32 seg = 0; seg < 6; seg++) {
		kit_set(k, VMCS_GUEST_ES_AR + 2 * seg, 0xc093);
		kit_set(k, VMCS_GUEST_ES_LIMIT + 2 * seg, 0xffffffff);
		kit_set(k, VMCS_GUEST_ES_BASE + 2 * seg, 0);
	}
	kit_set(k, VMCS_GUEST_CS_AR, 0xa09b);
}

/* 32-bit protected mode without paging, but as VMX wants CR0: paging on, flat. */
static inline void kit_protected_mode(struct kit *k)
{
	kit_long_mode(k);
	kit_set(k, VMCS_GUEST_EFER, 0);
	kit_set(k, VMCS_GUEST_CS_AR, 0xc09b);
	kit_set(k, VMCS_GUEST_CR4, CR4_PSE | CR4_VMXE);
	kit_set(k, VMCS_GUEST_CR3, KIT_TABLES + 0x4000);
	kit_poke(k, KIT_TABLES + 0x4000, 0xe3);		/* one page of 4 MiB */
}

static inline void kit_start(struct kit *k)
{
	memset(k, 0, sizeof(*k));
	host_memory_init(&k->vm.memory, KIT_RAM, 0, 0);
	k->vm.hw = &k->hw;
	hw_model_init(&k->hw);
	k->n.vm = &k->vm;
	k->n.hw = &k->hw.caps;
	k->n.gpr = k->gpr;
	k->n.ept02s = &k->ept02s;
	k->ept02s.live = 1;
	k->n.vmcs01 = KIT_HPA(0);
	hw_region_add(&k->hw, k->n.vmcs01, false);
	for (unsigned i = 0; i < NESTED_SLOTS; i++) {
		k->n.slot[i].vmcs02 = KIT_HPA(1 + i);
		hw_region_add(&k->hw, KIT_HPA(1 + i), false);
		hw_region_add(&k->hw, KIT_HPA(65 + i), true);
	}
	nested_caps_init(&k->n);
	hw_load(&k->hw, k->n.vmcs01);
	kit_page_tables(k);
	kit_long_mode(k);
	kit_set(k, VMCS_VMCS_LINK_POINTER, ~0ull);
	kit_poke(k, KIT_VMXON, NESTED_REVISION);
	for (unsigned i = 0; i < KIT_VMCS_COUNT; i++)
		kit_poke(k, KIT_VMCS(i), NESTED_REVISION);
}

static inline void kit_use_shadow(struct kit *k)
{
	k->n.use_shadow = true;
	for (unsigned i = 0; i < NESTED_SLOTS; i++)
		k->n.slot[i].shadow = KIT_HPA(65 + i);
}

static inline void kit_end(struct kit *k)
{
	host_memory_free(&k->vm.memory);
}

/* Instruction information: a memory operand [disp] with 64-bit address size, in DS. */
#define KIT_INFO_MEM64 (2u << 7 | (u32)SEG_DS << 15 | 1u << 22 | 1u << 27)
#define KIT_INFO_MEM32 (1u << 7 | (u32)SEG_DS << 15 | 1u << 22 | 1u << 27)
#define KIT_REG1(r) ((u32)(r) << 3)
#define KIT_REG2(r) ((u32)(r) << 28)
#define KIT_INFO_REG BIT32(10)

/* The exit; the outcome is not committed. */
static inline struct outcome kit_exit(struct kit *k, u32 reason, u32 info, u64 disp)
{
	struct outcome o;

	hw_save_lma(&k->hw, k->n.at.efer);
	kit_set(k, VMCS_EXIT_INSTR_INFO, info);
	kit_set(k, VMCS_EXIT_QUALIFICATION, disp);
	o = nested_vmx_instruction(&k->n, reason);
	assert_true(nested_invariant(&k->n));
	assert_ptr_equal(k->hw.loaded, hw_region_at(&k->hw, k->n.vmcs01));
	return o;
}

/* An instruction with an m64 operand of this value, committed. */
static inline struct outcome kit_m64(struct kit *k, u32 reason, u64 value)
{
	struct outcome o;

	kit_poke(k, KIT_OPERAND, value);
	o = kit_exit(k, reason, KIT_INFO_MEM64, KIT_OPERAND);
	nested_commit_flags(&k->n, o);
	return o;
}

static inline struct outcome kit_plain(struct kit *k, u32 reason)
{
	struct outcome o = kit_exit(k, reason, 0, 0);

	nested_commit_flags(&k->n, o);
	return o;
}

static inline struct outcome kit_vmread(struct kit *k, u64 encoding, u64 *value)
{
	struct outcome o;

	k->gpr[GPR_RDX] = encoding;
	o = kit_exit(k, EXIT_VMREAD, KIT_INFO_REG | KIT_REG1(GPR_RAX) | KIT_REG2(GPR_RDX), 0);
	nested_commit_flags(&k->n, o);
	*value = k->gpr[GPR_RAX];
	return o;
}

static inline struct outcome kit_vmwrite(struct kit *k, u64 encoding, u64 value)
{
	struct outcome o;

	k->gpr[GPR_RDX] = encoding;
	k->gpr[GPR_RAX] = value;
	o = kit_exit(k, EXIT_VMWRITE, KIT_INFO_REG | KIT_REG1(GPR_RAX) | KIT_REG2(GPR_RDX), 0);
	nested_commit_flags(&k->n, o);
	return o;
}

static inline void assert_kind(struct outcome o, enum outcome_kind kind)
{
	assert_int_equal(o.kind, kind);
}

static inline void assert_ok(struct outcome o)
{
	assert_kind(o, OUT_OK);
}

static inline void assert_vmfail(struct outcome o, u32 error)
{
	assert_kind(o, OUT_VMFAIL_VALID);
	assert_int_equal(o.error_code, error);
}

static inline void assert_fault(struct outcome o, u8 vector, u32 error_code)
{
	assert_kind(o, OUT_FAULT);
	assert_int_equal(o.vector, vector);
	assert_int_equal(o.error_code, error_code);
}

static inline void kit_enter_root(struct kit *k)
{
	assert_ok(kit_m64(k, EXIT_VMXON, KIT_VMXON));
}

/* VMX root operation, KIT_VMCS(0) current and clear. */
static inline void kit_enter_root_with_vmcs(struct kit *k)
{
	kit_enter_root(k);
	assert_ok(kit_m64(k, EXIT_VMCLEAR, KIT_VMCS(0)));
	assert_ok(kit_m64(k, EXIT_VMPTRLD, KIT_VMCS(0)));
}

/* What an instruction that fails must leave alone. */
struct kit_image {
	struct nested_vcpu n;
	struct hw_region vmcs01;
	u64 gpr[GPR_COUNT];
	u8 *ram;
};

static inline void kit_image_take(struct kit *k, struct kit_image *i)
{
	i->n = k->n;
	i->vmcs01 = *hw_region_at(&k->hw, k->n.vmcs01);
	memcpy(i->gpr, k->gpr, sizeof(i->gpr));
	i->ram = malloc(KIT_RAM);
	assert_non_null(i->ram);
	memcpy(i->ram, k->vm.memory.ram, KIT_RAM);
}

static inline void kit_image_assert_same(struct kit *k, struct kit_image *i)
{
	struct hw_region now = *hw_region_at(&k->hw, k->n.vmcs01);

	assert_memory_equal(&i->n, &k->n, sizeof(k->n));
	assert_memory_equal(i->vmcs01.v, now.v, sizeof(now.v));
	assert_memory_equal(i->gpr, k->gpr, sizeof(i->gpr));
	assert_memory_equal(i->ram, k->vm.memory.ram, KIT_RAM);
	free(i->ram);
}
