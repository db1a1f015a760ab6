/* See options.h. */
#include "boot/options.h"

#include "debug/console.h"
#include "lib/str.h"

/* The rest of a word after its prefix, or NULL. */
static const char *after(const char *word, size_t len, const char *prefix, size_t *rest)
{
	size_t n = lib_strlen(prefix);

	if (len < n || !lib_starts_with(word, prefix))
		return NULL;
	*rest = len - n;
	return word + n;
}

static bool is(const char *word, size_t len, const char *what)
{
	size_t rest;

	return after(word, len, what, &rest) && rest == 0;
}

/* "e9,com1,vga": any of them. */
static bool parse_outputs(const char *v, size_t len, u32 *outputs)
{
	u32 result = 0;

	while (len) {
		size_t n = 0;

		while (n < len && v[n] != ',')
			n++;
		if (is(v, n, "e9"))
			result |= CON_E9;
		else if (is(v, n, "com1"))
			result |= CON_COM1;
		else if (is(v, n, "vga"))
			result |= CON_VGA;
		else
			return false;
		if (n < len)
			n++;
		v += n;
		len -= n;
	}
	*outputs = result;
	return true;
}

static bool parse_label(const char *v, size_t len, char *label)
{
	if (len == 0 || len >= BOOT_LABEL_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		label[i] = v[i];
	label[len] = '\0';
	return true;
}

/* word, member of struct boot_options, its value */
#define FLAGS(X)						\
	X("quiet", quiet, true)					\
	X("explain", explain, true)				\
	X("probe=off", probe, false)				\
	X("probe=on", probe, true)				\
	X("nested.shadow=off", nested_shadow, false)		\
	X("nested.shadow=on", nested_shadow, true)		\
	X("nested.ibpb=off", nested_ibpb, false)		\
	X("nested.ibpb=on", nested_ibpb, true)			\
	X("nested.checks=all", check_all, true)			\
	X("nested.checks=hardware", check_all, false)		\
	X("nested.ept=off", nested_ept, false)			\
	X("nested.ept=on", nested_ept, true)			\
	X("nested.ept5=always", nested_ept5, true)		\
	X("nested.ept5=hardware", nested_ept5, false)

#define KNOWN(word, member, value) " " word
const char boot_options_known[] = "console=e9,com1,vga label=NAME cpus=1" FLAGS(KNOWN);

/* A decimal number from 1 on. */
static bool parse_number(const char *v, size_t len, u32 *number)
{
	u32 n = 0;

	for (size_t i = 0; i < len; i++) {
		if (v[i] < '0' || v[i] > '9' || n > (UINT32_MAX - 9) / 10)
			return false;
		n = n * 10 + (u32)(v[i] - '0');
	}
	if (!n)
		return false;
	*number = n;
	return true;
}

static bool parse_flag(const char *w, size_t len, struct boot_options *o)
{
#define FLAG(text, member, given) { text, &o->member, given },
	const struct { const char *word; bool *flag, value; } flags[] = { FLAGS(FLAG) };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (!is(w, len, flags[i].word))
			continue;
		*flags[i].flag = flags[i].value;
		return true;
	}
	return false;
}

static bool parse_word(const char *w, size_t len, struct boot_options *o)
{
	const char *v;
	size_t n;

	v = after(w, len, "console=", &n);
	if (v)
		return parse_outputs(v, n, &o->outputs);
	v = after(w, len, "label=", &n);
	if (v)
		return parse_label(v, n, o->label);
	v = after(w, len, "cpus=", &n);
	if (v)
		return parse_number(v, n, &o->cpus);
	return parse_flag(w, len, o);
}

void boot_options_parse(const char *cmdline, struct boot_options *o,
			const char **complaint, size_t *complaint_len)
{
	const char *word;
	size_t len;

	*o = (struct boot_options){
		.outputs = CON_DEFAULT, .label = "L0", .probe = true,
		.nested_shadow = true, .nested_ept = true, .nested_ibpb = true,
		.cpus = UINT32_MAX,
	};
	*complaint = NULL;
	while (lib_next_word(&cmdline, &word, &len))
		if (!parse_word(word, len, o) && !*complaint) {
			*complaint = word;
			*complaint_len = len;
		}
}
