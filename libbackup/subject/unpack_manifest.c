/* SPDX-License-Identifier: Apache-2.0 */
/* What the manifest of an export says, and whether all of it is so. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/unpack_own.h"

static int
malformed(const char *what, struct bkp_error *err)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "%s is not written as that of an export; nothing of this is used",
	    what);
}

/* ---- members ---- */

static int
compare_member(struct bkp_unpack *unpack, const char *name, json_int_t bytes,
    const char *sha256, struct bkp_error *err)
{
	struct bkp_unpack_member *member = bkp_unpack_find(unpack, name);

	if (member == NULL)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s is missing, which the manifest names; get the export "
		    "again",
		    name);
	if (bytes < 0 || (uint64_t)bytes != member->size ||
	    strcmp(sha256, member->sha256) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s is not what was exported: it has %llu bytes and "
		    "SHA-256 %.16s..., and the manifest says %lld and "
		    "%.16s...; get the export again",
		    name, (unsigned long long)member->size, member->sha256,
		    (long long)bytes, sha256);
	member->is_told = true;
	return 0;
}

/* {"name", "bytes", "sha256"}, or null. */
static int
compare_file(struct bkp_unpack *unpack, json_t *file, const char **name,
    struct bkp_error *err)
{
	const char *its_name, *sha256;
	json_int_t bytes;

	if (file == NULL || json_is_null(file))
		return 0;
	if (json_unpack(file, "{s:s, s:I, s:s}", "name", &its_name, "bytes",
		&bytes, "sha256", &sha256) < 0)
		return malformed("manifest.json", err);
	if (name != NULL)
		*name = its_name;
	return compare_member(unpack, its_name, bytes, sha256, err);
}

/* ---- tables ---- */

static int
read_columns(struct bkp_unpack_table *table, const json_t *columns,
    struct bkp_error *err)
{
	size_t count = json_array_size(columns);

	table->columns =
	    bkp_alloc_array(count + 1, sizeof(*table->columns), err);
	if (table->columns == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		json_t *one = json_array_get(columns, i);
		struct bkp_unpack_column *column = &table->columns[i];

		if (json_unpack(one, "{s:s, s:s}", "name", &column->name,
			"type", &column->type) < 0)
			return malformed("manifest.json", err);
		column->is_replaced =
		    json_is_string(json_object_get(one, "replaced"));
		column->names_others =
		    json_is_true(json_object_get(one, "names_others"));
	}
	table->column_count = count;
	return 0;
}

static int
read_decision(
    const char *text, enum bkp_decided *decided, struct bkp_error *err)
{
	static const enum bkp_decided all[] = {
	    BKP_OWN, BKP_SHARED, BKP_ACTOR, BKP_LOOKUP};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strcmp(text, bkp_decided_name(all[i])) == 0) {
			*decided = all[i];
			return 0;
		}
	return malformed("manifest.json", err);
}

static int
read_table(struct bkp_unpack *unpack, json_t *value,
    struct bkp_unpack_table *table, struct bkp_error *err)
{
	const char *decision;
	json_int_t rows;
	json_t *columns;

	if (json_unpack(value, "{s:s, s:s, s:I, s:o}", "table", &table->id,
		"decision", &decision, "rows", &rows, "columns",
		&columns) < 0 ||
	    rows < 0 || !json_is_array(columns))
		return malformed("manifest.json", err);
	table->rows = (uint64_t)rows;
	if (read_decision(decision, &table->decided, err) < 0 ||
	    read_columns(table, columns, err) < 0 ||
	    compare_file(unpack, json_object_get(value, "file"), &table->name,
		err) < 0 ||
	    compare_file(unpack, json_object_get(value, "csv"), NULL, err) < 0)
		return -1;
	if (table->name == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "the export has no rows of %s as JSON", table->id);
	return 0;
}

