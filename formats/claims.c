/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/claims.h"

#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"

bool
fmt_claims_are_valid(const struct fmt_claim *claims, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct fmt_claim *c = &claims[i];

		if (!fmt_is_hex(c->snapshot, 64) || c->proven_us < 0 ||
		    c->failed_us < 0 || (c->proven_us | c->failed_us) == 0)
			return false;
		if (i > 0 && strcmp(c[-1].snapshot, c->snapshot) >= 0)
			return false;
	}
	return true;
}

json_t *
fmt_claims_value(const struct fmt_claim *claims, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < count; i++)
		if (json_array_append_new(
			array, json_pack("[s,I,I]", claims[i].snapshot,
				   (json_int_t)claims[i].proven_us,
				   (json_int_t)claims[i].failed_us)) != 0) {
			json_decref(array);
			array = NULL;
		}
	return array;
}

static enum fmt_status
get_one(const json_t *value, struct fmt_claim *out)
{
	const char *name = json_string_value(json_array_get(value, 0));
	const json_t *proven = json_array_get(value, 1);
	const json_t *failed = json_array_get(value, 2);

	if (json_array_size(value) != 3 || name == NULL ||
	    !fmt_is_hex(name, 64) || !json_is_integer(proven) ||
	    !json_is_integer(failed))
		return FMT_MALFORMED;
	memcpy(out->snapshot, name, sizeof(out->snapshot));
	out->proven_us = json_integer_value(proven);
	out->failed_us = json_integer_value(failed);
	return FMT_OK;
}

enum fmt_status
fmt_claims_get(const json_t *object, const char *key, struct fmt_claim **out,
    size_t *count)
{
	const json_t *array = json_object_get(object, key);
	size_t size = json_array_size(array);
	enum fmt_status status = FMT_OK;
	struct fmt_claim *claims;

	if (array == NULL || (json_is_array(array) && size == 0))
		return FMT_OK;
	if (!json_is_array(array))
		return FMT_MALFORMED;
	if ((claims = calloc(size, sizeof(*claims))) == NULL)
		return FMT_NOMEM;
	for (size_t i = 0; status == FMT_OK && i < size; i++)
		status = get_one(json_array_get(array, i), &claims[i]);
	if (status == FMT_OK && !fmt_claims_are_valid(claims, size))
		status = FMT_MALFORMED;
	if (status != FMT_OK) {
		free(claims);
		return status;
	}
	*out = claims;
	*count = size;
	return FMT_OK;
}
