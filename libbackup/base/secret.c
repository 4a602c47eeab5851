/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: where they come from, and that they are wiped. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"

#define SECRET_MAX ((size_t)64 * 1024)

const char *const bkp_secret_variables[] = {"PGPASSWORD", "BACKUP_PASSPHRASE",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", NULL};

void
bkp_secret_free(char *secret)
{
	if (secret == NULL)
		return;
	OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
}

/* Reads the whole file, or SECRET_MAX + 1 bytes of it. */
static int
read_file(const char *what, const char *file, struct fmt_buf *out,
    struct bkp_error *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;
	int error = errno;

	if (fd < 0)
		return bkp_fail_errno(
		    err, error, "reading the %s from %s", what, file);
	if (fmt_buf_reserve(out, SECRET_MAX + 1) != FMT_OK) {
		(void)close(fd);
		return bkp_fail_nomem(err, "reading a secret");
	}
	while (out->len <= SECRET_MAX) {
		n = read(fd, out->data + out->len, SECRET_MAX + 1 - out->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		out->len += (size_t)n;
	}
	error = errno;
	(void)close(fd);
	if (n < 0)
		return bkp_fail_errno(
		    err, error, "reading the %s from %s", what, file);
	return 0;
}

static int
load_file(const char *what, const char *file, char **out, struct bkp_error *err)
{
	struct fmt_buf buf = FMT_BUF_SECRET_INIT;
	const char *text = NULL;
	int rc = -1;

	if (read_file(what, file, &buf, err) < 0)
		goto out;
	if (buf.len > SECRET_MAX) {
		(void)bkp_fail(err, BKP_INVALID,
		    "%s is too large to hold the %s", file, what);
		goto out;
	}
	if (buf.len > 0 && buf.data[buf.len - 1] == '\n')
		buf.len--;
	if (buf.len > 0 && buf.data[buf.len - 1] == '\r')
		buf.len--;
	if (buf.len == 0 || memchr(buf.data, '\0', buf.len) != NULL) {
		(void)bkp_fail(err, BKP_INVALID,
		    "%s should hold the %s as text, but %s", file, what,
		    buf.len == 0 ? "is empty" : "has NUL bytes");
		goto out;
	}
	if ((text = fmt_buf_text(&buf)) == NULL) {
		(void)bkp_fail_nomem(err, "reading a secret");
		goto out;
	}
	if ((*out = bkp_strdup(text, err)) != NULL)
		rc = 0;
out:
	fmt_buf_free(&buf);
	return rc;
}

static int
load_environment(
    const char *what, const char *name, char **out, struct bkp_error *err)
{
	char *file_name = bkp_format(err, "%s_FILE", name);
	const char *value = getenv(name), *file;
	char *secret = NULL;
	int rc = 0;

	if (file_name == NULL)
		return -1;
	file = getenv(file_name);
	if (value != NULL && file != NULL)
		rc = bkp_fail(err, BKP_INVALID,
		    "the %s is given twice: by $%s and by $%s; unset one", what,
		    name, file_name);
	else if (value != NULL)
		rc = (secret = bkp_strdup(value, err)) != NULL ? 0 : -1;
	else if (file != NULL && load_file(what, file, &secret, err) < 0)
		rc = bkp_fail_in(err, "$%s", file_name);
	free(file_name);
	if (rc == 0)
		*out = secret;
	return rc;
}

int
bkp_secret_load(const char *what, const char *value, const char *file,
    const char *env_name, char **out, struct bkp_error *err)
{
	char *secret = NULL;

	if (value != NULL && file != NULL)
		return bkp_fail(err, BKP_INVALID,
		    "the %s is given twice: by itself and by a file; keep one",
		    what);
	if (value != NULL && (secret = bkp_strdup(value, err)) == NULL)
		return -1;
	if (file != NULL && load_file(what, file, &secret, err) < 0)
		return -1;
	if (secret == NULL && env_name != NULL &&
	    load_environment(what, env_name, &secret, err) < 0)
		return -1;
	*out = secret;
	return 0;
}
