/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_PHRASES_H
#define LIBBACKUP_DOCTOR_PHRASES_H

/*
 * What may be told of a text that anybody may have written into: a hook, a
 * command, a server that quotes a row, a file's name. Nothing is taken out of
 * it; instead, phrases of a list are looked for, and those that are in there
 * are told, with names that are known as what stands for them.
 */

#include "libbackup/doctor/redact.h"

/* Appends the phrases that `text` has, in its order, with "; " between. What
 * comes after an exit status or a server's DETAIL is not looked at: it is of
 * somebody else. Appends nothing where it has none. */
int bkp_phrases(const struct bkp_redactor *redactor, const char *text,
    struct fmt_buf *out, struct bkp_error *err);

#endif
