/*
 * Output on port 0xE9 and the end of the machine. A small printf: %s %c %d %u %x with l, width,
 * leading zeros and '#'. No buffer and no state: what was printed is on the console.
 */
#include <stdarg.h>

#include "cpu.h"

void put_char(char c)
{
	outb(0xe9, (u8)c);
}

static void put_number(u64 value, unsigned int base, unsigned int width, char pad)
{
	char text[24];
	unsigned int n = 0;

	do {
		text[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (width > n) {
		put_char(pad);
		width--;
	}
	while (n)
		put_char(text[--n]);
}

static const char *put_one(const char *f, va_list *args)
{
	unsigned int width = 0;
	bool is_long = false, prefix = false;
	char pad = ' ';
	u64 value;
	const char *s;

	if (*f == '#') {
		prefix = true;
		f++;
	}
	if (*f == '0') {
		pad = '0';
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		width = width * 10 + (unsigned int)(*f - '0');
	for (; *f == 'l'; f++)
		is_long = true;
	switch (*f) {
	case 's':
		for (s = va_arg(*args, const char *); *s; s++)
			put_char(*s);
		return f;
	case 'c':
		put_char((char)va_arg(*args, int));
		return f;
	case 'd':
		value = is_long ? va_arg(*args, u64) : (u64)va_arg(*args, int);
		if ((int64_t)value < 0) {
			put_char('-');
			value = -value;
		}
		put_number(value, 10, width, pad);
		return f;
	case 'u':
	case 'x':
		value = is_long ? va_arg(*args, u64) : va_arg(*args, u32);
		if (prefix && value) {
			put_char('0');
			put_char('x');
		}
		put_number(value, *f == 'u' ? 10 : 16, width, pad);
		return f;
	default:
		put_char(*f);
		return f;
	}
}

static void print_list(const char *format, va_list *args)
{
	for (; *format; format++) {
		if (*format == '%')
			format = put_one(format + 1, args);
		else
			put_char(*format);
	}
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_list(format, &args);
	va_end(args);
}

void figure(const char *name, u64 value)
{
	print("# figure %s %lu\n", name, value);
}

void shut_down(void)
{
	for (const char *s = "Shutdown"; *s; s++)
		outb(0x8900, (u8)*s);
	for (;;)
		asm volatile("cli; hlt");
}

void die(const char *format, ...)
{
	va_list args;

	print("FAILED: ");
	va_start(args, format);
	print_list(format, &args);
	va_end(args);
	print("\n");
	shut_down();
}
