/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/load_files.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"

/* Up to this an object is one request; beyond it, parts of at least so many
 * bytes, for there may be no more than 10,000. */
#define PART ((uint64_t)8 * 1024 * 1024)
#define PARTS_MAX 9000u

struct bucket {
	const struct bkp_load_bucket *from; /* borrowed */
	struct bkp_bucket_access access;
};

/* An object that was put. */
struct put {
	const struct bucket *bucket;
	const char *key; /* borrowed from the export */
};

struct bkp_load_files {
	struct bkp_unpack *unpack; /* borrowed; so below */
	struct bkp_run *run;
	struct bucket *buckets;
	size_t bucket_count;
	struct put *put;
	size_t count, cap;
	bool is_kept;
};

/* ---- where to ---- */

static const struct bucket *
find_bucket(const struct bkp_load_files *files, const char *name)
{
	const struct bucket *any = NULL;

	for (size_t i = 0; i < files->bucket_count; i++) {
		const char *its = files->buckets[i].from->name;

		if (its == NULL)
			any = &files->buckets[i];
		else if (strcmp(its, name) == 0)
			return &files->buckets[i];
	}
	return any;
}

static int
open_buckets(struct bkp_load_files *files,
    const struct bkp_load_bucket *buckets, size_t count, struct bkp_error *err)
{
	files->buckets =
	    bkp_alloc_array(count + 1, sizeof(*files->buckets), err);
	if (files->buckets == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		files->buckets[i].from = &buckets[i];
		if (bkp_bucket_access_open(&files->buckets[i].access,
			buckets[i].config, files->run, err) < 0)
			return -1;
		files->bucket_count++;
	}
	return 0;
}

/* ---- looking ---- */

static int
look_at(struct bkp_load_files *files, const struct bkp_unpack_file *file,
    struct bkp_error *err)
{
	const struct bucket *bucket = find_bucket(files, file->bucket);
	const struct bkp_bucket_config *config;
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc;

