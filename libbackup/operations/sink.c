/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/sink.h"

#include <stdlib.h>
#include <string.h>

#include "formats/version.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/content.h"
#include "libbackup/repository/joined.h"

struct bkp_sink {
	struct bkp_run *run;
	struct bkp_contents *contents;
	const char *prefix;
	char *last_path; /* owned; NULL before the first entry */
	struct bkp_tally tally;

	/* into a repository */
	struct bkp_session *session;
	struct bkp_list_writer *list;
	struct bkp_previous previous; /* repository NULL: none */
	struct bkp_error damage;      /* of the list of `previous` */
	bkp_watch_fn *watch;          /* NULL: nobody */
	void *watch_arg;
	const struct bkp_shared *shared; /* NULL: nobody else reads */
	uint64_t handed_in;              /* entries */

	/* digest only */
	const struct bkp_comparison *comparisons;
	struct bkp_previous recorded;
	struct bkp_texts *texts;
	bkp_seen_fn *seen;
	void *seen_arg;
};

static struct bkp_sink *
new_sink(struct bkp_run *run, struct bkp_contents *contents, const char *prefix,
    struct bkp_error *err)
{
	struct bkp_sink *sink = bkp_alloc(sizeof(*sink), err);

	if (sink == NULL)
		return NULL;
	sink->run = run;
	sink->contents = contents;
	sink->prefix = prefix;
	return sink;
}

int
bkp_sink_new(struct bkp_run *run, struct bkp_contents *contents,
    struct bkp_session *session, const char *prefix,
    const struct bkp_previous *previous, struct bkp_sink **out,
    struct bkp_error *err)
{
	struct bkp_sink *sink = new_sink(run, contents, prefix, err);

	if (sink == NULL)
		return -1;
	sink->session = session;
	if (previous != NULL)
		sink->previous = *previous;
	if (bkp_list_writer_new(session, &sink->list, err) < 0) {
		bkp_sink_free(sink);
		return -1;
	}
	*out = sink;
	return 0;
}

int
bkp_sink_new_digest(struct bkp_run *run, struct bkp_contents *contents,
    const char *prefix, const struct bkp_comparison *comparisons,
    const struct bkp_previous *recorded, bkp_seen_fn *seen, void *arg,
    struct bkp_sink **out, struct bkp_error *err)
{
	struct bkp_sink *sink = new_sink(run, contents, prefix, err);

	if (sink == NULL)
		return -1;
	if (bkp_texts_new(&sink->texts, err) < 0) {
		bkp_sink_free(sink);
		return -1;
	}
	sink->comparisons = comparisons;
	sink->recorded = *recorded;
	sink->seen = seen;
	sink->seen_arg = arg;
	bkp_contents_watch(contents, comparisons, sink->texts);
	*out = sink;
	return 0;
}

void
bkp_sink_free(struct bkp_sink *sink)
{
	if (sink == NULL)
		return;
	if (sink->texts != NULL)
		bkp_contents_watch(sink->contents, NULL, NULL);
	bkp_list_writer_free(sink->list);
	bkp_texts_free(sink->texts);
	free(sink->last_path);
	free(sink);
}

void
bkp_sink_watch(struct bkp_sink *sink, bkp_watch_fn *fn, void *arg)
{
	sink->watch = fn;
	sink->watch_arg = arg;
}

void
bkp_sink_share(struct bkp_sink *sink, const struct bkp_shared *shared)
{
	sink->shared = shared;
}

const struct bkp_shared *
bkp_sink_shared(const struct bkp_sink *sink)
{
	return sink->shared;
}

int
bkp_sink_shared_entries(struct bkp_sink *sink, size_t n,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	const struct fmt_share_piece *piece = &sink->shared->done[n].pieces[0];

	*out = NULL;
	if (piece->is_left)
		return 0;
	return bkp_session_entries(
	    sink->session, piece->refs, piece->ref_count, out, err);
}

static void
count_bytes(struct fmt_share_piece *piece)
{
	for (size_t i = 0; i < piece->ref_count; i++)
		piece->bytes += piece->refs[i].len;
}

int
bkp_sink_hand_in(struct bkp_sink *sink, struct fmt_share_done *done, uint32_t n,
    struct bkp_error *err)
{
	struct fmt_share_piece *piece = bkp_alloc(sizeof(*piece), err);

	if (piece == NULL || bkp_list_writer_finish(sink->list, &piece->refs,
				 &piece->ref_count, err) < 0) {
		free(piece);
		return -1;
	}
	count_bytes(piece);
	piece->hash.rows = sink->tally.entries - sink->handed_in;
	sink->handed_in = sink->tally.entries;
	*done = (struct fmt_share_done){
	    .task = n, .pieces = piece, .piece_count = 1};
	return 0;
}

int
bkp_sink_finish(struct bkp_sink *sink, struct fmt_chunk_ref **refs,
    size_t *count, struct bkp_error *err)
{
	return bkp_list_writer_finish(sink->list, refs, count, err);
}

const struct bkp_tally *
bkp_sink_tally(const struct bkp_sink *sink)
{
	return &sink->tally;
}

struct bkp_run *
bkp_sink_run(struct bkp_sink *sink)
{
	return sink->run;
}

