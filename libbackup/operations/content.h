/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_CONTENT_H
#define LIBBACKUP_OPERATIONS_CONTENT_H

/* What content.c and sink.c share: texts kept by a digesting sink. */

#include "libbackup/source/source.h"

struct bkp_contents;

/* Texts by path, from any worker; each is taken out once. */
struct bkp_texts;

int bkp_texts_new(struct bkp_texts **out, struct bkp_error *err);
void bkp_texts_free(struct bkp_texts *texts);

/* Takes the buffer's content: *text is empty afterwards. Any thread. */
int bkp_texts_add(struct bkp_texts *texts, const char *path,
    struct fmt_buf *text, struct bkp_error *err);

/* Moves the text of `path` to *out; false where there is none. */
bool bkp_texts_take(
    struct bkp_texts *texts, const char *path, struct fmt_buf *out);

/* The content writer of a worker; borrowed. */
struct bkp_content *bkp_contents_item(
    struct bkp_contents *contents, unsigned worker);

/* Says which contents are to be kept as texts, until called again. */
void bkp_contents_watch(struct bkp_contents *contents,
    const struct bkp_comparison *comparisons, struct bkp_texts *texts);

/* The comparison for an entry kind, or NULL. */
const struct bkp_comparison *bkp_comparison_of(
    const struct bkp_comparison *comparisons, const char *kind);

#endif
