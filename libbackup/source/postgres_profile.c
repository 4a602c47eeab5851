/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring as a role that is no superuser, as on servers that others run:
 * who owns what, and what such a role will not be able to put back, told
 * before anything is touched.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/postgres/restore.h"
#include "libbackup/source/postgres_target.h"

int
bkp_pg_target_connect(const struct bkp_pg_target *target, const char *database,
    struct bkp_run *run, struct bkp_pg *pg, struct bkp_error *err)
{
	if (bkp_pg_open(pg, target->config, database, run, err) < 0)
		return -1;
	if (target->options.role == NULL ||
	    bkp_pg_run(pg, err, "SET ROLE %I", target->options.role) == 0)
		return 0;
	bkp_pg_close(pg);
	return -1;
}

const char *
bkp_pg_target_owner(const struct bkp_pg_target *target, const struct bkp_pg *pg,
    const char *owner)
{
	if (target->options.role != NULL)
		return target->options.role;
	return target->options.has_no_owner ? PQuser(pg->conn) : owner;
}

/* ---- preflight ---- */

struct preflight {
	const struct bkp_pg_target *target;
	const struct bkp_pg_target_database *database;
	struct bkp_pg *pg;
	struct bkp_run *run;
	char **owners; /* owned: looked at */
	size_t owner_count, owner_cap;
	size_t owned, kept; /* problems: of owners; kept for superusers */
};

static void
tell(struct preflight *preflight, const char *what, size_t len, const char *why)
{
	bkp_run_message(preflight->run, BKP_WARNING, preflight->database->path,
	    "%.*s: %s", (int)len, what, why);
}

static bool
is_known(const struct preflight *preflight, const char *owner)
{
	for (size_t i = 0; i < preflight->owner_count; i++)
		if (strcmp(preflight->owners[i], owner) == 0)
			return true;
	return false;
}

/* Only a member of a role gives things to it. */
static int
look_at_owner(
    struct preflight *preflight, const char *owner, struct bkp_error *err)
{
	PGresult *result = NULL;
	const char *why = NULL;

	if (bkp_pg_query(preflight->pg,
		"SELECT pg_catalog.pg_has_role(oid, 'MEMBER')"
		" FROM pg_catalog.pg_roles WHERE rolname = $1",
		1, &owner, &result, err) < 0)
		return -1;
	if (PQntuples(result) == 0)
		why = "owns things in it, and the server has no such role";
	else if (PQgetvalue(result, 0, 0)[0] != 't')
		why = "owns things in it, and this role is not a member of it";
	PQclear(result);
	if (why != NULL) {
		tell(preflight, owner, strlen(owner), why);
		preflight->owned++;
	}
	return 0;
}

/* Each once. */
static int
take_owner(struct preflight *preflight, const char *text, size_t len,
    struct bkp_error *err)
{
	char *owner = bkp_format(err, "%.*s", (int)len, text);

	if (owner == NULL)
		return -1;
	if (len == 0 || is_known(preflight, owner)) {
		free(owner);
		return 0;
	}
	if (bkp_grow(&preflight->owners, preflight->owner_count,
		&preflight->owner_cap, sizeof(*preflight->owners), err) < 0) {
		free(owner);
		return -1;
	}
	preflight->owners[preflight->owner_count++] = owner;
	return look_at_owner(preflight, owner, err);
}

static int
look_at_line(void *arg, const char *line, size_t len, struct bkp_error *err)
{
	struct preflight *preflight = arg;
	enum bkp_pg_need need = bkp_pg_need_of(line, len);
	size_t name_len, owner_len;
	const char *name = bkp_pg_line_name(line, len, &name_len);
	const char *owner = bkp_pg_line_owner(line, len, &owner_len);

	if (preflight->database->choice != NULL &&
	    !bkp_pg_choice_has(preflight->database->choice, line, len))
		return 0;
	if (need != BKP_PG_NEED_NONE) {
		tell(preflight, name, name_len,
		    need == BKP_PG_NEED_LEAF
			? "most servers keep this for superusers; it is left "
			  "out where that is refused"
			: "most servers keep this for superusers, and others "
			  "need it: where it is refused the restore fails");
		preflight->kept++;
	}
	if (preflight->target->options.has_no_owner)
		return 0;
	return take_owner(preflight, owner, owner_len, err);
}

/* Those that the role may not create by the book; servers of providers let
 * roles of theirs. */
