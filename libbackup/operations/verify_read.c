/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading back from the repository: what is read is decrypted, decompressed
 * and digested. Entries as a whole are the proof by digest of what has no place
 * to be restored into; pieces of some slices are a sample. What neither can see
 * is whether a server takes the bytes and their attributes back; the verdict
 * says so.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/operations/verify_impl.h"

/* Of one entry at a time: a table may have millions of them. */
#define PIECES 256

struct reading {
	struct bkp_verify *verify;
	const struct bkp_chosen *chosen;
	struct bkp_supply *supply;
	const struct bkp_slices *slices; /* NULL: entries as a whole */
	struct bkp_entry_stream *stream;
	struct fmt_entry entry; /* whose pieces are looked at */
	size_t at;              /* the next of them */
	struct bkp_read_back *out;
};

/* With slices the entry has those pieces alone that are to be read. */
struct item {
	struct fmt_entry entry;
	bool has_failed;
	struct bkp_error error;
};

unsigned
bkp_slice_of(const struct fmt_chunk_ref *ref)
{
	return (unsigned)ref->id[0] << 4 | ref->id[1] >> 4;
}

static void
discard(void *arg, void *taken)
{
	struct item *item = taken;

	(void)arg;
	fmt_entry_free(&item->entry);
	free(item);
}

/* ---- what to read ---- */

/* The next one that was selected. 1, 0 (the end) or -1. */
static int
next_entry(
    struct reading *reading, struct fmt_entry *entry, struct bkp_error *err)
{
	int got;

	do {
		fmt_entry_free(entry);
		got = bkp_entry_stream_next(reading->stream, entry, err);
	} while (
	    got == 1 && !bkp_supply_is_selected(reading->supply, entry->path));
	return got;
}

/* Moves on to the next entry that has a piece to be read. As above. */
static int
find_piece(struct reading *reading, struct bkp_error *err)
{
	struct fmt_entry *entry = &reading->entry;

	for (;;) {
		for (; reading->at < entry->chunk_count; reading->at++)
			if (reading->slices->is_chosen[bkp_slice_of(
				&entry->chunks[reading->at])])
				return 1;
		reading->at = 0;
		switch (next_entry(reading, entry, err)) {
		case 1:
			bkp_run_count(reading->verify->run, 0, 1);
			break;
		case 0:
			return 0;
		default:
			return -1;
		}
	}
}

static int
take_pieces(
    struct reading *reading, struct fmt_entry *out, struct bkp_error *err)
{
	const struct fmt_entry *entry = &reading->entry;
	int found = find_piece(reading, err);

	if (found != 1)
		return found;
	if (fmt_entry_init(out, entry->path, entry->kind) != FMT_OK)
		return bkp_fail_nomem(err, "reading back");
	out->has_content = true;
	for (; reading->at < entry->chunk_count && out->chunk_count < PIECES;
	     reading->at++) {
		const struct fmt_chunk_ref *ref = &entry->chunks[reading->at];

		if (reading->slices->is_chosen[bkp_slice_of(ref)] &&
		    fmt_entry_add_chunk(out, ref) != FMT_OK)
			return bkp_fail_nomem(err, "reading back");
	}
	return 1;
}

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct reading *reading = arg;
	struct item *item = bkp_alloc(sizeof(*item), err);
	int got;

	*out = NULL;
	if (item == NULL)
		return -1;
	got = reading->slices != NULL ? take_pieces(reading, &item->entry, err)
				      : next_entry(reading, &item->entry, err);
	if (got != 1) {
		discard(NULL, item);
		return got;
	}
	*out = item;
	return 0;
}

/* ---- reading ---- */

static int
count_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct reading *reading = arg;

	(void)data;
	bkp_run_count(reading->verify->run, len, 0);
	return bkp_run_check(reading->verify->run, err);
}

/* Every piece is authenticated, and its id and length are computed again. */
static int
read_pieces(struct reading *reading, struct bkp_chunk_reader *reader,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	struct fmt_buf piece = FMT_BUF_SECRET_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < entry->chunk_count; i++) {
		fmt_buf_clear(&piece);
		rc = bkp_chunk_reader_get(
		    reader, &entry->chunks[i], &piece, err);
		if (rc == 0)
			rc = count_bytes(
			    reading, NULL, entry->chunks[i].len, err);
	}
	fmt_buf_free(&piece);
	return rc;
}

