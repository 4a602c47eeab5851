/* SPDX-License-Identifier: Apache-2.0 */
/* What the shares have handed in so far, and who has not. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/shares.h"

#define PAUSE_MIN_MS 200
#define PAUSE_MAX_MS 5000
#define SLICE_MS 100
#define WAIT "10m"
#define NAMED 20 /* missing shares, one by one */

/* ---- waiting ---- */

int
bkp_share_pause(struct bkp_run *run, unsigned *count, struct bkp_error *err)
{
	const struct timespec slice = {0, SLICE_MS * 1000000L};
	unsigned long ms = PAUSE_MIN_MS + 20ul * (*count)++;

	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	for (; ms > 0; ms = ms > SLICE_MS ? ms - SLICE_MS : 0) {
		if (bkp_run_check(run, err) < 0)
			return -1;
		(void)nanosleep(&slice, NULL);
		bkp_run_tick(run);
	}
	return bkp_run_check(run, err);
}

int
bkp_is_span(const char *text)
{
	uint64_t ms;

	return bkp_span_read(text, &ms, NULL) == 0;
}

int
bkp_is_run_name(const char *text)
{
	return fmt_share_is_run(text);
}

int
bkp_share_wait_ms(const struct bkp_share_options *options, uint64_t *ms,
    struct bkp_error *err)
{
	return bkp_span_read(
	    options->wait != NULL ? options->wait : WAIT, ms, err);
}

int
bkp_share_wait_plan(struct bkp_repository *repository, const char *name,
    bool is_heard, uint64_t wait_ms, struct bkp_run *run,
    struct fmt_share_plan *out, struct bkp_error *err)
{
	uint64_t began_ms = bkp_clock_ms();
	unsigned pauses = 0;
	bool is_there;

	bkp_run_phase(run, 0, 0, "waiting for the plan of run %s", name);
	for (;;) {
		if (bkp_shares_find_plan(
			repository, name, is_heard, out, &is_there, err) < 0)
			return -1;
		if (is_there)
			return 0;
		if (bkp_clock_ms() - began_ms >= wait_ms)
			return bkp_fail(err, BKP_NOTFOUND,
			    "there is no run %s (waited %s): its leader, "
			    "backup-create --plan --run %s, has not begun, or "
			    "has ended or is gone; begin again with a new "
			    "--plan, or wait longer with --wait",
			    name, bkp_span(wait_ms).text, name);
		if (bkp_share_pause(run, &pauses, err) < 0)
			return -1;
	}
}

/* ---- collecting ---- */

int
bkp_share_collect_begin(struct bkp_repository *repository,
    const struct fmt_share_plan *plan, struct bkp_share_collection *out,
    struct bkp_error *err)
{
	*out = (struct bkp_share_collection){.repository = repository,
	    .plan = plan,
	    .missing = fmt_share_plan_count(plan)};
	out->done = bkp_alloc_array(out->missing, sizeof(*out->done), err);
	return out->done != NULL ? 0 : -1;
}

static void
free_done(struct fmt_share_done *done)
{
	for (size_t i = 0; i < done->piece_count; i++)
		free(done->pieces[i].refs);
	free(done->pieces);
	*done = (struct fmt_share_done){.pieces = NULL};
}

void
bkp_share_collect_end(struct bkp_share_collection *collection)
{
	for (size_t i = 0; collection->done != NULL &&
			   i < fmt_share_plan_count(collection->plan);
	     i++)
		free_done(&collection->done[i]);
	free(collection->done);
	free(collection->read);
	collection->done = NULL;
	collection->read = NULL;
	collection->read_count = collection->read_cap = 0;
}

static bool
is_read(const struct bkp_share_collection *collection, const char *path)
{
	for (size_t i = 0; i < collection->read_count; i++)
		if (strcmp(collection->read[i], path) == 0)
			return true;
	return false;
}

/* A result that does not fit the plan is none. */
static int
check_result(const struct fmt_share_plan *plan,
    const struct fmt_share_result *result, const char *path,
    struct bkp_error *err)
{
	for (size_t i = 0; i < result->task_count; i++) {
		const struct fmt_share_done *done = &result->tasks[i];

		if (done->task >= fmt_share_plan_count(plan) ||
		    done->piece_count !=
			fmt_share_plan_pieces(plan, done->task))
			return bkp_fail(err, BKP_CORRUPT,
			    "%s: it is of another plan", path);
	}
	return 0;
}

/* All read tables in one moment: of what two of them read there is one truth.
 * Buckets go on. */
static int
compare_done(const struct bkp_share_collection *collection,
    const struct fmt_share_done *first, const struct fmt_share_done *second,
    struct bkp_error *err)
{
	const struct fmt_share_plan *plan = collection->plan;
	const struct fmt_share_table *table =
	    &plan->tables[plan->tasks[first->task].table];

	for (size_t i = 0; i < first->piece_count; i++) {
		const struct fmt_share_piece *a = &first->pieces[i];
		const struct fmt_share_piece *b = &second->pieces[i];

		if (!a->is_left && !b->is_left &&
		    (a->bytes != b->bytes ||
			!fmt_rowhash_is_equal(&a->hash, &b->hash)))
			return bkp_fail(err, BKP_CORRUPT,
			    "run %s: two shares read other rows in one moment "
			    "(%s, table %s.%s: %llu rows and %llu): they did "
			    "not reach the same server, or a type was changed "
			    "meanwhile; begin again with a new --plan",
			    plan->run, plan->databases[table->database].path,
			    table->schema, table->name,
			    (unsigned long long)a->hash.rows,
			    (unsigned long long)b->hash.rows);
	}
	return 0;
}

