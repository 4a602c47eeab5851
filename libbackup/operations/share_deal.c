/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who does which task: the largest goes first, each to whoever has got least so
 * far (Graham's LPT rule, "Bounds on multiprocessing timing anomalies", 1969:
 * at most a third above what is possible). formats/share.md states it.
 */
#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/shares.h"

/* A share, in a heap: the one that has got least is at its root. */
struct hand {
	uint64_t bytes;
	uint32_t share;
};

static bool
is_before(const struct hand *a, const struct hand *b)
{
	return a->bytes != b->bytes ? a->bytes < b->bytes : a->share < b->share;
}

static void
sink_root(struct hand *heap, uint32_t count)
{
	uint32_t at = 0;

	for (;;) {
		uint32_t least = at, left = 2 * at + 1, right = left + 1;
		struct hand moved = heap[at];

		if (left < count && is_before(&heap[left], &heap[least]))
			least = left;
		if (right < count && is_before(&heap[right], &heap[least]))
			least = right;
		if (least == at)
			return;
		heap[at] = heap[least];
		heap[least] = moved;
		at = least;
	}
}

static int
compare_tasks(const void *a, const void *b, void *arg)
{
	const uint64_t *bytes = arg;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	if (bytes[x] != bytes[y])
		return bytes[x] < bytes[y] ? 1 : -1;
	return (x > y) - (x < y);
}

int
bkp_share_deal(const struct fmt_share_plan *plan, uint32_t shares,
    uint32_t *owners, struct bkp_error *err)
{
	size_t count = fmt_share_plan_count(plan);
	size_t *order = bkp_alloc_array(count, sizeof(*order), err);
	uint64_t *bytes = bkp_alloc_array(count, sizeof(*bytes), err);
	struct hand *heap = bkp_alloc_array(shares, sizeof(*heap), err);
	int rc = -1;

	if (order == NULL || bytes == NULL || heap == NULL)
		goto out;
	for (size_t i = 0; i < count; i++) {
		order[i] = i;
		bytes[i] = fmt_share_plan_bytes(plan, i);
	}
	if (count > 0)
		qsort_r(order, count, sizeof(*order), compare_tasks, bytes);
	for (uint32_t i = 0; i < shares; i++)
		heap[i].share = i; /* all have nothing: that is a heap */
	for (size_t i = 0; i < count; i++) {
		uint64_t more = bytes[order[i]];

		owners[order[i]] = heap[0].share;
		heap[0].bytes += more > 0 ? more : 1;
		sink_root(heap, shares);
	}
	rc = 0;
out:
	free(order);
	free(bytes);
	free(heap);
	return rc;
}
