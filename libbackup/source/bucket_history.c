/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_history.h"

#include <stdlib.h>
#include <string.h>

#include "formats/version.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/instant.h"
#include "libbackup/source/bucket_older.h"

/* The last microsecond that a path can say, in the year 9999, with room for
 * those that go behind it. */
#define LAST_US (INT64_C(253402300799) * 1000000)

static const char doing[] = "listing versions";

/* Older versions that a snapshot has, in order. */
struct known {
	struct bkp_entry_stream *stream; /* NULL: none, or at its end */
	struct fmt_entry entry;          /* the next; path NULL: read on */
	struct fmt_buf key;              /* of it; text */
	bool is_open;
};

struct bkp_bucket_history {
	struct bkp_sink *sink; /* borrowed, as the prefix */
	const char *prefix;
	struct bkp_bucket_older *older;
	uint64_t versions, markers;
	struct known before; /* beside the current ones */
	struct known beside; /* beside the older ones */
	struct fmt_buf former;
	bool is_given; /* the first was */
	/* of the item before */
	char *key, *path; /* owned */
	int64_t us;
	unsigned extra; /* how many beyond those that were recorded */
};

int
bkp_bucket_history_new(struct bkp_sink *sink, const char *prefix,
    struct bkp_bucket_history **out, struct bkp_error *err)
{
	struct bkp_bucket_history *history = bkp_alloc(sizeof(*history), err);

	if (history == NULL)
		return -1;
	history->sink = sink;
	history->prefix = prefix;
	history->before.entry = history->beside.entry =
	    (struct fmt_entry)FMT_ENTRY_INIT;
	if (bkp_bucket_older_new(&history->older, err) < 0) {
		free(history);
		return -1;
	}
	*out = history;
	return 0;
}

static void
close_known(struct known *known)
{
	if (known->stream != NULL)
		bkp_entry_stream_close(known->stream);
	known->stream = NULL;
	fmt_entry_free(&known->entry);
	fmt_buf_free(&known->key);
}

void
bkp_bucket_history_free(struct bkp_bucket_history *history)
{
	if (history == NULL)
		return;
	bkp_bucket_older_free(history->older);
	close_known(&history->before);
	close_known(&history->beside);
	fmt_buf_free(&history->former);
	free(history->key);
	free(history->path);
	free(history);
}

int
bkp_bucket_history_describe(const struct bkp_bucket_history *history,
    json_t *info, struct bkp_error *err)
{
	if (json_object_set_new(info, "versions", json_string("all")) < 0 ||
	    json_object_set_new(info, "older_versions",
		json_integer((json_int_t)history->versions)) < 0 ||
	    json_object_set_new(info, "delete_markers",
		json_integer((json_int_t)history->markers)) < 0)
		return bkp_fail_nomem(err, "describing a bucket");
	return 0;
}

/* ---- what a snapshot knows ---- */

static int
open_known(struct bkp_bucket_history *history, struct known *known,
    struct bkp_error *err)
{
	struct fmt_buf root = FMT_BUF_INIT;
	const char *text = NULL;
	int rc = -1;

	known->is_open = true;
	if (fmt_version_root(history->prefix, &root) == FMT_OK)
		text = fmt_buf_text(&root);
	if (text == NULL)
		(void)bkp_fail_nomem(err, doing);
	else if (bkp_sink_is_digest_only(history->sink))
		rc = bkp_sink_recorded_below(
		    history->sink, text, &known->stream, err);
	else
		rc = bkp_sink_previous_below(
		    history->sink, text, &known->stream, err);
	fmt_buf_free(&root);
	return rc;
}

/* Reads the key of the entry at hand; what has none is passed over. */
static int
read_key(struct bkp_bucket_history *history, struct known *known,
    struct bkp_error *err)
{
	enum fmt_status status;

	fmt_buf_clear(&known->key);
	status =
	    fmt_version_key(history->prefix, known->entry.path, &known->key);
	if (status == FMT_MALFORMED) {
		fmt_entry_free(&known->entry);
		return 0;
	}
	if (status != FMT_OK || fmt_buf_text(&known->key) == NULL)
		return bkp_fail_nomem(err, doing);
	return 0;
}

/* Moves on to the first entry whose key is not before `key`. 1: it is of that
 * key; 0; -1. */
static int
seek(struct bkp_bucket_history *history, struct known *known, const char *key,
    struct bkp_error *err)
{
	int order = -1, rc;

