/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of a guard: what was begun, for whoever has to finish it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/operations/guard_impl.h"

#define FORMAT "libbackup-guard-1"
#define NAME_MOST 200 /* of the configuration, in the name of the file */

/* One for each configuration, by its whole path. */
static char *
choose_file(const struct bkp_guard_options *options, struct bkp_error *err)
{
	const char *path = bkp_config_path(options->config);
	char *folder, *whole, *file = NULL;
	size_t len;

	if (options->journal != NULL)
		return bkp_strdup(options->journal, err);
	if ((folder = bkp_state_directory("guard", err)) == NULL)
		return NULL;
	whole = path != NULL ? realpath(path, NULL) : NULL;
	len = whole != NULL ? strlen(whole) : 0;
	for (char *at = whole; at != NULL && *at != '\0'; at++)
		if (*at == '/')
			*at = '!';
	file = bkp_format(err, "%s/%s.json", folder,
	    whole == NULL     ? "none"
	    : len > NAME_MOST ? whole + len - NAME_MOST
			      : whole);
	free(whole);
	free(folder);
	return file;
}

static int
take_lock(struct guard *guard, struct bkp_error *err)
{
	char *path = bkp_format(err, "%s.lock", guard->journal);
	int rc = -1;

	if (path == NULL)
		return -1;
	guard->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (guard->lock < 0)
		(void)bkp_fail_errno(err, errno, "making the journal %s", path);
	else if (flock(guard->lock, LOCK_EX | LOCK_NB) == 0)
		rc = 0;
	else if (errno == EWOULDBLOCK)
		(void)bkp_fail(err, BKP_RETRY,
		    "another backup-guard is at work for this configuration "
		    "(%s is locked): wait for its end",
		    path);
	else
		(void)bkp_fail_errno(err, errno, "locking %s", path);
	free(path);
	return rc;
}

static int
read_state(struct guard *guard, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	const char *format;
	int rc = 0;

	if (bkp_place_read(guard->journal, &text, &why) < 0) {
		if (why.code != BKP_NOTFOUND) {
			rc = -1;
			if (err != NULL)
				*err = why;
		}
		goto out;
	}
	guard->state = json_loadb((const char *)text.data, text.len, 0, NULL);
	format = json_string_value(json_object_get(guard->state, "format"));
	if (format == NULL || strcmp(format, FORMAT) != 0)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "%s is no journal of a guard that this version reads: look "
		    "what it is, and move it away",
		    guard->journal);
out:
	fmt_buf_free(&text);
	return rc;
}

int
bkp_guard_journal_open(struct guard *guard, struct bkp_error *err)
{
	guard->journal = choose_file(guard->options, err);
	if (guard->journal == NULL || take_lock(guard, err) < 0)
		return -1;
	return read_state(guard, err);
}

void
bkp_guard_journal_close(struct guard *guard)
{
	if (guard->lock >= 0)
		(void)close(guard->lock);
	guard->lock = -1;
	json_decref(guard->state);
	guard->state = NULL;
	free(guard->journal);
	guard->journal = NULL;
}

int
bkp_guard_journal_save(
    struct guard *guard, const char *stage, struct bkp_error *err)
{
	char *text;
	int rc;

	if (bkp_guard_set(guard, "format", json_string(FORMAT), err) < 0 ||
	    bkp_guard_set(guard, "stage", json_string(stage), err) < 0)
		return -1;
	text = json_dumps(guard->state, JSON_INDENT(1) | JSON_SORT_KEYS);
	if (text == NULL)
		return bkp_fail_nomem(err, "writing the journal");
	rc = bkp_place_write(guard->journal, text, strlen(text), err);
	free(text);
	return rc < 0 ? bkp_fail_in(err, "writing the journal") : 0;
}

void
bkp_guard_journal_note(struct guard *guard, const char *stage)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_guard_journal_save(guard, stage, &why) < 0)
		bkp_run_message(guard->run, BKP_WARNING, NULL,
		    "%s: where this is ended before its time, --resume does "
		    "something once more that was done already",
		    why.message);
}

int
bkp_guard_journal_remove(struct guard *guard, struct bkp_error *err)
{
	if (unlink(guard->journal) < 0 && errno != ENOENT)
		return bkp_fail_errno(
		    err, errno, "removing the journal %s", guard->journal);
	return 0;
}

/* ---- what is in it ---- */

const char *
bkp_guard_text(const struct guard *guard, const char *name)
{
	const char *text =
	    json_string_value(json_object_get(guard->state, name));

	return text != NULL ? text : "";
}

bool
bkp_guard_is_at(const struct guard *guard, const char *stage)
{
	return strcmp(bkp_guard_text(guard, "stage"), stage) == 0;
}

uint64_t
bkp_guard_number(const struct guard *guard, const char *name)
{
	json_int_t value =
	    json_integer_value(json_object_get(guard->state, name));

	return value > 0 ? (uint64_t)value : 0;
}

bool
bkp_guard_flag(const struct guard *guard, const char *name)
{
	return json_is_true(json_object_get(guard->state, name));
}

int
bkp_guard_set(
    struct guard *guard, const char *name, json_t *value, struct bkp_error *err)
{
	if (value == NULL || json_object_set_new(guard->state, name, value) < 0)
		return bkp_fail_nomem(err, "keeping the journal");
	return 0;
}
