/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"

#define BLOCK 65536u /* read at a time */

/* How one of the two is looked for. */
struct search {
	const char *what;
	const char *own, *systemd, *xdg; /* of the environment */
	const char *below_home, *system;
};

static const struct search state = {"state", "BACKUP_STATE_DIR",
    "STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state/libbackup",
    "/var/lib/libbackup"};
static const struct search cache = {"cache", "BACKUP_CACHE_DIR",
    "CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache/libbackup",
    "/var/cache/libbackup"};

static const char *
get_variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] == '/' ? value : NULL;
}

/* systemd names several directories with ':' between them. */
static int
first_length(const char *list)
{
	return (int)strcspn(list, ":");
}

static char *
find(const struct search *search, struct bkp_error *err)
{
	const char *value;

	if ((value = get_variable(search->own)) != NULL)
		return bkp_strdup(value, err);
	if ((value = get_variable(search->systemd)) != NULL)
		return bkp_format(err, "%.*s", first_length(value), value);
	if ((value = get_variable(search->xdg)) != NULL)
		return bkp_format(err, "%s/libbackup", value);
	if ((value = get_variable("HOME")) != NULL)
		return bkp_format(err, "%s/%s", value, search->below_home);
	return bkp_strdup(search->system, err);
}

/* Makes every folder of the path that is missing. */
static int
make_all(char *path, struct bkp_error *err)
{
	for (char *slash = strchr(path + 1, '/');;
	     slash = strchr(slash + 1, '/')) {
		int rc;

		if (slash != NULL)
			*slash = '\0';
		rc = mkdir(path, 0700);
		if (rc < 0 && errno != EEXIST)
			return bkp_fail_errno(err, errno, "making %s", path);
		if (slash == NULL)
			return 0;
		*slash = '/';
	}
}

static char *
get_directory(
    const struct search *search, const char *below, struct bkp_error *err)
{
	char *base = find(search, err), *path = NULL;

	if (base != NULL)
		path = below != NULL ? bkp_format(err, "%s/%s", base, below)
				     : bkp_strdup(base, err);
	if (path != NULL && make_all(path, err) < 0) {
		(void)bkp_fail_in(err,
		    "no place for the %s of this machine; %s may name one",
		    search->what, search->own);
		free(path);
		path = NULL;
	}
	free(base);
	return path;
}

char *
bkp_state_directory(const char *below, struct bkp_error *err)
{
	return get_directory(&state, below, err);
}

char *
bkp_cache_directory(const char *below, struct bkp_error *err)
{
	return get_directory(&cache, below, err);
}

/* ---- files ---- */

static int
read_all(int fd, const char *path, struct fmt_buf *out, struct bkp_error *err)
{
	ssize_t n;

	do {
		if (fmt_buf_reserve(out, BLOCK) != FMT_OK)
			return bkp_fail_nomem(err, path);
		n = read(fd, out->data + out->len, BLOCK);
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? bkp_fail_errno(err, errno, "%s: reading", path) : 0;
}

int
bkp_place_read_own(const char *path, struct fmt_buf *out, struct bkp_error *err)
{
	/* A pipe would wait for somebody who writes. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc;
	struct stat st;

	if (fd < 0)
		return bkp_fail_errno(err, errno, "%s: opening", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		rc = bkp_fail(err, BKP_NOTFOUND,
		    "%s may have been written by somebody else", path);
	else
		rc = read_all(fd, path, out, err);
	(void)close(fd);
	return rc;
}

int
bkp_place_read(const char *path, struct fmt_buf *out, struct bkp_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return bkp_fail_errno(err, errno, "%s: opening", path);
	rc = read_all(fd, path, out, err);
	(void)close(fd);
	return rc;
}

/* Writes a file that is to be renamed; leaves none on failure. */
static int
write_part(char *part, const void *data, size_t len, struct bkp_error *err)
{
	int fd = mkostemp(part, O_CLOEXEC), saved = 0;

	if (fd < 0)
		return bkp_fail_errno(err, errno, "%s: making the file", part);
	if (bkp_write_all(fd, data, len) < 0 || fsync(fd) < 0)
		saved = errno;
	if (close(fd) < 0 && saved == 0 && errno != EINTR)
		saved = errno;
	if (saved == 0)
		return 0;
	(void)unlink(part);
	return bkp_fail_errno(err, saved, "%s: writing", part);
}

int
bkp_place_write(
    const char *path, const void *data, size_t len, struct bkp_error *err)
{
	char *part = bkp_format(err, "%s.XXXXXX", path);
	int rc = -1;

	if (part != NULL && write_part(part, data, len, err) == 0) {
		rc = rename(part, path);
		if (rc < 0) {
			(void)bkp_fail_errno(
			    err, errno, "%s: putting in place", path);
			(void)unlink(part);
		}
	}
	free(part);
	return rc == 0 ? bkp_sync_folder_of(path, err) : -1;
}

bool
bkp_place_has_room(const char *folder, uint64_t least)
{
	struct statvfs fs;

	return statvfs(folder, &fs) == 0 &&
	       (uint64_t)fs.f_bavail * fs.f_frsize > least;
}

uint64_t
bkp_place_room(const char *folder)
{
	struct statvfs fs;

	if (statvfs(folder, &fs) < 0)
		return UINT64_MAX;
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}