static int
look_at_extensions(struct preflight *preflight, struct bkp_error *err)
{
	const json_t *list =
	    json_object_get(preflight->database->facts, "extensions");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		PGresult *result = NULL;

		if (name == NULL || strcmp(name, "plpgsql") == 0)
			continue;
		if (bkp_pg_query(preflight->pg,
			"SELECT 1 FROM pg_catalog.pg_available_extensions e"
			" JOIN pg_catalog.pg_available_extension_versions v"
			" ON v.name = e.name AND v.version = e.default_version"
			" WHERE e.name = $1 AND v.superuser"
			" AND NOT COALESCE((pg_catalog.to_jsonb(v)"
			" ->> 'trusted')::bool, false)",
			1, &name, &result, err) < 0)
			return -1;
		if (PQntuples(result) > 0) {
			tell(preflight, name, strlen(name),
			    "an extension that by the book only a superuser "
			    "creates: where it is refused the restore fails");
			preflight->kept++;
		}
		PQclear(result);
	}
	return 0;
}

static int
look_at_schema(struct preflight *preflight, struct bkp_supply *supply,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	struct bkp_memfile archive = BKP_MEMFILE_INIT;
	struct bkp_pg_restore what = {
	    .program = preflight->target->programs.restore,
	    .config = preflight->target->config};
	int rc = 0;

	/* Where it is lost, that is told when it is to be made. */
	if (bkp_pg_target_archive(
		supply, preflight->database, &archive, &why) == 0) {
		what.archive = archive.path;
		rc = bkp_pg_restore_list(
		    &what, preflight->run, look_at_line, preflight, err);
	} else if (why.code != BKP_CORRUPT) {
		if (err != NULL)
			*err = why;
		rc = -1;
	}
	bkp_memfile_close(&archive);
	return rc;
}

static int
refuse(const struct preflight *preflight, struct bkp_error *err)
{
	const struct bkp_target_options *options = &preflight->target->options;
	bool is_kept = preflight->kept > 0 && !options->may_skip;

	if (preflight->owned == 0 && !is_kept)
		return 0;
	return bkp_fail(err, BKP_AUTH,
	    "this role is no superuser, and database %s has what was named. "
	    "Nothing was touched. Restore as a superuser, or with%s%s%s",
	    preflight->database->name,
	    preflight->owned > 0
		? " --no-owner (or --role ROLE) and --no-privileges"
		: "",
	    preflight->owned > 0 && is_kept ? " and" : "",
	    is_kept ? " --skip-refused" : "");
}

static int
is_superuser(struct bkp_pg *pg, bool *out, struct bkp_error *err)
{
	char *text = bkp_pg_text(pg,
	    "SELECT rolsuper FROM pg_catalog.pg_roles"
	    " WHERE rolname = current_user",
	    err);

	if (text == NULL)
		return -1;
	*out = text[0] == 't';
	free(text);
	return 0;
}

/* In another version than it was. */
static int
tell_versions(struct preflight *preflight, struct bkp_error *err)
{
	json_t *versions = json_object_get(
	    preflight->database->versions, "extension_versions");
	const char *name;
	json_t *then;

	json_object_foreach(versions, name, then)
	{
		PGresult *result = NULL;
		const char *was = json_string_value(then);

		if (was == NULL)
			continue;
		if (bkp_pg_query(preflight->pg,
			"SELECT default_version"
			" FROM pg_catalog.pg_available_extensions"
			" WHERE name = $1",
			1, &name, &result, err) < 0)
			return -1;
		if (PQntuples(result) > 0 &&
		    strcmp(PQgetvalue(result, 0, 0), was) != 0)
			bkp_run_message(preflight->run, BKP_WARNING,
			    preflight->database->path,
			    "extension %s will be version %s and was %s", name,
			    PQgetvalue(result, 0, 0), was);
		PQclear(result);
	}
	return 0;
}

int
bkp_pg_target_preflight(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg *pg, const struct bkp_pg_target_database *database,
    struct bkp_error *err)
{
	struct preflight preflight = {.target = target,
	    .database = database,
	    .pg = pg,
	    .run = bkp_supply_run(supply)};
	bool is_able = false;
	int rc = -1;

	if (target->options.is_scratch)
		return 0;
	if ((database->choice == NULL && tell_versions(&preflight, err) < 0) ||
	    bkp_pg_target_collations(supply, pg, database, err) < 0 ||
	    is_superuser(pg, &is_able, err) < 0)
		goto out;
	if (is_able) {
		rc = 0;
		goto out;
	}
	if ((database->choice != NULL ||
		look_at_extensions(&preflight, err) == 0) &&
	    look_at_schema(&preflight, supply, err) == 0)
		rc = refuse(&preflight, err);
out:
	for (size_t i = 0; i < preflight.owner_count; i++)
		free(preflight.owners[i]);
	free(preflight.owners);
	return rc;
}
