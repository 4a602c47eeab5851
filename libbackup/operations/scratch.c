/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/scratch.h"

#include <string.h>

#include "libbackup/base/fail.h"

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

int
bkp_scratch_make(const struct bkp_chosen *chosen, const char *directory,
    struct bkp_run *run, struct bkp_scratch **out, struct bkp_error *err)
{
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
	rc = chosen->kind->scratch_open(
	    config, chosen->source->info, directory, run, out, err);
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
