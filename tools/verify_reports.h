/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOLS_VERIFY_REPORTS_H
#define TOOLS_VERIFY_REPORTS_H

/*
 * The reports that backup-verify writes. A file that was asked for never says
 * more than is known now: before the work begins it says that there is no
 * verdict yet, and however the command ends it says how.
 */

#include "tools/cli.h"

struct verify_reports {
	const char *junit, *json, *html, *prometheus; /* files, "-", or NULL */
	struct bkp_report report;                     /* what is known so far */
};

#define VERIFY_REPORTS_INIT                                                    \
	{                                                                      \
		.report = BKP_REPORT_INIT                                      \
	}

/* Whether any is asked for. */
bool verify_reports_any(const struct verify_reports *reports);

/* Whether one goes to standard output. */
bool verify_reports_print(const struct verify_reports *reports);

/* Tells the mistake where two are to go to one place, and takes away what must
 * not be printed. */
enum cli_status verify_reports_check(
    struct cli *cli, struct verify_reports *reports);

/* Says in the files that there is no verdict yet; CLI_FAILED where one of them
 * cannot be written, before hours of work. A monitor is not told: for it
 * nothing has happened yet. */
enum cli_status verify_reports_begin(
    struct cli *cli, struct verify_reports *reports);

/* Writes them all, with the result in `reports->report`, or else what was told
 * last to have gone wrong. The status of the
 * command: `status`, or CLI_FAILED where one cannot be written. */
enum cli_status verify_reports_end(
    struct cli *cli, struct verify_reports *reports, enum cli_status status);

#endif
