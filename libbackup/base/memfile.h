/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_MEMFILE_H
#define LIBBACKUP_BASE_MEMFILE_H

/*
 * A file that has neither a name nor a disk, for programs that read files and
 * for bytes that no disk may see. Its pages are not this process's.
 */

#include <stddef.h>

#include "formats/buf.h"
#include "libbackup/error.h"

struct bkp_memfile {
	int fd;     /* owned */
	char *path; /* owned: others open it by this, while it is open here */
};

#define BKP_MEMFILE_INIT                                                       \
	{                                                                      \
		-1, NULL                                                       \
	}

int bkp_memfile_open(struct bkp_memfile *out, struct bkp_error *err);

/* Appends; a bkp_bytes_fn. */
int bkp_memfile_write(
    void *memfile, const void *data, size_t len, struct bkp_error *err);

/* Appends all that is in it, by whoever wrote it. */
int bkp_memfile_read(const struct bkp_memfile *memfile, struct fmt_buf *out,
    struct bkp_error *err);

void bkp_memfile_close(struct bkp_memfile *memfile); /* leaves INIT */

#endif
