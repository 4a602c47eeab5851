/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

void
bkp_bucket_item_free(struct bkp_bucket_item *item)
{
	if (item == NULL)
		return;
	free(item->key);
	free(item->etag);
	free(item->last_modified);
	free(item->storage_class);
	free(item->version_id);
	fmt_entry_free(&item->entry);
	free(item);
}

int
bkp_bucket_item_new(const char *path, const char *kind,
    const struct bkp_s3_object *object, const char *version_id,
    struct bkp_bucket_item **out, struct bkp_error *err)
{
	struct bkp_bucket_item *item = bkp_alloc(sizeof(*item), err);

	if (item == NULL)
		return -1;
	item->entry = (struct fmt_entry)FMT_ENTRY_INIT;
	item->size = object->size;
	item->key = bkp_strdup(object->key, err);
	item->etag = bkp_strdup(object->etag, err);
	item->last_modified = bkp_strdup(object->last_modified, err);
	item->storage_class = bkp_strdup(object->storage_class, err);
	if (version_id != NULL)
		item->version_id = bkp_strdup(version_id, err);
	if (item->key == NULL || item->etag == NULL ||
	    item->last_modified == NULL || item->storage_class == NULL ||
	    (version_id != NULL && item->version_id == NULL))
		goto fail;
	if (fmt_entry_init(&item->entry, path, kind) != FMT_OK) {
		(void)bkp_fail_nomem(err, "listing a bucket");
		goto fail;
	}
	*out = item;
	return 0;
fail:
	bkp_bucket_item_free(item);
	return -1;
}

/* "null" is what servers call what was put without versioning, and can be
 * another thing each time. */
static bool
has_version_id(const char *version_id)
{
	return version_id != NULL && strcmp(version_id, "null") != 0;
}

static bool
has_text(const json_t *attrs, const char *name, const char *text)
{
	const char *before = bkp_bucket_attrs_get(attrs, name);

	return before != NULL && strcmp(before, text) == 0;
}

bool
bkp_bucket_item_is(const struct bkp_bucket_item *item, const char *tags,
    const struct fmt_entry *before, struct bkp_sink *sink)
{
	return before->has_content && before->size == item->size &&
	       (!has_version_id(item->version_id) ||
		   has_text(before->attrs, "version_id", item->version_id)) &&
	       (has_text(before->attrs, "etag", item->etag) ||
		   has_text(before->attrs, "etag_opaque", item->etag)) &&
	       has_text(before->attrs, "last_modified", item->last_modified) &&
	       (tags == NULL ||
		   bkp_bucket_attrs_have_tags(before->attrs, tags)) &&
	       bkp_sink_has_entry(sink, before);
}

int
bkp_bucket_item_keep(struct bkp_bucket_item *item, struct fmt_entry *before,
    struct bkp_error *err)
{
	struct fmt_entry kept = *before;

	*before = (struct fmt_entry)FMT_ENTRY_INIT;
	free(kept.path);
	free(kept.kind);
	kept.path = item->entry.path;
	kept.kind = bkp_strdup(item->entry.kind, err);
	item->entry.path = NULL;
	fmt_entry_free(&item->entry);
	item->entry = kept;
	item->is_kept = true;
	return kept.kind != NULL ? 0 : -1;
}
