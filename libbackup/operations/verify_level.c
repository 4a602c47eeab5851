/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Less than all of a source: its structure, as a restore would make it and
 * without its contents, and perhaps a sample of these. What was not looked at
 * has a line, and the verdict is none on the whole.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_verification.h"
#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/verify_impl.h"

/* As many bytes a second as a restore and its comparison go through, as long as
 * none has been seen: few, for what is begun is ended. */
#define BYTES_A_SECOND ((uint64_t)8 * 1024 * 1024)

/* To make a cluster and to ask for its catalogue, whatever is in it. */
#define CLUSTER_S 5

/* ---- how much fits ---- */

bool
bkp_verify_is_late(const struct bkp_verify *verify)
{
	return verify->limits.budget_ms > 0 &&
	       bkp_clock_ms() - verify->began_ms >= verify->limits.budget_ms;
}

enum bkp_verify_level
bkp_verify_level_of(
    const struct bkp_verify *verify, const struct bkp_chosen *chosen)
{
	uint64_t budget = verify->limits.budget_ms;
	uint64_t used = bkp_clock_ms() - verify->began_ms;
	uint64_t rate = BYTES_A_SECOND, needed;

	if (budget == 0 || verify->limits.level != BKP_LEVEL_FULL)
		return (enum bkp_verify_level)verify->limits.level;
	if (used >= budget)
		return BKP_LEVEL_QUICK;
	if (verify->proven_bytes > BYTES_A_SECOND && used > 0)
		rate = verify->proven_bytes * 1000 / used;
	needed = verify->selected.bytes / (rate > 0 ? rate : 1);
	if (chosen->kind->kind == BKP_KIND_POSTGRES)
		needed += CLUSTER_S;
	return needed <= (budget - used) / 1000 ? BKP_LEVEL_FULL
						: BKP_LEVEL_SAMPLE;
}

/* ---- structure ---- */

/* A whole source, or a whole database of one. */
static bool
has_structure(const struct bkp_chosen *chosen)
{
	const json_t *list = json_object_get(chosen->source->info, "databases");

	if (chosen->kind->kind != BKP_KIND_POSTGRES)
		return false;
	if (strcmp(chosen->selection, chosen->source->prefix) == 0)
		return true;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *path = json_string_value(
		    json_object_get(json_array_get(list, i), "path"));

		if (path != NULL && strcmp(path, chosen->selection) == 0)
			return true;
	}
	return false;
}

static int
restore_structure(const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_source_config *place, struct bkp_error *err)
{
	const struct bkp_target_options options = {
	    .is_scratch = true, .is_schema_only = true};
	struct bkp_target *target = NULL;
	int rc = -1;

	bkp_run_phase(bkp_supply_run(supply), 0, 0,
	    "restoring the schema of %s into a scratch place",
	    chosen->source->prefix);
	if (chosen->kind->target_open(place, &options, &target, err) < 0)
		return -1;
	if (target->ops->check(target, supply, err) == 0)
		rc = target->ops->run(target, supply, err);
	target->ops->close(target);
	return rc;
}

static int
compare_structure(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	struct bkp_error error = BKP_ERROR_INIT;
	int rc;

	verify->is_structure = true;
	rc = restore_structure(chosen, supply, place, &error) == 0 &&
		     bkp_verify_note_omissions(verify, &error) == 0 &&
		     bkp_verify_compare(
			 verify, chosen, supply, place, &error) == 0
		 ? 0
		 : -1;
	verify->is_structure = false;
	if (rc == 0)
		return 0;
	return bkp_verify_judge_error(verify, chosen, &error, err);
}

static int
tell_unmade(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    const char *why, struct bkp_error *err)
{
	char *name = bkp_format(err, "%s/structure", chosen->selection);
	int rc = -1;

	if (name != NULL)
		rc = bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err, name,
		    "not restored: %s", why);
	free(name);
	return rc;
}

static int
prove_structure(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	struct bkp_scratch *scratch = NULL;
	const char *obstacle;
	int rc;

	if (bkp_verify_obstacle(verify, chosen, supply, &obstacle, err) < 0)
		return -1;
	if (obstacle != NULL)
		return tell_unmade(verify, chosen, obstacle, err);
	if (bkp_scratch_make(chosen, &verify->choice, verify->folder.path,
		verify->run, &scratch, err) < 0)
		return -1;
	if (scratch == NULL)
		return 0;
	rc = scratch->ops->check == NULL
		 ? 0
		 : scratch->ops->check(scratch, supply, err);
	if (rc == 0)
		rc = compare_structure(
		    verify, chosen, supply, &scratch->place, err);
	scratch->ops->close(scratch);
	return rc;
}

/* That the list can be read to its end, and has as much as was recorded. */
static int
count_list(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	bool is_whole = strcmp(chosen->selection, chosen->source->prefix) == 0;
	uint64_t recorded = chosen->source->entries, count = 0;
	int got;

	if (bkp_supply_entries(
		supply, bkp_supply_selection(supply), &stream, err) < 0)
		return -1;
	while ((got = bkp_entry_stream_next(stream, &entry, err)) > 0) {
		count += bkp_supply_is_selected(supply, entry.path) ? 1 : 0;
		fmt_entry_free(&entry);
	}
	bkp_entry_stream_close(stream);
	if (got < 0)
		return -1;
	if (is_whole && count != recorded)
		return bkp_verdict_add(verify->verdict, BKP_CHECK_FAIL, err,
		    chosen->source->prefix, "%s recorded, and %llu in the list",
		    bkp_counted(recorded, "entry").text,
		    (unsigned long long)count);
	return bkp_verdict_add(verify->verdict, BKP_CHECK_PASS, err,
	    chosen->source->prefix, "%s in the list",
	    bkp_counted(count, "entry").text);
}

/* ---- the whole ---- */

static int
tell_rest(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    enum bkp_verify_level level, struct bkp_error *err)
{
	const char *what = level == BKP_LEVEL_QUICK
			       ? "its contents were not looked at"
			       : "the rest of its contents was not looked at";

	if (verify->limits.level != level)
		return bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err,
		    chosen->source->prefix,
		    "%s: they do not fit into the budget", what);
	return bkp_verdict_add(verify->verdict, BKP_CHECK_SKIP, err,
	    chosen->source->prefix, "%s: level %s", what,
	    bkp_level_name(level));
}

int
bkp_verify_less(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, enum bkp_verify_level level,
    struct bkp_error *err)
{
	verify->is_partial = true;
	if (count_list(verify, chosen, supply, err) < 0)
		return -1;
	if (has_structure(chosen) &&
	    prove_structure(verify, chosen, supply, err) < 0)
		return -1;
	if (level == BKP_LEVEL_SAMPLE &&
	    bkp_verify_sample(verify, chosen, supply, err) < 0)
		return -1;
	return tell_rest(verify, chosen, level, err);
}
