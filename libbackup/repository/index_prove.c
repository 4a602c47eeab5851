/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the store still has what the cache of this machine answers for. An
 * index object that rots would be missed by nobody while there is a copy, and
 * by everybody when the machine is gone.
 *
 * What the copy holds was checked and signed when it was made, so it is put
 * into the store once more, under the name that it then gets. The damaged one
 * stays, for a repair to look at.
 */
#include <time.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"
#include "libbackup/repository/index_fetch.h"
#include "libbackup/repository/index_set_own.h"
#include "libbackup/repository/repository_own.h"

#define PROVED ((uint64_t)32 << 20) /* bytes a run, from another place each */

/* 0: it is there, or went in the meantime; 1: it is damaged, and *problem says
 * how; -1. */
static int
look_at(struct bkp_repository *repository, const char *name,
    struct bkp_error *problem, struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &repository->keys;
	int fd = bkp_temporary_file(err), rc;
	bool is_file_bad = false;
	uint64_t len;

	if (fd < 0)
		return -1;
	rc = bkp_index_fetch(repository->store, keys->metadata, keys->count,
	    name, fd, &len, &is_file_bad, problem);
	(void)close(fd);
	if (rc == 0 || is_file_bad || problem->code == BKP_NOTFOUND)
		return 0;
	if (problem->code == BKP_CORRUPT || problem->code == BKP_AUTH)
		return 1;
	if (err != NULL)
		*err = *problem;
	return -1;
}

/* A copy of what somebody signed who is not believed any more would not be
 * believed under a new name. */
bool
bkp_index_store_again(
    struct bkp_repository *repository, const struct bkp_index_file *file)
{
	char name[BKP_OBJECT_NAME];

	return bkp_roster_believes_index(
		   &repository->roster, file->view.signer, "") &&
	       bkp_object_seal(repository->store, "index",
		   &repository->keys.metadata_recipient, 1, file->map,
		   file->len, name, NULL, NULL) == 0;
}

static int
prove(struct bkp_repository *repository, const struct bkp_index_file *file,
    bool heals, struct bkp_error *err)
{
	struct bkp_index_set *set = &repository->index;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc = look_at(repository, file->name, &problem, err);
	bool is_healed;

	if (rc != 1)
		return rc;
	is_healed = heals && bkp_index_store_again(repository, file);
	(void)bkp_fail_in(&problem,
	    is_healed ? "stored again from the copy on this machine"
		      : "read from the copy on this machine, without which it "
			"is lost");
	if (bkp_index_set_note_damage(set, file->name, &problem, err) < 0)
		return -1;
	if (is_healed)
		bkp_index_cache_forget(&set->cache, file->name);
	return 0;
}

int
bkp_repository_prove_index(
    struct bkp_repository *repository, bool heals, struct bkp_error *err)
{
	const struct bkp_index_set *set = &repository->index;
	size_t first = set->count > 0 ? (size_t)time(NULL) % set->count : 0;
	uint64_t proved = 0;

	for (size_t i = 0; i < set->count && proved < PROVED; i++) {
		const struct bkp_index_file *file =
		    &set->files[(first + i) % set->count];

		if (!file->is_cached)
			continue;
		if (prove(repository, file, heals, err) < 0)
			return -1;
		proved += file->len;
	}
	return 0;
}
