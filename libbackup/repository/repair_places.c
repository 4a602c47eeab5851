/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that lie under a wrong name. Two objects may have been exchanged, so
 * everything that is to be moved is first copied below damaged/, then put under
 * its own name, and only then forgotten there; a repair that was cut off goes
 * on with what it finds there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/key_check.h"
#include "libbackup/repository/repair.h"

#define ASIDE_SIZE (BKP_PACK_PATH + 16)

/* ---- put back ---- */

static void
aside_of(const char *path, char out[ASIDE_SIZE])
{
	(void)snprintf(out, ASIDE_SIZE, BKP_DAMAGED_FOLDER "/%s", path);
}

static int
copy_aside(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_checker *checker = repair->checker;
	char aside[ASIDE_SIZE];

	for (size_t i = 0; i < checker->misplaced_count; i++) {
		const struct bkp_misplaced *item = &checker->misplaced[i];

		if (item->is_there)
			continue;
		aside_of(item->wrong, aside);
		if (bkp_repair_copy(repair, item->wrong, aside, err) < 0)
			return -1;
	}
	return 0;
}

static int
put_back(struct bkp_repair *repair, const char *from, const char *wrong,
    const char *right, struct bkp_error *err)
{
	if (repair->presence != NULL &&
	    (bkp_repair_copy(repair, from, right, err) < 0 ||
		bkp_repair_remove(repair, from, err) < 0))
		return -1;
	return bkp_repair_did(repair, right, err,
	    "put back: its bytes were under the name %s", wrong);
}

