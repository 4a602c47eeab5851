/* SPDX-License-Identifier: Apache-2.0 */
/* What the catalogue makes plain about foreign keys. What it does not is left
 * to people: a guess would look like a decision. */
#include <string.h>

#include "libbackup/subject/propose_own.h"

/* ---- columns ---- */

static bool
is_time(const struct bkp_model_column *column)
{
	return !column->is_array && (column->kind == FMT_PGJSON_DATE ||
					column->kind == FMT_PGJSON_TIMESTAMP ||
					column->kind == FMT_PGJSON_TIMESTAMPTZ);
}

static bool
is_key(const struct bkp_model_table *table, size_t column)
{
	for (size_t i = 0; i < table->key_count; i++)
		if (table->key[i] == column)
			return true;
	return false;
}

bool
bkp_propose_is_trace(const struct bkp_model_table *table, size_t column)
{
	return is_key(table, column) || is_time(&table->columns[column]);
}

bool
bkp_propose_is_credential(const struct bkp_model_table *table, size_t column)
{
	static const char *const words[] = {"password", "passwd", "passphrase",
	    "pwd", "token", "tokens", "secret", "secrets", "hash", "salt",
	    "otp", "totp", "hotp", "apikey", "credential", "credentials",
	    "encrypted", "csrf", NULL};
	const struct bkp_model_column *c = &table->columns[column];

	return c->kind != FMT_PGJSON_BOOLEAN && !is_time(c) &&
	       !is_key(table, column) && bkp_subject_has_word(c->name, words);
}

bool
bkp_propose_is_name(const struct bkp_model_table *table, size_t column)
{
	static const char *const words[] = {"name", "title", "label", "code",
	    "symbol", "country", "city", "language", "category", "genre",
	    "currency", "slug", NULL};
	const struct bkp_model_column *c = &table->columns[column];

	return c->kind == FMT_PGJSON_TEXT && !c->is_array && !c->is_composite &&
	       !bkp_propose_is_credential(table, column) &&
	       bkp_subject_has_word(c->name, words);
}

static bool
has_name(const struct bkp_model_table *table)
{
	for (size_t i = 0; i < table->column_count; i++)
		if (bkp_propose_is_name(table, i))
			return true;
	return false;
}

/* Rows that are people have ways to reach them, or to let them in. */
static bool
is_of_people(const struct bkp_model_table *table)
{
	static const char *const words[] = {"email", "mail", "phone", "mobile",
	    "login", "username", "password", "birthday", "birthdate", "born",
	    "surname", "lastname", NULL};

	for (size_t i = 0; i < table->column_count; i++)
		if (bkp_subject_has_word(table->columns[i].name, words))
			return true;
	return false;
}

/* ---- edges ---- */

bool
bkp_propose_is_held(const struct proposal *p, size_t table)
{
	return p->reached[table] == BKP_OWN || p->reached[table] == BKP_SHARED;
}

/* creator_id, resolved_by, mod_person_id: who did it, not whose it is. */
static bool
is_actor(const struct proposal *p, const struct bkp_model_edge *edge)
{
	static const char *const words[] = {"by", "creator", "resolver",
	    "granter", "grantor", "giver", "mod", "moderator", "admin",
	    "administrator", "approver", "reviewer", "issuer", "assigner",
	    "inviter", "editor", "operator", "staff", "actor", "closer",
	    "updater", "deleter", "manager", "supervisor", NULL};

	for (size_t i = 0; i < edge->column_count; i++)
		if (bkp_subject_has_word(p->model->tables[edge->child]
					     .columns[edge->child_columns[i]]
					     .name,
			words))
			return true;
	return false;
}

static bool
is_not_null(const struct proposal *p, const struct bkp_model_edge *edge)
{
	const struct bkp_model_table *child = &p->model->tables[edge->child];

	for (size_t i = 0; i < edge->column_count; i++)
		if (!child->columns[edge->child_columns[i]].is_not_null)
			return false;
	return true;
}

/* Other edges by which the child might belong to somebody: to the subject's
 * table, or (is_any) to any table that is held or refers to the subject. */
static size_t
count_owners(
    const struct proposal *p, const struct bkp_model_edge *edge, bool is_any)
{
	size_t count = 0;

	for (size_t i = 0; i < p->model->edge_count; i++) {
		const struct bkp_model_edge *other = &p->model->edges[i];

		if (other == edge || other->child != edge->child ||
		    is_actor(p, other))
			continue;
		count += other->parent == p->subject ||
			 (is_any && (bkp_propose_is_held(p, other->parent) ||
					p->is_above[other->parent]));
	}
	return count;
}

/* An edge whose parent is held. */
static void
decide_down(const struct proposal *p, const struct bkp_model_edge *edge,
    struct proposed_edge *out)
{
	bool is_subject = edge->parent == p->subject;
	bool is_sure = edge->is_cascade || is_not_null(p, edge);

