/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/opened.h"
#include "libbackup/operations.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/entry.h"
#include "formats/version.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/repository_impl.h"

unsigned
bkp_worker_count(const struct bkp_config *config)
{
	long processors;

	if (config->workers > 0)
		return config->workers;
	processors = sysconf(_SC_NPROCESSORS_ONLN);
	if (processors < 1)
		return 1;
	return processors > 8 ? 8 : (unsigned)processors;
}

uint64_t
bkp_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int64_t
bkp_clock_utc_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int
bkp_config_keep_parity(const struct bkp_config *config,
    struct bkp_repository *repository, struct bkp_error *err)
{
	return bkp_repository_keep_parity(
	    repository, config->error_correction, err);
}

bool
bkp_path_is_within(const char *inner, const char *outer)
{
	size_t len = strlen(outer);

	if (strncmp(inner, outer, len) != 0)
		return false;
	return inner[len] == '\0' || inner[len] == '/' ||
	       (len > 0 && outer[len - 1] == '/');
}

const struct bkp_source_config *
bkp_opened_config(const struct bkp_config *config, const char *prefix)
{
	for (size_t i = 0; i < config->source_count; i++)
		if (strcmp(config->sources[i].prefix, prefix) == 0)
			return &config->sources[i];
	return NULL;
}

bool
bkp_path_is_with_slash(const char *text, const char *path)
{
	size_t len = strlen(path);

	return strncmp(text, path, len) == 0 && strcmp(text + len, "/") == 0;
}

/* The database that `path` is, but for a slash; NULL: none. Keys of objects may
 * end in one, and these are others without it. */
static const char *
find_database(const struct fmt_snapshot_source *source, const char *path)
{
	const json_t *list = json_object_get(source->info, "databases");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *own = json_string_value(
		    json_object_get(json_array_get(list, i), "path"));

		if (own != NULL && bkp_path_is_with_slash(path, own))
			return own;
	}
	return NULL;
}

/* The part of a source that `path` chooses; NULL: nothing of it. */
static const char *
select_from(const struct fmt_snapshot_source *source, const char *path)
{
	const char *database;

	if (path == NULL || path[0] == '\0' ||
	    bkp_path_is_within(source->prefix, path))
		return source->prefix;
	/* Of a bucket it chooses the current versions. */
	if (strcmp(source->kind, "bucket") != 0 &&
	    bkp_path_is_with_slash(path, source->prefix))
		return source->prefix;
	if ((database = find_database(source, path)) != NULL)
		return database;
	return bkp_path_is_within(path, source->prefix) ? path : NULL;
}

static int
choose(struct bkp_opened *opened, const struct bkp_config *config,
    const char *path, struct bkp_error *err)
{
	const struct fmt_snapshot *snapshot = &opened->snapshot;

	opened->chosen = bkp_alloc_array(
	    snapshot->source_count, sizeof(*opened->chosen), err);
	if (opened->chosen == NULL)
		return -1;
	for (size_t i = 0; i < snapshot->source_count; i++) {
		const struct fmt_snapshot_source *source =
		    &snapshot->sources[i];
		const char *selection = select_from(source, path);
		struct bkp_chosen *chosen;

		if (selection == NULL)
			continue;
		chosen = &opened->chosen[opened->chosen_count++];
		chosen->source = source;
		chosen->selection = selection;
		chosen->config = bkp_opened_config(config, source->prefix);
		chosen->kind = bkp_kind_by_name(source->kind);
		if (chosen->kind == NULL)
			return bkp_fail(err, BKP_UNSUPPORTED,
			    "snapshot %.12s holds %s of the kind '%s', which "
			    "this version does not know; use a newer one",
			    opened->name, source->prefix, source->kind);
	}
	if (opened->chosen_count == 0)
		return bkp_fail(err, BKP_NOTFOUND,
		    "snapshot %.12s holds nothing at '%s'; 'backup-list %.12s' "
		    "shows what it holds",
		    opened->name, path != NULL ? path : "", opened->name);
	return 0;
}

int
bkp_opened_init(struct bkp_opened *opened, const struct bkp_config *config,
    const char *snapshot, const char *path, struct bkp_error *err)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	if (config->repository == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "no repository is named; give 'repository:' in the "
		    "configuration or --repository");
	bkp_config_keys(config, &keys);
	if (bkp_repository_open(
		config->repository, &keys, &opened->repository, err) < 0)
		return -1;
	if (!bkp_repository_can_read(opened->repository))
		return bkp_fail(err, BKP_AUTH,
		    "repository %s: the key at hand opens metadata only, as a "
		    "backup host's should; contents need an administrator's "
		    "identity (--identity-file) or passphrase",
		    config->repository);
	if (bkp_snapshot_find(opened->repository, snapshot, opened->name, err) <
	    0)
		return -1;
	if (bkp_repository_snapshot(
		opened->repository, opened->name, &opened->snapshot, err) < 0)
		return -1;
	/* Everything that an archive of a part holds is that part. */
	if ((path == NULL || path[0] == '\0') &&
	    opened->repository->archive != NULL)
		path = bkp_archive_manifest(opened->repository->archive)->path;
	return choose(opened, config, path, err) < 0
		   ? -1
		   : bkp_opened_read_omissions(opened, err);
}

