/* See hw_model.h. Its table of fields is its own look-up, not the engine's. */
#include "hw_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct field { u32 encoding; u8 exists; } fields[VF_COUNT] = {
#define F(name, enc, exists, merge, sync, shadow, group) { enc, EXISTS_##exists },
#include "vmcs_fields.def"
#undef F
};

/* By encoding, an index plus 1; 0: no processor has such a field. */
static const u8 index_of[0x8000] = {
#define F(name, enc, exists, merge, sync, shadow, group) [enc] = VF_##name + 1,
#include "vmcs_fields.def"
#undef F
};

static void __attribute__((noreturn)) refuse(const char *what, u64 value)
{
	fprintf(stderr, "the hardware refuses: %s (%#llx)\n", what, (unsigned long long)value);
	abort();
}

static struct vmx_allowed allowed(u64 msr)
{
	return (struct vmx_allowed){ .must = (u32)msr, .may = (u32)(msr >> 32) };
}

void hw_model_fields(struct hw_model *hw)
{
	u32 classes = vmx_caps_exists(&hw->caps);

	for (unsigned i = 0; i < VF_COUNT; i++)
		hw->exists[i] = classes >> fields[i].exists & 1;
}

void hw_model_init(struct hw_model *hw)
{
	memset(hw, 0, sizeof(*hw));
	hw->caps = (struct vmx_caps){
		.basic = 0x00d8100000000000 | 0x2b,
		.misc = 0x600401e0,
		.vmcs_enum = 0x2e,
		.ept_vpid = 0x00000f0106734141,
		.vmfunc = 1,
		.cr0_fixed0 = 0x80000021, .cr0_fixed1 = 0xffffffff,
		.cr4_fixed0 = 0x2000, .cr4_fixed1 = 0x3727ff,
		.pin = allowed(0x000000ff00000016),
		.proc = allowed(0xfff9fffe04006172),
		.proc2 = allowed(0x02577fff00000000),
		.exit = allowed(0x407fffff00036dfb),
		.entry = allowed(0x0000ffff000011fb),
		.maxphyaddr = 40,
		.long_mode = true, .pg_1g = true,
	};
	hw_model_fields(hw);
	hw_msr_set(hw, 0x3a, 5);	/* IA32_FEATURE_CONTROL: VMX, locked */
}

struct hw_region *hw_region_at(struct hw_model *hw, hpa_t at)
{
	for (unsigned i = 0; i < hw->regions; i++)
		if (hw->region[i].at.v == at.v)
			return &hw->region[i];
	refuse("there is no VMCS at this address", at.v);
}

struct hw_region *hw_region_add(struct hw_model *hw, hpa_t at, bool shadow)
{
	struct hw_region *r = &hw->region[hw->regions++];

	if (hw->regions > HW_REGIONS)
		refuse("more VMCSs than the model has", hw->regions);
	*r = (struct hw_region){ .at = at, .shadow = shadow, .clear = true };
	return r;
}

void hw_forget(struct hw_model *hw)
{
	hw->count = (struct hw_counts){ 0 };
	memset(hw->written, 0, sizeof(hw->written));
	hw->flushes = 0;
}

void hw_load(struct hw_model *hw, hpa_t at)
{
	if (hw->host)
		return hw->host->load(hw, at);
	hw->count.loads++;
	hw->loaded = hw_region_at(hw, at);
	hw->loaded->clear = false;
}

void hw_clear(struct hw_model *hw, hpa_t at)
{
	struct hw_region *r;

	if (hw->host)
		return hw->host->clear(hw, at);
	r = hw_region_at(hw, at);
	hw->count.clears++;
	r->clear = true;
	if (hw->loaded == r)
		hw->loaded = NULL;
}

/* The cell of a field and the shift of the half that the encoding names. */
static u64 *cell(struct hw_model *hw, u32 encoding, unsigned *shift)
{
	unsigned i = encoding < ARRAY_SIZE(index_of) ? index_of[encoding & ~1u] : 0;

	*shift = encoding & 1 ? 32 : 0;
	if (!hw->loaded)
		refuse("no VMCS is loaded for this field", encoding);
	if (*shift && VMCS_WIDTH(encoding) != VMCS_WIDTH_64)
		refuse("high access to a field of another width", encoding);
	if (!i || !hw->exists[i - 1])
		refuse("there is no such field", encoding);
	return &hw->loaded->v[i - 1];
}

