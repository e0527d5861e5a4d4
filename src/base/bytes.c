/* SPDX-License-Identifier: MIT */
/* Sums, digests and printed forms of byte runs. CRC-32 is the reflected one of IEEE 802.3 (zlib, GPT), eight
 * bytes a step; UUIDs are printed in the order of RFC 4122 and GUIDs as GPT stores them (UEFI 2.10,
 * appendix A); SHA-256 is libgcrypt's. */
#include <gcrypt.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include "base/bytes.h"

static pthread_once_t crc_once = PTHREAD_ONCE_INIT;
static pthread_once_t gcrypt_once = PTHREAD_ONCE_INIT;
static uint32_t crc_table[8][256];

static void crc_fill(void)
{
	uint32_t c;
	int i, k;

	for (i = 0; i < 256; i++) {
		c = (uint32_t)i;
		for (k = 0; k < 8; k++)
			c = (c >> 1) ^ (c & 1 ? 0xedb88320u : 0);
		crc_table[0][i] = c;
	}
	for (k = 1; k < 8; k++) {
		for (i = 0; i < 256; i++) {
			c = crc_table[k - 1][i];
			crc_table[k][i] = (c >> 8) ^ crc_table[0][c & 0xff];
		}
	}
}

uint32_t bytes_crc32(uint32_t crc, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint64_t w;

	(void)pthread_once(&crc_once, crc_fill);
	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&w, p, sizeof(w));
		w = le64toh(w) ^ crc;
		crc = crc_table[7][w & 0xff] ^ crc_table[6][w >> 8 & 0xff] ^ crc_table[5][w >> 16 & 0xff] ^
		      crc_table[4][w >> 24 & 0xff] ^ crc_table[3][w >> 32 & 0xff] ^
		      crc_table[2][w >> 40 & 0xff] ^ crc_table[1][w >> 48 & 0xff] ^ crc_table[0][w >> 56];
	}
	for (; len; len--, p++)
		crc = (crc >> 8) ^ crc_table[0][(crc ^ *p) & 0xff];
	return ~crc;
}

bool bytes_all_zero(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len && i < 16; i++)
		if (p[i])
			return false;
	/* the first 16 are zero: the rest is, if every byte equals the one 16 before it */
	return len <= 16 || memcmp(p, p + 16, len - 16) == 0;
}

double bytes_entropy(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t count[256] = {0};
	double bits = 0, share;
	size_t i;

	if (!len)
		return 0;
	for (i = 0; i < len; i++)
		count[p[i]]++;
	for (i = 0; i < 256; i++) {
		if (!count[i])
			continue;
		share = (double)count[i] / (double)len;
		bits -= share * log2(share);
	}
	return bits > 0 ? bits : 0;
}

void bytes_uuid(const uint8_t uuid[16], char out[37])
{
	static const uint8_t groups[5] = {4, 2, 2, 2, 6};
	size_t g;

	for (g = 0; g < 5; g++) {
		bytes_hex(uuid, groups[g], out);
		uuid += groups[g];
		out += 2 * groups[g];
		*out++ = g < 4 ? '-' : '\0';
	}
}

void bytes_guid(const uint8_t guid[16], char out[37])
{
	static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	uint8_t uuid[16];
	size_t i;

	for (i = 0; i < sizeof(uuid); i++)
		uuid[i] = guid[order[i]];
	bytes_uuid(uuid, out);
}

void bytes_hex(const void *buf, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

static void gcrypt_start(void)
{
	/* a library of ours may have done it already: the controls are for the first one only */
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return;
	(void)gcry_check_version(NULL);
	(void)gcry_control(GCRYCTL_DISABLE_SECMEM_WARN);
	(void)gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	(void)gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

void bytes_gcrypt_init(void)
{
	(void)pthread_once(&gcrypt_once, gcrypt_start);
}

void bytes_sha256(const void *buf, size_t len, uint8_t out[32])
{
	bytes_gcrypt_init();
	gcry_md_hash_buffer(GCRY_MD_SHA256, out, buf, len);
}
