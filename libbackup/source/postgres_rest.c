/* SPDX-License-Identifier: Apache-2.0 */
/* What of a server is neither rows nor large objects: roles, schema, facts,
 * sequences. */
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/describe.h"
#include "libbackup/postgres/renamed.h"
#include "libbackup/source/postgres_source.h"

/* Begins an entry whose content is to be written. Takes attrs (may be NULL). */
static int
begin_entry(struct bkp_sink *sink, const char *folder, const char *name,
    const char *kind, json_t *attrs, struct fmt_entry *entry,
    struct bkp_error *err)
{
	char *path = bkp_format(err, "%s/%s", folder, name);
	int rc = -1;

	if (path != NULL && fmt_entry_init(entry, path, kind) != FMT_OK)
		(void)bkp_fail_nomem(err, "making an entry");
	else if (path != NULL)
		rc = 0;
	if (rc == 0) {
		entry->attrs = json_incref(attrs);
		rc = bkp_content_begin(bkp_sink_content(sink, 0), entry, err);
	}
	free(path);
	json_decref(attrs);
	return rc;
}

/* Hands it over, or where that failed drops it. */
static int
end_entry(struct bkp_sink *sink, struct fmt_entry *entry, int rc,
    struct bkp_error *err)
{
	struct bkp_content *content = bkp_sink_content(sink, 0);

	if (rc < 0 || bkp_content_end(content, err) < 0) {
		bkp_content_abort(content);
		fmt_entry_free(entry);
		return -1;
	}
	return bkp_sink_entry(sink, entry, err);
}

static int
write_content(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	return bkp_content_write(arg, data, len, err);
}

/* An entry with all its content. Takes attrs (may be NULL). */
static int
put_entry(struct bkp_sink *sink, const char *folder, const char *name,
    const char *kind, json_t *attrs, const struct fmt_buf *content,
    struct bkp_error *err)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int rc;

	if (begin_entry(sink, folder, name, kind, attrs, &entry, err) < 0) {
		fmt_entry_free(&entry);
		return -1;
	}
	rc = write_content(
	    bkp_sink_content(sink, 0), content->data, content->len, err);
	return end_entry(sink, &entry, rc, err);
}

int
bkp_pg_source_globals(
    struct bkp_pg_source *source, struct bkp_sink *sink, struct bkp_error *err)
{
	struct bkp_run *run = bkp_sink_run(sink);
	const struct fmt_buf *tablespaces = &source->tablespaces;
	json_t *attrs;
	int rc;

	if (!source->has_passwords)
		bkp_run_message(run, BKP_WARNING, source->base.prefix,
		    "this role may not read the passwords of roles: they are "
		    "not in the backup and have to be set after a restore");
	attrs = json_pack("{s:b, s:s#}", "has_role_passwords",
	    source->has_passwords, "tablespaces",
	    tablespaces->len > 0 ? (const char *)tablespaces->data : "",
	    (int)tablespaces->len);
	if (attrs == NULL)
		return bkp_fail_nomem(err, "describing the roles");
	rc = put_entry(sink, source->base.prefix, "globals.sql",
	    "postgres.globals", attrs, &source->globals, err);
	fmt_buf_free(&source->globals); /* a secret no longer than it must be */
	return rc;
}

int
bkp_pg_source_catalogue(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err)
{
	struct bkp_run *run = bkp_sink_run(sink);
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int rc;

	bkp_run_phase(run, 0, 0, "%s: the schema", database->path);
	if (begin_entry(sink, database->path, "catalogue.sql",
		"postgres.catalogue", NULL, &entry, err) < 0) {
		fmt_entry_free(&entry);
		return -1;
	}
	rc = bkp_pg_dump_catalogue(&source->programs, database->archive, run,
	    write_content, bkp_sink_content(sink, 0), err);
	return end_entry(sink, &entry, rc, err);
}

/* The form for people. jansson loses a key where memory is short for one
 * moment, so the text is read again. */
static char *
dump_for_people(const json_t *json)
{
	char *text = json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_t *again = NULL;

	if (text != NULL &&
	    (fmt_json_parse(text, strlen(text), &again) != FMT_OK ||
		!json_equal(json, again))) {
		free(text);
		text = NULL;
	}
	json_decref(again);
	return text;
}

int
bkp_pg_source_facts(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err)
{
	const char *name = bkp_pg_recorded_name(
	    source->config->renamed, database->holder.database);
	struct bkp_pg *pg = &database->holder.pg;
	struct fmt_buf text = FMT_BUF_INIT;
	json_t *json = NULL, *versions = NULL;
	char *dumped = NULL;
	int rc = -1;

	if (bkp_pg_describe_database(pg, &json, err) < 0 ||
	    bkp_pg_describe_versions(pg, &versions, err) < 0)
		goto out;
	dumped = dump_for_people(json);
	if (dumped == NULL || fmt_buf_append_text(&text, dumped) != FMT_OK ||
	    fmt_buf_append_byte(&text, '\n') != FMT_OK ||
	    json_object_set_new(versions, "name", json_string(name)) < 0) {
		(void)bkp_fail_nomem(err, "describing the database");
		goto out;
	}
	rc = put_entry(sink, database->path, "database.json",
	    "postgres.database", json_incref(versions), &text, err);
out:
	free(dumped);
	json_decref(json);
	json_decref(versions);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_pg_source_schema(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err)
{
	json_t *attrs = json_pack("{s:O}", "server_version",
	    json_object_get(source->info, "server_version"));
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int rc;

	if (attrs == NULL)
		return bkp_fail_nomem(err, "describing the schema");
	if (begin_entry(sink, database->path, "schema.dump", "postgres.schema",
		attrs, &entry, err) < 0) {
		fmt_entry_free(&entry);
		return -1;
	}
	rc = bkp_packed_read(
	    database->archive, write_content, bkp_sink_content(sink, 0), err);
	bkp_packed_free(database->archive);
	database->archive = NULL;
	return end_entry(sink, &entry, rc, err);
}

int
bkp_pg_source_sequences(struct bkp_pg_source_database *database,
    struct bkp_sink *sink, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = -1;

	if (bkp_pg_describe_sequences(&database->holder.pg, &text, err) == 0)
		rc = put_entry(sink, database->path, "sequences.sql",
		    "postgres.sequences", NULL, &text, err);
	fmt_buf_free(&text);
	return rc;
}
