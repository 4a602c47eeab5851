/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/rows.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/names.h"
#include "libbackup/subject/rows_impl.h"

/* ---- which columns ---- */

static const struct bkp_model_table *
table_of(const struct bkp_rows *rows)
{
	return &rows->walk->model.tables[rows->table];
}

/* The lists that give a column; all bits where the row is given as a whole. */
static uint64_t
lists_of(const struct bkp_rows *rows, const char *column)
{
	uint64_t lists = 0;

	if (rows->decided != BKP_ACTOR && rows->decided != BKP_LOOKUP)
		return UINT64_MAX;
	for (size_t i = 0; i < rows->walk->list_count; i++) {
		const struct bkp_walk_list *list = &rows->walk->lists[i];

		if (list->table != rows->table ||
		    list->decided != rows->decided)
			continue;
		for (size_t k = 0; k < list->columns->count; k++)
			if (strcmp(list->columns->items[k], column) == 0)
				lists |= list->bit;
	}
	return lists;
}

static bool
is_derived(
    const struct bkp_map_table *table, const struct bkp_map_column *column)
{
	if (column != NULL && column->origin != BKP_ORIGIN_UNKNOWN)
		return column->origin == BKP_DERIVED;
	return table != NULL && table->origin == BKP_DERIVED;
}

static int
choose_columns(
    struct bkp_rows *rows, enum bkp_profile profile, struct bkp_error *err)
{
	const struct bkp_model_table *t = table_of(rows);
	const struct bkp_map_table *map = bkp_map_table(rows->walk->map, t->id);

	for (size_t i = 0; i < t->column_count; i++) {
		const char *name = t->columns[i].name;
		const struct bkp_map_column *column = bkp_map_column(map, name);
		uint64_t lists = lists_of(rows, name);

		if (lists == 0 ||
		    (column != NULL && column->treatment == BKP_OMIT) ||
		    (profile == BKP_PROFILE_PORTABILITY &&
			is_derived(map, column)))
			continue;
		if (bkp_grow(&rows->columns, rows->column_count,
			&rows->column_cap, sizeof(*rows->columns), err) < 0 ||
		    bkp_grow(&rows->makers, rows->column_count,
			&rows->maker_cap, sizeof(*rows->makers), err) < 0)
			return -1;
		rows->columns[rows->column_count] = (struct bkp_rows_column){i,
		    name, column != NULL ? column->treatment : BKP_KEEP, column,
		    false};
		rows->makers[rows->column_count++] =
		    (struct bkp_rows_maker){lists, FMT_BUF_INIT};
	}
	return 0;
}

/* ---- references to other people ---- */

/* "public.users(id)" */
static char *
name_realm(const struct bkp_rows *rows, const struct bkp_walk_edge *edge,
    size_t pair, struct bkp_error *err)
{
	const struct bkp_model_table *parent =
	    &rows->walk->model.tables[edge->parent];
	struct fmt_buf name = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(&name, parent->id);
	char *realm = NULL;

	if (status == FMT_OK)
		status = fmt_buf_append_byte(&name, '(');
	if (status == FMT_OK)
		status = bkp_subject_identifier(
		    &name, parent
			       ->columns[bkp_walk_parent_column(
				   rows->walk, edge, pair)]
			       .name);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(&name, ')');
	if (status == FMT_OK && fmt_buf_text(&name) != NULL)
		realm = bkp_strdup((const char *)name.data, err);
	else
		(void)bkp_fail_nomem(err, "naming a realm");
	fmt_buf_free(&name);
	return realm;
}

/* True where the column stands in this pair of the edge. */
static bool
is_in_pair(const struct bkp_rows *rows, const struct bkp_walk_edge *edge,
    size_t pair, const struct bkp_rows_column *c)
{
	size_t column;

	if (bkp_walk_child_column(rows->walk, edge, pair, &column))
		return column == c->column;
	return bkp_subject_mentions(
	    edge->map->child_values.items[pair], c->name);
}

static int
add_links(struct bkp_rows *rows, size_t reference, struct bkp_error *err)
{
	const struct bkp_walk_edge *edge = rows->references[reference].edge;

	for (size_t k = 0; k < bkp_walk_pair_count(edge); k++)
		for (size_t i = 0; i < rows->column_count; i++) {
			struct bkp_rows_link link = {i, reference, k, NULL};

			if (!is_in_pair(rows, edge, k, &rows->columns[i]))
				continue;
			if (bkp_grow(&rows->links, rows->link_count,
				&rows->link_cap, sizeof(*rows->links),
				err) < 0 ||
			    (link.realm = name_realm(rows, edge, k, err)) ==
				NULL)
				return -1;
			rows->links[rows->link_count++] = link;
			rows->columns[i].names_others = true;
		}
	return 0;
}

