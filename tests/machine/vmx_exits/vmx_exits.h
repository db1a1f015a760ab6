/* One case of an exit and what runs it; the parts of the test vmx_exits. */
#ifndef VMX_EXITS_H
#define VMX_EXITS_H

#include "vmx.h"

/* Gets an exit that is no VMCALL; true if the guest is to go on. */
typedef bool (*handler_fn)(struct vm *vm, u32 reason);
extern handler_fn handler;

struct exit_case {
	const char *text;
	void (*setup)(struct vm *vm);
	const char *guest;
};

/* Reasons that no instruction caused, or after which skipping it makes no sense */
#define EXITS_WITHOUT_INSTRUCTION \
	(BIT(REASON_EXCEPTION) | BIT(REASON_EXTERNAL) | BIT(REASON_TRIPLE_FAULT) | \
	 BIT(REASON_INTR_WINDOW) | BIT(REASON_NMI_WINDOW) | BIT(REASON_TASK_SWITCH) | \
	 BIT(REASON_EPT_VIOLATION) | BIT(REASON_EPT_MISCONFIG) | BIT(REASON_TIMER))

extern const char guest_end[];		/* guest code: nothing but the closing VMCALL */
void run_case(struct vm *vm, const struct exit_case *c);
void test_tasks(struct vm *vm);
void test_modes(struct vm *vm);
void test_ept_exits(struct vm *vm);
void test_entry_failures(struct vm *vm);

#endif
