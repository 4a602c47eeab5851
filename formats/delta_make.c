/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "formats/delta.h"
#include "formats/delta_impl.h"
#include "formats/sign.h"

/* How far ahead of where it stands a base is looked at for a line before that
 * is looked up, so that of equal lines the next one is taken. */
#define AHEAD 16

/* The fewest lines that are copied. A hash of 64 bits that two lines share by
 * chance then needs a neighbour that fits as well; delta.md says what that is
 * worth. */
#define RUN_MIN 2

/* ---- lines ---- */

void
fmt_delta_lines_free(struct fmt_delta_lines *lines)
{
	free(lines->hashes);
	free(lines->starts);
	*lines = (struct fmt_delta_lines)FMT_DELTA_LINES_INIT;
}

static enum fmt_status
make_room(struct fmt_delta_lines *lines)
{
	size_t cap = lines->cap > 0 ? lines->cap + lines->cap / 2 : 1024;
	uint64_t *hashes;
	uint32_t *starts;

	if (lines->count < lines->cap)
		return FMT_OK;
	if ((hashes = realloc(lines->hashes, cap * sizeof(*hashes))) == NULL)
		return FMT_NOMEM;
	lines->hashes = hashes;
	starts = realloc(lines->starts, (cap + 1) * sizeof(*starts));
	if (starts == NULL)
		return FMT_NOMEM;
	lines->starts = starts;
	lines->cap = cap;
	return FMT_OK;
}

/* Of what is hashed: a newline is not. */
static size_t
length_of(const struct fmt_delta_lines *lines, size_t n)
{
	return lines->starts[n + 1] - lines->starts[n] -
	       (lines->form == FMT_COPY_TEXT ? 1 : 0);
}

static void
hash_lines(const unsigned char key[FMT_SIPHASH_KEY], const unsigned char *data,
    struct fmt_delta_lines *lines)
{
	size_t n;

	for (n = 0; n + 1 < lines->count; n += 2)
		fmt_siphash_two(key, data + lines->starts[n],
		    length_of(lines, n), data + lines->starts[n + 1],
		    length_of(lines, n + 1), &lines->hashes[n]);
	if (n < lines->count)
		lines->hashes[n] = fmt_siphash(
		    key, data + lines->starts[n], length_of(lines, n));
}

enum fmt_status
fmt_delta_split(const unsigned char key[FMT_SIPHASH_KEY],
    enum fmt_copy_form form, const void *data, size_t len,
    struct fmt_delta_lines *out)
{
	const unsigned char *start = data, *at = start, *end;
	enum fmt_status status = FMT_OK;
	size_t size = 0;

	out->count = 0;
	out->form = form;
	if (len > FMT_DELTA_MAX)
		return FMT_LIMIT;
	if ((status = make_room(out)) != FMT_OK)
		return status;
	out->starts[0] = 0;
	if (len == 0)
		return FMT_OK;
	end = start + len;
	while (at < end && (status = make_room(out)) == FMT_OK) {
		if (out->count == FMT_DELTA_LINES_MAX)
			return FMT_LIMIT;
		status = fmt_copy_row(form, at, (size_t)(end - at), &size);
		if (status != FMT_OK)
			return status;
		at += size;
		out->starts[++out->count] = (uint32_t)(at - start);
	}
	if (status == FMT_OK)
		hash_lines(key, start, out);
	return status;
}

/* ---- finding what the base has ---- */

/* Where in the base each hash is first: open addressing, at most half full;
 * positions from 1, 0 is free. */
struct places {
	const struct fmt_delta_base *base;
	uint32_t *slots; /* owned */
	size_t mask;
};

static size_t
probe(const struct places *places, uint64_t hash)
{
	size_t at = (size_t)hash & places->mask;

	while (places->slots[at] != 0 &&
	       places->base->hashes[places->slots[at] - 1] != hash)
		at = (at + 1) & places->mask;
	return at;
}

static enum fmt_status
set_up_places(struct places *places, const struct fmt_delta_base *base)
{
	size_t size = 16;

	if (base->count > FMT_DELTA_LINES_MAX)
		return FMT_LIMIT;
	while (size < 2 * base->count)
		size *= 2;
	places->base = base;
	places->mask = size - 1;
	places->slots = calloc(size, sizeof(*places->slots));
	if (places->slots == NULL)
		return FMT_NOMEM;
	for (size_t i = base->count; i > 0; i--)
		places->slots[probe(places, base->hashes[i - 1])] = (uint32_t)i;
	return FMT_OK;
}

