/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files back from entries. The calling thread makes folders before anything
 * that goes into them, and links, fifos and devices; workers write files.
 * libarchive writes (files_write.c); it defers the times and permissions of
 * folders until the end, and refuses to go through a symbolic link, which keeps
 * what is written below the folder that was named. That folder is resolved
 * first, so links above it, which its owner made, are fine.
 */
#include "libbackup/source/files_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/source/files_places.h"

#define WINDOW 16

/* A hard link whose first name is not restored: this name is instead. */
struct stand_in {
	char *link;  /* owned: entry path of the first name */
	char *place; /* owned: what was written in its stead */
};

/* A folder that was there before: libarchive sets the times of new ones last,
 * but those of old ones before they are filled. */
struct old_folder {
	char *place; /* owned */
	struct timespec mtime;
};

struct files_target {
	struct bkp_target base;
	const struct bkp_source_config *config;
	struct bkp_target_options options; /* copied; strings borrowed */
	struct bkp_supply *supply;
	struct bkp_run *run;
	struct files_places places;
	void *stand_ins; /* tsearch tree */
	void *absent;    /* tsearch tree of places: files that are not there */
	uint64_t wanted; /* entries but folders */
	struct old_folder *old_folders;
	size_t old_count, old_cap;
	struct bkp_entry_stream *stream;
	struct files_writer *writer;   /* the calling thread's */
	struct files_writer **writers; /* one a worker */
	unsigned writer_count;
};

struct item {
	struct fmt_entry entry;
	char *place; /* owned: where it goes */
	bool is_done;
	bool is_left_out; /* and that was noted */
};

/* ---- entries, one after another ---- */

static bool
is_kind(const struct fmt_entry *entry, const char *kind)
{
	return strcmp(entry->kind, kind) == 0;
}

/* The next selected entry: 1, 0 or -1. */
static int
next_selected(
    struct files_target *target, struct fmt_entry *entry, struct bkp_error *err)
{
	int got;

	for (;;) {
		got = bkp_entry_stream_next(target->stream, entry, err);
		if (got != 1 ||
		    bkp_supply_is_selected(target->supply, entry->path))
			return got;
		fmt_entry_free(entry);
	}
}

static int
open_stream(struct files_target *target, struct bkp_error *err)
{
	if (target->stream != NULL)
		bkp_entry_stream_close(target->stream);
	target->stream = NULL;
	return bkp_supply_entries(target->supply,
	    bkp_supply_selection(target->supply), &target->stream, err);
}

/* ---- check ---- */

struct check {
	char *leaf; /* owned: path of the last entry that is no folder */
	uint64_t bytes;
};

/* A list in which something lies below a file or a link was not written by a
 * walk. */
static int
check_nesting(
    struct check *check, const struct fmt_entry *entry, struct bkp_error *err)
{
	if (check->leaf != NULL && bkp_files_is_below(entry->path, check->leaf))
		return bkp_fail(err, BKP_CORRUPT,
		    "the entry '%s' lies below '%s', which is no folder; "
		    "nothing of it is restored",
		    entry->path, check->leaf);
	if (is_kind(entry, "files.directory"))
		return 0;
	free(check->leaf);
	check->leaf = bkp_strdup(entry->path, err);
	return check->leaf != NULL ? 0 : -1;
}

static int
check_entry(struct files_target *target, struct check *check,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	bool is_directory = is_kind(entry, "files.directory");
	char *place;
	struct stat st;
	int rc = 0;

	if (check_nesting(check, entry, err) < 0 ||
	    (place = bkp_files_place_of(&target->places, entry->path, err)) ==
		NULL)
		return -1;
	if (entry->has_content)
		check->bytes += entry->size;
	if (lstat(place, &st) == 0 && !(is_directory && S_ISDIR(st.st_mode)) &&
	    (!target->options.is_overwrite || S_ISDIR(st.st_mode)))
		rc = bkp_fail(err, BKP_EXISTS,
		    S_ISDIR(st.st_mode)
			? "%s is a folder, but is to become something else; "
			  "move it away, or restore to another folder"
			: "%s exists already; restore to another folder, or "
			  "allow overwriting (--overwrite)",
		    place);
	free(place);
	return rc;
}

