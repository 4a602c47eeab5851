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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "libbackup/error.h"

/* Makes the folder where it is missing, with `below` (a few components, or
 * NULL) under it, mode 0700, and gives its name: the caller's (free()). NULL:
 * there is none, or it cannot be made; err tells. */
char *bkp_state_directory(const char *below, struct bkp_error *err);
char *bkp_cache_directory(const char *below, struct bkp_error *err);

/* Appends a whole file. BKP_NOTFOUND: there is none. */
int bkp_place_read(
    const char *path, struct fmt_buf *out, struct bkp_error *err);

/* The same, of a file that nobody else can have written, for it is ours, and no
 * link. BKP_NOTFOUND: there is none like that. */
int bkp_place_read_own(
    const char *path, struct fmt_buf *out, struct bkp_error *err);

/* Makes or replaces a file, which only its owner can read. Whoever reads it
 * sees the old one or the new one, whole, also where the power fails. */
int bkp_place_write(
    const char *path, const void *data, size_t len, struct bkp_error *err);

/* A cache must not take the last room of a file system that others, a database
 * perhaps, live on: whether more than `least` bytes are left. */
bool bkp_place_has_room(const char *folder, uint64_t least);

/* Bytes that are left for anybody there; UINT64_MAX where nobody can tell. */
uint64_t bkp_place_room(const char *folder);

#endif
