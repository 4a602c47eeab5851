/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_OBJECTS_H
#define LIBBACKUP_SUBJECT_OBJECTS_H

/*
 * Where an export takes the objects of buckets from: the buckets as they are,
 * or as a snapshot holds them.
 */

#include "libbackup/base/config_impl.h"
#include "libbackup/base/run.h"
#include "libbackup/repository.h"

struct bkp_objects;

/* What takes an object. */
struct bkp_objects_taker {
	/* Before the first byte: what it is and when it was made, RFC 3339;
	 * NULL where nobody knows. */
	int (*begin)(void *arg, const char *type, const char *modified,
	    struct bkp_error *err);
	bkp_bytes_fn *write;
	void *arg;
};

typedef int bkp_objects_key_fn(
    void *arg, const char *key, struct bkp_error *err);

/*
 * `get` and `list` answer 1 where what was asked for cannot be had, and
 * `problem` says why; the rest can go on. What was given before that is not to
 * be used. -1 is a failure of everything.
 */
struct bkp_objects_ops {
	/* Says which bucket is meant, by the name that a map gives it. */
	int (*turn_to)(struct bkp_objects *objects, const char *bucket,
	    struct bkp_error *err);
	int (*get)(struct bkp_objects *objects, const char *key,
	    const struct bkp_objects_taker *taker, struct bkp_error *problem,
	    struct bkp_error *err);
	/* The keys that begin with a prefix. */
	int (*list)(struct bkp_objects *objects, const char *prefix,
	    bkp_objects_key_fn *each, void *arg, struct bkp_error *problem,
	    struct bkp_error *err);
	void (*close)(struct bkp_objects *objects);
};

struct bkp_objects {
	const struct bkp_objects_ops *ops;
};

/* Those of the buckets of the configuration. Borrows both until closed. */
int bkp_objects_live(const struct bkp_config *config, struct bkp_run *run,
    struct bkp_objects **out, struct bkp_error *err);

#endif
