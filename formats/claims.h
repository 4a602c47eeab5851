/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_CLAIMS_H
#define FORMATS_CLAIMS_H

/*
 * What is remembered of proofs beside the proofs themselves, so that one which
 * is taken away is missed: for each snapshot when it was last proven, and when
 * that last failed. As JSON [["<64 hex digits>",<proven>,<failed>],...].
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/status.h"

struct fmt_claim {
	char snapshot[65];
	int64_t proven_us, failed_us; /* microseconds UTC; 0: never */
};

/* Sorted by snapshot, none twice, each with a time. */
bool fmt_claims_are_valid(const struct fmt_claim *claims, size_t count);

/* The array; NULL where memory is short. */
json_t *fmt_claims_value(const struct fmt_claim *claims, size_t count);

/* Reads the array at `key`; none is there in what older versions wrote. *out
 * is the caller's (free()), left alone where there are none. */
enum fmt_status fmt_claims_get(const json_t *object, const char *key,
    struct fmt_claim **out, size_t *count);

#endif
