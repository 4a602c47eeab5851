/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_LOAD_WORDS_H
#define LIBBACKUP_SUBJECT_LOAD_WORDS_H

/* The few forms of SQL that are understood of an export's references, read and
 * written anew: no word of an export reaches the server as SQL. */

#include "libbackup/subject/model.h"

enum load_words_kind {
	LOAD_WORDS_COLUMN, /* a column */
	LOAD_WORDS_CAST,   /* a column, read as another type */
	LOAD_WORDS_PATH    /* a text within a column of JSON */
};

struct load_words {
	enum load_words_kind kind;
	size_t column;
	struct fmt_buf path; /* PATH: "'a', 'b'", literals, with a NUL */
};

#define LOAD_WORDS_INIT                                                        \
	{                                                                      \
		LOAD_WORDS_COLUMN, 0, FMT_BUF_INIT                             \
	}

/* Reads a value; FMT_MALFORMED: it is none of these forms. */
enum fmt_status bkp_load_words(struct load_words *out,
    const struct bkp_model_table *table, const char *text);
void bkp_load_words_free(struct load_words *words);

/* Appends what is at the value, of a column that SQL knows by that name. */
enum fmt_status bkp_load_words_append(
    struct fmt_buf *sql, const struct load_words *words, const char *column);

/* Appends SQL's name of a column. */
typedef enum fmt_status bkp_load_words_name_fn(
    struct fmt_buf *out, size_t column, void *arg);

/* Appends a condition; FMT_MALFORMED: it is none of these forms, and what is
 * in the buffer is of no use. */
enum fmt_status bkp_load_words_condition(struct fmt_buf *sql,
    const struct bkp_model_table *table, const char *text,
    bkp_load_words_name_fn *name, void *arg);

#endif
