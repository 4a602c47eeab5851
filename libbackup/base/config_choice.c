/* SPDX-License-Identifier: Apache-2.0 */
/* Of several repositories and jobs, the ones that are meant. */
#include "libbackup/base/config_choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_jobs.h"
#include "libbackup/base/config_references.h"
#include "libbackup/base/fail.h"

static const char default_name[] = "default";

/* ---- names ---- */

const struct bkp_named_config *
bkp_config_find_named(
    const struct bkp_named_config *items, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(items[i].name, name) == 0)
			return &items[i];
	return NULL;
}

struct bkp_names
bkp_config_names(const struct bkp_named_config *items, size_t count)
{
	struct bkp_names names = {.text = ""};
	size_t len = 0;

	for (size_t i = 0; i < count && len < sizeof(names.text); i++) {
		int n = snprintf(names.text + len, sizeof(names.text) - len,
		    "%s%s", i > 0 ? ", " : "", items[i].name);

		len += n > 0 ? (size_t)n : 0;
	}
	return names;
}

const char *
bkp_config_job(const struct bkp_config *config, size_t n)
{
	if (config->job_count == 0)
		return n == 0 ? default_name : NULL;
	return n < config->job_count ? config->jobs[n].name : NULL;
}

const char *
bkp_config_job_used(const struct bkp_config *config)
{
	if (config->job_count == 0)
		return default_name;
	return config->chosen_job != NULL ? config->chosen_job->name : NULL;
}

const char *
bkp_config_repository_name(const struct bkp_config *config, size_t n)
{
	const struct bkp_strings *listed = &config->job.repositories;

	if (config->is_elsewhere || config->repository_count == 0)
		return n == 0 && config->repository != NULL ? default_name
							    : NULL;
	/* The name as the file has it: the list is made anew by each choice. */
	if (n < listed->count) {
		const struct bkp_named_config *it =
		    bkp_config_find_named(config->repositories,
			config->repository_count, listed->items[n]);

		return it != NULL ? it->name : NULL;
	}
	if (listed->count > 0 || n >= config->repository_count)
		return NULL;
	return config->repositories[n].name;
}

const char *
bkp_config_repository_used(const struct bkp_config *config)
{
	return config->chosen_repository != NULL
		   ? config->chosen_repository->name
		   : default_name;
}

/* ---- what follows from a choice ---- */

static const struct bkp_config nothing;

/* Tags of the file and of the job, each once. */
static int
add_tags(struct bkp_config *config, const struct bkp_strings *more,
    struct bkp_error *err)
{
	struct bkp_strings *tags = &config->tags;
	char **items =
	    bkp_alloc_array(tags->count + more->count, sizeof(*items), err);

	if (items == NULL)
		return -1;
	for (size_t i = 0; i < tags->count; i++)
		items[i] = tags->items[i];
	free(tags->items);
	tags->items = items;
	for (size_t i = 0; i < more->count; i++) {
		size_t k = 0;

		while (k < tags->count &&
		       strcmp(tags->items[k], more->items[i]) != 0)
			k++;
		if (k < tags->count)
			continue;
		if ((items[k] = bkp_strdup(more->items[i], err)) == NULL)
			return -1;
		tags->count++;
	}
	return 0;
}

static int
overlay_job(struct bkp_config *config, const struct bkp_named_config *job,
    struct bkp_error *err)
{
	uint32_t given = job->given;

	for (size_t i = 0; bkp_config_job_fields[i].name != NULL; i++)
		if (strcmp(bkp_config_job_fields[i].name, "tags") == 0)
			given &= ~((uint32_t)1 << i);
	if (bkp_config_fields_copy(
		bkp_config_job_fields, given, job->values, config, err) < 0)
		return -1;
	return add_tags(config, &job->values->tags, err);
}

/* Everything that a repository or a job may say anew, from the file on. */
static int
compute(struct bkp_config *config, struct bkp_error *err)
{
	const struct bkp_named_config *repository = config->chosen_repository;

	if (bkp_config_fields_copy(bkp_config_repository_fields, UINT32_MAX,
		config->defaults, config, err) < 0 ||
	    bkp_config_fields_copy(bkp_config_job_fields, UINT32_MAX,
		config->defaults, config, err) < 0)
		return -1;
	if (repository != NULL &&
	    bkp_config_fields_copy(bkp_config_repository_fields,
		repository->given, repository->values, config, err) < 0)
		return -1;
	if (config->chosen_job != NULL &&
	    overlay_job(config, config->chosen_job, err) < 0)
		return -1;
	if (config->repository != NULL &&
	    bkp_config_set_location(config, config->repository, err) < 0)
		return -1;
	return bkp_config_apply_passphrase(config, err);
}