	if (edge->child == edge->parent) {
		out->why = "Rows of one table among themselves: are those "
			   "below the subject's the subject's too (own: down), "
			   "those above (own: up), or is it somebody else "
			   "(skip)?";
	} else if (is_actor(p, edge)) {
		out->decided = BKP_ACTOR;
		out->why = "By its name: who did it, not whose it is.";
	} else if (count_owners(p, edge, !is_subject) > 0) {
		out->why =
		    is_subject
			? "There is another reference to the subject: is the "
			  "row the subject's by this one (own), also somebody "
			  "else's (shared), or did the subject only do "
			  "something (actor)?"
			: "The row may have an owner by another column: is it "
			  "the subject's by this one, too (own), also somebody "
			  "else's (shared), or is the other enough (skip)?";
	} else if (!is_sure) {
		out->why = "The column may be empty, so the rows can be "
			   "without the subject: are those that name it the "
			   "subject's (own), or somebody else's (shared, "
			   "actor, skip)?";
	} else {
		out->decided = BKP_OWN;
		out->why = edge->is_cascade
			       ? "Deleted with the row that it refers to."
			       : "Always there, and the only owner.";
	}
}

/* An edge whose child is held, and whose parent is not. */
static void
decide_up(const struct proposal *p, const struct bkp_model_edge *edge,
    struct proposed_edge *out)
{
	const struct bkp_model_table *parent = &p->model->tables[edge->parent];

	if (p->is_above[edge->parent]) {
		out->why = "That table refers to subjects itself: does the row "
			   "only explain (lookup), is it the subject's (own: "
			   "up), or somebody else's (skip)?";
	} else if (is_of_people(parent)) {
		out->why = "That table seems to be of people: which columns of "
			   "somebody else may be shown (lookup), if any "
			   "(skip)?";
	} else if (!has_name(parent)) {
		out->why = "Does the row only explain (lookup, with which "
			   "columns?), is it the subject's (own: up), or does "
			   "it say nothing (skip)?";
	} else {
		out->decided = BKP_LOOKUP;
		out->why = "It belongs to nobody and has a name.";
	}
}

/* ---- all of them ---- */

static void
find_above(struct proposal *p)
{
	bool is_more = true;

	while (is_more) {
		is_more = false;
		for (size_t i = 0; i < p->model->edge_count; i++) {
			const struct bkp_model_edge *edge = &p->model->edges[i];

			if (p->is_above[edge->child] ||
			    (edge->parent != p->subject &&
				!p->is_above[edge->parent]))
				continue;
			p->is_above[edge->child] = true;
			is_more = true;
		}
	}
}

bool
bkp_propose_is_left_out(const struct proposal *p, size_t table)
{
	const struct bkp_map_table *entry =
	    bkp_map_table(p->before, p->model->tables[table].id);

	return entry != NULL && entry->skip != NULL;
}

static void
decide(struct proposal *p, size_t i)
{
	const struct bkp_model_edge *edge = &p->model->edges[i];
	struct proposed_edge *out = &p->edges[i];

	if (out->is_written)
		return;
	if (out->kept != NULL) {
		out->decided = out->kept->decided;
		out->is_up = out->kept->is_up;
		out->is_written = true;
		return;
	}
	if (bkp_propose_is_left_out(p, edge->child) ||
	    bkp_propose_is_left_out(p, edge->parent))
		return;
	if (bkp_propose_is_held(p, edge->parent)) {
		decide_down(p, edge, out);
		out->is_written = true;
	} else if (bkp_propose_is_held(p, edge->child)) {
		decide_up(p, edge, out);
		out->is_written = true;
	}
}

/* True where a table is reached that was not, or better. */
static bool
spread(struct proposal *p, size_t child, size_t parent,
    enum bkp_decided decided, bool is_up)
{
	size_t from = is_up || decided == BKP_LOOKUP ? child : parent;
	size_t to = from == child ? parent : child;
	bool is_followed = false;

	switch (decided) {
	case BKP_OWN:
	case BKP_ACTOR:
		is_followed = p->reached[from] == BKP_OWN;
		break;
	case BKP_SHARED:
		is_followed = bkp_propose_is_held(p, from);
		break;
	case BKP_LOOKUP:
		is_followed = p->reached[from] != BKP_UNDECIDED;
		break;
	case BKP_UNDECIDED:
	case BKP_SKIP:
		break;
	}
	if (!is_followed ||
	    (p->reached[to] != BKP_UNDECIDED && p->reached[to] <= decided))
		return false;
	p->reached[to] = decided;
	return true;
}

static bool
spread_declared(struct proposal *p)
{
	bool is_more = false;

	for (size_t i = 0; i < p->before->edge_count; i++) {
		const struct bkp_map_edge *edge = &p->before->edges[i];
		size_t child, parent;

		if (!edge->is_declared)
			continue;
		child = bkp_model_table(p->model, edge->child);
		parent = bkp_model_table(p->model, edge->parent);
		if (child != SIZE_MAX && parent != SIZE_MAX)
			is_more |= spread(
			    p, child, parent, edge->decided, edge->is_up);
	}
	return is_more;
}

void
bkp_propose_edges(struct proposal *p)
{
	bool is_more = true;

	find_above(p);
	p->reached[p->subject] = BKP_OWN;
	while (is_more) {
		for (size_t i = 0; i < p->model->edge_count; i++)
			decide(p, i);
		is_more = spread_declared(p);
		for (size_t i = 0; i < p->model->edge_count; i++)
			is_more |= spread(p, p->model->edges[i].child,
			    p->model->edges[i].parent, p->edges[i].decided,
			    p->edges[i].is_up);
	}
}
