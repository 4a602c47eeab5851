/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_POSTGRES_TOC_H
#define LIBBACKUP_POSTGRES_TOC_H

/*
 * What a schema archive makes once the rows are in, item by item with what
 * each needs first, read from what pg_restore prints: its list says what
 * waits for what, its script has the statements. Items that this is not the
 * place to understand (triggers, rules, comments) are `late`, with all that
 * waits for one of them; they go back by pg_restore itself.
 */

#include <stdbool.h>
#include <stddef.h>

#include "formats/buf.h"
#include "libbackup/base/arena.h"
#include "libbackup/error.h"
#include "libbackup/postgres/toc_line.h"

/* What a line of pg_restore --list is about. */
enum bkp_pg_step {
	BKP_PG_STEP_INDEXES, /* and constraints that are indexes */
	BKP_PG_STEP_ATTACH,
	BKP_PG_STEP_FOREIGN_KEYS,
	BKP_PG_STEP_REST
};

enum bkp_pg_step bkp_pg_step_of(const char *line, size_t len);

/* Views are of texts of the toc. */
struct bkp_pg_item {
	unsigned long id;
	enum bkp_pg_step step;
	bool is_late;
	bool is_refused; /* could not be made: nor can what is about it */
	struct bkp_pg_view line;       /* of the list, with its newline */
	size_t first_need, need_count; /* among the needs of the toc */
	struct bkp_pg_view tablespace; /* SET statement that it counts on */
	struct bkp_pg_view first;      /* its first statement */
	struct bkp_pg_view more;       /* those that follow */
};

struct bkp_pg_toc_table {
	unsigned long id;
	struct bkp_pg_view key; /* as bkp_pg_toc_key writes it */
};

struct bkp_pg_toc {
	struct bkp_arena arena;     /* of what is kept of the script */
	struct fmt_buf after;       /* owned: the list of what is made */
	struct fmt_buf table_lines; /* owned: of the list of everything */
	struct bkp_pg_view setup;   /* statements for every connection */
	struct bkp_pg_item *items;  /* in the order of the archive */
	size_t item_count, item_cap;
	struct bkp_pg_toc_table *tables;
	size_t table_count, table_cap;
	unsigned long *needs; /* ids of items and tables, and others */
	size_t need_count, need_cap;
	size_t *by_id; /* items, sorted */

	/* Where the reading of a list or of the script is. */
	struct fmt_buf rest;   /* what came and is not whole */
	struct fmt_buf gather; /* statements that are kept as one */
	struct bkp_pg_item *item;
	struct bkp_pg_toc_table *table;
	struct bkp_pg_view tablespace;
	bool has_begun; /* an entry of the script */
};

#define BKP_PG_TOC_INIT                                                        \
	{                                                                      \
		.arena = BKP_ARENA_INIT                                        \
	}

void bkp_pg_toc_free(struct bkp_pg_toc *toc);

/* Reads toc->after, the list of the section after the rows, which the caller
 * has filled. */
int bkp_pg_toc_after(struct bkp_pg_toc *toc, struct bkp_error *err);

/* Then the verbose list of everything, in portions cut anywhere (a
 * bkp_bytes_fn), and its end. (A verbose list is of all sections, whatever it
 * is asked for.) */
int bkp_pg_toc_list(
    void *toc, const void *data, size_t len, struct bkp_error *err);
int bkp_pg_toc_list_end(struct bkp_pg_toc *toc, struct bkp_error *err);

/* Appends the lines of what the script is to hold. */
enum fmt_status bkp_pg_toc_wanted(
    const struct bkp_pg_toc *toc, struct fmt_buf *out);

/* Then the verbose script of those lines, in the same way. Of 100,000 tables
 * it is long, and what makes a table is not kept. An item that is not in it is
 * late. */
int bkp_pg_toc_script(
    void *toc, const void *data, size_t len, struct bkp_error *err);
int bkp_pg_toc_script_end(struct bkp_pg_toc *toc, struct bkp_error *err);

/* The item of an id, or NULL. */
struct bkp_pg_item *bkp_pg_toc_item(
    const struct bkp_pg_toc *toc, unsigned long id);

/* True where an item needs one that was refused. */
bool bkp_pg_toc_lacks(
    const struct bkp_pg_toc *toc, const struct bkp_pg_item *item);

/* Appends what a table is called in a script's remarks: two tables may have
 * the same key, for line ends in names become spaces there. */
enum fmt_status bkp_pg_toc_key(
    struct fmt_buf *out, const char *schema, const char *name);

/*
 * Writes "ALTER TABLE ONLY t ADD CONSTRAINT c PRIMARY KEY (a);" as the making
 * of an index (*index), which others may do to the same table at the time,
 * and the making of a constraint of it (*constraint), which takes no time.
 * FMT_UNSUPPORTED where the statement is none of that; both are as they were.
 */
enum fmt_status bkp_pg_toc_split(const struct bkp_pg_view *statement,
    struct fmt_buf *index, struct fmt_buf *constraint);

#endif
