/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A verification:
 *
 *   for every source of the snapshot
 *     make a scratch place and restore into it (or take the live place)
 *     run the source over that place with a sink that only digests
 *     compare what it sees, entry by entry, with what was recorded
 *     examine it: what no single entry tells
 *     replay the erasures that were recorded since, as a restore would
 *
 * A kind that has no scratch place is proven by digest only: every byte is
 * read back, decrypted, decompressed and digested (verify_digest.c), and the
 * verdict says that this is less.
 */
#include "libbackup/operations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/operations/compare.h"
#include "libbackup/operations/content.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/sink.h"
#include "libbackup/operations/verify_impl.h"

/* ---- entry by entry ---- */

/* The recorded entries beside those that are seen, both in path order. */
struct walk {
	struct bkp_verify *verify;
	const struct bkp_chosen *chosen;
	struct bkp_supply *supply;
	struct bkp_entry_stream *recorded;
	struct fmt_entry next; /* the next recorded entry, if has_next */
	bool has_next;
	uint64_t agreed; /* entries that are only counted */
};

static int
advance(struct walk *walk, struct bkp_error *err)
{
	int got;

	fmt_entry_free(&walk->next);
	do {
		got = bkp_entry_stream_next(walk->recorded, &walk->next, err);
		if (got < 0)
			return -1;
		if (got == 1 &&
		    bkp_supply_is_selected(walk->supply, walk->next.path))
			break;
		fmt_entry_free(&walk->next);
	} while (got == 1);
	walk->has_next = got == 1;
	return 0;
}

