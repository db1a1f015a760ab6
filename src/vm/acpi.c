/*
 * See acpi.h. Tables may lie: every length is checked, every address goes
 * through the reader, every table's checksum is verified before it is used.
 */
#include "vm/acpi.h"

#include <string.h>

#include "acpi_tables.h"

#define TABLE_MAX (4u << 20)
#define TABLES_MAX 256
#define CHUNK 256

#define BDA_EBDA_SEGMENT 0x40e
#define EBDA_SCAN 1024
#define BIOS_START 0xe0000
#define BIOS_END 0x100000

static bool get(const struct acpi_reader *r, u64 addr, void *buf, size_t len)
{
	return addr && addr + len >= addr && r->read(r->context, addr, buf, len);
}

static u8 sum(const void *buf, size_t len)
{
	const u8 *b = buf;
	u8 s = 0;

	while (len--)
		s = (u8)(s + *b++);
	return s;
}

static bool rsdp_valid(const struct acpi_rsdp *p)
{
	return !memcmp(p->signature, ACPI_RSDP_SIGNATURE, 8) && !sum(p, ACPI_RSDP_V1_SIZE);
}

static u64 scan_rsdp(const struct acpi_reader *r, u64 start, u64 end)
{
	for (u64 a = start; a + ACPI_RSDP_V1_SIZE <= end; a += 16) {
		struct acpi_rsdp p;

		if (get(r, a, &p, ACPI_RSDP_V1_SIZE) && rsdp_valid(&p))
			return a;
	}
	return 0;
}

u64 acpi_find_rsdp(const struct acpi_reader *r)
{
	u16 segment = 0;
	u64 found = 0;

	if (get(r, BDA_EBDA_SEGMENT, &segment, sizeof(segment)) && segment)
		found = scan_rsdp(r, (u64)segment << 4, ((u64)segment << 4) + EBDA_SCAN);
	return found ? found : scan_rsdp(r, BIOS_START, BIOS_END);
}

/* Reads a table's header and verifies the whole of it. */
static bool table_valid(const struct acpi_reader *r, u64 addr, struct acpi_header *h)
{
	u8 buf[CHUNK], s = 0;

	if (!get(r, addr, h, sizeof(*h)) || h->length < sizeof(*h) || h->length > TABLE_MAX)
		return false;
	for (u32 at = 0; at < h->length; at += CHUNK) {
		size_t n = MIN((size_t)CHUNK, h->length - at);

		if (!get(r, addr + at, buf, n))
			return false;
		s = (u8)(s + sum(buf, n));
	}
	return s == 0;
}

/*
 * \_S5 in the DSDT: NameOp, "_S5_", PackageOp, length, count, and the two
 * SLP_TYP values as small integers (ACPI "AML Grammar", "\_Sx System States").
 */
static bool aml_small_integer(const u8 **p, const u8 *end, u8 *v)
{
	if (*p >= end)
		return false;
	u8 op = *(*p)++;

	if (op <= 1) {
		*v = op;
		return true;
	}
	if (op != 0x0a || *p >= end)	/* BytePrefix */
		return false;
	*v = *(*p)++;
	return true;
}

static bool parse_s5(const u8 *p, const u8 *end, struct acpi_info *info)
{
	if (p + 7 > end || memcmp(p, "_S5_\x12", 5))
		return false;
	p += 5;
	p += 1 + (*p >> 6);		/* PkgLength: its top bits say how long it is */
	p += 1;				/* NumElements */
	return aml_small_integer(&p, end, &info->s5_typ_a) &&
	       aml_small_integer(&p, end, &info->s5_typ_b);
}

/* Overlapping chunks, so that the package lies wholly in one of them. */
static void find_s5(const struct acpi_reader *r, u64 dsdt, struct acpi_info *info)
{
	enum { S5_BYTES = 16 };
	struct acpi_header h;
	u8 buf[CHUNK];

	if (!table_valid(r, dsdt, &h) || memcmp(h.signature, "DSDT", 4))
		return;
	for (u32 at = sizeof(h); at < h.length; at += CHUNK - S5_BYTES) {
		size_t n = MIN((size_t)CHUNK, h.length - at);

		if (!get(r, dsdt + at, buf, n))
			return;
		for (size_t i = 0; i < n && !info->s5_known; i++)
			info->s5_known = parse_s5(buf + i, buf + n, info);
		if (info->s5_known)
			return;
	}
}

