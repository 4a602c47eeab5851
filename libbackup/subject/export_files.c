/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of buckets that owned rows name, and those of shared rows where
 * the map says so: somebody else may have made them. What a row names and
 * nobody has is an omission, by name; what the map's SQL gives as a prefix must
 * end in a slash, for "user/4" is the beginning of "user/42", too.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/archive/spool.h"
#include "libbackup/base/fail.h"
#include "libbackup/subject/exported.h"
#include "libbackup/subject/named.h"

#define SHOWN 500 /* objects that the page for people shows */
#define PART 180  /* bytes of a component that are kept as they are */
#define RUN ((size_t)256 * 1024)

/* What a row names. */
struct named {
	char *key;   /* owned; a prefix where is_prefix */
	char *name;  /* owned, or NULL */
	size_t file; /* of the map */
	enum bkp_decided decided;
	bool is_prefix;
};

struct files {
	struct bkp_export *export;
	struct bkp_objects *objects;
	struct named *items; /* sorted: by bucket, then key */
	size_t count, cap;
	struct bkp_spool *list; /* owned: lines of files.ndjson */
};

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "collecting files");
}

/* ---- what rows name ---- */

struct taking {
	struct files *files;
	size_t file;
	enum bkp_decided decided;
};

static int
take(void *arg, const char *key, const char *name, struct bkp_error *err)
{
	const struct taking *taking = arg;
	struct files *files = taking->files;
	const struct bkp_map_file *map =
	    &files->export->map->files[taking->file];
	struct named *item;

	if (bkp_grow(&files->items, files->count, &files->cap,
		sizeof(*files->items), err) < 0)
		return -1;
	item = &files->items[files->count];
	*item = (struct named){.file = taking->file,
	    .decided = taking->decided,
	    .is_prefix = map->key == NULL};
	item->key = bkp_strdup(key, err);
	if (item->key != NULL && name != NULL)
		item->name = bkp_strdup(name, err);
	files->count++;
	return item->key != NULL ? 0 : -1;
}

static int
collect(struct files *files, size_t file, struct bkp_error *err)
{
	const struct bkp_map_file *map = &files->export->map->files[file];
	struct taking taking = {files, file, BKP_OWN};

	if (bkp_named_each(
		files->export->walk, map, BKP_OWN, take, &taking, err) < 0)
		return -1;
	if (!map->is_shared)
		return 0;
	taking.decided = BKP_SHARED;
	return bkp_named_each(
	    files->export->walk, map, BKP_SHARED, take, &taking, err);
}

/* ---- names in the package ---- */

/* One component of a key. What a file system or a reader of the package could
 * take amiss is written as %XX; a long one is cut, and told apart from others
 * by its digest. */
static enum fmt_status
append_component(struct fmt_buf *out, const char *text, size_t len)
{
	bool is_dots = (len == 1 && text[0] == '.') ||
		       (len == 2 && text[0] == '.' && text[1] == '.');
	enum fmt_status status = FMT_OK;
	unsigned char digest[32];
	char hex[65];

	if (len == 0)
		return fmt_buf_append_text(out, "%");
	for (size_t i = 0; i < len && i < PART && status == FMT_OK; i++) {
		unsigned char c = (unsigned char)text[i];

		status = c < 0x20 || c == 0x7f || is_dots ||
				 strchr("%\\:*?\"<>|", c) != NULL
			     ? fmt_buf_printf(out, "%%%02X", c)
			     : fmt_buf_append_byte(out, c);
	}
	if (status != FMT_OK || len <= PART)
		return status;
	if ((status = fmt_sha256(text, len, digest)) != FMT_OK)
		return status;
	fmt_hex(digest, 8, hex);
	return fmt_buf_printf(out, "%%%s", hex);
}

/* "files/uploads/a/b.png", or shared-files/, the caller's. */
static char *
member_name(const char *bucket, const char *key, enum bkp_decided decided,
    struct bkp_error *err)
{
	struct fmt_buf name = FMT_BUF_INIT;
	enum fmt_status status = fmt_buf_append_text(
	    &name, decided == BKP_OWN ? "files/" : "shared-files/");

	if (status == FMT_OK)
		status = append_component(&name, bucket, strlen(bucket));
	for (const char *at = key; status == FMT_OK;) {
		size_t len = strcspn(at, "/");

		status = fmt_buf_append_byte(&name, '/');
		if (status == FMT_OK)
			status = append_component(&name, at, len);
		if (at[len] == '\0')
			break;
		at += len + 1;
	}
	if (status != FMT_OK || fmt_buf_text(&name) == NULL) {
		fmt_buf_free(&name);
		(void)nomem(err);
		return NULL;
	}
	return (char *)name.data;
}

/* ---- an object ---- */

struct fetching {
	struct bkp_export *export;
	char *type;     /* owned */
	char *modified; /* owned */
};

