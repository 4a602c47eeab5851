/* SPDX-License-Identifier: Apache-2.0 */
/* The two documents that carry secrets: an administrator's, which lies in the
 * repository as an age file, and a host's key file. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/fields.h"
#include "libbackup/repository/file.h"
#include "libbackup/repository/key_ring.h"

#define ADMIN_TYPE "libbackup administrator key"
#define HOSTS_TYPE "libbackup hosts key"
#define HOST_TYPE "libbackup host key"
#define HEX_KEY 65

/* ---- writing ---- */

/* Appends `,"name":"<hex of 32 secret bytes>"`. */
static enum fmt_status
add_key(struct fmt_buf *out, const char *name, const unsigned char key[32])
{
	char hex[HEX_KEY];
	enum fmt_status status;

	fmt_hex(key, 32, hex);
	status = fmt_buf_printf(out, ",\"%s\":\"%s\"", name, hex);
	OPENSSL_cleanse(hex, sizeof(hex));
	return status;
}

/* Appends `,"name":"<identities, the newest first, spaces between them>"`. */
static enum fmt_status
add_identities(struct fmt_buf *out, const char *name,
    const struct fmt_age_identity *identities, size_t count)
{
	char text[FMT_AGE_IDENTITY_TEXT];
	enum fmt_status status = fmt_buf_printf(out, ",\"%s\":\"", name);

	for (size_t i = count; i-- > 0 && status == FMT_OK;) {
		status = fmt_age_identity_text(&identities[i], text);
		if (status == FMT_OK)
			status =
			    fmt_buf_printf(out, "%s%s", text, i > 0 ? " " : "");
	}
	OPENSSL_cleanse(text, sizeof(text));
	return status == FMT_OK ? fmt_buf_append_text(out, "\"") : status;
}

static enum fmt_status
add_recipients(struct fmt_buf *out, const char *name,
    const struct fmt_age_recipient *recipients, size_t count)
{
	char text[FMT_AGE_RECIPIENT_TEXT];
	enum fmt_status status = fmt_buf_printf(out, ",\"%s\":\"", name);

	for (size_t i = count; i-- > 0 && status == FMT_OK;) {
		status = fmt_age_recipient_text(&recipients[i], text);
		if (status == FMT_OK)
			status =
			    fmt_buf_printf(out, "%s%s", text, i > 0 ? " " : "");
	}
	return status == FMT_OK ? fmt_buf_append_text(out, "\"") : status;
}

static enum fmt_status
add_head(struct fmt_buf *out, const char *type, const char *repository)
{
	return fmt_buf_printf(out,
	    "{\"type\":\"%s\",\"version\":%d,\"repository\":\"%s\"", type,
	    BKP_REPOSITORY_VERSION, repository);
}

int
bkp_admin_key_encode(
    const struct bkp_key_ring *ring, struct fmt_buf *out, struct bkp_error *err)
{
	enum fmt_status status;

	if ((status = add_head(out, ADMIN_TYPE, ring->repository)) != FMT_OK ||
	    (status = add_identities(
		 out, "data_identity", ring->data, ring->count)) != FMT_OK ||
	    (status = add_identities(out, "metadata_identity", ring->metadata,
		 ring->count)) != FMT_OK ||
	    (status = add_key(out, "id_key", ring->id_key)) != FMT_OK ||
	    (status = add_key(out, "admin_seed", ring->admin_seed)) != FMT_OK ||
	    (status = fmt_buf_append_text(out, "}\n")) != FMT_OK)
		return bkp_fail_format(err, status, "writing a key");
	return 0;
}

/* What a host knows of the generations. */
static enum fmt_status
add_generations(struct fmt_buf *out, const struct bkp_key_ring *ring)
{
	enum fmt_status status = add_recipients(
	    out, "data_recipient", ring->data_recipients, ring->count);

	if (status == FMT_OK)
		status = add_identities(
		    out, "metadata_identity", ring->metadata, ring->count);
	return status;
}

int
bkp_hosts_key_encode(
    const struct bkp_key_ring *ring, struct fmt_buf *out, struct bkp_error *err)
{
	enum fmt_status status;

	if ((status = add_head(out, HOSTS_TYPE, ring->repository)) != FMT_OK ||
	    (status = add_generations(out, ring)) != FMT_OK ||
	    (status = fmt_buf_append_text(out, "}\n")) != FMT_OK)
		return bkp_fail_format(err, status, "writing the hosts' key");
	return 0;
}

