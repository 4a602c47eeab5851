/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_PACKAGE_H
#define LIBBACKUP_SUBJECT_PACKAGE_H

/*
 * The members of an export, whatever they are packed into: a folder, tar.zst
 * or zip, open or encrypted, whole or in parts, in a file, on standard output
 * or in a bucket. Members come one after the other; nothing has its name
 * before everything is written.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libbackup/archive/output.h"
#include "libbackup/base/run.h"

enum bkp_package_form {
	BKP_PACKAGE_FOLDER,
	BKP_PACKAGE_TAR_ZST, /* encrypted: an age file of it */
	BKP_PACKAGE_ZIP      /* with a passphrase: AES-256; with recipients: an
				age file of it */
};

struct bkp_package_options {
	enum bkp_package_form form;
	const char *const *recipients; /* "age1..." */
	size_t recipient_count;
	const char *passphrase; /* alone; NULL: recipients, or not encrypted */
	unsigned work_factor;   /* 0: 18 */
	struct bkp_archive_output_options output; /* a folder: location alone */
	int64_t time; /* of every member, seconds; so that equal exports are
			 equal bytes where nothing is encrypted */
};

struct bkp_package;

int bkp_package_open(const struct bkp_package_options *options,
    struct bkp_run *run, struct bkp_package **out, struct bkp_error *err);

/* A member: begin, put any number of times, end. Its digest and size are
 * told at its end (either may be NULL). Names are relative, with '/'. */
int bkp_package_begin(
    struct bkp_package *package, const char *name, struct bkp_error *err);
int bkp_package_put(struct bkp_package *package, const void *data, size_t len,
    struct bkp_error *err);
int bkp_package_end(struct bkp_package *package, char sha256[65],
    uint64_t *size, struct bkp_error *err);
/* Gives up the member that is open: it will not be there. */
void bkp_package_drop(struct bkp_package *package);

/* Makes it durable and gives it its name. sha256 is of the whole output (of a
 * folder: of its manifest.json). */
int bkp_package_commit(struct bkp_package *package, char sha256[65],
    uint64_t *stored, size_t *parts, struct bkp_error *err);
void bkp_package_close(struct bkp_package *package); /* NULL is fine */

#endif
