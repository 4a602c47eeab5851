/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/etag.h"
#include "libbackup/source/bucket_parts.h"

/* How often an object that is replaced while it is fetched is tried, and one
 * whose bytes are not those of its ETag. */
#define ROUNDS 5
#define DOUBTS 2

/* Up to here bytes are kept in memory until all of them came, so that whoever
 * waits for a server has no slot meanwhile. */
#define SMALL ((uint64_t)1 << 20)
#define NO_SLOT UINT_MAX

/* One object being fetched. */
struct fetch {
	struct bkp_s3_connection *connection;
	struct bkp_bucket_origin *origin;
	const char *bucket;
	struct bkp_run *run;
	struct bkp_sink *sink;
	struct bkp_slots *slots;
	unsigned slot;               /* NO_SLOT: none yet */
	struct bkp_content *content; /* of the slot */
	struct bkp_bucket_item *item;
	struct fmt_buf bytes; /* that came before the content began */
	bool is_open;         /* it has */
	bool may_have_tags;   /* the object has some, or nobody counts */
	bool has_tags;        /* the server says so */
	bool is_partial;      /* something of it is missing, and noted */
	bool is_sealed; /* encrypted in a way by which its ETag tells nothing */
	unsigned doubts;           /* rounds whose bytes were not the ETag's */
	struct bkp_error odd_lock; /* code BKP_OK: none */
	bool is_restless; /* it never stayed the same for long enough */
	bool is_cut;      /* and the last time fewer or more bytes came */
	bool is_ours;     /* what failed is on this side, not the server's */
	uint64_t received;
	char *etag; /* of what came; owned */
	struct bkp_bucket_parts parts;
	struct bkp_s3_etag *check;
	json_t *attrs;
};

static void
drop_round(struct fetch *fetch)
{
	if (fetch->is_open)
		bkp_content_abort(fetch->content);
	fetch->is_open = false;
	fmt_buf_clear(&fetch->bytes);
	bkp_s3_etag_free(fetch->check);
	fetch->check = NULL;
	json_decref(fetch->attrs);
	fetch->attrs = NULL;
	free(fetch->etag);
	fetch->etag = NULL;
}

static void
give_slot(struct fetch *fetch)
{
	if (fetch->slot != NO_SLOT)
		bkp_slots_give(fetch->slots, fetch->slot);
	fetch->slot = NO_SLOT;
}

static void
fetch_free(struct fetch *fetch)
{
	drop_round(fetch);
	bkp_bucket_parts_free(&fetch->parts);
	fmt_buf_free(&fetch->bytes);
	give_slot(fetch);
}

/* ---- slots ---- */

static void
take_slot(struct fetch *fetch)
{
	if (fetch->slot != NO_SLOT)
		return;
	fetch->slot = bkp_slots_take(fetch->slots);
	fetch->content = bkp_sink_content(fetch->sink, fetch->slot);
}

/* Begins the content with what came so far. */
static int
open_content(struct fetch *fetch, struct bkp_error *err)
{
	take_slot(fetch);
	if (bkp_content_begin(fetch->content, &fetch->item->entry, err) < 0)
		return -1;
	fetch->is_open = true;
	return bkp_content_write(
	    fetch->content, fetch->bytes.data, fetch->bytes.len, err);
}

static int
write_bytes(
    struct fetch *fetch, const void *data, size_t len, struct bkp_error *err)
{
	if (!fetch->is_open &&
	    (fetch->slot != NO_SLOT || fetch->bytes.len + len > SMALL) &&
	    open_content(fetch, err) < 0)
		return -1;
	if (fetch->is_open)
		return bkp_content_write(fetch->content, data, len, err);
	if (fmt_buf_append(&fetch->bytes, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "fetching an object");
	return 0;
}

static int
end_content(struct fetch *fetch, struct bkp_error *err)
{
	if (!fetch->is_open && open_content(fetch, err) < 0)
		return -1;
	if (bkp_content_end(fetch->content, err) < 0)
		return -1;
	fetch->is_open = false;
	give_slot(fetch);
	return 0;
}

static int
copy_unquoted(const char *etag, char **out, struct bkp_error *err)
{
	size_t len = strlen(etag);

	if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"') {
		etag++;
		len -= 2;
	}
	if ((*out = strndup(etag, len)) == NULL)
		return bkp_fail_nomem(err, "fetching an object");
	return 0;
}

