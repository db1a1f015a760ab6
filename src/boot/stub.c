/* Stands in for the root VM until there is one. */
#include "boot/info.h"
#include "debug/console.h"
#include "debug/dump.h"

void __attribute__((weak)) vm_start(const struct boot_info *bi)
{
	con_printf("no root VM: %u modules\n", bi->modules);
	debug_end();
}
