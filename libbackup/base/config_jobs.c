/* SPDX-License-Identifier: Apache-2.0 */
/* `repositories` and `jobs`, as they stand in the file. */
#include "libbackup/base/config_jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_choice.h"
#include "libbackup/base/config_reader.h"
#include "libbackup/base/config_references.h"
#include "libbackup/base/fail.h"

#define HOOK_TIMEOUT_MS ((uint64_t)5 * 60 * 1000)
#define DAY_MIN (24 * 60)

/* ---- maps by names ---- */

/* One of the two: what its maps hold, and where they go. */
struct named_list {
	const char *name; /* "jobs" */
	const char *what; /* "job" */
	const struct config_field *fields;
	struct bkp_named_config **items;
	size_t *count;
};

static unsigned
line_of(struct config_file *file, const yaml_node_t *map, const char *key)
{
	const yaml_node_pair_t *pair;

	if (map->type != YAML_MAPPING_NODE)
		return 0;
	for (pair = map->data.mapping.pairs.start;
	     pair < map->data.mapping.pairs.top; pair++) {
		const yaml_node_t *node =
		    yaml_document_get_node(&file->document, pair->key);
		const char *text = bkp_config_scalar(node);

		if (text != NULL && strcmp(text, key) == 0)
			return bkp_config_line(node);
	}
	return 0;
}

/* Takes the next place of the list. */
static struct bkp_named_config *
add_named(struct config_file *file, const struct named_list *list,
    const yaml_node_t *key, struct bkp_error *err)
{
	const char *name = bkp_config_scalar(key);
	struct bkp_named_config *item = &(*list->items)[*list->count];
	const struct bkp_named_config *other;

	if (name == NULL || !bkp_config_is_name(name)) {
		(void)bkp_config_fail(file, key, err,
		    "the name of a %s may hold only letters, digits, '.', '_' "
		    "and '-'",
		    list->what);
		return NULL;
	}
	other = bkp_config_find_named(*list->items, *list->count, name);
	if (other != NULL) {
		(void)bkp_config_fail(file, key, err,
		    "there is a %s '%s' already, on line %u", list->what, name,
		    other->line);
		return NULL;
	}
	item->line = bkp_config_line(key);
	if ((item->name = bkp_strdup(name, err)) == NULL)
		return NULL;
	++*list->count;
	item->values = bkp_alloc(sizeof(*item->values), err);
	return item->values != NULL ? item : NULL;
}

/* What nobody has filled in yet; of a job ("nightly:") it is all that the file
 * has. */
static bool
says_nothing(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0;
}

static int
read_values(struct config_file *file, const struct named_list *list,
    struct bkp_named_config *item, const yaml_node_t *map,
    struct bkp_error *err)
{
	char what[100];

	if (says_nothing(map) && list->fields == bkp_config_job_fields)
		return 0;
	(void)snprintf(
	    what, sizeof(what), "the %s '%.64s'", list->what, item->name);
	item->sources_line = line_of(file, map, "sources");
	item->repositories_line = line_of(file, map, "repositories");
	return bkp_config_read_given(file, item->values, what, list->fields,
	    item->values, map, &item->given, err);
}

/* A repository without a place is one all the same, so that it has a name. */
static int
read_one(struct config_file *file, const struct named_list *list,
    const yaml_node_t *key, const yaml_node_t *map, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_named_config *item = add_named(file, list, key, &problem);

	if (item != NULL && read_values(file, list, item, map, &problem) == 0)
		return 0;
	if (!config_forgives(file, &problem)) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (item == NULL || list->fields == bkp_config_job_fields ||
	    item->values->repository != NULL)
		return 0;
	item->values->repository = bkp_strdup("?", err);
	return item->values->repository != NULL ? 0 : -1;
}

