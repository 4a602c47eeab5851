/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything back as it was. Nothing is destroyed of which there is no copy:
 * databases are kept under other names, and a snapshot of the failed state has
 * the files and objects that are replaced or deleted. What cannot be put back
 * keeps nothing else from it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations.h"
#include "libbackup/operations/guard_impl.h"
#include "libbackup/repository.h"

static const char *
path_of(const json_t *source)
{
	return json_string_value(json_object_get(source, "path"));
}

static bool
is_kind(const json_t *source, const char *kind)
{
	const char *its = json_string_value(json_object_get(source, "kind"));

	return its != NULL && strcmp(its, kind) == 0;
}

/* ---- the failed state ---- */

static bool
is_replaced(const json_t *source)
{
	return is_kind(source, "files") || is_kind(source, "bucket");
}

static bool
is_back(const json_t *source)
{
	return json_is_true(json_object_get(source, "is_back"));
}

/* What is back already may have been worked with since. */
static size_t
choose_failed(const struct guard *guard, const char **paths)
{
	const json_t *sources = json_object_get(guard->state, "sources");
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(sources); i++) {
		const json_t *source = json_array_get(sources, i);

		if (is_replaced(source) && !is_back(source))
			paths[count++] = path_of(source);
	}
	return count;
}

/* Of the configured paths of a source, how many are not there: a backup omits
 * each, and of nothing there is nothing to lose. */
static uint64_t
count_absent(const struct bkp_config *config, const char *prefix)
{
	uint64_t absent = 0;

	for (size_t i = 0; i < config->source_count; i++) {
		const struct bkp_source_config *source = &config->sources[i];
		const struct bkp_files_config *files = &source->files;

		if (source->kind != BKP_KIND_FILES ||
		    strcmp(source->prefix, prefix) != 0)
			continue;
		for (size_t k = 0; k < files->paths.count; k++) {
			struct stat st;
			char *path = bkp_format(NULL, "%s%s",
			    files->root != NULL ? files->root : "",
			    files->paths.items[k]);

			if (path != NULL && lstat(path, &st) < 0 &&
			    errno == ENOENT)
				absent++;
			free(path);
		}
	}
	return absent;
}

static int
save_failed(struct guard *guard, const char **paths, size_t count,
    struct bkp_backup_result *result, struct bkp_error *err)
{
	static const char *const tags[] = {"guard-failed"};
	struct bkp_backup_options options = BKP_BACKUP_OPTIONS_INIT;

	options.config = guard->options->config;
	options.sources = paths;
	options.source_count = count;
	options.tags = tags;
	options.tag_count = 1;
	options.events = guard->options->events;
	return bkp_backup(&options, result, err);
}

static void
note_failed(struct guard *guard, const char *name)
{
	const char *earlier = bkp_guard_text(guard, "failed");
	json_t *before = json_object_get(guard->state, "failed_before");

	if (before == NULL &&
	    bkp_guard_set(guard, "failed_before", json_array(), NULL) == 0)
		before = json_object_get(guard->state, "failed_before");
	if (earlier[0] != '\0') {
		(void)json_array_append_new(before, json_string(earlier));
		bkp_run_message(guard->run, BKP_INFO, NULL,
		    "as an earlier run found them they are in snapshot %.12s",
		    earlier);
	}
	guard->has_copy =
	    bkp_guard_set(guard, "failed", json_string(name), NULL) == 0;
	bkp_guard_journal_note(guard, GUARD_BACK);
}

/* Where nobody can tell, nothing is whole. */
static void
count_copy_lacks(struct guard *guard, const struct bkp_backup_result *result)
{
	struct bkp_error why = BKP_ERROR_INIT;

	if (bkp_guard_count_lacks(guard, result->snapshot,
		result->omission_count, GUARD_COPY_LACKS, &why) == 0)
		return;
	bkp_run_message(guard->run, BKP_WARNING, NULL, "%s", why.message);
	guard->has_copy = false;
}

/* In each process anew: since an earlier one has ended, the application may
 * have gone on for days. */
