/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of a map, each led by a table of its keys. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"
#include "libbackup/subject/map_own.h"
#include "libbackup/subject/names.h"

#define FIELDS_MAX 16

yaml_node_t *
bkp_map_node(struct map_reader *r, int index)
{
	return yaml_document_get_node(&r->file.document, index);
}

bool
bkp_map_is_undecided(const yaml_node_t *node)
{
	const char *text = bkp_config_scalar(node);

	return text != NULL && strcmp(text, "undecided") == 0;
}

int
bkp_map_fail_twice(struct map_reader *r, const char *what, const char *name,
    unsigned first, unsigned second, struct bkp_error *err)
{
	if (first > second) {
		unsigned line = first;

		first = second;
		second = line;
	}
	return bkp_fail(err, BKP_INVALID,
	    "%s:%u: the %s %s is decided twice; the first is on line %u",
	    r->file.path, second, what, name, first);
}

/* ---- values ---- */

/* A copy of the scalar. Every string counts: a list that YAML's aliases repeat
 * in a million places is not a map. */
static char *
copy_text(struct map_reader *r, const char *name, const yaml_node_t *value,
    struct bkp_error *err)
{
	const char *text = bkp_config_scalar(value);

	if (text == NULL)
		(void)bkp_config_fail(&r->file, value, err,
		    "'%s' needs a text%s", name,
		    value->type == YAML_SCALAR_NODE ? "; it has no value"
						    : ", not a list or map");
	else if (text[strspn(text, " \t\r\n")] == '\0')
		(void)bkp_config_fail(
		    &r->file, value, err, "'%s' is empty", name);
	else if (r->budget-- == 0)
		(void)bkp_config_fail(
		    &r->file, value, err, "the map is too large");
	else
		return bkp_strdup(text, err);
	return NULL;
}

int
bkp_map_read_text(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err)
{
	char **text = slot;

	return (*text = copy_text(r, name, value, err)) != NULL ? 0 : -1;
}

int
bkp_map_read_table(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err)
{
	struct fmt_buf id = FMT_BUF_INIT;
	char *text = copy_text(r, name, value, err), **out = slot;
	enum fmt_status status;
	int rc = -1;

	if (text == NULL)
		return -1;
	status = bkp_subject_read_table(&id, text);
	if (status == FMT_MALFORMED)
		(void)bkp_config_fail(&r->file, value, err,
		    "'%s' is no table with its schema, as in public.users",
		    text);
	else if (status != FMT_OK || fmt_buf_text(&id) == NULL)
		(void)bkp_fail_nomem(err, "reading a map");
	else if ((*out = bkp_strdup((const char *)id.data, err)) != NULL)
		rc = 0;
	fmt_buf_free(&id);
	free(text);
	return rc;
}

int
bkp_map_read_sql(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err)
{
	char **text = slot;
	const char *problem;

	if ((*text = copy_text(r, name, value, err)) == NULL)
		return -1;
	if ((problem = bkp_subject_expression(*text)) == NULL)
		return 0;
	return bkp_config_fail(&r->file, value, err,
	    "'%s' is no SQL expression: %s", name, problem);
}

static int
add_text(struct map_reader *r, const char *name, const yaml_node_t *value,
    struct bkp_strings *list, struct bkp_error *err)
{
	char *text = copy_text(r, name, value, err);

	if (text == NULL)
		return -1;
	list->items[list->count++] = text;
	return 0;
}

int
bkp_map_read_list(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err)
{
	struct bkp_strings *list = slot;
	const yaml_node_item_t *item;
	size_t count = 1;

	if (value->type == YAML_SEQUENCE_NODE)
		count = (size_t)(value->data.sequence.items.top -
				 value->data.sequence.items.start);
	else if (value->type != YAML_SCALAR_NODE)
		return bkp_config_fail(&r->file, value, err,
		    "'%s' needs a list: [one, two]", name);
	if (count == 0)
		return bkp_config_fail(
		    &r->file, value, err, "'%s' is empty", name);
	if ((list->items = bkp_alloc_array(count, sizeof(*list->items), err)) ==
	    NULL)
		return -1;
	if (value->type == YAML_SCALAR_NODE)
		return add_text(r, name, value, list, err);
	for (item = value->data.sequence.items.start; count > 0;
	     item++, count--)
		if (add_text(r, name, bkp_map_node(r, *item), list, err) < 0)
			return -1;
	return 0;
}

