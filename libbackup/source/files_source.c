/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as entries. The calling thread walks, decides which name of an inode is
 * the first and what is unchanged since the previous snapshot; workers read.
 *
 * Memory bound: WINDOW items a worker (a path, a struct stat, the chunk list of
 * a file), the names that the walk holds, and one record for each inode whose
 * further names are still to come.
 */
#include "libbackup/source/files_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"

#define WINDOW 16
#define READ_SIZE ((size_t)256 * 1024)
#define SPARSE_MAX 4096 /* extents that are recorded; beyond: none */
#define FRESH_NS (2LL * 1000 * 1000 * 1000)

/* What a worker has of its own. */
struct reader {
	struct archive *disk;
	unsigned char *buffer; /* READ_SIZE */
};

/* An inode with several names. */
struct links {
	dev_t device;
	ino_t inode;
	char *first;      /* owned: entry path of its first name */
	nlink_t expected; /* names that are still to come, at the most */
	unsigned users;   /* items under way */
	bool is_stored;   /* the first name was handed over */
};

struct item {
	struct files_found *found;
	struct fmt_entry entry;
	struct links *links; /* borrowed from the tree; NULL: one name */
	bool is_link;        /* a further name */
	bool is_ready;       /* needs no work: link, or taken over */
	bool is_omitted;
};

struct files_source {
	struct bkp_source base;
	const struct bkp_source_config *config;
	struct bkp_sink *sink;
	struct bkp_run *run;
	struct files_walk *walk;
	struct bkp_entry_stream *previous; /* NULL: none, or at its end */
	struct fmt_entry candidate;        /* the next of `previous` */
	void *links;                       /* tsearch tree of struct links */
	struct reader *readers;            /* one a worker */
	unsigned reader_count;
	json_t *roots;
};

/* ---- inodes with several names ---- */

static int
compare_links(const void *a, const void *b)
{
	const struct links *left = a, *right = b;

	if (left->device != right->device)
		return left->device < right->device ? -1 : 1;
	if (left->inode != right->inode)
		return left->inode < right->inode ? -1 : 1;
	return 0;
}

static void
free_links(void *node)
{
	struct links *links = node;

	free(links->first);
	free(links);
}

static struct links *
add_links(
    struct files_source *source, const struct item *item, struct bkp_error *err)
{
	struct links *links = bkp_alloc(sizeof(*links), err);

	if (links == NULL)
		return NULL;
	links->device = item->found->st.st_dev;
	links->inode = item->found->st.st_ino;
	links->expected = item->found->st.st_nlink;
	links->first = bkp_strdup(item->entry.path, err);
	if (links->first == NULL ||
	    tsearch(links, &source->links, compare_links) == NULL) {
		free_links(links);
		(void)bkp_fail_nomem(err, "remembering hard links");
		return NULL;
	}
	return links;
}

/* Finds out whether the item is a further name of an inode. */
static int
look_up_links(
    struct files_source *source, struct item *item, struct bkp_error *err)
{
	struct links key = {
	    .device = item->found->st.st_dev, .inode = item->found->st.st_ino};
	struct links **node = tfind(&key, &source->links, compare_links);

	if (node != NULL) {
		item->links = *node;
		item->is_link = item->is_ready = true;
	} else if ((item->links = add_links(source, item, err)) == NULL) {
		return -1;
	}
	item->links->users++;
	if (item->links->expected > 0)
		item->links->expected--;
	return 0;
}

/* Forgets an inode when no name of it can come any more. */
static void
release_links(struct files_source *source, struct item *item)
{
	struct links *links = item->links;

	item->links = NULL;
	if (links == NULL || --links->users > 0 || links->expected > 0)
		return;
	(void)tdelete(links, &source->links, compare_links);
	free_links(links);
}

/* ---- the previous snapshot ---- */

/* Moves on to the first earlier entry at or behind `path`. True where it is
 * at it. */
static int
seek_previous(
    struct files_source *source, const char *path, struct bkp_error *err)
{
	int order = -1;

	while (source->previous != NULL) {
		int got;

		if (source->candidate.path != NULL) {
			order = fmt_entry_compare(source->candidate.path, path);
			if (order >= 0)
				return order == 0;
		}
		fmt_entry_free(&source->candidate);
		got = bkp_entry_stream_next(
		    source->previous, &source->candidate, err);
		if (got < 0)
			return -1;
		if (got == 0) {
			bkp_entry_stream_close(source->previous);
			source->previous = NULL;
		}
	}
	return 0;
}

