/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "formats/entry.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"

#define RANGE_BYTES (1024u * 1024u)
#define RANGE_PAGES_MAX (1u << 20)

/* Every relation that may hold rows of the user. `root` is the partitioned
 * table that its rows have to go through, `filter` the condition of an
 * extension's configuration table. */
static const char relations_sql[] =
    "WITH RECURSIVE unsafe AS ("
    " SELECT p.partrelid AS root FROM pg_partitioned_table p"
    " WHERE p.partstrat = 'h' AND EXISTS (SELECT FROM pg_opclass o"
    "  WHERE o.oid = ANY (p.partclass) AND o.opcname = 'enum_ops')),"
    "tree AS ("
    " SELECT root AS member, root, 0 AS depth FROM unsafe"
    " UNION ALL SELECT i.inhrelid, t.root, t.depth + 1"
    " FROM pg_inherits i JOIN tree t ON i.inhparent = t.member),"
    "rooted AS ("
    " SELECT DISTINCT ON (member) member, root FROM tree"
    " ORDER BY member, depth DESC),"
    "config AS ("
    " SELECT x.member, x.filter FROM pg_extension e,"
    "  unnest(e.extconfig, e.extcondition) AS x(member, filter)) "
    "SELECT c.oid, n.nspname, c.relname, c.relkind::text,"
    " c.relpersistence::text,"
    " quote_ident(n.nspname) || '.' || quote_ident(c.relname),"
    " COALESCE(pg_relation_size(c.oid), 0)"
    "  / current_setting('block_size')::bigint,"
    " COALESCE(pg_relation_size(c.oid), 0)"
    "  + COALESCE(pg_relation_size(NULLIF(c.reltoastrelid, 0)), 0),"
    " COALESCE(a.amname = 'heap', false), row_security_active(c.oid),"
    " e.extname, config.filter, config.member IS NOT NULL,"
    " NOT c.relispartition"
    "  AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid),"
    " rooted.root "
    "FROM pg_class c"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_am a ON a.oid = c.relam"
    " LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass"
    "  AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e'"
    "  AND d.refclassid = 'pg_extension'::regclass"
    " LEFT JOIN pg_extension e ON e.oid = d.refobjid"
    " LEFT JOIN config ON config.member = c.oid"
    " LEFT JOIN rooted ON rooted.member = c.oid "
    "WHERE c.relkind IN ('r', 'p', 'f')"
    " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' "
    "ORDER BY c.oid";

enum {
	R_OID,
	R_SCHEMA,
	R_NAME,
	R_KIND,
	R_PERSISTENCE,
	R_QUOTED,
	R_PAGES,
	R_BYTES,
	R_HEAP,
	R_SECURED,
	R_EXTENSION,
	R_FILTER,
	R_CONFIG,
	R_INHERITS,
	R_ROOT
};

/* Columns that COPY takes: not dropped, not generated; and their types. */
static const char columns_sql[] =
    "SELECT a.attrelid, a.attname, t.name FROM pg_attribute a"
    " JOIN pg_class c ON c.oid = a.attrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN (%s) t ON t.type = a.atttypid "
    "WHERE c.relkind IN ('r', 'p')"
    " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    " AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' "
    "ORDER BY a.attrelid, a.attnum";

/* A view of one row of an answer. */
struct row {
	const PGresult *result;
	int number;
};

static const char *
text_of(const struct row *row, int column)
{
	return PQgetvalue(row->result, row->number, column);
}

static bool
bool_of(const struct row *row, int column)
{
	return text_of(row, column)[0] == 't';
}

static uint64_t
number_of(const struct row *row, int column)
{
	return strtoull(text_of(row, column), NULL, 10);
}

uint64_t
bkp_pg_range_pages(uint64_t pages, uint64_t bytes, uint64_t before)
{
	uint64_t page_bytes = pages > 0 ? bytes / pages : 0;
	uint64_t range = 1;

	if (page_bytes == 0)
		page_bytes = 8192;
	if (before > 0 && before * page_bytes <= RANGE_BYTES * 3u &&
	    before * page_bytes >= RANGE_BYTES / 3)
		return before;
	while (range < RANGE_PAGES_MAX && range * 2 * page_bytes <= RANGE_BYTES)
		range *= 2;
	return range;
}

