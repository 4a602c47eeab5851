/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/files_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"

/* Names of one folder, NUL-ended in one buffer. One that ends in '/' is where
 * the walk descends into that folder. */
struct names {
	struct fmt_buf text;
	size_t *items; /* offsets into text */
	size_t count, cap;
};

struct frame {
	struct files_dir
	    *dir;        /* NULL at the top, whose names are whole paths */
	size_t path_len; /* of the folder's path in walk->path */
	struct names names;
	size_t next;
	dev_t device;
};

struct files_walk {
	const struct bkp_source_config *config;
	struct bkp_run *run;
	bool is_digest_only;
	const char *root; /* "" or the folder that stands for "/" */
	struct stat *repositories; /* their folders, to be left out */
	size_t repository_count;
	struct fmt_buf path;    /* of what is looked at */
	struct frame *frames;
	size_t depth, cap;
	json_t *roots;
};

bool
bkp_files_is_fatal(int errnum)
{
	return errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM;
}

/* ---- folders and findings ---- */

void
bkp_files_dir_release(struct files_dir *dir)
{
	if (dir == NULL || atomic_fetch_sub(&dir->users, 1) != 1)
		return;
	(void)close(dir->fd);
	free(dir);
}

static struct files_dir *
hold(struct files_dir *dir)
{
	atomic_fetch_add(&dir->users, 1);
	return dir;
}

/* Takes the descriptor, also on failure. */
static struct files_dir *
new_dir(int fd, struct bkp_error *err)
{
	struct files_dir *dir = bkp_alloc(sizeof(*dir), err);

	if (dir == NULL) {
		(void)close(fd);
		return NULL;
	}
	atomic_init(&dir->users, 1);
	dir->fd = fd;
	return dir;
}

void
bkp_files_found_free(struct files_found *found)
{
	if (found == NULL)
		return;
	bkp_files_dir_release(found->dir);
	free(found->path);
	free(found);
}

/* ---- paths and messages ---- */

static int
set_path(struct files_walk *walk, size_t keep, const char *add, size_t len,
    struct bkp_error *err)
{
	walk->path.len = keep;
	if (fmt_buf_append(&walk->path, add, len) != FMT_OK ||
	    fmt_buf_text(&walk->path) == NULL)
		return bkp_fail_nomem(err, "walking the files");
	return 0;
}

static const char *
path_of(const struct files_walk *walk)
{
	return (const char *)walk->path.data;
}

static int
omit(struct files_walk *walk, int errnum, struct bkp_error *err)
{
	char text[128];
	char *path;
	int rc;

	if (bkp_files_is_fatal(errnum))
		return bkp_fail_errno(err, errnum, "%s", path_of(walk));
	path = bkp_format(err, "%s%s", walk->config->prefix, path_of(walk));
	if (path == NULL)
		return -1;
	rc = bkp_run_omit(walk->run, err, path, "%s",
	    errnum == ENOENT ? "vanished before it was read"
			     : strerror_r(errnum, text, sizeof(text)));
	free(path);
	return rc;
}

static bool
is_excluded(const struct files_walk *walk, const char *name)
{
	const struct bkp_strings *exclude = &walk->config->files.exclude;

	for (size_t i = 0; i < exclude->count; i++)
		if (fnmatch(exclude->items[i], name, 0) == 0 ||
		    fnmatch(exclude->items[i], path_of(walk), FNM_PATHNAME) ==
			0)
			return true;
	return false;
}

static bool
is_repository(const struct files_walk *walk, const struct stat *st)
{
	for (size_t i = 0; i < walk->repository_count; i++)
		if (S_ISDIR(st->st_mode) &&
		    st->st_dev == walk->repositories[i].st_dev &&
		    st->st_ino == walk->repositories[i].st_ino)
			return true;
	return false;
}

/* True where `path` is a configured path or lies above one: then the walk
 * goes there whatever file system it is. */
static bool
is_asked_for(const struct files_walk *walk, const char *path)
{
	const struct bkp_strings *paths = &walk->config->files.paths;
	size_t len = strlen(path);

	for (size_t i = 0; i < paths->count; i++)
		if (strncmp(paths->items[i], path, len) == 0 &&
		    (paths->items[i][len] == '\0' ||
			paths->items[i][len] == '/'))
			return true;
	return false;
}

/* ---- names in order ---- */

