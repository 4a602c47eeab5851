/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/review.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/review_own.h"

/* ---- findings ---- */

static char *format_message(const char *format, va_list ap,
    struct bkp_error *err) __attribute__((format(printf, 1, 0)));

static char *
format_message(const char *format, va_list ap, struct bkp_error *err)
{
	char *text = NULL;

	if (vasprintf(&text, format, ap) < 0) {
		(void)bkp_fail_nomem(err, "reviewing a map");
		return NULL;
	}
	return text;
}

int
bkp_review_add(struct reviewer *r, enum bkp_review_level level,
    const char *kind, const char *what, unsigned line, struct bkp_error *err,
    const char *format, ...)
{
	struct bkp_review_finding finding = {
	    .level = level, .kind = kind, .line = line};
	struct bkp_review *out = r->out;
	va_list ap;

	va_start(ap, format);
	finding.message = format_message(format, ap, err);
	va_end(ap);
	if (finding.message == NULL ||
	    (finding.what = bkp_strdup(what, err)) == NULL ||
	    bkp_grow(&out->findings, out->count, &out->cap,
		sizeof(*out->findings), err) < 0) {
		free(finding.message);
		free(finding.what);
		return -1;
	}
	out->findings[out->count++] = finding;
	out->failing += level == BKP_REVIEW_FINDING;
	return 0;
}

int
bkp_review_column_gone(struct reviewer *r, const struct bkp_model_table *table,
    const char *column, unsigned line, struct bkp_error *err)
{
	char *what = bkp_format(err, "%s.%s", table->id, column);
	const char *meant = NULL;
	size_t best = strlen(column) / 3 + 1;
	int rc;

	if (what == NULL)
		return -1;
	for (size_t i = 0; i < table->column_count; i++) {
		size_t distance =
		    bkp_config_distance(column, table->columns[i].name);

		if (distance > best || (distance == best && meant != NULL))
			continue;
		best = distance;
		meant = table->columns[i].name;
	}
	rc = bkp_review_add(r, BKP_REVIEW_FINDING, "column-gone", what, line,
	    err, "the map names a column that %s does not have; %s%s%s",
	    table->id, meant != NULL ? "did you mean '" : "take it out",
	    meant != NULL ? meant : "", meant != NULL ? "'?" : "");
	free(what);
	return rc;
}

static int
compare_findings(const void *a, const void *b)
{
	const struct bkp_review_finding *left = a, *right = b;
	int order = strcmp(left->kind, right->kind);

	if (order == 0)
		order = strcmp(left->what, right->what);
	return order != 0 ? order : strcmp(left->message, right->message);
}

void
bkp_review_free(struct bkp_review *review)
{
	for (size_t i = 0; i < review->count; i++) {
		free(review->findings[i].what);
		free(review->findings[i].message);
	}
	free(review->findings);
	free(review->reached);
	*review = (struct bkp_review)BKP_REVIEW_INIT;
}

/* ---- what is reached ---- */

bool
bkp_review_is_held(const struct reviewer *r, size_t table)
{
	return table != SIZE_MAX && (r->out->reached[table] == BKP_OWN ||
					r->out->reached[table] == BKP_SHARED);
}

const char *
bkp_review_skip(const struct reviewer *r, size_t table)
{
	const struct bkp_map_table *decided =
	    bkp_map_table(r->map, r->model->tables[table].id);

	return decided != NULL ? decided->skip : NULL;
}

static int
list_edges(struct reviewer *r, struct bkp_error *err)
{
	const struct bkp_model *model = r->model;
	const struct bkp_map *map = r->map;

	r->edges = bkp_alloc_array(
	    model->edge_count + map->edge_count + 1, sizeof(*r->edges), err);
	if (r->edges == NULL)
		return -1;
	for (size_t i = 0; i < model->edge_count; i++)
		r->edges[r->edge_count++] = (struct review_edge){
		    &model->edges[i], bkp_map_edge(map, model->edges[i].id),
		    model->edges[i].child, model->edges[i].parent};
	for (size_t i = 0; i < map->edge_count; i++)
		if (map->edges[i].is_declared)
			r->edges[r->edge_count++] =
			    (struct review_edge){NULL, &map->edges[i],
				bkp_model_table(model, map->edges[i].child),
				bkp_model_table(model, map->edges[i].parent)};
	return 0;
}

/* What the edge makes of the table that it leads to; UNDECIDED: it is not
 * followed. */
static enum bkp_decided
outcome(const struct reviewer *r, const struct review_edge *edge)
{
	bool is_up = edge->map->is_up || edge->map->decided == BKP_LOOKUP;
	enum bkp_decided from =
	    r->out->reached[is_up ? edge->child : edge->parent];

	switch (edge->map->decided) {
	case BKP_OWN:
	case BKP_ACTOR:
		return from == BKP_OWN ? edge->map->decided : BKP_UNDECIDED;
	case BKP_SHARED:
		return from == BKP_OWN || from == BKP_SHARED ? BKP_SHARED
							     : BKP_UNDECIDED;
	case BKP_LOOKUP:
		return from != BKP_UNDECIDED ? BKP_LOOKUP : BKP_UNDECIDED;
	case BKP_UNDECIDED:
	case BKP_SKIP:
		break;
	}
	return BKP_UNDECIDED;
}

static bool
follow(struct reviewer *r, const struct review_edge *edge)
{
	enum bkp_decided *to, result;

	if (edge->map == NULL || edge->child == SIZE_MAX ||
	    edge->parent == SIZE_MAX)
		return false;
	result = outcome(r, edge);
	to = &r->out
		  ->reached[edge->map->is_up || edge->map->decided == BKP_LOOKUP
				? edge->parent
				: edge->child];
	if (result == BKP_UNDECIDED || (*to != BKP_UNDECIDED && *to <= result))
		return false;
	*to = result;
	return true;
}

static void
reach(struct reviewer *r)
{
	bool is_more = r->subject != SIZE_MAX;

	if (is_more)
		r->out->reached[r->subject] = BKP_OWN;
	while (is_more) {
		is_more = false;
		for (size_t i = 0; i < r->edge_count; i++)
			is_more |= follow(r, &r->edges[i]);
	}
}

/* ---- all of it ---- */

int
bkp_review(struct bkp_pg *pg, const struct bkp_model *model,
    const struct bkp_map *map, struct bkp_review *out, struct bkp_error *err)
{
	struct bkp_review review = BKP_REVIEW_INIT;
	struct reviewer r = {.pg = pg,
	    .model = model,
	    .map = map,
	    .out = &review,
	    .subject = bkp_model_table(model, map->table)};
	int rc = -1;

	review.reached = bkp_alloc_array(
	    model->table_count + 1, sizeof(*review.reached), err);
	if (review.reached == NULL || list_edges(&r, err) < 0)
		goto out;
	reach(&r);
	if (bkp_review_edges(&r, err) < 0 || bkp_review_tables(&r, err) < 0 ||
	    bkp_review_likeness(&r, err) < 0 || bkp_review_server(&r, err) < 0)
		goto out;
	if (review.count > 0)
		qsort(review.findings, review.count, sizeof(*review.findings),
		    compare_findings);
	*out = review;
	review = (struct bkp_review)BKP_REVIEW_INIT;
	rc = 0;
out:
	free(r.edges);
	bkp_review_free(&review);
	return rc;
}
