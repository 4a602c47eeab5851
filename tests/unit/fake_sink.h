/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_FAKE_SINK_H
#define TESTS_UNIT_FAKE_SINK_H

/*
 * A sink and a supply in memory, so that sources and targets are tested without
 * a repository. fake_sink.c defines the functions of source.h that sources and
 * targets call; a program that uses it must not pull in operations/.
 */

#include <pthread.h>

#include "libbackup/source/source.h"

#define FAKE_WORKERS 3

struct fake_blob {
	unsigned char id[FMT_ID_SIZE];
	struct fmt_buf bytes;
};

struct bkp_content {
	struct bkp_sink *sink;
	struct fmt_entry *entry;
	struct fmt_buf bytes;
};

/* Entries in order, and the bytes of their contents. */
struct bkp_sink {
	struct bkp_run *run;
	struct bkp_content contents[FAKE_WORKERS];
	struct fmt_entry *entries;
	size_t entry_count, entry_cap;
	pthread_mutex_t lock; /* guards blobs and begun */
	struct fake_blob *blobs;
	size_t blob_count, blob_cap;
	unsigned begun;                  /* contents that were begun */
	json_t *info;                    /* what the source told */
	const struct bkp_sink *previous; /* a run before, or NULL */
	bool is_digest_only;
	/* Called in every write, on the worker's thread; may be NULL. */
	void (*on_write)(struct bkp_sink *sink, const char *path);
	void *arg;
};

void fake_sink_init(struct bkp_sink *sink, const struct bkp_events *events,
    const struct bkp_cancel *cancel);
void fake_sink_free(struct bkp_sink *sink);

/* Opens, prepares, runs, asks and closes a source. */
int fake_backup(struct bkp_sink *sink, const struct bkp_kind *kind,
    const struct bkp_source_config *config, struct bkp_error *err);

/* The entry at `path`, or NULL; and its bytes. */
const struct fmt_entry *fake_entry(
    const struct bkp_sink *sink, const char *path);
const struct fmt_buf *fake_bytes(
    const struct bkp_sink *sink, const struct fmt_entry *entry);

/* A text attribute, or NULL. */
const char *fake_text(const struct fmt_entry *entry, const char *name);

/* Adds an entry as it is, in the order of calls; content may be NULL. */
void fake_add(struct bkp_sink *sink, const char *path, const char *kind,
    json_t *attrs, const char *content);

/* How many omissions the run has, and the reason of one by path (or NULL). */
size_t fake_omissions(struct bkp_sink *sink);
const char *fake_omission(struct bkp_sink *sink, const char *path);

/* Restores from a sink's entries: opens, checks, runs and closes a target. The
 * omissions are those of the sink's run. */
struct bkp_supply {
	struct bkp_sink *from;
	const char *prefix;
	const char *selection; /* NULL: all */
	const char *damaged;   /* part of the paths that are damaged, or NULL */
	int damage_at; /* the content that is damaged, from 1; 0: none */
	int read;
	_Atomic uint64_t lost, restored;
};

int fake_restore(struct bkp_supply *supply, const struct bkp_kind *kind,
    const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_error *err);

#endif
