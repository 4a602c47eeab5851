/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_S3_XML_H
#define LIBBACKUP_S3_XML_H

/* S3's answers: small documents without attributes worth reading. */

#include <stddef.h>

#include "libbackup/error.h"

/*
 * Called at the end of every element with its path ("ListBucketResult/
 * Contents/Key"; namespaces dropped) and the text directly inside it. Answers
 * 0, or -1 (with err set) to stop.
 */
typedef int bkp_s3_xml_fn(void *arg, const char *path, const char *text,
    size_t len, struct bkp_error *err);

/* Reads a whole document. A document type declaration, a depth beyond 16 and
 * anything that is not well-formed is BKP_CORRUPT. */
int bkp_s3_xml_read(const void *data, size_t len, bkp_s3_xml_fn *fn, void *arg,
    struct bkp_error *err);

#endif
