/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects as files below a directory. A file is written under a temporary name
 * at the top of the same directory, synced, renamed into place, and then every
 * directory above it is synced: only after that is the put answered. A killed
 * run leaves at most a tmp-* file, which no listing shows and a later probe
 * takes away.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"
#include "libbackup/store/store.h"

#define TEMP_NAME_SIZE 24       /* "tmp-", 16 hex digits, NUL */
#define TEMP_LEFT_S (25 * 3600) /* nobody writes a file for so long */

/* Files from here on are written past the page cache, so much at a time and
 * from such addresses. */
#define DIRECT_MIN (1024u * 1024)
#define DIRECT_STEP (4u * 1024 * 1024)
#define DIRECT_ALIGN 4096u

struct directory {
	struct bkp_store base;
	int fd;
	bool has_made_root, was_empty; /* at CREATE */
};

static int
fd_of(const struct bkp_store *store)
{
	return ((const struct directory *)store)->fd;
}

/* ---- system calls that a signal may interrupt ---- */

static int
open_at(int fd, const char *name, int flags, mode_t mode)
{
	int opened;

	do {
		opened = openat(fd, name, flags | O_CLOEXEC, mode);
	} while (opened < 0 && errno == EINTR);
	return opened;
}

static int
sync_fd(int fd)
{
	int rc;

	do {
		rc = fsync(fd);
	} while (rc < 0 && errno == EINTR);
	return rc;
}

/* ---- what is in a directory ---- */

static bool
is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Calls fn, where there is one, for whatever is in the directory, and hands
 * `newer` on. Answers how many that are; below 0: it cannot be read. */
static int
each_inside(int root,
    void (*fn)(int root, const char *name, const struct stat *newer),
    const struct stat *newer)
{
	int fd = open_at(root, ".", O_RDONLY | O_DIRECTORY, 0), count = 0;
	const struct dirent *entry;
	DIR *dir;

	if (fd < 0 || (dir = fdopendir(fd)) == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL)
		if (!is_dot(entry->d_name)) {
			count++;
			if (fn != NULL)
				fn(root, entry->d_name, newer);
		}
	(void)closedir(dir);
	return count;
}

/* ---- writing ---- */

static int
temp_name(char out[TEMP_NAME_SIZE], struct bkp_error *err)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return bkp_fail_errno(err, errno, "naming a temporary file");
	(void)snprintf(out, TEMP_NAME_SIZE, "tmp-%016" PRIx64, random);
	return 0;
}

/*
 * Writes what it can past the page cache, which has better things to keep than
 * a pack that nobody reads again: where the database is on the same machine it
 * would push out the database. It also took a tenth of the processor's time
 * where that was measured.
 *
 * Answers how much that was: the rest, or all where the file system knows no
 * such thing, goes the usual way, which finds out what is wrong, too.
 */
static size_t
write_direct(int fd, const unsigned char *data, size_t len)
{
	bool is_aligned = (uintptr_t)data % DIRECT_ALIGN == 0;
	int flags = fcntl(fd, F_GETFL);
	unsigned char *room = NULL;
	size_t done = 0;

	if (len < DIRECT_MIN || flags < 0)
		return 0;
	if (!is_aligned)
		room = aligned_alloc(DIRECT_ALIGN, DIRECT_STEP);
	if ((!is_aligned && room == NULL) ||
	    fcntl(fd, F_SETFL, flags | O_DIRECT) < 0) {
		free(room);
		return 0;
	}
	while (len - done >= DIRECT_ALIGN) {
		size_t n = len - done < DIRECT_STEP ? len - done : DIRECT_STEP;
		ssize_t put;

		n -= n % DIRECT_ALIGN;
		if (!is_aligned)
			memcpy(room, data + done, n);
		put = write(fd, is_aligned ? data + done : room, n);
		if (put > 0)
			done += (size_t)put;
		if (put != (ssize_t)n)
			break;
	}
	free(room);
	(void)fcntl(fd, F_SETFL, flags);
	return done;
}