/* The folder that exists and will hold what is made. */
static int
check_folder(struct files_target *target, uint64_t bytes, struct bkp_error *err)
{
	char *path = bkp_format(err, "%s/", target->places.folder), *slash;
	struct statvfs fs;
	uint64_t free_bytes;
	int rc = 0;

	while (path != NULL && (slash = strrchr(path, '/')) != NULL &&
	       slash != path && access(path, F_OK) < 0 && errno == ENOENT)
		*slash = '\0';
	if (path == NULL)
		return -1;
	if (target->options.to != NULL && access(path, W_OK) < 0)
		rc = bkp_fail_errno(err, errno, "writing to %s", path);
	else if (!target->options.is_overwrite && statvfs(path, &fs) == 0) {
		free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
		if (target->options.to != NULL && bytes > free_bytes)
			rc = bkp_fail(err, BKP_IO,
			    "%s has %llu MiB free, but %llu MiB are to be "
			    "restored; restore to another folder, or choose "
			    "less",
			    path, (unsigned long long)(free_bytes >> 20),
			    (unsigned long long)(bytes >> 20));
	}
	free(path);
	return rc;
}

static int
check(struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	struct files_target *target = (struct files_target *)base;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct check state = {NULL, 0};
	int got, rc = -1;

	target->supply = supply;
	target->run = bkp_supply_run(supply);
	if (bkp_files_places_init(&target->places, target->config,
		&target->options, supply, err) < 0 ||
	    open_stream(target, err) < 0)
		return -1;
	while ((got = next_selected(target, &entry, err)) == 1) {
		if (bkp_run_check(target->run, err) < 0 ||
		    check_entry(target, &state, &entry, err) < 0)
			goto out;
		fmt_entry_free(&entry);
	}
	if (got == 0)
		rc = check_folder(target, state.bytes, err);
out:
	fmt_entry_free(&entry);
	free(state.leaf);
	return rc;
}

/* ---- hard links of which only further names are selected ---- */

static int
compare_stand_ins(const void *a, const void *b)
{
	const struct stand_in *left = a, *right = b;

	return strcmp(left->link, right->link);
}

static void
free_stand_in(void *node)
{
	struct stand_in *stand_in = node;

	free(stand_in->link);
	free(stand_in->place);
	free(stand_in);
}

static int
add_stand_in(struct files_target *target, const char *link, const char *place,
    struct bkp_error *err)
{
	struct stand_in *new = bkp_alloc(sizeof(*new), err);

	if (new == NULL)
		return -1;
	new->link = bkp_strdup(link, err);
	new->place = bkp_strdup(place, err);
	if (new->link == NULL || new->place == NULL)
		goto fail;
	if (tsearch(new, &target->stand_ins, compare_stand_ins) == NULL) {
		(void)bkp_fail_nomem(err, "restoring a link");
		goto fail;
	}
	return 0;
fail:
	free_stand_in(new);
	return -1;
}

/* Takes the first name's entry for the item, under the item's own path. */
static int
fetch_first(struct files_target *target, struct item *item, const char *link,
    struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry first = FMT_ENTRY_INIT;
	char *path;
	int got;

	if (bkp_supply_entries(target->supply, link, &stream, err) < 0)
		return -1;
	got = bkp_entry_stream_next(stream, &first, err);
	bkp_entry_stream_close(stream);
	if (got == 1 && (strcmp(first.path, link) != 0 ||
			    is_kind(&first, "files.hardlink"))) {
		fmt_entry_free(&first);
		got = 0;
	}
	if (got == 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s is a hard link to %s, which is not in the snapshot",
		    item->entry.path, link);
	if (got < 0)
		return -1;
	/* Everything but the path is the first name's. */
	path = item->entry.path;
	item->entry.path = NULL;
	fmt_entry_free(&item->entry);
	item->entry = first;
	free(item->entry.path);
	item->entry.path = path;
	return add_stand_in(target, link, item->place, err);
}

/* A link whose first name is outside the selection becomes a file. */
static int
prepare_link(
    struct files_target *target, struct item *item, struct bkp_error *err)
{
	const json_t *value = json_object_get(item->entry.attrs, "link");
	struct bkp_error why = BKP_ERROR_INIT;
	struct stand_in key = {NULL, NULL};
	int rc = 0;

