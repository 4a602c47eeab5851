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

/* Whether a server that others work on (`place`) has room for scratch databases
 * of what was chosen, as bkp_scratch_need() counts it; as above. */
int bkp_room_look_for_drill(const struct bkp_chosen *chosen,
    const struct bkp_amount *amount, const struct bkp_source_config *place,
    struct bkp_run *run, struct bkp_error *err);

#endif
