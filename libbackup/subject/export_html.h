/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_EXPORT_HTML_H
#define LIBBACKUP_SUBJECT_EXPORT_HTML_H

/* Pieces of the pages of an export: HTML without script, readable from a
 * folder, on a telephone and on paper. All is appended to `out`. */

#include "libbackup/subject/exported.h"

/* Text with what HTML would read in it written out. */
enum fmt_status bkp_html_text(
    struct fmt_buf *out, const char *text, size_t len);

/* A relative address: a member's name, seen from `depth` folders down. */
enum fmt_status bkp_html_link(
    struct fmt_buf *out, const char *name, unsigned depth);

enum fmt_status bkp_html_begin(struct fmt_buf *out, const char *title);
enum fmt_status bkp_html_end(struct fmt_buf *out);

/* <table> with the labels of the columns, and </table>. */
enum fmt_status bkp_html_rows_begin(struct fmt_buf *out,
    const struct bkp_export *export, const struct bkp_exported_table *table);
enum fmt_status bkp_html_rows_end(struct fmt_buf *out);
enum fmt_status bkp_html_row(struct fmt_buf *out,
    const struct bkp_export *export, const struct bkp_exported_table *table,
    const struct bkp_rows_value *values);

/* The word that people read for a table: its label, or its name. */
const char *bkp_html_label(
    const struct bkp_export *export, const struct bkp_exported_table *table);

#endif
