/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/proof.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/entry.h"
#include "formats/record.h"
#include "formats/snapshot_impl.h"

#define VERSION 1
#define CONTEXT "libbackup proof v1"

static const char *const levels[FMT_PROOF_LEVELS] = {
    [FMT_PROOF_READ] = "read",
    [FMT_PROOF_PARTLY] = "partly restored",
    [FMT_PROOF_RESTORED] = "restored",
};

/* Counts: where they are and what they are called. */
static const struct {
	const char *name;
	size_t offset;
} counts[] = {
    {"passed", offsetof(struct fmt_proof, passed)},
    {"failed", offsetof(struct fmt_proof, failed)},
    {"skipped", offsetof(struct fmt_proof, skipped)},
    {"rows", offsetof(struct fmt_proof, rows)},
    {"objects", offsetof(struct fmt_proof, objects)},
    {"files", offsetof(struct fmt_proof, files)},
    {"duration_ms", offsetof(struct fmt_proof, duration_ms)},
};

#define COUNTS (sizeof(counts) / sizeof(counts[0]))

const char *
fmt_proof_level_name(enum fmt_proof_level level)
{
	return levels[level];
}

void
fmt_proof_free(struct fmt_proof *proof)
{
	free(proof->host);
	free(proof->path);
	*proof = (struct fmt_proof)FMT_PROOF_INIT;
}

/* A verdict that contradicts its own counts is none. */
static bool
is_valid(const struct fmt_proof *p)
{
	return fmt_snapshot_is_hex(p->repository, 32) &&
	       fmt_snapshot_is_hex(p->snapshot, 64) && p->host != NULL &&
	       p->path != NULL && (unsigned)p->level < FMT_PROOF_LEVELS &&
	       (!p->is_proven || (p->passed > 0 && p->failed == 0));
}

/* ---- writing ---- */

static void
set(json_t *object, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(object, key, value) != 0)
		*failed = true;
}

static json_t *
path_value(const char *path)
{
	struct fmt_buf escaped = FMT_BUF_INIT;
	const char *text;
	json_t *value = NULL;

	if (fmt_path_escape(path, &escaped) == FMT_OK &&
	    (text = fmt_buf_text(&escaped)) != NULL)
		value = json_string(text);
	fmt_buf_free(&escaped);
	return value;
}

/* The whole of line 1, or NULL: no memory. */
static json_t *
body_of(const struct fmt_proof *p)
{
	json_t *root = json_object();
	bool failed = root == NULL;

	set(root, "type", json_string("proof"), &failed);
	set(root, "version", json_integer(VERSION), &failed);
	set(root, "repository", json_string(p->repository), &failed);
	set(root, "snapshot", json_string(p->snapshot), &failed);
	set(root, "time_us", json_integer(p->time_us), &failed);
	set(root, "host", json_string(p->host), &failed);
	set(root, "path", path_value(p->path), &failed);
	set(root, "is_proven", json_boolean(p->is_proven), &failed);
	set(root, "level", json_string(levels[p->level]), &failed);
	for (size_t i = 0; i < COUNTS; i++)
		set(root, counts[i].name,
		    json_integer(
			(json_int_t) *
			(const uint64_t *)((const char *)p + counts[i].offset)),
		    &failed);
	if (failed) {
		json_decref(root);
		return NULL;
	}
	return root;
}

enum fmt_status
fmt_proof_encode(const struct fmt_proof *proof, const unsigned char seed[32],
    struct fmt_buf *out)
{
	enum fmt_status status;
	json_t *root;

	if (!is_valid(proof) || !fmt_utf8_is_valid(proof->host))
		return FMT_MALFORMED;
	for (size_t i = 0; i < COUNTS; i++)
		if (*(const uint64_t *)((const char *)proof +
					counts[i].offset) > INT64_MAX)
			return FMT_LIMIT;
	if ((root = body_of(proof)) == NULL)
		return FMT_NOMEM;
	status = fmt_record_encode(root, CONTEXT, seed, out);
	json_decref(root);
	return status;
}

/* ---- reading ---- */

static const char *
text_of(const json_t *root, const char *key)
{
	return json_string_value(json_object_get(root, key));
}

static bool
get_name(const json_t *root, const char *key, char *out, size_t digits)
{
	const char *text = text_of(root, key);

	if (text == NULL || strlen(text) != digits)
		return false;
	memcpy(out, text, digits + 1);
	return true;
}

static enum fmt_status
get_path(const json_t *root, char **out)
{
	struct fmt_buf raw = FMT_BUF_INIT;
	const char *escaped = text_of(root, "path"), *text;
	enum fmt_status status;

	if (escaped == NULL)
		return FMT_MALFORMED;
	status = fmt_path_unescape(escaped, strlen(escaped), &raw);
	if (status == FMT_OK && ((text = fmt_buf_text(&raw)) == NULL ||
				    (*out = strdup(text)) == NULL))
		status = FMT_NOMEM;
	fmt_buf_free(&raw);
	return status;
}

static enum fmt_status
get_level(const json_t *root, enum fmt_proof_level *out)
{
	const char *text = text_of(root, "level");

	for (unsigned i = 0; text != NULL && i < FMT_PROOF_LEVELS; i++)
		if (strcmp(text, levels[i]) == 0) {
			*out = (enum fmt_proof_level)i;
			return FMT_OK;
		}
	return FMT_MALFORMED;
}

static enum fmt_status
get_all(const json_t *root, struct fmt_proof *out)
{
	const json_t *time = json_object_get(root, "time_us");
	const json_t *is_proven = json_object_get(root, "is_proven");
	const char *host = text_of(root, "host");
	enum fmt_status status = fmt_record_check(root, "proof", VERSION);

	if (status != FMT_OK)
		return status;
	if (!get_name(root, "repository", out->repository, 32) ||
	    !get_name(root, "snapshot", out->snapshot, 64) ||
	    !json_is_integer(time) || !json_is_boolean(is_proven) ||
	    host == NULL)
		return FMT_MALFORMED;
	out->time_us = json_integer_value(time);
	out->is_proven = json_is_true(is_proven);
	if ((out->host = strdup(host)) == NULL)
		return FMT_NOMEM;
	status = get_level(root, &out->level);
	if (status == FMT_OK)
		status = get_path(root, &out->path);
	for (size_t i = 0; status == FMT_OK && i < COUNTS; i++)
		status = fmt_json_get_uint(root, counts[i].name,
		    (uint64_t *)((char *)out + counts[i].offset));
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

enum fmt_status
fmt_proof_decode(const void *data, size_t len, struct fmt_proof *out)
{
	struct fmt_proof read = FMT_PROOF_INIT;
	struct fmt_record record = FMT_RECORD_INIT;
	enum fmt_status status;

	status = fmt_record_decode(data, len, CONTEXT, &record);
	if (status != FMT_OK)
		return status;
	memcpy(read.signer, record.signer, sizeof(read.signer));
	status = get_all(record.body, &read);
	fmt_record_free(&record);
	if (status != FMT_OK) {
		fmt_proof_free(&read);
		return status;
	}
	*out = read;
	return FMT_OK;
}
