/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An export in one stream: the input gives bytes anywhere, age decrypts them
 * segment by segment, and libarchive finds members, by the central directory
 * where it is a zip.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/archive/input.h"
#include "libbackup/archive/utf8.h"
#include "libbackup/base/fail.h"
#include "libbackup/subject/unpack_own.h"

#define PORTION ((size_t)256 * 1024)
#define HEAD ((uint64_t)64 * 1024) /* bytes that hold an age header */

static const char age_begin[] = "age-encryption.org/v1\n";
static const char armor_begin[] = "-----BEGIN AGE ENCRYPTED FILE-----";

struct packed {
	struct bkp_unpack *unpack;
	struct bkp_archive_input *input; /* owned */
	bool is_age;
	struct fmt_age_payload payload; /* secret; where is_age */
	struct fmt_buf stored, plain;   /* plain: secret */
	uint64_t size, at;              /* of the plain bytes */
	struct archive *archive;        /* owned */
	locale_t locale;                /* owned */
	const char *passphrase;         /* borrowed */
	struct bkp_error cause;         /* why give() failed */
	bool has_cause;
};

/* ---- bytes on their way in ---- */

static int
read_plain(struct packed *packed, uint64_t len, struct bkp_error *err)
{
	uint64_t stored_size = bkp_archive_input_size(packed->input);
	uint64_t offset, stored_len;
	enum fmt_status status;

	fmt_buf_clear(&packed->plain);
	if (!packed->is_age)
		return bkp_archive_input_read(
		    packed->input, packed->at, len, &packed->plain, err);
	fmt_age_payload_range(&packed->payload, stored_size, packed->at, len,
	    &offset, &stored_len);
	fmt_buf_clear(&packed->stored);
	if (bkp_archive_input_read(
		packed->input, offset, stored_len, &packed->stored, err) < 0)
		return -1;
	status = fmt_age_payload_read(&packed->payload, stored_size, packed->at,
	    len, packed->stored.data, packed->stored.len, &packed->plain);
	if (status != FMT_OK)
		return bkp_fail_format(err, status,
		    "decrypting it; it is cut or damaged, get it again");
	return 0;
}

/* libarchive's ways in. */
static la_ssize_t
give(struct archive *archive, void *arg, const void **data)
{
	struct packed *packed = arg;
	uint64_t left = packed->size - packed->at;
	uint64_t here = left < PORTION ? left : PORTION;

	if (here == 0)
		return 0;
	if (read_plain(packed, here, &packed->cause) < 0) {
		packed->has_cause = true;
		archive_set_error(archive, EIO, "it cannot be read");
		return -1;
	}
	packed->at += here;
	*data = packed->plain.data;
	return (la_ssize_t)here;
}

static la_int64_t
skip(struct archive *archive, void *arg, la_int64_t len)
{
	struct packed *packed = arg;
	uint64_t left = packed->size - packed->at;

	(void)archive;
	if (len < 0)
		return 0;
	if ((uint64_t)len > left)
		len = (la_int64_t)left;
	packed->at += (uint64_t)len;
	return len;
}

static la_int64_t
seek(struct archive *archive, void *arg, la_int64_t offset, int whence)
{
	struct packed *packed = arg;
	la_int64_t from = whence == SEEK_END   ? (la_int64_t)packed->size
			  : whence == SEEK_CUR ? (la_int64_t)packed->at
					       : 0;

	if (offset < -from || offset > (la_int64_t)packed->size - from) {
		archive_set_error(archive, EINVAL, "it ends before that");
		return ARCHIVE_FATAL;
	}
	packed->at = (uint64_t)(from + offset);
	return from + offset;
}

static int
bad(struct packed *packed, const char *what, struct bkp_error *err)
{
	const char *text = archive_error_string(packed->archive);

	if (packed->has_cause) {
		if (err != NULL)
			*err = packed->cause;
		return -1;
	}
	if (archive_errno(packed->archive) == ENOMEM)
		return bkp_fail_nomem(err, what);
	if (text != NULL && strstr(text, "assphrase") != NULL)
		return bkp_fail(err, BKP_AUTH,
		    "%s: it is a zip with a passphrase, and %s", what,
		    packed->passphrase != NULL
			? "the one that was given does not open it"
			: "none was given (--export-passphrase-file)");
	return bkp_fail(err, BKP_CORRUPT,
	    "%s: it is no zip or tar.zst, or it is cut or damaged (%s)", what,
	    text != NULL ? text : "libarchive does not say why");
}

/* ---- opening ---- */

static int
open_age(struct packed *packed, const struct bkp_unpack_options *options,
    const struct fmt_buf *head, struct bkp_error *err)
{
	struct fmt_age_identity *all;
	size_t count = options->identity_count;
	enum fmt_status status;

	all = bkp_alloc_array(count + 1, sizeof(*all), err);
	if (all == NULL)
		return -1;
	if (count > 0)
		memcpy(all, options->identities, count * sizeof(*all));
	if (options->passphrase != NULL) {
		all[count].kind = FMT_AGE_SCRYPT;
		all[count++].passphrase = options->passphrase;
	}
	status = fmt_age_payload_open(
	    all, count, head->data, head->len, &packed->payload);
	OPENSSL_cleanse(all, (options->identity_count + 1) * sizeof(*all));
	free(all);
	if (status == FMT_OK)
		status = fmt_age_plain_size(&packed->payload,
		    bkp_archive_input_size(packed->input), &packed->size);
	packed->is_age = true;
	if (status == FMT_OK)
		return 0;
	if (status == FMT_NOMATCH)
		return bkp_fail(err, BKP_AUTH,
		    "it is encrypted, and none of the keys at hand opens it; "
		    "give the identity file of one of its recipients "
		    "(--identity-file) or its passphrase "
		    "(--export-passphrase-file)");
	return bkp_fail_format(err, status, "opening it with age");
}

