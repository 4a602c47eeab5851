/* SPDX-License-Identifier: Apache-2.0 */
/* Where a database is built and how it gets its name. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/drop.h"
#include "libbackup/postgres/exchange.h"
#include "libbackup/postgres/front.h"
#include "libbackup/postgres/names.h"
#include "libbackup/postgres/renamed.h"
#include "libbackup/source/postgres_target.h"

/* ---- create ---- */

static const char *
fact(const struct bkp_pg_target_database *database, const char *name)
{
	return json_string_value(json_object_get(database->facts, name));
}

/* The locale as the clauses of CREATE DATABASE. */
static enum fmt_status
append_locale(struct fmt_buf *sql,
    const struct bkp_pg_target_database *database, unsigned major)
{
	const char *provider = fact(database, "provider");
	const char *locale = fact(database, "locale");
	const char *rules = fact(database, "icu_rules");
	enum fmt_status status;

	status = bkp_pg_sql(sql, " ENCODING %L LC_COLLATE %L LC_CTYPE %L",
	    fact(database, "encoding"), fact(database, "collate"),
	    fact(database, "ctype"));
	if (status != FMT_OK || major < 15 || provider == NULL ||
	    locale == NULL)
		return status;
	if (provider[0] == 'i')
		status = bkp_pg_sql(
		    sql, " LOCALE_PROVIDER icu ICU_LOCALE %L", locale);
	else if (provider[0] == 'b')
		status = bkp_pg_sql(
		    sql, " LOCALE_PROVIDER builtin BUILTIN_LOCALE %L", locale);
	if (status == FMT_OK && rules != NULL)
		status = bkp_pg_sql(sql, " ICU_RULES %L", rules);
	return status;
}

static int
create(struct bkp_pg_target *target, struct bkp_pg *pg,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	const char *tablespace = json_string_value(
	    json_object_get(database->versions, "tablespace"));
	enum fmt_status status;
	int rc;

	status = bkp_pg_sql(
	    &sql, "CREATE DATABASE %I TEMPLATE template0", database->temporary);
	if (status == FMT_OK)
		status = append_locale(&sql, database, bkp_pg_major(pg));
	if (status == FMT_OK && target->has_tablespaces && tablespace != NULL &&
	    strcmp(tablespace, "pg_default") != 0)
		status = bkp_pg_sql(&sql, " TABLESPACE %I", tablespace);
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		rc = bkp_fail_nomem(err, "creating a database");
	else
		rc = bkp_pg_statement(pg, (const char *)sql.data, err);
	fmt_buf_free(&sql);
	if (rc < 0)
		return bkp_fail_in(err,
		    "creating it with encoding %s and locale %s, which this "
		    "server has to have",
		    fact(database, "encoding"), fact(database, "collate"));
	return bkp_pg_run(pg, err, "ALTER DATABASE %I OWNER TO %I",
	    database->temporary,
	    bkp_pg_target_owner(target, pg, fact(database, "owner")));
}

int
bkp_pg_place_create(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	static const char *const needed[] = {
	    "owner", "encoding", "collate", "ctype"};
	struct bkp_pg pg = BKP_PG_INIT;
	int rc;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (fact(database, needed[i]) == NULL)
			return bkp_fail(err, BKP_CORRUPT,
			    "the snapshot does not tell the %s of the "
			    "database",
			    needed[i]);
	database->temporary = bkp_pg_new_name(database->name, "restoring", err);
	if (database->temporary == NULL ||
	    bkp_pg_open_front(
		&pg, target->config, bkp_supply_run(supply), err) < 0)
		return -1;
	rc = create(target, &pg, database, err);
	bkp_pg_close(&pg);
	return rc;
}

void
bkp_pg_place_drop(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database)
{
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_pg pg = BKP_PG_INIT;

	/* Also when the run was cancelled: so without it. */
	if (database->temporary != NULL &&
	    (bkp_pg_open_front(&pg, target->config, NULL, &why) < 0 ||
		bkp_pg_drop_restored(
		    &pg, target->config, database->temporary, &why) < 0))
		bkp_run_message(bkp_supply_run(supply), BKP_WARNING, NULL,
		    "the unfinished database may still be there: %s. Remove "
		    "it: DROP DATABASE \"%s\"",
		    why.message, database->temporary);
	bkp_pg_close(&pg);
}

/* ---- swap ---- */

static int
is_there(struct bkp_pg *pg, const char *name, bool *out, struct bkp_error *err)
{
	PGresult *result = NULL;

	if (bkp_pg_query(pg, "SELECT 1 FROM pg_database WHERE datname = $1", 1,
		&name, &result, err) < 0)
		return -1;
	*out = PQntuples(result) > 0;
	PQclear(result);
	return 0;
}

/* Puts the new database in the place of one that is there. */
static int
replace(const struct bkp_pg_target *target, struct bkp_pg *pg,
    struct bkp_run *run, const struct bkp_pg_target_database *database,
    struct bkp_error *err)
{
	struct bkp_error failure = BKP_ERROR_INIT;
	struct bkp_pg_exchange exchange = {
	    .name = database->name, .in = database->temporary};
	char *old = bkp_pg_new_name(database->name, "replaced", err);
	int rc = -1;

