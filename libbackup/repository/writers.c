/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/writers.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"

#define TYPE "libbackup writer"
#define CONTEXT "libbackup writer 1"
#define HEX_KEY (2 * 32 + 1)
#define HEX_SIGNATURE (2 * FMT_SIGNATURE_SIZE + 1)

/* ---- writing ---- */

static enum fmt_status
encode(const struct bkp_key_ring *ring, int64_t created_us, struct fmt_buf *out)
{
	unsigned char public_key[32], signature[FMT_SIGNATURE_SIZE];
	char key_text[HEX_KEY], signature_text[HEX_SIGNATURE];
	enum fmt_status status;

	status = fmt_sign_public(ring->signing_seed, public_key);
	if (status != FMT_OK)
		return status;
	fmt_hex(public_key, sizeof(public_key), key_text);
	status = fmt_buf_printf(out,
	    "{\"type\":\"" TYPE "\",\"version\":%d,\"repository\":\"%s\","
	    "\"name\":\"%s\",\"public_key\":\"%s\",\"created_us\":%lld}\n",
	    BKP_REPOSITORY_VERSION, ring->repository, ring->writer, key_text,
	    (long long)created_us);
	if (status != FMT_OK)
		return status;
	status =
	    fmt_sign(ring->admin_seed, CONTEXT, out->data, out->len, signature);
	if (status != FMT_OK)
		return status;
	fmt_hex(signature, sizeof(signature), signature_text);
	return fmt_buf_printf(out, "{\"signature\":\"%s\"}\n", signature_text);
}

int
bkp_writer_put(struct bkp_store *store, const struct bkp_key_ring *ring,
    int64_t created_us, char name[BKP_OBJECT_NAME], struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status = encode(ring, created_us, &text);
	int rc;

	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "registering a writer");
	else
		rc = bkp_object_put(
		    store, "writers", text.data, text.len, name, err);
	fmt_buf_free(&text);
	return rc;
}

/* ---- reading ---- */

/* FMT_OK where the administrators signed it; FMT_AUTH where they did not. */
static enum fmt_status
check_signature(
    const struct fmt_buf *text, size_t first_len, const unsigned char admin[32])
{
	unsigned char signature[FMT_SIGNATURE_SIZE];
	enum fmt_status status;
	const char *hex;
	json_t *line;

	status = fmt_json_parse(
	    (const char *)text->data + first_len, text->len - first_len, &line);
	if (status != FMT_OK)
		return status == FMT_NOMEM ? status : FMT_AUTH;
	hex = json_string_value(json_object_get(line, "signature"));
	if (hex == NULL ||
	    fmt_unhex(hex, signature, sizeof(signature)) != FMT_OK)
		status = FMT_AUTH;
	else
		status = fmt_sign_verify(
		    admin, CONTEXT, text->data, first_len, signature);
	json_decref(line);
	return status;
}

static bool
read_writer(const json_t *line, const char *repository, struct bkp_writer *out)
{
	const char *type = json_string_value(json_object_get(line, "type"));
	const char *of = json_string_value(json_object_get(line, "repository"));
	const char *key =
	    json_string_value(json_object_get(line, "public_key"));
	const char *name = json_string_value(json_object_get(line, "name"));

	if (type == NULL || strcmp(type, TYPE) != 0 || of == NULL ||
	    strcmp(of, repository) != 0 || key == NULL || name == NULL ||
	    strlen(name) >= sizeof(out->name) ||
	    fmt_unhex(key, out->public_key, sizeof(out->public_key)) != FMT_OK)
		return false;
	memcpy(out->name, name, strlen(name) + 1);
	return true;
}

static int
decode(const struct fmt_buf *text, const struct bkp_key_ring *ring,
    struct bkp_writer *out, struct bkp_error *err)
{
	const unsigned char *newline =
	    text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
	enum fmt_status status;
	size_t first_len;
	json_t *line;
	bool is_good;

	if (newline == NULL)
		return bkp_fail(err, BKP_CORRUPT, "this is no writer");
	first_len = (size_t)(newline - text->data) + 1;
	status = check_signature(text, first_len, ring->admin_public);
	if (status != FMT_OK && status != FMT_AUTH)
		return bkp_fail_format(err, status, "checking its signature");
	if (status == FMT_AUTH)
		return bkp_fail(err, BKP_AUTH,
		    "this writer was not let in by the administrators (the "
		    "signature does not fit)");
	status = fmt_json_parse((const char *)text->data, first_len, &line);
	if (status == FMT_NOMEM)
		return bkp_fail_nomem(err, "reading a writer");
	if (status != FMT_OK)
		return bkp_fail(err, BKP_CORRUPT, "this is no writer");
	is_good = read_writer(line, ring->repository, out);
	json_decref(line);
	if (!is_good)
		return bkp_fail(err, BKP_CORRUPT, "this is no writer");
	return 0;
}

static int
load_one(struct bkp_store *store, const struct bkp_key_ring *ring,
    const char *name, struct bkp_writer *out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = bkp_object_get(store, "writers", name, &text, err);

	if (rc == 0 && (rc = decode(&text, ring, out, err)) < 0)
		(void)bkp_fail_in(err, "%s: writers/%s", store->location, name);
	fmt_buf_free(&text);
	return rc;
}

static bool
is_about_the_object(const struct bkp_error *err)
{
	return err->code == BKP_CORRUPT || err->code == BKP_AUTH ||
	       err->code == BKP_NOTFOUND;
}

static int
add_writer(struct bkp_writers *writers, const struct bkp_writer *writer,
    struct bkp_error *err)
{
	if (bkp_grow(&writers->items, writers->count, &writers->cap,
		sizeof(*writers->items), err) < 0)
		return -1;
	writers->items[writers->count++] = *writer;
	return 0;
}

int
bkp_writers_load(struct bkp_store *store, const struct bkp_key_ring *ring,
    struct bkp_writers *out, struct bkp_error *err)
{
	struct bkp_writers writers = BKP_WRITERS_INIT;
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_object_names(store, "writers", "", &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		struct bkp_error problem = BKP_ERROR_INIT;
		struct bkp_writer writer;

		rc = load_one(store, ring, names.items[i], &writer, &problem);
		if (rc == 0) {
			rc = add_writer(&writers, &writer, err);
		} else if (is_about_the_object(&problem)) {
			if (writers.damage.code == 0)
				writers.damage = problem;
			rc = 0;
		} else if (err != NULL) {
			*err = problem;
		}
	}
	bkp_names_free(&names);
	if (rc < 0)
		bkp_writers_free(&writers);
	else
		*out = writers;
	return rc;
}

void
bkp_writers_free(struct bkp_writers *writers)
{
	free(writers->items);
	*writers = (struct bkp_writers)BKP_WRITERS_INIT;
}

bool
bkp_writers_has(const struct bkp_writers *writers, const unsigned char key[32])
{
	for (size_t i = 0; i < writers->count; i++) {
		if (memcmp(writers->items[i].public_key, key, 32) == 0)
			return true;
	}
	return false;
}
