/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One database, built under a temporary name:
 *
 *   create it, the schema without indexes and constraints (pre-data)
 *   sequences, large objects
 *   the rows, compared with what was recorded as they go in, and as soon as a
 *   table has them its indexes, constraints and foreign keys
 *   where it is to take the place of another: the rows, read back
 *   triggers, rules, what else is left of the schema
 *   what whoever restores has to do in it, before statistics and views know
 *   of it
 *   rough statistics, materialised views, settings
 *   rename: whoever waits for the database can use it
 *   statistics
 *
 * Where the repository has lost a part of it, the rest is built all the same:
 * constraints that then cannot hold are named, and the name says what it is.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/restore.h"
#include "libbackup/source/postgres_target.h"

int
bkp_pg_target_archive(struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, struct bkp_memfile *out,
    struct bkp_error *err)
{
	char *path = bkp_format(err, "%s/schema.dump", database->path);
	int rc;

	if (path == NULL)
		return -1;
	rc = bkp_memfile_open(out, err);
	if (rc == 0)
		rc = bkp_supply_stream(
		    supply, path, bkp_memfile_write, out, err);
	free(path);
	return rc;
}

/* Whether a part of the database is lost so far. */
struct loss {
	struct bkp_supply *supply;
	const struct bkp_pg_target_database *database;
	uint64_t before; /* noted of others */
};

static bool
is_incomplete(const struct loss *loss)
{
	return bkp_supply_lost(loss->supply) > loss->before ||
	       !bkp_supply_has_whole_list(loss->supply);
}

/* Any thread. */
static int
leave_out_constraint(void *arg, const char *name, const struct bkp_error *why,
    struct bkp_error *err)
{
	const struct loss *loss = arg;

	return bkp_run_omit(bkp_supply_run(loss->supply), err,
	    loss->database->path, "not made, for %s: %s: %s",
	    is_incomplete(loss) ? "rows that it needs are lost"
				: "rows do not hold it",
	    name, why->message);
}

/* Nothing depends on it, and whoever restores has said that it may go. */
static int
leave_out_privileged(void *arg, const char *name, const struct bkp_error *why,
    struct bkp_error *err)
{
	const struct loss *loss = arg;

	return bkp_supply_refuse(loss->supply, err, loss->database->path,
	    "not made, for the server refused it: %s: %s", name, why->message);
}

/* An extension may have come in another version than it was. */
static int
tell_extensions(struct bkp_pg *pg, struct bkp_run *run,
    const struct bkp_pg_target_database *database, struct bkp_error *err)
{
	const json_t *versions =
	    json_object_get(database->versions, "extension_versions");
	PGresult *result = NULL;

	if (bkp_pg_query(pg, "SELECT extname, extversion FROM pg_extension", 0,
		NULL, &result, err) < 0)
		return -1;
	for (int i = 0; i < PQntuples(result); i++) {
		const char *name = PQgetvalue(result, i, 0);
		const char *now = PQgetvalue(result, i, 1);
		const char *then =
		    json_string_value(json_object_get(versions, name));

		if (then != NULL && strcmp(then, now) != 0)
			bkp_run_message(run, BKP_WARNING, database->path,
			    "extension %s is version %s here and was %s", name,
			    now, then);
	}
	PQclear(result);
	return 0;
}

/* Views are filled from what there is, which may not do for one. */
static int
fill_views(struct bkp_pg *pg, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, bool has_losses,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_pg_target_views(pg, supply, database, &why) == 0)
		return 0;
	if (has_losses && why.code != BKP_CANCELLED && why.code != BKP_NOMEM)
		return bkp_run_omit(bkp_supply_run(supply), err, database->path,
		    "materialised views are not all filled: %s", why.message);
	if (err != NULL)
		*err = why;
	return -1;
}

/* The event triggers are there already, and one that refuses changes would
 * refuse to fill a view. Only a superuser may look away, and no other role can
 * have made one. */
static int
without_event_triggers(struct bkp_pg *pg, struct bkp_error *err)
{
	return bkp_pg_run(pg, err,
	    "SELECT set_config(%L, %L, false) FROM pg_roles"
	    " WHERE rolname = current_user AND rolsuper",
	    bkp_pg_major(pg) >= 17 ? "event_triggers"
				   : "session_replication_role",
	    bkp_pg_major(pg) >= 17 ? "off" : "replica");
}

/* Statistics, views and settings, in one session. */
static int
finish(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, bool has_losses,
    struct bkp_error *err)
{
	struct bkp_run *run = bkp_supply_run(supply);
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	if (bkp_pg_target_connect(target, database->temporary, run, &pg, err) <
	    0)
		return -1;
	pg.is_ticking = true;
	bkp_run_phase(run, 0, 0, "%s: statistics and views", database->name);
	if (without_event_triggers(&pg, err) < 0 ||
	    bkp_pg_target_analyze(target, run, &pg, database->temporary,
		has_losses ? BKP_PG_STATISTICS_ALL : BKP_PG_STATISTICS_FIRST,
		err) < 0 ||
	    fill_views(&pg, supply, database, has_losses, err) < 0 ||
	    bkp_pg_target_settings(target, supply, &pg, database, err) < 0 ||
	    tell_extensions(&pg, run, database, err) < 0)
		goto out;
	rc = 0;
out:
	bkp_pg_close(&pg);
	return rc;
}

static int
restore_sequences(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	int rc;

	if (bkp_pg_target_connect(target, database->temporary,
		bkp_supply_run(supply), &pg, err) < 0)
		return -1;
	rc = bkp_pg_target_sequences(target, &pg, supply, database, err);
	bkp_pg_close(&pg);
	return rc;
}

