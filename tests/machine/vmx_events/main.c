/*
 * Events: injected into a guest, blocked, pending; and the state that VM entries and exits load and
 * save besides. What happens while an event is delivered is vmx_delivery's.
 */
#include "vmx_events.h"

int main(void)
{
	struct vm vm;

	apic_enable();
	vmx_on();
	window_make();
	vm_init(&vm);
	test_injection(&vm);
	test_state(&vm);
	test_msrs(&vm);
	test_stepping(&vm);
	if (has_ept())
		test_strings(&vm);
	test_breakpoints(&vm);
	vmx_off();
	return 0;
}
