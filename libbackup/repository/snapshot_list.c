/* SPDX-License-Identifier: Apache-2.0 */
/* The public view of snapshots: a list, and one by what a person types. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/instant.h"
#include "libbackup/repository/history_own.h"
#include "libbackup/repository/proofs.h"

#define SHORTEST_START 4

/* ---- the list ---- */

/* What the public list points into. */
struct list_memory {
	struct bkp_history history;
	struct bkp_snapshot_problem *problems; /* one a finding */
	size_t problem_count;
	struct bkp_snapshot_source **sources; /* one array a snapshot */
	char **json;                          /* one text a snapshot */
	struct bkp_proofs proofs;
	struct bkp_snapshot_proof *newest; /* one a snapshot, where there is */
};

static void
free_list(struct list_memory *memory)
{
	for (size_t i = 0; i < memory->history.snapshots.count; i++) {
		if (memory->sources != NULL)
			free(memory->sources[i]);
		if (memory->json != NULL)
			free(memory->json[i]);
	}
	free(memory->sources);
	free(memory->json);
	free(memory->problems);
	free(memory->newest);
	bkp_proofs_free(&memory->proofs);
	bkp_history_free(&memory->history);
	free(memory);
}

/* The signed line of a snapshot, as it would be written again. */
static char *
json_of(
    struct bkp_repository *repository, const char *name, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	char *json = NULL;

	if (bkp_snapshot_record(repository, name, &text, err) == 0) {
		const char *newline = memchr(text.data, '\n', text.len);
		size_t len = newline != NULL
				 ? (size_t)(newline - (const char *)text.data)
				 : text.len;

		json =
		    bkp_format(err, "%.*s", (int)len, (const char *)text.data);
	}
	fmt_buf_free(&text);
	return json;
}

static struct bkp_snapshot_source *
sources_of(const struct fmt_snapshot *snapshot, struct bkp_error *err)
{
	struct bkp_snapshot_source *sources =
	    bkp_alloc_array(snapshot->source_count, sizeof(*sources), err);

	for (size_t i = 0; sources != NULL && i < snapshot->source_count; i++)
		sources[i] = (struct bkp_snapshot_source){
		    .prefix = snapshot->sources[i].prefix,
		    .kind = snapshot->sources[i].kind,
		    .entries = snapshot->sources[i].entries,
		    .bytes = snapshot->sources[i].bytes,
		    .reused_bytes =
			(uint64_t)json_integer_value(json_object_get(
			    snapshot->sources[i].info, "bytes_taken_over"))};
	return sources;
}

static void
fill_snapshot(const struct bkp_named_snapshot *from,
    const struct bkp_snapshot_source *sources, const char *json,
    struct bkp_snapshot *out)
{
	const struct fmt_snapshot *snapshot = &from->snapshot;

	*out = (struct bkp_snapshot){
	    .name = from->name,
	    .host = snapshot->host,
	    .time_us = snapshot->time_us,
	    .finished_us = snapshot->finished_us,
	    .tags = (const char *const *)snapshot->tags,
	    .tag_count = snapshot->tag_count,
	    .omission_count = json_array_size(snapshot->omissions),
	    .stored_bytes = snapshot->stored_bytes,
	    .new_chunks = snapshot->new_chunks,
	    .known_chunks = snapshot->known_chunks,
	    .sources = sources,
	    .source_count = snapshot->source_count,
	    .json = json,
	};
}

static int
fill_list(struct bkp_repository *repository, struct list_memory *memory,
    struct bkp_snapshot *items, struct bkp_error *err)
{
	size_t count = memory->history.snapshots.count;

	memory->sources = bkp_alloc_array(count, sizeof(*memory->sources), err);
	memory->json = bkp_alloc_array(count, sizeof(*memory->json), err);
	if (memory->sources == NULL || memory->json == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct bkp_named_snapshot *from =
		    &memory->history.snapshots.items[i];

		memory->sources[i] = sources_of(&from->snapshot, err);
		memory->json[i] = json_of(repository, from->name, err);
		if (memory->sources[i] == NULL || memory->json[i] == NULL)
			return -1;
		fill_snapshot(
		    from, memory->sources[i], memory->json[i], &items[i]);
	}
	return 0;
}

