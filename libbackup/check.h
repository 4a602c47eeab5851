/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_CHECK_H
#define LIBBACKUP_CHECK_H

/*
 * Checking a repository: whether everything that its snapshots need is there
 * and is what was stored, and who is hurt where it is not.
 *
 * Always: the objects that are read whole (keys, writers, index, snapshots and
 * what is stated about them) by digest, signature and content; packs by their
 * sizes; every chunk of every entry by where the index says that it is. On
 * request: the bytes of packs against their names, which needs no key; what
 * the keys at hand open is decrypted and every chunk's id recomputed, too.
 *
 * Which packs were read, and when, is remembered on this machine, so that a
 * part of them each night is all of them in time.
 */

#include <stddef.h>
#include <stdint.h>

#include <libbackup/cancel.h>
#include <libbackup/config.h>
#include <libbackup/error.h>
#include <libbackup/events.h>
#include <libbackup/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bkp_check_options {
	size_t size;
	const struct bkp_config *config;
	double read_percent; /* of the packs' bytes are read, those that were
				not read for longest first; 0: not asked */
	uint64_t max_age_s;  /* packs that were not read for so long are; with
				a percentage, no more than that; 0: not asked */
	uint64_t budget;     /* bytes to read at the most; 0: no limit */
	int is_repair; /* do what the steps say; else they are only planned */
	int accepts_loss; /* repair: snapshots that are damaged or missing are
			     not missed any more */
	struct bkp_events events;
	const struct bkp_cancel *cancel;
};

#define BKP_CHECK_OPTIONS_INIT                                                 \
	{                                                                      \
		.size = sizeof(struct bkp_check_options)                       \
	}

enum bkp_finding_level {
	BKP_FINDING_NOTE,    /* nothing is wrong */
	BKP_FINDING_WARNING, /* nothing is lost, and somebody should look */
	BKP_FINDING_DAMAGE
};

/* What cannot be restored as it was. */
struct bkp_hurt {
	const char *snapshot; /* name */
	const char *path;     /* of an entry; a source, where a part of its list
				 is lost; "" for all of it */
};

struct bkp_finding {
	enum bkp_finding_level level;
	const char *kind;   /* "pack-missing"; backup-check(1) has the list */
	const char *object; /* "packs/3f/3f2a...", or "" */
	const char *text;   /* a sentence: what is wrong, and what to do */
	const struct bkp_hurt *hurt; /* by snapshot, oldest first */
	size_t hurt_count;           /* of them; the first 100000 */
	uint64_t hurt_total;
};

enum bkp_repair_state {
	BKP_REPAIR_PLANNED, /* what a repair would do */
	BKP_REPAIR_DONE,
	BKP_REPAIR_NEEDS /* what it could do with what the text says */
};

struct bkp_repair_step {
	enum bkp_repair_state state;
	const char *object; /* its name in the repository */
	const char *text;
};

struct bkp_check_result {
	int is_clean; /* 1: something was checked, and nothing is damaged */
	const struct bkp_finding *findings; /* the worst first */
	size_t finding_count;
	uint64_t damage, warnings, notes;
	const struct bkp_repair_step *steps; /* with is_repair: what was done,
		and the findings are those that remain */
	size_t step_count;
	uint64_t snapshots, entries; /* looked at */
	uint64_t hurt_snapshots;
	uint64_t indexes, packs, pack_bytes; /* that are there */
	uint64_t packs_read, bytes_read, chunks_read;
	uint64_t duration_ms;
	void *memory;
};

/* 0 where there is a verdict, good or bad (is_clean); -1 where there is none.
 * Free the result. */
BKP_API int bkp_check(const struct bkp_check_options *options,
    struct bkp_check_result *result, struct bkp_error *err);
BKP_API void bkp_check_result_free(struct bkp_check_result *result);

#ifdef __cplusplus
}
#endif

#endif
