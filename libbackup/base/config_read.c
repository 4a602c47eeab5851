/* SPDX-License-Identifier: Apache-2.0 */
/* From YAML nodes to struct bkp_config, led by the tables of
 * config_fields.c. */
#include "libbackup/base/config_read.h"

#include <string.h>

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_jobs.h"
#include "libbackup/base/config_notifications.h"
#include "libbackup/base/config_reader.h"
#include "libbackup/base/config_references.h"
#include "libbackup/base/config_verification.h"
#include "libbackup/base/fail.h"

static int read_part(struct config_reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err);

static int
read_field(struct config_reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	/* Nobody is told by these, and what they hold is of the sources. */
	if (r->file->is_lenient && (field->type == FIELD_REFERENCES ||
				       field->type == FIELD_ASSERTIONS))
		return 0;
	switch (field->type) {
	case FIELD_RETENTION:
	case FIELD_LIMITS:
	case FIELD_STORAGE:
	case FIELD_OBJECT_LOCK:
	case FIELD_HOOKS:
	case FIELD_RATES:
		return read_part(r, node, field, err);
	case FIELD_HOOK_LIST:
		return bkp_config_read_hooks(r->file, r->config, field->name,
		    node, bkp_config_slot(r->base, field), err);
	case FIELD_REPOSITORIES:
		return bkp_config_read_repositories(
		    r->file, r->config, node, err);
	case FIELD_JOBS:
		return bkp_config_read_jobs(r->file, r->config, node, err);
	case FIELD_REFERENCES:
		return bkp_config_read_references(
		    r->file, r->config, node, err);
	case FIELD_ASSERTIONS:
		return bkp_config_read_assertions(
		    r->file, r->config, node, err);
	case FIELD_TOLD:
		return bkp_config_read_notifications(r->file, r->config, node,
		    bkp_config_slot(r->base, field), err);
	case FIELD_SOURCES:
		return bkp_config_read_sources(r, node, err);
	default:
		return bkp_config_read_value(r, node, field, err);
	}
}

const char *
bkp_config_nearest(const struct config_field *fields, const char *key)
{
	size_t best = strlen(key) / 3 + 1;
	const char *answer = NULL;

	for (; fields->name != NULL; fields++) {
		size_t distance = bkp_config_distance(key, fields->name);

		if (distance <= best) {
			best = distance;
			answer = fields->name;
			if (distance > 0)
				best--;
		}
	}
	return answer;
}

static int
fail_unknown(struct config_reader *r, const yaml_node_t *node, const char *key,
    struct bkp_error *err)
{
	const char *meant = bkp_config_nearest(r->fields, key);

	if (meant != NULL)
		return bkp_config_fail(r->file, node, err,
		    "unknown key '%s'; did you mean '%s'?", key, meant);
	return bkp_config_fail(r->file, node, err,
	    "unknown key '%s' in %s; backup.yaml(5) lists the keys", key,
	    r->what);
}

/* The field of a key; of two with the same name the one not seen yet. */
static int
find_field(struct config_reader *r, const yaml_node_t *node, size_t *out,
    struct bkp_error *err)
{
	const char *key = bkp_config_scalar(node);
	unsigned line = 0;

	if (key == NULL)
		return bkp_config_fail(
		    r->file, node, err, "a key is a word and a colon");
	for (size_t i = 0; r->fields[i].name != NULL; i++) {
		if (strcmp(r->fields[i].name, key) != 0)
			continue;
		if (r->seen[i] == 0) {
			r->seen[i] = bkp_config_line(node);
			*out = i;
			return 0;
		}
		line = r->seen[i];
	}
	if (line > 0)
		return bkp_config_fail(r->file, node, err,
		    "'%s' is given twice; the first is on line %u", key, line);
	return fail_unknown(r, node, key, err);
}

static int
require_fields(
    struct config_reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	for (size_t i = 0; r->fields[i].name != NULL; i++)
		if (r->fields[i].is_required && r->seen[i] == 0)
			return bkp_config_fail(r->file, node, err,
			    "%s needs '%s'", r->what, r->fields[i].name);
	return 0;
}

static void
leave_out(struct config_reader *r, size_t i)
{
	const struct config_field one[] = {
	    r->fields[i], {NULL, FIELD_TEXT, 0, false}};

	bkp_config_fields_free(one, r->base);
	r->seen[i] = 0;
}

