/* SPDX-License-Identifier: Apache-2.0 */
/* The list of sources, each of a kind with a table of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_reader.h"
#include "libbackup/base/fail.h"

/* The kind is the one key of the map that names a kind; `bucket` is also a key
 * of buckets, so the others are looked for first. */
static const struct config_kind *
find_kind(
    struct config_reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	const struct config_kind *found = NULL;
	const yaml_node_pair_t *pair;

	for (pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key_node = config_node(r, pair->key);
		const char *key = bkp_config_scalar(key_node);
		const struct config_kind *kind = bkp_config_kinds;

		while (key != NULL && kind->name != NULL &&
		       strcmp(kind->name, key) != 0)
			kind++;
		if (key == NULL || kind->name == NULL || kind == found)
			continue;
		if (found != NULL) {
			(void)bkp_config_fail(r->file, key_node, err,
			    "a source is of one kind: '%s' or '%s'",
			    found->name, kind->name);
			return NULL;
		}
		found = kind;
	}
	return found;
}

/* No kind among the keys: perhaps it is misspelt. */
static int
fail_kind(
    struct config_reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	static const struct config_field kinds[] = {
	    {"postgres", FIELD_NAME, 0, false},
	    {"bucket", FIELD_NAME, 0, false}, {"files", FIELD_NAME, 0, false},
	    {"command", FIELD_NAME, 0, false}, {NULL, FIELD_NAME, 0, false}};
	const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	const char *key = NULL, *meant = NULL;

	if (pair < node->data.mapping.pairs.top)
		key = bkp_config_scalar(config_node(r, pair->key));
	if (key != NULL && (meant = bkp_config_nearest(kinds, key)) != NULL)
		return bkp_config_fail(r->file, node, err,
		    "unknown kind of source '%s'; did you mean '%s'?", key,
		    meant);
	return bkp_config_fail(r->file, node, err,
	    "a source needs its kind and a name: 'postgres: app', 'bucket: "
	    "uploads', 'files: etc' or 'command: redis'");
}

/* What follows from the keys together. */
static int
complete_source(struct config_reader *r, const struct config_kind *kind,
    struct bkp_source_config *source, struct bkp_error *err)
{
	source->prefix = bkp_format(err, "%s/%s", kind->name, source->name);
	if (source->prefix == NULL)
		return -1;
	if (source->kind == BKP_KIND_BUCKET && source->bucket.bucket == NULL) {
		source->bucket.bucket = bkp_strdup(source->name, err);
		if (source->bucket.bucket == NULL)
			return -1;
	}
	for (const struct bkp_source_config *other = r->config->sources;
	     other < source; other++)
		if (strcmp(other->prefix, source->prefix) == 0)
			return bkp_fail(err, BKP_INVALID,
			    "%s:%u: there is a source %s already, on line %u; "
			    "give this one another name",
			    r->file->path, source->line, source->prefix,
			    other->line);
	return 0;
}

/* libpq takes PGPASSWORD from the environment by itself; the variable that
 * names a file is ours to read. */
static int
read_password_variable(struct bkp_source_config *source, struct bkp_error *err)
{
	if (source->kind != BKP_KIND_POSTGRES ||
	    source->postgres.password != NULL)
		return 0;
	return bkp_secret_load("password", NULL, NULL, "PGPASSWORD",
	    &source->postgres.password, err);
}

static int
read_source(struct config_reader *parent, const yaml_node_t *node,
    struct bkp_error *err)
{
	struct bkp_source_config *source =
	    &parent->config->sources[parent->config->source_count];
	struct bkp_error error = BKP_ERROR_INIT;
	struct config_reader r = {
	    .file = parent->file, .config = parent->config, .base = source};
	const struct config_kind *kind;
	char what[32];

	if (node->type != YAML_MAPPING_NODE)
		return fail_kind(parent, node, err);
	if ((kind = find_kind(parent, node, &error)) == NULL) {
		if (error.code == BKP_OK)
			return fail_kind(parent, node, err);
		if (err != NULL)
			*err = error;
		return -1;
	}
	(void)snprintf(what, sizeof(what), "a %s source", kind->name);
	r.what = what;
	r.fields = kind->fields;
	source->kind = kind->kind;
	source->line = bkp_config_line(node);
	parent->config->source_count++;
	if (bkp_config_read_keys(&r, node, err) < 0 ||
	    complete_source(&r, kind, source, err) < 0)
		return -1;
	return read_password_variable(source, err);
}

static int
read_or_leave_out(
    struct config_reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	struct bkp_config *config = r->config;
	struct bkp_error problem = BKP_ERROR_INIT;
	size_t before = config->source_count;

	if (read_source(r, node, &problem) == 0)
		return 0;
	if (!config_forgives(r->file, &problem)) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (config->source_count > before) {
		struct bkp_source_config *source = &config->sources[before];

		bkp_source_config_free(source);
		memset(source, 0, sizeof(*source));
		config->source_count = before;
	}
	return 0;
}

static int
compare_sources(const void *a, const void *b)
{
	const struct bkp_source_config *left = a, *right = b;

	return strcmp(left->prefix, right->prefix);
}

int
bkp_config_read_sources(
    struct config_reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	const yaml_node_item_t *item;
	size_t count;

	/* A list that nobody has filled in yet. */
	if (node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0)
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return bkp_config_fail(r->file, node, err,
		    "'sources' needs a list: lines that begin with '- '");
	item = node->data.sequence.items.start;
	count = (size_t)(node->data.sequence.items.top - item);
	r->config->sources =
	    bkp_alloc_array(count, sizeof(*r->config->sources), err);
	if (r->config->sources == NULL)
		return -1;
	for (; count > 0; count--, item++)
		if (read_or_leave_out(r, config_node(r, *item), err) < 0)
			return -1;
	if (r->config->source_count > 0)
		qsort(r->config->sources, r->config->source_count,
		    sizeof(*r->config->sources), compare_sources);
	return 0;
}
