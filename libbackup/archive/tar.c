/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/archive/tar.h"

#include <archive.h>
#include <errno.h>
#include <stdlib.h>

#include "libbackup/archive/utf8.h"
#include "libbackup/base/fail.h"

/* As much content as libarchive is told of at a time. */
#define PASS ((size_t)1024 * 1024)

struct bkp_tar {
	struct archive *archive; /* owned */
	struct fmt_buf *out;     /* borrowed; NULL: contents pass by */
	void *nothing;           /* owned: stands for contents */
	/* owned; 0: as the process has it. Where libarchive cannot say a name
	 * in UTF-8 (the target of a link may be any bytes), it says it in
	 * bytes. */
	locale_t locale;
};

static la_ssize_t
take(struct archive *archive, void *arg, const void *data, size_t len)
{
	struct bkp_tar *tar = arg;

	if (tar->out != NULL && fmt_buf_append(tar->out, data, len) != FMT_OK) {
		archive_set_error(archive, ENOMEM, "out of memory");
		return -1;
	}
	return (la_ssize_t)len;
}

static int
bad(struct bkp_tar *tar, struct bkp_error *err)
{
	const char *text = archive_error_string(tar->archive);

	if (archive_errno(tar->archive) == ENOMEM)
		return bkp_fail_nomem(err, "writing a tar header");
	return bkp_fail(err, BKP_IO, "writing a tar header: %s",
	    text != NULL ? text : "libarchive does not say why");
}

static int
set_up(struct bkp_tar *tar, struct bkp_error *err)
{
	struct archive *archive = tar->archive;

	if (archive_write_set_format_pax(archive) != ARCHIVE_OK ||
	    archive_write_set_options(archive, "pax:xattrheader=SCHILY") !=
		ARCHIVE_OK ||
	    archive_write_add_filter_none(archive) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(archive, 0) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(archive, 1) != ARCHIVE_OK ||
	    archive_write_open(archive, tar, NULL, take, NULL) != ARCHIVE_OK)
		return bad(tar, err);
	return 0;
}

int
bkp_tar_new(struct bkp_tar **out, struct bkp_error *err)
{
	struct bkp_tar *tar = bkp_alloc(sizeof(*tar), err);

	if (tar == NULL)
		return -1;
	tar->nothing = bkp_alloc(PASS, err);
	if (tar->nothing == NULL)
		goto fail;
	tar->locale = bkp_utf8_locale();
	if ((tar->archive = archive_write_new()) == NULL) {
		(void)bkp_fail_nomem(err, "writing a tar header");
		goto fail;
	}
	if (set_up(tar, err) < 0)
		goto fail;
	*out = tar;
	return 0;
fail:
	bkp_tar_free(tar);
	return -1;
}

void
bkp_tar_free(struct bkp_tar *tar)
{
	if (tar == NULL)
		return;
	tar->out = NULL;
	if (tar->archive != NULL)
		(void)archive_write_free(tar->archive);
	if (tar->locale != (locale_t)0)
		freelocale(tar->locale);
	free(tar->nothing);
	free(tar);
}

int
bkp_tar_begin(struct bkp_tar *tar, struct archive_entry *member,
    struct fmt_buf *out, struct bkp_error *err)
{
	locale_t before = bkp_utf8_enter(tar->locale);
	int got;

	tar->out = out;
	got = archive_write_header(tar->archive, member);
	tar->out = NULL;
	bkp_utf8_leave(before);
	/* A warning is about what plain tar cannot say, and pax does. */
	return got < ARCHIVE_WARN ? bad(tar, err) : 0;
}

int
bkp_tar_pass(struct bkp_tar *tar, uint64_t len, struct bkp_error *err)
{
	while (len > 0) {
		size_t here = len < PASS ? (size_t)len : PASS;

		if (archive_write_data(tar->archive, tar->nothing, here) !=
		    (la_ssize_t)here)
			return bad(tar, err);
		len -= here;
	}
	return 0;
}

int
bkp_tar_end(struct bkp_tar *tar, struct fmt_buf *out, struct bkp_error *err)
{
	int got;

	tar->out = out;
	got = archive_write_finish_entry(tar->archive);
	tar->out = NULL;
	return got < ARCHIVE_OK ? bad(tar, err) : 0;
}

int
bkp_tar_finish(struct bkp_tar *tar, struct fmt_buf *out, struct bkp_error *err)
{
	int got;

	tar->out = out;
	got = archive_write_close(tar->archive);
	tar->out = NULL;
	return got != ARCHIVE_OK ? bad(tar, err) : 0;
}
