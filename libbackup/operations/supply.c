/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/sink.h"

struct bkp_supply {
	struct bkp_run *run;
	struct bkp_repository *repository;
	const struct fmt_snapshot_source *source;
	const char *selection;
	struct bkp_chunk_reader **readers; /* one a worker */
	unsigned reader_count;
	/* Owned: of each chunk of the list, that it is lost. */
	atomic_bool *is_told;
	atomic_bool is_list_damaged;
	atomic_uint_fast64_t lost, refused, restored;
	uint64_t ready_ms; /* by bkp_clock_ms; 0: not */
};

int
bkp_supply_new(struct bkp_run *run, struct bkp_repository *repository,
    const struct fmt_snapshot_source *source, const char *selection,
    struct bkp_supply **out, struct bkp_error *err)
{
	struct bkp_supply *supply = bkp_alloc(sizeof(*supply), err);
	unsigned workers = bkp_run_workers(run);

	if (supply == NULL)
		return -1;
	supply->run = run;
	supply->repository = repository;
	supply->source = source;
	supply->selection = selection != NULL && selection[0] != '\0'
				? selection
				: source->prefix;
	supply->is_told =
	    bkp_alloc_array(source->list_count, sizeof(*supply->is_told), err);
	if (supply->is_told == NULL)
		goto fail;
	supply->readers =
	    bkp_alloc_array(workers, sizeof(*supply->readers), err);
	if (supply->readers == NULL)
		goto fail;
	while (supply->reader_count < workers) {
		if (bkp_chunk_reader_new(repository,
			&supply->readers[supply->reader_count], err) < 0)
			goto fail;
		supply->reader_count++;
	}
	*out = supply;
	return 0;
fail:
	bkp_supply_free(supply);
	return -1;
}

void
bkp_supply_free(struct bkp_supply *supply)
{
	if (supply == NULL)
		return;
	for (unsigned i = 0; i < supply->reader_count; i++)
		bkp_chunk_reader_free(supply->readers[i]);
	free(supply->readers);
	free(supply->is_told);
	free(supply);
}

struct bkp_run *
bkp_supply_run(struct bkp_supply *supply)
{
	return supply->run;
}

const char *
bkp_supply_prefix(const struct bkp_supply *supply)
{
	return supply->source->prefix;
}

const char *
bkp_supply_selection(const struct bkp_supply *supply)
{
	return supply->selection;
}

bool
bkp_supply_is_selected(const struct bkp_supply *supply, const char *path)
{
	const char *selection = supply->selection;
	size_t len = strlen(selection);

	if (strcmp(selection, supply->source->prefix) == 0)
		return true;
	if (strncmp(path, selection, len) != 0)
		return false;
	return path[len] == '\0' || path[len] == '/' ||
	       (len > 0 && selection[len - 1] == '/');
}

const json_t *
bkp_supply_info(const struct bkp_supply *supply)
{
	return supply->source->info;
}

/* ---- what is lost ---- */

/* An error of an entry begins with its path, which is told beside it. */
static const char *
without_path(const char *message, const char *path)
{
	struct fmt_buf text = FMT_BUF_INIT;
	const char *escaped = NULL;
	size_t len;

	if (fmt_path_escape(path, &text) == FMT_OK)
		escaped = fmt_buf_text(&text);
	len = escaped != NULL ? strlen(escaped) : 0;
	if (len > 0 && strncmp(message, escaped, len) == 0 &&
	    strncmp(message + len, ": ", 2) == 0)
		message += len + 2;
	fmt_buf_free(&text);
	return message;
}

int
bkp_supply_lose(struct bkp_supply *supply, struct bkp_error *err,
    const struct bkp_error *why, const char *path, const char *format, ...)
{
	char what[256];
	va_list ap;

	if (why->code != BKP_CORRUPT) {
		if (err != NULL)
			*err = *why;
		return -1;
	}
	va_start(ap, format);
	(void)vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	atomic_fetch_add(&supply->lost, 1);
	return bkp_run_omit(supply->run, err, path, "%s: %s", what,
	    without_path(why->message, path));
}