static int
read_named(struct config_file *file, const struct named_list *list,
    const yaml_node_t *node, struct bkp_error *err)
{
	const yaml_node_pair_t *pair;
	size_t count;

	if (says_nothing(node))
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return bkp_config_fail(file, node, err,
		    "'%s' needs names, and below each what the %s is",
		    list->name, list->what);
	pair = node->data.mapping.pairs.start;
	count = (size_t)(node->data.mapping.pairs.top - pair);
	if (count == 0)
		return bkp_config_fail(
		    file, node, err, "'%s' is empty", list->name);
	*list->items = bkp_alloc_array(count, sizeof(**list->items), err);
	if (*list->items == NULL)
		return -1;
	for (; pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *map =
		    yaml_document_get_node(&file->document, pair->value);
		const yaml_node_t *key =
		    yaml_document_get_node(&file->document, pair->key);

		if (read_one(file, list, key, map, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_config_read_repositories(struct config_file *file,
    struct bkp_config *config, const yaml_node_t *node, struct bkp_error *err)
{
	const struct named_list list = {.name = "repositories",
	    .what = "repository",
	    .fields = bkp_config_repository_fields,
	    .items = &config->repositories,
	    .count = &config->repository_count};

	return read_named(file, &list, node, err);
}

int
bkp_config_read_jobs(struct config_file *file, struct bkp_config *config,
    const yaml_node_t *node, struct bkp_error *err)
{
	const struct named_list list = {.name = "jobs",
	    .what = "job",
	    .fields = bkp_config_job_fields,
	    .items = &config->jobs,
	    .count = &config->job_count};

	return read_named(file, &list, node, err);
}

void
bkp_config_named_free(struct bkp_named_config *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(items[i].name);
		if (items[i].values == NULL)
			continue;
		bkp_config_fields_free(
		    bkp_config_repository_fields, items[i].values);
		bkp_config_fields_free(bkp_config_job_fields, items[i].values);
		free(items[i].values);
	}
	free(items);
}

/* ---- values ---- */

/* "22:00" in minutes; the rest of the text, or NULL where it is none. */
static const char *
read_clock(const char *text, unsigned *minutes)
{
	unsigned hour, minute;
	int len = 0;

	if (sscanf(text, "%2u:%2u%n", &hour, &minute, &len) != 2 ||
	    len != (int)strlen("22:00") || text[0] == ' ' || text[3] == ' ' ||
	    hour > 23 || minute > 59)
		return NULL;
	*minutes = hour * 60 + minute;
	return text + len;
}

int
bkp_config_read_window(const struct config_file *file, const yaml_node_t *node,
    struct bkp_window_config *out, struct bkp_error *err)
{
	struct bkp_window_config window = {.is_given = true};
	const char *rest;
	char *text = NULL;

	if (bkp_config_expand(file, node, "window", &text, NULL, err) < 0)
		return -1;
	rest = read_clock(text, &window.from_min);
	if (rest != NULL && *rest == '-')
		rest = read_clock(rest + 1, &window.to_min);
	else
		rest = NULL;
	if (rest != NULL && *rest != '\0')
		rest = NULL;
	free(text);
	if (rest == NULL)
		return bkp_config_fail(file, node, err,
		    "'window' needs two times of the day, from which and until "
		    "which a run may begin: 22:00-06:00");
	if (window.from_min == window.to_min)
		return bkp_config_fail(file, node, err,
		    "'window' ends when it begins, so that no run could begin; "
		    "without 'window' a run may begin at any time");
	if (window.to_min < window.from_min)
		window.to_min += DAY_MIN;
	*out = window;
	return 0;
}

static int
complete_hook(const struct config_file *file, void *item, unsigned line,
    struct bkp_error *err)
{
	struct bkp_hook_config *hook = item;

	hook->line = line;
	if (hook->timeout_ms == 0)
		hook->timeout_ms = HOOK_TIMEOUT_MS;
	if (hook->run.count > 0 && hook->run.items[0][0] != '\0')
		return 0;
	return bkp_fail(err, BKP_INVALID, "%s:%u: the hook names no program",
	    file->path, line);
}

int
bkp_config_read_hooks(struct config_file *file, struct bkp_config *config,
    const char *name, const yaml_node_t *node, struct bkp_hook_list *out,
    struct bkp_error *err)
{
	const struct config_list list = {.name = name,
	    .what = "a hook",
	    .fields = bkp_config_hook_fields,
	    .size = sizeof(struct bkp_hook_config),
	    .complete = complete_hook};

	return bkp_config_read_items(
	    file, config, &list, node, &out->items, &out->count, err);
}

/* ---- what they name ---- */

static bool
has_source(const struct bkp_config *config, const char *prefix)
{
	for (size_t i = 0; i < config->source_count; i++)
		if (strcmp(config->sources[i].prefix, prefix) == 0)
			return true;
	return false;
}

static bool
has_repository(const struct bkp_config *config, const char *name)
{
	if (config->repository_count == 0)
		return strcmp(name, "default") == 0;
	return bkp_config_find_named(config->repositories,
		   config->repository_count, name) != NULL;
}

/* A list of names: not empty, known, each once. */
static int
check_list(const struct config_file *file, const struct bkp_config *config,
    const struct bkp_named_config *job, bool is_sources, struct bkp_error *err)
{
	const struct bkp_strings *list = is_sources
					     ? &job->values->job.sources
					     : &job->values->job.repositories;
	unsigned line = is_sources ? job->sources_line : job->repositories_line;
	const char *what = is_sources ? "source" : "repository";

	if (line > 0 && list->count == 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s:%u: the job '%s' lists no %s; without the key it has "
		    "all of them",
		    file->path, line, job->name, what);
	for (size_t i = 0; i < list->count; i++) {
		const char *name = list->items[i];

		if (!(is_sources ? has_source(config, name)
				 : has_repository(config, name)))
			return bkp_fail(err, BKP_INVALID,
			    "%s:%u: the job '%s' names the %s '%s', which the "
			    "configuration does not have%s%s",
			    file->path, line, job->name, what, name,
			    is_sources ? "; a source is named like "
					 "postgres/app"
				       : "; there is: ",
			    is_sources ? ""
			    : config->repository_count == 0
				? "default"
				: bkp_config_names(config->repositories,
				      config->repository_count)
				      .text);
		for (size_t k = 0; k < i; k++)
			if (strcmp(list->items[k], name) == 0)
				return bkp_fail(err, BKP_INVALID,
				    "%s:%u: the job '%s' names the %s '%s' "
				    "twice",
				    file->path, line, job->name, what, name);
	}
	return 0;
}

static int
check_repositories(struct config_file *file, const struct bkp_config *config,
    struct bkp_error *err)
{
	const yaml_node_t *root = yaml_document_get_root_node(&file->document);

	if (config->repository_count > 0 && line_of(file, root, "repository"))
		return bkp_fail(err, BKP_INVALID,
		    "%s:%u: 'repository' and 'repositories' are not given "
		    "together: write the one below 'repositories', with a name "
		    "and its 'location'",
		    file->path, line_of(file, root, "repository"));
	for (size_t i = 0; i < config->repository_count; i++)
		for (size_t k = 0; k < i; k++) {
			const struct bkp_named_config *a =
			    &config->repositories[k];
			const struct bkp_named_config *b =
			    &config->repositories[i];

			if (strcmp(a->values->repository,
				b->values->repository) == 0)
				return bkp_fail(err, BKP_INVALID,
				    "%s:%u: the repository '%s' is where '%s' "
				    "is, on line %u",
				    file->path, b->line, b->name, a->name,
				    a->line);
		}
	return 0;
}

int
bkp_config_check_jobs(struct config_file *file, const struct bkp_config *config,
    struct bkp_error *err)
{
	if (check_repositories(file, config, err) < 0)
		return -1;
	for (size_t i = 0; i < config->job_count; i++) {
		const struct bkp_named_config *job = &config->jobs[i];

		if (config->source_count == 0)
			return bkp_fail(err, BKP_INVALID,
			    "%s:%u: the job '%s' has no sources: the "
			    "configuration lists none below 'sources'",
			    file->path, job->line, job->name);
		if (check_list(file, config, job, true, err) < 0 ||
		    check_list(file, config, job, false, err) < 0)
			return -1;
	}
	return 0;
}
