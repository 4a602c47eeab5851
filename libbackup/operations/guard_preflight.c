/* SPDX-License-Identifier: Apache-2.0 */
/* Whether there would be a way back, before anything is run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/child.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations.h"
#include "libbackup/operations/guard_impl.h"
#include "libbackup/operations/restore_left.h"
#include "libbackup/source/source.h"

#define HEALTH_TIMEOUT_MS 30000
#define HEALTH_INTERVAL_MS 3000
#define HEALTH_TRIES 10

/* ---- what is to be done, into the state ---- */

static bool
is_wanted(const struct bkp_guard_options *options, const char *prefix)
{
	if (options->source_count == 0)
		return true;
	for (size_t i = 0; i < options->source_count; i++)
		if (strcmp(options->sources[i], prefix) == 0)
			return true;
	return false;
}

/* What a killed restore leaves beside a database is told by name from what was
 * there before. */
static int
describe_formers(struct guard *guard, const struct bkp_source_config *source,
    json_t *to, struct bkp_error *err)
{
	struct bkp_former_options options = BKP_FORMER_OPTIONS_INIT;
	struct bkp_former_result result = {.former_count = 0};
	int rc = 0;

	if (source->kind != BKP_KIND_POSTGRES)
		return 0;
	options.config = guard->options->config;
	options.path = source->prefix;
	options.cancel = guard->options->cancel;
	if (bkp_former_list(&options, &result, err) < 0)
		return bkp_fail_in(err, "%s", source->prefix);
	for (size_t i = 0; rc == 0 && i < result.former_count; i++)
		if (json_array_append_new(
			to, json_string(result.formers[i].name)) < 0)
			rc = bkp_fail_nomem(err, "listing databases");
	bkp_former_result_free(&result);
	return rc;
}

static int
describe_source(struct guard *guard, const struct bkp_source_config *source,
    json_t *sources, struct bkp_error *err)
{
	json_t *formers = json_array();
	json_t *described = json_pack("{s:s, s:s, s:b, s:o}", "path",
	    source->prefix, "kind", bkp_kind_of(source->kind)->name, "is_back",
	    0, "formers", formers);

	if (described == NULL || json_array_append_new(sources, described) < 0)
		return bkp_fail_nomem(err, "listing sources");
	return describe_formers(guard, source, formers, err);
}

/* As a restore of everything has them. */
static int
describe_sources(struct guard *guard, struct bkp_error *err)
{
	const struct bkp_config *config = guard->options->config;
	json_t *sources = json_array();

	if (bkp_guard_set(guard, "sources", sources, err) < 0)
		return -1;
	for (int turn = 0; turn <= BKP_TURN_LAST; turn++)
		for (size_t i = 0; i < config->source_count; i++) {
			const struct bkp_source_config *source =
			    &config->sources[i];

			if (bkp_restore_turn(source->kind) == turn &&
			    is_wanted(guard->options, source->prefix) &&
			    describe_source(guard, source, sources, err) < 0)
				return -1;
		}
	return 0;
}

static int
set_span(struct guard *guard, const char *name, const char *text,
    uint64_t otherwise, struct bkp_error *err)
{
	uint64_t ms = otherwise;

	if (text != NULL && bkp_span_read(text, &ms, err) < 0)
		return -1;
	return bkp_guard_set(guard, name, json_integer((json_int_t)ms), err);
}

static int
set_text(struct guard *guard, const char *name, const char *text,
    struct bkp_error *err)
{
	json_t *value = json_string(text != NULL ? text : "");

	if (value == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "the journal cannot hold what is given as %s: it is not "
		    "UTF-8",
		    name);
	return bkp_guard_set(guard, name, value, err);
}

int
bkp_guard_describe(struct guard *guard, struct bkp_error *err)
{
	const struct bkp_guard_options *options = guard->options;
	unsigned tries =
	    options->health_tries > 0 ? options->health_tries : HEALTH_TRIES;

	json_decref(guard->state);
	if ((guard->state = json_object()) == NULL)
		return bkp_fail_nomem(err, "making the journal");
	if (set_text(guard, "command", options->command[0], err) < 0 ||
	    set_text(guard, "health", options->health, err) < 0 ||
	    set_text(guard, "stop", options->stop, err) < 0 ||
	    set_text(guard, "start", options->start, err) < 0 ||
	    set_text(guard, "arguments", options->arguments, err) < 0 ||
	    set_span(guard, "timeout_ms", options->timeout, 0, err) < 0 ||
	    set_span(guard, "health_timeout_ms", options->health_timeout,
		HEALTH_TIMEOUT_MS, err) < 0 ||
	    set_span(guard, "health_interval_ms", options->health_interval,
		HEALTH_INTERVAL_MS, err) < 0 ||
	    bkp_guard_set(guard, "health_tries", json_integer(tries), err) <
		0 ||
	    bkp_guard_set(guard, "delete_new",
		json_boolean(options->is_deleting_new), err) < 0 ||
	    bkp_guard_set(
		guard, "may_lack", json_boolean(options->may_lack), err) < 0 ||
	    bkp_guard_set(guard, "without_copy",
		json_boolean(options->is_without_copy), err) < 0 ||
	    set_text(guard, "role", options->role, err) < 0 ||
	    bkp_guard_set(guard, "no_owner",
		json_boolean(options->is_without_owners), err) < 0 ||
	    bkp_guard_set(guard, "no_privileges",
		json_boolean(options->is_without_privileges), err) < 0 ||
	    bkp_guard_set(guard, "skip_refused",
		json_boolean(options->is_skipping), err) < 0)
		return -1;
	return describe_sources(guard, err);
}

/* ---- what can be seen without a snapshot ---- */