/* ---- bytes ---- */

/* With keys that are not the server's own the ETag is not made of the bytes.
 * AES256 is: AWS says so of all that it stores, and makes MD5s all the same. */
static bool
is_sealed(const struct bkp_s3_fields *headers)
{
	const char *how =
	    bkp_s3_fields_get(headers, "x-amz-server-side-encryption");

	return (how != NULL && strcmp(how, "AES256") != 0) ||
	       bkp_s3_fields_get(headers,
		   "x-amz-server-side-encryption-customer-algorithm") != NULL;
}

static int
begin(void *arg, const struct bkp_s3_fields *headers, struct bkp_error *err)
{
	struct fetch *fetch = arg;
	const char *etag = bkp_s3_fields_get(headers, "etag");
	const char *length = bkp_s3_fields_get(headers, "content-length");
	struct bkp_s3_lock lock;

	if (etag == NULL)
		return bkp_fail(err, BKP_CORRUPT, "the answer has no ETag");
	if (length != NULL)
		fetch->item->size = strtoull(length, NULL, 10);
	bkp_bucket_parts_check(&fetch->parts, fetch->item->size);
	fetch->may_have_tags = bkp_bucket_may_have_tags(
	    &fetch->origin->tagging, headers, &fetch->has_tags);
	fetch->is_sealed = is_sealed(headers);
	fetch->odd_lock = (struct bkp_error)BKP_ERROR_INIT;
	(void)bkp_s3_read_lock(headers, &lock, &fetch->odd_lock);
	fetch->is_ours = true;
	if (copy_unquoted(etag, &fetch->etag, err) < 0 ||
	    bkp_bucket_attrs_read(headers, &fetch->attrs, err) < 0 ||
	    bkp_s3_etag_new(fetch->etag, fetch->item->size, fetch->parts.sizes,
		fetch->parts.count, &fetch->check, err) < 0)
		return -1;
	if (fetch->slot == NO_SLOT && fetch->item->size <= SMALL &&
	    fmt_buf_reserve(&fetch->bytes, (size_t)fetch->item->size) != FMT_OK)
		return bkp_fail_nomem(err, "fetching an object");
	fetch->is_ours = false;
	return 0;
}

static int
take(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct fetch *fetch = arg;

	if (bkp_s3_etag_update(fetch->check, data, len, err) < 0 ||
	    write_bytes(fetch, data, len, err) < 0) {
		fetch->is_ours = true;
		return -1;
	}
	fetch->received += len;
	bkp_run_count(fetch->run, len, 0);
	return 0;
}

/* How a round ended: 1 it must be fetched again, 0 all there, -1. An answer
 * that does not tell its length may break off unseen. */
static int
get_round(struct fetch *fetch, const char *if_match, struct bkp_error *err)
{
	const struct bkp_s3_get_options options = {.if_match = if_match,
	    .version_id = fetch->item->version_id,
	    .begin = begin,
	    .write = take,
	    .arg = fetch};
	struct bkp_error why = BKP_ERROR_INIT;

	drop_round(fetch);
	fetch->received = 0;
	if (bkp_bucket_parts_find(&fetch->parts, fetch->connection,
		fetch->bucket, fetch->item, if_match, &why) == 0 &&
	    bkp_s3_get(fetch->connection, fetch->bucket, fetch->item->key,
		&options, &why) == 0) {
		fetch->is_cut = fetch->received != fetch->item->size;
		return fetch->is_cut;
	}
	fetch->is_cut = false;
	if (why.code == BKP_RETRY && why.sys == 412)
		return 1;
	if (err != NULL)
		*err = why;
	return -1;
}

