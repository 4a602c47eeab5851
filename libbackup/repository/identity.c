/* SPDX-License-Identifier: Apache-2.0 */
/* Administrators' identity files, as age-keygen makes them. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/key.h"
#include "libbackup/repository/file.h"
#include "libbackup/repository/key_ring.h"

_Static_assert(FMT_AGE_RECIPIENT_TEXT == 63, "key.h says 63 bytes");

static enum fmt_status
encode_identity(const struct fmt_age_identity *identity,
    char recipient[FMT_AGE_RECIPIENT_TEXT], struct fmt_buf *out)
{
	char secret[FMT_AGE_IDENTITY_TEXT], created[32] = "";
	struct fmt_age_recipient public_half;
	time_t now = time(NULL);
	enum fmt_status status;
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(
		    created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if ((status = fmt_age_identity_recipient(identity, &public_half)) ==
		FMT_OK &&
	    (status = fmt_age_recipient_text(&public_half, recipient)) ==
		FMT_OK &&
	    (status = fmt_age_identity_text(identity, secret)) == FMT_OK)
		status =
		    fmt_buf_printf(out, "# created: %s\n# public key: %s\n%s\n",
			created, recipient, secret);
	OPENSSL_cleanse(secret, sizeof(secret));
	return status;
}

int
bkp_identity_text_make(const struct fmt_age_identity *identity,
    char recipient[FMT_AGE_RECIPIENT_TEXT], struct fmt_buf *out,
    struct bkp_error *err)
{
	enum fmt_status status = encode_identity(identity, recipient, out);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "making an identity");
	return 0;
}

int
bkp_identity_create(const char *path, char recipient[63], struct bkp_error *err)
{
	char public_text[FMT_AGE_RECIPIENT_TEXT];
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	struct fmt_age_identity identity;
	enum fmt_status status;
	int rc;

	if ((status = fmt_age_identity_new(&identity)) != FMT_OK)
		rc = bkp_fail_format(err, status, "making an identity");
	else
		rc = bkp_identity_text_make(&identity, public_text, &text, err);
	if (rc == 0)
		rc = bkp_secret_file_write(path, text.data, text.len, err);
	if (rc == 0)
		memcpy(recipient, public_text, sizeof(public_text));
	OPENSSL_cleanse(&identity, sizeof(identity));
	fmt_buf_free(&text);
	return rc;
}

/* ---- reading ---- */

struct identities {
	struct fmt_age_identity *items; /* owned, secret */
	size_t count, cap;
};

static void
wipe_identities(struct identities *identities)
{
	if (identities->items != NULL)
		OPENSSL_cleanse(identities->items,
		    identities->cap * sizeof(*identities->items));
	free(identities->items);
	identities->items = NULL;
	identities->count = identities->cap = 0;
}

/* Grows without leaving a copy of a secret behind. */
static struct fmt_age_identity *
next_identity(struct identities *identities, struct bkp_error *err)
{
	struct identities grown = {NULL, identities->count, 0};

	if (identities->count < identities->cap)
		return &identities->items[identities->count++];
	grown.cap = identities->cap * 2 + 4;
	grown.items = bkp_alloc_array(grown.cap, sizeof(*grown.items), err);
	if (grown.items == NULL)
		return NULL;
	if (identities->count > 0)
		memcpy(grown.items, identities->items,
		    identities->count * sizeof(*grown.items));
	wipe_identities(identities);
	*identities = grown;
	return &identities->items[identities->count++];
}

static int
read_line(struct identities *identities, const char *line, size_t len,
    struct bkp_error *err)
{
	struct fmt_age_identity *identity;
	enum fmt_status status;

	while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL)
		len--;
	if (len == 0 || line[0] == '#')
		return 0;
	if ((identity = next_identity(identities, err)) == NULL)
		return -1;
	status = fmt_age_identity_parse(line, len, identity);
	if (status == FMT_OK)
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "this is not an age identity (a line that begins with "
	    "AGE-SECRET-KEY-1)");
}

static int
read_lines(struct identities *identities, const struct fmt_buf *text,
    struct bkp_error *err)
{
	const char *at = (const char *)text->data, *end = at + text->len;

	for (unsigned line = 1; at < end; line++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline != NULL ? newline : end) - at);

		if (read_line(identities, at, len, err) < 0)
			return bkp_fail_in(err, "line %u", line);
		at += len + (newline != NULL ? 1 : 0);
	}
	if (identities->count == 0)
		return bkp_fail(err, BKP_INVALID, "there is no identity");
	return 0;
}

int
bkp_identity_file_read(const char *path, struct fmt_age_identity **out,
    size_t *count, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	struct identities identities = {NULL, 0, 0};
	int rc = bkp_secret_file_read(path, false, &text, err);

	if (rc == 0 && (rc = read_lines(&identities, &text, err)) < 0)
		(void)bkp_fail_in(err, "%s", path);
	fmt_buf_free(&text);
	if (rc < 0) {
		wipe_identities(&identities);
		return -1;
	}
	*out = identities.items;
	*count = identities.count;
	return 0;
}

int
bkp_identity_text_parse(const struct fmt_buf *text,
    struct fmt_age_identity *out, struct bkp_error *err)
{
	struct identities identities = {NULL, 0, 0};
	int rc = read_lines(&identities, text, err);

	if (rc == 0)
		*out = identities.items[0];
	wipe_identities(&identities);
	return rc;
}

int
bkp_keys_identities(const struct bkp_keys *keys, struct fmt_age_identity **out,
    size_t *count, struct bkp_error *err)
{
	struct fmt_age_identity *from_file = NULL, *all;
	size_t n = 0;

	if (keys->identity_file != NULL &&
	    bkp_identity_file_read(keys->identity_file, &from_file, &n, err) <
		0)
		return -1;
	all = bkp_alloc_array(n + 1, sizeof(*all), err);
	if (all != NULL && n > 0)
		memcpy(all, from_file, n * sizeof(*all));
	bkp_identities_free(from_file, n);
	if (all == NULL)
		return -1;
	if (keys->passphrase != NULL) {
		all[n].kind = FMT_AGE_SCRYPT;
		all[n].passphrase = keys->passphrase;
		n++;
	}
	*out = all;
	*count = n;
	return 0;
}

void
bkp_identities_free(struct fmt_age_identity *identities, size_t count)
{
	if (identities != NULL)
		OPENSSL_cleanse(identities, count * sizeof(*identities));
	free(identities);
}

int
bkp_passphrase_check(
    const char *passphrase, unsigned work_factor, struct bkp_error *err)
{
	if (passphrase != NULL && passphrase[0] == '\0')
		return bkp_fail(err, BKP_INVALID, "the passphrase is empty");
	if (work_factor > FMT_AGE_MAX_WORK_FACTOR)
		return bkp_fail(err, BKP_INVALID,
		    "a work factor of %u is more than the %d that will be "
		    "opened",
		    work_factor, FMT_AGE_MAX_WORK_FACTOR);
	return 0;
}
