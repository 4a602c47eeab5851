/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/condemned.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/record.h"

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
	return fmt_json_are_names(condemned->repository, 1, 32, false) &&
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

	if (!is_valid(condemned))
		return FMT_MALFORMED;
	if ((root = json_object()) == NULL)
		return FMT_NOMEM;
	if (json_object_set_new(root, "type", json_string("condemned")) == 0 &&
	    json_object_set_new(root, "version", json_integer(VERSION)) == 0 &&
	    json_object_set_new(
		root, "repository", json_string(condemned->repository)) == 0 &&
	    json_object_set_new(
		root, "time_us", json_integer(condemned->time_us)) == 0 &&
	    json_object_set_new(root, "packs",
		fmt_json_names(condemned->packs, condemned->pack_count, 64)) ==
		0)
		status = fmt_record_encode(root, CONTEXT, seed, out);
	json_decref(root);
	return status;
}

static enum fmt_status
get_all(const json_t *root, struct fmt_condemned *out)
{
	const char *repository =
	    json_string_value(json_object_get(root, "repository"));
	const json_t *time = json_object_get(root, "time_us");
	enum fmt_status status = fmt_record_check(root, "condemned", VERSION);

	if (status != FMT_OK)
		return status;
	if (repository == NULL || strlen(repository) != 32 ||
	    !json_is_integer(time))
		return FMT_MALFORMED;
	memcpy(out->repository, repository, sizeof(out->repository));
	out->time_us = json_integer_value(time);
	status = fmt_json_get_names(
	    root, "packs", 64, &out->packs, &out->pack_count);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

enum fmt_status
fmt_condemned_decode(const void *data, size_t len, struct fmt_condemned *out)
{
	struct fmt_condemned read = FMT_CONDEMNED_INIT;
	struct fmt_record record = FMT_RECORD_INIT;
	enum fmt_status status;

	status = fmt_record_decode(data, len, CONTEXT, &record);
	if (status != FMT_OK)
		return status;
	memcpy(read.signer, record.signer, sizeof(read.signer));
	status = get_all(record.body, &read);
	fmt_record_free(&record);
	if (status != FMT_OK) {
		fmt_condemned_free(&read);
		return status;
	}
	*out = read;
	return FMT_OK;
}
