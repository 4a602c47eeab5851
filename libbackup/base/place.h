/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_PLACE_H
#define LIBBACKUP_BASE_PLACE_H

/*
 * Where this machine keeps what belongs to no repository: state, which should
 * outlive a reboot (what was last seen of a repository), and caches, which
 * anybody may delete at any time (an index that has been decrypted).
 *
 *   state   $BACKUP_STATE_DIR, $STATE_DIRECTORY (systemd),
 *           $XDG_STATE_HOME/libbackup, ~/.local/state/libbackup,
 *           /var/lib/libbackup
 *   cache   $BACKUP_CACHE_DIR, $CACHE_DIRECTORY (systemd),
 *           $XDG_CACHE_HOME/libbackup, ~/.cache/libbackup,
 *           /var/cache/libbackup
 *
 * The first that is set is taken. What lies there is readable by its owner
 * only.
 */

#include "libbackup/error.h"

/* Makes the folder where it is missing, with `below` (a few components, or
 * NULL) under it, mode 0700, and gives its name: the caller's (free()). NULL:
 * there is none, or it cannot be made; err tells. */
char *bkp_state_directory(const char *below, struct bkp_error *err);
char *bkp_cache_directory(const char *below, struct bkp_error *err);

#endif
