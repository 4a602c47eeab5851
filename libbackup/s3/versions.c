/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/pages.h"

struct bkp_s3_versions {
	struct bkp_s3_pages pages;
};

/* ---- order ---- */

#define ULID_DIGITS "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

/* "01M7ZSWVW0TS54V4EA5KGNHD10", a ULID, as versitygw names versions: such names
 * are in the order of time, finer than its dates. */
bool
bkp_s3_is_time_ordered(const char *id)
{
	return strlen(id) == 26 && strspn(id, ULID_DIGITS) == 26;
}

/* True where `a` comes before `b`, or there is nothing to tell them apart. */
static bool
is_before(const struct bkp_s3_entry *a, const struct bkp_s3_entry *b)
{
	int order = strcmp(a->key, b->key);

	if (order != 0)
		return order < 0;
	if (a->is_latest != b->is_latest)
		return a->is_latest;
	if (bkp_s3_is_time_ordered(a->id) && bkp_s3_is_time_ordered(b->id))
		return strcmp(a->id, b->id) >= 0;
	return a->modified_us >= b->modified_us;
}

/* How many of one sort the page begins with, versions or delete markers, where
 * all of the other come behind them; 0: they are mixed, or there are none of
 * either. */
static size_t
split_of(const struct bkp_s3_entries *page)
{
	size_t first = 0;

	while (first < page->count &&
	       page->items[first].is_marker == page->items[0].is_marker)
		first++;
	for (size_t i = first; i < page->count; i++)
		if (page->items[i].is_marker == page->items[0].is_marker)
			return 0;
	return first < page->count ? first : 0;
}

/* Whether two entries of one key cannot have followed each other as they are
 * listed, `older` behind `newer`. The date of a multipart object says nothing:
 * it may be that of the beginning of its upload. */
static bool
is_contradiction(
    const struct bkp_s3_entry *newer, const struct bkp_s3_entry *older)
{
	if (older->is_latest)
		return true;
	if (bkp_s3_is_time_ordered(newer->id) &&
	    bkp_s3_is_time_ordered(older->id))
		return strcmp(newer->id, older->id) < 0;
	return newer->modified_us < older->modified_us &&
	       (newer->is_marker || strchr(newer->etag, '-') == NULL);
}

/* A page whose versions and delete markers happen to be apart, and are in one
 * order all the same, as those of servers that mix them. */
static bool
is_listed_in_order(const struct bkp_s3_pages *pages, size_t split)
{
	const struct bkp_s3_entry *items = pages->page.items;
	const struct bkp_s3_entry *next = &items[split];
	int order = strcmp(items[split - 1].key, next->key);

	if (order != 0)
		return order < 0 && next->is_latest;
	/* The first key may have begun on the page before. */
	if (!items[0].is_latest &&
	    (pages->last_key == NULL ||
		strcmp(pages->last_key, items[0].key) != 0))
		return false;
	for (size_t i = split; i-- > 0 && strcmp(items[i].key, next->key) == 0;)
		if (is_contradiction(&items[i], next))
			return false;
	return true;
}

/* AWS and MinIO mix versions and delete markers as they follow each other, and
 * the order of one key's is the server's word; other servers write all versions
 * of a page, then all markers, or first the markers. */
static int
merge_markers(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	struct bkp_s3_entries *page = &pages->page;
	size_t split = split_of(page), a = 0, b = split, at = 0;
	struct bkp_s3_entry *merged;

	if (split == 0 || is_listed_in_order(pages, split))
		return 0;
	merged = bkp_alloc_array(page->count, sizeof(*merged), err);
	if (merged == NULL)
		return -1;
	while (at < page->count) {
		bool is_first =
		    b == page->count ||
		    (a < split && is_before(&page->items[a], &page->items[b]));

		merged[at++] = page->items[is_first ? a++ : b++];
	}
	memcpy(page->items, merged, page->count * sizeof(*merged));
	free(merged);
	return 0;
}

static int
fail_order(const struct bkp_s3_pages *pages, const char *key, const char *id,
    const char *what, struct bkp_error *err)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "listing the versions of s3://%s: key \"%s\", version %s: %s; such "
	    "a listing cannot be trusted",
	    pages->bucket, key, id, what);
}

/* Dates are not compared: AWS dates a multipart object by the beginning of its
 * upload, so that an older version may be dated later. */
static int
check_one(const struct bkp_s3_pages *pages, const struct bkp_s3_entry *entry,
    const char *key_before, const char *id_before, bool is_page_start,
    struct bkp_error *err)
{
	int order = key_before != NULL ? strcmp(key_before, entry->key) : -1;
	const char *what = NULL;

