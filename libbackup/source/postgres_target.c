/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/postgres_target.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/front.h"
#include "libbackup/postgres/renamed.h"

/* ---- what was chosen ---- */

/* Reads one entry's attributes (a new reference). */
static int
read_attrs(struct bkp_supply *supply, const char *path, json_t **out,
    struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int found;

	if (bkp_supply_entries(supply, path, &stream, err) < 0)
		return -1;
	found = bkp_entry_stream_next(stream, &entry, err);
	bkp_entry_stream_close(stream);
	if (found < 0)
		return -1;
	if (found == 0 || strcmp(entry.path, path) != 0) {
		fmt_entry_free(&entry);
		return bkp_fail(
		    err, BKP_CORRUPT, "the snapshot has no entry %s", path);
	}
	*out = json_incref(entry.attrs);
	fmt_entry_free(&entry);
	return 0;
}

static int
read_facts(struct bkp_supply *supply, struct bkp_pg_target_database *database,
    struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	char *path = bkp_format(err, "%s/database.json", database->path);
	enum fmt_status status;
	int rc = -1;

	if (path == NULL)
		return -1;
	if (bkp_supply_read(supply, path, &text, err) < 0 ||
	    read_attrs(supply, path, &database->versions, err) < 0)
		goto out;
	status =
	    fmt_json_parse((const char *)text.data, text.len, &database->facts);
	rc = status == FMT_OK ? 0 : bkp_fail_format(err, status, "%s", path);
out:
	free(path);
	fmt_buf_free(&text);
	return rc;
}

static int
add_database(struct bkp_pg_target *target, const char *path, const char *name,
    struct bkp_error *err)
{
	struct bkp_pg_target_database *database =
	    &target->databases[target->database_count++];

	name = bkp_pg_real_name(target->config->renamed, name);
	database->path = bkp_strdup(path, err);
	database->name = bkp_strdup(
	    target->options.to != NULL ? target->options.to : name, err);
	return database->path != NULL && database->name != NULL ? 0 : -1;
}

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Whether the selection takes this database in. */
static bool
is_chosen(
    struct bkp_pg_target *target, struct bkp_supply *supply, const char *path)
{
	const char *selection = bkp_supply_selection(supply);
	size_t len = strlen(path);

	if (bkp_supply_is_selected(supply, path))
		return true;
	if (!begins(selection, path) || selection[len] != '/')
		return false;
	if (begins(selection + len, "/data/"))
		target->is_rows = true;
	return target->is_rows || selection[len + 1] == '\0';
}

/* An archive of one database has no roles, nor has what was taken in from it.
 */
static int
look_for_globals(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_error *err)
{
	char *path =
	    bkp_format(err, "%s/globals.sql", bkp_supply_prefix(supply));
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int found = -1;

	if (path != NULL && bkp_supply_entries(supply, path, &stream, err) == 0)
		found = bkp_entry_stream_next(stream, &entry, err);
	if (found == 1)
		found = strcmp(entry.path, path) == 0;
	fmt_entry_free(&entry);
	bkp_entry_stream_close(stream);
	target->has_globals = found != 0 || !bkp_supply_has_whole_list(supply);
	if (!target->has_globals)
		bkp_run_message(bkp_supply_run(supply), BKP_WARNING, path,
		    "is not in the snapshot, so that no roles are made: those "
		    "that own something, or may use it, have to be there, or "
		    "it is restored with --no-owner --no-privileges");
	free(path);
	return found < 0 ? -1 : 0;
}

static int
choose(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_error *err)
{
	const json_t *list =
	    json_object_get(bkp_supply_info(supply), "databases");
	const char *selection = bkp_supply_selection(supply);
	char *globals =
	    bkp_format(err, "%s/globals.sql", bkp_supply_prefix(supply));
	bool is_globals_only;

	if (globals == NULL)
		return -1;
	is_globals_only = strcmp(selection, globals) == 0;
	free(globals);
	target->databases = bkp_alloc_array(
	    json_array_size(list), sizeof(*target->databases), err);
	if (target->databases == NULL)
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *path =
		    json_string_value(json_object_get(item, "path"));
		const char *name =
		    json_string_value(json_object_get(item, "name"));

		if (path == NULL || name == NULL)
			return bkp_fail(err, BKP_CORRUPT,
			    "the snapshot does not name its databases");
		if (is_chosen(target, supply, path) &&
		    add_database(target, path, name, err) < 0)
			return -1;
	}
	/* Nobody has made them there. */
	target->makes_tables = target->is_rows && target->options.is_scratch;
	target->has_globals = (!target->is_rows || target->makes_tables) &&
			      target->config->renamed == NULL &&
			      !(target->options.has_no_owner &&
				  target->options.has_no_privileges);
	if (target->has_globals && look_for_globals(target, supply, err) < 0)
		return -1;
	if (target->database_count == 0 && !is_globals_only &&
	    strcmp(selection, bkp_supply_prefix(supply)) != 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s cannot be restored by itself: restore its database, "
		    "or one table (.../data/<schema>.<table>); backup-cat "
		    "gives the bytes of any entry",
		    selection);
	if (target->options.to != NULL && target->database_count != 1)
		return bkp_fail(err, BKP_INVALID,
		    "another name can be given to one database only, and the "
		    "selection has %zu: choose one by its path",
		    target->database_count);
	return 0;
}

