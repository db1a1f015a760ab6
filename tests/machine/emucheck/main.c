/*
 * Checks the emulator itself, before anything is concluded from other tests: signed and unsigned
 * division, multiplication, shifts and flags, against values computed by hand. Not a hypervisor
 * and never run under one. Bochs 3.1 fails here: its IDIV says that -7 / 2 is 1.
 * SDM: IDIV, DIV, IMUL, SAR/SHL/SHR, SHLD, RCL, ADC, SBB, BSR, in the instruction reference.
 */
#include "cpu.h"

#define CF	0x001u
#define ZF	0x040u
#define SF	0x080u
#define OF	0x800u

struct division {
	u64 high, low, divisor;
	u64 quotient, remainder;
};

static const struct division signed_rows[] = {
	{ -1ull, -7ull, 2, -3ull, -1ull },
	{ 0, 7, -2ull, -3ull, 1 },
	{ -1ull, -7ull, -2ull, 3, -1ull },
	{ 0, 7, 2, 3, 1 },
	{ -1ull, 0x8000000000000000, 1, 0x8000000000000000, 0 },
	{ 0x123, 0x456789abcdef0123, 0x1000000000, 0x123456789a, 0xbcdef0123 },
	{ -1ull, -1000000007ull, 10, -100000000ull, -7ull },
};

static const struct division unsigned_rows[] = {
	{ 0, 7, 2, 3, 1 },
	{ 0, -7ull, 2, 0x7ffffffffffffffc, 1 },
	{ 1, 0, 3, 0x5555555555555555, 1 },
	{ 0x7fffffffffffffff, -1ull, 0x8000000000000000, -1ull, 0x7fffffffffffffff },
};

static void divisions(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(signed_rows); i++) {
		const struct division *r = &signed_rows[i];
		u64 low = r->low, high = r->high;

		asm volatile("idivq %2" : "+a" (low), "+d" (high) : "r" (r->divisor) : "cc");
		print("IDIV %u: %s\n", i,
		      low == r->quotient && high == r->remainder ? "right" : "WRONG");
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(unsigned_rows); i++) {
		const struct division *r = &unsigned_rows[i];
		u64 low = r->low, high = r->high;

		asm volatile("divq %2" : "+a" (low), "+d" (high) : "r" (r->divisor) : "cc");
		print("DIV %u: %s\n", i,
		      low == r->quotient && high == r->remainder ? "right" : "WRONG");
	}
	int quotient = -7, remainder = -1;

	asm volatile("idivl %2" : "+a" (quotient), "+d" (remainder) : "r" (2) : "cc");
	print("IDIV 32 bits: %s\n", quotient == -3 && remainder == -1 ? "right" : "WRONG");
	trap_rax = 1;
	trap_rdx = 2;
	TRY("divq %[two]", [two] "r" (2ull));
	print("DIV overflow: %s\n", fault_text());
	trap_rax = 0x8000000000000000;
	trap_rdx = -1ull;
	TRY("idivq %[minus]", [minus] "r" (-1ull));
	print("IDIV overflow: %s\n", fault_text());
}

#define CASE(name, insn, before, carry, want, flags, mask) do {			\
	u64 value = (before), seen;						\
	asm volatile("btq $0, %2\n\t" insn "\n\tpushfq\n\tpopq %1"		\
		     : "+a" (value), "=&r" (seen) : "r" ((u64)(carry)) : "cc", "rcx");	\
	print("%s: %s\n", name,							\
	      value == (u64)(want) && (seen & (mask)) == (flags) ? "right" : "WRONG");	\
} while (0)

static void shifts_and_flags(void)
{
	CASE("SAR", "sarq $3, %%rax", -7, 0, -1, SF, CF | SF | ZF);
	CASE("SHR", "shrq $1, %%rax", -7, 0, 0x7ffffffffffffffc, CF | OF, CF | SF | ZF | OF);
	CASE("SHL", "shlq $1, %%rax", 0x8000000000000001, 0, 2, CF | OF, CF | SF | ZF | OF);
	CASE("SHL by CL above 63", "movb $65, %%cl\n\tshlq %%cl, %%rax", 3, 0, 6, 0, CF | SF | ZF);
	CASE("SHLD", "movq $-1, %%rcx\n\tshldq $4, %%rcx, %%rax", 0x10, 0, 0x10f, 0, CF | SF | ZF);
	CASE("RCL", "rclq $1, %%rax", 1, 1, 3, 0, CF);
	CASE("ADC", "adcq $0, %%rax", -1, 1, 0, CF | ZF, CF | ZF | SF | OF);
	CASE("SBB", "sbbq $0, %%rax", 0x8000000000000000, 1, 0x7fffffffffffffff, OF,
	     CF | ZF | SF | OF);
	CASE("ADD to overflow", "addq $1, %%rax", 0x7fffffffffffffff, 0, 0x8000000000000000,
	     SF | OF, CF | ZF | SF | OF);
	CASE("NEG", "negq %%rax", 7, 0, -7, CF | SF, CF | ZF | SF | OF);
	CASE("IMUL", "imulq $-3, %%rax, %%rax", 7, 0, -21, 0, CF | OF);
	CASE("IMUL to overflow", "imulq %%rax, %%rax", 0x100000000, 0, 0, CF | OF, CF | OF);
	CASE("BSR", "bsrq %%rax, %%rax", 0x4000000001, 0, 38, 0, ZF);
	CASE("BSWAP", "bswapq %%rax", 0x0102030405060708, 0, 0x0807060504030201, 0, 0);
	CASE("MUL high", "movq $-1, %%rcx\n\tpushq %%rdx\n\tmulq %%rcx\n\tmovq %%rdx, %%rax\n\t"
	     "popq %%rdx", -1, 0, -2, CF | OF, CF | OF);
}

int main(void)
{
	divisions();
	shifts_and_flags();
	return 0;
}
