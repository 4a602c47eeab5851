/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_EXPORT_CORE_H
#define LIBBACKUP_SUBJECT_EXPORT_CORE_H

/*
 * What subject.json is made of: the rows that were kept as nodes of a tree.
 * Every owned row came in by one edge from one row that was owned before, so
 * that there is one way from the subject to each.
 */

#include "libbackup/subject/exported.h"
#include "libbackup/subject/walk_impl.h"

#define BKP_CORE_NONE SIZE_MAX

/* Rows are nested so deep; what is below is told by number. */
#define BKP_CORE_DEPTH ((size_t)32)

/* A row that was kept; those of a table stand together, by their lines. */
struct bkp_core_node {
	size_t table;                       /* of the export */
	const struct bkp_exported_row *row; /* NULL: the subject's own row is
					       not in the export */
	size_t parent;                      /* a node, or NONE */
	size_t edge;                        /* of the walk: how it came in */
	size_t depth;                       /* NONE: it is not shown */
	size_t first, count;                /* its children */
};

/* So many rows came to a node by an edge, where not all of them were kept. */
struct bkp_core_total {
	size_t node, edge;
	uint64_t rows;
};

/* A lookup edge leads from a node to another; NONE: to one that was not kept.
 */
struct bkp_core_link {
	size_t node, edge, target;
};

struct bkp_core {
	struct bkp_export *export; /* borrowed */
	struct bkp_walk *walk;     /* borrowed */
	struct bkp_core_node *nodes;
	size_t node_count;
	size_t *first;    /* node, one a table of the export, and the end */
	size_t *by_place; /* the nodes of each table, by where they stand */
	size_t *children; /* nodes by parent, edge and number */
	size_t root;      /* node */
	struct bkp_core_total *totals; /* by node and edge */
	size_t total_count, total_cap;
	struct bkp_core_link *links; /* by node, edge and target */
	size_t link_count, link_cap;
	uint64_t *shown; /* rows, one a table of the export */
	struct fmt_buf out;
};

/* The export's table for rows of the model's that are decided so, or NONE. */
size_t bkp_core_table(
    const struct bkp_export *export, size_t model, enum bkp_decided decided);

/* The node of a table that stands there, or NONE. */
size_t bkp_core_find(
    const struct bkp_core *core, size_t table, struct bkp_rows_place place);

/* True where owned rows that an edge brought are below the subject itself, for
 * the table that the edge comes from is not in the export. */
bool bkp_core_is_adopted(
    const struct bkp_export *export, const struct bkp_walk_edge *edge);

/* ---- export_core_sql.c: what the server knows of the nodes ---- */

/* Parents and edges of owned nodes, and the root. */
int bkp_core_read_parents(struct bkp_core *core, struct bkp_error *err);
int bkp_core_read_totals(struct bkp_core *core, struct bkp_error *err);
int bkp_core_read_links(struct bkp_core *core, struct bkp_error *err);

/* ---- export_core_write.c ---- */

int bkp_core_write(struct bkp_core *core, struct bkp_error *err);

#endif