static void
free_table(struct bkp_pg_table *table)
{
	for (size_t i = 0; i < table->column_count; i++)
		free(table->columns[i]);
	for (size_t i = 0; i < table->part_count; i++)
		free(table->parts[i].quoted);
	for (size_t i = 0; table->types != NULL && i < table->column_count; i++)
		free(table->types[i]);
	free(table->columns);
	free(table->types);
	free(table->parts);
	free(table->schema);
	free(table->name);
	free(table->quoted);
	free(table->path);
	free(table->extension);
	free(table->filter);
	free(table->identity);
}

void
bkp_pg_catalogue_free(struct bkp_pg_catalogue *catalogue)
{
	for (size_t i = 0; i < catalogue->table_count; i++)
		free_table(&catalogue->tables[i]);
	for (size_t i = 0; i < catalogue->skipped_count; i++)
		free(catalogue->skipped[i].path);
	free(catalogue->tables);
	free(catalogue->skipped);
	*catalogue = (struct bkp_pg_catalogue)BKP_PG_CATALOGUE_INIT;
}

static char *
make_path(const char *schema, const char *name, struct bkp_error *err)
{
	struct fmt_buf path = FMT_BUF_INIT;
	enum fmt_status status = bkp_pg_path_table(&path, schema, name);
	char *text = NULL;

	if (status == FMT_OK)
		text = bkp_strdup(fmt_buf_text(&path), err);
	else
		(void)bkp_fail_format(err, status, "table %s.%s", schema, name);
	fmt_buf_free(&path);
	return text;
}

static int
add_part(
    struct bkp_pg_table *table, const struct row *row, struct bkp_error *err)
{
	char *quoted = bkp_strdup(text_of(row, R_QUOTED), err);

	if (quoted == NULL ||
	    bkp_grow(&table->parts, table->part_count, &table->part_cap,
		sizeof(*table->parts), err) < 0) {
		free(quoted);
		return -1;
	}
	table->parts[table->part_count].quoted = quoted;
	table->parts[table->part_count].oid = (uint32_t)number_of(row, R_OID);
	table->parts[table->part_count++].pages = number_of(row, R_PAGES);
	table->bytes += number_of(row, R_BYTES);
	return 0;
}

static int
fill_table(struct bkp_pg_table *table, const struct row *row, unsigned major,
    struct bkp_error *err)
{
	bool is_ours = text_of(row, R_EXTENSION)[0] == '\0';

	table->schema = bkp_strdup(text_of(row, R_SCHEMA), err);
	table->name = bkp_strdup(text_of(row, R_NAME), err);
	table->quoted = bkp_strdup(text_of(row, R_QUOTED), err);
	table->filter = bkp_strdup(text_of(row, R_FILTER), err);
	table->identity = bkp_strdup(text_of(row, R_OID), err);
	table->path =
	    make_path(text_of(row, R_SCHEMA), text_of(row, R_NAME), err);
	if (table->schema == NULL || table->name == NULL ||
	    table->quoted == NULL || table->filter == NULL ||
	    table->identity == NULL || table->path == NULL)
		return -1;
	if (!is_ours && (table->extension = bkp_strdup(
			     text_of(row, R_EXTENSION), err)) == NULL)
		return -1;
	table->is_unlogged = text_of(row, R_PERSISTENCE)[0] == 'u';
	table->is_by_name = bool_of(row, R_INHERITS);
	table->is_root = text_of(row, R_KIND)[0] == 'p';
	table->has_binary = true;
	/* Older servers scan the whole table for a range of ctids. */
	table->has_ranges = major >= 14 && table->filter[0] == '\0' &&
			    (bool_of(row, R_HEAP) || table->is_root);
	return 0;
}

static int
add_table(struct bkp_pg_catalogue *catalogue, const struct row *row,
    unsigned major, struct bkp_error *err)
{
	struct bkp_pg_table table;

	memset(&table, 0, sizeof(table));
	if (bkp_grow(&catalogue->tables, catalogue->table_count,
		&catalogue->table_cap, sizeof(table), err) < 0)
		return -1;
	if (fill_table(&table, row, major, err) < 0 ||
	    (!table.is_root && add_part(&table, row, err) < 0)) {
		free_table(&table);
		return -1;
	}
	catalogue->tables[catalogue->table_count++] = table;
	return 0;
}