static int
compare_named(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* Takes note of what the restore has left out: it is told with its reason. */
static int
note_named(struct bkp_verify *verify, struct bkp_error *err)
{
	const struct bkp_omission *omissions;
	size_t count;

	omissions = bkp_run_omissions(verify->run, &count);
	free(verify->named);
	verify->named_count = 0;
	verify->named = bkp_alloc_array(count, sizeof(*verify->named), err);
	if (verify->named == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		verify->named[verify->named_count++] = omissions[i].path;
	if (count > 0)
		qsort(verify->named, count, sizeof(*verify->named),
		    compare_named);
	return 0;
}

static bool
is_named(const struct bkp_verify *verify, const char *path)
{
	return verify->named_count > 0 &&
	       bsearch(&path, verify->named, verify->named_count,
		   sizeof(*verify->named), compare_named) != NULL;
}

/* Every recorded entry before `path` (NULL: all) was not seen. */
static int
tell_missing(struct walk *walk, const char *path, struct bkp_error *err)
{
	while (walk->has_next &&
	       (path == NULL || fmt_entry_compare(walk->next.path, path) < 0)) {
		if (!is_named(walk->verify, walk->next.path) &&
		    bkp_verdict_add(walk->verify->verdict, BKP_CHECK_FAIL, err,
			walk->next.path,
			"is in the snapshot and was not found") < 0)
			return -1;
		if (advance(walk, err) < 0)
			return -1;
	}
	return 0;
}

static int
tell_agreed(struct walk *walk, const struct fmt_entry *seen,
    const struct bkp_comparison *comparison, struct bkp_error *err)
{
	json_t *rows = json_object_get(seen->attrs, "rows");
	struct bkp_verify *verify = walk->verify;

	bkp_verify_tally(verify, walk->chosen->kind->kind, seen);
	if (comparison != NULL && comparison->is_counted) {
		walk->agreed++;
		return 0;
	}
	if (rows != NULL)
		return bkp_verdict_add(verify->verdict, BKP_CHECK_PASS, err,
		    seen->path, "%lld rows, row hash equal",
		    (long long)json_integer_value(rows));
	return bkp_verdict_add(
	    verify->verdict, BKP_CHECK_PASS, err, seen->path, "equal");
}

/* Texts differ by the lines they hold; the digest is not told. */
static int
compare_text(struct walk *walk, const struct fmt_buf *text,
    struct fmt_buf *what, struct bkp_error *err)
{
	struct fmt_buf recorded = FMT_BUF_INIT;
	int equal = -1;

	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_supply_read(walk->supply, walk->next.path, &recorded, &why) ==
	    0)
		equal = bkp_compare_texts(&recorded, text, what, err);
	else if (why.code != BKP_CORRUPT && err != NULL)
		*err = why;
	else if (why.code == BKP_CORRUPT)
		equal = fmt_buf_append_text(what, why.message) == FMT_OK
			    ? 0
			    : bkp_fail_nomem(err, "telling a difference");
	fmt_buf_free(&recorded);
	return equal;
}

static int
compare_seen(struct walk *walk, const struct fmt_entry *seen,
    const struct fmt_buf *text, struct bkp_error *err)
{
	const struct bkp_comparison *comparison =
	    bkp_comparison_of(walk->chosen->kind->comparisons, seen->kind);
	struct bkp_comparison attributes_only;
	struct fmt_buf what = FMT_BUF_INIT;
	const char *words = NULL;
	int equal, text_equal = 1, rc = -1;

	if (text != NULL && comparison != NULL) {
		attributes_only = *comparison;
		attributes_only.has_content_compared = false;
		text_equal = compare_text(walk, text, &what, err);
	}
	if (text_equal < 0)
		goto out;
	equal = bkp_compare_entries(&walk->next, seen,
	    text != NULL && comparison != NULL ? &attributes_only : comparison,
	    &what, err);
	if (equal < 0)
		goto out;
	if (equal == 1 && text_equal == 1) {
		rc = tell_agreed(walk, seen, comparison, err);
	} else if (is_named(walk->verify, seen->path)) {
		rc = 0;
	} else if ((words = fmt_buf_text(&what)) == NULL) {
		rc = bkp_fail_nomem(err, "telling a difference");
	} else {
		rc = bkp_verdict_add(walk->verify->verdict, BKP_CHECK_FAIL, err,
		    seen->path, "%s", words);
	}
out:
	fmt_buf_free(&what);
	return rc;
}

/* Whether the same thing was left out when the backup was made. 1, 0 or -1. */
static int
was_left_out(struct bkp_verify *verify, const char *path, struct bkp_error *err)
{
	struct fmt_buf escaped = FMT_BUF_INIT;
	const char *text = NULL, *recorded, *reason;
	int found = 0;

	if (fmt_path_escape(path, &escaped) != FMT_OK ||
	    (text = fmt_buf_text(&escaped)) == NULL)
		found = bkp_fail_nomem(err, "comparing what was left out");
	for (size_t n = 0; found == 0 && bkp_opened_omission(&verify->opened, n,
					     &recorded, &reason);
	     n++)
		found = strcmp(recorded, text) == 0;
	fmt_buf_free(&escaped);
	return found;
}

/* The schema may bring back what the backup could not read, such as a table
 * that a standby has no rows of: that it was left out is told in the end. */
static int
see_unexpected(struct walk *walk, const char *path, struct bkp_error *err)
{
	int found = was_left_out(walk->verify, path, err);

	if (found < 0)
		return -1;
	if (found > 0)
		return 0;
	return bkp_verdict_add(walk->verify->verdict, BKP_CHECK_FAIL, err, path,
	    "was found and is not in the snapshot");
}

static int
see(void *arg, const struct fmt_entry *seen, const struct fmt_buf *text,
    struct bkp_error *err)
{
	struct walk *walk = arg;

	if (!bkp_supply_is_selected(walk->supply, seen->path))
		return 0;
	if (tell_missing(walk, seen->path, err) < 0)
		return -1;
	if (!walk->has_next || strcmp(walk->next.path, seen->path) != 0)
		return see_unexpected(walk, seen->path, err);
	if (compare_seen(walk, seen, text, err) < 0)
		return -1;
	return advance(walk, err);
}

static int
run_source(struct walk *walk, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	struct bkp_verify *verify = walk->verify;
	struct bkp_source *source = NULL;
	struct bkp_sink *sink = NULL;
	const struct fmt_snapshot_source *recorded = walk->chosen->source;
	const struct bkp_previous list = {
	    verify->opened.repository, recorded->list, recorded->list_count};
	bool is_whole = verify->options->mode == BKP_VERIFY_LIVE;
	int rc = -1;

	/* A scratch place holds what was selected; a live one all of it. */
	bkp_run_phase(verify->run,
	    is_whole ? recorded->bytes : verify->selected.bytes,
	    is_whole ? recorded->entries : verify->selected.entries,
	    "comparing %s", recorded->prefix);
	if (bkp_sink_new_digest(verify->run, verify->contents,
		walk->chosen->source->prefix, walk->chosen->kind->comparisons,
		&list, see, walk, &sink, err) < 0)
		goto out;
	if (walk->chosen->kind->source_open(place, &source, err) < 0 ||
	    source->ops->prepare(source, sink, err) < 0 ||
	    source->ops->run(source, sink, err) < 0)
		goto out;
	rc = tell_missing(walk, NULL, err);
out:
	if (source != NULL)
		source->ops->close(source);
	bkp_sink_free(sink);
	return rc;
}

/* Compares the place with what the snapshot recorded. */
static int
compare_place(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	struct walk walk = {.verify = verify,
	    .chosen = chosen,
	    .supply = supply,
	    .next = FMT_ENTRY_INIT};
	int rc = -1;

	if (bkp_supply_entries(
		supply, bkp_supply_selection(supply), &walk.recorded, err) < 0)
		return -1;
	if (advance(&walk, err) < 0 || run_source(&walk, place, err) < 0)
		goto out;
	rc =
	    bkp_verdict_add_agreed(verify->verdict, err, chosen->source->prefix,
		walk.agreed, "equal, content and attributes");
out:
	fmt_entry_free(&walk.next);
	bkp_entry_stream_close(walk.recorded);
	return rc;
}

/* ---- a scratch place ---- */

/* Where there is less, it was a lack of room. */
#define LEAST_ROOM ((uint64_t)16 * 1024 * 1024)

/* A server that has no room for its log ends in the middle of a sentence. */
static bool
is_without_room(const struct bkp_verify *verify, const struct bkp_error *error)
{
	return error->sys == ENOSPC ||
	       !bkp_place_has_room(verify->folder.path, LEAST_ROOM);
}

/* A restore that fails is a verdict, not an error: the snapshot does not
 * restore. But for a cancelled run, one without memory or room, and keys or a
 * scratch place that could not be had, where nothing is known about the
 * snapshot. */
static bool
is_about_the_snapshot(
    const struct bkp_verify *verify, const struct bkp_error *error)
{
	return error->code != BKP_CANCELLED && error->code != BKP_NOMEM &&
	       !is_without_room(verify, error);
}

/* ---- what no entry tells ---- */

/* In this order, each of a source that is where it can be asked. */
static bkp_examine_fn *const examinations[] = {NULL};

static int
examine(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	for (size_t i = 0; examinations[i] != NULL; i++)
		if (examinations[i](verify, chosen, supply, place, err) < 0)
			return -1;
	return 0;
}

static int
restore(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	uint64_t began_ms = bkp_clock_ms();
	int rc =
	    bkp_scratch_restore(chosen, supply, &verify->selected, place, err);

	verify->recovery_ms += bkp_clock_ms() - began_ms;
	return rc;
}

static int
prove_in_scratch(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_scratch *scratch,
    struct bkp_error *err)
{
	struct bkp_error error = BKP_ERROR_INIT;
	const struct bkp_source_config *place = &scratch->place;

	if (restore(verify, chosen, supply, place, &error) == 0 &&
	    note_named(verify, &error) == 0 &&
	    compare_place(verify, chosen, supply, place, &error) == 0 &&
	    examine(verify, chosen, supply, place, &error) == 0)
		return bkp_verify_replay(verify, chosen, supply, place, err);
	if (!is_about_the_snapshot(verify, &error)) {
		if (err != NULL)
			*err = error;
		return is_without_room(verify, &error)
			   ? bkp_fail_in(err,
				 "%s has no more room (--scratch-directory "
				 "names another folder)",
				 verify->folder.path)
			   : -1;
	}
	return bkp_verdict_add(verify->verdict, BKP_CHECK_FAIL, err,
	    chosen->source->prefix, "%s", error.message);
}

/* What can only be read back takes at least as long to be recovered. */
static int
read_back(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	uint64_t began_ms = bkp_clock_ms();
	int rc = bkp_verify_digests(verify, chosen, supply, err);

	verify->recovery_ms += bkp_clock_ms() - began_ms;
	return rc;
}

static int
verify_scratch(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	struct bkp_scratch *scratch = NULL;
	int rc;

	if (bkp_scratch_check_room(
		chosen, &verify->selected, verify->folder.path, err) < 0 ||
	    bkp_scratch_make(
		chosen, verify->folder.path, verify->run, &scratch, err) < 0)
		return -1;
	if (scratch == NULL) {
		verify->read_back++;
		return read_back(verify, chosen, supply, err);
	}
	verify->restored++;
	rc = prove_in_scratch(verify, chosen, supply, scratch, err);
	scratch->ops->close(scratch);
	return rc;
}

static int
verify_live(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	if (chosen->config == NULL)
		return bkp_verdict_add(verify->verdict, BKP_CHECK_FAIL, err,
		    chosen->source->prefix,
		    "the configuration has no such source to compare with");
	if (chosen->kind->scratch_open == NULL)
		return bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err,
		    chosen->source->prefix,
		    "running it again would not give the same bytes; "
		    "without --live its digests are checked");
	if (compare_place(verify, chosen, supply, chosen->config, err) < 0)
		return -1;
	return examine(verify, chosen, supply, chosen->config, err);
}