/* One key and its value. A notification that lacks something keeps no backup
 * from being made: it is told when it should be sent. */
static int
read_pair(struct config_reader *r, const yaml_node_pair_t *pair,
    struct bkp_error *err)
{
	const yaml_node_t *value = config_node(r, pair->value);
	struct bkp_error problem = BKP_ERROR_INIT;
	size_t i = 0;

	if (find_field(r, config_node(r, pair->key), &i, &problem) < 0) {
		if (config_forgives(r->file, &problem))
			return 0;
	} else if (read_field(r, value, &r->fields[i], &problem) == 0 ||
		   (r->fields == bkp_config_notification_fields &&
		       bkp_config_notification_lacks(
			   r, value, &r->fields[i], &problem))) {
		return 0;
	} else if (config_forgives(r->file, &problem)) {
		leave_out(r, i);
		return 0;
	}
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_config_read_keys(
    struct config_reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	const yaml_node_pair_t *pair;

	if (node->type != YAML_MAPPING_NODE)
		return bkp_config_fail(r->file, node, err,
		    "%s is made of 'key: value' lines", r->what);
	for (pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++)
		if (read_pair(r, pair, err) < 0)
			return -1;
	return require_fields(r, node, err);
}

/* A map of its own whose fields are the configuration's. */
static int
read_part(struct config_reader *parent, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	struct config_reader r = {.file = parent->file,
	    .config = parent->config,
	    .what = "'retention'",
	    .fields = bkp_config_retention_fields,
	    .base = parent->base};

	if (field->type == FIELD_LIMITS) {
		r.what = "'verification'";
		r.fields = bkp_config_verification_fields;
	} else if (field->type == FIELD_STORAGE) {
		r.what = "'storage'";
		r.fields = bkp_config_storage_fields;
	} else if (field->type == FIELD_OBJECT_LOCK) {
		r.what = "'object_lock'";
		r.fields = bkp_config_object_lock_fields;
	} else if (field->type == FIELD_HOOKS) {
		r.what = "'hooks'";
		r.fields = bkp_config_hooks_fields;
	} else if (field->type == FIELD_RATES) {
		r.what = "'limits'";
		r.fields = bkp_config_rates_fields;
	}
	return bkp_config_read_keys(&r, node, err);
}

int
bkp_config_read_map(struct config_file *file, struct bkp_config *config,
    const char *what, const struct config_field *fields, void *base,
    const yaml_node_t *node, struct bkp_error *err)
{
	struct config_reader r = {.file = file,
	    .config = config,
	    .what = what,
	    .fields = fields,
	    .base = base};

	return bkp_config_read_keys(&r, node, err);
}

int
bkp_config_read_given(struct config_file *file, struct bkp_config *config,
    const char *what, const struct config_field *fields, void *base,
    const yaml_node_t *node, uint32_t *given, struct bkp_error *err)
{
	struct config_reader r = {.file = file,
	    .config = config,
	    .what = what,
	    .fields = fields,
	    .base = base};

	if (bkp_config_read_keys(&r, node, err) < 0)
		return -1;
	for (size_t i = 0; fields[i].name != NULL; i++)
		if (r.seen[i] > 0)
			*given |= (uint32_t)1 << i;
	return 0;
}

int
bkp_config_read(
    struct config_file *file, struct bkp_config *config, struct bkp_error *err)
{
	const yaml_node_t *root = yaml_document_get_root_node(&file->document);

	if (root == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "%s is empty; backup.yaml(5) shows an example", file->path);
	if (bkp_config_read_map(file, config, "the configuration",
		bkp_config_fields, config, root, err) < 0)
		return -1;
	if (file->is_lenient)
		return 0;
	if (bkp_config_check_references(file, config, err) < 0 ||
	    bkp_config_check_assertions(file, config, err) < 0 ||
	    bkp_config_check_jobs(file, config, err) < 0)
		return -1;
	if (file->secret_line > 0 && !file->is_private)
		return bkp_fail(err, BKP_INVALID,
		    "%s:%u: holds a secret, but others than its owner may "
		    "read the file; chmod 600 it, or move the secret to a file "
		    "of its own and name that with ..._file",
		    file->path, file->secret_line);
	return 0;
}
