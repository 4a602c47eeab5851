/* SPDX-License-Identifier: Apache-2.0 */
/* The edges that a walk follows: the map's decisions about the model's keys,
 * and the references that the map declares. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/walk_impl.h"

#define LISTS_MAX 62 /* bits of a bigint that is never negative */
#define FIRST_OWN_OID 16384

size_t
bkp_walk_source(const struct bkp_walk_edge *edge)
{
	return edge->is_up ? edge->child : edge->parent;
}

size_t
bkp_walk_target(const struct bkp_walk_edge *edge)
{
	return edge->is_up ? edge->parent : edge->child;
}

size_t
bkp_walk_pair_count(const struct bkp_walk_edge *edge)
{
	return edge->key != NULL ? edge->key->column_count
				 : edge->map->child_values.count;
}

bool
bkp_walk_is_partitioned(const struct bkp_model_table *table)
{
	return table->leaf_count != 1 || table->leaves[0].oid != table->oid;
}

bool
bkp_walk_is_decided(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge)
{
	const struct bkp_map_table *target = bkp_map_table(
	    walk->map, walk->model.tables[bkp_walk_target(edge)].id);

	return edge->decided != BKP_UNDECIDED && edge->decided != BKP_SKIP &&
	       (target == NULL || target->skip == NULL ||
		   (walk->is_erasing && edge->map->erase == BKP_ERASE_DELETE));
}

bool
bkp_walk_is_followed(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge)
{
	return bkp_walk_is_decided(walk, edge) && bkp_walk_can_read(walk, edge);
}

/* ---- lists of columns ---- */

static bool
is_same_list(const struct bkp_strings *a, const struct bkp_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static int
add_list(
    struct bkp_walk *walk, struct bkp_walk_edge *edge, struct bkp_error *err)
{
	size_t table = bkp_walk_target(edge);
	unsigned bits = 0;

	for (size_t i = 0; i < walk->list_count; i++) {
		const struct bkp_walk_list *list = &walk->lists[i];

		if (list->table != table || list->decided != edge->decided)
			continue;
		bits++;
		if (is_same_list(list->columns, &edge->map->columns)) {
			edge->list = list->bit;
			return 0;
		}
	}
	if (bits == LISTS_MAX)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "the edges to %s give more than %d different lists of "
		    "columns: let some of them give the same",
		    walk->model.tables[table].id, LISTS_MAX);
	if (bkp_grow(&walk->lists, walk->list_count, &walk->list_cap,
		sizeof(*walk->lists), err) < 0)
		return -1;
	edge->list = UINT64_C(1) << bits;
	walk->lists[walk->list_count++] = (struct bkp_walk_list){
	    table, edge->decided, edge->list, &edge->map->columns};
	return 0;
}

/* ---- edges ---- */

/* An erasure follows what goes with what it hangs on, and nothing else. */
static void
turn_to_erasure(struct bkp_walk_edge *edge)
{
	enum bkp_erase erase = edge->map->erase;
	bool is_own = edge->map->decided == BKP_OWN;
	bool is_erased =
	    erase == BKP_ERASE_DELETE || (erase == BKP_ERASE_DEFAULT && is_own);

	if (is_own && edge->map->is_up)
		is_erased = erase != BKP_ERASE_KEEP;
	edge->decided = is_erased ? BKP_OWN : BKP_UNDECIDED;
	edge->is_up = is_erased && is_own && edge->map->is_up;
}

static int
add_edge(
    struct bkp_walk *walk, struct bkp_walk_edge edge, struct bkp_error *err)
{
	if (edge.map != NULL) {
		edge.decided = edge.map->decided;
		edge.is_up =
		    edge.decided == BKP_LOOKUP ||
		    ((edge.decided == BKP_OWN || edge.decided == BKP_SHARED) &&
			edge.map->is_up);
	}
	if (edge.map != NULL && walk->is_erasing)
		turn_to_erasure(&edge);
	if ((edge.decided == BKP_ACTOR || edge.decided == BKP_LOOKUP) &&
	    add_list(walk, &edge, err) < 0)
		return -1;
	if (bkp_grow(&walk->edges, walk->edge_count, &walk->edge_cap,
		sizeof(*walk->edges), err) < 0)
		return -1;
	walk->edges[walk->edge_count++] = edge;
	return 0;
}

static int
add_declared(struct bkp_walk *walk, const struct bkp_map_edge *map,
    struct bkp_error *err)
{
	struct bkp_walk_edge edge = {.id = map->id,
	    .map = map,
	    .child = bkp_model_table(&walk->model, map->child),
	    .parent = bkp_model_table(&walk->model, map->parent)};

	if (edge.child == SIZE_MAX || edge.parent == SIZE_MAX)
		return bkp_fail(err, BKP_INVALID,
		    "the reference %s: there is no table %s", map->id,
		    edge.child == SIZE_MAX ? map->child : map->parent);
	for (size_t i = 0; i < map->parent_columns.count; i++)
		if (bkp_model_column(&walk->model.tables[edge.parent],
			map->parent_columns.items[i]) == SIZE_MAX)
			return bkp_fail(err, BKP_INVALID,
			    "the reference %s: %s has no column %s", map->id,
			    map->parent, map->parent_columns.items[i]);
	return add_edge(walk, edge, err);
}

