/* SPDX-License-Identifier: Apache-2.0 */
/* The edges of a map: what is decided about foreign keys, and the references
 * that it declares. */
#include <stdlib.h>
#include <string.h>

#include "formats/buf.h"
#include "libbackup/base/config_fields.h"
#include "libbackup/base/fail.h"
#include "libbackup/subject/map_own.h"
#include "libbackup/subject/names.h"

/* ---- decisions ---- */

static int
decide(struct map_reader *r, const yaml_node_t *value,
    struct bkp_map_edge *edge, enum bkp_decided decided, struct bkp_error *err)
{
	if (edge->decided != BKP_UNDECIDED)
		return bkp_config_fail(&r->file, value, err,
		    "one decision: '%s' or '%s'",
		    bkp_decided_name(edge->decided), bkp_decided_name(decided));
	edge->decided = decided;
	return 0;
}

static int
read_way(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(value);
	struct bkp_map_edge *edge = slot;

	edge->is_up = text != NULL && strcmp(text, "up") == 0;
	if (!edge->is_up && (text == NULL || strcmp(text, "down") != 0))
		return bkp_config_fail(&r->file, value, err,
		    "'%s' goes down, from the referenced row to those that "
		    "refer to it, or up",
		    name);
	return decide(r, value, edge,
	    strcmp(name, "own") == 0 ? BKP_OWN : BKP_SHARED, err);
}

static int
read_columns(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	struct bkp_map_edge *edge = slot;

	if (decide(r, value, edge,
		strcmp(name, "actor") == 0 ? BKP_ACTOR : BKP_LOOKUP, err) < 0)
		return -1;
	return bkp_map_read_list(r, name, value, &edge->columns, err);
}

static int
read_skip(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	struct bkp_map_edge *edge = slot;

	if (bkp_map_is_undecided(value))
		return 0;
	if (decide(r, value, edge, BKP_SKIP, err) < 0)
		return -1;
	return bkp_map_read_text(r, name, value, &edge->reason, err);
}

static int
read_undecided(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	bool is_undecided = false;

	(void)slot;
	return bkp_map_read_flag(r, name, value, &is_undecided, err);
}

static const char *const erase_words[] = {"", "delete", "clear", "keep"};

const char *
bkp_erase_name(enum bkp_erase erase)
{
	return erase_words[erase];
}

/* `null` is what SQL calls it. */
static int
read_erase(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(value);
	struct bkp_map_edge *edge = slot;

	if (text == NULL && value->type == YAML_SCALAR_NODE &&
	    strcmp((const char *)value->data.scalar.value, "null") == 0)
		text = "clear";
	for (enum bkp_erase i = BKP_ERASE_DELETE;
	     text != NULL && i <= BKP_ERASE_KEEP; i++)
		if (strcmp(text, erase_words[i]) == 0) {
			edge->erase = i;
			return 0;
		}
	return bkp_config_fail(&r->file, value, err,
	    "'%s' says what becomes of rows that refer to erased ones: delete "
	    "(they go, too), clear (they refer to nothing) or keep",
	    name);
}

/* What stays must not be a foreign key to what is gone; and what an erasure
 * goes up is the parent's row, which stays or does not. */
static int
check_erase(struct map_reader *r, const yaml_node_t *node,
    const struct bkp_map_edge *edge, struct bkp_error *err)
{
	bool is_own_up = edge->decided == BKP_OWN && edge->is_up;

	if (edge->erase == BKP_ERASE_KEEP && !is_own_up && !edge->is_declared)
		return bkp_config_fail(&r->file, node, err,
		    "'erase: keep' is for references that are declared and for "
		    "'own: up': a foreign key cannot refer to a row that is "
		    "gone; say delete or clear");
	return 0;
}

#define DECISIONS                                                              \
	{"own", read_way, 0, false}, {"shared", read_way, 0, false},           \
	    {"actor", read_columns, 0, false},                                 \
	    {"lookup", read_columns, 0, false}, {"skip", read_skip, 0, false}, \
	    {"erase", read_erase, 0, false},                                   \
	{                                                                      \
		"undecided", read_undecided, 0, false                          \
	}

static const struct map_field decision_fields[] = {
    DECISIONS, {NULL, NULL, 0, false}};

