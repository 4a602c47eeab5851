/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_STORE_STORE_H
#define LIBBACKUP_STORE_STORE_H

/*
 * A store keeps immutable objects by name: a directory, a bucket, memory (in
 * tests). The contract, which tests/unit/store_conformance.c holds every
 * driver and decorator to:
 *
 *   - a name is 1 to 200 bytes of [a-z0-9._/-], no empty, "." or ".."
 *     component and none that begins with "tmp-" (files that a driver has not
 *     finished), so that it is the same in every store;
 *   - put is atomic and durable: after it returned 0 the object survives a
 *     power loss, and no reader ever sees part of it. A put of a name that
 *     exists replaces it by content that is the same (objects are named by
 *     their content); for the one mutable name, "config", put_new fails with
 *     BKP_EXISTS;
 *   - get of a missing object is BKP_NOTFOUND; a range beyond the end is
 *     BKP_CORRUPT (an object shorter than the index says);
 *   - list yields every object whose name begins with a prefix once, in byte
 *     order of the names, or fails: a short list is an error, never a fact. An
 *     object that comes or goes meanwhile may be there or not. Size and time
 *     come with it; the callback may call the store;
 *   - remove of a missing object is BKP_NOTFOUND;
 *   - probe writes and removes a trifle, so that a place that takes no writes
 *     is known before work is spent on it;
 *   - a failed call leaves `out` as it was.
 *
 * Thread rule: every call may come from any thread at the same time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "libbackup/error.h"

struct bkp_store;

struct bkp_store_object {
	const char *name; /* borrowed until the callback returns; stat: the
			     name that was asked for */
	uint64_t size;
	int64_t modified_us; /* by the server's clock, microseconds UTC */
};

/* Answers 0 to go on, -1 (with err set) to stop the listing. */
typedef int bkp_store_list_fn(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err);

/* What a store that locks its objects is asked to see to, once in a while. */
struct bkp_cancel;
struct bkp_store_tending {
	/* Whether an object of that name is to go, so that its lock need not
	 * be longer. Any thread. */
	bool (*is_condemned)(void *arg, const char *name);
	void *arg;
	bool may_purge;    /* take away for good what was removed before */
	int64_t before_us; /* this, server's clock */
	/* Make locks longer also of what was removed: nobody knows by whom. */
	bool keeps_removed;
	const struct bkp_cancel *cancel; /* may be NULL */
	/* Told of a version that cannot be seen to, which does not keep the
	 * others from it; is_needed: its lock was to be longer. One at a time,
	 * any thread. May be NULL. */
	void (*fault)(void *arg, const char *name, bool is_needed,
	    const struct bkp_error *why);
	void *fault_arg;
};

struct bkp_store_tended {
	uint64_t renewed; /* objects whose locks were lengthened */
	uint64_t purged, purged_bytes;
	uint64_t locked, locked_bytes; /* removed, and kept by a lock */
	uint64_t failed;               /* versions that fault was told of */
};

struct bkp_store_ops {
	const char *driver; /* "directory", "s3", "memory", ... */
	int (*put)(struct bkp_store *store, const char *name, const void *data,
	    size_t len, struct bkp_error *err);
	int (*put_new)(struct bkp_store *store, const char *name,
	    const void *data, size_t len, struct bkp_error *err);
	int (*get)(struct bkp_store *store, const char *name, uint64_t offset,
	    uint64_t len, struct fmt_buf *out, struct bkp_error *err);
	int (*stat)(struct bkp_store *store, const char *name,
	    struct bkp_store_object *out, struct bkp_error *err);
	int (*list)(struct bkp_store *store, const char *prefix,
	    bkp_store_list_fn *fn, void *arg, struct bkp_error *err);
	int (*remove)(
	    struct bkp_store *store, const char *name, struct bkp_error *err);
	int (*probe)(struct bkp_store *store, struct bkp_error *err);
	int (*tend)(struct bkp_store *store,
	    const struct bkp_store_tending *tending,
	    struct bkp_store_tended *out,
	    struct bkp_error *err);                   /* NULL: locks nothing */
	void (*undo_create)(struct bkp_store *store); /* may be NULL */
	void (*close)(struct bkp_store *store);
};

/* Drivers and decorators embed this first. */
struct bkp_store {
	const struct bkp_store_ops *ops;
	char *location; /* owned: for messages, "/srv/backup" */
	bool is_past;   /* read as of a time: what this machine has seen since
			   is not missing, and nothing can be written */
};

/* Wrappers: check arguments, call, and put "<location>: <name>" in front of an
 * error. get with len BKP_STORE_WHOLE reads to the end; the bytes are
 * appended to out. */
#define BKP_STORE_WHOLE UINT64_MAX
int bkp_store_put(struct bkp_store *store, const char *name, const void *data,
    size_t len, struct bkp_error *err);
int bkp_store_put_new(struct bkp_store *store, const char *name,
    const void *data, size_t len, struct bkp_error *err);
int bkp_store_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err);
int bkp_store_stat(struct bkp_store *store, const char *name,
    struct bkp_store_object *out, struct bkp_error *err);
int bkp_store_list(struct bkp_store *store, const char *prefix,
    bkp_store_list_fn *fn, void *arg, struct bkp_error *err);
int bkp_store_remove(
    struct bkp_store *store, const char *name, struct bkp_error *err);
int bkp_store_probe(struct bkp_store *store, struct bkp_error *err);
/* Where objects are locked as they are put: lengthens the locks that are less
 * than half, and takes away for good what was removed and is locked no more.
 * *out is zero where nothing is locked. Fails where the server answers no more,
 * or lets nothing at all be done. */
int bkp_store_tend(struct bkp_store *store,
    const struct bkp_store_tending *tending, struct bkp_store_tended *out,
    struct bkp_error *err);
/* After CREATE, where what was begun in the place failed and its objects have
 * been removed again: takes away the empty folders that this made, too. */
void bkp_store_undo_create(struct bkp_store *store);
void bkp_store_close(struct bkp_store *store); /* NULL is fine */

/* True where `name` is one that a store takes. */
bool bkp_store_is_name(const char *name);

/* ---- drivers ---- */

enum bkp_store_mode { BKP_STORE_OPEN, BKP_STORE_CREATE };

/* A directory. CREATE makes it (0700) where it is missing. */
int bkp_store_directory_open(const char *path, enum bkp_store_mode mode,
    struct bkp_store **out, struct bkp_error *err);

/* Memory, for tests. share gives another handle on the same objects, which
 * live until the last handle is closed. */
int bkp_store_memory_new(struct bkp_store **out, struct bkp_error *err);
int bkp_store_memory_share(
    struct bkp_store *memory, struct bkp_store **out, struct bkp_error *err);

/* By location: a path, or s3://bucket/prefix, which is reached as `storage`
 * (config_impl.h; NULL: the environment) says. A URL of an unknown scheme is
 * BKP_UNSUPPORTED. */
struct bkp_storage_config;
int bkp_store_open_at(const char *location,
    const struct bkp_storage_config *storage, enum bkp_store_mode mode,
    struct bkp_store **out, struct bkp_error *err);

/* The same, by the environment. */
int bkp_store_open(const char *location, enum bkp_store_mode mode,
    struct bkp_store **out, struct bkp_error *err);

/* Whether a location is in a bucket: every request is a way there and back,
 * and what comes may have been damaged on its way. */
bool bkp_store_is_bucket(const char *location);

/* How often a part of an object is read that does not decrypt, before that is
 * taken for damage: where it may come right, several times. */
unsigned bkp_store_reads(const struct bkp_store *store);

#endif
