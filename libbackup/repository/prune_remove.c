/* SPDX-License-Identifier: Apache-2.0 */
/* Removing snapshots, and sessions that are not heard of any more: both are
 * stated in a checkpoint before anything is deleted. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/prune_own.h"
#include "libbackup/repository/reserve.h"

/* ---- beginning ---- */

static int
check_right(const struct bkp_repository *repository, struct bkp_error *err)
{
	unsigned char key[32];
	enum fmt_status status;

	if (!repository->keys.has_signing)
		return bkp_repository_refuse_unsigned(repository,
		    "to prune, the key file of a host that may do so is needed",
		    err);
	status = fmt_sign_public(repository->keys.signing_seed, key);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "preparing to sign");
	if (bkp_roster_may_prune(&repository->roster, key))
		return 0;
	return bkp_fail(err, BKP_AUTH,
	    "%s: this host (%s) may not prune; another one does, or an "
	    "administrator makes it a key file that may: backup-key revoke "
	    "%s, then backup-key host %s --may-prune",
	    repository->store->location, repository->keys.writer,
	    repository->keys.writer, repository->keys.writer);
}

/* Of several that begin at the same time one goes on: the first. Who has not
 * announced himself (NULL) comes after all others. */
static int
refuse_another(struct bkp_repository *repository, struct bkp_presence *presence,
    struct bkp_error *err)
{
	const char *self = presence != NULL ? bkp_presence_id(presence) : "";
	int64_t began =
	    presence != NULL ? bkp_presence_began_us(presence) : INT64_MAX;
	int64_t now;
	struct bkp_presence_info *others;
	size_t count;
	int rc = 0;

	if (bkp_presence_list(
		repository, presence, &others, &count, &now, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		const struct bkp_presence_info *other = &others[i];

		if (strcmp(other->what, "prune") != 0 ||
		    !bkp_presence_is_at_work(other, now))
			continue;
		if (other->began_us < began ||
		    (other->began_us == began && strcmp(other->id, self) < 0))
			rc = bkp_presence_refuse(
			    other, now, repository->store->location, err);
	}
	free(others);
	return rc;
}

static int
heed_all(struct bkp_repository *repository, struct bkp_presence *presence,
    struct bkp_error *err)
{
	struct bkp_condemned condemned = BKP_CONDEMNED_INIT;
	int rc = bkp_condemned_load(repository, &condemned, err);

	if (rc == 0)
		rc = bkp_presence_heed(presence, &condemned, err);
	bkp_condemned_free(&condemned);
	return rc;
}

int
bkp_prune_would_go_on(struct bkp_repository *repository, struct bkp_error *err)
{
	return refuse_another(repository, NULL, err);
}

/* Where the disk is full, in the room that is kept back for this. */
static int
announce(struct bkp_repository *repository, struct bkp_presence **out,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_presence_begin(repository, "prune", out, &problem) == 0)
		return 0;
	if (bkp_reserve_release(repository->store, &problem) &&
	    bkp_presence_begin(repository, "prune", out, &problem) == 0)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_prune_begin(struct bkp_repository *repository, struct bkp_presence **out,
    struct bkp_error *err)
{
	struct bkp_presence *presence = NULL;

