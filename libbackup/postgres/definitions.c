/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/definitions.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

/*
 * Every definition as (kind, id, part, version, name, touched). A row that the
 * snapshot sees and that has an xmax was updated or deleted since, or
 * somebody meant to and did not. The version of most is the row itself; of
 * relations and columns only what others are written with, for their rows
 * change when statistics are taken or a view is filled.
 *
 * Without temporary tables and TOAST, which come and go.
 */
#define ROW_VERSION(t) t ".xmin::text || ' ' || " t ".ctid::text"

static const char definitions[] =
    "WITH space AS ("
    " SELECT oid, nspname, xmax <> '0'::xid AS touched FROM pg_namespace"
    "  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),"
    "relation AS ("
    " SELECT c.oid, c.relname, c.relkind, c.relnamespace,"
    "  c.xmax <> '0'::xid AS touched"
    " FROM pg_class c JOIN space s ON s.oid = c.relnamespace),"
    "definition(kind, id, part, version, name, touched) AS ("
    " SELECT 'schema', oid, 0, nspname::text, nspname::text, touched FROM space"
    " UNION ALL SELECT 'relation', oid, 0,"
    "  concat_ws(' ', relname, relnamespace, relkind), relname::text, touched"
    "  FROM relation"
    " UNION ALL SELECT 'column', r.oid, a.attnum::int,"
    "  concat_ws(' ', a.attname, a.atttypid, a.attisdropped),"
    "  r.relname || '.' || a.attname, a.xmax <> '0'::xid"
    "  FROM pg_attribute a JOIN relation r ON r.oid = a.attrelid"
    "  WHERE a.attnum > 0"
    " UNION ALL SELECT 'rule', w.oid, 0, " ROW_VERSION(
	"w") ","
	     "  r.relname::text, w.xmax <> '0'::xid"
	     "  FROM pg_rewrite w JOIN relation r ON r.oid = w.ev_class"
	     " UNION ALL SELECT 'default', d.oid, 0, " ROW_VERSION(
		 "d") ","
		      "  r.relname::text, d.xmax <> '0'::xid"
		      "  FROM pg_attrdef d JOIN relation r ON r.oid = d.adrelid"
		      " UNION ALL SELECT 'index', i.indexrelid, "
		      "0, " ROW_VERSION(
			  "i") ","
			       "  r.relname::text, i.xmax <> '0'::xid"
			       "  FROM pg_index i JOIN relation r ON r.oid = "
			       "i.indexrelid"
			       " UNION ALL SELECT 'trigger', t.oid, "
			       "0, " ROW_VERSION(
				   "t") ","
					"  t.tgname::text, t.xmax <> '0'::xid"
					"  FROM pg_trigger t JOIN relation r "
					"ON r.oid = t.tgrelid"
					"  WHERE NOT t.tgisinternal"
					" UNION ALL SELECT 'policy', p.oid, "
					"0, " ROW_VERSION(
					    "p") ","
						 "  p.polname::text, p.xmax <> "
						 "'0'::xid"
						 "  FROM pg_policy p JOIN "
						 "relation r ON r.oid = "
						 "p.polrelid"
						 " UNION ALL SELECT "
						 "'constraint', c.oid, "
						 "0, " ROW_VERSION(
						     "c") ","
							  "  c.conname::text, "
							  "c.xmax <> '0'::xid"
							  "  FROM "
							  "pg_constraint c "
							  "JOIN space s ON "
							  "s.oid = "
							  "c.connamespace"
							  " UNION ALL SELECT "
							  "'function', p.oid, "
							  "0, " ROW_VERSION(
							      "p") ","
								   "  "
								   "p.proname::"
								   "text, "
								   "p.xmax <> "
								   "'0'::xid"
								   "  FROM "
								   "pg_proc p "
								   "JOIN space "
								   "s ON s.oid "
								   "= "
								   "p."
								   "pronamespac"
								   "e"
								   " UNION ALL "
								   "SELECT "
								   "'type', "
								   "t.oid, "
								   "0,"
								   " " ROW_VERSION(
								       "t") ","
									    "  "
									    "t."
									    "ty"
									    "pn"
									    "am"
									    "e:"
									    ":t"
									    "ex"
									    "t,"
									    " t"
									    ".x"
									    "ma"
									    "x "
									    "<>"
									    " '"
									    "0'"
									    "::"
									    "xi"
									    "d"
									    "  "
									    "FR"
									    "OM"
									    " p"
									    "g_"
									    "ty"
									    "pe"
									    " t"
									    " J"
									    "OI"
									    "N "
									    "sp"
									    "ac"
									    "e "
									    "s "
									    "ON"
									    " s"
									    ".o"
									    "id"
									    " ="
									    " t"
									    ".t"
									    "yp"
									    "na"
									    "me"
									    "sp"
									    "ac"
									    "e"
									    " U"
									    "NI"
									    "ON"
									    " A"
									    "LL"
									    " S"
									    "EL"
									    "EC"
									    "T "
									    "'o"
									    "pe"
									    "ra"
									    "to"
									    "r'"
									    ", "
									    "o."
									    "oi"
									    "d,"
									    " 0"
									    ","
									    " " ROW_VERSION(
										"o") ","
										     "  o.oprname::text, o.xmax <> '0'::xid"
										     "  FROM pg_operator o JOIN space s ON s.oid = o.oprnamespace"
										     " UNION ALL SELECT 'statistics', e.oid, 0, " ROW_VERSION(
											 "e") ","
											      "  e.stxname::text, e.xmax <> '0'::xid"
											      "  FROM pg_statistic_ext e JOIN space s ON s.oid = e.stxnamespace) ";

