/* SPDX-License-Identifier: Apache-2.0 */
/* Making and using shards, over ISA-L. */
#include <isa-l/erasure_code.h>
#include <stdlib.h>
#include <string.h>

#include "formats/parity_impl.h"
#include "formats/sign.h"

bool
fmt_parity_is_available(void)
{
	return true;
}

/* Everything that is worked with: data shards, parity shards, a row each. */
struct work {
	struct fmt_parity parity;
	unsigned char *bytes; /* owned: every shard, padded with zeros */
	unsigned char *shards[FMT_PARITY_SHARDS];
	unsigned char *matrix;             /* owned: a row for each shard */
	unsigned char *inverse, *selected; /* owned: data x data */
	unsigned char *tables;             /* owned: of ISA-L */
};

static void
free_work(struct work *work)
{
	free(work->bytes);
	free(work->matrix);
	free(work->inverse);
	free(work->selected);
	free(work->tables);
}

static unsigned
all_shards(const struct fmt_parity *parity)
{
	return parity->data_shards + parity->parity_shards;
}

/* The matrix: the identity, and a Cauchy matrix below it, of which every
 * choice of rows can be inverted. */
static enum fmt_status
prepare(struct work *work)
{
	const struct fmt_parity *parity = &work->parity;
	const size_t k = parity->data_shards, all = all_shards(parity);

	work->bytes = calloc(all, parity->shard_len);
	work->matrix = malloc(all * k);
	work->inverse = malloc(k * k);
	work->selected = malloc(k * k);
	work->tables = malloc(32 * k * all);
	if (work->bytes == NULL || work->matrix == NULL ||
	    work->inverse == NULL || work->selected == NULL ||
	    work->tables == NULL)
		return FMT_NOMEM;
	for (size_t i = 0; i < all; i++)
		work->shards[i] = work->bytes + i * parity->shard_len;
	gf_gen_cauchy1_matrix(work->matrix, (int)all, (int)k);
	return FMT_OK;
}

/* ---- making ---- */

static enum fmt_status
write_head(const struct work *work, unsigned char *head)
{
	const struct fmt_parity *parity = &work->parity;
	unsigned char *at = head + FMT_PARITY_FIXED, digest[32];

	fmt_parity_write_fixed(parity, head);
	for (unsigned i = 0; i < all_shards(parity); i++) {
		enum fmt_status status =
		    fmt_sha256(work->shards[i], parity->shard_len, digest);

		if (status != FMT_OK)
			return status;
		memcpy(at, digest, FMT_PARITY_DIGEST);
		at += FMT_PARITY_DIGEST;
	}
	return fmt_sha256(head, (size_t)(at - head), at);
}

static enum fmt_status
append_parity(const struct work *work, struct fmt_buf *out)
{
	const struct fmt_parity *parity = &work->parity;
	const size_t head = fmt_parity_head_size(parity);
	const size_t shards = (size_t)parity->parity_shards * parity->shard_len;
	enum fmt_status status = fmt_buf_reserve(out, 2 * head + shards);
	unsigned char *at;

	if (status != FMT_OK)
		return status;
	at = out->data + out->len;
	if ((status = write_head(work, at)) != FMT_OK)
		return status;
	memcpy(at + head, work->shards[parity->data_shards], shards);
	memcpy(at + head + shards, at, head);
	out->len += 2 * head + shards;
	return FMT_OK;
}

enum fmt_status
fmt_parity_make(
    const void *object, size_t len, unsigned percent, struct fmt_buf *out)
{
	struct work work = {.bytes = NULL};
	struct fmt_parity *parity = &work.parity;
	enum fmt_status status;

	if (percent < 1 || percent > FMT_PARITY_MAX_PERCENT ||
	    (uint64_t)len > UINT32_MAX)
		return FMT_LIMIT;
	fmt_parity_choose(len, percent, parity);
	status = fmt_sha256(object, len, parity->object_digest);
	if (status == FMT_OK)
		status = prepare(&work);
	if (status == FMT_OK) {
		const int k = (int)parity->data_shards;
		const int m = (int)parity->parity_shards;

		if (len > 0)
			memcpy(work.bytes, object, len);
		ec_init_tables(k, m, work.matrix + k * k, work.tables);
		ec_encode_data((int)parity->shard_len, k, m, work.tables,
		    work.shards, work.shards + k);
		status = append_parity(&work, out);
	}
	free_work(&work);
	return status;
}