/* ---- check ---- */

static int
check_version(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg *pg, struct bkp_error *err)
{
	const json_t *info = bkp_supply_info(supply);
	int dumped = (int)json_integer_value(
	    json_object_get(info, "server_version_num"));
	const char *version =
	    json_string_value(json_object_get(info, "server_version"));

	if (dumped / 10000 > PQserverVersion(pg->conn) / 10000)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "the backup is of PostgreSQL %s and the server is %s: "
		    "restore into a server of the same or a newer major "
		    "version",
		    version != NULL ? version : "?",
		    PQparameterStatus(pg->conn, "server_version"));
	return bkp_pg_programs_find(
	    target->config->bindir, bkp_pg_major(pg), &target->programs, err);
}

static int
check_privileges(struct bkp_pg *pg, struct bkp_error *err)
{
	char *text = bkp_pg_text(pg,
	    "SELECT rolsuper OR rolcreatedb FROM pg_roles"
	    " WHERE rolname = current_user",
	    err);
	bool is_able;

	if (text == NULL)
		return -1;
	is_able = text[0] == 't';
	free(text);
	if (!is_able)
		return bkp_fail(err, BKP_AUTH,
		    "this role may not create databases: restore as a "
		    "superuser, or ALTER ROLE ... CREATEDB");
	return 0;
}

static int
exists(struct bkp_pg *pg, const char *sql, const char *name, bool *out,
    struct bkp_error *err)
{
	PGresult *result = NULL;

	if (bkp_pg_query(pg, sql, 1, &name, &result, err) < 0)
		return -1;
	*out = PQntuples(result) > 0;
	PQclear(result);
	return 0;
}

/* Which extensions a part needs is seen when it is made. */
static int
check_part(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err)
{
	if (target->database_count != 1)
		return bkp_fail(err, BKP_INVALID,
		    "a part (--only) is of one database, and the selection "
		    "has %zu: choose one by its path",
		    target->database_count);
	if (target->options.settle != NULL && !target->options.is_schema_only &&
	    target->options.settle(target->options.settle_arg, database->path,
		NULL, NULL, err) < 0)
		return -1;
	return bkp_pg_part_choose(target, supply, database, err);
}

static int
check_database(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg *pg, struct bkp_pg_target_database *database,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	bool is_there = false;

	if (read_facts(supply, database, &why) < 0) {
		database->is_lost = true;
		return bkp_supply_lose(supply, err, &why, database->path,
		    "not restored, for what describes it is lost");
	}
	if (exists(pg, "SELECT 1 FROM pg_database WHERE datname = $1",
		database->name, &is_there, err) < 0)
		return -1;
	if (target->makes_tables && !is_there)
		return 0;
	if (target->is_rows && !is_there)
		return bkp_fail(err, BKP_NOTFOUND,
		    "there is no database %s to load rows into: restore the "
		    "whole database, or make it and its tables first",
		    database->name);
	if (target->is_rows &&
	    (target->options.is_swap || target->options.is_schema_only ||
		target->options.only_count > 0))
		return bkp_fail(err, BKP_INVALID,
		    "rows of single tables go into the database that is "
		    "there: --swap, --schema-only and --only are for "
		    "databases as PATH");
	if (target->is_rows)
		return target->options.settle == NULL
			   ? 0
			   : target->options.settle(target->options.settle_arg,
				 database->path, NULL, NULL, err);
	if (is_there && target->options.only_count > 0)
		return bkp_fail(err, BKP_EXISTS,
		    "database %s exists already: restore the part under a "
		    "name of its own (--to)",
		    database->name);
	if (is_there && !target->options.is_overwrite &&
	    !target->options.is_swap)
		return bkp_fail(err, BKP_EXISTS,
		    "database %s exists already: restore it under another "
		    "name (--to), put it in its place and keep the old one "
		    "(--swap), or replace it (--overwrite)",
		    database->name);
	if (is_there && target->options.is_swap &&
	    bkp_pg_swap_check(pg, bkp_supply_run(supply), database, err) < 0)
		return -1;
	return target->options.only_count > 0
		   ? check_part(target, supply, database, err)
		   : 0;
}

