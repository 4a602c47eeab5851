/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive into files. Every part is written under a name that begins with
 * a dot and ends in a random word, synced, and renamed when all of them are
 * whole: the last part last, so that where it is there all are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/archive/output.h"
#include "libbackup/archive/parts.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"

struct file {
	char *temporary, *name; /* owned */
	bool is_named;
};

struct files {
	struct bkp_archive_output base;
	const char *location;
	uint64_t split, room; /* room: left in the part at hand */
	int digits, fd;
	bool is_overwrite, is_committed;
	char *folder; /* owned */
	struct file *items;
	size_t count, cap;
};

/* ---- names ---- */

/* The folder of a name, the caller's. */
static char *
folder_of(const char *location, struct bkp_error *err)
{
	const char *slash = strrchr(location, '/');

	if (slash == NULL)
		return bkp_strdup(".", err);
	return bkp_format(err, "%.*s",
	    slash == location ? 1 : (int)(slash - location), location);
}

/* A name beside `name`, which nobody takes for the archive. */
static char *
temporary_of(const char *name, struct bkp_error *err)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash != NULL ? slash + 1 : name;
	unsigned char random[6];
	char word[2 * sizeof(random) + 1];

	if (fmt_random(random, sizeof(random)) != FMT_OK) {
		(void)bkp_fail(err, BKP_IO, "OpenSSL has no random bytes");
		return NULL;
	}
	fmt_hex(random, sizeof(random), word);
	return bkp_format(
	    err, "%.*s.%.200s.%s", (int)(base - name), name, base, word);
}

