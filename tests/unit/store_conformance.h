/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_STORE_CONFORMANCE_H
#define TESTS_UNIT_STORE_CONFORMANCE_H

#include "libbackup/store/store.h"

/*
 * The contract of store.h as one suite of cases that every driver and
 * decorator passes. `open_empty` opens an empty store for each case; after
 * its close the driver's own test may clean up by itself.
 */
struct store_under_test {
	int (*open_empty)(struct bkp_store **out, struct bkp_error *err);
};

/* Runs every case as one cmocka group called `name`; the number of failures. */
int store_conformance_run(
    const char *name, const struct store_under_test *under_test);

/* A callback for bkp_store_list: appends "<name>\n" to a struct fmt_buf. */
int store_names(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err);

#endif
