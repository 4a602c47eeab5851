/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a database: which, and what of it there is. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/postgres/restore.h"
#include "libbackup/postgres/sqltext.h"
#include "libbackup/source/postgres_target.h"

/* ---- what was named ---- */

static int
fail_name(const char *text, struct bkp_error *err)
{
	return bkp_fail(err, BKP_INVALID,
	    "\"%s\" names no schema and no table of one: write SCHEMA or "
	    "SCHEMA.TABLE, and names of other than letters, digits and _ in "
	    "double quotes",
	    text);
}

/* As they are written: nothing is folded to small letters. */
static int
read_name(const char *text, struct bkp_pg_only *out, struct bkp_error *err)
{
	const char *at = text, *end = text + strlen(text);
	struct fmt_buf name = FMT_BUF_INIT;
	int rc = -1;

	if (!bkp_sql_identifier(&at, end, &name)) {
		(void)fail_name(text, err);
		goto out;
	}
	out->schema = bkp_strdup((const char *)name.data, err);
	if (out->schema == NULL)
		goto out;
	if (at < end && *at == '.') {
		at++;
		if (!bkp_sql_identifier(&at, end, &name)) {
			(void)fail_name(text, err);
			goto out;
		}
		out->table = bkp_strdup((const char *)name.data, err);
		if (out->table == NULL)
			goto out;
	}
	rc = at == end ? 0 : fail_name(text, err);
out:
	fmt_buf_free(&name);
	return rc;
}

static void
tell_torn(const struct bkp_pg_target_database *database, struct bkp_run *run)
{
	const struct bkp_pg_choice *choice = database->choice;

	for (size_t i = 0; i < choice->count; i++) {
		const struct bkp_pg_chosen *entry = &choice->entries[i];
		const char *name;
		size_t len;

		if (!bkp_pg_choice_is_torn(choice, entry))
			continue;
		name =
		    bkp_pg_line_name(entry->line.text, entry->line.len, &len);
		bkp_run_message(run, BKP_WARNING, database->path,
		    "not in the part: %.*s, for it is about a table that is "
		    "not, too",
		    (int)len, name);
	}
}

static int
choose(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, const struct bkp_pg_only *only,
    struct bkp_error *err)
{
	struct bkp_memfile archive = BKP_MEMFILE_INIT;
	struct bkp_pg_restore what = {
	    .program = target->programs.restore, .config = target->config};
	int rc = -1;

	database->choice = bkp_alloc(sizeof(*database->choice), err);
	if (database->choice == NULL)
		return -1;
	*database->choice = (struct bkp_pg_choice)BKP_PG_CHOICE_INIT;
	if (bkp_pg_target_archive(supply, database, &archive, err) == 0) {
		what.archive = archive.path;
		rc = bkp_pg_restore_choose(&what, only,
		    target->options.only_count, bkp_supply_run(supply),
		    database->choice, err);
	}
	if (rc == 0)
		tell_torn(database, bkp_supply_run(supply));
	bkp_memfile_close(&archive);
	return rc;
}

int
bkp_pg_part_choose(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	size_t count = target->options.only_count;
	struct bkp_pg_only *only = bkp_alloc_array(count, sizeof(*only), err);
	int rc = only != NULL ? 0 : -1;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = read_name(target->options.only[i], &only[i], err);
	if (rc == 0)
		rc = choose(target, supply, database, only, err);
	for (size_t i = 0; only != NULL && i < count; i++) {
		free(only[i].schema);
		free(only[i].table);
	}
	free(only);
	return rc;
}

/* ---- rows into tables that exist ---- */

/* Foreign keys are triggers too, and stay awake. */
static const char list_triggers[] =
    "SELECT pg_catalog.format('ALTER TABLE ONLY %s DISABLE TRIGGER %I',"
    " tgrelid::pg_catalog.regclass, tgname),"
    " pg_catalog.format('ALTER TABLE ONLY %s ENABLE %sTRIGGER %I;',"
    " tgrelid::pg_catalog.regclass,"
    " CASE tgenabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END, tgname)"
    " FROM pg_catalog.pg_trigger t"
    " WHERE tgrelid IN (SELECT $1::text::pg_catalog.regclass UNION"
    "  SELECT relid FROM pg_catalog.pg_partition_tree("
    "   $1::text::pg_catalog.regclass))"
    " AND tgenabled IN ('O', 'A')"
    " AND (tgconstraint = 0 OR EXISTS (SELECT FROM pg_catalog.pg_constraint c"
    "  WHERE c.oid = tgconstraint AND contype = 't'))"
    " ORDER BY tgrelid, tgname";

