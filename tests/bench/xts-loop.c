/* SPDX-License-Identifier: MIT */
/* xts-loop FILE OFFSET BYTES SECTOR: reads BYTES of FILE from OFFSET on in steps of 256 KiB and decrypts them with AES-256-XTS, sector by sector
 * (IEEE 1619, plain64 numbers of 512 bytes), with libgcrypt, in one thread. What `aderescue cat` may lose against this is what its layers cost.
 * The key is no key of anything: the work is the same. */
#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP = 256 * 1024 };

static int decrypt(gcry_cipher_hd_t aes, uint8_t *buf, size_t len, uint64_t off, size_t sector)
{
	for (size_t i = 0; i < len; i += sector) {
		uint8_t iv[16] = { 0 };
		uint64_t number = (off + i) / 512;

		for (unsigned b = 0; b < 8; b++)
			iv[b] = (uint8_t)(number >> 8 * b);
		if (gcry_cipher_setiv(aes, iv, sizeof(iv)) || gcry_cipher_decrypt(aes, buf + i, sector, NULL, 0))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint8_t key[64];
	uint64_t offset, bytes, done = 0;
	size_t sector;
	uint8_t *buf = malloc(STEP);
	gcry_cipher_hd_t aes;
	int fd;

	if (argc != 5 || !buf) {
		fputs("usage: xts-loop FILE OFFSET BYTES SECTOR\n", stderr);
		return 2;
	}
	offset = strtoull(argv[2], NULL, 10);
	bytes = strtoull(argv[3], NULL, 10);
	sector = (size_t)strtoull(argv[4], NULL, 10);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || sector < 512 || sector > 4096 || STEP % sector) {
		fprintf(stderr, "xts-loop: %s: %s\n", argv[1], strerror(fd < 0 ? errno : EINVAL));
		return 1;
	}
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 37 + 11);
	if (gcry_cipher_open(&aes, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_XTS, 0) || gcry_cipher_setkey(aes, key, sizeof(key)))
		return 1;
	while (done < bytes) {
		size_t want = bytes - done < STEP ? (size_t)(bytes - done) / sector * sector : STEP;
		ssize_t n = want ? pread(fd, buf, want, (off_t)(offset + done)) : 0;

		if (n <= 0 || (size_t)n % sector || decrypt(aes, buf, (size_t)n, done, sector) < 0)
			break;
		done += (uint64_t)n;
	}
	gcry_cipher_close(aes);
	free(buf);
	close(fd);
	return done / sector == bytes / sector ? 0 : 1;
}