static int
add_skipped(struct bkp_pg_catalogue *catalogue, const struct row *row,
    const char *reason, struct bkp_error *err)
{
	char *path;

	if (bkp_grow(&catalogue->skipped, catalogue->skipped_count,
		&catalogue->skipped_cap, sizeof(*catalogue->skipped), err) < 0)
		return -1;
	path = make_path(text_of(row, R_SCHEMA), text_of(row, R_NAME), err);
	if (path == NULL)
		return -1;
	catalogue->skipped[catalogue->skipped_count].path = path;
	catalogue->skipped[catalogue->skipped_count++].reason = reason;
	return 0;
}

/* ---- finding by OID, as text: few distinct lengths, any order that is the
 * same twice will do ---- */

static int
compare_identity(const void *a, const void *b)
{
	const struct bkp_pg_table *x = a, *y = b;

	return strcmp(x->identity, y->identity);
}

static int
compare_path(const void *a, const void *b)
{
	const struct bkp_pg_table *x = a, *y = b;

	return fmt_entry_compare(x->path, y->path);
}

static struct bkp_pg_table *
find_table(struct bkp_pg_catalogue *catalogue, const char *identity)
{
	char text[32];
	struct bkp_pg_table key = {.identity = text};

	if (catalogue->table_count == 0 || strlen(identity) >= sizeof(text))
		return NULL;
	memcpy(text, identity, strlen(identity) + 1);
	return bsearch(&key, catalogue->tables, catalogue->table_count,
	    sizeof(key), compare_identity);
}

/* True where the rows of this relation are an entry of their own. */
static bool
is_wanted(const struct row *row)
{
	if (text_of(row, R_EXTENSION)[0] != '\0' && !bool_of(row, R_CONFIG))
		return false;
	switch (text_of(row, R_KIND)[0]) {
	case 'r': /* but not the leaf of a tree that is loaded by its root */
		return text_of(row, R_ROOT)[0] == '\0';
	case 'p': /* only such a root */
		return strcmp(text_of(row, R_ROOT), text_of(row, R_OID)) == 0;
	default:
		return false;
	}
}

static int
take_relation(struct bkp_pg_catalogue *catalogue, const struct row *row,
    unsigned major, bool is_standby, struct bkp_error *err)
{
	if (text_of(row, R_KIND)[0] == 'f') {
		if (text_of(row, R_EXTENSION)[0] != '\0')
			return 0;
		return add_skipped(catalogue, row,
		    "foreign table: its rows live on another server", err);
	}
	if (!is_wanted(row))
		return 0;
	if (is_standby && text_of(row, R_PERSISTENCE)[0] == 'u')
		return add_skipped(catalogue, row,
		    "unlogged table: a standby does not have its rows", err);
	return add_table(catalogue, row, major, err);
}

/* Row-level security would hide rows: say of which tables. */
static int
refuse_security(const PGresult *result, struct bkp_error *err)
{
	struct row row = {.result = result};
	const char *first = NULL;
	unsigned count = 0;

	for (; row.number < PQntuples(result); row.number++)
		if (bool_of(&row, R_SECURED) &&
		    text_of(&row, R_KIND)[0] != 'f' && count++ == 0)
			first = text_of(&row, R_QUOTED);
	if (count == 0)
		return 0;
	return bkp_fail(err, BKP_AUTH,
	    "row-level security hides rows of %s%s from this role: back up as "
	    "the owner, as a superuser, or ALTER ROLE ... BYPASSRLS",
	    first, count > 1 ? " and other tables" : "");
}

/* Adds the leaves of a tree to its root's entry. */
static int
add_leaves(struct bkp_pg_catalogue *catalogue, const PGresult *result,
    struct bkp_error *err)
{
	struct row row = {.result = result};

	for (; row.number < PQntuples(result); row.number++) {
		struct bkp_pg_table *root;

		if (text_of(&row, R_ROOT)[0] == '\0' ||
		    text_of(&row, R_KIND)[0] != 'r')
			continue;
		root = find_table(catalogue, text_of(&row, R_ROOT));
		if (root == NULL)
			continue;
		root->has_ranges = root->has_ranges && bool_of(&row, R_HEAP);
		if (add_part(root, &row, err) < 0)
			return -1;
	}
	return 0;
}

