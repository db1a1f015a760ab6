/*
 * The vcpus of a VM beside each other. Each is pinned to a CPU; what they share is
 * touched by one at a time, and nothing that a guest may be using is taken away
 * before all others have left their guests.
 *
 * Locks, in this order:
 *   vm->lock    all of struct vm and every struct vcpu: what L0 does for a vcpu from
 *               its exit to its entry. Not: in_guest and frame.again, which are
 *               atomic, and a pcpu's counts of NMIs and machine checks, which are its
 *               own.
 *   con.lock    the console's line (debug/console.c). Nothing is called with it.
 * A VM with one vcpu takes no lock and comes by vm_exit(), not by vm_exit_shared().
 *
 * Who waits for others to leave their guests holds vm->lock. Others need it only
 * outside of their guests, and wait for it there, where they count as having left:
 * so nobody waits for one that waits for him.
 */
#pragma once

#include "vm/vm.h"

/*
 * From here to the end of the exit that is being handled, no other vcpu of this VM
 * is in a guest; none enters again before the processor has dropped what it cached
 * of ept01, and of each ept02 whose stamp has changed. Before memory is used again
 * that translations lead to or are kept in. If one cannot be stopped, that is the end
 * of the VM, here: whoever returns from this is alone.
 */
void vm_stop_others(struct vm *vm);

/* A vcpu's first entry, with vmcs01; the CPU's own, and the one that calls. */
void vm_enter_shared(struct vcpu *v) __attribute__((noreturn));
