/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive into a bucket, as one object or in parts of so many bytes. Each
 * is a multipart upload, which S3 shows to nobody before it is completed; all
 * of them are completed at the end, the last one last, so that where it is
 * there all are, and what is not completed is aborted.
 *
 * What is sent at a time grows with its number, so that 10,000 times hold 5
 * TiB. Memory: one of these, 16 MiB at first and 1 GiB at the very end of the
 * largest object that S3 takes.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/archive/bucket_input.h"
#include "libbackup/archive/output.h"
#include "libbackup/archive/parts.h"
#include "libbackup/base/fail.h"
#include "libbackup/s3/s3.h"

#define FIRST_BLOCK ((size_t)16 * 1024 * 1024)
#define LAST_BLOCK ((size_t)1024 * 1024 * 1024)

/* After so many blocks of one size the next are larger: 1000 x 16 MiB, then
 * 1000 x 32 MiB ... is over 5 TiB before the 10,000th. */
#define STEP 1000

struct object {
	char *key;                    /* owned */
	struct bkp_s3_upload *upload; /* owned */
	bool is_complete;
};

struct objects {
	struct bkp_archive_output base;
	struct bkp_s3 *s3;                    /* owned */
	struct bkp_s3_connection *connection; /* owned */
	char *bucket, *key;                   /* owned */
	uint64_t split, room; /* room: left in the last object */
	int digits;
	bool is_committed;
	struct fmt_buf block;
	size_t sent; /* blocks of the last object */
	struct object *items;
	size_t count, cap;
};

/* ---- the object at hand ---- */

static size_t
block_size(const struct objects *objects)
{
	size_t doublings = objects->sent / STEP;
	size_t size = FIRST_BLOCK;

	while (doublings-- > 0 && size < LAST_BLOCK)
		size *= 2;
	return size;
}

static int
begin_object(struct objects *objects, struct bkp_error *err)
{
	struct object *object;

	if (objects->digits > 0 &&
	    bkp_archive_part_allow(
		objects->count, objects->digits, objects->split, err) < 0)
		return -1;
	if (bkp_grow(&objects->items, objects->count, &objects->cap,
		sizeof(*objects->items), err) < 0)
		return -1;
	object = &objects->items[objects->count];
	*object = (struct object){.key = NULL};
	object->key = objects->digits > 0
			  ? bkp_archive_part_name(objects->key,
				objects->count + 1, objects->digits, err)
			  : bkp_strdup(objects->key, err);
	objects->count++;
	objects->sent = 0;
	objects->room = objects->split > 0 ? objects->split : UINT64_MAX;
	if (object->key == NULL)
		return -1;
	return bkp_s3_upload_begin(objects->connection, objects->bucket,
	    object->key, NULL, &object->upload, err);
}

static int
send_block(struct objects *objects, struct bkp_error *err)
{
	const struct bkp_s3_body body = {
	    .data = objects->block.data, .size = objects->block.len};

	if (bkp_s3_upload_part(
		objects->items[objects->count - 1].upload, &body, err) < 0)
		return -1;
	objects->sent++;
	fmt_buf_clear(&objects->block);
	return 0;
}

static int
end_object(struct objects *objects, struct bkp_error *err)
{
	return objects->block.len > 0 ? send_block(objects, err) : 0;
}

static int
write_objects(struct bkp_archive_output *output, const void *data, size_t len,
    struct bkp_error *err)
{
	struct objects *objects = (struct objects *)output;
	const unsigned char *bytes = data;