/* How many lines from `n` on are those of the base from `at` on. */
static size_t
run_length(const struct fmt_delta_base *base, size_t at,
    const struct fmt_delta_lines *lines, size_t n)
{
	size_t run = 0;

	while (at + run < base->count && n + run < lines->count &&
	       base->hashes[at + run] == lines->hashes[n + run])
		run++;
	return run;
}

/* The run of the base that stands at line `n`, looked for from `from` on, then
 * anywhere; its length, or 0. */
static size_t
find_run(const struct places *places, const struct fmt_delta_lines *lines,
    size_t n, size_t from, size_t *at)
{
	size_t run;
	uint32_t slot;

	for (*at = from; *at < from + AHEAD; (*at)++)
		if ((run = run_length(places->base, *at, lines, n)) >= RUN_MIN)
			return run;
	slot = places->slots[probe(places, lines->hashes[n])];
	if (slot == 0)
		return 0;
	*at = slot - 1;
	run = run_length(places->base, *at, lines, n);
	return run >= RUN_MIN ? run : 0;
}

/* ---- writing ---- */

struct maker {
	const unsigned char *data;
	const struct fmt_delta_lines *lines;
	struct fmt_buf *out;
	size_t limit; /* of out->len */
};

/* Where row `n` of a base in the binary form begins, or the base ends. */
static size_t
start_of(const struct fmt_delta_base *base, size_t n)
{
	return n < base->count ? base->starts[n] : base->len;
}

static enum fmt_status
put_copy(struct maker *maker, const struct fmt_delta_base *base, size_t first,
    size_t count)
{
	enum fmt_status status;

	if (base->starts != NULL) {
		size_t from = start_of(base, first);

		count = start_of(base, first + count) - from;
		first = from;
	}
	status = fmt_buf_printf(maker->out, "=%zu %zu\n", first + 1, count);
	if (status == FMT_OK && maker->out->len > maker->limit)
		status = FMT_LIMIT;
	return status;
}

/* Lines of the chunk as they are. */
static enum fmt_status
put_lines(struct maker *maker, size_t first, size_t end)
{
	const uint32_t *starts = maker->lines->starts;
	enum fmt_status status;

	if (first == end)
		return FMT_OK;
	status = fmt_buf_printf(maker->out, "+%zu\n",
	    maker->lines->form == FMT_COPY_BINARY
		? (size_t)(starts[end] - starts[first])
		: end - first);
	if (status != FMT_OK)
		return status;
	if (maker->out->len + (starts[end] - starts[first]) > maker->limit)
		return FMT_LIMIT;
	return fmt_buf_append(maker->out, maker->data + starts[first],
	    starts[end] - starts[first]);
}

static enum fmt_status
put_ops(struct maker *maker, const struct places *places)
{
	const struct fmt_delta_lines *lines = maker->lines;
	size_t from = 0, kept = 0, n = 0, at = 0;
	enum fmt_status status = FMT_OK;

	while (n < lines->count) {
		size_t run = find_run(places, lines, n, from, &at);

		if (run == 0) {
			n++;
			/* Too much already: no need to look on. */
			if (lines->starts[n] - lines->starts[kept] >
			    maker->limit)
				return FMT_LIMIT;
			continue;
		}
		if ((status = put_lines(maker, kept, n)) != FMT_OK ||
		    (status = put_copy(maker, places->base, at, run)) != FMT_OK)
			return status;
		from = at + run;
		n += run;
		kept = n;
	}
	return put_lines(maker, kept, n);
}

enum fmt_status
fmt_delta_make(const struct fmt_delta_base *base, const void *data, size_t len,
    const struct fmt_delta_lines *lines, size_t max, struct fmt_buf *out)
{
	struct maker maker = {data, lines, out, 0};
	struct places places = {.slots = NULL};
	size_t before = out->len;
	char hex[2 * FMT_ID_SIZE + 1];
	enum fmt_status status;

	if (base->len == 0 || base->len > FMT_DELTA_MAX || len == 0 ||
	    len > FMT_DELTA_MAX ||
	    (base->starts != NULL) != (lines->form == FMT_COPY_BINARY))
		return FMT_LIMIT;
	maker.limit = before + (max < len ? max : len - 1);
	fmt_hex(base->id, FMT_ID_SIZE, hex);
	status = fmt_buf_printf(out, FMT_DELTA_MAGIC "%s%s %u %zu\n",
	    lines->form == FMT_COPY_BINARY ? FMT_DELTA_BINARY : FMT_DELTA_TEXT,
	    hex, (unsigned)base->len, len);
	if (status == FMT_OK)
		status = set_up_places(&places, base);
	if (status == FMT_OK)
		status = put_ops(&maker, &places);
	if (status == FMT_OK && out->len > maker.limit)
		status = FMT_LIMIT;
	if (status != FMT_OK)
		out->len = before;
	free(places.slots);
	return status;
}

