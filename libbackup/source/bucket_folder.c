/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/instant.h"
#include "libbackup/source/bucket_impl.h"

/* Names have 255 bytes at the most. What stands in one is cut as soon as it is
 * that long, whatever follows, so that no two keys share a name. */
#define NAME_MOST 200

/* ---- names ---- */

static bool
is_dots(const char *component, size_t len)
{
	return (len == 1 || len == 2) && strspn(component, ".") >= len;
}

static enum fmt_status
encode_component(const char *component, size_t len, struct fmt_buf *out)
{
	bool has_dots = is_dots(component, len);
	enum fmt_status status = FMT_OK;
	size_t from = out->len;

	if (len == 0)
		return fmt_buf_append_text(out, "%");
	for (size_t i = 0; i < len && status == FMT_OK; i++) {
		unsigned char byte = (unsigned char)component[i];

		if (has_dots || (byte == '.' && out->len == from && i > 0) ||
		    byte < ' ' || byte == 0x7f || byte == '%')
			status = fmt_buf_printf(out, "%%%02X", byte);
		else
			status = fmt_buf_append_byte(out, byte);
		if (status == FMT_OK && out->len - from >= NAME_MOST) {
			status = fmt_buf_append_text(
			    out, i + 1 < len ? "%+/" : "%+/%");
			from = out->len;
		}
	}
	return status;
}

enum fmt_status
bkp_bucket_folder_encode(const char *path, bool is_marker, struct fmt_buf *out)
{
	enum fmt_status status;

	for (;;) {
		size_t len = strcspn(path, "/");

		if ((status = encode_component(path, len, out)) != FMT_OK)
			return status;
		if (path[len] == '\0')
			break;
		if ((status = fmt_buf_append_byte(out, '/')) != FMT_OK)
			return status;
		path += len + 1;
	}
	return is_marker ? fmt_buf_append_text(out, "%d") : FMT_OK;
}

static int
digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum fmt_status
bkp_bucket_folder_decode(const char *name, struct fmt_buf *out, bool *is_marker)
{
	enum fmt_status status = FMT_OK;

	*is_marker = false;
	while (status == FMT_OK && *name != '\0') {
		if (*name != '%') {
			status =
			    fmt_buf_append_byte(out, (unsigned char)*name++);
			continue;
		}
		name++;
		if (digit_of(name[0]) >= 0 && digit_of(name[1]) >= 0) {
			status = fmt_buf_append_byte(
			    out, (unsigned char)(digit_of(name[0]) * 16 +
						 digit_of(name[1])));
			name += 2;
		} else if (name[0] == '+' && name[1] == '/') {
			name += 2;
		} else if (name[0] == 'o' && name[1] == '\0') {
			name++;
		} else if (name[0] == 'd' && name[1] == '\0') {
			*is_marker = true;
			name++;
		} else if (name[0] != '\0' && name[0] != '/' &&
			   strcmp(name, "%d") != 0 && strcmp(name, "%o") != 0) {
			return FMT_MALFORMED;
		}
	}
	return status;
}

char *
bkp_bucket_folder_file(
    const char *folder, const char *path, bool is_marker, struct bkp_error *err)
{
	struct fmt_buf name = FMT_BUF_INIT;
	struct stat st;
	char *file = NULL, *aside;

	if (bkp_bucket_folder_encode(path, is_marker, &name) != FMT_OK ||
	    fmt_buf_text(&name) == NULL)
		(void)bkp_fail_nomem(err, "naming a file");
	else
		file = bkp_format(err, "%s/%s", folder, fmt_buf_text(&name));
	fmt_buf_free(&name);
	if (file == NULL || lstat(file, &st) < 0 || !S_ISDIR(st.st_mode))
		return file;
	aside = bkp_format(err, "%s%s", file, BKP_BUCKET_FOLDER_ASIDE);
	free(file);
	return aside;
}

/* Keys come in order, so one that is also the beginning of others is there
 * before them, and gives up its name. */
