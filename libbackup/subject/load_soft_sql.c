/* SPDX-License-Identifier: Apache-2.0 */
/* The statements by which declared references follow their rows: "s" is the
 * staged child, "p" all of its staged parents, old values (k0, k1...) beside
 * new ones (v0, v1...). */
#include <string.h>

#include "libbackup/postgres/names.h"
#include "libbackup/subject/load_soft.h"

static const struct bkp_model_column *
parent_column(const struct load_soft_child *child, size_t i)
{
	const struct load_soft *soft = child->soft;

	return &child->load->model.tables[soft->parent]
		    .columns[soft->parent_columns[i]];
}

static const struct bkp_model_column *
child_column(const struct load_soft_child *child, size_t i)
{
	return child->table->columns[child->soft->values[i].column].model;
}

/* ---- parents ---- */

static enum fmt_status
append_parents(struct fmt_buf *sql, const struct load_soft_child *child)
{
	const struct bkp_load *load = child->load;
	const struct load_soft *soft = child->soft;
	enum fmt_status status = fmt_buf_append_byte(sql, '(');
	const char *between = "";

	for (size_t k = 0; k < load->count && status == FMT_OK; k++) {
		const struct load_table *parent = &load->tables[k];

		if (!bkp_load_soft_is_parent(soft, parent))
			continue;
		status = bkp_pg_sql(sql, "%sSELECT ", between);
		between = " UNION ALL ";
		for (size_t i = 0; status == FMT_OK && i < soft->from->count;
		     i++) {
			unsigned column = (unsigned)soft->parent_columns[i];

			status = bkp_pg_sql(sql, "%so%u AS k%u, c%u AS v%u",
			    i > 0 ? ", " : "", column, (unsigned)i, column,
			    (unsigned)i);
		}
		if (status == FMT_OK)
			status = bkp_pg_sql(
			    sql, " FROM pg_temp.rows_%u", parent->number);
	}
	return status == FMT_OK ? fmt_buf_append_text(sql, ") p") : status;
}

/* ---- conditions ---- */

/* Of what changes, what it was. */
static enum fmt_status
name_old(struct fmt_buf *out, size_t column, void *arg)
{
	const struct load_soft_child *child = arg;

	if (!child->table->columns[column].is_loaded)
		return fmt_buf_append_text(out, "NULL");
	return bkp_pg_sql(out, "s.%s%u",
	    child->table->columns[column].is_linked ? "o" : "c",
	    (unsigned)column);
}

static enum fmt_status
append_when(struct fmt_buf *sql, const struct load_soft_child *child)
{
	struct load_soft_child copy = *child;

	if (child->soft->from->when == NULL)
		return fmt_buf_append_text(sql, "true");
	return bkp_load_words_condition(
	    sql, child->table->to, child->soft->from->when, name_old, &copy);
}

/* The reference as the parent's type has it, looked at only where it is one. */
static enum fmt_status
append_reference(
    struct fmt_buf *sql, const struct load_soft_child *child, size_t i)
{
	const struct load_words *words = &child->soft->values[i];
	struct fmt_buf name = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(sql, "CASE WHEN ");

	if (status == FMT_OK)
		status = append_when(sql, child);
	if (status == FMT_OK)
		status = bkp_pg_sql(&name, "s.o%u", (unsigned)words->column);
	if (status == FMT_OK && fmt_buf_text(&name) == NULL)
		status = FMT_NOMEM;
	if (status == FMT_OK)
		status = fmt_buf_append_text(sql, " THEN (");
	if (status == FMT_OK)
		status =
		    bkp_load_words_append(sql, words, (const char *)name.data);
	if (status == FMT_OK)
		status = bkp_pg_sql(sql,
		    words->kind == LOAD_WORDS_COLUMN ? ")::text END"
						     : ")::%s::text END",
		    parent_column(child, i)->type);
	fmt_buf_free(&name);
	return status;
}

static enum fmt_status
append_match(struct fmt_buf *sql, const struct load_soft_child *child)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < child->soft->from->count;
	     i++) {
		status = bkp_pg_sql(
		    sql, "%sp.k%u::text = ", i > 0 ? " AND " : "", (unsigned)i);
		if (status == FMT_OK)
			status = append_reference(sql, child, i);
	}
	return status;
}

/* It is a reference, and to none of the parents. */
static enum fmt_status
append_open(struct fmt_buf *sql, const struct load_soft_child *child)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < child->soft->from->count;
	     i++) {
		status = append_reference(sql, child, i);
		if (status == FMT_OK)
			status = fmt_buf_append_text(sql, " IS NOT NULL AND ");
	}
	if (status == FMT_OK)
		status = fmt_buf_append_text(sql, "NOT EXISTS (SELECT FROM ");
	if (status == FMT_OK)
		status = append_parents(sql, child);
	if (status == FMT_OK)
		status = fmt_buf_append_text(sql, " WHERE ");
	if (status == FMT_OK)
		status = append_match(sql, child);
	return status == FMT_OK ? fmt_buf_append_byte(sql, ')') : status;
}

/* ---- arrays ---- */

