/* SPDX-License-Identifier: Apache-2.0 */
/* What is set when the rows are in: sequences, views, privileges, settings. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/postgres/sqltext.h"
#include "libbackup/source/postgres_target.h"

/* ---- sequences ---- */

/* "setval('s', 7, true);" of a sequence that is there, or that an extension
 * has; of any other one nothing. */
static char *
where_there(const char *what, const char *end, bool only_of_extensions,
    struct bkp_error *err)
{
	const char *values = end;

	for (int commas = 0; values > what && commas < 2;)
		commas += *--values == ',' ? 1 : 0;
	return bkp_format(err,
	    only_of_extensions
		? "SELECT pg_catalog.setval((SELECT "
		  "d.objid::pg_catalog.regclass"
		  " FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'"
		  " AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
		  " AND d.objid = pg_catalog.to_regclass(%.*s))%.*s"
		: "SELECT pg_catalog.setval(pg_catalog.to_regclass(%.*s)%.*s",
	    (int)(values - what), what, (int)(end - values), values);
}

static int
set_sequence(const struct bkp_pg_target *target,
    const struct bkp_pg_target_database *database, struct bkp_pg *pg,
    const struct bkp_sql_statement *s, struct bkp_error *err)
{
	bool is_schema_only = target->options.is_schema_only;
	const char *what;
	char *sql;
	int rc;

	if (!bkp_sql_begins(s, "SELECT pg_catalog.setval(", &what))
		return bkp_fail(err, BKP_CORRUPT,
		    "sequences.sql holds something else than setval");
	sql = is_schema_only || database->choice != NULL
		  ? where_there(what, s->text + s->len, is_schema_only, err)
		  : bkp_format(err, "%.*s", (int)s->len, s->text);
	if (sql == NULL)
		return -1;
	rc = bkp_pg_statement(pg, sql, err);
	free(sql);
	return rc;
}

int
bkp_pg_target_sequences(const struct bkp_pg_target *target, struct bkp_pg *pg,
    struct bkp_supply *supply, const struct bkp_pg_target_database *database,
    struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	char *path = bkp_format(err, "%s/sequences.sql", database->path);
	struct bkp_sql_statement s;
	struct bkp_error why = BKP_ERROR_INIT;
	const char *at, *end;
	int rc = -1;

	if (path == NULL)
		return -1;
	if (bkp_supply_read(supply, path, &text, &why) < 0) {
		rc = bkp_supply_lose(supply, err, &why, path,
		    "sequences begin anew; set them before the database is "
		    "used");
		goto out;
	}
	if ((at = fmt_buf_text(&text)) == NULL) {
		(void)bkp_fail_nomem(err, "setting sequences");
		goto out;
	}
	end = at + text.len;
	if (bkp_pg_do(pg, "BEGIN", err) < 0)
		goto out;
	while (bkp_sql_next(&at, end, &s))
		if (set_sequence(target, database, pg, &s, err) < 0)
			goto out;
	rc = bkp_pg_do(pg, "COMMIT", err);
out:
	if (rc < 0)
		(void)bkp_fail_in(err, "setting sequences");
	fmt_buf_free(&text);
	free(path);
	return rc;
}

/* ---- materialised views ---- */

static int
refresh(struct bkp_pg *pg, const json_t *view, struct bkp_error *err)
{
	const char *schema = json_string_value(json_object_get(view, "schema"));
	const char *name = json_string_value(json_object_get(view, "name"));

	if (schema == NULL || name == NULL)
		return bkp_fail(err, BKP_CORRUPT,
		    "database.json names a materialised view badly");
	if (bkp_pg_run(
		pg, err, "REFRESH MATERIALIZED VIEW %I.%I", schema, name) < 0)
		return bkp_fail_in(
		    err, "materialised view %s.%s", schema, name);
	return bkp_pg_run(pg, err, "ANALYZE %I.%I", schema, name);
}

