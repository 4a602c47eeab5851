/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_LOAD_H
#define LIBBACKUP_SUBJECT_LOAD_H

/*
 * The rows of an export into an application's schema, in one transaction:
 *
 *   compare     the tables have the columns and types that were exported, and
 *               nothing that a row needs is left out
 *   lock        the tables are empty, and stay so
 *   stage       lines of JSON into temporary tables; the server types them
 *   remap       where asked for: new keys, and every reference to them
 *   resolve     every reference finds its row, or is told by name
 *   insert      parents first; what goes in a circle is checked at the end
 *   finish      constraints hold, counts agree, sequences stand behind
 */

#include "libbackup/postgres/session.h"
#include "libbackup/subject/unpack.h"

struct bkp_load_options {
	bool has_shared, has_actor; /* load those rows, too */
	bool is_remapped;           /* with new keys */
	bool is_nulled;   /* references to rows that the export lacks become
			     NULL where they may */
	bool is_appended; /* tables may have rows */
	/* borrowed: "public.users.hash='!'", values of columns that the export
	 * does not have */
	const char *const *fill;
	size_t fill_count;
	const char *const *left; /* borrowed: tables that are left out */
	size_t left_count;
};

struct bkp_load;

/* Begins the transaction and does all but commit. Everything is borrowed until
 * free. The rows' spool of `unpack` is read. */
int bkp_load_run(struct bkp_pg *pg, struct bkp_unpack *unpack,
    const struct bkp_load_options *options, struct bkp_run *run,
    struct bkp_load **out, struct bkp_error *err);

int bkp_load_commit(struct bkp_load *load, struct bkp_error *err);

/* Without commit: the transaction is rolled back. NULL is fine. */
void bkp_load_free(struct bkp_load *load);

struct bkp_load_counts {
	uint64_t rows;       /* loaded */
	uint64_t existing;   /* looked-up rows that were there, equal */
	uint64_t left;       /* of context, not asked for, or left out */
	uint64_t remapped;   /* rows that have a new key */
	uint64_t nulled;     /* references that became NULL */
	uint64_t unfollowed; /* rows with references that new keys left behind,
				as nobody could tell what to rewrite */
	size_t tables;
};

struct bkp_load_counts bkp_load_counts(const struct bkp_load *load);

#endif
