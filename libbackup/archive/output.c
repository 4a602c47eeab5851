/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/archive/output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations.h"

/* ---- standard output ---- */

static int
write_standard(struct bkp_archive_output *output, const void *data, size_t len,
    struct bkp_error *err)
{
	const char *bytes = data;

	(void)output;
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bkp_fail_errno(
			    err, errno, "writing standard output");
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
commit_standard(
    struct bkp_archive_output *output, size_t *parts, struct bkp_error *err)
{
	(void)output;
	/* A file behind it is on disk; a pipe cannot be. */
	if (fsync(STDOUT_FILENO) < 0 && errno != EINVAL && errno != EROFS &&
	    errno != ENOTSUP)
		return bkp_fail_errno(err, errno, "writing standard output");
	*parts = 1;
	return 0;
}

static void
close_standard(struct bkp_archive_output *output)
{
	(void)output;
}

static const struct bkp_archive_output_ops standard_ops = {
    .write = write_standard,
    .commit = commit_standard,
    .close = close_standard,
};

static struct bkp_archive_output standard = {&standard_ops};

/* ---- all ---- */

int
bkp_archive_output_open(const struct bkp_archive_output_options *options,
    struct bkp_archive_output **out, struct bkp_error *err)
{
	const char *location = options->location;
	bool is_standard = strcmp(location, "-") == 0;
	bool is_bucket = strncmp(location, "s3://", 5) == 0;

	if (location[0] == '\0')
		return bkp_fail(
		    err, BKP_INVALID, "no name was given for the archive");
	if (options->split > 0 && is_standard)
		return bkp_fail(err, BKP_INVALID,
		    "standard output cannot be split; name a file or "
		    "s3://BUCKET/KEY, or let split(1) cut what comes out");
	if (options->split > 0 && options->split < BKP_ARCHIVE_SPLIT_LEAST)
		return bkp_fail(err, BKP_INVALID,
		    "parts of %llu bytes are too small: at least %d (64K) "
		    "each",
		    (unsigned long long)options->split,
		    BKP_ARCHIVE_SPLIT_LEAST);
	if (is_bucket)
		return bkp_archive_output_open_bucket(options, out, err);
	if (strstr(location, "://") != NULL)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "%s: an archive is written to a file, to '-' or to "
		    "s3://BUCKET/KEY",
		    location);
	if (!is_standard)
		return bkp_archive_output_open_files(options, out, err);
	if (isatty(STDOUT_FILENO))
		return bkp_fail(err, BKP_INVALID,
		    "standard output is a terminal, and an archive is no "
		    "text; send it into a file or a program");
	*out = &standard;
	return 0;
}

int
bkp_archive_output_write(struct bkp_archive_output *output, const void *data,
    size_t len, struct bkp_error *err)
{
	return output->ops->write(output, data, len, err);
}

int
bkp_archive_output_commit(
    struct bkp_archive_output *output, size_t *parts, struct bkp_error *err)
{
	return output->ops->commit(output, parts, err);
}

void
bkp_archive_output_close(struct bkp_archive_output *output)
{
	if (output != NULL)
		output->ops->close(output);
}
