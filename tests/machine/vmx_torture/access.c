/*
 * Accesses by the guest, and whether each did what was predicted: the value read, the place of a
 * store, the exit with all that the SDM defines of it, the accessed and dirty flags, and that no
 * other page changed. The first thing that is otherwise ends the test, with all that is known
 * about it.
 */
#include "vmx_torture.h"

#define LOG_LAST	511u
#define VE_VECTOR	20u

static struct vm vms[VMS];
static const struct vm *current;
static u64 *eptp_list, *log;
static struct { u32 reason, busy; u64 qualification, linear, gpa; u16 index; } *ve;
static u64 modified[FLAGS_MAX];		/* pages that the log must tell of */
static unsigned int modifications;
static u32 hash = 2166136261u;
static unsigned int logged, converted;
static unsigned int ends[4][4];		/* how accesses ended, by how and what */

asm("guest_load: mov (%rsi), %rbx; vmcall\n"
    "guest_store: mov %rbx, (%rsi); vmcall\n"
    "guest_add: lock; addq %rbx, (%rsi); vmcall\n"
    "guest_jump: jmp *%rsi\n"
    ".globl guest_store_invlpg, guest_store_cr3\n"
    "guest_store_invlpg: mov %rcx, (%rdx); invlpg (%rsi); mov (%rsi), %rbx; vmcall\n"
    "guest_store_cr3: mov %rcx, (%rdx); mov %rbp, %cr3; mov (%rsi), %rbx; vmcall\n"
    "guest_switch: xor %eax, %eax; vmfunc; mov (%rsi), %rbx; vmcall\n");
extern const char guest_load[], guest_store[], guest_add[], guest_jump[], guest_switch[];

void digest_add(u64 value)
{
	for (; value; value >>= 8)
		hash = (hash ^ (u8)value) * 16777619u;
	hash = (hash ^ 0x80) * 16777619u;
}

u32 digest(void)
{
	return hash;
}

static void load(unsigned int vm)
{
	if (current != &vms[vm])
		vm_load(&vms[vm]);
	current = &vms[vm];
}

void access_init(void)
{
	eptp_list = page_alloc();
	log = page_alloc();
	ve = page_alloc();
	for (unsigned int i = 0; i < VMS; i++) {
		vm_init(&vms[i]);
		vmwrite(EXCEPTION_BITMAP, 0xffffffff);
		if (i && features.vpid) {
			control_set(SECONDARY_CONTROLS, SEC_VPID);
			vmwrite(VPID, i);
		}
		if (features.vmfunc) {
			vmwrite(VMFUNC_CONTROLS, 1);
			vmwrite(EPTP_LIST, (u64)eptp_list);
		}
		if (features.pml)
			vmwrite(PML_ADDRESS, (u64)log);
		if (features.ve)
			vmwrite(VE_INFO, (u64)ve);
	}
	current = &vms[VMS - 1];
}

static void set_privilege(bool user)
{
	static const u16 data[] = { GUEST_ES, GUEST_SS, GUEST_DS };

	vmwrite(GUEST_CS, user ? SEL_USER_CODE | 3 : SEL_CODE);
	vmwrite(GUEST_CS_RIGHTS, user ? 0xa0fb : 0xa09b);
	for (unsigned int i = 0; i < ARRAY_SIZE(data); i++) {
		vmwrite(data[i], user ? SEL_USER_DATA | 3 : SEL_DATA);
		vmwrite(data[i] - GUEST_ES + GUEST_ES_RIGHTS, user ? 0xc0f3 : 0xc093);
	}
}

