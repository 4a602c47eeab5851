/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/jobs/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"

int
bkp_job_lock(const char *path, int *fd, char *who, size_t who_size,
    struct bkp_error *err)
{
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t len;

	if (file < 0)
		return bkp_fail_errno(err, errno, "opening the lock %s", path);
	if (flock(file, LOCK_EX | LOCK_NB) == 0) {
		*fd = file;
		return 0;
	}
	if (errno != EWOULDBLOCK) {
		(void)bkp_fail_errno(err, errno, "locking %s", path);
		(void)close(file);
		return -1;
	}
	len = pread(file, who, who_size - 1, 0);
	who[len > 0 ? len : 0] = '\0';
	who[strcspn(who, "\n")] = '\0';
	(void)close(file);
	return 1;
}

int
bkp_job_lock_sign(int fd, const char *text, struct bkp_error *err)
{
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    bkp_write_all(fd, text, strlen(text)) < 0)
		return bkp_fail_errno(err, errno, "writing who holds the lock");
	return 0;
}
