/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/parity.h"

#include <string.h>

#include "formats/bytes.h"
#include "formats/parity_impl.h"
#include "formats/sign.h"

#define DATA_SHARDS 128u /* at the most */
#define SMALLEST 512u    /* bytes of a shard, where there are several */
#define LEAST_PARITY 2u

/* ---- sizes ---- */

void
fmt_parity_choose(uint64_t len, unsigned percent, struct fmt_parity *out)
{
	uint64_t shards = (len + SMALLEST - 1) / SMALLEST;

	if (shards > DATA_SHARDS)
		shards = DATA_SHARDS;
	if (shards == 0)
		shards = 1;
	out->object_len = len;
	out->shard_len = len > 0 ? (uint32_t)((len + shards - 1) / shards) : 1;
	out->data_shards =
	    len > 0 ? (unsigned)((len + out->shard_len - 1) / out->shard_len)
		    : 1;
	out->parity_shards = (out->data_shards * percent + 99) / 100;
	if (out->parity_shards < LEAST_PARITY)
		out->parity_shards = LEAST_PARITY;
}

bool
fmt_parity_fits(uint64_t object_len, uint64_t parity_len)
{
	struct fmt_parity parity;

	for (unsigned percent = 1;
	     object_len <= UINT32_MAX && percent <= FMT_PARITY_MAX_PERCENT;
	     percent++) {
		fmt_parity_choose(object_len, percent, &parity);
		if (fmt_parity_size(&parity) == parity_len)
			return true;
	}
	return false;
}

/* ---- the head ---- */

size_t
fmt_parity_head_size(const struct fmt_parity *parity)
{
	return FMT_PARITY_FIXED +
	       (size_t)(parity->data_shards + parity->parity_shards) *
		   FMT_PARITY_DIGEST +
	       FMT_PARITY_SUM;
}

size_t
fmt_parity_size(const struct fmt_parity *parity)
{
	return 2 * fmt_parity_head_size(parity) +
	       (size_t)parity->parity_shards * parity->shard_len;
}

void
fmt_parity_write_fixed(const struct fmt_parity *parity, unsigned char *head)
{
	memcpy(head, FMT_PARITY_MAGIC, 8);
	fmt_store_le32(head + 8, FMT_PARITY_VERSION);
	fmt_store_le32(
	    head + 12, parity->data_shards | parity->parity_shards << 16);
	fmt_store_le64(head + 16, parity->object_len);
	fmt_store_le32(head + 24, parity->shard_len);
	fmt_store_le32(head + 28, 0);
	memcpy(head + 32, parity->object_digest, 32);
}

/* Whether the numbers fit each other. */
static bool
is_sound(const struct fmt_parity *parity)
{
	uint64_t all = (uint64_t)parity->data_shards * parity->shard_len;

	if (parity->data_shards == 0 || parity->parity_shards == 0 ||
	    parity->data_shards + parity->parity_shards > FMT_PARITY_SHARDS ||
	    parity->shard_len == 0 || parity->shard_len > INT32_MAX)
		return false;
	/* The last shard holds at least one byte, but for an empty object. */
	return parity->object_len <= all &&
	       (parity->object_len > all - parity->shard_len || all == 1);
}

/* Reads the head that begins at `at`. */
static enum fmt_status
read_head(const unsigned char *at, size_t len, struct fmt_parity *out)
{
	struct fmt_parity read;
	unsigned char sum[32];
	size_t size;

	if (len < FMT_PARITY_FIXED || memcmp(at, FMT_PARITY_MAGIC, 8) != 0)
		return FMT_MALFORMED;
	read.data_shards = fmt_load_le32(at + 12) & 0xffff;
	read.parity_shards = fmt_load_le32(at + 12) >> 16;
	read.object_len = fmt_load_le64(at + 16);
	read.shard_len = fmt_load_le32(at + 24);
	memcpy(read.object_digest, at + 32, 32);
	if (read.data_shards + read.parity_shards > FMT_PARITY_SHARDS ||
	    (size = fmt_parity_head_size(&read)) > len)
		return FMT_MALFORMED;
	if (fmt_sha256(at, size - FMT_PARITY_SUM, sum) != FMT_OK)
		return FMT_CRYPTO;
	if (memcmp(sum, at + size - FMT_PARITY_SUM, FMT_PARITY_SUM) != 0)
		return FMT_MALFORMED;
	if (fmt_load_le32(at + 8) != FMT_PARITY_VERSION)
		return FMT_UNSUPPORTED;
	if (fmt_load_le32(at + 28) != 0 || !is_sound(&read))
		return FMT_MALFORMED;
	*out = read;
	return FMT_OK;
}

/* The first good head: the one at the beginning, or the copy that ends the
 * file. Where that begins is not known without the first. */
enum fmt_status
fmt_parity_find_head(const unsigned char *parity, size_t len,
    struct fmt_parity *out, const unsigned char **head)
{
	enum fmt_status status;

	for (size_t at = 0; at + FMT_PARITY_FIXED <= len; at++) {
		const unsigned char *found;

		if (at > 0) {
			found =
			    memmem(parity + at, len - at, FMT_PARITY_MAGIC, 8);
			if (found == NULL)
				break;
			at = (size_t)(found - parity);
		}
		status = read_head(parity + at, len - at, out);
		*head = parity + at;
		/* The object may hold a parity, and its shards a head of that:
		 * the copy is the one that ends the file. */
		if (status != FMT_MALFORMED &&
		    (at == 0 || status != FMT_OK ||
			at + fmt_parity_head_size(out) == len))
			return status;
	}
	return FMT_MALFORMED;
}

enum fmt_status
fmt_parity_open(const void *parity, size_t parity_len, struct fmt_parity *out)
{
	const unsigned char *head;

	return fmt_parity_find_head(parity, parity_len, out, &head);
}

/* ---- digests ---- */

/* FMT_OK where the shard has the digest that the head tells. */
enum fmt_status
fmt_parity_check_shard(const struct fmt_parity *parity,
    const unsigned char *head, unsigned number, const unsigned char *shard)
{
	unsigned char digest[32];
	enum fmt_status status = fmt_sha256(shard, parity->shard_len, digest);

	if (status != FMT_OK)
		return status;
	return memcmp(digest,
		   head + FMT_PARITY_FIXED + number * FMT_PARITY_DIGEST,
		   FMT_PARITY_DIGEST) == 0
		   ? FMT_OK
		   : FMT_AUTH;
}

enum fmt_status
fmt_parity_check(const void *parity, size_t parity_len)
{
	const unsigned char *data = parity, *head;
	struct fmt_parity view;
	enum fmt_status status;
	size_t size;

	status = fmt_parity_find_head(data, parity_len, &view, &head);
	if (status != FMT_OK)
		return status == FMT_MALFORMED ? FMT_AUTH : status;
	size = fmt_parity_head_size(&view);
	if (head != data || fmt_parity_size(&view) != parity_len ||
	    memcmp(data, data + parity_len - size, size) != 0)
		return FMT_AUTH;
	for (unsigned i = 0; status == FMT_OK && i < view.parity_shards; i++)
		status =
		    fmt_parity_check_shard(&view, data, view.data_shards + i,
			data + size + (size_t)i * view.shard_len);
	return status;
}
