/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_STORE_STORE_PARITY_OWN_H
#define LIBBACKUP_STORE_STORE_PARITY_OWN_H

/* What keeping parity and repairing with it share. */

#include "libbackup/store/store_parity.h"

/* Whether an object of that name has a parity. */
bool bkp_parity_covers(const char *name);

/* "parity/<name>"; false where that is no name of an object. */
bool bkp_parity_name(const char *name, char parity[BKP_PARITY_NAME]);

/* Makes and puts the parity of an object. */
int bkp_parity_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, unsigned percent, struct bkp_error *err);

/* What was set; 0 for a store that keeps none. */
unsigned bkp_parity_percent(struct bkp_store *store);

#endif