static int
settle(struct bkp_pg_target *target, struct bkp_pg_target_database *database,
    struct bkp_error *err)
{
	/* Who is not in it need not be taken out; of a part, nobody was found
	 * who would have to be. */
	if (target->options.settle == NULL || target->options.is_schema_only ||
	    database->choice != NULL)
		return 0;
	return target->options.settle(target->options.settle_arg,
	    database->path, target->config, database->temporary, err);
}

/* Everything between the empty schema and the statistics. */
static int
fill(struct bkp_pg_target *target, struct loss *loss,
    struct bkp_pg_target_database *database, struct bkp_pg_restore *what,
    struct bkp_error *err)
{
	struct bkp_supply *supply = loss->supply;
	struct bkp_run *run = bkp_supply_run(supply);
	struct bkp_pg_toc toc = BKP_PG_TOC_INIT;
	int rc = -1;

	what->refused = leave_out_constraint;
	if (bkp_pg_restore_toc(what, run, &toc, err) < 0 ||
	    bkp_pg_target_fill(target, supply, database, what, &toc, err) < 0)
		goto out;
	if (target->options.is_swap && !is_incomplete(loss) &&
	    bkp_pg_target_prove(target, supply, database, err) < 0)
		goto out;
	bkp_run_phase(run, 0, 0, "%s: triggers and rules", database->name);
	if (!is_incomplete(loss))
		what->refused = NULL;
	rc = bkp_pg_restore_late(
	    what, database->temporary, &toc, bkp_run_workers(run), run, err);
out:
	bkp_pg_toc_free(&toc);
	return rc;
}

/*
 * The database is in its place and others work in it, so nothing of this is
 * the end of a restore but that somebody wants it. The first that is asked is
 * the first query that the database answers under its name.
 */
static int
refine(struct bkp_pg_target *target, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct bkp_run *run = bkp_supply_run(supply);
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = bkp_pg_target_connect(target, database->name, run, &pg, &why);

	if (rc == 0) {
		bkp_supply_ready(supply);
		pg.is_ticking = true;
		bkp_run_phase(run, 0, 0,
		    "%s: in its place and in use; statistics", database->name);
		rc = bkp_pg_target_analyze(target, run, &pg, database->name,
		    BKP_PG_STATISTICS_REST, &why);
	}
	bkp_pg_close(&pg);
	if (rc == 0)
		return 0;
	bkp_run_message(run, BKP_WARNING, database->path,
	    "the database is in its place with rough statistics: %s. Let "
	    "ANALYZE run in it",
	    why.message);
	if (why.code != BKP_CANCELLED && why.code != BKP_NOMEM)
		return 0;
	if (err != NULL)
		*err = why;
	return -1;
}

/* Rows alone were chosen: their tables, and nothing that other tables' rows
 * would be needed for. */
static int
build_tables(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, const struct bkp_pg_restore *what,
    struct bkp_error *err)
{
	struct bkp_pg_toc none = BKP_PG_TOC_INIT;
	int rc = bkp_pg_target_fill(target, supply, database, what, &none, err);

	bkp_pg_toc_free(&none);
	return rc < 0 ? -1 : bkp_pg_place_swap(target, supply, database, err);
}

static int
build(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, const char *archive,
    struct bkp_error *err)
{
	struct bkp_run *run = bkp_supply_run(supply);
	struct loss loss = {supply, database, bkp_supply_lost(supply)};
	struct bkp_pg_restore what = {.program = target->programs.restore,
	    .config = target->config,
	    .archive = archive,
	    .has_tablespaces = target->has_tablespaces,
	    .privileged =
		target->options.may_skip ? leave_out_privileged : NULL,
	    .refused_arg = &loss,
	    .role = target->options.role,
	    .has_no_owner = target->options.has_no_owner,
	    .has_no_privileges = target->options.has_no_privileges,
	    .choice = database->choice};
	bool has_losses;

	bkp_run_phase(run, 0, 0, "%s: making the schema", database->name);
	if (bkp_pg_restore_schema(&what, database->temporary, run, err) < 0)
		return -1;
	if (target->makes_tables)
		return build_tables(target, supply, database, &what, err);
	if (restore_sequences(target, supply, database, err) < 0 ||
	    (!target->options.is_schema_only && database->choice == NULL &&
		bkp_pg_target_objects(target, supply, database, err) < 0) ||
	    fill(target, &loss, database, &what, err) < 0 ||
	    settle(target, database, err) < 0)
		return -1;
	has_losses = is_incomplete(&loss);
	if (finish(target, supply, database, has_losses, err) < 0)
		return -1;
	if (has_losses && !target->options.is_scratch)
		return bkp_pg_place_aside(target, supply, database, err);
	if ((target->options.is_swap
		    ? bkp_pg_swap(target, supply, database, err)
		    : bkp_pg_place_swap(target, supply, database, err)) < 0)
		return -1;
	return target->options.is_scratch
		   ? 0
		   : refine(target, supply, database, err);
}

int
bkp_pg_target_build(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_memfile archive = BKP_MEMFILE_INIT;
	int rc;

	if (bkp_pg_target_archive(supply, database, &archive, &why) < 0) {
		rc = bkp_supply_lose(supply, err, &why, database->path,
		    "not restored, for its schema is lost (backup-cat gives "
		    "the rows of a table)");
	} else if ((rc = bkp_pg_place_create(target, supply, database, err)) <
		       0 ||
		   (rc = build(target, supply, database, archive.path, err)) <
		       0) {
		if (!database->is_ready)
			bkp_pg_place_drop(target, supply, database);
	} else {
		bkp_supply_restored(supply, 1);
	}
	bkp_memfile_close(&archive);
	return rc;
}
