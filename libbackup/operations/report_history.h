/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REPORT_HISTORY_H
#define LIBBACKUP_OPERATIONS_REPORT_HISTORY_H

#include "libbackup/operations/report_impl.h"

/* The section of the page about the last snapshots of the same host and the
 * same sources: charts, and a table that says the same. */
void bkp_report_history(
    const struct bkp_reported *reported, struct bkp_report_text *out);

#endif
