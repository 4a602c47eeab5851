/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/store_conformance.h"

static int
open_empty(struct bkp_store **out, struct bkp_error *err)
{
	return bkp_store_memory_new(out, err);
}

int
main(void)
{
	const struct store_under_test memory = {open_empty};

	return store_conformance_run("store memory", &memory);
}
