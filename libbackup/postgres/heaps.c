/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/heaps.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

/* Output functions of the server that look at the value and at settings of
 * the session, and at nothing else. None that asks the catalogue for a name
 * (regclass), the system for a locale (money) or an extension. */
#define PLAIN                                                                  \
	"'bit_out', 'boolout', 'box_out', 'bpcharout', 'byteaout',"            \
	" 'charout', 'cidr_out', 'circle_out', 'date_out', 'float4out',"       \
	" 'float8out', 'inet_out', 'int2out', 'int4out', 'int8out',"           \
	" 'interval_out', 'json_out', 'jsonb_out', 'line_out', 'lseg_out',"    \
	" 'macaddr8_out', 'macaddr_out', 'nameout', 'numeric_out',"            \
	" 'oidout', 'path_out', 'pg_lsn_out', 'point_out', 'poly_out',"        \
	" 'textout', 'time_out', 'timestamp_out', 'timestamptz_out',"          \
	" 'timetz_out', 'tsvectorout', 'uuid_out', 'varbit_out',"              \
	" 'varcharout', 'xml_out'"

/* And those that ask the catalogue about what a type is made of, which is
 * looked at as well. */
#define MADE                                                                   \
	"'array_out', 'enum_out', 'multirange_out', 'range_out', 'record_out'"

/*
 * used    types of columns
 * parts   what they are made of, and that of, and so on
 * kinds   the version of all that, for each type of a column
 *
 * prolang 12: a function that is compiled into the server.
 */
static const char heaps_sql[] =
    "WITH RECURSIVE heaps AS ("
    " SELECT c.* FROM pg_class c"
    "  JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'r' AND n.nspname !~ '^pg_'"
    "  AND n.nspname <> 'information_schema'),"
    "used AS ("
    " SELECT DISTINCT a.atttypid AS root FROM pg_attribute a"
    "  JOIN heaps c ON c.oid = a.attrelid"
    " WHERE a.attnum > 0 AND NOT a.attisdropped),"
    "parts(root, type) AS ("
    " SELECT root, root FROM used"
    " UNION SELECT p.root, x.type FROM parts p, LATERAL ("
    "  SELECT t.typelem AS type FROM pg_type t"
    "   WHERE t.oid = p.type AND t.typelem <> 0"
    "  UNION ALL SELECT t.typbasetype FROM pg_type t"
    "   WHERE t.oid = p.type AND t.typbasetype <> 0"
    "  UNION ALL SELECT a.atttypid FROM pg_type t"
    "   JOIN pg_attribute a ON a.attrelid = t.typrelid"
    "   WHERE t.oid = p.type AND t.typrelid <> 0 AND a.attnum > 0"
    "    AND NOT a.attisdropped"
    "  UNION ALL SELECT r.rngsubtype FROM pg_range r"
    "   WHERE p.type IN (r.rngtypid, r.rngmultitypid)) x),"
    "kinds AS ("
    " SELECT p.root, bool_and(o.prolang = 12"
    "   AND o.prosrc IN (" PLAIN ", " MADE ")) AS is_plain,"
    "  string_agg(concat_ws(' ', t.xmin, t.ctid, t, o.xmin, o.ctid, o,"
    "   (SELECT string_agg(concat_ws(' ', e.xmin, e.ctid, e), ' '"
    "     ORDER BY e.oid) FROM pg_enum e WHERE e.enumtypid = t.oid),"
    "   (SELECT string_agg(concat_ws(' ', r.xmin, r.ctid, r), ' ')"
    "     FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)),"
    "   (SELECT string_agg(concat_ws(' ', a.xmin, a.ctid, a), ' '"
    "     ORDER BY a.attnum) FROM pg_attribute a"
    "     WHERE a.attrelid = NULLIF(t.typrelid, 0) AND a.attnum > 0)"
    "   ), '|' ORDER BY t.oid) AS version"
    " FROM parts p JOIN pg_type t ON t.oid = p.type"
    "  JOIN pg_proc o ON o.oid = t.typoutput GROUP BY p.root),"
    "columns AS ("
    " SELECT a.attrelid, bool_and(a.attisdropped OR k.is_plain) AS is_plain,"
    "  string_agg(concat_ws(' ', a.xmin, a.ctid, a, k.version), '|'"
    "   ORDER BY a.attnum) AS version"
    " FROM pg_attribute a LEFT JOIN kinds k ON k.root = a.atttypid"
    " WHERE a.attnum > 0 GROUP BY a.attrelid),"
    "settings AS ("
    " SELECT string_agg(concat_ws(' ', name, setting), '|'"
    "   ORDER BY name COLLATE \"C\") AS version FROM pg_settings"
    " WHERE name NOT IN ('application_name', 'in_hot_standby',"
    "  'transaction_deferrable', 'transaction_isolation',"
    "  'transaction_read_only')) "
    "SELECT c.oid, c.relfilenode,"
    " COALESCE(NULLIF(c.reltablespace, 0), d.dattablespace),"
    " c.relpersistence = 'p' AND m.amname = 'heap' AND c.relfilenode <> 0"
    "  AND COALESCE(k.is_plain, false),"
    " encode(sha256(textsend(concat_ws('|', version(), c.relfilenode,"
    "  c.reltablespace, d.dattablespace, k.version, s.version))), 'hex') "
    "FROM heaps c CROSS JOIN settings s"
    " JOIN pg_database d ON d.datname = current_database()"
    " LEFT JOIN pg_am m ON m.oid = c.relam"
    " LEFT JOIN columns k ON k.attrelid = c.oid "
    "ORDER BY c.oid";

