/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/describe.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"

#define SEQUENCE_BATCH 200

/* One row, one column: the whole description, made by the server. %s: the
 * locale, whose columns changed over the versions. */
static const char database_sql[] =
    "SELECT json_build_object("
    "'owner', pg_get_userbyid(d.datdba),"
    "'encoding', pg_encoding_to_char(d.encoding),"
    "'collate', d.datcollate, 'ctype', d.datctype,"
    "%s"
    "'connection_limit', d.datconnlimit,"
    "'comment', shobj_description(d.oid, 'pg_database'),"
    "'acl', CASE WHEN d.datacl IS NOT NULL THEN COALESCE((SELECT"
    " json_agg(json_build_object('grantee', x.grantee,"
    "  'privilege', x.privilege_type, 'grantable', x.is_grantable)"
    "  ORDER BY x.place)"
    " FROM (SELECT CASE a.grantee WHEN 0 THEN ''"
    "   ELSE pg_get_userbyid(a.grantee)::text END AS grantee,"
    "   a.privilege_type, a.is_grantable, min(a.place) AS place"
    "  FROM aclexplode(d.datacl) WITH ORDINALITY"
    "   AS a(grantor, grantee, privilege_type, is_grantable, place)"
    "  GROUP BY 1, 2, 3) x), '[]') END,"
    "'settings', COALESCE((SELECT json_agg(json_build_object("
    "  'role', x.role, 'name', x.name, 'value', x.value)"
    "  ORDER BY x.role COLLATE \"C\", x.name COLLATE \"C\")"
    " FROM (SELECT CASE s.setrole WHEN 0 THEN ''"
    "   ELSE pg_get_userbyid(s.setrole)::text END AS role,"
    "   split_part(c, '=', 1) AS name,"
    "   substr(c, strpos(c, '=') + 1) AS value"
    "  FROM pg_db_role_setting s, unnest(s.setconfig) c"
    "  WHERE s.setdatabase = d.oid) x), '[]'),"
    "'extensions', COALESCE((SELECT json_agg("
    "  e.extname ORDER BY e.extname COLLATE \"C\")"
    " FROM pg_extension e), '[]'),"
    "'materialized_views', COALESCE((SELECT json_agg(json_build_object("
    "  'schema', n.nspname, 'name', c.relname, 'populated', c.relispopulated)"
    "  ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\")"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'm' AND n.nspname !~ '^pg_'"
    "  AND n.nspname <> 'information_schema'), '[]')"
    ") FROM pg_database d WHERE d.datname = current_database()";

static const char *
locale_columns(unsigned major)
{
	if (major >= 17)
		return "'provider', d.datlocprovider::text,"
		       "'locale', d.datlocale, 'icu_rules', d.daticurules,";
	if (major >= 16)
		return "'provider', d.datlocprovider::text,"
		       "'locale', d.daticulocale, 'icu_rules', d.daticurules,";
	if (major >= 15)
		return "'provider', d.datlocprovider::text,"
		       "'locale', d.daticulocale, 'icu_rules', NULL,";
	return "'provider', 'c', 'locale', NULL, 'icu_rules', NULL,";
}

static int
load_json(
    struct bkp_pg *pg, const char *sql, json_t **out, struct bkp_error *err)
{
	char *text = bkp_pg_text(pg, sql, err);
	enum fmt_status status;

	if (text == NULL)
		return -1;
	status = fmt_json_parse(text, strlen(text), out);
	free(text);
	if (status == FMT_MALFORMED)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "describing the database: a name is not UTF-8");
	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "describing the database");
}

int
bkp_pg_describe_database(struct bkp_pg *pg, json_t **out, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	status =
	    bkp_pg_sql(&sql, database_sql, locale_columns(bkp_pg_major(pg)));
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		rc = bkp_fail_nomem(err, "describing the database");
	else
		rc = load_json(pg, (const char *)sql.data, out, err);
	fmt_buf_free(&sql);
	return rc;
}