static int
verify_part(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_error *err)
{
	struct bkp_supply *supply = NULL;
	int rc = -1;

	if (bkp_run_check(verify->run, err) < 0)
		return -1;
	if (bkp_supply_new(verify->run, verify->opened.repository,
		chosen->source, chosen->selection, &supply, err) < 0)
		return -1;
	if (bkp_opened_count(
		&verify->opened, chosen, supply, &verify->selected, err) < 0)
		rc = -1;
	else if (verify->options->mode == BKP_VERIFY_LIVE)
		rc = verify_live(verify, chosen, supply, err);
	else
		rc = verify_scratch(verify, chosen, supply, err);
	if (rc < 0)
		(void)bkp_fail_in(err, "%s", chosen->source->prefix);
	bkp_supply_free(supply);
	return rc;
}

/* ---- the whole ---- */

void
bkp_verify_tally(struct bkp_verify *verify, enum bkp_source_kind kind,
    const struct fmt_entry *entry)
{
	json_int_t rows =
	    json_integer_value(json_object_get(entry->attrs, "rows"));

	if (rows > 0)
		verify->rows += (uint64_t)rows;
	if (kind == BKP_KIND_BUCKET && entry->has_content)
		verify->objects++;
	if (kind == BKP_KIND_FILES && entry->has_content)
		verify->files++;
}

