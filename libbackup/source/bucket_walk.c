/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_walk.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

const char *
bkp_bucket_key_of(
    const struct bkp_supply *supply, const struct fmt_entry *entry)
{
	const char *prefix = bkp_supply_prefix(supply);
	size_t len = strlen(prefix);

	if (strcmp(entry->kind, BKP_BUCKET_OBJECT) != 0 ||
	    strncmp(entry->path, prefix, len) != 0 || entry->path[len] != '/' ||
	    entry->path[len + 1] == '\0')
		return NULL;
	return entry->path + len + 1;
}

int
bkp_bucket_leave_unknown(struct bkp_supply *supply,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	return bkp_run_omit(bkp_supply_run(supply), err, entry->path,
	    "its kind (%s) is not known to this version; use a newer one",
	    entry->kind);
}

bool
bkp_bucket_is_alike(
    const struct fmt_entry *entry, const struct bkp_s3_object *object)
{
	const char *etag = bkp_bucket_attrs_get(entry->attrs, "etag");

	if (etag == NULL)
		etag = bkp_bucket_attrs_get(entry->attrs, "etag_opaque");
	return etag != NULL && entry->has_content &&
	       object->size == entry->size && strcmp(etag, object->etag) == 0;
}

bool
bkp_bucket_may_be_alike(
    const struct fmt_entry *entry, const struct bkp_s3_object *object)
{
	return bkp_bucket_attrs_get(entry->attrs, "etag") == NULL &&
	       entry->has_content && entry->has_sha256 &&
	       object->size == entry->size;
}

const char *
bkp_bucket_common_prefix(struct bkp_supply *supply)
{
	const char *selection = bkp_supply_selection(supply);
	size_t len = strlen(bkp_supply_prefix(supply));

	if (strlen(selection) > len + 1)
		return selection + len + 1;
	return json_string_value(
	    json_object_get(bkp_supply_info(supply), "prefix"));
}

/* Older versions are not among them. */
int
bkp_bucket_currents(struct bkp_supply *supply, struct bkp_entry_stream **out,
    struct bkp_error *err)
{
	const char *prefix = bkp_supply_prefix(supply);
	const char *selection = bkp_supply_selection(supply);
	bool is_whole = strcmp(selection, prefix) == 0;
	char *below = bkp_format(err, "%s%s", selection, is_whole ? "/" : "");
	int rc = -1;

	if (below != NULL)
		rc = bkp_supply_entries(supply, below, out, err);
	free(below);
	return rc;
}

int
bkp_bucket_walk_open(struct bkp_bucket_walk *walk,
    struct bkp_s3_connection *connection, const char *bucket,
    struct bkp_supply *supply, struct bkp_error *err)
{
	walk->supply = supply;
	if (connection != NULL &&
	    bkp_s3_list_open(connection, bucket,
		bkp_bucket_common_prefix(supply), &walk->listing, err) < 0)
		return -1;
	walk->has_listing = connection != NULL;
	walk->has_entries = true;
	return bkp_bucket_currents(supply, &walk->entries, err);
}

void
bkp_bucket_walk_read_ahead(struct bkp_bucket_walk *walk)
{
	if (walk->listing != NULL)
		bkp_s3_list_read_ahead(walk->listing);
}

void
bkp_bucket_walk_close(struct bkp_bucket_walk *walk)
{
	bkp_s3_list_close(walk->listing);
	if (walk->entries != NULL)
		bkp_entry_stream_close(walk->entries);
	fmt_entry_free(&walk->entry);
	*walk = (struct bkp_bucket_walk)BKP_BUCKET_WALK_INIT;
}

/* 1: it is an object that was chosen; 0; -1. */
static int
is_wanted(const struct bkp_bucket_walk *walk, struct bkp_error *err)
{
	const struct fmt_entry *entry = &walk->entry;

	if (!bkp_supply_is_selected(walk->supply, entry->path))
		return 0;
	if (bkp_bucket_key_of(walk->supply, entry) != NULL)
		return 1;
	if (!walk->is_telling)
		return 0;
	return bkp_bucket_leave_unknown(walk->supply, entry, err);
}

static int
fill_entry(struct bkp_bucket_walk *walk, struct bkp_error *err)
{
	while (walk->has_entries && walk->entry.path == NULL) {
		int rc =
		    bkp_entry_stream_next(walk->entries, &walk->entry, err);

		walk->has_entries = rc == 1;
		if (rc == 1 && (rc = is_wanted(walk, err)) == 0)
			fmt_entry_free(&walk->entry);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int
fill_object(struct bkp_bucket_walk *walk, struct bkp_error *err)
{
	int rc;

	if (!walk->has_listing || walk->has_object)
		return 0;
	if ((rc = bkp_s3_list_next(walk->listing, &walk->object, err)) < 0)
		return -1;
	walk->has_listing = walk->has_object = rc == 1;
	return 0;
}

int
bkp_bucket_walk_next(struct bkp_bucket_walk *walk, struct fmt_entry *entry,
    const struct bkp_s3_object **object, struct bkp_error *err)
{
	int order;

	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	*object = NULL;
	if (fill_entry(walk, err) < 0 || fill_object(walk, err) < 0)
		return -1;
	if (walk->entry.path == NULL && !walk->has_object)
		return 0;
	order = walk->entry.path == NULL ? 1
		: !walk->has_object
		    ? -1
		    : strcmp(bkp_bucket_key_of(walk->supply, &walk->entry),
			  walk->object.key);
	if (order <= 0) {
		*entry = walk->entry;
		walk->entry = (struct fmt_entry)FMT_ENTRY_INIT;
	}
	if (order >= 0) {
		*object = &walk->object;
		walk->has_object = false;
	}
	return 1;
}

bool
bkp_bucket_walk_is_past_objects(const struct bkp_bucket_walk *walk)
{
	return !walk->has_listing && !walk->has_object;
}
