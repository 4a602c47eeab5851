/* SPDX-License-Identifier: Apache-2.0 */
/* Between struct stat, libarchive's entries and the attributes of an entry. */
#include "libbackup/source/files_impl.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "formats/archive.h"
#include "libbackup/base/fail.h"

#define ACL_TYPES                                                              \
	(ARCHIVE_ENTRY_ACL_TYPE_ACCESS | ARCHIVE_ENTRY_ACL_TYPE_DEFAULT)

/* ---- writing attributes ---- */

json_t *
bkp_files_path_json(const char *path)
{
	struct fmt_buf text = FMT_BUF_INIT;
	json_t *value = NULL;

	if (fmt_path_escape(path, &text) == FMT_OK)
		value = json_stringn((const char *)text.data, text.len);
	fmt_buf_free(&text);
	return value;
}

int
bkp_files_set(struct fmt_entry *entry, const char *name, json_t *value,
    struct bkp_error *err)
{
	if (entry->attrs == NULL)
		entry->attrs = json_object();
	if (value == NULL || entry->attrs == NULL ||
	    json_object_set_new_nocheck(entry->attrs, name, value) < 0)
		return bkp_fail_nomem(err, "describing a file");
	return 0;
}

static json_t *
time_json(const struct timespec *time)
{
	return json_sprintf(
	    "%lld.%09ld", (long long)time->tv_sec, time->tv_nsec);
}

static int
set_stat(struct fmt_entry *entry, const struct stat *st, bool has_ctime,
    struct bkp_error *err)
{
	json_t *mode = json_sprintf("%04o", (unsigned)st->st_mode & 07777);

	if (bkp_files_set(entry, "mode", mode, err) < 0 ||
	    bkp_files_set(entry, "uid", json_integer(st->st_uid), err) < 0 ||
	    bkp_files_set(entry, "gid", json_integer(st->st_gid), err) < 0 ||
	    bkp_files_set(entry, "mtime", time_json(&st->st_mtim), err) < 0 ||
	    bkp_files_set(
		entry, "inode", json_integer((json_int_t)st->st_ino), err) < 0)
		return -1;
	if (has_ctime &&
	    bkp_files_set(entry, "ctime", time_json(&st->st_ctim), err) < 0)
		return -1;
	if (S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode))
		return bkp_files_set(entry, "device",
		    json_sprintf("%s %u:%u",
			S_ISBLK(st->st_mode) ? "block" : "char",
			major(st->st_rdev), minor(st->st_rdev)),
		    err);
	return 0;
}

static int
set_names(struct fmt_entry *entry, struct archive *disk, const struct stat *st,
    struct bkp_error *err)
{
	const char *user = archive_read_disk_uname(disk, st->st_uid);
	const char *group = archive_read_disk_gname(disk, st->st_gid);

	if (user != NULL &&
	    bkp_files_set(entry, "user", bkp_files_path_json(user), err) < 0)
		return -1;
	if (group != NULL &&
	    bkp_files_set(entry, "group", bkp_files_path_json(group), err) < 0)
		return -1;
	return 0;
}

static json_t *
base64(const void *data, size_t len)
{
	char *text = malloc((len + 2) / 3 * 4 + 1);
	json_t *value = NULL;

	if (text == NULL)
		return NULL;
	if (EVP_EncodeBlock((unsigned char *)text, data, (int)len) >= 0)
		value = json_string_nocheck(text);
	free(text);
	return value;
}

static int
set_xattrs(
    struct fmt_entry *entry, struct archive_entry *from, struct bkp_error *err)
{
	json_t *map;
	const char *name = NULL;
	const void *value = NULL;
	size_t len = 0;

	if (archive_entry_xattr_reset(from) == 0)
		return 0;
	if ((map = json_object()) == NULL ||
	    bkp_files_set(entry, "xattrs", map, err) < 0)
		return bkp_fail_nomem(err, "describing a file");
	while (
	    archive_entry_xattr_next(from, &name, &value, &len) == ARCHIVE_OK) {
		struct fmt_buf key = FMT_BUF_INIT;
		const char *text = NULL;
		int rc = -1;

		if (fmt_path_escape(name, &key) == FMT_OK)
			text = fmt_buf_text(&key);
		if (text != NULL)
			rc = json_object_set_new(map, text, base64(value, len));
		fmt_buf_free(&key);
		if (rc < 0)
			return bkp_fail_nomem(err, "describing a file");
	}
	return 0;
}

