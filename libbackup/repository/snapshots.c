/* SPDX-License-Identifier: Apache-2.0 */
/* Reading snapshots, one or all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/archive_view.h"
#include "libbackup/repository/history.h"

/* ---- one ---- */

/* The signature was checked by the codec, against the key that the snapshot
 * names; whether that key may write, and here, is asked now. */
static int
check_origin(struct bkp_repository *repository, const struct bkp_roster *roster,
    const char *name, const struct fmt_snapshot *snapshot,
    struct bkp_error *err)
{
	if (strcmp(snapshot->repository, repository->config.id) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "it was made for repository %s, this is %s",
		    snapshot->repository, repository->config.id);
	if (bkp_roster_believes_snapshot(roster, snapshot->signer, name))
		return 0;
	return bkp_roster_refuse(roster, snapshot->signer, err);
}

static int
decode_snapshot(struct bkp_repository *repository,
    const struct bkp_roster *roster, const char *name, struct fmt_buf *text,
    struct fmt_snapshot *out, struct bkp_error *err)
{
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	enum fmt_status status;
	int rc = 0;

	status = fmt_snapshot_decode(text->data, text->len, &snapshot);
	if (status == FMT_UNSUPPORTED)
		rc = bkp_fail(err, BKP_UNSUPPORTED,
		    "a newer libbackup wrote it, in a version that this one "
		    "does not know (it reads version 1)");
	else if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "reading it");
	else
		rc = check_origin(repository, roster, name, &snapshot, err);
	if (rc < 0) {
		fmt_snapshot_free(&snapshot);
		return bkp_fail_in(
		    err, "%s: snapshots/%s", repository->store->location, name);
	}
	*out = snapshot;
	return 0;
}

int
bkp_snapshot_record(struct bkp_repository *repository, const char *name,
    struct fmt_buf *out, struct bkp_error *err)
{
	if (repository->archive != NULL)
		return bkp_archive_record(repository->archive, out, err);
	return bkp_object_open(repository->store, "snapshots", name,
	    repository->keys.metadata, repository->keys.count, out, err);
}