/* Of a part only those that are there are to be filled. */
static int
pass_over(struct bkp_pg *pg, const json_t *views, bool *is_done,
    struct bkp_error *err)
{
	struct bkp_pg_there there = {.names = NULL};
	int rc = bkp_pg_part_there(pg, &there, err);

	for (size_t i = 0; rc == 0 && i < json_array_size(views); i++) {
		const json_t *view = json_array_get(views, i);
		const char *schema =
		    json_string_value(json_object_get(view, "schema"));
		const char *name =
		    json_string_value(json_object_get(view, "name"));
		struct fmt_buf path = FMT_BUF_INIT;

		if (schema == NULL || name == NULL)
			continue; /* which is told when it is filled */
		if (bkp_pg_path_table(&path, schema, name) != FMT_OK ||
		    fmt_buf_text(&path) == NULL)
			rc = bkp_fail_nomem(err, "listing views");
		else
			is_done[i] =
			    !bkp_pg_there_has(&there, (const char *)path.data);
		fmt_buf_free(&path);
	}
	bkp_pg_there_free(&there);
	return rc;
}

/* The views of a database, while they are being filled. */
struct views {
	struct bkp_pg *pg;
	struct bkp_run *run;
	const char *path; /* of the database */
	const json_t *list;
	bool *is_done;     /* owned: or given up */
	bool has_given_up; /* one of them */
	bool is_closing;   /* and all that read one of those now, too */
	size_t left, done; /* in this pass */
};

/* It stays as it is, without rows, and is named. */
static int
give_up(struct views *views, size_t i, const struct bkp_error *why,
    struct bkp_error *err)
{
	views->is_done[i] = views->has_given_up = true;
	views->done++;
	return bkp_run_omit(views->run, err, views->path,
	    "made without its rows: %s. REFRESH MATERIALIZED VIEW fills it "
	    "when its rows can be had",
	    why->message);
}

/* True where a view cannot be filled for another server does not answer, which
 * is no reason to have no database; and in the end of one that reads such a
 * view, which is 55000. */
static bool
is_cut_off(const struct views *views)
{
	return bkp_pg_is_elsewhere(views->pg) ||
	       (views->is_closing && strcmp(views->pg->state, "55000") == 0);
}

/* One pass over the views that are still to be filled; *failure is the last
 * reason. Only a cancel is an error. */
static int
refresh_pass(
    struct views *views, struct bkp_error *failure, struct bkp_error *err)
{
	views->left = views->done = 0;
	for (size_t i = 0; i < json_array_size(views->list); i++) {
		const json_t *view = json_array_get(views->list, i);

		if (views->is_done[i] ||
		    !json_is_true(json_object_get(view, "populated")))
			continue;
		if (refresh(views->pg, view, failure) == 0) {
			views->is_done[i] = true;
			views->done++;
		} else if (failure->code == BKP_CANCELLED) {
			if (err != NULL)
				*err = *failure;
			return -1;
		} else if (!is_cut_off(views)) {
			views->left++;
		} else if (give_up(views, i, failure, err) < 0) {
			return -1;
		}
	}
	return 0;
}

/*
 * A view on another one can be filled only after that, so: again and again
 * while one more succeeds. Where all that is left fails, once with the search
 * path of the database, for a function that was written for it; and then
 * without those that wait for one that was given up.
 */
static int
fill(struct views *views, struct bkp_error *err)
{
	struct bkp_error failure = BKP_ERROR_INIT;
	bool has_path = false;

	for (;;) {
		if (refresh_pass(views, &failure, err) < 0)
			return -1;
		if (views->left == 0)
			return has_path ? bkp_pg_do(views->pg,
					      "SET search_path TO ''", err)
					: 0;
		if (views->done > 0)
			continue;
		if (has_path && (views->is_closing || !views->has_given_up))
			break;
		if (has_path) {
			views->is_closing = true;
			continue;
		}
		bkp_run_message(views->run, BKP_WARNING, views->path,
		    "%s; trying with search_path public", failure.message);
		has_path = true;
		if (bkp_pg_do(
			views->pg, "SET search_path TO public", &failure) < 0)
			break;
	}
	if (err != NULL)
		*err = failure;
	return -1;
}

