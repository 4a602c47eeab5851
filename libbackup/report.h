/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPORT_H
#define LIBBACKUP_REPORT_H

/*
 * Reports of a verification: for a CI server, for programs, for people, for a
 * monitor. backup-verify(1) says what is in each.
 *
 *     bkp_report_save      before: there is no verdict yet
 *     bkp_verify           with options.has_history
 *     bkp_report_save      after: the verdict, or why there is none
 *
 * Names and texts may hold anything: what a form cannot hold, control
 * characters and bytes that are not UTF-8, is written as %XX.
 */

#include <stddef.h>
#include <stdint.h>

#include <libbackup/error.h>
#include <libbackup/export.h>
#include <libbackup/operations.h>
#include <libbackup/repository.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bkp_report_format {
	BKP_REPORT_JUNIT,     /* XML: a suite a source, a case a check */
	BKP_REPORT_JSON,      /* one object */
	BKP_REPORT_HTML,      /* one page, without script */
	BKP_REPORT_PROMETHEUS /* text, for the textfile collector */
};

/* All is borrowed. */
struct bkp_report {
	size_t size;
	const struct bkp_verify_result *result; /* NULL: there is no verdict */
	const struct bkp_error *error; /* why there is none; NULL: it is not
					  known, or not yet */
	const char *repository;        /* where it is; NULL or "": not known */
	const char *snapshot;          /* as it was asked for; NULL: "latest" */
	const char *path;              /* the same; NULL or "": everything */
	enum bkp_verify_mode mode;
	int64_t began_us, ended_us; /* microseconds since 1970 UTC */
	const char *host;           /* NULL: what this machine is called */
};

#define BKP_REPORT_INIT                                                        \
	{                                                                      \
		.size = sizeof(struct bkp_report)                              \
	}

/* Gives the report in pieces. */
BKP_API int bkp_report_put(const struct bkp_report *report,
    enum bkp_report_format format, bkp_bytes_fn *fn, void *arg,
    struct bkp_error *err);

/*
 * Writes it beside `file` and renames it into place: whoever reads sees the
 * report before or this one, whole. What is no regular file (a pipe, a
 * terminal) is written to as it is.
 *
 * For a monitor, a report without a verdict takes over from the one before,
 * where that is there, when a snapshot was last proven.
 */
BKP_API int bkp_report_save(const struct bkp_report *report,
    enum bkp_report_format format, const char *file, struct bkp_error *err);

#ifdef __cplusplus
}
#endif

#endif