int
bkp_opened_warn(
    struct bkp_opened *opened, struct bkp_run *run, struct bkp_error *err)
{
	struct bkp_history history = BKP_HISTORY_INIT;
	struct bkp_proofs proofs = BKP_PROOFS_INIT;
	struct bkp_error reason = BKP_ERROR_INIT;

	opened->erasures = opened->snapshot.erasures;
	if (bkp_history_look(opened->repository, &history, &proofs, &reason) <
	    0) {
		if (reason.code == BKP_NOMEM) {
			if (err != NULL)
				*err = reason;
			return -1;
		}
		bkp_run_message(run, BKP_WARNING, NULL,
		    "whether other snapshots are missing or damaged is not "
		    "known: %s",
		    reason.message);
		return 0;
	}
	for (size_t i = 0; i < history.count; i++)
		if (!history.findings[i].is_note)
			bkp_run_message(run, BKP_WARNING, NULL, "%s",
			    history.findings[i].text);
	opened->is_history_read = true;
	if (history.erasures > opened->erasures)
		opened->erasures = history.erasures;
	bkp_proofs_free(&proofs);
	bkp_history_free(&history);
	return 0;
}

int
bkp_opened_index(
    const struct bkp_opened *opened, struct bkp_run *run, struct bkp_error *err)
{
	struct bkp_repository *repository = opened->repository;
	struct bkp_error damage = BKP_ERROR_INIT;

	if (repository->archive != NULL)
		return 0;
	if (bkp_repository_load_good_index(repository, err) < 0 ||
	    bkp_repository_prove_index(repository, false, err) < 0)
		return -1;
	if (bkp_index_set_is_whole(&repository->index, &damage) < 0)
		bkp_run_message(run, BKP_WARNING, NULL,
		    "an index object is damaged: %s; backup-check --repair "
		    "puts the index right",
		    damage.message);
	return 0;
}

void
bkp_opened_fini(struct bkp_opened *opened)
{
	free(opened->chosen);
	free(opened->omitted);
	free(opened->sorted);
	opened->omitted = opened->sorted = NULL;
	opened->omitted_count = 0;
	opened->chosen = NULL;
	opened->chosen_count = 0;
	fmt_snapshot_free(&opened->snapshot);
	bkp_repository_close(opened->repository);
	opened->repository = NULL;
}

static bool
is_all(const struct bkp_chosen *chosen)
{
	return strcmp(chosen->selection, chosen->source->prefix) == 0;
}

/* Older versions are beside the prefix. */
static int
select_versions(
    const struct bkp_chosen *chosen, struct fmt_buf *out, struct bkp_error *err)
{
	const char *prefix = chosen->source->prefix;
	const char *key = chosen->selection + strlen(prefix);

	if (fmt_version_selection(prefix, *key == '/' ? key + 1 : key, out) !=
		FMT_OK ||
	    fmt_buf_text(out) == NULL)
		return bkp_fail_nomem(err, "looking at a snapshot");
	return 0;
}

static int
add_up(struct bkp_supply *supply, const char *selection, bool is_of_versions,
    struct bkp_amount *amount, struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int found;

	if (bkp_supply_entries(supply, selection, &stream, err) < 0)
		return -1;
	while ((found = bkp_entry_stream_next(stream, &entry, err)) > 0) {
		if (is_of_versions
			? fmt_version_is_selected(entry.path, selection)
			: bkp_supply_is_selected(supply, entry.path)) {
			amount->entries++;
			amount->bytes += entry.has_content ? entry.size : 0;
		}
		fmt_entry_free(&entry);
	}
	bkp_entry_stream_close(stream);
	return found < 0 ? -1 : 0;
}

int
bkp_opened_count(const struct bkp_opened *opened,
    const struct bkp_chosen *chosen, struct bkp_supply *supply,
    struct bkp_amount *out, struct bkp_error *err)
{
	struct bkp_amount amount = {0, 0};
	struct fmt_buf versions = FMT_BUF_INIT;
	int rc;

