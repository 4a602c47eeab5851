/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roles. What exists on the server is left as it is: only roles that are
 * missing are made, with their attributes, settings and memberships. A scratch
 * server gets everything.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/sqltext.h"
#include "libbackup/source/postgres_target.h"

struct roles {
	struct bkp_pg *pg;
	struct bkp_run *run;
	PGresult *existing; /* names, sorted by bytes */
	bool is_scratch;
	struct fmt_buf name;
	unsigned made;
};

static bool
is_existing(const struct roles *roles, const char *name)
{
	int low = 0, high = PQntuples(roles->existing);

	while (low < high) {
		int middle = low + (high - low) / 2;
		int order =
		    strcmp(PQgetvalue(roles->existing, middle, 0), name);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Behind the first " TO " that is not inside a quoted name. */
static const char *
behind_to(const struct bkp_sql_statement *s)
{
	bool is_quoted = false;

	for (size_t i = 0; i + 4 <= s->len; i++) {
		if (s->text[i] == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && memcmp(s->text + i, " TO ", 4) == 0)
			return s->text + i + 4;
	}
	return NULL;
}

/* The role that a statement is about, in roles->name; false where it is about
 * none. */
static bool
read_subject(struct roles *roles, const struct bkp_sql_statement *s)
{
	static const char *const starts[] = {
	    "CREATE ROLE ", "ALTER ROLE ", "COMMENT ON ROLE "};
	const char *at = NULL;

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (bkp_sql_begins(s, starts[i], &at))
			return bkp_sql_identifier(
			    &at, s->text + s->len, &roles->name);
	if (bkp_sql_begins(s, "GRANT ", NULL) && (at = behind_to(s)) != NULL)
		return bkp_sql_identifier(&at, s->text + s->len, &roles->name);
	return false;
}

static int
apply(struct roles *roles, const struct bkp_sql_statement *s,
    struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_SECRET_INIT;
	bool is_create = bkp_sql_begins(s, "CREATE ROLE ", NULL);
	const char *name;
	int rc = -1;

	if (!read_subject(roles, s))
		return 0;
	name = (const char *)roles->name.data;
	if (is_existing(roles, name) && (is_create || !roles->is_scratch))
		return 0;
	if (fmt_buf_append(&sql, s->text, s->len) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL) {
		(void)bkp_fail_nomem(err, "making roles");
		goto out;
	}
	if (bkp_pg_statement(roles->pg, (const char *)sql.data, err) < 0) {
		(void)bkp_fail_in(err,
		    "making role %s (make it by hand and try again)", name);
		goto out;
	}
	if (is_create)
		roles->made++;
	rc = 0;
out:
	fmt_buf_free(&sql);
	return rc;
}

/* Whether every tablespace that the backup names is on this server; where not,
 * everything goes to the default one. */
static int
look_for_tablespaces(struct bkp_pg_target *target, struct roles *roles,
    const json_t *attrs, struct bkp_error *err)
{
	const char *text =
	    json_string_value(json_object_get(attrs, "tablespaces"));
	const char *at = text != NULL ? text : "";
	const char *end = at + strlen(at);
	struct bkp_sql_statement s;

	target->has_tablespaces = !roles->is_scratch;
	while (target->has_tablespaces && bkp_sql_next(&at, end, &s)) {
		const char *rest = NULL, *name;
		PGresult *result = NULL;

		if (!bkp_sql_begins(&s, "CREATE TABLESPACE ", &rest) ||
		    !bkp_sql_identifier(&rest, s.text + s.len, &roles->name))
			continue;
		name = (const char *)roles->name.data;
		if (bkp_pg_query(roles->pg,
			"SELECT 1 FROM pg_tablespace WHERE spcname = $1", 1,
			&name, &result, err) < 0)
			return -1;
		if (PQntuples(result) == 0) {
			target->has_tablespaces = false;
			bkp_run_message(roles->run, BKP_WARNING, NULL,
			    "there is no tablespace %s on this server: "
			    "everything goes to the default one",
			    name);
		}
		PQclear(result);
	}
	return 0;
}

static int
read_globals(struct bkp_supply *supply, struct fmt_buf *text, json_t **attrs,
    struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	char *path =
	    bkp_format(err, "%s/globals.sql", bkp_supply_prefix(supply));
	int rc = -1;

	if (path == NULL)
		return -1;
	if (bkp_supply_read(supply, path, text, err) < 0 ||
	    bkp_supply_entries(supply, path, &stream, err) < 0 ||
	    bkp_entry_stream_next(stream, &entry, err) < 0)
		goto out;
	*attrs = json_incref(entry.attrs);
	rc = 0;
out:
	fmt_entry_free(&entry);
	bkp_entry_stream_close(stream);
	free(path);
	return rc;
}

static int
read_existing(struct roles *roles, struct bkp_error *err)
{
	return bkp_pg_query(roles->pg,
	    "SELECT rolname FROM pg_roles ORDER BY rolname COLLATE \"C\"", 0,
	    NULL, &roles->existing, err);
}

int
bkp_pg_target_roles(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg *pg, struct bkp_error *err)
{
	struct roles roles = {.pg = pg,
	    .run = bkp_supply_run(supply),
	    .is_scratch = target->options.is_scratch,
	    .name = FMT_BUF_INIT};
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	struct bkp_sql_statement s;
	json_t *attrs = NULL;
	const char *at, *end;
	int rc = -1;

	if (read_globals(supply, &text, &attrs, err) < 0 ||
	    read_existing(&roles, err) < 0 ||
	    look_for_tablespaces(target, &roles, attrs, err) < 0)
		goto out;
	if ((at = fmt_buf_text(&text)) == NULL) {
		(void)bkp_fail_nomem(err, "making roles");
		goto out;
	}
	end = at + text.len;
	while (bkp_sql_next(&at, end, &s))
		if (apply(&roles, &s, err) < 0)
			goto out;
	if (roles.made > 0)
		bkp_run_message(roles.run, BKP_INFO, NULL,
		    "%u missing roles made", roles.made);
	rc = 0;
out:
	PQclear(roles.existing);
	json_decref(attrs);
	fmt_buf_free(&roles.name);
	fmt_buf_free(&text);
	return rc;
}

/* Appends the role that a statement makes, where the server has none of that
 * name. */
static enum fmt_status
note_missing(struct roles *roles, const struct bkp_sql_statement *s,
    struct fmt_buf *missing)
{
	if (!bkp_sql_begins(s, "CREATE ROLE ", NULL) ||
	    !read_subject(roles, s) ||
	    is_existing(roles, (const char *)roles->name.data))
		return FMT_OK;
	roles->made++;
	return fmt_buf_printf(missing, "%s%s", missing->len > 0 ? ", " : "",
	    (const char *)roles->name.data);
}

int
bkp_pg_target_roles_check(
    struct bkp_supply *supply, struct bkp_pg *pg, struct bkp_error *err)
{
	struct roles roles = {.pg = pg, .name = FMT_BUF_INIT};
	struct fmt_buf text = FMT_BUF_SECRET_INIT, missing = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	struct bkp_sql_statement s;
	json_t *attrs = NULL;
	const char *at, *end;
	int rc = -1;

	if (read_globals(supply, &text, &attrs, err) < 0 ||
	    read_existing(&roles, err) < 0)
		goto out;
	at = (const char *)text.data;
	end = at + text.len;
	while (status == FMT_OK && bkp_sql_next(&at, end, &s))
		status = note_missing(&roles, &s, &missing);
	if (status != FMT_OK || fmt_buf_text(&missing) == NULL)
		(void)bkp_fail_nomem(err, "comparing roles");
	else if (roles.made > 0)
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "the server lacks roles that the backup has, and none is "
		    "made there: %.300s. Make them (backup-cat prints %s/"
		    "globals.sql), or leave --server out",
		    (const char *)missing.data, bkp_supply_prefix(supply));
	else
		rc = 0;
out:
	PQclear(roles.existing);
	json_decref(attrs);
	fmt_buf_free(&roles.name);
	fmt_buf_free(&text);
	fmt_buf_free(&missing);
	return rc;
}