/* Takes the earlier entry of an unchanged file over. */
static int
take_over(struct files_source *source, struct item *item, struct bkp_error *err)
{
	int found = seek_previous(source, item->entry.path, err);

	if (found <= 0 || !S_ISREG(item->found->st.st_mode))
		return found < 0 ? -1 : 0;
	if (strcmp(source->candidate.kind, "files.file") != 0 ||
	    !bkp_files_is_unchanged(&source->candidate, &item->found->st) ||
	    !bkp_sink_has_entry(source->sink, &source->candidate))
		return 0;
	fmt_entry_free(&item->entry);
	item->entry = source->candidate;
	source->candidate = (struct fmt_entry)FMT_ENTRY_INIT;
	item->is_ready = true;
	return 0;
}

/* ---- next: the walk ---- */

static const char *
kind_of(mode_t mode)
{
	if (S_ISREG(mode))
		return "files.file";
	if (S_ISDIR(mode))
		return "files.directory";
	if (S_ISLNK(mode))
		return "files.symlink";
	if (S_ISFIFO(mode))
		return "files.fifo";
	if (S_ISBLK(mode) || S_ISCHR(mode))
		return "files.device";
	return NULL;
}

static void
discard(void *arg, void *taken)
{
	struct item *item = taken;

	if (item == NULL)
		return;
	release_links(arg, item);
	bkp_files_found_free(item->found);
	fmt_entry_free(&item->entry);
	free(item);
}

static int
omit(struct files_source *source, struct item *item, struct bkp_error *err,
    const char *reason)
{
	item->is_omitted = item->is_ready = true;
	return bkp_run_omit(source->run, err, item->entry.path, "%s", reason);
}

/* Fills in what the calling thread decides. */
static int
prepare_item(
    struct files_source *source, struct item *item, struct bkp_error *err)
{
	const struct stat *st = &item->found->st;
	const char *kind = kind_of(st->st_mode);
	char *path =
	    bkp_format(err, "%s%s", source->config->prefix, item->found->path);
	enum fmt_status status;

	if (path == NULL)
		return -1;
	status = fmt_entry_init(
	    &item->entry, path, kind != NULL ? kind : "files.socket");
	free(path);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "%s", item->found->path);
	if (kind == NULL)
		return omit(source, item, err,
		    "is a socket, which holds no data; 'exclude' silences "
		    "this");
	if (st->st_nlink > 1 && !S_ISDIR(st->st_mode) &&
	    look_up_links(source, item, err) < 0)
		return -1;
	return item->is_link ? 0 : take_over(source, item, err);
}

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct files_source *source = arg;
	struct item *item = bkp_alloc(sizeof(*item), err);

	if (item == NULL)
		return -1;
	if (bkp_files_walk_next(source->walk, &item->found, err) < 0) {
		discard(source, item);
		return -1;
	}
	if (item->found == NULL) {
		discard(source, item);
		*out = NULL;
		return 0;
	}
	if (prepare_item(source, item, err) < 0) {
		discard(source, item);
		return -1;
	}
	*out = item;
	return 0;
}

/* ---- work: reading ---- */

