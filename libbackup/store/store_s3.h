/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_STORE_STORE_S3_H
#define LIBBACKUP_STORE_STORE_S3_H

/*
 * Objects in a bucket, below a prefix: s3://bucket/prefix holds "config" as
 * the key "prefix/config". The contract is store.h's; what it rests on here:
 *
 *   put       is one signed PUT with Content-MD5, so the server proves what
 *             it stores; S3 shows an object when it is whole and durable, and
 *             not before. A PUT whose answer was lost is sent again, with the
 *             same bytes.
 *   put_new   trusts no conditional PUT, which servers ignore without a word:
 *             whoever wants a name announces it first ("tmp-new-..."), looks
 *             who else did, looks for the name, puts with If-None-Match, and
 *             reads back. Of two at the same time at most one succeeds.
 *   get       of a whole object is held against the SHA-256 that is its name
 *             and the MD5 that is its ETag, and read again where it does not
 *             fit: what was damaged on its way comes right, what is damaged
 *             in the bucket comes as it is, for others to judge.
 *   list      is the client's (s3/s3.h): strictly sorted, counted, complete or
 *             an error. AWS, MinIO, Ceph, SeaweedFS, Garage and versitygw list
 *             whatever was put before.
 *   stat      HEAD tells seconds where listings may tell more, so the listing
 *             is cut to seconds: both tell the same time, and what was put
 *             later never has the earlier one.
 *   remove    looks first, as DELETE answers 204 whether or not there was
 *             anything. Of two who remove at the same time both may be told
 *             that they did; neither is told so of what was never there.
 *
 * Errors of the server are BKP_IO, or AUTH where it refuses us: the other
 * codes say something about the repository above.
 */

#include "libbackup/base/config_impl.h"
#include "libbackup/store/store.h"

/* storage (borrowed for the call, but for its `cancel`): endpoint and
 * credentials; NULL: the environment and ~/.aws. The bucket must exist. */
int bkp_store_s3_open(const char *location,
    const struct bkp_storage_config *storage, enum bkp_store_mode mode,
    struct bkp_store **out, struct bkp_error *err);

#endif
