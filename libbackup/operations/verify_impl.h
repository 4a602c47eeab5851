/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_VERIFY_IMPL_H
#define LIBBACKUP_OPERATIONS_VERIFY_IMPL_H

/* What the files of the verification share. */

#include "formats/proof.h"
#include "libbackup/operations/assertions.h"
#include "libbackup/operations/limits.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/references.h"
#include "libbackup/operations/replay.h"
#include "libbackup/operations/scratch.h"
#include "libbackup/operations/sink.h"
#include "libbackup/operations/verdict.h"

/* How far the samples of a part have come. */
struct bkp_sample {
	char *path; /* owned */
	struct fmt_proof_sample covered;
};

struct bkp_verify {
	const struct bkp_verify_options *options;
	struct bkp_run *run;
	struct bkp_opened opened;
	struct bkp_contents *contents; /* digest only */
	struct bkp_verdict *verdict;
	struct bkp_scratch_folder folder; /* scratch places are below it */
	struct bkp_scratch_choice choice; /* or elsewhere */
	struct bkp_amount selected;       /* of the source at hand */
	uint64_t bytes; /* of what was selected of the sources so far */
	uint64_t lost;  /* of these: what the repository has not whole */
	uint64_t rows, objects, files;
	size_t restored, read_back; /* sources: how each was tried */
	const char **named; /* owned, in order: what was left out so far, and so
			       has its own line */
	size_t named_count;
	struct bkp_replay *replay; /* NULL: not asked for yet */
	uint64_t erasures, erased_subjects;
	struct bkp_verification_config limits;
	uint64_t recovery_ms;  /* of what was restored */
	bool is_partial;       /* the level or the budget left something out */
	bool is_structure;     /* what is compared has no contents */
	uint64_t began_ms;     /* by the monotonic clock */
	uint64_t proven_bytes; /* restored and compared since */
	struct bkp_sample *samples; /* owned: of the sources so far */
	size_t sample_count, sample_cap;
	struct bkp_references references;
	struct bkp_assertions assertions;
};

/*
 * What else is asked of a source when its entries were compared: adds lines to
 * the verdict. `place` has the source as it was restored (with BKP_VERIFY_LIVE:
 * as it is in use, and nothing of it may be changed), before the erasures are
 * replayed. A finding is no error.
 * (verify.c has the list.)
 */
typedef int bkp_examine_fn(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_source_config *place, struct bkp_error *err);

/* Compares a place with what the snapshot recorded, entry by entry.
 * (verify_compare.c) */
int bkp_verify_compare(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_source_config *place, struct bkp_error *err);

/* Takes note of what the restore has left out and will be told with its reason
 * as a failure: not once more when it is missed. */
int bkp_verify_note_omissions(struct bkp_verify *verify, struct bkp_error *err);

/* A restore that fails is a verdict, not an error: the snapshot does not
 * restore. But where nothing is known about the snapshot it is -1. */
int bkp_verify_judge_error(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, const struct bkp_error *error,
    struct bkp_error *err);

/* Whether something was left out at this path when the backup was made, and,
 * where `reason` is not NULL, for that reason. 1, 0 or -1. */
int bkp_verify_was_left_out(struct bkp_verify *verify, const char *path,
    const char *reason, struct bkp_error *err);

/* Whether what is left out now is no finding, for the backup left it out as
 * well. A loss is always one. 1, 0 or -1. */
int bkp_verify_is_excused(struct bkp_verify *verify,
    const struct bkp_omission *omission, struct bkp_error *err);

/* Counts an entry that agreed. */
void bkp_verify_tally(struct bkp_verify *verify, enum bkp_source_kind kind,
    const struct fmt_entry *entry);

/* Of which slices (formats/proof.md) pieces are read. */
struct bkp_slices {
	bool is_chosen[FMT_PROOF_SLICES];
};

unsigned bkp_slice_of(const struct fmt_chunk_ref *ref);