int
bkp_walk_read_edges(struct bkp_walk *walk, struct bkp_error *err)
{
	for (size_t i = 0; i < walk->model.edge_count; i++) {
		const struct bkp_model_edge *key = &walk->model.edges[i];
		struct bkp_walk_edge edge = {.id = key->id,
		    .key = key,
		    .map = bkp_map_edge(walk->map, key->id),
		    .child = key->child,
		    .parent = key->parent};

		if (edge.map != NULL && edge.map->is_declared)
			edge.map = NULL;
		if (add_edge(walk, edge, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < walk->map->edge_count; i++)
		if (walk->map->edges[i].is_declared &&
		    add_declared(walk, &walk->map->edges[i], err) < 0)
			return -1;
	return 0;
}

/* ---- comparing ---- */

/* Appends the types of parents' columns that are not the system's own as an
 * array's text. */
static enum fmt_status
append_types(struct fmt_buf *out, const struct bkp_walk *walk, bool *is_any)
{
	enum fmt_status status = fmt_buf_append_byte(out, '{');

	for (size_t i = 0; i < walk->edge_count; i++) {
		const struct bkp_walk_edge *edge = &walk->edges[i];
		const struct bkp_model_table *parent =
		    &walk->model.tables[edge->parent];

		for (size_t k = 0; k < bkp_walk_pair_count(edge); k++) {
			unsigned type =
			    parent
				->columns[bkp_walk_parent_column(walk, edge, k)]
				.type_oid;

			if (type < FIRST_OWN_OID || status != FMT_OK)
				continue;
			status =
			    fmt_buf_printf(out, *is_any ? ",%u" : "%u", type);
			*is_any = true;
		}
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, '}') : status;
}

static int
add_operator(
    struct bkp_walk *walk, PGresult *result, int row, struct bkp_error *err)
{
	struct bkp_walk_operator *own;

	if (bkp_grow(&walk->operators, walk->operator_count,
		&walk->operator_cap, sizeof(*walk->operators), err) < 0)
		return -1;
	own = &walk->operators[walk->operator_count++];
	own->type = (unsigned)strtoul(PQgetvalue(result, row, 0), NULL, 10);
	own->equals = bkp_strdup(PQgetvalue(result, row, 1), err);
	own->name = bkp_strdup(PQgetvalue(result, row, 2), err);
	return own->equals != NULL && own->name != NULL ? 0 : -1;
}

static int
add_collation(
    struct bkp_walk *walk, PGresult *result, int row, struct bkp_error *err)
{
	struct bkp_walk_collation *collation;

	if (bkp_grow(&walk->collations, walk->collation_count,
		&walk->collation_cap, sizeof(*walk->collations), err) < 0)
		return -1;
	collation = &walk->collations[walk->collation_count++];
	collation->table =
	    (unsigned)strtoul(PQgetvalue(result, row, 0), NULL, 10);
	collation->column = bkp_strdup(PQgetvalue(result, row, 1), err);
	collation->name = bkp_strdup(PQgetvalue(result, row, 2), err);
	return collation->column != NULL && collation->name != NULL ? 0 : -1;
}

static int
add_all(struct bkp_walk *walk, const char *sql, const char *value,
    int (*add)(struct bkp_walk *, PGresult *, int, struct bkp_error *),
    struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc = bkp_pg_query(
	    &walk->pg, sql, value != NULL ? 1 : 0, &value, &result, err);

	for (int i = 0; rc == 0 && i < PQntuples(result); i++)
		rc = add(walk, result, i, err);
	PQclear(result);
	return rc;
}

int
bkp_walk_read_operators(struct bkp_walk *walk, struct bkp_error *err)
{
	static const char operators[] =
	    "SELECT c.opcintype, pg_catalog.format('OPERATOR(%I.%s)',"
	    " n.nspname, o.oprname), pg_catalog.format_type(c.opcintype, NULL) "
	    "FROM pg_catalog.pg_opclass c"
	    " JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod"
	    " JOIN pg_catalog.pg_amop a ON a.amopfamily = c.opcfamily"
	    "  AND a.amoplefttype = c.opcintype"
	    "  AND a.amoprighttype = c.opcintype AND a.amopstrategy = 3"
	    " JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr"
	    " JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace "
	    "WHERE m.amname = 'btree' AND c.opcdefault"
	    " AND c.opcintype = ANY ($1::oid[])";
	static const char collations[] =
	    "SELECT a.attrelid, a.attname,"
	    " pg_catalog.format('%I.%I', n.nspname, c.collname) "
	    "FROM pg_catalog.pg_attribute a"
	    " JOIN pg_catalog.pg_class r ON r.oid = a.attrelid"
	    " JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation"
	    " JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace "
	    "WHERE c.collname <> 'default' AND r.relkind IN ('r', 'p')"
	    " AND r.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped";
	struct fmt_buf types = FMT_BUF_INIT;
	bool is_any = false;
	int rc = -1;

	if (append_types(&types, walk, &is_any) != FMT_OK ||
	    fmt_buf_text(&types) == NULL)
		(void)bkp_fail_nomem(err, "reading types");
	else if (!is_any || add_all(walk, operators, (const char *)types.data,
				add_operator, err) == 0)
		rc = add_all(walk, collations, NULL, add_collation, err);
	fmt_buf_free(&types);
	return rc;
}
