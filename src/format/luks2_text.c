/* SPDX-License-Identifier: MIT */
/* The text of a LUKS2 JSON area before and besides json-c (LUKS2 on-disk-format 1.1.2, section 3): its size, depth, number of
 * values and length of strings are capped before anything is allocated for it. And the base64 in which salts and
 * digests are written. */
#include "format/luks_parts.h"

#include <string.h>

enum {
	MAX_VALUES = 8192, /* a full header has about 1,500 */
	MAX_STRING = 256 << 10,
};

size_t luks2_measure(const char *p, size_t n, struct err *why)
{
	size_t depth = 0, values = 0, string = 0;
	bool in_string = false;

	for (size_t i = 0; i < n && p[i]; i++) {
		if (in_string) {
			if (p[i] == '\\' && i + 1 < n && p[i + 1])
				i++;
			else if (p[i] == '"')
				in_string = false;
			if (++string > MAX_STRING)
				return err_set(why, 0, "its JSON has a string above 256 KiB");
			continue;
		}
		if (p[i] == '"') {
			in_string = true;
			string = 0;
		}
		if (p[i] == ',' || p[i] == '{' || p[i] == '[')
			values++;
		if (p[i] == '{' || p[i] == '[')
			depth++;
		if (depth > LUKS2_MAX_DEPTH || values > MAX_VALUES)
			return err_set(why, 0, "its JSON has more than %d %s",
				       depth > LUKS2_MAX_DEPTH ? LUKS2_MAX_DEPTH : MAX_VALUES,
				       depth > LUKS2_MAX_DEPTH ? "levels" : "values");
		if ((p[i] == '}' || p[i] == ']') && (!depth || !--depth))
			return i + 1;
	}
	return err_set(why, 0, "its JSON does not end");
}

unsigned luks2_decode(const char *s, uint8_t *out, unsigned room)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned n = 0, bits = 0;
	uint32_t word = 0;

	for (; *s && *s != '='; s++) {
		const char *p = strchr(letters, *s);

		if (!p)
			return 0;
		word = word << 6 | (uint32_t)(p - letters);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n == room)
			return 0;
		out[n++] = (uint8_t)(word >> bits);
	}
	return s[strspn(s, "=")] ? 0 : n;
}
