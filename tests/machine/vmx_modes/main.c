/*
 * The VMX instructions in each mode of the CPU, with each kind of operand and each of its faults.
 * SDM: VMX Instruction Reference.
 */
#include "vmx_modes.h"

#define OLD_RIP	0x123456789abcdefull
#define NEW_RIP	0xfedcba987654321ull

static u64 *region_on, *region_current, *region_other, *region_wrong;
static u64 pointer_on, pointer_current;

void vmx_enter_for(const struct mode *m, bool current)
{
	pointer_on = (u64)region_on;
	pointer_current = (u64)region_current;
	if (m->format == LONG) {
		must(vmxon(pointer_on), "VMXON");
		if (current)
			must(vmptrld(pointer_current), "VMPTRLD");
		return;
	}
	trip.vmxon = (u32)(u64)&pointer_on;
	trip.vmcs = current ? (u32)(u64)&pointer_current : 0;
}

void vmx_leave_for(const struct mode *m)
{
	u64 number;

	if (m->format != LONG)
		return;
	if (vmread_try(VM_INSN_ERROR, &number).kind == DID_OK)
		trip.after.number = (u32)number;
	vmclear((u64)region_current);
	trip.after.was_on = vmxoff().kind == DID_OK;
}

void operand_for(enum insn_id id, u64 *data)
{
	data[1] = 0;
	data[0] = id == VMXON ? (u64)region_on :
		  id == VMCLEAR || id == VMPTRLD ? (u64)region_other :
		  id == VMWRITE ? NEW_RIP : 0;
}

u64 region_address(enum region region)
{
	const u64 *const addresses[] = { NULL, region_on, region_current, region_other,
					 region_wrong, NULL };

	return (u64)addresses[region];
}

u64 operand_written(enum insn_id id)
{
	return id == VMPTRST ? (u64)region_current : OLD_RIP;
}

u64 exchange_field(u32 field, u64 value)
{
	u64 old;

	must(vmxon((u64)region_on), "VMXON");
	must(vmptrld((u64)region_current), "VMPTRLD");
	old = vmread(field);
	vmwrite(field, value);
	must(vmclear((u64)region_current), "VMCLEAR");
	must(vmxoff(), "VMXOFF");
	return old;
}

bool field_written(bool done, u64 mask)
{
	return exchange_field(GUEST_RIP, OLD_RIP) == (done ? NEW_RIP & mask : OLD_RIP);
}

bool have_insn(enum insn_id id)
{
	return (id != INVEPT || vmx_caps.ept_vpid & BIT(20)) &&
	       (id != INVVPID || vmx_caps.ept_vpid & BIT(32));
}

const struct mode *mode_named(const char *name)
{
	const struct mode *m = modes;
	size_t length = 0;

	while (name[length])
		length++;
	while (memcmp(m->name, name, length + 1))
		if (++m == modes + MODES)
			die("no mode %s", name);
	return m;
}

int main(void)
{
	vmx_prepare();
	trip_init();
	region_on = vmx_region();
	region_current = vmx_region();
	region_other = vmx_region();
	region_wrong = vmx_region();
	*(u32 *)region_wrong ^= 5;
	test_matrix();
	exchange_field(GUEST_RIP, OLD_RIP);
	test_operands();
	test_failures();
	test_host32();
	return 0;
}
