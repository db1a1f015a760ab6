/* Plastron's own options: the words of the multiboot2 line. */
#pragma once

#include "debug/console.h"
#include "types.h"

struct boot_options {
	u32 outputs;			/* CON_* */
	char label[CON_LABEL_MAX];
	bool quiet, explain;
	bool nested_shadow;		/* use hardware VMCS shadowing */
};

/*
 * Never fails: *complaint is NULL, or the first word that is not understood
 * (which is ignored), of *complaint_len characters.
 */
void boot_options_parse(const char *cmdline, struct boot_options *o,
			const char **complaint, size_t *complaint_len);
