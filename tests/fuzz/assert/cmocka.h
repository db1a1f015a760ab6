/*
 * The assertions of cmocka, for test headers that are used in a fuzzer: what
 * fails says where and ends the process, which the fuzzer takes for a crash.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define fail_msg(...) \
	(fprintf(stderr, "%s:%d: ", __FILE__, __LINE__), fprintf(stderr, __VA_ARGS__), \
	 fputc('\n', stderr), abort())

#define assert_true(c) ((c) ? (void)0 : fail_msg("not so: %s", #c))
#define assert_false(c) ((c) ? fail_msg("so: %s", #c) : (void)0)
#define assert_null(p) assert_true((p) == NULL)
#define assert_non_null(p) assert_true((p) != NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_string_equal(a, b) assert_true(!strcmp(a, b))
#define assert_memory_equal(a, b, n) assert_true(!memcmp(a, b, n))

#define assert_int_equal(a, b) \
	do { \
		uint64_t left_ = (uint64_t)(a), right_ = (uint64_t)(b); \
		if (left_ != right_) \
			fail_msg("%s is %#" PRIx64 ", %s is %#" PRIx64, #a, left_, #b, right_); \
	} while (0)
#define assert_int_not_equal(a, b) assert_true((uint64_t)(a) != (uint64_t)(b))
