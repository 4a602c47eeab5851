/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/collations.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"

/* A column of an index has its collation in pg_attribute, too. %s: what the
 * server knows of the database's own, and what a locale is called. */
static const char collations_sql[] =
    "WITH own AS (SELECT 100::oid AS oid, 'default' AS name, %s"
    "  FROM pg_catalog.pg_database d WHERE d.datname = current_database()"
    " UNION ALL"
    " SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.collname),"
    "  %s, c.collprovider::text, c.collversion,"
    "  pg_catalog.pg_collation_actual_version(c.oid)"
    " FROM pg_catalog.pg_collation c"
    "  JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace"
    " WHERE c.collprovider <> 'd' AND c.oid IN (SELECT a.attcollation"
    "   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class r"
    "   ON r.oid = a.attrelid JOIN pg_catalog.pg_namespace m"
    "   ON m.oid = r.relnamespace WHERE m.nspname !~ '^pg_'"
    "   AND m.nspname <> 'information_schema'"
    "  UNION SELECT unnest(p.partcollation::oid[])"
    "   FROM pg_catalog.pg_partitioned_table p)) "
    "SELECT json_build_object('list', COALESCE(json_agg(json_build_object("
    "'name', x.name, 'locale', x.locale, 'provider', x.provider,"
    " 'version', x.version, 'actual', x.actual,"
    " 'ranges', COALESCE((SELECT json_agg(r.oid::regclass::text"
    "   ORDER BY r.oid::regclass::text COLLATE \"C\")"
    "  FROM pg_catalog.pg_partitioned_table p"
    "  JOIN pg_catalog.pg_class r ON r.oid = p.partrelid"
    "  WHERE p.partstrat = 'r' AND x.oid = ANY (p.partcollation)), '[]'))"
    " ORDER BY x.name COLLATE \"C\"), '[]')) FROM own x";

/* What another library than libc calls it is in one column or another. */
#define LOCALE_OF_COLLATION                                                    \
	"COALESCE(pg_catalog.to_jsonb(c) ->> 'colllocale',"                    \
	" pg_catalog.to_jsonb(c) ->> 'colliculocale', c.collcollate)"

/* Versions of a database's own collation are kept from 15 on. */
static const char *
database_columns(unsigned major)
{
	if (major >= 15)
		return "COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale',"
		       " pg_catalog.to_jsonb(d) ->> 'daticulocale',"
		       " d.datcollate::text) AS locale,"
		       " d.datlocprovider::text AS provider,"
		       " d.datcollversion AS version,"
		       " pg_catalog.pg_database_collation_actual_version("
		       "d.oid) AS actual";
	return "d.datcollate::text AS locale, 'c' AS provider,"
	       " NULL AS version, NULL AS actual";
}

/* One row, one column: {"list": [...]}. */
static int
take_list(const char *text, json_t **out, struct bkp_error *err)
{
	json_t *root = NULL;
	enum fmt_status status = fmt_json_parse(text, strlen(text), &root);

	if (status == FMT_OK)
		*out = json_incref(json_object_get(root, "list"));
	json_decref(root);
	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "reading collations");
}

int
bkp_pg_describe_collations(
    struct bkp_pg *pg, json_t **out, struct bkp_error *err)
{
	char *sql = bkp_format(err, collations_sql,
	    database_columns(bkp_pg_major(pg)), LOCALE_OF_COLLATION);
	char *text = NULL;
	int rc = -1;

	if (sql != NULL && (text = bkp_pg_text(pg, sql, err)) != NULL)
		rc = take_list(text, out, err);
	free(text);
	free(sql);
	return rc;
}

/* ---- on another server ---- */

/*
 * By the locale, with what it says of details or without; those of the server's
 * own by name as well, for that is all that was recorded in early days. libc
 * has one version for all locales, and none for the one that needs no library.
 */
static const char here_sql[] =
    "SELECT json_build_object('list', COALESCE(json_agg("
    "json_build_object('name', x ->> 'name', 'actual', CASE"
    " WHEN x ->> 'provider' = 'c'"
    "  AND x ->> 'locale' ~* '^(c|posix)([.]|$)' THEN NULL"
    " ELSE (SELECT pg_catalog.pg_collation_actual_version(y.oid) FROM ("
    "   SELECT c.oid, CASE"
    "     WHEN " LOCALE_OF_COLLATION " = x ->> 'locale' THEN 1"
    "     WHEN 'pg_catalog.' || quote_ident(c.collname) = x ->> 'name'"
    "      AND c.collnamespace = 'pg_catalog'::regnamespace THEN 2"
    "     WHEN lower(translate(" LOCALE_OF_COLLATION ", '_', '-'))"
    "      = lower(translate(regexp_replace(x ->> 'locale',"
    "       '(-u-|@).*', ''), '_', '-')) THEN 3"
    "     WHEN x ->> 'provider' = 'c'"
    "      AND pg_catalog.pg_collation_actual_version(c.oid) IS NOT NULL"
    "      THEN 4 END AS likeness"
    "   FROM pg_catalog.pg_collation c"
    "   WHERE c.collprovider::text = x ->> 'provider') y"
    "  WHERE y.likeness IS NOT NULL ORDER BY y.likeness LIMIT 1) END)),"
    " '[]')) FROM json_array_elements($1::text::json) x";

int
bkp_pg_find_collations(struct bkp_pg *pg, const json_t *recorded, json_t **out,
    struct bkp_error *err)
{
	char *text = json_dumps(recorded, JSON_COMPACT);
	const char *list = text;
	PGresult *result = NULL;
	int rc;

	if (text == NULL)
		return bkp_fail_nomem(err, "reading collations");
	rc = bkp_pg_query(pg, here_sql, 1, &list, &result, err);
	if (rc == 0)
		rc = take_list(PQgetvalue(result, 0, 0), out, err);
	PQclear(result);
	free(text);
	return rc;
}