static void
fill_proof(const struct fmt_proof *from, struct bkp_snapshot_proof *out)
{
	*out = (struct bkp_snapshot_proof){
	    .time_us = from->time_us,
	    .is_proven = from->is_proven ? 1 : 0,
	    .host = from->host,
	    .path = from->path,
	    .level = fmt_proof_level_name(from->level),
	    .passed = from->passed,
	    .failed = from->failed,
	    .skipped = from->skipped,
	    .rows = from->rows,
	    .objects = from->objects,
	    .files = from->files,
	    .duration_ms = from->duration_ms,
	    .recovery_ms = from->recovery_ms,
	    .bytes = from->bytes,
	    .program = from->program != NULL ? from->program : "",
	};
}

static int
fill_proofs(struct list_memory *memory, struct bkp_snapshot *items,
    size_t count, struct bkp_error *err)
{
	const struct bkp_proofs *proofs = &memory->proofs;

	memory->newest = bkp_alloc_array(count, sizeof(*memory->newest), err);
	if (memory->newest == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct fmt_proof *newest =
		    bkp_proofs_newest(proofs, items[i].name);

		bkp_proofs_of(proofs, items[i].name, &items[i].proven_us,
		    &items[i].failed_us);
		if (newest == NULL)
			continue;
		fill_proof(newest, &memory->newest[i]);
		items[i].proof = &memory->newest[i];
	}
	return 0;
}

static int
fill_problems(struct list_memory *memory, struct bkp_error *err)
{
	const struct bkp_history *history = &memory->history;

	memory->problems =
	    bkp_alloc_array(history->count, sizeof(*memory->problems), err);
	if (memory->problems == NULL)
		return -1;
	for (size_t i = 0; i < history->count; i++) {
		const struct bkp_history_finding *finding =
		    &history->findings[i];

		memory->problems[i] = (struct bkp_snapshot_problem){
		    .kind = bkp_history_kind_name(finding->kind),
		    .name = finding->name,
		    .text = finding->text,
		    .is_note = finding->is_note ? 1 : 0,
		};
	}
	memory->problem_count = history->count;
	return 0;
}

static int
has_index(struct bkp_repository *repository, bool *out, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_object_names(repository->store, "index", "", &names, err);

	*out = names.count > 0;
	bkp_names_free(&names);
	return rc;
}

/* A machine that has seen none of them cannot know that they were deleted, but
 * that something was stored is there to be seen. */
static int
miss_all(struct bkp_repository *repository, struct bkp_history *history,
    struct bkp_error *err)
{
	const struct bkp_history_finding finding = {
	    .kind = BKP_HISTORY_NONE,
	    .code = BKP_NOTFOUND,
	};
	bool is_used = false;

	if (history->snapshots.count > 0 || bkp_history_problems(history) > 0 ||
	    repository->archive != NULL)
		return 0;
	if (has_index(repository, &is_used, err) < 0)
		return -1;
	return is_used ? bkp_history_add(history, finding, err, "%s",
			     bkp_history_none(true))
		       : 0;
}

int
bkp_snapshot_list(struct bkp_repository *repository,
    struct bkp_snapshot_list *out, struct bkp_error *err)
{
	struct list_memory *memory = bkp_alloc(sizeof(*memory), err);
	struct bkp_snapshot *items = NULL;
	size_t count;

	if (memory == NULL)
		return -1;
	if (bkp_history_look(
		repository, &memory->history, &memory->proofs, err) < 0 ||
	    miss_all(repository, &memory->history, err) < 0 ||
	    fill_problems(memory, err) < 0)
		goto fail;
	count = memory->history.snapshots.count;
	items = bkp_alloc_array(count, sizeof(*items), err);
	if (items == NULL || fill_list(repository, memory, items, err) < 0 ||
	    fill_proofs(memory, items, count, err) < 0)
		goto fail;
	out->items = items;
	out->count = count;
	out->memory = memory;
	return 0;
fail:
	free(items);
	free_list(memory);
	return -1;
}

