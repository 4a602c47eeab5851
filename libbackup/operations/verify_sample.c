/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of the contents, read back: every piece is authenticated, and its id
 * and length are computed again, so what is read is what was stored.
 *
 * Of SLICES pieces of each content one is read, and of contents that are one
 * piece each one in so many. Which ones is a matter of day and minute: whoever
 * looks every day, every week or every month comes round to all of them.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/operations/verify_impl.h"

/* A prime, and so not a part of the days of a week or month. */
#define SLICES 11
#define MINUTE_US (INT64_C(60) * 1000000)

struct sample {
	struct bkp_verify *verify;
	struct bkp_supply *supply;
	struct bkp_entry_stream *stream;
	unsigned slice;
	bool is_cut; /* the budget ended it */
	uint64_t pieces, all_pieces, bytes;
};

struct item {
	struct fmt_entry entry;
	uint64_t pieces, bytes;
	bool has_failed;
	struct bkp_error error;
};

static unsigned
slice_of_now(void)
{
	int64_t minutes = bkp_clock_utc_us() / MINUTE_US;

	return (unsigned)((minutes / 1440 + minutes % 1440) % SLICES);
}

/* FNV-1a: where the pieces of a content begin to be counted. */
static unsigned
place_of(const char *path)
{
	uint32_t hash = 2166136261u;

	for (; *path != '\0'; path++)
		hash = (hash ^ (unsigned char)*path) * 16777619u;
	return hash % SLICES;
}

static void
discard(void *arg, void *taken)
{
	struct item *item = taken;

	(void)arg;
	fmt_entry_free(&item->entry);
	free(item);
}

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct sample *sample = arg;
	struct item *item;
	int got;

	*out = NULL;
	if (bkp_verify_is_late(sample->verify)) {
		sample->is_cut = true;
		return 0;
	}
	if ((item = bkp_alloc(sizeof(*item), err)) == NULL)
		return -1;
	do {
		fmt_entry_free(&item->entry);
		got = bkp_entry_stream_next(sample->stream, &item->entry, err);
	} while (got == 1 &&
		 !bkp_supply_is_selected(sample->supply, item->entry.path));
	if (got != 1) {
		discard(NULL, item);
		return got;
	}
	*out = item;
	return 0;
}

static int
read_pieces(struct sample *sample, struct bkp_chunk_reader *reader,
    struct item *item, struct bkp_error *err)
{
	unsigned from = place_of(item->entry.path);
	struct fmt_buf piece = FMT_BUF_SECRET_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < item->entry.chunk_count; i++) {
		const struct fmt_chunk_ref *ref = &item->entry.chunks[i];

		if ((from + i) % SLICES != sample->slice)
			continue;
		fmt_buf_clear(&piece);
		rc = bkp_chunk_reader_get(reader, ref, &piece, err);
		if (rc == 0) {
			item->pieces++;
			item->bytes += ref->len;
			bkp_run_count(sample->verify->run, ref->len, 0);
			rc = bkp_run_check(sample->verify->run, err);
		}
	}
	fmt_buf_free(&piece);
	return rc;
}

/* A damaged piece is a finding, and the others are still looked at. */
static int
work(void *arg, unsigned worker, void *taken, struct bkp_error *err)
{
	struct sample *sample = arg;
	struct item *item = taken;

	if (!item->entry.has_content ||
	    read_pieces(sample, bkp_supply_reader(sample->supply, worker), item,
		&item->error) == 0)
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
done(void *arg, void *taken, struct bkp_error *err)
{
	struct sample *sample = arg;
	struct item *item = taken;
	int rc = 0;

	bkp_run_count(sample->verify->run, 0, 1);
	if (item->entry.has_content)
		sample->all_pieces += item->entry.chunk_count;
	sample->pieces += item->pieces;
	sample->bytes += item->bytes;
	if (item->has_failed)
		rc = bkp_verdict_add(sample->verify->verdict, BKP_CHECK_FAIL,
		    err, item->entry.path, "%s", item->error.message);
	discard(NULL, item);
	return rc;
}

static void
tick(void *arg)
{
	struct sample *sample = arg;

	bkp_run_tick(sample->verify->run);
}

static int
tell(struct sample *sample, const char *prefix, struct bkp_error *err)
{
	struct bkp_verdict *verdict = sample->verify->verdict;
	char *name = bkp_format(err, "%s/sample", prefix);
	int rc = -1;

	if (name != NULL && sample->pieces > 0)
		rc = bkp_verdict_add(verdict, BKP_CHECK_PASS, err, name,
		    "%llu of %llu pieces read back, %llu bytes (slice %u of "
		    "%u%s)",
		    (unsigned long long)sample->pieces,
		    (unsigned long long)sample->all_pieces,
		    (unsigned long long)sample->bytes, sample->slice + 1,
		    SLICES,
		    sample->is_cut ? ", as far as the budget went" : "");
	else if (name != NULL)
		rc = bkp_verdict_add(verdict, BKP_CHECK_SKIP, err, name,
		    sample->is_cut ? "the budget was used up before a piece "
				     "was read%s"
				   : "none of its pieces is in the slice of "
				     "now%s",
		    "");
	free(name);
	return rc;
}

int
bkp_verify_sample(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next,
	    .work = work,
	    .done = done,
	    .discard = discard,
	    .tick = tick};
	struct sample sample = {
	    .verify = verify, .supply = supply, .slice = slice_of_now()};
	unsigned workers = bkp_run_workers(verify->run);
	int rc;

	bkp_run_phase(verify->run, verify->selected.bytes / SLICES,
	    verify->selected.entries, "reading back a sample of %s",
	    chosen->source->prefix);
	if (bkp_supply_entries(
		supply, bkp_supply_selection(supply), &sample.stream, err) < 0)
		return -1;
	rc = bkp_pipeline_run(workers, workers * 16, &ops, &sample,
	    bkp_run_cancel(verify->run), err);
	bkp_entry_stream_close(sample.stream);
	if (rc < 0)
		return -1;
	return tell(&sample, chosen->source->prefix, err);
}
