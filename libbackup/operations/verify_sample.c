/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of the contents, read back: slices of all pieces, by their ids, and so
 * the same ones in whatever snapshot they are. Those come first that were never
 * read, then those that were not for longest, until an eleventh of the bytes is
 * through: eleven samples of a snapshot have seen all of it. How far they have
 * come is kept with the repository (formats/proof.md).
 *
 * That a slice was read says nothing of the pieces that another snapshot has in
 * it. So what was read is told of the samples of this snapshot alone, and of
 * the others only where they have been.
 *
 * With a budget few slices are read at a time. What is begun is ended, so that
 * what is kept of a sample that was cut short is true.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/verify_impl.h"
#include "libbackup/repository/proofs.h"

#define PART 11
/* A round takes no less than such a part of what the pace would let it. */
#define LEAST 16
#define MINUTE_US (INT64_C(60) * 1000000)

/* What there is in each slice. */
struct holding {
	uint64_t pieces[FMT_PROOF_SLICES], bytes[FMT_PROOF_SLICES];
	uint64_t all_pieces, all_bytes;
};

struct plan {
	struct holding holding;
	unsigned order[FMT_PROOF_SLICES]; /* slices with pieces, those first
					     that are most in need of it */
	size_t count, at;                 /* of these; the next */
	struct bkp_slices slices;         /* of now */
	struct bkp_read_back read;        /* so far */
	int64_t now_us;
	bool is_cut; /* the budget ended it */
};

/* ---- what there is ---- */

static void
hold(struct holding *holding, const struct fmt_entry *entry)
{
	for (size_t i = 0; i < entry->chunk_count; i++) {
		unsigned slice = bkp_slice_of(&entry->chunks[i]);

		holding->pieces[slice]++;
		holding->bytes[slice] += entry->chunks[i].len;
		holding->all_pieces++;
		holding->all_bytes += entry->chunks[i].len;
	}
}

static int
look_through(
    struct bkp_supply *supply, struct holding *out, struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int got;

	if (bkp_supply_entries(
		supply, bkp_supply_selection(supply), &stream, err) < 0)
		return -1;
	while ((got = bkp_entry_stream_next(stream, &entry, err)) == 1) {
		if (entry.has_content &&
		    bkp_supply_is_selected(supply, entry.path))
			hold(out, &entry);
		fmt_entry_free(&entry);
	}
	bkp_entry_stream_close(stream);
	return got;
}

/* ---- which ones ---- */

/* The newest sample of this path, or NULL. */
static const struct fmt_proof *
newest_of(const struct bkp_proofs *proofs, const char *path, const char *host)
{
	const struct fmt_proof *newest = NULL;

	for (size_t i = 0; i < proofs->count; i++) {
		const struct fmt_proof *p = &proofs->items[i].proof;

		if (p->sample != NULL && p->is_proven &&
		    strcmp(p->path, path) == 0 &&
		    strcmp(p->sample->host, host) == 0 &&
		    (newest == NULL || p->time_us > newest->time_us))
			newest = p;
	}
	return newest;
}

/* Where nobody knows what was read, day and minute say where to begin, for
 * nobody may be able to write that down. */
static unsigned
slice_of_now(int64_t now_us)
{
	int64_t minutes = now_us / MINUTE_US;

	return (unsigned)((minutes / 1440 + minutes % 1440) *
			  (FMT_PROOF_SLICES / PART) % FMT_PROOF_SLICES);
}

/* Where much is damaged the rest is still looked at: one of these, one of
 * those. */
static void
mix(struct plan *plan, const unsigned *bad, size_t bad_count,
    const unsigned *others, size_t other_count)
{
	size_t b = 0, o = 0;

	while (b < bad_count || o < other_count) {
		if (b < bad_count)
			plan->order[plan->count++] = bad[b++];
		if (o < other_count)
			plan->order[plan->count++] = others[o++];
	}
}

/* Slices by the time that they were read, and between them those in which
 * something was not well. There are few times, and slices of the same are taken
 * as they come. */
static void
put_in_order(
    struct plan *plan, const struct fmt_proof_sample *covered, unsigned from)
{
	unsigned bad[FMT_PROOF_SLICES], others[FMT_PROOF_SLICES];
	const int64_t *read_us = covered->read_us;
	size_t bad_count = 0, other_count = 0;
	int64_t last = -1, least;

	do {
		least = INT64_MAX;
		for (size_t i = 0; i < FMT_PROOF_SLICES; i++)
			if (!covered->is_bad[i] && read_us[i] > last &&
			    read_us[i] < least)
				least = read_us[i];
		for (unsigned i = 0; i < FMT_PROOF_SLICES; i++) {
			unsigned slice = (from + i) % FMT_PROOF_SLICES;

			if (plan->holding.pieces[slice] > 0 &&
			    !covered->is_bad[slice] && read_us[slice] == least)
				others[other_count++] = slice;
		}
		last = least;
	} while (least < INT64_MAX);
	for (unsigned i = 0; i < FMT_PROOF_SLICES; i++)
		if (plan->holding.pieces[i] > 0 && covered->is_bad[i])
			bad[bad_count++] = i;
	mix(plan, bad, bad_count, others, other_count);
}

