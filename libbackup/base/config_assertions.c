/* SPDX-License-Identifier: Apache-2.0 */
/* `assertions`: what else must hold of what was restored. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_references.h"
#include "libbackup/base/fail.h"

#define IN(member) offsetof(struct bkp_assertion_config, member)

#define TIMEOUT_MS ((uint64_t)10 * 60 * 1000)

const struct config_field bkp_config_assertion_fields[] = {
    {"name", FIELD_TEXT, IN(name), true},
    {"database", FIELD_TEXT, IN(database), false},
    {"source", FIELD_TEXT, IN(source), false},
    {"sql", FIELD_PATH, IN(sql), false},
    {"query", FIELD_TEXT, IN(query), false},
    {"run", FIELD_TEXTS, IN(run), false},
    {"expect", FIELD_TEXT, IN(expect), false},
    {"timeout", FIELD_SPAN, IN(timeout_ms), false},
    {NULL, FIELD_TEXT, 0, false}};

static int
fail(const struct config_file *file, const struct bkp_assertion_config *it,
    const char *reason, struct bkp_error *err)
{
	return bkp_fail(err, BKP_INVALID, "%s:%u: the assertion '%s' %s",
	    file->path, it->line, it->name, reason);
}

static int
check_keys(const struct config_file *file,
    const struct bkp_assertion_config *it, struct bkp_error *err)
{
	bool has_run = it->run.items != NULL;
	int ways = (it->sql != NULL) + (it->query != NULL) + has_run;

	if (ways == 0 || (has_run && it->run.count == 0))
		return fail(file, it,
		    "has nothing to run: it needs 'sql', the name of a file, "
		    "'query', or 'run', a list of a command and its arguments",
		    err);
	if (ways > 1)
		return fail(file, it,
		    "needs one of 'sql', 'query' and 'run' and no other", err);
	if ((it->database != NULL) == (it->source != NULL))
		return fail(file, it,
		    "needs 'database', as in postgres/app/shop, or, for a "
		    "command, 'source', as in files/etc",
		    err);
	if (!has_run && it->database == NULL)
		return fail(file, it, "asks a 'database', no 'source'", err);
	if (has_run && it->expect != NULL)
		return fail(file, it,
		    "runs a command, whose exit status tells: 'expect' is the "
		    "value of a query",
		    err);
	return 0;
}

static int
complete_assertion(const struct config_file *file, void *item, unsigned line,
    struct bkp_error *err)
{
	struct bkp_assertion_config *it = item;
	struct config_database database = {.source = NULL};
	int rc = 0;

	it->line = line;
	if (check_keys(file, it, err) < 0)
		return -1;
	if (it->timeout_ms == 0)
		it->timeout_ms = TIMEOUT_MS;
	if (it->source != NULL) {
		it->prefix = bkp_strdup(it->source, err);
		it->path = bkp_strdup(it->source, err);
		return it->prefix != NULL && it->path != NULL ? 0 : -1;
	}
	rc = bkp_config_read_database(
	    file, line, "database", it->database, &database, err);
	it->prefix = database.source;
	it->path = database.path;
	it->database_name = database.name;
	if (rc == 0 && database.rest != NULL)
		rc = fail(file, it,
		    "is of a database as a whole: 'database' is "
		    "postgres/SOURCE/DATABASE",
		    err);
	return rc;
}

int
bkp_config_read_assertions(struct config_file *file, struct bkp_config *config,
    const yaml_node_t *node, struct bkp_error *err)
{
	static const struct config_list list = {.name = "assertions",
	    .what = "an assertion",
	    .fields = bkp_config_assertion_fields,
	    .size = sizeof(struct bkp_assertion_config),
	    .complete = complete_assertion};

	return bkp_config_read_items(file, config, &list, node,
	    &config->assertions, &config->assertion_count, err);
}

/* Each has a line of its own in the verdict, so a name of its own. */
int
bkp_config_check_assertions(const struct config_file *file,
    const struct bkp_config *config, struct bkp_error *err)
{
	for (size_t i = 0; i < config->assertion_count; i++) {
		const struct bkp_assertion_config *it = &config->assertions[i];

		for (size_t k = 0; k < i; k++)
			if (strcmp(config->assertions[k].name, it->name) == 0)
				return bkp_fail(err, BKP_INVALID,
				    "%s:%u: there is an assertion '%s' "
				    "already, on line %u; give this one "
				    "another name",
				    file->path, it->line, it->name,
				    config->assertions[k].line);
		if (bkp_config_check_database(file, config, it->line,
			it->source != NULL ? "source" : "database", it->prefix,
			it->database_name, err) < 0)
			return -1;
	}
	return 0;
}

void
bkp_config_assertions_free(struct bkp_config *config)
{
	for (size_t i = 0; i < config->assertion_count; i++) {
		struct bkp_assertion_config *it = &config->assertions[i];

		bkp_config_fields_free(bkp_config_assertion_fields, it);
		free(it->prefix);
		free(it->path);
		free(it->database_name);
	}
	free(config->assertions);
	config->assertions = NULL;
	config->assertion_count = 0;
}
