/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a restore of this snapshot would keep those away who were erased
 * since. */
#include <stdlib.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/verify_impl.h"
#include "libbackup/repository/repository_own.h"

static int
tell(struct bkp_verify *verify, const char *name,
    const struct bkp_replayed *replayed, struct bkp_error *err)
{
	uint64_t entries = replayed->entries;

	verify->erasures += replayed->entries;
	verify->erased_subjects += replayed->subjects;
	if (replayed->entries == 0)
		return 0;
	if (replayed->subjects == 0)
		return bkp_verdict_add(verify->verdict, BKP_CHECK_PASS, err,
		    name, "%s %s recorded since, and nobody of them is in it",
		    bkp_counted(entries, "erasure").text, bkp_were(entries));
	return bkp_verdict_add(verify->verdict, BKP_CHECK_PASS, err, name,
	    "%s %s recorded since; %s of them %s in it and %s erased: %s "
	    "deleted, %s cleared, %llu left",
	    bkp_counted(entries, "erasure").text, bkp_were(entries),
	    bkp_counted(replayed->subjects, "subject").text,
	    bkp_were(replayed->subjects), bkp_are(replayed->subjects),
	    bkp_counted(replayed->erased.rows, "row").text,
	    bkp_counted(replayed->erased.cleared, "reference").text,
	    (unsigned long long)replayed->erased.stayed);
}

static int
replay(struct bkp_verify *verify, const struct bkp_replay_place *place,
    const char *path, struct bkp_error *err)
{
	struct bkp_replayed replayed = BKP_REPLAYED_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	char *name = bkp_format(err, "%s/erasures", path);
	int rc = -1;

	if (name == NULL)
		return -1;
	if (bkp_replay_erasures(verify->replay, place, &replayed, &why) == 0)
		rc = tell(verify, name, &replayed, err);
	else if (why.code != BKP_NOMEM && why.code != BKP_CANCELLED)
		rc = bkp_verdict_add(verify->verdict, BKP_CHECK_FAIL, err, name,
		    "%s", why.message);
	else if (err != NULL)
		*err = why;
	bkp_replayed_free(&replayed);
	free(name);
	return rc;
}

static int
skip(struct bkp_verify *verify, const char *prefix, const char *why,
    struct bkp_error *err)
{
	char *name = bkp_format(err, "%s/erasures", prefix);
	int rc = -1;

	if (name != NULL)
		rc = bkp_verdict_add(
		    verify->verdict, BKP_CHECK_SKIP, err, name, "%s", why);
	free(name);
	return rc;
}

int
bkp_verify_replay(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	const json_t *list = json_object_get(chosen->source->info, "databases");

	if (chosen->kind->kind != BKP_KIND_POSTGRES)
		return 0;
	if (verify->options->is_without_erasures)
		return skip(verify, chosen->source->prefix,
		    "those recorded since are not replayed, as asked", err);
	if (verify->opened.repository->archive != NULL)
		return skip(
		    verify, chosen->source->prefix, BKP_REPLAY_NO_LEDGER, err);
	if (verify->replay == NULL &&
	    bkp_replay_open(&verify->opened, verify->run, verify->options->map,
		&verify->replay, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *facts = json_array_get(list, i);
		const char *path =
		    json_string_value(json_object_get(facts, "path"));
		const struct bkp_replay_place there = {.source = chosen->source,
		    .database =
			json_string_value(json_object_get(facts, "name")),
		    .config = &place->postgres,
		    .name = json_string_value(json_object_get(facts, "name"))};

		if (path != NULL && there.name != NULL &&
		    bkp_supply_is_selected(supply, path) &&
		    replay(verify, &there, path, err) < 0)
			return -1;
	}
	return 0;
}
