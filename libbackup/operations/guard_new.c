/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was created since the snapshot: what that of the failed state has and
 * the way back has not. Both lists are in the order of paths.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/guard_impl.h"
#include "libbackup/operations/opened.h"
#include "libbackup/repository.h"

#define TOLD_MOST 100 /* the rest is counted */

struct fresh {
	struct guard *guard;
	const char *prefix;
	struct guard_texts found;
};

/* ---- which there are ---- */

/* The next one of the source; path NULL: there is none. */
static int
step(struct bkp_entries *entries, const char *prefix, struct bkp_entry *entry,
    struct bkp_error *err)
{
	int got;

	do
		got = bkp_entries_next(entries, entry, err);
	while (got == 1 && !bkp_path_is_within(entry->path, prefix));
	if (got == 0)
		entry->path = NULL;
	return got < 0 ? -1 : 0;
}

static int
compare(struct fresh *fresh, struct bkp_entries *before,
    struct bkp_entries *after, struct bkp_error *err)
{
	struct bkp_entry old, new;

	if (step(before, fresh->prefix, &old, err) < 0 ||
	    step(after, fresh->prefix, &new, err) < 0)
		return -1;
	while (new.path != NULL) {
		int order = old.path != NULL ? strcmp(old.path, new.path) : 1;

		if (order > 0 &&
		    bkp_guard_add_text(&fresh->found, err, "%s", new.path) < 0)
			return -1;
		if (order <= 0 && step(before, fresh->prefix, &old, err) < 0)
			return -1;
		if (order >= 0 && step(after, fresh->prefix, &new, err) < 0)
			return -1;
	}
	return 0;
}

static int
find_fresh(struct fresh *fresh, struct bkp_error *err)
{
	const struct bkp_config *config = fresh->guard->options->config;
	struct bkp_entries *before = NULL, *after = NULL;
	struct bkp_repository *repository = NULL;
	struct bkp_keys keys = BKP_KEYS_INIT;
	int rc = -1;

	bkp_config_keys(config, &keys);
	if (bkp_repository_open(
		bkp_config_repository(config), &keys, &repository, err) == 0 &&
	    bkp_entries_open(repository,
		bkp_guard_text(fresh->guard, "snapshot"), fresh->prefix,
		&before, err) == 0 &&
	    bkp_entries_open(repository, bkp_guard_text(fresh->guard, "failed"),
		fresh->prefix, &after, err) == 0)
		rc = compare(fresh, before, after, err);
	if (after != NULL)
		bkp_entries_close(after);
	if (before != NULL)
		bkp_entries_close(before);
	bkp_repository_close(repository);
	return rc;
}

/* ---- away with them ---- */

static const struct bkp_files_config *
files_of(const struct bkp_config *config, const char *prefix)
{
	for (size_t i = 0; i < config->source_count; i++)
		if (strcmp(config->sources[i].prefix, prefix) == 0)
			return &config->sources[i].files;
	return NULL;
}

/* The configured path that something was found below: the longest. */
static const char *
root_of(const struct bkp_files_config *files, const char *recorded)
{
	const char *best = NULL;

	for (size_t i = 0; i < files->paths.count; i++) {
		const char *path = files->paths.items[i];

		if ((strcmp(path, "/") == 0 ||
			bkp_path_is_within(recorded, path)) &&
		    (best == NULL || strlen(path) > strlen(best)))
			best = path;
	}
	return best;
}

/* Above a configured path there may be links, which its owner made. Below it
 * none is followed: who is able to put one there decides what is deleted. */
static int
remove_below(const char *folder, char *rest)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;
	char *slash;
	int rc;

	while (fd >= 0 && (slash = strchr(rest, '/')) != NULL) {
		*slash = '\0';
		next = openat(
		    fd, rest, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		(void)close(fd);
		fd = next;
		rest = slash + 1;
	}
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	rc = unlinkat(fd, rest, 0);
	if (rc < 0 && (errno == EISDIR || errno == EPERM))
		rc = unlinkat(fd, rest, AT_REMOVEDIR);
	if (rc < 0 && errno == ENOENT)
		rc = 0;
	(void)close(fd);
	return rc;
}