	if (!known->is_open && open_known(history, known, err) < 0)
		return -1;
	for (;;) {
		if (known->entry.path != NULL)
			order = strcmp((const char *)known->key.data, key);
		if (known->entry.path != NULL && order >= 0)
			return order == 0;
		fmt_entry_free(&known->entry);
		if (known->stream == NULL)
			return 0;
		rc = bkp_entry_stream_next(known->stream, &known->entry, err);
		if (rc < 0 || (rc == 1 && read_key(history, known, err) < 0))
			return -1;
		if (rc == 0) {
			bkp_entry_stream_close(known->stream);
			known->stream = NULL;
		}
	}
}

/* True where an entry is of before `us`, or as old. */
static bool
is_not_later(const struct fmt_entry *entry, int64_t us)
{
	const char *text = bkp_bucket_attrs_get(entry->attrs, "last_modified");
	int64_t its;

	return text == NULL || !bkp_instant_read(text, &its) || its <= us;
}

/* Finds the version of an item among those of its key. What is older is passed
 * over (us: how old this one is), for versions come in one order always. */
static int
find(struct bkp_bucket_history *history, struct known *known,
    struct bkp_bucket_item *item, const char *tags, int64_t us,
    struct bkp_error *err)
{
	int rc;

	while ((rc = seek(history, known, item->key, err)) == 1) {
		if (bkp_bucket_item_is(
			item, tags, &known->entry, history->sink))
			return bkp_bucket_item_keep(item, &known->entry, err);
		if (!is_not_later(&known->entry, us))
			return 0;
		fmt_entry_free(&known->entry);
	}
	return rc;
}

int
bkp_bucket_history_find(struct bkp_bucket_history *history,
    struct bkp_bucket_item *item, const char *tags, struct bkp_error *err)
{
	if (bkp_sink_is_digest_only(history->sink))
		return 0;
	return find(history, &history->before, item, tags, INT64_MAX, err);
}

/* ---- setting aside ---- */

static struct bkp_s3_object
object_of(const struct bkp_bucket_aside *version)
{
	return (struct bkp_s3_object){.key = version->key,
	    .size = version->size,
	    .etag = version->etag,
	    .last_modified = version->last_modified,
	    .storage_class = version->storage_class,
	    .tags = version->tags};
}

/* Where it was the current one, its entry goes with it. */
static int
take_former(struct bkp_bucket_history *history,
    struct bkp_bucket_aside *version, const struct fmt_entry *current,
    struct bkp_error *err)
{
	const struct bkp_s3_object object = object_of(version);
	struct bkp_bucket_item *item = NULL;
	bool is_same;

	if (version->is_delete_marker || current->path == NULL)
		return 0;
	if (bkp_bucket_item_new(current->path, BKP_BUCKET_VERSION, &object,
		version->version_id, &item, err) < 0)
		return -1;
	is_same =
	    bkp_bucket_item_is(item, version->tags, current, history->sink);
	bkp_bucket_item_free(item);
	if (!is_same)
		return 0;
	fmt_buf_clear(&history->former);
	if (fmt_entry_encode(current, &history->former) != FMT_OK)
		return bkp_fail_nomem(err, doing);
	version->former = history->former.data;
	version->former_len = history->former.len;
	return 0;
}

int
bkp_bucket_history_add(struct bkp_bucket_history *history,
    const struct bkp_s3_version *version, const struct fmt_entry *current,
    struct bkp_error *err)
{
	struct bkp_bucket_aside aside = {.key = version->key,
	    .version_id = version->version_id,
	    .etag = version->etag,
	    .last_modified = version->last_modified,
	    .storage_class = version->storage_class,
	    .tags = version->tags,
	    .is_delete_marker = version->is_delete_marker,
	    .size = version->size,
	    .modified_us = version->modified_us};

	if (take_former(history, &aside, current, err) < 0)
		return -1;
	history->markers += version->is_delete_marker;
	history->versions += !version->is_delete_marker;
	return bkp_bucket_older_add(history->older, &aside, err);
}

/* ---- paths ---- */

/* Later than that of the version before, whatever the dates say. */
static int64_t
place_of(const struct bkp_bucket_history *history, int64_t modified_us,
    bool is_same_key)
{
	int64_t us = modified_us < 0 ? 0 : modified_us - modified_us % 1000;

	if (us > LAST_US)
		us = LAST_US;
	return is_same_key && us <= history->us ? history->us + 1 : us;
}

static char *
own_path(struct bkp_bucket_history *history,
    const struct bkp_bucket_aside *version, bool is_same_key,
    struct bkp_error *err)
{
	struct fmt_buf path = FMT_BUF_INIT;
	int64_t us = place_of(history, version->modified_us, is_same_key);

	if (fmt_version_path(history->prefix, version->key, us, &path) !=
		FMT_OK ||
	    fmt_buf_text(&path) == NULL) {
		fmt_buf_free(&path);
		(void)bkp_fail_nomem(err, doing);
		return NULL;
	}
	history->us = us;
	return (char *)path.data;
}

