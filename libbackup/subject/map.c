/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/map.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/config_fields.h"
#include "libbackup/base/fail.h"
#include "libbackup/subject/map_own.h"

#define FILE_MAX ((size_t)16 * 1024 * 1024)
#define STRINGS_MAX ((size_t)2 * 1000 * 1000)

/* ---- reading ---- */

static int
read_version(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(value);

	(void)name;
	(void)slot;
	if (text != NULL && strcmp(text, "1") == 0)
		return 0;
	return bkp_config_fail(&r->file, value, err,
	    "a map of version %s; this program reads version 1",
	    text != NULL ? text : "?");
}

static const struct map_field subject_fields[] = {
    {"table", bkp_map_read_table, offsetof(struct bkp_map, table), true},
    {"key", bkp_map_read_list, offsetof(struct bkp_map, key), true},
    {"label", bkp_map_read_text, offsetof(struct bkp_map, label), false},
    {NULL, NULL, 0, false}};

static int
read_subject(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	(void)name;
	(void)slot;
	return bkp_map_read_fields(
	    r, "'subject'", subject_fields, value, r->map, err);
}

static const struct map_field map_fields[] = {
    {"version", read_version, 0, true}, {"subject", read_subject, 0, true},
    {"edges", bkp_map_read_edges, 0, false},
    {"references", bkp_map_read_references, 0, false},
    {"files", bkp_map_read_files, 0, false},
    {"tables", bkp_map_read_tables, 0, false}, {NULL, NULL, 0, false}};

static int
read_map(struct map_reader *r, struct bkp_error *err)
{
	const yaml_node_t *root =
	    yaml_document_get_root_node(&r->file.document);

	if (root == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "%s is empty; 'backup-export plan' proposes a map",
		    r->file.path);
	if (bkp_map_read_fields(r, "a map", map_fields, root, r->map, err) <
		0 ||
	    bkp_map_settle_edges(r, err) < 0)
		return -1;
	return bkp_map_settle_tables(r, err);
}

static int
hash(const void *data, size_t len, char text[65], struct bkp_error *err)
{
	unsigned char digest[32];

	if (EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return bkp_fail(err, BKP_IO, "hashing a map: OpenSSL failed");
	for (size_t i = 0; i < sizeof(digest); i++)
		(void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

int
bkp_map_parse(const char *name, const void *data, size_t len,
    struct bkp_map *out, struct bkp_error *err)
{
	struct bkp_map map = BKP_MAP_INIT;
	struct map_reader r = {.map = &map, .budget = STRINGS_MAX};
	int rc = -1;

	if ((map.path = bkp_strdup(name, err)) == NULL ||
	    (r.file.path = bkp_strdup(name, err)) == NULL ||
	    hash(data, len, map.sha256, err) < 0 ||
	    bkp_config_file_parse(&r.file, data, len, err) < 0 ||
	    read_map(&r, err) < 0)
		goto out;
	*out = map;
	map = (struct bkp_map)BKP_MAP_INIT;
	rc = 0;
out:
	bkp_config_file_close(&r.file);
	bkp_map_free(&map);
	return rc;
}

static int
read_file(int fd, struct fmt_buf *out, struct bkp_error *err)
{
	ssize_t n;

	do {
		if (fmt_buf_reserve(out, 65536) != FMT_OK)
			return bkp_fail_nomem(err, "reading a map");
		n = read(fd, out->data + out->len, 65536);
		if (n < 0 && errno != EINTR)
			return bkp_fail_errno(err, errno, "reading");
		if (n > 0)
			out->len += (size_t)n;
		if (out->len > FILE_MAX)
			return bkp_fail(err, BKP_INVALID, "larger than 16 MiB");
	} while (n != 0);
	return 0;
}

int
bkp_map_text(const char *path, struct fmt_buf *out, struct bkp_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return bkp_fail_errno(err, errno, "opening the map %s", path);
	if ((rc = read_file(fd, out, err)) < 0)
		(void)bkp_fail_in(err, "the map %s", path);
	(void)close(fd);
	return rc;
}

int
bkp_map_load(const char *path, struct bkp_map *out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = bkp_map_text(path, &text, err);

	if (rc == 0)
		rc = bkp_map_parse(path, text.data, text.len, out, err);
	fmt_buf_free(&text);
	return rc;
}

/* ---- freeing ---- */

static void
free_edge(struct bkp_map_edge *edge)
{
	free(edge->id);
	free(edge->reason);
	bkp_strings_free(&edge->columns);
	free(edge->child);
	free(edge->parent);
	bkp_strings_free(&edge->child_values);
	bkp_strings_free(&edge->parent_columns);
	free(edge->when);
}

static void
free_column(struct bkp_map_column *column)
{
	for (size_t i = 0; i < column->value_count; i++) {
		free(column->values[i].value);
		free(column->values[i].label);
	}
	free(column->values);
	free(column->name);
	free(column->label);
	free(column->reason);
	free(column->realm);
}

static void
free_table(struct bkp_map_table *table)
{
	for (size_t i = 0; i < table->column_count; i++)
		free_column(&table->columns[i]);
	free(table->columns);
	free(table->id);
	free(table->label);
	free(table->purpose);
	free(table->retention);
	free(table->skip);
}

static void
free_file(struct bkp_map_file *file)
{
	free(file->table);
	free(file->bucket);
	free(file->key);
	free(file->prefix);
	free(file->name);
	free(file->when);
}

void
bkp_map_free(struct bkp_map *map)
{
	for (size_t i = 0; i < map->edge_count; i++)
		free_edge(&map->edges[i]);
	for (size_t i = 0; i < map->table_count; i++)
		free_table(&map->tables[i]);
	for (size_t i = 0; i < map->file_count; i++)
		free_file(&map->files[i]);
	free(map->edges);
	free(map->tables);
	free(map->files);
	free(map->path);
	free(map->table);
	bkp_strings_free(&map->key);
	free(map->label);
	*map = (struct bkp_map)BKP_MAP_INIT;
}

/* ---- looking up ---- */

static int
compare_edge(const void *id, const void *edge)
{
	return strcmp(id, ((const struct bkp_map_edge *)edge)->id);
}

static int
compare_table(const void *id, const void *table)
{
	return strcmp(id, ((const struct bkp_map_table *)table)->id);
}

static int
compare_column(const void *name, const void *column)
{
	return strcmp(name, ((const struct bkp_map_column *)column)->name);
}

const struct bkp_map_edge *
bkp_map_edge(const struct bkp_map *map, const char *id)
{
	if (map->edge_count == 0)
		return NULL;
	return bsearch(
	    id, map->edges, map->edge_count, sizeof(*map->edges), compare_edge);
}

const struct bkp_map_table *
bkp_map_table(const struct bkp_map *map, const char *id)
{
	if (map->table_count == 0)
		return NULL;
	return bsearch(id, map->tables, map->table_count, sizeof(*map->tables),
	    compare_table);
}

const struct bkp_map_column *
bkp_map_column(const struct bkp_map_table *table, const char *name)
{
	if (table == NULL || table->column_count == 0)
		return NULL;
	return bsearch(name, table->columns, table->column_count,
	    sizeof(*table->columns), compare_column);
}

const char *
bkp_decided_name(enum bkp_decided decided)
{
	static const char *const names[] = {
	    "undecided", "own", "shared", "actor", "lookup", "skip"};

	return names[decided];
}
