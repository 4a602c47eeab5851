/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subject.json: the subject's row, the owned rows below it by the edges by
 * which they came in, and what they look up beside them. It is for reading;
 * the files of rows are what is complete: where a group has more rows than it
 * shows, it says how many, and in which file they are.
 */
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/export_core.h"

size_t
bkp_core_table(
    const struct bkp_export *export, size_t model, enum bkp_decided decided)
{
	for (size_t i = 0; i < export->table_count; i++)
		if (export->tables[i].table == model &&
		    export->tables[i].decided == decided)
			return i;
	return BKP_CORE_NONE;
}

bool
bkp_core_is_adopted(
    const struct bkp_export *export, const struct bkp_walk_edge *edge)
{
	size_t source = bkp_core_table(export, bkp_walk_source(edge), BKP_OWN);

	return source == BKP_CORE_NONE || export->tables[source].rows == 0;
}

/* ---- nodes ---- */

static int
compare_places(struct bkp_rows_place a, struct bkp_rows_place b)
{
	if (a.rel != b.rel)
		return a.rel < b.rel ? -1 : 1;
	return a.tid == b.tid ? 0 : a.tid < b.tid ? -1 : 1;
}

static int
by_place(const void *a, const void *b, void *arg)
{
	const struct bkp_core_node *nodes = arg;

	return compare_places(nodes[*(const size_t *)a].row->place,
	    nodes[*(const size_t *)b].row->place);
}

size_t
bkp_core_find(
    const struct bkp_core *core, size_t table, struct bkp_rows_place place)
{
	size_t low = core->first[table], high = core->first[table + 1];

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		size_t node = core->by_place[middle];
		int order = compare_places(core->nodes[node].row->place, place);

		if (order == 0)
			return node;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return BKP_CORE_NONE;
}

/* The last node stands for the subject where its row is not exported. */
static int
make_nodes(struct bkp_core *core, struct bkp_error *err)
{
	const struct bkp_export *export = core->export;
	size_t count = 1, n = 0;

	for (size_t i = 0; i < export->table_count; i++)
		count += export->tables[i].kept.count;
	core->nodes = bkp_alloc_array(count, sizeof(*core->nodes), err);
	core->by_place = bkp_alloc_array(count, sizeof(size_t), err);
	core->children = bkp_alloc_array(count, sizeof(size_t), err);
	core->first =
	    bkp_alloc_array(export->table_count + 1, sizeof(size_t), err);
	core->shown =
	    bkp_alloc_array(export->table_count + 1, sizeof(uint64_t), err);
	if (core->nodes == NULL || core->by_place == NULL ||
	    core->children == NULL || core->first == NULL ||
	    core->shown == NULL)
		return -1;
	for (size_t i = 0; i < export->table_count; i++) {
		const struct bkp_exported_rows *kept = &export->tables[i].kept;

		core->first[i] = n;
		for (size_t k = 0; k < kept->count; k++, n++)
			core->nodes[n].row = &kept->rows[k],
			core->nodes[n].table = i;
	}
	core->first[export->table_count] = n;
	core->nodes[n].table =
	    bkp_core_table(export, core->walk->subject, BKP_OWN);
	core->node_count = count;
	core->root = n;
	for (size_t i = 0; i < count; i++) {
		core->nodes[i].parent = core->nodes[i].edge =
		    core->nodes[i].depth = BKP_CORE_NONE;
		core->by_place[i] = core->children[i] = i;
	}
	for (size_t i = 0; i < export->table_count; i++)
		if (core->first[i] < core->first[i + 1])
			qsort_r(&core->by_place[core->first[i]],
			    core->first[i + 1] - core->first[i], sizeof(size_t),
			    by_place, core->nodes);
	return 0;
}

/* ---- the tree ---- */

static int
compare(size_t a, size_t b)
{
	return a == b ? 0 : a < b ? -1 : 1;
}

static int
by_parent(const void *a, const void *b, void *arg)
{
	const struct bkp_core_node *nodes = arg;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int order = compare(nodes[x].parent, nodes[y].parent);

	if (order == 0)
		order = compare(nodes[x].edge, nodes[y].edge);
	return order != 0 ? order : compare(x, y);
}

static int
by_total(const void *a, const void *b)
{
	const struct bkp_core_total *x = a, *y = b;
	int order = compare(x->node, y->node);

	return order != 0 ? order : compare(x->edge, y->edge);
}

static int
by_link(const void *a, const void *b)
{
	const struct bkp_core_link *x = a, *y = b;
	int order = compare(x->node, y->node);

	if (order == 0)
		order = compare(x->edge, y->edge);
	return order != 0 ? order : compare(x->target, y->target);
}

/* From the root down: what it does not reach came in by a row that was not
 * kept. */
static int
measure(struct bkp_core *core, struct bkp_error *err)
{
	size_t *queue = bkp_alloc_array(core->node_count, sizeof(size_t), err);
	size_t begin = 0, end = 0;

	if (queue == NULL)
		return -1;
	core->nodes[core->root].depth = 0;
	queue[end++] = core->root;
	while (begin < end) {
		const struct bkp_core_node *node = &core->nodes[queue[begin++]];

		if (node->row != NULL)
			core->shown[node->table]++;
		if (node->depth == BKP_CORE_DEPTH)
			continue;
		for (size_t i = 0; i < node->count; i++) {
			size_t child = core->children[node->first + i];

			core->nodes[child].depth = node->depth + 1;
			queue[end++] = child;
		}
	}
	free(queue);
	return 0;
}

static int
make_tree(struct bkp_core *core, struct bkp_error *err)
{
	qsort_r(core->children, core->node_count, sizeof(size_t), by_parent,
	    core->nodes);
	for (size_t i = 0; i < core->node_count; i++) {
		size_t parent = core->nodes[core->children[i]].parent;

		if (parent == BKP_CORE_NONE)
			break;
		if (core->nodes[parent].count++ == 0)
			core->nodes[parent].first = i;
	}
	if (core->total_count > 0)
		qsort(core->totals, core->total_count, sizeof(*core->totals),
		    by_total);
	if (core->link_count > 0)
		qsort(core->links, core->link_count, sizeof(*core->links),
		    by_link);
	return measure(core, err);
}

/* ---- all of it ---- */

int
bkp_export_core(struct bkp_export *export, struct bkp_error *err)
{
	struct bkp_core core = {
	    .export = export, .walk = export->walk, .out = FMT_BUF_SECRET_INIT};
	int rc = -1;

	if (make_nodes(&core, err) == 0 &&
	    bkp_core_read_parents(&core, err) == 0 &&
	    bkp_core_read_totals(&core, err) == 0 &&
	    bkp_core_read_links(&core, err) == 0 &&
	    make_tree(&core, err) == 0 && bkp_core_write(&core, err) == 0)
		rc = 0;
	else
		(void)bkp_fail_in(err, "writing subject.json");
	fmt_buf_free(&core.out);
	free(core.nodes);
	free(core.by_place);
	free(core.children);
	free(core.first);
	free(core.shown);
	free(core.totals);
	free(core.links);
	for (size_t i = 0; i < export->table_count; i++)
		bkp_export_keep_no_more(&export->tables[i]);
	return rc;
}
