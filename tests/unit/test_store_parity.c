/* SPDX-License-Identifier: Apache-2.0 */
/* A store that keeps parity is a store like any other. */
#include "libbackup/store/store_parity.h"
#include "tests/unit/store_conformance.h"

static int
open_empty(struct bkp_store **out, struct bkp_error *err)
{
	struct bkp_store *memory;

	if (bkp_store_memory_new(&memory, err) < 0 ||
	    bkp_store_parity_new(memory, out, err) < 0)
		return -1;
	return bkp_store_parity_set(*out, 5, err);
}

int
main(void)
{
	const struct store_under_test parity = {open_empty};

	return store_conformance_run("store parity", &parity);
}