/* The ETag that the object has now. */
static int
look_again(struct fetch *fetch, char **etag, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	const char *now, *length;
	int rc = bkp_s3_head_version(fetch->connection, fetch->bucket,
	    fetch->item->key, fetch->item->version_id, 0, &headers, err);

	if (rc == 0) {
		now = bkp_s3_fields_get(&headers, "etag");
		length = bkp_s3_fields_get(&headers, "content-length");
		if (length != NULL)
			fetch->item->size = strtoull(length, NULL, 10);
		free(*etag);
		*etag = NULL;
		rc = copy_unquoted(now != NULL ? now : "", etag, err);
	}
	bkp_s3_fields_free(&headers);
	return rc;
}

/* ---- refusals ---- */

static bool
is_refused(struct fetch *fetch, const struct bkp_error *why)
{
	return !fetch->is_ours &&
	       bkp_bucket_is_refused(fetch->connection, fetch->bucket,
		   fetch->origin->config->prefix, why);
}

/* One object is gone; without its bucket all are, and none is backed up. */
static bool
is_gone(struct fetch *fetch, struct bkp_error *why)
{
	struct bkp_error bucket = BKP_ERROR_INIT;

	if (why->code != BKP_NOTFOUND || fetch->is_ours)
		return false;
	if (bkp_bucket_is_there(fetch->connection, fetch->bucket,
		fetch->origin->config->prefix, &bucket) == 0)
		return true;
	*why = bucket;
	return false;
}

/* ---- attributes ---- */

/* Whether an ETag that does not match says that the bytes are wrong. */
static bool
is_doubtful(const struct fetch *fetch)
{
	return !fetch->is_sealed &&
	       (fetch->parts.count > 0 || bkp_s3_etag_is_md5(fetch->etag));
}

/* The bytes came so every time: they are kept, and it is said. */
static int
note_doubt(struct fetch *fetch, struct bkp_error *err)
{
	fetch->is_partial = true;
	return bkp_run_omit(fetch->run, err, fetch->item->entry.path,
	    "its bytes are not those that its ETag \"%.80s\" is made of, and "
	    "no encryption is told that would make another: it is damaged on "
	    "the server, or the server makes ETags of its own; it is in the "
	    "backup as it came",
	    fetch->etag);
}

/* Writes down the ETag, and how the object was cut. 1: the guess about the
 * parts was wrong, they must be asked for and the bytes hashed again; or the
 * bytes are wrong, as if damaged on their way. */
static int
note_etag(struct fetch *fetch, struct bkp_error *err)
{
	uint64_t part_size;
	bool is_match;

	if (bkp_s3_etag_finish(fetch->check, &is_match, &part_size, err) < 0)
		return -1;
	if (!is_match && fetch->parts.count > 0 && !fetch->parts.is_listed) {
		fetch->parts.is_listed = true;
		return 1;
	}
	if (!is_match && is_doubtful(fetch)) {
		if (++fetch->doubts < DOUBTS)
			return 1;
		if (note_doubt(fetch, err) < 0)
			return -1;
	}
	if (bkp_bucket_attrs_set(fetch->attrs,
		is_match ? "etag" : "etag_opaque", fetch->etag, err) < 0)
		return -1;
	if (is_match && part_size > 0 &&
	    bkp_bucket_parts_set(&fetch->parts, fetch->item->size, part_size,
		bkp_s3_etag_parts(fetch->etag), err) < 0)
		return -1;
	return bkp_bucket_attrs_add_parts(
	    fetch->attrs, fetch->parts.sizes, fetch->parts.count, err);
}

/* What the server said it has and does not give, of this object. */
static int
lack_tags(
    struct fetch *fetch, const struct bkp_error *why, struct bkp_error *err)
{
	if (is_refused(fetch, why)) {
		fetch->is_partial = true;
		return bkp_run_omit(fetch->run, err, fetch->item->entry.path,
		    "its tags cannot be read, all else of it was: %s",
		    why->message);
	}
	if (err != NULL)
		*err = *why;
	return -1;
}