/* What was left out is part of the verdict: now it is a failure to restore;
 * when the backup was made it was told, and is said again. */
static int
tell_omissions(struct bkp_verify *verify, struct bkp_verify_result *result,
    struct bkp_error *err)
{
	const struct bkp_omission *omissions;
	const char *path, *reason;
	size_t count;

	omissions = bkp_run_omissions(verify->run, &count);
	for (size_t i = 0; i < count; i++) {
		int found = was_left_out(verify, omissions[i].path, err);

		if (found < 0)
			return -1;
		if (found == 0 &&
		    bkp_verdict_add(verify->verdict, BKP_CHECK_FAIL, err,
			omissions[i].path, "%s", omissions[i].reason) < 0)
			return -1;
	}
	for (size_t n = 0;
	     bkp_opened_omission(&verify->opened, n, &path, &reason); n++) {
		result->omission_count++;
		if (bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err, path,
			"was left out when the backup was made: %s",
			reason) < 0)
			return -1;
	}
	return 0;
}

static void
end_verify(struct bkp_verify *verify)
{
	bkp_scratch_folder_close(&verify->folder);
	free(verify->named);
	bkp_contents_free(verify->contents);
	bkp_replay_close(verify->replay);
	bkp_opened_fini(&verify->opened);
	bkp_verdict_free(verify->verdict);
	bkp_run_free(verify->run);
}

