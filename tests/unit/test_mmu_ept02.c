/*
 * ept02 is the composition of L1's EPT and ept01, also after both changed.
 */
#include "ept02_access.h"

static void composition(void **state)
{
	struct machine m;
	struct ept02 *root;
	struct l1 l;
	int seed, i;

	(void)state;
	for (seed = 0; seed < 128; seed++) {
		u64 eptp;

		build(&m, &l, seed);
		eptp = l1_ept(&l);
		for (i = 0; i < 1500; i++) {
			struct access a = random_access(&l);

			if (!pick(&m, 400))
				ept02_invalidate(&m.set, eptp);
			ept02_root(&m.set, role_of(&l, eptp), &root);
			one_access(&l, eptp, root, &a);
		}
		machine_end(&m);
	}
	for (i = 0; i <= EPT02_L0; i++)
		assert_true(seen[i] > 1000);
}

/* L1 changes entries and executes INVEPT; L0 takes memory away. */
static void changes_with_invept(void **state)
{
	struct machine m;
	struct ept02 *root;
	struct l1 l;
	int seed, i, k;

	(void)state;
	for (seed = 0; seed < 64; seed++) {
		u64 eptp;

		build(&m, &l, seed);
		eptp = l1_ept(&l);
		for (i = 0; i < 40; i++) {
			struct access a = random_access(&l);
			struct l1_meaning means = l1_means(&l, eptp, a.gpa);
			struct hw_walk cached;
			u64 stamp;

			ept02_root(&m.set, role_of(&l, eptp), &root);
			for (k = 0; k < 20; k++) {
				struct access other = random_access(&l);

				one_access(&l, eptp, root, k ? &other : &a);
			}
			stamp = root->stamp;
			cached = hw_walk(&m.vm, root->eptp, l.mbec, a.gpa);
			if (means.what == MEANS_PAGE && chance(&m, 2)) {
				u64 page = ALIGN_DOWN(means.gpa1, PAGE_SIZE);
				u32 perms = chance(&m, 2) ? 0 : EPT_R;

				assert_true(ept01_protect(&m.ept01, GPA1(page), perms));
				ept02_unmap_gpa1(&m.set, GPA1(page), PAGE_SIZE);
			} else if (means.what == MEANS_PAGE) {
				l1_write(&l, means.leaf_at, l1_leaf(&l, means.level));
				ept02_invalidate(&m.set, eptp);
			}
			/* What a processor may still hold is true, or it is told to forget. */
			if (cached.present && root->stamp == stamp)
				check_mapping(&l, eptp, a.gpa, &cached);
			for (k = 0; k < 20; k++) {
				if (k)
					a = random_access(&l);
				one_access(&l, eptp, root, &a);
			}
		}
		machine_end(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(composition),
		cmocka_unit_test(changes_with_invept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
