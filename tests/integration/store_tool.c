/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every case of the stores' contract, held against a bucket of a real server:
 *
 *   store_tool LOCATION [CASE]   s3://BUCKET/PREFIX; each case gets a folder
 *                                of its own below it; CASE is left out
 *
 * Endpoint and credentials come from the environment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "tests/unit/store_conformance.h"

static const char *location;

static int
open_empty(struct bkp_store **out, struct bkp_error *err)
{
	static unsigned opened;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%u", location, opened++);
	return bkp_store_open(path, BKP_STORE_CREATE, out, err);
}

int
main(int argc, char **argv)
{
	const struct store_under_test bucket = {open_empty};

	if (argc != 2 && argc != 3)
		return 2;
	location = argv[1];
	if (argc == 3)
		cmocka_set_skip_filter(argv[2]);
	return store_conformance_run("store s3", &bucket);
}
