/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, what they are partitions and children of, their columns and keys. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/model_own.h"
#include "libbackup/subject/names.h"

/* ---- tables ---- */

#define RELATIONS(size)                                                        \
	"SELECT c.oid, n.nspname, c.relname, c.relkind::text,"                 \
	" CASE WHEN c.relispartition THEN i.inhparent ELSE 0 END,"             \
	" c.reltuples, " size ", d.description, " ACCESS " "                   \
	"FROM " MODEL_FROM                                                     \
	" LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhseqno = 1"    \
	" LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass"     \
	"  AND d.objoid = c.oid AND d.objsubid = 0 "                           \
	"WHERE NOT EXISTS (SELECT FROM pg_depend e"                            \
	"  WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid"         \
	"  AND e.objsubid = 0 AND e.deptype = 'e') "                           \
	"ORDER BY c.oid"

/* As enum bkp_access counts. */
#define ACCESS                                                                 \
	"CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE')"                   \
	" OR NOT has_table_privilege(c.oid, 'SELECT') THEN 2"                  \
	" WHEN row_security_active(c.oid) THEN 1 ELSE 0 END"

/* The server looks at each of a table's files. */
#define SIZE                                                                   \
	"CASE WHEN c.relkind = 'r'"                                            \
	" THEN COALESCE(pg_table_size(c.oid), 0) ELSE 0 END"

enum {
	R_OID,
	R_SCHEMA,
	R_NAME,
	R_KIND,
	R_ABOVE,
	R_ROWS,
	R_BYTES,
	R_COMMENT,
	R_ACCESS
};

/* Takes the buffer's text as a string of its own and empties it. */
static char *
take_text(struct fmt_buf *buf, enum fmt_status status, struct bkp_error *err)
{
	const char *text = status == FMT_OK ? fmt_buf_text(buf) : NULL;
	char *copy = NULL;

	if (text == NULL)
		(void)bkp_fail_nomem(err, "reading the catalogue");
	else
		copy = bkp_strdup(text, err);
	fmt_buf_free(buf);
	return copy;
}

static char *
make_id(const struct model_row *row, struct bkp_error *err)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	enum fmt_status status = bkp_subject_table(&buf,
	    bkp_model_row_text(row, R_SCHEMA), bkp_model_row_text(row, R_NAME));

	return take_text(&buf, status, err);
}

static char *
make_quoted(const struct model_row *row, struct bkp_error *err)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	enum fmt_status status = bkp_pg_sql(&buf, "%I.%I",
	    bkp_model_row_text(row, R_SCHEMA), bkp_model_row_text(row, R_NAME));

	return take_text(&buf, status, err);
}

static int
add_relation(struct model_reader *r, const struct model_row *row, void *arg,
    struct bkp_error *err)
{
	struct model_relation *relation;

	(void)arg;
	if (bkp_grow(&r->relations, r->relation_count, &r->relation_cap,
		sizeof(*r->relations), err) < 0)
		return -1;
	relation = &r->relations[r->relation_count];
	*relation = (struct model_relation){
	    .oid = bkp_model_row_oid(row, R_OID),
	    .above = bkp_model_row_oid(row, R_ABOVE),
	    .kind = bkp_model_row_text(row, R_KIND)[0],
	    .table = SIZE_MAX,
	};
	if ((relation->id = make_id(row, err)) == NULL)
		return -1;
	r->relation_count++;
	return 0;
}

static int
fill_table(struct bkp_model_table *table, const struct model_row *row,
    struct bkp_error *err)
{
	table->oid = bkp_model_row_oid(row, R_OID);
	table->rows = -1;
	if ((table->id = make_id(row, err)) == NULL ||
	    (table->quoted = make_quoted(row, err)) == NULL ||
	    bkp_model_row_copy(row, R_SCHEMA, &table->schema, err) < 0 ||
	    bkp_model_row_copy(row, R_NAME, &table->name, err) < 0)
		return -1;
	return bkp_model_row_copy(row, R_COMMENT, &table->comment, err);
}

static int
add_table(struct model_reader *r, const struct model_row *row, void *arg,
    struct bkp_error *err)
{
	struct bkp_model *model = r->model;
	struct bkp_model_table *table;

