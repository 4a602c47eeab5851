/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/remembered.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "formats/json.h"
#include "formats/record.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"

#define FILE_NAME "seen"
#define TYPE "libbackup seen"
#define VERSION 1

void
bkp_remembered_free(struct bkp_remembered *remembered)
{
	free(remembered->tips);
	bkp_claims_free(&remembered->claims);
	*remembered = (struct bkp_remembered)BKP_REMEMBERED_INIT;
}

int
bkp_remembered_add(struct bkp_remembered *remembered, const char *name,
    const char *host, int64_t finished_us, bool is_behind,
    struct bkp_error *err)
{
	struct bkp_remembered_tip *tip;

	if (bkp_grow(&remembered->tips, remembered->count, &remembered->cap,
		sizeof(*remembered->tips), err) < 0)
		return -1;
	tip = &remembered->tips[remembered->count++];
	memset(tip, 0, sizeof(*tip));
	memcpy(tip->name, name, BKP_OBJECT_NAME);
	(void)snprintf(tip->host, sizeof(tip->host), "%s", host);
	/* A name that was cut inside of a character is no text any more. */
	if (!fmt_utf8_is_valid(tip->host))
		tip->host[0] = '\0';
	tip->finished_us = finished_us;
	tip->is_behind = is_behind;
	return 0;
}

/* ---- reading ---- */

static enum fmt_status
read_tip(const json_t *value, struct bkp_remembered *out)
{
	const char *name = json_string_value(json_object_get(value, "name"));
	const char *host = json_string_value(json_object_get(value, "host"));
	const json_t *time = json_object_get(value, "finished_us");

	if (name == NULL || !fmt_is_hex(name, 64) || host == NULL ||
	    !json_is_integer(time))
		return FMT_MALFORMED;
	if (bkp_remembered_add(out, name, host, json_integer_value(time),
		json_is_true(json_object_get(value, "is_behind")), NULL) < 0)
		return FMT_NOMEM;
	return FMT_OK;
}

static enum fmt_status
read_all(const json_t *root, struct bkp_remembered *out)
{
	const json_t *tips = json_object_get(root, "tips");
	enum fmt_status status = fmt_record_check(root, TYPE, VERSION);

	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(root, "checkpoint", &out->checkpoint);
	if (status == FMT_OK)
		status = fmt_json_get_uint(root, "roster", &out->roster);
	/* Earlier versions wrote none. */
	if (status == FMT_OK && json_object_get(root, "erasures") != NULL)
		status = fmt_json_get_uint(root, "erasures", &out->erasures);
	if (status == FMT_OK && !json_is_array(tips))
		status = FMT_MALFORMED;
	for (size_t i = 0; status == FMT_OK && i < json_array_size(tips); i++)
		status = read_tip(json_array_get(tips, i), out);
	if (status == FMT_OK)
		status = fmt_claims_get(
		    root, "proofs", &out->claims.items, &out->claims.count);
	out->claims.cap = out->claims.count;
	return status;
}

static enum fmt_status
decode(const struct fmt_buf *text, struct bkp_remembered *out)
{
	struct bkp_remembered read = BKP_REMEMBERED_INIT;
	enum fmt_status status;
	json_t *root;

	status = fmt_json_parse((const char *)text->data, text->len, &root);
	if (status != FMT_OK)
		return status;
	status = read_all(root, &read);
	json_decref(root);
	if (status == FMT_OK)
		*out = read;
	else
		bkp_remembered_free(&read);
	return status;
}