static int
put_all_back(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_checker *checker = repair->checker;
	char aside[ASIDE_SIZE];

	if (repair->presence != NULL && copy_aside(repair, err) < 0)
		return -1;
	for (size_t i = 0; i < checker->misplaced_count; i++) {
		const struct bkp_misplaced *item = &checker->misplaced[i];

		aside_of(item->wrong, aside);
		if (!item->is_there &&
		    put_back(repair, aside, item->wrong, item->right, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- what an earlier repair had put aside ---- */

struct aside {
	struct bkp_repair *repair;
	char (*items)[200]; /* owned: whole names */
	size_t count, cap;
};

static int
add_aside(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct aside *aside = arg;

	if (strlen(object->name) >= sizeof(*aside->items))
		return 0;
	if (bkp_grow(&aside->items, aside->count, &aside->cap,
		sizeof(*aside->items), err) < 0)
		return -1;
	(void)snprintf(aside->items[aside->count++], sizeof(*aside->items),
	    "%s", object->name);
	return 0;
}

/* "damaged/index/<some name>" and the name that the bytes have: what they were
 * and where that belongs. */
static void
name_right(const char *path, const unsigned char digest[32], char folder[64],
    char right[BKP_PACK_PATH])
{
	const char *start = path + strlen(BKP_DAMAGED_FOLDER "/");
	const char *end = strrchr(start, '/');
	char name[BKP_OBJECT_NAME];

	(void)snprintf(
	    folder, 64, "%.*s", end != NULL ? (int)(end - start) : 0, start);
	fmt_hex(digest, 32, name);
	if (strncmp(folder, "packs", 5) == 0)
		bkp_pack_path(digest, right);
	else
		(void)snprintf(right, BKP_PACK_PATH, "%.30s/%s", folder, name);
}

/* What was given up stays so, and not everything is named by its bytes. */
static bool
may_come_back(const struct bkp_repair *repair, const char *right)
{
	return bkp_check_is_object_path(right) &&
	       (strncmp(right, "snapshots/", 10) != 0 ||
		   !bkp_checkpoint_has_removed(
		       &repair->checker->history.checkpoint, right + 10));
}

static int
look_at_aside(
    struct bkp_repair *repair, const char *path, struct bkp_error *err)
{
	struct bkp_store *store = repair->checker->repository->store;
	struct fmt_buf stored = FMT_BUF_INIT;
	char folder[64], right[BKP_PACK_PATH];
	unsigned char digest[32];
	bool is_good = true;
	int rc = -1;

	if (bkp_store_get(store, path, 0, BKP_STORE_WHOLE, &stored, err) < 0)
		goto out;
	rc = 0;
	if (stored.len == 0 ||
	    fmt_sha256(stored.data, stored.len, digest) != FMT_OK)
		goto out;
	name_right(path, digest, folder, right);
	if (folder[0] == '\0' || !may_come_back(repair, right) ||
	    !bkp_check_is_object(
		repair->checker, folder, strrchr(right, '/') + 1, &stored))
		goto out;
	rc = bkp_check_is_good(store, right, &is_good, err);
	if (rc == 0 && !is_good)
		rc = put_back(repair, path, path, right, err);
out:
	fmt_buf_free(&stored);
	return rc;
}

static int
look_aside(struct bkp_repair *repair, struct bkp_error *err)
{
	struct aside aside = {.repair = repair};
	int rc = bkp_store_list(repair->checker->repository->store,
	    BKP_DAMAGED_FOLDER "/", add_aside, &aside, err);

	for (size_t i = 0; rc == 0 && i < aside.count; i++)
		rc = look_at_aside(repair, aside.items[i], err);
	free(aside.items);
	return rc;
}

/* ---- what is there twice ---- */

/* The wrong name holds nothing of its own. Whether something is missed that
 * had this name is told by what names it; a snapshot may be named by nothing,
 * so it goes with --accept-loss only, and an index object is looked at when it
 * is known that nobody misses it. */
static int
drop_doubles(struct bkp_repair *repair, struct bkp_error *err)
{
	struct bkp_checker *checker = repair->checker;

	for (size_t i = 0; i < checker->misplaced_count; i++) {
		const struct bkp_misplaced *item = &checker->misplaced[i];
		struct bkp_check_pack *pack = NULL;
		unsigned char name[32];

		if (!item->is_there ||
		    strncmp(item->wrong, "snapshots/", 10) == 0 ||
		    strncmp(item->wrong, "index/", 6) == 0)
			continue;
		if (repair->presence != NULL &&
		    bkp_repair_remove(repair, item->wrong, err) < 0)
			return -1;
		if (bkp_repair_did(repair, item->wrong, err,
			"taken away: it holds the bytes of %s and nothing of "
			"its own",
			item->right) < 0)
			return -1;
		if (fmt_unhex(strrchr(item->wrong, '/') + 1, name, 32) ==
		    FMT_OK)
			pack = bkp_check_packs_find(&checker->packs, name);
		if (pack != NULL && strncmp(item->wrong, "packs/", 6) == 0)
			pack->is_stored = false;
	}
	return 0;
}

/* ---- what is there twice by design ---- */

static int
repair_keys(struct bkp_repair *repair, struct bkp_error *err)
{
	const struct bkp_finding_list *findings = &repair->checker->findings;
	size_t repaired = 0;

	if (repair->presence != NULL) {
		if (bkp_repository_repair_keys(
			repair->checker->repository, &repaired, err) < 0)
			return -1;
		return repaired == 0
			   ? 0
			   : bkp_repair_did(repair, "copies/", err,
				 "%s made anew from the "
				 "other one of two",
				 bkp_counted(repaired, "object").text);
	}
	for (size_t i = 0; i < findings->count; i++) {
		const struct bkp_finding_item *item = &findings->items[i];

		if (strstr(item->text, "backup-check --repair makes this") !=
			NULL &&
		    bkp_repair_did(repair, item->object, err,
			"made anew from the other one of two") < 0)
			return -1;
	}
	return 0;
}

int
bkp_repair_places(struct bkp_repair *repair, struct bkp_error *err)
{
	size_t before = repair->done;

	if (repair_keys(repair, err) < 0)
		return -1;
	/* What was exchanged may not be so any more. */
	if (repair->presence != NULL && repair->done > before)
		return 0;
	if (put_all_back(repair, err) < 0 || look_aside(repair, err) < 0)
		return -1;
	/* What was put back may be what is missed under another name. */
	if (repair->presence != NULL && repair->done > before)
		return 0;
	return drop_doubles(repair, err);
}
