/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libs3 cannot do, or does wrong without a word (seen in the sources of
 * 2.0): refused before it is asked, by name.
 */
#include <stdio.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/libs3_impl.h"

#define SINGLE_MAX ((uint64_t)5 << 30)

/* It cuts a listed key to one byte less than this and calls it whole. */
#define LISTED_KEY_MAX S3_MAX_KEY_SIZE

/* Its "Authorization: AWS key:signature" has room for 127 bytes. */
#define ACCESS_KEY_MAX 80

/* Longer secrets it cuts, where HMAC says that they are hashed first. */
#define SECRET_KEY_MAX 64

/* Queries, each by what it is for. */
static const struct {
	const char *query, *what;
} beyond[] = {
    {"delete", "many deletions in one request"},
    {"legal-hold", "legal holds"},
    {"metadata", "listings with metadata"},
    {"object-lock", "object lock"},
    {"partNumber", "uploads in parts"},
    {"retention", "object lock"},
    {"tagging", "tags"},
    {"uploadId", "uploads in parts"},
    {"uploads", "uploads in parts"},
    {"versionId", "versions of objects"},
    {"versioning", "versions of objects"},
    {"versions", "versions of objects"},
};

/* What a listing asks for, which the driver has answers to. */
static const char *const listing[] = {"list-type", "encoding-type", "prefix",
    "continuation-token", "max-keys", NULL};

bool
bkp_s3_libs3_is_listing(const struct bkp_s3_request *request)
{
	return strcmp(request->method, "GET") == 0 && request->key == NULL &&
	       request->query != NULL &&
	       bkp_s3_fields_get(request->query, "list-type") != NULL;
}

static bool
is_known(const struct bkp_s3_request *request, const char *name)
{
	if (bkp_s3_libs3_is_listing(request)) {
		for (size_t i = 0; listing[i] != NULL; i++)
			if (strcmp(listing[i], name) == 0)
				return true;
		return false;
	}
	/* As many servers, it gives the whole object's answer. */
	return strcmp(request->method, "HEAD") == 0 &&
	       strcmp(name, "partNumber") == 0;
}

static int
limit_query(const struct bkp_s3_request *request, struct bkp_error *err)
{
	const struct bkp_s3_fields *query = request->query;

	for (size_t i = 0; query != NULL && i < query->count; i++) {
		const char *what = query->items[i].name;

		if (is_known(request, what))
			continue;
		for (size_t k = 0; k < sizeof(beyond) / sizeof(beyond[0]); k++)
			if (strcmp(beyond[k].query, what) == 0)
				what = beyond[k].what;
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "libs3, which signs with version 2, knows no %s", what);
	}
	return 0;
}

/* The URL is put in order by its libcurl, after it was signed. */
static bool
has_dots(const char *key)
{
	for (const char *c = key; c != NULL; c = strchr(c, '/')) {
		size_t len;

		if (*c == '/')
			c++;
		len = strcspn(c, "/");
		if ((len == 1 && c[0] == '.') ||
		    (len == 2 && c[0] == '.' && c[1] == '.'))
			return true;
	}
	return false;
}

static int
limit_key(const char *key, struct bkp_error *err)
{
	const char *why = NULL;

	if (strlen(key) > S3_MAX_KEY_SIZE)
		why = "it is longer than 1,024 bytes";
	else if (strchr(key, ' ') != NULL)
		why = "it writes a space as \"+\", which is another key";
	else if (has_dots(key))
		why = "\".\" and \"..\" between slashes are taken for folders";
	if (why == NULL)
		return 0;
	(void)bkp_fail(err, BKP_UNSUPPORTED,
	    "libs3, which signs with version 2, cannot name this key: %s", why);
	if (err != NULL)
		err->sys = 400; /* as a server that refuses the key */
	return -1;
}

int
bkp_s3_libs3_limit(const struct bkp_s3_request *request, struct bkp_error *err)
{
	int rc = limit_query(request, err);

	if (rc == 0 && request->key != NULL)
		rc = limit_key(request->key, err);
	if (rc == 0 && request->body != NULL &&
	    request->body->size > SINGLE_MAX) {
		rc = bkp_fail(err, BKP_UNSUPPORTED,
		    "libs3, which signs with version 2, sends objects in one "
		    "piece, and S3 takes no piece over 5 GiB");
		if (err != NULL)
			err->sys = 400;
	}
	if (rc < 0)
		(void)bkp_s3_fail_request(request, err);
	return rc;
}

int
bkp_s3_libs3_limit_account(const struct bkp_s3 *s3, struct bkp_error *err)
{
	const struct bkp_s3_credentials *own = &s3->credentials;

	if (own->session_token != NULL)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "libs3, which signs with version 2, knows no session "
		    "tokens: use the keys of an account of its own");
	if (strlen(own->access_key) > ACCESS_KEY_MAX)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "libs3 takes access keys up to %d bytes", ACCESS_KEY_MAX);
	if (strlen(own->secret_key) > SECRET_KEY_MAX)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "libs3 takes secret keys up to %d bytes", SECRET_KEY_MAX);
	if (strlen(s3->host) > S3_MAX_HOSTNAME_SIZE)
		return bkp_fail(err, BKP_INVALID,
		    "libs3 takes names of hosts up to %d bytes",
		    S3_MAX_HOSTNAME_SIZE);
	return 0;
}

/* A listing that libs3 asks for comes in plain XML, which has no place for
 * control characters and for what is no UTF-8: servers write U+FFFD. */
int
bkp_s3_libs3_limit_listed(const char *key, struct bkp_error *err)
{
	const char *why = NULL;

	if (strstr(key, "\xef\xbf\xbd") != NULL)
		why = "holds bytes that its listings cannot tell";
	else if (strlen(key) + 1 >= LISTED_KEY_MAX)
		why = "may be longer than what it tells of it";
	if (why == NULL)
		return 0;
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "with libs3, which signs with version 2, this bucket cannot be "
	    "listed, as the key \"%.200s\" %s",
	    key, why);
}
