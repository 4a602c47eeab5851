/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of which nothing is there any more. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "libbackup/jobs/job_impl.h"

static bool
is_there(const struct bkp_files_config *files, const char *path)
{
	char whole[PATH_MAX];
	struct stat st;
	int n = snprintf(whole, sizeof(whole), "%s%s",
	    files->root != NULL ? files->root : "", path);

	/* Where it cannot be asked for, it is not for us to say. */
	return n < 0 || (size_t)n >= sizeof(whole) || lstat(whole, &st) == 0 ||
	       (errno != ENOENT && errno != ENOTDIR);
}

static bool
is_gone(const struct bkp_files_config *files)
{
	for (size_t i = 0; i < files->paths.count; i++)
		if (is_there(files, files->paths.items[i]))
			return false;
	return files->paths.count > 0;
}

bool
bkp_job_find_gone(const struct bkp_config *config, char *why, size_t size)
{
	for (size_t i = 0; i < config->source_count; i++) {
		const struct bkp_source_config *source = &config->sources[i];
		size_t count;
		char more[60] = "";

		if (source->kind != BKP_KIND_FILES || !is_gone(&source->files))
			continue;
		count = source->files.paths.count;
		if (count > 1)
			(void)snprintf(
			    more, sizeof(more), " and %zu more", count - 1);
		(void)snprintf(why, size,
		    "nothing of %s is there (%.500s%s): mount what "
		    "belongs there, correct 'paths', or take the source out of "
		    "the configuration; the snapshot of the rest does not "
		    "count as a backup",
		    source->prefix, source->files.paths.items[0], more);
		return true;
	}
	return false;
}
