/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/proof.h"

#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/path.h"
#include "formats/record.h"
#include "formats/sign.h"

#define VERSION 1
#define CONTEXT "libbackup proof v1"

static const char *const levels[FMT_PROOF_LEVELS] = {
    [FMT_PROOF_READ] = "read",
    [FMT_PROOF_PARTLY] = "partly restored",
    [FMT_PROOF_RESTORED] = "restored",
};

/* Counts: where they are and what they are called. */
static const struct {
	const char *name;
	size_t offset;
} counts[] = {
    {"passed", offsetof(struct fmt_proof, passed)},
    {"failed", offsetof(struct fmt_proof, failed)},
    {"skipped", offsetof(struct fmt_proof, skipped)},
    {"rows", offsetof(struct fmt_proof, rows)},
    {"objects", offsetof(struct fmt_proof, objects)},
    {"files", offsetof(struct fmt_proof, files)},
    {"duration_ms", offsetof(struct fmt_proof, duration_ms)},
};

#define COUNTS (sizeof(counts) / sizeof(counts[0]))

/* Written where they are known, which 0 is not. */
static const struct {
	const char *name;
	size_t offset;
} more[] = {
    {"recovery_ms", offsetof(struct fmt_proof, recovery_ms)},
    {"bytes", offsetof(struct fmt_proof, bytes)},
};

#define MORE (sizeof(more) / sizeof(more[0]))

static uint64_t
number_at(const struct fmt_proof *p, size_t offset)
{
	return *(const uint64_t *)((const char *)p + offset);
}

const char *
fmt_proof_level_name(enum fmt_proof_level level)
{
	return levels[level];
}

void
fmt_proof_free(struct fmt_proof *proof)
{
	free(proof->host);
	free(proof->path);
	free(proof->program);
	if (proof->sample != NULL)
		free(proof->sample->host);
	free(proof->sample);
	*proof = (struct fmt_proof)FMT_PROOF_INIT;
}

/* A verdict that contradicts its own counts is none; nor is a sample that
 * proved all of a snapshot. */
static bool
is_valid(const struct fmt_proof *p)
{
	return fmt_is_hex(p->repository, 32) && fmt_is_hex(p->snapshot, 64) &&
	       p->host != NULL && p->path != NULL &&
	       (unsigned)p->level < FMT_PROOF_LEVELS &&
	       (p->sample == NULL || p->path[0] != '\0' || !p->is_proven) &&
	       (!p->is_proven || (p->passed > 0 && p->failed == 0));
}

/* ---- writing ---- */

/* Slices that were read at the same time follow one another. */
static json_t *
runs_of(const int64_t *read_us)
{
	json_t *runs = json_array();
	size_t from = 0;

	for (size_t i = 1; i <= FMT_PROOF_SLICES; i++) {
		if (i < FMT_PROOF_SLICES && read_us[i] == read_us[from])
			continue;
		if (json_array_append_new(
			runs, json_pack("[I, I]", (json_int_t)(i - from),
				  (json_int_t)read_us[from])) < 0) {
			json_decref(runs);
			return NULL;
		}
		from = i;
	}
	return runs;
}

/* NULL also where there is none. */
static json_t *
bad_of(const bool *is_bad, bool *failed)
{
	json_t *list = NULL;

	for (size_t i = 0; i < FMT_PROOF_SLICES; i++) {
		if (!is_bad[i])
			continue;
		if (list == NULL)
			list = json_array();
		if (json_array_append_new(list, json_integer((json_int_t)i)) <
		    0)
			*failed = true;
	}
	return list;
}

static json_t *
sample_of(const struct fmt_proof_sample *sample)
{
	json_t *root = json_object();
	bool failed = root == NULL;
	json_t *bad = bad_of(sample->is_bad, &failed);

	fmt_json_set(root, "host", json_string(sample->host), &failed);
	if (bad != NULL)
		fmt_json_set(root, "bad", bad, &failed);
	fmt_json_set(root, "read", runs_of(sample->read_us), &failed);
	if (sample->since_us > 0)
		fmt_json_set(
		    root, "since_us", json_integer(sample->since_us), &failed);
	if (!failed)
		return root;
	json_decref(root);
	return NULL;
}