int
bkp_map_read_flag(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(value);
	bool *flag = slot;

	if (text != NULL && bkp_config_is_plain(value)) {
		*flag = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
		if (*flag || strcmp(text, "false") == 0 ||
		    strcmp(text, "no") == 0)
			return 0;
	}
	return bkp_config_fail(
	    &r->file, value, err, "'%s' needs true or false", name);
}

/* ---- mappings ---- */

int
bkp_map_read_items(struct map_reader *r, const char *name,
    const yaml_node_t *value,
    int (*each)(
	struct map_reader *r, const yaml_node_t *node, struct bkp_error *err),
    struct bkp_error *err)
{
	const yaml_node_item_t *item;

	if (value->type == YAML_SCALAR_NODE && bkp_config_scalar(value) == NULL)
		return 0;
	if (value->type != YAML_SEQUENCE_NODE)
		return bkp_config_fail(&r->file, value, err,
		    "'%s' needs a list: lines that begin with '- '", name);
	for (item = value->data.sequence.items.start;
	     item < value->data.sequence.items.top; item++)
		if (each(r, bkp_map_node(r, *item), err) < 0)
			return -1;
	return 0;
}

int
bkp_map_read_pairs(struct map_reader *r, const char *what,
    const yaml_node_t *node,
    int (*each)(struct map_reader *r, const yaml_node_t *key,
	const yaml_node_t *value, void *arg, struct bkp_error *err),
    void *arg, struct bkp_error *err)
{
	const yaml_node_pair_t *pair;

	if (node->type == YAML_SCALAR_NODE && bkp_config_scalar(node) == NULL)
		return 0; /* "edges:" and nothing below it */
	if (node->type != YAML_MAPPING_NODE)
		return bkp_config_fail(&r->file, node, err,
		    "%s is made of 'key: value' lines", what);
	for (pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = bkp_map_node(r, pair->key);

		if (bkp_config_scalar(key) == NULL)
			return bkp_config_fail(&r->file, key, err,
			    "a key is a word and a colon, between quotes "
			    "where it is one that YAML reads otherwise");
		if (each(r, key, bkp_map_node(r, pair->value), arg, err) < 0)
			return -1;
	}
	return 0;
}

/* What is being read by a table of keys. */
struct by_fields {
	const char *what;
	const struct map_field *fields;
	void *base;
	unsigned seen[FIELDS_MAX]; /* the line of each, 0: none */
};

/* The key nearest to a misspelt one, or NULL where none is near. */
static const char *
nearest(const struct map_field *fields, const char *key)
{
	size_t best = strlen(key) / 3 + 1;
	const char *answer = NULL;

	for (; fields->name != NULL; fields++) {
		size_t distance = bkp_config_distance(key, fields->name);

		if (distance < best || (distance == best && answer == NULL)) {
			best = distance;
			answer = fields->name;
		}
	}
	return answer;
}

static int
fail_unknown(struct map_reader *r, const struct by_fields *by,
    const yaml_node_t *key, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(key);
	const char *meant = nearest(by->fields, text);

	if (meant != NULL)
		return bkp_config_fail(&r->file, key, err,
		    "unknown key '%s'; did you mean '%s'?", text, meant);
	return bkp_config_fail(&r->file, key, err,
	    "unknown key '%s' in %s; backup-export-map(5) lists the keys", text,
	    by->what);
}

static int
read_field(struct map_reader *r, const yaml_node_t *key,
    const yaml_node_t *value, void *arg, struct bkp_error *err)
{
	const char *name = bkp_config_scalar(key);
	struct by_fields *by = arg;

	for (size_t i = 0; by->fields[i].name != NULL; i++) {
		if (strcmp(by->fields[i].name, name) != 0)
			continue;
		if (by->seen[i] != 0)
			return bkp_config_fail(&r->file, key, err,
			    "'%s' is given twice; the first is on line %u",
			    name, by->seen[i]);
		by->seen[i] = bkp_config_line(key);
		return by->fields[i].read(r, name, value,
		    (char *)by->base + by->fields[i].offset, err);
	}
	return fail_unknown(r, by, key, err);
}

int
bkp_map_read_fields(struct map_reader *r, const char *what,
    const struct map_field *fields, const yaml_node_t *node, void *base,
    struct bkp_error *err)
{
	struct by_fields by = {.what = what, .fields = fields, .base = base};

	if (bkp_map_read_pairs(r, what, node, read_field, &by, err) < 0)
		return -1;
	for (size_t i = 0; fields[i].name != NULL; i++)
		if (fields[i].is_required && by.seen[i] == 0)
			return bkp_config_fail(&r->file, node, err,
			    "%s needs '%s'", what, fields[i].name);
	return 0;
}
