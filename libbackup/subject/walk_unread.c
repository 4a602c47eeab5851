/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables that the role may not read. Where rows are only to be read they are
 * gone without, and so are the rows that are reached by way of them: an export
 * that is partial and says so answers more than none. Each table that lacks
 * something for it is named.
 */
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/walk_impl.h"

/* What a table lacks. */
struct lack {
	bool is_there;
	enum bkp_decided decided; /* the most that a missing row would be */
	size_t because;           /* of the table that cannot be read */
};

static bool
is_unreadable(const struct bkp_walk *walk, size_t table)
{
	return bkp_model_unreadable(&walk->model.tables[table]) != NULL;
}

bool
bkp_walk_can_read(const struct bkp_walk *walk, const struct bkp_walk_edge *edge)
{
	return !walk->is_reading || (!is_unreadable(walk, edge->child) &&
					!is_unreadable(walk, edge->parent));
}

/* True where rows were reached from which such an edge is followed; of a
 * chain there may be. */
static bool
has_rows(
    const struct bkp_walk *walk, const struct bkp_walk_edge *edge, size_t table)
{
	if (bkp_walk_is_chain(walk, table))
		return !bkp_walk_is_chain_empty(walk, table);
	for (enum bkp_decided d = BKP_OWN;
	     d <= bkp_walk_reaches_from(edge->decided); d++)
		if (walk->sets[table].of[d] > 0)
			return true;
	return false;
}

/* True where the edge makes the table that it leads to lack more. */
static bool
spread(const struct bkp_walk *walk, const struct bkp_walk_edge *edge,
    struct lack *lacks)
{
	size_t source = bkp_walk_source(edge), target = bkp_walk_target(edge);
	const struct lack *from = &lacks[source];
	struct lack *to = &lacks[target];
	bool is_lost = from->is_there &&
		       from->decided <= bkp_walk_reaches_from(edge->decided);

	if (!bkp_walk_is_decided(walk, edge) ||
	    (to->is_there && to->decided <= edge->decided))
		return false;
	if (is_unreadable(walk, target)
		? !is_lost && !has_rows(walk, edge, source)
		: !is_lost)
		return false;
	to->because = is_unreadable(walk, target) ? target : from->because;
	to->decided = edge->decided;
	to->is_there = true;
	return true;
}

static int
tell(struct bkp_walk *walk, const struct lack *lacks, size_t table,
    struct bkp_error *err)
{
	const struct bkp_model_table *t = &walk->model.tables[table];
	size_t because = lacks[table].because;

	if (!lacks[table].is_there)
		return 0;
	if (because == table)
		return bkp_run_omit(
		    walk->run, err, t->id, "%s", bkp_model_unreadable(t));
	return bkp_run_omit(walk->run, err, t->id,
	    "what of it is reached by way of %s, which this role cannot read, "
	    "is missing",
	    walk->model.tables[because].id);
}

int
bkp_walk_tell_unread(struct bkp_walk *walk, struct bkp_error *err)
{
	struct lack *lacks =
	    bkp_alloc_array(walk->model.table_count, sizeof(*lacks), err);
	bool is_more = true;
	int rc = 0;

	if (lacks == NULL)
		return -1;
	while (is_more) {
		is_more = false;
		for (size_t i = 0; i < walk->edge_count; i++)
			is_more |= spread(walk, &walk->edges[i], lacks);
	}
	for (size_t i = 0; rc == 0 && i < walk->model.table_count; i++)
		rc = tell(walk, lacks, i, err);
	free(lacks);
	return rc;
}
