/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REPORT_TEXT_H
#define LIBBACKUP_OPERATIONS_REPORT_TEXT_H

/*
 * A report while it is written. Whatever comes from outside goes through one
 * of the functions that make it harmless in the form at hand. What cannot be
 * added (no memory) is kept as the status, and nothing is added any more: one
 * look at the end is enough.
 */

#include <stdint.h>

#include "formats/buf.h"

struct bkp_report_text {
	struct fmt_buf buf;
	enum fmt_status status;
};

#define BKP_REPORT_TEXT_INIT                                                   \
	{                                                                      \
		FMT_BUF_INIT, FMT_OK                                           \
	}

/* What is written here in the source, as it is. */
void bkp_report_add(struct bkp_report_text *out, const char *text);
void bkp_report_addf(struct bkp_report_text *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Text for XML 1.0 and HTML, between tags and between quotes: with markup
 * written out, and %XX for what neither can hold. */
void bkp_report_markup(struct bkp_report_text *out, const char *text);

/* The same of a path, in which '%' is %25, so that it can be had back. */
void bkp_report_path(struct bkp_report_text *out, const char *path);

/* Text by itself: tabs, line ends, and %XX for other control characters and
 * for what is not UTF-8. */
void bkp_report_plain(struct bkp_report_text *out, const char *text);

/* The value of a Prometheus label, without its quotes. */
void bkp_report_label(struct bkp_report_text *out, const char *text);

/* A moment on the page, which is not broken across lines. */
void bkp_report_time(struct bkp_report_text *out, int64_t us);

/* ---- for people ---- */

struct bkp_words {
	char text[64];
};

struct bkp_words bkp_words_size(uint64_t bytes);  /* "1.2 GiB" */
struct bkp_words bkp_words_count(uint64_t n);     /* "1,234" */
struct bkp_words bkp_words_duration(uint64_t ms); /* "2 min 5 s" */
struct bkp_words bkp_words_time(int64_t us);      /* "2026-11-21 03:00 UTC" */
struct bkp_words bkp_words_day(int64_t us);       /* "21 Nov" */
/* "3 days", "5 hours", "1 minute": the largest unit that fits. */
struct bkp_words bkp_words_age(int64_t us);
/* "2026-11-21T03:00:05Z"; as XML Schema has it without a zone: no 'Z'. */
struct bkp_words bkp_words_iso(int64_t us, int has_zone);

#endif