static enum fmt_status
encode_host_key(const struct bkp_key_ring *ring, struct fmt_buf *out)
{
	enum fmt_status status;

	if ((status = fmt_buf_printf(out,
		 "# The key of a backup host for the libbackup repository\n"
		 "# %s.\n"
		 "# With it one can add backups and list them, but not read "
		 "what is in them.\n"
		 "# Keep it secret all the same.\n",
		 ring->repository)) != FMT_OK ||
	    (status = add_head(out, HOST_TYPE, ring->repository)) != FMT_OK ||
	    (status = fmt_buf_printf(out, ",\"name\":\"%s\"", ring->writer)) !=
		FMT_OK ||
	    (status = add_generations(out, ring)) != FMT_OK ||
	    (status = add_key(out, "id_key", ring->id_key)) != FMT_OK ||
	    (status = add_key(out, "admin_public_key", ring->admin_public)) !=
		FMT_OK ||
	    (status = add_key(out, "signing_seed", ring->signing_seed)) !=
		FMT_OK)
		return status;
	return fmt_buf_append_text(out, "}\n");
}

int
bkp_host_key_write(
    const struct bkp_key_ring *ring, const char *path, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	enum fmt_status status = encode_host_key(ring, &text);
	int rc;

	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "writing a host key");
	else
		rc = bkp_secret_file_write(path, text.data, text.len, err);
	fmt_buf_free(&text);
	return rc;
}

/* ---- reading ---- */

static bool
get_text(
    const struct bkp_fields *fields, const char *name, char *out, size_t size)
{
	const struct bkp_field *field = bkp_fields_find(fields, name);

	if (field == NULL || field->value_len == 0 || field->value_len >= size)
		return false;
	memcpy(out, field->value, field->value_len);
	out[field->value_len] = '\0';
	return true;
}

/* The next of the words that are left in *text, or 0. */
static size_t
next_word(const char **text, size_t *left)
{
	const char *space;

	while (*left > 0 && **text == ' ') {
		(*text)++;
		(*left)--;
	}
	if (*left == 0)
		return 0;
	space = memchr(*text, ' ', *left);
	return space != NULL ? (size_t)(space - *text) : *left;
}

/* How many there are; 0 where one is damaged or there are too many. */
static size_t
get_identities(const struct bkp_fields *fields, const char *name,
    struct fmt_age_identity out[BKP_GENERATIONS])
{
	const struct bkp_field *field = bkp_fields_find(fields, name);
	const char *at = field != NULL ? field->value : "";
	size_t left = field != NULL ? field->value_len : 0, count = 0, len;

	while ((len = next_word(&at, &left)) > 0) {
		if (count == BKP_GENERATIONS ||
		    fmt_age_identity_parse(at, len, &out[count]) != FMT_OK)
			return 0;
		at += len;
		left -= len;
		count++;
	}
	return count;
}

static size_t
get_recipients(const struct bkp_fields *fields, const char *name,
    struct fmt_age_recipient out[BKP_GENERATIONS])
{
	const struct bkp_field *field = bkp_fields_find(fields, name);
	const char *at = field != NULL ? field->value : "";
	size_t left = field != NULL ? field->value_len : 0, count = 0, len;

	while ((len = next_word(&at, &left)) > 0) {
		if (count == BKP_GENERATIONS ||
		    fmt_age_recipient_parse(at, len, &out[count]) != FMT_OK)
			return 0;
		at += len;
		left -= len;
		count++;
	}
	return count;
}

static void
swap_generations(struct bkp_key_ring *ring, size_t i, size_t j)
{
	struct fmt_age_identity data = ring->data[i];
	struct fmt_age_identity metadata = ring->metadata[i];
	struct fmt_age_recipient recipient = ring->data_recipients[i];

	ring->data[i] = ring->data[j];
	ring->metadata[i] = ring->metadata[j];
	ring->data_recipients[i] = ring->data_recipients[j];
	ring->data[j] = data;
	ring->metadata[j] = metadata;
	ring->data_recipients[j] = recipient;
	OPENSSL_cleanse(&data, sizeof(data));
	OPENSSL_cleanse(&metadata, sizeof(metadata));
}

/* From the newest first, as written, to the oldest first; the newest is to be
 * written with until a roster says otherwise. */
static bool
set_generations(struct bkp_key_ring *ring, size_t data, size_t metadata)
{
	if (metadata == 0 || data != metadata)
		return false;
	ring->count = metadata;
	for (size_t i = 0; i < metadata / 2; i++)
		swap_generations(ring, i, metadata - 1 - i);
	ring->data_recipient = ring->data_recipients[metadata - 1];
	return fmt_age_identity_recipient(&ring->metadata[metadata - 1],
		   &ring->metadata_recipient) == FMT_OK;
}