static int
remove_one(const struct bkp_files_config *files, const char *recorded,
    struct bkp_error *err)
{
	const char *root = files->root != NULL ? files->root : "";
	const char *path = root_of(files, recorded), *slash;
	char *above = NULL, *real = NULL, *rest = NULL;
	size_t cut;
	int rc = -1;

	if (path == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "it is below no path of the configuration");
	slash = strrchr(path, '/');
	cut = slash != NULL ? (size_t)(slash - path) : 0;
	above = bkp_format(err, "%s%.*s/", root, (int)cut, path);
	rest = bkp_strdup(recorded + cut + 1, err);
	if (above == NULL || rest == NULL)
		goto out;
	if ((real = realpath(above, NULL)) != NULL)
		rc = remove_below(real, rest);
	if (rc < 0)
		(void)bkp_fail_errno(err, errno, "deleting it");
out:
	free(real);
	free(rest);
	free(above);
	return rc;
}

/* What is in a folder comes behind it in the list, so it is deleted from its
 * end. */
static void
remove_all(struct fresh *fresh)
{
	const struct bkp_files_config *files =
	    files_of(fresh->guard->options->config, fresh->prefix);
	struct bkp_run *run = fresh->guard->run;

	for (size_t i = fresh->found.count; files != NULL && i-- > 0;) {
		const char *path = fresh->found.items[i];
		struct bkp_error why = BKP_ERROR_INIT;

		if (remove_one(files, path + strlen(fresh->prefix), &why) ==
		    0) {
			bkp_run_message(run, BKP_INFO, path,
			    "was created since the snapshot, and is deleted");
			continue;
		}
		fresh->guard->new_files++;
		bkp_run_message(run, BKP_WARNING, path,
		    "was created since the snapshot, and is still there: %s",
		    why.message);
	}
}

/* ---- all of it ---- */

static void
tell(struct fresh *fresh, bool stays, const char *text)
{
	struct bkp_run *run = fresh->guard->run;
	enum bkp_level level = stays ? BKP_WARNING : BKP_INFO;

	for (size_t i = 0; i < fresh->found.count && i < TOLD_MOST; i++)
		bkp_run_message(run, level, fresh->found.items[i], "%s", text);
	if (fresh->found.count > TOLD_MOST)
		bkp_run_message(run, level, fresh->prefix,
		    "%zu more were created since: backup-list %s %s has them",
		    fresh->found.count - TOLD_MOST,
		    bkp_guard_text(fresh->guard, "failed"), fresh->prefix);
	if (stays)
		fresh->guard->new_files += fresh->found.count;
}

int
bkp_guard_see_new(
    struct guard *guard, const json_t *source, struct bkp_error *err)
{
	const char *kind = json_string_value(json_object_get(source, "kind"));
	bool is_files = strcmp(kind, "files") == 0;
	bool is_lacking = bkp_guard_lacks(source, GUARD_LACKS) > 0;
	struct fresh fresh = {.guard = guard,
	    .prefix = json_string_value(json_object_get(source, "path"))};
	int rc = find_fresh(&fresh, err);

	if (rc == 0 && is_files && bkp_guard_flag(guard, "delete_new"))
		remove_all(&fresh);
	else if (rc == 0 && is_files)
		tell(&fresh, true,
		    "was created since the snapshot, and stays (--delete-new "
		    "deletes such files)");
	else if (rc == 0 && is_lacking)
		tell(&fresh, true,
		    "is not in the snapshot, which lacks something of this "
		    "bucket, so that nothing is deleted there: it stays");
	else if (rc == 0)
		tell(&fresh, false, "was created since the snapshot");
	bkp_guard_texts_free(&fresh.found);
	return rc;
}
