/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REPORT_IMPL_H
#define LIBBACKUP_OPERATIONS_REPORT_IMPL_H

/* What the forms of a report share: the verification as it is told. */

#include <stdbool.h>

#include "libbackup/operations/report_text.h"
#include "libbackup/report.h"

enum bkp_outcome {
	BKP_OUTCOME_PROVEN,
	BKP_OUTCOME_DEGRADED, /* proven, and the backup itself has gaps */
	BKP_OUTCOME_FAILED,   /* there is a verdict, and it is no */
	BKP_OUTCOME_ERROR,    /* there is no verdict, and why is known */
	BKP_OUTCOME_CANCELLED,
	BKP_OUTCOME_UNFINISHED /* it runs, or it was killed */
};

/* Lines of a source, or those of the snapshot as a whole. */
struct bkp_reported_source {
	const char *name; /* with length: the beginning of a check's name */
	size_t name_len;  /* 0: the whole */
	size_t lines;
	size_t passed, failed, skipped; /* of these */
	uint64_t agreed;                /* things that passed lines speak of */
	size_t first;                   /* line */
};

#define BKP_REPORT_HOST 256

struct bkp_reported {
	const struct bkp_report *report;
	const struct bkp_verify_result *result; /* may be NULL */
	enum bkp_outcome outcome;
	struct bkp_reported_source *sources; /* owned, as they come */
	size_t source_count, source_cap;
	size_t *of; /* owned: the source of each line */
	size_t lines, failed_lines, skipped_lines;
	const struct bkp_snapshot *snapshot;    /* of the history, or NULL */
	const struct bkp_snapshot *last_proven; /* the newest, or NULL */
	char host[BKP_REPORT_HOST];
};

int bkp_reported_init(struct bkp_reported *reported,
    const struct bkp_report *report, struct bkp_error *err);
void bkp_reported_fini(struct bkp_reported *reported);

/* "pass", "fail", "skip". */
const char *bkp_check_word(enum bkp_check_status status);

/* "full", "sample" or "quick". */
const char *bkp_level_word(enum bkp_verify_level level);

/* "proven", "proven with gaps"...: one word or two for a program. */
const char *bkp_outcome_word(enum bkp_outcome outcome);

/* A sentence: why there is no verdict. */
const char *bkp_reported_why(const struct bkp_reported *reported);

/* The source of a line as it is told: "postgres/app", or "snapshot". */
void bkp_reported_name(
    struct bkp_report_text *out, const struct bkp_reported_source *source);

/* What a check is about, below its source; all of it for one that is about
 * the source itself. */
const char *bkp_reported_rest(
    const struct bkp_reported_source *source, const char *name);

/* Whether nothing failed but limits of age and time. */
bool bkp_reported_is_late(const struct bkp_reported *reported);

/* Whether there is a verdict that is about all of the snapshot, restored: not
 * about a part, a sample, what a budget left or the places in use. */
bool bkp_reported_is_whole(const struct bkp_reported *reported);

/* The moment of the last proof of a whole snapshot; 0: none is known. */
int64_t bkp_reported_proven_us(const struct bkp_reported *reported);

/* ---- the forms (report_*.c) ---- */

void bkp_report_junit(
    const struct bkp_reported *reported, struct bkp_report_text *out);
void bkp_report_json(
    const struct bkp_reported *reported, struct bkp_report_text *out);
void bkp_report_html(
    const struct bkp_reported *reported, struct bkp_report_text *out);
/* `proven_us`: when something was last proven; 0: nobody knows. */
void bkp_report_prometheus(const struct bkp_reported *reported,
    int64_t proven_us, struct bkp_report_text *out);

/* What `text`, a report for Prometheus, says of that; 0: nothing. */
int64_t bkp_report_prometheus_proven(
    const struct bkp_reported *reported, const char *text);

#endif
