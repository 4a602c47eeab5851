/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/rowhash.h"

#include <string.h>

/* Compiled in: most rows are short, and a call into the shared library costs
 * as much as hashing one. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "formats/sign.h"

static inline void
add_sum(struct fmt_rowhash *hash, uint64_t low, uint64_t high)
{
	hash->low += low;
	hash->high += high + (hash->low < low);
}

static inline void
add_row(struct fmt_rowhash *hash, const void *row, size_t len)
{
	XXH128_hash_t digest = XXH3_128bits(row, len);

	add_sum(hash, digest.low64, digest.high64);
	hash->rows++;
}

void
fmt_rowhash_add(struct fmt_rowhash *hash, const void *row, size_t len)
{
	add_row(hash, row, len);
}

static enum fmt_status
add_lines(struct fmt_rowhash *hash, const char *row, size_t len)
{
	const char *end = row + len, *newline;

	if (end[-1] != '\n')
		return FMT_TRUNCATED;
	while (row < end) {
		newline = memchr(row, '\n', (size_t)(end - row));
		add_row(hash, row, (size_t)(newline - row));
		row = newline + 1;
	}
	return FMT_OK;
}

static enum fmt_status
add_tuples(struct fmt_rowhash *hash, const unsigned char *row, size_t len)
{
	enum fmt_status status;
	size_t size = 0;

	for (; len > 0; row += size, len -= size) {
		status = fmt_copy_row(FMT_COPY_BINARY, row, len, &size);
		if (status != FMT_OK)
			return status;
		add_row(hash, row, size);
	}
	return FMT_OK;
}

enum fmt_status
fmt_rowhash_add_rows(struct fmt_rowhash *hash, enum fmt_copy_form form,
    const void *rows, size_t len)
{
	struct fmt_rowhash sum = *hash;
	enum fmt_status status;

	if (len == 0)
		return FMT_OK;
	status = form == FMT_COPY_BINARY ? add_tuples(&sum, rows, len)
					 : add_lines(&sum, rows, len);
	if (status == FMT_OK)
		*hash = sum;
	return status;
}

void
fmt_rowhash_merge(struct fmt_rowhash *hash, const struct fmt_rowhash *other)
{
	add_sum(hash, other->low, other->high);
	hash->rows += other->rows;
}

bool
fmt_rowhash_is_equal(const struct fmt_rowhash *a, const struct fmt_rowhash *b)
{
	return a->low == b->low && a->high == b->high && a->rows == b->rows;
}

void
fmt_rowhash_text(const struct fmt_rowhash *hash, char out[FMT_ROWHASH_TEXT])
{
	unsigned char bytes[16];

	for (unsigned i = 0; i < 8; i++) {
		bytes[i] = (unsigned char)(hash->high >> (56 - 8 * i));
		bytes[8 + i] = (unsigned char)(hash->low >> (56 - 8 * i));
	}
	fmt_hex(bytes, sizeof(bytes), out);
}

enum fmt_status
fmt_rowhash_parse(const char *text, struct fmt_rowhash *out)
{
	struct fmt_rowhash parsed = FMT_ROWHASH_INIT;
	unsigned char bytes[16];
	enum fmt_status status;

	if ((status = fmt_unhex(text, bytes, sizeof(bytes))) != FMT_OK)
		return status;
	for (unsigned i = 0; i < 8; i++) {
		parsed.high = parsed.high << 8 | bytes[i];
		parsed.low = parsed.low << 8 | bytes[8 + i];
	}
	*out = parsed;
	return FMT_OK;
}