int
bkp_pg_target_views(struct bkp_pg *pg, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, struct bkp_error *err)
{
	struct views views = {.pg = pg,
	    .run = bkp_supply_run(supply),
	    .path = database->path,
	    .list = json_object_get(database->facts, "materialized_views")};
	int rc = 0;

	views.is_done = bkp_alloc_array(
	    json_array_size(views.list), sizeof(*views.is_done), err);
	if (views.is_done == NULL)
		return -1;
	if (database->choice != NULL)
		rc = pass_over(pg, views.list, views.is_done, err);
	if (rc == 0)
		rc = fill(&views, err);
	free(views.is_done);
	return rc;
}

/* ---- privileges ---- */

/* CREATE, CONNECT, ...: words of capitals, and nothing that ends a statement.
 */
static bool
is_privilege(const char *text)
{
	return text != NULL && text[0] != '\0' &&
	       text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ")] == '\0';
}

static int
grant(struct bkp_pg *pg, const char *object, const json_t *item,
    struct bkp_error *err)
{
	const char *grantee =
	    json_string_value(json_object_get(item, "grantee"));
	const char *privilege =
	    json_string_value(json_object_get(item, "privilege"));
	const char *option = json_is_true(json_object_get(item, "grantable"))
				 ? " WITH GRANT OPTION"
				 : "";

	if (grantee == NULL || !is_privilege(privilege))
		return bkp_fail(err, BKP_CORRUPT,
		    "the snapshot describes a privilege badly");
	if (grantee[0] == '\0')
		return bkp_pg_run(pg, err, "GRANT %s ON %s TO PUBLIC%s",
		    privilege, object, option);
	return bkp_pg_run(pg, err, "GRANT %s ON %s TO %I%s", privilege, object,
	    grantee, option);
}

int
bkp_pg_target_acl(struct bkp_pg *pg, const char *object, const char *owner,
    const json_t *acl, struct bkp_error *err)
{
	if (bkp_pg_run(pg, err, "REVOKE ALL ON %s FROM PUBLIC", object) < 0 ||
	    bkp_pg_run(pg, err, "REVOKE ALL ON %s FROM %I", object, owner) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(acl); i++)
		if (grant(pg, object, json_array_get(acl, i), err) < 0)
			return -1;
	return 0;
}

/* ---- settings of the database ---- */

/* Those whose value is a list of names that are quoted already. */
static bool
is_list(const char *name)
{
	static const char *const lists[] = {"local_preload_libraries",
	    "search_path", "session_preload_libraries",
	    "shared_preload_libraries", "temp_tablespaces",
	    "unix_socket_directories"};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(name, lists[i]) == 0)
			return true;
	return false;
}

/* A setting of an extension has a dot between two names. */
static enum fmt_status
append_name(struct fmt_buf *sql, const char *name)
{
	const char *dot = strchr(name, '.');
	enum fmt_status status;
	char *first;

	if (dot == NULL)
		return bkp_pg_sql(sql, "%I", name);
	if ((first = strndup(name, (size_t)(dot - name))) == NULL)
		return FMT_NOMEM;
	status = bkp_pg_sql(sql, "%I.%I", first, dot + 1);
	free(first);
	return status;
}

static int
apply_setting(struct bkp_pg *pg, const char *database, const json_t *item,
    struct bkp_error *err)
{
	const char *role = json_string_value(json_object_get(item, "role"));
	const char *name = json_string_value(json_object_get(item, "name"));
	const char *value = json_string_value(json_object_get(item, "value"));
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	int rc = -1;