static int
begin_verify(struct bkp_verify *verify, struct bkp_error *err)
{
	const struct bkp_verify_options *options = verify->options;

	if (bkp_limits_of(options, &verify->limits, err) < 0)
		return -1;
	if (bkp_run_new(bkp_worker_count(options->config), &options->events,
		options->cancel, &verify->run, err) < 0)
		return -1;
	if (bkp_opened_init(&verify->opened, options->config, options->snapshot,
		options->path, err) < 0)
		return -1;
	bkp_repository_without_cache(verify->opened.repository);
	if (bkp_opened_warn(&verify->opened, verify->run, err) < 0)
		return -1;
	if (bkp_verdict_new(&verify->verdict, err) < 0)
		return -1;
	if (bkp_contents_new(
		NULL, bkp_run_workers(verify->run), &verify->contents, err) < 0)
		return -1;
	if (options->mode == BKP_VERIFY_LIVE)
		return 0;
	if (bkp_scratch_folder_open(&verify->folder, options->scratch_directory,
		"backup-verify", verify->run, err) < 0)
		return -1;
	return bkp_scratch_check_all(&verify->opened, verify->folder.path, err);
}

static int
finish_verify(struct bkp_verify *verify, uint64_t began_ms,
    struct bkp_verify_result *result, struct bkp_error *err)
{
	struct bkp_verify_result answer = {.rows = verify->rows,
	    .objects = verify->objects,
	    .files = verify->files,
	    .erasures = verify->erasures,
	    .erased_subjects = verify->erased_subjects,
	    .level = (enum bkp_verify_level)verify->limits.level,
	    .snapshot_time_us = verify->opened.snapshot.time_us,
	    .recovery_ms = verify->recovery_ms};
	const char *path = verify->options->path;

	if (tell_omissions(verify, &answer, err) < 0 ||
	    bkp_verify_times(verify, err) < 0 ||
	    bkp_verdict_finish(verify->verdict, &answer, err) < 0)
		return -1;
	verify->verdict = NULL; /* the result's now */
	memcpy(answer.snapshot, verify->opened.name, sizeof(answer.snapshot));
	answer.is_whole =
	    !verify->is_partial && (path == NULL || path[0] == '\0');
	answer.age_ms = bkp_snapshot_age_ms(&verify->opened.snapshot);
	answer.duration_ms = bkp_clock_ms() - began_ms;
	*result = answer;
	return 0;
}

int
bkp_verify(const struct bkp_verify_options *options,
    struct bkp_verify_result *result, struct bkp_error *err)
{
	struct bkp_verify verify = {
	    .options = options, .folder = BKP_SCRATCH_FOLDER_INIT};
	uint64_t began_ms = bkp_clock_ms();
	int rc = -1;

	if (begin_verify(&verify, err) < 0)
		goto out;
	for (size_t i = 0; i < verify.opened.chosen_count; i++)
		if (verify_part(&verify, &verify.opened.chosen[i], err) < 0)
			goto out;
	rc = finish_verify(&verify, began_ms, result, err);
	if (rc == 0)
		bkp_verify_record(&verify, result);
out:
	end_verify(&verify);
	return rc;
}
