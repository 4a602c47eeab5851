/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_REPORT_STYLE_H
#define LIBBACKUP_OPERATIONS_REPORT_STYLE_H

/* How the page looks: light and dark, one column, tables whose rows become
 * cards where the screen is narrow. */

/* Up to the title. Even where an escape failed nothing could be run, fetched
 * or sent. */
extern const char bkp_report_page_head[];
extern const char bkp_report_page_style[];

#endif
