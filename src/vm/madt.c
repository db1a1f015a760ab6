/*
 * See madt.h. ACPI "Multiple APIC Description Table". The table's length and
 * checksum were verified by acpi.c; its entries are not trusted.
 */
#include "vm/madt.h"

#include <string.h>

#include "acpi_tables.h"

#define FLAGS_USABLE (ACPI_MADT_ENABLED | ACPI_MADT_ONLINE_CAPABLE)

static bool is_among(u32 one, const u32 *apic_id, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (apic_id[i] == one)
			return true;
	return false;
}

/* The flags of an entry for another CPU than these, or NULL. */
static u8 *flags_of_other(struct acpi_madt_entry *e, const u32 *apic_id, u32 n)
{
	struct acpi_madt_lapic *lapic = (void *)e;
	struct acpi_madt_x2apic *x2apic = (void *)e;

	if (e->type == ACPI_MADT_LAPIC && e->length >= sizeof(*lapic) &&
	    !is_among(lapic->apic_id, apic_id, n))
		return (u8 *)&lapic->flags;
	if (e->type == ACPI_MADT_X2APIC && e->length >= sizeof(*x2apic) &&
	    !is_among(x2apic->apic_id, apic_id, n))
		return (u8 *)&x2apic->flags;
	return NULL;
}

/* Writes and reads back; both flags are in the first byte. */
static bool clear(volatile u8 *flags, volatile u8 *checksum)
{
	u8 old = *flags, new = old & (u8)~FLAGS_USABLE, sum = (u8)(*checksum + (old - new));

	if (old == new)
		return true;
	*flags = new;
	*checksum = sum;
	return *flags == new && *checksum == sum;
}

bool madt_keep_cpus(void *madt, const u32 *apic_id, u32 n)
{
	struct acpi_madt *m = madt;
	u32 length = m->header.length, at = sizeof(*m);
	bool kept = true;

	while (at + sizeof(struct acpi_madt_entry) <= length) {
		struct acpi_madt_entry *e = (void *)((u8 *)madt + at);
		u8 *flags;

		if (e->length < sizeof(*e) || e->length > length - at)
			break;
		flags = flags_of_other(e, apic_id, n);
		if (flags)
			kept &= clear(flags, &m->header.checksum);
		at += e->length;
	}
	return kept;
}
