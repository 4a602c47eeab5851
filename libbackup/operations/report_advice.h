/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REPORT_ADVICE_H
#define LIBBACKUP_OPERATIONS_REPORT_ADVICE_H

#include "libbackup/operations/report_impl.h"

/* The section of the page that says what to do, where there is something. */
void bkp_report_advice(
    const struct bkp_reported *reported, struct bkp_report_text *out);

#endif
