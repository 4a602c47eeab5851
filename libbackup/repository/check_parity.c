/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error correction: whether it is there, of the size that it must have and,
 * where it is small or its pack is read, what was stored. Objects are listed
 * before it, which is the order of writing: what a backup stores meanwhile is
 * not missed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/parity.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"
#include "libbackup/store/store_parity.h"

#define TOLD 100 /* of those that are missing or left over, one by one */

struct look {
	struct bkp_checker *checker;
	bool *has; /* owned: of each object that is covered */
	size_t count, left, missing;
};

/* ---- what is damaged ---- */

int
bkp_check_parity_damaged(struct bkp_checker *checker, const char *name,
    const char *problem, struct bkp_error *err)
{
	char path[BKP_PARITY_NAME];

	if (!bkp_parity_name_of(name, path))
		return 0;
	return bkp_finding_add(&checker->findings, NULL, BKP_FINDING_WARNING,
	    "parity-damaged", path, err,
	    "%s; what it is about is not hurt by that, and backup-check "
	    "--repair makes it anew from there",
	    problem);
}

int
bkp_check_parity_of(struct bkp_checker *checker, const char *name,
    const unsigned char digest[32], struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	char path[BKP_PARITY_NAME];

	if (!bkp_parity_name_of(name, path) ||
	    bkp_parity_check(
		checker->repository->store, name, digest, &problem) == 0 ||
	    problem.code == BKP_NOTFOUND)
		return 0;
	if (problem.code == BKP_UNSUPPORTED)
		return bkp_check_newer(checker, path, err);
	if (bkp_check_is_damage(&problem) || problem.sys == EIO)
		return bkp_check_parity_damaged(
		    checker, name, problem.message, err);
	if (err != NULL)
		*err = problem;
	return -1;
}

/* What config says of itself is no proof; that it fits the keys is one. */
bool
bkp_check_config_digest(
    struct bkp_repository *repository, unsigned char digest[32])
{
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_repository_config config;
	bool is_good = bkp_store_get(repository->store, "config", 0,
			   BKP_STORE_WHOLE, &text, NULL) == 0 &&
		       bkp_repository_config_decode(
			   text.data, text.len, &config, NULL) == 0 &&
		       strcmp(config.id, repository->keys.repository) == 0 &&
		       fmt_sha256(text.data, text.len, digest) == FMT_OK;

	fmt_buf_free(&text);
	return is_good;
}

static int
check_small(
    struct bkp_checker *checker, const char *name, struct bkp_error *err)
{
	unsigned char digest[32];
	bool is_config = strcmp(name, "config") == 0;

	return bkp_check_parity_of(checker, name,
	    is_config && bkp_check_config_digest(checker->repository, digest)
		? digest
		: NULL,
	    err);
}

/* ---- whose object is not there ---- */

/* An object goes after its error correction, so this is the trace of one that
 * something else took away. Of packs and small objects others tell whether
 * anybody misses them; a snapshot that is the last one nobody else names. */
static int
add_left(struct look *look, const char *path, const char *name,
    struct bkp_error *err)
{
	struct bkp_checker *checker = look->checker;
	const char *slash = strrchr(name, '/');
	bool is_snapshot = strncmp(name, "snapshots/", 10) == 0 &&
			   !bkp_checkpoint_has_removed(
			       &checker->history.checkpoint, slash + 1);
	struct bkp_store_object found;

	if (bkp_store_stat(checker->repository->store, name, &found, NULL) ==
		0 ||
	    look->left++ >= TOLD)
		return 0;
	return bkp_finding_add(&checker->findings, NULL,
	    is_snapshot ? BKP_FINDING_WARNING : BKP_FINDING_NOTE, "parity-left",
	    path, err,
	    is_snapshot
		? "%s is there and its snapshot is not, which no prune "
		  "removed; bring that back from a copy of the repository; "
		  "backup-check --repair tries to make it from this"
		: "%s is there and its object is not; where nothing else "
		  "misses that, it is of no use, and backup-check --repair "
		  "moves it to " BKP_DAMAGED_FOLDER "/",
	    path);
}

/* ---- looking at what is there ---- */