static int
set_acl(
    struct fmt_entry *entry, struct archive_entry *from, struct bkp_error *err)
{
	char *text;
	int rc;

	if (archive_entry_acl_reset(from, ACL_TYPES) == 0)
		return 0;
	text = archive_entry_acl_to_text(from, NULL,
	    ACL_TYPES | ARCHIVE_ENTRY_ACL_STYLE_EXTRA_ID |
		ARCHIVE_ENTRY_ACL_STYLE_MARK_DEFAULT |
		ARCHIVE_ENTRY_ACL_STYLE_SEPARATOR_COMMA);
	if (text == NULL)
		return 0;
	rc = bkp_files_set(entry, "acl", bkp_files_path_json(text), err);
	free(text);
	return rc;
}

/* What only libarchive reads well. The path is for those calls that the
 * kernel has for paths alone. */
static int
set_extended(struct fmt_entry *entry, const struct stat *st, int fd,
    struct archive *disk, struct bkp_error *err)
{
	struct archive_entry *from = archive_entry_new();
	const char *flags;
	char path[64];
	int rc = -1, got;

	if (from == NULL)
		return bkp_fail_nomem(err, "describing a file");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	archive_entry_set_pathname(from, path);
	archive_entry_copy_sourcepath(from, path);
	got = archive_read_disk_entry_from_file(disk, from, fd, st);
	if (got < ARCHIVE_WARN) {
		(void)bkp_fail(err, BKP_IO, "reading the attributes: %s",
		    archive_error_string(disk));
		goto out;
	}
	flags = archive_entry_fflags_text(from);
	if (flags != NULL && flags[0] != '\0' &&
	    bkp_files_set(entry, "flags", json_string(flags), err) < 0)
		goto out;
	if (set_xattrs(entry, from, err) < 0 || set_acl(entry, from, err) < 0)
		goto out;
	rc = 0;
out:
	archive_entry_free(from);
	return rc;
}

int
bkp_files_describe(struct fmt_entry *entry, const struct stat *st, int fd,
    struct archive *disk, bool has_ctime, struct bkp_error *err)
{
	json_decref(entry->attrs);
	entry->attrs = NULL;
	if (set_stat(entry, st, has_ctime, err) < 0 ||
	    set_names(entry, disk, st, err) < 0)
		return -1;
	return fd >= 0 ? set_extended(entry, st, fd, disk, err) : 0;
}

/* ---- reading them back ---- */

char *
bkp_files_path_text(const json_t *value, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	const char *string = json_string_value(value);
	enum fmt_status status = FMT_MALFORMED;
	char *copy = NULL;

	if (string != NULL)
		status = fmt_path_unescape(string, strlen(string), &text);
	if (status == FMT_OK && fmt_buf_text(&text) == NULL)
		status = FMT_NOMEM;
	if (status != FMT_OK)
		(void)bkp_fail_format(err, status, "a path in an attribute");
	else
		copy = bkp_strdup((const char *)text.data, err);
	fmt_buf_free(&text);
	return copy;
}

static bool
is_time(const json_t *value, const struct timespec *time)
{
	const char *text = json_string_value(value);
	char now[64];

	(void)snprintf(now, sizeof(now), "%lld.%09ld", (long long)time->tv_sec,
	    time->tv_nsec);
	return text != NULL && strcmp(text, now) == 0;
}

bool
bkp_files_is_unchanged(const struct fmt_entry *previous, const struct stat *st)
{
	const json_t *inode = json_object_get(previous->attrs, "inode");

	return previous->has_content &&
	       previous->size == (uint64_t)st->st_size &&
	       json_is_integer(inode) &&
	       (uint64_t)json_integer_value(inode) == (uint64_t)st->st_ino &&
	       is_time(
		   json_object_get(previous->attrs, "mtime"), &st->st_mtim) &&
	       is_time(json_object_get(previous->attrs, "ctime"), &st->st_ctim);
}

static int
fail_attribute(struct bkp_error *err, const char *name)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "the attribute '%s' is missing or not what it should be", name);
}

