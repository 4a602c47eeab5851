/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at everything that lies in the repository: what is no object of one
 * is told, and what error correction may be kept of is noted down.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/reserve.h"
#include "libbackup/repository/shares.h"
#include "libbackup/store/store_parity.h"

#define HEX "0123456789abcdef"
#define STRANGERS_TOLD 100 /* one by one */

/* ---- what belongs here ---- */

static const char *const folders[] = {"checkpoints", "condemned", "erasures",
    "index", "keys", "proofs", "roster", "snapshots"};

static bool
is_digest(const char *name)
{
	return strspn(name, HEX) == BKP_OBJECT_NAME - 1 &&
	       name[BKP_OBJECT_NAME - 1] == '\0';
}

/* "<folder>/<digest>" */
static bool
is_in_folder(const char *path)
{
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		size_t len = strlen(folders[i]);

		if (strncmp(path, folders[i], len) == 0 && path[len] == '/')
			return is_digest(path + len + 1);
	}
	return false;
}

/* "packs/3f/3f2a..." */
static bool
is_pack(const char *path)
{
	return strncmp(path, "packs/", 6) == 0 && strlen(path) > 9 &&
	       path[8] == '/' && strncmp(path + 6, path + 9, 2) == 0 &&
	       is_digest(path + 9);
}

static bool
is_session(const char *path)
{
	const char *name = path + strlen("sessions/");
	size_t digits;

	if (strncmp(path, "sessions/", strlen("sessions/")) != 0)
		return false;
	digits = strspn(name, HEX);
	return digits == 32 &&
	       (name[32] == '\0' || strcmp(name + 32, ".gone") == 0);
}

static bool
is_ours(const char *path)
{
	if (strncmp(path, BKP_COPIES, strlen(BKP_COPIES)) == 0)
		path += strlen(BKP_COPIES);
	return strcmp(path, "config") == 0 || strcmp(path, BKP_RESERVE) == 0 ||
	       is_in_folder(path) || is_pack(path) || is_session(path) ||
	       bkp_shares_is_object(path);
}

/* In a folder of a repository, so that nobody else has a use for it. */
static bool
is_among_ours(const char *path)
{
	size_t len = strcspn(path, "/");

	if (path[len] != '/')
		return false;
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		if (strlen(folders[i]) == len &&
		    strncmp(path, folders[i], len) == 0)
			return true;
	}
	return strncmp(path, "packs/", 6) == 0 ||
	       strncmp(path, "sessions/", 9) == 0 ||
	       strncmp(path, BKP_SHARES, strlen(BKP_SHARES)) == 0 ||
	       strncmp(path, BKP_COPIES, strlen(BKP_COPIES)) == 0 ||
	       strncmp(path, BKP_PARITY_FOLDER, strlen(BKP_PARITY_FOLDER)) == 0;
}

bool
bkp_check_may_move_stray(const char *path)
{
	return is_among_ours(path) && !is_ours(path);
}

bool
bkp_check_is_object_path(const char *path)
{
	return is_ours(path);
}

/* ---- looking ---- */

int
bkp_check_stranger(
    struct bkp_checker *checker, const char *path, struct bkp_error *err)
{
	if (checker->strangers++ >= STRANGERS_TOLD)
		return 0;
	return bkp_finding_add(&checker->findings, NULL, BKP_FINDING_NOTE,
	    "stranger", path, err,
	    is_among_ours(path)
		? "%s: this is no object of a repository, and nothing refers "
		  "to it; backup-check --repair moves it to " BKP_DAMAGED_FOLDER
		  "/"
		: "%s: this is no object of a repository, and nothing refers "
		  "to it; move it elsewhere, or leave it if you know it",
	    path);
}

/* Names that no object could have keep no error correction. */
static int
note_covered(
    struct bkp_checker *checker, const char *path, struct bkp_error *err)
{
	struct bkp_check_paths *covered = &checker->covered;
	char parity[BKP_PARITY_NAME];

	if (!bkp_parity_name_of(path, parity) || strlen(path) >= BKP_PACK_PATH)
		return 0;
	if (bkp_grow(&covered->items, covered->count, &covered->cap,
		sizeof(*covered->items), err) < 0)
		return -1;
	memcpy(covered->items[covered->count++], path, strlen(path) + 1);
	return 0;
}

/* Packs have a listing of their own. */
static int
look_at(void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct bkp_checker *checker = arg;
	const char *path = object->name;

	if (strncmp(path, "packs/", 6) == 0 ||
	    strncmp(path, BKP_DAMAGED_FOLDER "/",
		strlen(BKP_DAMAGED_FOLDER "/")) == 0)
		return 0;
	/* A store that keeps no error correction itself lists that, too. */
	if (strncmp(path, BKP_PARITY_FOLDER, strlen(BKP_PARITY_FOLDER)) == 0)
		return 0;
	if (!is_ours(path))
		return bkp_check_stranger(checker, path, err);
	return note_covered(checker, path, err);
}

int
bkp_check_strays(struct bkp_checker *checker, struct bkp_error *err)
{
	return bkp_store_list(
	    checker->repository->store, "", look_at, checker, err);
}

int
bkp_check_more_strangers(struct bkp_checker *checker, struct bkp_error *err)
{
	if (checker->strangers <= STRANGERS_TOLD)
		return 0;
	return bkp_finding_add(&checker->findings, NULL, BKP_FINDING_NOTE,
	    "stranger", "", err,
	    "and %zu more that are no objects of a repository",
	    checker->strangers - STRANGERS_TOLD);
}