	if (bucket == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "the export has files of a bucket '%s', and no place is "
		    "named for them; give --files-to %s=bucket/NAME",
		    file->bucket, file->bucket);
	config = bucket->from->config;
	if (config->prefix != NULL &&
	    strncmp(file->key, config->prefix, strlen(config->prefix)) != 0)
		return bkp_fail(err, BKP_INVALID,
		    "the key '%s' is not below the prefix '%s' that the "
		    "configuration gives the bucket",
		    file->key, config->prefix);
	rc = bkp_s3_head(bucket->access.own, config->bucket, file->key, 0,
	    &headers, &problem);
	bkp_s3_fields_free(&headers);
	if (rc == 0)
		return bkp_fail(err, BKP_EXISTS,
		    "the bucket %s has an object '%s' already, and it is not "
		    "replaced",
		    config->bucket, file->key);
	if (problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

/* ---- putting ---- */

static int
read_spool(struct bkp_load_files *files, size_t len, struct fmt_buf *out,
    struct bkp_error *err)
{
	fmt_buf_clear(out);
	if (bkp_run_check(files->run, err) < 0 ||
	    bkp_spool_read(files->unpack->files, len, out, err) < 0)
		return -1;
	bkp_run_count(files->run, len, 0);
	bkp_run_tick(files->run);
	return 0;
}

static struct bkp_s3_body
body_of(const struct fmt_buf *bytes)
{
	return (struct bkp_s3_body){
	    .data = bytes->len > 0 ? (const void *)bytes->data : "",
	    .size = bytes->len,
	};
}

static int
put_parts(struct bkp_load_files *files, struct bkp_s3_upload *upload,
    uint64_t size, struct fmt_buf *room, struct bkp_error *err)
{
	uint64_t part =
	    size / PARTS_MAX + 1 > PART ? size / PARTS_MAX + 1 : PART;

	while (size > 0) {
		uint64_t here = size < part ? size : part;
		struct bkp_s3_body body;

		if (read_spool(files, (size_t)here, room, err) < 0)
			return -1;
		body = body_of(room);
		if (bkp_s3_upload_part(upload, &body, err) < 0)
			return -1;
		size -= here;
	}
	return bkp_s3_upload_complete(upload, NULL, err);
}

static int
put_bytes(struct bkp_load_files *files, const struct bucket *bucket,
    const struct bkp_unpack_file *file, uint64_t size,
    const struct bkp_s3_fields *headers, struct bkp_error *err)
{
	const char *name = bucket->from->config->bucket;
	struct fmt_buf room = FMT_BUF_SECRET_INIT;
	struct bkp_s3_upload *upload = NULL;
	struct bkp_s3_body body;
	int rc = -1;

	if (size <= PART) {
		if (read_spool(files, (size_t)size, &room, err) == 0) {
			body = body_of(&room);
			rc = bkp_s3_put(bucket->access.own, name, file->key,
			    headers, &body, NULL, NULL, err);
		}
	} else if (bkp_s3_upload_begin(bucket->access.own, name, file->key,
		       headers, &upload, err) == 0) {
		rc = put_parts(files, upload, size, &room, err);
	}
	bkp_s3_upload_end(upload);
	fmt_buf_free(&room);
	return rc;
}

static int
put_file(struct bkp_load_files *files, const struct bkp_unpack_file *file,
    uint64_t size, struct bkp_error *err)
{
	const struct bucket *bucket = find_bucket(files, file->bucket);
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	int rc = 0;

	if (bkp_grow(&files->put, files->count, &files->cap,
		sizeof(*files->put), err) < 0)
		return -1;
	if (file->type != NULL)
		rc = bkp_s3_fields_add(
		    &headers, "content-type", file->type, err);
	if (rc == 0)
		rc = put_bytes(files, bucket, file, size, &headers, err);
	bkp_s3_fields_free(&headers);
	if (rc < 0)
		return -1;
	files->put[files->count++] = (struct put){bucket, file->key};
	bkp_run_count(files->run, 0, 1);
	return 0;
}

static int
put_all(struct bkp_load_files *files, struct bkp_error *err)
{
	const struct bkp_unpack *unpack = files->unpack;

	bkp_run_phase(files->run, bkp_spool_size(unpack->files),
	    unpack->object_count, "putting files into buckets");
	for (size_t i = 0; i < unpack->object_count; i++)
		if (look_at(files, &unpack->objects[i], err) < 0)
			return -1;
	for (size_t i = 0; i < unpack->count; i++) {
		const struct bkp_unpack_member *member = &unpack->members[i];
		const struct bkp_unpack_file *file;

		if (member->place != BKP_UNPACK_FILES)
			continue;
		file = bkp_unpack_object(unpack, member->name);
		if (put_file(files, file, member->size, err) < 0)
			return bkp_fail_in(err, "%s", member->name);
	}
	return 0;
}

/* ---- all of it ---- */

int
bkp_load_files_run(struct bkp_unpack *unpack,
    const struct bkp_load_bucket *buckets, size_t count, struct bkp_run *run,
    struct bkp_load_files **out, struct bkp_error *err)
{
	struct bkp_load_files *files = bkp_alloc(sizeof(*files), err);

	if (files == NULL)
		return -1;
	files->unpack = unpack;
	files->run = run;
	if (open_buckets(files, buckets, count, err) < 0 ||
	    put_all(files, err) < 0) {
		bkp_load_files_free(files);
		return -1;
	}
	*out = files;
	return 0;
}

uint64_t
bkp_load_files_count(const struct bkp_load_files *files)
{
	return files->count;
}

void
bkp_load_files_keep(struct bkp_load_files *files)
{
	files->is_kept = true;
}

/* By a connection of its own: the others may have been told to stop. What
 * cannot be removed is told by name. */
static void
take_back(struct bkp_load_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct bucket *bucket = files->put[i].bucket;
		const char *name = bucket->from->config->bucket;
		struct bkp_s3_connection *connection = NULL;
		struct bkp_error problem = BKP_ERROR_INIT;

		if (bkp_s3_connect(
			bucket->access.s3, NULL, &connection, &problem) < 0 ||
		    bkp_s3_delete(
			connection, name, files->put[i].key, &problem) < 0)
			bkp_run_message(files->run, BKP_WARNING, NULL,
			    "'%s' was put into the bucket %s and could not be "
			    "removed again: %s",
			    files->put[i].key, name, problem.message);
		bkp_s3_disconnect(connection);
	}
}

void
bkp_load_files_free(struct bkp_load_files *files)
{
	if (files == NULL)
		return;
	if (!files->is_kept)
		take_back(files);
	for (size_t i = 0; i < files->bucket_count; i++)
		bkp_bucket_access_close(&files->buckets[i].access);
	free(files->buckets);
	free(files->put);
	free(files);
}
