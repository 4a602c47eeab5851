/* SPDX-License-Identifier: Apache-2.0 */
/* The values of single keys, by the types of their tables. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_jobs.h"
#include "libbackup/base/config_reader.h"
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

static int
read_text(struct config_reader *r, const yaml_node_t *node,
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
read_name(struct config_reader *r, const yaml_node_t *node,
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
read_file_name(struct config_reader *r, const yaml_node_t *node,
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
read_conninfo(struct config_reader *r, const yaml_node_t *node,
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
refuse_second_secret(struct config_reader *r, const yaml_node_t *node,
    const struct config_field *field, struct bkp_error *err)
{
	if (*(char **)bkp_config_slot(r->base, field) == NULL)
		return 0;
	return bkp_config_fail(r->file, node, err,
	    "'%s' gives a second time what is given above; keep one",
	    field->name);
}

static int
read_secret(struct config_reader *r, const yaml_node_t *node,
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
read_secret_file(struct config_reader *r, const yaml_node_t *node,
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
read_list(struct config_reader *r, const yaml_node_t *node,
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

		if (bkp_config_expand(r->file, config_node(r, *item),
			field->name, text, NULL, err) < 0)
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
read_databases(struct config_reader *r, const yaml_node_t *node,
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
read_bool(struct config_reader *r, const yaml_node_t *node,
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
read_choice(struct config_reader *r, const yaml_node_t *node,
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
read_number(struct config_reader *r, const yaml_node_t *node,
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
read_percent(struct config_reader *r, const yaml_node_t *node,
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
read_duration(struct config_reader *r, const yaml_node_t *node,
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
read_copy(struct config_reader *r, const yaml_node_t *node,
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

int
bkp_config_read_value(struct config_reader *r, const yaml_node_t *node,
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
	case FIELD_PRIORITY:
		return read_choice(r, node, field, "normal", "idle", err);
	case FIELD_PRUNE:
		return read_choice(r, node, field, "never", "after", err);
	case FIELD_WINDOW:
		return bkp_config_read_window(
		    r->file, node, bkp_config_slot(r->base, field), err);
	case FIELD_SPAN:
	case FIELD_DROP:
	case FIELD_LEVEL:
	case FIELD_RATE:
	default:
		return bkp_config_read_limit(
		    r->file, node, field, r->base, err);
	}
}