struct bkp_read_back {
	uint64_t entries; /* that agreed, where they were read whole */
	uint64_t pieces, bytes;
	struct bkp_slices bad; /* in which a piece may not be well */
	void *told;            /* owned: tsearch tree of the paths that have a
				  line, however often they are read */
};

#define BKP_READ_BACK_INIT                                                     \
	{                                                                      \
		.told = NULL                                                   \
	}

void bkp_read_back_free(struct bkp_read_back *read);

/* Reads every selected entry back and compares size and digests; with slices,
 * those pieces of each that are in them. One line for each that does not
 * agree and had none; adds to *out. (verify_read.c) */
int bkp_verify_read_back(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_slices *slices, struct bkp_read_back *out,
    struct bkp_error *err);

/* Reads all of a source back; one line for all that agree, and what that does
 * not prove, with the reason why there is no more (NULL: its kind). */
int bkp_verify_digests(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply, const char *why,
    struct bkp_error *err);

/* Whether it is recorded that the source is no more than a part of what it
 * was, for that is what the archive holds: else what is missing is missing. 1,
 * 0 or -1. (verify_part.c) */
int bkp_verify_is_part(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_error *err);

/* Why what was chosen of a server can be read back, and not restored: *why is
 * NULL where it can. (verify_part.c) */
int bkp_verify_obstacle(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const char **why, struct bkp_error *err);

/* The database of which rows of single tables were chosen, or NULL. */
const char *bkp_verify_rows_of(const struct bkp_chosen *chosen);

/* Erases who was erased since from the databases of a scratch place, when they
 * have been compared: what a restore would do. (verify_replay.c) */
int bkp_verify_replay(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_source_config *place, struct bkp_error *err);

/* An examination: which objects the restored databases name. What came of it
 * is told when all sources are through. (verify_references.c) */
int bkp_verify_references(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_source_config *place, struct bkp_error *err);
int bkp_verify_tell_references(
    struct bkp_verify *verify, struct bkp_error *err);

/* Why a database (its path) cannot be asked for rows although its source was
 * restored; NULL where it can. */
const char *bkp_verify_lacks_database(const struct bkp_verify *verify,
    const struct bkp_chosen *chosen, const char *path);

/* Whether the backup left rows out at or below this path, which is below a
 * database's "data", and so they are not there to be asked for; but for those
 * of foreign tables, which are where they always were. 1, 0 or -1. */
int bkp_verify_lacks_rows(
    struct bkp_verify *verify, const char *path, struct bkp_error *err);

/* What the configuration asserts of a source, in its scratch place, when
 * nothing is compared there any more; and a line for each that had no place.
 * (verify_assertions.c) */
int bkp_verify_assertions(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_source_config *place, struct bkp_error *err);
int bkp_verify_skip_assertions(
    struct bkp_verify *verify, struct bkp_error *err);

/* How much of the source at hand is to be looked at: the level, or less where
 * that does not fit into the budget. (verify_level.c) */
enum bkp_verify_level bkp_verify_level_of(
    const struct bkp_verify *verify, const struct bkp_chosen *chosen);
bool bkp_verify_is_late(const struct bkp_verify *verify);

/* Looks at less than all of it, and tells what was not looked at. */
int bkp_verify_less(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, enum bkp_verify_level level,
    struct bkp_error *err);

/* Reads a part of the contents back, each time another: what was never read
 * first, and then what was not for longest. (verify_sample.c) */
int bkp_verify_sample(struct bkp_verify *verify,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    struct bkp_error *err);

/* Whether much is missing that earlier snapshots have. (verify_drop.c) */
int bkp_verify_drop(struct bkp_verify *verify, struct bkp_error *err);

void bkp_verify_free_samples(struct bkp_verify *verify);

/* How old the snapshot is and how long it took to come back, against their
 * limits. (verify_times.c) */
int bkp_verify_times(struct bkp_verify *verify, struct bkp_error *err);

/* Keeps the verdict with the repository. Where that cannot be done it is told,
 * and the verdict stands all the same. (verify_record.c) */
void bkp_verify_record(
    struct bkp_verify *verify, const struct bkp_verify_result *result);

#endif