static int
check_program(const char *name, struct bkp_error *err)
{
	char *program = bkp_child_find(name, err);
	struct stat st;
	int rc = 0;

	if (program == NULL)
		return -1;
	if (stat(program, &st) < 0)
		rc = bkp_fail_errno(
		    err, errno, "looking for the program %s", program);
	else if (!S_ISREG(st.st_mode))
		rc = bkp_fail(err, BKP_INVALID, "%s is no program", program);
	else if (access(program, X_OK) < 0)
		rc = bkp_fail_errno(err, errno,
		    "%s may not be run ('chmod +x' makes a file a program)",
		    program);
	free(program);
	return rc;
}

static int
check_names(const struct bkp_guard_options *options, struct bkp_error *err)
{
	for (size_t i = 0; i < options->source_count; i++) {
		bool is_known = false;

		for (size_t k = 0; k < options->config->source_count; k++)
			if (strcmp(options->sources[i],
				options->config->sources[k].prefix) == 0)
				is_known = true;
		if (!is_known)
			return bkp_fail(err, BKP_INVALID,
			    "the configuration names no source '%s'",
			    options->sources[i]);
	}
	if (options->config->source_count == 0)
		return bkp_fail(err, BKP_INVALID,
		    "the configuration names no source, so there is nothing to "
		    "guard; add one under 'sources:'");
	return 0;
}

/* The output of a command goes back through another one, or not at all. */
static int
check_kinds(const struct bkp_guard_options *options, struct bkp_error *err)
{
	for (size_t i = 0; i < options->config->source_count; i++) {
		const struct bkp_source_config *source =
		    &options->config->sources[i];

		if (source->kind == BKP_KIND_COMMAND &&
		    source->command.restore.count == 0 &&
		    is_wanted(options, source->prefix))
			return bkp_fail(err, BKP_INVALID,
			    "%s could not be put back, for it has no "
			    "'restore:' command: add one, or name the sources "
			    "that are guarded with --source",
			    source->prefix);
	}
	return 0;
}

static int
check_keys(const struct bkp_guard_options *options, struct bkp_error *err)
{
	struct bkp_repository *repository = NULL;
	struct bkp_keys keys = BKP_KEYS_INIT;
	int rc = 0;

	bkp_config_keys(options->config, &keys);
	if (keys.key_file == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "no key file is named, so no snapshot can be taken; give "
		    "'key_file:' in the configuration or --key-file "
		    "(backup-init made it)");
	if (bkp_repository_open(bkp_config_repository(options->config), &keys,
		&repository, err) < 0)
		return -1;
	if (!bkp_repository_can_read(repository))
		rc = bkp_fail(err, BKP_AUTH,
		    "the keys at hand open metadata and no contents, so that "
		    "nothing could be put back: give an identity "
		    "(--identity-file) or the passphrase (--passphrase-file)");
	bkp_repository_close(repository);
	return rc;
}

int
bkp_guard_preflight(struct guard *guard, struct bkp_error *err)
{
	const struct bkp_guard_options *options = guard->options;
	struct bkp_error why = BKP_ERROR_INIT;
	bool was_healthy;

	if (check_program(options->command[0], err) < 0 ||
	    check_names(options, err) < 0 || check_kinds(options, err) < 0 ||
	    check_keys(options, err) < 0 || bkp_guard_describe(guard, err) < 0)
		return -1;
	was_healthy =
	    bkp_guard_run_health(guard, 1, options->cancel, &why) == 0;
	if (bkp_run_check(guard->run, err) < 0)
		return -1;
	if (!was_healthy)
		bkp_run_message(guard->run, BKP_WARNING, NULL,
		    "%s, and nothing has been run yet", why.message);
	return bkp_guard_set(
	    guard, "was_healthy", json_boolean(was_healthy), err);
}

/* ---- with the snapshot ---- */

void
bkp_guard_restore_options(const struct guard *guard, const json_t *source,
    struct bkp_restore_options *options)
{
	const char *kind = json_string_value(json_object_get(source, "kind"));
	const char *role = bkp_guard_text(guard, "role");

	options->config = guard->options->config;
	options->snapshot = bkp_guard_text(guard, "snapshot");
	options->path = json_string_value(json_object_get(source, "path"));
	options->events = guard->options->events;
	options->is_swap = strcmp(kind, "postgres") == 0;
	options->is_overwrite = !options->is_swap;
	options->role = role[0] != '\0' ? role : NULL;
	options->is_without_owners = bkp_guard_flag(guard, "no_owner");
	options->is_without_privileges = bkp_guard_flag(guard, "no_privileges");
	options->is_skipping = bkp_guard_flag(guard, "skip_refused");
}

static int
rehearse_source(
    struct guard *guard, const json_t *source, struct bkp_error *err)
{
	struct bkp_restore_options options = BKP_RESTORE_OPTIONS_INIT;
	struct bkp_restore_result result = {.entries = 0};
	const char *kind = json_string_value(json_object_get(source, "kind"));

	bkp_guard_restore_options(guard, source, &options);
	options.cancel = guard->options->cancel;
	options.is_delete = strcmp(kind, "bucket") == 0 &&
			    bkp_guard_lacks(source, GUARD_LACKS) == 0;
	options.is_rehearsal = 1;
	if (bkp_restore(&options, &result, err) < 0)
		return -1;
	if (result.omission_count > 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s could not be put back in full, as told above",
		    options.path);
	return 0;
}

int
bkp_guard_rehearse(struct guard *guard, struct bkp_error *err)
{
	const json_t *sources = json_object_get(guard->state, "sources");

	for (size_t i = 0; i < json_array_size(sources); i++)
		if (rehearse_source(guard, json_array_get(sources, i), err) < 0)
			return -1;
	return 0;
}
