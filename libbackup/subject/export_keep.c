/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that subject.json may show: set aside while their files are
 * written, so that no row is read for it again. Memory is bounded: so many
 * lines of a table, so many bytes of a line, of a table and of all. */
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/exported.h"
#include "libbackup/subject/walk_impl.h"

#define OWNED ((size_t)1000)      /* lines of a file in own/ */
#define LOOKED_UP ((size_t)10000) /* lines of a file in lookup/ */
#define LINE_BYTES ((size_t)64 * 1024)
#define TABLE_BYTES ((size_t)2 * 1024 * 1024)
#define ALL_BYTES ((size_t)32 * 1024 * 1024)

/* The subject itself is always there, wherever in its table it stands. */
static bool
is_wanted(const struct bkp_export *export,
    const struct bkp_exported_table *table, const struct bkp_rows *rows)
{
	struct bkp_rows_place place;

	if (table->decided == BKP_LOOKUP)
		return table->kept.count < LOOKED_UP;
	if (table->decided != BKP_OWN)
		return false;
	if (table->kept.count < OWNED)
		return true;
	if (table->table != export->walk->subject)
		return false;
	place = bkp_rows_place(rows);
	return (place.rel == export->root.rel && place.tid == export->root.tid);
}

int
bkp_export_keep(struct bkp_export *export, struct bkp_exported_table *table,
    const struct bkp_rows *rows, uint64_t line, const void *text, size_t len,
    struct bkp_error *err)
{
	struct bkp_exported_rows *kept = &table->kept;
	struct bkp_exported_row *row;

	if (!is_wanted(export, table, rows))
		return 0;
	if (bkp_grow(&kept->rows, kept->count, &kept->cap, sizeof(*kept->rows),
		err) < 0)
		return -1;
	row = &kept->rows[kept->count++];
	*row = (struct bkp_exported_row){.place = bkp_rows_place(rows),
	    .parent = bkp_rows_parent(rows),
	    .line = line};
	len--; /* its newline */
	if (len > LINE_BYTES || kept->texts.len + len > TABLE_BYTES ||
	    export->kept_bytes + len > ALL_BYTES)
		return 0;
	row->at = kept->texts.len;
	if (fmt_buf_append(&kept->texts, text, len) != FMT_OK)
		return bkp_fail_nomem(err, "setting rows aside");
	row->len = len;
	export->kept_bytes += len;
	return 0;
}

void
bkp_export_keep_no_more(struct bkp_exported_table *table)
{
	free(table->kept.rows);
	fmt_buf_free(&table->kept.texts);
	table->kept = (struct bkp_exported_rows){.texts = FMT_BUF_SECRET_INIT};
}
