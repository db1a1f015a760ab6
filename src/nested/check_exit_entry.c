/*
 * Entry checks of VM-exit and VM-entry controls and of the areas of their MSR
 * lists (SDM 3C "VM-Exit Control Fields", "VM-Entry Control Fields"). Not of
 * the event to inject (check_event.c), nor of the lists' contents.
 */
#include "nested/check_run.h"

#define MSR_ENTRY_SIZE 16

static bool aligned_entry(const struct check_env *e, u64 address)
{
	return !(address % MSR_ENTRY_SIZE) && check_width(e, address);
}

static bool last_byte(const struct check_env *e, u64 address, u64 count)
{
	return check_width(e, address + count * MSR_ENTRY_SIZE - 1);
}

static bool exit_controls(const struct check_env *e, struct check_failure *f)
{
	u64 controls = FIELD(EXIT_CONTROLS);

	CHECK(EXIT_MUST_BE_1, check_allowed_1(controls, e->caps->exit));
	CHECK(EXIT_MUST_BE_0, check_allowed_0(controls, e->caps->exit));
	CHECK(SAVE_TIMER, !(controls & EXIT_SAVE_PREEMPTION) ||
			  (FIELD(PIN_CONTROLS) & PIN_PREEMPTION_TIMER));
	return true;
}

static bool exit_lists(const struct check_env *e, struct check_failure *f)
{
	u64 store = FIELD(EXIT_MSR_STORE_ADDR), stores = FIELD(EXIT_MSR_STORE_COUNT);
	u64 load = FIELD(EXIT_MSR_LOAD_ADDR), loads = FIELD(EXIT_MSR_LOAD_COUNT);

	if (stores) {
		CHECK(EXIT_STORE_FIRST, aligned_entry(e, store));
		CHECK(EXIT_STORE_LAST, last_byte(e, store, stores));
	}
	if (loads) {
		CHECK(EXIT_LOAD_FIRST, aligned_entry(e, load));
		CHECK(EXIT_LOAD_LAST, last_byte(e, load, loads));
	}
	return true;
}

static bool entry_controls(const struct check_env *e, struct check_failure *f)
{
	u64 controls = FIELD(ENTRY_CONTROLS);
	u64 load = FIELD(ENTRY_MSR_LOAD_ADDR), loads = FIELD(ENTRY_MSR_LOAD_COUNT);

	CHECK(ENTRY_MUST_BE_1, check_allowed_1(controls, e->caps->entry));
	CHECK(ENTRY_MUST_BE_0, check_allowed_0(controls, e->caps->entry));
	CHECK(ENTRY_OUTSIDE_SMM, !(controls & (ENTRY_SMM | ENTRY_DEACTIVATE_DUAL)));
	if (loads) {
		CHECK(ENTRY_LOAD_FIRST, aligned_entry(e, load));
		CHECK(ENTRY_LOAD_LAST, last_byte(e, load, loads));
	}
	return true;
}

bool nested_check_exit_entry(const struct check_env *e, struct check_failure *f)
{
	return exit_controls(e, f) && exit_lists(e, f) && entry_controls(e, f);
}