static void
keep_failed(struct guard *guard)
{
	size_t all = json_array_size(json_object_get(guard->state, "sources"));
	const char **paths = bkp_alloc_array(all + 1, sizeof(*paths), NULL);
	struct bkp_backup_result result = {.entries = 0};
	struct bkp_error why = BKP_ERROR_INIT;
	size_t count = 0;

	if (paths != NULL)
		count = choose_failed(guard, paths);
	if (count > 0) {
		bkp_run_message(guard->run, BKP_INFO, NULL,
		    "keeping files and objects as they are now in a snapshot");
		if (save_failed(guard, paths, count, &result, &why) == 0) {
			note_failed(guard, result.snapshot);
			count_copy_lacks(guard, &result);
		} else {
			bkp_run_message(guard->run, BKP_WARNING, NULL,
			    "files and objects as they are now could not be "
			    "kept in a snapshot: %s",
			    why.message);
		}
	}
	free(paths);
}

static bool
is_without_copy(const struct guard *guard)
{
	return guard->options->is_without_copy ||
	       bkp_guard_flag(guard, "without_copy");
}

static bool
is_copy_whole(const struct guard *guard, const json_t *source)
{
	return guard->has_copy &&
	       bkp_guard_lacks(source, GUARD_COPY_LACKS) <=
		   count_absent(guard->options->config, path_of(source));
}

/* What was allowed to be lacking in the way back may be lacking here. */
static int
check_copy(
    const struct guard *guard, const json_t *source, struct bkp_error *err)
{
	if (is_without_copy(guard) || is_copy_whole(guard, source) ||
	    (guard->has_copy && bkp_guard_flag(guard, "may_lack")))
		return 0;
	return bkp_fail(err, BKP_IO,
	    "what is there now is in no snapshot, or not all of it, as told "
	    "above, so that nothing of it is replaced or deleted: mend that "
	    "and run 'backup-guard --resume' again, or give what is there up "
	    "('backup-guard --resume --without-copy')");
}

/* ---- databases beside ---- */

static bool
was_there(const json_t *source, const char *name)
{
	const json_t *formers = json_object_get(source, "formers");

	for (size_t i = 0; i < json_array_size(formers); i++)
		if (strcmp(json_string_value(json_array_get(formers, i)),
			name) == 0)
			return true;
	return false;
}

static void
former_options(const struct guard *guard, const json_t *source,
    struct bkp_former_options *options)
{
	options->config = guard->options->config;
	options->path = path_of(source);
}

/* What an earlier try, which was killed or could not rename, has built: it is
 * built once more. */
static void
drop_unfinished(struct guard *guard, const json_t *source)
{
	struct bkp_former_options options = BKP_FORMER_OPTIONS_INIT;
	struct bkp_former_result result = {.former_count = 0};
	struct bkp_error why = BKP_ERROR_INIT;

	former_options(guard, source, &options);
	if (bkp_former_list(&options, &result, &why) < 0)
		return; /* the restore finds out, too */
	for (size_t i = 0; i < result.former_count; i++) {
		const struct bkp_former *former = &result.formers[i];

		if (former->state == BKP_FORMER_KEPT ||
		    former->connections > 0 || was_there(source, former->name))
			continue;
		if (bkp_former_drop(&options, former->name, &why) == 0)
			bkp_run_message(guard->run, BKP_INFO, options.path,
			    "\"%s\", which an earlier try to put it back left, "
			    "is dropped",
			    former->name);
	}
	bkp_former_result_free(&result);
}

static void
note_formers(struct guard *guard, const json_t *source)
{
	struct bkp_former_options options = BKP_FORMER_OPTIONS_INIT;
	struct bkp_former_result result = {.former_count = 0};
	struct bkp_error why = BKP_ERROR_INIT;

	former_options(guard, source, &options);
	if (bkp_former_list(&options, &result, &why) < 0) {
		bkp_run_message(guard->run, BKP_WARNING, options.path,
		    "which databases are beside it cannot be told: %s",
		    why.message);
		return;
	}
	for (size_t i = 0; i < result.former_count; i++)
		if (!was_there(source, result.formers[i].name))
			(void)bkp_guard_add_text(&guard->formers, NULL, "%s %s",
			    options.path, result.formers[i].name);
	bkp_former_result_free(&result);
}

/* ---- one source ---- */