/* Samples of one snapshot after another add up; of another one they begin anew,
 * and no slice was read since that. */
static void
go_on(struct bkp_verify *verify, const struct fmt_proof *before,
    struct fmt_proof_sample *covered, int64_t now_us)
{
	const struct fmt_proof_sample *sample = before->sample;

	memcpy(covered->read_us, sample->read_us, sizeof(covered->read_us));
	memcpy(covered->is_bad, sample->is_bad, sizeof(covered->is_bad));
	covered->since_us = sample->since_us;
	if (sample->since_us > 0 && sample->since_us <= now_us &&
	    strcmp(before->snapshot, verify->opened.name) == 0)
		return;
	covered->since_us = now_us;
	for (size_t i = 0; i < FMT_PROOF_SLICES; i++)
		if (covered->read_us[i] >= now_us)
			covered->read_us[i] = now_us - 1;
}

/* What cannot be read of earlier samples is as if there had been none. */
static int
begin(struct bkp_verify *verify, struct bkp_sample *sample, struct plan *plan,
    struct bkp_error *err)
{
	struct bkp_repository *repository = verify->opened.repository;
	const char *host = verify->opened.snapshot.host;
	const struct fmt_proof *before = NULL;
	struct bkp_proofs proofs = BKP_PROOFS_INIT;
	struct bkp_error why = BKP_ERROR_INIT;

	plan->now_us = bkp_clock_utc_us();
	sample->covered.host = bkp_strdup(host != NULL ? host : "", err);
	if (sample->covered.host == NULL)
		return -1;
	if (repository->archive == NULL &&
	    bkp_proofs_load(repository, &proofs, &why) == 0)
		before = newest_of(&proofs, sample->path, sample->covered.host);
	else if (why.code == BKP_NOMEM || why.code == BKP_CANCELLED)
		return bkp_fail(
		    err, (enum bkp_error_code)why.code, "%s", why.message);
	sample->covered.since_us = plan->now_us;
	if (before != NULL)
		go_on(verify, before, &sample->covered, plan->now_us);
	put_in_order(plan, &sample->covered,
	    before != NULL ? 0 : slice_of_now(plan->now_us));
	bkp_proofs_free(&proofs);
	return 0;
}

/* ---- a sample ---- */

/* Takes the next slices, until there are `bytes` in them, and gives how many
 * there are; 0: there is no other slice. */
static uint64_t
take_slices(struct plan *plan, uint64_t bytes)
{
	uint64_t taken = 0;

	memset(&plan->slices, 0, sizeof(plan->slices));
	for (; plan->at < plan->count && taken < bytes; plan->at++) {
		unsigned slice = plan->order[plan->at];

		plan->slices.is_chosen[slice] = true;
		taken += plan->holding.bytes[slice];
	}
	return taken;
}

/* What was not well is read among the first the next time. */
static void
cover(struct bkp_sample *sample, const struct plan *plan)
{
	for (size_t i = 0; i < FMT_PROOF_SLICES; i++) {
		if (!plan->slices.is_chosen[i])
			continue;
		sample->covered.is_bad[i] = plan->read.bad.is_chosen[i];
		sample->covered.read_us[i] =
		    sample->covered.is_bad[i] ? 0 : plan->now_us;
	}
}

/* Twice the pace, from what was taken, which is whole slices. */
static uint64_t
hasten(uint64_t pace, uint64_t taken)
{
	return (taken > pace ? taken : pace) * 2;
}

/* What was not well counts for nothing: a sample has as much that was, however
 * much is damaged. Every round goes through the list of all entries, so there
 * are few: what is left to read, but never less than a part of a pace that
 * doubles; nor more than it, for with a budget it begins with one slice. */
static int
read_slices(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_sample *sample, struct plan *plan,
    struct bkp_error *err)
{
	uint64_t whole = plan->holding.all_bytes / PART + 1;
	uint64_t pace = verify->limits.budget_ms > 0 ? 1 : whole;

	while (plan->read.bytes < whole) {
		uint64_t least = pace / LEAST;
		uint64_t step = whole - plan->read.bytes;

		if (bkp_verify_is_late(verify)) {
			plan->is_cut = true;
			return 0;
		}
		step = step < least ? least : step > pace ? pace : step;
		if ((step = take_slices(plan, step)) == 0)
			return 0;
		if (bkp_verify_read_back(verify, chosen, supply, &plan->slices,
			&plan->read, err) < 0)
			return -1;
		cover(sample, plan);
		pace = hasten(pace, step);
	}
	return 0;
}

