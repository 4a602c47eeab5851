/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/request.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"

#define BACKOFF_MAX_MS 20000u
#define RETRY_AFTER_MAX_S 120u
#define WAIT_SLICE_MS 50u
#define FIRST_TRIES 2u /* where nobody has answered yet */

void
bkp_s3_response_free(struct bkp_s3_response *response)
{
	bkp_s3_fields_free(&response->headers);
	fmt_buf_free(&response->body);
	response->status = 0;
	response->failed = 0;
	response->is_timeout = false;
}

/* ---- waiting ---- */

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Sleeps in slices, so that a request to stop is heard. */
static int
sleep_ms(
    struct bkp_s3_connection *connection, uint64_t ms, struct bkp_error *err)
{
	uint64_t end = now_ms() + ms, now;

	while ((now = now_ms()) < end) {
		uint64_t left = end - now;
		struct timespec slice = {0, 0};

		if (bkp_cancel_is_requested(connection->cancel))
			return bkp_fail(
			    err, BKP_CANCELLED, "stopped on request");
		if (left > WAIT_SLICE_MS)
			left = WAIT_SLICE_MS;
		slice.tv_nsec = (long)left * 1000000;
		(void)nanosleep(&slice, NULL);
	}
	return 0;
}

/* Seconds, or a date, which is of the server's clock as Date is. */
static uint64_t
retry_after_s(const struct bkp_s3_response *response)
{
	const char *after =
	    bkp_s3_fields_get(&response->headers, "retry-after");
	const char *date = bkp_s3_fields_get(&response->headers, "date");
	time_t now, then;
	uint64_t seconds;

	if (after == NULL)
		return 0;
	if (isdigit((unsigned char)*after)) {
		seconds = strtoull(after, NULL, 10);
	} else {
		then = curl_getdate(after, NULL);
		now = date != NULL ? curl_getdate(date, NULL) : time(NULL);
		seconds = then > now ? (uint64_t)(then - now) : 0;
	}
	return seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S;
}

/* Full jitter: anything between nothing and the limit, so that clients that
 * failed together do not come back together. A server's Retry-After is a
 * lower bound. */
static uint64_t
wait_ms(struct bkp_s3_connection *connection, unsigned failed,
    const struct bkp_s3_response *response)
{
	uint64_t limit = connection->s3->backoff_ms;

	for (unsigned i = 1; i < failed && limit < BACKOFF_MAX_MS; i++)
		limit *= 2;
	if (limit > BACKOFF_MAX_MS)
		limit = BACKOFF_MAX_MS;
	return (uint64_t)rand_r(&connection->random) % (limit + 1) +
	       retry_after_s(response) * 1000;
}

/* Takes the server's clock over; false where it did not tell. */
static bool
take_clock(struct bkp_s3 *s3, const struct bkp_s3_response *response)
{
	const char *date = bkp_s3_fields_get(&response->headers, "date");
	time_t server = date != NULL ? curl_getdate(date, NULL) : -1;

	if (server == -1)
		return false;
	atomic_store(
	    &s3->clock_offset, (long long)server - (long long)time(NULL));
	return true;
}

/* One that never said a word is not worth the patience that one has earned who
 * falls silent in the middle of work: others may be waiting. */
static bool
is_mute(const struct bkp_s3 *s3, const struct bkp_s3_tries *tries,
    const struct bkp_s3_response *response)
{
	return s3->first_s > 0 && response->is_timeout &&
	       !atomic_load(&s3->has_answered) && tries->silent >= FIRST_TRIES;
}

int
bkp_s3_after(struct bkp_s3_connection *connection, struct bkp_s3_tries *tries,
    enum bkp_s3_end end, const struct bkp_s3_response *response,
    struct bkp_error *err)
{
	switch (end) {
	case BKP_S3_DONE:
		return 0;
	case BKP_S3_FAILED:
		return -1;
	case BKP_S3_CLOCK:
		if (tries->is_clock_set ||
		    !take_clock(connection->s3, response))
			return -1;
		tries->is_clock_set = true;
		return 1;
	case BKP_S3_AGAIN:
		break;
	}
	tries->silent += response->is_timeout;
	if (++tries->failed >= connection->s3->tries ||
	    is_mute(connection->s3, tries, response))
		return -1;
	if (sleep_ms(connection, wait_ms(connection, tries->failed, response),
		err) < 0)
		return -1;
	return 1;
}

int
bkp_s3_ask(struct bkp_s3_connection *connection,
    const struct bkp_s3_request *request, struct bkp_s3_response *response,
    struct bkp_error *err)
{
	struct bkp_s3_tries tries = {.failed = 0};
	int rc;

	do {
		enum bkp_s3_end end =
		    bkp_s3_try(connection, request, response, err);

		response->failed = tries.failed;
		rc = bkp_s3_after(connection, &tries, end, response, err);
	} while (rc == 1);
	return rc;
}

int
bkp_s3_copy_etag(const struct bkp_s3_response *response, struct fmt_buf *etag,
    struct bkp_error *err)
{
	const char *text = bkp_s3_fields_get(&response->headers, "etag");
	size_t len;

	if (etag == NULL)
		return 0;
	if (text == NULL)
		text = "";
	len = strlen(text);
	if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
		text++;
		len -= 2;
	}
	fmt_buf_clear(etag);
	if (fmt_buf_append(etag, text, len) != FMT_OK ||
	    fmt_buf_text(etag) == NULL)
		return bkp_fail_nomem(err, "reading an answer");
	return 0;
}
