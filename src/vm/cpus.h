/*
 * The machine's CPUs but the one that runs: those that L1 gets, which sleep until L1
 * sends them an INIT, and those that it does not. These wait in VMX root
 * operation, where neither INIT nor SIPI reaches them, so that L1 cannot run them
 * beside L0; and the MADT that L1 reads does not have them.
 */
#pragma once

#include "boot_info.h"
#include "vm/vm.h"

/*
 * How many vcpus the VM is going to have. A machine whose CPUs the firmware does not
 * tell ends L0 with a message.
 */
u32 vm_count_cpus(const struct vm *vm, const struct boot_options *options);

/*
 * Makes all but the first of so many vcpus, each on its CPU, and parks the rest. From the
 * CPU that has the first one, before cpu_free_pages(). A CPU that cannot be kept from
 * L1 ends L0 with a message.
 */
void vm_start_cpus(struct vm *vm, const struct boot_info *bi, u32 vcpus);

/* The VM's memory is there: the CPUs enter it. */
void vm_release_cpus(void);
