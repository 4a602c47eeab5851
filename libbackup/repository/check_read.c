/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of packs, by several workers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/repository/checker.h"
#include "libbackup/repository/prover.h"
#include "libbackup/store/store_parity.h"

/* ---- which ---- */

struct queue {
	size_t *items; /* owned: numbers of packs, in the order of reading */
	size_t count;
	uint64_t bytes;
};

static int
remember(struct bkp_checker *checker, struct bkp_error *err)
{
	struct bkp_check_memory memory = {NULL, 0};
	struct bkp_error problem = BKP_ERROR_INIT;
	int64_t now = bkp_now_us();

	if (bkp_check_memory_load(
		checker->repository->config.id, &memory, &problem) < 0) {
		if (problem.code == BKP_NOMEM) {
			if (err != NULL)
				*err = problem;
			return -1;
		}
		if (problem.code != BKP_NOTFOUND)
			bkp_run_message(checker->run, BKP_WARNING, NULL,
			    "what was read before is not known: %s",
			    problem.message);
		return 0;
	}
	for (size_t i = 0; i < memory.count; i++) {
		struct bkp_check_pack *pack =
		    bkp_check_packs_find(&checker->packs, memory.items[i].name);

		/* What was read tomorrow was not read. */
		if (pack != NULL && memory.items[i].read_us <= now)
			pack->read_us = memory.items[i].read_us;
	}
	bkp_check_memory_free(&memory);
	return 0;
}

static int
compare_ages(const void *a, const void *b, void *arg)
{
	const struct bkp_check_packs *packs = arg;
	const struct bkp_check_pack *x = &packs->items[*(const size_t *)a];
	const struct bkp_check_pack *y = &packs->items[*(const size_t *)b];

	if (x->read_us != y->read_us)
		return x->read_us < y->read_us ? -1 : 1;
	return memcmp(x->name, y->name, sizeof(x->name));
}

/* What was found damaged is read in every check until it is good or gone, so
 * that a quick one does not say that all is well. */
static bool
is_reading(const struct bkp_checker *checker)
{
	return checker->is_again || checker->read_percent > 0 ||
	       checker->max_age_s > 0;
}

static bool
is_wanted(const struct bkp_checker *checker, const struct bkp_check_pack *pack,
    int64_t now)
{
	if (!pack->is_stored || pack->state == BKP_PACK_LOST)
		return false;
	if (pack->read_us < 0)
		return true;
	if (!is_reading(checker))
		return false;
	return checker->max_age_s == 0 || pack->read_us == 0 ||
	       (uint64_t)(now - pack->read_us) / 1000000 >= checker->max_age_s;
}

/* At least one, so that a small limit gets on all the same. */
static void
cut_queue(const struct bkp_checker *checker, struct queue *queue)
{
	double share =
	    (double)checker->packs.stored_bytes * checker->read_percent / 100;
	uint64_t limit = checker->budget > 0 ? checker->budget : UINT64_MAX;
	size_t count = 0;

	if (checker->read_percent > 0 && checker->read_percent < 100 &&
	    share < (double)limit)
		limit = (uint64_t)share;
	queue->bytes = 0;
	while (count < queue->count) {
		uint64_t size =
		    checker->packs.items[queue->items[count]].stored_size;

		if (count > 0 && size > limit - queue->bytes)
			break;
		queue->bytes += size;
		count++;
		if (queue->bytes >= limit)
			break;
	}
	queue->count = count;
}

/* After a repair. */
static bool
is_wanted_again(const struct bkp_checker *checker, struct bkp_check_pack *pack)
{
	const struct bkp_check_pack *before =
	    bkp_check_packs_find(&checker->earlier, pack->name);

	if (!pack->is_stored || pack->state == BKP_PACK_LOST)
		return false;
	if (before == NULL || before->state != BKP_PACK_GOOD ||
	    before->is_parity_bad)
		return true;
	pack->read_us = before->read_us;
	return false;
}

static int
choose(struct bkp_checker *checker, struct queue *queue, struct bkp_error *err)
{
	struct bkp_check_packs *packs = &checker->packs;
	int64_t now = bkp_now_us();

	queue->items = bkp_alloc_array(
	    packs->count > 0 ? packs->count : 1, sizeof(*queue->items), err);
	if (queue->items == NULL)
		return -1;
	for (size_t i = 0; i < packs->count; i++) {
		if (checker->is_again
			? is_wanted_again(checker, &packs->items[i])
			: is_wanted(checker, &packs->items[i], now))
			queue->items[queue->count++] = i;
	}
	if (queue->count > 1)
		qsort_r(queue->items, queue->count, sizeof(*queue->items),
		    compare_ages, packs);
	if (!checker->is_again && is_reading(checker))
		cut_queue(checker, queue);
	return 0;
}

