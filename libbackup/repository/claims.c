/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/claims.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

void
bkp_claims_free(struct bkp_claims *claims)
{
	free(claims->items);
	*claims = (struct bkp_claims)BKP_CLAIMS_INIT;
}

/* Where the snapshot is, or belongs. */
static size_t
place_of(const struct bkp_claims *claims, const char *snapshot)
{
	size_t low = 0, high = claims->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(claims->items[middle].snapshot, snapshot) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct fmt_claim *
bkp_claims_find(const struct bkp_claims *claims, const char *snapshot)
{
	size_t at = place_of(claims, snapshot);

	return at < claims->count &&
		       strcmp(claims->items[at].snapshot, snapshot) == 0
		   ? &claims->items[at]
		   : NULL;
}

static int64_t
later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int
join_one(struct bkp_claims *claims, const struct fmt_claim *other,
    struct bkp_error *err)
{
	size_t at = place_of(claims, other->snapshot);
	struct fmt_claim *item;

	if (bkp_grow(&claims->items, claims->count, &claims->cap,
		sizeof(*claims->items), err) < 0)
		return -1;
	item = &claims->items[at];
	if (at < claims->count &&
	    strcmp(item->snapshot, other->snapshot) == 0) {
		item->proven_us = later(item->proven_us, other->proven_us);
		item->failed_us = later(item->failed_us, other->failed_us);
		return 0;
	}
	memmove(item + 1, item, (claims->count - at) * sizeof(*item));
	*item = *other;
	claims->count++;
	return 0;
}

int
bkp_claims_join(struct bkp_claims *claims, const struct fmt_claim *others,
    size_t count, struct bkp_error *err)
{
	for (size_t i = 0; i < count; i++)
		if (join_one(claims, &others[i], err) < 0)
			return -1;
	return 0;
}

bool
bkp_claim_of(const struct fmt_proof *proof, struct fmt_claim *out)
{
	struct fmt_claim claim = {.proven_us = 0};

	if (proof->time_us <= 0 || (proof->is_proven && proof->path[0] != '\0'))
		return false;
	memcpy(claim.snapshot, proof->snapshot, sizeof(claim.snapshot));
	*(proof->is_proven ? &claim.proven_us : &claim.failed_us) =
	    proof->time_us;
	*out = claim;
	return true;
}

int
bkp_claims_join_proofs(struct bkp_claims *claims,
    const struct bkp_proofs *proofs, struct bkp_error *err)
{
	for (size_t i = 0; i < proofs->count; i++) {
		struct fmt_claim claim;

		if (!proofs->items[i].is_local &&
		    bkp_claim_of(&proofs->items[i].proof, &claim) &&
		    join_one(claims, &claim, err) < 0)
			return -1;
	}
	return 0;
}

bool
bkp_claim_is_missed(
    const struct fmt_claim *claim, const struct bkp_proofs *proofs)
{
	int64_t proven, failed;

	bkp_proofs_of(proofs, claim->snapshot, &proven, &failed);
	return later(proven, failed) <
	       later(claim->proven_us, claim->failed_us);
}

void
bkp_claims_drop(struct bkp_claims *claims,
    bool (*is_gone)(const void *arg, const char *snapshot), const void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < claims->count; i++)
		if (!is_gone(arg, claims->items[i].snapshot))
			claims->items[kept++] = claims->items[i];
	claims->count = kept;
}
