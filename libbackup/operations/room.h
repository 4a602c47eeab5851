/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_OPERATIONS_ROOM_H
#define LIBBACKUP_OPERATIONS_ROOM_H

#include "libbackup/operations/opened.h"

/* Whether there is room for the databases that were chosen beside those that
 * are there. Of a server on another machine nobody can tell: a message says
 * what it takes. BKP_IO: there is not enough. */
int bkp_room_look(const struct bkp_chosen *chosen,
    const struct bkp_source_config *config, struct bkp_run *run,
    struct bkp_error *err);

#endif
