/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"

int
bkp_write_all(int fd, const void *data, size_t len)
{
	const unsigned char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int
bkp_sync_folder_of(const char *path, struct bkp_error *err)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	int fd, rc = 0;

	if (slash == NULL)
		folder = bkp_strdup(".", err);
	else
		folder = bkp_format(err, "%.*s", (int)(slash - path) + 1, path);
	if (folder == NULL)
		return -1;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Some file systems have nothing to sync in a folder. */
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		rc = bkp_fail_errno(err, errno, "%s: syncing", folder);
	if (fd >= 0)
		(void)close(fd);
	free(folder);
	return rc;
}
