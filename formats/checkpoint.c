/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/checkpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/record.h"
#include "formats/sign.h"

#define VERSION 1
#define CONTEXT "libbackup checkpoint v1"

void
fmt_checkpoint_free(struct fmt_checkpoint *checkpoint)
{
	free(checkpoint->kept);
	free(checkpoint->removed);
	free(checkpoint->expired);
	free(checkpoint->replaced);
	free(checkpoint->claims);
	*checkpoint = (struct fmt_checkpoint)FMT_CHECKPOINT_INIT;
}

/* ---- what both ways must hold ---- */

/* Both are sorted. */
static bool
have_common(const struct fmt_checkpoint *checkpoint)
{
	size_t k = 0, r = 0;

	while (k < checkpoint->kept_count && r < checkpoint->removed_count) {
		int order = strcmp(checkpoint->kept[k], checkpoint->removed[r]);

		if (order == 0)
			return true;
		if (order < 0)
			k++;
		else
			r++;
	}
	return false;
}

static bool
is_valid(const struct fmt_checkpoint *c)
{
	return fmt_is_hex(c->repository, 32) && c->sequence > 0 &&
	       fmt_json_are_names(c->kept, c->kept_count, 64, true) &&
	       fmt_json_are_names(c->removed, c->removed_count, 64, true) &&
	       fmt_json_are_names(c->expired, c->expired_count, 32, true) &&
	       fmt_json_are_names(c->replaced, c->replaced_count, 64, false) &&
	       fmt_claims_are_valid(c->claims, c->claim_count) &&
	       !have_common(c);
}

/* ---- writing ---- */

/* The whole of line 1, or NULL: no memory. */
static json_t *
body_of(const struct fmt_checkpoint *c)
{
	json_t *root = json_object();
	bool failed = root == NULL;

	fmt_json_set(root, "type", json_string("checkpoint"), &failed);
	fmt_json_set(root, "version", json_integer(VERSION), &failed);
	fmt_json_set(root, "repository", json_string(c->repository), &failed);
	fmt_json_set(
	    root, "sequence", json_integer((json_int_t)c->sequence), &failed);
	fmt_json_set(root, "time_us", json_integer(c->time_us), &failed);
	fmt_json_set(
	    root, "kept", fmt_json_names(c->kept, c->kept_count, 64), &failed);
	fmt_json_set(root, "removed",
	    fmt_json_names(c->removed, c->removed_count, 64), &failed);
	fmt_json_set(root, "expired",
	    fmt_json_names(c->expired, c->expired_count, 32), &failed);
	fmt_json_set(root, "replaced",
	    fmt_json_names(c->replaced, c->replaced_count, 64), &failed);
	if (c->claim_count > 0)
		fmt_json_set(root, "proofs",
		    fmt_claims_value(c->claims, c->claim_count), &failed);
	if (failed) {
		json_decref(root);
		return NULL;
	}
	return root;
}

enum fmt_status
fmt_checkpoint_encode(const struct fmt_checkpoint *checkpoint,
    const unsigned char seed[32], struct fmt_buf *out)
{
	enum fmt_status status;
	json_t *root;

	if (!is_valid(checkpoint))
		return FMT_MALFORMED;
	if (checkpoint->sequence > INT64_MAX)
		return FMT_LIMIT;
	if ((root = body_of(checkpoint)) == NULL)
		return FMT_NOMEM;
	status = fmt_record_encode(root, CONTEXT, seed, out);
	json_decref(root);
	return status;
}

/* ---- reading ---- */

static enum fmt_status
get_head(const json_t *root, struct fmt_checkpoint *out)
{
	enum fmt_status status =
	    fmt_json_get_hex(root, "repository", 32, out->repository);

	if (status == FMT_OK)
		status = fmt_json_get_int(root, "time_us", &out->time_us);
	if (status == FMT_OK)
		status = fmt_json_get_uint(root, "sequence", &out->sequence);
	return status;
}

static enum fmt_status
fill(const json_t *root, void *arg)
{
	struct fmt_checkpoint *out = arg;
	enum fmt_status status = get_head(root, out);

	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "kept", 64, &out->kept, &out->kept_count);
	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "removed", 64, &out->removed, &out->removed_count);
	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "expired", 32, &out->expired, &out->expired_count);
	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "replaced", 64, &out->replaced, &out->replaced_count);
	if (status == FMT_OK)
		status = fmt_claims_get(
		    root, "proofs", &out->claims, &out->claim_count);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

static const struct fmt_record_kind kind = {
    CONTEXT, "checkpoint", VERSION, fill};

enum fmt_status
fmt_checkpoint_decode(const void *data, size_t len, struct fmt_checkpoint *out)
{
	struct fmt_checkpoint read = FMT_CHECKPOINT_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &kind, &read, read.signer);

	if (status == FMT_OK)
		*out = read;
	else
		fmt_checkpoint_free(&read);
	return status;
}
