/* SPDX-License-Identifier: Apache-2.0 */
/* The recovery sheet: what a person needs who has paper and the repository. */
#include <ctype.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/archive_view.h"
#include "libbackup/key.h"
#include "libbackup/repository/file.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/repository/sheet_lines.h"

_Static_assert(sizeof(((struct bkp_key_sheet *)0)->repository) == BKP_SHEET_ID,
    "key.h says 33 bytes");

/* ---- writing ---- */

static const char before[] =
    "LIBBACKUP RECOVERY SHEET                                     SECRET\n"
    "\n"
    "Whoever holds this sheet and the repository reads everything in it.\n"
    "Keep it where deeds are kept, away from the repository.\n"
    "\n";

static const char after[] =
    "\n"
    "Capitals, small letters and spaces do not matter. The last group of a\n"
    "line is its checksum; line 7 is one of all lines.\n"
    "\n"
    "RECOVERY WITH LIBBACKUP\n"
    "\n"
    "a) Type the seven lines into a file, sheet.txt. Then\n"
    "       backup-key sheet --check sheet.txt --to identity.txt\n"
    "   names a line that is wrong, or writes the identity to a file.\n"
    "b) What is there, and files into a folder (REPOSITORY as above,\n"
    "   NAME as the list shows it):\n"
    "       backup-list -r REPOSITORY -i identity.txt\n"
    "       backup-restore -r REPOSITORY -i identity.txt --to FOLDER \\\n"
    "           latest files/NAME\n"
    "c) Databases and buckets need a server. Name the repository and each\n"
    "   source in backup.yaml, as the manual page backup.yaml(5) says:\n"
    "       backup-restore -c backup.yaml -i identity.txt latest\n"
    "   brings everything back.\n"
    "\n"
    "RECOVERY WITHOUT LIBBACKUP\n"
    "\n"
    "a) identity.txt is a text file with one line: AGE-SECRET-KEY-1 and,\n"
    "   without a space anywhere, lines 3 to 6 without their last groups,\n"
    "   all in capitals.\n"
    "b) age (https://age-encryption.org) opens the keys of the repository:\n"
    "       age -d -i identity.txt REPOSITORY/keys/NAME\n"
    "   for one of the files there; copies/keys/ has them once more. It\n"
    "   prints the data and metadata identities, which open the packs,\n"
    "   the index and the snapshots.\n"
    "c) The manual page libbackup-recovery(7) has scripts for the rest,\n"
    "   with age, zstd, jq, tar and psql only. Print it and keep it here.\n";

/* Paper is read where no folder is the present one. */
static enum fmt_status
add_location(const struct bkp_repository *repository, struct fmt_buf *out)
{
	const char *location = repository->store->location;
	char *whole =
	    strstr(location, "://") == NULL ? realpath(location, NULL) : NULL;
	enum fmt_status status =
	    fmt_buf_append_text(out, whole != NULL ? whole : location);

	free(whole);
	return status;
}

static enum fmt_status
add_facts(const struct bkp_repository *repository, const char *recipient,
    struct fmt_buf *out)
{
	char date[32] = "";
	time_t now = time(NULL);
	enum fmt_status status;
	struct tm tm;
	size_t at;

	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(date, sizeof(date), "%Y-%m-%d", &tm);
	status = fmt_buf_append_text(out, "Repository  ");
	at = out->len;
	if (status == FMT_OK)
		status = add_location(repository, out);
	for (; at < out->len; at++) {
		if (iscntrl(out->data[at]))
			out->data[at] = '?';
	}
	if (status == FMT_OK)
		status = fmt_buf_printf(out,
		    "\nIts id      %s\nOpens it    %s\nPrinted     %s\n\n",
		    repository->config.id, recipient, date);
	return status;
}

static int
compose(const struct bkp_repository *repository,
    const struct fmt_age_identity *identity, struct fmt_buf *out,
    struct bkp_error *err)
{
	char text[FMT_AGE_IDENTITY_TEXT], recipient[FMT_AGE_RECIPIENT_TEXT];
	struct fmt_age_recipient public_half;
	struct bkp_sheet_lines lines;
	enum fmt_status status;
	int rc = -1;