/* Where there is no file, `text` stays empty. */
static int
fetch(const char *path, struct fmt_buf *text, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_place_read(path, text, &problem) == 0 ||
	    problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

static char *
file_path(const char *repository_id, struct bkp_error *err)
{
	char *folder = bkp_state_directory(repository_id, err), *path = NULL;

	if (folder != NULL)
		path = bkp_format(err, "%s/" FILE_NAME, folder);
	free(folder);
	return path;
}

int
bkp_remembered_load(const char *repository_id, struct bkp_remembered *out,
    struct bkp_error *err)
{
	char *path = file_path(repository_id, err);
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status;
	int rc = -1;

	if (path == NULL || fetch(path, &text, err) < 0)
		goto out;
	*out = (struct bkp_remembered)BKP_REMEMBERED_INIT;
	status = text.len > 0 ? decode(&text, out) : FMT_OK;
	if (status == FMT_OK)
		rc = 0;
	else
		(void)bkp_fail_format(err, status, "%s", path);
out:
	fmt_buf_free(&text);
	free(path);
	return rc;
}

/* ---- writing ---- */

static json_t *
tips_value(const struct bkp_remembered *remembered)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < remembered->count; i++) {
		const struct bkp_remembered_tip *tip = &remembered->tips[i];

		if (json_array_append_new(
			array, json_pack("{s:s,s:s,s:I,s:b}", "name", tip->name,
				   "host", tip->host, "finished_us",
				   (json_int_t)tip->finished_us, "is_behind",
				   (int)tip->is_behind)) != 0) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static enum fmt_status
encode(const struct bkp_remembered *remembered, struct fmt_buf *out)
{
	enum fmt_status status = FMT_NOMEM;
	json_t *root, *tips = tips_value(remembered);
	json_t *claims = fmt_claims_value(
	    remembered->claims.items, remembered->claims.count);

	if (tips == NULL || claims == NULL) {
		json_decref(tips);
		json_decref(claims);
		return FMT_NOMEM;
	}
	root = json_pack("{s:s,s:i,s:I,s:I,s:I,s:o,s:o}", "type", TYPE,
	    "version", VERSION, "checkpoint",
	    (json_int_t)remembered->checkpoint, "roster",
	    (json_int_t)remembered->roster, "erasures",
	    (json_int_t)remembered->erasures, "tips", tips, "proofs", claims);
	if (root != NULL)
		status = fmt_json_append(root, out);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, '\n');
	json_decref(root);
	return status;
}

/* Waits until no other process changes the folder. The lock goes with the
 * descriptor. */
static int
lock_place(const char *repository_id, struct bkp_error *err)
{
	char *folder = bkp_state_directory(repository_id, err);
	int fd, rc;

	if (folder == NULL)
		return -1;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		(void)bkp_fail_errno(err, errno, "%s: opening", folder);
	do {
		rc = fd < 0 ? 0 : flock(fd, LOCK_EX);
	} while (rc < 0 && errno == EINTR);
	if (rc < 0) {
		(void)bkp_fail_errno(err, errno, "%s: locking", folder);
		(void)close(fd);
		fd = -1;
	}
	free(folder);
	return fd;
}

static int
change_locked(const char *path, bkp_remembered_fn *change, void *arg,
    struct bkp_error *err)
{
	struct bkp_remembered remembered = BKP_REMEMBERED_INIT;
	struct fmt_buf before = FMT_BUF_INIT, after = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	int rc = -1;

	if (fetch(path, &before, err) < 0)
		goto out;
	if (before.len > 0)
		status = decode(&before, &remembered);
	/* A newer version's is not ours to lose. */
	if (status == FMT_NOMEM || status == FMT_UNSUPPORTED) {
		(void)bkp_fail_format(err, status, "%s", path);
		goto out;
	}
	if (change(arg, &remembered, err) < 0)
		goto out;
	if ((status = encode(&remembered, &after)) != FMT_OK) {
		(void)bkp_fail_format(err, status, "writing what was seen");
		goto out;
	}
	rc = 0;
	if (after.len != before.len ||
	    memcmp(after.data, before.data, after.len) != 0)
		rc = bkp_place_write(path, after.data, after.len, err);
out:
	bkp_remembered_free(&remembered);
	fmt_buf_free(&before);
	fmt_buf_free(&after);
	return rc;
}

int
bkp_remembered_change(const char *repository_id, bkp_remembered_fn *change,
    void *arg, struct bkp_error *err)
{
	char *path = file_path(repository_id, err);
	int lock = -1, rc = -1;

	if (path != NULL && (lock = lock_place(repository_id, err)) >= 0)
		rc = change_locked(path, change, arg, err);
	if (lock >= 0)
		(void)close(lock);
	free(path);
	return rc;
}

static int
add_claim(void *arg, struct bkp_remembered *remembered, struct bkp_error *err)
{
	return bkp_claims_join(&remembered->claims, arg, 1, err);
}

int
bkp_remembered_claim(const char *repository_id, const struct fmt_claim *claim,
    struct bkp_error *err)
{
	struct fmt_claim copy = *claim;

	return bkp_remembered_change(repository_id, add_claim, &copy, err);
}

static int
raise_erasures(
    void *arg, struct bkp_remembered *remembered, struct bkp_error *err)
{
	const uint64_t *count = arg;

	(void)err;
	if (*count > remembered->erasures)
		remembered->erasures = *count;
	return 0;
}

int
bkp_remembered_erasures(
    const char *repository_id, uint64_t count, struct bkp_error *err)
{
	return bkp_remembered_change(
	    repository_id, raise_erasures, &count, err);
}
