/* SPDX-License-Identifier: Apache-2.0 */
/* `references`: columns that hold keys of objects. */
#include "libbackup/base/config_references.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_reader.h"
#include "libbackup/base/fail.h"

/* ---- a list of maps ---- */

int
bkp_config_read_items(struct config_file *file, struct bkp_config *config,
    const struct config_list *list, const yaml_node_t *node, void *items,
    size_t *count, struct bkp_error *err)
{
	const yaml_node_item_t *item;
	unsigned char *array;
	size_t most;

	/* A list that nobody has filled in yet. */
	if (node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0)
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return bkp_config_fail(file, node, err,
		    "'%s' needs a list: lines that begin with '- '",
		    list->name);
	item = node->data.sequence.items.start;
	most = (size_t)(node->data.sequence.items.top - item);
	if ((array = bkp_alloc_array(most, list->size, err)) == NULL)
		return -1;
	memcpy(items, &array, sizeof(array));
	for (; most > 0; most--, item++) {
		const yaml_node_t *map =
		    yaml_document_get_node(&file->document, *item);
		void *slot = array + *count * list->size;
		struct bkp_error problem = BKP_ERROR_INIT;

		++*count;
		if (bkp_config_read_map(file, config, list->what, list->fields,
			slot, map, &problem) == 0 &&
		    list->complete(
			file, slot, bkp_config_line(map), &problem) == 0)
			continue;
		if (!config_forgives(file, &problem)) {
			if (err != NULL)
				*err = problem;
			return -1;
		}
		bkp_config_fields_free(list->fields, slot);
		memset(slot, 0, list->size);
		--*count;
	}
	return 0;
}

/* ---- names as paths have them ---- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *
bkp_config_decode_name(const struct config_file *file, unsigned line,
    const char *what, const char *text, size_t len, struct bkp_error *err)
{
	char *name = bkp_alloc(len + 1, err), *to = name;

	if (name == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		int high = -1, low = -1;

		if (text[i] != '=') {
			*to++ = text[i];
			continue;
		}
		if (i + 2 < len) {
			high = hex_digit(text[i + 1]);
			low = hex_digit(text[i + 2]);
		}
		if (high < 0 || low < 0 || high + low == 0)
			goto bad;
		*to++ = (char)(high * 16 + low);
		i += 2;
	}
	if (to > name)
		return name;
bad:
	free(name);
	(void)bkp_fail(err, BKP_INVALID,
	    "%s:%u: '%s': '%.*s' is no name as the paths of a snapshot have "
	    "it ('=' and two digits stand for what cannot be in one, as '=2E' "
	    "for a dot in a table's name)",
	    file->path, line, what, (int)len, text);
	return NULL;
}

int
bkp_config_read_database(const struct config_file *file, unsigned line,
    const char *what, const char *text, struct config_database *out,
    struct bkp_error *err)
{
	const char *name = strchr(text, '/'), *database = NULL, *end;

	if (name != NULL)
		database = strchr(name + 1, '/');
	if (strncmp(text, "postgres/", strlen("postgres/")) != 0 ||
	    database == NULL || database == name + 1)
		return bkp_fail(err, BKP_INVALID,
		    "%s:%u: '%s' begins with a source and a database, as in "
		    "postgres/app/shop, not '%s'",
		    file->path, line, what, text);
	end = strchrnul(database + 1, '/');
	out->rest = *end == '/' ? end + 1 : NULL;
	out->source = strndup(text, (size_t)(database - text));
	out->path = strndup(text, (size_t)(end - text));
	if (out->source == NULL || out->path == NULL)
		return bkp_fail_nomem(err, "reading the configuration");
	out->name = bkp_config_decode_name(
	    file, line, what, database + 1, (size_t)(end - database - 1), err);
	return out->name != NULL ? 0 : -1;
}

static const struct bkp_source_config *
find_source(const struct bkp_config *config, const char *prefix)
{
	for (size_t i = 0; i < config->source_count; i++)
		if (strcmp(config->sources[i].prefix, prefix) == 0)
			return &config->sources[i];
	return NULL;
}

int
bkp_config_check_database(const struct config_file *file,
    const struct bkp_config *config, unsigned line, const char *what,
    const char *source, const char *database, struct bkp_error *err)
{
	const struct bkp_source_config *found = find_source(config, source);
	const struct bkp_strings *names;

	if (config->source_count == 0)
		return 0;
	if (found == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "%s:%u: '%s' names the source %s, which is not there",
		    file->path, line, what, source);
	if (database == NULL || found->postgres.databases.count == 0)
		return 0;
	names = &found->postgres.databases;
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], database) == 0)
			return 0;
	return bkp_fail(err, BKP_INVALID,
	    "%s:%u: '%s' names the database %s, which is none of those of %s",
	    file->path, line, what, database, source);
}

/* ---- references ---- */

