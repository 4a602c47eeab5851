/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/checkpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/record.h"

#define VERSION 1
#define CONTEXT "libbackup checkpoint v1"

void
fmt_checkpoint_free(struct fmt_checkpoint *checkpoint)
{
	free(checkpoint->kept);
	free(checkpoint->removed);
	free(checkpoint->expired);
	free(checkpoint->replaced);
	*checkpoint = (struct fmt_checkpoint)FMT_CHECKPOINT_INIT;
}

/* ---- what both ways must hold ---- */

/* Both are sorted. */
static bool
have_common(const struct fmt_checkpoint *checkpoint)
{
	size_t k = 0, r = 0;

	while (k < checkpoint->kept_count && r < checkpoint->removed_count) {
		int order = strcmp(checkpoint->kept[k], checkpoint->removed[r]);

		if (order == 0)
			return true;
		if (order < 0)
			k++;
		else
			r++;
	}
	return false;
}

static bool
is_valid(const struct fmt_checkpoint *c)
{
	return fmt_json_are_names(c->repository, 1, 32, false) &&
	       c->sequence > 0 &&
	       fmt_json_are_names(c->kept, c->kept_count, 64, true) &&
	       fmt_json_are_names(c->removed, c->removed_count, 64, true) &&
	       fmt_json_are_names(c->expired, c->expired_count, 32, true) &&
	       fmt_json_are_names(c->replaced, c->replaced_count, 64, false) &&
	       !have_common(c);
}

/* ---- writing ---- */

static void
set(json_t *object, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(object, key, value) != 0)
		*failed = true;
}

/* The whole of line 1, or NULL: no memory. */
static json_t *
body_of(const struct fmt_checkpoint *c)
{
	json_t *root = json_object();
	bool failed = root == NULL;

	set(root, "type", json_string("checkpoint"), &failed);
	set(root, "version", json_integer(VERSION), &failed);
	set(root, "repository", json_string(c->repository), &failed);
	set(root, "sequence", json_integer((json_int_t)c->sequence), &failed);
	set(root, "time_us", json_integer(c->time_us), &failed);
	set(root, "kept", fmt_json_names(c->kept, c->kept_count, 64), &failed);
	set(root, "removed", fmt_json_names(c->removed, c->removed_count, 64),
	    &failed);
	set(root, "expired", fmt_json_names(c->expired, c->expired_count, 32),
	    &failed);
	set(root, "replaced",
	    fmt_json_names(c->replaced, c->replaced_count, 64), &failed);
	if (failed) {
		json_decref(root);
		return NULL;
	}
	return root;
}

enum fmt_status
fmt_checkpoint_encode(const struct fmt_checkpoint *checkpoint,
    const unsigned char seed[32], struct fmt_buf *out)
{
	enum fmt_status status;
	json_t *root;

	if (!is_valid(checkpoint))
		return FMT_MALFORMED;
	if (checkpoint->sequence > INT64_MAX)
		return FMT_LIMIT;
	if ((root = body_of(checkpoint)) == NULL)
		return FMT_NOMEM;
	status = fmt_record_encode(root, CONTEXT, seed, out);
	json_decref(root);
	return status;
}

/* ---- reading ---- */

static enum fmt_status
get_head(const json_t *root, struct fmt_checkpoint *out)
{
	const char *repository =
	    json_string_value(json_object_get(root, "repository"));
	const json_t *time = json_object_get(root, "time_us");
	enum fmt_status status = fmt_record_check(root, "checkpoint", VERSION);

	if (status != FMT_OK)
		return status;
	if (repository == NULL || strlen(repository) != 32 ||
	    !json_is_integer(time))
		return FMT_MALFORMED;
	memcpy(out->repository, repository, sizeof(out->repository));
	out->time_us = json_integer_value(time);
	return fmt_json_get_uint(root, "sequence", &out->sequence);
}

static enum fmt_status
get_all(const json_t *root, struct fmt_checkpoint *out)
{
	enum fmt_status status = get_head(root, out);

	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "kept", 64, &out->kept, &out->kept_count);
	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "removed", 64, &out->removed, &out->removed_count);
	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "expired", 32, &out->expired, &out->expired_count);
	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "replaced", 64, &out->replaced, &out->replaced_count);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

enum fmt_status
fmt_checkpoint_decode(const void *data, size_t len, struct fmt_checkpoint *out)
{
	struct fmt_checkpoint read = FMT_CHECKPOINT_INIT;
	struct fmt_record record = FMT_RECORD_INIT;
	enum fmt_status status;

	status = fmt_record_decode(data, len, CONTEXT, &record);
	if (status != FMT_OK)
		return status;
	memcpy(read.signer, record.signer, sizeof(read.signer));
	status = get_all(record.body, &read);
	fmt_record_free(&record);
	if (status != FMT_OK) {
		fmt_checkpoint_free(&read);
		return status;
	}
	*out = read;
	return FMT_OK;
}