static int
compare_paths(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool
note_covered(struct look *look, const char *name)
{
	const struct bkp_check_paths *covered = &look->checker->covered;
	const char(*found)[BKP_PACK_PATH] =
	    covered->count == 0 ? NULL
				: bsearch(name, covered->items, covered->count,
				      sizeof(*covered->items), compare_paths);

	if (found == NULL)
		return false;
	look->has[found - (const char(*)[BKP_PACK_PATH])covered->items] = true;
	return true;
}

/* Of a pack only the size is looked at here. */
static int
look_at_packs(struct look *look, const char *name,
    const struct bkp_store_object *object, bool *is_there,
    struct bkp_error *err)
{
	struct bkp_check_pack *pack;
	unsigned char digest[32];
	char problem[BKP_PARITY_NAME + 100];

	if (fmt_unhex(strrchr(name, '/') + 1, digest, 32) != FMT_OK)
		return 0;
	pack = bkp_check_packs_find(&look->checker->packs, digest);
	if (pack == NULL || !pack->is_stored)
		return 0;
	pack->has_parity = *is_there = true;
	if (fmt_parity_fits(
		pack->is_indexed ? pack->indexed_size : pack->stored_size,
		object->size))
		return 0;
	pack->is_parity_bad = true;
	(void)snprintf(problem, sizeof(problem),
	    "%s has %llu bytes, which fits no error correction of its pack",
	    object->name, (unsigned long long)object->size);
	return bkp_check_parity_damaged(look->checker, name, problem, err);
}

static int
look_at(void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct look *look = arg;
	const char *name = object->name + strlen(BKP_PARITY_FOLDER);
	char path[BKP_PARITY_NAME];
	bool is_there = false;

	if (!bkp_check_is_object_path(name) || !bkp_parity_name_of(name, path))
		return bkp_check_stranger(look->checker, object->name, err);
	look->count++;
	if (strncmp(name, "packs/", 6) == 0) {
		if (look_at_packs(look, name, object, &is_there, err) < 0)
			return -1;
	} else if (note_covered(look, name)) {
		is_there = true;
		if (check_small(look->checker, name, err) < 0)
			return -1;
	}
	if (is_there)
		return 0;
	return add_left(look, object->name, name, err);
}

/* ---- what is not there ---- */

/* The object came before; its error correction may have come since. */
static int
add_missing(struct look *look, const char *name, struct bkp_error *err)
{
	struct bkp_checker *checker = look->checker;
	struct bkp_store *store = checker->repository->store;
	struct bkp_store_object found;
	char path[BKP_PARITY_NAME];

	if (!bkp_parity_name_of(name, path) ||
	    bkp_store_stat(store, path, &found, NULL) == 0 ||
	    bkp_store_stat(store, name, &found, NULL) < 0 ||
	    look->missing++ >= TOLD)
		return 0;
	return bkp_finding_add(&checker->findings, NULL,
	    checker->error_correction > 0 ? BKP_FINDING_WARNING
					  : BKP_FINDING_NOTE,
	    "parity-missing", path, err,
	    "%s has no error correction, %s; backup-check --repair adds it%s",
	    name,
	    checker->error_correction > 0 ? "which the configuration asks for"
					  : "and others have some",
	    checker->error_correction > 0
		? ""
		: " where 'error_correction' is configured");
}

static int
tell_missing(struct look *look, struct bkp_error *err)
{
	struct bkp_checker *checker = look->checker;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < checker->covered.count; i++) {
		if (!look->has[i])
			rc = add_missing(look, checker->covered.items[i], err);
	}
	for (size_t i = 0; rc == 0 && i < checker->packs.count; i++) {
		const struct bkp_check_pack *pack = &checker->packs.items[i];
		char path[BKP_PACK_PATH];

		/* One that no index names yet may be on its way. */
		if (!pack->is_stored || !pack->is_indexed || pack->has_parity)
			continue;
		bkp_pack_path(pack->name, path);
		rc = add_missing(look, path, err);
	}
	if (rc < 0 || look->missing <= TOLD)
		return rc;
	return bkp_finding_add(&checker->findings, NULL, BKP_FINDING_NOTE,
	    "parity-missing", BKP_PARITY_FOLDER, err,
	    "and %zu more objects have no error correction",
	    look->missing - TOLD);
}

/* ---- all of it ---- */

int
bkp_check_parity(struct bkp_checker *checker, struct bkp_error *err)
{
	struct look look = {.checker = checker};
	int rc = -1;

	look.has = bkp_alloc(checker->covered.count + 1, err);
	if (look.has != NULL)
		rc = bkp_store_list(checker->repository->store,
		    BKP_PARITY_FOLDER, look_at, &look, err);
	if (rc == 0 && (look.count > 0 || checker->error_correction > 0))
		rc = tell_missing(&look, err);
	free(look.has);
	return rc;
}
