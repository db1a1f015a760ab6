/*
 * A small vsnprintf: %s %c %d %i %u %x %X %p %% with flags '-', '0' and '#',
 * width and precision (numbers or '*'), and the sizes l, ll, z. Not for
 * floating point. Never writes beyond the buffer, never calls anything.
 */
#include "lib/format.h"

#include <stdbool.h>
#include <stdint.h>

struct out {
	char *buf;
	size_t size, len;
};

struct spec {
	bool left, zero, alternate, upper;
	int width, precision, longs;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void put_string(struct out *o, const struct spec *s, const char *str)
{
	int len = 0;

	if (!str)
		str = "(null)";
	while ((s->precision < 0 || len < s->precision) && str[len])
		len++;
	if (!s->left)
		pad(o, ' ', s->width - len);
	for (int i = 0; i < len; i++)
		put(o, str[i]);
	if (s->left)
		pad(o, ' ', s->width - len);
}

static void put_number(struct out *o, const struct spec *s, uint64_t v,
		       unsigned int base, bool negative)
{
	const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char tmp[24];
	int n = 0, extra = (negative ? 1 : 0) + (s->alternate ? 2 : 0);

	do {
		tmp[n++] = digits[v % base];
		v /= base;
	} while (v);
	int zeros = s->precision > n ? s->precision - n : 0;

	if (s->zero && !s->left && s->precision < 0 && s->width > n + extra)
		zeros = s->width - n - extra;
	if (!s->left)
		pad(o, ' ', s->width - n - extra - zeros);
	if (negative)
		put(o, '-');
	if (s->alternate) {
		put(o, '0');
		put(o, 'x');
	}
	pad(o, '0', zeros);
	for (int i = n; i > 0; i--)
		put(o, tmp[i - 1]);
	if (s->left)
		pad(o, ' ', s->width - n - extra - zeros);
}

static const char *parse_number(const char *f, int *v)
{
	for (*v = 0; *f >= '0' && *f <= '9'; f++)
		if (*v < 10000)
			*v = *v * 10 + (*f - '0');
	return f;
}

/* Flags and size; width and precision given as '*' come from the arguments. */
#define TAKE_INT(f, v, args) do {				\
		if (*(f) == '*') {				\
			(v) = va_arg(args, int);		\
			(f)++;					\
		} else {					\
			(f) = parse_number(f, &(v));		\
		}						\
	} while (0)

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		if (*f == '-')
			s->left = true;
		else if (*f == '0')
			s->zero = true;
		else if (*f == '#')
			s->alternate = true;
		else
			return f;
	}
}

static const char *parse_size(const char *f, struct spec *s)
{
	for (; *f == 'l' || *f == 'z'; f++)
		s->longs++;
	return f;
}

#define TAKE_ARG(s, args, type) \
	((s)->longs ? va_arg(args, type long long) : va_arg(args, type int))

static void put_signed(struct out *o, const struct spec *s, int64_t v)
{
	put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0);
}

/* A va_list that functions can share (SysV passes the type itself by reference). */
struct args {
	va_list list;
};

static void convert(struct out *o, struct spec *s, char conversion, struct args *a)
{
	switch (conversion) {
	case 's':
		put_string(o, s, va_arg(a->list, const char *));
		break;
	case 'c':
		put(o, (char)va_arg(a->list, int));
		break;
	case 'd':
	case 'i':
		put_signed(o, s, TAKE_ARG(s, a->list, signed));
		break;
	case 'u':
		put_number(o, s, TAKE_ARG(s, a->list, unsigned), 10, false);
		break;
	case 'p':
		s->alternate = true;
		put_number(o, s, (uintptr_t)va_arg(a->list, void *), 16, false);
		break;
	case 'X':
	case 'x':
		s->upper = conversion == 'X';
		put_number(o, s, TAKE_ARG(s, a->list, unsigned), 16, false);
		break;
	default:
		put(o, conversion);
	}
}

int lib_vsnprintf(char *buf, size_t size, const char *f, va_list list)
{
	struct out o = { buf, size, 0 };
	struct args a;

	va_copy(a.list, list);
	while (*f) {
		struct spec s = { .precision = -1 };

		if (*f != '%') {
			put(&o, *f++);
			continue;
		}
		f = parse_flags(f + 1, &s);
		TAKE_INT(f, s.width, a.list);
		if (*f == '.') {
			f++;
			TAKE_INT(f, s.precision, a.list);
		}
		f = parse_size(f, &s);
		if (*f)
			convert(&o, &s, *f++, &a);
	}
	va_end(a.list);
	if (size)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (int)o.len;
}

int lib_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	int n = lib_vsnprintf(buf, size, fmt, args);

	va_end(args);
	return n;
}
