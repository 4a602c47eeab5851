/* SPDX-License-Identifier: Apache-2.0 */
/* From YAML nodes to struct bkp_config, led by the tables of
 * config_fields.c. */
#include "libbackup/base/config_read.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_fields.h"
#include "libbackup/base/config_jobs.h"
#include "libbackup/base/config_notifications.h"
#include "libbackup/base/config_references.h"
#include "libbackup/base/config_verification.h"
#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"

#define WORKERS_MAX 64
#define NUMBER_MAX 100000
#define PERCENT_MAX 50u
#define DAYS_MAX 36500

static const char name_bytes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz"
				 "0123456789._-";

/* What is being filled: the whole configuration, or one source. */
struct reader {
	struct config_file *file;
	struct bkp_config *config;
	const char *what; /* "a postgres source", "the configuration" */
	const struct config_field *fields;
	void *base;
	unsigned seen[CONFIG_FIELDS_MAX]; /* the line of each field, 0: none */
};

static yaml_node_t *
node_of(const struct reader *r, int index)
{
	return yaml_document_get_node(&r->file->document, index);
}

/* ---- values of one type each ---- */

static int
read_text(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	char **slot = bkp_config_slot(r->base, field), *text = NULL;
	bool is_path = field->type == FIELD_PATH;

	if (bkp_config_expand(r->file, node, field->name, &text, NULL, err) < 0)
		return -1;
	if (text[0] == '\0') {
		free(text);
		return bkp_config_fail(
		    r->file, node, err, "'%s' is empty", field->name);
	}
	if (field->type == FIELD_LOCATION && strstr(text, "://") == NULL)
		is_path = true;
	*slot = text;
	if (is_path) {
		*slot = bkp_config_absolute(r->file, text, err);
		free(text);
	}
	return *slot != NULL ? 0 : -1;
}

