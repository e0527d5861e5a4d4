/* SPDX-License-Identifier: MIT */
/* On-disk integers as byte-array types, so that a forgotten swap does not compile, and checked
 * arithmetic for sizes that come from disks. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <endian.h>

typedef struct { uint8_t b[2]; } le16;
typedef struct { uint8_t b[4]; } le32;
typedef struct { uint8_t b[8]; } le64;
typedef struct { uint8_t b[2]; } be16;
typedef struct { uint8_t b[4]; } be32;
typedef struct { uint8_t b[8]; } be64;

#define DEFINE_GET(type, bits, conv)                    \
	static inline uint##bits##_t type##_get(type v) \
	{                                               \
		uint##bits##_t x;                       \
		memcpy(&x, v.b, sizeof(x));             \
		return conv(x);                         \
	}
DEFINE_GET(le16, 16, le16toh)
DEFINE_GET(le32, 32, le32toh)
DEFINE_GET(le64, 64, le64toh)
DEFINE_GET(be16, 16, be16toh)
DEFINE_GET(be32, 32, be32toh)
DEFINE_GET(be64, 64, be64toh)
#undef DEFINE_GET

/* true on overflow, as the builtins; for uint64_t sizes and offsets */
static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}
static inline bool mul_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_mul_overflow(a, b, ret);
}
/* is [off, off+len) inside [0, size)? */
static inline bool range_in(uint64_t off, uint64_t len, uint64_t size)
{
	return len <= size && off <= size - len;
}

uint32_t bytes_crc32(uint32_t crc, const void *buf, size_t len);  /* zlib's CRC-32, start with 0 */
bool bytes_all_zero(const void *buf, size_t len);
/* Shannon entropy of the bytes, bits a byte, 0 to 8. */
double bytes_entropy(const void *buf, size_t len);
/* "xxxxxxxx-xxxx-..." of 16 bytes in RFC 4122 order; out has 37 bytes. */
void bytes_uuid(const uint8_t uuid[16], char out[37]);
/* The same for GPT's mixed-endian GUIDs. */
void bytes_guid(const uint8_t guid[16], char out[37]);
/* Lower-case hexadecimal; out has 2*len+1 bytes. */
void bytes_hex(const void *buf, size_t len, char *out);
/* Makes libgcrypt ready, once in a process; whoever calls gcry_* calls this first. */
void bytes_gcrypt_init(void);
/* SHA-256 (libgcrypt). */
void bytes_sha256(const void *buf, size_t len, uint8_t out[32]);

#endif
