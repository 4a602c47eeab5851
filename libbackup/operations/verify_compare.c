/* SPDX-License-Identifier: Apache-2.0 */
/* Entry by entry: what is in a place beside what the snapshot recorded. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/compare.h"
#include "libbackup/operations/content.h"
#include "libbackup/operations/verify_impl.h"

/* The recorded entries beside those that are seen, both in path order. */
struct walk {
	struct bkp_verify *verify;
	const struct bkp_chosen *chosen;
	struct bkp_supply *supply;
	struct bkp_entry_stream *recorded;
	struct fmt_entry next; /* the next recorded entry, if has_next */
	bool has_next;
	uint64_t agreed; /* entries that are only counted */
	char *foreign;   /* owned: one that the place has of its own; NULL */
	uint64_t there;  /* of a structure: entries without their contents */
};

/* Whether the place could be what the snapshot has here at all. */
static bool
is_compared(const struct walk *walk, const char *path)
{
	return bkp_supply_is_selected(walk->supply, path) &&
	       (walk->foreign == NULL || strcmp(path, walk->foreign) != 0);
}

static int
advance(struct walk *walk, struct bkp_error *err)
{
	int got;

	fmt_entry_free(&walk->next);
	do {
		got = bkp_entry_stream_next(walk->recorded, &walk->next, err);
		if (got < 0)
			return -1;
		if (got == 1 && is_compared(walk, walk->next.path))
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

int
bkp_verify_note_omissions(struct bkp_verify *verify, struct bkp_error *err)
{
	const struct bkp_omission *omissions;
	size_t count;

	omissions = bkp_run_omissions(verify->run, &count);
	free(verify->named);
	verify->named_count = 0;
	verify->named = bkp_alloc_array(count, sizeof(*verify->named), err);
	if (verify->named == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		int excused = bkp_verify_is_excused(verify, &omissions[i], err);

		if (excused < 0)
			return -1;
		if (excused == 0)
			verify->named[verify->named_count++] =
			    omissions[i].path;
	}
	if (verify->named_count > 0)
		qsort(verify->named, verify->named_count,
		    sizeof(*verify->named), compare_named);
	return 0;
}

static bool
is_named(const struct bkp_verify *verify, const char *path)
{
	return verify->named_count > 0 &&
	       bsearch(&path, verify->named, verify->named_count,
		   sizeof(*verify->named), compare_named) != NULL;
}

/* What a structure has none of. */
static bool
is_content(const struct walk *walk, const struct fmt_entry *entry)
{
	const struct bkp_comparison *comparison =
	    bkp_comparison_of(walk->chosen->kind->comparisons, entry->kind);

	return walk->verify->is_structure && comparison != NULL &&
	       comparison->is_content;
}

/* Those that are only counted are not made with the structure. */
static bool
may_be_missing(const struct walk *walk, const struct fmt_entry *entry)
{
	const struct bkp_comparison *comparison =
	    bkp_comparison_of(walk->chosen->kind->comparisons, entry->kind);

	return is_named(walk->verify, entry->path) ||
	       (is_content(walk, entry) && comparison->is_counted);
}

/* Every recorded entry before `path` (NULL: all) was not seen. */
static int
tell_missing(struct walk *walk, const char *path, struct bkp_error *err)
{
	while (walk->has_next &&
	       (path == NULL || fmt_entry_compare(walk->next.path, path) < 0)) {
		if (!may_be_missing(walk, &walk->next) &&
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

/* ---- a text, thing by thing ---- */

struct told {
	struct bkp_verify *verify;
	const char *path;
};

static int
tell_section(void *arg, const char *section, bool is_equal, const char *what,
    struct bkp_error *err)
{
	struct told *told = arg;
	char *name = bkp_format(err, "%s/%s", told->path, section);
	int rc = -1;

	if (name != NULL)
		rc = bkp_verdict_add(told->verify->verdict,
		    is_equal ? BKP_CHECK_PASS : BKP_CHECK_FAIL, err, name, "%s",
		    what);
	free(name);
	return rc;
}

/* Each sort of things has its own line. What cannot be read is a finding. */
static int
compare_sections(struct walk *walk, const struct fmt_buf *text,
    bkp_next_part_fn *next_part, struct bkp_error *err)
{
	struct told told = {walk->verify, walk->next.path};
	struct fmt_buf recorded = FMT_BUF_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = -1;

	if (bkp_supply_read(walk->supply, walk->next.path, &recorded, &why) ==
	    0)
		rc = bkp_compare_by_part(
		    &recorded, text, next_part, tell_section, &told, err);
	else if (why.code == BKP_CORRUPT)
		rc = bkp_verdict_add(walk->verify->verdict, BKP_CHECK_FAIL, err,
		    walk->next.path, "%s", why.message);
	else if (err != NULL)
		*err = why;
	fmt_buf_free(&recorded);
	return rc;
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

	if (is_content(walk, seen)) {
		walk->there++;
		return 0;
	}
	if (text != NULL && comparison != NULL && comparison->next_part != NULL)
		return compare_sections(walk, text, comparison->next_part, err);
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

int
bkp_verify_was_left_out(struct bkp_verify *verify, const char *path,
    const char *reason, struct bkp_error *err)
{
	const struct bkp_omitted *omitted;
	size_t count;

	if (bkp_opened_left_out(&verify->opened, path, &omitted, &count, err) <
	    0)
		return -1;
	if (reason == NULL)
		return count > 0;
	for (size_t i = 0; i < count; i++)
		if (strcmp(omitted[i].reason, reason) == 0)
			return 1;
	return 0;
}

/* A scratch place leaves out what it left out before for the same reason, such
 * as the rows of a foreign table. Of a live one the reasons are words of
 * servers and may change. */
int
bkp_verify_is_excused(struct bkp_verify *verify,
    const struct bkp_omission *omission, struct bkp_error *err)
{
	bool is_any =
	    verify->options->mode == BKP_VERIFY_LIVE && verify->lost == 0;

	return bkp_verify_was_left_out(
	    verify, omission->path, is_any ? NULL : omission->reason, err);
}

/* The schema may bring back what the backup could not read, such as a table
 * that a standby has no rows of: that it was left out is told in the end. */
static int
see_unexpected(struct walk *walk, const char *path, struct bkp_error *err)
{
	int found = bkp_verify_was_left_out(walk->verify, path, NULL, err);

	/* A part is without the folders that it was in, and cannot be put
	 * anywhere without them. */
	if (found == 0 && walk->has_next &&
	    bkp_path_is_within(walk->next.path, path))
		found = bkp_verify_is_part(walk->verify, walk->chosen, err);
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

/* A server of others has roles of its own. */
static int
leave_roles_out(struct walk *walk, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	if (place->kind != BKP_KIND_POSTGRES || place->postgres.renamed == NULL)
		return 0;
	walk->foreign =
	    bkp_format(err, "%s/globals.sql", walk->chosen->source->prefix);
	if (walk->foreign == NULL)
		return -1;
	if (!bkp_supply_is_selected(walk->supply, walk->foreign))
		return 0;
	return bkp_verdict_add(walk->verify->verdict, BKP_CHECK_SKIP, err,
	    walk->foreign,
	    "roles are there and are the server's own: what they may do was "
	    "not compared");
}

int
bkp_verify_compare(struct bkp_verify *verify, const struct bkp_chosen *chosen,
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
	if (leave_roles_out(&walk, place, err) < 0 || advance(&walk, err) < 0 ||
	    run_source(&walk, place, err) < 0 ||
	    bkp_verdict_add_agreed(verify->verdict, err, chosen->source->prefix,
		walk.there, "there, without their contents") < 0)
		goto out;
	rc =
	    bkp_verdict_add_agreed(verify->verdict, err, chosen->source->prefix,
		walk.agreed, "equal, content and attributes");
out:
	fmt_entry_free(&walk.next);
	free(walk.foreign);
	bkp_entry_stream_close(walk.recorded);
	return rc;
}