/* ---- reading ---- */

struct worker {
	struct bkp_prover prover;
	struct fmt_buf stored;
};

struct item {
	size_t pack;
	bool is_gone, is_damaged, is_newer;
	uint64_t bytes;
	size_t chunks;
	unsigned char digest[32]; /* of what is there */
	struct bkp_error problem;
	struct bkp_error parity; /* what is wrong with its error correction */
};

struct reading {
	struct bkp_checker *checker;
	struct queue queue;
	size_t at;
	struct worker *workers; /* owned */
	unsigned worker_count;
};

static int
next_pack(void *arg, void **out, struct bkp_error *err)
{
	struct reading *reading = arg;
	struct item *item;

	*out = NULL;
	if (reading->at == reading->queue.count)
		return 0;
	if ((item = bkp_alloc(sizeof(*item), err)) == NULL)
		return -1;
	item->pack = reading->queue.items[reading->at++];
	*out = item;
	return 0;
}

/* Gets the bytes. A medium that cannot be read is damage of what lies there;
 * a server that cannot be reached is not. */
static int
get_pack(struct reading *reading, struct worker *worker, struct item *item,
    struct bkp_error *err)
{
	const struct bkp_check_pack *pack =
	    &reading->checker->packs.items[item->pack];
	struct bkp_error problem = BKP_ERROR_INIT;
	char path[BKP_PACK_PATH];