const struct bkp_snapshot_problem *
bkp_snapshot_list_problem(const struct bkp_snapshot_list *list, size_t n)
{
	const struct list_memory *memory = list->memory;

	return memory != NULL && n < memory->problem_count
		   ? &memory->problems[n]
		   : NULL;
}

void
bkp_snapshot_list_free(struct bkp_snapshot_list *list)
{
	free(list->items);
	if (list->memory != NULL)
		free_list(list->memory);
	*list = (struct bkp_snapshot_list)BKP_SNAPSHOT_LIST_INIT;
}

/* ---- finding one ---- */

/* The first reason not to believe that the newest is among the good ones. */
static const struct bkp_history_finding *
find_doubt(const struct bkp_history *history)
{
	for (size_t i = 0; i < history->count; i++)
		if (history->findings[i].may_be_newest &&
		    !history->findings[i].is_note)
			return &history->findings[i];
	return NULL;
}

/* Whether `other` came after it and says an earlier time, so that a clock was
 * wrong. An import has the time of its original; when it was made tells. */
static bool
is_outrun_by(const struct bkp_named_snapshot *item,
    const struct bkp_named_snapshot *other)
{
	const struct fmt_snapshot *a = &item->snapshot, *b = &other->snapshot;

	if (b->finished_us >= a->time_us)
		return false;
	if (memcmp(a->signer, b->signer, sizeof(a->signer)) == 0)
		return b->sequence > a->sequence;
	for (size_t i = 0; i < b->seen_count; i++)
		if (strcmp(b->seen[i], item->name) == 0)
			return true;
	return false;
}

/* Imports have the time of their original. What lacks least is meant, and then
 * the original. */
static const struct bkp_named_snapshot *
of_the_same_time(const struct bkp_snapshots *snapshots, size_t n)
{
	const struct bkp_named_snapshot *best = &snapshots->items[n];

	while (n-- > 0 &&
	       snapshots->items[n].snapshot.time_us == best->snapshot.time_us) {
		const struct fmt_snapshot *a = &snapshots->items[n].snapshot;
		size_t lacks = json_array_size(a->omissions);
		size_t best_lacks = json_array_size(best->snapshot.omissions);

		if (lacks < best_lacks ||
		    (lacks == best_lacks &&
			a->finished_us < best->snapshot.finished_us))
			best = &snapshots->items[n];
	}
	return best;
}

/* The one with the latest time among the first `n`, but for those of a clock
 * that was ahead: for years nobody would restore anything else. Of a host the
 * last one stays. */
static const char *
newest_name(const struct bkp_snapshots *snapshots, size_t n)
{

	while (--n > 0) {
		bool is_outrun = false;

		for (size_t i = 0; i < snapshots->count && !is_outrun; i++)
			is_outrun = is_outrun_by(
			    &snapshots->items[n], &snapshots->items[i]);
		if (!is_outrun)
			break;
	}
	return of_the_same_time(snapshots, n)->name;
}

static int
refuse_latest(const struct bkp_history *history,
    const struct bkp_history_finding *doubt, struct bkp_error *err)
{
	const struct bkp_snapshots *snapshots = &history->snapshots;

	if (snapshots->count == 0)
		return bkp_fail(err, doubt->code,
		    "there is no good snapshot: %s", doubt->text);
	return bkp_fail(err, doubt->code,
	    "the newest snapshot may be missing or damaged (%.12s is the "
	    "newest of the others: name it to use it): %s",
	    newest_name(snapshots, snapshots->count), doubt->text);
}

static int
refuse_none(struct bkp_repository *repository, struct bkp_error *err)
{
	bool is_used = false;

	if (has_index(repository, &is_used, err) < 0)
		return -1;
	return is_used
		   ? bkp_fail(err, BKP_NOTFOUND, "%s: %s",
			 repository->store->location, bkp_history_none(true))
		   : bkp_fail(err, BKP_NOTFOUND,
			 "%s: there is no snapshot yet; backup-create "
			 "makes one",
			 repository->store->location);
}