int
bkp_pg_part_hush(struct bkp_pg *pg, const char *quoted, struct fmt_buf *undo,
    struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = 0;

	if (bkp_pg_query(pg, list_triggers, 1, &quoted, &result, err) < 0)
		return -1;
	for (int i = 0; rc == 0 && i < PQntuples(result); i++) {
		rc = bkp_pg_do(pg, PQgetvalue(result, i, 0), err);
		if (rc < 0)
			(void)bkp_fail_in(err,
			    "keeping triggers of table %s from its rows",
			    quoted);
		else if (fmt_buf_append_text(undo, PQgetvalue(result, i, 1)) !=
			 FMT_OK)
			rc = bkp_fail_nomem(err, "listing triggers");
	}
	PQclear(result);
	return rc;
}

/* ---- partitions ---- */

static const char root_sql[] =
    "SELECT pg_catalog.format('%I.%I', n.nspname, r.relname)"
    " FROM pg_catalog.pg_class c, pg_catalog.pg_class r"
    "  JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace"
    " WHERE c.oid = $1::text::pg_catalog.regclass AND c.relispartition"
    " AND r.oid = pg_catalog.pg_partition_root(c.oid)"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_partition_tree(r.oid) t"
    "  JOIN pg_catalog.pg_class f ON f.oid = t.relid WHERE f.relkind = 'f')";

int
bkp_pg_part_root(
    struct bkp_pg *pg, const char *quoted, char **root, struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = 0;

	if (bkp_pg_query(pg, root_sql, 1, &quoted, &result, err) < 0)
		return -1;
	if (PQntuples(result) == 1 &&
	    (*root = bkp_strdup(PQgetvalue(result, 0, 0), err)) == NULL)
		rc = -1;
	PQclear(result);
	return rc;
}

/* ---- what is there ---- */

int
bkp_pg_part_there(
    struct bkp_pg *pg, struct bkp_pg_there *out, struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = 0;

	if (bkp_pg_query(pg,
		"SELECT n.nspname, c.relname FROM pg_catalog.pg_class c"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE c.relkind IN ('r', 'p', 'm')",
		0, NULL, &result, err) < 0)
		return -1;
	out->names = bkp_alloc_array(
	    (size_t)PQntuples(result) + 1, sizeof(*out->names), err);
	if (out->names == NULL)
		rc = -1;
	for (int i = 0; rc == 0 && i < PQntuples(result); i++) {
		struct fmt_buf path = FMT_BUF_INIT;

		if (bkp_pg_path_table(&path, PQgetvalue(result, i, 0),
			PQgetvalue(result, i, 1)) != FMT_OK ||
		    fmt_buf_text(&path) == NULL)
			rc = bkp_fail_nomem(err, "listing tables");
		else if ((out->names[out->count] = bkp_strdup(
			      (const char *)path.data, err)) == NULL)
			rc = -1;
		else
			out->count++;
		fmt_buf_free(&path);
	}
	PQclear(result);
	if (rc == 0 && out->count > 0)
		qsort(out->names, out->count, sizeof(*out->names),
		    bkp_compare_strings);
	return rc;
}

bool
bkp_pg_there_has(const struct bkp_pg_there *there, const char *name)
{
	return there->count > 0 &&
	       bsearch(&name, there->names, there->count, sizeof(*there->names),
		   bkp_compare_strings) != NULL;
}

void
bkp_pg_there_free(struct bkp_pg_there *there)
{
	for (size_t i = 0; i < there->count; i++)
		free(there->names[i]);
	free(there->names);
	*there = (struct bkp_pg_there){.names = NULL};
}
