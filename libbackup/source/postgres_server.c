/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server that is there already as a scratch place: databases are made on it
 * under names of this run, looked at, and dropped. Others work on it, so what
 * is theirs, roles for one, is neither made nor changed; and the server that
 * the backup is of is refused.
 */
#include "libbackup/source/postgres_server.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/drop.h"
#include "libbackup/postgres/front.h"
#include "libbackup/postgres/identity.h"
#include "libbackup/postgres/names.h"
#include "libbackup/postgres/renamed.h"
#include "libbackup/source/postgres_scratch.h"
#include "libbackup/source/postgres_target.h"

struct server {
	struct bkp_scratch base;
	struct bkp_run *run;
	struct bkp_pg_renamed renamed;
};

/* ---- afterwards ---- */

static void
drop(struct server *server, struct bkp_pg *pg, const char *name)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_pg_drop_restored(pg, &server->base.place.postgres, name, &why) <
	    0)
		bkp_run_message(server->run, BKP_WARNING, NULL,
		    "the scratch database is still there: %s. Remove it: DROP "
		    "DATABASE \"%s\"",
		    why.message, name);
}

/* Also when the run was cancelled: so without it. */
static void
close_server(struct bkp_scratch *base)
{
	struct server *server = (struct server *)base;
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_pg pg = BKP_PG_INIT;
	bool is_there =
	    server->renamed.count == 0 ||
	    bkp_pg_open_front(&pg, &base->place.postgres, NULL, &why) == 0;

	for (size_t i = 0; i < server->renamed.count; i++)
		if (is_there)
			drop(server, &pg, server->renamed.real[i]);
		else
			bkp_run_message(server->run, BKP_WARNING, NULL,
			    "the scratch database may still be there: %s. "
			    "Remove it: DROP DATABASE \"%s\"",
			    why.message, server->renamed.real[i]);
	bkp_pg_close(&pg);
	bkp_pg_renamed_free(&server->renamed);
	bkp_source_config_free(&base->place);
	free(server);
}

/* ---- which server it is ---- */

static int
refuse_source(struct bkp_pg *pg, const json_t *info, struct bkp_error *err)
{
	const char *recorded =
	    json_string_value(json_object_get(info, "system_identifier"));
	char *identity = NULL;
	int rc = -1;

	if (bkp_pg_identity(pg, &identity, err) < 0)
		return -1;
	if (identity == NULL || recorded == NULL)
		(void)bkp_fail(err, BKP_INVALID,
		    "nobody can tell whether this is the server that the "
		    "backup is of, for %s: where it is not, or is to be used "
		    "all the same, --allow-source-server says so",
		    recorded == NULL ? "the snapshot does not name it"
				     : "this one does not tell who it is");
	else if (strcmp(identity, recorded) == 0)
		(void)bkp_fail(err, BKP_INVALID,
		    "this is the server that the backup is of, or a copy of "
		    "it (system identifier %s): a drill could fill its disk. "
		    "Name another one, or leave --server out to have one made",
		    identity);
	else
		rc = 0;
	free(identity);
	return rc;
}

/* ---- what it has ---- */

static int
check_version(struct bkp_pg *pg, const json_t *info, struct bkp_error *err)
{
	json_int_t dumped =
	    json_integer_value(json_object_get(info, "server_version_num"));

	if (dumped / 10000 <= PQserverVersion(pg->conn) / 10000)
		return 0;
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "the backup is of PostgreSQL %lld, and it is %s: name one of the "
	    "same or a newer major version",
	    (long long)(dumped / 10000),
	    PQparameterStatus(pg->conn, "server_version"));
}

static int
check_privilege(struct bkp_pg *pg, struct bkp_error *err)
{
	char *text = bkp_pg_text(pg,
	    "SELECT rolsuper FROM pg_catalog.pg_roles"
	    " WHERE rolname = current_user",
	    err);
	bool is_able;

	if (text == NULL)
		return -1;
	is_able = text[0] == 't';
	free(text);
	return is_able
		   ? 0
		   : bkp_fail(err, BKP_AUTH,
			 "a drill gives everything its owner, which takes a "
			 "superuser: connect as one");
}

static int
check(
    struct bkp_scratch *base, struct bkp_supply *supply, struct bkp_error *err)
{
	struct server *server = (struct server *)base;
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	if (bkp_pg_open_front(&pg, &base->place.postgres, server->run, err) ==
		0 &&
	    check_version(&pg, bkp_supply_info(supply), err) == 0 &&
	    check_privilege(&pg, err) == 0)
		rc = bkp_pg_target_roles_check(supply, &pg, err);
	bkp_pg_close(&pg);
	return rc < 0 ? bkp_fail_in(err, "the server for scratch databases")
		      : 0;
}

static const struct bkp_scratch_ops server_ops = {
    .check = check, .close = close_server};

/* ---- the place ---- */

static int
name_databases(struct server *server, const json_t *info, struct bkp_error *err)
{
	const json_t *list = json_object_get(info, "databases");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(
		    json_object_get(json_array_get(list, i), "name"));

		if (name == NULL)
			return bkp_fail(err, BKP_CORRUPT,
			    "the snapshot does not name its databases");
		if (bkp_pg_renamed_add(&server->renamed, name, err) < 0)
			return -1;
	}
	server->base.place.postgres.renamed = &server->renamed;
	return 0;
}

/* Command lines and configurations are read by more than their owners. */
static int
refuse_password(const char *conninfo, struct bkp_error *err)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	bool has_one = false;

	if (options == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "that is no connection string of libpq: such as "
		    "'host=drill.example.org user=postgres'");
	for (size_t i = 0; options[i].keyword != NULL; i++)
		if (strcmp(options[i].keyword, "password") == 0)
			has_one = options[i].val != NULL;
	PQconninfoFree(options);
	return has_one ? bkp_fail(err, BKP_INVALID,
			     "a password does not belong there, where "
			     "programs show it: PGPASSFILE or a service have "
			     "one")
		       : 0;
}

static int
look(struct server *server, const json_t *info, bool may_be_source,
    struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = 0;

	if (bkp_pg_open_front(
		&pg, &server->base.place.postgres, server->run, err) < 0)
		return -1;
	if (!may_be_source)
		rc = refuse_source(&pg, info, err);
	bkp_pg_close(&pg);
	return rc;
}

int
bkp_pg_server_open(const struct bkp_source_config *config, const json_t *info,
    const char *conninfo, bool may_be_source, struct bkp_run *run,
    struct bkp_scratch **out, struct bkp_error *err)
{
	struct server *server = bkp_alloc(sizeof(*server), err);

	if (server == NULL)
		return -1;
	server->base.ops = &server_ops;
	server->run = run;
	if (refuse_password(conninfo, err) < 0 ||
	    bkp_pg_scratch_place(&server->base.place, config,
		bkp_strdup(conninfo, err), err) < 0 ||
	    look(server, info, may_be_source, err) < 0 ||
	    name_databases(server, info, err) < 0) {
		/* Nothing has been made there. */
		bkp_pg_renamed_free(&server->renamed);
		close_server(&server->base);
		return bkp_fail_in(err, "the server for scratch databases");
	}
	*out = &server->base;
	return 0;
}
