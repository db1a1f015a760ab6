/*
 * Real mode: trips there from 64-bit mode, each for a group of instructions and events, twice: with
 * segment registers as real mode loads them, and with FS as protected mode left it, so that hardware
 * which has only virtual-8086 mode for it must find another way. With the argument "nmi", NMIs, too.
 */
#include "kit.h"
#include "real.h"

extern u8 real_start[], real_end[];
extern u8 test_segments[], test_far[], test_faults[], test_interrupts[], test_flags[], test_steps[];
extern u8 test_irq[], test_apic[], test_nmi[], test_system[], test_big[], test_long[], test_bios[];
extern u8 test_strings[];
extern const u8 at_one_mib[];
void real_run(u32 test, u32 odd);

u32 big_word;

static const struct {
	const char *name;
	u8 *code;
} tests[] = {
	{ "segments", test_segments }, { "far transfers", test_far }, { "faults", test_faults },
	{ "interrupts", test_interrupts }, { "flags", test_flags }, { "single steps", test_steps },
	{ "IRQs", test_irq }, { "APIC", test_apic }, { "NMIs", test_nmi }, { "system", test_system },
	{ "4 GiB", test_big }, { "long mode", test_long }, { "BIOS", test_bios },
	{ "string I/O", test_strings },
};

static u32 place(const u8 *label)
{
	return (u32)(label - real_start + CODE);
}

static void show(void)
{
	const u32 *at = (const u32 *)RESULTS;

	for (; at[1]; at += 2)
		print("  %s: %x\n", (const char *)(u64)at[1], at[0]);
	if ((u64)at >= RESULTS_END)
		die("too many results");
}

static void run(u32 odd)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++) {
		if (tests[i].code == test_nmi && memcmp(boot.command_line, "nmi", 4))
			continue;
		print("%s%s\n", tests[i].name, odd ? ", with an odd FS" : "");
		memcpy((void *)CODE, real_start, (size_t)(real_end - real_start));
		real_run(place(tests[i].code), odd);
		show();
	}
}

int main(void)
{
	if (place(real_end) > RESULTS)
		die("the code is too large");
	apic_enable();
	run(0);
	print("1 MiB: %s\n", *(const u32 *)0x100000 == *(const u32 *)(u64)place(at_one_mib) ?
	      "the same" : "other");
	run(1);
	return 0;
}
