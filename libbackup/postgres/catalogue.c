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

/* A heap whose rows go back through a root. */
struct leaf {
	uint32_t root;
	bool is_heap;
	uint64_t bytes;
	struct bkp_pg_part part;
};

struct reading {
	struct bkp_pg_catalogue *catalogue;
	unsigned major;
	bool is_standby;
	struct leaf *leaves; /* in the order of their OIDs */
	size_t leaf_count, leaf_cap;
	size_t secured; /* tables of which policies hide rows */
	const char *secured_first;

	/* The columns of one table, while they come. */
	uint32_t table;
	const char **columns, **types;
	size_t column_count, column_cap, type_cap;
};

static const char *
text_of(const PGresult *row, int column)
{
	return PQgetvalue(row, 0, column);
}

static bool
bool_of(const PGresult *row, int column)
{
	return text_of(row, column)[0] == 't';
}

static uint64_t
number_of(const PGresult *row, int column)
{
	return strtoull(text_of(row, column), NULL, 10);
}

static const char *
keep(struct reading *reading, const PGresult *row, int column,
    struct bkp_error *err)
{
	const char *text = text_of(row, column);

	return bkp_arena_text(
	    &reading->catalogue->arena, text, strlen(text), err);
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

void
bkp_pg_catalogue_free(struct bkp_pg_catalogue *catalogue)
{
	bkp_arena_free(&catalogue->arena);
	free(catalogue->tables);
	free(catalogue->skipped);
	*catalogue = (struct bkp_pg_catalogue)BKP_PG_CATALOGUE_INIT;
}

static const char *
make_path(struct reading *reading, const PGresult *row, struct bkp_error *err)
{
	const char *schema = text_of(row, R_SCHEMA);
	const char *name = text_of(row, R_NAME);
	struct fmt_buf path = FMT_BUF_INIT;
	enum fmt_status status = bkp_pg_path_table(&path, schema, name);
	const char *text = NULL;

	if (status == FMT_OK)
		text = bkp_arena_text(&reading->catalogue->arena,
		    (const char *)path.data, path.len, err);
	else
		(void)bkp_fail_format(err, status, "table %s.%s", schema, name);
	fmt_buf_free(&path);
	return text;
}

static struct bkp_pg_part
part_of(const PGresult *row, const char *quoted)
{
	return (struct bkp_pg_part){.quoted = quoted,
	    .oid = (uint32_t)number_of(row, R_OID),
	    .pages = number_of(row, R_PAGES)};
}

/* A table that is its own only part. */
static int
add_itself(struct reading *reading, struct bkp_pg_table *table,
    const PGresult *row, struct bkp_error *err)
{
	table->parts = bkp_arena_room(
	    &reading->catalogue->arena, sizeof(*table->parts), err);
	if (table->parts == NULL)
		return -1;
	table->parts[table->part_count++] = part_of(row, table->quoted);
	table->bytes = number_of(row, R_BYTES);
	return 0;
}

static int
fill_table(struct reading *reading, struct bkp_pg_table *table,
    const PGresult *row, struct bkp_error *err)
{
	struct bkp_arena *arena = &reading->catalogue->arena;
	bool is_ours = text_of(row, R_EXTENSION)[0] == '\0';

	table->schema = bkp_arena_string(arena, text_of(row, R_SCHEMA), err);
	table->name = keep(reading, row, R_NAME, err);
	table->quoted = keep(reading, row, R_QUOTED, err);
	table->filter = bkp_arena_string(arena, text_of(row, R_FILTER), err);
	table->path = make_path(reading, row, err);
	if (table->schema == NULL || table->name == NULL ||
	    table->quoted == NULL || table->filter == NULL ||
	    table->path == NULL)
		return -1;
	if (!is_ours && (table->extension = bkp_arena_string(
			     arena, text_of(row, R_EXTENSION), err)) == NULL)
		return -1;
	table->oid = (uint32_t)number_of(row, R_OID);
	table->is_unlogged = text_of(row, R_PERSISTENCE)[0] == 'u';
	table->is_by_name = bool_of(row, R_INHERITS);
	table->is_root = text_of(row, R_KIND)[0] == 'p';
	table->has_binary = true;
	/* Older servers scan the whole table for a range of ctids. */
	table->has_ranges = reading->major >= 14 && table->filter[0] == '\0' &&
			    (bool_of(row, R_HEAP) || table->is_root);
	return table->is_root ? 0 : add_itself(reading, table, row, err);
}

static int
add_table(struct reading *reading, const PGresult *row, struct bkp_error *err)
{
	struct bkp_pg_catalogue *catalogue = reading->catalogue;
	struct bkp_pg_table table;

	memset(&table, 0, sizeof(table));
	if (bkp_grow(&catalogue->tables, catalogue->table_count,
		&catalogue->table_cap, sizeof(table), err) < 0 ||
	    fill_table(reading, &table, row, err) < 0)
		return -1;
	catalogue->tables[catalogue->table_count++] = table;
	return 0;
}

static int
add_skipped(struct reading *reading, const PGresult *row, const char *reason,
    struct bkp_error *err)
{
	struct bkp_pg_catalogue *catalogue = reading->catalogue;
	const char *path;

