/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A package as a folder: filled under a name that begins with a dot, synced,
 * and given its name when it is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"
#include "libbackup/base/write.h"
#include "libbackup/subject/package_own.h"

/* What makes a folder an export, and may be replaced by another. */
#define MANIFEST "manifest.json"

struct folder {
	struct bkp_package base;
	char *location;  /* owned: without slashes at its end */
	char *temporary; /* owned; NULL once it has its name */
	int fd;          /* owned: of temporary */
	int member;      /* owned: of the member that is open; -1: none is */
	bool is_overwrite;
	int64_t time;
	uint64_t stored;
	char manifest[65]; /* digest of it; "": there is none yet */
};

/* ---- names ---- */

static int
set_names(struct folder *folder, const char *location, struct bkp_error *err)
{
	size_t len = strlen(location);
	unsigned char random[6];
	char word[2 * sizeof(random) + 1];
	const char *slash, *base;

	while (len > 1 && location[len - 1] == '/')
		len--;
	folder->location = bkp_format(err, "%.*s", (int)len, location);
	if (folder->location == NULL)
		return -1;
	slash = strrchr(folder->location, '/');
	base = slash != NULL ? slash + 1 : folder->location;
	if (fmt_random(random, sizeof(random)) != FMT_OK)
		return bkp_fail(err, BKP_IO, "OpenSSL has no random bytes");
	fmt_hex(random, sizeof(random), word);
	folder->temporary = bkp_format(err, "%.*s.%.200s.%s",
	    (int)(base - folder->location), folder->location, base, word);
	return folder->temporary != NULL ? 0 : -1;
}

/* An export may be replaced where that was asked for; what is none never. */
static int
check_free(const struct folder *folder, struct bkp_error *err)
{
	struct stat st;
	char *manifest;
	int rc = 0;

	if (lstat(folder->location, &st) < 0)
		return 0;
	if (!folder->is_overwrite)
		return bkp_fail(err, BKP_EXISTS,
		    "there is a %s already; remove it, or choose another name",
		    folder->location);
	manifest = bkp_format(err, "%s/%s", folder->location, MANIFEST);
	if (manifest == NULL)
		return -1;
	if (!S_ISDIR(st.st_mode) || access(manifest, F_OK) < 0)
		rc = bkp_fail(err, BKP_EXISTS,
		    "%s is no export, and is not replaced by one; choose "
		    "another name",
		    folder->location);
	free(manifest);
	return rc;
}

/* ---- members ---- */

/* Makes the folders that a member stands in. */
static int
make_parents(struct folder *folder, const char *name, struct bkp_error *err)
{
	char *copy = bkp_strdup(name, err);
	int rc = 0;

	if (copy == NULL)
		return -1;
	for (char *at = strchr(copy, '/'); at != NULL && rc == 0;
	     at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdirat(folder->fd, copy, 0700) < 0 && errno != EEXIST)
			rc = bkp_fail_errno(err, errno,
			    "making the folder "
			    "%s/%s",
			    folder->location, copy);
		*at = '/';
	}
	free(copy);
	return rc;
}

static int
fail_member(const struct folder *folder, const char *doing, const char *name,
    struct bkp_error *err)
{
	return bkp_fail_errno(
	    err, errno, "%s %s/%s", doing, folder->location, name);
}

static int
begin_member(
    struct bkp_package *package, const char *name, struct bkp_error *err)
{
	struct folder *folder = (struct folder *)package;

	if (make_parents(folder, name, err) < 0)
		return -1;
	folder->member = openat(folder->fd, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return folder->member >= 0 ? 0
				   : fail_member(folder, "making", name, err);
}

static int
write_member(struct bkp_package *package, const void *data, size_t len,
    struct bkp_error *err)
{
	struct folder *folder = (struct folder *)package;

	if (bkp_write_all(folder->member, data, len) < 0)
		return fail_member(folder, "writing", package->name, err);
	return 0;
}

/* Nothing stays of it, nor of the folders that were made for it alone. */
static void
drop_member(struct bkp_package *package)
{
	struct folder *folder = (struct folder *)package;
	char *slash;

	if (folder->member < 0)
		return;
	(void)close(folder->member);
	folder->member = -1;
	(void)unlinkat(folder->fd, package->name, 0);
	while ((slash = strrchr(package->name, '/')) != NULL) {
		*slash = '\0';
		if (unlinkat(folder->fd, package->name, AT_REMOVEDIR) < 0)
			break;
	}
}

static int
put_member(struct bkp_package *package, const char *name,
    struct bkp_spool *spool, uint64_t size, const char *sha256,
    struct bkp_error *err)
{
	struct folder *folder = (struct folder *)package;
	struct timespec times[2] = {
	    {.tv_sec = (time_t)folder->time}, {.tv_sec = (time_t)folder->time}};
	int fd = folder->member;

