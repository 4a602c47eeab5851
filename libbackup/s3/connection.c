/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/curl_start.h"
#include "libbackup/base/fail.h"
#include "libbackup/s3/libs3.h"
#include "libbackup/s3/request.h"

#define TRIES 6
#define BACKOFF_MS 200
#define CONNECT_MS 10000
#define STALL_S 60
#define CONCURRENCY 64

/* Cuts "https://host:port/" into what requests need. */
static int
split_endpoint(struct bkp_s3 *s3, struct bkp_error *err)
{
	const char *host, *default_port;
	size_t len;

	if (strncasecmp(s3->endpoint, "http://", 7) == 0) {
		s3->scheme = bkp_strdup("http://", err);
		default_port = ":80";
	} else if (strncasecmp(s3->endpoint, "https://", 8) == 0) {
		s3->scheme = bkp_strdup("https://", err);
		default_port = ":443";
	} else {
		return bkp_fail(err, BKP_INVALID,
		    "the S3 endpoint \"%s\" is not a URL: write "
		    "\"https://host\" or \"http://host:port\"",
		    s3->endpoint);
	}
	if (s3->scheme == NULL)
		return -1;
	len = strlen(s3->endpoint);
	while (len > 0 && s3->endpoint[len - 1] == '/')
		s3->endpoint[--len] = '\0';
	host = s3->endpoint + strlen(s3->scheme);
	if (len <= strlen(s3->scheme) || strpbrk(host, "/?#@ ") != NULL)
		return bkp_fail(err, BKP_INVALID,
		    "the S3 endpoint \"%s\" must be a scheme and a host, "
		    "without a path or a user name",
		    s3->endpoint);
	len = strlen(host);
	if (len > strlen(default_port) &&
	    strcmp(host + len - strlen(default_port), default_port) == 0)
		len -= strlen(default_port);
	if ((s3->host = strndup(host, len)) == NULL)
		return bkp_fail_nomem(err, "reading the S3 endpoint");
	return 0;
}

static int
choose_endpoint(struct bkp_s3 *s3, struct bkp_error *err)
{
	if (s3->credentials.endpoint != NULL)
		s3->endpoint = bkp_strdup(s3->credentials.endpoint, err);
	else
		s3->endpoint = bkp_format(
		    err, "https://s3.%s.amazonaws.com", s3->credentials.region);
	return s3->endpoint != NULL ? split_endpoint(s3, err) : -1;
}

static int
choose_ca_file(struct bkp_s3 *s3, const char *ca_file, struct bkp_error *err)
{
	if (ca_file == NULL)
		ca_file = getenv("AWS_CA_BUNDLE");
	if (ca_file == NULL || *ca_file == '\0')
		return 0;
	s3->ca_file = bkp_strdup(ca_file, err);
	return s3->ca_file != NULL ? 0 : -1;
}

static unsigned
or_default(unsigned value, unsigned otherwise)
{
	return value != 0 ? value : otherwise;
}

struct bkp_s3_options
bkp_s3_options_of(const struct bkp_bucket_config *config)
{
	return (struct bkp_s3_options){
	    .endpoint = config->endpoint,
	    .region = config->region,
	    .access_key = config->access_key,
	    .secret_key = config->secret_key,
	    .session_token = config->session_token,
	    .profile = config->profile,
	    .ca_file = config->ca_file,
	    .is_virtual_host = config->is_virtual_host,
	    .is_v2 = config->is_v2,
	    .accepts_unverified_tls = config->accepts_unverified_tls,
	    .limits = config->limits,
	};
}

int
bkp_s3_new(const struct bkp_s3_options *options, struct bkp_s3 **out,
    struct bkp_error *err)
{
	const struct bkp_s3_given given = {
	    .access_key = options->access_key,
	    .secret_key = options->secret_key,
	    .session_token = options->session_token,
	    .profile = options->profile,
	    .region = options->region,
	    .endpoint = options->endpoint,
	};
	struct bkp_s3 *s3;

	if (bkp_curl_start(err) < 0 ||
	    (s3 = bkp_alloc(sizeof(*s3), err)) == NULL)
		return -1;
	bkp_s3_limiter_init(
	    &s3->limiter, or_default(options->concurrency, CONCURRENCY));
	s3->is_virtual_host = options->is_virtual_host;
	s3->is_v2 = options->is_v2;
	s3->limits = options->limits;
	s3->tries = or_default(options->tries, TRIES);
	s3->backoff_ms = or_default(options->backoff_ms, BACKOFF_MS);
	s3->connect_ms = or_default(options->connect_ms, CONNECT_MS);
	s3->stall_s = or_default(options->stall_s, STALL_S);
	s3->first_s = options->first_s;
	if (bkp_s3_credentials_load(&given, &s3->credentials, err) < 0 ||
	    choose_endpoint(s3, err) < 0 ||
	    choose_ca_file(s3, options->ca_file, err) < 0 ||
	    (s3->is_v2 && bkp_s3_libs3_check(
			      s3, options->accepts_unverified_tls, err) < 0)) {
		bkp_s3_free(s3);
		return -1;
	}
	*out = s3;
	return 0;
}

void
bkp_s3_free(struct bkp_s3 *s3)
{
	if (s3 == NULL)
		return;
	bkp_s3_credentials_free(&s3->credentials);
	free(s3->endpoint);
	free(s3->scheme);
	free(s3->host);
	free(s3->ca_file);
	bkp_s3_limiter_destroy(&s3->limiter);
	free(s3);
}

const char *
bkp_s3_endpoint(const struct bkp_s3 *s3)
{
	return s3->endpoint;
}

int64_t
bkp_s3_clock_offset(const struct bkp_s3 *s3)
{
	return atomic_load(&s3->clock_offset);
}

unsigned
bkp_s3_concurrency(struct bkp_s3 *s3)
{
	return bkp_s3_limiter_limit(&s3->limiter);
}

int
bkp_s3_connect(struct bkp_s3 *s3, const struct bkp_cancel *cancel,
    struct bkp_s3_connection **out, struct bkp_error *err)
{
	struct bkp_s3_connection *connection =
	    bkp_alloc(sizeof(*connection), err);

	if (connection == NULL)
		return -1;
	connection->s3 = s3;
	connection->cancel = cancel;
	if ((connection->curl = curl_easy_init()) == NULL) {
		free(connection);
		return bkp_fail_nomem(err, "connecting to S3");
	}
	if (s3->is_v2 && bkp_s3_libs3_open(s3, &connection->libs3, err) < 0) {
		bkp_s3_disconnect(connection);
		return -1;
	}
	/* The jitter needs to differ, not to be secret. */
	if (getrandom(&connection->random, sizeof(connection->random),
		GRND_NONBLOCK) < 0)
		connection->random = (unsigned)(uintptr_t)connection;
	*out = connection;
	return 0;
}

void
bkp_s3_disconnect(struct bkp_s3_connection *connection)
{
	if (connection == NULL)
		return;
	bkp_s3_libs3_close(connection->libs3);
	curl_easy_cleanup(connection->curl);
	free(connection);
}