static int
find_latest(
    struct bkp_repository *repository, char name[65], struct bkp_error *err)
{
	struct bkp_history history = BKP_HISTORY_INIT;
	const struct bkp_snapshots *snapshots = &history.snapshots;
	const struct bkp_history_finding *doubt;
	int rc = bkp_history_read(repository, &history, err);

	if (rc < 0)
		return -1;
	if ((doubt = find_doubt(&history)) != NULL)
		rc = refuse_latest(&history, doubt, err);
	else if (snapshots->count == 0)
		rc = refuse_none(repository, err);
	else
		memcpy(name, newest_name(snapshots, snapshots->count),
		    BKP_OBJECT_NAME);
	bkp_history_free(&history);
	return rc;
}

/* What is missing or damaged may be of that time: nobody knows. */
static const struct bkp_history_finding *
find_problem(const struct bkp_history *history)
{
	for (size_t i = 0; i < history->count; i++)
		if (!history->findings[i].is_note)
			return &history->findings[i];
	return NULL;
}

static int
find_as_of(struct bkp_repository *repository, const char *text, int64_t us,
    char name[65], struct bkp_error *err)
{
	struct bkp_history history = BKP_HISTORY_INIT;
	const struct bkp_snapshots *snapshots = &history.snapshots;
	const struct bkp_history_finding *problem;
	size_t n;
	int rc = -1;

	if (bkp_history_read(repository, &history, err) < 0)
		return -1;
	for (n = snapshots->count;
	     n > 0 && snapshots->items[n - 1].snapshot.time_us > us;)
		n--;
	problem = find_problem(&history);
	if (n == 0)
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "%s: no snapshot is as old as %s; backup-list shows those "
		    "there are",
		    repository->store->location, text);
	else if (problem != NULL)
		(void)bkp_fail(err, problem->code,
		    "the newest snapshot up to %s may be one that is missing "
		    "or damaged (%s is the newest of the others: name it to "
		    "use it): %s",
		    text, newest_name(snapshots, n), problem->text);
	else
		rc = 0;
	if (rc == 0)
		memcpy(name, newest_name(snapshots, n), BKP_OBJECT_NAME);
	bkp_history_free(&history);
	return rc;
}

static int
too_many(const struct bkp_names *names, const char *text, struct bkp_error *err)
{
	char listed[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < names->count && i < 8; i++)
		len += (size_t)snprintf(listed + len, sizeof(listed) - len,
		    "%s%.16s", i > 0 ? ", " : "", names->items[i]);
	return bkp_fail(err, BKP_INVALID,
	    "'%s' is the start of %zu snapshots (%s%s): give more of the name",
	    text, names->count, listed, names->count > 8 ? ", ..." : "");
}

static int
find_by_start(struct bkp_repository *repository, const char *text,
    char name[65], struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = 0;

	if (bkp_object_names(
		repository->store, "snapshots", text, &names, err) < 0)
		return -1;
	if (names.count == 0)
		rc = bkp_fail(err, BKP_NOTFOUND,
		    "%s: there is no snapshot '%s'; backup-list shows those "
		    "there are",
		    repository->store->location, text);
	else if (names.count > 1)
		rc = too_many(&names, text, err);
	else
		memcpy(name, names.items[0], BKP_OBJECT_NAME);
	bkp_names_free(&names);
	return rc;
}

int
bkp_snapshot_find(struct bkp_repository *repository, const char *text,
    char name[65], struct bkp_error *err)
{
	size_t len = strlen(text);
	int64_t us;

	if (strcmp(text, "latest") == 0)
		return find_latest(repository, name, err);
	if (bkp_instant_read(text, &us))
		return find_as_of(repository, text, us, name, err);
	if (len < SHORTEST_START || len >= BKP_OBJECT_NAME ||
	    strspn(text, "0123456789abcdef") != len)
		return bkp_fail(err, BKP_INVALID,
		    "'%.80s' names no snapshot: give 'latest', at least %d "
		    "digits of the start of a name, or a time, as in "
		    "2026-11-20T12:00",
		    text, SHORTEST_START);
	return find_by_start(repository, text, name, err);
}
