/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/presence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/record.h"
#include "formats/sign.h"

#define VERSION 1

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
	       fmt_is_hex(process->machine, 32);
}

static bool
is_valid(const struct fmt_presence *presence)
{
	return fmt_is_hex(presence->repository, 32) &&
	       fmt_is_hex(presence->session, 32) && presence->what[0] != '\0' &&
	       presence->began_us >= 0 &&
	       fmt_json_are_names(
		   presence->heeds, presence->heed_count, 64, true) &&
	       is_valid_process(&presence->process);
}

/* ---- writing ---- */

static json_t *
process_value(const struct fmt_process *process)
{
	json_t *object = json_object();
	bool failed = object == NULL;

	fmt_json_set(object, "machine", json_string(process->machine), &failed);
	fmt_json_set(object, "boot", json_string(process->boot), &failed);
	fmt_json_set(object, "space", json_string(process->space), &failed);
	fmt_json_set(
	    object, "pid", json_integer((json_int_t)process->pid), &failed);
	fmt_json_set(
	    object, "start", json_integer((json_int_t)process->start), &failed);
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
	fmt_json_set(root, "type", json_string("session"), &failed);
	fmt_json_set(root, "version", json_integer(VERSION), &failed);
	fmt_json_set(
	    root, "repository", json_string(presence->repository), &failed);
	fmt_json_set(root, "session", json_string(presence->session), &failed);
	fmt_json_set(root, "what", json_string(presence->what), &failed);
	fmt_json_set(root, "host", json_string(presence->host), &failed);
	fmt_json_set(
	    root, "began_us", json_integer(presence->began_us), &failed);
	fmt_json_set(root, "ended", json_boolean(presence->is_ended), &failed);
	fmt_json_set(root, "heeds",
	    fmt_json_names(presence->heeds, presence->heed_count, 64), &failed);
	if (presence->process.pid != 0)
		fmt_json_set(root, "process", process_value(&presence->process),
		    &failed);
	if (!failed)
		status =
		    fmt_record_encode(root, FMT_PRESENCE_CONTEXT, seed, out);
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
fill(const json_t *root, void *arg)
{
	struct fmt_presence *out = arg;
	const json_t *ended = json_object_get(root, "ended");
	enum fmt_status status;

	if (!get_text(root, "what", out->what, sizeof(out->what)) ||
	    !get_text(root, "host", out->host, sizeof(out->host)) ||
	    !json_is_boolean(ended))
		return FMT_MALFORMED;
	out->is_ended = json_is_true(ended);
	status = fmt_json_get_hex(root, "repository", 32, out->repository);
	if (status == FMT_OK)
		status = fmt_json_get_hex(root, "session", 32, out->session);
	if (status == FMT_OK)
		status = fmt_json_get_int(root, "began_us", &out->began_us);
	if (status == FMT_OK)
		status = fmt_json_get_names(
		    root, "heeds", 64, &out->heeds, &out->heed_count);
	if (status == FMT_OK)
		status = get_process(root, &out->process);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

static const struct fmt_record_kind kind = {
    FMT_PRESENCE_CONTEXT, "session", VERSION, fill};

enum fmt_status
fmt_presence_decode(const void *data, size_t len, struct fmt_presence *out)
{
	struct fmt_presence read = FMT_PRESENCE_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &kind, &read, read.signer);

	if (status == FMT_OK)
		*out = read;
	else
		fmt_presence_free(&read);
	return status;
}