void hw_save_lma(struct hw_model *hw, u32 efer)
{
	unsigned shift;
	u64 *entry;

	if (hw->host)
		return;		/* its own exits do */
	entry = cell(hw, VMCS_ENTRY_CONTROLS, &shift);
	*entry &= ~(u64)ENTRY_IA32E;
	if (*cell(hw, efer, &shift) & EFER_LMA)
		*entry |= ENTRY_IA32E;
}

u64 hw_read(struct hw_model *hw, u32 encoding)
{
	unsigned shift;
	u64 *c;

	if (hw->host)
		return hw->host->read(hw, encoding);
	c = cell(hw, encoding, &shift);
	hw->count.reads++;
	return *c >> shift;
}

void hw_write(struct hw_model *hw, u32 encoding, u64 v)
{
	unsigned shift;
	u64 *c;

	if (hw->host)
		return hw->host->write(hw, encoding, v);
	c = cell(hw, encoding, &shift);
	hw->count.writes++;
	hw->written[c - hw->loaded->v]++;
	switch (VMCS_WIDTH(encoding)) {
	case VMCS_WIDTH_16:
		*c = (u16)v;
		break;
	case VMCS_WIDTH_32:
		*c = (u32)v;
		break;
	default:
		*c = shift ? v << 32 | (u32)*c : v;
	}
}

void hw_init_vmcs02(struct hw_model *hw)
{
	if (hw->host)
		return hw->host->init_vmcs02(hw);
	if (!hw->loaded)
		refuse("no VMCS is loaded to be initialised", 0);
	/* What the region was used for before is nobody's state. */
	for (unsigned i = 0; i < VF_COUNT; i++)
		if (hw->exists[i])
			hw_write(hw, fields[i].encoding, 0x5a5a5a5a5a5a5a5a);
	hw->loaded->v[VF_EXIT_MSR_STORE_COUNT] = 0;
	hw->loaded->v[VF_EXIT_MSR_LOAD_COUNT] = 0;
	hw->loaded->v[VF_ENTRY_MSR_LOAD_COUNT] = 0;
	hw->loaded->v[VF_ENTRY_INTR_INFO] = 0;
}

void hw_invept(struct hw_model *hw, u64 eptp)
{
	if (hw->host)
		return hw->host->invept(hw, eptp);
	hw->count.invepts++;
	hw->last_invept = (struct hw_flush){ .type = 1, .what = eptp };
}

void hw_invvpid(struct hw_model *hw, u32 type, u16 vpid, gva_t a)
{
	if (hw->host)
		return hw->host->invvpid(hw, type, vpid, a);
	if (type > 3 || (!vpid && type != 2))
		refuse("INVVPID operand", vpid);
	hw->count.invvpids++;
	hw->last_invvpid = (struct hw_flush){ .type = type, .what = vpid, .address = a };
	if (hw->flushes < HW_FLUSHES)
		hw->flush[hw->flushes++] = hw->last_invvpid;
}

void hw_msr_set(struct hw_model *hw, u32 msr, u64 value)
{
	unsigned i = 0;

	while (i < hw->msrs && hw->msr[i].msr != msr)
		i++;
	if (i == HW_MSRS)
		refuse("more MSRs than the model has", msr);
	hw->msrs = MAX(hw->msrs, i + 1);
	hw->msr[i].msr = msr;
	hw->msr[i].value = value;
}

bool hw_msr_read(struct hw_model *hw, u32 msr, u64 *v)
{
	hw->count.msr_reads++;
	for (unsigned i = 0; i < hw->msrs; i++) {
		if (hw->msr[i].msr != msr)
			continue;
		*v = hw->msr[i].value;
		return true;
	}
	return false;
}

bool hw_msr_write(struct hw_model *hw, u32 msr, u64 v)
{
	u64 was;

	hw->count.msr_writes++;
	if (!hw_msr_read(hw, msr, &was))
		return false;
	hw_msr_set(hw, msr, v);
	return true;
}

void hw_log(struct hw_model *hw, const char *fmt, ...)
{
	char line[512];
	va_list args;
	size_t len;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	len = strlen(line);
	if (hw->log_len + len >= sizeof(hw->log))
		hw->log_len = 0;
	memcpy(hw->log + hw->log_len, line, len);
	hw->log_len += (unsigned)len;
	hw->log[hw->log_len] = '\0';
}