/* Each element with what it refers to. */
static enum fmt_status
append_elements(struct fmt_buf *sql, const struct load_soft_child *child)
{
	enum fmt_status status = bkp_pg_sql(sql,
	    " FROM pg_temp.rows_%u s CROSS JOIN LATERAL"
	    " pg_catalog.unnest(s.o%u) WITH ORDINALITY AS e(v, i) LEFT JOIN ",
	    child->table->number, (unsigned)child->soft->values[0].column);

	if (status == FMT_OK)
		status = append_parents(sql, child);
	if (status == FMT_OK)
		status = fmt_buf_append_text(
		    sql, " ON p.k0::text = e.v::text WHERE ");
	return status == FMT_OK ? append_when(sql, child) : status;
}

/* Elements that refer to nothing stay, or become NULL. */
static enum fmt_status
append_array_update(struct fmt_buf *sql, const struct load_soft_child *child,
    const char *element)
{
	unsigned column = (unsigned)child->soft->values[0].column;
	enum fmt_status status = bkp_pg_sql(sql,
	    "UPDATE pg_temp.rows_%u t SET c%u = x.a::%s FROM (SELECT s.n,"
	    " pg_catalog.array_agg(%s ORDER BY e.i) AS a",
	    child->table->number, column, child_column(child, 0)->type,
	    element);

	if (status == FMT_OK)
		status = append_elements(sql, child);
	return status == FMT_OK ? fmt_buf_append_text(
				      sql, " GROUP BY s.n) x WHERE x.n = t.n")
				: status;
}

/* ---- statements ---- */

static enum fmt_status
append_new_value(
    struct fmt_buf *sql, const struct load_soft_child *child, size_t i)
{
	const struct load_words *words = &child->soft->values[i];
	unsigned column = (unsigned)words->column;

	if (words->kind != LOAD_WORDS_PATH)
		return bkp_pg_sql(sql, "c%u = p.v%u::text::%s", column,
		    (unsigned)i, child_column(child, i)->type);
	/* A number stays one, and a text one. */
	return bkp_pg_sql(sql,
	    "c%u = pg_catalog.jsonb_set(s.c%u, ARRAY[%s]::text[], CASE"
	    " pg_catalog.jsonb_typeof(s.c%u OPERATOR(pg_catalog.#>)"
	    " ARRAY[%s]::text[]) WHEN 'string' THEN"
	    " pg_catalog.to_jsonb(p.v%u::text) ELSE pg_catalog.to_jsonb(p.v%u)"
	    " END)",
	    column, column, (const char *)words->path.data, column,
	    (const char *)words->path.data, (unsigned)i, (unsigned)i);
}

enum fmt_status
bkp_load_soft_append_update(
    struct fmt_buf *sql, const struct load_soft_child *child)
{
	enum fmt_status status;

	if (child->soft->from->is_array)
		return append_array_update(
		    sql, child, "coalesce(p.v0::text, e.v::text)");
	status = bkp_pg_sql(
	    sql, "UPDATE pg_temp.rows_%u s SET ", child->table->number);
	for (size_t i = 0; status == FMT_OK && i < child->soft->from->count;
	     i++) {
		if (i > 0)
			status = fmt_buf_append_text(sql, ", ");
		if (status == FMT_OK)
			status = append_new_value(sql, child, i);
	}
	if (status == FMT_OK)
		status = fmt_buf_append_text(sql, " FROM ");
	if (status == FMT_OK)
		status = append_parents(sql, child);
	if (status == FMT_OK)
		status = fmt_buf_append_text(sql, " WHERE ");
	return status == FMT_OK ? append_match(sql, child) : status;
}

enum fmt_status
bkp_load_soft_append_count(
    struct fmt_buf *sql, const struct load_soft_child *child)
{
	enum fmt_status status;

	if (child->soft->from->is_array) {
		status = fmt_buf_append_text(sql, "SELECT pg_catalog.count(*)");
		if (status == FMT_OK)
			status = append_elements(sql, child);
		return status == FMT_OK
			   ? fmt_buf_append_text(
				 sql, " AND e.v IS NOT NULL AND p.k0 IS NULL")
			   : status;
	}
	status = bkp_pg_sql(sql,
	    "SELECT pg_catalog.count(*) FROM pg_temp.rows_%u s WHERE ",
	    child->table->number);
	return status == FMT_OK ? append_open(sql, child) : status;
}

static enum fmt_status
append_nothing(
    struct fmt_buf *sql, const struct load_soft_child *child, size_t i)
{
	const struct load_words *words = &child->soft->values[i];
	unsigned column = (unsigned)words->column;

	if (words->kind != LOAD_WORDS_PATH)
		return bkp_pg_sql(sql, "c%u = NULL", column);
	return bkp_pg_sql(sql,
	    "c%u = pg_catalog.jsonb_set(s.c%u, ARRAY[%s]::text[], 'null')",
	    column, column, (const char *)words->path.data);
}

enum fmt_status
bkp_load_soft_append_null(
    struct fmt_buf *sql, const struct load_soft_child *child)
{
	enum fmt_status status;
	size_t i = 0;

	if (child->soft->from->is_array)
		return append_array_update(sql, child, "p.v0::text");
	while (i + 1 < child->soft->from->count &&
	       child->soft->values[i].kind != LOAD_WORDS_PATH &&
	       (child_column(child, i)->is_not_null ||
		   child->table->columns[child->soft->values[i].column].is_key))
		i++;
	status = bkp_pg_sql(
	    sql, "UPDATE pg_temp.rows_%u s SET ", child->table->number);
	if (status == FMT_OK)
		status = append_nothing(sql, child, i);
	if (status == FMT_OK)
		status = fmt_buf_append_text(sql, " WHERE ");
	return status == FMT_OK ? append_open(sql, child) : status;
}
