/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A share of a backup: waits for the plan, reads what is its own of it in the
 * moment that the leader holds, stores that, and hands in what came of it.
 * Run again it does what is not handed in yet.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/shares.h"
#include "libbackup/operations/sink.h"
#include "libbackup/repository/repository_own.h"

/* So much is read between two results: that is what a share which dies has to
 * do again. */
#define BATCH ((uint64_t)8 << 30)

struct share {
	const struct bkp_share_options *options;
	struct bkp_run *run;
	struct bkp_repository *repository;
	struct bkp_session *session;
	struct bkp_contents *contents;
	struct fmt_share_plan plan;
	size_t count;    /* of tasks and ranges, as all that follows */
	bool *is_left;   /* owned: ours, and not handed in */
	bool *is_chosen; /* owned: of this batch */
	struct fmt_share_done *done;                     /* owned */
	uint64_t object_bytes;                           /* read of them */
	uint64_t new_chunks, known_chunks, stored_bytes; /* handed in */
	struct bkp_share_result result;
};

/* ---- which tasks ---- */

static int
deal(struct share *share, struct bkp_error *err)
{
	size_t count = fmt_share_plan_count(&share->plan);
	uint32_t *owners = bkp_alloc_array(count, sizeof(*owners), err);
	int rc = -1;

	share->count = count;
	share->is_left = bkp_alloc_array(count, sizeof(*share->is_left), err);
	share->is_chosen =
	    bkp_alloc_array(count, sizeof(*share->is_chosen), err);
	share->done = bkp_alloc_array(count, sizeof(*share->done), err);
	if (owners != NULL && share->is_left != NULL &&
	    share->is_chosen != NULL && share->done != NULL)
		rc = bkp_share_deal(
		    &share->plan, share->options->shares, owners, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		share->is_left[i] = owners[i] == share->options->share;
		share->result.tasks += share->is_left[i];
	}
	free(owners);
	return rc;
}

/* What this share has handed in before it died, or has been run twice. */
static int
pass_over(struct share *share, const char *path, struct bkp_error *err)
{
	struct fmt_share_result result = FMT_SHARE_RESULT_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_shares_get_result(share->repository, path, share->plan.session,
		&result, &problem) < 0) {
		if (problem.code == BKP_NOTFOUND || problem.code == BKP_AUTH ||
		    problem.code == BKP_CORRUPT)
			return 0;
		if (err != NULL)
			*err = problem;
		return -1;
	}
	for (size_t i = 0; i < result.task_count; i++) {
		uint32_t task = result.tasks[i].task;

		if (task >= share->count || !share->is_left[task])
			continue;
		share->is_left[task] = false;
		share->result.known_tasks++;
	}
	fmt_share_result_free(&result);
	return 0;
}

static int
find_left(struct share *share, struct bkp_error *err)
{
	struct bkp_shares_listing listing = BKP_SHARES_LISTING_INIT;
	int rc = bkp_shares_list(
	    share->repository, share->plan.session, &listing, err);

	for (size_t i = 0; rc == 0 && i < listing.count; i++)
		if (bkp_shares_is_of(listing.results[i], share->options->share,
			share->options->shares))
			rc = pass_over(share, listing.results[i], err);
	bkp_shares_listing_free(&listing);
	return rc;
}

/* Chooses the next tasks; false: there is nothing left. */
static bool
choose_batch(struct share *share)
{
	uint64_t bytes = 0;
	bool is_any = false;

	for (size_t i = 0; i < share->count; i++) {
		share->is_chosen[i] = share->is_left[i] && bytes < BATCH;
		if (!share->is_chosen[i])
			continue;
		bytes += fmt_share_plan_bytes(&share->plan, i);
		is_any = true;
	}
	return is_any;
}

/* ---- reading ---- */

static const struct bkp_source_config *
find_source(const struct bkp_config *config, const char *prefix)
{
	for (size_t i = 0; i < config->source_count; i++)
		if (strcmp(config->sources[i].prefix, prefix) == 0)
			return &config->sources[i];
	return NULL;
}

static bool
is_first_of_source(const struct fmt_share_plan *plan, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(plan->databases[i].source,
			plan->databases[n].source) == 0)
			return false;
	return true;
}

