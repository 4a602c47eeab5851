/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_VERDICT_H
#define LIBBACKUP_OPERATIONS_VERDICT_H

/* The list of checks that becomes a verification's result. */

#include <stdbool.h>

#include "libbackup/operations.h"

struct bkp_verdict;

int bkp_verdict_new(struct bkp_verdict **out, struct bkp_error *err);
void bkp_verdict_free(struct bkp_verdict *verdict); /* NULL is fine */

/* Adds a line; texts are copied. 0 or -1 (out of memory). */
int bkp_verdict_add(struct bkp_verdict *verdict, enum bkp_check_status status,
    struct bkp_error *err, const char *name, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The same for a line about circumstances, such as the age of the snapshot,
 * which says nothing of what the snapshot holds: none of them makes anything
 * compared. */
int bkp_verdict_add_about(struct bkp_verdict *verdict,
    enum bkp_check_status status, struct bkp_error *err, const char *name,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

/* One line for `count` things that agree; none for none. */
int bkp_verdict_add_agreed(struct bkp_verdict *verdict, struct bkp_error *err,
    const char *name, uint64_t count, const char *what);

/* Moves checks and counts into the result; nothing compared is a failure and
 * gets a line that says so. */
int bkp_verdict_finish(struct bkp_verdict *verdict,
    struct bkp_verify_result *result, struct bkp_error *err);

/* Gives a result that was finished the snapshots of the repository. */
int bkp_verdict_add_history(struct bkp_repository *repository,
    struct bkp_verify_result *result, struct bkp_error *err);

#endif
