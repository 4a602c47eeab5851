/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_KEY_RING_H
#define LIBBACKUP_REPOSITORY_KEY_RING_H

/*
 * The secrets of a repository and the documents that carry them:
 *
 *   config          for everybody: the repository's id
 *   keys/<name>     for administrators: everything, as an age file
 *   keys/<name>     for a passphrase: an age identity, encrypted by it, to
 *                   which the administrators' object is sealed as well
 *   keys/<name>     for hosts, after a rotation: the new metadata identity
 *   the key file    for one backup host: everything but the data identity,
 *                   and the host's own signing seed
 *
 * Data and metadata identities come in generations: a rotation makes a new
 * one, which is written with from then on, and all older ones go on being
 * read with. Which one is to be used is told by the roster (roster.h).
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

/* Of generations; one a year lasts for longer than the disks. */
#define BKP_GENERATIONS 32

struct bkp_key_ring {
	char repository[BKP_REPOSITORY_ID];
	bool has_data;    /* opens contents */
	bool has_signing; /* is a writer */
	bool has_admin;   /* may let writers in */
	/* All generations, to read with (data only with has_data). */
	struct fmt_age_identity data[BKP_GENERATIONS];
	struct fmt_age_identity metadata[BKP_GENERATIONS];
	struct fmt_age_recipient data_recipients[BKP_GENERATIONS];
	size_t count;
	/* Of the generation to write with. */
	struct fmt_age_recipient data_recipient, metadata_recipient;
	unsigned char id_key[32];       /* of chunk ids */
	unsigned char admin_seed[32];   /* has_admin */
	unsigned char admin_public[32]; /* who signs the roster */
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

/* Adds a new generation and makes it the one to write with. BKP_UNSUPPORTED:
 * there are too many. */
int bkp_key_ring_rotate(struct bkp_key_ring *ring, struct bkp_error *err);

/* Adds the generations of another ring that the first one lacks. */
int bkp_key_ring_join(struct bkp_key_ring *ring,
    const struct bkp_key_ring *other, struct bkp_error *err);

/* Takes the generation with these recipients to write with; false where the
 * ring does not have it. */
bool bkp_key_ring_choose(struct bkp_key_ring *ring, const char *data_recipient,
    const char *metadata_recipient);

/* A new signing seed and a name for another host: what remains is a ring as
 * that host has it. */
int bkp_key_ring_for_host(
    struct bkp_key_ring *ring, const char *name, struct bkp_error *err);

/* The age identity of a host, which follows from its signing seed. */
int bkp_key_ring_host_identity(const struct bkp_key_ring *ring,
    struct fmt_age_identity *out, struct bkp_error *err);

/* Derives a 32 byte key for another use from the id key. */
int bkp_key_ring_derive(const struct bkp_key_ring *ring, const char *label,
    unsigned char out[32], struct bkp_error *err);

/* ---- config ---- */

struct bkp_repository_config {
	char id[BKP_REPOSITORY_ID];
};

int bkp_repository_config_encode(const struct bkp_key_ring *ring,
    int64_t created_us, struct fmt_buf *out, struct bkp_error *err);
int bkp_repository_config_decode(const void *data, size_t len,
    struct bkp_repository_config *out, struct bkp_error *err);

/* Keys of another repository are BKP_AUTH. `what` names the keys. */
int bkp_key_ring_check(const struct bkp_key_ring *ring,
    const struct bkp_repository_config *config, const char *what,
    struct bkp_error *err);

/* ---- what an administrator's age file holds ---- */

int bkp_admin_key_encode(const struct bkp_key_ring *ring, struct fmt_buf *out,
    struct bkp_error *err);
int bkp_admin_key_decode(const void *data, size_t len, struct bkp_key_ring *out,
    struct bkp_error *err);

/* ---- what the hosts' age file holds: the generations only ---- */

int bkp_hosts_key_encode(const struct bkp_key_ring *ring, struct fmt_buf *out,
    struct bkp_error *err);
int bkp_hosts_key_decode(const void *data, size_t len, struct bkp_key_ring *out,
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

/* The same from text that is at hand, one identity; and back, as age-keygen
 * writes it, with the recipient. */
int bkp_identity_text_parse(const struct fmt_buf *text,
    struct fmt_age_identity *out, struct bkp_error *err);
int bkp_identity_text_make(const struct fmt_age_identity *identity,
    char recipient[FMT_AGE_RECIPIENT_TEXT], struct fmt_buf *out,
    struct bkp_error *err);
/* The identities of the identity file, and the passphrase (borrowed) as one
 * more. Free with bkp_identities_free, which wipes them. */
int bkp_keys_identities(const struct bkp_keys *keys,
    struct fmt_age_identity **out, size_t *count, struct bkp_error *err);
void bkp_identities_free(struct fmt_age_identity *identities, size_t count);

/* BKP_INVALID: a passphrase (NULL: none) that is empty, or is to be stretched
 * further (scrypt log2 N; 0: as usual) than anybody would open it. */
int bkp_passphrase_check(
    const char *passphrase, unsigned work_factor, struct bkp_error *err);

#endif