static int
read_relations(struct bkp_pg *pg, bool is_standby,
    struct bkp_pg_catalogue *catalogue, struct bkp_error *err)
{
	PGresult *result = NULL;
	struct row row;
	int rc = -1;

	if (bkp_pg_query(pg, relations_sql, 0, NULL, &result, err) < 0)
		return -1;
	row = (struct row){.result = result};
	if (refuse_security(result, err) < 0)
		goto out;
	for (; row.number < PQntuples(result); row.number++)
		if (take_relation(
			catalogue, &row, bkp_pg_major(pg), is_standby, err) < 0)
			goto out;
	if (catalogue->table_count > 0)
		qsort(catalogue->tables, catalogue->table_count,
		    sizeof(*catalogue->tables), compare_identity);
	rc = add_leaves(catalogue, result, err);
out:
	PQclear(result);
	return rc;
}

static int
add_column(
    struct bkp_pg_table *table, const struct row *row, struct bkp_error *err)
{
	size_t n = table->column_count;

	if (bkp_grow(&table->columns, n, &table->column_cap, sizeof(char *),
		err) < 0 ||
	    bkp_grow(&table->types, n, &table->type_cap, sizeof(char *), err) <
		0 ||
	    (table->columns[n] = bkp_strdup(text_of(row, 1), err)) == NULL)
		return -1;
	table->types[n] = bkp_strdup(text_of(row, 2), err);
	if (table->types[n] == NULL) {
		free(table->columns[n]);
		return -1;
	}
	if (table->types[n][0] == '\0')
		table->has_binary = false;
	table->column_count++;
	return 0;
}

static int
read_columns(struct bkp_pg *pg, struct bkp_pg_catalogue *catalogue,
    struct bkp_error *err)
{
	char *sql = bkp_format(err, columns_sql, bkp_pg_types);
	PGresult *result = NULL;
	struct row row;
	int rc = -1;

	if (sql == NULL || bkp_pg_query(pg, sql, 0, NULL, &result, err) < 0) {
		free(sql);
		return -1;
	}
	row = (struct row){.result = result};
	for (; row.number < PQntuples(result); row.number++) {
		struct bkp_pg_table *table =
		    find_table(catalogue, text_of(&row, 0));

		if (table != NULL && add_column(table, &row, err) < 0)
			goto out;
	}
	rc = 0;
out:
	PQclear(result);
	free(sql);
	return rc;
}

static void
swap(char **a, char **b)
{
	char *kept = *a;

	*a = *b;
	*b = kept;
}

/* By name, and the types with them; there are at most 1600. */
static void
sort_columns(struct bkp_pg_table *table)
{
	for (size_t i = 1; i < table->column_count; i++)
		for (size_t k = i; k > 0 && strcmp(table->columns[k - 1],
						table->columns[k]) > 0;
		     k--) {
			swap(&table->columns[k - 1], &table->columns[k]);
			swap(&table->types[k - 1], &table->types[k]);
		}
}

/* Children of an inheritance tree may get their columns in another order when
 * they are made again; the hash of a row must not depend on it. */
static void
order_columns(struct bkp_pg_catalogue *catalogue)
{
	for (size_t i = 0; i < catalogue->table_count; i++)
		if (catalogue->tables[i].is_by_name)
			sort_columns(&catalogue->tables[i]);
}

int
bkp_pg_catalogue_read(
    struct bkp_pg *pg, struct bkp_pg_catalogue *out, struct bkp_error *err)
{
	struct bkp_pg_catalogue catalogue = BKP_PG_CATALOGUE_INIT;
	char *standby;
	int rc = -1;

	standby = bkp_pg_text(pg, "SELECT pg_is_in_recovery()", err);
	if (standby == NULL)
		return -1;
	if (read_relations(pg, standby[0] == 't', &catalogue, err) < 0 ||
	    read_columns(pg, &catalogue, err) < 0)
		goto out;
	order_columns(&catalogue);
	if (catalogue.table_count > 0)
		qsort(catalogue.tables, catalogue.table_count,
		    sizeof(*catalogue.tables), compare_path);
	*out = catalogue;
	catalogue = (struct bkp_pg_catalogue)BKP_PG_CATALOGUE_INIT;
	rc = 0;
out:
	free(standby);
	bkp_pg_catalogue_free(&catalogue);
	return rc;
}