static int
open_input(struct packed *packed, const struct bkp_unpack_options *options,
    struct bkp_error *err)
{
	struct fmt_buf head = FMT_BUF_INIT;
	uint64_t size;
	int rc;

	if (bkp_archive_input_open(options->location, NULL, &packed->input, err) < 0)
		return -1;
	size = packed->size = bkp_archive_input_size(packed->input);
	rc = bkp_archive_input_read(
	    packed->input, 0, size < HEAD ? size : HEAD, &head, err);
	if (rc == 0 && head.len >= sizeof(age_begin) - 1 &&
	    memcmp(head.data, age_begin, sizeof(age_begin) - 1) == 0)
		rc = open_age(packed, options, &head, err);
	else if (rc == 0 && head.len >= sizeof(armor_begin) - 1 &&
		 memcmp(head.data, armor_begin, sizeof(armor_begin) - 1) == 0)
		rc = bkp_fail(err, BKP_UNSUPPORTED,
		    "it is age's armored form; decrypt it with 'age -d' and "
		    "give what comes out");
	fmt_buf_free(&head);
	return rc;
}

static int
open_archive(struct packed *packed, struct bkp_error *err)
{
	struct archive *archive = packed->archive = archive_read_new();
	bool is_fine;

	if (archive == NULL)
		return bkp_fail_nomem(err, "reading the export");
	is_fine = archive_read_support_format_tar(archive) == ARCHIVE_OK &&
		  archive_read_support_format_zip(archive) == ARCHIVE_OK &&
		  archive_read_support_filter_zstd(archive) == ARCHIVE_OK &&
		  archive_read_set_read_callback(archive, give) == ARCHIVE_OK &&
		  archive_read_set_skip_callback(archive, skip) == ARCHIVE_OK &&
		  archive_read_set_seek_callback(archive, seek) == ARCHIVE_OK &&
		  archive_read_set_callback_data(archive, packed) == ARCHIVE_OK;
	if (is_fine && packed->passphrase != NULL)
		is_fine = archive_read_add_passphrase(
			      archive, packed->passphrase) == ARCHIVE_OK;
	if (is_fine)
		is_fine = archive_read_open1(archive) == ARCHIVE_OK;
	return is_fine ? 0 : bad(packed, "opening it", err);
}

/* ---- members ---- */

static int
read_content(struct packed *packed, const char *name, struct bkp_error *err)
{
	la_int64_t offset, expected = 0;
	const void *data;
	size_t len;
	int status;

	while ((status = archive_read_data_block(
		    packed->archive, &data, &len, &offset)) == ARCHIVE_OK) {
		if (offset != expected)
			return bkp_fail(err, BKP_CORRUPT,
			    "%s has holes, as no file of an export has; "
			    "nothing of this is used",
			    name);
		expected += (la_int64_t)len;
		if (bkp_unpack_put(packed->unpack, data, len, err) < 0)
			return -1;
	}
	return status == ARCHIVE_EOF ? 0 : bad(packed, name, err);
}

static int
read_member(
    struct packed *packed, struct archive_entry *entry, struct bkp_error *err)
{
	const char *name = archive_entry_pathname(entry);
	size_t len = name != NULL ? strlen(name) : 0;

	if (name == NULL)
		return bkp_fail(err, BKP_CORRUPT,
		    "a file in it has no name; nothing of this is used");
	if (archive_entry_hardlink(entry) != NULL ||
	    archive_entry_symlink(entry) != NULL ||
	    (archive_entry_filetype(entry) != AE_IFREG &&
		archive_entry_filetype(entry) != AE_IFDIR))
		return bkp_fail(err, BKP_CORRUPT,
		    "%.100s is a link or a device, as no file of an export "
		    "is; nothing of this is used",
		    name);
	/* Who packs an export again may give its folders entries. */
	if (archive_entry_filetype(entry) == AE_IFDIR &&
	    (len == 0 || name[0] != '/') && strstr(name, "..") == NULL)
		return 0;
	if (bkp_unpack_begin(packed->unpack, name, err) < 0 ||
	    read_content(packed, name, err) < 0)
		return -1;
	return bkp_unpack_end(packed->unpack, err);
}

static int
read_members(struct packed *packed, struct bkp_error *err)
{
	struct archive_entry *entry;
	int status;

	while ((status = archive_read_next_header(packed->archive, &entry)) ==
	       ARCHIVE_OK)
		if (read_member(packed, entry, err) < 0)
			return -1;
	return status == ARCHIVE_EOF ? 0 : bad(packed, "reading it", err);
}

int
bkp_unpack_packed(struct bkp_unpack *unpack,
    const struct bkp_unpack_options *options, struct bkp_error *err)
{
	struct packed packed = {
	    .unpack = unpack,
	    .passphrase = options->passphrase,
	};
	locale_t before = (locale_t)0;
	int rc = -1;

	packed.plain.is_secret = true;
	packed.locale = bkp_utf8_locale();
	before = bkp_utf8_enter(packed.locale);
	if (open_input(&packed, options, err) < 0 ||
	    open_archive(&packed, err) < 0)
		goto out;
	rc = read_members(&packed, err);
out:
	if (packed.archive != NULL)
		(void)archive_read_free(packed.archive);
	bkp_utf8_leave(before);
	if (packed.locale != (locale_t)0)
		freelocale(packed.locale);
	bkp_archive_input_close(packed.input);
	fmt_buf_free(&packed.stored);
	fmt_buf_free(&packed.plain);
	OPENSSL_cleanse(&packed.payload, sizeof(packed.payload));
	return rc;
}