/* The word alone: what needs no more said. */
static int
read_word(struct map_reader *r, const yaml_node_t *value,
    struct bkp_map_edge *edge, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(value);

	if (bkp_map_is_undecided(value))
		return 0;
	if (text != NULL && strcmp(text, "own") == 0)
		return decide(r, value, edge, BKP_OWN, err);
	if (text != NULL && strcmp(text, "shared") == 0)
		return decide(r, value, edge, BKP_SHARED, err);
	if (text != NULL && strcmp(text, "skip") == 0)
		return bkp_config_fail(&r->file, value, err,
		    "'skip' needs its reason: {skip: why}");
	if (text != NULL &&
	    (strcmp(text, "actor") == 0 || strcmp(text, "lookup") == 0))
		return bkp_config_fail(&r->file, value, err,
		    "'%s' needs its columns: {%s: [name]}", text, text);
	return bkp_config_fail(&r->file, value, err,
	    "'%s' is no decision: own, shared, {actor: [columns]}, {lookup: "
	    "[columns]}, {skip: why} or undecided",
	    text != NULL ? text : "");
}

static int
read_decision(struct map_reader *r, const yaml_node_t *value,
    struct bkp_map_edge *edge, struct bkp_error *err)
{
	if (value->type == YAML_SCALAR_NODE)
		return read_word(r, value, edge, err);
	if (bkp_map_read_fields(r, "the decision about an edge",
		decision_fields, value, edge, err) < 0)
		return -1;
	return check_erase(r, value, edge, err);
}

/* ---- foreign keys ---- */

/* A new edge at the end of the map's. */
static struct bkp_map_edge *
add_edge(struct map_reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	struct bkp_map *map = r->map;
	struct bkp_map_edge *edge;

	if (bkp_grow(&map->edges, map->edge_count, &map->edge_cap,
		sizeof(*map->edges), err) < 0)
		return NULL;
	edge = &map->edges[map->edge_count++];
	memset(edge, 0, sizeof(*edge));
	edge->line = bkp_config_line(node);
	return edge;
}

/* Takes the text of the buffer as the edge's name. */
static int
name_edge(struct bkp_map_edge *edge, struct fmt_buf *id, struct bkp_error *err)
{
	const char *text = fmt_buf_text(id);

	if (text == NULL)
		return bkp_fail_nomem(err, "reading a map");
	return (edge->id = bkp_strdup(text, err)) != NULL ? 0 : -1;
}

static int
read_edge(struct map_reader *r, const yaml_node_t *key,
    const yaml_node_t *value, void *arg, struct bkp_error *err)
{
	struct bkp_map_edge *edge = add_edge(r, key, err);
	const char *text = bkp_config_scalar(key);
	struct fmt_buf id = FMT_BUF_INIT;
	enum fmt_status status;
	int rc = -1;

	(void)arg;
	if (edge == NULL)
		return -1;
	status = bkp_subject_read_edge(&id, text);
	if (status == FMT_MALFORMED)
		(void)bkp_config_fail(&r->file, key, err,
		    "'%s' is no edge, as in \"public.orders(user_id) -> "
		    "public.users(id)\"",
		    text);
	else if (status != FMT_OK)
		(void)bkp_fail_nomem(err, "reading a map");
	else
		rc = name_edge(edge, &id, err);
	fmt_buf_free(&id);
	return rc == 0 ? read_decision(r, value, edge, err) : -1;
}

int
bkp_map_read_edges(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err)
{
	(void)name;
	(void)slot;
	return bkp_map_read_pairs(r, "'edges'", value, read_edge, NULL, err);
}

/* ---- declared references ---- */

static int
read_to(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	struct fmt_buf table = FMT_BUF_INIT, columns = FMT_BUF_INIT;
	struct bkp_map_edge *edge = slot;
	struct bkp_strings *list = &edge->parent_columns;
	enum fmt_status status;
	const char *at;
	size_t count = 0;
	char *text = NULL;
	int rc = -1;

	if (bkp_map_read_text(r, name, value, &text, err) < 0)
		return -1;
	status = bkp_subject_read_columns(&table, &columns, &count, text);
	if (status == FMT_MALFORMED) {
		(void)bkp_config_fail(&r->file, value, err,
		    "'%s' is no table with columns, as in public.users(id)",
		    text);
		goto out;
	}
	if (status != FMT_OK || fmt_buf_text(&table) == NULL) {
		(void)bkp_fail_nomem(err, "reading a map");
		goto out;
	}
	edge->parent = bkp_strdup((const char *)table.data, err);
	list->items = bkp_alloc_array(count, sizeof(*list->items), err);
	if (edge->parent == NULL || list->items == NULL)
		goto out;
	at = (const char *)columns.data;
	for (; list->count < count; list->count++, at += strlen(at) + 1)
		if ((list->items[list->count] = bkp_strdup(at, err)) == NULL)
			goto out;
	rc = 0;
out:
	fmt_buf_free(&table);
	fmt_buf_free(&columns);
	free(text);
	return rc;
}

