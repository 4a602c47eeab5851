/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ARCHIVE_OUTPUT_H
#define LIBBACKUP_ARCHIVE_OUTPUT_H

/*
 * Where an archive is written to: a file, which has its name once it is whole
 * and on disk; an object, which is there once it is whole; parts of either,
 * which get their names together, the last one last; standard output.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/cancel.h"
#include "libbackup/error.h"

struct bkp_archive_output;

struct bkp_archive_output_options {
	const char *location; /* FILE, "-" or "s3://bucket/key" */
	uint64_t split;       /* bytes of a part; 0: one file */
	uint64_t expected;    /* about so many bytes at the most, for the
				 number of parts; 0: nobody knows */
	bool is_overwrite;
	const struct bkp_bucket_config *bucket; /* endpoint and keys; NULL:
						   the environment */
	const char *endpoint;                   /* wins over all; may be NULL */
	const struct bkp_cancel *cancel;        /* may be NULL */
};

/* Everything is borrowed until the output is closed. BKP_EXISTS: there is one
 * of that name. */
int bkp_archive_output_open(const struct bkp_archive_output_options *options,
    struct bkp_archive_output **out, struct bkp_error *err);

int bkp_archive_output_write(struct bkp_archive_output *output,
    const void *data, size_t len, struct bkp_error *err);

/* Makes it durable and gives it its name. *parts: files or objects. */
int bkp_archive_output_commit(
    struct bkp_archive_output *output, size_t *parts, struct bkp_error *err);

/* Takes away what was not committed, and frees. NULL is fine. */
void bkp_archive_output_close(struct bkp_archive_output *output);

/* ---- drivers ---- */

struct bkp_archive_output_ops {
	int (*write)(struct bkp_archive_output *output, const void *data,
	    size_t len, struct bkp_error *err);
	int (*commit)(struct bkp_archive_output *output, size_t *parts,
	    struct bkp_error *err);
	void (*close)(struct bkp_archive_output *output);
};

struct bkp_archive_output {
	const struct bkp_archive_output_ops *ops;
};

int bkp_archive_output_open_files(
    const struct bkp_archive_output_options *options,
    struct bkp_archive_output **out, struct bkp_error *err);
int bkp_archive_output_open_bucket(
    const struct bkp_archive_output_options *options,
    struct bkp_archive_output **out, struct bkp_error *err);

#endif