/* What the server and the role lack, for all databases before the first of
 * them is made. */
static int
preflight(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg *pg, struct bkp_error *err)
{
	if (target->is_rows && !target->makes_tables)
		return 0;
	if (bkp_pg_target_extensions(target, supply, pg, err) < 0)
		return -1;
	for (size_t i = 0; i < target->database_count; i++)
		if (!target->databases[i].is_lost &&
		    bkp_pg_target_preflight(
			target, supply, pg, &target->databases[i], err) < 0)
			return -1;
	return 0;
}

static int
check(struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	struct bkp_pg_target *target = (struct bkp_pg_target *)base;
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	if (choose(target, supply, err) < 0)
		return -1;
	if (bkp_pg_open_front(
		&pg, target->config, bkp_supply_run(supply), err) < 0)
		return -1;
	if (check_version(target, supply, &pg, err) < 0 ||
	    ((!target->is_rows || target->makes_tables) &&
		check_privileges(&pg, err) < 0) ||
	    bkp_pg_place_tell_leftovers(&pg, bkp_supply_run(supply), err) < 0)
		goto out;
	for (size_t i = 0; i < target->database_count; i++)
		if (check_database(
			target, supply, &pg, &target->databases[i], err) < 0)
			goto out;
	rc = preflight(target, supply, &pg, err);
out:
	bkp_pg_close(&pg);
	return rc;
}

/* ---- run ---- */

static int
restore_roles(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_pg pg = BKP_PG_INIT;
	char *path;
	int rc;

	if (bkp_pg_open_front(
		&pg, target->config, bkp_supply_run(supply), err) < 0)
		return -1;
	rc = bkp_pg_target_roles(target, supply, &pg, &why);
	bkp_pg_close(&pg);
	if (rc == 0)
		return 0;
	path = bkp_format(err, "%s/globals.sql", bkp_supply_prefix(supply));
	if (path == NULL)
		return -1;
	rc = bkp_supply_lose(supply, err, &why, path,
	    "no roles were made; what needs one that the server has not "
	    "cannot be restored");
	free(path);
	return rc;
}

static int
run(struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	struct bkp_pg_target *target = (struct bkp_pg_target *)base;

	if (target->has_globals && restore_roles(target, supply, err) < 0)
		return -1;
	for (size_t i = 0; i < target->database_count; i++) {
		struct bkp_pg_target_database *database = &target->databases[i];
		int rc;

		if (database->is_lost)
			continue;
		rc =
		    target->is_rows && !target->makes_tables
			? bkp_pg_target_load_rows(target, supply, database, err)
			: bkp_pg_target_build(target, supply, database, err);
		if (rc < 0)
			return bkp_fail_in(
			    err, "restoring database %s", database->name);
	}
	return 0;
}

static void
close_target(struct bkp_target *base)
{
	struct bkp_pg_target *target = (struct bkp_pg_target *)base;

	for (size_t i = 0; i < target->database_count; i++) {
		struct bkp_pg_target_database *database = &target->databases[i];

		free(database->path);
		free(database->name);
		free(database->temporary);
		json_decref(database->facts);
		json_decref(database->versions);
		if (database->choice != NULL)
			bkp_pg_choice_free(database->choice);
		free(database->choice);
	}
	free(target->databases);
	bkp_pg_programs_free(&target->programs);
	free(target);
}

static const struct bkp_target_ops target_ops = {
    .kind = "postgres", .check = check, .run = run, .close = close_target};

int
bkp_pg_target_open(const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_target **out,
    struct bkp_error *err)
{
	struct bkp_pg_target *target = bkp_alloc(sizeof(*target), err);

	if (target == NULL)
		return -1;
	target->base.ops = &target_ops;
	target->config = &config->postgres;
	target->options = *options;
	*out = &target->base;
	return 0;
}