static int
compare_result(const struct bkp_share_collection *collection,
    const struct fmt_share_result *result, struct bkp_error *err)
{
	for (size_t i = 0; i < result->task_count; i++) {
		const struct fmt_share_done *done =
		    &collection->done[result->tasks[i].task];

		if (done->pieces != NULL &&
		    fmt_share_plan_range(collection->plan, done->task, NULL) ==
			NULL &&
		    compare_done(collection, done, &result->tasks[i], err) < 0)
			return -1;
	}
	return 0;
}

/* The first one counts: any would do. */
static void
take_result(
    struct bkp_share_collection *collection, struct fmt_share_result *result)
{
	bool is_of_use = false;

	for (size_t i = 0; i < result->task_count; i++) {
		struct fmt_share_done *done =
		    &collection->done[result->tasks[i].task];

		if (done->pieces != NULL)
			continue;
		*done = result->tasks[i];
		result->tasks[i].pieces = NULL;
		result->tasks[i].piece_count = 0;
		collection->missing--;
		is_of_use = true;
	}
	collection->shares = result->shares;
	if (!is_of_use)
		return;
	collection->new_chunks += result->new_chunks;
	collection->known_chunks += result->known_chunks;
	collection->stored_bytes += result->stored_bytes;
}

static int
read_result(struct bkp_share_collection *collection, struct bkp_run *run,
    const char *path, struct bkp_error *err)
{
	struct fmt_share_result result = FMT_SHARE_RESULT_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc;

	if (bkp_grow(&collection->read, collection->read_count,
		&collection->read_cap, sizeof(*collection->read), err) < 0)
		return -1;
	rc = bkp_shares_get_result(collection->repository, path,
	    collection->plan->session, &result, &problem);
	if (rc == 0)
		rc = check_result(collection->plan, &result, path, &problem);
	if (rc == 0 && compare_result(collection, &result, err) < 0) {
		fmt_share_result_free(&result);
		return -1;
	}
	if (rc == 0)
		take_result(collection, &result);
	fmt_share_result_free(&result);
	if (rc < 0 && problem.code == BKP_NOTFOUND)
		return 0;
	if (rc < 0 && problem.code != BKP_AUTH && problem.code != BKP_CORRUPT) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (rc < 0)
		bkp_run_message(run, BKP_WARNING, NULL,
		    "a result of a share does not count: %s", problem.message);
	memcpy(
	    collection->read[collection->read_count++], path, BKP_SHARE_PATH);
	return 0;
}

int
bkp_share_collect(struct bkp_share_collection *collection, struct bkp_run *run,
    struct bkp_error *err)
{
	struct bkp_shares_listing listing = BKP_SHARES_LISTING_INIT;
	int rc = bkp_shares_list(
	    collection->repository, collection->plan->session, &listing, err);

	for (size_t i = 0; rc == 0 && i < listing.count; i++)
		if (!is_read(collection, listing.results[i]))
			rc = read_result(
			    collection, run, listing.results[i], err);
	collection->has_plan = listing.has_plan;
	collection->has_finish = listing.has_finish;
	collection->has_end = listing.has_end;
	bkp_shares_listing_free(&listing);
	return rc;
}

int
bkp_share_find_snapshot(struct bkp_repository *repository, const char *session,
    char name[65], struct bkp_error *err)
{
	struct bkp_snapshots snapshots = BKP_SNAPSHOTS_INIT;

	name[0] = '\0';
	if (bkp_snapshots_read(repository, &snapshots, err) < 0)
		return -1;
	for (size_t i = 0; i < snapshots.count; i++)
		if (strcmp(snapshots.items[i].snapshot.session, session) == 0)
			memcpy(name, snapshots.items[i].name, 65);
	bkp_snapshots_free(&snapshots);
	return 0;
}

/* ---- who is missing ---- */

static int
mark_missing(const struct bkp_share_collection *collection, bool *is_missing,
    struct bkp_error *err)
{
	const struct fmt_share_plan *plan = collection->plan;
	size_t count = fmt_share_plan_count(plan);
	uint32_t *owners = bkp_alloc_array(count, sizeof(*owners), err);
	int rc = -1;

	if (owners != NULL &&
	    bkp_share_deal(plan, collection->shares, owners, err) == 0)
		rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		if (collection->done[i].pieces == NULL)
			is_missing[owners[i]] = true;
	free(owners);
	return rc;
}

static char *
list_missing(const bool *is_missing, uint32_t shares, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	uint32_t count = 0;
	char *out = NULL;

	for (uint32_t i = 0; status == FMT_OK && i < shares; i++) {
		if (!is_missing[i])
			continue;
		if (count++ < NAMED)
			status = fmt_buf_printf(
			    &text, "%s%u/%u", count > 1 ? ", " : "", i, shares);
	}
	if (status == FMT_OK && count > NAMED)
		status = fmt_buf_printf(&text, " and %u more", count - NAMED);
	if (status != FMT_OK || fmt_buf_text(&text) == NULL)
		(void)bkp_fail_nomem(err, "naming missing shares");
	else
		out = bkp_strdup((const char *)text.data, err);
	fmt_buf_free(&text);
	return out;
}

char *
bkp_share_missing(
    const struct bkp_share_collection *collection, struct bkp_error *err)
{
	bool *is_missing;
	char *out = NULL;

	if (collection->shares == 0)
		return bkp_strdup("all of them", err);
	is_missing =
	    bkp_alloc_array(collection->shares, sizeof(*is_missing), err);
	if (is_missing != NULL &&
	    mark_missing(collection, is_missing, err) == 0)
		out = list_missing(is_missing, collection->shares, err);
	free(is_missing);
	return out;
}
