/* SPDX-License-Identifier: Apache-2.0 */
/* A round of repair, and what its parts share. */
#include "libbackup/repository/repair.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"

#define TEXT_MAX 1024

void
bkp_repair_init(struct bkp_repair *repair, struct bkp_checker *checker)
{
	*repair = (struct bkp_repair){.checker = checker};
}

void
bkp_repair_free(struct bkp_repair *repair)
{
	for (size_t i = 0; i < repair->count; i++) {
		free(repair->items[i].object);
		free(repair->items[i].text);
	}
	free(repair->items);
	bkp_names_free(&repair->dropped);
	*repair = (struct bkp_repair){.checker = NULL};
}

/* ---- beginning ---- */

/* Backups may go on: what they store is not touched, and that they cannot build
 * upon what is lost is no worse than before. Who rewrites the index or deletes
 * may not. */
static bool
is_in_the_way(const struct bkp_presence_info *other, int64_t now_us)
{
	return strcmp(other->what, "backup") != 0 &&
	       bkp_presence_is_at_work(other, now_us);
}

int
bkp_repair_begin(struct bkp_repository *repository, struct bkp_presence **out,
    struct bkp_error *err)
{
	struct bkp_presence *presence = NULL;
	struct bkp_presence_info *others = NULL;
	size_t count = 0;
	int64_t now_us;
	int rc;

	if (!repository->keys.has_signing)
		return bkp_repository_refuse_unsigned(repository,
		    "a repair signs what it writes, so the key file of a host "
		    "is needed (--key-file)",
		    err);
	if (bkp_presence_begin(repository, "repair", &presence, err) < 0)
		return -1;
	rc = bkp_presence_list(
	    repository, presence, &others, &count, &now_us, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (is_in_the_way(&others[i], now_us))
			rc = bkp_presence_refuse(&others[i], now_us,
			    repository->store->location, err);
	}
	free(others);
	if (rc < 0) {
		bkp_presence_end(presence);
		return -1;
	}
	*out = presence;
	return 0;
}

/* ---- steps ---- */

static int
add_item(struct bkp_repair *repair, enum bkp_repair_state state,
    const char *object, const char *text, struct bkp_error *err)
{
	struct bkp_repair_item item = {.state = state};

	if (bkp_grow(&repair->items, repair->count, &repair->cap,
		sizeof(*repair->items), err) < 0)
		return -1;
	if (bkp_finding_texts(object, text, &item.object, &item.text, err) < 0)
		return -1;
	repair->items[repair->count++] = item;
	return 0;
}

/* What a later round finds again is told once. */
static bool
is_noted(const struct bkp_repair *repair, const char *object, const char *text)
{
	for (size_t i = 0; i < repair->count; i++) {
		if (strcmp(repair->items[i].object, object) == 0 &&
		    strcmp(repair->items[i].text, text) == 0)
			return true;
	}
	return false;
}

int
bkp_repair_note(struct bkp_repair *repair, enum bkp_repair_state state,
    const char *object, struct bkp_error *err, const char *format, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (is_noted(repair, object, text))
		return 0;
	return add_item(repair, state, object, text, err);
}

int
bkp_repair_did(struct bkp_repair *repair, const char *object,
    struct bkp_error *err, const char *format, ...)
{
	bool is_real = repair->presence != NULL;
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	repair->done++;
	if (is_real)
		bkp_run_message(
		    repair->checker->run, BKP_INFO, object, "%s", text);
	return add_item(repair, is_real ? BKP_REPAIR_DONE : BKP_REPAIR_PLANNED,
	    object, text, err);
}

/* ---- objects ---- */

/* A copy that was read back and is the same. */
static int
copy_object(struct bkp_store *store, const char *from, const char *to,
    struct bkp_error *err)
{
	struct fmt_buf bytes = FMT_BUF_INIT, back = FMT_BUF_INIT;
	int rc = -1;

	if (bkp_store_get(store, from, 0, BKP_STORE_WHOLE, &bytes, err) < 0 ||
	    bkp_store_put(store, to, bytes.data, bytes.len, err) < 0 ||
	    bkp_store_get(store, to, 0, BKP_STORE_WHOLE, &back, err) < 0)
		goto out;
	if (back.len != bytes.len ||
	    (bytes.len > 0 && memcmp(back.data, bytes.data, bytes.len) != 0))
		(void)bkp_fail(err, BKP_IO,
		    "%s: %s: what was stored there does not come back",
		    store->location, to);
	else
		rc = 0;
out:
	fmt_buf_free(&bytes);
	fmt_buf_free(&back);
	return rc;
}

int
bkp_repair_copy(struct bkp_repair *repair, const char *from, const char *to,
    struct bkp_error *err)
{
	return copy_object(repair->checker->repository->store, from, to, err);
}

int
bkp_repair_remove(
    struct bkp_repair *repair, const char *path, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_presence_check(repair->presence, err) < 0)
		return -1;
	if (bkp_store_remove(
		repair->checker->repository->store, path, &problem) == 0 ||
	    problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_repair_set_aside(
    struct bkp_repair *repair, const char *path, struct bkp_error *err)
{
	char aside[BKP_PACK_PATH + 16];

	(void)snprintf(aside, sizeof(aside), BKP_DAMAGED_FOLDER "/%s", path);
	if (bkp_repair_copy(repair, path, aside, err) < 0)
		return -1;
	return bkp_repair_remove(repair, path, err);
}

/* ---- a round ---- */

int
bkp_repair_round(struct bkp_repair *repair, struct bkp_error *err)
{
	repair->done = 0;
	bkp_names_free(&repair->dropped);
	if (bkp_repair_parity(repair, err) < 0 ||
	    bkp_repair_strays(repair, err) < 0)
		return -1;
	if (repair->done > 0 && repair->presence != NULL)
		return 0;
	if (bkp_repair_places(repair, err) < 0)
		return -1;
	/* What was missing may be there now. */
	if (repair->done > 0 && repair->presence != NULL)
		return 0;
	if (bkp_repair_packs(repair, err) < 0 ||
	    bkp_repair_lost_packs(repair, err) < 0 ||
	    bkp_repair_orphans(repair, err) < 0)
		return -1;
	return bkp_repair_rest(repair, err);
}
