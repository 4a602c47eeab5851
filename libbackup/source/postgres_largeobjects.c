/* SPDX-License-Identifier: Apache-2.0 */
/* Large objects as entries. The list comes through a cursor of the holder, a
 * few hundred at a time, for there may be millions. */
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/postgres/largeobject.h"
#include "libbackup/source/postgres_source.h"

struct object {
	char *oid; /* owned */
	struct fmt_entry entry;
};

struct objects {
	struct bkp_pg_source *source;
	struct bkp_pg_source_database *database;
	struct bkp_sink *sink;
	struct bkp_run *run;
	struct bkp_pg *workers; /* sessions, opened when first used */
	PGresult *batch;        /* of the cursor */
	int at;                 /* in the batch */
};

static const char declare_sql[] =
    "DECLARE largeobjects NO SCROLL CURSOR FOR "
    "SELECT m.oid::text COLLATE \"C\" AS id, json_build_object("
    "'owner', pg_get_userbyid(m.lomowner),"
    "'comment', obj_description(m.oid, 'pg_largeobject'),"
    "'acl', CASE WHEN m.lomacl IS NOT NULL THEN COALESCE((SELECT"
    " json_agg(json_build_object('grantee', x.grantee,"
    "  'privilege', x.privilege_type, 'grantable', x.is_grantable)"
    "  ORDER BY x.place)"
    " FROM (SELECT CASE a.grantee WHEN 0 THEN ''"
    "   ELSE pg_get_userbyid(a.grantee)::text END AS grantee,"
    "   a.privilege_type, a.is_grantable, min(a.place) AS place"
    "  FROM aclexplode(m.lomacl) WITH ORDINALITY"
    "   AS a(grantor, grantee, privilege_type, is_grantable, place)"
    "  GROUP BY 1, 2, 3) x), '[]') END) "
    "FROM pg_largeobject_metadata m ORDER BY 1";

static int
fetch(struct objects *objects, struct bkp_error *err)
{
	PQclear(objects->batch);
	objects->batch = NULL;
	objects->at = 0;
	return bkp_pg_query(&objects->database->holder.pg,
	    "FETCH 500 FROM largeobjects", 0, NULL, &objects->batch, err);
}

static void
discard_object(void *arg, void *item)
{
	struct object *object = item;

	(void)arg;
	free(object->oid);
	fmt_entry_free(&object->entry);
	free(object);
}

static struct object *
new_object(struct objects *objects, const char *oid, const char *attrs,
    struct bkp_error *err)
{
	struct object *object = bkp_alloc(sizeof(*object), err);
	char *path = NULL;

	if (object == NULL)
		return NULL;
	object->entry = (struct fmt_entry)FMT_ENTRY_INIT;
	path =
	    bkp_format(err, "%s/largeobjects/%s", objects->database->path, oid);
	if (path == NULL || (object->oid = bkp_strdup(oid, err)) == NULL)
		goto fail;
	if (fmt_entry_init(&object->entry, path, "postgres.largeobject") !=
		FMT_OK ||
	    fmt_json_parse(attrs, strlen(attrs), &object->entry.attrs) !=
		FMT_OK) {
		(void)bkp_fail(err, BKP_UNSUPPORTED,
		    "large object %s cannot be described: a name or comment "
		    "is not UTF-8, or memory is short",
		    oid);
		goto fail;
	}
	free(path);
	return object;
fail:
	free(path);
	discard_object(NULL, object);
	return NULL;
}

static int
next_object(void *arg, void **item, struct bkp_error *err)
{
	struct objects *objects = arg;

	*item = NULL;
	if (objects->at == PQntuples(objects->batch) && fetch(objects, err) < 0)
		return -1;
	if (PQntuples(objects->batch) == 0)
		return 0;
	*item = new_object(objects, PQgetvalue(objects->batch, objects->at, 0),
	    PQgetvalue(objects->batch, objects->at, 1), err);
	objects->at++;
	return *item != NULL ? 0 : -1;
}

static int
take_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	return bkp_content_write(arg, data, len, err);
}

static int
work_object(void *arg, unsigned number, void *item, struct bkp_error *err)
{
	struct objects *objects = arg;
	struct object *object = item;
	struct bkp_pg *pg = &objects->workers[number];
	const struct bkp_pg_holder *holder = &objects->database->holder;
	struct bkp_content *content = bkp_sink_content(objects->sink, number);

	if (pg->conn == NULL &&
	    bkp_pg_import(pg, objects->source->config, holder->database,
		holder->snapshot, objects->run, err) < 0)
		return -1;
	if (bkp_content_begin(content, &object->entry, err) < 0)
		return -1;
	if (bkp_pg_lo_read(pg, object->oid, take_bytes, content, err) < 0 ||
	    bkp_content_end(content, err) < 0) {
		bkp_content_abort(content);
		return -1;
	}
	bkp_run_count(objects->run, object->entry.size, 1);
	return 0;
}

static int
done_object(void *arg, void *item, struct bkp_error *err)
{
	struct objects *objects = arg;
	struct object *object = item;
	int rc = bkp_sink_entry(objects->sink, &object->entry, err);

	discard_object(arg, item);
	return rc;
}

static void
tick(void *arg)
{
	bkp_run_tick(((struct objects *)arg)->run);
}

static const struct bkp_pipeline_ops ops = {.next = next_object,
    .work = work_object,
    .done = done_object,
    .discard = discard_object,
    .tick = tick};

int
bkp_pg_source_largeobjects(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err)
{
	struct objects objects = {.source = source,
	    .database = database,
	    .sink = sink,
	    .run = bkp_sink_run(sink)};
	unsigned workers = bkp_run_workers(objects.run);
	int rc = -1;

	objects.workers =
	    bkp_alloc_array(workers, sizeof(*objects.workers), err);
	if (objects.workers == NULL)
		return -1;
	if (bkp_pg_do(&database->holder.pg, declare_sql, err) < 0 ||
	    fetch(&objects, err) < 0)
		goto out;
	rc = 0;
	if (PQntuples(objects.batch) == 0)
		goto out;
	bkp_run_phase(objects.run, 0, 0, "%s: large objects", database->path);
	database->holder.pg.is_ticking = true;
	rc = bkp_pipeline_run(workers, workers * 4, &ops, &objects,
	    bkp_run_cancel(objects.run), err);
	if (rc == 0)
		rc = bkp_pg_do(&database->holder.pg, "CLOSE largeobjects", err);
out:
	for (unsigned i = 0; i < workers; i++)
		bkp_pg_close(&objects.workers[i]);
	free(objects.workers);
	PQclear(objects.batch);
	return rc;
}
