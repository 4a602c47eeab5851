/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that hold the bytes of another one. An object's name follows from
 * its bytes, so whatever lies under a wrong name can be put back, once it is
 * known that these bytes are an object and no damaged one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"
#include "libbackup/repository/copies.h"

/* ---- are these bytes an object? ---- */

/* What opens as an age file is, to its last byte, what somebody wrote. */
static bool
opens(const struct bkp_checker *checker, const struct fmt_buf *stored)
{
	const struct bkp_key_ring *keys = &checker->repository->keys;
	struct fmt_buf plain = FMT_BUF_SECRET_INIT;
	enum fmt_status status = fmt_age_open(
	    keys->metadata, keys->count, stored->data, stored->len, &plain);

	fmt_buf_free(&plain);
	return status == FMT_OK;
}

static bool
is_key(const struct bkp_roster *roster, const char *name)
{
	for (size_t i = 0; i < roster->key_count; i++) {
		if (bkp_names_has(&roster->keys[i].passphrase, name))
			return true;
	}
	return bkp_names_has(&roster->admin_objects, name) ||
	       bkp_names_has(&roster->host_objects, name);
}

static bool
is_roster(const struct bkp_checker *checker, const struct fmt_buf *stored)
{
	struct bkp_roster roster = BKP_ROSTER_INIT;

	if (bkp_roster_decode(stored->data, stored->len,
		&checker->repository->keys, &roster, NULL) < 0)
		return false;
	bkp_roster_free(&roster);
	return true;
}

static bool
is_object(const struct bkp_checker *checker, const char *folder,
    const char *name, const struct fmt_buf *stored)
{
	if (stored->len == 0)
		return false;
	if (strncmp(folder, BKP_COPIES, strlen(BKP_COPIES)) == 0)
		folder += strlen(BKP_COPIES);
	if (strcmp(folder, "keys") == 0)
		return is_key(&checker->repository->roster, name);
	if (strcmp(folder, "roster") == 0)
		return is_roster(checker, stored);
	return opens(checker, stored);
}

/* ---- noting it ---- */

int
bkp_check_is_good(
    struct bkp_store *store, const char *path, bool *out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_buf stored = FMT_BUF_INIT;
	const char *name = strrchr(path, '/') + 1;
	unsigned char digest[32];
	char actual[BKP_OBJECT_NAME] = "";
	int rc = 0;

	if (bkp_store_get(store, path, 0, BKP_STORE_WHOLE, &stored, &problem) ==
	    0) {
		if (fmt_sha256(stored.len > 0 ? stored.data : (const void *)"",
			stored.len, digest) == FMT_OK)
			fmt_hex(digest, sizeof(digest), actual);
	} else if (problem.code != BKP_NOTFOUND && problem.sys != EIO) {
		if (err != NULL)
			*err = problem;
		rc = -1;
	}
	fmt_buf_free(&stored);
	if (rc == 0)
		*out = strcmp(actual, name) == 0;
	return rc;
}

bool
bkp_check_is_object(const struct bkp_checker *checker, const char *folder,
    const char *name, const struct fmt_buf *stored)
{
	unsigned char pack[32];

	if (strncmp(folder, "packs", 5) != 0)
		return is_object(checker, folder, name, stored);
	return fmt_unhex(name, pack, sizeof(pack)) == FMT_OK &&
	       bkp_check_packs_find(&checker->packs, pack) != NULL;
}

static int
note(struct bkp_checker *checker, size_t finding, const char *wrong,
    const char *right, struct bkp_error *err)
{
	struct bkp_misplaced item = {.finding = finding};

	if (bkp_check_is_good(
		checker->repository->store, right, &item.is_there, err) < 0)
		return -1;
	(void)snprintf(item.wrong, sizeof(item.wrong), "%s", wrong);
	(void)snprintf(item.right, sizeof(item.right), "%s", right);
	if (bkp_grow(&checker->misplaced, checker->misplaced_count,
		&checker->misplaced_cap, sizeof(*checker->misplaced), err) < 0)
		return -1;
	checker->misplaced[checker->misplaced_count++] = item;
	return bkp_finding_append(&checker->findings, finding, err,
	    item.is_there ? "; it holds the bytes of %s"
			  : "; it holds the bytes of %s, which is missed",
	    right);
}

int
bkp_check_misplaced(struct bkp_checker *checker, size_t finding,
    const char *folder, const char *name, struct bkp_error *err)
{
	struct fmt_buf stored = FMT_BUF_INIT;
	char wrong[BKP_PACK_PATH], right[BKP_PACK_PATH];
	char actual[BKP_OBJECT_NAME];
	unsigned char digest[32];
	int rc = 0;

	(void)snprintf(wrong, sizeof(wrong), "%s/%s", folder, name);
	if (bkp_store_get(checker->repository->store, wrong, 0, BKP_STORE_WHOLE,
		&stored, NULL) == 0 &&
	    fmt_sha256(stored.data, stored.len, digest) == FMT_OK) {
		fmt_hex(digest, sizeof(digest), actual);
		(void)snprintf(right, sizeof(right), "%s/%s", folder, actual);
		if (strcmp(actual, name) != 0 &&
		    is_object(checker, folder, actual, &stored))
			rc = note(checker, finding, wrong, right, err);
	}
	fmt_buf_free(&stored);
	return rc;
}

int
bkp_check_misplaced_pack(struct bkp_checker *checker,
    const struct bkp_check_pack *pack, const unsigned char digest[32],
    struct bkp_error *err)
{
	char wrong[BKP_PACK_PATH], right[BKP_PACK_PATH];

	if (bkp_check_packs_find(&checker->packs, digest) == NULL)
		return 0;
	bkp_pack_path(pack->name, wrong);
	bkp_pack_path(digest, right);
	return note(checker, pack->finding, wrong, right, err);
}
