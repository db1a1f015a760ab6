/* boot/options.c. */
#include "boot/options.h"
#include "debug/console.h"
#include "unit.h"

static struct boot_options o;
static const char *complaint;
static size_t complaint_len;

static void parse(const char *line)
{
	boot_options_parse(line, &o, &complaint, &complaint_len);
}

static void defaults(void **state)
{
	(void)state;
	parse("");
	assert_int_equal(o.outputs, CON_DEFAULT);
	assert_string_equal(o.label, "L0");
	assert_false(o.quiet || o.explain || o.check_all);
	assert_true(o.nested_shadow && o.nested_ept && o.nested_ibpb && o.probe);
	assert_false(o.nested_ept5);
	assert_int_equal(o.cpus, UINT32_MAX);
	assert_null(complaint);
}

static void all(void **state)
{
	(void)state;
	parse(" console=e9,vga label=L1  quiet explain nested.shadow=off nested.ept=off "
	      "nested.ibpb=off probe=off nested.checks=all nested.ept5=always");
	assert_int_equal(o.outputs, CON_E9 | CON_VGA);
	assert_string_equal(o.label, "L1");
	assert_true(o.quiet && o.explain && o.check_all && o.nested_ept5);
	assert_false(o.nested_shadow || o.nested_ept || o.nested_ibpb || o.probe);
	assert_null(complaint);
	parse("cpus=12");
	assert_int_equal(o.cpus, 12);
	parse("console=com1");
	assert_int_equal(o.outputs, CON_COM1);
	parse("console=");
	assert_int_equal(o.outputs, 0);
	assert_null(complaint);
}

static void complain(const char *line, const char *word)
{
	parse(line);
	assert_non_null(complaint);
	assert_int_equal(complaint_len, strlen(word));
	assert_memory_equal(complaint, word, complaint_len);
}

/* The first bad word is named, and the rest of the line still counts. */
static void bad(void **state)
{
	(void)state;
	complain("quieter quiet", "quieter");
	assert_true(o.quiet);
	complain("console=e9,lpt1 foo", "console=e9,lpt1");
	assert_int_equal(o.outputs, CON_DEFAULT);
	complain("cpus=0", "cpus=0");
	complain("cpus=", "cpus=");
	complain("cpus=4294967296", "cpus=4294967296");
	complain("cpus=-1", "cpus=-1");
	assert_int_equal(o.cpus, UINT32_MAX);
	complain("label=", "label=");
	complain("label=0123456789abcdef", "label=0123456789abcdef");
	assert_string_equal(o.label, "L0");
	complain("nested.shadow=maybe", "nested.shadow=maybe");
	complain("qui", "qui");
}

static void what_is_said_to_be_known_is(void **state)
{
	(void)state;
	parse(boot_options_known);
	assert_null(complaint);
	assert_string_equal(o.label, "NAME");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults), cmocka_unit_test(all), cmocka_unit_test(bad),
		cmocka_unit_test(what_is_said_to_be_known_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