	(void)arg;
	if (bkp_model_row_oid(row, R_ABOVE) != 0)
		return 0;
	if (bkp_grow(&model->tables, model->table_count, &model->table_cap,
		sizeof(*model->tables), err) < 0)
		return -1;
	table = &model->tables[model->table_count++];
	memset(table, 0, sizeof(*table));
	return fill_table(table, row, err);
}

static int
compare_tables(const void *a, const void *b)
{
	const struct bkp_model_table *left = a, *right = b;

	return strcmp(left->id, right->id);
}

/* The table that holds a relation's rows as far as maps are concerned. */
static size_t
root_of(const struct model_reader *r, const struct model_relation *relation)
{
	while (relation != NULL && relation->above != 0)
		relation = bkp_model_relation(r, relation->above);
	return relation != NULL ? bkp_model_table(r->model, relation->id)
				: SIZE_MAX;
}

/* Rows are read from the leaves as well, which have privileges of their
 * own. */
static void
note_access(struct bkp_model_table *table, const struct model_row *row)
{
	enum bkp_access access =
	    (enum bkp_access)bkp_model_row_oid(row, R_ACCESS);

	if (table->access < access)
		table->access = access;
}

/* Adds what holds rows to its table. The planner's counts add up; a leaf that
 * it never counted makes the sum a lower bound. */
static int
add_leaf(struct model_reader *r, const struct model_row *row, void *arg,
    struct bkp_error *err)
{
	const struct model_relation *relation =
	    bkp_model_relation(r, bkp_model_row_oid(row, R_OID));
	double rows = strtod(bkp_model_row_text(row, R_ROWS), NULL);
	struct bkp_model_table *table;
	struct bkp_model_leaf *leaf;

	(void)arg;
	if (relation->table == SIZE_MAX)
		return 0;
	table = &r->model->tables[relation->table];
	note_access(table, row);
	if (relation->kind == 'p')
		return 0;
	if (bkp_grow(&table->leaves, table->leaf_count, &table->leaf_cap,
		sizeof(*table->leaves), err) < 0)
		return -1;
	leaf = &table->leaves[table->leaf_count];
	leaf->oid = relation->oid;
	if ((leaf->quoted = make_quoted(row, err)) == NULL)
		return -1;
	table->leaf_count++;
	if (rows >= 0)
		table->rows = table->rows > 0 ? table->rows + rows : rows;
	table->bytes += strtoull(bkp_model_row_text(row, R_BYTES), NULL, 10);
	table->is_foreign |= relation->kind == 'f';
	return 0;
}

/* ---- inheritance ---- */

static const char children_sql[] =
    "SELECT i.inhrelid, i.inhparent FROM pg_inherits i"
    " JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE c.relkind IN ('r', 'f') AND NOT c.relispartition "
    "ORDER BY i.inhrelid, i.inhseqno";

static int
add_child(struct model_reader *r, const struct model_row *row, void *arg,
    struct bkp_error *err)
{
	const struct model_relation *child =
	    bkp_model_relation(r, bkp_model_row_oid(row, 0));
	const struct model_relation *parent =
	    bkp_model_relation(r, bkp_model_row_oid(row, 1));
	struct bkp_model_table *table;

	(void)arg;
	if (child == NULL || parent == NULL || child->table == SIZE_MAX ||
	    parent->table == SIZE_MAX)
		return 0;
	if (bkp_grow(&r->children, r->child_count, &r->child_cap,
		sizeof(*r->children), err) < 0)
		return -1;
	r->children[r->child_count++] =
	    (struct model_child){child->table, parent->table};
	table = &r->model->tables[child->table];
	if (table->parent != NULL)
		return 0;
	table->parent = bkp_strdup(r->model->tables[parent->table].id, err);
	return table->parent != NULL ? 0 : -1;
}

/* The answer is read three times: all must be known before their roots are
 * looked for, and all roots before leaves are given to them. */
