/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_RECORD_H
#define FORMATS_RECORD_H

/*
 * A signed record: one line of JSON and a line with an Ed25519 signature over
 * it. Snapshots are records, and so is whatever else somebody states in a
 * repository: who may write, what was removed, what is to go.
 * formats/record.md.
 */

#include <jansson.h>
#include <stddef.h>

#include "formats/buf.h"
#include "formats/status.h"

/* Bytes of the first line. */
#define FMT_RECORD_MAX_LINE ((size_t)64 * 1024 * 1024)

struct fmt_record {
	json_t *body;             /* owned: the object of line 1 */
	unsigned char signer[32]; /* Ed25519 public key */
};

#define FMT_RECORD_INIT                                                        \
	{                                                                      \
		NULL,                                                          \
		{                                                              \
			0                                                      \
		}                                                              \
	}

void fmt_record_free(struct fmt_record *record);

/* Appends both lines, signed with an Ed25519 seed. `context` ("libbackup
 * snapshot v1") keeps a record of one kind from being taken for another. */
enum fmt_status fmt_record_encode(const json_t *body, const char *context,
    const unsigned char seed[32], struct fmt_buf *out);

/* Checks the signature against the key that line 2 names, before anything of
 * line 1 is looked at. Whether that key may say such a thing is the caller's
 * question. */
enum fmt_status fmt_record_decode(
    const void *data, size_t len, const char *context, struct fmt_record *out);

/* FMT_OK where the body says that it is of this type and version; another
 * version is FMT_UNSUPPORTED, anything else FMT_MALFORMED. */
enum fmt_status fmt_record_check(
    const json_t *body, const char *type, json_int_t version);

/* A kind of record, and what makes its struct of line 1. */
struct fmt_record_kind {
	const char *context, *type;
	json_int_t version;
	enum fmt_status (*fill)(const json_t *body, void *out);
};

/* Decodes a record, checks that it is of the kind and fills *out, also where
 * that fails half way. */
enum fmt_status fmt_record_read(const void *data, size_t len,
    const struct fmt_record_kind *kind, void *out, unsigned char signer[32]);

#endif