struct bkp_content *
bkp_sink_content(struct bkp_sink *sink, unsigned worker)
{
	return bkp_contents_item(sink->contents, worker);
}

int
bkp_sink_rows(struct bkp_sink *sink, const char *database,
    struct bkp_row_cache **out, struct bkp_error *err)
{
	*out = NULL;
	if (sink->session == NULL)
		return 0;
	return bkp_session_rows(sink->session, database, out, err);
}

bool
bkp_sink_is_digest_only(const struct bkp_sink *sink)
{
	return sink->session == NULL;
}

int
bkp_sink_previous(
    struct bkp_sink *sink, struct bkp_entry_stream **out, struct bkp_error *err)
{
	return bkp_sink_previous_below(sink, NULL, out, err);
}

/* The repository that has the earlier list is one of several: the others are
 * written without it. */
static int
forgive(struct bkp_sink *sink, const struct bkp_error *problem,
    struct bkp_error *err)
{
	if (bkp_session_is_joined(sink->session) &&
	    problem->code != BKP_NOMEM && problem->code != BKP_CANCELLED) {
		sink->damage = *problem;
		return 0;
	}
	if (err != NULL)
		*err = *problem;
	return -1;
}

int
bkp_sink_previous_below(struct bkp_sink *sink, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	const struct bkp_previous *previous = &sink->previous;
	struct bkp_error problem = BKP_ERROR_INIT;

	*out = NULL;
	if (previous->repository == NULL)
		return 0;
	if (bkp_entry_stream_open(previous->repository, previous->list,
		previous->list_count, prefix, out, &problem) < 0)
		return forgive(sink, &problem, err);
	bkp_entry_stream_forgive(*out, &sink->damage);
	if (bkp_session_is_joined(sink->session))
		bkp_entry_stream_forgive_all(*out);
	return 0;
}

/* Who compares tells what is lost. */
static int
pass_over(void *arg, size_t chunk, const char *behind, const char *cut,
    const struct bkp_error *why, struct bkp_error *err)
{
	(void)arg;
	(void)chunk;
	(void)behind;
	(void)cut;
	(void)why;
	(void)err;
	return 0;
}

int
bkp_sink_recorded(
    struct bkp_sink *sink, struct bkp_entry_stream **out, struct bkp_error *err)
{
	return bkp_sink_recorded_below(sink, NULL, out, err);
}

int
bkp_sink_recorded_below(struct bkp_sink *sink, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	const struct bkp_previous *recorded = &sink->recorded;

	*out = NULL;
	if (recorded->repository == NULL)
		return 0;
	return bkp_entry_stream_open_damaged(recorded->repository,
	    recorded->list, recorded->list_count, prefix, pass_over, NULL, out,
	    err);
}

const struct bkp_error *
bkp_sink_damage(const struct bkp_sink *sink)
{
	return sink->damage.code != BKP_OK ? &sink->damage : NULL;
}

bool
bkp_sink_has_entry(struct bkp_sink *sink, const struct fmt_entry *previous)
{
	return sink->session != NULL &&
	       bkp_session_has_entry(sink->session, previous);
}

/* The prefix itself, or below it: "files/stack", "files/stack/etc"; or that of
 * an older version. */
static bool
is_below(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	return (strncmp(path, prefix, len) == 0 &&
		   (path[len] == '\0' || path[len] == '/')) ||
	       fmt_version_is_path(prefix, path);
}

static int
check_order(struct bkp_sink *sink, const char *path, struct bkp_error *err)
{
	char *copy;

	if (!is_below(path, sink->prefix))
		return bkp_fail(err, BKP_INVALID,
		    "entry %s is not below its source %s", path, sink->prefix);
	if (sink->last_path != NULL &&
	    fmt_entry_compare(sink->last_path, path) >= 0)
		return bkp_fail(err, BKP_INVALID,
		    "entry %s came after %s; entries must come in order", path,
		    sink->last_path);
	if ((copy = bkp_strdup(path, err)) == NULL)
		return -1;
	free(sink->last_path);
	sink->last_path = copy;
	return 0;
}

static void
add_to_tally(struct bkp_tally *tally, const struct fmt_entry *entry)
{
	json_int_t rows =
	    json_integer_value(json_object_get(entry->attrs, "rows"));

	tally->entries++;
	if (entry->has_content) {
		tally->contents++;
		tally->bytes += entry->size;
	}
	if (rows > 0)
		tally->rows += (uint64_t)rows;
}

static int
show_entry(
    struct bkp_sink *sink, const struct fmt_entry *entry, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	bool has_text = bkp_texts_take(sink->texts, entry->path, &text);
	int rc;

	rc = sink->seen(sink->seen_arg, entry, has_text ? &text : NULL, err);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_sink_entry(
    struct bkp_sink *sink, struct fmt_entry *entry, struct bkp_error *err)
{
	int rc = -1;

	if (check_order(sink, entry->path, err) < 0)
		goto out;
	add_to_tally(&sink->tally, entry);
	if (sink->watch != NULL && sink->watch(sink->watch_arg, entry, err) < 0)
		goto out;
	if (sink->session != NULL)
		rc = bkp_list_writer_add(sink->list, entry, err);
	else
		rc = show_entry(sink, entry, err);
out:
	fmt_entry_free(entry);
	return rc;
}