	key.link = bkp_files_path_text(value, err);
	if (key.link == NULL)
		return bkp_fail_in(err, "%s", item->entry.path);
	if (!bkp_supply_is_selected(target->supply, key.link) &&
	    tfind(&key, &target->stand_ins, compare_stand_ins) == NULL &&
	    fetch_first(target, item, key.link, &why) < 0) {
		item->is_left_out = true;
		rc = bkp_supply_lose(target->supply, err, &why,
		    item->entry.path, "not restored");
	}
	free(key.link);
	return rc;
}

static int
compare_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What the making of an item answered. */
static int
take_outcome(struct item *item, int rc)
{
	item->is_left_out = rc == 1;
	return rc < 0 ? -1 : 0;
}

/* Something else may be in the place of a file that was left out: other names
 * of it must not become names of that. Takes the item's place. */
static int
note_absent(
    struct files_target *target, struct item *item, struct bkp_error *err)
{
	if (tsearch(item->place, &target->absent, compare_text) == NULL)
		return bkp_fail_nomem(err, "restoring a file");
	item->place = NULL;
	return 0;
}

static int
finish_link(
    struct files_target *target, struct item *item, struct bkp_error *err)
{
	const json_t *value = json_object_get(item->entry.attrs, "link");
	struct stand_in key = {NULL, NULL}, **found;
	char *first = NULL;
	int rc = -1;

	key.link = bkp_files_path_text(value, err);
	if (key.link == NULL)
		return -1;
	found = tfind(&key, &target->stand_ins, compare_stand_ins);
	first = found != NULL
		    ? bkp_strdup((*found)->place, err)
		    : bkp_files_place_of(&target->places, key.link, err);
	if (first != NULL &&
	    tfind(first, &target->absent, compare_text) != NULL) {
		item->is_left_out = true;
		rc = bkp_run_omit(target->run, err, item->entry.path,
		    "not restored: it is another name of %s, which is not "
		    "restored",
		    first);
	} else if (first != NULL) {
		rc = take_outcome(
		    item, bkp_files_writer_link(target->writer, &item->entry,
			      item->place, first, err));
	}
	free(first);
	free(key.link);
	return rc;
}

/* ---- the pipeline ---- */

static void
discard(void *arg, void *taken)
{
	struct item *item = taken;

	(void)arg;
	fmt_entry_free(&item->entry);
	free(item->place);
	free(item);
}

static int
note_old_folder(
    struct files_target *target, const struct item *item, struct bkp_error *err)
{
	struct old_folder *old;
	struct stat st;

