/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_changes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"

/* A text of the file; the buffer is used again for the next. */
struct text {
	char *data;
	size_t cap;
};

struct bkp_bucket_listed {
	FILE *file; /* key, ETag and date of each object, each with its NUL */
	struct text key, etag, last_modified; /* the one being compared */
};

int
bkp_bucket_listed_new(struct bkp_bucket_listed **out, struct bkp_error *err)
{
	struct bkp_bucket_listed *listed = bkp_alloc(sizeof(*listed), err);
	int fd;

	if (listed == NULL)
		return -1;
	if ((fd = bkp_temporary_file(err)) < 0) {
		free(listed);
		return -1;
	}
	if ((listed->file = fdopen(fd, "w+")) == NULL) {
		(void)close(fd);
		free(listed);
		return bkp_fail_nomem(err, "noting a listing");
	}
	*out = listed;
	return 0;
}

void
bkp_bucket_listed_free(struct bkp_bucket_listed *listed)
{
	if (listed == NULL)
		return;
	(void)fclose(listed->file);
	free(listed->key.data);
	free(listed->etag.data);
	free(listed->last_modified.data);
	free(listed);
}

static int
write_text(
    struct bkp_bucket_listed *listed, const char *text, struct bkp_error *err)
{
	size_t len = strlen(text) + 1;

	if (fwrite(text, 1, len, listed->file) != len)
		return bkp_fail_errno(
		    err, errno, "noting a listing in a temporary file");
	return 0;
}

int
bkp_bucket_listed_add(struct bkp_bucket_listed *listed,
    const struct bkp_s3_object *object, struct bkp_error *err)
{
	if (write_text(listed, object->key, err) < 0 ||
	    write_text(listed, object->etag, err) < 0 ||
	    write_text(listed, object->last_modified, err) < 0)
		return -1;
	return 0;
}

/* ---- comparing ---- */

/* 1: read; 0: the file is at its end; -1. */
static int
read_text(FILE *file, struct text *text, struct bkp_error *err)
{
	errno = 0;
	if (getdelim(&text->data, &text->cap, '\0', file) > 0)
		return 1;
	if (feof(file) && !ferror(file))
		return 0;
	return bkp_fail_errno(
	    err, errno, "reading a listing back from a temporary file");
}

/* The next object of the file: 1, or 0 at the end. */
static int
read_object(struct bkp_bucket_listed *listed, struct bkp_error *err)
{
	int rc = read_text(listed->file, &listed->key, err);

	if (rc <= 0)
		return rc;
	if ((rc = read_text(listed->file, &listed->etag, err)) == 1)
		rc = read_text(listed->file, &listed->last_modified, err);
	if (rc == 0)
		return bkp_fail(err, BKP_IO,
		    "a temporary file ends before what was written to it");
	return rc;
}

static bool
is_same(const struct bkp_bucket_listed *before, const struct bkp_s3_object *now)
{
	return strcmp(before->etag.data, now->etag) == 0 &&
	       strcmp(before->last_modified.data, now->last_modified) == 0;
}

int
bkp_bucket_listed_compare(struct bkp_bucket_listed *listed,
    struct bkp_s3_listing *now, bkp_bucket_change_fn *fn, void *arg,
    struct bkp_error *err)
{
	struct bkp_s3_object object;
	int old, new;

	if (fseeko(listed->file, 0, SEEK_SET) < 0)
		return bkp_fail_errno(
		    err, errno, "noting a listing in a temporary file");
	old = read_object(listed, err);
	new = old < 0 ? 0 : bkp_s3_list_next(now, &object, err);
	while (old >= 0 && new >= 0 && (old == 1 || new == 1)) {
		int order = old == 0   ? 1
			    : new == 0 ? -1
				       : strcmp(listed->key.data, object.key);

		if (order < 0)
			fn(arg, BKP_BUCKET_VANISHED, listed->key.data);
		else if (order > 0)
			fn(arg, BKP_BUCKET_APPEARED, object.key);
		else if (!is_same(listed, &object))
			fn(arg, BKP_BUCKET_CHANGED, object.key);
		if (order <= 0)
			old = read_object(listed, err);
		if (order >= 0 && old >= 0)
			new = bkp_s3_list_next(now, &object, err);
	}
	return old < 0 || new < 0 ? -1 : 0;
}
