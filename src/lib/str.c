/* See str.h. */
#include "lib/str.h"

size_t lib_strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

size_t lib_strlen(const char *s)
{
	return lib_strnlen(s, SIZE_MAX);
}

bool lib_starts_with(const char *s, const char *prefix)
{
	for (; *prefix; prefix++, s++)
		if (*s != *prefix)
			return false;
	return true;
}

bool lib_strcopy(char *to, size_t size, const char *from)
{
	size_t i = 0;

	for (; i + 1 < size && from[i]; i++)
		to[i] = from[i];
	to[i] = '\0';
	return !from[i];
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

bool lib_next_word(const char **s, const char **word, size_t *len)
{
	const char *p = *s;

	while (is_space(*p))
		p++;
	*word = p;
	while (*p && !is_space(*p))
		p++;
	*len = (size_t)(p - *word);
	*s = p;
	return *len != 0;
}