	if (order > 0)
		what = "it comes after a greater key";
	else if (order == 0 && strcmp(id_before, entry->id) == 0)
		what = "it is repeated";
	else if (order < 0 && !entry->is_latest)
		what = "the newest version is not the first";
	/* Between two pages the one before may have been deleted. */
	else if (order == 0 && entry->is_latest && !is_page_start)
		what = "the newest version is not the first";
	else if (strncmp(entry->key, pages->prefix, strlen(pages->prefix)) != 0)
		what = "it is not below the prefix";
	if (what != NULL)
		return fail_order(pages, entry->key, entry->id, what, err);
	return 0;
}

/* ---- dates ---- */

/* When a ULID was made: its first ten digits are milliseconds since 1970. */
static int64_t
ulid_ms(const char *id)
{
	int64_t ms = 0;

	for (size_t i = 0; i < 10; i++)
		ms = ms * 32 + (strchr(ULID_DIGITS, id[i]) - ULID_DIGITS);
	return ms;
}

static int
set_date(struct bkp_s3_entry *entry, int64_t s, struct bkp_error *err)
{
	time_t at = (time_t)s;
	char text[32];
	struct tm tm;

	if (gmtime_r(&at, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return 0;
	return bkp_s3_set_text(&entry->last_modified, text, strlen(text), err);
}

/* Versitygw dates a version that is not the newest any more by when it was
 * replaced, so that it seems not to have been there before; and a delete marker
 * by what it deletes, so that this seems never to have been there. Their names
 * say when they came, and more finely. What is not the newest any more gets the
 * text back that it was listed with then. */
static int
date_by_name(struct bkp_s3_entry *entry, struct bkp_error *err)
{
	int64_t ms;

	if (!bkp_s3_is_time_ordered(entry->id))
		return 0;
	ms = ulid_ms(entry->id);
	if (ms * 1000 + 999 >= entry->modified_us && !entry->is_marker)
		return 0;
	/* The end of a second would be taken for a whole one. */
	entry->modified_us = ms * 1000 + (ms % 1000 == 999 ? 998 : 999);
	return entry->is_latest || entry->is_marker
		   ? 0
		   : set_date(entry, ms / 1000, err);
}

/* ---- what is written while it is listed ---- */

static void
remove_entry(struct bkp_s3_entries *page, size_t at)
{
	struct bkp_s3_entry *entry = &page->items[at];

	bkp_s3_entry_free(entry);
	page->count--;
	memmove(entry, entry + 1, (page->count - at) * sizeof(*entry));
	memset(&page->items[page->count], 0, sizeof(*entry));
}

/* Versitygw goes on with the version that it is to go on behind, where that is
 * the newest of its key. One that is not any more it cannot have been asked
 * for: with such a page it may have forgotten what follows. */
static void
remove_repeated(struct bkp_s3_pages *pages)
{
	struct bkp_s3_entries *page = &pages->page;

	while (page->count > 0 && pages->last_key != NULL &&
	       page->items[0].is_latest &&
	       strcmp(pages->last_key, page->items[0].key) == 0 &&
	       strcmp(pages->last_id, page->items[0].id) == 0 &&
	       (bkp_s3_is_time_ordered(pages->last_id) ||
		   strcmp(pages->last_id, "null") == 0))
		remove_entry(page, 0);
}

/* Versitygw reads the newest version of a key first, one attribute after
 * another, and then those that are kept beside. What is overwritten in between
 * is listed as both, the first time with something of what replaces it; and
 * what is being deleted is a delete marker already that has the name of what it
 * deletes. What is kept beside does not change any more: that is true. Returns
 * where the next key begins. */
static size_t
settle_key(struct bkp_s3_entries *page, size_t first)
{
	struct bkp_s3_entry *items = page->items;
	size_t at = first + 1;

	for (; at < page->count && strcmp(items[first].key, items[at].key) == 0;
	     at++)
		if (bkp_s3_is_time_ordered(items[first].id) &&
		    strcmp(items[first].id, items[at].id) == 0) {
			bool is_latest = items[first].is_latest;

			remove_entry(page, first);
			items[first].is_latest = is_latest;
			at--;
		}
	return at;
}

/* Behind an older version that is named "null" versitygw forgets to go on. It
 * writes delete markers behind all else, so this need not be the last here. */
static bool
is_dead_end(const struct bkp_s3_pages *pages, const struct bkp_s3_entry *entry)
{
	const struct bkp_s3_entries *page = &pages->page;

	if (entry->is_latest || strcmp(entry->id, "null") != 0)
		return false;
	return entry == &page->items[page->count - 1] ||
	       (pages->next_key != NULL &&
		   strcmp(pages->next_key, entry->key) == 0 &&
		   strcmp(pages->next_id, "null") == 0);
}

/* How many entries of a page may stay: it ends before one that is a dead end,
 * and before a delete marker that may not be true, for what tells so would be
 * on the next page. */
static size_t
end_of_page(const struct bkp_s3_pages *pages)
{
	const struct bkp_s3_entries *page = &pages->page;
	const struct bkp_s3_entry *last = &page->items[page->count - 1];

	for (size_t i = 0; i < page->count; i++)
		if (is_dead_end(pages, &page->items[i]))
			return i;
	return last->is_latest && last->is_marker &&
		       bkp_s3_is_time_ordered(last->id)
		   ? page->count - 1
		   : page->count;
}

/* Leaves what a page cannot end with to the next one, which is to go on behind
 * the last version before it that is named by its time: behind others versitygw
 * may not find its way. Where there is none in the second half of the page its
 * own marker is taken, so that every page moves on. */
static int
leave_last(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	struct bkp_s3_entries *page = &pages->page;
	const struct bkp_s3_entry *from;
	size_t end;

	if (!pages->is_truncated || page->count == 0 ||
	    (end = end_of_page(pages)) == page->count)
		return 0;
	while (end > page->count / 2 &&
	       !bkp_s3_is_time_ordered(page->items[end - 1].id))
		end--;
	if (end <= page->count / 2)
		return 0;
	from = &page->items[end - 1];
	if (bkp_s3_set_text(
		&pages->next_key, from->key, strlen(from->key), err) < 0 ||
	    bkp_s3_set_text(&pages->next_id, from->id, strlen(from->id), err) <
		0)
		return -1;
	while (page->count > end)
		remove_entry(page, page->count - 1);
	return 0;
}

static int
settle(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	if (leave_last(pages, err) < 0)
		return -1;
	remove_repeated(pages);
	for (size_t at = 0; at < pages->page.count;)
		at = settle_key(&pages->page, at);
	return 0;
}

static int
check_versions(struct bkp_s3_pages *pages, struct bkp_error *err)
{
	const char *key = pages->last_key, *id = pages->last_id;

	for (size_t i = 0; i < pages->page.count; i++)
		if (date_by_name(&pages->page.items[i], err) < 0)
			return -1;
	if (merge_markers(pages, err) < 0 || settle(pages, err) < 0)
		return -1;
	for (size_t i = 0; i < pages->page.count; i++) {
		const struct bkp_s3_entry *entry = &pages->page.items[i];

		if (check_one(pages, entry, key, id, i == 0, err) < 0)
			return -1;
		key = entry->key;
		id = entry->id;
	}
	return 0;
}

/* ---- the listing ---- */

static const struct bkp_s3_pages_kind versions_kind = {
    .question = "versions",
    .root = "ListVersionsResult/",
    .id_marker = "version-id-marker",
    .next_id = "NextVersionIdMarker",
    .elements = {{"Version", BKP_S3_ENTRY_VERSION},
	{"DeleteMarker", BKP_S3_ENTRY_MARKER}, {NULL, BKP_S3_ENTRY_OBJECT}},
    .check = check_versions,
};

int
bkp_s3_versions_open(struct bkp_s3_connection *connection, const char *bucket,
    const char *prefix, struct bkp_s3_versions **out, struct bkp_error *err)
{
	struct bkp_s3_versions *versions = bkp_alloc(sizeof(*versions), err);

	if (versions == NULL)
		return -1;
	if (bkp_s3_pages_open(&versions->pages, connection, &versions_kind,
		bucket, prefix, err) < 0) {
		free(versions);
		return -1;
	}
	*out = versions;
	return 0;
}

void
bkp_s3_versions_ask_metadata(struct bkp_s3_versions *versions)
{
	versions->pages.wants_metadata = true;
}

int
bkp_s3_versions_next(struct bkp_s3_versions *versions,
    struct bkp_s3_version *version, struct bkp_error *err)
{
	const struct bkp_s3_entry *entry;
	int rc = bkp_s3_pages_next(&versions->pages, &entry, err);

	if (rc != 1)
		return rc;
	version->key = entry->key;
	version->version_id = entry->id;
	version->is_latest = entry->is_latest;
	version->is_delete_marker = entry->is_marker;
	version->size = entry->size;
	version->etag = entry->etag;
	version->last_modified = entry->last_modified;
	version->modified_us = entry->modified_us;
	version->storage_class = entry->storage_class;
	version->tags = entry->tags;
	return 1;
}

void
bkp_s3_versions_close(struct bkp_s3_versions *versions)
{
	if (versions == NULL)
		return;
	bkp_s3_pages_close(&versions->pages);
	free(versions);
}
