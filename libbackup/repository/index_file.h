/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_INDEX_FILE_H
#define LIBBACKUP_REPOSITORY_INDEX_FILE_H

/*
 * One index object as a file that is mapped.
 *
 * Ids are as good as random, so looking them up in a large map would soon make
 * all of it resident, or cost a page fault each where that is prevented. A
 * large file is therefore searched by fences, the first eight bytes of every
 * 32nd id, which say what to read; a read of 1.5 KiB from the page cache takes
 * a quarter of the time of a fault.
 */

#include "formats/index.h"
#include "libbackup/repository/object.h"

#define BKP_INDEX_LARGE ((size_t)1 << 20)

struct bkp_index_fence {
	uint64_t *firsts; /* owned */
	uint64_t count;   /* records that have been passed */
};

struct bkp_index_file {
	char name[BKP_OBJECT_NAME];
	void *map; /* owned: `len` bytes */
	size_t len;
	struct fmt_index view;
	bool is_cached;                       /* out of this machine's cache */
	int fd;                               /* owned where is_large */
	bool is_large;                        /* searched by fences */
	struct bkp_index_fence chunks, bases; /* where is_large */
};

/* Maps `len` bytes of a file and looks at them as an index. */
int bkp_index_file_map(
    int fd, uint64_t len, struct bkp_index_file *file, struct bkp_error *err);
void bkp_index_file_free(struct bkp_index_file *file);

/* Gives up the descriptor and the fences of a large one. */
void bkp_index_file_make_small(struct bkp_index_file *file);

/* The records of a large one are passed once, each in turn, before it is
 * searched. */
void bkp_index_file_pass(struct bkp_index_file *file, uint64_t n);

/* What was read stays in the page cache, and leaves the process. */
void bkp_index_file_relax(const struct bkp_index_file *file);

/* As fmt_index_find. */
bool bkp_index_file_find(const struct bkp_index_file *file,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out);

#endif
