/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PostgreSQL server as entries: which databases, and run, which copies one
 * after another, each with every worker.
 */
#include "libbackup/source/postgres_source.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/definitions.h"
#include "libbackup/postgres/front.h"
#include "libbackup/postgres/identity.h"
#include "libbackup/postgres/names.h"
#include "libbackup/postgres/renamed.h"
#include "libbackup/source/postgres_incremental.h"

/* ---- which databases ---- */

static int
add_database(
    struct bkp_pg_source *source, const char *name, struct bkp_error *err)
{
	struct bkp_pg_source_database *database =
	    &source->databases[source->database_count];
	struct fmt_buf path = FMT_BUF_INIT;
	int rc = -1;

	*database =
	    (struct bkp_pg_source_database){.holder = BKP_PG_HOLDER_INIT};
	if (fmt_buf_printf(&path, "%s/", source->base.prefix) != FMT_OK ||
	    bkp_pg_path_database(&path, name) != FMT_OK ||
	    fmt_buf_text(&path) == NULL) {
		(void)bkp_fail_nomem(err, "listing databases");
		goto out;
	}
	database->path = bkp_strdup((const char *)path.data, err);
	database->holder.database = bkp_strdup(name, err);
	if (database->path == NULL || database->holder.database == NULL) {
		free(database->path);
		free(database->holder.database);
		goto out;
	}
	source->database_count++;
	rc = 0;
out:
	fmt_buf_free(&path);
	return rc;
}

/* As if a slash followed: the entries of "a-b" come before those of "a". */
static int
compare_paths(const char *a, const char *b)
{
	size_t i = 0;

	while (a[i] != '\0' && a[i] == b[i])
		i++;
	return (a[i] != '\0' ? (unsigned char)a[i] : '/') -
	       (b[i] != '\0' ? (unsigned char)b[i] : '/');
}

static int
compare_databases(const void *a, const void *b)
{
	const struct bkp_pg_source_database *x = a, *y = b;

	return compare_paths(x->path, y->path);
}

static int
list_all(struct bkp_pg_source *source, struct bkp_pg *pg, struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = -1;

	if (bkp_pg_query(pg,
		"SELECT datname FROM pg_database"
		" WHERE datallowconn AND NOT datistemplate"
		" AND datconnlimit <> -2 ORDER BY 1",
		0, NULL, &result, err) < 0)
		return -1;
	source->databases = bkp_alloc_array(
	    (size_t)PQntuples(result), sizeof(*source->databases), err);
	if (source->databases == NULL)
		goto out;
	for (int i = 0; i < PQntuples(result); i++) {
		const char *name = bkp_pg_recorded_name(
		    source->config->renamed, PQgetvalue(result, i, 0));

		if (name != NULL && add_database(source, name, err) < 0)
			goto out;
	}
	rc = 0;
out:
	PQclear(result);
	return rc;
}

static int
list_named(
    struct bkp_pg_source *source, struct bkp_pg *pg, struct bkp_error *err)
{
	const struct bkp_strings *names = &source->config->databases;

