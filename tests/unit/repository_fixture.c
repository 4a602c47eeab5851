/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/repository_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/check.h"
#include "libbackup/key.h"
#include "tests/unit/store_conformance.h"

/* ---- set-up ---- */

int
fixture_new(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (fixture == NULL)
		return -1;
	*state = fixture;
	(void)snprintf(fixture->folder, sizeof(fixture->folder),
	    "/tmp/bkp-repository-XXXXXX");
	if (mkdtemp(fixture->folder) == NULL)
		return -1;
	/* What a machine remembers of a repository stays in here, too. */
	if (setenv("BACKUP_STATE_DIR", fixture->folder, 1) < 0 ||
	    setenv("BACKUP_CACHE_DIR", fixture->folder, 1) < 0)
		return -1;
	(void)snprintf(fixture->key_file, sizeof(fixture->key_file),
	    "%s/host.key", fixture->folder);
	(void)snprintf(fixture->identity_file, sizeof(fixture->identity_file),
	    "%s/admin.txt", fixture->folder);
	if (bkp_identity_create(
		fixture->identity_file, fixture->recipient, &err) < 0 ||
	    bkp_store_memory_new(&fixture->memory, &err) < 0) {
		print_error("%s\n", err.message);
		return -1;
	}
	return 0;
}