static bool
has_chosen(const struct share *share, const char *source)
{
	for (size_t i = 0; i < share->count; i++)
		if (share->is_chosen[i] &&
		    strcmp(fmt_share_plan_source(&share->plan, i), source) == 0)
			return true;
	return false;
}

static int
get_source(struct share *share, const char *prefix,
    const struct bkp_source_config **config, const struct bkp_kind **kind,
    struct bkp_error *err)
{
	*config = find_source(share->options->config, prefix);
	if (*config == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "the configuration here names no source '%s', of which run "
		    "%s has tasks: all processes of a run need the same "
		    "sources",
		    prefix, share->plan.run);
	*kind = bkp_kind_of((*config)->kind);
	if ((*kind)->share == NULL)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "%s: this version cannot read a share of it", prefix);
	return 0;
}

/* Where nothing is left to be read: the results may be of a run whose leader
 * was killed, and who is not missed yet. */
static int
check_moments(struct share *share, struct bkp_error *err)
{
	for (size_t i = 0; i < share->plan.database_count; i++) {
		const struct fmt_share_database *database =
		    &share->plan.databases[i];
		const struct bkp_source_config *config;
		const struct bkp_kind *kind;

		if (!is_first_of_source(&share->plan, i))
			continue;
		if (get_source(share, database->source, &config, &kind, err) <
		    0)
			return -1;
		if (kind->check_share != NULL &&
		    kind->check_share(config, database, share->run, err) < 0)
			return bkp_fail_in(err, "run %s, share %u/%u: %s",
			    share->options->run, share->options->share,
			    share->options->shares, database->source);
	}
	return 0;
}

static int
read_source(struct share *share, const char *prefix,
    const struct bkp_previous *previous, struct bkp_error *err)
{
	const struct bkp_source_config *config;
	const struct bkp_share_work work = {
	    &share->plan, share->is_chosen, share->done};
	const struct bkp_kind *kind;
	struct bkp_sink *sink = NULL;
	int rc;

	if (get_source(share, prefix, &config, &kind, err) < 0)
		return -1;
	if (bkp_sink_new(share->run, share->contents, share->session, prefix,
		previous, &sink, err) < 0)
		return -1;
	rc = kind->share(config, &work, sink, err);
	share->object_bytes += bkp_sink_tally(sink)->bytes;
	bkp_sink_free(sink);
	return rc < 0 ? bkp_fail_in(err, "%s", prefix) : 0;
}

/* ---- buckets ---- */

/* What cannot be had here the leader reads. */
static int
leave_ranges(struct share *share, const char *source, struct bkp_error *err)
{
	for (size_t i = share->plan.task_count; i < share->count; i++) {
		struct fmt_share_done *done = &share->done[i];

		if (!share->is_chosen[i] ||
		    strcmp(fmt_share_plan_source(&share->plan, i), source) != 0)
			continue;
		done->pieces = bkp_alloc(sizeof(*done->pieces), err);
		if (done->pieces == NULL)
			return -1;
		done->task = (uint32_t)i;
		done->piece_count = 1;
		done->pieces[0].is_left = true;
	}
	bkp_run_message(share->run, BKP_WARNING, source,
	    "the configuration here does not name it: what this share should "
	    "have read of it, the leader reads");
	return 0;
}

/* What the last snapshot has is not fetched. */
static int
read_bucket(struct share *share, const char *source, struct bkp_error *err)
{
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct fmt_snapshot earlier = FMT_SNAPSHOT_INIT;
	struct bkp_previous previous = {.repository = NULL};
	const char *name;
	int rc;

	if (find_source(share->options->config, source) == NULL)
		return leave_ranges(share, source, err);
	rc = bkp_snapshot_list(share->repository, &list, err);
	if (rc == 0)
		rc = bkp_previous_find(share->repository, &list, source,
		    &earlier, &name, &previous, err);
	if (rc == 0)
		rc = read_source(share, source, &previous, err);
	fmt_snapshot_free(&earlier);
	bkp_snapshot_list_free(&list);
	return rc;
}