static int
find_references(struct bkp_rows *rows, struct bkp_error *err)
{
	for (size_t i = 0; i < rows->walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &rows->walk->edges[i];
		size_t links = rows->link_count;

		if (rows->decided != BKP_SHARED || edge->child != rows->table ||
		    edge->parent != rows->walk->subject)
			continue;
		if (bkp_grow(&rows->references, rows->reference_count,
			&rows->reference_cap, sizeof(*rows->references),
			err) < 0)
			return -1;
		rows->references[rows->reference_count] =
		    (struct bkp_rows_reference){edge, rows->field_count};
		if (add_links(rows, rows->reference_count, err) < 0)
			return -1;
		/* Nothing that is shown stands in it. */
		if (rows->link_count == links)
			continue;
		rows->reference_count++;
		rows->field_count += 1 + bkp_walk_pair_count(edge);
	}
	return 0;
}

/* ---- places ---- */

bool
bkp_rows_has_lists(const struct bkp_rows *rows)
{
	return rows->decided != BKP_OWN;
}

/* Of what one may want to find again. */
bool
bkp_rows_has_places(const struct bkp_rows *rows)
{
	return rows->decided == BKP_OWN || rows->decided == BKP_LOOKUP;
}

bool
bkp_rows_has_leaves(const struct bkp_rows *rows)
{
	return table_of(rows)->leaf_count > 1;
}

bool
bkp_rows_has_parents(const struct bkp_rows *rows)
{
	return bkp_walk_is_chain(rows->walk, rows->table) &&
	       !bkp_walk_hangs_on_subject(
		   rows->walk, rows->walk->sets[rows->table].chain);
}

uint64_t
bkp_rows_tid(const char *text)
{
	char *end;
	uint64_t block = strtoull(text + 1, &end, 10);

	return block << 16 | strtoull(end + 1, NULL, 10);
}

struct bkp_rows_place
bkp_rows_place(const struct bkp_rows *rows)
{
	const struct bkp_rows_value *fields =
	    &rows->fields[rows->field_count - bkp_rows_has_parents(rows)];

	if (!bkp_rows_has_places(rows))
		return (struct bkp_rows_place){0, 0};
	return (struct bkp_rows_place){
	    bkp_rows_has_leaves(rows)
		? (unsigned)strtoul(fields[-2].text, NULL, 10)
		: table_of(rows)->leaves[0].oid,
	    bkp_rows_tid(fields[-1].text)};
}

struct bkp_rows_place
bkp_rows_parent(const struct bkp_rows *rows)
{
	const struct bkp_walk_edge *edge = rows->walk->sets[rows->table].chain;

	if (!bkp_rows_has_parents(rows))
		return (struct bkp_rows_place){0, 0};
	return (struct bkp_rows_place){
	    rows->walk->model.tables[edge->parent].leaves[0].oid,
	    bkp_rows_tid(rows->fields[rows->field_count - 1].text)};
}

/* ---- opening ---- */

/* The leaves that have such rows; *leaves has room for all. */
static int
find_leaves(struct bkp_rows *rows, const struct bkp_model_leaf **leaves,
    size_t *count, struct bkp_error *err)
{
	const struct bkp_model_table *t = table_of(rows);
	PGresult *result = NULL;
	int rc = -1;
	char *sql;

	if (t->leaf_count == 1) {
		leaves[(*count)++] = &t->leaves[0];
		return 0;
	}
	sql = bkp_format(err,
	    "SELECT DISTINCT rel FROM pg_temp.walk_%zu WHERE decided = %u",
	    rows->table, (unsigned)rows->decided);
	if (sql != NULL)
		rc = bkp_pg_query(&rows->walk->pg, sql, 0, NULL, &result, err);
	for (size_t k = 0; rc == 0 && k < t->leaf_count; k++)
		for (int i = 0; i < PQntuples(result); i++)
			if (strtoul(PQgetvalue(result, i, 0), NULL, 10) ==
			    t->leaves[k].oid)
				leaves[(*count)++] = &t->leaves[k];
	PQclear(result);
	free(sql);
	return rc;
}

static int
begin(struct bkp_rows *rows, const struct bkp_model_leaf *const *leaves,
    size_t count, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	int rc = -1;

	rows->fields =
	    bkp_alloc_array(rows->field_count, sizeof(*rows->fields), err);
	rows->values =
	    bkp_alloc_array(rows->column_count, sizeof(*rows->values), err);
	if (rows->fields == NULL || rows->values == NULL)
		return -1;
	if (bkp_rows_append_sql(&sql, rows, leaves, count) != FMT_OK ||
	    fmt_buf_text(&sql) == NULL)
		(void)bkp_fail_nomem(err, "reading rows");
	else
		rc = bkp_pg_copy_out_begin(
		    &rows->walk->pg, (const char *)sql.data, err);
	rows->is_coming = rc == 0;
	fmt_buf_free(&sql);
	return rc;
}

int
bkp_rows_open(struct bkp_walk *walk, size_t table, enum bkp_decided decided,
    enum bkp_profile profile, const unsigned char secret[32], uint64_t limit,
    struct bkp_rows **out, struct bkp_error *err)
{
	const struct bkp_model_table *t = &walk->model.tables[table];
	const struct bkp_model_leaf **leaves = bkp_alloc_array(
	    t->leaf_count + 1, sizeof(struct bkp_model_leaf *), err);
	struct bkp_rows *rows = bkp_alloc(sizeof(*rows), err);
	size_t count = 0;