	if (role == NULL || name == NULL || value == NULL)
		return bkp_fail(err, BKP_CORRUPT,
		    "database.json describes a setting badly");
	status = role[0] == '\0'
		     ? bkp_pg_sql(&sql, "ALTER DATABASE %I SET ", database)
		     : bkp_pg_sql(&sql, "ALTER ROLE %I IN DATABASE %I SET ",
			   role, database);
	if (status == FMT_OK)
		status = append_name(&sql, name);
	if (status == FMT_OK)
		status = bkp_pg_sql(
		    &sql, is_list(name) ? " TO %s" : " TO %L", value);
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "setting up the database");
	else
		rc = bkp_pg_statement(pg, (const char *)sql.data, err);
	fmt_buf_free(&sql);
	return rc;
}

int
bkp_pg_target_search_path(
    struct bkp_pg *pg, const json_t *facts, struct bkp_error *err)
{
	const json_t *settings = json_object_get(facts, "settings");

	for (size_t i = 0; i < json_array_size(settings); i++) {
		const json_t *item = json_array_get(settings, i);
		const char *role =
		    json_string_value(json_object_get(item, "role"));
		const char *name =
		    json_string_value(json_object_get(item, "name"));
		const char *value =
		    json_string_value(json_object_get(item, "value"));

		if (role != NULL && role[0] == '\0' && name != NULL &&
		    strcmp(name, "search_path") == 0 && value != NULL)
			return bkp_pg_run(
			    pg, err, "SET search_path TO %s", value);
	}
	return bkp_pg_do(pg, "SET search_path TO public", err);
}

/* A setting that only a superuser may make, or of a role that is not here. */
static int
apply_or_leave(const struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg *pg, const struct bkp_pg_target_database *database,
    const json_t *item, struct bkp_error *err)
{
	const char *name = json_string_value(json_object_get(item, "name"));
	struct bkp_error why = BKP_ERROR_INIT;

	if (apply_setting(pg, database->temporary, item, &why) == 0)
		return 0;
	if (target->options.may_skip &&
	    (why.code == BKP_AUTH || why.code == BKP_NOTFOUND))
		return bkp_supply_refuse(supply, err, database->path,
		    "not set: %s of the database: %s", name, why.message);
	if (err != NULL)
		*err = why;
	return -1;
}

int
bkp_pg_target_settings(const struct bkp_pg_target *target,
    struct bkp_supply *supply, struct bkp_pg *pg,
    const struct bkp_pg_target_database *database, struct bkp_error *err)
{
	const json_t *facts = database->facts;
	const json_t *settings = json_object_get(facts, "settings");
	const char *name = database->temporary;
	const char *comment =
	    json_string_value(json_object_get(facts, "comment"));
	json_int_t limit =
	    json_integer_value(json_object_get(facts, "connection_limit"));
	struct fmt_buf object = FMT_BUF_INIT;
	int rc = -1;

	for (size_t i = 0; i < json_array_size(settings); i++)
		if (apply_or_leave(target, supply, pg, database,
			json_array_get(settings, i), err) < 0)
			goto out;
	if (comment != NULL &&
	    bkp_pg_run(pg, err, "COMMENT ON DATABASE %I IS %L", name, comment) <
		0)
		goto out;
	if (limit >= 0 &&
	    bkp_pg_run(pg, err, "ALTER DATABASE %I CONNECTION LIMIT %u", name,
		(unsigned)limit) < 0)
		goto out;
	rc = 0;
	if (json_is_null(json_object_get(facts, "acl")) ||
	    target->options.has_no_privileges)
		goto out; /* never granted, never revoked */
	rc = -1;
	if (bkp_pg_sql(&object, "DATABASE %I", name) != FMT_OK ||
	    fmt_buf_text(&object) == NULL) {
		(void)bkp_fail_nomem(err, "setting up the database");
		goto out;
	}
	rc = bkp_pg_target_acl(pg, (const char *)object.data,
	    bkp_pg_target_owner(
		target, pg, json_string_value(json_object_get(facts, "owner"))),
	    json_object_get(facts, "acl"), err);
out:
	if (rc < 0)
		(void)bkp_fail_in(err, "settings of the database");
	fmt_buf_free(&object);
	return rc;
}
