/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/report_save.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"

#define READ_MOST ((size_t)1024 * 1024)
#define TRIES 8

/* ---- writing ---- */

static int
write_to(int fd, const char *path, bool is_synced, const void *data, size_t len,
    struct bkp_error *err)
{
	int rc = 0;

	if (bkp_write_all(fd, data, len) < 0 || (is_synced && fsync(fd) < 0))
		rc = bkp_fail_errno(err, errno, "writing %s", path);
	if (close(fd) < 0 && rc == 0)
		rc = bkp_fail_errno(err, errno, "writing %s", path);
	return rc;
}

/* A file beside `file` that nobody else has: made with the modes that the
 * umask allows, for a CI server and a monitor run as others. */
static int
open_beside(const char *file, char **path, struct bkp_error *err)
{
	for (int n = 0; n < TRIES; n++) {
		uint64_t random;
		int fd;

		if (getrandom(&random, sizeof(random), 0) !=
		    (ssize_t)sizeof(random))
			return bkp_fail_errno(err, errno, "naming a file");
		*path = bkp_format(err, "%s.tmp-%016" PRIx64, file, random);
		if (*path == NULL)
			return -1;
		fd = open(*path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST) {
			(void)bkp_fail_errno(err, errno, "making %s", *path);
			break;
		}
		free(*path);
		*path = NULL;
	}
	free(*path);
	*path = NULL;
	return -1;
}

static int
replace(const char *file, mode_t mode, const void *data, size_t len,
    struct bkp_error *err)
{
	char *path = NULL;
	int fd = open_beside(file, &path, err), rc = 0;

	if (fd < 0)
		return -1;
	if (mode != 0 && fchmod(fd, mode) < 0) {
		rc = bkp_fail_errno(err, errno, "setting modes of %s", path);
		(void)close(fd);
	} else
		rc = write_to(fd, path, true, data, len, err);
	if (rc == 0 && rename(path, file) < 0)
		rc = bkp_fail_errno(err, errno, "renaming %s", path);
	if (rc == 0)
		rc = bkp_sync_folder_of(file, err);
	else
		(void)unlink(path);
	free(path);
	return rc;
}

/* A pipe or a device: renaming over it would take it away. */
static int
write_through(
    const char *file, const void *data, size_t len, struct bkp_error *err)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return bkp_fail_errno(err, errno, "opening it");
	return write_to(fd, file, false, data, len, err);
}

int
bkp_report_file_write(
    const char *file, const void *data, size_t len, struct bkp_error *err)
{
	return bkp_report_file_write_mode(file, 0, data, len, err);
}

int
bkp_report_file_write_mode(const char *file, mode_t mode, const void *data,
    size_t len, struct bkp_error *err)
{
	struct stat there;
	char *real;
	int rc;

	if (stat(file, &there) < 0)
		return replace(file, mode, data, len, err);
	if (!S_ISREG(there.st_mode))
		return write_through(file, data, len, err);
	if ((real = realpath(file, NULL)) == NULL)
		return bkp_fail_errno(err, errno, "finding it");
	rc = replace(real, mode, data, len, err);
	free(real);
	return rc;
}

/* ---- reading ---- */

int
bkp_report_file_read(const char *file, struct fmt_buf *out)
{
	struct stat there;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &there) == 0 && S_ISREG(there.st_mode) &&
	    (uint64_t)there.st_size <= READ_MOST &&
	    fmt_buf_reserve(out, (size_t)there.st_size) == FMT_OK) {
		ssize_t got = read(fd, out->data, (size_t)there.st_size);

		if (got >= 0) {
			out->len = (size_t)got;
			rc = 0;
		}
	}
	(void)close(fd);
	return rc;
}
