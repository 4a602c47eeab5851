/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_EXPORT_PAGES_H
#define LIBBACKUP_SUBJECT_EXPORT_PAGES_H

/*
 * The rows of a table as people read them, put aside while they go by on their
 * way to the data file: the server is asked once for them, however many ways
 * they are shown in.
 */

#include "libbackup/archive/spool.h"
#include "libbackup/subject/exported.h"

#define BKP_PAGES_ON_INDEX 50  /* rows of a table on the first page */
#define BKP_PAGES_ON_PAGE 1000 /* rows of a page of its own */
#define BKP_PAGES_MAX 20       /* pages of a table */

struct bkp_pages {
	struct bkp_export *export;        /* borrowed */
	struct bkp_exported_table *table; /* borrowed */
	struct bkp_spool *aside; /* owned; NULL: index.html shows them all */
	uint64_t sizes[BKP_PAGES_MAX]; /* bytes of each page's rows */
	uint64_t rows;                 /* that are shown */
	uint64_t page, last;           /* while they are written, from 1 */
	struct fmt_buf out;            /* secret */
};

#define BKP_PAGES_INIT(export_, table_)                                        \
	{                                                                      \
		.export = (export_), .table = (table_),                        \
		.out = FMT_BUF_SECRET_INIT                                     \
	}

/* The next row; those that no page shows are left out. */
int bkp_pages_row(struct bkp_pages *pages, const struct bkp_rows_value *values,
    struct bkp_error *err);

/* All rows are there: puts the pages that the table has of its own. */
int bkp_pages_put(struct bkp_pages *pages, struct bkp_error *err);

void bkp_pages_fini(struct bkp_pages *pages);

#endif
