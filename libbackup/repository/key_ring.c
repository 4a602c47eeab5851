/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/key_ring.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"

#define CONFIG_TYPE "libbackup repository"
#define HOST_LABEL "libbackup host identity 1"

/* The host's name as a writer's: what could need an escape in JSON goes. */
static void
name_this_host(char out[BKP_WRITER_NAME])
{
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) < 0 || name[0] == '\0')
		memcpy(name, "localhost", sizeof("localhost"));
	name[BKP_WRITER_NAME - 1] = '\0';
	for (char *c = name; *c != '\0'; c++) {
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '_';
	}
	memcpy(out, name, strlen(name) + 1);
}

/* ---- generations ---- */

int
bkp_key_ring_rotate(struct bkp_key_ring *ring, struct bkp_error *err)
{
	size_t n = ring->count;
	struct fmt_age_recipient metadata;
	enum fmt_status status;

	if (n == BKP_GENERATIONS)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "the repository's keys have been rotated %d times, which "
		    "is the most there can be",
		    BKP_GENERATIONS - 1);
	if ((status = fmt_age_identity_new(&ring->data[n])) != FMT_OK ||
	    (status = fmt_age_identity_new(&ring->metadata[n])) != FMT_OK ||
	    (status = fmt_age_identity_recipient(
		 &ring->data[n], &ring->data_recipients[n])) != FMT_OK ||
	    (status = fmt_age_identity_recipient(
		 &ring->metadata[n], &metadata)) != FMT_OK)
		return bkp_fail_format(err, status, "making keys");
	ring->data_recipient = ring->data_recipients[n];
	ring->metadata_recipient = metadata;
	ring->count++;
	return 0;
}

static bool
has_generation(const struct bkp_key_ring *ring,
    const struct fmt_age_identity *metadata,
    const struct fmt_age_recipient *data)
{
	for (size_t i = 0; i < ring->count; i++) {
		if (memcmp(ring->metadata[i].key, metadata->key,
			FMT_AGE_KEY_SIZE) == 0 &&
		    memcmp(ring->data_recipients[i].key, data->key,
			FMT_AGE_KEY_SIZE) == 0)
			return true;
	}
	return false;
}

int
bkp_key_ring_join(struct bkp_key_ring *ring, const struct bkp_key_ring *other,
    struct bkp_error *err)
{
	for (size_t i = 0; i < other->count; i++) {
		if (has_generation(
			ring, &other->metadata[i], &other->data_recipients[i]))
			continue;
		if (ring->count == BKP_GENERATIONS)
			return bkp_fail(err, BKP_UNSUPPORTED,
			    "there are more than %d generations of keys",
			    BKP_GENERATIONS);
		ring->data[ring->count] = other->data[i];
		ring->metadata[ring->count] = other->metadata[i];
		ring->data_recipients[ring->count] = other->data_recipients[i];
		ring->count++;
	}
	return 0;
}

static bool
is_recipient(const struct fmt_age_recipient *recipient, const char *text)
{
	char own[FMT_AGE_RECIPIENT_TEXT];

	return fmt_age_recipient_text(recipient, own) == FMT_OK &&
	       strcmp(own, text) == 0;
}

bool
bkp_key_ring_choose(struct bkp_key_ring *ring, const char *data_recipient,
    const char *metadata_recipient)
{
	for (size_t i = 0; i < ring->count; i++) {
		struct fmt_age_recipient metadata;

		if (is_recipient(&ring->data_recipients[i], data_recipient) &&
		    fmt_age_identity_recipient(&ring->metadata[i], &metadata) ==
			FMT_OK &&
		    is_recipient(&metadata, metadata_recipient)) {
			ring->data_recipient = ring->data_recipients[i];
			ring->metadata_recipient = metadata;
			return true;
		}
	}
	return false;
}

/* ---- making ---- */

static enum fmt_status
make_secrets(struct bkp_key_ring *ring)
{
	unsigned char id[16];
	enum fmt_status status;

	if ((status = fmt_random(id, sizeof(id))) != FMT_OK ||
	    (status = fmt_random(ring->id_key, sizeof(ring->id_key))) !=
		FMT_OK ||
	    (status = fmt_random(ring->admin_seed, 32)) != FMT_OK ||
	    (status = fmt_random(ring->signing_seed, 32)) != FMT_OK)
		return status;
	fmt_hex(id, sizeof(id), ring->repository);
	return fmt_sign_public(ring->admin_seed, ring->admin_public);
}

