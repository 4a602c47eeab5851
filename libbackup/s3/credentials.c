/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/buf.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"

#define DEFAULT_REGION "us-east-1"
#define FILE_MAX_SIZE (1u << 20)

void
bkp_s3_credentials_free(struct bkp_s3_credentials *credentials)
{
	bkp_secret_free(credentials->access_key);
	bkp_secret_free(credentials->secret_key);
	bkp_secret_free(credentials->session_token);
	free(credentials->region);
	free(credentials->endpoint);
	memset(credentials, 0, sizeof(*credentials));
}

/* ---- files ---- */

/* Appends a whole file. 1: read; 0: there is none; -1. Reads without stdio's
 * buffer, which would keep a copy of the secret. */
static int
read_file(const char *path, struct fmt_buf *out, struct bkp_error *err)
{
	FILE *file = fopen(path, "re");
	size_t got;
	int rc = 1;

	if (file == NULL) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return bkp_fail_errno(err, errno, "opening %s", path);
	}
	(void)setvbuf(file, NULL, _IONBF, 0);
	do {
		if (fmt_buf_reserve(out, 4096) != FMT_OK) {
			rc = bkp_fail_nomem(err, "reading credentials");
			break;
		}
		got = fread(out->data + out->len, 1, 4096, file);
		out->len += got;
	} while (got > 0 && out->len < FILE_MAX_SIZE);
	if (rc == 1 && ferror(file))
		rc = bkp_fail_errno(err, errno, "reading %s", path);
	(void)fclose(file);
	return rc;
}

static const char *
set_variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/* NAME or the file that NAME_FILE names. *out stays where neither is set. */
static int
from_environment(const char *name, char **out, struct bkp_error *err)
{
	char file_name[64];

	if (*out != NULL)
		return 0;
	(void)snprintf(file_name, sizeof(file_name), "%s_FILE", name);
	return bkp_secret_load(
	    name, set_variable(name), set_variable(file_name), NULL, out, err);
}

/* ---- profiles ---- */

/* What a profile's section may say, and where it goes. */
struct setting {
	const char *name;
	char **value;
};

