/* See console.h. Collects a line, then gives it to each output at once. */
#include "debug/console.h"

#include <stdarg.h>

#include "cpu/lock.h"
#include "debug/console_ports.h"
#include "lib/format.h"
#include "lib/str.h"

#define LINE_MAX 1280
#define LABEL_MAX 16

static struct {
	struct cpu_lock lock;
	u32 outputs;
	bool broken, quiet;
	char label[LABEL_MAX];
	char line[LINE_MAX];
	size_t len;
} con;

void con_init(u32 outputs, const char *label)
{
	if (outputs & CON_DEFAULT)
		outputs = CON_COM1 | (con_e9_present() ? CON_E9 : 0);
	if ((outputs & CON_COM1) && !con_uart_init())
		outputs &= ~CON_COM1;
	con.outputs = outputs;
	lib_strcopy(con.label, sizeof(con.label), label);
}

void con_also(u32 outputs)
{
	con.outputs |= outputs;
}

static void start_line(void)
{
	con.len = (size_t)lib_snprintf(con.line, sizeof(con.line), "%s| ", con.label);
}

static void write_line(void)
{
	con.line[con.len++] = '\r';
	con.line[con.len++] = '\n';
	if (con.outputs & CON_COM1)
		con_uart_write(con.line, con.len);
	con.line[con.len - 2] = '\n';
	if (con.outputs & CON_E9)
		con_e9_write(con.line, con.len - 1);
	if (con.outputs & CON_VGA)
		con_vga_write(con.line, con.len - 1);
	con.len = 0;
}

static void put(char c)
{
	if (con.len == 0)
		start_line();
	if (c == '\n')
		write_line();
	else if (con.len < LINE_MAX - 2)
		con.line[con.len++] = c;
}

static void print(const char *fmt, va_list args)
{
	char text[LINE_MAX];

	lib_vsnprintf(text, sizeof(text), fmt, args);
	if (!con.broken)
		cpu_lock(&con.lock);
	for (const char *s = text; *s; s++)
		put(*s);
	if (!con.broken)
		cpu_unlock(&con.lock);
}

void con_printf(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print(fmt, args);
	va_end(args);
}

void con_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (!con.quiet)
		print(fmt, args);
	va_end(args);
}

void con_set_quiet(bool quiet)
{
	con.quiet = quiet;
}

void con_break_lock(void)
{
	con.broken = true;
	if (con.len)
		put('\n');
}
