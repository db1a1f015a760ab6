/*
 * The kit's page tables beyond its 4 GiB: nothing is mapped there until a test opens a GiB of it,
 * in most tests as a window whose guest-physical addresses EPT leads somewhere.
 */
#include "cpu.h"

u64 *window_open(u64 base)
{
	u64 *directory = page_alloc();

	for (u64 i = 0; i < 512; i++)
		directory[i] = (base + (i << 21)) | PTE_PS | PTE_W | PTE_P;
	pdpt[base >> 30] = (u64)directory | PTE_W | PTE_P;
	return directory;
}
