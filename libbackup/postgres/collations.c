/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/collations.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"

/* %s: what the server knows of the database's own. A column of an index has
 * its collation in pg_attribute, too. */
static const char collations_sql[] =
    "SELECT json_build_object('list', COALESCE(json_agg(json_build_object("
    "'name', x.name, 'provider', x.provider, 'version', x.version,"
    " 'actual', x.actual) ORDER BY x.name COLLATE \"C\"), '[]')) FROM ("
    " SELECT 'default' AS name, %s FROM pg_catalog.pg_database d"
    " WHERE d.datname = current_database()"
    " UNION ALL"
    " SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname),"
    " c.collprovider::text, c.collversion,"
    " pg_catalog.pg_collation_actual_version(c.oid)"
    " FROM pg_catalog.pg_collation c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace"
    " WHERE c.collprovider <> 'd' AND c.oid IN (SELECT a.attcollation"
    "  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class r"
    "  ON r.oid = a.attrelid JOIN pg_catalog.pg_namespace m"
    "  ON m.oid = r.relnamespace WHERE m.nspname !~ '^pg_'"
    "  AND m.nspname <> 'information_schema')) x";

/* Versions of a database's own collation are kept from 15 on. */
static const char *
database_columns(unsigned major)
{
	if (major >= 15)
		return "d.datlocprovider::text AS provider,"
		       " d.datcollversion AS version,"
		       " pg_catalog.pg_database_collation_actual_version("
		       "d.oid) AS actual";
	return "'c' AS provider, NULL AS version, NULL AS actual";
}

int
bkp_pg_describe_collations(
    struct bkp_pg *pg, json_t **out, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	enum fmt_status status;
	json_t *root = NULL;
	char *text = NULL;
	int rc = -1;

	status = bkp_pg_sql(
	    &sql, collations_sql, database_columns(bkp_pg_major(pg)));
	if (status != FMT_OK || fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "reading collations");
	else
		text = bkp_pg_text(pg, (const char *)sql.data, err);
	if (text != NULL) {
		status = fmt_json_parse(text, strlen(text), &root);
		rc = status == FMT_OK
			 ? 0
			 : bkp_fail_format(err, status, "reading collations");
	}
	if (rc == 0)
		*out = json_incref(json_object_get(root, "list"));
	json_decref(root);
	free(text);
	fmt_buf_free(&sql);
	return rc;
}
