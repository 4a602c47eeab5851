/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration has to say to a monitor: its jobs. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/jobs/metrics.h"

static const char default_name[] = "default";

/* The names of all repositories; the caller frees the array. */
static const char **
all_repositories(
    const struct bkp_config *config, size_t *count, struct bkp_error *err)
{
	const char **names =
	    bkp_alloc_array(config->repository_count + 1, sizeof(*names), err);

	if (names == NULL)
		return NULL;
	names[0] = default_name;
	for (size_t i = 0; i < config->repository_count; i++)
		names[i] = config->repositories[i].name;
	*count = config->repository_count > 0 ? config->repository_count : 1;
	return names;
}

static int
save(const struct bkp_config *config, const struct bkp_notice *notice,
    const struct bkp_metrics_job *items, size_t count, struct bkp_error *err)
{
	const struct bkp_metrics_jobs jobs = {
	    .config = config->path != NULL ? config->path : "",
	    .items = items,
	    .count = count};

	return bkp_metrics_replace(config->metrics_file, &jobs, notice, err);
}

int
bkp_metrics_save(const struct bkp_config *config,
    const struct bkp_notice *notice, struct bkp_error *err)
{
	struct bkp_metrics_job *items = NULL;
	const char **names = NULL;
	size_t count = config->job_count > 0 ? config->job_count : 1;
	size_t name_count = 0;
	int rc = -1;

	if (config->metrics_file == NULL)
		return 0;
	if ((names = all_repositories(config, &name_count, err)) == NULL ||
	    (items = bkp_alloc_array(count, sizeof(*items), err)) == NULL)
		goto out;
	for (size_t i = 0; i < count; i++)
		items[i] =
		    (struct bkp_metrics_job){default_name, names, name_count};
	for (size_t i = 0; i < config->job_count; i++) {
		const struct bkp_named_config *job = &config->jobs[i];
		const struct bkp_strings *listed =
		    &job->values->job.repositories;

		items[i].name = job->name;
		if (listed->count == 0)
			continue;
		items[i].repositories = (const char *const *)listed->items;
		items[i].repository_count = listed->count;
	}
	rc = save(config, notice, items, count, err);
out:
	free(items);
	free(names);
	return rc;
}