static int
add_name(struct names *names, const char *name, size_t len, bool is_descent,
    struct bkp_error *err)
{
	size_t at = names->text.len;

	if (bkp_grow(&names->items, names->count, &names->cap,
		sizeof(*names->items), err) < 0)
		return -1;
	if (fmt_buf_append(&names->text, name, len) != FMT_OK ||
	    (is_descent && fmt_buf_append_byte(&names->text, '/') != FMT_OK) ||
	    fmt_buf_append_byte(&names->text, '\0') != FMT_OK)
		return bkp_fail_nomem(err, "walking the files");
	names->items[names->count++] = at;
	return 0;
}

/* strcmp compares bytes as unsigned, which is the order of entry lists. */
static int
compare_names(const void *a, const void *b, void *arg)
{
	const size_t *left = a, *right = b;
	const char *text = arg;

	return strcmp(text + *left, text + *right);
}

static void
sort_names(struct names *names)
{
	if (names->count > 1)
		qsort_r(names->items, names->count, sizeof(*names->items),
		    compare_names, names->text.data);
}

static bool
is_folder(int fd, const struct dirent *item)
{
	struct stat st;

	if (item->d_type != DT_UNKNOWN)
		return item->d_type == DT_DIR;
	return fstatat(fd, item->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int
list_items(struct files_walk *walk, DIR *stream, struct frame *frame,
    struct bkp_error *err)
{
	const struct dirent *item;

	while (errno = 0, (item = readdir(stream)) != NULL) {
		const char *name = item->d_name;
		size_t len = strlen(name);

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (set_path(walk, frame->path_len, "/", 1, err) < 0 ||
		    set_path(walk, frame->path_len + 1, name, len, err) < 0)
			return -1;
		if (is_excluded(walk, name) &&
		    !is_asked_for(walk, path_of(walk)))
			continue;
		if (add_name(&frame->names, name, len, false, err) < 0)
			return -1;
		if (is_folder(frame->dir->fd, item) &&
		    add_name(&frame->names, name, len, true, err) < 0)
			return -1;
	}
	if (errno == 0)
		return 0;
	walk->path.len = frame->path_len;
	if (fmt_buf_text(&walk->path) == NULL)
		return bkp_fail_nomem(err, "walking the files");
	return omit(walk, errno, err);
}

/* Reads the names of a folder. A stream of its own, so that the frame's
 * descriptor stays for openat. */
static int
list_folder(struct files_walk *walk, struct frame *frame, struct bkp_error *err)
{
	int fd =
	    openat(frame->dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
	int rc;

	if (stream == NULL) {
		int error = errno;

		if (fd >= 0)
			(void)close(fd);
		return omit(walk, error, err);
	}
	rc = list_items(walk, stream, frame, err);
	(void)closedir(stream);
	sort_names(&frame->names);
	return rc;
}

/* ---- frames ---- */

static struct frame *
push(struct files_walk *walk, struct bkp_error *err)
{
	struct frame *frame;

	if (bkp_grow(&walk->frames, walk->depth, &walk->cap,
		sizeof(*walk->frames), err) < 0)
		return NULL;
	frame = &walk->frames[walk->depth++];
	memset(frame, 0, sizeof(*frame));
	return frame;
}

static void
pop(struct files_walk *walk)
{
	struct frame *frame = &walk->frames[--walk->depth];

	bkp_files_dir_release(frame->dir);
	fmt_buf_free(&frame->names.text);
	free(frame->names.items);
}

/* Opens what walk->path names: below the folder of a frame, or at the top. The
 * last component is never a link that is followed. */
static int
open_at(struct files_walk *walk, const struct frame *frame, int flags,
    struct bkp_error *err)
{
	const char *name = strrchr(path_of(walk), '/');
	char *whole = NULL;
	int fd, at = AT_FDCWD, error;

	flags |= O_CLOEXEC | O_NOFOLLOW;
	if (frame->dir != NULL) {
		at = frame->dir->fd;
		name = name != NULL ? name + 1 : path_of(walk);
	} else {
		whole = bkp_format(err, "%s%s%s", walk->root, path_of(walk),
		    walk->path.len == 0 ? "/" : "");
		if (whole == NULL)
			return -2;
		name = whole;
	}
	fd = openat(at, name, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(at, name, flags);
	error = errno;
	free(whole);
	errno = error;
	return fd;
}

/* Goes into the folder at walk->path. */
static int
descend(struct files_walk *walk, size_t parent, struct bkp_error *err)
{
	int fd =
	    open_at(walk, &walk->frames[parent], O_RDONLY | O_DIRECTORY, err);
	struct files_dir *dir;
	struct frame *frame;
	struct stat st;

	if (fd == -2)
		return -1;
	/* What is no folder any more was told with its own entry. */
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP
			   ? 0
			   : omit(walk, errno, err);
	if ((dir = new_dir(fd, err)) == NULL)
		return -1;
	if (fstat(fd, &st) < 0 || is_repository(walk, &st) ||
	    (walk->config->files.one_file_system && parent > 0 &&
		st.st_dev != walk->frames[parent].device &&
		!is_asked_for(walk, path_of(walk)))) {
		bkp_files_dir_release(dir);
		return 0;
	}
	if ((frame = push(walk, err)) == NULL) {
		bkp_files_dir_release(dir);
		return -1;
	}
	frame->dir = dir;
	frame->device = st.st_dev;
	frame->path_len = walk->path.len;
	return list_folder(walk, frame, err);
}

/* ---- the top ---- */

/* True where another configured path lies above this one. */
static bool
is_covered(const struct bkp_strings *paths, size_t n)
{
	for (size_t i = 0; i < paths->count; i++) {
		size_t len = strlen(paths->items[i]);

		if (i == n)
			continue;
		if (len == 1) /* "/" */
			return strcmp(paths->items[n], "/") != 0 || i < n;
		if (strncmp(paths->items[i], paths->items[n], len) == 0 &&
		    (paths->items[n][len] == '/' ||
			(paths->items[n][len] == '\0' && i < n)))
			return true;
	}
	return false;
}

static int
add_root(struct files_walk *walk, struct frame *top, const char *path,
    struct bkp_error *err)
{
	const char *recorded = strcmp(path, "/") == 0 ? "" : path;
	size_t len = strlen(recorded);
	struct stat st;
	json_t *item;
	char *whole;
	int rc;

	if (set_path(walk, 0, recorded, len, err) < 0)
		return -1;
	whole = bkp_format(err, "%s%s", walk->root, path);
	if (whole == NULL)
		return -1;
	rc = lstat(whole, &st) < 0 ? errno : 0;
	free(whole);
	if (rc == ENOENT && !walk->is_digest_only)
		bkp_run_message(walk->run, BKP_WARNING, path,
		    "is not there: make it, or correct 'paths'");
	/* A comparison tells by itself what it does not find. */
	if (rc != 0)
		return walk->is_digest_only ? 0 : omit(walk, rc, err);
	if (S_ISLNK(st.st_mode))
		bkp_run_message(walk->run, BKP_WARNING, path,
		    "is a symbolic link: the link is kept, not what it points "
		    "to; name that under 'paths' if it is meant");
	item = bkp_files_path_json(path);
	if (item == NULL || json_array_append_new(walk->roots, item) < 0)
		return bkp_fail_nomem(err, "walking the files");
	if (add_name(&top->names, recorded, len, false, err) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		return add_name(&top->names, recorded, len, true, err);
	return 0;
}

static int
add_roots(struct files_walk *walk, struct bkp_error *err)
{
	const struct bkp_strings *paths = &walk->config->files.paths;
	struct frame *top = push(walk, err);

	if (top == NULL)
		return -1;
	for (size_t i = 0; i < paths->count; i++)
		if (!is_covered(paths, i) &&
		    add_root(walk, top, paths->items[i], err) < 0)
			return -1;
	sort_names(&top->names);
	return 0;
}

/* The folder of this backup's repository, and of the others on this machine. */
static int
find_repositories(struct files_walk *walk, const struct bkp_files_config *files,
    struct bkp_error *err)
{
	size_t most = files->repositories != NULL ? files->repositories->count
						  : 0;

	walk->repositories =
	    bkp_alloc_array(most + 1, sizeof(*walk->repositories), err);
	if (walk->repositories == NULL)
		return -1;
	if (files->repository != NULL &&
	    stat(files->repository, &walk->repositories[0]) == 0)
		walk->repository_count = 1;
	for (size_t i = 0; i < most; i++)
		if (stat(files->repositories->items[i],
			&walk->repositories[walk->repository_count]) == 0)
			walk->repository_count++;
	return 0;
}

int
bkp_files_walk_new(const struct bkp_source_config *config,
    struct bkp_sink *sink, struct files_walk **out, struct bkp_error *err)
{
	const struct bkp_files_config *files = &config->files;
	struct files_walk *walk = bkp_alloc(sizeof(*walk), err);

	if (walk == NULL)
		return -1;
	walk->config = config;
	walk->run = bkp_sink_run(sink);
	walk->is_digest_only = bkp_sink_is_digest_only(sink);
	walk->root = files->root != NULL && strcmp(files->root, "/") != 0
			 ? files->root
			 : "";
	if (find_repositories(walk, files, err) < 0)
		goto fail;
	if ((walk->roots = json_array()) == NULL) {
		(void)bkp_fail_nomem(err, "walking the files");
		goto fail;
	}
	if (add_roots(walk, err) < 0)
		goto fail;
	*out = walk;
	return 0;
fail:
	bkp_files_walk_free(walk);
	return -1;
}

void
bkp_files_walk_free(struct files_walk *walk)
{
	if (walk == NULL)
		return;
	while (walk->depth > 0)
		pop(walk);
	free(walk->frames);
	free(walk->repositories);
	fmt_buf_free(&walk->path);
	json_decref(walk->roots);
	free(walk);
}

json_t *
bkp_files_walk_roots(const struct files_walk *walk)
{
	return json_incref(walk->roots);
}

/* ---- one after another ---- */

/* The folder that holds a configured path; here links are followed, for the
 * path is what a person wrote. */
static struct files_dir *
parent_of_root(struct files_walk *walk, struct bkp_error *err)
{
	const char *path = path_of(walk), *slash = strrchr(path, '/');
	size_t len = slash != NULL ? (size_t)(slash - path) : 0;
	char *parent = bkp_format(err, "%s%.*s/", walk->root, (int)len, path);
	int fd;

	if (parent == NULL)
		return NULL;
	fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		(void)bkp_fail_errno(err, errno, "%s", parent);
	free(parent);
	return fd >= 0 ? new_dir(fd, err) : NULL;
}

static struct files_found *
new_found(
    struct files_walk *walk, const struct frame *frame, struct bkp_error *err)
{
	struct files_found *found = bkp_alloc(sizeof(*found), err);
	const char *slash;

	if (found == NULL)
		return NULL;
	found->path = bkp_strdup(path_of(walk), err);
	found->dir =
	    frame->dir != NULL ? hold(frame->dir) : parent_of_root(walk, err);
	if (found->path == NULL || found->dir == NULL) {
		bkp_files_found_free(found);
		return NULL;
	}
	slash = strrchr(found->path, '/');
	found->name = slash != NULL ? slash + 1 : ".";
	return found;
}

/* Looks at what walk->path names. *out stays NULL where it is left out. */
static int
look_at(struct files_walk *walk, const struct frame *frame,
    struct files_found **out, struct bkp_error *err)
{
	struct files_found *found = new_found(walk, frame, err);
	int rc = 0;

	if (found == NULL)
		return -1;
	if (fstatat(found->dir->fd, found->name, &found->st,
		AT_SYMLINK_NOFOLLOW) < 0) {
		rc = omit(walk, errno, err);
	} else if (is_repository(walk, &found->st)) {
		bkp_run_message(walk->run, BKP_INFO, path_of(walk),
		    "is the repository itself and is left out");
	} else {
		*out = found;
		return 0;
	}
	bkp_files_found_free(found);
	return rc;
}

int
bkp_files_walk_next(
    struct files_walk *walk, struct files_found **out, struct bkp_error *err)
{
	struct files_found *found = NULL;

	while (found == NULL && walk->depth > 0) {
		size_t at = walk->depth - 1;
		struct frame *frame = &walk->frames[at];
		const char *name;
		size_t len;
		bool is_descent;

		if (frame->next == frame->names.count) {
			pop(walk);
			continue;
		}
		name = (const char *)frame->names.text.data +
		       frame->names.items[frame->next++];
		len = strlen(name);
		is_descent = len > 0 && name[len - 1] == '/';
		if (set_path(walk, frame->path_len, "/", at > 0, err) < 0 ||
		    set_path(
			walk, walk->path.len, name, len - is_descent, err) < 0)
			return -1;
		if ((is_descent ? descend(walk, at, err)
				: look_at(walk, frame, &found, err)) < 0)
			return -1;
	}
	*out = found;
	return 0;
}
