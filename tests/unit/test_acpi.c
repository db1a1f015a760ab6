/* vm/acpi.c on tables made here, good and damaged. */
#include "acpi_tables.h"
#include "unit.h"
#include "vm/acpi.h"

#define MEMORY 0x100000
#define RSDT 0xe1000
#define XSDT 0xe1100
#define FADT 0xe2000
#define MADT 0xe3000
#define DSDT 0xe4000

static u8 *memory;
static struct acpi_info info;

static bool read_memory(void *context, u64 addr, void *buf, size_t len)
{
	(void)context;
	if (addr > MEMORY || len > MEMORY - addr)
		return false;
	memcpy(buf, memory + addr, len);
	return true;
}

static const struct acpi_reader reader = { read_memory, NULL };

static u8 checksum(const void *p, size_t n)
{
	const u8 *b = p;
	u8 s = 0;

	while (n--)
		s = (u8)(s - *b++);
	return s;
}

static void seal(u64 at, const char *signature, u32 length)
{
	struct acpi_header *h = (void *)(memory + at);

	memcpy(h->signature, signature, 4);
	h->length = length;
	h->checksum = 0;
	h->checksum = checksum(h, length);
}

static struct acpi_rsdp rsdp(u8 revision)
{
	struct acpi_rsdp p = {
		.revision = revision, .rsdt = RSDT, .length = sizeof(p), .xsdt = XSDT,
	};

	memcpy(p.signature, ACPI_RSDP_SIGNATURE, 8);
	p.checksum = checksum(&p, ACPI_RSDP_V1_SIZE);
	p.extended_checksum = checksum(&p, sizeof(p));
	return p;
}

static struct acpi_fadt *fadt(void)
{
	return (void *)(memory + FADT);
}

static void put_madt(void)
{
	static const u8 entries[] = {
		0, 8, 0, 3, 1, 0, 0, 0,			/* LAPIC 3, enabled */
		1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,	/* an I/O APIC */
		0, 8, 1, 4, 0, 0, 0, 0,			/* LAPIC 4, disabled */
		9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,	/* x2APIC 256 */
	};

	memcpy(memory + MADT + sizeof(struct acpi_madt), entries, sizeof(entries));
	seal(MADT, "APIC", sizeof(struct acpi_madt) + sizeof(entries));
}

static const u8 aml_s5[] = {
	0x08, '_', 'S', '4', '_', 0x12, 0x06, 0x04, 0x0a, 6, 0x0a, 6, 0, 0,
	0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x01, 0, 0,
};

static void put_tables(void)
{
	const u32 table[] = { DSDT, FADT, MADT };
	const u64 wide[] = { FADT, MADT };

	memset(memory, 0, MEMORY);
	memcpy(memory + RSDT + sizeof(struct acpi_header), table, sizeof(table));
	seal(RSDT, "RSDT", sizeof(struct acpi_header) + sizeof(table));
	memcpy(memory + XSDT + sizeof(struct acpi_header), wide, sizeof(wide));
	seal(XSDT, "XSDT", sizeof(struct acpi_header) + sizeof(wide));
	memcpy(memory + DSDT + 700, aml_s5, sizeof(aml_s5));
	seal(DSDT, "DSDT", 1000);
	fadt()->dsdt = DSDT;
	fadt()->facs = 0xf000;
	fadt()->pm1a_cnt = 0xb004;
	fadt()->flags = ACPI_FADT_RESET_REG;
	fadt()->reset_reg = (struct acpi_address){ .space = ACPI_SPACE_IO, .address = 0xcf9 };
	fadt()->reset_value = 6;
	seal(FADT, "FACP", sizeof(struct acpi_fadt));
	put_madt();
}

static const char *parse(u8 revision)
{
	struct acpi_rsdp p = rsdp(revision);

	return acpi_parse(&reader, &p, revision ? sizeof(p) : ACPI_RSDP_V1_SIZE, &info);
}

static void good(void **state)
{
	(void)state;
	for (u8 revision = 0; revision <= 2; revision += 2) {
		put_tables();
		assert_null(parse(revision));
		assert_true(info.fadt && info.madt && info.s5_known && info.has_reset);
		assert_int_equal(info.pm1a_cnt, 0xb004);
		assert_int_equal(info.pm1b_cnt, 0);
		assert_int_equal(info.s5_typ_a, 5);
		assert_int_equal(info.s5_typ_b, 1);
		assert_int_equal(info.reset_address, 0xcf9);
		assert_int_equal(info.reset_value, 6);
		assert_int_equal(info.facs, 0xf000);
		assert_int_equal(info.cpus, 2);
		assert_int_equal(info.apic_id[0], 3);
		assert_int_equal(info.apic_id[1], 256);
		assert_false(info.more_cpus);
		assert_int_equal(info.madt_address, MADT);
	}
}