static uint64_t
number_at(const PGresult *result, int row, int column)
{
	return strtoull(PQgetvalue(result, row, column), NULL, 10);
}

static int
compare_oids(const void *a, const void *b)
{
	const struct bkp_pg_heap *x = a, *y = b;

	return (x->oid > y->oid) - (x->oid < y->oid);
}

static int
take_heaps(
    const PGresult *result, struct bkp_pg_heaps *out, struct bkp_error *err)
{
	size_t count = (size_t)PQntuples(result);

	out->items = bkp_alloc_array(count, sizeof(*out->items), err);
	if (out->items == NULL)
		return -1;
	for (out->count = 0; out->count < count; out->count++) {
		struct bkp_pg_heap *heap = &out->items[out->count];
		int row = (int)out->count;

		heap->oid = (uint32_t)number_at(result, row, 0);
		heap->filenode = (uint32_t)number_at(result, row, 1);
		heap->tablespace = (uint32_t)number_at(result, row, 2);
		heap->is_plain = PQgetvalue(result, row, 3)[0] == 't';
		if (PQgetlength(result, row, 4) != sizeof(heap->print) - 1)
			return bkp_fail(
			    err, BKP_IO, "the server answered oddly");
		memcpy(heap->print, PQgetvalue(result, row, 4),
		    sizeof(heap->print));
	}
	return 0;
}

int
bkp_pg_heaps_read(
    struct bkp_pg *pg, struct bkp_pg_heaps *out, struct bkp_error *err)
{
	static const char moment[] =
	    "SELECT oid, pg_snapshot_xmin(pg_current_snapshot())"
	    " FROM pg_database WHERE datname = current_database()";
	PGresult *result = NULL;
	int rc;

	if (bkp_pg_query(pg, moment, 0, NULL, &result, err) < 0)
		return -1;
	if (PQntuples(result) != 1) {
		PQclear(result);
		return bkp_fail(err, BKP_IO, "the database has no name");
	}
	out->database = (uint32_t)number_at(result, 0, 0);
	out->xmin = number_at(result, 0, 1);
	PQclear(result);
	if (bkp_pg_query(pg, heaps_sql, 0, NULL, &result, err) < 0)
		return -1;
	rc = take_heaps(result, out, err);
	PQclear(result);
	return rc;
}

void
bkp_pg_heaps_free(struct bkp_pg_heaps *heaps)
{
	free(heaps->items);
	*heaps = (struct bkp_pg_heaps)BKP_PG_HEAPS_INIT;
}

const struct bkp_pg_heap *
bkp_pg_heaps_find(const struct bkp_pg_heaps *heaps, uint32_t oid)
{
	struct bkp_pg_heap wanted = {.oid = oid};

	if (heaps->count == 0)
		return NULL;
	return bsearch(
	    &wanted, heaps->items, heaps->count, sizeof(wanted), compare_oids);
}