	if (!is_kind(&item->entry, "files.directory") ||
	    lstat(item->place, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	if (bkp_grow(&target->old_folders, target->old_count, &target->old_cap,
		sizeof(*target->old_folders), err) < 0)
		return -1;
	old = &target->old_folders[target->old_count];
	if (bkp_files_get_mtime(&item->entry, &old->mtime, err) < 0 ||
	    (old->place = bkp_strdup(item->place, err)) == NULL)
		return -1;
	target->old_count++;
	return 0;
}

/* Folders and what has no content are made here and now, in path order. */
static int
prepare_item(
    struct files_target *target, struct item *item, struct bkp_error *err)
{
	if ((item->place = bkp_files_place_of(
		 &target->places, item->entry.path, err)) == NULL)
		return -1;
	if (item->place[0] == '\0') { /* "/" itself */
		item->is_done = true;
		return 0;
	}
	if (is_kind(&item->entry, "files.hardlink"))
		return prepare_link(target, item, err);
	if (is_kind(&item->entry, "files.file"))
		return 0;
	item->is_done = true;
	if (note_old_folder(target, item, err) < 0)
		return -1;
	return take_outcome(item, bkp_files_writer_make(target->writer, NULL,
				      &item->entry, item->place, err));
}

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct files_target *target = arg;
	struct item *item = bkp_alloc(sizeof(*item), err);
	int got;

	if (item == NULL)
		return -1;
	got = next_selected(target, &item->entry, err);
	if (got != 1 || prepare_item(target, item, err) < 0) {
		discard(target, item);
		*out = NULL;
		return got == 0 ? 0 : -1;
	}
	*out = item;
	return 0;
}

static int
work(void *arg, unsigned worker, void *taken, struct bkp_error *err)
{
	struct files_target *target = arg;
	struct item *item = taken;

	struct bkp_error why = BKP_ERROR_INIT;

	if (item->is_done || is_kind(&item->entry, "files.hardlink"))
		return 0;
	if (take_outcome(item, bkp_files_writer_make(target->writers[worker],
				   bkp_supply_reader(target->supply, worker),
				   &item->entry, item->place, &why)) == 0)
		return 0;
	item->is_left_out = true;
	return bkp_supply_lose(
	    target->supply, err, &why, item->entry.path, "not restored");
}

static int
done(void *arg, void *taken, struct bkp_error *err)
{
	struct files_target *target = arg;
	struct item *item = taken;
	bool is_folder = is_kind(&item->entry, "files.directory");
	int rc = 0;

	bkp_run_count(target->run, 0, 1);
	if (is_kind(&item->entry, "files.hardlink") && !item->is_left_out)
		rc = finish_link(target, item, err);
	if (!is_folder)
		target->wanted++;
	if (!is_folder && !item->is_left_out)
		bkp_supply_restored(target->supply, 1);
	if (rc == 0 && item->is_left_out && item->place != NULL)
		rc = note_absent(target, item, err);
	discard(target, item);
	return rc;
}

static void
tick(void *arg)
{
	struct files_target *target = arg;

	bkp_run_tick(target->run);
}

/* ---- the target ---- */

static int
open_writers(struct files_target *target, struct bkp_error *err)
{
	unsigned count = bkp_run_workers(target->run);

	target->writers = bkp_alloc_array(count, sizeof(*target->writers), err);
	if (target->writers == NULL ||
	    bkp_files_writer_new(
		&target->options, target->run, &target->writer, err) < 0)
		return -1;
	for (; target->writer_count < count; target->writer_count++)
		if (bkp_files_writer_new(&target->options, target->run,
			&target->writers[target->writer_count], err) < 0)
			return -1;
	return 0;
}

/* The calling thread's writer last: it has the times of the folders. */
static int
finish_writers(struct files_target *target, struct bkp_error *err)
{
	for (unsigned i = 0; i < target->writer_count; i++)
		if (bkp_files_writer_finish(target->writers[i], err) < 0)
			return -1;
	return bkp_files_writer_finish(target->writer, err);
}

static void
set_old_times(const struct files_target *target)
{
	for (size_t i = 0; i < target->old_count; i++) {
		const struct old_folder *old = &target->old_folders[i];
		struct timespec times[2] = {
		    {.tv_nsec = UTIME_OMIT}, old->mtime};
		int fd = open(old->place,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		/* A folder that cannot be opened was told as an omission. */
		if (fd < 0)
			continue;
		(void)futimens(fd, times);
		(void)close(fd);
	}
}

static int
run(struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next,
	    .work = work,
	    .done = done,
	    .discard = discard,
	    .tick = tick};
	struct files_target *target = (struct files_target *)base;
	unsigned workers = bkp_run_workers(target->run);

	if (geteuid() != 0)
		bkp_run_message(target->run, BKP_WARNING,
		    bkp_supply_prefix(supply),
		    "not root: everything will belong to the user who runs "
		    "this");
	if (open_writers(target, err) < 0 || open_stream(target, err) < 0)
		return -1;
	if (bkp_pipeline_run(workers, workers * WINDOW, &ops, target,
		bkp_run_cancel(target->run), err) < 0)
		return -1;
	if (finish_writers(target, err) < 0)
		return -1;
	set_old_times(target);
	/* Folders count where there is nothing else. */
	if (target->wanted == 0)
		bkp_supply_restored(supply, 1);
	return 0;
}

static void
close_target(struct bkp_target *base)
{
	struct files_target *target = (struct files_target *)base;

	bkp_files_places_fini(&target->places);
	for (unsigned i = 0; i < target->writer_count; i++)
		bkp_files_writer_free(target->writers[i]);
	free(target->writers);
	bkp_files_writer_free(target->writer);
	if (target->stream != NULL)
		bkp_entry_stream_close(target->stream);
	tdestroy(target->stand_ins, free_stand_in);
	tdestroy(target->absent, free);
	for (size_t i = 0; i < target->old_count; i++)
		free(target->old_folders[i].place);
	free(target->old_folders);
	free(target);
}

int
bkp_files_target_open(const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_target **out,
    struct bkp_error *err)
{
	static const struct bkp_target_ops ops = {
	    .kind = "files", .check = check, .run = run, .close = close_target};
	struct files_target *target = bkp_alloc(sizeof(*target), err);

	if (target == NULL)
		return -1;
	target->base.ops = &ops;
	target->config = config;
	target->options = *options;
	*out = &target->base;
	return 0;
}
