/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A package in one stream: libarchive writes tar.zst or zip, age encrypts it,
 * and the output takes it.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "formats/age.h"
#include "formats/sign.h"
#include "libbackup/archive/utf8.h"
#include "libbackup/base/fail.h"
#include "libbackup/subject/package_own.h"

#define PORTION ((size_t)256 * 1024)

struct packed {
	struct bkp_package base;
	struct archive *archive;              /* owned */
	struct bkp_archive_output *output;    /* owned */
	struct fmt_age_recipient *recipients; /* owned */
	struct fmt_age_writer *age;           /* owned; NULL: not encrypted */
	struct fmt_buf sealed, plain;         /* plain: secret */
	EVP_MD_CTX *whole;                    /* owned: of what is put out */
	locale_t locale;                      /* owned */
	int64_t time;
	uint64_t stored;
	struct bkp_error cause; /* why take() failed, for libarchive cannot
				   say */
	bool has_cause;
	bool is_over; /* what libarchive still holds goes nowhere */
};

/* ---- bytes on their way out ---- */

static int
put_out(
    struct packed *packed, const void *data, size_t len, struct bkp_error *err)
{
	if (EVP_DigestUpdate(packed->whole, data, len) != 1)
		return bkp_fail(err, BKP_IO, "the digest of the export failed");
	packed->stored += len;
	return bkp_archive_output_write(packed->output, data, len, err);
}

static int
put_sealed(struct packed *packed, struct bkp_error *err)
{
	int rc = put_out(packed, packed->sealed.data, packed->sealed.len, err);

	packed->sealed.len = 0;
	return rc;
}

static int
seal(struct packed *packed, const void *data, size_t len, struct bkp_error *err)
{
	enum fmt_status status;

	if (packed->age == NULL)
		return put_out(packed, data, len, err);
	status = fmt_age_writer_update(packed->age, data, len, &packed->sealed);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "encrypting the export");
	return put_sealed(packed, err);
}

/* libarchive's way out. */
static la_ssize_t
take(struct archive *archive, void *arg, const void *data, size_t len)
{
	struct packed *packed = arg;

	if (packed->is_over || seal(packed, data, len, &packed->cause) == 0)
		return (la_ssize_t)len;
	packed->has_cause = true;
	archive_set_error(archive, EIO, "the output does not take it");
	return -1;
}

static int
bad(struct packed *packed, const char *doing, struct bkp_error *err)
{
	const char *text = archive_error_string(packed->archive);

	if (packed->has_cause) {
		if (err != NULL)
			*err = packed->cause;
		return -1;
	}
	if (archive_errno(packed->archive) == ENOMEM)
		return bkp_fail_nomem(err, doing);
	return bkp_fail(err, BKP_IO, "%s: %s", doing,
	    text != NULL ? text : "libarchive does not say why");
}

/* ---- setting up ---- */

static int
set_form(struct packed *packed, const struct bkp_package_options *options,
    struct bkp_error *err)
{
	struct archive *archive = packed->archive;
	bool is_fine;

	if (options->form == BKP_PACKAGE_ZIP) {
		is_fine = archive_write_set_format_zip(archive) == ARCHIVE_OK &&
			  archive_write_add_filter_none(archive) == ARCHIVE_OK;
		if (is_fine && options->passphrase != NULL)
			is_fine = archive_write_set_options(archive,
				      "zip:encryption=aes256") == ARCHIVE_OK &&
				  archive_write_set_passphrase(archive,
				      options->passphrase) == ARCHIVE_OK;
	} else {
		is_fine = archive_write_set_format_pax_restricted(archive) ==
			      ARCHIVE_OK &&
			  archive_write_add_filter_zstd(archive) == ARCHIVE_OK;
	}
	if (is_fine)
		is_fine = archive_write_set_bytes_per_block(archive, 0) ==
			      ARCHIVE_OK &&
			  archive_write_set_bytes_in_last_block(archive, 1) ==
			      ARCHIVE_OK &&
			  archive_write_open(
			      archive, packed, NULL, take, NULL) == ARCHIVE_OK;
	return is_fine ? 0 : bad(packed, "beginning the export", err);
}

/* A zip with a passphrase encrypts itself. */
static int
set_recipients(struct packed *packed, const struct bkp_package_options *options,
    struct bkp_error *err)
{
	bool has_passphrase =
	    options->passphrase != NULL && options->form != BKP_PACKAGE_ZIP;
	size_t count = has_passphrase ? 1 : options->recipient_count;
	enum fmt_status status;

	if (count == 0)
		return 0;
	packed->recipients =
	    bkp_alloc_array(count, sizeof(*packed->recipients), err);
	if (packed->recipients == NULL)
		return -1;
	if (has_passphrase)
		packed->recipients[0] = (struct fmt_age_recipient){
		    .kind = FMT_AGE_SCRYPT,
		    .passphrase = options->passphrase,
		    .work_factor = options->work_factor,
		};
	for (size_t i = 0; !has_passphrase && i < count; i++) {
		const char *text = options->recipients[i];

		if (fmt_age_recipient_parse(
			text, strlen(text), &packed->recipients[i]) != FMT_OK)
			return bkp_fail(err, BKP_INVALID,
			    "\"%s\" is no age recipient (\"age1...\")", text);
	}
	status = fmt_age_writer_new(
	    packed->recipients, count, &packed->sealed, &packed->age);
	if (status != FMT_OK)
		return bkp_fail_format(
		    err, status, "encrypting to the recipients");
	return put_sealed(packed, err);
}

