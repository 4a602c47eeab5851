/* SPDX-License-Identifier: Apache-2.0 */
/* Pings, and what pings and webhooks share: one POST. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "libbackup/base/curl_start.h"
#include "libbackup/base/fail.h"
#include "libbackup/jobs/notify.h"

#define TRIES 3
#define PAUSE_MS 500
#define BODY_MAX ((size_t)10000) /* what services of this kind keep */

/* ---- one try ---- */

static size_t
ignore(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	(void)arg;
	return size * count;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return bkp_cancel_is_requested(arg) ? 1 : 0;
}

/* Whether another try may find things changed. */
static bool
may_pass(CURLcode code, long status)
{
	switch (code) {
	case CURLE_OK:
		return status == 408 || status == 429 || status >= 500;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_URL_MALFORMAT:
	case CURLE_ABORTED_BY_CALLBACK:
		return false;
	default:
		return true;
	}
}

static int
fail_code(CURLcode code, const char *detail, struct bkp_error *err)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return bkp_fail(err, BKP_AUTH,
		    "its certificate is not trusted (%s); where it is of an "
		    "authority of one's own, name that with 'ca_file'",
		    detail);
	case CURLE_ABORTED_BY_CALLBACK:
		return bkp_fail(err, BKP_CANCELLED, "cancelled");
	case CURLE_OUT_OF_MEMORY:
		return bkp_fail_nomem(err, "telling of a run");
	default:
		return bkp_fail(err, BKP_IO, "%s", detail);
	}
}

static int
fail_status(long status, struct bkp_error *err)
{
	if (status >= 300 && status < 400)
		return bkp_fail(err, BKP_IO,
		    "it answers that it has moved (status %ld); configure the "
		    "new address",
		    status);
	return bkp_fail(err, BKP_IO, "it answers with status %ld%s", status,
	    status == 401 || status == 403
		? ": the address or its 'headers_file' is not accepted"
	    : status == 404 ? ": there is no such address there"
			    : "");
}

static void
set_options(CURL *curl, const struct bkp_post *post, struct curl_slist *headers,
    char *detail)
{
	curl_easy_setopt(curl, CURLOPT_URL, post->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
	curl_easy_setopt(
	    curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->len);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "libbackup");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)post->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
	if (post->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, post->ca_file);
	if (post->cancel == NULL)
		return;
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, post->cancel);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static int
try_once(const struct bkp_post *post, struct curl_slist *headers,
    bool *may_try_again, struct bkp_error *err)
{
	char detail[CURL_ERROR_SIZE] = "";
	CURL *curl = curl_easy_init();
	long status = 0;
	CURLcode code;

	if (curl == NULL)
		return bkp_fail_nomem(err, "telling of a run");
	set_options(curl, post, headers, detail);
	code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	*may_try_again = may_pass(code, status);
	if (code != CURLE_OK)
		return fail_code(code,
		    detail[0] != '\0' ? detail : curl_easy_strerror(code), err);
	return status >= 200 && status < 300 ? 0 : fail_status(status, err);
}

/* ---- headers ---- */

static int
add_header(struct curl_slist **list, const char *line, struct bkp_error *err)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer == NULL)
		return bkp_fail_nomem(err, "telling of a run");
	*list = longer;
	return 0;
}

static int
add_headers(struct curl_slist **list, const char *lines, struct bkp_error *err)
{
	while (lines != NULL && *lines != '\0') {
		size_t len = strcspn(lines, "\n");
		char *line = strndup(lines, len);
		int rc = 0;

		if (line == NULL)
			return bkp_fail_nomem(err, "telling of a run");
		if (len > 0)
			rc = add_header(list, line, err);
		bkp_secret_free(line);
		if (rc < 0)
			return -1;
		lines += len + (lines[len] == '\n' ? 1 : 0);
	}
	return 0;
}

static int
make_headers(const struct bkp_post *post, struct curl_slist **list,
    struct bkp_error *err)
{
	char type[128];

	(void)snprintf(type, sizeof(type), "Content-Type: %s", post->type);
	/* A server that does not answer "100 Continue" is not waited for. */
	if (add_header(list, type, err) < 0 ||
	    add_header(list, "Expect:", err) < 0 ||
	    add_headers(list, post->headers, err) < 0)
		return -1;
	return add_headers(list, post->more, err);
}

