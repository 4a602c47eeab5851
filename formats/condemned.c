/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/condemned.h"

#include <stdbool.h>
#include <stdlib.h>

#include "formats/json.h"
#include "formats/record.h"
#include "formats/sign.h"

#define VERSION 1
#define CONTEXT "libbackup condemned v1"

void
fmt_condemned_free(struct fmt_condemned *condemned)
{
	free(condemned->packs);
	*condemned = (struct fmt_condemned)FMT_CONDEMNED_INIT;
}

static bool
is_valid(const struct fmt_condemned *condemned)
{
	return fmt_is_hex(condemned->repository, 32) &&
	       condemned->pack_count > 0 &&
	       fmt_json_are_names(
		   condemned->packs, condemned->pack_count, 64, true);
}

enum fmt_status
fmt_condemned_encode(const struct fmt_condemned *condemned,
    const unsigned char seed[32], struct fmt_buf *out)
{
	enum fmt_status status = FMT_NOMEM;
	json_t *root;
	bool failed;

	if (!is_valid(condemned))
		return FMT_MALFORMED;
	root = json_object();
	failed = root == NULL;
	fmt_json_set(root, "type", json_string("condemned"), &failed);
	fmt_json_set(root, "version", json_integer(VERSION), &failed);
	fmt_json_set(
	    root, "repository", json_string(condemned->repository), &failed);
	fmt_json_set(
	    root, "time_us", json_integer(condemned->time_us), &failed);
	fmt_json_set(root, "packs",
	    fmt_json_names(condemned->packs, condemned->pack_count, 64),
	    &failed);
	if (!failed)
		status = fmt_record_encode(root, CONTEXT, seed, out);
	json_decref(root);
	return status;
}

static enum fmt_status
fill(const json_t *root, void *arg)
{
	struct fmt_condemned *out = arg;
	enum fmt_status status =
	    fmt_json_get_hex(root, "repository", 32, out->repository);

	if (status == FMT_OK)
		status = fmt_json_get_int(root, "time_us", &out->time_us);
	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "packs", 64, &out->packs, &out->pack_count);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

static const struct fmt_record_kind kind = {
    CONTEXT, "condemned", VERSION, fill};

enum fmt_status
fmt_condemned_decode(const void *data, size_t len, struct fmt_condemned *out)
{
	struct fmt_condemned read = FMT_CONDEMNED_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &kind, &read, read.signer);

	if (status == FMT_OK)
		*out = read;
	else
		fmt_condemned_free(&read);
	return status;
}
