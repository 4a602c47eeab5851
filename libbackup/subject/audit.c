/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "formats/json.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"

#define NOTHING                                                                \
	"0000000000000000000000000000000000000000000000000000000000000000"
#define LINE_MAX_SIZE ((size_t)64 * 1024)

struct bkp_audit {
	char *path; /* owned */
	int fd;
	unsigned char key[32]; /* secret */
	uint64_t lines;
	off_t end; /* of what was read and found right */
	char head[65];
};

/* ---- the key ---- */

static int
make_key(const char *path, unsigned char key[32], struct bkp_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char text[65];
	int rc = 0;

	if (fd < 0)
		return bkp_fail_errno(err, errno, "making %s", path);
	if (fmt_random(key, 32) != FMT_OK)
		rc = bkp_fail(err, BKP_IO, "OpenSSL has no random bytes");
	fmt_hex(key, 32, text);
	if (rc == 0 && (write(fd, text, 64) != 64 || fsync(fd) < 0))
		rc = bkp_fail_errno(err, errno, "writing %s", path);
	(void)close(fd);
	OPENSSL_cleanse(text, sizeof(text));
	if (rc < 0)
		(void)unlink(path);
	return rc;
}

static int
read_key(const char *path, unsigned char key[32], struct bkp_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[65] = "";
	ssize_t n;
	int rc = 0;

	if (fd < 0)
		return errno == ENOENT
			   ? make_key(path, key, err)
			   : bkp_fail_errno(err, errno, "reading %s", path);
	n = read(fd, text, 64);
	(void)close(fd);
	if (n != 64 || fmt_unhex(text, key, 32) != FMT_OK)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "%s is no key of an audit file; put back what was there, "
		    "or begin a new audit file",
		    path);
	OPENSSL_cleanse(text, sizeof(text));
	return rc;
}

/* ---- the chain ---- */

static int
broken(const struct bkp_audit *audit, struct bkp_error *err)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "line %llu of the audit file %s does not follow the one before "
	    "it: somebody changed the file. Keep it as it is, and begin a new "
	    "one with --audit",
	    (unsigned long long)audit->lines + 1, audit->path);
}

static int
check_line(struct bkp_audit *audit, const char *line, size_t len,
    struct bkp_error *err)
{
	unsigned char digest[32];
	json_t *value = NULL;
	bool follows;

	if (fmt_json_parse(line, len - 1, &value) != FMT_OK)
		return broken(audit, err);
	follows = json_is_string(json_object_get(value, "previous")) &&
		  strcmp(json_string_value(json_object_get(value, "previous")),
		      audit->head) == 0 &&
		  json_integer_value(json_object_get(value, "line")) ==
		      (json_int_t)(audit->lines + 1);
	json_decref(value);
	if (!follows)
		return broken(audit, err);
	if (fmt_sha256(line, len, digest) != FMT_OK)
		return bkp_fail(err, BKP_IO, "OpenSSL cannot make a digest");
	fmt_hex(digest, sizeof(digest), audit->head);
	audit->lines++;
	audit->end += (off_t)len;
	return 0;
}

/* Reads what was added since the last time; the lock is held. A line without
 * its end was cut by a crash before anybody was told of it: it goes. */
static int
catch_up(struct bkp_audit *audit, struct bkp_error *err)
{
	int copy = dup(audit->fd);
	FILE *file = copy >= 0 ? fdopen(copy, "r") : NULL;
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int rc = 0;

	if (file == NULL || fseeko(file, audit->end, SEEK_SET) < 0) {
		rc = bkp_fail_errno(err, errno, "reading %s", audit->path);
		goto out;
	}
	while (rc == 0 && (len = getline(&line, &cap, file)) > 0) {
		if (line[len - 1] == '\n')
			rc = check_line(audit, line, (size_t)len, err);
		else if (ftruncate(audit->fd, audit->end) < 0)
			rc = bkp_fail_errno(
			    err, errno, "writing %s", audit->path);
	}
	if (rc == 0 && ferror(file))
		rc = bkp_fail_errno(err, errno, "reading %s", audit->path);
out:
	free(line);
	if (file != NULL)
		(void)fclose(file);
	else if (copy >= 0)
		(void)close(copy);
	return rc;
}

