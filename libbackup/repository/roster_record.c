/* SPDX-License-Identifier: Apache-2.0 */
/* A roster as the signed record that it is stored as; roster.md. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/record.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/roster.h"

#define TYPE "libbackup roster"
#define CONTEXT "libbackup roster v1"
#define VERSION 1

/* ---- writing; NULL where memory is out or a text is no UTF-8 ---- */

static json_t *
names_value(const struct bkp_names *names)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < names->count; i++) {
		if (json_array_append_new(
			array, json_string(names->items[i])) != 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *
key_value(const struct bkp_roster_key *key)
{
	return json_pack("{s:s,s:s,s:I,s:o}", "label", key->label, "recipient",
	    key->recipient, "added_us", (json_int_t)key->added_us, "passphrase",
	    names_value(&key->passphrase));
}

static json_t *
writer_value(const struct bkp_roster_writer *writer)
{
	char public_key[65];

	fmt_hex(writer->public_key, sizeof(writer->public_key), public_key);
	return json_pack("{s:s,s:s,s:s,s:b,s:I,s:I,s:o,s:o,s:o,s:o}",
	    "public_key", public_key, "name", writer->name, "recipient",
	    writer->recipient, "may_prune", (int)writer->may_prune, "added_us",
	    (json_int_t)writer->added_us, "revoked_us",
	    (json_int_t)writer->revoked_us, "snapshots",
	    names_value(&writer->snapshots), "indexes",
	    names_value(&writer->indexes), "checkpoints",
	    names_value(&writer->checkpoints), "erasures",
	    names_value(&writer->erasures));
}

static json_t *
keys_value(const struct bkp_roster *roster)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < roster->key_count; i++) {
		if (json_array_append_new(array, key_value(&roster->keys[i])) !=
		    0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *
writers_value(const struct bkp_roster *roster)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < roster->writer_count; i++) {
		if (json_array_append_new(
			array, writer_value(&roster->writers[i])) != 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

int
bkp_roster_encode(const struct bkp_roster *roster,
    const struct bkp_key_ring *ring, struct fmt_buf *out, struct bkp_error *err)
{
	enum fmt_status status;
	json_t *body;

	body = json_pack("{s:s,s:i,s:s,s:I,s:I,s:I,s:s,s:s,s:o,s:o,s:o,s:o}",
	    "type", TYPE, "version", VERSION, "repository", ring->repository,
	    "number", (json_int_t)roster->number, "time_us",
	    (json_int_t)roster->time_us, "generation",
	    (json_int_t)roster->generation, "data_recipient",
	    roster->data_recipient, "metadata_recipient",
	    roster->metadata_recipient, "admin_objects",
	    names_value(&roster->admin_objects), "host_objects",
	    names_value(&roster->host_objects), "keys", keys_value(roster),
	    "writers", writers_value(roster));
	if (body == NULL)
		return bkp_fail_nomem(err, "writing the roster");
	status = fmt_record_encode(body, CONTEXT, ring->admin_seed, out);
	json_decref(body);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing the roster");
	return 0;
}

/* ---- reading ---- */

static int
malformed(const char *member, struct bkp_error *err)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "this is no roster (its member '%s' is missing or damaged)",
	    member);
}

static int
get_text(const json_t *object, const char *member, char *out, size_t size,
    struct bkp_error *err)
{
	const char *text = json_string_value(json_object_get(object, member));

	if (text == NULL || strlen(text) >= size)
		return malformed(member, err);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

static int
get_recipient(const json_t *object, const char *member,
    char out[FMT_AGE_RECIPIENT_TEXT], struct bkp_error *err)
{
	struct fmt_age_recipient recipient;

	if (get_text(object, member, out, FMT_AGE_RECIPIENT_TEXT, err) < 0)
		return -1;
	if (fmt_age_recipient_parse(out, strlen(out), &recipient) != FMT_OK)
		return malformed(member, err);
	return 0;
}

static int
get_time(const json_t *object, const char *member, int64_t *out,
    struct bkp_error *err)
{
	uint64_t value;

	if (fmt_json_get_uint(object, member, &value) != FMT_OK)
		return malformed(member, err);
	*out = (int64_t)value;
	return 0;
}

static int
get_names(const json_t *object, const char *member, struct bkp_names *out,
    struct bkp_error *err)
{
	const json_t *array = json_object_get(object, member);

	if (!json_is_array(array))
		return malformed(member, err);
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));

		if (name == NULL || strlen(name) != BKP_OBJECT_NAME - 1 ||
		    strspn(name, "0123456789abcdef") != BKP_OBJECT_NAME - 1)
			return malformed(member, err);
		if (bkp_names_add(out, name, err) < 0)
			return -1;
	}
	return 0;
}

/* Rosters were written before there was anything to list here. */
static int
get_names_if_any(const json_t *object, const char *member,
    struct bkp_names *out, struct bkp_error *err)
{
	if (json_object_get(object, member) == NULL)
		return 0;
	return get_names(object, member, out, err);
}