static void extended_addresses_win(void **state)
{
	(void)state;
	put_tables();
	fadt()->x_pm1a_cnt = (struct acpi_address){ .space = ACPI_SPACE_IO, .address = 0x1804 };
	fadt()->x_pm1b_cnt = (struct acpi_address){ .space = ACPI_SPACE_MEMORY, .address = 0x1234 };
	fadt()->pm1b_cnt = 0x12345;		/* no port */
	fadt()->x_facs = 0x123456789a;
	seal(FADT, "FACP", sizeof(struct acpi_fadt));
	assert_null(parse(0));
	assert_int_equal(info.pm1a_cnt, 0x1804);
	assert_int_equal(info.pm1b_cnt, 0);
	assert_int_equal(info.facs, 0x123456789a);
}

/* ACPI 1.0's table ends before the reset register. */
static void short_fadt(void **state)
{
	(void)state;
	put_tables();
	seal(FADT, "FACP", 116);
	assert_null(parse(0));
	assert_int_equal(info.pm1a_cnt, 0xb004);
	assert_false(info.has_reset);
	assert_true(info.s5_known);
	seal(FADT, "FACP", 60);
	assert_string_equal(parse(0), "ACPI has no valid FADT");
}

static void damaged(void **state)
{
	struct acpi_rsdp p = rsdp(0);

	(void)state;
	put_tables();
	p.oem_id[0]++;
	assert_string_equal(acpi_parse(&reader, &p, sizeof(p), &info),
			    "the ACPI root pointer is damaged");
	assert_string_equal(acpi_parse(&reader, &p, 5, &info), "the ACPI root pointer is damaged");
	memory[RSDT + 10]++;
	assert_string_equal(parse(0), "the ACPI root table is damaged");
	put_tables();
	memory[FADT + 100]++;
	assert_string_equal(parse(0), "ACPI has no valid FADT");
	assert_true(info.madt);
	put_tables();
	memory[MADT + 50]++;
	assert_null(parse(0));
	assert_int_equal(info.cpus, 0);
	put_tables();
	memory[DSDT + 100]++;
	assert_null(parse(0));
	assert_false(info.s5_known);
}

/* Each is listed, or it is said that some are not. */
static void many_cpus(void **state)
{
	(void)state;
	for (u32 n = ACPI_CPUS_MAX; n <= ACPI_CPUS_MAX + 1; n++) {
		put_tables();
		for (u32 i = 0; i < n; i++)
			memcpy(memory + MADT + sizeof(struct acpi_madt) + i * 8,
			       &(struct acpi_madt_lapic){ { ACPI_MADT_LAPIC, 8 }, 0, (u8)i, 1 }, 8);
		seal(MADT, "APIC", (u32)sizeof(struct acpi_madt) + n * 8);
		assert_null(parse(0));
		assert_int_equal(info.cpus, ACPI_CPUS_MAX);
		assert_int_equal(info.more_cpus, n > ACPI_CPUS_MAX);
	}
}

static void finding(void **state)
{
	struct acpi_rsdp p = rsdp(0);

	(void)state;
	put_tables();
	assert_int_equal(acpi_find_rsdp(&reader), 0);
	memcpy(memory + 0xfa370, &p, sizeof(p));
	assert_int_equal(acpi_find_rsdp(&reader), 0xfa370);
	memory[0x40e] = 0xc0;			/* the EBDA, at 0x9fc00, comes first */
	memory[0x40f] = 0x9f;
	memcpy(memory + 0x9fc40, &p, sizeof(p));
	assert_int_equal(acpi_find_rsdp(&reader), 0x9fc40);
	memory[0x9fc41]++;
	assert_int_equal(acpi_find_rsdp(&reader), 0xfa370);
}

/* Damage with correct checksums: lengths and addresses are what may go wrong. */
static void hostile(void **state)
{
	static const u64 table[] = { RSDT, FADT, MADT, DSDT };
	struct unit_random r = { 6 };

	(void)state;
	for (int i = 0; i < 20000; i++) {
		put_tables();
		for (int n = 0; n < 6; n++) {
			u64 t = table[unit_random(&r) % ARRAY_SIZE(table)];
			struct acpi_header *h = (void *)(memory + t);
			u64 at = 36 + unit_random(&r) % (h->length - 36);

			memory[t + at] = (u8)unit_random(&r);
			h->checksum = (u8)(h->checksum + checksum(h, h->length));
		}
		parse(0);
		assert_true(info.cpus <= ACPI_CPUS_MAX);
	}
}

static int start(void **state)
{
	(void)state;
	memory = malloc(MEMORY);
	return memory == NULL;
}

static int end(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good), cmocka_unit_test(extended_addresses_win),
		cmocka_unit_test(short_fadt), cmocka_unit_test(damaged),
		cmocka_unit_test(many_cpus), cmocka_unit_test(finding),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, start, end);
}