static int
open_item(const struct item *item, int flags)
{
	int at = item->found->dir->fd, fd;

	flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	fd = openat(at, item->found->name, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(at, item->found->name, flags);
	return fd;
}

/* An errno of one file is an omission; one of the machine fails the run. */
static int
omit_errno(struct files_source *source, struct item *item, int errnum,
    const char *doing, struct bkp_error *err)
{
	char reason[192], text[128];

	if (bkp_files_is_fatal(errnum))
		return bkp_fail_errno(err, errnum, "%s", item->entry.path);
	if (errnum == ENOENT)
		return omit(source, item, err, "vanished before it was read");
	(void)snprintf(reason, sizeof(reason), "%s: %s", doing,
	    strerror_r(errnum, text, sizeof(text)));
	return omit(source, item, err, reason);
}

/* Where reading stands in a file with holes. */
struct extent {
	uint64_t from, to; /* data; from == to: none before `to` */
};

/* The next data at or behind `offset`; a hole up to `size` where there is
 * none. */
static void
find_data(int fd, uint64_t offset, uint64_t size, struct extent *out)
{
	off_t from = lseek(fd, (off_t)offset, SEEK_DATA), to;

	out->from = out->to = size;
	if (from < 0 && errno != ENXIO)
		from = (off_t)offset; /* not told: all is data */
	if (from < 0 || (uint64_t)from >= size)
		return;
	to = lseek(fd, from, SEEK_HOLE);
	out->from = (uint64_t)from;
	out->to = to < 0 || (uint64_t)to > size ? size : (uint64_t)to;
}

static int
write_zeros(struct bkp_content *content, struct reader *reader, uint64_t len,
    struct bkp_run *run, struct bkp_error *err)
{
	memset(reader->buffer, 0, READ_SIZE);
	while (len > 0) {
		size_t n = len < READ_SIZE ? (size_t)len : READ_SIZE;

		if (bkp_run_check(run, err) < 0 ||
		    bkp_content_write(content, reader->buffer, n, err) < 0)
			return -1;
		bkp_run_count(run, n, 0);
		len -= n;
	}
	return 0;
}

/* Passes [from, to) on. *got tells how many there were; an errno in *errnum
 * and 0 where the file cannot be read. */
static int
pass_on(struct files_source *source, struct bkp_content *content,
    struct reader *reader, int fd, const struct extent *extent, uint64_t *got,
    int *errnum, struct bkp_error *err)
{
	uint64_t at = extent->from;

	while (at < extent->to) {
		uint64_t left = extent->to - at;
		ssize_t n = pread(fd, reader->buffer,
		    left < READ_SIZE ? (size_t)left : READ_SIZE, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			*errnum = errno;
		if (n <= 0)
			break;
		if (bkp_run_check(source->run, err) < 0 ||
		    bkp_content_write(content, reader->buffer, (size_t)n, err) <
			0)
			return -1;
		bkp_run_count(source->run, (uint64_t)n, 0);
		at += (uint64_t)n;
	}
	*got += at - extent->from;
	return 0;
}

/* Reads a file of which stat says it has `size` bytes, holes as zeros. With
 * `map` the extents of data are noted. *size becomes what was read. */
static int
read_content(struct files_source *source, struct bkp_content *content,
    struct reader *reader, int fd, uint64_t *size, json_t *map, int *errnum,
    struct bkp_error *err)
{
	uint64_t at = 0, end = *size;

	while (at < end && *errnum == 0) {
		struct extent extent = {0, end};
		uint64_t got = 0;

		if (map != NULL) {
			find_data(fd, at, end, &extent);
			if (write_zeros(content, reader, extent.from - at,
				source->run, err) < 0)
				return -1;
			at = extent.from;
		}
		if (map != NULL && extent.to > extent.from &&
		    json_array_append_new(
			map, json_pack("[I,I]", (json_int_t)extent.from,
				 (json_int_t)(extent.to - extent.from))) < 0)
			return bkp_fail_nomem(err, "reading a file");
		if (pass_on(source, content, reader, fd, &extent, &got, errnum,
			err) < 0)
			return -1;
		at += got;
		if (at < extent.to) /* became shorter */
			break;
	}
	*size = at;
	return 0;
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* A change within the clock's grain after the read would not be seen by the
 * next run: the times of such a file are not to be trusted. */
static bool
is_settled(const struct stat *st)
{
	struct timespec now;
	long long age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = (long long)(now.tv_sec - st->st_ctim.tv_sec) * 1000000000 +
	      now.tv_nsec - st->st_ctim.tv_nsec;
	return age > FRESH_NS;
}

static bool
has_holes(const struct stat *st)
{
	return (uint64_t)st->st_blocks * 512 < (uint64_t)st->st_size;
}

/* Reads the file once. *is_steady: it did not change meanwhile. */
static int
read_once(struct files_source *source, unsigned worker, struct item *item,
    int fd, bool *is_steady, int *errnum, struct bkp_error *err)
{
	struct bkp_content *content = bkp_sink_content(source->sink, worker);
	struct reader *reader = &source->readers[worker];
	struct stat before, after;
	json_t *map = NULL;
	uint64_t size;
	bool is_fresh;
	int rc = -1;

	if (fstat(fd, &before) < 0) {
		*errnum = errno;
		return 0;
	}
	is_fresh = !is_settled(&before);
	size = (uint64_t)before.st_size;
	if (has_holes(&before) && (map = json_array()) == NULL)
		return bkp_fail_nomem(err, "reading a file");
	if (bkp_content_begin(content, &item->entry, err) < 0)
		goto out;
	if (read_content(source, content, reader, fd, &size, map, errnum, err) <
	    0) {
		bkp_content_abort(content);
		goto out;
	}
	if (*errnum != 0) {
		bkp_content_abort(content);
		rc = 0;
		goto out;
	}
	if (bkp_content_end(content, err) < 0)
		goto out;
	*is_steady = size == (uint64_t)before.st_size &&
		     fstat(fd, &after) == 0 && is_same(&before, &after);
	if (bkp_files_describe(&item->entry, &before, fd, reader->disk,
		*is_steady && !is_fresh, err) < 0)
		goto out;
	if (*is_steady && map != NULL && json_array_size(map) <= SPARSE_MAX)
		rc = bkp_files_set(
		    &item->entry, "sparse", json_incref(map), err);
	else
		rc = 0;
out:
	json_decref(map);
	return rc;
}

static int
read_file(struct files_source *source, unsigned worker, struct item *item,
    struct bkp_error *err)
{
	bool is_steady = false;
	struct stat st;
	int fd = open_item(item, 0), errnum = 0, rc = -1;

	if (fd < 0)
		return omit_errno(source, item, errno, "cannot be opened", err);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		rc = omit(source, item, err,
		    "became something else while it was looked at");
		goto out;
	}
	for (int i = 0; i < 2 && !is_steady && errnum == 0; i++)
		if (read_once(
			source, worker, item, fd, &is_steady, &errnum, err) < 0)
			goto out;
	if (errnum != 0)
		rc = omit_errno(source, item, errnum, "cannot be read", err);
	else if (!is_steady)
		rc = bkp_run_omit(source->run, err, item->entry.path,
		    "changed while being read, twice; what is stored may be a "
		    "mixture");
	else
		rc = 0;
out:
	(void)close(fd);
	return rc;
}

static int
read_link(struct files_source *source, struct reader *reader, struct item *item,
    struct bkp_error *err)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlinkat(item->found->dir->fd, item->found->name, target,
	    sizeof(target) - 1);

	if (n < 0)
		return omit_errno(source, item, errno, "cannot be read", err);
	target[n] = '\0';
	if (bkp_files_describe(&item->entry, &item->found->st, -1, reader->disk,
		true, err) < 0)
		return -1;
	return bkp_files_set(
	    &item->entry, "target", bkp_files_path_json(target), err);
}

/* A folder that cannot be opened is still an entry; what it holds is told by
 * the walk. */
static int
describe(struct files_source *source, struct reader *reader, struct item *item,
    struct bkp_error *err)
{
	struct stat st = item->found->st;
	int fd = -1, rc;

	if (S_ISDIR(st.st_mode))
		fd = open_item(item, O_DIRECTORY);
	if (fd < 0 && S_ISDIR(st.st_mode) && bkp_files_is_fatal(errno))
		return bkp_fail_errno(err, errno, "%s", item->entry.path);
	if (fd >= 0 && fstat(fd, &st) < 0)
		rc = omit_errno(source, item, errno, "cannot be read", err);
	else
		rc = bkp_files_describe(
		    &item->entry, &st, fd, reader->disk, true, err);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

static int
work(void *arg, unsigned worker, void *taken, struct bkp_error *err)
{
	struct files_source *source = arg;
	struct reader *reader = &source->readers[worker];
	struct item *item = taken;
	int rc;

	if (item->is_ready)
		return 0;
	if (S_ISREG(item->found->st.st_mode))
		rc = read_file(source, worker, item, err);
	else if (S_ISLNK(item->found->st.st_mode))
		rc = read_link(source, reader, item, err);
	else
		rc = describe(source, reader, item, err);
	return rc < 0 ? bkp_fail_in(err, "%s", item->entry.path) : 0;
}

/* ---- done: handing over ---- */

/* A further name of an inode: its first name must have been stored. */
static int
finish_link(
    struct files_source *source, struct item *item, struct bkp_error *err)
{
	if (!item->links->is_stored)
		return bkp_run_omit(source->run, err, item->entry.path,
		    "is another name of %s, which was left out",
		    item->links->first);
	free(item->entry.kind);
	item->entry.kind = bkp_strdup("files.hardlink", err);
	if (item->entry.kind == NULL ||
	    bkp_files_set(&item->entry, "link",
		bkp_files_path_json(item->links->first), err) < 0)
		return -1;
	return bkp_sink_entry(source->sink, &item->entry, err);
}

static int
done(void *arg, void *taken, struct bkp_error *err)
{
	struct files_source *source = arg;
	struct item *item = taken;
	int rc = 0;

	bkp_run_count(source->run, 0, 1);
	if (item->is_link) {
		rc = finish_link(source, item, err);
	} else if (!item->is_omitted) {
		rc = bkp_sink_entry(source->sink, &item->entry, err);
		if (rc == 0 && item->links != NULL)
			item->links->is_stored = true;
	}
	discard(source, item);
	return rc;
}

static void
tick(void *arg)
{
	struct files_source *source = arg;

	bkp_run_tick(source->run);
}

/* ---- the source ---- */

static int
open_readers(struct files_source *source, struct bkp_error *err)
{
	unsigned count = bkp_run_workers(source->run);

	source->readers = bkp_alloc_array(count, sizeof(*source->readers), err);
	if (source->readers == NULL)
		return -1;
	source->reader_count = count;
	for (unsigned i = 0; i < count; i++) {
		struct reader *reader = &source->readers[i];

		reader->buffer = bkp_alloc(READ_SIZE, err);
		reader->disk = archive_read_disk_new();
		if (reader->buffer == NULL)
			return -1;
		if (reader->disk == NULL ||
		    archive_read_disk_set_standard_lookup(reader->disk) !=
			ARCHIVE_OK ||
		    archive_read_disk_set_behavior(
			reader->disk, ARCHIVE_READDISK_NO_SPARSE) != ARCHIVE_OK)
			return bkp_fail_nomem(err, "preparing to read files");
	}
	return 0;
}

static int
prepare(struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	struct files_source *source = (struct files_source *)base;

	(void)err;
	source->sink = sink;
	source->run = bkp_sink_run(sink);
	if (bkp_sink_is_digest_only(sink) && geteuid() != 0)
		bkp_run_message(source->run, BKP_WARNING, base->prefix,
		    "owners are not compared: only root can give files away");
	return 0;
}

static int
run(struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next,
	    .work = work,
	    .done = done,
	    .discard = discard,
	    .tick = tick};
	struct files_source *source = (struct files_source *)base;
	unsigned workers = bkp_run_workers(source->run);

	if (open_readers(source, err) < 0 ||
	    bkp_files_walk_new(source->config, sink, &source->walk, err) < 0 ||
	    bkp_sink_previous(sink, &source->previous, err) < 0)
		return -1;
	source->roots = bkp_files_walk_roots(source->walk);
	return bkp_pipeline_run(workers, workers * WINDOW, &ops, source,
	    bkp_run_cancel(source->run), err);
}

static int
info(struct bkp_source *base, json_t **out, struct bkp_error *err)
{
	struct files_source *source = (struct files_source *)base;
	json_t *facts = json_pack("{s:O}", "paths", source->roots);

	if (facts == NULL)
		return bkp_fail_nomem(err, "describing the source");
	*out = facts;
	return 0;
}

static void
close_source(struct bkp_source *base)
{
	struct files_source *source = (struct files_source *)base;

	for (unsigned i = 0; i < source->reader_count; i++) {
		if (source->readers[i].disk != NULL)
			(void)archive_read_free(source->readers[i].disk);
		free(source->readers[i].buffer);
	}
	free(source->readers);
	bkp_files_walk_free(source->walk);
	if (source->previous != NULL)
		bkp_entry_stream_close(source->previous);
	fmt_entry_free(&source->candidate);
	tdestroy(source->links, free_links);
	json_decref(source->roots);
	free(source);
}

int
bkp_files_source_open(const struct bkp_source_config *config,
    struct bkp_source **out, struct bkp_error *err)
{
	static const struct bkp_source_ops ops = {.kind = "files",
	    .prepare = prepare,
	    .run = run,
	    .info = info,
	    .close = close_source};
	struct files_source *source = bkp_alloc(sizeof(*source), err);

	if (source == NULL)
		return -1;
	source->base.ops = &ops;
	source->base.prefix = config->prefix;
	source->config = config;
	*out = &source->base;
	return 0;
}