/* The whole of line 1, or NULL: no memory. */
static json_t *
body_of(const struct fmt_proof *p)
{
	json_t *root = json_object();
	bool failed = root == NULL;

	fmt_json_set(root, "type", json_string("proof"), &failed);
	fmt_json_set(root, "version", json_integer(VERSION), &failed);
	fmt_json_set(root, "repository", json_string(p->repository), &failed);
	fmt_json_set(root, "snapshot", json_string(p->snapshot), &failed);
	fmt_json_set(root, "time_us", json_integer(p->time_us), &failed);
	fmt_json_set(root, "host", json_string(p->host), &failed);
	fmt_json_set(root, "path", fmt_path_to_json(p->path), &failed);
	fmt_json_set(root, "is_proven", json_boolean(p->is_proven), &failed);
	fmt_json_set(root, "level", json_string(levels[p->level]), &failed);
	for (size_t i = 0; i < COUNTS; i++)
		fmt_json_set(root, counts[i].name,
		    json_integer((json_int_t)number_at(p, counts[i].offset)),
		    &failed);
	for (size_t i = 0; i < MORE; i++)
		if (number_at(p, more[i].offset) > 0)
			fmt_json_set(root, more[i].name,
			    json_integer(
				(json_int_t)number_at(p, more[i].offset)),
			    &failed);
	if (p->program != NULL)
		fmt_json_set(root, "program", json_string(p->program), &failed);
	if (p->sample != NULL)
		fmt_json_set(root, "sample", sample_of(p->sample), &failed);
	if (failed) {
		json_decref(root);
		return NULL;
	}
	return root;
}

enum fmt_status
fmt_proof_encode(const struct fmt_proof *proof, const unsigned char seed[32],
    struct fmt_buf *out)
{
	enum fmt_status status;
	json_t *root;

	if (!is_valid(proof) || !fmt_utf8_is_valid(proof->host) ||
	    (proof->program != NULL && !fmt_utf8_is_valid(proof->program)) ||
	    (proof->sample != NULL && !fmt_utf8_is_valid(proof->sample->host)))
		return FMT_MALFORMED;
	for (size_t i = 0; i < COUNTS; i++)
		if (number_at(proof, counts[i].offset) > INT64_MAX)
			return FMT_LIMIT;
	for (size_t i = 0; i < MORE; i++)
		if (number_at(proof, more[i].offset) > INT64_MAX)
			return FMT_LIMIT;
	if ((root = body_of(proof)) == NULL)
		return FMT_NOMEM;
	status = fmt_record_encode(root, CONTEXT, seed, out);
	json_decref(root);
	return status;
}

/* ---- reading ---- */

static enum fmt_status
get_level(const json_t *root, enum fmt_proof_level *out)
{
	const char *text = json_string_value(json_object_get(root, "level"));

	for (unsigned i = 0; text != NULL && i < FMT_PROOF_LEVELS; i++)
		if (strcmp(text, levels[i]) == 0) {
			*out = (enum fmt_proof_level)i;
			return FMT_OK;
		}
	return FMT_MALFORMED;
}

static enum fmt_status
get_head(const json_t *root, struct fmt_proof *out)
{
	enum fmt_status status =
	    fmt_json_get_hex(root, "repository", 32, out->repository);

	if (status == FMT_OK)
		status = fmt_json_get_hex(root, "snapshot", 64, out->snapshot);
	if (status == FMT_OK)
		status = fmt_json_get_int(root, "time_us", &out->time_us);
	if (status == FMT_OK)
		status = get_level(root, &out->level);
	if (status == FMT_OK)
		status = fmt_path_get(root, "path", &out->path);
	return status;
}