static char *
trim(char *text)
{
	size_t len;

	while (isspace((unsigned char)*text))
		text++;
	len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* True where a "[...]" line names the profile: "[profile x]" in the
 * configuration file, "[x]" in the credentials file; "[default]" in both. */
static bool
is_section(char *line, const char *profile)
{
	char *end = strchr(line, ']'), *name;

	if (end == NULL)
		return false;
	*end = '\0';
	name = trim(line + 1);
	if (strncmp(name, "profile", 7) == 0 && isspace((unsigned char)name[7]))
		name = trim(name + 7);
	return strcmp(name, profile) == 0;
}

static int
take_setting(char *line, const struct setting *settings, struct bkp_error *err)
{
	char *value = strchr(line, '=');

	if (value == NULL)
		return 0;
	*value++ = '\0';
	line = trim(line);
	value = trim(value);
	for (; settings->name != NULL; settings++) {
		if (strcmp(settings->name, line) != 0 ||
		    *settings->value != NULL || *value == '\0')
			continue;
		if ((*settings->value = bkp_strdup(value, err)) == NULL)
			return -1;
	}
	return 0;
}

/* Reads a profile out of a file. *found becomes true where it is there. */
static int
read_profile(const char *path, const char *profile,
    const struct setting *settings, bool *found, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	bool is_inside = false;
	char *line, *next;
	int rc = read_file(path, &text, err);

	if (rc == 1 && fmt_buf_text(&text) == NULL)
		rc = bkp_fail_nomem(err, "reading credentials");
	line = rc == 1 ? (char *)text.data : NULL;
	rc = rc < 0 ? -1 : 0;
	for (; line != NULL && rc == 0; line = next) {
		bool is_nested = isspace((unsigned char)*line) != 0;

		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		if (*line == '#' || *line == ';')
			continue;
		if (*line == '[') {
			is_inside = is_section(line, profile);
			*found = *found || is_inside;
		} else if (is_inside && !is_nested) {
			rc = take_setting(line, settings, err);
		}
	}
	fmt_buf_free(&text);
	return rc;
}

/* The path of a file of the AWS tools; NULL where there is no home. */
static int
aws_path(
    const char *variable, const char *name, char **out, struct bkp_error *err)
{
	const char *path = getenv(variable), *home = getenv("HOME");

	*out = NULL;
	if (path != NULL && *path != '\0')
		*out = bkp_strdup(path, err);
	else if (home != NULL)
		*out = bkp_format(err, "%s/.aws/%s", home, name);
	else
		return 0;
	return *out != NULL ? 0 : -1;
}

/* Key pairs come from one place or the other, never mixed. */
static int
load_profile(const char *profile, bool is_named, struct bkp_s3_credentials *out,
    struct bkp_error *err)
{
	bool has_keys = out->access_key != NULL || out->secret_key != NULL;
	const struct setting settings[] = {
	    {"region", &out->region},
	    {"endpoint_url", &out->endpoint},
	    {has_keys ? NULL : "aws_access_key_id", &out->access_key},
	    {"aws_secret_access_key", &out->secret_key},
	    {"aws_session_token", &out->session_token},
	    {NULL, NULL},
	};
	char *credentials = NULL, *config = NULL;
	bool found = false;
	int rc = -1;

	if (aws_path("AWS_SHARED_CREDENTIALS_FILE", "credentials", &credentials,
		err) < 0 ||
	    aws_path("AWS_CONFIG_FILE", "config", &config, err) < 0)
		goto out;
	if (credentials != NULL &&
	    read_profile(credentials, profile, settings, &found, err) < 0)
		goto out;
	if (config != NULL &&
	    read_profile(config, profile, settings, &found, err) < 0)
		goto out;
	rc = 0;
	if (is_named && !found)
		rc = bkp_fail(err, BKP_INVALID,
		    "there is no profile \"%s\" in %s or %s", profile,
		    credentials != NULL ? credentials : "~/.aws/credentials",
		    config != NULL ? config : "~/.aws/config");
out:
	free(credentials);
	free(config);
	return rc;
}

/* ---- all together ---- */

static int
copy_given(const struct bkp_s3_given *given, struct bkp_s3_credentials *out,
    struct bkp_error *err)
{
	const char *from[] = {given->access_key, given->secret_key,
	    given->session_token, given->region, given->endpoint};
	char **to[] = {&out->access_key, &out->secret_key, &out->session_token,
	    &out->region, &out->endpoint};

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		if (from[i] != NULL &&
		    (*to[i] = bkp_strdup(from[i], err)) == NULL)
			return -1;
	return 0;
}

static int
load_environment(struct bkp_s3_credentials *out, struct bkp_error *err)
{
	bool has_keys = out->access_key != NULL || out->secret_key != NULL;

	if (!has_keys &&
	    (from_environment("AWS_ACCESS_KEY_ID", &out->access_key, err) < 0 ||
		from_environment(
		    "AWS_SECRET_ACCESS_KEY", &out->secret_key, err) < 0 ||
		from_environment(
		    "AWS_SESSION_TOKEN", &out->session_token, err) < 0))
		return -1;
	if (from_environment("AWS_REGION", &out->region, err) < 0 ||
	    from_environment("AWS_DEFAULT_REGION", &out->region, err) < 0 ||
	    from_environment("AWS_ENDPOINT_URL_S3", &out->endpoint, err) < 0 ||
	    from_environment("AWS_ENDPOINT_URL", &out->endpoint, err) < 0)
		return -1;
	return 0;
}

static int
check_complete(const struct bkp_s3_credentials *found, struct bkp_error *err)
{
	if (found->access_key != NULL && found->secret_key != NULL)
		return 0;
	if (found->access_key != NULL)
		return bkp_fail(err, BKP_AUTH,
		    "there is an access key but no secret key: set secret_key "
		    "(or AWS_SECRET_ACCESS_KEY) beside it");
	if (found->secret_key != NULL)
		return bkp_fail(err, BKP_AUTH,
		    "there is a secret key but no access key: set access_key "
		    "(or AWS_ACCESS_KEY_ID) beside it");
	return bkp_fail(err, BKP_AUTH,
	    "there are no S3 credentials: set access_key and secret_key in "
	    "the configuration, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
	    "(or ..._FILE) in the environment, or a profile in "
	    "~/.aws/credentials");
}

int
bkp_s3_credentials_load(const struct bkp_s3_given *given,
    struct bkp_s3_credentials *out, struct bkp_error *err)
{
	struct bkp_s3_credentials found = {NULL, NULL, NULL, NULL, NULL};
	const char *profile = given->profile;
	bool is_named;

	if (profile == NULL)
		profile = getenv("AWS_PROFILE");
	is_named = profile != NULL && *profile != '\0';
	/* A profile that the configuration names goes before the environment:
	 * the person chose it for this bucket. */
	if (copy_given(given, &found, err) < 0 ||
	    (given->profile != NULL &&
		load_profile(given->profile, true, &found, err) < 0) ||
	    load_environment(&found, err) < 0 ||
	    (given->profile == NULL &&
		load_profile(is_named ? profile : "default", is_named, &found,
		    err) < 0) ||
	    check_complete(&found, err) < 0)
		goto fail;
	if (found.region == NULL &&
	    (found.region = bkp_strdup(DEFAULT_REGION, err)) == NULL)
		goto fail;
	*out = found;
	return 0;
fail:
	bkp_s3_credentials_free(&found);
	return -1;
}
