/* SPDX-License-Identifier: MIT */
/* FAT12, FAT16 and FAT32: what a boot sector says. */
#ifndef FORMAT_FAT_H
#define FORMAT_FAT_H

#include <stdbool.h>
#include <stdint.h>

/* All in bytes of the device, unless said otherwise. */
struct fat_geometry {
	unsigned bits;                  /* 12, 16, 32 */
	unsigned fats;                  /* copies */
	unsigned active;                /* the copy in use */
	uint32_t sector, cluster;       /* sizes */
	uint64_t fat, fat_len;          /* the first copy, and the length of each */
	uint64_t root, root_len;        /* FAT12/16: the fixed root directory; FAT32: 0 */
	uint32_t root_cluster;          /* FAT32 */
	uint64_t data;                  /* cluster 2 */
	uint32_t clusters;              /* how many there are: 2 to clusters + 1 are valid */
	uint64_t total;                 /* the file system's size */
	char label[11], serial[4];      /* raw, of the boot sector */
};

/* Reads the first 512 bytes of a file system; false where they are not FAT. */
bool fat_geometry_read(const uint8_t sector[512], struct fat_geometry *ret);
bool fat_is_bitlocker(const uint8_t sector[512]);
/* Could these 512 bytes be the boot sector of a FAT, exFAT, NTFS or BitLocker volume, and so no partition
 * table? */
bool fat_is_boot_sector(const uint8_t sector[512]);

#endif
