/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/scratch.h"

#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/postgres_server.h"

/* A machine without the source's configuration can still restore it. */
static int
bare_config(const struct bkp_chosen *chosen, struct bkp_source_config *out,
    struct bkp_error *err)
{
	const char *prefix = chosen->source->prefix;
	const char *slash = strchr(prefix, '/');

	memset(out, 0, sizeof(*out));
	out->kind = chosen->kind->kind;
	out->prefix = bkp_strdup(prefix, err);
	out->name = bkp_strdup(slash != NULL ? slash + 1 : prefix, err);
	return out->prefix != NULL && out->name != NULL ? 0 : -1;
}

/* A bucket of its own at the endpoint, also where the configuration does not
 * ask for one. */
static int
open_bucket(const struct bkp_chosen *chosen,
    const struct bkp_source_config *config, const char *directory,
    struct bkp_run *run, struct bkp_scratch **out, struct bkp_error *err)
{
	struct bkp_source_config copy = {.prefix = NULL};
	int rc = -1;

	if (chosen->config == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "%s: the configuration has no such source, so nobody "
		    "knows where a scratch bucket could be made; --objects "
		    "digest needs none",
		    chosen->source->prefix);
	if (bkp_source_config_copy(config, &copy, err) == 0) {
		copy.bucket.has_scratch_bucket = true;
		rc = chosen->kind->scratch_open(
		    &copy, chosen->source->info, directory, run, out, err);
	}
	bkp_source_config_free(&copy);
	return rc;
}

static int
open_place(const struct bkp_chosen *chosen,
    const struct bkp_scratch_choice *choice,
    const struct bkp_source_config *config, const char *directory,
    struct bkp_run *run, struct bkp_scratch **out, struct bkp_error *err)
{
	enum bkp_source_kind kind = chosen->kind->kind;

	if (kind == BKP_KIND_POSTGRES && choice->server != NULL)
		return bkp_pg_server_open(config, chosen->source->info,
		    choice->server, choice->may_be_source, run, out, err);
	if (kind == BKP_KIND_BUCKET && choice->objects == BKP_OBJECTS_DIGEST)
		return 0;
	if (kind == BKP_KIND_BUCKET && choice->objects == BKP_OBJECTS_BUCKET)
		return open_bucket(chosen, config, directory, run, out, err);
	return chosen->kind->scratch_open(
	    config, chosen->source->info, directory, run, out, err);
}

int
bkp_scratch_make(const struct bkp_chosen *chosen,
    const struct bkp_scratch_choice *choice, const char *directory,
    struct bkp_run *run, struct bkp_scratch **out, struct bkp_error *err)
{
	static const struct bkp_scratch_choice none = {.server = NULL};
	struct bkp_source_config bare = {.prefix = NULL};
	const struct bkp_source_config *config = chosen->config;
	int rc = -1;

	*out = NULL;
	if (chosen->kind->scratch_open == NULL)
		return 0;
	if (config == NULL) {
		if (bare_config(chosen, &bare, err) < 0)
			goto out;
		config = &bare;
	}
	bkp_run_phase(
	    run, 0, 0, "making a scratch place for %s", chosen->source->prefix);
	rc = open_place(chosen, choice != NULL ? choice : &none, config,
	    directory, run, out, err);
out:
	bkp_source_config_free(&bare);
	return rc;
}

int
bkp_scratch_restore(const struct bkp_chosen *chosen, struct bkp_supply *supply,
    const struct bkp_amount *amount, const struct bkp_source_config *place,
    struct bkp_error *err)
{
	const struct bkp_target_options options = {.is_scratch = true};
	struct bkp_target *target = NULL;
	int rc = -1;

	bkp_run_phase(bkp_supply_run(supply), amount->bytes, amount->entries,
	    "restoring %s into a scratch place", chosen->source->prefix);
	if (chosen->kind->target_open(place, &options, &target, err) < 0)
		return -1;
	if (target->ops->check(target, supply, err) == 0)
		rc = target->ops->run(target, supply, err);
	target->ops->close(target);
	return rc;
}
