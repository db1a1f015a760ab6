/*
 * A virtual machine and its CPUs as vm/ sees them. The root VM owns the whole
 * machine: its physical memory is the machine's (identity-mapped by ept01) but
 * for L0's home; its devices and interrupts reach it without L0.
 */
#pragma once

#include "boot_info.h"
#include "cpu/lock.h"
#include "cpu/pcpu.h"
#include "mmu/ept01.h"
#include "mmu/ept02.h"
#include "mmu/mtrr.h"
#include "nested/nested.h"
#include "vm/acpi.h"
#include "vm/real/mode.h"
#include "vm/window.h"
#include "vmx/frame.h"

#define VM_MAX_VCPUS 64
#define VM_MAX_WATCHED 256
#define VCPU_STACK_SIZE 16384
#define VPID_L1_FIRST 1

/* Of one level above L0. Ticks are of the TSC. */
struct vm_level_stats {
	u64 ticks;
	u64 exits[EXIT_REASON_COUNT];
};

struct vm_stats {
	struct vm_level_stats l1, l2;
	u64 reflected;			/* of l2's exits */
	u64 entered, started;		/* TSC */
};

/* A virtual CPU. The frame ends the stack: an exit lands above its registers. */
struct vcpu {
	u8 stack[VCPU_STACK_SIZE];
	struct vmx_frame frame;
	struct vm *vm;
	struct pcpu *pcpu;
	hpa_t vmcs01;
	u8 shutdown_at;			/* bytes of "Shutdown" seen on Bochs's port */
	bool init_pending;		/* INIT came while L1 was in VMX root operation */
	/* Where there are several (shared.h): */
	bool in_guest;			/* it may use translations, and an NMI brings it back */
	bool apic_off;			/* an NMI does not bring it back */
	bool waits_init;		/* L1 has not sent it one yet: it sleeps */
	bool stopped;			/* it must drop what its CPU has cached of them */
	bool launched;			/* vmcs01 */
	bool l2_entered;		/* since L1 ran */
	u16 vpid;
	struct vm_stats stats;
	struct real_mode real;		/* of L1, where the hardware has none for guests */
	struct nested_vcpu nested;
};

struct vm {
	struct vm_windows windows;
	struct vmx_caps hw;
	struct mmu_pool pool01, pool02;	/* tables of ept01; of all ept02 */
	struct ept01 ept01;
	struct ept02_set ept02s;
	bool no_ept;			/* vtlb serves L1 and its guests, and ept02s nobody */
	struct vtlb vtlb;
	hpa_t real_tss;			/* of REAL_TSS_PAGES, for L1's real mode without EPT */
	struct mtrr_state mtrr;
	struct ept_caps ept_caps;
	hpa_t msr_bitmap, io_bitmap[2];
	hpa_t scratch;			/* what L1 finds where L0's home is */
	const struct e820_map *map;	/* the machine's */
	u64 ram_end;			/* ept01 above it is filled on demand */
	struct acpi_info acpi;
	bool attention;			/* one of these three: */
	bool vtlb_dropped;		/* CR3 of who runs must be made anew */
	bool ept02_dropped;		/* who runs may have tables cached that are gone */
	const char *killed;		/* why the VM must not run again */
	struct cpu_lock lock;		/* with several vcpus (shared.h) */
	bool shared;			/* there are several */
	bool alone;			/* who has the lock has stopped the others */
	gpa1_t watched[VM_MAX_WATCHED];
	u32 watched_count;
	u32 watched_hand;		/* which of them goes next when there is no place */
	u32 vcpu_count;
	struct vcpu *vcpu[VM_MAX_VCPUS];
};

static always_inline struct vcpu *vcpu_of_frame(struct vmx_frame *f)
{
	return (struct vcpu *)((char *)f - offsetof(struct vcpu, frame));
}

static always_inline struct vcpu *vcpu_of_nested(struct nested_vcpu *n)
{
	return (struct vcpu *)((char *)n - offsetof(struct vcpu, nested));
}

/* The VM ends after the present exit: its console line says why. Any guest may cause it. */
void vm_kill(struct vm *vm, const char *why);
