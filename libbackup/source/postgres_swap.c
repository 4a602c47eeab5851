/* SPDX-License-Identifier: Apache-2.0 */
/* A restored database takes the place of one that is in use. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/front.h"
#include "libbackup/postgres/names.h"
#include "libbackup/source/postgres_former.h"
#include "libbackup/source/postgres_target.h"

/* ---- before anything is touched ---- */

/* Only the owner of a database renames it. */
static int
check_owner(struct bkp_pg *pg, const char *name, struct bkp_error *err)
{
	PGresult *result = NULL;
	bool is_able;

	if (bkp_pg_query(pg,
		"SELECT r.rolsuper OR pg_catalog.pg_has_role(d.datdba,"
		" 'USAGE') FROM pg_catalog.pg_database d,"
		" pg_catalog.pg_roles r"
		" WHERE r.rolname = current_user AND d.datname = $1",
		1, &name, &result, err) < 0)
		return -1;
	is_able = PQntuples(result) == 0 || PQgetvalue(result, 0, 0)[0] == 't';
	PQclear(result);
	if (!is_able)
		return bkp_fail(err, BKP_AUTH,
		    "this role may not rename database %s, for it does not "
		    "own it: restore as its owner or as a superuser",
		    name);
	return 0;
}

/* What belongs to a database and not to its name. */
static int
tell_bound(struct bkp_pg *pg, struct bkp_run *run, const char *name,
    struct bkp_error *err)
{
	PGresult *result = NULL;

	if (bkp_pg_query(pg,
		"SELECT 'the replication slot ' || slot_name"
		" || ' stays with the former database: whatever reads from it "
		"has to begin anew'"
		" FROM pg_catalog.pg_replication_slots WHERE database = $1"
		" UNION ALL "
		"SELECT 'the prepared transaction ' || quote_literal(gid)"
		" || ' is open in it: it cannot be renamed before that is "
		"committed or rolled back'"
		" FROM pg_catalog.pg_prepared_xacts WHERE database = $1",
		1, &name, &result, err) < 0)
		return -1;
	for (int i = 0; i < PQntuples(result); i++)
		bkp_run_message(run, BKP_WARNING, NULL, "database %s: %s", name,
		    PQgetvalue(result, i, 0));
	PQclear(result);
	return 0;
}

int
bkp_pg_swap_check(struct bkp_pg *pg, struct bkp_run *run,
    const struct bkp_pg_target_database *database, struct bkp_error *err)
{
	if (check_owner(pg, database->name, err) < 0)
		return -1;
	return tell_bound(pg, run, database->name, err);
}

/* ---- the swap ---- */

/* From here on the database is worth keeping, and its name says so. */
static int
call_ready(struct bkp_pg_target *target,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	char *name = NULL;
	int rc = -1;

	if (bkp_pg_open_beside(
		&pg, target->config, database->temporary, NULL, err) < 0)
		return -1;
	name = bkp_pg_former_name(&pg, database->name, "restored", err);
	if (name == NULL)
		goto out;
	rc = bkp_pg_run(&pg, err, "ALTER DATABASE %I RENAME TO %I",
	    database->temporary, name);
	if (rc == 0) {
		free(database->temporary);
		database->temporary = name;
		database->is_ready = true;
		name = NULL;
	}
out:
	bkp_pg_close(&pg);
	free(name);
	return rc;
}

/* The path of the place, which need not be the one in the snapshot. */
static char *
path_of(struct bkp_supply *supply, const char *name, struct bkp_error *err)
{
	struct fmt_buf component = FMT_BUF_INIT;
	char *path = NULL;

	if (bkp_pg_path_database(&component, name) != FMT_OK ||
	    fmt_buf_text(&component) == NULL)
		(void)bkp_fail_nomem(err, "naming a database");
	else
		path = bkp_format(err, "%s/%s", bkp_supply_prefix(supply),
		    (const char *)component.data);
	fmt_buf_free(&component);
	return path;
}

int
bkp_pg_swap(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct bkp_run *run = bkp_supply_run(supply);
	char *path = path_of(supply, database->name, err);
	int rc = -1;

	bkp_run_phase(run, 0, 0, "%s: into its place", database->name);
	if (path == NULL || call_ready(target, database, err) < 0)
		goto out;
	if (bkp_run_check(run, err) == 0)
		rc = bkp_pg_former_exchange(target->config, run, path,
		    database->name, database->temporary, err);
	if (rc < 0)
		(void)bkp_fail_in(err,
		    "the restored database is whole and waits as \"%s\", the "
		    "old one is in its place; once more: backup-restore "
		    "--put-back '%s' '%s'",
		    database->temporary, database->temporary, path);
out:
	free(path);
	return rc;
}
