/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/memfile.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"

int
bkp_memfile_open(struct bkp_memfile *out, struct bkp_error *err)
{
	int fd = memfd_create("libbackup", MFD_CLOEXEC);
	char *path;

	if (fd < 0)
		return bkp_fail_errno(err, errno, "making a file in memory");
	path = bkp_format(err, "/proc/%ld/fd/%d", (long)getpid(), fd);
	if (path == NULL) {
		(void)close(fd);
		return -1;
	}
	*out = (struct bkp_memfile){fd, path};
	return 0;
}

int
bkp_memfile_write(
    void *memfile, const void *data, size_t len, struct bkp_error *err)
{
	const struct bkp_memfile *file = memfile;

	if (bkp_write_all(file->fd, data, len) < 0)
		return bkp_fail_errno(err, errno, "writing a file in memory");
	return 0;
}

int
bkp_memfile_read(const struct bkp_memfile *memfile, struct fmt_buf *out,
    struct bkp_error *err)
{
	enum fmt_status status;
	struct stat st;
	void *data;

	if (fstat(memfile->fd, &st) < 0)
		return bkp_fail_errno(err, errno, "reading a file in memory");
	if (st.st_size == 0)
		return 0;
	data = mmap(
	    NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, memfile->fd, 0);
	if (data == MAP_FAILED)
		return bkp_fail_errno(err, errno, "reading a file in memory");
	status = fmt_buf_append(out, data, (size_t)st.st_size);
	(void)munmap(data, (size_t)st.st_size);
	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "a file in memory");
}

void
bkp_memfile_close(struct bkp_memfile *memfile)
{
	if (memfile->fd >= 0)
		(void)close(memfile->fd);
	free(memfile->path);
	*memfile = (struct bkp_memfile)BKP_MEMFILE_INIT;
}
