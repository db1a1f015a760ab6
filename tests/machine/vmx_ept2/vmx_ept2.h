/*
 * A guest whose linear pages LINEAR + n pages are whatever its table says, at the guest-physical
 * pages WINDOW + n pages, which are whatever EPT says; and the parts of the test vmx_ept2.
 */
#ifndef VMX_EPT2_H
#define VMX_EPT2_H

#include "vmx.h"

#define LINEAR	0x8000000000ull		/* the second entry of the guest's top level */
#define WINDOW	0x140000000ull

#define EPTP_AD	BIT(6)
#define EPT_FLAGS	((u64)0x300)	/* accessed, dirty */

/* Their words are 0xa000 + n, 0xb000 + n; each ends in VMCALL, see code_at(). */
extern u64 *page_a, *page_b;
extern const char guest_read[], guest_write[], guest_jump[];

/* A guest with EPT tables root, where everything but the window is mapped, accessed and dirty. */
void reset(struct vm *vm, const u64 *root);
u64 *new_root(void);
/* Sets bits in every entry that is present. */
void set_everywhere(u64 *root, u64 bits);
/* In root, page n of the window is this page, with these rights (and other bits); and INVEPT. */
void map(u64 *root, unsigned int n, const u64 *page, u64 rights);
/* The guest's rights to it. */
void allow(unsigned int n, u64 rights);
void invalidate(const u64 *root);
static inline u64 linear(unsigned int n)
{
	return LINEAR + n * PAGE_SIZE;
}

/* Runs the guest on one access; the reason of the exit. */
u32 run(struct vm *vm, const char *code, u64 address);
/* The same, and prints what came of it: " a001" or " [EPT_VIOLATION ...]". */
void show(struct vm *vm, const char *code, u64 address);
/* Whether this entry fails, and how. */
void show_entry(struct vm *vm, const char *text);

void test_advanced(struct vm *vm);
void test_mode_exec(struct vm *vm);
void test_log(struct vm *vm);
void test_switching(struct vm *vm);
void test_exceptions(struct vm *vm);

#endif
