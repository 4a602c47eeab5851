/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_FILES_IMPL_H
#define LIBBACKUP_SOURCE_FILES_IMPL_H

/*
 * What the parts of the kind `files` share.
 *
 * An entry's path is the source's prefix and the absolute path of the file
 * ("files/stack/etc/app/.env"); "/" itself is the prefix alone. Kinds and
 * attributes:
 *
 *     files.file       sparse: [[offset, length], ...] of the data, where it
 *                      has holes (the content has zeros there)
 *     files.directory
 *     files.symlink    target
 *     files.hardlink   link: the entry path of the first name; nothing else
 *     files.fifo
 *     files.device     device: "block 8:1" or "char 1:3"
 *
 * All but hardlink have mode ("0644"), uid, gid, user, group, mtime and ctime
 * ("seconds.nanoseconds") and inode; files and directories, where they have
 * them, acl (libarchive's text), flags and xattrs ({name: base64}). A file
 * without ctime was changed so shortly before it was read, or while, that the
 * next run must read it again.
 */

#include <archive.h>
#include <archive_entry.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "libbackup/source/source.h"

/* ---- walking (files_walk.c) ---- */

/* A folder that is open for as long as anybody needs it. */
struct files_dir {
	atomic_uint users;
	int fd;
};

void bkp_files_dir_release(struct files_dir *dir); /* NULL is fine */

/* Something found. */
struct files_found {
	char *path;            /* owned: "/etc/app/.env"; "" for "/" */
	struct files_dir *dir; /* its folder, held */
	const char *name;      /* in that folder; borrowed from path, or "." */
	struct stat st;        /* of itself, links not followed */
};

void bkp_files_found_free(struct files_found *found); /* NULL is fine */

/*
 * Yields everything below the configured paths in byte order of the paths.
 * That is not the order of a plain walk, since '.' and '-' come before '/':
 * "a", "a.txt", "a/b". So the names of a folder are sorted twice over, as
 * themselves and, where they are folders, once more with a '/', where the
 * walk descends. Memory bound: the names of the folders from the top to where
 * the walk is. Calling thread only.
 */
struct files_walk;

int bkp_files_walk_new(const struct bkp_source_config *config,
    struct bkp_sink *sink, struct files_walk **out, struct bkp_error *err);
void bkp_files_walk_free(struct files_walk *walk);

/* *out is the caller's; NULL at the end. What cannot be looked at becomes an
 * omission of the run. */
int bkp_files_walk_next(
    struct files_walk *walk, struct files_found **out, struct bkp_error *err);

/* The configured paths that were there, as a JSON array (a new reference). */
json_t *bkp_files_walk_roots(const struct files_walk *walk);

/* True for an errno that is about the machine, not about one file: then the
 * run must fail. */
bool bkp_files_is_fatal(int errnum);

/* ---- attributes (files_attrs.c) ---- */

/* Fills entry->attrs from `st` and, where fd >= 0, from what libarchive reads
 * through it (ACLs, xattrs, flags). has_ctime: the file may be taken over by
 * the next run. `disk` belongs to this thread. */
int bkp_files_describe(struct fmt_entry *entry, const struct stat *st, int fd,
    struct archive *disk, bool has_ctime, struct bkp_error *err);

/* Any bytes as a JSON string (a new reference, NULL: out of memory), and
 * back: the caller frees; NULL with err where it is no such string. */
json_t *bkp_files_path_json(const char *path);
char *bkp_files_path_text(const json_t *value, struct bkp_error *err);

/* Sets one attribute on an entry; takes the value, which may be NULL (out of
 * memory). */
int bkp_files_set(struct fmt_entry *entry, const char *name, json_t *value,
    struct bkp_error *err);

/* True where size, times and inode say that the file is as it was. */
bool bkp_files_is_unchanged(
    const struct fmt_entry *previous, const struct stat *st);

int bkp_files_get_mtime(
    const struct fmt_entry *entry, struct timespec *out, struct bkp_error *err);

/* Sets everything but the path and the content on a libarchive entry.
 * has_names: owners by name where the machine knows the name. */
int bkp_files_to_archive(const struct fmt_entry *entry, bool has_names,
    struct archive_entry *out, struct bkp_error *err);

/* The same for a member of a tar: a second name of a file is a link to the
 * member of the first (formats/archive.h). */
int bkp_files_to_tar(const struct fmt_entry *entry, struct archive_entry *out,
    struct bkp_error *err);

/* The path of a hard link's first name; *out NULL: it is no hard link. */
int bkp_files_same_as(
    const struct fmt_entry *entry, char **out, struct bkp_error *err);

/* ---- writing (files_write.c) ---- */

/* Makes what entries describe; one a thread. options are copied. */
struct files_writer;

int bkp_files_writer_new(const struct bkp_target_options *options,
    struct bkp_run *run, struct files_writer **out, struct bkp_error *err);

/* Makes the file, folder, link or device at `place`. A file has its name once
 * it is whole: what was there before is there until then. 0: it is there; 1: it
 * is not, which was noted as an omission; -1: the machine or the repository
 * failed, which is BKP_CORRUPT where the repository has lost this content, and
 * then nothing is there. `reader` is needed for files alone. */
int bkp_files_writer_make(struct files_writer *writer,
    struct bkp_chunk_reader *reader, const struct fmt_entry *entry,
    const char *place, struct bkp_error *err);

/* Makes `place` another name of `first`. As above. */
int bkp_files_writer_link(struct files_writer *writer,
    const struct fmt_entry *entry, const char *place, const char *first,
    struct bkp_error *err);

/* Sets the times and permissions that were deferred. */
int bkp_files_writer_finish(struct files_writer *writer, struct bkp_error *err);
void bkp_files_writer_free(struct files_writer *writer); /* NULL is fine */

/* ---- the parts of the kind ---- */

int bkp_files_source_open(const struct bkp_source_config *config,
    struct bkp_source **out, struct bkp_error *err);
int bkp_files_target_open(const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_target **out,
    struct bkp_error *err);

/* As bkp_kind_files, for a process that is not root: it cannot give files
 * away, so owners are not compared. */
extern const struct bkp_kind bkp_kind_files_unprivileged;

#endif
