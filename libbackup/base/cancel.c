/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/cancel.h"

#include <stddef.h>

void
bkp_cancel_request(struct bkp_cancel *cancel)
{
	__atomic_store_n(&cancel->is_set, 1, __ATOMIC_SEQ_CST);
}

int
bkp_cancel_is_requested(const struct bkp_cancel *cancel)
{
	if (cancel == NULL)
		return 0;
	return __atomic_load_n(&cancel->is_set, __ATOMIC_SEQ_CST);
}
