/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an export: first as what it is packed into, then as a manifest
 * and a list of files that are in a tar with a table's rows and a file. It is
 * refused with a message, or what it told of is there. Every line behind that
 * is SQL that a manifest may have of a reference: what is taken of it is
 * written as SQL that cannot leave its place.
 */
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libbackup/subject/load_words.h"
#include "libbackup/subject/names.h"
#include "libbackup/subject/unpack.h"
#include "tests/fuzz/fuzz.h"

#define BETWEEN "\n---\n"
#define SIZE_MOST ((size_t)256 * 1024)

static struct bkp_run *run;

/* ---- an export ---- */

static void
look_at(const struct bkp_unpack *unpack)
{
	for (size_t i = 0; i < unpack->count; i++)
		require(bkp_unpack_find(unpack, unpack->members[i].name) ==
			&unpack->members[i]);
	for (size_t i = 0; i < unpack->table_count; i++)
		require(
		    bkp_unpack_find(unpack, unpack->tables[i].name) != NULL);
	for (size_t i = 0; i < unpack->object_count; i++)
		require(
		    bkp_unpack_find(unpack, unpack->objects[i].name) != NULL);
	for (size_t i = 0; i < unpack->reference_count; i++)
		for (size_t k = 0; k < unpack->references[i].count; k++)
			require(unpack->references[i].columns[k] != NULL &&
				unpack->references[i].to_columns[k] != NULL);
}

static void
unpack(const void *data, size_t size)
{
	int fd = memfd_create("export", MFD_CLOEXEC);
	struct bkp_unpack out = BKP_UNPACK_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char location[64];
	const struct bkp_unpack_options options = {
	    .location = location,
	    .has_files = true,
	};

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(location, sizeof(location), "/proc/self/fd/%d", fd);
	if (bkp_unpack(&options, run, &out, &err) < 0) {
		require(err.code != BKP_OK && err.message[0] != '\0');
	} else {
		look_at(&out);
		bkp_unpack_free(&out);
	}
	(void)close(fd);
}

static void
put(struct archive *archive, const char *name, const void *data, size_t size)
{
	struct archive_entry *entry = archive_entry_new();

	require(entry != NULL);
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_size(entry, (la_int64_t)size);
	require(archive_write_header(archive, entry) == ARCHIVE_OK);
	require(archive_write_data(archive, data, size) == (la_ssize_t)size);
	archive_entry_free(entry);
}

static void
try_manifest(const uint8_t *manifest, size_t size, const uint8_t *files,
    size_t files_size)
{
	size_t room = size + files_size + 65536, used = 0;
	struct archive *archive = archive_write_new();
	char *tar = malloc(room);

	require(archive != NULL && tar != NULL);
	require(archive_write_set_format_gnutar(archive) == ARCHIVE_OK);
	require(
	    archive_write_open_memory(archive, tar, room, &used) == ARCHIVE_OK);
	put(archive, "own/a.ndjson", "{}\n", 3);
	put(archive, "files/a", "a", 1);
	if (files_size > 0)
		put(archive, "files.ndjson", files, files_size);
	put(archive, "manifest.json", manifest, size);
	require(archive_write_free(archive) == ARCHIVE_OK);
	unpack(tar, used);
	free(tar);
}

/* ---- SQL ---- */

static char names[][8] = {"id", "who", "doc", "a\"b"};
static struct bkp_model_column columns[4];
static const struct bkp_model_table table = {
    .columns = columns,
    .column_count = 4,
};

static enum fmt_status
name_column(struct fmt_buf *out, size_t column, void *arg)
{
	(void)arg;
	require(column < table.column_count);
	return fmt_buf_printf(out, "c%zu", column);
}

static void
try_line(const char *line)
{
	struct load_words words = LOAD_WORDS_INIT;
	struct fmt_buf sql = FMT_BUF_INIT;

	if (bkp_load_words(&words, &table, line) == FMT_OK) {
		require(words.column < table.column_count);
		require(bkp_load_words_append(&sql, &words, "c1") == FMT_OK &&
			bkp_subject_expression(fmt_buf_text(&sql)) == NULL);
		bkp_load_words_free(&words);
	}
	fmt_buf_clear(&sql);
	if (bkp_load_words_condition(&sql, &table, line, name_column, NULL) ==
	    FMT_OK)
		require(bkp_subject_expression(fmt_buf_text(&sql)) == NULL);
	fmt_buf_free(&sql);
}

static void
try_lines(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1), *at = text, *line;

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	while ((line = strsep(&at, "\n")) != NULL)
		try_line(line);
	free(text);
}

/* ---- one input ---- */

/* Up to the next line of dashes; *data and *size: what is behind it. */
static size_t
take(const uint8_t **data, size_t *size)
{
	const uint8_t *end = memmem(*data, *size, BETWEEN, sizeof(BETWEEN) - 1);
	size_t len = end != NULL ? (size_t)(end - *data) : *size;
	size_t gone = end != NULL ? len + sizeof(BETWEEN) - 1 : len;

	*data += gone;
	*size -= gone;
	return len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *manifest = data, *files;
	size_t manifest_size, files_size;

	if (size == 0 || size > SIZE_MOST)
		return 0;
	for (size_t i = 0; i < table.column_count; i++)
		columns[i].name = names[i];
	if (run == NULL)
		require(bkp_run_new(1, NULL, NULL, &run, NULL) == 0);
	unpack(data, size);
	manifest_size = take(&data, &size);
	files = data;
	files_size = take(&data, &size);
	try_manifest(manifest, manifest_size, files, files_size);
	try_lines(data, size);
	return 0;
}
