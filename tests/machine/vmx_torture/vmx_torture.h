/*
 * The parts of the torture of guest memory: the pages that all tables and data are made of, the
 * model that predicts what an access finds, the changes, and the accesses that are compared with
 * the model.
 *
 * All of it lies at fixed addresses, so that a seed means the same tables in every build.
 * compiler.
 */
#ifndef VMX_TORTURE_H
#define VMX_TORTURE_H

#include "vmx.h"

#define ARENA		0x4000000ull	/* four regions of 2 MiB, eight live pages in each */
#define REGIONS		4u
#define SLOTS		8u
#define FIXED		(ARENA + REGIONS * (2ull << 20))
#define FIXED_PAGES	20u
#define ROOTS		4u
#define TOPS		2u
#define VMS		3u

/* Live pages by number: those of the arena, then these. */
#define POINTERS	(REGIONS * SLOTS)	/* EPT, first 512 GiB: the identity map */
#define TOP		(POINTERS + 1)		/* of the guest's tables, two of them */
#define PML5S		(TOP + TOPS)		/* one for each root, when that has five levels */
#define PAGES		(PML5S + ROOTS)

/*
 * What linear addresses are: the second 512 GiB by tortured tables, then windows to guest-
 * physical ones.
 */
#define LINEAR_TORTURED	(1ull << 39)
#define LINEAR_WINDOW	(2ull << 39)		/* GPA ^ 512 GiB is mapped here */

#define ADDRESS		0x000ffffffffff000ull
#define EPT_RIGHTS	(EPT_RWX | EPT_XU)
#define EPTP_AD		BIT(6)

#define PF_P	1u
#define PF_W	2u
#define PF_U	4u
#define PF_RSVD	8u
#define PF_I	16u

/* A page changes its class only when nothing leads to it any more. */
enum page_class { DATA, EPT_TABLE, GUEST_TABLE };

struct page {
	enum page_class class;
	unsigned int level;	/* at which a table is mostly used: 1 to 4 */
	u32 word;		/* data: what the code in it returns */
	u64 expected[512];
};

struct features {
	bool ept, vpid, exec_only, ad, mode_exec, large_2m, large_1g, advanced, vmfunc, walk5;
	bool pml, ve;
	bool large_1g_guest;
	unsigned int width;
};

extern struct page pages[PAGES];
extern struct features features;
extern const u16 slot_index[SLOTS];
#define USED_INDEXES	13u
extern const u16 used_index[USED_INDEXES];	/* all others are 0 in live pages */
extern u64 step;

/* pages.c: random numbers, the same for a seed */
void random_seed(u64 seed);
u32 pick(u32 below);
bool chance(u32 percent);

/* pages.c */
u64 page_address(unsigned int page);
int page_at(u64 address);			/* -1: no live page */
void put(unsigned int page, unsigned int index, u64 value);
static inline u64 get(unsigned int page, unsigned int index)
{
	return pages[page].expected[index];
}
unsigned int some_page(enum page_class class);	/* any of this class; there is one */
void make_data(unsigned int page);
bool page_is_right(unsigned int page);		/* does memory have what is expected? */
void make_fixed(void);
u32 index_of(u64 address, unsigned int level);

/* ept.c: changes of L1's tables */
struct root {
	unsigned int page;	/* the PML4 */
	bool five;		/* below its PML5, whose first entry is for all addresses here */
	bool ad;
	bool mode_exec;	/* used with mode-based execute control */
	bool added;	/* rights were added, and nothing invalidated since */
};
extern struct root roots[ROOTS];
u64 root_eptp(const struct root *r);
unsigned int root_top(const struct root *r);	/* the page that the EPTP names */
void ept_make(void);
void ept_change(void);
void ept_clear_flags(void);
void ept_move_root(void);
void ept_toggle_mode(void);
void ept_toggle_levels(void);
bool ept_take_away(void);	/* leaves the invalidation to the caller... */
void ept_invalidate_taken(void);
bool ept_uses(unsigned int page);	/* as a table, of whatever level */
void ept_invalidate_users(unsigned int page);
void invalidate_all(void);
u64 some_gpa(void);

/* guest.c: changes of the guest's tables */
extern bool guest_added;
void guest_make(void);
void guest_change(void);
void guest_change_by_guest(void);
void guest_invalidate(void);
u64 some_linear(void);

/* roles.c: pages from one use to another */
void roles_change(void);

/* model.c */
enum how { READ, WRITE, ADD, FETCH };

struct access {
	unsigned int vm, top;
	int root;		/* -1: no EPT */
	bool user;
	enum how how;
	u64 linear;
	u64 value;		/* written, or added */
	bool log, convert;	/* with page-modification logging, with EPT-violation #VE */
};

#define FLAGS_MAX	40u

struct prediction {
	bool skip;		/* not certain, or it would change a page of another class */
	bool suppressed;	/* the violation is none that #VE tells of */
	u32 reason;
	u64 qualification, mask, gpa;
	u32 error;
	u64 at;			/* the physical address reached */
	unsigned int flags;
	/* Accessed and dirty, set by it; in EPT: by an access to gpa. */
	struct { u64 at, bits, gpa; bool may; } flag[FLAGS_MAX];
};

void predict(const struct access *a, struct prediction *p);

/* access.c */
void access_init(void);
struct access some_access(void);
void access_check(const struct access *a);
/* With code of the guest's own before the access, and its registers; the same prediction. */
void access_check_with(const struct access *a, const char *code, u64 rcx, u64 rdx);
void access_stale(void);
void access_switched(void);
u32 digest(void);
void access_summary(void);
void digest_add(u64 value);

extern const char guest_store_invlpg[], guest_store_cr3[];

#endif
