/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_KEY_RING_H
#define LIBBACKUP_REPOSITORY_KEY_RING_H

/*
 * The secrets of a repository, the two documents that carry them, and the
 * public document, `config`, that they must agree with:
 *
 *   config          for everybody: the repository's id and its two recipients
 *   keys/<name>     for administrators: everything, as an age file
 *   the key file    for one backup host: everything but the data identity,
 *                   and the host's own signing seed
 */

#include <stdbool.h>
#include <stdint.h>

#include "formats/age.h"
#include "formats/buf.h"
#include "formats/sign.h"
#include "libbackup/error.h"
#include "libbackup/repository.h"

#define BKP_REPOSITORY_ID 33 /* 32 hex digits and a NUL */
#define BKP_WRITER_NAME 65   /* of a host; longer names are cut */
#define BKP_REPOSITORY_VERSION 1

struct bkp_key_ring {
	char repository[BKP_REPOSITORY_ID];
	bool has_data;    /* opens contents */
	bool has_signing; /* is a writer */
	bool has_admin;   /* may let writers in */
	struct fmt_age_identity data, metadata;
	struct fmt_age_recipient data_recipient, metadata_recipient;
	unsigned char id_key[32];       /* of chunk ids */
	unsigned char admin_seed[32];   /* has_admin */
	unsigned char admin_public[32]; /* who signs writers */
	unsigned char signing_seed[32]; /* has_signing */
	char writer[BKP_WRITER_NAME];   /* has_signing: the host's name */
};

#define BKP_KEY_RING_INIT                                                      \
	{                                                                      \
		.has_data = false                                              \
	}

/* All secrets of a new repository with one writer, this host. */
int bkp_key_ring_new(struct bkp_key_ring *out, struct bkp_error *err);
void bkp_key_ring_wipe(struct bkp_key_ring *ring);

/* Derives a 32 byte key for another use from the id key. */
int bkp_key_ring_derive(const struct bkp_key_ring *ring, const char *label,
    unsigned char out[32], struct bkp_error *err);

/* ---- config ---- */

struct bkp_repository_config {
	char id[BKP_REPOSITORY_ID];
	char data_recipient[FMT_AGE_RECIPIENT_TEXT];
	char metadata_recipient[FMT_AGE_RECIPIENT_TEXT];
};

int bkp_repository_config_encode(const struct bkp_key_ring *ring,
    int64_t created_us, struct fmt_buf *out, struct bkp_error *err);
int bkp_repository_config_decode(const void *data, size_t len,
    struct bkp_repository_config *out, struct bkp_error *err);

/* The keys against what the repository says of itself: another repository, or
 * recipients that somebody exchanged, is BKP_AUTH. `what` names the keys. */
int bkp_key_ring_check(const struct bkp_key_ring *ring,
    const struct bkp_repository_config *config, const char *what,
    struct bkp_error *err);

/* ---- what an administrator's age file holds ---- */

int bkp_admin_key_encode(const struct bkp_key_ring *ring, struct fmt_buf *out,
    struct bkp_error *err);
int bkp_admin_key_decode(const void *data, size_t len, struct bkp_key_ring *out,
    struct bkp_error *err);

/* ---- the host key file ---- */

/* Writes a file that must not exist (mode 0600, synced). */
int bkp_host_key_write(
    const struct bkp_key_ring *ring, const char *path, struct bkp_error *err);

/* BKP_AUTH where others could read the file. */
int bkp_host_key_read(
    const char *path, struct bkp_key_ring *out, struct bkp_error *err);

/* ---- administrators' identities ---- */

/* Reads an age identity file: lines of AGE-SECRET-KEY-1..., comments. The
 * caller wipes and frees. */
int bkp_identity_file_read(const char *path, struct fmt_age_identity **out,
    size_t *count, struct bkp_error *err);

#endif