/* What an administrator knows of the generations. */
static bool
get_own_generations(const struct bkp_fields *fields, struct bkp_key_ring *ring)
{
	size_t data = get_identities(fields, "data_identity", ring->data);

	for (size_t i = 0; i < data; i++) {
		if (fmt_age_identity_recipient(
			&ring->data[i], &ring->data_recipients[i]) != FMT_OK)
			return false;
	}
	return set_generations(ring, data,
	    get_identities(fields, "metadata_identity", ring->metadata));
}

static bool
get_generations(const struct bkp_fields *fields, struct bkp_key_ring *ring)
{
	size_t data =
	    get_recipients(fields, "data_recipient", ring->data_recipients);

	return set_generations(ring, data,
	    get_identities(fields, "metadata_identity", ring->metadata));
}

static int
parse_document(const char *text, size_t len, const char *type,
    struct bkp_fields *fields, struct bkp_error *err)
{
	const struct bkp_field *version;

	if (!bkp_fields_parse(text, len, fields) ||
	    !bkp_fields_has(fields, "type", type))
		return bkp_fail(err, BKP_INVALID, "this is not a %s", type);
	if (bkp_fields_has(fields, "version", "1"))
		return 0;
	if ((version = bkp_fields_find(fields, "version")) == NULL ||
	    !version->is_number)
		return bkp_fail(
		    err, BKP_INVALID, "this %s does not say its version", type);
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "this %s is of version %.*s, and this libbackup knows version %d; "
	    "use a newer one",
	    type, (int)(version->value_len < 20 ? version->value_len : 20),
	    version->value, BKP_REPOSITORY_VERSION);
}

static int
damaged(struct bkp_error *err)
{
	return bkp_fail(
	    err, BKP_INVALID, "a member of the key is missing or damaged");
}

int
bkp_admin_key_decode(const void *data, size_t len, struct bkp_key_ring *out,
    struct bkp_error *err)
{
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	struct bkp_fields fields;
	int rc;

	if ((rc = parse_document(data, len, ADMIN_TYPE, &fields, err)) < 0)
		return -1;
	if (get_text(&fields, "repository", ring.repository,
		sizeof(ring.repository)) &&
	    get_own_generations(&fields, &ring) &&
	    bkp_fields_hex(&fields, "id_key", ring.id_key, 32) &&
	    bkp_fields_hex(&fields, "admin_seed", ring.admin_seed, 32) &&
	    fmt_sign_public(ring.admin_seed, ring.admin_public) == FMT_OK) {
		ring.has_data = ring.has_admin = true;
		*out = ring;
	} else {
		rc = damaged(err);
	}
	bkp_key_ring_wipe(&ring);
	return rc;
}

int
bkp_hosts_key_decode(const void *data, size_t len, struct bkp_key_ring *out,
    struct bkp_error *err)
{
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	struct bkp_fields fields;
	int rc;

	if ((rc = parse_document(data, len, HOSTS_TYPE, &fields, err)) < 0)
		return -1;
	if (get_text(&fields, "repository", ring.repository,
		sizeof(ring.repository)) &&
	    get_generations(&fields, &ring))
		*out = ring;
	else
		rc = damaged(err);
	bkp_key_ring_wipe(&ring);
	return rc;
}

static int
decode_host_key(const char *text, size_t len, struct bkp_key_ring *out,
    struct bkp_error *err)
{
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	struct bkp_fields fields;
	int rc;

	if ((rc = parse_document(text, len, HOST_TYPE, &fields, err)) < 0)
		return -1;
	if (get_text(&fields, "repository", ring.repository,
		sizeof(ring.repository)) &&
	    get_text(&fields, "name", ring.writer, sizeof(ring.writer)) &&
	    get_generations(&fields, &ring) &&
	    bkp_fields_hex(&fields, "id_key", ring.id_key, 32) &&
	    bkp_fields_hex(
		&fields, "admin_public_key", ring.admin_public, 32) &&
	    bkp_fields_hex(&fields, "signing_seed", ring.signing_seed, 32)) {
		ring.has_signing = true;
		*out = ring;
	} else {
		rc = damaged(err);
	}
	bkp_key_ring_wipe(&ring);
	return rc;
}

/* The start of the first line that is no comment. */
static const char *
skip_comments(const char *text, const char *end)
{
	while (text < end && *text == '#') {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		text = newline != NULL ? newline + 1 : end;
	}
	return text;
}

int
bkp_host_key_read(
    const char *path, struct bkp_key_ring *out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	const char *body, *end;
	int rc = -1;

	if (bkp_secret_file_read(path, true, &text, err) < 0)
		goto out;
	end = (const char *)text.data + text.len;
	body = skip_comments((const char *)text.data, end);
	rc = decode_host_key(body, (size_t)(end - body), out, err);
	if (rc < 0)
		(void)bkp_fail_in(err, "%s", path);
out:
	fmt_buf_free(&text);
	return rc;
}