#define IN(member) offsetof(struct bkp_reference_config, member)

const struct config_field bkp_config_reference_fields[] = {
    {"column", FIELD_TEXT, IN(column), false},
    {"table", FIELD_TEXT, IN(table), false},
    {"bucket", FIELD_TEXT, IN(bucket), true},
    {"key", FIELD_TEXT, IN(key), false},
    {"where", FIELD_TEXT, IN(where), false},
    {"missing", FIELD_NUMBER, IN(missing), false},
    {NULL, FIELD_TEXT, 0, false}};

/* "public.documents.file_key": the parts between the dots. */
static int
read_names(const struct config_file *file, struct bkp_reference_config *it,
    const char *text, struct bkp_error *err)
{
	const char *what = it->column != NULL ? "column" : "table";
	char **const slots[] = {
	    &it->schema, &it->relation, &it->attribute, NULL};
	size_t wanted = it->column != NULL ? 3 : 2, count = 0;
	const char *end;

	for (; text != NULL && count < wanted; count++) {
		end = strchrnul(text, '.');
		*slots[count] = bkp_config_decode_name(
		    file, it->line, what, text, (size_t)(end - text), err);
		if (*slots[count] == NULL)
			return -1;
		text = *end == '.' ? end + 1 : NULL;
	}
	if (count == wanted && text == NULL)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "%s:%u: '%s' is postgres/SOURCE/DATABASE/SCHEMA.TABLE%s",
	    file->path, it->line, what,
	    it->column != NULL ? ".COLUMN" : ", without a column");
}

static int
complete_reference(const struct config_file *file, void *item, unsigned line,
    struct bkp_error *err)
{
	struct bkp_reference_config *it = item;
	struct config_database database = {.source = NULL};
	const char *text = it->column != NULL ? it->column : it->table;
	int rc;

	it->line = line;
	if ((it->column != NULL) == (it->table != NULL))
		return bkp_fail(err, BKP_INVALID,
		    "%s:%u: a reference needs one of 'column' and 'table'",
		    file->path, line);
	if (it->table != NULL && it->key == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "%s:%u: a reference of a 'table' needs 'key', the "
		    "expression that makes the key of an object",
		    file->path, line);
	rc = bkp_config_read_database(file, line,
	    it->column != NULL ? "column" : "table", text, &database, err);
	it->source = database.source;
	it->path = database.path;
	it->database = database.name;
	return rc == 0 ? read_names(file, it, database.rest, err) : -1;
}

int
bkp_config_read_references(struct config_file *file, struct bkp_config *config,
    const yaml_node_t *node, struct bkp_error *err)
{
	static const struct config_list list = {.name = "references",
	    .what = "a reference",
	    .fields = bkp_config_reference_fields,
	    .size = sizeof(struct bkp_reference_config),
	    .complete = complete_reference};

	return bkp_config_read_items(file, config, &list, node,
	    &config->references, &config->reference_count, err);
}

int
bkp_config_check_references(const struct config_file *file,
    const struct bkp_config *config, struct bkp_error *err)
{
	for (size_t i = 0; i < config->reference_count; i++) {
		const struct bkp_reference_config *it = &config->references[i];
		const struct bkp_source_config *bucket =
		    find_source(config, it->bucket);

		if (bkp_config_check_database(file, config, it->line,
			it->column != NULL ? "column" : "table", it->source,
			it->database, err) < 0)
			return -1;
		if (config->source_count > 0 &&
		    (bucket == NULL || bucket->kind != BKP_KIND_BUCKET))
			return bkp_fail(err, BKP_INVALID,
			    "%s:%u: 'bucket' needs a source of kind bucket, as "
			    "in bucket/uploads; there is no '%s'",
			    file->path, it->line, it->bucket);
	}
	return 0;
}

void
bkp_config_references_free(struct bkp_config *config)
{
	for (size_t i = 0; i < config->reference_count; i++) {
		struct bkp_reference_config *it = &config->references[i];

		bkp_config_fields_free(bkp_config_reference_fields, it);
		free(it->source);
		free(it->path);
		free(it->database);
		free(it->schema);
		free(it->relation);
		free(it->attribute);
	}
	free(config->references);
	config->references = NULL;
	config->reference_count = 0;
}