	bkp_pack_path(pack->name, path);
	fmt_buf_clear(&worker->stored);
	if (bkp_store_get(reading->checker->repository->store, path, 0,
		BKP_STORE_WHOLE, &worker->stored, &problem) == 0)
		return 0;
	if (problem.code == BKP_NOTFOUND) {
		item->is_gone = true;
	} else if (problem.code == BKP_IO && problem.sys == EIO) {
		item->is_damaged = true;
		item->problem = problem;
	} else {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	return 0;
}

/* Not asked for where it has none, or another finding is about it already. */
static int
read_parity(struct reading *reading, struct item *item, struct bkp_error *err)
{
	const struct bkp_check_pack *pack =
	    &reading->checker->packs.items[item->pack];
	char path[BKP_PACK_PATH];

	bkp_pack_path(pack->name, path);
	if (!pack->has_parity || pack->is_parity_bad ||
	    bkp_parity_check(reading->checker->repository->store, path,
		pack->name, &item->parity) == 0 ||
	    bkp_check_is_damage(&item->parity) ||
	    item->parity.code == BKP_NOTFOUND || item->parity.sys == EIO)
		return 0;
	if (err != NULL)
		*err = item->parity;
	return -1;
}

static int
read_pack(void *arg, unsigned n, void *work, struct bkp_error *err)
{
	struct reading *reading = arg;
	struct worker *worker = &reading->workers[n];
	struct item *item = work;
	const struct bkp_check_pack *pack =
	    &reading->checker->packs.items[item->pack];
	struct fmt_pack_chunk *chunks = NULL;
	int rc;

	if (get_pack(reading, worker, item, err) < 0)
		return -1;
	if (item->is_gone || item->is_damaged)
		return 0;
	item->bytes = worker->stored.len;
	rc = bkp_prove_name(
	    &worker->stored, pack->name, item->digest, &item->problem);
	if (rc == 0 && pack->is_indexed &&
	    bkp_prover_opens(reading->checker->repository, pack->kind))
		rc = bkp_prove_content(&worker->prover, pack->kind, pack->name,
		    &worker->stored, &chunks, &item->chunks, &item->problem);
	free(chunks);
	bkp_run_count(reading->checker->run, item->bytes, 1);
	if (rc < 0 && !bkp_check_is_damage(&item->problem)) {
		if (err != NULL)
			*err = item->problem;
		return -1;
	}
	/* Its bytes are those that were stored. */
	item->is_newer = rc < 0 && item->problem.code == BKP_UNSUPPORTED;
	item->is_damaged = rc < 0 && !item->is_newer;
	return read_parity(reading, item, err);
}

/* What a newer version wrote is not made anew. */
static int
note_parity(struct bkp_checker *checker, struct bkp_check_pack *pack,
    const char *path, const struct bkp_error *problem, struct bkp_error *err)
{
	char parity[BKP_PARITY_NAME];

	if (problem->code == BKP_OK || problem->code == BKP_NOTFOUND)
		return 0;
	if (problem->code == BKP_UNSUPPORTED &&
	    bkp_parity_name_of(path, parity))
		return bkp_check_newer(checker, parity, err);
	pack->is_parity_bad = true;
	return bkp_check_parity_damaged(checker, path, problem->message, err);
}

/* A pack that is gone since it was listed is looked at by the walk: where
 * nobody needs it, it was pruned. */
static int
note_pack(void *arg, void *work, struct bkp_error *err)
{
	struct reading *reading = arg;
	struct bkp_checker *checker = reading->checker;
	struct item *item = work;
	struct bkp_check_pack *pack = &checker->packs.items[item->pack];
	char path[BKP_PACK_PATH];
	int rc = 0;

	checker->packs_read += !item->is_gone;
	checker->bytes_read += item->bytes;
	checker->chunks_read += item->chunks;
	pack->read_us = item->is_damaged ? -bkp_now_us() : bkp_now_us();
	bkp_pack_path(pack->name, path);
	if (item->is_gone) {
		pack->read_us = 0;
		pack->is_stored = false;
		pack->state = BKP_PACK_LOST;
	} else if (item->is_damaged) {
		pack->state = BKP_PACK_LOST;
		rc = bkp_finding_add(&checker->findings, &pack->finding,
		    BKP_FINDING_WARNING, "pack-damaged", path, err, "%s: %s",
		    path, item->problem.message);
		if (rc == 0)
			rc = bkp_check_misplaced_pack(
			    checker, pack, item->digest, err);
	}
	if (item->is_newer)
		rc = bkp_check_newer(checker, path, err);
	if (rc == 0)
		rc = note_parity(checker, pack, path, &item->parity, err);
	free(item);
	return rc;
}

static void
discard_pack(void *arg, void *work)
{
	(void)arg;
	free(work);
}

static void
tick(void *arg)
{
	struct reading *reading = arg;

	bkp_run_tick(reading->checker->run);
}

static const struct bkp_pipeline_ops reading_ops = {
    .next = next_pack,
    .work = read_pack,
    .done = note_pack,
    .discard = discard_pack,
    .tick = tick,
};

static int
start_workers(struct reading *reading, struct bkp_error *err)
{
	unsigned count = bkp_run_workers(reading->checker->run);

	reading->workers =
	    bkp_alloc_array(count, sizeof(*reading->workers), err);
	if (reading->workers == NULL)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		reading->worker_count++;
		if (bkp_prover_init(&reading->workers[i].prover,
			reading->checker->repository, err) < 0)
			return -1;
	}
	return 0;
}

static void
end_reading(struct reading *reading)
{
	for (unsigned i = 0; i < reading->worker_count; i++) {
		bkp_prover_free(&reading->workers[i].prover);
		fmt_buf_free(&reading->workers[i].stored);
	}
	free(reading->workers);
	free(reading->queue.items);
}

/* What was read counts also where the rest was not. */
static void
keep_memory(struct bkp_checker *checker)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_check_memory_save(
		checker->repository->config.id, &checker->packs, &problem) < 0)
		bkp_run_message(checker->run, BKP_WARNING, NULL,
		    "which packs were read is not remembered on this "
		    "machine: %s",
		    problem.message);
}

int
bkp_check_read_packs(struct bkp_checker *checker, struct bkp_error *err)
{
	struct reading reading = {.checker = checker};
	int rc = -1;

	if ((!checker->is_again && remember(checker, err) < 0) ||
	    choose(checker, &reading.queue, err) < 0)
		goto out;
	if (!is_reading(checker) && reading.queue.count == 0) {
		rc = 0;
		goto out;
	}
	if (start_workers(&reading, err) < 0)
		goto out;
	bkp_run_phase(checker->run, reading.queue.bytes, reading.queue.count,
	    "reading packs");
	rc = bkp_pipeline_run(reading.worker_count, 2 * reading.worker_count,
	    &reading_ops, &reading, bkp_run_cancel(checker->run), err);
	if (!checker->is_again || checker->read_percent > 0 ||
	    checker->max_age_s > 0)
		keep_memory(checker);
out:
	end_reading(&reading);
	return rc;
}