static u16 io_port(u32 old, const struct acpi_address *new)
{
	if (new->space == ACPI_SPACE_IO && new->address && new->address < 0x10000)
		return (u16)new->address;
	return old < 0x10000 ? (u16)old : 0;
}

static void parse_fadt(const struct acpi_reader *r, u64 addr, u32 length, struct acpi_info *info)
{
	struct acpi_fadt f;

	memset(&f, 0, sizeof(f));
	if (length < offsetof(struct acpi_fadt, reset_reg) - sizeof(u32) ||
	    !get(r, addr, &f, MIN(length, (u32)sizeof(f))))
		return;
	info->fadt = true;
	info->pm1a_cnt = io_port(f.pm1a_cnt, &f.x_pm1a_cnt);
	info->pm1b_cnt = io_port(f.pm1b_cnt, &f.x_pm1b_cnt);
	info->facs = f.x_facs ? f.x_facs : f.facs;
	if ((f.flags & ACPI_FADT_RESET_REG) && f.reset_reg.address) {
		info->has_reset = true;
		info->reset_space = f.reset_reg.space;
		info->reset_address = f.reset_reg.address;
		info->reset_value = f.reset_value;
	}
	find_s5(r, f.x_dsdt ? f.x_dsdt : f.dsdt, info);
}

static void add_cpu(struct acpi_info *info, u32 apic_id, u32 flags)
{
	if (!(flags & ACPI_MADT_ENABLED))
		return;
	if (info->cpus < ACPI_CPUS_MAX)
		info->apic_id[info->cpus++] = apic_id;
	else
		info->more_cpus = true;
}

static void parse_madt(const struct acpi_reader *r, u64 addr, u32 length, struct acpi_info *info)
{
	u32 at = sizeof(struct acpi_madt);
	struct acpi_madt_entry e;

	info->madt = true;
	info->madt_address = addr;
	for (; at + sizeof(e) <= length; at += e.length) {
		union {
			struct acpi_madt_lapic lapic;
			struct acpi_madt_x2apic x2apic;
		} u;

		if (!get(r, addr + at, &e, sizeof(e)) || e.length < sizeof(e) ||
		    e.length > length - at)
			return;
		memset(&u, 0, sizeof(u));
		if (!get(r, addr + at, &u, MIN((size_t)e.length, sizeof(u))))
			return;
		if (e.type == ACPI_MADT_LAPIC)
			add_cpu(info, u.lapic.apic_id, u.lapic.flags);
		else if (e.type == ACPI_MADT_X2APIC)
			add_cpu(info, u.x2apic.apic_id, u.x2apic.flags);
	}
}

static void parse_table(const struct acpi_reader *r, u64 addr, struct acpi_info *info)
{
	struct acpi_header h;

	if (!get(r, addr, &h, sizeof(h)))
		return;
	bool fadt = !memcmp(h.signature, "FACP", 4), madt = !memcmp(h.signature, "APIC", 4);

	if ((!fadt && !madt) || !table_valid(r, addr, &h))
		return;
	if (fadt && !info->fadt)
		parse_fadt(r, addr, h.length, info);
	if (madt && !info->madt)
		parse_madt(r, addr, h.length, info);
}

const char *acpi_parse(const struct acpi_reader *r, const void *rsdp, size_t size,
		       struct acpi_info *info)
{
	struct acpi_rsdp p;
	struct acpi_header root;

	*info = (struct acpi_info){ .fadt = false };
	memset(&p, 0, sizeof(p));
	memcpy(&p, rsdp, MIN(size, sizeof(p)));
	if (size < ACPI_RSDP_V1_SIZE || !rsdp_valid(&p))
		return "the ACPI root pointer is damaged";
	bool extended = p.revision >= 2 && size >= sizeof(p) && p.xsdt && !sum(&p, sizeof(p));
	u64 addr = extended ? p.xsdt : p.rsdt;
	u32 width = extended ? 8 : 4;

	if (!table_valid(r, addr, &root))
		return "the ACPI root table is damaged";
	u32 n = MIN((root.length - (u32)sizeof(root)) / width, (u32)TABLES_MAX);

	for (u32 i = 0; i < n; i++) {
		u64 table = 0;

		if (!get(r, addr + sizeof(root) + (u64)i * width, &table, width))
			return "the ACPI root table is damaged";
		parse_table(r, table, info);
	}
	if (!info->fadt)
		return "ACPI has no valid FADT";
	return NULL;
}
