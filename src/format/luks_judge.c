/* SPDX-License-Identifier: MIT */
/* Which headers and key slots a key may be tried on. A header comes from a hostile disk: its cipher would
 * choose which kernel module runs (libcryptsetup attaches a loop device and loads a table for ciphers it does
 * not have itself), and its key derivation how long and in how much memory we work. So only AES-XTS with
 * plain64 numbering passes, and only costs that a person would wait for. Costs are measured figures of one
 * core, rounded up. */
#include "format/luks_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const char only_cipher[] = "aes-xts-plain64";
enum { MAX_SECONDS = 600 };
static const uint64_t max_memory = 4ULL << 30;

/* PBKDF2 iterations a second and bytes a block, by hash; what is not listed is taken as slow. */
struct hash_speed {
	const char *name;
	unsigned per_second, bytes;
};
static const struct hash_speed speeds[] = {
	{ "sha1", 1800000, 20 },     { "sha224", 1200000, 28 }, { "sha256", 1200000, 32 },
	{ "sha384", 900000, 48 },    { "sha512", 900000, 64 },	{ "ripemd160", 600000, 20 },
	{ "whirlpool", 300000, 64 },
};

static bool is_null_cipher(const char *cipher)
{
	return str_starts(cipher, "cipher_null") || str_starts(cipher, "null") || str_eq(cipher, "");
}

static double pbkdf2_seconds(const char *hash, uint64_t iterations, unsigned bytes)
{
	const struct hash_speed *s = &(const struct hash_speed){ "", 300000, 20 };

	for (size_t i = 0; i < sizeof(speeds) / sizeof(*speeds); i++)
		if (str_eq_nocase(hash, speeds[i].name))
			s = &speeds[i];
	return (double)iterations * (double)((bytes + s->bytes - 1) / s->bytes) / s->per_second;
}

static double slot_seconds(const struct luks_slot *s)
{
	double gib = (double)s->memory / (double)(1 << 30);

	if (str_eq(s->kdf, "pbkdf2"))
		return pbkdf2_seconds(s->hash, s->iterations, s->key_size);
	return (double)s->iterations * gib * 0.6 / (s->cpus > 1 ? 2 : 1);
}

static void duration(double seconds, char out[32])
{
	if (seconds < 7200)
		snprintf(out, 32, "%.0f minutes", seconds / 60);
	else if (seconds < 72 * 3600.0)
		snprintf(out, 32, "%.0f hours", seconds / 3600);
	else if (seconds < 730 * 86400.0)
		snprintf(out, 32, "%.0f days", seconds / 86400);
	else
		snprintf(out, 32, "%.3g years", seconds / (365.25 * 86400));
}

static void judge_slot(const struct luks_info *info, struct luks_slot *s)
{
	double seconds = slot_seconds(s) + pbkdf2_seconds(info->digest_hash, info->digest_iterations, 32);
	char words[32], size[16];

	if (s->bad.msg[0] || s->reencrypt || !s->active)
		return;
	if (is_null_cipher(s->area_cipher))
		err_set(&s->bad, 0, "its key area is not encrypted at all (null cipher)");
	else if (!str_eq(s->area_cipher, only_cipher))
		err_set(&s->bad, 0, "its key area is encrypted with %s, which is not supported",
			s->area_cipher);
	else if (!str_eq(s->kdf, "pbkdf2") && !str_eq(s->kdf, "argon2i") && !str_eq(s->kdf, "argon2id"))
		err_set(&s->bad, 0, "its key derivation %s is not known", s->kdf);
	else if (!s->iterations)
		err_set(&s->bad, 0, "its key derivation has no iterations");
	else if (s->memory > max_memory) {
		str_size(s->memory, size);
		err_set(&s->bad, 0, "its key derivation wants %s of memory; above 4 GiB none is tried", size);
	} else if (seconds > MAX_SECONDS) {
		duration(seconds, words);
		err_set(&s->bad, 0, "its key derivation would take about %s; above 10 minutes none is tried",
			words);
	}
}

/* Requirements: those of an online re-encryption are understood, all others are not. */
static void judge_requirements(struct luks_info *info)
{
	for (unsigned i = 0; i < info->nrequirements; i++) {
		const char *r = info->requirements[i];

		if (str_eq(r, "online-reencrypt"))
			info->online_version = 1;
		else if (str_eq(r, "online-reencrypt-v2"))
			info->online_version = 2;
		else if (str_eq(r, "online-reencrypt-v3"))
			info->online_version = 3;
		else if (str_eq(r, "offline-reencrypt"))
			err_set(&info->refused, 0,
				"an offline re-encryption was interrupted (requirement %s)", r);
		else
			err_set(&info->refused, 0, "requirement %s is not known", r);
	}
	info->online = info->online_version != 0;
}

static void judge_segments(struct luks_info *info)
{
	unsigned crypt = 0, regular = 0;

	for (unsigned i = 0; i < info->nsegments; i++) {
		const struct luks_segment *s = &info->segments[i];

		if (s->integrity)
			err_set(&info->refused, 0, "data integrity protection is not supported");
		if (s->backup_previous || s->backup_final || s->backup_moved)
			continue;
		regular++;
		crypt += str_eq(s->type, "crypt");
	}
	if (info->online || info->refused.msg[0])
		return;
	if (crypt > 1)
		err_set(&info->refused, 0, "%u encrypted segments without a re-encryption", crypt);
	else if (crypt != 1 || regular != 1)
		err_set(&info->refused, 0, "its segments are not one encrypted one");
}

static void judge_cipher(struct luks_info *info)
{
	if (is_null_cipher(info->cipher))
		err_set(&info->refused, 0, "not encrypted at all (null cipher)");
	else if (!str_eq(info->cipher, only_cipher))
		err_set(&info->refused, 0, "cipher %s is not supported", info->cipher);
	else if (info->key_size != 32 && info->key_size != 64)
		err_set(&info->refused, 0, "cipher %s with a key of %u bytes is not supported", info->cipher,
			info->key_size);
}

void luks_judge(struct luks_info *info)
{
	if (info->broken) {
		err_set(&info->refused, 0, "the header is damaged: %.300s", info->damage.msg);
		return;
	}
	judge_requirements(info);
	for (unsigned i = 0; i < info->nslots; i++)
		judge_slot(info, &info->slots[i]);
	if (!info->refused.msg[0])
		judge_segments(info);
	if (!info->refused.msg[0])
		judge_cipher(info);
}
