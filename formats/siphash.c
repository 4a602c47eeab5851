/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/siphash.h"

#include "formats/bytes.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void
mix(struct state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void
take(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix(s);
	mix(s);
	s->v0 ^= word;
}

/* The bytes after the last whole word, and the length. */
static inline uint64_t
last_word(const unsigned char *bytes, size_t left, size_t len)
{
	uint64_t word = (uint64_t)len << 56;

	for (size_t i = 0; i < left; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

static inline struct state
begin(const unsigned char key[FMT_SIPHASH_KEY])
{
	uint64_t k0 = fmt_load_le64(key), k1 = fmt_load_le64(key + 8);

	return (struct state){k0 ^ UINT64_C(0x736f6d6570736575),
	    k1 ^ UINT64_C(0x646f72616e646f6d),
	    k0 ^ UINT64_C(0x6c7967656e657261),
	    k1 ^ UINT64_C(0x7465646279746573)};
}

static inline uint64_t
finish(struct state *s)
{
	s->v2 ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		mix(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* Takes what comes after the first `done` words. */
static inline void
take_rest(struct state *s, const unsigned char *bytes, size_t done, size_t len)
{
	size_t words = len / 8;

	for (size_t i = done; i < words; i++)
		take(s, fmt_load_le64(bytes + 8 * i));
	take(s, last_word(bytes + 8 * words, len % 8, len));
}

uint64_t
fmt_siphash(
    const unsigned char key[FMT_SIPHASH_KEY], const void *data, size_t len)
{
	struct state s = begin(key);

	take_rest(&s, data, 0, len);
	return finish(&s);
}

void
fmt_siphash_two(const unsigned char key[FMT_SIPHASH_KEY], const void *a,
    size_t a_len, const void *b, size_t b_len, uint64_t out[2])
{
	struct state s = begin(key), t = s;
	const unsigned char *first = a, *second = b;
	size_t both = (a_len < b_len ? a_len : b_len) / 8;

	for (size_t i = 0; i < both; i++) {
		take(&s, fmt_load_le64(first + 8 * i));
		take(&t, fmt_load_le64(second + 8 * i));
	}
	take_rest(&s, first, both, a_len);
	take_rest(&t, second, both, b_len);
	out[0] = finish(&s);
	out[1] = finish(&t);
}