int
fixture_new_initialised(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_init_options options;
	const char *recipients[1];
	struct fixture *fixture;

	if (fixture_new(state) < 0)
		return -1;
	fixture = *state;
	options = fixture_options(fixture, recipients);
	recipients[0] = fixture->recipient;
	if (bkp_repository_init_store(fixture_store(fixture), &options, &err) <
	    0) {
		print_error("%s\n", err.message);
		return -1;
	}
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int
fixture_free(void **state)
{
	struct fixture *fixture = *state;

	bkp_store_close(fixture->memory);
	(void)nftw(fixture->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

struct bkp_store *
fixture_store(struct fixture *fixture)
{
	struct bkp_store *store = NULL;

	assert_int_equal(
	    bkp_store_memory_share(fixture->memory, &store, NULL), 0);
	return store;
}

struct bkp_init_options
fixture_options(struct fixture *fixture, const char *const recipients[1])
{
	struct bkp_init_options options = BKP_INIT_OPTIONS_INIT;

	options.recipients = recipients;
	options.recipient_count = 1;
	options.key_file = fixture->key_file;
	options.work_factor = 2;
	return options;
}

/* ---- opening ---- */

struct bkp_keys
fixture_host_keys(struct fixture *fixture)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.key_file = fixture->key_file;
	return keys;
}

struct bkp_keys
fixture_admin_keys(struct fixture *fixture)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.identity_file = fixture->identity_file;
	return keys;
}

static struct bkp_repository *
open_with(struct fixture *fixture, const struct bkp_keys *keys)
{
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_repository_open_store(
	    fixture_store(fixture), keys, &repository, &err);
	assert_string_equal(err.message, "");
	assert_non_null(repository);
	return repository;
}

struct bkp_repository *
fixture_open_host(struct fixture *fixture)
{
	struct bkp_keys keys = fixture_host_keys(fixture);

	return open_with(fixture, &keys);
}

struct bkp_repository *
fixture_open_admin(struct fixture *fixture)
{
	struct bkp_keys keys = fixture_admin_keys(fixture);

	return open_with(fixture, &keys);
}

/* ---- backing up ---- */

static int
fail_status(enum fmt_status status, struct bkp_error *err)
{
	return status == FMT_OK ? 0 : bkp_fail_format(err, status, "fixture");
}

static int
put_chunk(struct bkp_chunk_writer *writer, struct bkp_row_cache *rows,
    const struct fixture_file *file, size_t at, size_t len,
    struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	const unsigned char *data = (const unsigned char *)file->data + at;
	const struct bkp_row_range range = {file->path, 0, 0, FMT_COPY_TEXT};
	struct fmt_rowhash hash = FMT_ROWHASH_INIT;

	if (rows != NULL && strncmp(file->path, "rows", 4) == 0)
		return bkp_chunk_writer_put_rows(
		    writer, rows, &range, data, len, ref, &hash, err);
	return bkp_chunk_writer_put(writer, data, len, ref, err);
}

/* Without these it is no file that anybody could restore. */
static bool
fill_attributes(struct fmt_entry *entry)
{
	if (entry->attrs == NULL)
		entry->attrs = json_object();
	return json_object_set_new(entry->attrs, "mode", json_string("0644")) ==
		   0 &&
	       json_object_set_new(entry->attrs, "uid", json_integer(0)) == 0 &&
	       json_object_set_new(entry->attrs, "gid", json_integer(0)) == 0 &&
	       json_object_set_new(entry->attrs, "mtime",
		   json_string("1700000000.000000000")) == 0;
}

static int
fill_entry(struct bkp_chunk_writer *writer, struct bkp_row_cache *rows,
    const char *prefix, const struct fixture_file *file, size_t piece,
    struct fmt_entry *entry, struct bkp_error *err)
{
	char path[256];

	if (strncmp(file->path, "rows", 4) == 0)
		piece = file->len;

	(void)snprintf(path, sizeof(path), "%s/%s", prefix, file->path);
	if (fail_status(fmt_entry_init(entry, path, "files.file"), err) < 0 ||
	    fail_status(fmt_sha256(file->data, file->len, entry->sha256), err) <
		0)
		return -1;
	if (!fill_attributes(entry))
		return bkp_fail_nomem(err, "filling an entry");
	entry->has_content = entry->has_sha256 = true;
	entry->size = file->len;
	for (size_t at = 0; at < file->len; at += piece) {
		size_t len = file->len - at < piece ? file->len - at : piece;
		struct fmt_chunk_ref ref;

		if (put_chunk(writer, rows, file, at, len, &ref, err) < 0 ||
		    fail_status(fmt_entry_add_chunk(entry, &ref), err) < 0)
			return -1;
	}
	return 0;
}

static int
write_files(struct bkp_chunk_writer *writer, struct bkp_row_cache *rows,
    struct bkp_list_writer *list, const struct fixture_source *source,
    size_t piece, struct bkp_error *err)
{
	for (size_t i = 0; i < source->count; i++) {
		struct fmt_entry entry = FMT_ENTRY_INIT;
		int rc = fill_entry(writer, rows, source->prefix,
		    &source->files[i], piece, &entry, err);

		if (rc == 0)
			rc = bkp_list_writer_add(list, &entry, err);
		fmt_entry_free(&entry);
		if (rc < 0)
			return -1;
	}
	return bkp_chunk_writer_flush(writer, err);
}

static int
fill_source(struct fmt_snapshot_source *out,
    const struct fixture_source *source, struct bkp_error *err)
{
	out->prefix = bkp_strdup(source->prefix, err);
	out->kind = bkp_strdup("files", err);
	if (out->prefix == NULL || out->kind == NULL)
		return -1;
	out->entries = source->count;
	for (size_t i = 0; i < source->count; i++)
		out->bytes += source->files[i].len;
	return 0;
}

/* One source after the other, each with a list of its own. */
static int
write_source(struct bkp_session *session, struct bkp_chunk_writer *writer,
    struct bkp_row_cache *rows, const struct fixture_source *source,
    size_t piece, struct fmt_snapshot_source *out, struct bkp_error *err)
{
	struct bkp_list_writer *list = NULL;
	int rc = -1;

	if (bkp_list_writer_new(session, &list, err) == 0 &&
	    write_files(writer, rows, list, source, piece, err) == 0 &&
	    fill_source(out, source, err) == 0)
		rc = bkp_list_writer_finish(
		    list, &out->list, &out->list_count, err);
	bkp_list_writer_free(list);
	return rc;
}

static bool
has_rows(const struct fixture_source *sources, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct fixture_source *source = &sources[i];

		if (source->count > 0 &&
		    strncmp(source->files[source->count - 1].path, "rows", 4) ==
			0)
			return true;
	}
	return false;
}