static int
begin_object(
    void *arg, const char *type, const char *modified, struct bkp_error *err)
{
	struct fetching *fetching = arg;

	if (type != NULL && fetching->type == NULL &&
	    (fetching->type = bkp_strdup(type, err)) == NULL)
		return -1;
	if (modified != NULL && fetching->modified == NULL &&
	    (fetching->modified = bkp_strdup(modified, err)) == NULL)
		return -1;
	return 0;
}

static int
write_object(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct fetching *fetching = arg;

	bkp_run_count(fetching->export->run, len, 0);
	bkp_run_tick(fetching->export->run);
	return bkp_package_put(fetching->export->package, data, len, err);
}

static int
add_line(struct files *files, const struct named *item, const char *member,
    const struct fetching *fetching, uint64_t size, const char *sha256,
    struct bkp_error *err)
{
	const struct bkp_map_file *map = &files->export->map->files[item->file];
	json_t *value = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:I, s:s}", "file",
	    member, "decision", bkp_decided_name(item->decided), "bucket",
	    map->bucket, "key", item->key, "table", map->table, "name",
	    item->name, "content_type", fetching->type, "last_modified",
	    fetching->modified, "bytes", (json_int_t)size, "sha256", sha256);
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
	int rc = 0;

	json_decref(value);
	if (text == NULL)
		return nomem(err);
	if (bkp_spool_write(files->list, text, strlen(text), err) < 0 ||
	    bkp_spool_write(files->list, "\n", 1, err) < 0)
		rc = -1;
	free(text);
	return rc;
}

/* The first objects are remembered for the page. */
static int
show(struct files *files, const struct named *item, char **member,
    struct fetching *fetching, uint64_t size, struct bkp_error *err)
{
	struct bkp_export *export = files->export;
	const char *slash = strrchr(item->key, '/');
	const char *title = item->name != NULL                  ? item->name
			    : slash != NULL && slash[1] != '\0' ? slash + 1
								: item->key;
	struct bkp_exported_object *object;

	if (export->shown_count >= SHOWN)
		return 0;
	if (bkp_grow(&export->shown, export->shown_count, &export->shown_cap,
		sizeof(*export->shown), err) < 0)
		return -1;
	object = &export->shown[export->shown_count];
	*object = (struct bkp_exported_object){
	    .size = size, .is_shared = item->decided == BKP_SHARED};
	if ((object->title = bkp_strdup(title, err)) == NULL)
		return -1;
	object->name = *member;
	object->type = fetching->type;
	*member = NULL;
	fetching->type = NULL;
	export->shown_count++;
	return 0;
}

/* 0 also where it could not be had, which is noted. */
static int
fetch(struct files *files, const struct named *item, struct bkp_error *err)
{
	struct bkp_export *export = files->export;
	const struct bkp_map_file *map = &export->map->files[item->file];
	struct fetching fetching = {.export = export};
	const struct bkp_objects_taker taker = {
	    .begin = begin_object, .write = write_object, .arg = &fetching};
	struct bkp_error problem = BKP_ERROR_INIT;
	char *member = member_name(map->bucket, item->key, item->decided, err),
	     sha256[65];
	uint64_t size;
	int got, rc = -1;

	if (member == NULL ||
	    bkp_package_begin(export->package, member, err) < 0)
		goto out;
	got = files->objects->ops->get(
	    files->objects, item->key, &taker, &problem, err);
	if (got != 0)
		bkp_package_drop(export->package);
	if (got > 0)
		rc = bkp_run_omit(export->run, err, member,
		    "a row of %s names it: %s", map->table, problem.message);
	if (got != 0)
		goto out;
	if (bkp_package_end(export->package, sha256, &size, err) < 0 ||
	    add_line(files, item, member, &fetching, size, sha256, err) < 0 ||
	    show(files, item, &member, &fetching, size, err) < 0)
		goto out;
	export->object_count++;
	export->object_bytes += size;
	rc = 0;
out:
	free(fetching.type);
	free(fetching.modified);
	free(member);
	return rc;
}

/* ---- buckets ---- */

static int
turn_to(struct files *files, size_t at, struct bkp_error *err)
{
	size_t file = files->items[at].file;

	return files->objects->ops->turn_to(
	    files->objects, files->export->map->files[file].bucket, err);
}

struct listing {
	struct files *files;
	size_t file;
	enum bkp_decided decided;
};

static int
add_key(void *arg, const char *key, struct bkp_error *err)
{
	const struct listing *listing = arg;
	struct files *files = listing->files;
	struct named *item;

	if (bkp_grow(&files->items, files->count, &files->cap,
		sizeof(*files->items), err) < 0)
		return -1;
	item = &files->items[files->count];
	*item =
	    (struct named){.file = listing->file, .decided = listing->decided};
	if ((item->key = bkp_strdup(key, err)) == NULL)
		return -1;
	files->count++;
	return 0;
}

