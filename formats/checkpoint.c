/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/checkpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/record.h"
#include "formats/snapshot_impl.h"

#define VERSION 1
#define CONTEXT "libbackup checkpoint v1"

/* Names of one length, each with a NUL. */
struct list {
	char *items;
	size_t count, digits;
};

static const char *
item_of(const struct list *list, size_t n)
{
	return list->items + n * (list->digits + 1);
}

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

static bool
is_list_valid(const struct list *list, bool is_sorted)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!fmt_snapshot_is_hex(item_of(list, i), list->digits))
			return false;
		if (is_sorted && i > 0 &&
		    strcmp(item_of(list, i - 1), item_of(list, i)) >= 0)
			return false;
	}
	return true;
}

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
	const struct list kept = {(char *)c->kept, c->kept_count, 64};
	const struct list removed = {(char *)c->removed, c->removed_count, 64};
	const struct list expired = {(char *)c->expired, c->expired_count, 32};
	const struct list replaced = {
	    (char *)c->replaced, c->replaced_count, 64};

	return fmt_snapshot_is_hex(c->repository, 32) && c->sequence > 0 &&
	       is_list_valid(&kept, true) && is_list_valid(&removed, true) &&
	       is_list_valid(&expired, true) &&
	       is_list_valid(&replaced, false) && !have_common(c);
}

/* ---- writing ---- */

static void
set(json_t *object, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(object, key, value) != 0)
		*failed = true;
}

static json_t *
list_value(const void *items, size_t count, size_t digits)
{
	json_t *array = json_array();
	const char *item = items;

	for (size_t i = 0; array != NULL && i < count; i++, item += digits + 1)
		if (json_array_append_new(array, json_string(item)) != 0) {
			json_decref(array);
			array = NULL;
		}
	return array;
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
	set(root, "kept", list_value(c->kept, c->kept_count, 64), &failed);
	set(root, "removed", list_value(c->removed, c->removed_count, 64),
	    &failed);
	set(root, "expired", list_value(c->expired, c->expired_count, 32),
	    &failed);
	set(root, "replaced", list_value(c->replaced, c->replaced_count, 64),
	    &failed);
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
get_list(const json_t *root, const char *key, size_t digits, void *items,
    size_t *count)
{
	const json_t *array = json_object_get(root, key);
	size_t size = json_array_size(array);
	char *copy;

	if (!json_is_array(array))
		return FMT_MALFORMED;
	if (size == 0)
		return FMT_OK;
	if ((copy = calloc(size, digits + 1)) == NULL)
		return FMT_NOMEM;
	memcpy(items, &copy, sizeof(copy));
	*count = size;
	for (size_t i = 0; i < size; i++, copy += digits + 1) {
		const char *text = json_string_value(json_array_get(array, i));

		if (text == NULL || strlen(text) != digits)
			return FMT_MALFORMED;
		memcpy(copy, text, digits);
	}
	return FMT_OK;
}

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
		status =
		    get_list(root, "kept", 64, &out->kept, &out->kept_count);
	if (status == FMT_OK)
		status = get_list(
		    root, "removed", 64, &out->removed, &out->removed_count);
	if (status == FMT_OK)
		status = get_list(
		    root, "expired", 32, &out->expired, &out->expired_count);
	if (status == FMT_OK)
		status = get_list(
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