static int
read_buckets(struct share *share, struct bkp_error *err)
{
	for (size_t i = 0; i < share->plan.bucket_count; i++) {
		const char *source = share->plan.buckets[i].source;

		if (has_chosen(share, source) &&
		    read_bucket(share, source, err) < 0)
			return -1;
	}
	return 0;
}

static int
read_batch(struct share *share, struct bkp_error *err)
{
	for (size_t i = 0; i < share->plan.database_count; i++) {
		const char *source = share->plan.databases[i].source;

		if (is_first_of_source(&share->plan, i) &&
		    has_chosen(share, source) &&
		    read_source(share, source, NULL, err) < 0)
			return -1;
	}
	return read_buckets(share, err);
}

/* ---- handing in ---- */

static void
count_done(struct share *share, size_t n)
{
	const struct fmt_share_done *done = &share->done[n];
	bool is_range = fmt_share_plan_range(&share->plan, n, NULL) != NULL;

	for (size_t i = 0; i < done->piece_count; i++) {
		const struct fmt_share_piece *piece = &done->pieces[i];

		share->result.left_pieces += piece->is_left;
		if (is_range) {
			share->result.objects += piece->hash.rows;
		} else {
			share->result.bytes += piece->bytes;
			share->result.rows += piece->hash.rows;
		}
	}
}

static void
count_stored(struct share *share, struct fmt_share_result *result)
{
	uint64_t new_chunks, known_chunks, stored_bytes;

	bkp_session_counts(
	    share->session, &new_chunks, &known_chunks, &stored_bytes);
	result->new_chunks = new_chunks - share->new_chunks;
	result->known_chunks = known_chunks - share->known_chunks;
	result->stored_bytes = stored_bytes - share->stored_bytes;
	share->result.new_chunks = share->new_chunks = new_chunks;
	share->result.known_chunks = share->known_chunks = known_chunks;
	share->result.stored_bytes = share->stored_bytes = stored_bytes;
}

static void
free_done(struct fmt_share_done *done)
{
	for (size_t i = 0; i < done->piece_count; i++)
		free(done->pieces[i].refs);
	free(done->pieces);
	*done = (struct fmt_share_done){.pieces = NULL};
}

/* When everything that it names is stored and in the index. */
static int
hand_in(struct share *share, struct bkp_error *err)
{
	size_t count = share->count;
	struct fmt_share_result result = {
	    .share = share->options->share, .shares = share->options->shares};
	int rc = -1;

	memcpy(result.session, share->plan.session, sizeof(result.session));
	result.tasks = bkp_alloc_array(count, sizeof(*result.tasks), err);
	if (result.tasks == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (share->is_chosen[i])
			result.tasks[result.task_count++] = share->done[i];
	if (bkp_contents_flush(share->contents, err) == 0 &&
	    bkp_session_settle(share->session, err) == 0) {
		count_stored(share, &result);
		rc = bkp_shares_put_result(share->repository, &result, err);
	}
	free(result.tasks);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (!share->is_chosen[i])
			continue;
		count_done(share, i);
		free_done(&share->done[i]);
		share->is_left[i] = false;
	}
	return rc;
}

/* ---- nothing to do ---- */

/* Whether its moment is over because it commits. */
static int
look_for_leader(struct share *share, bool *commits, struct bkp_error *err)
{
	struct bkp_shares_listing listing = BKP_SHARES_LISTING_INIT;
	struct fmt_share_plan plan = FMT_SHARE_PLAN_INIT;
	int rc = bkp_shares_list(
	    share->repository, share->plan.session, &listing, err);

	*commits = rc == 0 && listing.has_plan && listing.has_finish &&
		   !listing.has_end;
	bkp_shares_listing_free(&listing);
	if (!*commits)
		return rc;
	rc = bkp_shares_find_plan(
	    share->repository, share->options->run, true, &plan, commits, err);
	if (rc == 0 && *commits)
		*commits = strcmp(plan.session, share->plan.session) == 0;
	fmt_share_plan_free(&plan);
	return rc;
}

/* A leader that has all, and was asked to commit, lets go of the moment.
 * `gone`: what is told where there is no snapshot in the end. */
