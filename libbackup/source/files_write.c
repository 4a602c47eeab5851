/* SPDX-License-Identifier: Apache-2.0 */
/* Making files on disk, through libarchive. */
#include "libbackup/source/files_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"

struct files_writer {
	struct archive *disk;
	struct bkp_target_options options;
	struct bkp_run *run;
};

/* Numbers the names of files that are not whole yet. */
static atomic_uint partial_number;

int
bkp_files_writer_new(const struct bkp_target_options *options,
    struct bkp_run *run, struct files_writer **out, struct bkp_error *err)
{
	int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM |
		    ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_ACL |
		    ARCHIVE_EXTRACT_SECURE_SYMLINKS |
		    ARCHIVE_EXTRACT_SECURE_NODOTDOT;
	struct files_writer *writer = bkp_alloc(sizeof(*writer), err);

	if (writer == NULL)
		return -1;
	writer->options = *options;
	writer->run = run;
	if (geteuid() == 0)
		flags |= ARCHIVE_EXTRACT_OWNER;
	/* A flag like `immutable` would keep a scratch place from going. */
	if (!options->is_scratch)
		flags |= ARCHIVE_EXTRACT_FFLAGS;
	writer->disk = archive_write_disk_new();
	if (writer->disk == NULL ||
	    archive_write_disk_set_options(writer->disk, flags) != ARCHIVE_OK ||
	    (!options->is_scratch && archive_write_disk_set_standard_lookup(
					 writer->disk) != ARCHIVE_OK)) {
		bkp_files_writer_free(writer);
		return bkp_fail_nomem(err, "preparing to write files");
	}
	*out = writer;
	return 0;
}

void
bkp_files_writer_free(struct files_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->disk != NULL)
		(void)archive_write_free(writer->disk);
	free(writer);
}

int
bkp_files_writer_finish(struct files_writer *writer, struct bkp_error *err)
{
	if (archive_write_close(writer->disk) == ARCHIVE_OK)
		return 0;
	return bkp_fail(err, BKP_IO, "setting times and permissions: %s",
	    archive_error_string(writer->disk));
}

/* ---- what went wrong ---- */

static bool
is_about_machine(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT || errnum == EROFS ||
	       errnum == EIO || bkp_files_is_fatal(errnum);
}

static int
leave_out(struct files_writer *writer, const struct fmt_entry *entry,
    const char *why, struct bkp_error *err)
{
	int rc = bkp_run_omit(
	    writer->run, err, entry->path, "not restored: %s", why);

	return rc < 0 ? -1 : 1;
}

/* An error of one file is an omission; a disk that is full or read-only, or a
 * machine at its limits, ends the run. */
static int
judge(struct files_writer *writer, const struct fmt_entry *entry,
    const char *place, int got, struct bkp_error *err)
{
	const char *text = archive_error_string(writer->disk);

	if (got == ARCHIVE_OK)
		return 0;
	if (text == NULL)
		text = "unknown error";
	if (got == ARCHIVE_FATAL ||
	    is_about_machine(archive_errno(writer->disk)))
		return bkp_fail_errno(err, archive_errno(writer->disk),
		    "writing %s: %s; what was restored so far stays there",
		    place, text);
	if (got != ARCHIVE_WARN)
		return leave_out(writer, entry, text, err);
	return bkp_run_omit(writer->run, err, entry->path,
	    "restored, but not all of its attributes: %s", text);
}

/* ---- content ---- */

/* Where the content goes, with the holes left out. */
struct writing {
	struct files_writer *writer;
	const json_t *map; /* extents of data; NULL: all of it */
	size_t extent;     /* the first that ends behind `at` */
	uint64_t at;
	int got; /* what libarchive answered when it failed */
};

static uint64_t
number_in(const json_t *map, size_t extent, size_t n)
{
	return (uint64_t)json_integer_value(
	    json_array_get(json_array_get(map, extent), n));
}

static int
write_at(struct writing *w, const void *data, size_t len, uint64_t offset,
    struct bkp_error *err)
{
	la_ssize_t got = archive_write_data_block(
	    w->writer->disk, data, len, (la_int64_t)offset);

	if (got >= ARCHIVE_OK)
		return 0;
	/* A failed write (a full disk) is but a warning to libarchive, which
	 * goes on and leaves a hole in the file. */
	w->got = got == ARCHIVE_WARN ? ARCHIVE_FAILED : (int)got;
	return bkp_fail(err, BKP_IO, "writing");
}

static int
write_extents(struct writing *w, const unsigned char *data, uint64_t end,
    struct bkp_error *err)
{
	for (; w->extent < json_array_size(w->map); w->extent++) {
		uint64_t from = number_in(w->map, w->extent, 0);
		uint64_t to = from + number_in(w->map, w->extent, 1);
		uint64_t first = from > w->at ? from : w->at;
		uint64_t last = to < end ? to : end;

		if (first < last && write_at(w, data + (first - w->at),
					(size_t)(last - first), first, err) < 0)
			return -1;
		if (to > end)
			break;
	}
	return 0;
}