/* Adds the objects below a prefix. */
static int
list_below(struct files *files, size_t at, struct bkp_error *err)
{
	const struct named prefix = files->items[at];
	struct listing listing = {files, prefix.file, prefix.decided};
	const struct bkp_map_file *map =
	    &files->export->map->files[prefix.file];
	struct bkp_error problem = BKP_ERROR_INIT;
	char *path;
	int got, rc;

	got = files->objects->ops->list(
	    files->objects, prefix.key, add_key, &listing, &problem, err);
	if (got <= 0)
		return got;
	path = bkp_format(err, "%s/%s/%s",
	    prefix.decided == BKP_OWN ? "files" : "shared-files", map->bucket,
	    prefix.key);
	if (path == NULL)
		return -1;
	rc = bkp_run_omit(files->export->run, err, path,
	    "a row of %s names the objects below it, which could not be "
	    "listed: %s",
	    map->table, problem.message);
	free(path);
	return rc;
}

static int
expand(struct files *files, struct bkp_error *err)
{
	size_t count = files->count;

	for (size_t i = 0; i < count; i++) {
		const struct named *item = &files->items[i];
		const struct bkp_map_file *map =
		    &files->export->map->files[item->file];
		size_t len = strlen(item->key);

		if (!item->is_prefix)
			continue;
		if (len == 0 || item->key[len - 1] != '/')
			return bkp_fail(err, BKP_INVALID,
			    "files of table %s (line %u of the map): the "
			    "prefix \"%s\" does not end in '/', and other "
			    "people's keys may begin with it, too",
			    map->table, map->line, item->key);
		if (turn_to(files, i, err) < 0 || list_below(files, i, err) < 0)
			return -1;
	}
	return 0;
}

/* Prefixes last; then by bucket and key, what is owned before what is shared,
 * names before none. */
static int
by_place(const void *a, const void *b, void *arg)
{
	const struct named *x = a, *y = b;
	const struct bkp_map *map = arg;
	int order = (int)x->is_prefix - (int)y->is_prefix;

	if (order == 0)
		order = strcmp(
		    map->files[x->file].bucket, map->files[y->file].bucket);
	if (order == 0)
		order = strcmp(x->key, y->key);
	if (order == 0)
		order = (int)x->decided - (int)y->decided;
	return order != 0 ? order : (x->name == NULL) - (y->name == NULL);
}

static bool
is_same(const struct files *files, size_t a, size_t b)
{
	const struct bkp_map_file *of = files->export->map->files;

	return strcmp(of[files->items[a].file].bucket,
		   of[files->items[b].file].bucket) == 0 &&
	       strcmp(files->items[a].key, files->items[b].key) == 0;
}

static int
fetch_all(struct files *files, struct bkp_error *err)
{
	const struct bkp_map *map = files->export->map;

	qsort_r(files->items, files->count, sizeof(*files->items), by_place,
	    (void *)(uintptr_t)map);
	for (size_t i = 0; i < files->count && !files->items[i].is_prefix;
	     i++) {
		if (i > 0 && is_same(files, i - 1, i))
			continue;
		if (turn_to(files, i, err) < 0 ||
		    fetch(files, &files->items[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- the list ---- */

static int
put_list(struct files *files, struct bkp_error *err)
{
	struct bkp_export *export = files->export;
	uint64_t left = bkp_spool_size(files->list);
	struct fmt_buf run = FMT_BUF_SECRET_INIT;
	int rc = bkp_spool_rewind(files->list, err);

	export->objects.name = bkp_strdup("files.ndjson", err);
	if (export->objects.name == NULL)
		rc = -1;
	if (rc == 0)
		rc = bkp_package_begin(
		    export->package, export->objects.name, err);
	while (rc == 0 && left > 0) {
		size_t here = left < RUN ? (size_t)left : RUN;

		fmt_buf_clear(&run);
		rc = bkp_spool_read(files->list, here, &run, err);
		if (rc == 0)
			rc = bkp_package_put(
			    export->package, run.data, run.len, err);
		left -= here;
	}
	fmt_buf_free(&run);
	if (rc < 0)
		return -1;
	return bkp_package_end(export->package, export->objects.sha256,
	    &export->objects.size, err);
}

int
bkp_export_files(struct bkp_export *export, struct bkp_objects *objects,
    struct bkp_error *err)
{
	struct files files = {.export = export, .objects = objects};
	int rc = 0;

	if (!export->has_files || export->map->file_count == 0)
		return 0;
	if (bkp_spool_new(&files.list, err) < 0)
		return -1;
	for (size_t i = 0; i < export->map->file_count && rc == 0; i++)
		rc = collect(&files, i, err);
	if (rc == 0)
		rc = expand(&files, err);
	if (rc == 0)
		rc = fetch_all(&files, err);
	if (rc == 0)
		rc = put_list(&files, err);
	for (size_t i = 0; i < files.count; i++) {
		free(files.items[i].key);
		free(files.items[i].name);
	}
	free(files.items);
	bkp_spool_free(files.list);
	return rc;
}