/* ---- proving ---- */

/* What is held against each other. */
struct proof {
	const struct fmt_delta_base *base;
	const unsigned char *data;
	const struct fmt_delta_lines *lines;
	size_t n; /* rows that are proven */
};

/* How many rows from `first` on take `len` bytes; SIZE_MAX: none so many. */
static size_t
count_rows(const uint32_t *starts, size_t count, size_t first, size_t end_of,
    size_t len)
{
	size_t n = first, end = 0;

	while (n < count && end < len) {
		n++;
		end = (n < count ? starts[n] : end_of) - starts[first];
	}
	return end == len ? n - first : SIZE_MAX;
}

/* The row of a base in the binary form that begins there; `count`: none. */
static size_t
find_start(const struct fmt_delta_base *base, size_t start)
{
	size_t low = 0, high = base->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (base->starts[middle] < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < base->count && base->starts[low] == start ? low
							       : base->count;
}

/* Which rows an op in the binary form stands for: its own, or the base's. */
static bool
find_rows(const struct proof *proof, const struct fmt_delta_op *op,
    size_t *first, size_t *count)
{
	const struct fmt_delta_lines *lines = proof->lines;
	const struct fmt_delta_base *base = proof->base;

	*first = op->first;
	*count = op->count;
	if (lines->form == FMT_COPY_TEXT)
		return true;
	if (op->is_copy) {
		*first = find_start(base, op->first);
		*count = *first < base->count
			     ? count_rows(base->starts, base->count, *first,
				   base->len, op->count)
			     : SIZE_MAX;
	} else {
		*count = count_rows(lines->starts, lines->count, proof->n,
		    lines->starts[lines->count], op->len);
	}
	return *count != SIZE_MAX;
}

/* Whether the op stands for the rows that come next. */
static bool
is_right(struct proof *proof, const struct fmt_delta_op *op)
{
	const struct fmt_delta_lines *lines = proof->lines;
	const struct fmt_delta_base *base = proof->base;
	const uint32_t *starts = lines->starts;
	size_t first = 0, count = 0, n = proof->n;

	if (n == lines->count || !find_rows(proof, op, &first, &count) ||
	    count > lines->count - n)
		return false;
	proof->n += count;
	if (!op->is_copy)
		return op->len == starts[n + count] - starts[n] &&
		       memcmp(op->lines, proof->data + starts[n], op->len) == 0;
	if (first >= base->count || count > base->count - first)
		return false;
	return memcmp(base->hashes + first, lines->hashes + n,
		   count * sizeof(*base->hashes)) == 0;
}

enum fmt_status
fmt_delta_prove(const void *delta, size_t delta_len,
    const struct fmt_delta_base *base, const void *data, size_t len,
    const struct fmt_delta_lines *lines)
{
	const unsigned char *at = delta, *end = at + delta_len;
	struct proof proof = {base, data, lines, 0};
	struct fmt_delta_head head;
	struct fmt_delta_op op;
	enum fmt_status status;

	if ((status = fmt_delta_head(delta, delta_len, &head)) != FMT_OK)
		return status;
	if (memcmp(head.base, base->id, FMT_ID_SIZE) != 0 ||
	    head.base_len != base->len || head.len != len ||
	    head.form != lines->form ||
	    (base->starts != NULL) != (head.form == FMT_COPY_BINARY) ||
	    lines->starts[lines->count] != len)
		return FMT_MALFORMED;
	for (at += head.head_len; at < end;) {
		status = fmt_delta_op(&at, end, head.form, &op);
		if (status != FMT_OK)
			return status;
		if (!is_right(&proof, &op))
			return FMT_MALFORMED;
	}
	return proof.n == lines->count ? FMT_OK : FMT_TRUNCATED;
}