	if (old == NULL)
		return -1;
	exchange.aside = old;
	if (bkp_pg_exchange(target->config, &exchange, err) < 0)
		goto out;
	rc = 0;
	if (bkp_pg_run(pg, &failure,
		bkp_pg_major(pg) >= 13 ? "DROP DATABASE %I WITH (FORCE)"
				       : "DROP DATABASE %I",
		old) < 0)
		bkp_run_message(run, BKP_WARNING, NULL,
		    "the former database is still there as %s: %s", old,
		    failure.message);
out:
	free(old);
	return rc;
}

int
bkp_pg_place_swap(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	bool is_taken = false;
	int rc = -1;

	if (bkp_run_check(bkp_supply_run(supply), err) < 0)
		return -1;
	/* From here to the end is a matter of moments and not to be left
	 * half done: no cancel. */
	if (bkp_pg_open_beside(&pg, target->config, database->name, NULL, err) <
	    0)
		return -1;
	if (is_there(&pg, database->name, &is_taken, err) < 0)
		goto out;
	if (!is_taken)
		rc = bkp_pg_run(&pg, err, "ALTER DATABASE %I RENAME TO %I",
		    database->temporary, database->name);
	else if (!target->options.is_overwrite)
		(void)bkp_fail(err, BKP_EXISTS,
		    "database %s appeared while it was being restored",
		    database->name);
	else
		rc =
		    replace(target, &pg, bkp_supply_run(supply), database, err);
out:
	bkp_pg_close(&pg);
	return rc;
}

/* An application must not start with a database that lacks rows, and find out
 * later; whoever has looked at it gives it the name. */
int
bkp_pg_place_aside(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	char *name = bkp_pg_new_name(database->name, "incomplete", err);
	int rc = -1;

	if (name == NULL || bkp_run_check(bkp_supply_run(supply), err) < 0 ||
	    bkp_pg_open_beside(&pg, target->config, database->name, NULL, err) <
		0)
		goto out;
	if (bkp_pg_run(&pg, err, "ALTER DATABASE %I RENAME TO %I",
		database->temporary, name) < 0)
		goto out;
	rc = bkp_run_omit(bkp_supply_run(supply), err, database->path,
	    "not in its place, for it lacks what was named: it is the database "
	    "\"%s\". Where that will do: ALTER DATABASE \"%s\" RENAME TO "
	    "\"%s\"",
	    name, name, database->name);
out:
	bkp_pg_close(&pg);
	free(name);
	return rc;
}

/* ---- what a killed restore left ---- */

static void
tell_leftover(struct bkp_run *run, const char *quoted, const char *what)
{
	if (strcmp(what, "replaced") == 0)
		bkp_run_message(run, BKP_WARNING, NULL,
		    "the server has a database %s: a restore moved it aside "
		    "and was stopped before it was removed. It holds what was "
		    "there before that restore; look at whether the restored "
		    "one is whole before you drop it",
		    quoted);
	else if (strcmp(what, "restored") == 0)
		bkp_run_message(run, BKP_WARNING, NULL,
		    "the server has a database %s, which is restored and "
		    "proven, and did not get its place: backup-restore "
		    "--put-back puts it there, --drop-former drops it",
		    quoted);
	else if (strcmp(what, "drill") == 0)
		bkp_run_message(run, BKP_WARNING, NULL,
		    "the server has a scratch database %s, which a "
		    "backup-verify that was killed left; where none is "
		    "running, remove it: DROP DATABASE %s",
		    quoted, quoted);
	else
		bkp_run_message(run, BKP_WARNING, NULL,
		    "the server has an unfinished database %s, which a restore "
		    "that was killed left; where no restore is running, remove "
		    "it: DROP DATABASE %s",
		    quoted, quoted);
}

int
bkp_pg_place_tell_leftovers(
    struct bkp_pg *pg, struct bkp_run *run, struct bkp_error *err)
{
	PGresult *result = NULL;

	/* One with somebody in it is most likely a restore under way. What a
	 * swap keeps is wanted, and not told each time. */
	if (bkp_pg_query(pg,
		"SELECT pg_catalog.quote_ident(datname),"
		" substring(datname FROM '[.]([a-z]+)-[0-9A-Za-z]+$')"
		" FROM pg_catalog.pg_database d"
		" WHERE (datname ~ '[.](restoring|replaced|drill)-[0-9a-f]{8}$'"
		" OR datname ~ '[.]restored-[0-9]{8}T[0-9]{6}Z$')"
		" AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity a"
		" WHERE a.datname = d.datname) ORDER BY 1",
		0, NULL, &result, err) < 0)
		return -1;
	for (int i = 0; i < PQntuples(result); i++)
		tell_leftover(
		    run, PQgetvalue(result, i, 0), PQgetvalue(result, i, 1));
	PQclear(result);
	return 0;
}
