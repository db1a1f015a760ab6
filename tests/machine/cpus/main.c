/*
 * A machine of four CPUs must look like one of one: the firmware's list has one enabled CPU, and
 * NMI, INIT and startup IPIs to the others, by name and to all, start nothing. Not run bare, where
 * the others do start.
 */
#include "cpu.h"

#define REG_ICR_LOW	0x300
#define REG_ICR_HIGH	0x310
#define NMI		0x4400
#define INIT		0x4500
#define STARTUP		0x4600
#define OTHERS		0xc0000

#define MOST_CPUS	4
#define CODE_PAGE	0x8000
#define MARK_OFFSET	0xff0
#define TRIES		100000

/* Real mode, CS is the page: a mark, so that memory tells that somebody was here. */
asm(".code16\n"
    "startup: movb $1, %cs:0xff0\n"
    "1: cli; hlt; jmp 1b\n"
    "startup_end:\n"
    ".code64");
extern const u8 startup[], startup_end[];

struct table {
	char signature[4];
	u32 length;
	u8 rest[28];
} __attribute__((packed));

static volatile u8 *const mark = (u8 *)(u64)(CODE_PAGE + MARK_OFFSET);

static u8 sum(const void *p, size_t n)
{
	const u8 *b = p;
	u8 s = 0;

	while (n--)
		s = (u8)(s + *b++);
	return s;
}

static u32 read32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static const struct table *find_madt(void)
{
	const u8 *root = (const u8 *)(u64)read32((const u8 *)boot.rsdp + 16);

	for (u32 at = sizeof(struct table); at < read32(root + 4); at += 4) {
		const struct table *t = (const struct table *)(u64)read32(root + at);

		if (!memcmp(t->signature, "APIC", 4))
			return t;
	}
	die("ACPI has no MADT");
}

/* Local APIC entries: type 0, flags at 4; local x2APIC: type 9, flags at 8. */
static void report_madt(void)
{
	const struct table *madt = find_madt();
	const u8 *entry = (const u8 *)madt + 44, *end = (const u8 *)madt + madt->length;
	u32 enabled = 0, capable = 0;

	for (; entry < end && entry[1]; entry += entry[1]) {
		u8 flags = entry[0] == 0 ? entry[4] : entry[0] == 9 ? entry[8] : 0;

		enabled += flags & 1;
		capable += flags >> 1 & 1;
	}
	print("MADT: %u enabled, %u online capable, checksum %s\n", enabled, capable,
	      sum(madt, madt->length) ? "WRONG" : "right");
}

static void send(u32 id, u32 command)
{
	apic_write(REG_ICR_HIGH, id << 24);
	apic_write(REG_ICR_LOW, command);
}

/* Gives the others time, as an operating system would between INIT and SIPI. */
static void wait(void)
{
	for (u32 i = 0; i < TRIES && !*mark; i++)
		asm volatile("pause");
}

static const char *try_start(u32 id, u32 command)
{
	*mark = 0;
	send(id, command | NMI);
	wait();
	send(id, command | INIT);
	wait();
	for (u32 i = 0; i < 2; i++) {
		send(id, command | STARTUP | CODE_PAGE >> 12);
		wait();
	}
	return *mark ? "starts" : "does not start";
}

int main(void)
{
	u32 self = apic_read(0x20) >> 24;

	report_madt();
	print("own APIC ID: %u\n", self);
	if (!memory_is_available(CODE_PAGE, CODE_PAGE + PAGE_SIZE))
		die("the page for the other CPUs' code is not available");
	memcpy((void *)CODE_PAGE, startup, (size_t)(startup_end - startup));
	for (u32 id = 0; id < MOST_CPUS; id++)
		if (id != self)
			print("APIC ID %u %s\n", id, try_start(id, 0));
	print("any other CPU %s\n", try_start(0, OTHERS));
	/* L0 still answers. */
	print("CPUID: %s\n", cpuid(0, 0).eax ? "answers" : "is silent");
	report_madt();
	return 0;
}
