/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof by digest: every byte is read back from the repository, decrypted,
 * decompressed and digested. What this cannot see is whether a server takes
 * the bytes and their attributes back; the verdict says so.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/operations/verify_impl.h"

struct digests {
	struct bkp_verify *verify;
	const struct bkp_chosen *chosen;
	struct bkp_supply *supply;
	struct bkp_entry_stream *stream;
	uint64_t agreed;
};

struct item {
	struct fmt_entry entry;
	bool has_failed;
	struct bkp_error error;
};

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
	struct digests *digests = arg;
	struct item *item = bkp_alloc(sizeof(*item), err);
	int got;

	if (item == NULL)
		return -1;
	do {
		fmt_entry_free(&item->entry);
		got = bkp_entry_stream_next(digests->stream, &item->entry, err);
	} while (got == 1 &&
		 !bkp_supply_is_selected(digests->supply, item->entry.path));
	if (got != 1) {
		discard(NULL, item);
		*out = NULL;
		return got;
	}
	*out = item;
	return 0;
}

static int
count_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct digests *digests = arg;

	(void)data;
	bkp_run_count(digests->verify->run, len, 0);
	return bkp_run_check(digests->verify->run, err);
}

/* A damaged entry is a finding, and the others are still looked at. */
static int
work(void *arg, unsigned worker, void *taken, struct bkp_error *err)
{
	struct digests *digests = arg;
	struct item *item = taken;

	if (!item->entry.has_content)
		return 0;
	if (bkp_chunk_reader_entry(bkp_supply_reader(digests->supply, worker),
		&item->entry, count_bytes, digests, &item->error) == 0)
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
	struct digests *digests = arg;
	struct item *item = taken;
	int rc = 0;

	bkp_run_count(digests->verify->run, 0, 1);
	if (item->has_failed) {
		rc = bkp_verdict_add(digests->verify->verdict, BKP_CHECK_FAIL,
		    err, item->entry.path, "%s", item->error.message);
	} else {
		digests->agreed++;
		bkp_verify_tally(
		    digests->verify, digests->chosen->kind->kind, &item->entry);
	}
	discard(NULL, item);
	return rc;
}

static void
tick(void *arg)
{
	struct digests *digests = arg;

	bkp_run_tick(digests->verify->run);
}

static int
tell(struct digests *digests, struct bkp_error *err)
{
	struct bkp_verdict *verdict = digests->verify->verdict;
	const char *prefix = digests->chosen->source->prefix;

	if (bkp_verdict_add_agreed(verdict, err, prefix, digests->agreed,
		"read back, digests equal") < 0)
		return -1;
	return bkp_verdict_add(verdict, BKP_CHECK_SKIP, err, prefix,
	    "not put into a server or folder: attributes are recorded and "
	    "were not tried");
}

int
bkp_verify_digests(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next,
	    .work = work,
	    .done = done,
	    .discard = discard,
	    .tick = tick};
	struct digests digests = {
	    .verify = verify, .chosen = chosen, .supply = supply};
	unsigned workers = bkp_run_workers(verify->run);
	int rc;

	bkp_run_phase(verify->run, verify->selected.bytes,
	    verify->selected.entries, "reading back %s",
	    chosen->source->prefix);
	if (bkp_supply_entries(
		supply, bkp_supply_selection(supply), &digests.stream, err) < 0)
		return -1;
	rc = bkp_pipeline_run(workers, workers * 16, &ops, &digests,
	    bkp_run_cancel(verify->run), err);
	bkp_entry_stream_close(digests.stream);
	if (rc < 0)
		return -1;
	return tell(&digests, err);
}
