/*
 * Basic types. Addresses of different levels are different types, so that
 * mixing levels does not compile; .v is the number, in bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

typedef struct { u64 v; } gva_t;	/* linear address of whichever guest runs */
typedef struct { u64 v; } gpa1_t;	/* physical address as L1 sees it */
typedef struct { u64 v; } gpa2_t;	/* physical address as L2 sees it */
typedef struct { u64 v; } hpa_t;	/* physical address of the machine */

#define GVA(x) ((gva_t){ (x) })
#define GPA1(x) ((gpa1_t){ (x) })
#define GPA2(x) ((gpa2_t){ (x) })
#define HPA(x) ((hpa_t){ (x) })

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ull
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define SZ_2M (1ull << 21)
#define SZ_1G (1ull << 30)

#define BIT(n) (1ull << (n))
#define BIT32(n) ((u32)1 << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a) (((x) + ((a) - 1)) & ~((a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((a) - 1))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define always_inline inline __attribute__((always_inline))