int
bkp_pg_describe_versions(struct bkp_pg *pg, json_t **out, struct bkp_error *err)
{
	static const char sql[] =
	    "SELECT json_build_object("
	    "'server_version', current_setting('server_version'),"
	    "'tablespace', (SELECT spcname FROM pg_tablespace t"
	    " WHERE t.oid = d.dattablespace),"
	    "'collation_version', %s,"
	    "'extension_versions', COALESCE((SELECT json_object_agg("
	    "  e.extname, e.extversion ORDER BY e.extname COLLATE \"C\")"
	    " FROM pg_extension e), '{}')"
	    ") FROM pg_database d WHERE d.datname = current_database()";
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	status = bkp_pg_sql(
	    &text, sql, bkp_pg_major(pg) >= 15 ? "d.datcollversion" : "NULL");
	if (status != FMT_OK || fmt_buf_text(&text) == NULL)
		rc = bkp_fail_nomem(err, "describing the database");
	else
		rc = load_json(pg, (const char *)text.data, out, err);
	fmt_buf_free(&text);
	return rc;
}

/* ---- sequences ---- */

/* Those of the user, and those that are configuration of an extension. */
static const char sequences_sql[] =
    "SELECT s.name FROM ("
    " SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'S' AND n.nspname !~ '^pg_'"
    " AND n.nspname <> 'information_schema'"
    " AND (NOT EXISTS (SELECT FROM pg_depend d"
    "   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid"
    "   AND d.deptype = 'e')"
    "  OR EXISTS (SELECT FROM pg_extension e"
    "   WHERE c.oid = ANY (e.extconfig)))) s "
    "ORDER BY s.name COLLATE \"C\"";

static int
append_values(struct bkp_pg *pg, const char *sql, struct fmt_buf *out,
    struct bkp_error *err)
{
	PGresult *result = NULL;
	enum fmt_status status = FMT_OK;

	if (bkp_pg_query(pg, sql, 0, NULL, &result, err) < 0)
		return bkp_fail_in(err, "reading sequences");
	for (int i = 0; status == FMT_OK && i < PQntuples(result); i++)
		status =
		    bkp_pg_sql(out, "SELECT pg_catalog.setval(%L, %s, %s);\n",
			PQgetvalue(result, i, 1), PQgetvalue(result, i, 2),
			PQgetvalue(result, i, 3)[0] == 't' ? "true" : "false");
	PQclear(result);
	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "reading sequences");
}

/* One statement that reads the sequences [first, last) of a list. */
static enum fmt_status
batch_sql(const PGresult *names, int first, int last, struct fmt_buf *sql)
{
	enum fmt_status status = FMT_OK;

	fmt_buf_clear(sql);
	for (int i = first; status == FMT_OK && i < last; i++)
		status = bkp_pg_sql(sql,
		    "%sSELECT %u AS n, %L AS name, last_value, is_called "
		    "FROM %s",
		    i > first ? " UNION ALL " : "", (unsigned)i,
		    PQgetvalue(names, i, 0), PQgetvalue(names, i, 0));
	if (status == FMT_OK)
		status = fmt_buf_append_text(sql, " ORDER BY 1");
	if (status == FMT_OK && fmt_buf_text(sql) == NULL)
		status = FMT_NOMEM;
	return status;
}

int
bkp_pg_describe_sequences(
    struct bkp_pg *pg, struct fmt_buf *out, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	PGresult *names = NULL;
	int rc = -1;

	if (bkp_pg_query(pg, sequences_sql, 0, NULL, &names, err) < 0)
		return -1;
	for (int i = 0; i < PQntuples(names); i += SEQUENCE_BATCH) {
		int last = i + SEQUENCE_BATCH < PQntuples(names)
			       ? i + SEQUENCE_BATCH
			       : PQntuples(names);
		enum fmt_status status = batch_sql(names, i, last, &sql);

		if (status != FMT_OK) {
			(void)bkp_fail_format(err, status, "reading sequences");
			goto out;
		}
		if (append_values(pg, (const char *)sql.data, out, err) < 0)
			goto out;
	}
	rc = 0;
out:
	PQclear(names);
	fmt_buf_free(&sql);
	return rc;
}