int
bkp_files_get_mtime(
    const struct fmt_entry *entry, struct timespec *out, struct bkp_error *err)
{
	const char *text =
	    json_string_value(json_object_get(entry->attrs, "mtime"));
	long long seconds;
	long nanoseconds;
	char more;

	if (text == NULL ||
	    sscanf(text, "%lld.%9ld%c", &seconds, &nanoseconds, &more) != 2 ||
	    nanoseconds < 0)
		return fail_attribute(err, "mtime");
	out->tv_sec = (time_t)seconds;
	out->tv_nsec = nanoseconds;
	return 0;
}

static int
get_mode(const struct fmt_entry *entry, struct archive_entry *out,
    struct bkp_error *err)
{
	const char *text =
	    json_string_value(json_object_get(entry->attrs, "mode"));
	unsigned mode;
	char more;

	if (text == NULL || sscanf(text, "%o%c", &mode, &more) != 1 ||
	    mode > 07777)
		return fail_attribute(err, "mode");
	archive_entry_set_perm(out, (mode_t)mode);
	return 0;
}

static int
get_owner(const struct fmt_entry *entry, bool has_names,
    struct archive_entry *out, struct bkp_error *err)
{
	const json_t *uid = json_object_get(entry->attrs, "uid");
	const json_t *gid = json_object_get(entry->attrs, "gid");
	const char *user, *group;

	if (!json_is_integer(uid) || !json_is_integer(gid))
		return fail_attribute(err, "uid");
	archive_entry_set_uid(out, json_integer_value(uid));
	archive_entry_set_gid(out, json_integer_value(gid));
	if (!has_names)
		return 0;
	user = json_string_value(json_object_get(entry->attrs, "user"));
	group = json_string_value(json_object_get(entry->attrs, "group"));
	archive_entry_copy_uname(out, user);
	archive_entry_copy_gname(out, group);
	return 0;
}

static int
get_xattr(const char *escaped, const json_t *value, struct archive_entry *out,
    struct bkp_error *err)
{
	const char *text = json_string_value(value);
	size_t len = text != NULL ? strlen(text) : 1;
	struct fmt_buf name = FMT_BUF_INIT;
	unsigned char *data = NULL;
	int got, rc = -1;

	if (len % 4 != 0 || len > 1024 * 1024) {
		(void)fail_attribute(err, "xattrs");
		goto out;
	}
	if ((data = bkp_alloc(len + 1, err)) == NULL)
		goto out;
	got = EVP_DecodeBlock(data, (const unsigned char *)text, (int)len);
	if (fmt_path_unescape(escaped, strlen(escaped), &name) != FMT_OK ||
	    fmt_buf_text(&name) == NULL || got < 0) {
		(void)fail_attribute(err, "xattrs");
		goto out;
	}
	/* EVP_DecodeBlock counts the padding. */
	for (size_t i = len; i > 0 && i + 2 > len && text[i - 1] == '='; i--)
		got--;
	archive_entry_xattr_add_entry(
	    out, (const char *)name.data, data, (size_t)(got > 0 ? got : 0));
	rc = 0;
out:
	fmt_buf_free(&name);
	free(data);
	return rc;
}

static int
get_extended(const struct fmt_entry *entry, struct archive_entry *out,
    struct bkp_error *err)
{
	json_t *xattrs = json_object_get(entry->attrs, "xattrs"), *value;
	const char *flags =
	    json_string_value(json_object_get(entry->attrs, "flags"));
	const json_t *acl = json_object_get(entry->attrs, "acl");
	const char *name;
	char *text;
	int got;

	json_object_foreach(xattrs, name, value)
	{
		if (get_xattr(name, value, out, err) < 0)
			return -1;
	}
	if (flags != NULL)
		(void)archive_entry_copy_fflags_text(out, flags);
	if (acl == NULL)
		return 0;
	if ((text = bkp_files_path_text(acl, err)) == NULL)
		return -1;
	got = archive_entry_acl_from_text(
	    out, text, ARCHIVE_ENTRY_ACL_TYPE_ACCESS);
	free(text);
	return got == ARCHIVE_OK ? 0 : fail_attribute(err, "acl");
}

static int
get_sparse(const struct fmt_entry *entry, struct archive_entry *out,
    struct bkp_error *err)
{
	const json_t *map = json_object_get(entry->attrs, "sparse");
	uint64_t at = 0;

