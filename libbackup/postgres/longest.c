/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/longest.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/holder.h"
#include "libbackup/postgres/names.h"

/* Nearly what a message may have: there are other columns, and tabs. */
#define LONG_TEXT "1000000000"

/* The length of a row as it is sent, as far as that is known without reading
 * it; an empty one where no column can be that long. */
static const char length_sql[] =
    "SELECT COALESCE(string_agg('COALESCE(octet_length('"
    " || quote_ident(attname) || ')::bigint, 0) * '"
    " || CASE atttypid WHEN 'bytea'::regtype THEN %s ELSE 1 END,"
    " ' + '), '')"
    " FROM pg_attribute WHERE attrelid = %L::regclass AND attnum > 0"
    " AND NOT attisdropped AND atttypid IN ('bytea'::regtype,"
    " 'text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)";

static char *
ask(struct bkp_pg *pg, struct fmt_buf *sql)
{
	return fmt_buf_text(sql) != NULL
		   ? bkp_pg_text(pg, (const char *)sql->data, NULL)
		   : NULL;
}

/* "(12,3) 1258291203", or "" */
static char *
find_row(struct bkp_pg *pg, const char *quoted, enum fmt_copy_form form,
    uint64_t first, uint64_t last)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	char *length = NULL, *row = NULL;

	if (bkp_pg_sql(&sql, length_sql, form == FMT_COPY_TEXT ? "2" : "1",
		quoted) == FMT_OK)
		length = ask(pg, &sql);
	fmt_buf_clear(&sql);
	if (length != NULL && length[0] != '\0' &&
	    bkp_pg_sql(&sql,
		"SELECT COALESCE((SELECT t || ' ' || n FROM"
		" (SELECT ctid AS t, %s AS n FROM ONLY %s"
		"  WHERE ctid >= '(%llu,0)' AND ctid < '(%llu,0)') x"
		" WHERE n >= " LONG_TEXT " ORDER BY n DESC LIMIT 1), '')",
		length, quoted, (unsigned long long)first,
		last > 0 ? (unsigned long long)last : 4294967295ull) == FMT_OK)
		row = ask(pg, &sql);
	free(length);
	fmt_buf_free(&sql);
	return row;
}

void
bkp_pg_explain_length(struct bkp_pg *pg, const char *snapshot,
    const char *quoted, enum fmt_copy_form form, uint64_t first, uint64_t last,
    struct bkp_error *err)
{
	struct bkp_error why;
	const char *space;
	char *row = NULL;

	/* One of both, by which buffer it is that cannot hold it. */
	if (err == NULL || (strcmp(pg->state, "54000") != 0 &&
			       strcmp(pg->state, "XX000") != 0))
		return;
	if (bkp_pg_import_again(pg, snapshot, NULL) == 0)
		row = find_row(pg, quoted, form, first, last);
	if (row != NULL && (space = strchr(row, ' ')) != NULL) {
		why = *err;
		(void)bkp_fail(err, BKP_UNSUPPORTED,
		    "the row with ctid %.*s has %s bytes as it is sent, and a "
		    "server sends no more than 1 GB at once: %scut the value "
		    "in pieces, or keep it as a large object or a file; %s",
		    (int)(space - row), row, space + 1,
		    form == FMT_COPY_TEXT
			? "a bytea has half of that with 'copy: binary'; else "
			: "",
		    why.message);
	}
	free(row);
}