	if (bkp_grow(&catalogue->skipped, catalogue->skipped_count,
		&catalogue->skipped_cap, sizeof(*catalogue->skipped), err) < 0)
		return -1;
	if ((path = make_path(reading, row, err)) == NULL)
		return -1;
	catalogue->skipped[catalogue->skipped_count++] =
	    (struct bkp_pg_skipped){path, reason};
	return 0;
}

static int
add_leaf(struct reading *reading, const PGresult *row, struct bkp_error *err)
{
	const char *quoted = keep(reading, row, R_QUOTED, err);

	if (quoted == NULL ||
	    bkp_grow(&reading->leaves, reading->leaf_count, &reading->leaf_cap,
		sizeof(*reading->leaves), err) < 0)
		return -1;
	reading->leaves[reading->leaf_count++] =
	    (struct leaf){.root = (uint32_t)number_of(row, R_ROOT),
		.is_heap = bool_of(row, R_HEAP),
		.bytes = number_of(row, R_BYTES),
		.part = part_of(row, quoted)};
	return 0;
}

/* ---- order ---- */

static int
compare_oid(const void *a, const void *b)
{
	const struct bkp_pg_table *x = a, *y = b;

	return (x->oid > y->oid) - (x->oid < y->oid);
}

static int
compare_path(const void *a, const void *b)
{
	const struct bkp_pg_table *x = a, *y = b;

	return fmt_entry_compare(x->path, y->path);
}

static int
compare_leaf(const void *a, const void *b)
{
	const struct leaf *x = a, *y = b;

	if (x->root != y->root)
		return x->root < y->root ? -1 : 1;
	return (x->part.oid > y->part.oid) - (x->part.oid < y->part.oid);
}

static struct bkp_pg_table *
find_table(struct bkp_pg_catalogue *catalogue, uint32_t oid)
{
	const struct bkp_pg_table key = {.oid = oid};

	if (catalogue->table_count == 0)
		return NULL;
	return bsearch(&key, catalogue->tables, catalogue->table_count,
	    sizeof(key), compare_oid);
}

/* ---- relations ---- */

/* True where the rows of this relation are an entry of their own. */
static bool
is_wanted(const PGresult *row)
{
	switch (text_of(row, R_KIND)[0]) {
	case 'r': /* but not the leaf of a tree that is loaded by its root */
		return text_of(row, R_ROOT)[0] == '\0';
	case 'p': /* only such a root */
		return strcmp(text_of(row, R_ROOT), text_of(row, R_OID)) == 0;
	default:
		return false;
	}
}

/* Row-level security would hide rows. */
static int
note_secured(
    struct reading *reading, const PGresult *row, struct bkp_error *err)
{
	if (!bool_of(row, R_SECURED) || text_of(row, R_KIND)[0] == 'f')
		return 0;
	if (reading->secured++ > 0)
		return 0;
	reading->secured_first = keep(reading, row, R_QUOTED, err);
	return reading->secured_first != NULL ? 0 : -1;
}

static int
take_relation(void *arg, const PGresult *row, struct bkp_error *err)
{
	struct reading *reading = arg;
	bool is_ours = text_of(row, R_EXTENSION)[0] == '\0';

	if (note_secured(reading, row, err) < 0)
		return -1;
	if (text_of(row, R_KIND)[0] == 'f')
		return is_ours ? add_skipped(
				     reading, row, BKP_PG_SKIPPED_FOREIGN, err)
			       : 0;
	if (text_of(row, R_KIND)[0] == 'r' && text_of(row, R_ROOT)[0] != '\0')
		return add_leaf(reading, row, err);
	if (!is_wanted(row) || (!is_ours && !bool_of(row, R_CONFIG)))
		return 0;
	if (reading->is_standby && text_of(row, R_PERSISTENCE)[0] == 'u')
		return add_skipped(reading, row,
		    "unlogged table: a standby does not have its rows", err);
	return add_table(reading, row, err);
}

/* Says of which tables. */
static int
refuse_secured(const struct reading *reading, struct bkp_error *err)
{
	if (reading->secured == 0)
		return 0;
	return bkp_fail(err, BKP_AUTH,
	    "row-level security hides rows of %s%s from this role: back up as "
	    "the owner, as a superuser, or ALTER ROLE ... BYPASSRLS",
	    reading->secured_first,
	    reading->secured > 1 ? " and other tables" : "");
}

/* Gives the leaves of a tree, which lie side by side, to its root's entry. */
static int
add_leaves(struct reading *reading, const struct leaf *leaves, size_t count,
    struct bkp_error *err)
{
	struct bkp_pg_table *root =
	    find_table(reading->catalogue, leaves[0].root);

