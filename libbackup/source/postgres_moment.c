/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The moments of the databases of a server: a snapshot of each, one right after
 * the other, and the schema as it was then.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/collations.h"
#include "libbackup/postgres/definitions.h"
#include "libbackup/source/postgres_source.h"

/* So often the moment is let go of and taken again where somebody waits for a
 * lock between the holder's and pg_dump's, or replaces a definition. */
#define ATTEMPTS 5

static int
open_holder(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_pg *front,
    struct bkp_run *run, struct bkp_error *err)
{
	struct bkp_pg_holder *holder = &database->holder;
	char *name = holder->database;
	int rc;

	holder->database = NULL;
	/* A renamed one has another name on the server. */
	if (front->conn != NULL && source->config->renamed == NULL &&
	    strcmp(PQdb(front->conn), name) == 0)
		rc = bkp_pg_holder_take(holder, front, source->config, err);
	else
		rc = bkp_pg_holder_open(holder, source->config, name, run, err);
	if (rc < 0)
		(void)bkp_fail_in(err, "database %s", name);
	free(name);
	return rc;
}

/* ---- the schema ---- */

static int
dump_schema(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_run *run,
    struct bkp_error *err)
{
	struct bkp_pg_holder *holder = &database->holder;

	bkp_packed_free(database->archive);
	database->archive = NULL;
	return bkp_pg_dump_schema(&source->programs, source->config,
	    holder->database, holder->snapshot, bkp_pg_encoding(&holder->pg),
	    run, &database->archive, err);
}

/* What stands in the way of a schema of the moment. */
struct obstacle {
	bool is_lock;  /* pg_dump locks the tables for itself, and somebody
			  waits for one of them */
	char *changed; /* owned: a definition that is not of the moment */
};

/* 0: the schema is there, though *obstacle may be in it; -1. */
static int
try_schema(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_run *run,
    struct obstacle *obstacle, struct bkp_error *err)
{
	struct bkp_pg_holder *holder = &database->holder;
	int rc = dump_schema(source, database, run, err);

	*obstacle = (struct obstacle){.changed = NULL};
	if (rc == 0)
		return bkp_pg_definitions_changed(
		    holder, source->config, &obstacle->changed, err);
	bkp_pg_holder_explain(holder, source->config, err);
	obstacle->is_lock = bkp_pg_holder_is_waited_for(holder);
	if (!obstacle->is_lock)
		(void)bkp_pg_definitions_changed(
		    holder, source->config, &obstacle->changed, NULL);
	return -1;
}

/* Of the last attempt. Rows are worth more than one definition. */
static int
give_up(const struct bkp_pg_source_database *database, struct bkp_run *run,
    const struct obstacle *obstacle, int rc, struct bkp_error *err)
{
	if (rc == 0)
		return bkp_run_omit(run, err, database->path,
		    "the schema is not of one moment, for definitions change "
		    "again and again while it is read, or tables are waited "
		    "for: %s may be as it was made later",
		    obstacle->changed);
	if (obstacle->is_lock)
		(void)bkp_fail(err, BKP_RETRY,
		    "again and again somebody asks for an exclusive lock on a "
		    "table before the schema is read: try again when that has "
		    "ended");
	return -1;
}

static bool
is_obstacle(const struct obstacle *obstacle)
{
	return obstacle->is_lock || obstacle->changed != NULL;
}

/* Another moment beside one whose schema is whole but for a definition, and in
 * its place where that comes out. False: what there is is kept. */
static bool
try_beside(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_run *run,
    struct obstacle *obstacle)
{
	struct bkp_pg_source_database next = *database;
	struct bkp_error failure = BKP_ERROR_INIT;
	struct obstacle found = {.changed = NULL};
	int rc;

	/* Who waits for an exclusive lock would have it before us. */
	if (bkp_pg_holder_is_waited_for(&database->holder))
		return false;
	next.holder = (struct bkp_pg_holder)BKP_PG_HOLDER_INIT;
	next.archive = NULL;
	rc = bkp_pg_holder_open(&next.holder, source->config,
	    database->holder.database, run, &failure);
	if (rc == 0)
		rc = try_schema(source, &next, run, &found, &failure);
	if (rc < 0) {
		free(found.changed);
		bkp_pg_holder_close(&next.holder);
		bkp_packed_free(next.archive);
		return false;
	}
	bkp_pg_holder_close(&database->holder);
	bkp_packed_free(database->archive);
	free(obstacle->changed);
	*database = next;
	source->has_later_moment = true;
	*obstacle = found;
	return true;
}

/* Lets go of a moment that has no schema, and takes another. */
static int
try_anew(struct bkp_pg_source *source, struct bkp_pg_source_database *database,
    struct bkp_run *run, struct obstacle *obstacle, struct bkp_error *err)
{
	char *name = bkp_strdup(database->holder.database, err);
	int rc = -1;