int
bkp_model_read_tables(struct model_reader *r, struct bkp_error *err)
{
	PGresult *result = NULL;
	struct model_row row;
	int rc = 0;

	if (bkp_pg_query(r->pg,
		r->model->is_for_advice ? RELATIONS(SIZE) : RELATIONS("0"), 0,
		NULL, &result, err) < 0)
		return -1;
	row = (struct model_row){.result = result};
	for (; rc == 0 && row.number < PQntuples(result); row.number++) {
		rc = add_relation(r, &row, NULL, err);
		if (rc == 0)
			rc = add_table(r, &row, NULL, err);
	}
	if (rc == 0 && r->model->table_count > 0)
		qsort(r->model->tables, r->model->table_count,
		    sizeof(*r->model->tables), compare_tables);
	for (size_t i = 0; rc == 0 && i < r->relation_count; i++)
		r->relations[i].table = root_of(r, &r->relations[i]);
	for (row.number = 0; rc == 0 && row.number < PQntuples(result);
	     row.number++)
		rc = add_leaf(r, &row, NULL, err);
	PQclear(result);
	return rc == 0 ? bkp_model_each(r, children_sql, add_child, NULL, err)
		       : -1;
}

/* ---- columns ---- */

#define COLUMNS(element, is_composite, types, has_domain)                      \
	"SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod),"  \
	" t.oid, COALESCE(" element ".oid, t.oid), e.oid IS NOT NULL,"         \
	" COALESCE(" element ".typtype, t.typtype) IN ('c', 'r', 'm')"         \
	"  " is_composite ", a.attnotnull, a.attgenerated <> '',"              \
	" d.description, " has_domain " "                                      \
	"FROM " MODEL_FROM " AND NOT c.relispartition"                         \
	" JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"          \
	"  AND NOT a.attisdropped " types                                      \
	" LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass"     \
	"  AND d.objoid = c.oid AND d.objsubid = a.attnum "                    \
	"ORDER BY a.attrelid, a.attnum"

/* A type is an array where it is the one that is made for its elements. */
#define ELEMENTS                                                               \
	" LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid"

static const char plain_columns_sql[] =
    COLUMNS("e", "", "JOIN pg_type t ON t.oid = a.atttypid" ELEMENTS,
	"'d' IN (t.typtype, e.typtype)");

/* Domains are followed to what they are made of, and so are the elements of
 * arrays. An array whose elements are arrays again (of a domain) is as good as
 * a composite: only the server can write it. */
static const char columns_sql[] =
    "WITH RECURSIVE step AS ("
    " SELECT t.oid, t.typbasetype AS type FROM pg_type t"
    "  WHERE t.typtype = 'd'"
    " UNION ALL SELECT s.oid, t.typbasetype FROM step s"
    "  JOIN pg_type t ON t.oid = s.type WHERE t.typtype = 'd'),"
    "base AS ("
    " SELECT s.oid, s.type FROM step s JOIN pg_type t ON t.oid = s.type"
    "  WHERE t.typtype <> 'd') " COLUMNS("u", "OR nested.oid IS NOT NULL",
	"LEFT JOIN base b ON b.oid = a.atttypid"
	" JOIN pg_type t ON t.oid = COALESCE(b.type, a.atttypid)" ELEMENTS
	" LEFT JOIN base f ON f.oid = e.oid"
	" LEFT JOIN pg_type u ON u.oid = COALESCE(f.type, e.oid)"
	" LEFT JOIN pg_type nested ON nested.oid = u.typelem"
	"  AND nested.typarray = u.oid",
	"false");

enum {
	C_TABLE,
	C_NAME,
	C_TYPE,
	C_OID,
	C_ELEMENT,
	C_IS_ARRAY,
	C_IS_COMPOSITE,
	C_IS_NOT_NULL,
	C_IS_GENERATED,
	C_COMMENT,
	C_HAS_DOMAIN
};

/* By the OIDs that these types have on every server. */
static enum fmt_pgjson
kind_of(unsigned type)
{
	static const struct {
		unsigned oid;
		enum fmt_pgjson kind;
	} kinds[] = {{16, FMT_PGJSON_BOOLEAN}, {17, FMT_PGJSON_BYTES},
	    {20, FMT_PGJSON_EXACT}, {21, FMT_PGJSON_INTEGER},
	    {23, FMT_PGJSON_INTEGER}, {26, FMT_PGJSON_INTEGER},
	    {114, FMT_PGJSON_JSON}, {700, FMT_PGJSON_FLOAT},
	    {701, FMT_PGJSON_FLOAT}, {1082, FMT_PGJSON_DATE},
	    {1114, FMT_PGJSON_TIMESTAMP}, {1184, FMT_PGJSON_TIMESTAMPTZ},
	    {1700, FMT_PGJSON_EXACT}, {3802, FMT_PGJSON_JSON}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].oid == type)
			return kinds[i].kind;
	return FMT_PGJSON_TEXT;
}