/* In another bucket the same versions have other dates: the first of a key is
 * compared with the first that was recorded, and so on. */
static char *
recorded_path(struct bkp_bucket_history *history,
    const struct bkp_bucket_aside *version, bool is_same_key,
    struct bkp_error *err)
{
	struct known *recorded = &history->beside;
	int rc = seek(history, recorded, version->key, err);
	size_t len;
	char *path;

	if (rc < 0)
		return NULL;
	if (rc == 1) {
		path = recorded->entry.path;
		recorded->entry.path = NULL;
		fmt_entry_free(&recorded->entry);
		history->extra = 0;
		return path;
	}
	if (!is_same_key) {
		history->extra = 0;
		return own_path(history, version, false, err);
	}
	/* Behind the one before it, and before any other key's. */
	len = strlen(history->path);
	if (history->extra > 0)
		len = (size_t)(strrchr(history->path, '+') - history->path);
	return bkp_format(
	    err, "%.*s+%010u", (int)len, history->path, ++history->extra);
}

/* ---- giving ---- */

static int
give_marker(struct bkp_bucket_item *item, struct bkp_error *err)
{
	json_t *attrs = json_object();

	if (attrs == NULL)
		return bkp_fail_nomem(err, doing);
	item->is_marker = item->is_kept = true;
	item->size = 0;
	item->entry.attrs = attrs;
	if (strcmp(item->version_id, "null") != 0 &&
	    bkp_bucket_attrs_set(attrs, "version_id", item->version_id, err) <
		0)
		return -1;
	return bkp_bucket_attrs_set(
	    attrs, "last_modified", item->last_modified, err);
}

static int
give_former(struct bkp_bucket_item *item,
    const struct bkp_bucket_aside *version, struct bkp_error *err)
{
	struct fmt_entry_reader *reader = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	bool have = false;
	enum fmt_status status = fmt_entry_reader_new(&reader);
	int rc = -1;

	if (status == FMT_OK)
		status = fmt_entry_reader_feed(
		    reader, version->former, version->former_len);
	if (status == FMT_OK)
		status = fmt_entry_reader_finish(reader);
	if (status == FMT_OK)
		status = fmt_entry_reader_next(reader, &entry, &have);
	if (status == FMT_OK && have)
		rc = bkp_bucket_item_keep(item, &entry, err);
	else
		(void)bkp_fail_format(err, status, "%s", doing);
	fmt_entry_reader_free(reader);
	return rc;
}

static int
fill(struct bkp_bucket_history *history, struct bkp_bucket_item *item,
    const struct bkp_bucket_aside *version, struct bkp_error *err)
{
	if (version->is_delete_marker)
		return give_marker(item, err);
	if (version->former != NULL)
		return give_former(item, version, err);
	if (bkp_sink_is_digest_only(history->sink))
		return 0;
	return find(history, &history->beside, item, version->tags,
	    version->modified_us, err);
}

static int
make_item(struct bkp_bucket_history *history,
    const struct bkp_bucket_aside *version, struct bkp_bucket_item **out,
    struct bkp_error *err)
{
	const struct bkp_s3_object object = object_of(version);
	bool is_same_key =
	    history->key != NULL && strcmp(history->key, version->key) == 0;
	bool is_digest_only = bkp_sink_is_digest_only(history->sink);
	char *path = is_digest_only
			 ? recorded_path(history, version, is_same_key, err)
			 : own_path(history, version, is_same_key, err);

	if (path == NULL)
		return -1;
	free(history->path);
	history->path = path;
	if (!is_same_key) {
		free(history->key);
		if ((history->key = bkp_strdup(version->key, err)) == NULL)
			return -1;
	}
	return bkp_bucket_item_new(path,
	    version->is_delete_marker ? BKP_BUCKET_MARKER : BKP_BUCKET_VERSION,
	    &object, version->version_id, out, err);
}

int
bkp_bucket_history_next(struct bkp_bucket_history *history,
    struct bkp_bucket_item **out, struct bkp_error *err)
{
	struct bkp_bucket_item *item = NULL;
	struct bkp_bucket_aside version;
	int rc = 1;

	*out = NULL;
	if (!history->is_given)
		rc = bkp_bucket_older_rewind(history->older, err) < 0 ? -1 : 1;
	history->is_given = true;
	if (rc == 1)
		rc = bkp_bucket_older_next(history->older, &version, err);
	if (rc != 1)
		return rc;
	if (make_item(history, &version, &item, err) < 0)
		return -1;
	item->is_older = true;
	if (fill(history, item, &version, err) < 0) {
		bkp_bucket_item_free(item);
		return -1;
	}
	*out = item;
	return 0;
}
