/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ERROR_H
#define LIBBACKUP_ERROR_H

/*
 * Errors. A fallible call returns 0 or -1 (or a pointer or NULL) and takes a
 * caller-owned `struct bkp_error *` last, which may be NULL. The code says
 * what the caller can do, the message tells the story: what was being done, to
 * what, what went wrong, and where it helps what to do next. Success leaves
 * the struct alone; failure leaves other outputs alone.
 */

#ifdef __cplusplus
extern "C" {
#endif

enum bkp_error_code {
	BKP_OK = 0,
	BKP_NOMEM,	 /* out of memory */
	BKP_IO,		 /* a system or server refused; `sys` may say why */
	BKP_NOTFOUND,	 /* the thing named does not exist */
	BKP_EXISTS,	 /* the thing named exists already */
	BKP_CORRUPT,	 /* stored bytes are not what was stored */
	BKP_AUTH,	 /* wrong key, password, or permission missing */
	BKP_RETRY,	 /* may go through when tried again later */
	BKP_CANCELLED,	 /* the caller asked to stop */
	BKP_UNSUPPORTED, /* well-formed, but not something this build can do */
	BKP_INVALID	 /* the request or the configuration is wrong */
};

#define BKP_ERROR_MESSAGE 504

struct bkp_error {
	int code;			 /* enum bkp_error_code */
	int sys;			 /* errno or HTTP status, or 0 */
	char message[BKP_ERROR_MESSAGE]; /* one line, no newline at the end */
};

#define BKP_ERROR_INIT {0, 0, {0}}

#ifdef __cplusplus
}
#endif

#endif
