/*
 * The Multiboot1 loader's side: an ELF32 image with nothing but a Multiboot1 header.
 */
#include "kit.h"

int main(void)
{
	report_boot();
	return 0;
}
