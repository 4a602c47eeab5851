/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libs3 and its calls. Its state is one for the process, and what begins a call
 * is not made for threads (gmtime, and names of days in the program's
 * language): calls begin one at a time, in the C locale. After that each runs
 * in its connection's own context, many at the same time.
 */
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/select.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/libs3_impl.h"

#ifdef S3_INIT_VERIFY_PEER
#define LIBS3_FLAGS (S3_INIT_ALL | S3_INIT_VERIFY_PEER)
#define IS_VERIFYING true
#else
#define LIBS3_FLAGS S3_INIT_ALL
#define IS_VERIFYING false
#endif

#define SLICE_MS 50

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static S3Status ready;
static locale_t c_locale;

static void
init(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	ready = c_locale != (locale_t)0
		    ? S3_initialize("libbackup", LIBS3_FLAGS, NULL)
		    : S3StatusOutOfMemory;
}

/* ---- may it be used ---- */

static int
check_tls(const struct bkp_s3 *s3, bool accepts, struct bkp_error *err)
{
	bool is_tls = strcmp(s3->scheme, "https://") == 0;

	if (is_tls && IS_VERIFYING && s3->ca_file != NULL)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "libs3 goes by the system's certificates alone: leave out "
		    "ca_file (AWS_CA_BUNDLE), and give the system yours");
	if (is_tls && !IS_VERIFYING && !accepts)
		return bkp_fail(err, BKP_AUTH,
		    "%s: this libs3 does not verify certificates, so anybody "
		    "in between could answer in the server's place, read and "
		    "change everything: use version 4, or a tunnel of your own "
		    "and http://, or take the risk with "
		    "\"accept_unverified_tls: true\"",
		    s3->endpoint);
	return 0;
}

bool
bkp_s3_libs3_is_built(void)
{
	return true;
}

int
bkp_s3_libs3_check(
    const struct bkp_s3 *s3, bool accepts_unverified_tls, struct bkp_error *err)
{
	(void)pthread_once(&once, init);
	if (ready != S3StatusOK)
		return bkp_fail(err, BKP_IO, "libs3 does not start: %s",
		    S3_get_status_name(ready));
	if (check_tls(s3, accepts_unverified_tls, err) < 0)
		return -1;
	return bkp_s3_libs3_limit_account(s3, err);
}

int
bkp_s3_libs3_open(
    const struct bkp_s3 *s3, struct bkp_s3_libs3 **out, struct bkp_error *err)
{
	struct bkp_s3_libs3 *libs3 = bkp_alloc(sizeof(*libs3), err);

	if (libs3 == NULL)
		return -1;
	libs3->s3 = s3;
	*out = libs3;
	return 0;
}

void
bkp_s3_libs3_close(struct bkp_s3_libs3 *libs3)
{
	if (libs3 == NULL)
		return;
	if (libs3->context != NULL)
		S3_destroy_request_context(libs3->context);
	free(libs3);
}

/* ---- callbacks ---- */

void
bkp_s3_libs3_take_end(S3Status status, const S3ErrorDetails *details, void *arg)
{
	struct libs3_call *call = arg;

	call->is_complete = true;
	call->status = status;
	if (details != NULL && details->message != NULL)
		(void)snprintf(call->message, sizeof(call->message), "%s",
		    details->message);
}

/* ---- running ---- */

static uint64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits for the other side, in slices, so that a request to stop is heard. */
static void
wait_a_little(S3RequestContext *context)
{
	fd_set readable, writable, other;
	int64_t ms;
	int top = -1;
	struct timeval slice = {0, 0};

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_ZERO(&other);
	(void)S3_get_request_context_fdsets(
	    context, &readable, &writable, &other, &top);
	ms = S3_get_request_context_timeout(context);
	if (ms < 0 || ms > SLICE_MS)
		ms = SLICE_MS;
	slice.tv_usec = (suseconds_t)ms * 1000;
	(void)select(top + 1, &readable, &writable, &other, &slice);
}

/* Ends a call before its time; that closes its socket. */
static void
give_up(struct libs3_call *call)
{
	struct bkp_s3_libs3 *libs3 = call->connection->libs3;

	S3_destroy_request_context(libs3->context);
	libs3->context = NULL;
}

/* libs3 knows no limit for what does not even connect, and its own for what
 * stalls (below 1 KiB/s for 15 s) is not ours. */
static void
run(struct libs3_call *call)
{
	struct bkp_s3_connection *connection = call->connection;
	S3RequestContext *context = connection->libs3->context;
	const uint64_t patience =
	    (uint64_t)bkp_s3_patience_s(connection->s3) * 1000;
	uint64_t progress = 0, since = now_ms();
	int left;

	while (!call->is_complete) {
		if (S3_runonce_request_context(context, &left) != S3StatusOK)
			break;
		if (call->is_complete)
			return;
		if (progress != call->sent + call->received) {
			progress = call->sent + call->received;
			since = now_ms();
		}
		if (bkp_cancel_is_requested(connection->cancel)) {
			(void)bkp_fail(
			    &call->error, BKP_CANCELLED, "stopped on request");
			break;
		}
		if (now_ms() - since > patience) {
			call->response->is_timeout = true;
			break;
		}
		wait_a_little(context);
	}
	if (!call->is_complete) {
		give_up(call);
		call->status = S3StatusConnectionFailed;
	}
}

static int
make_context(struct bkp_s3_libs3 *libs3, struct bkp_error *err)
{
	if (libs3->context != NULL ||
	    S3_create_request_context(&libs3->context) == S3StatusOK)
		return 0;
	libs3->context = NULL;
	return bkp_fail_nomem(err, "connecting to S3");
}

enum bkp_s3_end
bkp_s3_libs3_call(
    struct libs3_call *call, libs3_start_fn *start, struct bkp_error *err)
{
	const struct bkp_s3 *s3 = call->connection->s3;
	const S3BucketContext bucket = {
	    .hostName = s3->host,
	    .bucketName = call->request->bucket,
	    .protocol = strcmp(s3->scheme, "https://") == 0 ? S3ProtocolHTTPS
							    : S3ProtocolHTTP,
	    .uriStyle =
		s3->is_virtual_host ? S3UriStyleVirtualHost : S3UriStylePath,
	    .accessKeyId = s3->credentials.access_key,
	    .secretAccessKey = s3->credentials.secret_key,
	};
	locale_t before;

	if (make_context(call->connection->libs3, err) < 0)
		return BKP_S3_FAILED;
	call->is_complete = false;
	call->message[0] = '\0';
	call->sent = call->received = call->announced = 0;
	(void)pthread_mutex_lock(&start_lock);
	before = uselocale(c_locale);
	start(call, &bucket);
	(void)uselocale(before);
	(void)pthread_mutex_unlock(&start_lock);
	run(call);
	if (call->error.code != BKP_OK) {
		if (err != NULL)
			*err = call->error;
		return BKP_S3_FAILED;
	}
	return call->status == S3StatusOK ? BKP_S3_DONE
					  : bkp_s3_libs3_judge(call, err);
}
