/*
 * Guests in other modes than vm_reset()'s: their code lies below 64 KiB in a CS with that base, all
 * else is flat from 0. Paging, where it is on, maps 4 GiB to themselves. Real mode needs EPT.
 */
#include "vmx.h"

#define VM_FLAG	BIT(17)

const struct guest_mode guest_modes[GUEST_MODES] = {
	{ "32-bit", 0x409b, 0xc093, GUEST_PROTECTED, true },
	{ "16-bit", 0x009b, 0x0093, GUEST_PROTECTED, false },
	{ "compatibility", 0x409b, 0xc093, GUEST_COMPATIBILITY, true },
	{ "virtual-8086", 0xf3, 0xf3, GUEST_V86, false },
	{ "real", 0x9b, 0x93, GUEST_REAL, false },
};

static void set_segments(const struct guest_mode *m, u32 code_base)
{
	bool selectors = m->kind == GUEST_PROTECTED || m->kind == GUEST_COMPATIBILITY;
	u32 limit = m->wide ? 0xffffffff : 0xffff;

	for (unsigned int i = 0; i < 6; i++) {
		bool code = i == 1;

		vmwrite(GUEST_ES + 2 * i, selectors ? (code ? SEL_CODE32 : SEL_DATA32) :
				       code ? code_base >> 4 : 0);
		vmwrite(GUEST_ES_BASE + 2 * i, code ? code_base : 0);
		vmwrite(GUEST_ES_LIMIT + 2 * i, code ? 0xffff : limit);
		vmwrite(GUEST_ES_RIGHTS + 2 * i, code ? m->code_rights : m->data_rights);
	}
}

static u64 flat_directory(void)
{
	static u32 directory[1024] __attribute__((aligned(4096)));

	for (u32 i = 0; i < 1024; i++)
		directory[i] = i << 22 | 0x87;
	return (u64)directory;
}

void vm_set_mode(const struct guest_mode *m, u32 code_base)
{
	set_segments(m, code_base);
	vmwrite(GUEST_RIP, 0);
	vmwrite(GUEST_RSP, 0x8000);
	vmwrite(GUEST_RFLAGS, 2 | (m->kind == GUEST_V86 ? VM_FLAG : 0));
	if (m->kind == GUEST_COMPATIBILITY)
		return;
	control_clear(ENTRY_CONTROLS, ENTRY_GUEST_64);
	vmwrite(GUEST_CR4, (read_cr4() & ~CR4_PAE) | CR4_PSE);
	vmwrite(GUEST_CR3, flat_directory());
	if (m->kind == GUEST_REAL) {
		control_set(SECONDARY_CONTROLS, SEC_UNRESTRICTED);
		vmwrite(GUEST_CR0, read_cr0() & ~(CR0_PG | CR0_PE));
	}
}