static int
lock(const struct bkp_audit *audit, struct bkp_error *err)
{
	while (flock(audit->fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return bkp_fail_errno(
			    err, errno, "locking %s", audit->path);
	return 0;
}

static char *
default_path(struct bkp_error *err)
{
	char *folder = bkp_state_directory(NULL, err);
	char *path = NULL;

	if (folder != NULL)
		path = bkp_format(err, "%s/exports.log", folder);
	else
		(void)bkp_fail_in(err,
		    "finding a place for the audit file (--audit names one)");
	free(folder);
	return path;
}

int
bkp_audit_open(const char *path, struct bkp_audit **out, struct bkp_error *err)
{
	struct bkp_audit *audit = bkp_alloc(sizeof(*audit), err);
	char *key = NULL;
	int rc = -1;

	if (audit == NULL)
		return -1;
	audit->fd = -1;
	(void)snprintf(audit->head, sizeof(audit->head), "%s", NOTHING);
	audit->path = path != NULL ? bkp_strdup(path, err) : default_path(err);
	if (audit->path == NULL ||
	    (key = bkp_format(err, "%s.key", audit->path)) == NULL)
		goto out;
	audit->fd =
	    open(audit->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (audit->fd < 0) {
		(void)bkp_fail_errno(
		    err, errno, "opening the audit file %s", audit->path);
		goto out;
	}
	if (lock(audit, err) < 0 || read_key(key, audit->key, err) < 0)
		goto out;
	rc = catch_up(audit, err);
	(void)flock(audit->fd, LOCK_UN);
out:
	free(key);
	if (rc < 0)
		bkp_audit_close(audit);
	else
		*out = audit;
	return rc;
}

void
bkp_audit_close(struct bkp_audit *audit)
{
	if (audit == NULL)
		return;
	if (audit->fd >= 0)
		(void)close(audit->fd);
	OPENSSL_cleanse(audit->key, sizeof(audit->key));
	free(audit->path);
	free(audit);
}

/* ---- entries ---- */

/* Table and values, each with a NUL behind it, so that no two subjects are
 * the same bytes. */
static int
pseudonym(const struct bkp_audit *audit, const struct bkp_audit_entry *entry,
    char out[65], struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	unsigned char digest[32];
	enum fmt_status status =
	    fmt_buf_append(&text, entry->table, strlen(entry->table) + 1);

	for (size_t i = 0; i < entry->key_count && status == FMT_OK; i++)
		status = fmt_buf_append(
		    &text, entry->key[i], strlen(entry->key[i]) + 1);
	if (status == FMT_OK)
		status = fmt_hmac_sha256(audit->key, sizeof(audit->key),
		    text.data, text.len, digest);
	fmt_buf_free(&text);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing the audit file");
	fmt_hex(digest, sizeof(digest), out);
	return 0;
}

/* The login name of the user, or the number. */
static void
user_name(char *out, size_t size)
{
	const struct passwd *user = getpwuid(getuid());

	if (user != NULL)
		(void)snprintf(out, size, "%s", user->pw_name);
	else
		(void)snprintf(out, size, "uid %u", (unsigned)getuid());
}

static json_t *
to_json(const struct bkp_audit *audit, const struct bkp_audit_entry *entry,
    const char *subject)
{
	char user[128], when[32];
	time_t now = time(NULL);
	struct tm tm;

	user_name(user, sizeof(user));
	(void)gmtime_r(&now, &tm);
	(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_pack(
	    "{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s?}",
	    "line", (json_int_t)(audit->lines + 1), "previous", audit->head,
	    "time", when, "event", entry->event, "user", user, "for",
	    entry->who != NULL ? entry->who : user, "subject", subject,
	    "map_sha256", entry->map_sha256, "snapshot", entry->snapshot,
	    "state", entry->state, "sha256", entry->sha256);
}

static int
append(struct bkp_audit *audit, const struct bkp_audit_entry *entry,
    struct bkp_error *err)
{
	struct fmt_buf line = FMT_BUF_INIT;
	char subject[65];
	json_t *value = NULL;
	int rc = -1;

	if (catch_up(audit, err) < 0 ||
	    pseudonym(audit, entry, subject, err) < 0)
		goto out;
	value = to_json(audit, entry, subject);
	if (value == NULL || fmt_json_append(value, &line) != FMT_OK ||
	    fmt_buf_append_byte(&line, '\n') != FMT_OK) {
		(void)bkp_fail_nomem(err, "writing the audit file");
		goto out;
	}
	if (line.len > LINE_MAX_SIZE) {
		(void)bkp_fail(err, BKP_INVALID,
		    "who asks for the export is said in too many words");
		goto out;
	}
	/* One write of one line: it is there, or cut, or not there. */
	if (write(audit->fd, line.data, line.len) != (ssize_t)line.len ||
	    fsync(audit->fd) < 0) {
		(void)bkp_fail_errno(
		    err, errno, "writing the audit file %s", audit->path);
		goto out;
	}
	rc = check_line(audit, (const char *)line.data, line.len, err);
out:
	json_decref(value);
	fmt_buf_free(&line);
	return rc;
}

int
bkp_audit_append(struct bkp_audit *audit, const struct bkp_audit_entry *entry,
    struct bkp_error *err)
{
	int rc;

	if (lock(audit, err) < 0)
		return -1;
	rc = append(audit, entry, err);
	(void)flock(audit->fd, LOCK_UN);
	return rc;
}

const char *
bkp_audit_path(const struct bkp_audit *audit)
{
	return audit->path;
}

uint64_t
bkp_audit_lines(const struct bkp_audit *audit)
{
	return audit->lines;
}

const char *
bkp_audit_head(const struct bkp_audit *audit)
{
	return audit->head;
}