	if (rows == NULL || leaves == NULL)
		goto fail;
	rows->walk = walk;
	rows->secret = secret;
	rows->limit = limit;
	rows->table = table;
	rows->decided = decided;
	if (choose_columns(rows, profile, err) < 0)
		goto fail;
	rows->field_count = bkp_rows_has_lists(rows) + rows->column_count;
	if (find_references(rows, err) < 0)
		goto fail;
	if (bkp_rows_has_places(rows)) {
		rows->field_count += bkp_rows_has_leaves(rows) ? 2 : 1;
		rows->field_count += bkp_rows_has_parents(rows) ? 1 : 0;
	}
	/* Where every column is left out there is nothing to tell. */
	if (walk->sets[table].is_used &&
	    (rows->column_count > 0 || t->column_count == 0) &&
	    find_leaves(rows, leaves, &count, err) < 0)
		goto fail;
	if (count > 0 && begin(rows, leaves, count, err) < 0)
		goto fail;
	free(leaves);
	*out = rows;
	return 0;
fail:
	(void)bkp_fail_in(err, "reading %s", t->id);
	bkp_rows_close(rows);
	free(leaves);
	return -1;
}

void
bkp_rows_close(struct bkp_rows *rows)
{
	if (rows == NULL)
		return;
	if (rows->is_coming)
		bkp_pg_interrupt(&rows->walk->pg);
	for (size_t i = 0; i < rows->column_count; i++)
		fmt_buf_free(&rows->makers[i].made);
	for (size_t i = 0; i < rows->link_count; i++)
		free(rows->links[i].realm);
	PQfreemem(rows->line);
	fmt_buf_free(&rows->room);
	free(rows->columns);
	free(rows->makers);
	free(rows->references);
	free(rows->links);
	free(rows->fields);
	free(rows->values);
	free(rows);
}

const struct bkp_rows_column *
bkp_rows_columns(const struct bkp_rows *rows, size_t *count)
{
	*count = rows->column_count;
	return rows->columns;
}

/* ---- rows ---- */

/* Takes the escapes of COPY out of a field, in place, and ends it with a NUL
 * where its delimiter was. Returns what is behind it. */
static char *
cut_field(char *at, char *end, struct bkp_rows_value *out)
{
	static const char escapes[] = "bfnrtv", meant[] = "\b\f\n\r\t\v";
	char *to = at, *start = at;

	if (end - at >= 3 && at[0] == '\\' && at[1] == 'N' &&
	    (at[2] == '\t' || at[2] == '\n')) {
		*out = (struct bkp_rows_value){NULL, 0, BKP_ROWS_TYPED};
		return at + 3;
	}
	while (at < end && *at != '\t' && *at != '\n') {
		if (*at == '\\' && at + 1 < end) {
			const char *escape = strchr(escapes, *++at);

			*to++ = escape != NULL && *at != '\0'
				    ? meant[escape - escapes]
				    : *at;
			at++;
		} else {
			*to++ = *at++;
		}
	}
	*to = '\0';
	*out = (struct bkp_rows_value){
	    start, (size_t)(to - start), BKP_ROWS_TYPED};
	return at + 1;
}

static int
cut_line(struct bkp_rows *rows, size_t len, struct bkp_error *err)
{
	char *at = rows->line, *end = rows->line + len;

	for (size_t i = 0; i < rows->field_count; i++) {
		if (at >= end)
			return bkp_fail(err, BKP_IO,
			    "the server sent a row of %zu fields, and not %zu",
			    i, rows->field_count);
		at = cut_field(at, end, &rows->fields[i]);
	}
	return 0;
}

static int
make_values(struct bkp_rows *rows, struct bkp_error *err)
{
	size_t first = bkp_rows_has_lists(rows);
	uint64_t lists = UINT64_MAX;

	if (rows->decided == BKP_ACTOR || rows->decided == BKP_LOOKUP)
		lists = strtoull(rows->fields[0].text, NULL, 10);
	for (size_t i = 0; i < rows->column_count; i++) {
		rows->values[i] = rows->fields[first + i];
		if ((rows->makers[i].lists & lists) == 0)
			rows->values[i] =
			    (struct bkp_rows_value){NULL, 0, BKP_ROWS_ABSENT};
	}
	return bkp_rows_replace(rows, err);
}

int
bkp_rows_next(struct bkp_rows *rows, const struct bkp_rows_value **values,
    struct bkp_error *err)
{
	size_t len = 0;
	int more;

	if (!rows->is_coming)
		return 0;
	PQfreemem(rows->line);
	more = bkp_pg_copy_out_row(&rows->walk->pg, &rows->line, &len, err);
	if (more <= 0) {
		rows->is_coming = false;
		if (more == 0)
			more = bkp_pg_copy_out_end(
			    &rows->walk->pg, rows->came, err);
		return more < 0
			   ? bkp_fail_in(err, "reading %s", table_of(rows)->id)
			   : 0;
	}
	rows->came++;
	if (cut_line(rows, len, err) < 0 || make_values(rows, err) < 0)
		return bkp_fail_in(err, "reading %s", table_of(rows)->id);
	*values = rows->values;
	return 1;
}