static int
read_tables(struct bkp_unpack *unpack, struct bkp_error *err)
{
	const json_t *tables = json_object_get(unpack->manifest, "tables");
	size_t count = json_array_size(tables);

	if (!json_is_array(tables))
		return malformed("manifest.json", err);
	unpack->tables =
	    bkp_alloc_array(count + 1, sizeof(*unpack->tables), err);
	if (unpack->tables == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		unpack->table_count = i + 1;
		if (read_table(unpack, json_array_get(tables, i),
			&unpack->tables[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- references ---- */

static const char **
read_texts(const json_t *list, struct bkp_error *err)
{
	size_t count = json_array_size(list);
	const char **texts = bkp_alloc_array(count + 1, sizeof(*texts), err);

	for (size_t i = 0; texts != NULL && i < count; i++) {
		texts[i] = json_string_value(json_array_get(list, i));
		if (texts[i] == NULL) {
			(void)malformed("manifest.json", err);
			free(texts);
			return NULL;
		}
	}
	return texts;
}

static int
read_reference(
    json_t *value, struct bkp_unpack_reference *out, struct bkp_error *err)
{
	json_t *columns, *to_columns, *when;
	int is_array;

	if (json_unpack(value, "{s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "edge",
		&out->id, "from", &out->from, "to", &out->to, "columns",
		&columns, "to_columns", &to_columns, "when", &when, "array",
		&is_array) < 0 ||
	    json_array_size(columns) != json_array_size(to_columns) ||
	    json_array_size(columns) == 0 ||
	    (!json_is_null(when) && !json_is_string(when)))
		return malformed("manifest.json", err);
	out->when = json_string_value(when);
	out->is_array = is_array != 0;
	out->count = json_array_size(columns);
	out->columns = read_texts(columns, err);
	if (out->columns != NULL)
		out->to_columns = read_texts(to_columns, err);
	return out->to_columns != NULL ? 0 : -1;
}

/* Earlier manifests have none. */
static int
read_references(struct bkp_unpack *unpack, struct bkp_error *err)
{
	const json_t *all = json_object_get(unpack->manifest, "references");
	size_t count = json_array_size(all);

	if (all != NULL && !json_is_array(all))
		return malformed("manifest.json", err);
	unpack->references =
	    bkp_alloc_array(count + 1, sizeof(*unpack->references), err);
	if (unpack->references == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		unpack->reference_count = i + 1;
		if (read_reference(json_array_get(all, i),
			&unpack->references[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- files ---- */

static int
compare_objects(const void *a, const void *b)
{
	const struct bkp_unpack_file *one = a, *two = b;

	return strcmp(one->name, two->name);
}

const struct bkp_unpack_file *
bkp_unpack_object(const struct bkp_unpack *unpack, const char *name)
{
	size_t low = 0, high = unpack->object_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(unpack->objects[middle].name, name);

		if (order == 0)
			return &unpack->objects[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int
add_object(struct bkp_unpack *unpack, json_t *line, struct bkp_error *err)
{
	const char *name, *bucket, *key, *sha256, *type;
	struct bkp_unpack_file *object;
	json_int_t bytes;

	if (json_unpack(line, "{s:s, s:s, s:s, s:I, s:s}", "file", &name,
		"bucket", &bucket, "key", &key, "bytes", &bytes, "sha256",
		&sha256) < 0)
		return malformed("files.ndjson", err);
	if (compare_member(unpack, name, bytes, sha256, err) < 0)
		return -1;
	if (strncmp(name, "shared-files/", 13) == 0 && !unpack->has_shared)
		return 0; /* nor are the rows wanted that name it */
	if (bkp_grow(&unpack->objects, unpack->object_count,
		&unpack->object_cap, sizeof(*unpack->objects), err) < 0)
		return -1;
	object = &unpack->objects[unpack->object_count++];
	*object = (struct bkp_unpack_file){.name = bkp_strdup(name, err)};
	if (object->name == NULL ||
	    (object->bucket = bkp_strdup(bucket, err)) == NULL ||
	    (object->key = bkp_strdup(key, err)) == NULL)
		return -1;
	type = json_string_value(json_object_get(line, "content_type"));
	if (type != NULL && (object->type = bkp_strdup(type, err)) == NULL)
		return -1;
	return 0;
}

static int
read_objects(struct bkp_unpack *unpack, struct bkp_error *err)
{
	const char *at = (const char *)unpack->files_text.data, *end = at;

	if (unpack->files_text.len > 0)
		end += unpack->files_text.len;
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		json_t *line;
		int rc;

		if (line_end == NULL)
			return malformed("files.ndjson", err);
		line = json_loadb(
		    at, (size_t)(line_end - at), JSON_REJECT_DUPLICATES, NULL);
		rc = line == NULL ? malformed("files.ndjson", err)
				  : add_object(unpack, line, err);
		json_decref(line);
		if (rc < 0)
			return -1;
		at = line_end + 1;
	}
	if (unpack->object_count > 0)
		qsort(unpack->objects, unpack->object_count,
		    sizeof(*unpack->objects), compare_objects);
	return 0;
}

/* ---- all of it ---- */

static int
read_manifest(struct bkp_unpack *unpack, struct bkp_error *err)
{
	const char *format;
	int version;

	if (bkp_unpack_find(unpack, "manifest.json") == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "there is no manifest.json in it, so it is no export, or "
		    "it is cut");
	unpack->manifest = json_loadb((const char *)unpack->manifest_text.data,
	    unpack->manifest_text.len, JSON_REJECT_DUPLICATES, NULL);
	if (unpack->manifest == NULL ||
	    json_unpack(unpack->manifest, "{s:s, s:i}", "format", &format,
		"version", &version) < 0 ||
	    strcmp(format, "libbackup-export") != 0)
		return malformed("manifest.json", err);
	if (version != 1)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "it is an export of version %d, and this reads version 1; "
		    "use the version that wrote it, or a later one",
		    version);
	return 0;
}

/* The manifest cannot tell of itself; nor did earlier ones of the pages for
 * people, which nothing is taken from. */
static int
refuse_untold(const struct bkp_unpack *unpack, struct bkp_error *err)
{
	bool has_pages = json_object_get(unpack->manifest, "pages") != NULL;

	for (size_t i = 0; i < unpack->count; i++) {
		const struct bkp_unpack_member *member = &unpack->members[i];

		if (!member->is_told &&
		    strcmp(member->name, "manifest.json") != 0 &&
		    (has_pages || strncmp(member->name, "pages/", 6) != 0))
			return bkp_fail(err, BKP_CORRUPT,
			    "%s is in it, and the manifest does not name it; "
			    "nothing of this is used",
			    member->name);
	}
	return 0;
}

static int
compare_pages(struct bkp_unpack *unpack, struct bkp_error *err)
{
	const json_t *pages = json_object_get(unpack->manifest, "pages");

	for (size_t i = 0; i < json_array_size(pages); i++)
		if (compare_file(unpack, json_array_get(pages, i), NULL, err) <
		    0)
			return -1;
	return 0;
}

int
bkp_unpack_prove(struct bkp_unpack *unpack, struct bkp_error *err)
{
	const char *const parts[] = {"core", "schema", "index"};
	const json_t *objects;

	if (read_manifest(unpack, err) < 0 || read_tables(unpack, err) < 0 ||
	    read_references(unpack, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (compare_file(unpack,
			json_object_get(unpack->manifest, parts[i]), NULL,
			err) < 0)
			return -1;
	objects = json_object_get(unpack->manifest, "objects");
	if (compare_file(unpack, json_object_get(objects, "list"), NULL, err) <
		0 ||
	    read_objects(unpack, err) < 0)
		return -1;
	if (compare_pages(unpack, err) < 0)
		return -1;
	return refuse_untold(unpack, err);
}
