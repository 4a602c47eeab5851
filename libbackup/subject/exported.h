/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_EXPORTED_H
#define LIBBACKUP_SUBJECT_EXPORTED_H

/*
 * What goes into the package of an export, part by part, and what was put
 * there, for the parts that tell of the others:
 *
 *	own/public.orders.ndjson   rows, a JSON object a line (.csv on request)
 *	shared/ actor/ lookup/     the same, by how the rows came in
 *	files/...                  objects of buckets; files.ndjson names them
 *	shared-files/...           the same, of shared rows
 *	subject.json               the owned rows, each in the one that it came
 *by index.html, pages/         for people schema.json                JSON
 *Schema of the lines manifest.json              last: what there is, and what
 *there is not
 */

#include <jansson.h>

#include "libbackup/subject/objects.h"
#include "libbackup/subject/package.h"
#include "libbackup/subject/rows.h"

struct bkp_exported_file {
	char *name; /* owned; NULL: there is none */
	uint64_t size;
	char sha256[65];
};

/* A row that subject.json may show. */
struct bkp_exported_row {
	struct bkp_rows_place place, parent; /* as rows.h tells them */
	uint64_t line;                       /* of its file, from 1 */
	size_t at, len; /* its JSON; no len: it is too long to stand there */
};

struct bkp_exported_rows {
	struct bkp_exported_row *rows; /* in the order of their lines */
	size_t count, cap;
	struct fmt_buf texts;
};

/* The rows of a table that came in in one way. */
struct bkp_exported_table {
	size_t table; /* of the model */
	enum bkp_decided decided;
	uint64_t rows;
	struct bkp_rows_column *columns; /* owned */
	size_t column_count;
	struct bkp_exported_file json, csv;
	struct fmt_buf first; /* HTML of the rows that index.html shows */
	struct bkp_exported_rows kept; /* until subject.json is written */
};

/* An object of a bucket that was put under files/ or shared-files/. */
struct bkp_exported_object {
	char *name;  /* owned: "files/uploads/a.png" */
	char *title; /* owned: what the person calls it */
	char *type;  /* owned: content type, or NULL */
	size_t table;
	uint64_t size;
	bool is_shared; /* other people's, too */
};

struct bkp_export {
	/* borrowed */
	struct bkp_walk *walk;
	const struct bkp_map *map;
	struct bkp_run *run;
	struct bkp_package *package;
	const char *const *key; /* of the subject */
	size_t key_count;

	enum bkp_profile profile;
	bool has_csv, has_files;
	unsigned char secret[32]; /* of pseudonyms */

	/* The moment that all of it is of; borrowed. */
	const char *time;     /* RFC 3339, UTC */
	const char *lsn;      /* of the server that it is from */
	const char *snapshot; /* name; NULL: from that server itself */

	struct bkp_exported_table *tables; /* by decision, then by name */
	size_t table_count, table_cap;
	struct bkp_exported_file objects; /* files.ndjson */
	uint64_t object_count, object_bytes;
	struct bkp_exported_object *shown; /* the first of them, for people */
	size_t shown_count, shown_cap;
	struct bkp_rows_place root; /* of the subject's own row */
	size_t kept_bytes;          /* of all tables */
	struct bkp_exported_file core;
	struct bkp_exported_file *pages;
	size_t page_count, page_cap;
	struct bkp_exported_file schema, index;
};

#define BKP_EXPORT_INIT                                                        \
	{                                                                      \
		.walk = NULL                                                   \
	}

void bkp_export_fini(struct bkp_export *export);

/* The steps, in this order; each appends to the package. */
int bkp_export_tables(struct bkp_export *export, struct bkp_error *err);
int bkp_export_core(struct bkp_export *export, struct bkp_error *err);
int bkp_export_files(struct bkp_export *export, struct bkp_objects *objects,
    struct bkp_error *err);
int bkp_export_pages(struct bkp_export *export, struct bkp_error *err);
int bkp_export_schema(struct bkp_export *export, struct bkp_error *err);
int bkp_export_manifest(struct bkp_export *export, struct bkp_error *err);

/* ---- for the steps ---- */

/* A member of bytes at hand. */
int bkp_export_put(struct bkp_export *export, const char *name,
    const struct fmt_buf *content, struct bkp_exported_file *out,
    struct bkp_error *err);

/* The same of a member that is open: ends it and keeps what it was. */
int bkp_export_end(struct bkp_export *export, const char *name,
    struct bkp_exported_file *out, struct bkp_error *err);

/* A member of JSON that people read, too; takes the reference, which is NULL
 * where there was no memory to make it. */
int bkp_export_put_json(struct bkp_export *export, const char *name,
    json_t *value, struct bkp_exported_file *out, struct bkp_error *err);

/* Appends one value of a row as JSON. */
int bkp_export_value(const struct bkp_export *export,
    const struct bkp_exported_table *table, size_t column,
    const struct bkp_rows_value *value, struct fmt_buf *out,
    struct bkp_error *err);

/* Finds where the subject's own row stands. */
int bkp_export_find_root(struct bkp_export *export, struct bkp_error *err);

/* Keeps a line for subject.json, as far as there is room; `text` is the line
 * of the present row. */
int bkp_export_keep(struct bkp_export *export, struct bkp_exported_table *table,
    const struct bkp_rows *rows, uint64_t line, const void *text, size_t len,
    struct bkp_error *err);
void bkp_export_keep_no_more(struct bkp_exported_table *table);

/* JSON Schema of a row, and of subject.json; NULL: no memory. */
json_t *bkp_export_row_schema(
    const struct bkp_export *export, const struct bkp_exported_table *table);
json_t *bkp_export_core_schema(const struct bkp_export *export);

/* Adds those of the manifest and of files.ndjson; -1: no memory. */
int bkp_export_describe(json_t *files);

/* Of portability nothing is left of a table that is derived. */
bool bkp_export_is_wanted(const struct bkp_export *export, size_t table);

/* The model's table, and what the map says of it (NULL: nothing). */
const struct bkp_model_table *bkp_export_model(
    const struct bkp_export *export, const struct bkp_exported_table *table);
const struct bkp_map_table *bkp_export_map(
    const struct bkp_export *export, const struct bkp_exported_table *table);

#endif