static int
set_up(struct packed *packed, const struct bkp_package_options *options,
    struct bkp_error *err)
{
	packed->whole = EVP_MD_CTX_new();
	packed->archive = archive_write_new();
	packed->locale = bkp_utf8_locale();
	if (packed->whole == NULL || packed->archive == NULL ||
	    EVP_DigestInit_ex(packed->whole, EVP_sha256(), NULL) != 1)
		return bkp_fail_nomem(err, "beginning the export");
	if (bkp_archive_output_open(&options->output, &packed->output, err) < 0)
		return -1;
	if (set_recipients(packed, options, err) < 0)
		return -1;
	return set_form(packed, options, err);
}

/* ---- members ---- */

static int
copy(struct packed *packed, struct bkp_spool *spool, uint64_t size,
    struct bkp_error *err)
{
	while (size > 0) {
		size_t here = size < PORTION ? (size_t)size : PORTION;

		packed->plain.len = 0;
		if (bkp_run_check(packed->base.run, err) < 0 ||
		    bkp_spool_read(spool, here, &packed->plain, err) < 0)
			return -1;
		if (archive_write_data(packed->archive, packed->plain.data,
			here) != (la_ssize_t)here)
			return bad(packed, "writing the export", err);
		size -= here;
	}
	return 0;
}

static int
put_member(struct bkp_package *package, const char *name,
    struct bkp_spool *spool, uint64_t size, const char *sha256,
    struct bkp_error *err)
{
	struct packed *packed = (struct packed *)package;
	locale_t before = bkp_utf8_enter(packed->locale);
	struct archive_entry *entry = archive_entry_new();
	int rc = -1;

	(void)sha256;
	if (entry == NULL) {
		(void)bkp_fail_nomem(err, "writing the export");
		goto out;
	}
	archive_entry_copy_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_mtime(entry, (time_t)packed->time, 0);
	if (archive_write_header(packed->archive, entry) != ARCHIVE_OK) {
		(void)bad(packed, name, err);
		goto out;
	}
	if (copy(packed, spool, size, err) < 0)
		goto out;
	if (archive_write_finish_entry(packed->archive) != ARCHIVE_OK) {
		(void)bad(packed, name, err);
		goto out;
	}
	rc = 0;
out:
	archive_entry_free(entry);
	bkp_utf8_leave(before);
	return rc;
}

/* ---- the end ---- */

static int
commit(struct bkp_package *package, char sha256[65], uint64_t *stored,
    size_t *parts, struct bkp_error *err)
{
	struct packed *packed = (struct packed *)package;
	unsigned char digest[32];
	enum fmt_status status;

	if (archive_write_close(packed->archive) != ARCHIVE_OK)
		return bad(packed, "ending the export", err);
	if (packed->age != NULL) {
		status = fmt_age_writer_finish(packed->age, &packed->sealed);
		if (status != FMT_OK)
			return bkp_fail_format(
			    err, status, "encrypting the export");
		if (put_sealed(packed, err) < 0)
			return -1;
	}
	if (EVP_DigestFinal_ex(packed->whole, digest, NULL) != 1)
		return bkp_fail(err, BKP_IO, "the digest of the export failed");
	if (bkp_archive_output_commit(packed->output, parts, err) < 0)
		return -1;
	fmt_hex(digest, sizeof(digest), sha256);
	*stored = packed->stored;
	return 0;
}

static void
close_packed(struct bkp_package *package)
{
	struct packed *packed = (struct packed *)package;

	packed->is_over = true;
	if (packed->archive != NULL)
		(void)archive_write_free(packed->archive);
	bkp_archive_output_close(packed->output);
	fmt_age_writer_free(packed->age);
	free(packed->recipients);
	fmt_buf_free(&packed->sealed);
	fmt_buf_free(&packed->plain);
	EVP_MD_CTX_free(packed->whole);
	if (packed->locale != (locale_t)0)
		freelocale(packed->locale);
	free(packed);
}

static const struct bkp_package_ops packed_ops = {
    .member = put_member,
    .commit = commit,
    .close = close_packed,
};

int
bkp_package_open_packed(const struct bkp_package_options *options,
    struct bkp_package **out, struct bkp_error *err)
{
	struct packed *packed = bkp_alloc(sizeof(*packed), err);

	if (packed == NULL)
		return -1;
	packed->base.ops = &packed_ops;
	packed->time = options->time;
	packed->plain.is_secret = true;
	if (set_up(packed, options, err) < 0) {
		close_packed(&packed->base);
		return -1;
	}
	*out = &packed->base;
	return 0;
}
