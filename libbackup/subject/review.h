/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_REVIEW_H
#define LIBBACKUP_SUBJECT_REVIEW_H

/*
 * A map against a database: what it leaves undecided, what it names that is
 * not there; and a map proposed where there is none.
 */

#include "formats/buf.h"
#include "libbackup/subject/map.h"
#include "libbackup/subject/model.h"

enum bkp_review_level {
	BKP_REVIEW_FINDING, /* an export would be incomplete or a guess */
	BKP_REVIEW_ADVICE   /* it would be slow, or says more than it does */
};

struct bkp_review_finding {
	enum bkp_review_level level;
	const char *kind; /* "edge-gone"; backup-export-map(5) has them */
	char *what;       /* owned: the edge, table or column */
	char *message;    /* owned: a sentence with what to do */
	unsigned line;    /* of the map; 0: of nothing in it */
};

struct bkp_review {
	struct bkp_review_finding *findings; /* sorted by kind and what */
	size_t count, cap;
	size_t failing;            /* those that are no advice */
	enum bkp_decided *reached; /* owned, a table each: the most that its
				      rows can be; UNDECIDED: never reached */
};

#define BKP_REVIEW_INIT                                                        \
	{                                                                      \
		NULL, 0, 0, 0, NULL                                            \
	}

/*
 * Compares. Kinds of finding:
 *   edge-undecided, table-undecided, column-undecided
 *   edge-gone, table-gone, column-gone, subject-gone
 *   edge-unreached       own, shared or actor, and nothing gets to where it
 *                        begins
 *   skip-contradicted    a table that is left out, and reached
 *   column-like-a-reference
 *                        by its name (_id, _uuid, _by, _ref, ...), for it is
 *                        named like a table or its key and of its type, or
 *                        names objects of a bucket (_path, _url, _file, _key)
 *   reference-broken     types that cannot be compared, SQL that the server
 *                        refuses
 *   partitions-disagree  a child by inheritance lacks what its parent has;
 *                        advice between partitions, whose edge is one
 *   subject-not-unique, table-unreadable
 *   erasure-open         (advice) what an erasure could neither delete nor
 *                        clear
 *   large-object         (advice) a column that may name some
 *   origin-undecided, no-index    (advice)
 * Expressions are tried on the server by preparing a statement, which runs
 * nothing.
 */
int bkp_review(struct bkp_pg *pg, const struct bkp_model *model,
    const struct bkp_map *map, struct bkp_review *out, struct bkp_error *err);
void bkp_review_free(struct bkp_review *review);

/*
 * Appends a map in YAML for the subject's table: what the catalogue makes
 * plain is decided, the rest stands as "undecided", which bkp_map_parse takes
 * and bkp_review fails on, with the reason for each in a comment. `before` (may
 * be NULL) keeps its decisions.
 */
int bkp_propose(struct bkp_pg *pg, const struct bkp_model *model,
    const char *table, const struct bkp_map *before, struct fmt_buf *out,
    struct bkp_error *err);

#endif