/* ---- tries ---- */

/* A second, or two before the third try, and a part more: those whom the same
 * fault hit do not all come back at once. */
static void
wait_before(unsigned attempt)
{
	unsigned random = 0;
	struct timespec pause;
	unsigned ms;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = attempt;
	ms = PAUSE_MS * attempt + random % (PAUSE_MS * attempt);
	pause.tv_sec = ms / 1000;
	pause.tv_nsec = (long)(ms % 1000) * 1000000;
	(void)nanosleep(&pause, NULL);
}

/* "https://hc.example.org": what may be told of an address. */
static void
tell_host(const char *url, struct bkp_error *err)
{
	CURLU *parts = curl_url();
	char *host = NULL;

	if (parts != NULL &&
	    curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK)
		(void)curl_url_get(parts, CURLUPART_HOST, &host, 0);
	(void)bkp_fail_in(err, "%s", host != NULL ? host : "its server");
	curl_free(host);
	curl_url_cleanup(parts);
}

int
bkp_post(const struct bkp_post *post, struct bkp_error *err)
{
	struct bkp_error error = BKP_ERROR_INIT;
	struct curl_slist *headers = NULL;
	bool may_try_again = true;
	int rc = -1;

	if (bkp_curl_start(err) < 0)
		return -1;
	if (make_headers(post, &headers, err) < 0) {
		curl_slist_free_all(headers);
		return -1;
	}
	for (unsigned i = 0; rc < 0 && may_try_again && i < TRIES; i++) {
		if (i > 0)
			wait_before(i);
		rc = try_once(post, headers, &may_try_again, &error);
	}
	curl_slist_free_all(headers);
	if (rc == 0)
		return 0;
	tell_host(post->url, &error);
	if (err != NULL)
		*err = error;
	return -1;
}

/* ---- pings ---- */

/* "/start", "/fail", "/3" or nothing; "/log" changes nothing there. */
static void
word_of(const struct bkp_notification_config *config,
    const struct bkp_told *told, char word[16])
{
	const struct bkp_job_report *report = told->report;
	int status = report->exit_status;

	word[0] = '\0';
	if (told->is_test)
		(void)snprintf(word, 16, "/log");
	else if (report->state == BKP_JOB_RUNNING)
		(void)snprintf(word, 16, "/start");
	else if (config->has_exit_status && status >= 0 && status <= 255)
		(void)snprintf(word, 16, "/%d", status);
	else if (report->state != BKP_JOB_COMPLETE)
		(void)snprintf(word, 16, "/fail");
}

/* The word goes behind the path, where that ends; a query stays. */
static char *
make_url(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct bkp_error *err)
{
	const struct bkp_notice *notice = told->notice;
	size_t path = strcspn(config->ping, "?#"), cut = path;
	const char *query = config->ping + path;
	int query_len = (int)strcspn(query, "#");
	char word[16];

	word_of(config, told, word);
	while (word[0] != '\0' && cut > 0 && config->ping[cut - 1] == '/')
		cut--;
	if (notice->run_id == NULL)
		return bkp_format(err, "%.*s%s%.*s", (int)cut, config->ping,
		    word, query_len, query);
	return bkp_format(err, "%.*s%s%.*s%srid=%s", (int)cut, config->ping,
	    word, query_len, query, query_len > 0 ? "&" : "?", notice->run_id);
}

int
bkp_notify_ping(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct bkp_error *err)
{
	struct fmt_buf body = FMT_BUF_INIT;
	struct bkp_post post = {.type = "text/plain; charset=utf-8",
	    .ca_file = config->ca_file,
	    .timeout_ms = config->timeout_ms,
	    .cancel = told->cancel};
	char *url;
	int rc = -1;

	if ((url = make_url(config, told, err)) == NULL)
		return -1;
	if (bkp_notice_text(told, BODY_MAX, &body, err) == 0) {
		post.url = url;
		post.body = body.data;
		post.len = body.len;
		rc = bkp_post(&post, err);
	}
	fmt_buf_free(&body);
	bkp_secret_free(url);
	return rc;
}