bool
bkp_config_is_name(const char *text)
{
	return text[0] != '\0' && text[strspn(text, name_bytes)] == '\0' &&
	       strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static int
read_name(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	const char *text;

	if (read_text(r, node, field, err) < 0)
		return -1;
	text = *(char **)bkp_config_slot(r->base, field);
	if (bkp_config_is_name(text))
		return 0;
	return bkp_config_fail(r->file, node, err,
	    "the name '%s' may hold only letters, digits, '.', '_' and '-'",
	    text);
}

static int
read_file_name(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	const char *text;

	if (read_text(r, node, field, err) < 0)
		return -1;
	text = *(char **)bkp_config_slot(r->base, field);
	if (strchr(text, '/') == NULL && strcmp(text, ".") != 0 &&
	    strcmp(text, "..") != 0)
		return 0;
	return bkp_config_fail(r->file, node, err,
	    "'%s' is the name of a file, without a folder", field->name);
}

/* What is to be done with a secret that is in the text; NULL: there is none. */
static const char *
find_secret(const PQconninfoOption *option)
{
	for (; option->keyword != NULL; option++) {
		if (option->val == NULL)
			continue;
		if (strcmp(option->keyword, "password") == 0)
			return "a password does not belong in 'conninfo', "
			       "where programs show it; use password_file, "
			       "password or PGPASSWORD";
		if (strcmp(option->keyword, "sslpassword") == 0)
			return "'sslpassword' does not belong in 'conninfo', "
			       "where programs show it; put it into a service "
			       "file that only you can read (PGSERVICEFILE, "
			       "and service=NAME here), or use a client key "
			       "without a passphrase";
	}
	return NULL;
}

/* libpq's message is not passed on: it quotes what it did not understand, which
 * may be a part of a password. */
static int
read_conninfo(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	PQconninfoOption *options;
	char *message = NULL;
	const char *advice;

	if (read_text(r, node, field, err) < 0)
		return -1;
	options = PQconninfoParse(
	    *(char **)bkp_config_slot(r->base, field), &message);
	PQfreemem(message);
	if (options == NULL)
		return bkp_config_fail(r->file, node, err,
		    "'conninfo' is not what libpq takes: \"host=... port=... "
		    "dbname=... user=...\" or postgresql://user@host/dbname");
	advice = find_secret(options);
	PQconninfoFree(options);
	if (advice == NULL)
		return 0;
	return bkp_config_fail(r->file, node, err, "%s", advice);
}

/* One of `password` and `password_file`. */
static int
refuse_second_secret(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	if (*(char **)bkp_config_slot(r->base, field) == NULL)
		return 0;
	return bkp_config_fail(r->file, node, err,
	    "'%s' gives a second time what is given above; keep one",
	    field->name);
}

static int
read_secret(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	char **slot = bkp_config_slot(r->base, field);
	bool has_literal = false;

	if (refuse_second_secret(r, node, field, err) < 0 ||
	    bkp_config_expand(
		r->file, node, field->name, slot, &has_literal, err) < 0)
		return -1;
	if ((*slot)[0] == '\0')
		return bkp_config_fail(
		    r->file, node, err, "'%s' is empty", field->name);
	if (has_literal && r->file->secret_line == 0)
		r->file->secret_line = bkp_config_line(node);
	return 0;
}

/* A secret file that cannot be read is a mistake of the configuration, not a
 * configuration that was not found. */
static int
read_secret_file(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	char **slot = bkp_config_slot(r->base, field);
	int name_len = (int)strlen(field->name) - (int)strlen("_file");
	char *text = NULL, *path = NULL, what[64];
	struct bkp_error error = BKP_ERROR_INIT;
	int rc = -1;

	if (refuse_second_secret(r, node, field, err) < 0 ||
	    bkp_config_expand(r->file, node, field->name, &text, NULL, err) < 0)
		return -1;
	(void)snprintf(what, sizeof(what), "%.*s", name_len, field->name);
	if ((path = bkp_config_absolute(r->file, text, err)) == NULL)
		goto out;
	rc = bkp_secret_load(what, NULL, path, NULL, slot, &error);
	if (rc < 0 && error.code == BKP_NOMEM)
		(void)bkp_fail_nomem(err, "reading a secret");
	else if (rc < 0)
		(void)bkp_config_fail(r->file, node, err, "%s", error.message);
out:
	free(path);
	free(text);
	return rc;
}

static int
read_list(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	struct bkp_strings *slot = bkp_config_slot(r->base, field);
	const yaml_node_item_t *item;
	size_t count;

	if (node->type != YAML_SEQUENCE_NODE)
		return bkp_config_fail(r->file, node, err,
		    "'%s' needs a list: [one, two]", field->name);
	item = node->data.sequence.items.start;
	count = (size_t)(node->data.sequence.items.top - item);
	if (count == 0 && field->is_required)
		return bkp_config_fail(
		    r->file, node, err, "'%s' is empty", field->name);
	slot->items = bkp_alloc_array(count, sizeof(*slot->items), err);
	if (slot->items == NULL)
		return -1;
	for (; slot->count < count; slot->count++, item++) {
		char **text = &slot->items[slot->count];

		if (bkp_config_expand(r->file, node_of(r, *item), field->name,
			text, NULL, err) < 0)
			return -1;
		if (field->type == FIELD_PATHS) {
			char *path = bkp_config_absolute(r->file, *text, err);

			free(*text);
			*text = path;
			if (path == NULL)
				return -1;
		}
	}
	return 0;
}

static int
read_databases(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(node);
	struct bkp_source_config *source = r->base;

	if (text != NULL && strcmp(text, "all") == 0) {
		source->postgres.all_databases = true;
		return 0;
	}
	if (node->type != YAML_SEQUENCE_NODE)
		return bkp_config_fail(r->file, node, err,
		    "'databases' needs a list ([shop, crm]) or the word all");
	return read_list(r, node, field, err);
}

static bool
is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static int
read_bool(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	static const char *const yes[] = {
	    "true", "True", "TRUE", "yes", "Yes", "on", NULL};
	static const char *const no[] = {
	    "false", "False", "FALSE", "no", "No", "off", NULL};
	const char *text = bkp_config_scalar(node);
	bool *slot = bkp_config_slot(r->base, field);

	if (text != NULL && bkp_config_is_plain(node)) {
		*slot = is_one_of(text, yes);
		if (*slot || is_one_of(text, no))
			return 0;
	}
	return bkp_config_fail(
	    r->file, node, err, "'%s' needs true or false", field->name);
}

/* One of two words; the bool says whether it is the second. */
static int
read_choice(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, const char *no, const char *yes,
    struct bkp_error *err)
{
	const char *text = bkp_config_scalar(node);

	if (text == NULL || (strcmp(text, no) != 0 && strcmp(text, yes) != 0))
		return bkp_config_fail(r->file, node, err,
		    "'%s' needs %s or %s", field->name, no, yes);
	*(bool *)bkp_config_slot(r->base, field) = strcmp(text, yes) == 0;
	return 0;
}

static int
read_number(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, unsigned least, unsigned most,
    struct bkp_error *err)
{
	const char *text = bkp_config_scalar(node);
	unsigned long value = 0;
	char *end = NULL;

	if (text != NULL && text[0] >= '0' && text[0] <= '9')
		value = strtoul(text, &end, 10);
	if (end == NULL || *end != '\0' || value < least || value > most)
		return bkp_config_fail(r->file, node, err,
		    "'%s' needs a number from %u to %u", field->name, least,
		    most);
	*(unsigned *)bkp_config_slot(r->base, field) = (unsigned)value;
	return 0;
}

/* "5%", or 5. */
static int
read_percent(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(node);
	unsigned long value = 0;
	char *end = NULL;

	if (text != NULL && text[0] >= '0' && text[0] <= '9')
		value = strtoul(text, &end, 10);
	if (end == NULL || (strcmp(end, "") != 0 && strcmp(end, "%") != 0) ||
	    value > PERCENT_MAX)
		return bkp_config_fail(r->file, node, err,
		    "'%s' needs a percentage from 0%% to %u%%", field->name,
		    PERCENT_MAX);
	*(unsigned *)bkp_config_slot(r->base, field) = (unsigned)value;
	return 0;
}

static int
read_duration(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	struct bkp_error error = BKP_ERROR_INIT;
	int64_t us;

	if (read_text(r, node, field, err) < 0)
		return -1;
	if (bkp_duration_read(
		*(char **)bkp_config_slot(r->base, field), &us, &error) == 0)
		return 0;
	return bkp_config_fail(
	    r->file, node, err, "'%s': %s", field->name, error.message);
}

static int
read_copy(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(node);
	unsigned *slot = bkp_config_slot(r->base, field);

	if (text != NULL && strcmp(text, "text") == 0)
		*slot = BKP_COPY_TEXT;
	else if (text != NULL && strcmp(text, "binary") == 0)
		*slot = BKP_COPY_BINARY;
	else
		return bkp_config_fail(r->file, node, err,
		    "'%s' needs text or binary", field->name);
	return 0;
}

/* ---- maps ---- */

static int read_part(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err);
static int read_sources(
    struct reader *r, const yaml_node_t *node, struct bkp_error *err);

static int
read_field(struct reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	switch (field->type) {
	case FIELD_NAME:
		return read_name(r, node, field, err);
	case FIELD_TEXT:
		if (refuse_second_secret(r, node, field, err) < 0)
			return -1;
		return read_text(r, node, field, err);
	case FIELD_PATH:
	case FIELD_LOCATION:
		return read_text(r, node, field, err);
	case FIELD_FILE_NAME:
		return read_file_name(r, node, field, err);
	case FIELD_CONNINFO:
		return read_conninfo(r, node, field, err);
	case FIELD_SECRET:
		return read_secret(r, node, field, err);
	case FIELD_SECRET_FILE:
		return read_secret_file(r, node, field, err);
	case FIELD_TEXTS:
	case FIELD_PATHS:
		return read_list(r, node, field, err);
	case FIELD_DATABASES:
		return read_databases(r, node, field, err);
	case FIELD_BOOL:
		return read_bool(r, node, field, err);
	case FIELD_SIGNATURE:
		return read_choice(r, node, field, "v4", "v2", err);
	case FIELD_VERSIONS:
		return read_choice(r, node, field, "current", "all", err);
	case FIELD_COUNT:
		return read_number(r, node, field, 1, WORKERS_MAX, err);
	case FIELD_NUMBER:
		return read_number(r, node, field, 0, NUMBER_MAX, err);
	case FIELD_PERCENT:
		return read_percent(r, node, field, err);
	case FIELD_DURATION:
		return read_duration(r, node, field, err);
	case FIELD_LOCK_MODE:
		return read_choice(
		    r, node, field, "governance", "compliance", err);
	case FIELD_DAYS:
		return read_number(r, node, field, 1, DAYS_MAX, err);
	case FIELD_COPY:
		return read_copy(r, node, field, err);
	case FIELD_SPAN:
	case FIELD_DROP:
	case FIELD_LEVEL:
	case FIELD_RATE:
		return bkp_config_read_limit(
		    r->file, node, field, r->base, err);
	case FIELD_RETENTION:
	case FIELD_LIMITS:
	case FIELD_STORAGE:
	case FIELD_OBJECT_LOCK:
	case FIELD_HOOKS:
		return read_part(r, node, field, err);
	case FIELD_RATES:
		return read_part(r, node, field, err);
	case FIELD_PRIORITY:
		return read_choice(r, node, field, "normal", "idle", err);
	case FIELD_PRUNE:
		return read_choice(r, node, field, "never", "after", err);
	case FIELD_WINDOW:
		return bkp_config_read_window(
		    r->file, node, bkp_config_slot(r->base, field), err);
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
		break;
	}
	return read_sources(r, node, err);
}

/* The key of the table nearest to a misspelt one, or NULL where none is
 * near. */
static const char *
nearest(const struct config_field *fields, const char *key)
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
fail_unknown(struct reader *r, const yaml_node_t *node, const char *key,
    struct bkp_error *err)
{
	const char *meant = nearest(r->fields, key);

	if (meant != NULL)
		return bkp_config_fail(r->file, node, err,
		    "unknown key '%s'; did you mean '%s'?", key, meant);
	return bkp_config_fail(r->file, node, err,
	    "unknown key '%s' in %s; backup.yaml(5) lists the keys", key,
	    r->what);
}

/* The field of a key; of two with the same name the one not seen yet. */
static int
find_field(struct reader *r, const yaml_node_t *node, size_t *out,
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
require_fields(struct reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	for (size_t i = 0; r->fields[i].name != NULL; i++)
		if (r->fields[i].is_required && r->seen[i] == 0)
			return bkp_config_fail(r->file, node, err,
			    "%s needs '%s'", r->what, r->fields[i].name);
	return 0;
}

static int
read_map(struct reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	const yaml_node_pair_t *pair;

	if (node->type != YAML_MAPPING_NODE)
		return bkp_config_fail(r->file, node, err,
		    "%s is made of 'key: value' lines", r->what);
	for (pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		size_t i = 0;

		if (find_field(r, node_of(r, pair->key), &i, err) < 0 ||
		    read_field(r, node_of(r, pair->value), &r->fields[i], err) <
			0)
			return -1;
	}
	return require_fields(r, node, err);
}

/* A map of its own whose fields are the configuration's. */
static int
read_part(struct reader *parent, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	struct reader r = {.file = parent->file,
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
	return read_map(&r, node, err);
}

/* ---- sources ---- */

/* The kind is the one key of the map that names a kind; `bucket` is also a key
 * of buckets, so the others are looked for first. */
static const struct config_kind *
find_kind(struct reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	const struct config_kind *found = NULL;
	const yaml_node_pair_t *pair;

	for (pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key_node = node_of(r, pair->key);
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
fail_kind(struct reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	static const struct config_field kinds[] = {
	    {"postgres", FIELD_NAME, 0, false},
	    {"bucket", FIELD_NAME, 0, false}, {"files", FIELD_NAME, 0, false},
	    {"command", FIELD_NAME, 0, false}, {NULL, FIELD_NAME, 0, false}};
	const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	const char *key = NULL, *meant = NULL;

	if (pair < node->data.mapping.pairs.top)
		key = bkp_config_scalar(node_of(r, pair->key));
	if (key != NULL && (meant = nearest(kinds, key)) != NULL)
		return bkp_config_fail(r->file, node, err,
		    "unknown kind of source '%s'; did you mean '%s'?", key,
		    meant);
	return bkp_config_fail(r->file, node, err,
	    "a source needs its kind and a name: 'postgres: app', 'bucket: "
	    "uploads', 'files: etc' or 'command: redis'");
}

/* What follows from the keys together. */
static int
complete_source(struct reader *r, const struct config_kind *kind,
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
read_source(
    struct reader *parent, const yaml_node_t *node, struct bkp_error *err)
{
	struct bkp_source_config *source =
	    &parent->config->sources[parent->config->source_count];
	struct bkp_error error = BKP_ERROR_INIT;
	struct reader r = {
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
	if (read_map(&r, node, err) < 0 ||
	    complete_source(&r, kind, source, err) < 0)
		return -1;
	return read_password_variable(source, err);
}

static int
compare_sources(const void *a, const void *b)
{
	const struct bkp_source_config *left = a, *right = b;

	return strcmp(left->prefix, right->prefix);
}

static int
read_sources(struct reader *r, const yaml_node_t *node, struct bkp_error *err)
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
		if (read_source(r, node_of(r, *item), err) < 0)
			return -1;
	qsort(r->config->sources, r->config->source_count,
	    sizeof(*r->config->sources), compare_sources);
	return 0;
}

int
bkp_config_read_map(struct config_file *file, struct bkp_config *config,
    const char *what, const struct config_field *fields, void *base,
    const yaml_node_t *node, struct bkp_error *err)
{
	struct reader r = {.file = file,
	    .config = config,
	    .what = what,
	    .fields = fields,
	    .base = base};

	return read_map(&r, node, err);
}

int
bkp_config_read_given(struct config_file *file, struct bkp_config *config,
    const char *what, const struct config_field *fields, void *base,
    const yaml_node_t *node, uint32_t *given, struct bkp_error *err)
{
	struct reader r = {.file = file,
	    .config = config,
	    .what = what,
	    .fields = fields,
	    .base = base};

	if (read_map(&r, node, err) < 0)
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
		bkp_config_fields, config, root, err) < 0 ||
	    bkp_config_check_references(file, config, err) < 0 ||
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
