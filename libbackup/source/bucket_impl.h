/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_BUCKET_IMPL_H
#define LIBBACKUP_SOURCE_BUCKET_IMPL_H

/*
 * Buckets as sources and targets. An entry is an object: path = prefix + "/" +
 * the key's bytes, kind bucket.object, and these attributes, each only where
 * the object has it:
 *   etag            where it is what MD5 makes of the bytes; compared
 *   etag_opaque     where it is not (encrypted buckets): a token for change
 *   part_size, part_count   a multipart object of equal parts (but the last)
 *   part_sizes      a multipart object of other parts
 *   last_modified, storage_class, version_id    told, not compared
 *   content_type, cache_control, content_disposition, content_encoding,
 *   content_language, expires, website_redirect
 *   metadata, tags  objects
 *   lock_mode, lock_until (seconds since 1970), legal_hold: told, and given
 *                   back only on request
 * A text that is not UTF-8 is {"hex": "..."}.
 */

#include <stdatomic.h>

#include "libbackup/base/slots.h"
#include "libbackup/s3/s3.h"
#include "libbackup/source/source.h"

#define BKP_BUCKET_OBJECT "bucket.object"

/* Where every version is backed up, those before the current one (the same
 * attributes) and delete markers (version_id, last_modified), at the paths of
 * formats/version.md. */
#define BKP_BUCKET_VERSION "bucket.version"
#define BKP_BUCKET_MARKER "bucket.delete_marker"

/* Pages of a listing that are asked for at the same time. */
#define BKP_BUCKET_LISTERS 4

/*
 * A connection for the calling thread, and others for those that fetch and
 * send: more of them than the run has workers, as a server is mostly waited
 * for. What workers have one each of (content writers, chunk readers) goes
 * round among them by its number: a slot.
 */
struct bkp_bucket_access {
	struct bkp_s3 *s3;
	struct bkp_s3_connection **connections; /* one a thread */
	struct bkp_s3_connection *own;          /* the calling thread's */
	unsigned count;
	/* For those that list; a thread each. */
	struct bkp_s3_connection *listers[BKP_BUCKET_LISTERS];
	struct bkp_slots slots; /* as many as the run has workers */
};

int bkp_bucket_access_open(struct bkp_bucket_access *access,
    const struct bkp_bucket_config *config, struct bkp_run *run,
    struct bkp_error *err);
void bkp_bucket_access_close(struct bkp_bucket_access *access);

/* 0 where the server answers for the bucket, or for what these credentials may
 * see of it, below a prefix (NULL: all). */
int bkp_bucket_is_there(struct bkp_s3_connection *connection,
    const char *bucket, const char *prefix, struct bkp_error *err);

/* True where a server refuses one object although it still answers for the
 * bucket: then it is no reason to go without the others. Not for errors of
 * this side. */
bool bkp_bucket_is_refused(struct bkp_s3_connection *connection,
    const char *bucket, const char *prefix, const struct bkp_error *why);

/* Says once where the server's clock had to be used. Calling thread. */
void bkp_bucket_tell_clock(const struct bkp_bucket_access *access,
    struct bkp_run *run, const char *prefix);

/* ---- attributes (bucket_attrs.c) ---- */

/* What headers of an answer say, without a lock that nobody understands. *out
 * is the caller's. */
int bkp_bucket_attrs_read(
    const struct bkp_s3_fields *headers, json_t **out, struct bkp_error *err);

/* Object lock, as recorded; false where there was none, or it is over. */
bool bkp_bucket_attrs_lock(const json_t *attrs, struct bkp_s3_lock *lock);
int bkp_bucket_attrs_add_lock(
    json_t *attrs, const struct bkp_s3_lock *lock, struct bkp_error *err);

/* Adds tags; none are none. */
int bkp_bucket_attrs_add_tags(
    json_t *attrs, const struct bkp_s3_fields *tags, struct bkp_error *err);

/* True where they hold just the tags of "a=1&b=2". */
bool bkp_bucket_attrs_have_tags(const json_t *attrs, const char *query);

/* The headers that give an object its attributes back, without tags. */
int bkp_bucket_attrs_headers(
    const json_t *attrs, struct bkp_s3_fields *headers, struct bkp_error *err);
int bkp_bucket_attrs_tags(
    const json_t *attrs, struct bkp_s3_fields *tags, struct bkp_error *err);

/* The sizes of an object's parts; *count 0: it is not multipart, or nobody
 * knows, as where the recorded ones do not add up. The caller frees *sizes. */
int bkp_bucket_attrs_parts(const json_t *attrs, uint64_t size, uint64_t **sizes,
    size_t *count, struct bkp_error *err);

/* Adds part sizes, in the shorter of the two forms. */
int bkp_bucket_attrs_add_parts(
    json_t *attrs, const uint64_t *sizes, size_t count, struct bkp_error *err);

/* Sets a text; BKP_NOMEM or nothing. */
int bkp_bucket_attrs_set(
    json_t *attrs, const char *name, const char *text, struct bkp_error *err);
/* A text that is there and UTF-8, or NULL. */
const char *bkp_bucket_attrs_get(const json_t *attrs, const char *name);

/* ---- an object (bucket_fetch.c) ---- */

/* An object on its way from a listing to an entry; freed by item_free. */
struct bkp_bucket_item {
	bool is_kept;    /* the entry is that of the last snapshot, */
	bool is_shared;  /* or of a share, who read it now */
	bool is_gone;    /* nothing to hand over: it was left out */
	bool is_refused; /* because the server refused it */
	bool is_older;   /* a version that is not current, or a delete marker */
	bool is_marker;  /* the latter: it is no object to ask for anything */
	char *key, *etag, *last_modified, *storage_class;
	char *version_id; /* NULL: the current one */
	uint64_t size;
	struct fmt_entry entry;
};