uint64_t
bkp_supply_lost(const struct bkp_supply *supply)
{
	return atomic_load(&supply->lost);
}

int
bkp_supply_refuse(struct bkp_supply *supply, struct bkp_error *err,
    const char *path, const char *format, ...)
{
	char what[sizeof(err->message)];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	atomic_fetch_add(&supply->refused, 1);
	return bkp_run_omit(supply->run, err, path, "%s", what);
}

uint64_t
bkp_supply_refused(const struct bkp_supply *supply)
{
	return atomic_load(&supply->refused);
}

bool
bkp_supply_has_whole_list(const struct bkp_supply *supply)
{
	return !supply->is_list_damaged;
}

void
bkp_supply_restored(struct bkp_supply *supply, uint64_t count)
{
	atomic_fetch_add(&supply->restored, count);
}

void
bkp_supply_ready(struct bkp_supply *supply)
{
	supply->ready_ms = bkp_clock_ms();
}

uint64_t
bkp_supply_ready_ms(const struct bkp_supply *supply)
{
	return supply->ready_ms;
}

uint64_t
bkp_supply_count(const struct bkp_supply *supply)
{
	return atomic_load(&supply->restored);
}

/* The list is read more than once, and what is lost of it told once. */
static int
lose_list(void *arg, size_t chunk, const char *behind, const char *cut,
    const struct bkp_error *why, struct bkp_error *err)
{
	struct bkp_supply *supply = arg;

	supply->is_list_damaged = true;
	if (atomic_exchange(&supply->is_told[chunk], true))
		return 0;
	if (cut != NULL && bkp_supply_is_selected(supply, cut) &&
	    bkp_supply_lose(supply, err, why, cut,
		"not restored, for what it consists of is not known") < 0)
		return -1;
	return bkp_supply_lose(supply, err, why, supply->source->prefix,
	    "part %zu of %zu of its entry list is lost%s%s, and the entries "
	    "there with it",
	    chunk + 1, supply->source->list_count,
	    behind[0] != '\0' ? ", behind " : "", behind);
}

int
bkp_supply_entries(struct bkp_supply *supply, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	return bkp_entry_stream_open_damaged(supply->repository,
	    supply->source->list, supply->source->list_count, prefix, lose_list,
	    supply, out, err);
}

struct bkp_chunk_reader *
bkp_supply_reader(struct bkp_supply *supply, unsigned worker)
{
	return worker < supply->reader_count ? supply->readers[worker] : NULL;
}

static int
append_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	if (fmt_buf_append(arg, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "reading an entry");
	return 0;
}

/* Finds the entry at exactly `path`. 1, 0 (none) or -1. */
static int
find_entry(struct bkp_supply *supply, const char *path, struct fmt_entry *entry,
    struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	int found = -1;

	if (bkp_supply_entries(supply, path, &stream, err) < 0)
		return -1;
	found = bkp_entry_stream_next(stream, entry, err);
	if (found == 1 && strcmp(entry->path, path) != 0) {
		fmt_entry_free(entry);
		found = 0;
	}
	bkp_entry_stream_close(stream);
	return found;
}

int
bkp_supply_stream(struct bkp_supply *supply, const char *path,
    bkp_bytes_fn *take, void *arg, struct bkp_error *err)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int found, rc;

	if ((found = find_entry(supply, path, &entry, err)) < 0)
		return -1;
	if (found == 0)
		return bkp_fail(err,
		    supply->is_list_damaged ? BKP_CORRUPT : BKP_NOTFOUND,
		    supply->is_list_damaged
			? "there is no entry %s in what is left of the list"
			: "the snapshot holds no entry %s",
		    path);
	rc = bkp_chunk_reader_entry(supply->readers[0], &entry, take, arg, err);
	fmt_entry_free(&entry);
	return rc;
}

int
bkp_supply_read(struct bkp_supply *supply, const char *path,
    struct fmt_buf *out, struct bkp_error *err)
{
	size_t old_len = out->len;
	int rc = bkp_supply_stream(supply, path, append_bytes, out, err);

	if (rc < 0)
		out->len = old_len;
	return rc;
}