	(void)spool;
	if (futimens(fd, times) < 0)
		return fail_member(folder, "writing", name, err);
	folder->member = -1;
	if (close(fd) < 0)
		return fail_member(folder, "writing", name, err);
	folder->stored += size;
	if (strcmp(name, MANIFEST) == 0)
		(void)snprintf(
		    folder->manifest, sizeof(folder->manifest), "%s", sha256);
	return 0;
}

/* ---- the end ---- */

static int
give_name(struct folder *folder, struct bkp_error *err)
{
	unsigned flags = RENAME_NOREPLACE;

	if (check_free(folder, err) < 0)
		return -1;
	if (access(folder->location, F_OK) == 0)
		flags = RENAME_EXCHANGE;
	if (renameat2(AT_FDCWD, folder->temporary, AT_FDCWD, folder->location,
		flags) < 0 &&
	    (errno != EINVAL || flags == RENAME_EXCHANGE ||
		rename(folder->temporary, folder->location) < 0))
		return bkp_fail_errno(
		    err, errno, "naming %s", folder->location);
	if (flags == RENAME_EXCHANGE) /* it has the old one's content now */
		bkp_temporary_remove(folder->temporary);
	free(folder->temporary);
	folder->temporary = NULL;
	return bkp_sync_folder_of(folder->location, err) == 0
		   ? 0
		   : bkp_fail_in(err, "the export was written, and");
}

static int
commit(struct bkp_package *package, char sha256[65], uint64_t *stored,
    size_t *parts, struct bkp_error *err)
{
	struct folder *folder = (struct folder *)package;

	if (syncfs(folder->fd) < 0)
		return bkp_fail_errno(
		    err, errno, "writing %s", folder->location);
	if (give_name(folder, err) < 0)
		return -1;
	memcpy(sha256, folder->manifest, sizeof(folder->manifest));
	*stored = folder->stored;
	*parts = 1;
	return 0;
}

static void
close_folder(struct bkp_package *package)
{
	struct folder *folder = (struct folder *)package;

	if (folder->fd >= 0)
		(void)close(folder->fd);
	if (folder->temporary != NULL)
		bkp_temporary_remove(folder->temporary);
	free(folder->temporary);
	free(folder->location);
	free(folder);
}

static const struct bkp_package_ops folder_ops = {
    .begin = begin_member,
    .write = write_member,
    .drop = drop_member,
    .member = put_member,
    .commit = commit,
    .close = close_folder,
};

static int
set_up(struct folder *folder, struct bkp_error *err)
{
	if (check_free(folder, err) < 0)
		return -1;
	if (mkdir(folder->temporary, 0700) < 0)
		return bkp_fail_errno(
		    err, errno, "making the folder %s", folder->temporary);
	folder->fd =
	    open(folder->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0)
		return bkp_fail_errno(
		    err, errno, "opening the folder %s", folder->temporary);
	return 0;
}

int
bkp_package_open_folder(const struct bkp_package_options *options,
    struct bkp_package **out, struct bkp_error *err)
{
	const char *location = options->output.location;
	struct folder *folder;

	if (strcmp(location, "-") == 0 || strncmp(location, "s3://", 5) == 0)
		return bkp_fail(err, BKP_INVALID,
		    "a folder cannot be written to %s; choose tar.zst or zip",
		    location);
	if (options->recipient_count > 0 || options->passphrase != NULL)
		return bkp_fail(err, BKP_INVALID,
		    "a folder is not encrypted; choose tar.zst or zip");
	if ((folder = bkp_alloc(sizeof(*folder), err)) == NULL)
		return -1;
	folder->base.ops = &folder_ops;
	folder->fd = folder->member = -1;
	folder->is_overwrite = options->output.is_overwrite;
	folder->time = options->time;
	if (set_names(folder, location, err) < 0 || set_up(folder, err) < 0) {
		close_folder(&folder->base);
		return -1;
	}
	*out = &folder->base;
	return 0;
}
