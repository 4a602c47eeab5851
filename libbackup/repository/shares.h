/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_SHARES_H
#define LIBBACKUP_REPOSITORY_SHARES_H

/*
 * Where the processes of a shared backup meet: runs/<session>.<what>, signed
 * records encrypted to the metadata recipient (formats/share.md). prune.md
 * says why nothing that they refer to is lost meanwhile.
 */

#include "formats/share.h"
#include "libbackup/repository/presence.h"

#define BKP_SHARES "runs/"
#define BKP_SHARE_PATH 96

/* Whether a path is that of such an object. */
bool bkp_shares_is_object(const char *path);

/* ---- writing; repository, session and host are filled in ---- */

/* What there is of other runs of the same name is removed: of two leaders the
 * last one is it. */
int bkp_shares_replace_plan(struct bkp_repository *repository,
    struct fmt_share_plan *plan, struct bkp_error *err);

/* Under a name of its own: no result takes the place of another. */
int bkp_shares_put_result(struct bkp_repository *repository,
    struct fmt_share_result *result, struct bkp_error *err);

/* `what`: "finish", "made" or "failed". */
int bkp_shares_put_note(struct bkp_repository *repository, const char *session,
    const char *what, const char *text, struct bkp_error *err);

/* ---- reading ---- */

/* The newest plan of a run by this name whose leader is there, by what is known
 * here (`is_heard`: and who gave a sign of life of late); false in *is_there
 * where there is none. What an earlier run left is no plan. */
int bkp_shares_find_plan(struct bkp_repository *repository, const char *run,
    bool is_heard, struct fmt_share_plan *out, bool *is_there,
    struct bkp_error *err);

/* What there is of a run. */
struct bkp_shares_listing {
	char (*results)[BKP_SHARE_PATH]; /* owned: paths */
	size_t count, cap;
	bool has_plan, has_finish, has_end;
};

#define BKP_SHARES_LISTING_INIT                                                \
	{                                                                      \
		.results = NULL                                                \
	}

int bkp_shares_list(struct bkp_repository *repository, const char *session,
    struct bkp_shares_listing *out, struct bkp_error *err);
void bkp_shares_listing_free(struct bkp_shares_listing *listing);

/* Of which share of how many the result at this path is, by its name. */
bool bkp_shares_is_of(const char *path, unsigned share, unsigned shares);

/* BKP_NOTFOUND: it is not there; BKP_AUTH, BKP_CORRUPT: it does not count. */
int bkp_shares_get_result(struct bkp_repository *repository, const char *path,
    const char *session, struct fmt_share_result *out, struct bkp_error *err);

/* How the run has ended. */
int bkp_shares_get_end(struct bkp_repository *repository, const char *session,
    struct fmt_share_note *out, struct bkp_error *err);

/* ---- the end ---- */

/* Removes what there is of a run; `keeps_end`: but for how it ended. */
int bkp_shares_remove(struct bkp_repository *repository, const char *session,
    bool keeps_end, struct bkp_error *err);

/* Of whoever prunes: removes what is left of runs whose session is over. */
int bkp_shares_clear(struct bkp_repository *repository,
    struct bkp_presence *self, struct bkp_error *err);

#endif