int
bkp_key_ring_new(struct bkp_key_ring *out, struct bkp_error *err)
{
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	enum fmt_status status = make_secrets(&ring);
	int rc;

	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "making keys");
	else
		rc = bkp_key_ring_rotate(&ring, err);
	if (rc == 0) {
		ring.has_data = ring.has_signing = ring.has_admin = true;
		name_this_host(ring.writer);
		*out = ring;
	}
	bkp_key_ring_wipe(&ring);
	return rc;
}

int
bkp_key_ring_for_host(
    struct bkp_key_ring *ring, const char *name, struct bkp_error *err)
{
	enum fmt_status status = fmt_random(ring->signing_seed, 32);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "making a host's key");
	OPENSSL_cleanse(ring->data, sizeof(ring->data));
	OPENSSL_cleanse(ring->admin_seed, sizeof(ring->admin_seed));
	ring->has_data = ring->has_admin = false;
	ring->has_signing = true;
	(void)snprintf(ring->writer, sizeof(ring->writer), "%s", name);
	return 0;
}

int
bkp_key_ring_host_identity(const struct bkp_key_ring *ring,
    struct fmt_age_identity *out, struct bkp_error *err)
{
	enum fmt_status status =
	    fmt_hmac_sha256(ring->signing_seed, sizeof(ring->signing_seed),
		HOST_LABEL, strlen(HOST_LABEL), out->key);

	out->kind = FMT_AGE_X25519;
	out->passphrase = NULL;
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "deriving a host's key");
	return 0;
}

void
bkp_key_ring_wipe(struct bkp_key_ring *ring)
{
	OPENSSL_cleanse(ring, sizeof(*ring));
}

int
bkp_key_ring_derive(const struct bkp_key_ring *ring, const char *label,
    unsigned char out[32], struct bkp_error *err)
{
	enum fmt_status status = fmt_hmac_sha256(
	    ring->id_key, sizeof(ring->id_key), label, strlen(label), out);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "deriving a key");
	return 0;
}

/* ---- config ---- */

int
bkp_repository_config_encode(const struct bkp_key_ring *ring,
    int64_t created_us, struct fmt_buf *out, struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_printf(out,
	    "{\"type\":\"" CONFIG_TYPE "\",\"version\":%d,"
	    "\"id\":\"%s\",\"created_us\":%lld}\n",
	    BKP_REPOSITORY_VERSION, ring->repository, (long long)created_us);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing config");
	return 0;
}

static bool
copy_text(const json_t *root, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(root, key));

	if (text == NULL || strlen(text) != size - 1)
		return false;
	memcpy(out, text, size);
	return true;
}

static int
read_config(const json_t *root, struct bkp_repository_config *out,
    struct bkp_error *err)
{
	const char *type = json_string_value(json_object_get(root, "type"));
	json_int_t version =
	    json_integer_value(json_object_get(root, "version"));

	if (type == NULL || strcmp(type, CONFIG_TYPE) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "config: this does not describe a repository");
	if (version > BKP_REPOSITORY_VERSION)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "config: the repository has format version %lld, and this "
		    "build reads up to %d; use a newer libbackup",
		    (long long)version, BKP_REPOSITORY_VERSION);
	if (version < 1 || !copy_text(root, "id", out->id, sizeof(out->id)) ||
	    strspn(out->id, "0123456789abcdef") != sizeof(out->id) - 1)
		return bkp_fail(
		    err, BKP_CORRUPT, "config: a member is missing or damaged");
	return 0;
}

int
bkp_repository_config_decode(const void *data, size_t len,
    struct bkp_repository_config *out, struct bkp_error *err)
{
	struct bkp_repository_config config;
	enum fmt_status status;
	json_t *root = NULL;
	int rc;

	if ((status = fmt_json_parse(data, len, &root)) != FMT_OK)
		return bkp_fail_format(err, status, "config");
	if ((rc = read_config(root, &config, err)) == 0)
		*out = config;
	json_decref(root);
	return rc;
}

int
bkp_key_ring_check(const struct bkp_key_ring *ring,
    const struct bkp_repository_config *config, const char *what,
    struct bkp_error *err)
{
	if (strcmp(ring->repository, config->id) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "%s belongs to repository %s, this is %s (says config)",
		    what, ring->repository, config->id);
	return 0;
}