/* ---- repairing ---- */

/* Puts what is there into the shards. */
static void
gather(struct work *work, const unsigned char *parity, size_t parity_len,
    const void *object, size_t len)
{
	const size_t head = fmt_parity_head_size(&work->parity);
	const size_t room =
	    (size_t)work->parity.parity_shards * work->parity.shard_len;

	if (len > work->parity.object_len)
		len = (size_t)work->parity.object_len;
	if (len > 0)
		memcpy(work->bytes, object, len);
	if (parity_len <= head)
		return;
	parity_len -= head;
	memcpy(work->shards[work->parity.data_shards], parity + head,
	    parity_len < room ? parity_len : room);
}

/* Tells good shards from bad ones; *bad counts those of the data. */
static enum fmt_status
judge(const struct work *work, const unsigned char *head,
    bool is_good[FMT_PARITY_SHARDS], unsigned *bad)
{
	*bad = 0;
	for (unsigned i = 0; i < all_shards(&work->parity); i++) {
		enum fmt_status status = fmt_parity_check_shard(
		    &work->parity, head, i, work->shards[i]);

		if (status != FMT_OK && status != FMT_AUTH)
			return status;
		is_good[i] = status == FMT_OK;
		if (!is_good[i] && i < work->parity.data_shards)
			++*bad;
	}
	return FMT_OK;
}

/* Makes the bad data shards from as many good ones as there are data shards:
 * their rows, inverted, tell how. */
static enum fmt_status
rebuild(struct work *work, const bool is_good[FMT_PARITY_SHARDS])
{
	unsigned char *from[FMT_PARITY_SHARDS], *to[FMT_PARITY_SHARDS];
	const unsigned k = work->parity.data_shards;
	unsigned rows = 0, bad = 0;

	for (unsigned i = 0; rows < k && i < all_shards(&work->parity); i++) {
		if (!is_good[i])
			continue;
		memcpy(work->selected + (size_t)rows * k,
		    work->matrix + (size_t)i * k, k);
		from[rows++] = work->shards[i];
	}
	if (rows < k)
		return FMT_LIMIT;
	if (gf_invert_matrix(work->selected, work->inverse, (int)k) != 0)
		return FMT_CRYPTO;
	for (unsigned i = 0; i < k; i++) {
		if (is_good[i])
			continue;
		memcpy(work->selected + (size_t)bad * k,
		    work->inverse + (size_t)i * k, k);
		to[bad++] = work->shards[i];
	}
	ec_init_tables((int)k, (int)bad, work->selected, work->tables);
	ec_encode_data((int)work->parity.shard_len, (int)k, (int)bad,
	    work->tables, from, to);
	return FMT_OK;
}

static enum fmt_status
append_object(const struct work *work, struct fmt_buf *out)
{
	const size_t len = (size_t)work->parity.object_len;
	unsigned char digest[32];
	enum fmt_status status = fmt_sha256(work->bytes, len, digest);

	if (status != FMT_OK)
		return status;
	if (memcmp(digest, work->parity.object_digest, sizeof(digest)) != 0)
		return FMT_LIMIT;
	return fmt_buf_append(out, work->bytes, len);
}

enum fmt_status
fmt_parity_repair(const void *parity, size_t parity_len, const void *object,
    size_t len, struct fmt_buf *out, unsigned *damaged)
{
	struct work work = {.bytes = NULL};
	bool is_good[FMT_PARITY_SHARDS];
	const unsigned char *head;
	enum fmt_status status;
	unsigned bad = 0;

	status = fmt_parity_find_head(parity, parity_len, &work.parity, &head);
	if (status != FMT_OK)
		return status;
	/* Where most of it is missing no memory is taken for it. */
	if ((uint64_t)all_shards(&work.parity) * work.parity.shard_len / 4 >
	    len + parity_len)
		return FMT_LIMIT;
	status = prepare(&work);
	if (status == FMT_OK) {
		gather(&work, parity, parity_len, object, len);
		status = judge(&work, head, is_good, &bad);
	}
	if (status == FMT_OK && bad > 0)
		status = rebuild(&work, is_good);
	if (status == FMT_OK)
		status = append_object(&work, out);
	if (status == FMT_OK && damaged != NULL)
		*damaged = bad;
	free_work(&work);
	return status;
}