/* All locations, so that no folder that is backed up takes one of them in. */
static int
note_locations(struct bkp_config *config, struct bkp_error *err)
{
	struct bkp_strings *all = &config->locations;

	if (config->repository_count == 0)
		return 0;
	all->items =
	    bkp_alloc_array(config->repository_count, sizeof(*all->items), err);
	if (all->items == NULL)
		return -1;
	for (; all->count < config->repository_count; all->count++) {
		all->items[all->count] = bkp_strdup(
		    config->repositories[all->count].values->repository, err);
		if (all->items[all->count] == NULL)
			return -1;
	}
	for (size_t i = 0; i < config->source_count; i++)
		if (config->sources[i].kind == BKP_KIND_FILES)
			config->sources[i].files.repositories = all;
	return 0;
}

int
bkp_config_choice_begin(struct bkp_config *config, struct bkp_error *err)
{
	config->all_sources = config->source_count;
	config->all_references = config->reference_count;
	config->all_assertions = config->assertion_count;
	if (config->repository_count == 0 && config->job_count == 0)
		return 0;
	config->defaults = bkp_alloc(sizeof(*config->defaults), err);
	if (config->defaults == NULL || note_locations(config, err) < 0)
		return -1;
	if (bkp_config_fields_copy(bkp_config_repository_fields, UINT32_MAX,
		config, config->defaults, err) < 0 ||
	    bkp_config_fields_copy(bkp_config_job_fields, UINT32_MAX, config,
		config->defaults, err) < 0)
		return -1;
	if (config->repository_count > 0)
		config->chosen_repository = &config->repositories[0];
	return compute(config, err);
}

void
bkp_config_choice_free(struct bkp_config *config)
{
	if (config->all_sources > 0)
		config->source_count = config->all_sources;
	if (config->all_references > 0)
		config->reference_count = config->all_references;
	if (config->all_assertions > 0)
		config->assertion_count = config->all_assertions;
	bkp_config_named_free(config->repositories, config->repository_count);
	bkp_config_named_free(config->jobs, config->job_count);
	bkp_strings_free(&config->locations);
	if (config->defaults != NULL) {
		bkp_config_fields_free(
		    bkp_config_repository_fields, config->defaults);
		bkp_config_fields_free(bkp_config_job_fields, config->defaults);
	}
	free(config->defaults);
	config->defaults = NULL;
	config->repositories = config->jobs = NULL;
	config->repository_count = config->job_count = 0;
}

/* ---- the repository ---- */

static int
use_repository(struct bkp_config *config, const struct bkp_named_config *it,
    struct bkp_error *err)
{
	config->chosen_repository = it;
	config->is_elsewhere = false;
	return compute(config, err);
}

int
bkp_config_use_repository(
    struct bkp_config *config, const char *name, struct bkp_error *err)
{
	const struct bkp_named_config *it = bkp_config_find_named(
	    config->repositories, config->repository_count, name);

	if (it != NULL)
		return use_repository(config, it, err);
	if (strcmp(name, default_name) == 0 && config->repository_count == 0)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "there is no repository named '%s' in %s, but: %s", name,
	    config->path != NULL ? config->path : "the configuration",
	    config->repository_count == 0
		? default_name
		: bkp_config_names(
		      config->repositories, config->repository_count)
		      .text);
}

int
bkp_config_of_repository(const struct bkp_config *config, const char *name,
    struct bkp_config **out, struct bkp_error *err)
{
	const struct bkp_named_config *it = bkp_config_find_named(
	    config->repositories, config->repository_count, name);
	struct bkp_config *view;

	if (it == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "there is no repository named '%s'", name);
	if ((view = bkp_alloc(sizeof(*view), err)) == NULL)
		return -1;
	if (bkp_config_fields_copy(bkp_config_repository_fields, UINT32_MAX,
		config->defaults, view, err) < 0 ||
	    bkp_config_fields_copy(bkp_config_repository_fields, it->given,
		it->values, view, err) < 0) {
		bkp_config_free(view);
		return -1;
	}
	view->storage.cancel = config->storage.cancel;
	view->storage.bucket.limits = config->limits;
	*out = view;
	return 0;
}

