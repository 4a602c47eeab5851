/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_PROPOSE_OWN_H
#define LIBBACKUP_SUBJECT_PROPOSE_OWN_H

/* What the parts of a proposal share: what is decided, and how it is
 * written. */

#include "libbackup/subject/review_own.h"

/* About a foreign key. */
struct proposed_edge {
	const struct bkp_map_edge *kept; /* what was decided before */
	enum bkp_decided decided;
	bool is_up;
	bool is_written;
	const char *why; /* static; for the comment */
};

struct proposal {
	const struct bkp_model *model;
	const struct bkp_map *before; /* an empty one where there is none */
	size_t subject;
	struct proposed_edge *edges; /* as in the model */
	enum bkp_decided *reached;   /* a table each */
	bool *is_above; /* a table each: it refers to the subject, be it by
			   other tables */
	struct fmt_buf *out;
	enum fmt_status status; /* of all that was written */
};

/* Decides what the catalogue makes plain (propose_edges.c). */
void bkp_propose_edges(struct proposal *p);

/* Columns that say when and which, columns that name a row, columns that open
 * doors (propose_edges.c). */
bool bkp_propose_is_trace(const struct bkp_model_table *table, size_t column);
bool bkp_propose_is_name(const struct bkp_model_table *table, size_t column);
bool bkp_propose_is_credential(
    const struct bkp_model_table *table, size_t column);

bool bkp_propose_is_held(const struct proposal *p, size_t table);

/* True where a key, the map or an inherited key says what the column is. */
bool bkp_propose_is_known(
    const struct proposal *p, size_t table, size_t column);

/* True where a reference of the map has to do with the column. */
bool bkp_propose_is_declared(
    const struct proposal *p, size_t table, size_t column);

/* True where the map gave a reason for leaving the table out. */
bool bkp_propose_is_left_out(const struct proposal *p, size_t table);

/* Sections (propose_write.c, propose_tables.c). */
void bkp_propose_write_edges(struct proposal *p);
void bkp_propose_write_references(struct proposal *p);
void bkp_propose_write_files(struct proposal *p);
void bkp_propose_write_tables(struct proposal *p);

/* Writing YAML (propose_yaml.c): text as it is, a scalar with the quotes that
 * it needs, a list of scalars, a comment in lines of its own. */
void bkp_propose_put(struct proposal *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void bkp_propose_scalar(struct proposal *p, const char *text);
void bkp_propose_list(struct proposal *p, const struct bkp_strings *list);
void bkp_propose_comment(struct proposal *p, const char *indent,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
