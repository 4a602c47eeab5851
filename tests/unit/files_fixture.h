/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_FILES_FIXTURE_H
#define TESTS_UNIT_FILES_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "libbackup/operations/compare.h"
#include "libbackup/source/files_impl.h"
#include "tests/unit/fake_sink.h"

/* Each test has a folder: `tree` in it is backed up as "/", `back` is where it
 * is restored to. */
extern char folder[32], tree[48], back[48], outside[48];
extern char *paths[4];
extern struct bkp_source_config config;

const struct bkp_kind *kind(void);

/* As cmocka set-up and tear-down. */
int enter_folder(void **state);
int leave_folder(void **state);

#define CASE(name)                                                             \
	cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

/* A path below the folder; four may be in use at once. */
const char *at(const char *base, const char *path);

void write_bytes(const char *path, const void *data, size_t len, mode_t mode);
void write_text(const char *path, const char *text);
void make_folder(const char *path);
void expect_text(const char *path, const char *text);

void back_up(struct bkp_sink *sink);
void restore(struct bkp_sink *sink, const char *selection, bool is_overwrite);

const struct bkp_comparison *comparison_of(const char *name);

/* What is in `back` must be what was recorded. */
void expect_equal(const struct bkp_sink *recorded);

#endif
