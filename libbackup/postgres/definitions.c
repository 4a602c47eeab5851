/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/definitions.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

/*
 * Every definition as (kind, id, part, version, name, touched). A row that the
 * snapshot sees and that has an xmax was updated or deleted since, or
 * somebody meant to and did not. The version of most is the row itself. Of some
 * it is what others are written with, for their rows change for reasons that
 * are no other definition: relations' and columns' when statistics are taken
 * or a view is filled, functions' with their bodies (which pg_dump reads by
 * itself) and grants, triggers' when they are switched on and off, labels' when
 * new ones come between them.
 *
 * Without temporary tables and TOAST, which come and go. A stored expression
 * says where in its statement each word stood, which is left out.
 */
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
    " UNION ALL SELECT 'rule', w.oid, 0, concat_ws(' ', w.xmin, w.ctid),"
    "  r.relname::text, w.xmax <> '0'::xid"
    "  FROM pg_rewrite w JOIN relation r ON r.oid = w.ev_class"
    " UNION ALL SELECT 'default', d.oid, 0, concat_ws(' ', d.xmin, d.ctid),"
    "  r.relname::text, d.xmax <> '0'::xid"
    "  FROM pg_attrdef d JOIN relation r ON r.oid = d.adrelid"
    " UNION ALL SELECT 'index', i.indexrelid, 0,"
    "  concat_ws(' ', i.xmin, i.ctid), r.relname::text, i.xmax <> '0'::xid"
    "  FROM pg_index i JOIN relation r ON r.oid = i.indexrelid"
    " UNION ALL SELECT 'trigger', t.oid, 0,"
    "  concat_ws(' ', t.tgname, t.tgtype, t.tgfoid, encode(t.tgargs, 'hex'),"
    "   t.tgattr, t.tgdeferrable, t.tginitdeferred, t.tgoldtable,"
    "   t.tgnewtable,"
    "   regexp_replace(t.tgqual::text, ':location -?[0-9]+', '', 'g')),"
    "  t.tgname::text, t.xmax <> '0'::xid"
    "  FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid"
    "  WHERE NOT t.tgisinternal"
    " UNION ALL SELECT 'policy', p.oid, 0, concat_ws(' ', p.xmin, p.ctid),"
    "  p.polname::text, p.xmax <> '0'::xid"
    "  FROM pg_policy p JOIN relation r ON r.oid = p.polrelid"
    " UNION ALL SELECT 'constraint', c.oid, 0, concat_ws(' ', c.xmin, c.ctid),"
    "  c.conname::text, c.xmax <> '0'::xid"
    "  FROM pg_constraint c JOIN space s ON s.oid = c.connamespace"
    " UNION ALL SELECT 'function', p.oid, 0,"
    "  concat_ws(' ', p.proname, p.pronamespace, p.prorettype, p.proretset,"
    "   p.proargtypes, p.proallargtypes, p.proargmodes, p.proargnames,"
    "   regexp_replace(concat_ws(' ', p.proargdefaults::text,"
    "    to_jsonb(p) ->> 'prosqlbody'), ':location -?[0-9]+', '', 'g')),"
    "  p.proname::text, p.xmax <> '0'::xid"
    "  FROM pg_proc p JOIN space s ON s.oid = p.pronamespace"
    " UNION ALL SELECT 'type', t.oid, 0, concat_ws(' ', t.xmin, t.ctid),"
    "  t.typname::text, t.xmax <> '0'::xid"
    "  FROM pg_type t JOIN space s ON s.oid = t.typnamespace"
    " UNION ALL SELECT 'label', e.oid, 0, e.enumlabel::text,"
    "  t.typname || '.' || e.enumlabel, e.xmax <> '0'::xid"
    "  FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid"
    "  JOIN space s ON s.oid = t.typnamespace"
    " UNION ALL SELECT 'operator', o.oid, 0, concat_ws(' ', o.xmin, o.ctid),"
    "  o.oprname::text, o.xmax <> '0'::xid"
    "  FROM pg_operator o JOIN space s ON s.oid = o.oprnamespace"
    " UNION ALL SELECT 'statistics', e.oid, 0, concat_ws(' ', e.xmin, e.ctid),"
    "  e.stxname::text, e.xmax <> '0'::xid"
    "  FROM pg_statistic_ext e JOIN space s ON s.oid = e.stxnamespace) ";

static const char touched_sql[] =
    "SELECT COALESCE(json_agg(json_build_array(kind, id::bigint, part,"
    " version, name))::text, '[]') FROM definition WHERE touched";

/* Of what was touched, what is not there any more as it was. */
static const char changed_sql[] =
    "SELECT min(x.was ->> 0 || ' ' || (x.was ->> 4))"
    " FROM json_array_elements($1::text::json) AS x(was)"
    " LEFT JOIN definition d ON d.kind = x.was ->> 0"
    "  AND d.id = (x.was ->> 1)::oid AND d.part = (x.was ->> 2)::int"
    "  AND d.version = x.was ->> 3"
    " WHERE d.kind IS NULL";

/* A label that went with its type is in no row. */
static const char renamed_sql[] =
    " AND EXISTS (SELECT FROM pg_enum WHERE oid = (x.was ->> 1)::oid)";

static int
compare(const char *touched, const char *further, struct bkp_pg *now,
    char **out, struct bkp_error *err)
{
	char *sql =
	    bkp_format(err, "%s%s%s", definitions, changed_sql, further);
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

/* What was touched by `which`, and is not as it was by `further`. */
static int
look(struct bkp_pg_holder *holder, const struct bkp_postgres_config *config,
    const char *which, const char *further, char **out, struct bkp_error *err)
{
	struct bkp_pg now = BKP_PG_INIT;
	char *sql = bkp_format(err, "%s%s%s", definitions, touched_sql, which);
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
		rc = compare(touched, further, &now, out, err);
	bkp_pg_close(&now);
out:
	free(touched);
	free(sql);
	return rc < 0 ? bkp_fail_in(err, "looking for changed definitions") : 0;
}

int
bkp_pg_definitions_changed(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, char **out, struct bkp_error *err)
{
	return look(holder, config, "", "", out, err);
}

int
bkp_pg_labels_renamed(struct bkp_pg_holder *holder,
    const struct bkp_postgres_config *config, char **out, struct bkp_error *err)
{
	return look(
	    holder, config, " AND kind = 'label'", renamed_sql, out, err);
}
