/* lib/format.c and lib/str.c. */
#include "lib/format.h"
#include "lib/str.h"
#include "unit.h"

#define FMT(expected, ...) do {						\
		char buf_[64];						\
		int n_ = lib_snprintf(buf_, sizeof(buf_), __VA_ARGS__);	\
		assert_string_equal(buf_, expected);			\
		assert_int_equal(n_, (int)strlen(expected));		\
	} while (0)

static void numbers(void **state)
{
	(void)state;
	FMT("0 -1 4294967295", "%d %i %u", 0, -1, -1u);
	FMT("-9223372036854775808", "%ld", INT64_MIN);
	FMT("18446744073709551615", "%lu", UINT64_MAX);
	FMT("dead BEEF 0x1f", "%x %X %#x", 0xdead, 0xbeef, 0x1f);
	FMT("ffffffffffffffff", "%llx", -1ll);
	FMT("7", "%zu", (size_t)7);
	FMT("0xffff800000000000", "%p", (void *)0xffff800000000000);
}

static void widths(void **state)
{
	(void)state;
	FMT("   42|42   |00042", "%5d|%-5d|%05d", 42, 42, 42);
	FMT("-0042|  -42", "%05d|%5d", -42, -42);
	FMT("0x001f", "%#06x", 0x1f);
	FMT("  042", "%5.3d", 42);
	FMT("   ab|ab   |ab", "%5s|%-5s|%.2s", "ab", "ab", "abc");
	FMT("abc|x", "%.*s|%c", 3, "abcdef", 'x');
}

static void odd(void **state)
{
	char buf[4];
	const char *volatile nothing = NULL;

	(void)state;
	FMT("100%", "100%%");
	FMT("(null)", "%s", nothing);
	assert_int_equal(lib_snprintf(buf, sizeof(buf), "%s", "abcdef"), 6);
	assert_string_equal(buf, "abc");
	assert_int_equal(lib_snprintf(NULL, 0, "%d", 123), 3);
	/* A format that ends in the middle must not be read beyond its end. */
	const char *volatile cut = "a%";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	assert_int_equal(lib_snprintf(buf, sizeof(buf), cut), 1);
#pragma GCC diagnostic pop
	assert_string_equal(buf, "a");
}

static void strings(void **state)
{
	char buf[4];
	const char *s = "  one two ", *word;
	size_t len;

	(void)state;
	assert_true(lib_starts_with("abc", "ab") && !lib_starts_with("a", "ab"));
	assert_true(lib_strcopy(buf, sizeof(buf), "abc"));
	assert_false(lib_strcopy(buf, sizeof(buf), "abcd"));
	assert_string_equal(buf, "abc");
	assert_true(lib_next_word(&s, &word, &len) && len == 3 && !memcmp(word, "one", 3));
	assert_true(lib_next_word(&s, &word, &len) && len == 3 && !memcmp(word, "two", 3));
	assert_false(lib_next_word(&s, &word, &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(widths),
		cmocka_unit_test(odd),
		cmocka_unit_test(strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