static void prepare(const struct access *a)
{
	static struct { bool user; u32 ept; } was[VMS];
	u32 ept = 0;

	if (a->root >= 0) {
		ept = features.vmfunc ? SEC_EPT | SEC_VMFUNC : SEC_EPT;
		ept |= roots[a->root].mode_exec ? SEC_MODE_EXEC : 0;
		ept |= (a->log ? SEC_PML : 0) | (a->convert ? SEC_VE : 0);
	}
	load(a->vm);
	if (was[a->vm].user != a->user)
		set_privilege(a->user);
	if (was[a->vm].ept & ~ept)
		control_clear(SECONDARY_CONTROLS, was[a->vm].ept & ~ept);
	if (ept & ~was[a->vm].ept)
		control_set(SECONDARY_CONTROLS, ept & ~was[a->vm].ept);
	if (a->root >= 0)
		vmwrite(EPTP, root_eptp(&roots[a->root]));
	vmwrite(GUEST_CR3, page_address(TOP + a->top));
	was[a->vm].user = a->user;
	was[a->vm].ept = ept;
}

static u32 run(const struct access *a, const char *code)
{
	struct vm *vm = &vms[a->vm];

	vm->regs[RBX] = a->value;
	vm->regs[RSI] = a->linear;
	vmwrite(GUEST_RIP, (u64)code);
	ve->busy = 0;
	return vm_run(vm);
}

static const char *const names[] = { "read", "write", "add", "fetch" };

void access_summary(void)
{
	for (enum how how = READ; how <= FETCH; how++)
		print("%s: %u done, %u page faults, %u violations, %u misconfigurations\n",
		      names[how], ends[how][0], ends[how][1], ends[how][2], ends[how][3]);
	print("%u pages logged, %u violations told by exceptions\n", logged, converted);
}

static void show(const struct access *a, const struct prediction *p)
{
	print("step %lu: %s of %lx, CPL %u, VM %u, CR3 %lx, EPTP %lx\n", step, names[a->how],
	      a->linear, a->user ? 3 : 0, a->vm, page_address(TOP + a->top),
	      a->root >= 0 ? root_eptp(&roots[a->root]) : 0);
	print("should be: %s", reason_name(p->reason));
	if (p->reason == REASON_VMCALL)
		print(" at %lx\n", p->at);
	else
		print(" q=%lx (of %lx) error=%x gpa=%lx\n", p->qualification, p->mask, p->error,
		      p->gpa);
	for (unsigned int i = 0; i < p->flags; i++)
		print("flag %lx |= %lx%s: now %lx\n", p->flag[i].at, p->flag[i].bits,
		      p->flag[i].may ? " perhaps" : "", *(u64 *)p->flag[i].at);
}

/* L1's entries for the address that an exit told, or should have. */
static void show_ept(const struct access *a, u64 gpa)
{
	const struct root *r = a->root >= 0 ? &roots[a->root] : NULL;
	u64 at = r ? page_address(root_top(r)) : 0;

	for (unsigned int level = r && r->five ? 5 : 4; level > 0 && page_at(at) >= 0; level--) {
		const u64 *entry = (u64 *)at + index_of(gpa, level);

		print("level %u of EPT for %lx: %lx holds %lx\n", level, gpa, (u64)entry, *entry);
		at = *entry & ADDRESS;
	}
}

static void wrong(const struct access *a, const struct prediction *p, u32 reason, const char *what)
{
	print("MISMATCH: %s\n", what);
	show(a, p);
	print("is: ");
	print_exit(&vms[a->vm], reason);
	print(" (all of q: %lx) RBX=%lx RIP=%lx\n", vmread(EXIT_QUALIFICATION),
	      vms[a->vm].regs[RBX], vmread(GUEST_RIP));
	show_ept(a, p->gpa);
	show_ept(a, vmread(GUEST_PHYSICAL));
	die("stopped");
}

/*
 * Where a live page's expected content is; the fixed tables have their flags from the beginning.
 */
static u64 *expected_at(u64 at)
{
	int page = page_at(at);

	return page < 0 ? (u64 *)at : &pages[page].expected[index_of(at << 9, 1)];
}

/* Brings the expected flags up to what was predicted, or took place as it may. */
static bool settle_flags(const struct prediction *p)
{
	bool right = true;

	for (unsigned int i = 0; i < p->flags; i++) {
		u64 now = *(u64 *)p->flag[i].at, bits = p->flag[i].bits;

		*expected_at(p->flag[i].at) |= p->flag[i].may ? bits & now : bits;
	}
	for (unsigned int i = 0; i < p->flags; i++)
		right &= *(u64 *)p->flag[i].at == *expected_at(p->flag[i].at);
	return right;
}

