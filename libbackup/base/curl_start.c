/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/curl_start.h"

#include <curl/curl.h>
#include <pthread.h>

#include "libbackup/base/fail.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode result;

static void
start(void)
{
	result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int
bkp_curl_start(struct bkp_error *err)
{
	(void)pthread_once(&once, start);
	if (result == CURLE_OK)
		return 0;
	return bkp_fail(err, BKP_IO, "libcurl does not start: %s",
	    curl_easy_strerror(result));
}
