/* SPDX-License-Identifier: MIT */
/* AES-XTS sectors with the plain64 IV of dm-crypt: the number of the sector in units of 512 bytes, little
 * endian, whatever the sector size is. Reads are decrypted where they land, in steps that stay in the
 * processor's cache; writes are encrypted in a buffer of this layer, so the caller's bytes stay as they are.
 * Refuses keys that are not of AES-128's or AES-256's size in XTS, and payloads that leave the device. */
#include <gcrypt.h>
#include "base/bytes.h"
#include "blk/blk.h"

enum { STEP = 256 * 1024 }; /* a multiple of every sector size */

struct blk_crypt {
	struct blk blk;
	struct blk *under;
	gcry_cipher_hd_t aes;
	uint64_t offset, iv_offset;
	uint32_t sector_size;
	uint8_t *scratch; /* STEP bytes; NULL before the first write */
};

static int crypt_failed(gcry_error_t g, struct err *e)
{
	return err_set(e, -EIO, "aes-xts: %s", gcry_strerror(g));
}

static gcry_error_t set_sector(struct blk_crypt *c, uint64_t off)
{
	uint64_t number = htole64(c->iv_offset + off / 512);
	uint8_t iv[16] = {0};

	memcpy(iv, &number, sizeof(number));
	return gcry_cipher_setiv(c->aes, iv, sizeof(iv));
}

static int crypt_pread(struct blk *b, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct blk_crypt *c = (struct blk_crypt *)b;
	uint8_t *p = buf;
	gcry_error_t g;
	size_t n, i;
	int r;

	for (; len; len -= n, off += n, p += n) {
		n = len < STEP ? len : STEP;
		r = blk_pread(c->under, p, n, c->offset + off, e);
		if (r < 0)
			return r;
		/* not while reading: what lies under may be a file that another process reads for us */
		blk_lock();
		for (i = 0, g = 0; !g && i < n; i += c->sector_size) {
			g = set_sector(c, off + i);
			if (!g)
				g = gcry_cipher_decrypt(c->aes, p + i, c->sector_size, NULL, 0);
		}
		blk_unlock();
		if (g)
			return crypt_failed(g, e);
	}
	return 0;
}

static int write_locked(struct blk *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	struct blk_crypt *c = (struct blk_crypt *)b;
	const uint8_t *p = buf;
	gcry_error_t g;
	size_t n, i;
	int r;

	if (!c->scratch)
		c->scratch = malloc(STEP);
	if (!c->scratch)
		return err_oom(e);
	for (; len; len -= n, off += n, p += n) {
		n = len < STEP ? len : STEP;
		for (i = 0; i < n; i += c->sector_size) {
			g = set_sector(c, off + i);
			if (!g)
				g = gcry_cipher_encrypt(c->aes, c->scratch + i, c->sector_size, p + i,
							c->sector_size);
			if (g)
				return crypt_failed(g, e);
		}
		r = blk_pwrite(c->under, c->scratch, n, c->offset + off, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The scratch buffer is shared; what is written ends in an overlay, never in a file. */
static int crypt_pwrite(struct blk *b, const void *buf, size_t len, uint64_t off, struct err *e)
{
	int r;

	blk_lock();
	r = write_locked(b, buf, len, off, e);
	blk_unlock();
	return r;
}

static int crypt_below(struct blk *b, uint64_t off, uint64_t len,
		       int (*fn)(void *arg, struct blk *under, uint64_t off, uint64_t len), void *arg)
{
	struct blk_crypt *c = (struct blk_crypt *)b;
	uint64_t skip = off % c->sector_size, end = off + len;

	/* whole sectors are written */
	end += (c->sector_size - end % c->sector_size) % c->sector_size;
	return fn(arg, c->under, c->offset + off - skip, end - (off - skip));
}

static void crypt_close(struct blk *b)
{
	struct blk_crypt *c = (struct blk_crypt *)b;

	gcry_cipher_close(c->aes); /* wipes the key schedule; NULL is fine */
	blk_unref(c->under);
	free(c->scratch);
	free(c);
}

static const struct blk_ops crypt_ops = {
	.kind = "crypt",
	.pread = crypt_pread,
	.pwrite = crypt_pwrite,
	.close = crypt_close,
	.below = crypt_below,
};

static const struct blk_ops crypt_ops_read_only = {
	.kind = "crypt",
	.pread = crypt_pread,
	.close = crypt_close,
};

/* Numbers from a hostile header: the size of the payload, or why there is none. */
static int payload_size(const struct blk *under, const struct crypt_params *p, uint64_t *ret, struct err *e)
{
	uint32_t sector = p->sector_size;
	uint64_t size = p->size;

	if (sector < 512 || sector > 4096 || (sector & (sector - 1)) != 0)
		return err_set(e, -EOPNOTSUPP, "encrypted sectors of %u bytes: not supported", sector);
	if (p->offset > under->size || size > under->size - p->offset)
		return err_set(e, -ERANGE,
			       "encrypted payload of %ju bytes at byte %ju: outside the %ju bytes there are",
			       (uintmax_t)size, (uintmax_t)p->offset, (uintmax_t)under->size);
	if (size == 0)
		size = (under->size - p->offset) / sector * sector;
	if (size % sector != 0)
		return err_set(e, -EBADMSG, "encrypted payload of %ju bytes: not whole sectors of %u",
			       (uintmax_t)size, sector);
	*ret = size;
	return 0;
}

static int open_cipher(const struct secret *key, gcry_cipher_hd_t *ret, struct err *e)
{
	gcry_cipher_hd_t aes = NULL;
	gcry_error_t g;
	int algo;

	if (!key || (key->len != 32 && key->len != 64))
		return err_set(e, -EOPNOTSUPP, "aes-xts: a key of %zu bytes is not supported",
			       key ? key->len : 0);
	bytes_gcrypt_init();
	algo = key->len == 32 ? GCRY_CIPHER_AES128 : GCRY_CIPHER_AES256;
	g = gcry_cipher_open(&aes, algo, GCRY_CIPHER_MODE_XTS, 0);
	if (!g)
		g = gcry_cipher_setkey(aes, key->data, key->len);
	if (g) {
		gcry_cipher_close(aes);
		return crypt_failed(g, e);
	}
	*ret = aes;
	return 0;
}

int blk_open_crypt(struct blk *under, const struct crypt_params *p, struct blk **ret, struct err *e)
{
	cleanup_blk struct blk *b = NULL;
	struct blk_crypt *c;
	uint64_t size = 0;
	int r;

	r = payload_size(under, p, &size, e);
	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_oom(e);
	c->blk.ops = blk_is_writable(under) ? &crypt_ops : &crypt_ops_read_only;
	c->blk.size = size;
	c->blk.align = p->sector_size;
	c->blk.refs = 1;
	c->under = blk_ref(under);
	c->offset = p->offset;
	c->iv_offset = p->iv_offset;
	c->sector_size = p->sector_size;
	b = &c->blk;

	r = open_cipher(p->key, &c->aes, e);
	if (r < 0)
		return r;
	*ret = take_ptr(&b);
	return 0;
}
