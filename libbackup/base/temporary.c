/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "libbackup/base/fail.h"

#define DESCRIPTORS 32 /* open folders at the most */

const char *
bkp_temporary_directory(void)
{
	const char *directory = getenv("TMPDIR");

	return directory != NULL && directory[0] != '\0' ? directory : "/tmp";
}

int
bkp_temporary_file(struct bkp_error *err)
{
	const char *directory = bkp_temporary_directory();
	char path[4096];
	int fd;

	fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has files without a name. */
	(void)snprintf(path, sizeof(path), "%s/libbackup-XXXXXX", directory);
	if ((fd = mkostemp(path, O_CLOEXEC)) < 0)
		return bkp_fail_errno(err, errno,
		    "making a temporary file in %s (TMPDIR names another)",
		    directory);
	(void)unlink(path);
	return fd;
}

static int
remove_one(
    const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	(void)remove(path); /* the rest still goes */
	return 0;
}

void
bkp_temporary_remove(const char *path)
{
	if (path != NULL)
		(void)nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}
