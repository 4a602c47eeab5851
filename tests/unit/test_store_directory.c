/* SPDX-License-Identifier: Apache-2.0 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "tests/unit/store_conformance.h"

static char root[] = "/tmp/bkp-store-XXXXXX";
static unsigned opened;

static int
open_empty(struct bkp_store **out, struct bkp_error *err)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/%u", root, opened++);
	return bkp_store_open(path, BKP_STORE_CREATE, out, err);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int
main(void)
{
	const struct store_under_test directory = {open_empty};
	int failed;

	if (mkdtemp(root) == NULL)
		return 1;
	failed = store_conformance_run("store directory", &directory);
	(void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failed;
}
