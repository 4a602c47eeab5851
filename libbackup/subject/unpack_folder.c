/* SPDX-License-Identifier: Apache-2.0 */
/* An export that is a folder: its files, no links followed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/unpack_own.h"

#define PORTION ((size_t)256 * 1024)
#define DEPTH_MAX 200

struct folder {
	struct bkp_unpack *unpack;
	unsigned char *room; /* PORTION bytes */
	unsigned depth;
};

static int walk(
    struct folder *folder, int fd, const char *name, struct bkp_error *err);

static int
read_file(
    struct folder *folder, int fd, const char *name, struct bkp_error *err)
{
	ssize_t n = 1;

	if (bkp_unpack_begin(folder->unpack, name, err) < 0)
		return -1;
	while (n > 0) {
		n = read(fd, folder->room, PORTION);
		if (n < 0 && errno == EINTR) {
			n = 1;
			continue;
		}
		if (n < 0)
			return bkp_fail_errno(err, errno, "%s", name);
		if (n > 0 && bkp_unpack_put(folder->unpack, folder->room,
				 (size_t)n, err) < 0)
			return -1;
	}
	return bkp_unpack_end(folder->unpack, err);
}

/* `name` is the path from the top; the last component of it is below `at`. */
static int
read_entry(struct folder *folder, int at, const char *name, const char *last,
    struct bkp_error *err)
{
	int fd = openat(at, last,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int rc;

	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		return bkp_fail(err, BKP_CORRUPT,
		    "%s is neither a file nor a folder; nothing of this is "
		    "used",
		    name);
	if (fd < 0)
		return bkp_fail_errno(err, errno, "%s", name);
	if (fstat(fd, &st) < 0)
		rc = bkp_fail_errno(err, errno, "%s", name);
	else if (S_ISDIR(st.st_mode))
		return walk(folder, fd, name, err);
	else if (S_ISREG(st.st_mode))
		rc = read_file(folder, fd, name, err);
	else
		rc = bkp_fail(err, BKP_CORRUPT,
		    "%s is neither a file nor a folder; nothing of this is "
		    "used",
		    name);
	(void)close(fd);
	return rc;
}

/* Takes the descriptor. */
static int
walk(struct folder *folder, int fd, const char *name, struct bkp_error *err)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (dir == NULL) {
		rc = bkp_fail_errno(err, errno, "%s", name);
		(void)close(fd);
		return rc;
	}
	if (++folder->depth > DEPTH_MAX)
		rc = bkp_fail(err, BKP_CORRUPT, "%s: folders too deep", name);
	while (rc == 0) {
		char *path;

		errno = 0;
		if ((entry = readdir(dir)) == NULL) {
			if (errno != 0)
				rc = bkp_fail_errno(err, errno, "%s", name);
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		path = bkp_format(err, "%s%s%s", name, *name != '\0' ? "/" : "",
		    entry->d_name);
		rc = path == NULL ? -1
				  : read_entry(folder, dirfd(dir), path,
					entry->d_name, err);
		free(path);
	}
	folder->depth--;
	(void)closedir(dir);
	return rc;
}

int
bkp_unpack_folder(
    struct bkp_unpack *unpack, const char *location, struct bkp_error *err)
{
	struct folder folder = {.unpack = unpack};
	int fd = open(location, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;

	if (fd < 0)
		return bkp_fail_errno(err, errno, "opening it");
	folder.room = bkp_alloc(PORTION, err);
	if (folder.room != NULL)
		rc = walk(&folder, fd, "", err);
	else
		(void)close(fd);
	free(folder.room);
	return rc;
}
