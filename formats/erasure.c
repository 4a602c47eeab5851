/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/erasure.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/json.h"
#include "formats/path.h"
#include "formats/record.h"
#include "formats/sign.h"

#define VERSION 1
#define CONTEXT "libbackup erasure v1"

void
fmt_erasure_free(struct fmt_erasure *erasure)
{
	free(erasure->host);
	free(erasure->source);
	free(erasure->database);
	free(erasure->table);
	free(erasure->sealed);
	*erasure = (struct fmt_erasure)FMT_ERASURE_INIT;
}

static bool
has_text(const char *text)
{
	return text != NULL && text[0] != '\0';
}

static bool
is_valid(const struct fmt_erasure *e)
{
	return fmt_is_hex(e->repository, 32) && fmt_is_hex(e->map, 64) &&
	       e->host != NULL && has_text(e->source) &&
	       has_text(e->database) && has_text(e->table) &&
	       has_text(e->sealed);
}

/* ---- writing ---- */

/* The whole of line 1, or NULL: no memory. */
static json_t *
body_of(const struct fmt_erasure *e)
{
	char hash[2 * FMT_ERASURE_HASH + 1];
	json_t *root = json_object();
	bool failed = root == NULL;

	fmt_hex(e->hash, sizeof(e->hash), hash);
	fmt_json_set(root, "type", json_string("erasure"), &failed);
	fmt_json_set(root, "version", json_integer(VERSION), &failed);
	fmt_json_set(root, "repository", json_string(e->repository), &failed);
	fmt_json_set(root, "time_us", json_integer(e->time_us), &failed);
	fmt_json_set(root, "host", json_string(e->host), &failed);
	fmt_json_set(root, "source", fmt_path_to_json(e->source), &failed);
	fmt_json_set(root, "database", fmt_path_to_json(e->database), &failed);
	fmt_json_set(root, "table", fmt_path_to_json(e->table), &failed);
	fmt_json_set(root, "map", json_string(e->map), &failed);
	fmt_json_set(root, "hash", json_string(hash), &failed);
	fmt_json_set(root, "sealed", json_string(e->sealed), &failed);
	if (failed) {
		json_decref(root);
		return NULL;
	}
	return root;
}

enum fmt_status
fmt_erasure_encode(const struct fmt_erasure *erasure,
    const unsigned char seed[32], struct fmt_buf *out)
{
	enum fmt_status status;
	json_t *root;

	if (!is_valid(erasure) || !fmt_utf8_is_valid(erasure->host) ||
	    !fmt_utf8_is_valid(erasure->sealed))
		return FMT_MALFORMED;
	if ((root = body_of(erasure)) == NULL)
		return FMT_NOMEM;
	status = fmt_record_encode(root, CONTEXT, seed, out);
	json_decref(root);
	return status;
}

/* ---- reading ---- */

static enum fmt_status
get_text(const json_t *root, const char *key, char **out)
{
	const char *text = json_string_value(json_object_get(root, key));

	if (text == NULL)
		return FMT_MALFORMED;
	*out = strdup(text);
	return *out != NULL ? FMT_OK : FMT_NOMEM;
}

static enum fmt_status
get_hash(const json_t *root, unsigned char out[FMT_ERASURE_HASH])
{
	char hash[2 * FMT_ERASURE_HASH + 1];
	enum fmt_status status =
	    fmt_json_get_hex(root, "hash", sizeof(hash) - 1, hash);

	return status == FMT_OK ? fmt_unhex(hash, out, FMT_ERASURE_HASH)
				: status;
}

static enum fmt_status
fill(const json_t *root, void *arg)
{
	struct fmt_erasure *out = arg;
	enum fmt_status status =
	    fmt_json_get_hex(root, "repository", 32, out->repository);

	if (status == FMT_OK)
		status = fmt_json_get_hex(root, "map", 64, out->map);
	if (status == FMT_OK)
		status = get_hash(root, out->hash);
	if (status == FMT_OK)
		status = fmt_json_get_int(root, "time_us", &out->time_us);
	if (status == FMT_OK)
		status = get_text(root, "host", &out->host);
	if (status == FMT_OK)
		status = fmt_path_get(root, "source", &out->source);
	if (status == FMT_OK)
		status = fmt_path_get(root, "database", &out->database);
	if (status == FMT_OK)
		status = fmt_path_get(root, "table", &out->table);
	if (status == FMT_OK)
		status = get_text(root, "sealed", &out->sealed);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

static const struct fmt_record_kind kind = {CONTEXT, "erasure", VERSION, fill};

enum fmt_status
fmt_erasure_decode(const void *data, size_t len, struct fmt_erasure *out)
{
	struct fmt_erasure read = FMT_ERASURE_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &kind, &read, read.signer);

	if (status == FMT_OK)
		*out = read;
	else
		fmt_erasure_free(&read);
	return status;
}

/* ---- what is sealed ---- */

#define KEY_HEX (2 * (size_t)FMT_ERASURE_KEY)

enum fmt_status
fmt_erasure_secret_write(const unsigned char key[FMT_ERASURE_KEY],
    const void *map, size_t map_len, struct fmt_buf *out)
{
	char hex[KEY_HEX + 1];
	size_t before = out->len;
	enum fmt_status status;

	fmt_hex(key, FMT_ERASURE_KEY, hex);
	hex[KEY_HEX] = '\n';
	status = fmt_buf_append(out, hex, sizeof(hex));
	if (status == FMT_OK)
		status = fmt_buf_append(out, map, map_len);
	if (status != FMT_OK)
		out->len = before;
	OPENSSL_cleanse(hex, sizeof(hex));
	return status;
}

enum fmt_status
fmt_erasure_secret_read(const void *text, size_t len,
    unsigned char key[FMT_ERASURE_KEY], const char **map, size_t *map_len)
{
	char hex[KEY_HEX + 1];
	enum fmt_status status;

	if (len <= KEY_HEX)
		return FMT_TRUNCATED;
	memcpy(hex, text, sizeof(hex));
	if (hex[KEY_HEX] != '\n')
		return FMT_MALFORMED;
	hex[KEY_HEX] = '\0';
	status = fmt_unhex(hex, key, FMT_ERASURE_KEY);
	OPENSSL_cleanse(hex, sizeof(hex));
	if (status != FMT_OK)
		return status;
	*map = (const char *)text + sizeof(hex);
	*map_len = len - sizeof(hex);
	return FMT_OK;
}

/* ---- the subject ---- */

enum fmt_status
fmt_erasure_hash(const unsigned char key[FMT_ERASURE_KEY], const char *table,
    const char *const *values, size_t count,
    unsigned char out[FMT_ERASURE_HASH])
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	enum fmt_status status =
	    fmt_buf_append(&text, table, strlen(table) + 1);

	for (size_t i = 0; status == FMT_OK && i < count; i++) {
		size_t len = strlen(values[i]);
		unsigned char prefix[8];

		fmt_store_le64(prefix, len);
		status = fmt_buf_append(&text, prefix, sizeof(prefix));
		if (status == FMT_OK)
			status = fmt_buf_append(&text, values[i], len);
	}
	if (status == FMT_OK)
		status = fmt_hmac_sha256(
		    key, FMT_ERASURE_KEY, text.data, text.len, out);
	fmt_buf_free(&text);
	return status;
}
