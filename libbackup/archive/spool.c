/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/archive/spool.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/age.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"
#include "libbackup/base/write.h"

#define BLOCK ((size_t)256 * 1024)

struct bkp_spool {
	int fd;                           /* owned */
	struct fmt_age_identity identity; /* secret */
	struct fmt_age_writer *writer;    /* owned; NULL until there is a file,
					     and once rewound */
	struct fmt_age_reader *reader;    /* owned */
	struct fmt_buf stored;            /* on its way to or from the file */
	struct fmt_buf plain;             /* secret: not yet in the file, or
					     read and not yet given */
	size_t given;                     /* of plain */
	uint64_t size;
	bool has_ended;
};

static int
bad(enum fmt_status status, struct bkp_error *err)
{
	return bkp_fail_format(err, status, "a temporary file");
}

int
bkp_spool_new(struct bkp_spool **out, struct bkp_error *err)
{
	struct bkp_spool *spool = bkp_alloc(sizeof(*spool), err);

	if (spool == NULL)
		return -1;
	spool->fd = -1;
	spool->plain.is_secret = true;
	*out = spool;
	return 0;
}

void
bkp_spool_free(struct bkp_spool *spool)
{
	if (spool == NULL)
		return;
	if (spool->fd >= 0)
		(void)close(spool->fd);
	fmt_age_writer_free(spool->writer);
	fmt_age_reader_free(spool->reader);
	fmt_buf_free(&spool->stored);
	fmt_buf_free(&spool->plain);
	OPENSSL_cleanse(&spool->identity, sizeof(spool->identity));
	free(spool);
}

/* ---- writing ---- */

static int
put_stored(struct bkp_spool *spool, struct bkp_error *err)
{
	if (bkp_write_all(spool->fd, spool->stored.data, spool->stored.len) < 0)
		return bkp_fail_errno(err, errno,
		    "writing a temporary file in %s (TMPDIR names another "
		    "place)",
		    bkp_temporary_directory());
	fmt_buf_clear(&spool->stored);
	return 0;
}

/* What is small stays in memory; for the rest there is a file. */
static int
begin_file(struct bkp_spool *spool, struct bkp_error *err)
{
	struct fmt_age_recipient recipient;
	enum fmt_status status;

	if ((spool->fd = bkp_temporary_file(err)) < 0)
		return -1;
	status = fmt_age_identity_new(&spool->identity);
	if (status == FMT_OK)
		status =
		    fmt_age_identity_recipient(&spool->identity, &recipient);
	if (status == FMT_OK)
		status = fmt_age_writer_new(
		    &recipient, 1, &spool->stored, &spool->writer);
	if (status == FMT_OK)
		status = fmt_age_writer_update(spool->writer, spool->plain.data,
		    spool->plain.len, &spool->stored);
	fmt_buf_clear(&spool->plain);
	return status == FMT_OK ? 0 : bad(status, err);
}

int
bkp_spool_write(struct bkp_spool *spool, const void *data, size_t len,
    struct bkp_error *err)
{
	enum fmt_status status;

	spool->size += len;
	if (spool->size <= BLOCK) {
		status = fmt_buf_append(&spool->plain, data, len);
		return status == FMT_OK ? 0 : bad(status, err);
	}
	if (spool->writer == NULL && begin_file(spool, err) < 0)
		return -1;
	status =
	    fmt_age_writer_update(spool->writer, data, len, &spool->stored);
	if (status != FMT_OK)
		return bad(status, err);
	return spool->stored.len < BLOCK ? 0 : put_stored(spool, err);
}

uint64_t
bkp_spool_size(const struct bkp_spool *spool)
{
	return spool->size;
}

/* ---- reading ---- */

int
bkp_spool_rewind(struct bkp_spool *spool, struct bkp_error *err)
{
	enum fmt_status status;

	if (spool->writer == NULL) {
		spool->has_ended = true;
		return 0;
	}
	status = fmt_age_writer_finish(spool->writer, &spool->stored);
	if (status == FMT_OK)
		status =
		    fmt_age_reader_new(&spool->identity, 1, &spool->reader);
	if (status != FMT_OK)
		return bad(status, err);
	fmt_age_writer_free(spool->writer);
	spool->writer = NULL;
	if (put_stored(spool, err) < 0)
		return -1;
	if (lseek(spool->fd, 0, SEEK_SET) < 0)
		return bkp_fail_errno(err, errno, "reading a temporary file");
	return 0;
}

/* Reads a block of the file into `plain`. */
static int
fill(struct bkp_spool *spool, struct bkp_error *err)
{
	enum fmt_status status;
	ssize_t n;

	if (spool->has_ended)
		return bkp_fail(
		    err, BKP_IO, "a temporary file ends before its time");
	fmt_buf_clear(&spool->stored);
	if (fmt_buf_reserve(&spool->stored, BLOCK) != FMT_OK)
		return bkp_fail_nomem(err, "reading a temporary file");
	do
		n = read(spool->fd, spool->stored.data, BLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return bkp_fail_errno(err, errno, "reading a temporary file");
	spool->has_ended = n == 0;
	status = n > 0 ? fmt_age_reader_update(spool->reader,
			     spool->stored.data, (size_t)n, &spool->plain)
		       : fmt_age_reader_finish(spool->reader, &spool->plain);
	return status == FMT_OK ? 0 : bad(status, err);
}

int
bkp_spool_read(struct bkp_spool *spool, size_t len, struct fmt_buf *out,
    struct bkp_error *err)
{
	struct fmt_buf *plain = &spool->plain;

	while (len > 0) {
		size_t here = plain->len - spool->given;

		if (here == 0) {
			fmt_buf_clear(plain);
			spool->given = 0;
			if (fill(spool, err) < 0)
				return -1;
			continue;
		}
		if (here > len)
			here = len;
		if (fmt_buf_append(out, plain->data + spool->given, here) !=
		    FMT_OK)
			return bkp_fail_nomem(err, "reading a temporary file");
		spool->given += here;
		len -= here;
	}
	return 0;
}
