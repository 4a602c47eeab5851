/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of subject.json as text, as it streams into the package. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/export_core.h"

/* Lookups of lookups are shown so deep. */
#define LOOKUP_DEPTH 4
#define RUN ((size_t)256 * 1024)

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "nesting the rows of the export");
}

static int
put(struct bkp_core *core, enum fmt_status status, struct bkp_error *err)
{
	if (status != FMT_OK)
		return nomem(err);
	if (core->out.len < RUN)
		return 0;
	if (bkp_package_put(
		core->export->package, core->out.data, core->out.len, err) < 0)
		return -1;
	fmt_buf_clear(&core->out);
	return 0;
}

static enum fmt_status
append_member(struct fmt_buf *out, const char *before, const char *name,
    const char *after)
{
	enum fmt_status status = fmt_buf_append_text(out, before);

	if (status == FMT_OK)
		status = fmt_pgjson_string(out, name, strlen(name), NULL);
	return status == FMT_OK ? fmt_buf_append_text(out, after) : status;
}

/* {"line":1,"row":{...}; a row that is too long is in its file alone. */
static enum fmt_status
append_row(struct bkp_core *core, const struct bkp_core_node *node, bool is_far)
{
	const struct bkp_exported_rows *kept;

	if (node->row == NULL)
		return fmt_buf_append_text(
		    &core->out, "{\"line\":null,\"row\":null");
	kept = &core->export->tables[node->table].kept;
	if (fmt_buf_printf(&core->out, "{\"line\":%llu,\"row\":",
		(unsigned long long)node->row->line) != FMT_OK)
		return FMT_NOMEM;
	if (is_far || node->row->len == 0)
		return fmt_buf_append_text(&core->out, "null");
	return fmt_buf_append(
	    &core->out, kept->texts.data + node->row->at, node->row->len);
}

/* "<edge>":{"table":...,"file":...,"rows":[ */
static enum fmt_status
begin_group(
    struct bkp_core *core, size_t edge, enum bkp_decided decided, bool is_first)
{
	const struct bkp_walk_edge *e = &core->walk->edges[edge];
	const struct bkp_exported_table *table =
	    &core->export->tables[bkp_core_table(
		core->export, bkp_walk_target(e), decided)];
	enum fmt_status status =
	    append_member(&core->out, is_first ? "" : ",\n", e->id, ":");

	if (status == FMT_OK)
		status = append_member(&core->out,
		    "{\"table\":", bkp_export_model(core->export, table)->id,
		    ",");
	return status == FMT_OK
		   ? append_member(&core->out, "\"file\":", table->json.name,
			 ",\"rows\":[\n")
		   : status;
}

static enum fmt_status
end_group(struct bkp_core *core, uint64_t more)
{
	return fmt_buf_printf(
	    &core->out, "],\"more\":%llu}", (unsigned long long)more);
}

/* ---- what is looked up ---- */

struct chain {
	const struct chain *up;
	size_t node;
	unsigned depth;
};

static bool
is_in(const struct chain *chain, size_t node)
{
	for (; chain != NULL; chain = chain->up)
		if (chain->node == node)
			return true;
	return false;
}

