/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_OPENED_H
#define LIBBACKUP_OPERATIONS_OPENED_H

/* What restore and verify begin with: the repository open, a snapshot found,
 * and the sources in it that the person chose. */

#include "formats/snapshot.h"
#include "libbackup/base/run.h"
#include "libbackup/source/source.h"

struct bkp_chosen {
	const struct fmt_snapshot_source *source; /* borrowed */
	const struct bkp_kind *kind;
	const struct bkp_source_config *config; /* borrowed; NULL: none */
	const char *selection;                  /* borrowed */
	bool has_versions; /* of a bucket: older versions are chosen, too; so
			      they are where all of it is */
};

/* What was left out when the backup was made. */
struct bkp_omitted {
	const char *path, *reason; /* borrowed; the path is escaped */
};

struct bkp_opened {
	struct bkp_repository *repository;
	char name[65];
	struct fmt_snapshot snapshot;
	struct bkp_chosen *chosen; /* owned; at least one */
	size_t chosen_count;
	struct bkp_omitted *omitted; /* owned: within what was chosen, as it
					was recorded */
	struct bkp_omitted *sorted;  /* owned: the same in the order of paths */
	size_t omitted_count;
	bool is_history_read; /* else more erasures may be missing */
	uint64_t erasures;    /* of the ledger: as many as anybody knew of */
};

#define BKP_OPENED_INIT                                                        \
	{                                                                      \
		.repository = NULL                                             \
	}

/* Opens with the keys of the configuration, which must be able to read
 * contents. `path` NULL or "": every source. */
int bkp_opened_init(struct bkp_opened *opened, const struct bkp_config *config,
    const char *snapshot, const char *path, struct bkp_error *err);
/* Tells what is wrong with the history of the repository, which need not hurt
 * this snapshot; sets `erasures`. */
int bkp_opened_warn(
    struct bkp_opened *opened, struct bkp_run *run, struct bkp_error *err);
/* Loads the index for putting back what can be: a copy on this machine may
 * know what the repository has lost, and then all comes back here, and nowhere
 * else. */
int bkp_opened_index(const struct bkp_opened *opened, struct bkp_run *run,
    struct bkp_error *err);
void bkp_opened_fini(struct bkp_opened *opened);

struct bkp_amount {
	uint64_t entries, bytes;
};

/* What the selection holds, counted where it is less than the source.
 * BKP_NOTFOUND where nothing is there: a path that was misspelt must not be a
 * restore, or a proof, that went well. */
int bkp_opened_count(const struct bkp_opened *opened,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    struct bkp_amount *out, struct bkp_error *err);

/* All that was left out, by number: the path (escaped), or NULL, and the
 * reason; and whether such a path is within what was chosen. What cannot be
 * told is, so that nobody misses it. */
const char *bkp_opened_recorded(
    const struct bkp_opened *opened, size_t i, const char **reason);
bool bkp_opened_has_chosen(
    const struct bkp_opened *opened, const char *recorded);

/* Once more where something else was chosen since it was opened.
 * (opened_omissions.c) */
int bkp_opened_read_omissions(struct bkp_opened *opened, struct bkp_error *err);

/* What was left out when the backup was made and is within what was chosen, in
 * the order in which it was recorded. Borrowed. There may be as many as there
 * are objects. */
const struct bkp_omitted *bkp_opened_omissions(
    const struct bkp_opened *opened, size_t *count);

/* What of it was left out at exactly this path, which is not escaped: the
 * first, and how many there are (*count). Borrowed. -1: no memory. */
int bkp_opened_left_out(const struct bkp_opened *opened, const char *path,
    const struct bkp_omitted **out, size_t *count, struct bkp_error *err);

/* The same of what is below it. */
int bkp_opened_left_out_below(const struct bkp_opened *opened, const char *path,
    const struct bkp_omitted **out, size_t *count, struct bkp_error *err);

/* One that is within what was chosen or that what was chosen is within. 1 and
 * its {path, reason}, as above; 0; -1. */
int bkp_opened_overlap(const struct bkp_opened *opened, const char **path,
    const char **reason, struct bkp_error *err);

/* What the configuration says of the source; NULL: nothing. */
const struct bkp_source_config *bkp_opened_config(
    const struct bkp_config *config, const char *prefix);

/* Whether `inner` is `outer` or below it. */
bool bkp_path_is_within(const char *inner, const char *outer);

/* Whether `text` is `path` with a slash behind it, as a shell completes one. */
bool bkp_path_is_with_slash(const char *text, const char *path);

/* The repository of the configuration with the key of this host alone, to back
 * up into it (writing.c). The caller closes it. */
int bkp_opened_for_writing(const struct bkp_config *config,
    struct bkp_repository **out, struct bkp_error *err);

/* Workers of a run: as configured, or one a processor up to 8. */
unsigned bkp_worker_count(const struct bkp_config *config);

/* Milliseconds of the monotonic clock, microseconds UTC of the real one. */
uint64_t bkp_clock_ms(void);
int64_t bkp_clock_utc_us(void);

#endif