static int
restore(struct guard *guard, json_t *source, struct bkp_error *err)
{
	struct bkp_restore_options options = BKP_RESTORE_OPTIONS_INIT;
	struct bkp_restore_result result = {.entries = 0};
	size_t omissions, refused, repeated;
	bool has_others = is_kind(source, "bucket") &&
			  bkp_guard_lacks(source, GUARD_LACKS) == 0;

	bkp_guard_restore_options(guard, source, &options);
	options.is_delete = has_others && (is_copy_whole(guard, source) ||
					      is_without_copy(guard));
	if (bkp_restore(&options, &result, err) < 0)
		return -1;
	omissions = result.omission_count;
	refused = result.refused_count;
	repeated = result.repeated_count;
	bkp_restore_result_free(&result);
	if (json_object_set_new(
		source, "refused", json_integer((json_int_t)refused)) < 0)
		return bkp_fail_nomem(err, "keeping the journal");
	/* What the snapshot lacks was allowed before anything was run. */
	if (omissions > refused + repeated)
		return bkp_fail(err, BKP_IO,
		    "not all of it is back: what is not was named above");
	if (has_others && !options.is_delete)
		return bkp_fail(err, BKP_IO,
		    "objects that were created since are still there, for "
		    "there is no whole snapshot of the failed state: look at "
		    "them, then 'backup-guard --resume --without-copy', which "
		    "deletes them");
	return 0;
}

/* Before it is put back, since a folder gets its time back with what is in
 * it. */
static int
see_new(struct guard *guard, json_t *source, struct bkp_error *err)
{
	bool stays = is_kind(source, "files") ||
		     bkp_guard_lacks(source, GUARD_LACKS) > 0;
	json_t *count;

	guard->new_files = 0;
	if (guard->has_copy && bkp_guard_see_new(guard, source, err) < 0)
		return bkp_fail_in(err, "finding what was created since");
	if (!guard->has_copy && stays)
		bkp_run_message(guard->run, BKP_WARNING, path_of(source),
		    "without a copy of what is there nobody can tell what was "
		    "created since: it stays");
	count = guard->has_copy || !stays
		    ? json_integer((json_int_t)guard->new_files)
		    : json_null();
	if (json_object_set_new(source, "new_files", count) < 0)
		return bkp_fail_nomem(err, "keeping the journal");
	return 0;
}

static int
put_back(struct guard *guard, json_t *source, struct bkp_error *err)
{
	if (is_replaced(source) && (check_copy(guard, source, err) < 0 ||
				       see_new(guard, source, err) < 0))
		return -1;
	if (is_kind(source, "postgres"))
		drop_unfinished(guard, source);
	if (restore(guard, source, err) < 0)
		return -1;
	if (json_object_set_new(source, "is_back", json_true()) == 0)
		bkp_guard_journal_note(guard, GUARD_BACK);
	return 0;
}

/* ---- all of them ---- */

int
bkp_guard_find_way(const struct guard *guard, struct bkp_error *err)
{
	const struct bkp_config *config = guard->options->config;
	struct bkp_repository *repository = NULL;
	struct bkp_entries *entries = NULL;
	struct bkp_keys keys = BKP_KEYS_INIT;
	int rc;

	bkp_config_keys(config, &keys);
	rc = bkp_repository_open(
	    bkp_config_repository(config), &keys, &repository, err);
	if (rc == 0)
		rc = bkp_entries_open(repository,
		    bkp_guard_text(guard, "snapshot"), "", &entries, err);
	if (entries != NULL)
		bkp_entries_close(entries);
	bkp_repository_close(repository);
	return rc;
}

void
bkp_guard_note_formers(struct guard *guard)
{
	const json_t *sources = json_object_get(guard->state, "sources");

	for (size_t i = 0; i < json_array_size(sources); i++)
		if (is_kind(json_array_get(sources, i), "postgres"))
			note_formers(guard, json_array_get(sources, i));
}

int
bkp_guard_put_back(struct guard *guard, struct bkp_error *err)
{
	json_t *sources = json_object_get(guard->state, "sources");
	struct bkp_error why = BKP_ERROR_INIT;
	size_t failed = 0, i;

	if (bkp_guard_run_shell(
		guard, "stop", "the command to stop the application", &why) < 0)
		bkp_run_message(guard->run, BKP_WARNING, NULL,
		    "%s; it is put back all the same", why.message);
	if (bkp_guard_end_group(guard, err) < 0)
		return -1;
	keep_failed(guard);
	for (i = 0; i < json_array_size(sources); i++) {
		json_t *source = json_array_get(sources, i);

		if (is_back(source) || put_back(guard, source, &why) == 0)
			continue;
		failed++;
		bkp_run_message(guard->run, BKP_WARNING, path_of(source),
		    "is NOT put back: %s", why.message);
	}
	bkp_guard_note_formers(guard);
	if (failed == 0)
		return 0;
	return bkp_fail(err, BKP_IO,
	    "%zu of %zu sources could not be put back, as told above%s", failed,
	    i,
	    bkp_guard_text(guard, "start")[0] != '\0'
		? "; the application is not started"
		: "");
}
