/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_JOINED_H
#define LIBBACKUP_REPOSITORY_JOINED_H

/* What a backup into several repositories asks for beside the rest
 * (repository_impl.h). */

#include "libbackup/repository/repository_impl.h"

/* Whether others go on where this one is lost. */
bool bkp_session_is_joined(const struct bkp_session *session);

/* For a list that only saves work, of a repository that need not be there any
 * more: whatever keeps it from being read ends it early, and not only damage.
 * After bkp_entry_stream_forgive. */
void bkp_entry_stream_forgive_all(struct bkp_entry_stream *stream);

#endif