/* What is damaged is a finding, and the others are still looked at. */
static int
work(void *arg, unsigned worker, void *taken, struct bkp_error *err)
{
	struct reading *reading = arg;
	struct item *item = taken;
	struct bkp_chunk_reader *reader =
	    bkp_supply_reader(reading->supply, worker);
	int rc = 0;

	if (reading->slices != NULL)
		rc = read_pieces(reading, reader, &item->entry, &item->error);
	else if (item->entry.has_content)
		rc = bkp_chunk_reader_entry(
		    reader, &item->entry, count_bytes, reading, &item->error);
	if (rc == 0)
		return 0;
	if (item->error.code == BKP_CANCELLED ||
	    item->error.code == BKP_NOMEM) {
		if (err != NULL)
			*err = item->error;
		return -1;
	}
	item->has_failed = true;
	return 0;
}

static int
compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* An entry that is read in parts is told once. */
static int
tell_failure(
    struct reading *reading, const struct item *item, struct bkp_error *err)
{
	void **told = &reading->out->told;
	char *path;

	if (tfind(item->entry.path, told, compare_text) != NULL)
		return 0;
	if ((path = bkp_strdup(item->entry.path, err)) == NULL)
		return -1;
	if (tsearch(path, told, compare_text) == NULL) {
		free(path);
		return bkp_fail_nomem(err, "reading back");
	}
	return bkp_verdict_add(reading->verify->verdict, BKP_CHECK_FAIL, err,
	    path, "%s", item->error.message);
}

static void
count_read(struct reading *reading, const struct fmt_entry *entry)
{
	if (reading->slices == NULL) {
		reading->out->entries++;
		bkp_verify_tally(
		    reading->verify, reading->chosen->kind->kind, entry);
	}
	reading->out->pieces += entry->chunk_count;
	for (size_t i = 0; i < entry->chunk_count; i++)
		reading->out->bytes += entry->chunks[i].len;
}

/* Nothing was read behind the first that was not well. */
static void
note_bad(struct reading *reading, const struct fmt_entry *entry)
{
	for (size_t i = 0; i < entry->chunk_count; i++)
		reading->out->bad.is_chosen[bkp_slice_of(&entry->chunks[i])] =
		    true;
}

static int
done(void *arg, void *taken, struct bkp_error *err)
{
	struct reading *reading = arg;
	struct item *item = taken;
	int rc = 0;

	if (reading->slices == NULL)
		bkp_run_count(reading->verify->run, 0, 1);
	if (item->has_failed) {
		note_bad(reading, &item->entry);
		rc = tell_failure(reading, item, err);
	} else {
		count_read(reading, &item->entry);
	}
	discard(NULL, item);
	return rc;
}

static void
tick(void *arg)
{
	struct reading *reading = arg;

	bkp_run_tick(reading->verify->run);
}

int
bkp_verify_read_back(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_slices *slices,
    struct bkp_read_back *out, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next,
	    .work = work,
	    .done = done,
	    .discard = discard,
	    .tick = tick};
	struct reading reading = {.verify = verify,
	    .chosen = chosen,
	    .supply = supply,
	    .slices = slices,
	    .entry = FMT_ENTRY_INIT,
	    .out = out};
	unsigned workers = bkp_run_workers(verify->run);
	int rc;

	if (bkp_supply_entries(
		supply, bkp_supply_selection(supply), &reading.stream, err) < 0)
		return -1;
	rc = bkp_pipeline_run(workers, workers * 16, &ops, &reading,
	    bkp_run_cancel(verify->run), err);
	bkp_entry_stream_close(reading.stream);
	fmt_entry_free(&reading.entry);
	return rc;
}

void
bkp_read_back_free(struct bkp_read_back *read)
{
	tdestroy(read->told, free);
	read->told = NULL;
}

/* ---- the whole ---- */

int
bkp_verify_digests(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const char *why, struct bkp_error *err)
{
	const char *prefix = chosen->source->prefix;
	struct bkp_read_back read = BKP_READ_BACK_INIT;
	int rc = -1;

	bkp_run_phase(verify->run, verify->selected.bytes,
	    verify->selected.entries, "reading back %s", prefix);
	if (bkp_verify_read_back(verify, chosen, supply, NULL, &read, err) == 0)
		rc = bkp_verdict_add_agreed(verify->verdict, err, prefix,
		    read.entries, "read back, digests equal");
	bkp_read_back_free(&read);
	if (rc < 0)
		return -1;
	if (why != NULL)
		return bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err,
		    chosen->selection, "read back and not restored: %s", why);
	return bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err, prefix,
	    "not put into a server or folder: attributes are recorded and "
	    "were not tried");
}
