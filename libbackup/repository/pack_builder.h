/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_PACK_BUILDER_H
#define LIBBACKUP_REPOSITORY_PACK_BUILDER_H

/*
 * A pack being made: frames go straight into the age file, so a pack exists
 * once in memory, encrypted. After finish it has a name.
 */

#include "formats/age.h"
#include "formats/buf.h"
#include "formats/index.h"
#include "libbackup/error.h"

/* What a pack takes when it is stored, unless a single chunk is larger. */
#define BKP_PACK_SIZE (16u * 1024 * 1024)

/* So many chunks a pack holds, however small they are: what is known of each is
 * in memory until the pack is stored. */
#define BKP_PACK_CHUNKS 16384

struct bkp_pack {
	struct bkp_pack *next; /* of a list of spare ones */
	enum fmt_pack_kind kind;
	struct fmt_buf sealed;         /* the age file so far */
	struct fmt_age_writer *writer; /* owned; NULL once finished */
	void *digest;                  /* owned: EVP_MD_CTX over sealed */
	size_t hashed;                 /* bytes of sealed in the digest */
	struct fmt_pack_chunk *chunks; /* owned */
	size_t count, cap;
	uint64_t payload_len;
	unsigned char name[32]; /* after finish */
};

int bkp_pack_new(struct bkp_pack **out, struct bkp_error *err);
void bkp_pack_free(struct bkp_pack *pack); /* NULL is fine */

/* Starts a pack, new or used before; keeps the memory it has. */
int bkp_pack_begin(struct bkp_pack *pack, enum fmt_pack_kind kind,
    const struct fmt_age_recipient *recipient, struct bkp_error *err);

/* True where a frame of this length would make the pack too large. */
bool bkp_pack_is_full(const struct bkp_pack *pack, size_t frame_len);

/* Appends a chunk's frame. `chunk` says all but where that lies. */
int bkp_pack_add(struct bkp_pack *pack, const struct fmt_pack_chunk *chunk,
    const void *frame, size_t frame_len, struct bkp_error *err);

/* Appends the directory, ends the age file, finds the name. */
int bkp_pack_finish(struct bkp_pack *pack, struct bkp_error *err);

#endif