int
fixture_back_up_sources(struct bkp_repository *repository,
    const struct fixture_source *sources, size_t count, size_t piece,
    char name[65], struct bkp_error *err)
{
	static int64_t clock_us = 1763500000000000;
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_chunk_writer *writer = NULL;
	struct bkp_session *session = NULL;
	struct bkp_row_cache *rows = NULL;
	int rc = -1;

	snapshot.time_us = clock_us += 1000000;
	snapshot.sources =
	    bkp_alloc_array(count, sizeof(*snapshot.sources), err);
	if (snapshot.sources == NULL)
		return -1;
	snapshot.source_count = count;
	if (bkp_session_begin(repository, &session, err) == 0 &&
	    (!has_rows(sources, count) ||
		bkp_session_rows(session, "postgres/app/t", &rows, err) == 0))
		rc = bkp_chunk_writer_new(session, &writer, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = write_source(session, writer, rows, &sources[i], piece,
		    &snapshot.sources[i], err);
	if (rc == 0)
		rc = bkp_session_commit(session, &snapshot, name, err);
	bkp_chunk_writer_free(writer);
	bkp_session_end(session);
	fmt_snapshot_free(&snapshot);
	return rc;
}

int
fixture_back_up(struct bkp_repository *repository,
    const struct fixture_file *files, size_t count, size_t piece, char name[65],
    struct bkp_error *err)
{
	const struct fixture_source source = {FIXTURE_PREFIX, files, count};

	return fixture_back_up_sources(
	    repository, &source, 1, piece, name, err);
}

/* ---- reading ---- */

static int
take_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	if (fmt_buf_append(arg, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "taking bytes");
	return 0;
}

int
fixture_read_entry(struct bkp_repository *repository, const char *snapshot,
    const char *path, struct fmt_buf *out, struct bkp_error *err)
{
	return bkp_entry_read(repository, snapshot, path, take_bytes, out, err);
}

int
fixture_read(struct bkp_repository *repository, const char *snapshot,
    const char *path, struct fmt_buf *out, struct bkp_error *err)
{
	char whole[256];

	(void)snprintf(whole, sizeof(whole), FIXTURE_PREFIX "/%s", path);
	return fixture_read_entry(repository, snapshot, whole, out, err);
}

static int
compare_names(struct bkp_repository *repository, const char *snapshot,
    const struct fixture_file *files, size_t count, struct bkp_error *err)
{
	struct bkp_entries *entries = NULL;
	struct bkp_entry entry;
	size_t seen = 0;
	int rc;

	if (bkp_entries_open(repository, snapshot, "", &entries, err) < 0)
		return -1;
	while ((rc = bkp_entries_next(entries, &entry, err)) == 1) {
		const char *path = entry.path + strlen(FIXTURE_PREFIX "/");

		if (seen == count || strcmp(path, files[seen].path) != 0 ||
		    entry.size != files[seen].len) {
			rc = bkp_fail(
			    err, BKP_INVALID, "another entry: %s", path);
			break;
		}
		seen++;
	}
	bkp_entries_close(entries);
	if (rc == 0 && seen != count)
		rc = bkp_fail(err, BKP_INVALID, "%zu of %zu", seen, count);
	return rc;
}

int
fixture_compare(struct bkp_repository *repository, const char *snapshot,
    const struct fixture_file *files, size_t count, struct bkp_error *err)
{
	int rc = compare_names(repository, snapshot, files, count, err);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		struct fmt_buf bytes = FMT_BUF_INIT;

		rc = fixture_read(
		    repository, snapshot, files[i].path, &bytes, err);
		if (rc == 0 &&
		    (bytes.len != files[i].len ||
			(bytes.len > 0 &&
			    memcmp(bytes.data, files[i].data, bytes.len) != 0)))
			rc = bkp_fail(err, BKP_INVALID, "WRONG BYTES in %s",
			    files[i].path);
		fmt_buf_free(&bytes);
	}
	return rc;
}

void
fixture_assert_clean(struct fixture *fixture, const char *location)
{
	struct bkp_check_options options = BKP_CHECK_OPTIONS_INIT;
	struct bkp_check_result result = {.is_clean = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	assert_int_equal(bkp_config_new(&config, &err), 0);
	assert_int_equal(bkp_config_set_repository(config, location, &err), 0);
	assert_int_equal(
	    bkp_config_set_identity_file(config, fixture->identity_file, &err),
	    0);
	options.config = config;
	options.read_percent = 100;
	if (bkp_check(&options, &result, &err) < 0)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < result.finding_count; i++)
		if (result.findings[i].level == BKP_FINDING_DAMAGE)
			fail_msg("%s", result.findings[i].text);
	assert_true(result.is_clean);
	bkp_check_result_free(&result);
	bkp_config_free(config);
}

/* ---- odds and ends ---- */

unsigned char *
fixture_random(size_t len, uint64_t seed)
{
	unsigned char *data = malloc(len > 0 ? len : 1);
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;

	assert_non_null(data);
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = (unsigned char)(x >> 24);
	}
	return data;
}

char *
fixture_names(struct fixture *fixture, const char *prefix)
{
	struct fmt_buf names = FMT_BUF_INIT;

	assert_int_equal(
	    bkp_store_list(fixture->memory, prefix, store_names, &names, NULL),
	    0);
	assert_non_null(fmt_buf_text(&names));
	return (char *)names.data;
}

void
fixture_forget(struct fixture *fixture)
{
	char pattern[64];
	glob_t found;

	(void)snprintf(pattern, sizeof(pattern), "%s/*/seen", fixture->folder);
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		assert_int_equal(unlink(found.gl_pathv[i]), 0);
	globfree(&found);
}