static enum fmt_status
get_runs(const json_t *runs, int64_t *read_us)
{
	size_t at = 0;

	for (size_t i = 0; i < json_array_size(runs); i++) {
		const json_t *run = json_array_get(runs, i);
		json_int_t count, us;

		if (json_array_size(run) != 2 ||
		    !json_is_integer(json_array_get(run, 0)) ||
		    !json_is_integer(json_array_get(run, 1)))
			return FMT_MALFORMED;
		count = json_integer_value(json_array_get(run, 0));
		us = json_integer_value(json_array_get(run, 1));
		if (count <= 0 || us < 0 ||
		    count > (json_int_t)(FMT_PROOF_SLICES - at))
			return FMT_MALFORMED;
		while (count-- > 0)
			read_us[at++] = us;
	}
	return at == FMT_PROOF_SLICES ? FMT_OK : FMT_MALFORMED;
}

static enum fmt_status
get_bad(const json_t *list, bool *is_bad)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		json_int_t slice = json_integer_value(item);

		if (!json_is_integer(item) || slice < 0 ||
		    slice >= (json_int_t)FMT_PROOF_SLICES)
			return FMT_MALFORMED;
		is_bad[slice] = true;
	}
	return list == NULL || json_is_array(list) ? FMT_OK : FMT_MALFORMED;
}

static enum fmt_status
get_sample(const json_t *root, struct fmt_proof *out)
{
	const json_t *sample = json_object_get(root, "sample");
	const char *host = json_string_value(json_object_get(sample, "host"));
	const json_t *since = json_object_get(sample, "since_us");

	if (sample == NULL)
		return FMT_OK;
	if (host == NULL || (since != NULL && json_integer_value(since) <= 0))
		return FMT_MALFORMED;
	if ((out->sample = calloc(1, sizeof(*out->sample))) == NULL ||
	    (out->sample->host = strdup(host)) == NULL)
		return FMT_NOMEM;
	out->sample->since_us = json_integer_value(since);
	if (get_bad(json_object_get(sample, "bad"), out->sample->is_bad) !=
	    FMT_OK)
		return FMT_MALFORMED;
	return get_runs(json_object_get(sample, "read"), out->sample->read_us);
}

/* What need not be there, and is of its type where it is. */
static enum fmt_status
get_more(const json_t *root, struct fmt_proof *out)
{
	const json_t *program = json_object_get(root, "program");
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < MORE; i++)
		if (json_object_get(root, more[i].name) != NULL)
			status = fmt_json_get_uint(root, more[i].name,
			    (uint64_t *)((char *)out + more[i].offset));
	if (status != FMT_OK || program == NULL)
		return status;
	if (!json_is_string(program))
		return FMT_MALFORMED;
	out->program = strdup(json_string_value(program));
	return out->program != NULL ? FMT_OK : FMT_NOMEM;
}

static enum fmt_status
fill(const json_t *root, void *arg)
{
	struct fmt_proof *out = arg;
	const json_t *is_proven = json_object_get(root, "is_proven");
	const char *host = json_string_value(json_object_get(root, "host"));
	enum fmt_status status;

	if (!json_is_boolean(is_proven) || host == NULL)
		return FMT_MALFORMED;
	out->is_proven = json_is_true(is_proven);
	if ((out->host = strdup(host)) == NULL)
		return FMT_NOMEM;
	status = get_head(root, out);
	for (size_t i = 0; status == FMT_OK && i < COUNTS; i++)
		status = fmt_json_get_uint(root, counts[i].name,
		    (uint64_t *)((char *)out + counts[i].offset));
	if (status == FMT_OK)
		status = get_more(root, out);
	if (status == FMT_OK)
		status = get_sample(root, out);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

static const struct fmt_record_kind kind = {CONTEXT, "proof", VERSION, fill};

enum fmt_status
fmt_proof_decode(const void *data, size_t len, struct fmt_proof *out)
{
	struct fmt_proof read = FMT_PROOF_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &kind, &read, read.signer);

	if (status == FMT_OK)
		*out = read;
	else
		fmt_proof_free(&read);
	return status;
}