static int
get_key(const json_t *object, struct bkp_roster_key *out, struct bkp_error *err)
{
	if (get_text(object, "label", out->label, sizeof(out->label), err) <
		0 ||
	    get_recipient(object, "recipient", out->recipient, err) < 0 ||
	    get_time(object, "added_us", &out->added_us, err) < 0)
		return -1;
	return get_names(object, "passphrase", &out->passphrase, err);
}

static int
get_writer(
    const json_t *object, struct bkp_roster_writer *out, struct bkp_error *err)
{
	const json_t *may_prune = json_object_get(object, "may_prune");
	char public_key[65] = "";

	if (get_text(object, "public_key", public_key, sizeof(public_key),
		err) < 0 ||
	    get_text(object, "name", out->name, sizeof(out->name), err) < 0 ||
	    get_recipient(object, "recipient", out->recipient, err) < 0 ||
	    get_time(object, "added_us", &out->added_us, err) < 0 ||
	    get_time(object, "revoked_us", &out->revoked_us, err) < 0)
		return -1;
	if (fmt_unhex(public_key, out->public_key, sizeof(out->public_key)) !=
	    FMT_OK)
		return malformed("public_key", err);
	if (!json_is_boolean(may_prune))
		return malformed("may_prune", err);
	out->may_prune = json_is_true(may_prune);
	if (get_names(object, "snapshots", &out->snapshots, err) < 0 ||
	    get_names(object, "indexes", &out->indexes, err) < 0)
		return -1;
	if (get_names_if_any(object, "checkpoints", &out->checkpoints, err) < 0)
		return -1;
	return get_names_if_any(object, "erasures", &out->erasures, err);
}

static int
get_keys(const json_t *body, struct bkp_roster *out, struct bkp_error *err)
{
	const json_t *array = json_object_get(body, "keys");

	if (!json_is_array(array))
		return malformed("keys", err);
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct bkp_roster_key *key = bkp_roster_add_key(out, err);

		if (key == NULL ||
		    get_key(json_array_get(array, i), key, err) < 0)
			return -1;
	}
	return 0;
}

static int
get_writers(const json_t *body, struct bkp_roster *out, struct bkp_error *err)
{
	const json_t *array = json_object_get(body, "writers");

	if (!json_is_array(array))
		return malformed("writers", err);
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct bkp_roster_writer *writer =
		    bkp_roster_add_writer(out, err);

		if (writer == NULL ||
		    get_writer(json_array_get(array, i), writer, err) < 0)
			return -1;
	}
	return 0;
}

static int
get_body(const json_t *body, const struct bkp_key_ring *ring,
    struct bkp_roster *out, struct bkp_error *err)
{
	char repository[BKP_REPOSITORY_ID];

	if (get_text(body, "repository", repository, sizeof(repository), err) <
	    0)
		return -1;
	if (strcmp(repository, ring->repository) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "it belongs to repository %s, this is %s", repository,
		    ring->repository);
	if (fmt_json_get_uint(body, "number", &out->number) != FMT_OK ||
	    out->number == 0)
		return malformed("number", err);
	if (fmt_json_get_uint(body, "generation", &out->generation) != FMT_OK)
		return malformed("generation", err);
	if (get_time(body, "time_us", &out->time_us, err) < 0 ||
	    get_recipient(body, "data_recipient", out->data_recipient, err) <
		0 ||
	    get_recipient(
		body, "metadata_recipient", out->metadata_recipient, err) < 0 ||
	    get_names(body, "admin_objects", &out->admin_objects, err) < 0 ||
	    get_names(body, "host_objects", &out->host_objects, err) < 0 ||
	    get_keys(body, out, err) < 0)
		return -1;
	return get_writers(body, out, err);
}

/* The version is looked at before anything that it might have changed. */
static int
check_record(const struct fmt_record *record, const struct bkp_key_ring *ring,
    struct bkp_error *err)
{
	enum fmt_status status;

	if (memcmp(record->signer, ring->admin_public, 32) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "it is signed by another key than the administrators'");
	status = fmt_record_check(record->body, TYPE, VERSION);
	if (status == FMT_UNSUPPORTED)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "a newer libbackup changed the keys of this repository; "
		    "use that one");
	if (status != FMT_OK)
		return malformed("type", err);
	return 0;
}

int
bkp_roster_decode(const void *data, size_t len, const struct bkp_key_ring *ring,
    struct bkp_roster *out, struct bkp_error *err)
{
	struct bkp_roster roster = BKP_ROSTER_INIT;
	struct fmt_record record = FMT_RECORD_INIT;
	enum fmt_status status;
	int rc;

	status = fmt_record_decode(data, len, CONTEXT, &record);
	if (status == FMT_AUTH)
		return bkp_fail(err, BKP_AUTH, "its signature does not fit");
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "reading a roster");
	rc = check_record(&record, ring, err);
	if (rc == 0)
		rc = get_body(record.body, ring, &roster, err);
	fmt_record_free(&record);
	if (rc < 0)
		bkp_roster_free(&roster);
	else
		*out = roster;
	return rc;
}
