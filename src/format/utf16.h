/* SPDX-License-Identifier: MIT */
/* UTF-16LE names of GPT and FAT as UTF-8. */
#ifndef FORMAT_UTF16_H
#define FORMAT_UTF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t utf8_put(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* At most n units, ending at a NUL; out has 3*n+1 bytes and is NUL-terminated. Lone surrogates become
 * U+FFFD and make *ret_clean false (may be NULL). Returns the bytes written. */
static inline size_t utf16_to_utf8(const uint8_t *bytes, size_t n, char *out, bool *ret_clean)
{
	bool clean = true;
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t c = bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;

		if (!c)
			break;
		if (c >= 0xd800 && c < 0xe000) {
			uint32_t low = i + 1 < n ? bytes[2 * i + 2] | (uint32_t)bytes[2 * i + 3] << 8 : 0;

			if (c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
				i++;
			} else {
				c = 0xfffd;
				clean = false;
			}
		}
		len += utf8_put(out + len, c);
	}
	out[len] = 0;
	if (ret_clean)
		*ret_clean = clean;
	return len;
}

#endif
