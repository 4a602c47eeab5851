/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/pack_builder.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

/* The age header, the nonce and the tags of 64 KiB segments take less. */
#define OVERHEAD (64u * 1024)

#define ALIGNMENT 4096u

/* From an address at which a file system takes it past the page cache without
 * another copy. */
static int
reserve(struct fmt_buf *buf, struct bkp_error *err)
{
	if ((buf->data = aligned_alloc(ALIGNMENT, BKP_PACK_SIZE)) == NULL)
		return bkp_fail_nomem(err, "making a pack");
	buf->cap = BKP_PACK_SIZE;
	return 0;
}

int
bkp_pack_new(struct bkp_pack **out, struct bkp_error *err)
{
	struct bkp_pack *pack = bkp_alloc(sizeof(*pack), err);

	if (pack == NULL)
		return -1;
	if (reserve(&pack->sealed, err) < 0) {
		bkp_pack_free(pack);
		return -1;
	}
	if ((pack->digest = EVP_MD_CTX_new()) == NULL) {
		bkp_pack_free(pack);
		return bkp_fail_nomem(err, "making a pack");
	}
	*out = pack;
	return 0;
}

void
bkp_pack_free(struct bkp_pack *pack)
{
	if (pack == NULL)
		return;
	fmt_age_writer_free(pack->writer);
	EVP_MD_CTX_free(pack->digest);
	fmt_buf_free(&pack->sealed);
	free(pack->chunks);
	free(pack);
}

/* Hashes what was appended to `sealed` since the last time. */
static int
hash_news(struct bkp_pack *pack, enum fmt_status status, struct bkp_error *err)
{
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "encrypting a pack");
	if (EVP_DigestUpdate(pack->digest, pack->sealed.data + pack->hashed,
		pack->sealed.len - pack->hashed) != 1)
		return bkp_fail(err, BKP_IO, "hashing a pack failed");
	pack->hashed = pack->sealed.len;
	return 0;
}

int
bkp_pack_begin(struct bkp_pack *pack, enum fmt_pack_kind kind,
    const struct fmt_age_recipient *recipient, struct bkp_error *err)
{
	fmt_age_writer_free(pack->writer);
	pack->writer = NULL;
	pack->kind = kind;
	pack->sealed.len = pack->hashed = pack->count = 0;
	pack->payload_len = 0;
	if (EVP_DigestInit_ex(pack->digest, EVP_sha256(), NULL) != 1)
		return bkp_fail_nomem(err, "hashing a pack");
	return hash_news(pack,
	    fmt_age_writer_new(recipient, 1, &pack->sealed, &pack->writer),
	    err);
}

bool
bkp_pack_is_full(const struct bkp_pack *pack, size_t frame_len)
{
	return pack->count >= BKP_PACK_CHUNKS ||
	       pack->payload_len + frame_len +
		       fmt_pack_directory_size(pack->count + 1) >
		   BKP_PACK_SIZE - OVERHEAD;
}

int
bkp_pack_add(struct bkp_pack *pack, const struct fmt_pack_chunk *chunk,
    const void *frame, size_t frame_len, struct bkp_error *err)
{
	struct fmt_pack_chunk *added;

	if (frame_len > UINT32_MAX - pack->payload_len)
		return bkp_fail(err, BKP_INVALID, "a chunk is too large");
	if (bkp_grow(&pack->chunks, pack->count, &pack->cap,
		sizeof(*pack->chunks), err) < 0 ||
	    hash_news(pack,
		fmt_age_writer_update(
		    pack->writer, frame, frame_len, &pack->sealed),
		err) < 0)
		return -1;
	added = &pack->chunks[pack->count++];
	*added = *chunk;
	added->offset = (uint32_t)pack->payload_len;
	added->stored_len = (uint32_t)frame_len;
	pack->payload_len += frame_len;
	return 0;
}

int
bkp_pack_finish(struct bkp_pack *pack, struct bkp_error *err)
{
	struct fmt_buf directory = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	status =
	    fmt_pack_directory_encode(pack->chunks, pack->count, &directory);
	if (status == FMT_OK)
		status = fmt_age_writer_update(
		    pack->writer, directory.data, directory.len, &pack->sealed);
	if (status == FMT_OK)
		status = fmt_age_writer_finish(pack->writer, &pack->sealed);
	rc = hash_news(pack, status, err);
	if (rc == 0 && EVP_DigestFinal_ex(pack->digest, pack->name, NULL) != 1)
		rc = bkp_fail(err, BKP_IO, "hashing a pack failed");
	fmt_buf_free(&directory);
	fmt_age_writer_free(pack->writer);
	pack->writer = NULL;
	return rc;
}
