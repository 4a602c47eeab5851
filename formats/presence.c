/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/presence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/record.h"

#define VERSION 1
#define CONTEXT "libbackup session v1"

void
fmt_presence_free(struct fmt_presence *presence)
{
	free(presence->heeds);
	*presence = (struct fmt_presence)FMT_PRESENCE_INIT;
}

static bool
is_valid_process(const struct fmt_process *process)
{
	if (process->pid == 0)
		return process->machine[0] == '\0';
	return process->pid > 0 && process->start <= INT64_MAX &&
	       process->boot[0] != '\0' && process->space[0] != '\0' &&
	       fmt_json_are_names(process->machine, 1, 32, false);
}

static bool
is_valid(const struct fmt_presence *presence)
{
	return fmt_json_are_names(presence->repository, 1, 32, false) &&
	       fmt_json_are_names(presence->session, 1, 32, false) &&
	       presence->what[0] != '\0' && presence->began_us >= 0 &&
	       fmt_json_are_names(
		   presence->heeds, presence->heed_count, 64, true) &&
	       is_valid_process(&presence->process);
}

/* ---- writing ---- */

static void
set(json_t *object, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(object, key, value) != 0)
		*failed = true;
}

static json_t *
process_value(const struct fmt_process *process)
{
	json_t *object = json_object();
	bool failed = object == NULL;

	set(object, "machine", json_string(process->machine), &failed);
	set(object, "boot", json_string(process->boot), &failed);
	set(object, "space", json_string(process->space), &failed);
	set(object, "pid", json_integer((json_int_t)process->pid), &failed);
	set(object, "start", json_integer((json_int_t)process->start), &failed);
	if (failed) {
		json_decref(object);
		return NULL;
	}
	return object;
}

enum fmt_status
fmt_presence_encode(const struct fmt_presence *presence,
    const unsigned char seed[32], struct fmt_buf *out)
{
	json_t *root;
	bool failed;
	enum fmt_status status = FMT_NOMEM;

	if (!is_valid(presence))
		return FMT_MALFORMED;
	root = json_object();
	failed = root == NULL;
	set(root, "type", json_string("session"), &failed);
	set(root, "version", json_integer(VERSION), &failed);
	set(root, "repository", json_string(presence->repository), &failed);
	set(root, "session", json_string(presence->session), &failed);
	set(root, "what", json_string(presence->what), &failed);
	set(root, "host", json_string(presence->host), &failed);
	set(root, "began_us", json_integer(presence->began_us), &failed);
	set(root, "ended", json_boolean(presence->is_ended), &failed);
	set(root, "heeds",
	    fmt_json_names(presence->heeds, presence->heed_count, 64), &failed);
	if (presence->process.pid != 0)
		set(root, "process", process_value(&presence->process),
		    &failed);
	if (!failed)
		status = fmt_record_encode(root, CONTEXT, seed, out);
	json_decref(root);
	return status;
}

/* ---- reading ---- */

/* A text of at most size - 1 bytes. */
static bool
get_text(const json_t *root, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(root, key));

	if (text == NULL || strlen(text) >= size)
		return false;
	(void)snprintf(out, size, "%s", text);
	return true;
}

/* Writers of before it was thought of do not say it. */
static enum fmt_status
get_process(const json_t *root, struct fmt_process *out)
{
	const json_t *object = json_object_get(root, "process");
	uint64_t pid;
	enum fmt_status status;

	if (object == NULL)
		return FMT_OK;
	if (!get_text(object, "machine", out->machine, sizeof(out->machine)) ||
	    !get_text(object, "boot", out->boot, sizeof(out->boot)) ||
	    !get_text(object, "space", out->space, sizeof(out->space)))
		return FMT_MALFORMED;
	status = fmt_json_get_uint(object, "pid", &pid);
	if (status == FMT_OK)
		status = fmt_json_get_uint(object, "start", &out->start);
	if (status != FMT_OK || pid == 0)
		return FMT_MALFORMED;
	out->pid = (int64_t)pid;
	return FMT_OK;
}

static enum fmt_status
get_all(const json_t *root, struct fmt_presence *out)
{
	const json_t *began = json_object_get(root, "began_us");
	const json_t *ended = json_object_get(root, "ended");
	enum fmt_status status = fmt_record_check(root, "session", VERSION);

	if (status != FMT_OK)
		return status;
	if (!get_text(
		root, "repository", out->repository, sizeof(out->repository)) ||
	    !get_text(root, "session", out->session, sizeof(out->session)) ||
	    !get_text(root, "what", out->what, sizeof(out->what)) ||
	    !get_text(root, "host", out->host, sizeof(out->host)) ||
	    !json_is_integer(began) || !json_is_boolean(ended))
		return FMT_MALFORMED;
	out->began_us = json_integer_value(began);
	out->is_ended = json_is_true(ended);
	status = fmt_json_get_names(
	    root, "heeds", 64, &out->heeds, &out->heed_count);
	if (status == FMT_OK)
		status = get_process(root, &out->process);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

enum fmt_status
fmt_presence_decode(const void *data, size_t len, struct fmt_presence *out)
{
	struct fmt_presence read = FMT_PRESENCE_INIT;
	struct fmt_record record = FMT_RECORD_INIT;
	enum fmt_status status;

	status = fmt_record_decode(data, len, CONTEXT, &record);
	if (status != FMT_OK)
		return status;
	memcpy(read.signer, record.signer, sizeof(read.signer));
	status = get_all(record.body, &read);
	fmt_record_free(&record);
	if (status != FMT_OK) {
		fmt_presence_free(&read);
		return status;
	}
	*out = read;
	return FMT_OK;
}