	while (len > 0) {
		size_t room, here = len;

		if (objects->room == 0 && (end_object(objects, err) < 0 ||
					      begin_object(objects, err) < 0))
			return -1;
		room = block_size(objects) - objects->block.len;
		if (here > room)
			here = room;
		if (here > objects->room)
			here = (size_t)objects->room;
		if (fmt_buf_append(&objects->block, bytes, here) != FMT_OK)
			return bkp_fail_nomem(err, "sending an archive");
		bytes += here;
		len -= here;
		objects->room -= here;
		if (here == room && send_block(objects, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the end ---- */

static int
commit_objects(
    struct bkp_archive_output *output, size_t *parts, struct bkp_error *err)
{
	struct objects *objects = (struct objects *)output;

	if (end_object(objects, err) < 0)
		return -1;
	for (size_t i = 0; i < objects->count; i++) {
		struct object *object = &objects->items[i];

		if (bkp_s3_upload_complete(object->upload, NULL, err) < 0)
			return -1;
		object->is_complete = true;
	}
	objects->is_committed = true;
	*parts = objects->count;
	return 0;
}

/* Parts without the last are no archive, and a run that is to stop takes them
 * away, too. */
static void
take_back(struct objects *objects)
{
	struct bkp_s3_connection *connection = NULL;

	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = &objects->items[i];

		if (object->is_complete &&
		    (connection != NULL || bkp_s3_connect(objects->s3, NULL,
					       &connection, NULL) == 0))
			(void)bkp_s3_delete(
			    connection, objects->bucket, object->key, NULL);
	}
	bkp_s3_disconnect(connection);
}

static void
close_objects(struct bkp_archive_output *output)
{
	struct objects *objects = (struct objects *)output;

	if (!objects->is_committed)
		take_back(objects);
	for (size_t i = 0; i < objects->count; i++) {
		bkp_s3_upload_end(objects->items[i].upload);
		free(objects->items[i].key);
	}
	free(objects->items);
	bkp_s3_disconnect(objects->connection);
	bkp_s3_free(objects->s3);
	fmt_buf_free(&objects->block);
	free(objects->bucket);
	free(objects->key);
	free(objects);
}

static const struct bkp_archive_output_ops objects_ops = {
    .write = write_objects,
    .commit = commit_objects,
    .close = close_objects,
};

/* ---- opening ---- */

static int
connect_to(struct objects *objects,
    const struct bkp_archive_output_options *options, struct bkp_error *err)
{
	const struct bkp_bucket_config *bucket = options->bucket;
	struct bkp_s3_options s3 = {.endpoint = NULL};

	if (bucket != NULL)
		s3 = bkp_s3_options_of(bucket);
	if (options->endpoint != NULL)
		s3.endpoint = options->endpoint;
	if (bkp_s3_new(&s3, &objects->s3, err) < 0)
		return -1;
	return bkp_s3_connect(
	    objects->s3, options->cancel, &objects->connection, err);
}

/* Whether there is one of that name. A server that cannot say, or somebody
 * else's put at the same moment, is not a loss of ours. */
static int
look(struct objects *objects, bool *is_there, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc = bkp_s3_head(objects->connection, objects->bucket, objects->key,
	    0, &headers, &problem);

	bkp_s3_fields_free(&headers);
	*is_there = rc == 0;
	/* A key that may only write is a good one to have. */
	if (rc == 0 || problem.code == BKP_NOTFOUND || problem.code == BKP_AUTH)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

static int
check_free(struct objects *objects,
    const struct bkp_archive_output_options *options, struct bkp_error *err)
{
	bool is_there = false;

	if (options->is_overwrite)
		return 0;
	if (look(objects, &is_there, err) < 0)
		return -1;
	if (!is_there)
		return 0;
	return bkp_fail(err, BKP_EXISTS,
	    "%s exists already; choose another key, or let it be replaced "
	    "with --overwrite",
	    options->location);
}

/* The first part of an earlier archive, if any. */
static int
find_part(struct objects *objects, bool *is_there, struct bkp_error *err)
{
	struct bkp_s3_listing *listing = NULL;
	struct bkp_s3_object object;
	char *prefix = bkp_format(err, "%s.", objects->key);
	int rc = -1;

	*is_there = false;
	if (prefix != NULL && bkp_s3_list_open(objects->connection,
				  objects->bucket, prefix, &listing, err) == 0)
		while (!*is_there &&
		       (rc = bkp_s3_list_next(listing, &object, err)) == 1)
			*is_there = bkp_archive_part_number(
					object.key, objects->key, 3) > 0 ||
				    bkp_archive_part_number(
					object.key, objects->key, 5) > 0;
	bkp_s3_list_close(listing);
	free(prefix);
	return rc < 0 ? -1 : 0;
}

/* Parts of an earlier archive behind the last of this one would be taken for
 * parts of it, and an object without a number for all of it. */
static int
check_parts_free(struct objects *objects,
    const struct bkp_archive_output_options *options, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	bool is_there = false;

	if (look(objects, &is_there, err) < 0)
		return -1;
	if (is_there)
		return bkp_fail(err, BKP_EXISTS,
		    "%s exists already and would be read instead of the parts; "
		    "remove it, or choose another key",
		    options->location);
	if (find_part(objects, &is_there, &problem) < 0 &&
	    problem.code != BKP_AUTH) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (!is_there)
		return 0;
	return bkp_fail(err, BKP_EXISTS,
	    "there are parts of an archive %s already; remove them, or choose "
	    "another key",
	    options->location);
}

int
bkp_archive_output_open_bucket(const struct bkp_archive_output_options *options,
    struct bkp_archive_output **out, struct bkp_error *err)
{
	struct objects *objects = bkp_alloc(sizeof(*objects), err);

	if (objects == NULL)
		return -1;
	objects->base.ops = &objects_ops;
	objects->split = options->split;
	if (objects->split > 0)
		objects->digits =
		    bkp_archive_part_digits(options->expected, objects->split);
	if (bkp_bucket_split(
		options->location, &objects->bucket, &objects->key, err) < 0 ||
	    connect_to(objects, options, err) < 0 ||
	    (objects->digits > 0 ? check_parts_free(objects, options, err)
				 : check_free(objects, options, err)) < 0 ||
	    begin_object(objects, err) < 0) {
		close_objects(&objects->base);
		return -1;
	}
	*out = &objects->base;
	return 0;
}
