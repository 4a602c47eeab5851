/* SPDX-License-Identifier: Apache-2.0 */
/* Members of an export on their way in: named, digested, set aside. */
#include "libbackup/subject/unpack.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/base/temporary.h"
#include "libbackup/subject/unpack_own.h"

/* Bytes between two looks at the room that is left, and what must be. */
#define LOOK ((uint64_t)64 * 1024 * 1024)
#define LEAST ((uint64_t)256 * 1024 * 1024)

/* The two members that are held in memory. */
#define MANIFEST "manifest.json"
#define FILES "files.ndjson"
#define HELD_MAX ((size_t)64 * 1024 * 1024)

/* What an export can have; beyond it somebody is playing. */
#define MEMBERS_MAX 10000000u
#define NAME_MAX_BYTES 4000u

/* ---- names ---- */

/* Relative, of components that are names, and of nothing that a terminal or a
 * log would take amiss. */
static bool
is_member_name(const char *name)
{
	const char *at = name;

	if (strlen(name) > NAME_MAX_BYTES)
		return false;
	for (const char *c = name; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	for (;;) {
		size_t len = strcspn(at, "/");

		if (len == 0 || (len == 1 && at[0] == '.') ||
		    (len == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		if (at[len] == '\0')
			return true;
		at += len + 1;
	}
}

static bool
begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool
ends_with(const char *text, const char *with)
{
	size_t len = strlen(text), with_len = strlen(with);

	return len >= with_len && strcmp(text + len - with_len, with) == 0;
}

static enum bkp_unpack_place
place_of(const struct bkp_unpack *unpack, const char *name)
{
	if (begins_with(name, "files/"))
		return unpack->has_files ? BKP_UNPACK_FILES
					 : BKP_UNPACK_NOWHERE;
	if (begins_with(name, "shared-files/"))
		return unpack->has_files && unpack->has_shared
			   ? BKP_UNPACK_FILES
			   : BKP_UNPACK_NOWHERE;
	if (!ends_with(name, ".ndjson"))
		return BKP_UNPACK_NOWHERE;
	if (begins_with(name, "own/") || begins_with(name, "lookup/") ||
	    (unpack->has_shared && begins_with(name, "shared/")) ||
	    (unpack->has_actor && begins_with(name, "actor/")))
		return BKP_UNPACK_ROWS;
	return BKP_UNPACK_NOWHERE;
}

/* ---- members ---- */

int
bkp_unpack_begin(
    struct bkp_unpack *unpack, const char *name, struct bkp_error *err)
{
	struct bkp_unpack_member *member;

	if (!is_member_name(name))
		return bkp_fail(err, BKP_CORRUPT,
		    "\"%.100s\" is no name of a file in an export; nothing of "
		    "this is used",
		    name);
	if (unpack->count >= MEMBERS_MAX)
		return bkp_fail(err, BKP_CORRUPT,
		    "there are more than %u files in it; nothing of this is "
		    "used",
		    MEMBERS_MAX);
	if (bkp_grow(&unpack->members, unpack->count, &unpack->cap,
		sizeof(*unpack->members), err) < 0)
		return -1;
	member = &unpack->members[unpack->count];
	*member = (struct bkp_unpack_member){.place = place_of(unpack, name)};
	if ((member->name = bkp_strdup(name, err)) == NULL)
		return -1;
	unpack->count++;
	unpack->is_open = true;
	if (unpack->digest == NULL)
		unpack->digest = EVP_MD_CTX_new();
	if (unpack->digest == NULL ||
	    EVP_DigestInit_ex(unpack->digest, EVP_sha256(), NULL) != 1)
		return bkp_fail_nomem(err, "reading the export");
	return 0;
}

/* A small file may say that it holds terabytes. */
static int
check_room(struct bkp_unpack *unpack, size_t len, struct bkp_error *err)
{
	if (len < unpack->until_look) {
		unpack->until_look -= len;
		return 0;
	}
	unpack->until_look = LOOK;
	if (bkp_place_has_room(bkp_temporary_directory(), LEAST))
		return 0;
	return bkp_fail(err, BKP_IO,
	    "no room is left in %s for what is in it (TMPDIR names another "
	    "place)",
	    bkp_temporary_directory());
}

static int
hold(struct fmt_buf *held, const void *data, size_t len, struct bkp_error *err)
{
	if (len > HELD_MAX || held->len > HELD_MAX - len)
		return bkp_fail(
		    err, BKP_CORRUPT, "it is larger than that of any export");
	if (fmt_buf_append(held, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "reading the export");
	return 0;
}

static int
keep(struct bkp_unpack *unpack, const struct bkp_unpack_member *member,
    const void *data, size_t len, struct bkp_error *err)
{
	if (strcmp(member->name, MANIFEST) == 0)
		return hold(&unpack->manifest_text, data, len, err);
	if (strcmp(member->name, FILES) == 0)
		return hold(&unpack->files_text, data, len, err);
	if (member->place == BKP_UNPACK_NOWHERE)
		return 0;
	if (check_room(unpack, len, err) < 0)
		return -1;
	return bkp_spool_write(
	    member->place == BKP_UNPACK_ROWS ? unpack->rows : unpack->files,
	    data, len, err);
}

int
bkp_unpack_put(struct bkp_unpack *unpack, const void *data, size_t len,
    struct bkp_error *err)
{
	struct bkp_unpack_member *member = &unpack->members[unpack->count - 1];

	if (bkp_run_check(unpack->run, err) < 0)
		return -1;
	if (EVP_DigestUpdate(unpack->digest, data, len) != 1)
		return bkp_fail(
		    err, BKP_IO, "%s: its digest failed", member->name);
	member->size += len;
	bkp_run_count(unpack->run, len, 0);
	bkp_run_tick(unpack->run);
	if (keep(unpack, member, data, len, err) < 0)
		return bkp_fail_in(err, "%s", member->name);
	return 0;
}

int
bkp_unpack_end(struct bkp_unpack *unpack, struct bkp_error *err)
{
	struct bkp_unpack_member *member = &unpack->members[unpack->count - 1];
	unsigned char digest[32];

	if (EVP_DigestFinal_ex(unpack->digest, digest, NULL) != 1)
		return bkp_fail(
		    err, BKP_IO, "%s: its digest failed", member->name);
	fmt_hex(digest, sizeof(digest), member->sha256);
	unpack->is_open = false;
	return 0;
}

/* ---- by name ---- */

static int
compare_members(const void *a, const void *b)
{
	const struct bkp_unpack_member *const *one = a, *const *two = b;

	return strcmp((*one)->name, (*two)->name);
}

static int
sort_members(struct bkp_unpack *unpack, struct bkp_error *err)
{
	unpack->sorted =
	    bkp_alloc_array(unpack->count + 1, sizeof(*unpack->sorted), err);
	if (unpack->sorted == NULL)
		return -1;
	for (size_t i = 0; i < unpack->count; i++)
		unpack->sorted[i] = &unpack->members[i];
	qsort(unpack->sorted, unpack->count, sizeof(*unpack->sorted),
	    compare_members);
	for (size_t i = 1; i < unpack->count; i++)
		if (compare_members(
			&unpack->sorted[i - 1], &unpack->sorted[i]) == 0)
			return bkp_fail(err, BKP_CORRUPT,
			    "%s is in it twice; nothing of this is used",
			    unpack->sorted[i]->name);
	return 0;
}

struct bkp_unpack_member *
bkp_unpack_find(const struct bkp_unpack *unpack, const char *name)
{
	size_t low = 0, high = unpack->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(unpack->sorted[middle]->name, name);

		if (order == 0)
			return unpack->sorted[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* ---- all of it ---- */

static int
read_all(struct bkp_unpack *unpack, const struct bkp_unpack_options *options,
    struct bkp_error *err)
{
	const char *location = options->location;
	struct stat st;

	if (bkp_spool_new(&unpack->rows, err) < 0 ||
	    bkp_spool_new(&unpack->files, err) < 0)
		return -1;
	if (strcmp(location, "-") != 0 && strncmp(location, "s3://", 5) != 0 &&
	    stat(location, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (bkp_unpack_folder(unpack, location, err) < 0)
			return -1;
	} else if (bkp_unpack_packed(unpack, options, err) < 0) {
		return -1;
	}
	if (sort_members(unpack, err) < 0 || bkp_unpack_prove(unpack, err) < 0)
		return -1;
	if (bkp_spool_rewind(unpack->rows, err) < 0)
		return -1;
	return bkp_spool_rewind(unpack->files, err);
}

int
bkp_unpack(const struct bkp_unpack_options *options, struct bkp_run *run,
    struct bkp_unpack *out, struct bkp_error *err)
{
	struct bkp_unpack unpack = BKP_UNPACK_INIT;

	unpack.run = run;
	unpack.has_shared = options->has_shared;
	unpack.has_actor = options->has_actor;
	unpack.has_files = options->has_files;
	unpack.manifest_text.is_secret = true;
	unpack.files_text.is_secret = true;
	if (read_all(&unpack, options, err) < 0) {
		bkp_unpack_free(&unpack);
		return bkp_fail_in(
		    err, "reading the export %s", options->location);
	}
	*out = unpack;
	return 0;
}

void
bkp_unpack_free(struct bkp_unpack *unpack)
{
	for (size_t i = 0; i < unpack->count; i++)
		free(unpack->members[i].name);
	free(unpack->members);
	free(unpack->sorted);
	bkp_spool_free(unpack->rows);
	bkp_spool_free(unpack->files);
	fmt_buf_free(&unpack->manifest_text);
	fmt_buf_free(&unpack->files_text);
	for (size_t i = 0; i < unpack->table_count; i++)
		free(unpack->tables[i].columns);
	free(unpack->tables);
	for (size_t i = 0; i < unpack->reference_count; i++) {
		free(unpack->references[i].columns);
		free(unpack->references[i].to_columns);
	}
	free(unpack->references);
	for (size_t i = 0; i < unpack->object_count; i++) {
		free(unpack->objects[i].name);
		free(unpack->objects[i].bucket);
		free(unpack->objects[i].key);
		free(unpack->objects[i].type);
	}
	free(unpack->objects);
	json_decref(unpack->manifest);
	EVP_MD_CTX_free(unpack->digest);
	*unpack = (struct bkp_unpack)BKP_UNPACK_INIT;
}
