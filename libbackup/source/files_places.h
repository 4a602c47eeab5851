/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_FILES_PLACES_H
#define LIBBACKUP_SOURCE_FILES_PLACES_H

/* Where in the file system the entries of a source go. */

#include "libbackup/source/source.h"

struct files_places {
	const char *prefix; /* borrowed: the source's */
	bool is_elsewhere;  /* not where it was */
	char *folder; /* owned: what stands for "/", resolved; "" for "/" */
	/* The configured paths of the source. */
	struct files_root {
		char *path;  /* owned: "/etc/app"; "" for "/" */
		char *place; /* owned: where it goes: "/etc/app", with the links
				above it resolved */
	} * roots;
	size_t root_count;
};

/* `places` is zeroed. The folder that stands for "/" is the one named by
 * `options`, else the root of the source, else "/". What `config` and `supply`
 * hold is borrowed. To be finished on failure, too. */
int bkp_files_places_init(struct files_places *places,
    const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_supply *supply,
    struct bkp_error *err);

void bkp_files_places_fini(struct files_places *places);

/* Where the entry at `path` goes; the caller frees. BKP_CORRUPT: it leads out
 * of the source. */
char *bkp_files_place_of(
    const struct files_places *places, const char *path, struct bkp_error *err);

/* Whether `path` is `root` or something in it. */
bool bkp_files_is_below(const char *path, const char *root);

#endif
