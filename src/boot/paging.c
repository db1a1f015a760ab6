/*
 * L0's own page tables: the image at its virtual address (text executable,
 * read-only data, writable data, never two of them), and the direct map. The
 * low half stays empty, so that a null pointer faults.
 */
#include "boot/init.h"
#include "cpu/cpu.h"
#include "cpu/memory.h"

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull
#define TABLE (PTE_P | PTE_W)
#define DATA (PTE_P | PTE_W | PTE_G | PTE_NX)

#define ENTRIES 512
#define SZ_4G (1ull << 32)
#define CPUID_EXT_EDX_1G BIT32(26)

extern const u8 image_start[], image_text_end[], image_rodata_end[], image_end[];

static unsigned int index_at(u64 v, int level)
{
	return v >> (12 + 9 * (level - 1)) & (ENTRIES - 1);
}

/* The table that entry i of a table points to, made if it is missing. */
static u64 *descend(u64 *table, unsigned int i)
{
	if (!table[i])
		table[i] = ptr_to_hpa(cpu_alloc_pages(1)).v | TABLE;
	return hpa_to_ptr(HPA(table[i] & PTE_ADDR));
}

/* level: of the table that gets the entry; 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB. */
static void map(u64 *pml4, u64 v, u64 p, int level, u64 flags)
{
	u64 *table = pml4;

	for (int l = 4; l > level; l--)
		table = descend(table, index_at(v, l));
	table[index_at(v, level)] = p | flags | (level > 1 ? PTE_PS : 0);
}

static void map_image(u64 *pml4, hpa_t image)
{
	u64 start = (u64)image_start;

	for (u64 v = start; v < (u64)image_end; v += PAGE_SIZE) {
		u64 flags = DATA;

		if (v < (u64)image_text_end)
			flags = PTE_P | PTE_G;
		else if (v < (u64)image_rodata_end)
			flags = PTE_P | PTE_G | PTE_NX;
		map(pml4, v, image.v + (v - start), 1, flags);
	}
}

/*
 * 2-MiB pages below 4 GiB: there memory types change often, and a page should
 * have one (SDM 3A "MTRR Considerations in MP Systems", "Large Page Size
 * Considerations").
 */
static void map_direct(u64 *pml4, u64 end)
{
	bool has_1g = cpu_cpuid(0x80000001, 0).edx & CPUID_EXT_EDX_1G;
	u64 p = 0;

	for (; p < (has_1g ? SZ_4G : end); p += SZ_2M)
		map(pml4, CPU_DIRECT_MAP + p, p, 2, DATA);
	for (; p < end; p += SZ_1G)
		map(pml4, CPU_DIRECT_MAP + p, p, 3, DATA);
}

u64 boot_paging_make(hpa_t image, u64 end_of_memory)
{
	u64 *pml4 = cpu_alloc_pages(1);

	cpu_direct_map_end = HPA(MAX(ALIGN_UP(end_of_memory, SZ_1G), SZ_4G));
	map_direct(pml4, cpu_direct_map_end.v);
	map_image(pml4, image);
	cpu_image_offset = image.v - ((u64)image_start - CPU_IMAGE_BASE);
	return ptr_to_hpa(pml4).v;
}
