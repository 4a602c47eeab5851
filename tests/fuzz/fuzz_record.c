/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed records: checkpoints, condemned lists, sessions, proofs, erasures, what
 * a shared backup is made of. The bytes as they are; and, since nothing is signed by chance, as line 1 that is
 * signed here. What is taken is written back and read again as the same. So are
 * the claims of proofs that several of them have.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/checkpoint.h"
#include "formats/claims.h"
#include "formats/condemned.h"
#include "formats/erasure.h"
#include "formats/presence.h"
#include "formats/proof.h"
#include "formats/record.h"
#include "formats/share.h"
#include "tests/fuzz/fuzz.h"

static const unsigned char seed[32] = {1};

/* Decodes and, where it is one, writes it again. */
typedef bool again_fn(const void *data, size_t len, struct fmt_buf *out);

#define AGAIN(kind)                                                            \
	static bool kind##_again(                                              \
	    const void *data, size_t len, struct fmt_buf *out)                 \
	{                                                                      \
		struct fmt_##kind value;                                       \
                                                                               \
		if (fmt_##kind##_decode(data, len, &value) != FMT_OK)          \
			return false;                                          \
		require(fmt_##kind##_encode(&value, seed, out) == FMT_OK);     \
		fmt_##kind##_free(&value);                                     \
		return true;                                                   \
	}

AGAIN(checkpoint)
AGAIN(condemned)
AGAIN(erasure)
AGAIN(presence)
AGAIN(proof)
AGAIN(share_note)
AGAIN(share_plan)
AGAIN(share_result)

static const struct {
	const char *context;
	again_fn *again;
} kinds[] = {
    {"libbackup checkpoint v1", checkpoint_again},
    {"libbackup condemned v1", condemned_again},
    {"libbackup session v1", presence_again},
    {"libbackup proof v1", proof_again},
    {"libbackup erasure v1", erasure_again},
    {FMT_SHARE_NOTE_CONTEXT, share_note_again},
    {FMT_SHARE_PLAN_CONTEXT, share_plan_again},
    {FMT_SHARE_RESULT_CONTEXT, share_result_again},
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

static void
try_record(size_t kind, const void *data, size_t len)
{
	struct fmt_buf once = FMT_BUF_INIT, twice = FMT_BUF_INIT;

	if (kinds[kind].again(data, len, &once)) {
		require(kinds[kind].again(once.data, once.len, &twice));
		require(once.len == twice.len &&
			memcmp(once.data, twice.data, once.len) == 0);
	}
	fmt_buf_free(&once);
	fmt_buf_free(&twice);
}

/* What an erasure has sealed. */
static void
try_secret(const void *data, size_t len)
{
	unsigned char key[FMT_ERASURE_KEY];
	struct fmt_buf again = FMT_BUF_INIT;
	const char *map;
	size_t map_len;

	if (fmt_erasure_secret_read(data, len, key, &map, &map_len) != FMT_OK)
		return;
	require(fmt_erasure_secret_write(key, map, map_len, &again) == FMT_OK);
	require(again.len == len);
	fmt_buf_free(&again);
}

/* Reads them from an object of which they are a member; the object is
 * given away. */
static bool
claims_again(json_t *object, struct fmt_buf *out, json_t **again)
{
	struct fmt_claim *claims = NULL;
	size_t count = 0;
	bool is_taken = object != NULL && fmt_claims_get(object, "proofs",
					      &claims, &count) == FMT_OK;

	if (is_taken) {
		char *text;

		require(fmt_claims_are_valid(claims, count));
		*again = json_pack(
		    "{s:o}", "proofs", fmt_claims_value(claims, count));
		require(*again != NULL);
		text = json_dumps(*again, JSON_COMPACT);
		require(text != NULL);
		require(fmt_buf_append_text(out, text) == FMT_OK);
		free(text);
	}
	free(claims);
	json_decref(object);
	return is_taken;
}

static void
try_claims(const void *data, size_t len)
{
	struct fmt_buf once = FMT_BUF_INIT, twice = FMT_BUF_INIT;
	json_t *first = NULL, *second = NULL;
	json_t *given = json_loadb(data, len, 0, NULL);

	if (given != NULL &&
	    claims_again(json_pack("{s:o}", "proofs", given), &once, &first)) {
		require(claims_again(first, &twice, &second));
		require(once.len == twice.len &&
			memcmp(once.data, twice.data, once.len) == 0);
		json_decref(second);
	}
	fmt_buf_free(&once);
	fmt_buf_free(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_record record = FMT_RECORD_INIT;
	struct fmt_buf text = FMT_BUF_INIT;

	if (size > 0 &&
	    fmt_record_decode(data, size, kinds[0].context, &record) == FMT_OK)
		fmt_record_free(&record);
	for (size_t kind = 0; kind < KINDS && size > 0; kind++) {
		fmt_buf_clear(&text);
		sign_line(seed, kinds[kind].context, data, size, &text);
		try_record(kind, text.data, text.len);
	}
	fmt_buf_free(&text);
	try_secret(data, size);
	try_claims(data, size);
	return 0;
}
