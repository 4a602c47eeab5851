/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CURL_START_H
#define LIBBACKUP_BASE_CURL_START_H

#include "libbackup/error.h"

/* Starts libcurl, once for the whole process. Any thread. */
int bkp_curl_start(struct bkp_error *err);

#endif
