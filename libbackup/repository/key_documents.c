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

static enum fmt_status
add_identity(struct fmt_buf *out, const char *name,
    const struct fmt_age_identity *identity)
{
	char text[FMT_AGE_IDENTITY_TEXT];
	enum fmt_status status = fmt_age_identity_text(identity, text);

	if (status == FMT_OK)
		status = fmt_buf_printf(out, ",\"%s\":\"%s\"", name, text);
	OPENSSL_cleanse(text, sizeof(text));
	return status;
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
	    (status = add_identity(out, "data_identity", &ring->data)) !=
		FMT_OK ||
	    (status = add_identity(
		 out, "metadata_identity", &ring->metadata)) != FMT_OK ||
	    (status = add_key(out, "id_key", ring->id_key)) != FMT_OK ||
	    (status = add_key(out, "admin_seed", ring->admin_seed)) != FMT_OK ||
	    (status = fmt_buf_append_text(out, "}\n")) != FMT_OK)
		return bkp_fail_format(err, status, "writing a key");
	return 0;
}

static enum fmt_status
encode_host_key(const struct bkp_key_ring *ring, struct fmt_buf *out)
{
	char recipient[FMT_AGE_RECIPIENT_TEXT];
	enum fmt_status status;

	if ((status = fmt_buf_printf(out,
		 "# The key of a backup host for the libbackup repository\n"
		 "# %s.\n"
		 "# With it one can add backups and list them, but not read "
		 "what is in them.\n"
		 "# Keep it secret all the same.\n",
		 ring->repository)) != FMT_OK ||
	    (status = fmt_age_recipient_text(
		 &ring->data_recipient, recipient)) != FMT_OK ||
	    (status = add_head(out, HOST_TYPE, ring->repository)) != FMT_OK ||
	    (status = fmt_buf_printf(out,
		 ",\"name\":\"%s\",\"data_recipient\":\"%s\"", ring->writer,
		 recipient)) != FMT_OK ||
	    (status = add_identity(
		 out, "metadata_identity", &ring->metadata)) != FMT_OK ||
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

static bool
get_identity(const struct bkp_fields *fields, const char *name,
    struct fmt_age_identity *identity, struct fmt_age_recipient *recipient)
{
	const struct bkp_field *field = bkp_fields_find(fields, name);

	return field != NULL &&
	       fmt_age_identity_parse(
		   field->value, field->value_len, identity) == FMT_OK &&
	       fmt_age_identity_recipient(identity, recipient) == FMT_OK;
}

static bool
get_recipient(const struct bkp_fields *fields, const char *name,
    struct fmt_age_recipient *out)
{
	const struct bkp_field *field = bkp_fields_find(fields, name);

	return field != NULL && fmt_age_recipient_parse(field->value,
				    field->value_len, out) == FMT_OK;
}

static int
parse_document(const char *text, size_t len, const char *type,
    struct bkp_fields *fields, struct bkp_error *err)
{
	if (!bkp_fields_parse(text, len, fields) ||
	    !bkp_fields_has(fields, "type", type))
		return bkp_fail(err, BKP_INVALID, "this is not a %s", type);
	if (!bkp_fields_has(fields, "version", "1"))
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "a %s of another version than %d; use a newer libbackup",
		    type, BKP_REPOSITORY_VERSION);
	return 0;
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
	    get_identity(
		&fields, "data_identity", &ring.data, &ring.data_recipient) &&
	    get_identity(&fields, "metadata_identity", &ring.metadata,
		&ring.metadata_recipient) &&
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
	    get_recipient(&fields, "data_recipient", &ring.data_recipient) &&
	    get_identity(&fields, "metadata_identity", &ring.metadata,
		&ring.metadata_recipient) &&
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