/* What samples have read of the snapshot, and where those of others have been
 * as well. */
struct reach {
	uint64_t pieces;      /* by samples of this snapshot */
	int64_t oldest_us;    /* when the first of these was read */
	unsigned places, all; /* slices with pieces: those that any sample has
				 read, and how many there are */
};

static struct reach
reach_of(const struct fmt_proof_sample *covered, const struct holding *holding)
{
	struct reach reach = {.oldest_us = INT64_MAX};

	for (size_t i = 0; i < FMT_PROOF_SLICES; i++) {
		int64_t us = covered->read_us[i];

		if (holding->pieces[i] == 0)
			continue;
		reach.all++;
		if (us == 0)
			continue;
		reach.places++;
		if (us < covered->since_us)
			continue;
		reach.pieces += holding->pieces[i];
		if (us < reach.oldest_us)
			reach.oldest_us = us;
	}
	return reach;
}

static char *
describe(const struct bkp_sample *sample, const struct plan *plan,
    struct bkp_error *err)
{
	const struct holding *holding = &plan->holding;
	struct reach reach = reach_of(&sample->covered, holding);
	const char *cut = plan->is_cut ? ", as far as the budget went" : "";

	if (reach.pieces < holding->all_pieces)
		return bkp_format(err,
		    "%llu of %llu pieces read back, %llu bytes%s; with the "
		    "samples of this snapshot before it %llu of them; samples "
		    "of any have been in %u of the %u places they are in, and "
		    "what came there later is not counted as read",
		    (unsigned long long)plan->read.pieces,
		    (unsigned long long)holding->all_pieces,
		    (unsigned long long)plan->read.bytes, cut,
		    (unsigned long long)reach.pieces, reach.places, reach.all);
	return bkp_format(err,
	    "%llu of %llu pieces read back, %llu bytes%s; with the samples of "
	    "this snapshot before it all of them, none longer ago than %s",
	    (unsigned long long)plan->read.pieces,
	    (unsigned long long)holding->all_pieces,
	    (unsigned long long)plan->read.bytes, cut,
	    bkp_span((uint64_t)(plan->now_us - reach.oldest_us) / 1000).text);
}

static int
tell(struct bkp_verify *verify, const char *prefix,
    const struct bkp_sample *sample, const struct plan *plan,
    struct bkp_error *err)
{
	char *name = bkp_format(err, "%s/sample", prefix), *what = NULL;
	int rc = -1;

	if (name != NULL && plan->read.pieces > 0) {
		what = describe(sample, plan, err);
		if (what != NULL)
			rc = bkp_verdict_add(verify->verdict, BKP_CHECK_PASS,
			    err, name, "%s", what);
	} else if (name != NULL) {
		rc = bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err, name,
		    "%s",
		    plan->is_cut ? "the budget was used up before a piece "
				   "was read"
				 : "no piece was read back");
	}
	free(what);
	free(name);
	return rc;
}

static int
take_sample(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_sample *sample, struct plan *plan,
    struct bkp_error *err)
{
	if (look_through(supply, &plan->holding, err) < 0 ||
	    begin(verify, sample, plan, err) < 0)
		return -1;
	bkp_run_phase(verify->run, plan->holding.all_bytes / PART, 0,
	    "reading back a sample of %s", chosen->source->prefix);
	if (read_slices(verify, chosen, supply, sample, plan, err) < 0)
		return -1;
	return tell(verify, chosen->source->prefix, sample, plan, err);
}

int
bkp_verify_sample(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	struct bkp_sample *sample;
	struct plan *plan;
	int rc = -1;

	if (bkp_grow(&verify->samples, verify->sample_count,
		&verify->sample_cap, sizeof(*verify->samples), err) < 0 ||
	    (plan = bkp_alloc(sizeof(*plan), err)) == NULL)
		return -1;
	sample = &verify->samples[verify->sample_count++];
	memset(sample, 0, sizeof(*sample));
	sample->path = bkp_strdup(chosen->selection, err);
	if (sample->path != NULL)
		rc = take_sample(verify, chosen, supply, sample, plan, err);
	/* Where nothing was well there is nothing to keep, for a record says
	 * what was; nor is there of a list of which a part is lost, for it does
	 * not tell what was passed over. */
	if (rc == 0 &&
	    (plan->read.pieces == 0 || !bkp_supply_has_whole_list(supply))) {
		free(sample->path);
		free(sample->covered.host);
		verify->sample_count--;
	}
	bkp_read_back_free(&plan->read);
	free(plan);
	return rc;
}

void
bkp_verify_free_samples(struct bkp_verify *verify)
{
	for (size_t i = 0; i < verify->sample_count; i++) {
		free(verify->samples[i].path);
		free(verify->samples[i].covered.host);
	}
	free(verify->samples);
}
