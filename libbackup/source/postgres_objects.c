/* SPDX-License-Identifier: Apache-2.0 */
/* Large objects, back under their own OIDs. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/postgres/largeobject.h"
#include "libbackup/source/postgres_target.h"

struct objects {
	struct bkp_pg_target *target;
	struct bkp_supply *supply;
	struct bkp_run *run;
	const char *database;
	struct bkp_entry_stream *stream;
	struct bkp_pg *workers; /* opened when first used */
};

static void
discard_object(void *arg, void *item)
{
	(void)arg;
	fmt_entry_free(item);
	free(item);
}

static int
next_object(void *arg, void **item, struct bkp_error *err)
{
	struct objects *objects = arg;
	struct fmt_entry *entry = bkp_alloc(sizeof(*entry), err);
	int more;

	*item = NULL;
	if (entry == NULL)
		return -1;
	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	more = bkp_entry_stream_next(objects->stream, entry, err);
	if (more > 0)
		*item = entry;
	else
		free(entry);
	return more < 0 ? -1 : 0;
}

struct writer {
	struct bkp_pg *pg;
	const char *oid;
	uint64_t offset;
};

static int
write_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct writer *writer = arg;

	if (bkp_pg_lo_write(
		writer->pg, writer->oid, writer->offset, data, len, err) < 0)
		return -1;
	writer->offset += len;
	return 0;
}

/* Owner, comment and privileges. */
static int
set_attributes(const struct bkp_pg_target *target, struct bkp_pg *pg,
    const char *oid, const json_t *attrs, struct bkp_error *err)
{
	const char *recorded =
	    json_string_value(json_object_get(attrs, "owner"));
	const char *owner = bkp_pg_target_owner(target, pg, recorded);
	const char *comment =
	    json_string_value(json_object_get(attrs, "comment"));
	const json_t *acl = json_object_get(attrs, "acl");
	char *object;
	int rc;

	if (recorded == NULL)
		return bkp_fail(
		    err, BKP_CORRUPT, "large object %s has no owner", oid);
	if (bkp_pg_run(
		pg, err, "ALTER LARGE OBJECT %s OWNER TO %I", oid, owner) < 0 ||
	    (comment != NULL &&
		bkp_pg_run(pg, err, "COMMENT ON LARGE OBJECT %s IS %L", oid,
		    comment) < 0))
		return -1;
	if (json_is_null(acl) || target->options.has_no_privileges)
		return 0; /* never granted, never revoked */
	if ((object = bkp_format(err, "LARGE OBJECT %s", oid)) == NULL)
		return -1;
	rc = bkp_pg_target_acl(pg, object, owner, acl, err);
	free(object);
	return rc;
}

static int
write_object(struct objects *objects, unsigned number,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	struct bkp_pg *pg = &objects->workers[number];
	const char *slash = strrchr(entry->path, '/');
	const char *oid = slash != NULL ? slash + 1 : "";
	struct writer writer = {pg, oid, 0};

	if (oid[0] == '\0' || oid[strspn(oid, "0123456789")] != '\0')
		return bkp_fail(
		    err, BKP_CORRUPT, "the last part is not an OID");
	if (bkp_pg_do(pg, "BEGIN", err) < 0 ||
	    bkp_pg_lo_create(pg, oid, err) < 0 ||
	    bkp_chunk_reader_entry(bkp_supply_reader(objects->supply, number),
		entry, write_bytes, &writer, err) < 0 ||
	    set_attributes(objects->target, pg, oid, entry->attrs, err) < 0)
		return -1;
	return bkp_pg_do(pg, "COMMIT", err);
}

static int
work_object(void *arg, unsigned number, void *item, struct bkp_error *err)
{
	struct objects *objects = arg;
	struct fmt_entry *entry = item;
	struct bkp_pg *pg = &objects->workers[number];
	struct bkp_error why = BKP_ERROR_INIT;

	if (pg->conn == NULL &&
	    (bkp_pg_target_connect(objects->target, objects->database,
		 objects->run, pg, err) < 0 ||
		bkp_pg_do(pg, "SET synchronous_commit TO off", err) < 0))
		return -1;
	if (write_object(objects, number, entry, &why) < 0) {
		if (bkp_supply_lose(objects->supply, err, &why, entry->path,
			"not restored") < 0)
			return bkp_fail_in(err, "%s", entry->path);
		return bkp_pg_do(pg, "ROLLBACK", err);
	}
	bkp_run_count(objects->run, entry->size, 1);
	return 0;
}

static void
tick(void *arg)
{
	bkp_run_tick(((struct objects *)arg)->run);
}

static const struct bkp_pipeline_ops ops = {.next = next_object,
    .work = work_object,
    .discard = discard_object,
    .tick = tick};

int
bkp_pg_target_objects(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct objects objects = {.target = target,
	    .supply = supply,
	    .run = bkp_supply_run(supply),
	    .database = database->temporary};
	unsigned workers = bkp_run_workers(objects.run);
	char *prefix = bkp_format(err, "%s/largeobjects/", database->path);
	int rc = -1;

	objects.workers =
	    bkp_alloc_array(workers, sizeof(*objects.workers), err);
	if (prefix == NULL || objects.workers == NULL ||
	    bkp_supply_entries(supply, prefix, &objects.stream, err) < 0)
		goto out;
	bkp_run_phase(objects.run, 0, 0, "%s: large objects", database->name);
	rc = bkp_pipeline_run(workers, workers * 4, &ops, &objects,
	    bkp_run_cancel(objects.run), err);
out:
	for (unsigned i = 0; objects.workers != NULL && i < workers; i++)
		bkp_pg_close(&objects.workers[i]);
	free(objects.workers);
	bkp_entry_stream_close(objects.stream);
	free(prefix);
	return rc;
}
