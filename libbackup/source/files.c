/* SPDX-License-Identifier: Apache-2.0 */
/* The kind `files`: its parts together, and a scratch place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/files_impl.h"

/* ---- a scratch place: a folder that stands for "/" ---- */

static void
close_scratch(struct bkp_scratch *scratch)
{
	bkp_source_config_free(&scratch->place);
	free(scratch);
}

/* The paths that the source found, so that the same are walked again. */
static int
take_paths(struct bkp_strings *paths, const json_t *info, struct bkp_error *err)
{
	const json_t *recorded = json_object_get(info, "paths");
	size_t count = json_array_size(recorded);

	paths->items = bkp_alloc_array(count, sizeof(*paths->items), err);
	if (paths->items == NULL)
		return -1;
	for (; paths->count < count; paths->count++) {
		char *path = bkp_files_path_text(
		    json_array_get(recorded, paths->count), err);

		if (path == NULL)
			return -1;
		paths->items[paths->count] = path;
	}
	return 0;
}

static int
scratch_open(const struct bkp_source_config *config, const json_t *info,
    const char *directory, struct bkp_run *run, struct bkp_scratch **out,
    struct bkp_error *err)
{
	static const struct bkp_scratch_ops ops = {.close = close_scratch};
	struct bkp_scratch *scratch = bkp_alloc(sizeof(*scratch), err);
	struct bkp_source_config *place;

	(void)run;
	if (scratch == NULL)
		return -1;
	scratch->ops = &ops;
	place = &scratch->place;
	place->kind = BKP_KIND_FILES;
	place->name = bkp_strdup(config->name, err);
	place->prefix = bkp_strdup(config->prefix, err);
	place->files.root = bkp_format(err, "%s/%s", directory, config->name);
	if (place->name == NULL || place->prefix == NULL ||
	    place->files.root == NULL ||
	    take_paths(&place->files.paths, info, err) < 0)
		goto fail;
	if (mkdir(place->files.root, 0700) < 0) {
		(void)bkp_fail_errno(err, errno, "making the scratch place %s",
		    place->files.root);
		goto fail;
	}
	*out = scratch;
	return 0;
fail:
	close_scratch(scratch);
	return -1;
}

/* ---- comparing ---- */

/* What another place cannot have the same: inode numbers and change times, the
 * extents that its file system chose, the flags that a scratch place does not
 * set, and names of owners, whose numbers are compared. */
#define NOT_COMPARED "ctime", "inode", "sparse", "flags", "user", "group"

static const char *const ignored[] = {NOT_COMPARED, NULL};
static const char *const ignored_unprivileged[] = {
    NOT_COMPARED, "uid", "gid", NULL};

#define COMPARISON(kind, names)                                                \
	{                                                                      \
		.entry_kind = kind, .has_content_compared = true,              \
		.is_counted = true, .ignored = names                           \
	}
#define COMPARISONS(names)                                                     \
	{                                                                      \
		COMPARISON("files.file", names),                               \
		    COMPARISON("files.directory", names),                      \
		    COMPARISON("files.symlink", names),                        \
		    COMPARISON("files.hardlink", names),                       \
		    COMPARISON("files.fifo", names),                           \
		    COMPARISON("files.device", names),                         \
		{                                                              \
			.entry_kind = NULL                                     \
		}                                                              \
	}

static const struct bkp_comparison comparisons[] = COMPARISONS(ignored);
static const struct bkp_comparison comparisons_unprivileged[] =
    COMPARISONS(ignored_unprivileged);

const struct bkp_kind bkp_kind_files = {.kind = BKP_KIND_FILES,
    .name = "files",
    .source_open = bkp_files_source_open,
    .target_open = bkp_files_target_open,
    .scratch_open = scratch_open,
    .comparisons = comparisons,
    .to_tar = bkp_files_to_tar,
    .same_as = bkp_files_same_as};

const struct bkp_kind bkp_kind_files_unprivileged = {.kind = BKP_KIND_FILES,
    .name = "files",
    .source_open = bkp_files_source_open,
    .target_open = bkp_files_target_open,
    .scratch_open = scratch_open,
    .comparisons = comparisons_unprivileged,
    .to_tar = bkp_files_to_tar,
    .same_as = bkp_files_same_as};
