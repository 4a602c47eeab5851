/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/analyze.h"

const char bkp_pg_analyzed[] =
    "WITH RECURSIVE far AS (SELECT inhparent AS id FROM pg_catalog.pg_inherits"
    "  JOIN pg_catalog.pg_class ON oid = inhrelid WHERE relkind = 'f'"
    " UNION SELECT inhparent FROM pg_catalog.pg_inherits"
    "  JOIN far ON inhrelid = id)"
    " SELECT pg_catalog.format('%I.%I', nspname, relname),"
    " CASE relkind WHEN 'p' THEN (SELECT pg_catalog.sum("
    "  pg_catalog.pg_relation_size(t.relid) / 8192)::int8"
    "  FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.isleaf)"
    " ELSE pg_catalog.pg_relation_size(c.oid) / 8192 END AS pages"
    " FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace"
    " WHERE relkind IN ('r', 'p', 'm') AND c.oid NOT IN (SELECT id FROM far)"
    " AND (NOT relispartition OR EXISTS (SELECT FROM pg_catalog.pg_inherits"
    "  JOIN far ON inhparent = id WHERE inhrelid = c.oid))"
    " ORDER BY pages DESC NULLS LAST, c.oid";

int
bkp_pg_analyze(struct bkp_pg *pg, struct bkp_error *err)
{
	PGresult *tables = NULL;
	int rc = bkp_pg_query(pg, bkp_pg_analyzed, 0, NULL, &tables, err);

	for (int i = 0; rc == 0 && i < PQntuples(tables); i++) {
		char *sql =
		    bkp_format(err, "ANALYZE %s", PQgetvalue(tables, i, 0));

		rc = sql != NULL ? bkp_pg_do(pg, sql, err) : -1;
		free(sql);
	}
	PQclear(tables);
	return rc;
}