static int
wait_for_commit(struct share *share, uint64_t wait_ms,
    const struct bkp_error *gone, struct bkp_error *err)
{
	uint64_t began_ms = bkp_clock_ms();
	unsigned pauses = 0;
	char name[65];
	bool commits;

	do
		if (look_for_leader(share, &commits, err) < 0 ||
		    (commits && bkp_share_pause(share->run, &pauses, err) < 0))
			return -1;
	while (commits && bkp_clock_ms() - began_ms < wait_ms);
	if (bkp_share_find_snapshot(
		share->repository, share->plan.session, name, err) < 0)
		return -1;
	if (name[0] != '\0')
		return 0;
	if (err != NULL)
		*err = *gone;
	return -1;
}

static int
check_leader(struct share *share, uint64_t wait_ms, struct bkp_error *err)
{
	struct bkp_error gone = BKP_ERROR_INIT;

	if (check_moments(share, &gone) == 0)
		return 0;
	if (gone.code == BKP_NOTFOUND)
		return wait_for_commit(share, wait_ms, &gone, err);
	if (err != NULL)
		*err = gone;
	return -1;
}

/* ---- the whole ---- */

static int
check_options(const struct bkp_share_options *options, struct bkp_error *err)
{
	if (options->run == NULL || !fmt_share_is_run(options->run))
		return bkp_fail(err, BKP_INVALID,
		    "'%s' cannot be the name of a run: 1 to %d letters, "
		    "digits, '.', '_' and '-', the first a letter or a digit",
		    options->run != NULL ? options->run : "",
		    FMT_SHARE_NAME_MAX);
	if (options->shares == 0 || options->shares > FMT_SHARES_MAX ||
	    options->share >= options->shares)
		return bkp_fail(err, BKP_INVALID,
		    "there is no share %u of %u: of N shares, at most %d, the "
		    "first is 0/N and the last N-1/N",
		    options->share, options->shares, FMT_SHARES_MAX);
	return 0;
}

static int
begin(struct share *share, struct bkp_error *err)
{
	if (bkp_session_begin(share->repository, &share->session, err) < 0)
		return -1;
	return bkp_contents_new(
	    share->session, bkp_run_workers(share->run), &share->contents, err);
}

static int
run_share(struct share *share, struct bkp_error *err)
{
	const struct bkp_share_options *options = share->options;
	uint64_t wait_ms;

	if (bkp_share_wait_ms(options, &wait_ms, err) < 0 ||
	    bkp_opened_for_writing(options->config, &share->repository, err) <
		0 ||
	    bkp_share_wait_plan(share->repository, options->run, false, wait_ms,
		share->run, &share->plan, err) < 0 ||
	    deal(share, err) < 0 || find_left(share, err) < 0)
		return -1;
	if (!choose_batch(share))
		return check_leader(share, wait_ms, err);
	if (begin(share, err) < 0)
		return -1;
	while (choose_batch(share))
		if (bkp_run_check(share->run, err) < 0 ||
		    read_batch(share, err) < 0 || hand_in(share, err) < 0)
			return bkp_fail_in(err, "run %s, share %u/%u",
			    options->run, options->share, options->shares);
	return 0;
}

static void
end_share(struct share *share)
{
	for (size_t i = 0; share->done != NULL && i < share->count; i++)
		free_done(&share->done[i]);
	free(share->done);
	free(share->is_left);
	free(share->is_chosen);
	bkp_contents_free(share->contents);
	bkp_session_end(share->session);
	fmt_share_plan_free(&share->plan);
	bkp_repository_close(share->repository);
	bkp_run_free(share->run);
}

int
bkp_backup_share(const struct bkp_share_options *options,
    struct bkp_share_result *result, struct bkp_error *err)
{
	struct share share = {.options = options};
	uint64_t began_ms = bkp_clock_ms();
	int rc = check_options(options, err);

	if (rc == 0)
		rc = bkp_run_new(bkp_worker_count(options->config),
		    &options->events, options->cancel, &share.run, err);
	if (rc == 0)
		rc = run_share(&share, err);
	if (rc == 0) {
		share.result.bytes += share.object_bytes;
		share.result.duration_ms = bkp_clock_ms() - began_ms;
		*result = share.result;
	}
	end_share(&share);
	return rc;
}