int
bkp_config_choose_repository(
    struct bkp_config *config, const char *text, struct bkp_error *err)
{
	if (config->repository_count == 0)
		return bkp_config_set_location(config, text, err);
	for (size_t i = 0; i < config->repository_count; i++)
		if (strcmp(config->repositories[i].name, text) == 0 ||
		    strcmp(config->repositories[i].values->repository, text) ==
			0)
			return use_repository(
			    config, &config->repositories[i], err);
	if (strpbrk(text, "/:") == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "there is no repository named '%s', but: %s; for a folder "
		    "of that name write ./%s",
		    text,
		    bkp_config_names(
			config->repositories, config->repository_count)
			.text,
		    text);
	config->chosen_repository = NULL;
	config->is_elsewhere = true;
	if (compute(config, err) < 0)
		return -1;
	return bkp_config_set_location(config, text, err);
}

/* ---- the job ---- */

static bool
is_of_job(const struct bkp_config *config, const char *prefix)
{
	const struct bkp_strings *sources = &config->job.sources;

	for (size_t i = 0; i < sources->count; i++)
		if (strcmp(sources->items[i], prefix) == 0)
			return true;
	return config->chosen_job == NULL || sources->count == 0;
}

/* Those of the job come first, each part in the order that it had. */
static size_t
partition(const struct bkp_config *config, void *items, size_t count,
    size_t size, const char *(*prefix_of)(const void *item))
{
	union {
		struct bkp_source_config source;
		struct bkp_reference_config reference;
		struct bkp_assertion_config assertion;
	} swap;
	unsigned char *base = items;
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (!is_of_job(config, prefix_of(base + i * size)))
			continue;
		memcpy(&swap, base + i * size, size);
		memmove(base + (kept + 1) * size, base + kept * size,
		    (i - kept) * size);
		memcpy(base + kept * size, &swap, size);
		kept++;
	}
	return kept;
}

static const char *
prefix_of_source(const void *item)
{
	return ((const struct bkp_source_config *)item)->prefix;
}

static const char *
prefix_of_reference(const void *item)
{
	return ((const struct bkp_reference_config *)item)->source;
}

static const char *
prefix_of_assertion(const void *item)
{
	return ((const struct bkp_assertion_config *)item)->prefix;
}

static int
compare_sources(const void *a, const void *b)
{
	return strcmp(prefix_of_source(a), prefix_of_source(b));
}

static void
narrow(struct bkp_config *config)
{
	if (config->all_sources > 0)
		qsort(config->sources, config->all_sources,
		    sizeof(*config->sources), compare_sources);
	config->source_count = partition(config, config->sources,
	    config->all_sources, sizeof(*config->sources), prefix_of_source);
	config->reference_count =
	    partition(config, config->references, config->all_references,
		sizeof(*config->references), prefix_of_reference);
	config->assertion_count =
	    partition(config, config->assertions, config->all_assertions,
		sizeof(*config->assertions), prefix_of_assertion);
}

static int
find_job(const struct bkp_config *config, const char *name,
    const struct bkp_named_config **out, struct bkp_error *err)
{
	const char *path =
	    config->path != NULL ? config->path : "the configuration";

	*out = NULL;
	if (name == NULL ||
	    (config->job_count == 0 && strcmp(name, default_name) == 0))
		return 0;
	if (config->job_count == 0)
		return bkp_fail(err, BKP_INVALID,
		    "there is no job '%s': %s has no 'jobs', and all of it is "
		    "the job '%s'",
		    name, path, default_name);
	*out = bkp_config_find_named(config->jobs, config->job_count, name);
	if (*out != NULL)
		return 0;
	return bkp_fail(err, BKP_INVALID, "there is no job '%s' in %s, but: %s",
	    name, path, bkp_config_names(config->jobs, config->job_count).text);
}

int
bkp_config_use_job(
    struct bkp_config *config, const char *name, struct bkp_error *err)
{
	const struct bkp_named_config *job;
	const struct bkp_strings *listed;

	if (find_job(config, name, &job, err) < 0)
		return -1;
	if (config->defaults == NULL)
		return 0;
	listed = job != NULL ? &job->values->job.repositories
			     : &nothing.job.repositories;
	config->chosen_job = job;
	config->is_elsewhere = false;
	config->chosen_repository = NULL;
	if (config->repository_count > 0)
		config->chosen_repository =
		    listed->count > 0
			? bkp_config_find_named(config->repositories,
			      config->repository_count, listed->items[0])
			: &config->repositories[0];
	if (compute(config, err) < 0)
		return -1;
	narrow(config);
	return bkp_config_apply_environment(config, err);
}