/* bucket_item.c, as what follows. */
void bkp_bucket_item_free(struct bkp_bucket_item *item);

/* The path and the kind are those of its entry. version_id
 * NULL: the current one. */
int bkp_bucket_item_new(const char *path, const char *kind,
    const struct bkp_s3_object *object, const char *version_id,
    struct bkp_bucket_item **out, struct bkp_error *err);

/* True where an entry of the last snapshot is what is listed, with these tags
 * (NULL: not told), and can be handed over again. */
bool bkp_bucket_item_is(const struct bkp_bucket_item *item, const char *tags,
    const struct fmt_entry *before, struct bkp_sink *sink);

/* Gives the item that entry, which moves, with the path and kind it has. */
int bkp_bucket_item_keep(struct bkp_bucket_item *item, struct fmt_entry *before,
    struct bkp_error *err);

/* What a run has learnt of how a server tells tags (bucket_tags.c). Any
 * thread. */
struct bkp_bucket_tagging {
	atomic_bool is_counting;  /* it counts them in headers */
	atomic_bool is_asked;     /* it has answered for an object */
	atomic_bool is_silent;    /* it has none, or not for us */
	atomic_bool is_forbidden; /* the latter */
};

/* Where objects are fetched from; of all workers. */
struct bkp_bucket_origin {
	const struct bkp_bucket_config *config; /* borrowed, as all of it */
	const char *prefix;                     /* "bucket/uploads" */
	struct bkp_sink *sink;                  /* where bytes go, */
	struct bkp_slots *slots;                /* by one of these */
	struct bkp_bucket_tagging tagging;
	atomic_int locking; /* enum bkp_bucket_locking */
};

enum bkp_bucket_locking {
	BKP_BUCKET_LOCKING_UNKNOWN,
	BKP_BUCKET_LOCKING_ON,
	BKP_BUCKET_LOCKING_OFF /* or not for us to know */
};

/* Whether an object with these headers is to be asked for its tags. */
bool bkp_bucket_may_have_tags(struct bkp_bucket_tagging *tagging,
    const struct bkp_s3_fields *headers, bool *is_counted);

/* What it means that an object whose tags nobody counted could not be asked: 0
 * or -1. That nobody may ask is noted, once. */
int bkp_bucket_judge_tags(struct bkp_bucket_tagging *tagging,
    struct bkp_run *run, const char *prefix, const struct bkp_error *why,
    struct bkp_error *err);

/* Fetches bytes, headers and tags into the item's entry, whose path and kind
 * are set. An object that is gone, or that the server refuses although it
 * still answers for the bucket, is noted as left out. So is what of it cannot
 * be had, or cannot be right; it is fetched again the next time. */
int bkp_bucket_fetch(struct bkp_s3_connection *connection,
    struct bkp_bucket_origin *origin, struct bkp_bucket_item *item,
    struct bkp_error *err);

/* Adds a lock to the attributes of a version whose headers told none, where the
 * server leaves it out of them (bucket_lock.c). */
int bkp_bucket_ask_lock(struct bkp_s3_connection *connection,
    struct bkp_bucket_origin *origin, const struct bkp_bucket_item *item,
    json_t *attrs, struct bkp_error *err);

/* The same of one that is known to have been locked; whoever may not ask adds
 * none. */
int bkp_bucket_read_lock(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id, json_t *attrs,
    struct bkp_error *err);

/* ---- is it still so? (bucket_same.c) ---- */

/* Asks for the headers and tags of an object (version_id NULL: the current
 * version), and whether they are those of `attrs`; not for its bytes.
 * is_thorough: also where nothing hints at tags,
 * and locks are compared, too. */
int bkp_bucket_is_same(struct bkp_s3_connection *connection, const char *bucket,
    const char *key, const char *version_id, const json_t *attrs,
    bool is_thorough, bool *is_same, struct bkp_error *err);

/* ---- what is there already (bucket_there.c) ---- */

/* Whether an object (version_id NULL: the current version) has the bytes of an
 * entry, whose SHA-256 is known: reads all of them. */
int bkp_bucket_has_bytes(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const char *version_id,
    const struct fmt_entry *entry, bool *has, struct bkp_error *err);

/* Gives an object that is there the lock that it had, where its own is less. */
int bkp_bucket_lock_again(struct bkp_s3_connection *connection,
    const char *bucket, const char *key, const struct bkp_s3_lock *lock,
    struct bkp_error *err);

/* ---- uploads that nobody finished (bucket_leftovers.c) ---- */

/* Tells of them, and aborts them where the configuration says so. That it
 * cannot be done is no reason to go without a backup. */
void bkp_bucket_look_for_leftovers(struct bkp_s3_connection *connection,
    const struct bkp_bucket_config *config, struct bkp_run *run,
    const char *prefix);

/* ---- kinds (bucket_source.c, bucket_target.c, bucket_scratch.c) ---- */

int bkp_bucket_source_open(const struct bkp_source_config *config,
    struct bkp_source **out, struct bkp_error *err);
int bkp_bucket_target_open(const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_target **out,
    struct bkp_error *err);
int bkp_bucket_scratch_open(const struct bkp_source_config *config,
    const json_t *info, const char *directory, struct bkp_run *run,
    struct bkp_scratch **out, struct bkp_error *err);

#endif
