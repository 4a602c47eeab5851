/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/chunker.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/sign.h"

/* Bytes that a bit of the hash looks back at, at most: one shift a byte. */
#define WINDOW 64u

#define MIN_AVG_BITS 6u
#define MAX_AVG_BITS 30u

static const char label[] = "libbackup chunker v1";

/* HMAC-SHA256(key, label || block number) for 64 blocks of four words. */
static enum fmt_status
derive_gear(uint64_t gear[256], const unsigned char key[32])
{
	unsigned char message[sizeof(label)], block[32];
	enum fmt_status status = FMT_OK;

	memcpy(message, label, sizeof(label));
	for (unsigned i = 0; i < 64 && status == FMT_OK; i++) {
		/* In the place of the label's NUL. */
		message[sizeof(label) - 1] = (unsigned char)i;
		status =
		    fmt_hmac_sha256(key, 32, message, sizeof(message), block);
		for (unsigned word = 0; word < 4 && status == FMT_OK; word++)
			gear[4 * i + word] = fmt_load_le64(block + 8 * word);
	}
	OPENSSL_cleanse(block, sizeof(block));
	return status;
}

/* The highest bits, because they depend on the most bytes. */
static uint64_t
high_bits(unsigned count)
{
	return ~UINT64_C(0) << (64 - count);
}

enum fmt_status
fmt_chunker_init(struct fmt_chunker *chunker, const unsigned char key[32],
    size_t min, size_t avg, size_t max)
{
	struct fmt_chunker made = {.min = min, .avg = avg, .max = max};
	enum fmt_status status;
	unsigned bits = 0;

	while (bits < MAX_AVG_BITS && (size_t)1 << bits < avg)
		bits++;
	if (bits < MIN_AVG_BITS || avg != (size_t)1 << bits || min < WINDOW ||
	    min > avg || avg > max)
		return FMT_LIMIT;
	made.mask_hard = high_bits(bits + 2);
	made.mask_easy = high_bits(bits - 2);
	status = derive_gear(made.gear, key);
	if (status == FMT_OK)
		*chunker = made;
	OPENSSL_cleanse(&made, sizeof(made));
	return status;
}

/*
 * Rolls over data[*pos, end) and stops after the first byte at which the hash
 * has no bit of the mask set: answers true, *pos behind that byte. The loop is
 * all the time there is, so it does four bytes a turn.
 */
static inline bool
roll_until(const uint64_t *gear, const unsigned char *data, size_t *pos,
    size_t end, uint64_t mask, uint64_t *hash)
{
	uint64_t h = *hash;
	size_t i = *pos;
	bool found = false;

	for (; end - i >= 4; i += 4) {
		uint64_t h1 = (h << 1) + gear[data[i]];
		uint64_t h2 = (h1 << 1) + gear[data[i + 1]];
		uint64_t h3 = (h2 << 1) + gear[data[i + 2]];
		uint64_t h4 = (h3 << 1) + gear[data[i + 3]];

		if ((h1 & mask) == 0 || (h2 & mask) == 0 || (h3 & mask) == 0 ||
		    (h4 & mask) == 0)
			break;
		h = h4;
	}
	/* The last few, or the four among which the cut is. */
	for (; i < end && !found; i++) {
		h = (h << 1) + gear[data[i]];
		found = (h & mask) == 0;
	}
	*hash = h;
	*pos = i;
	return found;
}

size_t
fmt_chunker_cut(
    const struct fmt_chunker *chunker, const unsigned char *data, size_t len)
{
	size_t end = len < chunker->max ? len : chunker->max;
	size_t turn = end < chunker->avg ? end : chunker->avg;
	size_t pos = chunker->min;
	uint64_t hash = 0;

	if (len <= chunker->min)
		return len >= chunker->max ? chunker->max : 0;
	/* No cut lies before min, so only the window in front of it is read:
	 * whether a place is a cut depends on its 64 bytes and on nothing
	 * else, and chunks find back into step after an insertion. */
	for (size_t i = pos - WINDOW; i < pos; i++)
		hash = (hash << 1) + chunker->gear[data[i]];
	if (roll_until(
		chunker->gear, data, &pos, turn, chunker->mask_hard, &hash) ||
	    roll_until(
		chunker->gear, data, &pos, end, chunker->mask_easy, &hash))
		return pos;
	return end == chunker->max ? end : 0;
}
