/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_ENTRY_FIXTURE_H
#define TESTS_UNIT_ENTRY_FIXTURE_H

#include "formats/entry.h"

/* An entry with `count` chunks of 1, 2, 3... bytes. */
void entry_make(struct fmt_entry *entry, const char *path, size_t count);

/* Fails the test where they differ. */
void entry_assert_same(const struct fmt_entry *a, const struct fmt_entry *b);

/* Reads all of `text`, fed `portion` bytes at a time; the status that ended
 * it, in *count the entries before that, and in *last (NULL: nowhere) the last
 * of them. */
enum fmt_status entry_read_all(const char *text, size_t len, size_t portion,
    size_t *count, struct fmt_entry *last);

#endif