/* SDM: Page-Modification Logging. Before the access: each first store to a page, walks included. */
static void predict_log(const struct access *a, const struct prediction *p)
{
	modifications = 0;
	for (unsigned int i = 0; a->log && i < p->flags; i++) {
		bool set = !(p->flag[i].bits & EPT_D) || *expected_at(p->flag[i].at) & EPT_D;

		for (unsigned int k = 0; k < i; k++)
			set |= p->flag[k].at == p->flag[i].at && p->flag[k].bits & EPT_D;
		if (!set)
			modified[modifications++] = p->flag[i].gpa & ~(PAGE_SIZE - 1);
	}
	if (a->log)
		vmwrite(PML_INDEX, LOG_LAST);
}

static bool log_is_right(void)
{
	bool right = vmread(PML_INDEX) == LOG_LAST - modifications;

	for (unsigned int i = 0; i < modifications; i++)
		right &= log[LOG_LAST - i] == modified[i];
	return right;
}

/* SDM: Virtualization-Exception Information. */
static bool same_ve(const struct access *a, const struct prediction *p)
{
	return vmread(EXIT_INTR_INFO) == (INTR_VALID | INTR_HARDWARE | VE_VECTOR) &&
	       ve->reason == REASON_EPT_VIOLATION && ve->busy == 0xffffffff &&
	       !((ve->qualification ^ p->qualification) & p->mask) && ve->gpa == p->gpa &&
	       ve->linear == a->linear;
}

static bool same_exit(const struct access *a, const struct prediction *p, u32 reason)
{
	if (a->convert && p->reason == REASON_EPT_VIOLATION && !p->suppressed)
		return reason == REASON_EXCEPTION && same_ve(a, p);
	if (reason != p->reason)
		return false;
	if (reason == REASON_VMCALL)
		return true;
	if (reason != REASON_EPT_MISCONFIG &&
	    (vmread(EXIT_QUALIFICATION) ^ p->qualification) & p->mask)
		return false;
	if (reason == REASON_EXCEPTION)
		return vmread(EXIT_INTR_INFO) == (INTR_VALID | INTR_HARDWARE | INTR_ERROR | 14) &&
		       vmread(EXIT_INTR_ERROR) == p->error;
	if (vmread(GUEST_PHYSICAL) != p->gpa)
		return false;
	return reason != REASON_EPT_VIOLATION || vmread(GUEST_LINEAR) == a->linear;
}

/* What the access read or wrote is as it should be. */
static const char *judge_value(const struct access *a, const struct prediction *p)
{
	u64 rbx = vms[a->vm].regs[RBX], *expected = expected_at(p->at);

	switch (a->how) {
	case READ:
		return rbx == *expected ? NULL : "the value read";
	case FETCH:
		return rbx == pages[page_at(p->at)].word ? NULL : "the code executed";
	case WRITE:
	case ADD:
		break;
	}
	*expected = (a->how == ADD ? *expected : 0) + a->value;
	return *(u64 *)p->at == *expected ? NULL : "the place of a store";
}

/* May the CPU know less rights than there are by now? Then one more try must do. */
static bool may_be_behind(const struct access *a, u32 reason)
{
	bool violation = reason == REASON_EPT_VIOLATION || (a->convert && reason == REASON_EXCEPTION);

	return (violation && a->root >= 0 && roots[a->root].added) ||
	       (reason == REASON_EXCEPTION && guest_added);
}

/* The guest itself goes where the access is to be: to its tables, or to another EPT. */
static void begin_elsewhere(const struct access *a, const char *code)
{
	unsigned int from = pick(ROOTS);

	if (code == guest_store_cr3)
		vmwrite(GUEST_CR3, page_address(TOP + !a->top));
	if (code != guest_switch)
		return;
	for (unsigned int i = 0; i < ROOTS; i++)
		eptp_list[i] = root_eptp(&roots[i]);
	if (roots[from].mode_exec == roots[a->root].mode_exec)
		vmwrite(EPTP, eptp_list[from]);
	vms[a->vm].regs[RCX] = (u64)a->root;
}