static int
check_free(const struct files *files, const char *name, struct bkp_error *err)
{
	struct stat st;

	if (lstat(name, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return bkp_fail(
		    err, BKP_EXISTS, "%s is a folder; name a file in it", name);
	if (files->is_overwrite)
		return 0;
	return bkp_fail(err, BKP_EXISTS,
	    "%s exists already; choose another name, or let it be replaced "
	    "with --overwrite",
	    name);
}

/* Parts of an earlier archive behind the last of this one would be taken for
 * parts of it, and a file without a number for all of it. */
static int
check_parts_free(const struct files *files, struct bkp_error *err)
{
	struct bkp_archive_parts parts = BKP_ARCHIVE_PARTS_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	struct stat st;
	int rc;

	if (lstat(files->location, &st) == 0)
		return bkp_fail(err, BKP_EXISTS,
		    "%s exists already and would be read instead of the parts; "
		    "remove it, or choose another name",
		    files->location);
	rc = bkp_archive_parts_find(files->location, &parts, &problem);
	bkp_archive_parts_free(&parts);
	if (rc < 0 && problem.code == BKP_NOTFOUND)
		return 0;
	return bkp_fail(err, BKP_EXISTS,
	    "there are parts of an archive %s already; remove them, or choose "
	    "another name",
	    files->location);
}

/* ---- the part at hand ---- */

static int
begin_part(struct files *files, struct bkp_error *err)
{
	struct file *file;

	if (files->digits > 0 && bkp_archive_part_allow(files->count,
				     files->digits, files->split, err) < 0)
		return -1;
	if (bkp_grow(&files->items, files->count, &files->cap,
		sizeof(*files->items), err) < 0)
		return -1;
	file = &files->items[files->count];
	*file = (struct file){.name = NULL};
	file->name = files->digits > 0
			 ? bkp_archive_part_name(files->location,
			       files->count + 1, files->digits, err)
			 : bkp_strdup(files->location, err);
	if (file->name != NULL)
		file->temporary = temporary_of(file->name, err);
	files->count++;
	if (file->temporary == NULL || check_free(files, file->name, err) < 0)
		return -1;
	files->fd = open(file->temporary,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (files->fd < 0)
		return bkp_fail_errno(err, errno, "making %s", file->temporary);
	files->room = files->split > 0 ? files->split : UINT64_MAX;
	return 0;
}

static int
end_part(struct files *files, struct bkp_error *err)
{
	const struct file *file = &files->items[files->count - 1];
	int fd = files->fd, rc = 0;

	files->fd = -1;
	if (fsync(fd) < 0)
		rc = bkp_fail_errno(err, errno, "writing %s", file->name);
	if (close(fd) < 0 && rc == 0)
		rc = bkp_fail_errno(err, errno, "writing %s", file->name);
	return rc;
}

static int
put(struct files *files, const char *data, size_t len, struct bkp_error *err)
{
	if (bkp_write_all(files->fd, data, len) < 0)
		return bkp_fail_errno(err, errno, "writing %s",
		    files->items[files->count - 1].name);
	files->room -= len;
	return 0;
}

static int
write_files(struct bkp_archive_output *output, const void *data, size_t len,
    struct bkp_error *err)
{
	struct files *files = (struct files *)output;
	const char *bytes = data;

	while (len > 0) {
		size_t here = len;

		if (files->room == 0 &&
		    (end_part(files, err) < 0 || begin_part(files, err) < 0))
			return -1;
		if (here > files->room)
			here = (size_t)files->room;
		if (put(files, bytes, here, err) < 0)
			return -1;
		bytes += here;
		len -= here;
	}
	return 0;
}

/* ---- the end ---- */

/* link() does not replace what somebody else made meanwhile; not every file
 * system can do it. */
static int
give_name(const struct files *files, struct file *file, struct bkp_error *err)
{
	if (!files->is_overwrite) {
		if (link(file->temporary, file->name) == 0) {
			file->is_named = true;
			(void)unlink(file->temporary);
			return 0;
		}
		if (errno == EEXIST || check_free(files, file->name, err) < 0)
			return check_free(files, file->name, err);
	}
	if (rename(file->temporary, file->name) < 0)
		return bkp_fail_errno(err, errno, "naming %s", file->name);
	file->is_named = true;
	return 0;
}

static int
sync_folder(const struct files *files, struct bkp_error *err)
{
	int fd = open(files->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		rc = bkp_fail_errno(err, errno, "writing %s", files->folder);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

static int
commit_files(
    struct bkp_archive_output *output, size_t *parts, struct bkp_error *err)
{
	struct files *files = (struct files *)output;

	if (end_part(files, err) < 0)
		return -1;
	/* All but the last, which makes it whole once they are on disk. */
	for (size_t i = 0; i + 1 < files->count; i++)
		if (give_name(files, &files->items[i], err) < 0)
			return -1;
	if ((files->count > 1 && sync_folder(files, err) < 0) ||
	    give_name(files, &files->items[files->count - 1], err) < 0 ||
	    sync_folder(files, err) < 0)
		return -1;
	files->is_committed = true;
	*parts = files->count;
	return 0;
}

static void
close_files(struct bkp_archive_output *output)
{
	struct files *files = (struct files *)output;

	if (files->fd >= 0)
		(void)close(files->fd);
	for (size_t i = 0; i < files->count; i++) {
		struct file *file = &files->items[i];

		if (!files->is_committed && file->is_named)
			(void)unlink(file->name);
		else if (!files->is_committed && file->temporary != NULL)
			(void)unlink(file->temporary);
		free(file->temporary);
		free(file->name);
	}
	free(files->items);
	free(files->folder);
	free(files);
}

static const struct bkp_archive_output_ops files_ops = {
    .write = write_files,
    .commit = commit_files,
    .close = close_files,
};

int
bkp_archive_output_open_files(const struct bkp_archive_output_options *options,
    struct bkp_archive_output **out, struct bkp_error *err)
{
	struct files *files = bkp_alloc(sizeof(*files), err);
	int rc = 0;

	if (files == NULL)
		return -1;
	files->base.ops = &files_ops;
	files->location = options->location;
	files->split = options->split;
	files->is_overwrite = options->is_overwrite;
	files->fd = -1;
	if (files->split > 0)
		files->digits =
		    bkp_archive_part_digits(options->expected, files->split);
	if ((files->folder = folder_of(options->location, err)) == NULL)
		rc = -1;
	if (rc == 0 && files->digits > 0)
		rc = check_parts_free(files, err);
	if (rc == 0)
		rc = begin_part(files, err);
	if (rc < 0) {
		close_files(&files->base);
		return -1;
	}
	*out = &files->base;
	return 0;
}
