/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/key_change.h"

#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/archive_view.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/key_check.h"
#include "libbackup/repository/key_objects.h"

/* ---- beginning ---- */

/* Whatever the ring lacks would be lost with the objects that are replaced. */
static int
check_whole(struct bkp_key_change *change, struct bkp_error *err)
{
	const struct bkp_roster *roster = &change->roster;
	const struct bkp_names *opened = &change->repository->opened_keys;

	if (!bkp_key_ring_choose(&change->ring, roster->data_recipient,
		roster->metadata_recipient))
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: the newest keys could not be opened, so nothing is "
		    "changed; backup-check tells what is wrong with keys/",
		    change->repository->store->location);
	/* After two changes at the same time the objects differ. */
	for (size_t i = 0; roster->is_joined && i < roster->admin_objects.count;
	     i++) {
		if (!bkp_names_has(opened, roster->admin_objects.items[i]))
			return bkp_fail(err, BKP_CORRUPT,
			    "%s: keys/%s could not be opened, so nothing is "
			    "changed; backup-check tells what is wrong",
			    change->repository->store->location,
			    roster->admin_objects.items[i]);
	}
	return 0;
}

static bool
is_same(const struct bkp_roster *a, const struct bkp_roster *b)
{
	return a->number == b->number && a->time_us == b->time_us &&
	       a->is_joined == b->is_joined;
}

/* What only earlier rosters name. That one of them stays because the
 * store fails does no harm: the next change does it. */
static void
tidy_up(struct bkp_repository *repository)
{
	struct bkp_names names = BKP_NAMES_INIT;

	if (repository->roster.is_joined || repository->roster.damaged > 0 ||
	    bkp_roster_forgotten(
		repository->store, &repository->keys, &names, NULL) < 0)
		return;
	for (size_t i = 0; i < names.count; i++)
		(void)bkp_copies_remove(
		    repository->store, "keys", names.items[i], NULL);
	bkp_names_free(&names);
}

int
bkp_key_change_begin(struct bkp_repository *repository,
    struct bkp_key_change *out, struct bkp_error *err)
{
	*out = (struct bkp_key_change){
	    .repository = repository, .roster = BKP_ROSTER_INIT};
	if (bkp_archive_view_refuse(repository, "change the keys of", err) < 0)
		return -1;
	if (!repository->keys.has_admin)
		return bkp_fail(err, BKP_AUTH,
		    "only an administrator changes the keys of a repository: "
		    "give an identity file or a passphrase");
	out->ring = repository->keys;
	if (bkp_roster_load(repository->store, &out->ring, &out->roster, err) <
	    0)
		return -1;
	if (out->roster.number == 0) {
		if (err != NULL)
			*err = out->roster.damage;
		return bkp_fail_in(err,
		    "there is no roster to begin with, so nothing is changed");
	}
	if (!is_same(&out->roster, &repository->roster))
		return bkp_fail(err, BKP_RETRY,
		    "%s: another administrator has just changed the keys; "
		    "nothing was done, run it again",
		    repository->store->location);
	if (check_whole(out, err) < 0)
		return -1;
	/* What a change that was killed did not come to. That it cannot be
	 * done is no reason not to do what is asked for. */
	(void)bkp_repository_repair_keys(repository, NULL, NULL);
	tidy_up(repository);
	return 0;
}

/* ---- doing it ---- */

static int
seal_all(struct bkp_key_change *change, struct bkp_error *err)
{
	struct bkp_store *store = change->repository->store;
	struct bkp_roster *roster = &change->roster;
	bool is_joined = roster->is_joined;

	if ((change->has_new_admins || change->has_new_generation ||
		is_joined) &&
	    bkp_key_objects_put_admin(store, &change->ring, roster, err) < 0)
		return -1;
	if (change->has_new_generation ||
	    (is_joined && roster->host_objects.count > 0))
		return bkp_key_objects_put_hosts(
		    store, &change->ring, roster, err);
	return 0;
}

int
bkp_key_change_commit(struct bkp_key_change *change, struct bkp_error *err)
{
	struct bkp_repository *repository = change->repository;
	struct bkp_roster now = BKP_ROSTER_INIT;
	char name[BKP_OBJECT_NAME];

	if (seal_all(change, err) < 0)
		return -1;
	change->is_uncertain = true;
	if (bkp_roster_put(repository->store, &change->ring, &change->roster,
		name, err) < 0 ||
	    bkp_names_join(&repository->opened_keys,
		&change->roster.admin_objects, err) < 0 ||
	    bkp_roster_load(repository->store, &change->ring, &now, err) < 0)
		return bkp_fail_in(err,
		    "the change of keys failed, and may have happened all the "
		    "same (backup-key show tells)");
	change->is_uncertain = false;
	repository->keys = change->ring;
	bkp_roster_free(&repository->roster);
	repository->roster = now;
	tidy_up(repository);
	return 0;
}

void
bkp_key_change_end(struct bkp_key_change *change)
{
	bkp_roster_free(&change->roster);
	bkp_key_ring_wipe(&change->ring);
}