static struct bkp_model_table *
table_of(struct model_reader *r, unsigned oid)
{
	const struct model_relation *relation = bkp_model_relation(r, oid);

	if (relation == NULL || relation->table == SIZE_MAX)
		return NULL;
	return &r->model->tables[relation->table];
}

static int
add_column(struct model_reader *r, const struct model_row *row, void *arg,
    struct bkp_error *err)
{
	struct bkp_model_table *table =
	    table_of(r, bkp_model_row_oid(row, C_TABLE));
	struct bkp_model_column *column;

	(void)arg;
	if (table == NULL)
		return 0;
	if (bkp_grow(&table->columns, table->column_count, &table->column_cap,
		sizeof(*table->columns), err) < 0)
		return -1;
	column = &table->columns[table->column_count++];
	*column = (struct bkp_model_column){
	    .type_oid = bkp_model_row_oid(row, C_OID),
	    .kind = kind_of(bkp_model_row_oid(row, C_ELEMENT)),
	    .is_array = bkp_model_row_is(row, C_IS_ARRAY),
	    .is_composite = bkp_model_row_is(row, C_IS_COMPOSITE),
	    .is_not_null = bkp_model_row_is(row, C_IS_NOT_NULL),
	    .is_generated = bkp_model_row_is(row, C_IS_GENERATED),
	};
	if (bkp_model_row_copy(row, C_NAME, &column->name, err) < 0 ||
	    bkp_model_row_copy(row, C_TYPE, &column->type, err) < 0)
		return -1;
	return bkp_model_row_copy(row, C_COMMENT, &column->comment, err);
}

/* ---- keys ---- */

static const char keys_sql[] =
    "SELECT i.indrelid, a.attname "
    "FROM " MODEL_FROM " AND NOT c.relispartition"
    " JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
    " CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(attnum, place)"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum "
    "WHERE k.place <= i.indnkeyatts "
    "ORDER BY i.indrelid, k.place";

static int
add_key_column(struct model_reader *r, const struct model_row *row, void *arg,
    struct bkp_error *err)
{
	struct bkp_model_table *table = table_of(r, bkp_model_row_oid(row, 0));
	size_t column;

	(void)arg;
	if (table == NULL)
		return 0;
	column = bkp_model_column(table, bkp_model_row_text(row, 1));
	if (table->key == NULL &&
	    (table->key = bkp_alloc_array(
		 table->column_count, sizeof(*table->key), err)) == NULL)
		return -1;
	table->key[table->key_count++] = column;
	return 0;
}

static bool
has_domain(const PGresult *result)
{
	struct model_row row = {.result = result};

	for (; row.number < PQntuples(result); row.number++)
		if (bkp_model_row_is(&row, C_HAS_DOMAIN))
			return true;
	return false;
}

/* Most have no domains, and to follow them takes the server longer than all
 * else. A session that does not join by hashes (walk_open.c) would hold every
 * column against every domain. */
static int
read_columns(struct model_reader *r, struct bkp_error *err)
{
	PGresult *result = NULL;
	struct model_row row;
	bool is_done;
	int rc = 0;

	if (bkp_pg_query(r->pg, plain_columns_sql, 0, NULL, &result, err) < 0)
		return -1;
	is_done = !has_domain(result);
	row = (struct model_row){.result = result};
	for (; is_done && rc == 0 && row.number < PQntuples(result);
	     row.number++)
		rc = add_column(r, &row, NULL, err);
	PQclear(result);
	if (is_done)
		return rc;
	if (bkp_pg_do(r->pg, "SET LOCAL enable_hashjoin TO on", err) < 0)
		return -1;
	return bkp_model_each(r, columns_sql, add_column, NULL, err);
}

int
bkp_model_read_columns(struct model_reader *r, struct bkp_error *err)
{
	if (read_columns(r, err) < 0)
		return -1;
	return bkp_model_each(r, keys_sql, add_key_column, NULL, err);
}
