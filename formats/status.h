/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_STATUS_H
#define FORMATS_STATUS_H

/*
 * What a codec answers. A codec never prints and keeps no message: the caller
 * knows the name of the thing and says it (bkp_fail_format in libbackup/base).
 */
enum fmt_status {
	FMT_OK = 0,
	FMT_NOMEM,	 /* allocation failed; nothing else is wrong */
	FMT_MALFORMED,	 /* the bytes break the format */
	FMT_TRUNCATED,	 /* the bytes end before the format says so */
	FMT_UNSUPPORTED, /* well-formed, but of a version or kind unknown here */
	FMT_AUTH,	 /* a MAC, tag or signature does not fit */
	FMT_NOMATCH,	 /* no key given opens it */
	FMT_LIMIT,	 /* a length or cost is beyond what is accepted */
	FMT_CRYPTO	 /* the cryptographic library refused */
};

/* A short English phrase for a status; static storage. */
const char *fmt_status_text(enum fmt_status status);

#endif
