/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/instant.h"
#include "libbackup/s3/fields.h"

void
bkp_s3_entry_free(struct bkp_s3_entry *entry)
{
	free(entry->key);
	free(entry->etag);
	free(entry->last_modified);
	free(entry->storage_class);
	free(entry->tags);
	free(entry->id);
	memset(entry, 0, sizeof(*entry));
}

void
bkp_s3_entries_drop(struct bkp_s3_entries *entries)
{
	/* One more may have begun where a page broke off. */
	for (size_t i = 0; i < entries->cap && i <= entries->count; i++)
		bkp_s3_entry_free(&entries->items[i]);
	entries->count = 0;
}

void
bkp_s3_entries_free(struct bkp_s3_entries *entries)
{
	bkp_s3_entries_drop(entries);
	free(entries->items);
	memset(entries, 0, sizeof(*entries));
}

int
bkp_s3_listing_broken(
    const char *bucket, struct bkp_error *err, const char *what)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "listing s3://%s: %s; such a listing cannot be trusted, so "
	    "nothing is taken from it",
	    bucket, what);
}

int
bkp_s3_set_text(char **to, const char *text, size_t len, struct bkp_error *err)
{
	free(*to);
	if ((*to = strndup(text, len)) == NULL)
		return bkp_fail_nomem(err, "reading a listing");
	return 0;
}

/* ---- one entry ---- */

/* The entry that is being filled: the one behind the last. */
static int
current_entry(struct bkp_s3_entries *entries, struct bkp_s3_entry **out,
    struct bkp_error *err)
{
	size_t cap = entries->cap;

	if (bkp_grow(&entries->items, entries->count, &entries->cap,
		sizeof(*entries->items), err) < 0)
		return -1;
	for (; cap < entries->cap; cap++)
		memset(&entries->items[cap], 0, sizeof(*entries->items));
	*out = &entries->items[entries->count];
	return 0;
}

static int
set_etag(struct bkp_s3_entry *entry, const char *text, size_t len,
    struct bkp_error *err)
{
	if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
		return bkp_s3_set_text(&entry->etag, text + 1, len - 2, err);
	return bkp_s3_set_text(&entry->etag, text, len, err);
}

static int
set_size(struct bkp_s3_entry *entry, const char *bucket, const char *text,
    struct bkp_error *err)
{
	char *end;

	errno = 0;
	entry->size = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-')
		return bkp_s3_listing_broken(
		    bucket, err, "a size is not a number");
	return 0;
}

/* Where an element's text goes as it is; NULL: nowhere. */
static char **
text_of(struct bkp_s3_entry *entry, const char *name)
{
	if (strcmp(name, "Key") == 0)
		return &entry->key;
	if (strcmp(name, "LastModified") == 0 || strcmp(name, "Initiated") == 0)
		return &entry->last_modified;
	if (strcmp(name, "StorageClass") == 0)
		return &entry->storage_class;
	if (strcmp(name, "UserTags") == 0)
		return &entry->tags;
	if (strcmp(name, "VersionId") == 0 || strcmp(name, "UploadId") == 0)
		return &entry->id;
	return NULL;
}

int
bkp_s3_entries_take(struct bkp_s3_entries *entries, const char *bucket,
    const char *name, const char *text, size_t len, struct bkp_error *err)
{
	struct bkp_s3_entry *entry;
	char **to;

	if (current_entry(entries, &entry, err) < 0)
		return -1;
	if ((to = text_of(entry, name)) != NULL)
		return bkp_s3_set_text(to, text, len, err);
	if (strcmp(name, "ETag") == 0)
		return set_etag(entry, text, len, err);
	if (strcmp(name, "Size") == 0)
		return set_size(entry, bucket, text, err);
	if (strcmp(name, "IsLatest") == 0)
		entry->is_latest = strcmp(text, "true") == 0;
	if (strcmp(name, "UserMetadata") == 0 || strcmp(name, "Internal") == 0)
		entry->has_metadata = true;
	return 0;
}

static const char *
missing(const struct bkp_s3_entry *entry, enum bkp_s3_entry_kind kind)
{
	bool has_etag =
	    kind == BKP_S3_ENTRY_OBJECT || kind == BKP_S3_ENTRY_VERSION;

	if (entry->key == NULL || entry->key[0] == '\0' ||
	    (has_etag && entry->etag == NULL) || entry->last_modified == NULL)
		return has_etag ? "an object is without key, ETag or date"
				: "an entry is without key or date";
	if (kind != BKP_S3_ENTRY_OBJECT &&
	    (entry->id == NULL || entry->id[0] == '\0'))
		return "a version or an upload is without its id";
	return NULL;
}

int
bkp_s3_entries_end(struct bkp_s3_entries *entries, const char *bucket,
    enum bkp_s3_entry_kind kind, struct bkp_error *err)
{
	struct bkp_s3_entry *entry;
	const char *what;

	if (current_entry(entries, &entry, err) < 0)
		return -1;
	if ((what = missing(entry, kind)) != NULL)
		return bkp_s3_listing_broken(bucket, err, what);
	if (kind != BKP_S3_ENTRY_OBJECT &&
	    !bkp_instant_read(entry->last_modified, &entry->modified_us))
		return bkp_s3_listing_broken(bucket, err, "a date is no time");
	if (entry->storage_class == NULL &&
	    bkp_s3_set_text(&entry->storage_class, "", 0, err) < 0)
		return -1;
	if (entry->etag == NULL &&
	    bkp_s3_set_text(&entry->etag, "", 0, err) < 0)
		return -1;
	/* A server that tells metadata leaves out the tags that are not. */
	if (entry->tags == NULL && entry->has_metadata &&
	    bkp_s3_set_text(&entry->tags, "", 0, err) < 0)
		return -1;
	entry->is_marker = kind == BKP_S3_ENTRY_MARKER;
	entries->count++;
	return 0;
}

/* ---- keys ---- */

int
bkp_s3_decode_key(char **key, const char *bucket, struct bkp_error *err)
{
	struct fmt_buf plain = FMT_BUF_INIT;
	enum fmt_status status =
	    bkp_s3_decode(*key, strlen(*key), true, &plain);
	int rc;

	if (status == FMT_MALFORMED)
		rc = bkp_s3_listing_broken(
		    bucket, err, "a key is encoded wrongly");
	else if (status != FMT_OK || fmt_buf_text(&plain) == NULL)
		rc = bkp_fail_nomem(err, "reading a listing");
	else if (memchr(plain.data, '\0', plain.len) != NULL)
		rc = bkp_s3_listing_broken(
		    bucket, err, "a key holds a NUL byte");
	else
		rc = bkp_s3_set_text(
		    key, (const char *)plain.data, plain.len, err);
	fmt_buf_free(&plain);
	return rc;
}

int
bkp_s3_entries_decode(
    struct bkp_s3_entries *entries, const char *bucket, struct bkp_error *err)
{
	for (size_t i = 0; i < entries->count; i++)
		if (bkp_s3_decode_key(&entries->items[i].key, bucket, err) < 0)
			return -1;
	return 0;
}