static int
write_piece(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct writing *w = arg;
	uint64_t end = w->at + len;
	int rc;

	bkp_run_count(w->writer->run, len, 0);
	if (bkp_run_check(w->writer->run, err) < 0)
		return -1;
	if (w->map == NULL)
		rc = write_at(w, data, len, w->at, err);
	else
		rc = write_extents(w, data, end, err);
	w->at = end;
	return rc;
}

/* Writes the content after the header. A failure to write this one file is
 * left in *got; one of reading it from the repository is an error. */
static int
write_content(struct files_writer *writer, struct bkp_chunk_reader *reader,
    const struct fmt_entry *entry, int *got, struct bkp_error *err)
{
	struct writing w = {.writer = writer,
	    .map = json_object_get(entry->attrs, "sparse"),
	    .got = ARCHIVE_OK};
	int rc = bkp_chunk_reader_entry(reader, entry, write_piece, &w, err);

	if (w.got == ARCHIVE_OK)
		return rc;
	*got = w.got;
	return 0;
}

/* ---- names ---- */

/* Where a file is written until it is whole; in the same folder, so that it
 * can be renamed. A scratch place needs no such care, and a file with flags
 * (immutable) could not be renamed any more. */
static char *
partial_name(const struct files_writer *writer, const struct fmt_entry *entry,
    const char *place, struct bkp_error *err)
{
	const char *slash = strrchr(place, '/');

	if (strcmp(entry->kind, "files.file") != 0 ||
	    writer->options.is_scratch || slash == NULL ||
	    json_object_get(entry->attrs, "flags") != NULL)
		return bkp_strdup(place, err);
	return bkp_format(err, "%.*s/.backup-restore-%d-%u",
	    (int)(slash - place), place, (int)getpid(),
	    atomic_fetch_add(&partial_number, 1));
}

/* Gives a whole file its name. */
static int
publish(struct files_writer *writer, const struct fmt_entry *entry,
    const char *partial, const char *place, struct bkp_error *err)
{
	unsigned flags = writer->options.is_overwrite ? 0 : RENAME_NOREPLACE;
	char text[128];
	int rc, error;

	if (strcmp(partial, place) == 0)
		return 0;
	rc = renameat2(AT_FDCWD, partial, AT_FDCWD, place, flags);
	if (rc < 0 && (errno == EINVAL || errno == ENOSYS))
		rc = rename(partial, place);
	if (rc == 0)
		return 0;
	error = errno;
	(void)unlink(partial);
	if (is_about_machine(error))
		return bkp_fail_errno(err, error, "writing %s", place);
	return leave_out(
	    writer, entry, strerror_r(error, text, sizeof(text)), err);
}

/* ---- making ---- */

/* Writes header and content to `where`. *is_whole: it may be published. */
static int
write_entry(struct files_writer *writer, struct bkp_chunk_reader *reader,
    const struct fmt_entry *entry, struct archive_entry *header,
    const char *where, bool *is_whole, struct bkp_error *err)
{
	int got = archive_write_header(writer->disk, header);
	int rc = 0;

	*is_whole = false;
	if (got < ARCHIVE_WARN)
		return judge(writer, entry, where, got, err);
	if (entry->has_content && entry->size > 0)
		rc = write_content(writer, reader, entry, &got, err);
	if (rc < 0 || got < ARCHIVE_WARN) {
		if (rc == 0)
			rc = judge(writer, entry, where, got, err);
		/* Not what was stored: it must not look whole. */
		(void)archive_write_finish_entry(writer->disk);
		(void)unlink(where);
		return rc;
	}
	got = archive_write_finish_entry(writer->disk);
	*is_whole = got >= ARCHIVE_WARN;
	return judge(writer, entry, where, got, err);
}

int
bkp_files_writer_make(struct files_writer *writer,
    struct bkp_chunk_reader *reader, const struct fmt_entry *entry,
    const char *place, struct bkp_error *err)
{
	struct archive_entry *header = archive_entry_new();
	char *where = partial_name(writer, entry, place, err);
	bool is_whole = false;
	int rc = -1;

	if (header == NULL)
		(void)bkp_fail_nomem(err, "restoring a file");
	if (header == NULL || where == NULL)
		goto out;
	archive_entry_copy_pathname(header, where);
	if (bkp_files_to_archive(
		entry, !writer->options.is_scratch, header, err) < 0) {
		(void)bkp_fail_in(err, "%s", entry->path);
		goto out;
	}
	rc = write_entry(writer, reader, entry, header, where, &is_whole, err);
	if (is_whole && rc != 0)
		(void)unlink(where);
	if (is_whole && rc == 0)
		rc = publish(writer, entry, where, place, err);
out:
	archive_entry_free(header);
	free(where);
	return rc;
}

int
bkp_files_writer_link(struct files_writer *writer,
    const struct fmt_entry *entry, const char *place, const char *first,
    struct bkp_error *err)
{
	struct archive_entry *header = archive_entry_new();
	int got;

	if (header == NULL)
		return bkp_fail_nomem(err, "restoring a link");
	archive_entry_copy_pathname(header, place);
	archive_entry_set_filetype(header, AE_IFREG);
	archive_entry_copy_hardlink(header, first);
	got = archive_write_header(writer->disk, header);
	if (got >= ARCHIVE_WARN)
		got = archive_write_finish_entry(writer->disk);
	archive_entry_free(header);
	return judge(writer, entry, place, got, err);
}