/* The access and nothing else that stores. */
static bool is_plain(const char *code)
{
	return code == guest_load || code == guest_store || code == guest_add || code == guest_jump;
}

static void check(const struct access *a, const char *code)
{
	struct prediction p;
	const char *odd;
	u32 reason;

	predict(a, &p);
	if (p.skip)
		return;
	prepare(a);
	begin_elsewhere(a, code);
	predict_log(a, &p);
	reason = run(a, code);
	if (!same_exit(a, &p, reason) && may_be_behind(a, reason))
		reason = run(a, code);
	if (!same_exit(a, &p, reason))
		wrong(a, &p, reason, "the exit");
	if (!settle_flags(&p))
		wrong(a, &p, reason, "accessed and dirty flags");
	if (a->log && is_plain(code) && !log_is_right())
		wrong(a, &p, reason, "the log of modified pages");
	odd = reason == REASON_VMCALL ? judge_value(a, &p) : NULL;
	if (odd)
		wrong(a, &p, reason, odd);
	logged += modifications;
	converted += reason != p.reason;
	reason = p.reason;
	ends[a->how][reason == REASON_VMCALL ? 0 : reason == REASON_EXCEPTION ? 1 :
		     reason == REASON_EPT_VIOLATION ? 2 : 3]++;
	digest_add(reason);
	digest_add(reason == REASON_VMCALL ? (u64)page_at(p.at) : p.qualification & p.mask);
}

void access_check(const struct access *a)
{
	static const char *const code[] = { guest_load, guest_store, guest_add, guest_jump };
	unsigned int page = (unsigned int)(step % PAGES);

	check(a, code[a->how]);
	if (!page_is_right(page))
		die("page %lx changed without a reason, step %lu", page_address(page), step);
}

void access_check_with(const struct access *a, const char *code, u64 rcx, u64 rdx)
{
	vms[a->vm].regs[RCX] = rcx;
	vms[a->vm].regs[RDX] = rdx;
	vms[a->vm].regs[RBP] = page_address(TOP + a->top);
	check(a, code);
}

struct access some_access(void)
{
	static const u8 hows[] = { READ, READ, READ, WRITE, WRITE, ADD, FETCH, FETCH };
	struct access a = {
		.vm = pick(VMS), .top = pick(TOPS),
		.root = features.ept && chance(88) ? (int)pick(ROOTS) : -1,
		.user = chance(40), .how = hows[pick(ARRAY_SIZE(hows))],
	};
	u64 gpa = some_gpa();

	a.log = a.root >= 0 && features.pml && roots[a.root].ad && chance(80);
	a.convert = a.root >= 0 && features.ve && chance(30);
	if (a.root < 0 || chance(40))
		a.linear = some_linear();
	else
		a.linear = LINEAR_WINDOW + (gpa ^ BIT(39));
	if (a.how == WRITE || a.how == ADD) {
		a.linear += 8 + 8 * pick(3);
		a.value = (u64)pick(1 << 20) << 12;
	}
	return a;
}

void access_switched(void)
{
	struct access a = some_access();

	a.how = READ;
	a.linear &= ~0xfffull;
	if (a.root >= 0 && features.vmfunc)
		check(&a, guest_switch);
}

/*
 * Where something was taken away and nothing invalidated yet, the guest may find either. It
 * looks, so that it is in caches, by tables whose flags the CPU has no reason to set.
 */
void access_stale(void)
{
	struct access a = some_access();
	struct prediction p;
	u32 reason;

	if (a.root < 0 || roots[a.root].ad)
		return;
	a.user = a.log = a.convert = false;
	a.how = READ;
	a.linear = LINEAR_WINDOW + (some_gpa() ^ BIT(39));
	predict(&a, &p);
	if (p.skip)
		return;
	prepare(&a);
	reason = run(&a, guest_load);
	if (reason != REASON_VMCALL && reason != REASON_EPT_VIOLATION &&
	    reason != REASON_EPT_MISCONFIG)
		die("step %lu: a stale access ended by %s", step, reason_name(reason));
}
