/* SPDX-License-Identifier: Apache-2.0 */
/* What a restore is asked for, before anything is looked at. */
#include "libbackup/operations/restore_check.h"

#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"

static bool
has_other_kind(const struct bkp_opened *opened, enum bkp_source_kind kind)
{
	for (size_t i = 0; i < opened->chosen_count; i++)
		if (opened->chosen[i].kind->kind != kind)
			return true;
	return false;
}

/* What an archive of a part has not may well be in the bucket. */
static int
check_archive(const struct bkp_opened *opened, struct bkp_error *err)
{
	const char *part;

	if (opened->repository->archive == NULL)
		return 0;
	part = bkp_archive_manifest(opened->repository->archive)->path;
	for (size_t i = 0; part[0] != '\0' && i < opened->chosen_count; i++)
		if (!bkp_path_is_within(opened->chosen[i].selection, part))
			return bkp_fail(err, BKP_INVALID,
			    "the archive holds %s alone, so that it does not "
			    "tell what else may be deleted: name that as PATH, "
			    "or restore without --delete",
			    part);
	return 0;
}

/* Nor does a snapshot tell of what was left out of it. */
static int
check_delete(const struct bkp_restore_options *options,
    const struct bkp_opened *opened, struct bkp_error *err)
{
	const char *path, *reason;
	int found;

	if (!options->is_delete)
		return 0;
	if (has_other_kind(opened, BKP_KIND_BUCKET))
		return bkp_fail(err, BKP_INVALID,
		    "only in buckets is anything deleted (--delete): name "
		    "their source as PATH, such as bucket/uploads");
	found = bkp_opened_overlap(opened, &path, &reason, err);
	if (found > 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s was left out of this snapshot (%s), so that it does "
		    "not tell what may be deleted: choose another snapshot, or "
		    "restore without --delete",
		    path, reason);
	return found < 0 ? -1 : check_archive(opened, err);
}

/* An archive of a part of a bucket has the current versions alone. */
static int
choose_versions(const struct bkp_restore_options *options,
    struct bkp_opened *opened, struct bkp_error *err)
{
	const char *part;

	if (!options->is_every_version)
		return 0;
	if (has_other_kind(opened, BKP_KIND_BUCKET))
		return bkp_fail(err, BKP_INVALID,
		    "only of objects in buckets are there versions "
		    "(--all-versions): name their source as PATH, such as "
		    "bucket/uploads");
	part = opened->repository->archive != NULL
		   ? bkp_archive_manifest(opened->repository->archive)->path
		   : "";
	for (size_t i = 0; i < opened->chosen_count; i++) {
		const char *prefix = opened->chosen[i].source->prefix;

		opened->chosen[i].has_versions = true;
		if (strncmp(part, prefix, strlen(prefix)) == 0 &&
		    part[strlen(prefix)] == '/')
			return bkp_fail(err, BKP_INVALID,
			    "the archive holds the current versions of %s "
			    "alone: restore without --all-versions, or from "
			    "the "
			    "repository",
			    part);
	}
	return bkp_opened_read_omissions(opened, err);
}

/* What is for databases, and what contradicts itself. */
static int
check_kinds(const struct bkp_restore_options *options,
    const struct bkp_opened *opened, struct bkp_error *err)
{
	const char *what = options->is_swap          ? "swapped"
			   : options->is_schema_only ? "restored without rows"
			   : options->only_count > 0 ? "taken apart (--only)"
						     : NULL;

	if (options->is_swap && options->is_overwrite)
		return bkp_fail(err, BKP_INVALID,
		    "what is there is either kept (--swap) or replaced "
		    "(--overwrite)");
	if ((options->is_swap || options->is_overwrite) &&
	    (options->is_schema_only || options->only_count > 0))
		return bkp_fail(err, BKP_INVALID,
		    "a part of a database (%s) does not take the place of "
		    "another one: restore it under a name of its own (--to)",
		    options->only_count > 0 ? "--only" : "--schema-only");
	if (what != NULL && has_other_kind(opened, BKP_KIND_POSTGRES))
		return bkp_fail(err, BKP_INVALID,
		    "only databases can be %s: name their source as PATH, "
		    "such as postgres/app",
		    what);
	return 0;
}

int
bkp_restore_check(const struct bkp_restore_options *options,
    struct bkp_opened *opened, struct bkp_error *err)
{
	if (choose_versions(options, opened, err) < 0 ||
	    check_kinds(options, opened, err) < 0)
		return -1;
	return check_delete(options, opened, err);
}