/* Writes a whole, synced temporary file; leaves none on failure. */
static int
write_temp(int root, const char *temp, const void *data, size_t len,
    struct bkp_error *err)
{
	int fd = open_at(root, temp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	int saved = 0;
	size_t done;

	if (fd < 0)
		return bkp_fail_errno(err, errno, "making a file");
	done = write_direct(fd, data, len);
	if (bkp_write_all(fd, (const char *)data + done, len - done) < 0 ||
	    sync_fd(fd) < 0)
		saved = errno;
	if (close(fd) < 0 && saved == 0 && errno != EINTR)
		saved = errno;
	if (saved == 0)
		return 0;
	(void)unlinkat(root, temp, 0);
	return bkp_fail_errno(err, saved, "writing %zu bytes", len);
}

/* Calls fn for every directory above `name`, the outermost first. */
static int
each_parent(int root, const char *name,
    int (*fn)(int root, const char *parent, struct bkp_error *err),
    struct bkp_error *err)
{
	char parent[256];

	for (const char *slash = strchr(name, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		(void)snprintf(
		    parent, sizeof(parent), "%.*s", (int)(slash - name), name);
		if (fn(root, parent, err) < 0)
			return -1;
	}
	return 0;
}

static int
make_parent(int root, const char *parent, struct bkp_error *err)
{
	if (mkdirat(root, parent, 0700) < 0 && errno != EEXIST)
		return bkp_fail_errno(
		    err, errno, "making the directory %s", parent);
	return 0;
}

static int
sync_parent(int root, const char *parent, struct bkp_error *err)
{
	int fd = open_at(root, parent, O_RDONLY | O_DIRECTORY, 0);
	int rc = 0;

	if (fd < 0 || sync_fd(fd) < 0)
		rc = bkp_fail_errno(
		    err, errno, "syncing the directory %s", parent);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* All of them, not the last alone: another process may have made one of them
 * a moment ago and not have synced it yet. */
static int
sync_parents(int root, const char *name, struct bkp_error *err)
{
	if (each_parent(root, name, sync_parent, err) < 0)
		return -1;
	if (sync_fd(root) < 0)
		return bkp_fail_errno(err, errno, "syncing the directory");
	return 0;
}

static int
rename_over(int root, const char *temp, const char *name)
{
	return renameat(root, temp, root, name);
}

/* Fails with EEXIST where the name is taken. Not every file system (NFS) has
 * a rename that does not replace; a link serves as well. */
static int
rename_new(int root, const char *temp, const char *name)
{
	if (renameat2(root, temp, root, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (linkat(root, temp, root, name, 0) < 0)
		return -1;
	(void)unlinkat(root, temp, 0);
	return 0;
}

static int
place(int root, const char *temp, const char *name,
    int (*move)(int root, const char *temp, const char *name),
    struct bkp_error *err)
{
	if (move(root, temp, name) == 0)
		return 0;
	if (errno == ENOENT) {
		if (each_parent(root, name, make_parent, err) < 0)
			return -1;
		if (move(root, temp, name) == 0)
			return 0;
	}
	if (errno == EEXIST)
		return bkp_fail(err, BKP_EXISTS, "exists already");
	return bkp_fail_errno(err, errno, "renaming into place");
}

static int
store_file(struct bkp_store *store, const char *name, const void *data,
    size_t len, int (*move)(int root, const char *temp, const char *name),
    struct bkp_error *err)
{
	int root = fd_of(store);
	char temp[TEMP_NAME_SIZE];

	if (temp_name(temp, err) < 0 ||
	    write_temp(root, temp, data, len, err) < 0)
		return -1;
	if (place(root, temp, name, move, err) < 0) {
		(void)unlinkat(root, temp, 0);
		return -1;
	}
	return sync_parents(root, name, err);
}

static int
directory_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	return store_file(store, name, data, len, rename_over, err);
}

static int
directory_put_new(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	return store_file(store, name, data, len, rename_new, err);
}

static int
directory_remove(
    struct bkp_store *store, const char *name, struct bkp_error *err)
{
	int root = fd_of(store);

	if (unlinkat(root, name, 0) < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == EISDIR)
			return bkp_fail(
			    err, BKP_NOTFOUND, "there is no such object");
		return bkp_fail_errno(err, errno, "removing");
	}
	return sync_parents(root, name, err);
}

static bool
is_temp_name(const char *name)
{
	return strncmp(name, "tmp-", 4) == 0 && strlen(name) == 20 &&
	       strspn(name + 4, "0123456789abcdef") == 16;
}

/* What killed ones left, which may be as large as packs are. The file system's
 * own clock says how old it is: `probe` was written just now. That one cannot
 * be removed harms nobody. */
static void
remove_leftover(int root, const char *name, const struct stat *probe)
{
	struct stat st;

	if (is_temp_name(name) &&
	    fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && st.st_mtime < probe->st_mtime - TEMP_LEFT_S)
		(void)unlinkat(root, name, 0);
}

static int
directory_probe(struct bkp_store *store, struct bkp_error *err)
{
	int root = fd_of(store);
	char temp[TEMP_NAME_SIZE];
	struct stat st;

	if (temp_name(temp, err) < 0 ||
	    write_temp(root, temp, "probe", 5, err) < 0)
		return -1;
	if (fstatat(root, temp, &st, 0) == 0)
		(void)each_inside(root, remove_leftover, &st);
	if (unlinkat(root, temp, 0) < 0)
		return bkp_fail_errno(err, errno, "removing a file");
	return 0;
}

/* ---- reading ---- */

/* Opens an object; whatever is no plain file is none. */
static int
open_object(int root, const char *name, struct stat *st, struct bkp_error *err)
{
	int fd = open_at(root, name, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return bkp_fail(
			    err, BKP_NOTFOUND, "there is no such object");
		return bkp_fail_errno(err, errno, "opening");
	}
	if (fstat(fd, st) < 0)
		(void)bkp_fail_errno(err, errno, "looking at the file");
	else if (!S_ISREG(st->st_mode))
		(void)bkp_fail(err, BKP_NOTFOUND, "there is no such object");
	else
		return fd;
	(void)close(fd);
	return -1;
}

static int
read_range(int fd, uint64_t offset, size_t len, struct fmt_buf *out,
    struct bkp_error *err)
{
	if (fmt_buf_reserve(out, len) != FMT_OK)
		return bkp_fail_nomem(err, "reading an object");
	while (len > 0) {
		ssize_t n = pread(fd, out->data + out->len, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bkp_fail_errno(err, errno, "reading");
		if (n == 0)
			return bkp_fail(err, BKP_CORRUPT,
			    "the object ends %zu bytes early", len);
		out->len += (size_t)n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int
directory_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	struct stat st;
	uint64_t size;
	int fd, rc;

	if ((fd = open_object(fd_of(store), name, &st, err)) < 0)
		return -1;
	size = (uint64_t)st.st_size;
	if (len == BKP_STORE_WHOLE && offset <= size)
		len = size - offset;
	if (offset > size || len > size - offset)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "the object has %llu bytes, and more were expected",
		    (unsigned long long)size);
	else
		rc = read_range(fd, offset, (size_t)len, out, err);
	(void)close(fd);
	return rc;
}

static void
fill_object(const struct stat *st, struct bkp_store_object *out)
{
	out->size = (uint64_t)st->st_size;
	out->modified_us =
	    (int64_t)st->st_mtim.tv_sec * 1000000 + st->st_mtim.tv_nsec / 1000;
}

static int
directory_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err)
{
	struct stat st;

	if (fstatat(fd_of(store), name, &st, 0) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return bkp_fail_errno(
			    err, errno, "looking at the file");
		st.st_mode = 0;
	}
	if (!S_ISREG(st.st_mode))
		return bkp_fail(err, BKP_NOTFOUND, "there is no such object");
	fill_object(&st, out);
	return 0;
}

/* ---- listing ---- */

struct listing {
	int root;
	const char *prefix;
	struct bkp_store_object *items; /* the names are owned */
	size_t count, cap;
};

static int walk(
    struct listing *listing, const char *path, struct bkp_error *err);

/* True where `path` begins with the prefix or leads to what does. */
static bool
is_on_the_way(const struct listing *listing, const char *path)
{
	size_t len = strlen(path), prefix_len = strlen(listing->prefix);

	return strncmp(path, listing->prefix,
		   len < prefix_len ? len : prefix_len) == 0;
}

static int
keep_file(struct listing *listing, const char *path, const struct stat *st,
    struct bkp_error *err)
{
	struct bkp_store_object object;

	if (strncmp(path, listing->prefix, strlen(listing->prefix)) != 0)
		return 0;
	fill_object(st, &object);
	if (bkp_grow(&listing->items, listing->count, &listing->cap,
		sizeof(*listing->items), err) < 0)
		return -1;
	if ((object.name = bkp_strdup(path, err)) == NULL)
		return -1;
	listing->items[listing->count++] = object;
	return 0;
}

/* What is not named as objects are (lost+found, tmp-*) is not ours. */
static int
look_at(struct listing *listing, const char *directory, const char *name,
    struct bkp_error *err)
{
	struct stat st;
	char *path;
	int rc = 0;

	path = bkp_format(
	    err, "%s%s%s", directory, directory[0] != '\0' ? "/" : "", name);
	if (path == NULL)
		return -1;
	if (!bkp_store_is_name(path) || !is_on_the_way(listing, path))
		goto out;
	if (fstatat(listing->root, path, &st, 0) < 0) {
		if (errno != ENOENT) /* else removed a moment ago */
			rc = bkp_fail_errno(err, errno, "%s", path);
		goto out;
	}
	if (S_ISDIR(st.st_mode))
		rc = walk(listing, path, err);
	else if (S_ISREG(st.st_mode))
		rc = keep_file(listing, path, &st, err);
out:
	free(path);
	return rc;
}

static int
walk(struct listing *listing, const char *path, struct bkp_error *err)
{
	const struct dirent *entry;
	DIR *dir = NULL;
	int fd, rc = 0;

	fd = open_at(listing->root, path[0] != '\0' ? path : ".",
	    O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 && errno == ENOENT && path[0] != '\0')
		return 0;
	if (fd < 0 || (dir = fdopendir(fd)) == NULL) {
		rc = bkp_fail_errno(err, errno, "opening the directory %s",
		    path[0] != '\0' ? path : ".");
		if (fd >= 0)
			(void)close(fd);
		return rc;
	}
	while (rc == 0) {
		errno = 0;
		if ((entry = readdir(dir)) == NULL)
			break;
		rc = look_at(listing, path, entry->d_name, err);
	}
	if (rc == 0 && errno != 0)
		rc = bkp_fail_errno(err, errno, "reading the directory %s",
		    path[0] != '\0' ? path : ".");
	(void)closedir(dir);
	return rc;
}

/* A directory that was removed reads as empty. */
static int
check_is_there(int root, struct bkp_error *err)
{
	struct stat st;

	if (fstat(root, &st) < 0)
		return bkp_fail_errno(err, errno, "looking at the directory");
	if (st.st_nlink == 0)
		return bkp_fail(
		    err, BKP_NOTFOUND, "the directory has been removed");
	return 0;
}

static int
compare_objects(const void *a, const void *b)
{
	const struct bkp_store_object *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
directory_list(struct bkp_store *store, const char *prefix,
    bkp_store_list_fn *fn, void *arg, struct bkp_error *err)
{
	struct listing listing = {.root = fd_of(store), .prefix = prefix};
	int rc = walk(&listing, "", err);

	if (rc == 0)
		rc = check_is_there(listing.root, err);
	if (rc == 0 && listing.count > 1)
		qsort(listing.items, listing.count, sizeof(*listing.items),
		    compare_objects);
	for (size_t i = 0; rc == 0 && i < listing.count; i++)
		rc = fn(arg, &listing.items[i], err);
	for (size_t i = 0; i < listing.count; i++)
		free((char *)(uintptr_t)listing.items[i].name);
	free(listing.items);
	return rc;
}

/* ---- opening ---- */

/* With the empty folders in it. */
static void
remove_empty(int root, const char *name, const struct stat *unused)
{
	int fd;

	if (unlinkat(root, name, AT_REMOVEDIR) == 0 ||
	    (errno != ENOTEMPTY && errno != EEXIST))
		return;
	fd = open_at(root, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return;
	(void)each_inside(fd, remove_empty, unused);
	(void)close(fd);
	(void)unlinkat(root, name, AT_REMOVEDIR);
}

/* Where the place was empty, every folder in it came after CREATE. One that
 * holds anything stays, as whoever put that there will want it. */
static void
directory_undo_create(struct bkp_store *store)
{
	struct directory *directory = (struct directory *)store;

	if (directory->was_empty && directory->fd >= 0)
		(void)each_inside(directory->fd, remove_empty, NULL);
	if (directory->has_made_root)
		(void)rmdir(store->location);
}

static void
directory_close(struct bkp_store *store)
{
	struct directory *directory = (struct directory *)store;

	if (directory->fd >= 0)
		(void)close(directory->fd);
	free(store->location);
	free(directory);
}

static const struct bkp_store_ops directory_ops = {
    .driver = "directory",
    .put = directory_put,
    .put_new = directory_put_new,
    .get = directory_get,
    .stat = directory_stat,
    .list = directory_list,
    .remove = directory_remove,
    .probe = directory_probe,
    .undo_create = directory_undo_create,
    .close = directory_close,
};

/* Makes the directory itself and makes its name last. */
static int
create_root(const char *path, bool *has_made, struct bkp_error *err)
{
	char *parent;
	int rc = 0, fd;

	if (mkdir(path, 0700) < 0) {
		if (errno == EEXIST)
			return 0;
		return bkp_fail_errno(err, errno, "%s: making it", path);
	}
	*has_made = true;
	if ((parent = bkp_format(err, "%s/..", path)) == NULL)
		return -1;
	fd = open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 || sync_fd(fd) < 0)
		rc = bkp_fail_errno(
		    err, errno, "%s: syncing the directory above it", path);
	if (fd >= 0)
		(void)close(fd);
	free(parent);
	return rc;
}

static int
open_root(const char *path, struct bkp_error *err)
{
	int fd = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return bkp_fail(
		    err, BKP_NOTFOUND, "%s: there is no such directory", path);
	if (errno == ENOTDIR)
		return bkp_fail(
		    err, BKP_INVALID, "%s: this is not a directory", path);
	return bkp_fail_errno(err, errno, "%s: opening", path);
}

int
bkp_store_directory_open(const char *path, enum bkp_store_mode mode,
    struct bkp_store **out, struct bkp_error *err)
{
	struct directory *directory = bkp_alloc(sizeof(*directory), err);

	if (directory == NULL)
		return -1;
	directory->base.ops = &directory_ops;
	directory->fd = -1;
	directory->base.location = bkp_strdup(path, err);
	if (directory->base.location == NULL)
		goto fail;
	if (mode == BKP_STORE_CREATE &&
	    create_root(path, &directory->has_made_root, err) < 0)
		goto fail;
	if ((directory->fd = open_root(path, err)) < 0)
		goto fail;
	if (mode == BKP_STORE_CREATE)
		directory->was_empty =
		    each_inside(directory->fd, NULL, NULL) == 0;
	if (mode == BKP_STORE_CREATE &&
	    bkp_store_probe(&directory->base, err) < 0)
		goto fail;
	*out = &directory->base;
	return 0;
fail:
	directory_undo_create(&directory->base);
	directory_close(&directory->base);
	return -1;
}
