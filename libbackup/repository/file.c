/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"

#define FILE_MAX (64 * 1024)

int
bkp_secret_file_write(
    const char *path, const void *data, size_t len, struct bkp_error *err)
{
	int fd, saved = 0;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return bkp_fail_errno(err, errno, "%s: making the file", path);
	if (bkp_write_all(fd, data, len) < 0 || fsync(fd) < 0)
		saved = errno;
	if (close(fd) < 0 && saved == 0 && errno != EINTR)
		saved = errno;
	if (saved != 0)
		(void)bkp_fail_errno(err, saved, "%s: writing", path);
	else if (bkp_sync_folder_of(path, err) == 0)
		return 0;
	(void)unlink(path);
	return -1;
}

static int
check_private(int fd, const char *path, struct bkp_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return bkp_fail_errno(err, errno, "%s: looking at it", path);
	/* As ssh does it: a file that somebody else provides (a mounted
	 * secret) is that one's business. */
	if (st.st_uid == geteuid() && (st.st_mode & 077) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "%s: other users may read this key file (mode %04o); run "
		    "chmod 600 on it",
		    path, (unsigned)(st.st_mode & 07777));
	return 0;
}

static int
read_all(int fd, const char *path, struct fmt_buf *out, struct bkp_error *err)
{
	size_t before = out->len;
	ssize_t n;

	if (fmt_buf_reserve(out, FILE_MAX) != FMT_OK)
		return bkp_fail_nomem(err, "reading a file");
	do {
		n = read(
		    fd, out->data + out->len, FILE_MAX - (out->len - before));
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return bkp_fail_errno(err, errno, "%s: reading", path);
	if (out->len - before == FILE_MAX)
		return bkp_fail(
		    err, BKP_INVALID, "%s: too large for a key file", path);
	return 0;
}

int
bkp_secret_file_read(const char *path, bool is_private, struct fmt_buf *out,
    struct bkp_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return bkp_fail_errno(err, errno, "%s: opening", path);
	if (is_private && check_private(fd, path, err) < 0)
		rc = -1;
	else
		rc = read_all(fd, path, out, err);
	(void)close(fd);
	return rc;
}