static const char touched_sql[] =
    "SELECT COALESCE(json_agg(json_build_array(kind, id::bigint, part,"
    " version, name))::text, '[]') FROM definition WHERE touched";

/* Of what was touched, what is not there any more as it was. */
static const char changed_sql[] =
    "SELECT min(x.was ->> 0 || ' ' || (x.was ->> 4))"
    " FROM json_array_elements($1::text::json) AS x(was)"
    " WHERE (x.was ->> 0, (x.was ->> 1)::oid, (x.was ->> 2)::int,"
    "  x.was ->> 3) NOT IN (SELECT kind, id, part, version FROM definition)";

static int
compare(
    const char *touched, struct bkp_pg *now, char **out, struct bkp_error *err)
{
	char *sql = bkp_format(err, "%s%s", definitions, changed_sql);
	PGresult *result = NULL;
	int rc = -1;

	if (sql != NULL &&
	    bkp_pg_query(now, sql, 1, &touched, &result, err) == 0)
		rc = 0;
	if (rc == 0 && PQntuples(result) == 1 && !PQgetisnull(result, 0, 0) &&
	    (*out = bkp_strdup(PQgetvalue(result, 0, 0), err)) == NULL)
		rc = -1;
	PQclear(result);
	free(sql);
	return rc;
}

int
bkp_pg_definitions_changed(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, char **out, struct bkp_error *err)
{
	struct bkp_pg now = BKP_PG_INIT;
	char *sql = bkp_format(err, "%s%s", definitions, touched_sql);
	char *touched = NULL;
	int rc = -1;

	*out = NULL;
	if (sql == NULL ||
	    (touched = bkp_pg_text(&holder->pg, sql, err)) == NULL)
		goto out;
	if (strcmp(touched, "[]") == 0)
		rc = 0;
	else if (bkp_pg_open(
		     &now, config, holder->database, holder->pg.run, err) == 0)
		rc = compare(touched, &now, out, err);
	bkp_pg_close(&now);
out:
	free(touched);
	free(sql);
	return rc < 0 ? bkp_fail_in(err, "looking for changed definitions") : 0;
}