	if (check_right(repository, err) < 0 ||
	    announce(repository, &presence, err) < 0)
		return -1;
	if (refuse_another(repository, presence, err) < 0 ||
	    heed_all(repository, presence, err) < 0) {
		bkp_presence_end(presence);
		return -1;
	}
	*out = presence;
	return 0;
}

/* ---- what counts ---- */

/*
 * Reads the snapshots and then the checkpoint, and puts into that which of them
 * are kept, and as removed those of sessions that had been given up. In this
 * order: another prune that sleeps over all of this may later state as kept
 * what it saw, and what is removed stays so; what came after we looked it has
 * seen together with the checkpoint that gave the session up.
 */
static int
read_state(struct bkp_repository *repository, struct bkp_checkpoint *checkpoint,
    bool *has_news, struct bkp_error *err)
{
	struct bkp_snapshots all = BKP_SNAPSHOTS_INIT;
	size_t kept, removed;
	int rc;

	if (bkp_snapshots_read(repository, &all, err) < 0)
		return -1;
	rc = bkp_checkpoint_load(repository, checkpoint, err);
	kept = checkpoint->kept_count;
	removed = checkpoint->removed_count;
	for (size_t i = 0; rc == 0 && i < all.count; i++) {
		const char *name = all.items[i].name;

		if (bkp_checkpoint_is_void(checkpoint, &all.items[i]))
			rc = bkp_checkpoint_remove(checkpoint, name, err);
		else
			rc = bkp_checkpoint_keep(checkpoint, name, err);
		if (rc == 0)
			rc = bkp_claims_join(&checkpoint->claims,
			    all.items[i].snapshot.claims,
			    all.items[i].snapshot.claim_count, err);
	}
	*has_news = checkpoint->kept_count != kept ||
		    checkpoint->removed_count != removed;
	bkp_snapshots_free(&all);
	return rc;
}

/* ---- removing ---- */

static int
delete_removed(struct bkp_repository *repository, struct bkp_presence *presence,
    const struct bkp_checkpoint *checkpoint, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	char path[96];
	int rc =
	    bkp_object_names(repository->store, "snapshots", "", &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		if (!bkp_checkpoint_has_removed(checkpoint, names.items[i]))
			continue;
		(void)snprintf(
		    path, sizeof(path), "snapshots/%s", names.items[i]);
		rc = bkp_presence_touch(presence, err);
		if (rc == 0 &&
		    bkp_store_remove(repository->store, path, &problem) < 0 &&
		    problem.code != BKP_NOTFOUND) {
			if (err != NULL)
				*err = problem;
			rc = bkp_fail_in(
			    err, "deleting a snapshot that has been removed");
		}
	}
	bkp_names_free(&names);
	return rc;
}

/* From now on the checkpoint knows them, too. */
static int
state_proofs(struct bkp_repository *repository,
    struct bkp_checkpoint *checkpoint, struct bkp_error *err)
{
	struct bkp_proofs proofs = BKP_PROOFS_INIT;
	int rc = bkp_proofs_load(repository, &proofs, err);

	if (rc == 0)
		rc = bkp_claims_join_proofs(&checkpoint->claims, &proofs, err);
	bkp_proofs_free(&proofs);
	return rc;
}

int
bkp_prune_remove(struct bkp_repository *repository,
    struct bkp_presence *presence, const char (*names)[BKP_OBJECT_NAME],
    size_t count, struct bkp_error *err)
{
	struct bkp_checkpoint checkpoint = {.sequence = 0};
	bool has_news;
	int rc = read_state(repository, &checkpoint, &has_news, err);

	if (rc == 0)
		rc = state_proofs(repository, &checkpoint, err);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (bkp_checkpoint_has_removed(&checkpoint, names[i]))
			continue;
		has_news = true;
		rc = bkp_checkpoint_remove(&checkpoint, names[i], err);
	}
	if (rc == 0 && has_news)
		rc = bkp_presence_check(presence, err);
	if (rc == 0 && has_news)
		rc = bkp_checkpoint_put(repository, &checkpoint, err);
	if (rc == 0)
		rc = delete_removed(repository, presence, &checkpoint, err);
	bkp_checkpoint_free(&checkpoint);
	return rc;
}

/* ---- giving up ---- */

int
bkp_prune_give_up(struct bkp_repository *repository,
    const struct bkp_presence_info *sessions, size_t count,
    struct bkp_error *err)
{
	struct bkp_checkpoint checkpoint = {.sequence = 0};
	bool has_news;
	int rc = 0;

	if (count == 0)
		return 0;
	/* From here on they report nothing as made; what they have reported
	 * is among the snapshots that are read now. */
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = bkp_presence_give_up(repository, sessions[i].id, err);
	if (rc == 0)
		rc = read_state(repository, &checkpoint, &has_news, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = bkp_checkpoint_expire(&checkpoint, sessions[i].id, err);
	if (rc == 0)
		rc = bkp_checkpoint_put(repository, &checkpoint, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = bkp_presence_forget(repository, sessions[i].id, err);
	bkp_checkpoint_free(&checkpoint);
	return rc;
}