	source->databases =
	    bkp_alloc_array(names->count + 1, sizeof(*source->databases), err);
	if (source->databases == NULL)
		return -1;
	if (names->count == 0)
		return add_database(source, PQdb(pg->conn), err);
	for (size_t i = 0; i < names->count; i++) {
		for (size_t k = 0; k < i; k++)
			if (strcmp(names->items[i], names->items[k]) == 0)
				return bkp_fail(err, BKP_INVALID,
				    "database %s is listed twice",
				    names->items[i]);
		if (add_database(source, names->items[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- prepare ---- */

/* By which a restore for a drill knows that it is about to write into the
 * server that the backup is of. */
static int
note_identity(
    struct bkp_pg_source *source, struct bkp_pg *pg, struct bkp_error *err)
{
	char *identity = NULL;
	int rc = 0;

	if (bkp_pg_identity(pg, &identity, err) < 0)
		return -1;
	if (identity != NULL &&
	    json_object_set_new(
		source->info, "system_identifier", json_string(identity)) < 0)
		rc = bkp_fail_nomem(err, "describing the server");
	free(identity);
	return rc;
}

static int
look_at_server(
    struct bkp_pg_source *source, struct bkp_pg *pg, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT has_table_privilege('pg_authid', 'SELECT'),"
	    " (SELECT rolname FROM pg_roles WHERE oid = 10),"
	    " pg_is_in_recovery(), current_setting('server_version')";
	PGresult *result = NULL;
	int rc = -1;

	if (bkp_pg_query(pg, sql, 0, NULL, &result, err) < 0)
		return -1;
	source->has_passwords = PQgetvalue(result, 0, 0)[0] == 't';
	source->info = json_pack("{s:s, s:i, s:s, s:b, s:b, s:[]}",
	    "server_version", PQgetvalue(result, 0, 3), "server_version_num",
	    PQserverVersion(pg->conn), "bootstrap_superuser",
	    PQgetvalue(result, 0, 1), "is_standby",
	    PQgetvalue(result, 0, 2)[0] == 't', "has_role_passwords",
	    source->has_passwords, "databases");
	source->front = bkp_strdup(PQdb(pg->conn), err);
	if (source->info == NULL)
		(void)bkp_fail_nomem(err, "describing the server");
	else if (source->front != NULL)
		rc = note_identity(source, pg, err);
	PQclear(result);
	return rc;
}

/* Which database of a list is asked for globals is of no matter. */
static const char *
front_database(const struct bkp_postgres_config *config)
{
	return config->databases.count > 0 ? config->databases.items[0] : NULL;
}

static int
prepare(struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	struct bkp_pg_source *source = (struct bkp_pg_source *)base;
	struct bkp_run *run = bkp_sink_run(sink);
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	if (source->config->all_databases
		? bkp_pg_open_front(&pg, source->config, run, err) < 0
		: bkp_pg_open(&pg, source->config,
		      front_database(source->config), run, err) < 0)
		return -1;
	if (look_at_server(source, &pg, err) < 0 ||
	    bkp_pg_programs_find(source->config->bindir, bkp_pg_major(&pg),
		&source->programs, err) < 0 ||
	    (source->config->all_databases ? list_all(source, &pg, err)
					   : list_named(source, &pg, err)) < 0)
		goto out;
	if (source->database_count > 0)
		qsort(source->databases, source->database_count,
		    sizeof(*source->databases), compare_databases);
	if (source->config->is_incremental && !bkp_sink_is_digest_only(sink) &&
	    bkp_pg_incremental_mark(source, &pg, err) < 0)
		goto out;
	rc = bkp_pg_source_moments(source, &pg, run, err);
out:
	bkp_pg_close(&pg);
	return rc;
}

/* ---- run ---- */

static int
tell_skipped(const struct bkp_pg_source_database *database, struct bkp_run *run,
    struct bkp_error *err)
{
	const struct bkp_pg_catalogue *catalogue = &database->holder.catalogue;

	for (size_t i = 0; i < catalogue->skipped_count; i++) {
		const struct bkp_pg_skipped *skipped = &catalogue->skipped[i];
		char *path = bkp_format(
		    err, "%s/data/%s", database->path, skipped->path);
		int rc;

		if (path == NULL)
			return -1;
		rc = bkp_run_omit(run, err, path, "%s", skipped->reason);
		free(path);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int
check_labels(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_error *err)
{
	char *name = NULL;
	int rc = bkp_pg_labels_renamed(
	    &database->holder, source->config, &name, err);

	if (rc == 0 && name != NULL)
		rc = bkp_fail(err, BKP_RETRY,
		    "the %s of an enum got another name while rows were read; "
		    "try again",
		    name);
	free(name);
	return rc;
}

static int
run_database(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err)
{
	/* A comparison finds left out what the backup told already. */
	if ((!bkp_sink_is_digest_only(sink) &&
		tell_skipped(database, bkp_sink_run(sink), err) < 0) ||
	    bkp_pg_source_catalogue(source, database, sink, err) < 0 ||
	    bkp_pg_source_tables(source, database, sink, err) < 0 ||
	    bkp_pg_source_facts(source, database, sink, err) < 0 ||
	    bkp_pg_source_largeobjects(source, database, sink, err) < 0 ||
	    bkp_pg_source_schema(source, database, sink, err) < 0 ||
	    bkp_pg_source_sequences(database, sink, err) < 0 ||
	    check_labels(source, database, err) < 0 ||
	    bkp_pg_holder_finish(&database->holder, err) < 0) {
		bkp_pg_holder_explain(&database->holder, source->config, err);
		return bkp_fail_in(
		    err, "database %s", database->holder.database);
	}
	/* The snapshot holds back vacuum: let go of it at once. */
	bkp_pg_close(&database->holder.pg);
	return 0;
}

static int
run(struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	struct bkp_pg_source *source = (struct bkp_pg_source *)base;
	char *globals = bkp_format(err, "%s/globals.sql", base->prefix);
	bool has_globals = false;
	int rc = -1;

	if (globals == NULL)
		return -1;
	if (bkp_pg_incremental_begin(source, bkp_sink_run(sink), err) < 0)
		goto out;
	for (size_t i = 0; i <= source->database_count; i++) {
		bool is_last = i == source->database_count;

		/* A server of others has roles of its own. */
		if (!has_globals && source->config->renamed == NULL &&
		    (is_last || compare_paths(
				    globals, source->databases[i].path) < 0)) {
			if (bkp_pg_source_globals(source, sink, err) < 0)
				goto out;
			has_globals = true;
		}
		if (!is_last &&
		    run_database(source, &source->databases[i], sink, err) < 0)
			goto out;
	}
	rc = 0;
out:
	free(globals);
	return rc;
}

static int
info(struct bkp_source *base, json_t **out, struct bkp_error *err)
{
	struct bkp_pg_source *source = (struct bkp_pg_source *)base;

	if (bkp_pg_incremental_sum(source, err) < 0)
		return -1;
	*out = json_incref(source->info);
	return 0;
}

static void
close_source(struct bkp_source *base)
{
	struct bkp_pg_source *source = (struct bkp_pg_source *)base;

	for (size_t i = 0; i < source->database_count; i++) {
		bkp_pg_holder_close(&source->databases[i].holder);
		bkp_packed_free(source->databases[i].archive);
		free(source->databases[i].path);
	}
	free(source->databases);
	free(source->front);
	free(source->wal_problem);
	fmt_buf_free(&source->globals);
	fmt_buf_free(&source->tablespaces);
	bkp_pg_programs_free(&source->programs);
	json_decref(source->info);
	free(source);
}

static struct bkp_pg *
session(struct bkp_source *base, const char *path)
{
	struct bkp_pg_source *source = (struct bkp_pg_source *)base;

	for (size_t i = 0; i < source->database_count; i++)
		if (strcmp(source->databases[i].path, path) == 0)
			return &source->databases[i].holder.pg;
	return NULL;
}

static int
keep(struct bkp_source *base, struct bkp_error *err)
{
	struct bkp_pg_source *source = (struct bkp_pg_source *)base;

	for (size_t i = 0; i < source->database_count; i++) {
		struct bkp_pg_holder *holder = &source->databases[i].holder;

		if (bkp_pg_holder_ping(holder, err) < 0) {
			bkp_pg_holder_explain(holder, source->config, err);
			return bkp_fail_in(
			    err, "database %s", holder->database);
		}
	}
	return 0;
}

static const struct bkp_source_ops source_ops = {.kind = "postgres",
    .prepare = prepare,
    .run = run,
    .info = info,
    .close = close_source,
    .session = session,
    .plan = bkp_pg_source_plan,
    .keep = keep};

int
bkp_pg_source_open(const struct bkp_source_config *config,
    struct bkp_source **out, struct bkp_error *err)
{
	struct bkp_pg_source *source = bkp_alloc(sizeof(*source), err);

	if (source == NULL)
		return -1;
	source->base.ops = &source_ops;
	source->base.prefix = config->prefix;
	source->config = &config->postgres;
	source->globals = (struct fmt_buf)FMT_BUF_SECRET_INIT;
	source->tablespaces = (struct fmt_buf)FMT_BUF_INIT;
	*out = &source->base;
	return 0;
}
