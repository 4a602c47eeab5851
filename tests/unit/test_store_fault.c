/* SPDX-License-Identifier: Apache-2.0 */
/* The decorator is a store like any other while nothing is to fail; what it
 * does when something is, test_store.c tries. */
#include "libbackup/store/store_fault.h"
#include "tests/unit/store_conformance.h"

static struct bkp_store_fault no_fault = BKP_STORE_FAULT_INIT;

static int
open_empty(struct bkp_store **out, struct bkp_error *err)
{
	struct bkp_store *memory;

	if (bkp_store_memory_new(&memory, err) < 0)
		return -1;
	return bkp_store_fault_new(memory, &no_fault, out, err);
}

int
main(void)
{
	const struct store_under_test fault = {open_empty};

	return store_conformance_run("store fault", &fault);
}