	free(obstacle->changed);
	*obstacle = (struct obstacle){.changed = NULL};
	if (name == NULL)
		return -1;
	bkp_pg_holder_close(&database->holder);
	source->has_later_moment = true;
	if (bkp_pg_holder_open(
		&database->holder, source->config, name, run, err) == 0)
		rc = try_schema(source, database, run, obstacle, err);
	free(name);
	return rc;
}

/* In the holder's snapshot. Where that does not come to be the moment is taken
 * anew. */
static int
read_schema(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_run *run,
    struct bkp_error *err)
{
	char *name = bkp_strdup(database->holder.database, err);
	struct obstacle obstacle;
	int rc;

	if (name == NULL)
		return -1;
	rc = try_schema(source, database, run, &obstacle, err);
	for (int attempt = 2; attempt <= ATTEMPTS && is_obstacle(&obstacle);
	     attempt++) {
		if (rc < 0)
			rc = try_anew(source, database, run, &obstacle, err);
		else if (!try_beside(source, database, run, &obstacle))
			break;
	}
	if (is_obstacle(&obstacle))
		rc = give_up(database, run, &obstacle, rc, err);
	free(obstacle.changed);
	if (rc < 0)
		(void)bkp_fail_in(err, "database %s", name);
	free(name);
	return rc;
}

/* ---- all of them ---- */

/* What it takes on the server: so much room a restore needs. */
static int
ask_size(struct bkp_pg *pg, json_int_t *out, struct bkp_error *err)
{
	char *text = bkp_pg_text(pg,
	    "SELECT pg_catalog.pg_database_size("
	    "pg_catalog.current_database())",
	    err);

	if (text == NULL)
		return -1;
	*out = (json_int_t)strtoll(text, NULL, 10);
	free(text);
	return 0;
}

static int
tell_moment(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_error *err)
{
	struct bkp_pg_holder *holder = &database->holder;
	json_t *collations = NULL, *facts;
	json_int_t bytes = 0;

	if (ask_size(&holder->pg, &bytes, err) < 0 ||
	    bkp_pg_describe_collations(&holder->pg, &collations, err) < 0)
		return bkp_fail_in(err, "database %s", holder->database);
	facts = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "name",
	    holder->database, "path", database->path, "lsn", holder->lsn,
	    "time", holder->time, "time_us", (json_int_t)holder->time_us,
	    "bytes", bytes, "collations", collations);
	if (facts == NULL ||
	    json_array_append_new(
		json_object_get(source->info, "databases"), facts) < 0)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "database %s: its name is not UTF-8", holder->database);
	return 0;
}

static int
read_schemas(
    struct bkp_pg_source *source, struct bkp_run *run, struct bkp_error *err)
{
	for (size_t i = 0; i < source->database_count; i++) {
		struct bkp_pg_source_database *database = &source->databases[i];

		if (read_schema(source, database, run, err) < 0 ||
		    tell_moment(source, database, err) < 0)
			return -1;
		bkp_run_add_moment(
		    run, database->holder.from_us, database->holder.to_us);
	}
	return 0;
}

static int
start_globals(struct bkp_pg_source *source, struct bkp_run *run,
    struct bkp_pg_globals **out, struct bkp_error *err)
{
	return bkp_pg_globals_start(&source->programs, source->config,
	    source->front, source->has_passwords, run, out, err);
}

/* The roles are of no snapshot: the sooner they are read the better, and beside
 * the schemas it takes no time. But an owner in a moment that was taken anew
 * may be younger than they are. */
static int
read_all(
    struct bkp_pg_source *source, struct bkp_run *run, struct bkp_error *err)
{
	struct bkp_pg_globals *globals = NULL;
	int rc;

	source->has_later_moment = false;
	if (start_globals(source, run, &globals, err) < 0)
		return -1;
	rc = read_schemas(source, run, err);
	if (rc == 0 && source->has_later_moment) {
		bkp_pg_globals_free(globals);
		globals = NULL;
		rc = start_globals(source, run, &globals, err);
	}
	if (rc == 0)
		rc = bkp_pg_globals_finish(
		    globals, &source->globals, &source->tablespaces, err);
	bkp_pg_globals_free(globals);
	return rc;
}

/* All snapshots first, one right after another: nothing that takes its time
 * comes between. */
int
bkp_pg_source_moments(struct bkp_pg_source *source, struct bkp_pg *front,
    struct bkp_run *run, struct bkp_error *err)
{
	for (size_t i = 0; i < source->database_count; i++)
		if (open_holder(
			source, &source->databases[i], front, run, err) < 0)
			return -1;
	bkp_pg_close(front);
	/* A server of others has roles of its own. */
	return source->config->renamed == NULL ? read_all(source, run, err)
					       : read_schemas(source, run, err);
}