/* Believes whom that roster believes. */
static int
read_as(struct bkp_repository *repository, const struct bkp_roster *roster,
    const char *name, struct fmt_snapshot *out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc;

	if (repository->archive != NULL)
		return bkp_archive_view_snapshot(repository, name, out, err);
	rc = bkp_snapshot_record(repository, name, &text, err);
	if (rc == 0)
		rc = decode_snapshot(repository, roster, name, &text, out, err);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_repository_snapshot(struct bkp_repository *repository, const char *name,
    struct fmt_snapshot *out, struct bkp_error *err)
{
	return read_as(repository, &repository->roster, name, out, err);
}

/* ---- all ---- */

static int
compare_times(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int
compare_named(const void *a, const void *b)
{
	const struct bkp_named_snapshot *x = a, *y = b;
	int order = compare_times(x->snapshot.time_us, y->snapshot.time_us);

	if (order == 0)
		order = compare_times(
		    x->snapshot.finished_us, y->snapshot.finished_us);
	return order != 0 ? order : strcmp(x->name, y->name);
}

static bool
is_damage(const struct bkp_error *problem)
{
	return problem->code == BKP_CORRUPT || problem->code == BKP_AUTH ||
	       problem->code == BKP_UNSUPPORTED;
}

static int
add_damaged(struct bkp_snapshots *snapshots, const char *name,
    const struct bkp_error *problem, struct bkp_error *err)
{
	struct bkp_damaged_snapshot *damaged;

	if (bkp_grow(&snapshots->damaged, snapshots->damaged_count,
		&snapshots->damaged_cap, sizeof(*snapshots->damaged), err) < 0)
		return -1;
	damaged = &snapshots->damaged[snapshots->damaged_count++];
	memcpy(damaged->name, name, BKP_OBJECT_NAME);
	damaged->problem = *problem;
	return 0;
}

int
bkp_snapshots_add(struct bkp_repository *repository,
    const struct bkp_roster *roster, const char *name,
    struct bkp_snapshots *snapshots, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_named_snapshot *item;

	if (bkp_grow(&snapshots->items, snapshots->count, &snapshots->cap,
		sizeof(*snapshots->items), err) < 0)
		return -1;
	item = &snapshots->items[snapshots->count];
	if (read_as(repository, roster, name, &item->snapshot, &problem) == 0) {
		memcpy(item->name, name, BKP_OBJECT_NAME);
		snapshots->count++;
		return 0;
	}
	if (problem.code == BKP_NOTFOUND)
		return 0; /* removed since it was listed */
	if (is_damage(&problem))
		return add_damaged(snapshots, name, &problem, err);
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_snapshots_read_stored(struct bkp_repository *repository,
    const struct bkp_roster *roster, struct bkp_snapshots *out,
    struct bkp_error *err)
{
	struct bkp_snapshots snapshots = BKP_SNAPSHOTS_INIT;
	struct bkp_names names = BKP_NAMES_INIT;
	int rc;

	rc = bkp_object_names(repository->store, "snapshots", "", &names, err);
	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = bkp_snapshots_add(
		    repository, roster, names.items[i], &snapshots, err);
	bkp_names_free(&names);
	if (rc < 0)
		bkp_snapshots_free(&snapshots);
	else
		*out = snapshots;
	return rc;
}

int
bkp_snapshots_copied(struct bkp_repository *repository,
    const struct bkp_snapshots *snapshots, const char *name,
    const struct bkp_named_snapshot **out, struct bkp_error *err)
{
	struct fmt_buf stored = FMT_BUF_INIT;
	char path[128], actual[BKP_OBJECT_NAME];
	unsigned char digest[32];
	enum fmt_status status;
	int rc = -1;

	*out = NULL;
	(void)snprintf(path, sizeof(path), "snapshots/%s", name);
	if (bkp_store_get(
		repository->store, path, 0, BKP_STORE_WHOLE, &stored, err) < 0)
		goto out;
	status = fmt_sha256(stored.len > 0 ? stored.data : (const void *)"",
	    stored.len, digest);
	if (status != FMT_OK) {
		(void)bkp_fail_format(err, status, "hashing %s", path);
		goto out;
	}
	fmt_hex(digest, sizeof(digest), actual);
	for (size_t i = 0; i < snapshots->count && *out == NULL; i++)
		if (strcmp(snapshots->items[i].name, actual) == 0)
			*out = &snapshots->items[i];
	rc = 0;
out:
	fmt_buf_free(&stored);
	return rc;
}

void
bkp_snapshots_sort(struct bkp_snapshots *snapshots)
{
	if (snapshots->count > 1)
		qsort(snapshots->items, snapshots->count,
		    sizeof(*snapshots->items), compare_named);
}

void
bkp_snapshots_drop_void(
    struct bkp_snapshots *snapshots, const struct bkp_checkpoint *checkpoint)
{
	size_t kept = 0;

	for (size_t i = 0; i < snapshots->count; i++) {
		struct bkp_named_snapshot *item = &snapshots->items[i];

		if (bkp_checkpoint_is_void(checkpoint, item))
			fmt_snapshot_free(&item->snapshot);
		else
			snapshots->items[kept++] = *item;
	}
	snapshots->count = kept;
	kept = 0;
	for (size_t i = 0; i < snapshots->damaged_count; i++)
		if (!bkp_checkpoint_has_removed(
			checkpoint, snapshots->damaged[i].name))
			snapshots->damaged[kept++] = snapshots->damaged[i];
	snapshots->damaged_count = kept;
}

/* The checkpoint is read last: whatever was deleted before the listing is in
 * it. */
int
bkp_snapshots_read(struct bkp_repository *repository, struct bkp_snapshots *out,
    struct bkp_error *err)
{
	struct bkp_snapshots snapshots = BKP_SNAPSHOTS_INIT;
	struct bkp_checkpoint checkpoint;

	if (bkp_snapshots_read_stored(
		repository, &repository->roster, &snapshots, err) < 0)
		return -1;
	if (bkp_checkpoint_load(repository, &checkpoint, err) < 0) {
		bkp_snapshots_free(&snapshots);
		return -1;
	}
	bkp_snapshots_drop_void(&snapshots, &checkpoint);
	bkp_checkpoint_free(&checkpoint);
	bkp_snapshots_sort(&snapshots);
	*out = snapshots;
	return 0;
}

void
bkp_snapshots_free(struct bkp_snapshots *snapshots)
{
	for (size_t i = 0; i < snapshots->count; i++)
		fmt_snapshot_free(&snapshots->items[i].snapshot);
	free(snapshots->items);
	free(snapshots->damaged);
	*snapshots = (struct bkp_snapshots)BKP_SNAPSHOTS_INIT;
}
