/* lib/mem.S, assembled for the host under other names, against libc. */
#include "types.h"
#include "unit.h"

void *asm_memcpy(void *to, const void *from, size_t n);
void *asm_memmove(void *to, const void *from, size_t n);
void *asm_memset(void *to, int byte, size_t n);
int asm_memcmp(const void *a, const void *b, size_t n);

#define SIZE 80

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void fill(struct unit_random *r, u8 *p)
{
	for (int i = 0; i < SIZE; i++)
		p[i] = (u8)unit_random(r);
}

static void same_as_libc(void **state)
{
	struct unit_random r = { 4 };
	u8 a[SIZE], b[SIZE];

	(void)state;
	for (size_t to = 0; to < 24; to++)
		for (size_t from = 0; from < 24; from++)
			for (size_t n = 0; n < SIZE - 24; n++) {
				fill(&r, a);
				memcpy(b, a, SIZE);
				assert_ptr_equal(asm_memmove(a + to, a + from, n), a + to);
				memmove(b + to, b + from, n);
				assert_memory_equal(a, b, SIZE);
			}
	for (size_t n = 0; n < SIZE; n++) {
		fill(&r, a);
		memset(b, 0x5a, SIZE);
		assert_ptr_equal(asm_memcpy(b, a, n), b);
		assert_memory_equal(a, b, n);
		assert_true(n == SIZE || b[n] == 0x5a);
		assert_ptr_equal(asm_memset(b, (int)(n | 0xf00), n), b);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(b[i], n);
		assert_true(n == SIZE || b[n] == 0x5a);
	}
}

static void comparison(void **state)
{
	struct unit_random r = { 5 };
	u8 a[SIZE], b[SIZE];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t n = unit_random(&r) % SIZE;

		fill(&r, a);
		memcpy(b, a, SIZE);
		if (unit_random(&r) % 2)
			b[unit_random(&r) % SIZE] = (u8)unit_random(&r);
		assert_int_equal(sign(asm_memcmp(a, b, n)), sign(memcmp(a, b, n)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_libc), cmocka_unit_test(comparison),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
