/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/instant.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/base/write.h"
#include "libbackup/source/bucket_folder.h"
#include "libbackup/source/bucket_impl.h"

/* Files for each worker that are open and not yet written. */
#define UNDER_WAY 8

struct folder_target {
	struct bkp_target base;
	const char *folder; /* borrowed */
	struct bkp_supply *supply;
	struct bkp_entry_stream *stream;
};

struct item {
	struct fmt_entry entry;
	char *file; /* owned */
	int fd;
	bool is_left_out;
};

static void
discard(void *arg, void *taken)
{
	struct item *item = taken;

	(void)arg;
	if (item->fd >= 0)
		(void)close(item->fd);
	free(item->file);
	fmt_entry_free(&item->entry);
	free(item);
}

/* ---- a place for it ---- */

/* On the calling thread, for the names of all depend on those before. */
static int
make_file(
    struct folder_target *target, struct item *item, struct bkp_error *err)
{
	bool is_marker = strcmp(item->entry.kind, BKP_BUCKET_MARKER) == 0;
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;

	item->file = bkp_bucket_folder_file(target->folder,
	    item->entry.path + strlen("bucket/"), is_marker, err);
	if (item->file == NULL)
		return -1;
	item->fd = open(item->file, flags, 0600);
	if (item->fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		if (bkp_bucket_folder_make(target->folder, item->file, err) < 0)
			return -1;
		item->fd = open(item->file, flags, 0600);
	}
	if (item->fd >= 0)
		return 0;
	if (errno != EEXIST && errno != ENAMETOOLONG && errno != EILSEQ)
		return bkp_fail_errno(err, errno, "making %s", item->file);
	item->is_left_out = true;
	return bkp_run_omit(bkp_supply_run(target->supply), err,
	    item->entry.path, "%s cannot hold its name: %s", target->folder,
	    strerror(errno));
}

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct folder_target *target = arg;
	struct item *item = bkp_alloc(sizeof(*item), err);
	int got;

	*out = NULL;
	if (item == NULL)
		return -1;
	item->fd = -1;
	do {
		fmt_entry_free(&item->entry);
		got = bkp_entry_stream_next(target->stream, &item->entry, err);
	} while (got == 1 &&
		 !bkp_supply_is_selected(target->supply, item->entry.path));
	if (got != 1 || make_file(target, item, err) < 0) {
		discard(NULL, item);
		return got == 1 ? -1 : got;
	}
	*out = item;
	return 0;
}

/* ---- its bytes ---- */

static int
write_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	const struct item *item = arg;

	if (bkp_write_all(item->fd, data, len) == 0)
		return 0;
	return bkp_fail_errno(err, errno, "writing %s", item->file);
}

static int
set_time(const struct item *item, struct bkp_error *err)
{
	const char *text =
	    bkp_bucket_attrs_get(item->entry.attrs, "last_modified");
	struct timespec times[2];
	int64_t us;

	if (text == NULL || !bkp_instant_read(text, &us))
		return 0;
	times[0].tv_sec = us / 1000000;
	times[0].tv_nsec = us % 1000000 * 1000;
	times[1] = times[0];
	if (futimens(item->fd, times) == 0)
		return 0;
	return bkp_fail_errno(err, errno, "setting the time of %s", item->file);
}

static int
work(void *arg, unsigned worker, void *taken, struct bkp_error *err)
{
	struct folder_target *target = arg;
	struct item *item = taken;
	struct bkp_error why = BKP_ERROR_INIT;

	if (item->is_left_out)
		return 0;
	if (!item->entry.has_content ||
	    bkp_chunk_reader_entry(bkp_supply_reader(target->supply, worker),
		&item->entry, write_bytes, item, &why) == 0) {
		bkp_run_count(
		    bkp_supply_run(target->supply), item->entry.size, 1);
		return set_time(item, err);
	}
	item->is_left_out = true;
	/* Half of an object is none. */
	if (ftruncate(item->fd, 0) < 0 || why.code != BKP_CORRUPT) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	return bkp_supply_lose(
	    target->supply, err, &why, item->entry.path, "not restored");
}

/* A name may have been given up since, so it is looked for again. */
static int
remove_file(struct folder_target *target, const struct item *item,
    struct bkp_error *err)
{
	char *file = bkp_bucket_folder_file(
	    target->folder, item->entry.path + strlen("bucket/"), false, err);

	if (file == NULL)
		return -1;
	(void)unlink(file);
	free(file);
	return 0;
}

static int
done(void *arg, void *taken, struct bkp_error *err)
{
	struct folder_target *target = arg;
	struct item *item = taken;
	int rc = 0;

	if (!item->is_left_out)
		bkp_supply_restored(target->supply, 1);
	else if (item->fd >= 0)
		rc = remove_file(target, item, err);
	discard(NULL, item);
	return rc;
}

static void
tick(void *arg)
{
	struct folder_target *target = arg;

	bkp_run_tick(bkp_supply_run(target->supply));
}

/* ---- the target ---- */

static int
check(struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	(void)base;
	(void)supply;
	(void)err;
	return 0;
}

static int
run(struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next,
	    .work = work,
	    .done = done,
	    .discard = discard,
	    .tick = tick};
	struct folder_target *target = (struct folder_target *)base;
	struct bkp_run *of = bkp_supply_run(supply);
	unsigned workers = bkp_run_workers(of);
	int rc;

	target->supply = supply;
	if (bkp_supply_entries(
		supply, bkp_supply_selection(supply), &target->stream, err) < 0)
		return -1;
	rc = bkp_pipeline_run(workers, workers * UNDER_WAY, &ops, target,
	    bkp_run_cancel(of), err);
	bkp_entry_stream_close(target->stream);
	target->stream = NULL;
	return rc;
}

static void
close_target(struct bkp_target *base)
{
	free(base);
}

int
bkp_bucket_folder_target_open(const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_target **out,
    struct bkp_error *err)
{
	static const struct bkp_target_ops ops = {.kind = "bucket",
	    .check = check,
	    .run = run,
	    .close = close_target};
	struct folder_target *target = bkp_alloc(sizeof(*target), err);

	(void)options;
	if (target == NULL)
		return -1;
	target->base.ops = &ops;
	target->folder = config->bucket.folder;
	*out = &target->base;
	return 0;
}