	if (root == NULL)
		return 0;
	root->parts = bkp_arena_room(
	    &reading->catalogue->arena, count * sizeof(*root->parts), err);
	if (root->parts == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		root->has_ranges = root->has_ranges && leaves[i].is_heap;
		root->bytes += leaves[i].bytes;
		root->parts[root->part_count++] = leaves[i].part;
	}
	return 0;
}

static int
add_all_leaves(struct reading *reading, struct bkp_error *err)
{
	size_t from = 0;

	if (reading->leaf_count > 0)
		qsort(reading->leaves, reading->leaf_count,
		    sizeof(*reading->leaves), compare_leaf);
	while (from < reading->leaf_count) {
		const struct leaf *leaves = &reading->leaves[from];
		size_t count = 1;

		while (from + count < reading->leaf_count &&
		       leaves[count].root == leaves[0].root)
			count++;
		if (add_leaves(reading, leaves, count, err) < 0)
			return -1;
		from += count;
	}
	return 0;
}

static int
read_relations(
    struct reading *reading, struct bkp_pg *pg, struct bkp_error *err)
{
	struct bkp_pg_catalogue *catalogue = reading->catalogue;

	if (bkp_pg_each(pg, relations_sql, take_relation, reading, err) < 0 ||
	    refuse_secured(reading, err) < 0)
		return -1;
	if (catalogue->table_count > 0)
		qsort(catalogue->tables, catalogue->table_count,
		    sizeof(*catalogue->tables), compare_oid);
	return add_all_leaves(reading, err);
}

/* ---- columns ---- */

/* All columns of a table have come. */
static int
end_table(struct reading *reading, struct bkp_error *err)
{
	struct bkp_arena *arena = &reading->catalogue->arena;
	struct bkp_pg_table *table =
	    find_table(reading->catalogue, reading->table);
	size_t count = reading->column_count;
	size_t size = count * sizeof(*table->columns);

	reading->column_count = 0;
	if (table == NULL || count == 0)
		return 0;
	table->columns = bkp_arena_room(arena, size, err);
	table->types = bkp_arena_room(arena, size, err);
	if (table->columns == NULL || table->types == NULL)
		return -1;
	memcpy(table->columns, reading->columns, size);
	memcpy(table->types, reading->types, size);
	table->column_count = count;
	for (size_t i = 0; i < count; i++)
		if (table->types[i][0] == '\0')
			table->has_binary = false;
	return 0;
}

static int
take_column(void *arg, const PGresult *row, struct bkp_error *err)
{
	struct reading *reading = arg;
	struct bkp_arena *arena = &reading->catalogue->arena;
	uint32_t oid = (uint32_t)number_of(row, 0);
	size_t n;

	if (oid != reading->table) {
		if (end_table(reading, err) < 0)
			return -1;
		reading->table = oid;
	}
	n = reading->column_count;
	if (bkp_grow(&reading->columns, n, &reading->column_cap,
		sizeof(*reading->columns), err) < 0 ||
	    bkp_grow(&reading->types, n, &reading->type_cap,
		sizeof(*reading->types), err) < 0)
		return -1;
	reading->columns[n] = bkp_arena_string(arena, text_of(row, 1), err);
	reading->types[n] = bkp_arena_string(arena, text_of(row, 2), err);
	if (reading->columns[n] == NULL || reading->types[n] == NULL)
		return -1;
	reading->column_count++;
	return 0;
}

static int
read_columns(struct reading *reading, struct bkp_pg *pg, struct bkp_error *err)
{
	char *sql = bkp_format(err, columns_sql, bkp_pg_types);
	int rc = -1;

	if (sql != NULL && bkp_pg_each(pg, sql, take_column, reading, err) == 0)
		rc = end_table(reading, err);
	free(sql);
	return rc;
}

static void
swap(const char **a, const char **b)
{
	const char *kept = *a;

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

static int
read_all(struct reading *reading, struct bkp_pg *pg, struct bkp_error *err)
{
	struct bkp_pg_catalogue *catalogue = reading->catalogue;
	char *standby = bkp_pg_text(pg, "SELECT pg_is_in_recovery()", err);

	if (standby == NULL)
		return -1;
	reading->is_standby = standby[0] == 't';
	free(standby);
	if (read_relations(reading, pg, err) < 0 ||
	    read_columns(reading, pg, err) < 0)
		return -1;
	order_columns(catalogue);
	if (catalogue->table_count > 0)
		qsort(catalogue->tables, catalogue->table_count,
		    sizeof(*catalogue->tables), compare_path);
	return 0;
}

int
bkp_pg_catalogue_read(
    struct bkp_pg *pg, struct bkp_pg_catalogue *out, struct bkp_error *err)
{
	struct bkp_pg_catalogue catalogue = BKP_PG_CATALOGUE_INIT;
	struct reading reading = {
	    .catalogue = &catalogue, .major = bkp_pg_major(pg)};
	int rc = read_all(&reading, pg, err);

	free(reading.leaves);
	free(reading.columns);
	free(reading.types);
	if (rc == 0)
		*out = catalogue;
	else
		bkp_pg_catalogue_free(&catalogue);
	return rc;
}
