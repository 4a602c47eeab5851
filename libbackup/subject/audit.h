/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_AUDIT_H
#define LIBBACKUP_SUBJECT_AUDIT_H

/*
 * The audit file: who exported whose data, when, under which map, and what
 * came of it. A line of JSON an event; each names the SHA-256 of the line
 * before it ("previous"; the first has 64 zeros), so that a line that is
 * changed, moved or taken out is seen, and one at the end by whoever has kept
 * the last digest. A line is written when an export begins and when it ends.
 *
 * The subject stands there as HMAC-SHA256 of table and key under the key in
 * FILE.key, which is made with the file: equal subjects are equal, and nobody
 * without the key can tell whose they are.
 */

#include <stddef.h>
#include <stdint.h>

#include "libbackup/error.h"

struct bkp_audit;

/* Opens (makes) the file and its key and reads it to its end; a chain that is
 * broken is BKP_CORRUPT and nothing is added to it. `path` NULL: exports.log in
 * the state directory. */
int bkp_audit_open(
    const char *path, struct bkp_audit **out, struct bkp_error *err);
void bkp_audit_close(struct bkp_audit *audit); /* NULL is fine */

/* What an entry tells; NULL where there is none. */
struct bkp_audit_entry {
	const char *event; /* "export-begun", "export-done"... */
	const char *who;   /* NULL: the user of this process */
	const char *table; /* of the subject */
	const char *const *key;
	size_t key_count;
	const char *map_sha256;
	const char *snapshot; /* that the data came from; NULL: live */
	const char *state;    /* "complete", "partial", "failed" */
	const char *sha256;   /* of what was written */
};

/* Appends it and makes it durable. Other processes may write to the file at
 * the same time. */
int bkp_audit_append(struct bkp_audit *audit,
    const struct bkp_audit_entry *entry, struct bkp_error *err);

/* The file, its number of lines and the digest of the last one. */
const char *bkp_audit_path(const struct bkp_audit *audit);
uint64_t bkp_audit_lines(const struct bkp_audit *audit);
const char *bkp_audit_head(const struct bkp_audit *audit);

#endif
