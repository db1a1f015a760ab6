/*
 * A fuzzer's input as a stream of decisions. Where the input is at its end all
 * further bytes are 0, so that every prefix of an input is an input.
 */
#pragma once

#include "types.h"

struct fuzz_input {
	const u8 *at;
	size_t left;
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static inline u64 fuzz_bytes(struct fuzz_input *in, unsigned n)
{
	u64 v = 0;

	for (unsigned i = 0; i < n && in->left; i++, in->left--)
		v |= (u64)*in->at++ << (8 * i);
	return v;
}

static inline u8 fuzz_u8(struct fuzz_input *in)
{
	return (u8)fuzz_bytes(in, 1);
}

static inline bool fuzz_flip(struct fuzz_input *in)
{
	return fuzz_u8(in) & 1;
}

/* A number below n, of as few bytes as that takes. */
static inline u32 fuzz_below(struct fuzz_input *in, u32 n)
{
	return (u32)fuzz_bytes(in, n <= 0x100 ? 1 : n <= 0x10000 ? 2 : 4) % n;
}

/* Whatever fits, in less bytes where it is one of the numbers at which rules change. */
static inline u64 fuzz_value(struct fuzz_input *in)
{
	u8 how = fuzz_u8(in), bit = how & 63;

	switch (how >> 6) {
	case 0:
		return BIT(bit);
	case 1:
		return ~0ull << bit;
	case 2:
		return fuzz_bytes(in, bit & 1 ? 2 : 1) << (bit & 2 ? 12 : 0);
	default:
		return fuzz_bytes(in, bit & 1 ? 8 : 4);
	}
}