/* A list of columns or expressions. */
static int
read_values(struct map_reader *r, const char *name, const yaml_node_t *value,
    void *slot, struct bkp_error *err)
{
	struct bkp_strings *list = slot;

	if (bkp_map_read_list(r, name, value, list, err) < 0)
		return -1;
	for (size_t i = 0; i < list->count; i++) {
		const char *problem = bkp_subject_expression(list->items[i]);

		if (problem != NULL)
			return bkp_config_fail(&r->file, value, err,
			    "'%s' is neither a column nor an SQL expression: "
			    "%s",
			    list->items[i], problem);
	}
	return 0;
}

static const struct map_field reference_fields[] = {
    {"from", bkp_map_read_table, offsetof(struct bkp_map_edge, child), true},
    {"columns", read_values, offsetof(struct bkp_map_edge, child_values), true},
    {"to", read_to, 0, true},
    {"when", bkp_map_read_sql, offsetof(struct bkp_map_edge, when), false},
    {"array", bkp_map_read_flag, offsetof(struct bkp_map_edge, is_array),
	false},
    DECISIONS, {NULL, NULL, 0, false}};

static enum fmt_status
append_list(struct fmt_buf *out, const struct bkp_strings *list, bool is_quoted)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < list->count; i++) {
		status = fmt_buf_append_text(out, i == 0 ? "(" : ", ");
		if (status == FMT_OK)
			status =
			    is_quoted
				? bkp_subject_identifier(out, list->items[i])
				: fmt_buf_append_text(out, list->items[i]);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, ')') : status;
}

/* "public.events(expression) -> public.users(id) when condition" */
static int
name_reference(struct bkp_map_edge *edge, struct bkp_error *err)
{
	struct fmt_buf id = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(&id, edge->child);
	int rc;

	if (status == FMT_OK)
		status = append_list(&id, &edge->child_values, false);
	if (status == FMT_OK)
		status = fmt_buf_printf(&id, " -> %s", edge->parent);
	if (status == FMT_OK)
		status = append_list(&id, &edge->parent_columns, true);
	if (status == FMT_OK && edge->when != NULL)
		status = fmt_buf_printf(&id, " when %s", edge->when);
	rc = status == FMT_OK ? name_edge(edge, &id, err)
			      : bkp_fail_nomem(err, "reading a map");
	fmt_buf_free(&id);
	return rc;
}

static int
read_reference(
    struct map_reader *r, const yaml_node_t *node, struct bkp_error *err)
{
	struct bkp_map_edge *edge = add_edge(r, node, err);

	if (edge == NULL)
		return -1;
	edge->is_declared = true;
	if (bkp_map_read_fields(
		r, "a reference", reference_fields, node, edge, err) < 0)
		return -1;
	if (edge->child_values.count != edge->parent_columns.count)
		return bkp_config_fail(&r->file, node, err,
		    "a reference needs as many columns on both sides: %zu are "
		    "not %zu",
		    edge->child_values.count, edge->parent_columns.count);
	if (edge->is_array && edge->child_values.count != 1)
		return bkp_config_fail(&r->file, node, err,
		    "'array' is for one column that holds several references");
	if (check_erase(r, node, edge, err) < 0)
		return -1;
	return name_reference(edge, err);
}

int
bkp_map_read_references(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err)
{
	(void)slot;
	return bkp_map_read_items(r, name, value, read_reference, err);
}

/* ---- all of them ---- */

static int
compare_edges(const void *a, const void *b)
{
	const struct bkp_map_edge *left = a, *right = b;

	return strcmp(left->id, right->id);
}

int
bkp_map_settle_edges(struct map_reader *r, struct bkp_error *err)
{
	struct bkp_map *map = r->map;

	if (map->edge_count == 0)
		return 0;
	qsort(map->edges, map->edge_count, sizeof(*map->edges), compare_edges);
	for (size_t i = 1; i < map->edge_count; i++)
		if (compare_edges(&map->edges[i - 1], &map->edges[i]) == 0)
			return bkp_map_fail_twice(r, "edge", map->edges[i].id,
			    map->edges[i - 1].line, map->edges[i].line, err);
	return 0;
}
