/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_ERASURE_H
#define FORMATS_ERASURE_H

/*
 * An erasure: "this subject was erased in the application". A signed record
 * that names nobody: the subject is a keyed hash, and the key of it and the map
 * by which to erase once more are sealed for those who may read contents.
 * formats/erasure.md.
 */

#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

#define FMT_ERASURE_KEY 32
#define FMT_ERASURE_HASH 32

struct fmt_erasure {
	char repository[33]; /* hex id of the repository it belongs to */
	int64_t time_us;     /* when it was found erased, microseconds UTC */
	char *host;          /* owned: who wrote it */
	char *source;        /* owned, raw: "postgres/app" */
	char *database;      /* owned, raw */
	char *table;         /* owned, raw: of the subject, "public.users" */
	char map[65];        /* SHA-256 of the map's text, hex */
	unsigned char hash[FMT_ERASURE_HASH]; /* of the subject */
	char *sealed; /* owned: an armored age file to the data recipient with
			 what fmt_erasure_secret_read reads */
	unsigned char signer[32]; /* Ed25519 public key; set by decode */
};

#define FMT_ERASURE_INIT                                                       \
	{                                                                      \
		.host = NULL                                                   \
	}

void fmt_erasure_free(struct fmt_erasure *erasure);

/* Appends both lines, signed with an Ed25519 seed. */
enum fmt_status fmt_erasure_encode(const struct fmt_erasure *erasure,
    const unsigned char seed[32], struct fmt_buf *out);

/* Reads it and checks the signature against the key that it names; whether
 * that key may say such a thing is the caller's question. FMT_UNSUPPORTED: a
 * newer version. */
enum fmt_status fmt_erasure_decode(
    const void *data, size_t len, struct fmt_erasure *out);

/* What is sealed: a line with the key in hex, then the map as it was. */
enum fmt_status fmt_erasure_secret_write(
    const unsigned char key[FMT_ERASURE_KEY], const void *map, size_t map_len,
    struct fmt_buf *out);
/* *map is borrowed from the text. */
enum fmt_status fmt_erasure_secret_read(const void *text, size_t len,
    unsigned char key[FMT_ERASURE_KEY], const char **map, size_t *map_len);

/* The subject under a key: HMAC-SHA256 over the table and a NUL, then for each
 * value of its key, in the order of the columns, the number of its bytes (8
 * bytes, little endian) and the bytes. */
enum fmt_status fmt_erasure_hash(const unsigned char key[FMT_ERASURE_KEY],
    const char *table, const char *const *values, size_t count,
    unsigned char out[FMT_ERASURE_HASH]);

#endif
