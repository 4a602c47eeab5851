/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_PRESENCE_H
#define LIBBACKUP_REPOSITORY_PRESENCE_H

/*
 * Who is at work: sessions/<32 hex digits>, a signed record encrypted to the
 * metadata recipient, which is put before anything is decided from what the
 * repository holds, put again from time to time (its age, by the server's
 * clock, is the sign of life), and removed at the end. prune.md has the whole
 * protocol, and prune.pml its model.
 */

#include "libbackup/repository/repository_own.h"

#define BKP_PRESENCE_LEASE_S (24 * 3600) /* without a sign of life */
#define BKP_PRESENCE_TOUCH_S (10 * 60)
#define BKP_PRESENCE_SILENCE_S (30 * 60) /* then it is not stopped for */

struct bkp_presence; /* this process */

/* `what`: "backup", "prune", "key", "repair". */
int bkp_presence_begin(struct bkp_repository *repository, const char *what,
    struct bkp_presence **out, struct bkp_error *err);
const char *bkp_presence_id(const struct bkp_presence *presence);
int64_t bkp_presence_began_us(const struct bkp_presence *presence);

/* States which condemned lists this session knows and does not build upon.
 * Once, after reading them and before anything else is decided: a list that
 * came later waits until the session is over. Where there are none, nothing is
 * stored. */
struct bkp_condemned;
int bkp_presence_heed(struct bkp_presence *presence,
    const struct bkp_condemned *condemned, struct bkp_error *err);

/* Gives a sign of life where the last is BKP_PRESENCE_TOUCH_S old. Cheap
 * otherwise; any thread. */
int bkp_presence_touch(struct bkp_presence *presence, struct bkp_error *err);

/* Whether we still count. BKP_RETRY: somebody gave us up (the object is not
 * there any more), and what was written may be deleted: do it again. */
int bkp_presence_check(struct bkp_presence *presence, struct bkp_error *err);

/* Whether a commit went through is not known: the object stays until its lease
 * is over. */
void bkp_presence_leave(struct bkp_presence *presence);

/* Removes the object, or says in it that the session is over where the store
 * does not let us; NULL is fine. */
void bkp_presence_end(struct bkp_presence *presence);

/* One that is there. */
struct bkp_presence_info {
	char id[33];
	char what[16], host[BKP_WRITER_NAME]; /* "" where it cannot be read */
	int64_t began_us, touched_us;         /* server's clock */
	bool is_expired;  /* lease over, or its process is gone */
	bool is_gone;     /* its process, which was one of this machine */
	bool is_given_up; /* by a prune that has not finished with it */
	bool is_ended;    /* only the object is left */
	bool is_newer;    /* cannot be read: a newer version wrote it */
	/* Condemned lists that it does not build upon; sorted; borrowed from
	 * the list. */
	const char (*heeds)[BKP_OBJECT_NAME];
	size_t heed_count;
};

/* All others but `self` (may be NULL); *now_us: the server's clock, or this
 * machine's where self is NULL (for showing). *out is the caller's (free()). */
int bkp_presence_list(struct bkp_repository *repository,
    struct bkp_presence *self, struct bkp_presence_info **out, size_t *count,
    int64_t *now_us, struct bkp_error *err);

/* Whether one should stop for it, where that is not needed for safety: it
 * counts, and was heard of within BKP_PRESENCE_SILENCE_S. */
bool bkp_presence_is_at_work(
    const struct bkp_presence_info *info, int64_t now_us);

/* "a prune of host web1 is at work since 12 minutes (last heard of 3 minutes
 * ago): ..." and when it is in the way no more. */
int bkp_presence_refuse(const struct bkp_presence_info *info, int64_t now_us,
    const char *location, struct bkp_error *err);

bool bkp_presence_heeds(const struct bkp_presence_info *info, const char *list);

/* Of whoever prunes. give_up: from then on the session's check fails. forget:
 * that has been written into a checkpoint; takes the objects away. */
int bkp_presence_give_up(
    struct bkp_repository *repository, const char *id, struct bkp_error *err);
int bkp_presence_forget(
    struct bkp_repository *repository, const char *id, struct bkp_error *err);

#endif