	if ((status = fmt_age_identity_text(identity, text)) != FMT_OK ||
	    (status = fmt_age_identity_recipient(identity, &public_half)) !=
		FMT_OK ||
	    (status = fmt_age_recipient_text(&public_half, recipient)) !=
		FMT_OK ||
	    (status = fmt_buf_append_text(out, before)) != FMT_OK ||
	    (status = add_facts(repository, recipient, out)) != FMT_OK) {
		(void)bkp_fail_format(err, status, "writing a recovery sheet");
		goto out;
	}
	memcpy(lines.id, repository->config.id, sizeof(lines.id));
	memcpy(lines.key, text + strlen(BKP_SHEET_PREFIX), sizeof(lines.key));
	for (char *c = lines.key; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	if ((rc = bkp_sheet_lines_write(&lines, out, err)) == 0 &&
	    (status = fmt_buf_append_text(out, after)) != FMT_OK)
		rc = bkp_fail_format(err, status, "writing a recovery sheet");
out:
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(&lines, sizeof(lines));
	return rc;
}

int
bkp_key_sheet(struct bkp_repository *repository, const struct bkp_keys *given,
    bkp_bytes_fn *fn, void *arg, struct bkp_error *err)
{
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	struct fmt_age_identity identity;
	int rc;

	if (bkp_archive_view_refuse(repository, "print the sheet of", err) < 0)
		return -1;
	/* A program that was built against an older header gives less. */
	memcpy(&keys, given,
	    given->size < sizeof(keys) ? given->size : sizeof(keys));
	rc = bkp_repository_admin_identity(repository, &keys, &identity, err);
	if (rc == 0)
		rc = compose(repository, &identity, &text, err);
	if (rc == 0)
		rc = fn(arg, text.data, text.len, err);
	OPENSSL_cleanse(&identity, sizeof(identity));
	fmt_buf_free(&text);
	return rc;
}

/* ---- reading ---- */

/* Line checksums let one of a million mistakes pass; age's own key has one
 * more, which is looked at here. */
static int
parse_identity(const struct bkp_sheet_lines *lines,
    struct fmt_age_identity *out, struct bkp_error *err)
{
	char text[FMT_AGE_IDENTITY_TEXT];
	enum fmt_status status;

	(void)snprintf(
	    text, sizeof(text), "%s%s", BKP_SHEET_PREFIX, lines->key);
	for (char *c = text; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	status = fmt_age_identity_parse(text, strlen(text), out);
	OPENSSL_cleanse(text, sizeof(text));
	if (status != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT,
		    "lines 3 to 6 of the recovery sheet are not an age "
		    "identity; compare them with the paper again");
	return 0;
}

static int
write_identity(const struct fmt_age_identity *identity, const char *path,
    char recipient[FMT_AGE_RECIPIENT_TEXT], struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	int rc = bkp_identity_text_make(identity, recipient, &text, err);

	if (rc == 0 && path != NULL)
		rc = bkp_secret_file_write(path, text.data, text.len, err);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_key_sheet_read(const char *text, size_t len, const char *identity_file,
    struct bkp_key_sheet *out, struct bkp_error *err)
{
	char recipient[FMT_AGE_RECIPIENT_TEXT];
	struct fmt_age_identity identity;
	struct bkp_sheet_lines lines;
	int rc = bkp_sheet_lines_read(text, len, &lines, err);

	if (rc == 0)
		rc = parse_identity(&lines, &identity, err);
	if (rc == 0)
		rc = write_identity(&identity, identity_file, recipient, err);
	if (rc == 0) {
		memcpy(out->repository, lines.id, sizeof(out->repository));
		memcpy(out->recipient, recipient, sizeof(out->recipient));
	}
	OPENSSL_cleanse(&identity, sizeof(identity));
	OPENSSL_cleanse(&lines, sizeof(lines));
	return rc;
}