static int
note_tags(struct fetch *fetch, struct bkp_error *err)
{
	struct bkp_bucket_tagging *tagging = &fetch->origin->tagging;
	struct bkp_s3_fields tags = BKP_S3_FIELDS_INIT;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc;

	if (!fetch->may_have_tags || fetch->origin->config->is_v2)
		return 0;
	rc = bkp_s3_get_tags_version(fetch->connection, fetch->bucket,
	    fetch->item->key, fetch->item->version_id, &tags, &why);
	if (rc == 0) {
		atomic_store(&tagging->is_asked, true);
		rc = bkp_bucket_attrs_add_tags(fetch->attrs, &tags, err);
	} else if (fetch->has_tags) {
		rc = lack_tags(fetch, &why, err);
	} else {
		rc = bkp_bucket_judge_tags(
		    tagging, fetch->run, fetch->origin->prefix, &why, err);
	}
	bkp_s3_fields_free(&tags);
	return rc;
}

static int
note_lock(struct fetch *fetch, struct bkp_error *err)
{
	if (fetch->odd_lock.code == BKP_OK)
		return bkp_bucket_ask_lock(fetch->connection, fetch->origin,
		    fetch->item, fetch->attrs, err);
	fetch->is_partial = true;
	return bkp_run_omit(fetch->run, err, fetch->item->entry.path,
	    "its lock cannot be read, all else of it was: %s",
	    fetch->odd_lock.message);
}

static int
note_rest(struct fetch *fetch, struct bkp_error *err)
{
	struct bkp_bucket_item *item = fetch->item;

	if (note_tags(fetch, err) < 0 || note_lock(fetch, err) < 0)
		return -1;
	/* Without a date the next backup does not take it for unchanged, and
	 * looks for what is missing again. */
	if (!fetch->is_partial &&
	    bkp_bucket_attrs_set(
		fetch->attrs, "last_modified", item->last_modified, err) < 0)
		return -1;
	if (item->storage_class[0] != '\0' &&
	    strcmp(item->storage_class, "STANDARD") != 0 &&
	    bkp_bucket_attrs_set(
		fetch->attrs, "storage_class", item->storage_class, err) < 0)
		return -1;
	return 0;
}

/* ---- all of it ---- */

static int
fetch_object(struct fetch *fetch, struct bkp_error *err)
{
	char *etag = bkp_strdup(fetch->item->etag, err);
	int rc = etag != NULL ? 1 : -1;

	/* No connection waits with half an answer on it. */
	if (fetch->item->size > SMALL)
		take_slot(fetch);
	for (int round = 0; rc == 1 && round < ROUNDS; round++) {
		rc = get_round(fetch, etag, err);
		if (rc == 1 && look_again(fetch, &etag, err) < 0)
			rc = -1;
		else if (rc == 0)
			rc = note_etag(fetch, err);
	}
	if (rc == 1) {
		fetch->is_restless = true;
		rc = -1;
	}
	if (rc == 0) {
		rc = end_content(fetch, err);
		fetch->is_ours = rc < 0;
	}
	if (rc == 0)
		rc = note_rest(fetch, err);
	free(etag);
	return rc;
}

int
bkp_bucket_fetch(struct bkp_s3_connection *connection,
    struct bkp_bucket_origin *origin, struct bkp_bucket_item *item,
    struct bkp_error *err)
{
	struct bkp_run *run = bkp_sink_run(origin->sink);
	struct fetch fetch = {.connection = connection,
	    .origin = origin,
	    .bucket = origin->config->bucket,
	    .run = run,
	    .sink = origin->sink,
	    .slots = origin->slots,
	    .slot = NO_SLOT,
	    .item = item,
	    .bytes = FMT_BUF_INIT};
	struct bkp_error why = BKP_ERROR_INIT;
	int rc = fetch_object(&fetch, &why);

	if (rc == 0) {
		item->entry.attrs = fetch.attrs;
		fetch.attrs = NULL;
	} else if (fetch.is_restless || is_gone(&fetch, &why)) {
		item->is_gone = true;
		rc = bkp_run_omit(run, err, item->entry.path, "%s",
		    !fetch.is_restless ? "vanished between listing and fetching"
		    : fetch.is_cut ? "the server sends another number of its "
				     "bytes than it says it has"
				   : "replaced as often as it was fetched");
	} else if (is_refused(&fetch, &why)) {
		item->is_gone = item->is_refused = true;
		rc =
		    bkp_run_omit(run, err, item->entry.path, "%s", why.message);
	} else if (err != NULL) {
		*err = why;
	}
	fetch_free(&fetch);
	return rc;
}