static int
make_folder(const char *path, struct bkp_error *err)
{
	struct stat st;
	char *aside;
	int rc = -1;

	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno != EEXIST || lstat(path, &st) < 0)
		return bkp_fail_errno(err, errno, "making %s", path);
	if (S_ISDIR(st.st_mode))
		return 0;
	if ((aside = bkp_format(err, "%s%s", path, BKP_BUCKET_FOLDER_ASIDE)) ==
	    NULL)
		return -1;
	if (rename(path, aside) < 0 || mkdir(path, 0700) < 0)
		(void)bkp_fail_errno(err, errno, "making %s", path);
	else
		rc = 0;
	free(aside);
	return rc;
}

int
bkp_bucket_folder_make(const char *folder, char *file, struct bkp_error *err)
{
	for (char *slash = strchr(file + strlen(folder) + 1, '/');
	     slash != NULL; slash = strchr(slash + 1, '/')) {
		int rc;

		*slash = '\0';
		rc = make_folder(file, err);
		*slash = '/';
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- the scratch place ---- */

struct folder_scratch {
	struct bkp_scratch base;
	char *folder; /* owned; below one that is removed */
};

static void
close_scratch(struct bkp_scratch *base)
{
	struct folder_scratch *scratch = (struct folder_scratch *)base;

	bkp_source_config_free(&base->place);
	free(scratch->folder);
	free(scratch);
}

static int
scratch_open(const struct bkp_source_config *config, const json_t *info,
    const char *directory, struct bkp_run *run, struct bkp_scratch **out,
    struct bkp_error *err)
{
	static const struct bkp_scratch_ops ops = {.close = close_scratch};
	struct folder_scratch *scratch = bkp_alloc(sizeof(*scratch), err);
	struct bkp_source_config *place;

	(void)info;
	(void)run;
	if (scratch == NULL)
		return -1;
	scratch->base.ops = &ops;
	place = &scratch->base.place;
	place->kind = BKP_KIND_BUCKET;
	place->name = bkp_strdup(config->name, err);
	place->prefix = bkp_strdup(config->prefix, err);
	scratch->folder = bkp_format(err, "%s/objects-XXXXXX", directory);
	if (place->name == NULL || place->prefix == NULL ||
	    scratch->folder == NULL)
		goto fail;
	if (mkdtemp(scratch->folder) == NULL) {
		(void)bkp_fail_errno(
		    err, errno, "making a scratch folder for objects");
		goto fail;
	}
	place->bucket.folder = scratch->folder;
	*out = &scratch->base;
	return 0;
fail:
	close_scratch(&scratch->base);
	return -1;
}

/* ---- what no file tells ---- */

struct look {
	uint64_t objects;
	uint64_t timed, others; /* of these: with a time; with other times */
	uint64_t attributed;    /* with what a folder cannot hold */
	struct fmt_buf first;   /* of another time */
};

/* Told where it is there: what is a matter of every object is none. */
static bool
has_more(const json_t *attrs)
{
	static const char *const names[] = {"content_type", "cache_control",
	    "content_disposition", "content_encoding", "content_language",
	    "expires", "website_redirect", "metadata", "tags", "lock_mode",
	    "lock_until", "legal_hold"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_object_get(attrs, names[i]) != NULL)
			return true;
	return false;
}

static int
look_at(const struct bkp_source_config *place, const struct fmt_entry *entry,
    struct look *look, struct bkp_error *err)
{
	const char *text = bkp_bucket_attrs_get(entry->attrs, "last_modified");
	char *file;
	struct stat st;
	int64_t us;

	look->objects++;
	look->attributed += has_more(entry->attrs);
	if (text == NULL || !bkp_instant_read(text, &us))
		return 0;
	file = bkp_bucket_folder_file(place->bucket.folder,
	    entry->path + strlen("bucket/"),
	    strcmp(entry->kind, BKP_BUCKET_MARKER) == 0, err);
	if (file == NULL)
		return -1;
	/* What is not there has its own line. */
	if (lstat(file, &st) == 0) {
		look->timed++;
		if ((int64_t)st.st_mtim.tv_sec * 1000000 +
			    st.st_mtim.tv_nsec / 1000 !=
			us &&
		    look->others++ == 0 &&
		    fmt_path_escape(entry->path, &look->first) != FMT_OK)
			us = -1;
	}
	free(file);
	return 0;
}

static int
tell_look(const struct bkp_source_config *place, struct look *look,
    bkp_remark_fn *tell, void *arg, struct bkp_error *err)
{
	char *name = bkp_format(err, "%s/times", place->prefix);
	char *what = NULL;
	int rc = -1;

	if (name != NULL && look->others == 0)
		what = bkp_format(err, "%llu objects have the time they had",
		    (unsigned long long)look->timed);
	else if (name != NULL)
		what = bkp_format(err,
		    "%llu of %llu objects have another time, the first: %s",
		    (unsigned long long)look->others,
		    (unsigned long long)look->timed,
		    look->first.len > 0 ? fmt_buf_text(&look->first) : "?");
	if (what != NULL)
		rc = look->timed == 0 ? 0
				      : tell(arg,
					    look->others == 0 ? BKP_REMARK_GOOD
							      : BKP_REMARK_BAD,
					    name, what, err);
	free(what);
	free(name);
	if (rc < 0)
		return -1;
	what = bkp_format(err,
	    "in a folder, not in a bucket: types, metadata, tags and locks "
	    "(%llu of %llu objects have some) are recorded and were not tried",
	    (unsigned long long)look->attributed,
	    (unsigned long long)look->objects);
	rc = what != NULL
		 ? tell(arg, BKP_REMARK_UNTRIED, place->prefix, what, err)
		 : -1;
	free(what);
	return rc;
}

static int
examine(const struct bkp_source_config *place, struct bkp_supply *supply,
    bool is_scratch, bkp_remark_fn *tell, void *arg, struct bkp_error *err)
{
	struct look look = {.first = FMT_BUF_INIT};
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int got, rc = 0;

	(void)is_scratch;
	if (bkp_supply_entries(
		supply, bkp_supply_selection(supply), &stream, err) < 0)
		return -1;
	while (rc == 0 &&
	       (got = bkp_entry_stream_next(stream, &entry, err)) != 0) {
		rc = got < 0 ? -1 : 0;
		if (rc == 0 && bkp_supply_is_selected(supply, entry.path))
			rc = look_at(place, &entry, &look, err);
		fmt_entry_free(&entry);
	}
	bkp_entry_stream_close(stream);
	if (rc == 0)
		rc = tell_look(place, &look, tell, arg, err);
	fmt_buf_free(&look.first);
	return rc;
}

/* ---- the kind ---- */

static const char *const ignored[] = {"etag", "etag_opaque", "part_size",
    "part_count", "part_sizes", "last_modified", "storage_class", "version_id",
    "content_type", "cache_control", "content_disposition", "content_encoding",
    "content_language", "expires", "website_redirect", "metadata", "tags",
    "lock_mode", "lock_until", "legal_hold", NULL};

static const struct bkp_comparison comparisons[] = {
    {.entry_kind = BKP_BUCKET_OBJECT,
	.has_content_compared = true,
	.is_counted = true,
	.ignored = ignored},
    {.entry_kind = BKP_BUCKET_VERSION,
	.has_content_compared = true,
	.is_counted = true,
	.ignored = ignored},
    {.entry_kind = BKP_BUCKET_MARKER, .is_counted = true, .ignored = ignored},
    {.entry_kind = NULL},
};

const struct bkp_kind bkp_kind_bucket_folder = {
    .kind = BKP_KIND_BUCKET,
    .name = "bucket",
    .source_open = bkp_bucket_folder_source_open,
    .target_open = bkp_bucket_folder_target_open,
    .scratch_open = scratch_open,
    .examine = examine,
    .comparisons = comparisons,
};