	for (size_t i = 0; i < json_array_size(map); i++) {
		const json_t *item = json_array_get(map, i);
		json_int_t offset = json_integer_value(json_array_get(item, 0));
		json_int_t len = json_integer_value(json_array_get(item, 1));

		if (offset < 0 || len < 0 || (uint64_t)offset < at ||
		    (uint64_t)offset + (uint64_t)len > entry->size)
			return fail_attribute(err, "sparse");
		at = (uint64_t)offset + (uint64_t)len;
	}
	archive_entry_set_size(out, (la_int64_t)entry->size);
	return 0;
}

static int
get_device(const struct fmt_entry *entry, struct archive_entry *out,
    struct bkp_error *err)
{
	const char *text =
	    json_string_value(json_object_get(entry->attrs, "device"));
	unsigned major_number, minor_number;
	char word[8], more;

	if (text == NULL || sscanf(text, "%7s %u:%u%c", word, &major_number,
				&minor_number, &more) != 3)
		return fail_attribute(err, "device");
	archive_entry_set_filetype(
	    out, strcmp(word, "block") == 0 ? AE_IFBLK : AE_IFCHR);
	archive_entry_set_rdevmajor(out, major_number);
	archive_entry_set_rdevminor(out, minor_number);
	return 0;
}

static int
get_type(const struct fmt_entry *entry, struct archive_entry *out,
    struct bkp_error *err)
{
	const char *kind = entry->kind;
	char *target;

	if (strcmp(kind, "files.file") == 0) {
		archive_entry_set_filetype(out, AE_IFREG);
		return get_sparse(entry, out, err);
	}
	if (strcmp(kind, "files.directory") == 0) {
		archive_entry_set_filetype(out, AE_IFDIR);
		return 0;
	}
	if (strcmp(kind, "files.fifo") == 0) {
		archive_entry_set_filetype(out, AE_IFIFO);
		return 0;
	}
	if (strcmp(kind, "files.device") == 0)
		return get_device(entry, out, err);
	if (strcmp(kind, "files.symlink") != 0)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "entries of the kind '%s' are not known here; use a newer "
		    "version",
		    kind);
	target =
	    bkp_files_path_text(json_object_get(entry->attrs, "target"), err);
	if (target == NULL)
		return -1;
	archive_entry_set_filetype(out, AE_IFLNK);
	archive_entry_copy_symlink(out, target);
	free(target);
	return 0;
}

int
bkp_files_to_archive(const struct fmt_entry *entry, bool has_names,
    struct archive_entry *out, struct bkp_error *err)
{
	struct timespec mtime;

	if (get_type(entry, out, err) < 0 || get_mode(entry, out, err) < 0 ||
	    get_owner(entry, has_names, out, err) < 0 ||
	    bkp_files_get_mtime(entry, &mtime, err) < 0)
		return -1;
	archive_entry_set_mtime(out, mtime.tv_sec, mtime.tv_nsec);
	return get_extended(entry, out, err);
}

int
bkp_files_same_as(
    const struct fmt_entry *entry, char **out, struct bkp_error *err)
{
	char *path = NULL;

	if (strcmp(entry->kind, "files.hardlink") == 0 &&
	    (path = bkp_files_path_text(
		 json_object_get(entry->attrs, "link"), err)) == NULL)
		return -1;
	*out = path;
	return 0;
}

static int
link_to_tar(const char *first, struct archive_entry *out, struct bkp_error *err)
{
	struct fmt_buf name = FMT_BUF_INIT;
	enum fmt_status status = fmt_archive_name(first, &name);

	if (status == FMT_OK && fmt_buf_text(&name) == NULL)
		status = FMT_NOMEM;
	if (status == FMT_OK) {
		archive_entry_set_filetype(out, AE_IFREG);
		archive_entry_copy_hardlink(out, (const char *)name.data);
	}
	fmt_buf_free(&name);
	return status == FMT_OK ? 0
				: bkp_fail_format(err, status, "naming a link");
}

int
bkp_files_to_tar(const struct fmt_entry *entry, struct archive_entry *out,
    struct bkp_error *err)
{
	char *first = NULL;
	int rc;

	if (bkp_files_same_as(entry, &first, err) < 0)
		return -1;
	if (first == NULL)
		return bkp_files_to_archive(entry, true, out, err);
	rc = link_to_tar(first, out, err);
	free(first);
	return rc;
}