	if (is_all(chosen)) {
		out->entries = chosen->source->entries;
		out->bytes = chosen->source->bytes;
		return 0;
	}
	rc = add_up(supply, chosen->selection, false, &amount, err);
	if (rc == 0 && chosen->has_versions) {
		rc = select_versions(chosen, &versions, err);
		if (rc == 0)
			rc = add_up(supply, fmt_buf_text(&versions), true,
			    &amount, err);
		fmt_buf_free(&versions);
	}
	if (rc < 0)
		return -1;
	if (amount.entries == 0 && bkp_supply_has_whole_list(supply))
		return bkp_fail(err, BKP_NOTFOUND,
		    "snapshot %.12s holds nothing at '%s'; 'backup-list %.12s "
		    "%s' shows what it holds",
		    opened->name, chosen->selection, opened->name,
		    chosen->source->prefix);
	*out = amount;
	return 0;
}

/* What cannot be told is, so that nobody misses it. */
static bool
is_version_in(const struct bkp_chosen *chosen, const char *path)
{
	struct fmt_buf versions = FMT_BUF_INIT;
	bool answer = select_versions(chosen, &versions, NULL) < 0 ||
		      fmt_version_is_selected(path, fmt_buf_text(&versions));

	fmt_buf_free(&versions);
	return answer;
}

static bool
is_in(const struct bkp_chosen *chosen, const char *path)
{
	return bkp_path_is_within(path, chosen->selection) ||
	       ((is_all(chosen) || chosen->has_versions) &&
		   is_version_in(chosen, path));
}

/* Recorded paths are escaped; selections are not. */
bool
bkp_opened_has_chosen(const struct bkp_opened *opened, const char *recorded)
{
	struct fmt_buf raw = FMT_BUF_INIT;
	const char *path = NULL;
	bool answer;

	if (fmt_path_unescape(recorded, strlen(recorded), &raw) == FMT_OK)
		path = fmt_buf_text(&raw);
	answer = path == NULL;
	for (size_t i = 0; i < opened->chosen_count && !answer; i++)
		answer = is_in(&opened->chosen[i], path);
	fmt_buf_free(&raw);
	return answer;
}

const char *
bkp_opened_recorded(
    const struct bkp_opened *opened, size_t i, const char **reason)
{
	const json_t *item = json_array_get(opened->snapshot.omissions, i);

	*reason = json_string_value(json_object_get(item, "reason"));
	if (*reason == NULL)
		*reason = "no reason recorded";
	return json_string_value(json_object_get(item, "path"));
}

/* All are escaped, which leaves what is below what as it was. versions: the
 * older ones that are chosen, or NULL. */
static bool
find_overlap(const struct bkp_opened *opened, const char *selection,
    const char *versions, const char **path, const char **reason)
{
	size_t count = json_array_size(opened->snapshot.omissions);

	for (size_t i = 0; i < count; i++) {
		*path = bkp_opened_recorded(opened, i, reason);
		if (*path == NULL)
			continue;
		if (bkp_path_is_within(*path, selection) ||
		    bkp_path_is_within(selection, *path) ||
		    (versions != NULL &&
			fmt_version_is_selected(*path, versions)))
			return true;
	}
	return false;
}

static int
escape(const char *path, struct fmt_buf *out, struct bkp_error *err)
{
	if (fmt_path_escape(path, out) == FMT_OK && fmt_buf_text(out) != NULL)
		return 0;
	return bkp_fail_nomem(err, "looking at a snapshot");
}

/* versions stays empty where none are chosen. */
static int
escape_chosen(const struct bkp_chosen *chosen, struct fmt_buf *selection,
    struct fmt_buf *versions, struct bkp_error *err)
{
	struct fmt_buf raw = FMT_BUF_INIT;
	int rc = escape(chosen->selection, selection, err);

	if (rc == 0 && (is_all(chosen) || chosen->has_versions)) {
		rc = select_versions(chosen, &raw, err);
		if (rc == 0)
			rc = escape(fmt_buf_text(&raw), versions, err);
	}
	fmt_buf_free(&raw);
	return rc;
}

int
bkp_opened_overlap(const struct bkp_opened *opened, const char **path,
    const char **reason, struct bkp_error *err)
{
	int found = 0;

	for (size_t i = 0; i < opened->chosen_count && found == 0; i++) {
		const struct bkp_chosen *chosen = &opened->chosen[i];
		struct fmt_buf selection = FMT_BUF_INIT;
		struct fmt_buf versions = FMT_BUF_INIT;

		found = escape_chosen(chosen, &selection, &versions, err);
		if (found == 0)
			found = find_overlap(opened, fmt_buf_text(&selection),
			    versions.len > 0 ? fmt_buf_text(&versions) : NULL,
			    path, reason);
		fmt_buf_free(&selection);
		fmt_buf_free(&versions);
	}
	return found;
}