static size_t
first_link(const struct bkp_core *core, size_t node)
{
	size_t low = 0, high = core->link_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (core->links[middle].node < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int put_lookups(
    struct bkp_core *core, const struct chain *chain, struct bkp_error *err);

/* One that is shown above it already, or far from an owned row, is named by
 * its line. */
static int
put_looked_up(struct bkp_core *core, const struct chain *up, size_t node,
    struct bkp_error *err)
{
	const struct chain chain = {up, node, up->depth + 1};
	bool is_far = chain.depth > LOOKUP_DEPTH || is_in(up, node);

	if (put(core, append_row(core, &core->nodes[node], is_far), err) < 0 ||
	    (!is_far && put_lookups(core, &chain, err) < 0))
		return -1;
	return put(core, fmt_buf_append_byte(&core->out, '}'), err);
}

/* One edge; returns the link behind it, or NONE. */
static size_t
put_links(struct bkp_core *core, const struct chain *chain, size_t at,
    bool is_first, struct bkp_error *err)
{
	size_t edge = core->links[at].edge;
	uint64_t more = 0;
	bool is_next = false;

	if (put(core, begin_group(core, edge, BKP_LOOKUP, is_first), err) < 0)
		return BKP_CORE_NONE;
	for (; at < core->link_count && core->links[at].node == chain->node &&
	       core->links[at].edge == edge;
	     at++) {
		size_t target = core->links[at].target;

		if (target == BKP_CORE_NONE) {
			more++;
			continue;
		}
		if (is_next &&
		    fmt_buf_append_text(&core->out, ",\n") != FMT_OK) {
			(void)nomem(err);
			return BKP_CORE_NONE;
		}
		is_next = true;
		if (put_looked_up(core, chain, target, err) < 0)
			return BKP_CORE_NONE;
	}
	return put(core, end_group(core, more), err) == 0 ? at : BKP_CORE_NONE;
}

static int
put_lookups(
    struct bkp_core *core, const struct chain *chain, struct bkp_error *err)
{
	size_t begin = first_link(core, chain->node), at = begin;

	while (at < core->link_count && core->links[at].node == chain->node) {
		if (at == begin && fmt_buf_append_text(&core->out,
				       ",\n\"lookups\":{") != FMT_OK)
			return nomem(err);
		at = put_links(core, chain, at, at == begin, err);
		if (at == BKP_CORE_NONE)
			return -1;
	}
	return at > begin ? put(core, fmt_buf_append_byte(&core->out, '}'), err)
			  : 0;
}

/* ---- what is owned ---- */

/* Where a node's groups are written. */
struct turn {
	size_t node;
	size_t child, child_end; /* of core->children */
	size_t total;            /* of core->totals */
	bool is_begun;
};

static size_t
first_total(const struct bkp_core *core, size_t node)
{
	size_t low = 0, high = core->total_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (core->totals[middle].node < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The edge of the next group, or NONE. */
static size_t
next_edge(const struct bkp_core *core, const struct turn *turn)
{
	size_t edge = BKP_CORE_NONE;

	if (turn->child < turn->child_end)
		edge = core->nodes[core->children[turn->child]].edge;
	if (turn->total < core->total_count &&
	    core->totals[turn->total].node == turn->node &&
	    core->totals[turn->total].edge < edge)
		edge = core->totals[turn->total].edge;
	return edge;
}

static int put_node(struct bkp_core *core, size_t node, struct bkp_error *err);

/* Recursion ends at BKP_CORE_DEPTH, below which children have no depth. */
static int
put_group(struct bkp_core *core, struct turn *turn, size_t edge,
    struct bkp_error *err)
{
	uint64_t rows = 0, shown = 0;

	if (put(core, begin_group(core, edge, BKP_OWN, !turn->is_begun), err) <
	    0)
		return -1;
	for (; turn->child < turn->child_end; turn->child++) {
		size_t child = core->children[turn->child];

		if (core->nodes[child].edge != edge)
			break;
		rows++;
		if (core->nodes[child].depth == BKP_CORE_NONE)
			continue;
		if ((shown++ > 0 &&
			fmt_buf_append_text(&core->out, ",\n") != FMT_OK))
			return nomem(err);
		if (put_node(core, child, err) < 0)
			return -1;
	}
	if (turn->total < core->total_count &&
	    core->totals[turn->total].node == turn->node &&
	    core->totals[turn->total].edge == edge)
		rows = core->totals[turn->total++].rows;
	turn->is_begun = true;
	return put(core, end_group(core, rows - shown), err);
}

static int
put_owned(struct bkp_core *core, size_t node, struct bkp_error *err)
{
	struct turn turn = {.node = node,
	    .child = core->nodes[node].first,
	    .child_end = core->nodes[node].first + core->nodes[node].count,
	    .total = first_total(core, node)};
	size_t edge = next_edge(core, &turn);

	if (edge == BKP_CORE_NONE)
		return 0;
	if (fmt_buf_append_text(&core->out, ",\n\"owned\":{") != FMT_OK)
		return nomem(err);
	for (; edge != BKP_CORE_NONE; edge = next_edge(core, &turn))
		if (put_group(core, &turn, edge, err) < 0)
			return -1;
	return put(core, fmt_buf_append_byte(&core->out, '}'), err);
}

static int
put_node(struct bkp_core *core, size_t node, struct bkp_error *err)
{
	const struct chain chain = {NULL, node, 0};

	if (put(core, append_row(core, &core->nodes[node], false), err) < 0 ||
	    put_lookups(core, &chain, err) < 0 ||
	    put_owned(core, node, err) < 0)
		return -1;
	return put(core, fmt_buf_append_byte(&core->out, '}'), err);
}

/* ---- what the tables are ---- */

static json_t *
labels_json(const struct bkp_exported_table *table)
{
	json_t *all = json_object();

	for (size_t i = 0; i < table->column_count; i++) {
		const struct bkp_map_column *map = table->columns[i].map;

		if (map != NULL && map->label != NULL &&
		    json_object_set_new(all, table->columns[i].name,
			json_string(map->label)) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

/* Labels stand here and not among the data. */
static json_t *
tables_json(const struct bkp_core *core, enum bkp_decided decided)
{
	const struct bkp_export *export = core->export;
	json_t *all = json_object();

	for (size_t i = 0; i < export->table_count; i++) {
		const struct bkp_exported_table *table = &export->tables[i];
		const struct bkp_map_table *map = bkp_export_map(export, table);
		json_t *one;

		if (table->decided != decided)
			continue;
		one =
		    json_pack("{s:s, s:s?, s:o, s:I}", "file", table->json.name,
			"label", map != NULL ? map->label : NULL, "columns",
			labels_json(table), "rows", (json_int_t)table->rows);
		if (one != NULL && decided == BKP_OWN &&
		    json_object_set_new(one, "here",
			json_integer((json_int_t)core->shown[i])) < 0) {
			json_decref(one);
			one = NULL;
		}
		if (json_object_set_new(
			all, bkp_export_model(export, table)->id, one) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

static int
put_head(struct bkp_core *core, struct bkp_error *err)
{
	json_t *tables =
	    json_pack("{s:o, s:o}", "own", tables_json(core, BKP_OWN), "lookup",
		tables_json(core, BKP_LOOKUP));
	char *text = tables != NULL
			 ? json_dumps(tables, JSON_INDENT(1) | JSON_SORT_KEYS)
			 : NULL;
	int rc = 0;

	json_decref(tables);
	if (text == NULL ||
	    fmt_buf_append_text(&core->out,
		"{\"format\":\"libbackup-subject\",\"version\":1,"
		"\n\"tables\":") != FMT_OK ||
	    fmt_buf_append_text(&core->out, text) != FMT_OK ||
	    fmt_buf_append_text(&core->out, ",\n\"subject\":") != FMT_OK)
		rc = nomem(err);
	free(text);
	return rc;
}

int
bkp_core_write(struct bkp_core *core, struct bkp_error *err)
{
	struct bkp_export *export = core->export;

	if (bkp_package_begin(export->package, "subject.json", err) < 0 ||
	    put_head(core, err) < 0 || put_node(core, core->root, err) < 0)
		return -1;
	if (fmt_buf_append_text(&core->out, "}\n") != FMT_OK)
		return nomem(err);
	if (bkp_package_put(
		export->package, core->out.data, core->out.len, err) < 0)
		return -1;
	return bkp_export_end(export, "subject.json", &export->core, err);
}
