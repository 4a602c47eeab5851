/* SPDX-License-Identifier: Apache-2.0 */
/* Archives in files: one, its parts, or what came through standard input; and
 * those in buckets, which bucket_input.c reads. */
#include "libbackup/archive/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/archive/bucket_input.h"
#include "libbackup/archive/parts.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"
#include "libbackup/base/write.h"

#define COPY ((size_t)256 * 1024)

struct part {
	int fd; /* owned */
	uint64_t size;
};

struct bkp_archive_input {
	char *name; /* owned */
	struct part *parts;
	size_t count, cap;
	uint64_t size;
	struct bkp_bucket_input *bucket; /* owned; NULL: files */
};

/* ---- which location is one ---- */

bool
bkp_archive_is_location(const char *location)
{
	struct stat st;

	if (location == NULL || location[0] == '\0')
		return false;
	if (strcmp(location, "-") == 0 || strncmp(location, "s3://", 5) == 0)
		return true;
	if (stat(location, &st) == 0)
		return !S_ISDIR(st.st_mode);
	return bkp_archive_has_parts(location);
}

/* ---- opening ---- */

static int
add_part(struct bkp_archive_input *input, int fd, struct bkp_error *err)
{
	struct part part = {.fd = fd};
	struct stat st;

	if (bkp_grow(&input->parts, input->count, &input->cap,
		sizeof(*input->parts), err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return bkp_fail_errno(err, errno, "%s", input->name);
	part.size = (uint64_t)st.st_size;
	input->parts[input->count++] = part;
	input->size += part.size;
	return 0;
}

static int
open_part(
    struct bkp_archive_input *input, const char *path, struct bkp_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return bkp_fail_errno(
		    err, errno, "opening the archive %s", path);
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return bkp_fail(err, BKP_INVALID,
		    "%s is no regular file; give an archive on standard input "
		    "as '-'",
		    path);
	}
	if (add_part(input, fd, err) < 0) {
		(void)close(fd);
		return -1;
	}
	return 0;
}

static int
check_sizes(const struct bkp_archive_input *input,
    const struct bkp_archive_parts *parts, struct bkp_error *err)
{
	uint64_t largest = 0;

	for (size_t i = 0; i < input->count; i++)
		if (input->parts[i].size > largest)
			largest = input->parts[i].size;
	for (size_t i = 0; i + 1 < input->count; i++)
		if (bkp_archive_part_check(input->name, parts->names[i],
			input->parts[i].size, largest, err) < 0)
			return -1;
	return 0;
}

static int
open_parts(struct bkp_archive_input *input, const char *location,
    struct bkp_error *err)
{
	struct bkp_archive_parts parts = BKP_ARCHIVE_PARTS_INIT;
	int rc = bkp_archive_parts_find(location, &parts, err);

	for (size_t i = 0; rc == 0 && i < parts.count; i++)
		rc = open_part(input, parts.names[i], err);
	if (rc == 0)
		rc = check_sizes(input, &parts, err);
	bkp_archive_parts_free(&parts);
	return rc;
}

static int
keep(int fd, const char *data, size_t len, struct bkp_error *err)
{
	if (bkp_write_all(fd, data, len) == 0)
		return 0;
	return bkp_fail_errno(err, errno,
	    "keeping the archive from standard input in %s (TMPDIR names "
	    "another place)",
	    bkp_temporary_directory());
}

static int
copy_input(int to, struct bkp_error *err)
{
	char *block = bkp_alloc(COPY, err);
	ssize_t n = 1;
	int rc = block == NULL ? -1 : 0;

	while (rc == 0 && n > 0) {
		n = read(STDIN_FILENO, block, COPY);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			rc = bkp_fail_errno(
			    err, errno, "reading standard input");
		else
			rc = keep(to, block, (size_t)n, err);
	}
	free(block);
	return rc;
}

static int
open_input(struct bkp_archive_input *input, struct bkp_error *err)
{
	int fd = bkp_temporary_file(err);

	if (fd < 0)
		return -1;
	if (copy_input(fd, err) < 0 || add_part(input, fd, err) < 0) {
		(void)close(fd);
		return -1;
	}
	return 0;
}

static int
open_bucket(struct bkp_archive_input *input, const char *location,
    const struct bkp_s3_options *options, struct bkp_error *err)
{
	if (bkp_bucket_input_open(location, options, &input->bucket, err) < 0)
		return -1;
	input->size = bkp_bucket_input_size(input->bucket);
	return 0;
}

int
bkp_archive_input_open(const char *location,
    const struct bkp_s3_options *options, struct bkp_archive_input **out,
    struct bkp_error *err)
{
	struct bkp_archive_input *input = bkp_alloc(sizeof(*input), err);
	struct stat st;
	int rc;

	if (input == NULL)
		return -1;
	input->name = bkp_strdup(
	    strcmp(location, "-") == 0 ? "standard input" : location, err);
	if (input->name == NULL)
		rc = -1;
	else if (strcmp(location, "-") == 0)
		rc = open_input(input, err);
	else if (strncmp(location, "s3://", 5) == 0)
		rc = open_bucket(input, location, options, err);
	else if (stat(location, &st) == 0)
		rc = bkp_archive_part_refuse(location, err) < 0
			 ? -1
			 : open_part(input, location, err);
	else
		rc = open_parts(input, location, err);
	if (rc < 0) {
		bkp_archive_input_close(input);
		return -1;
	}
	*out = input;
	return 0;
}

void
bkp_archive_input_close(struct bkp_archive_input *input)
{
	if (input == NULL)
		return;
	for (size_t i = 0; i < input->count; i++)
		(void)close(input->parts[i].fd);
	free(input->parts);
	bkp_bucket_input_close(input->bucket);
	free(input->name);
	free(input);
}

uint64_t
bkp_archive_input_size(const struct bkp_archive_input *input)
{
	return input->size;
}

const char *
bkp_archive_input_name(const struct bkp_archive_input *input)
{
	return input->name;
}

/* ---- reading ---- */

static int
read_part(const struct bkp_archive_input *input, const struct part *part,
    uint64_t offset, size_t len, struct fmt_buf *out, struct bkp_error *err)
{
	while (len > 0) {
		ssize_t n =
		    pread(part->fd, out->data + out->len, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bkp_fail_errno(
			    err, errno, "reading the archive %s", input->name);
		if (n == 0)
			return bkp_fail(err, BKP_CORRUPT,
			    "the archive %s has become shorter", input->name);
		out->len += (size_t)n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int
read_parts(struct bkp_archive_input *input, uint64_t offset, uint64_t len,
    struct fmt_buf *out, struct bkp_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < input->count && len > 0; i++) {
		const struct part *part = &input->parts[i];
		uint64_t here;

		if (offset >= part->size) {
			offset -= part->size;
			continue;
		}
		here = part->size - offset < len ? part->size - offset : len;
		rc = read_part(input, part, offset, (size_t)here, out, err);
		offset = 0;
		len -= here;
	}
	return rc;
}

int
bkp_archive_input_read(struct bkp_archive_input *input, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	size_t before = out->len;
	int rc;

	if (offset > input->size || len > input->size - offset)
		return bkp_fail(err, BKP_CORRUPT,
		    "the archive %s ends before the bytes that it should hold",
		    input->name);
	if (fmt_buf_reserve(out, len > 0 ? (size_t)len : 1) != FMT_OK)
		return bkp_fail_nomem(err, "reading an archive");
	if (input->bucket != NULL)
		rc =
		    bkp_bucket_input_read(input->bucket, offset, len, out, err);
	else
		rc = read_parts(input, offset, len, out, err);
	if (rc < 0)
		out->len = before;
	return rc;
}
