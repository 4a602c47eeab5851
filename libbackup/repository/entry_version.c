/* SPDX-License-Identifier: Apache-2.0 */
/* A version of an object, by the name that its server gave it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "formats/version.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"

static bool
has_id(const char *attributes, const char *id)
{
	json_t *attrs = json_loads(attributes, 0, NULL);
	const char *its =
	    json_string_value(json_object_get(attrs, "version_id"));
	/* What was written while the bucket kept no versions. */
	bool answer = strcmp(its != NULL ? its : "null", id) == 0;

	json_decref(attrs);
	return answer;
}

/* Looks through what begins with `below`, or is exactly that. 1: *out is the
 * caller's; 0; -1. */
static int
look(struct bkp_repository *repository, const char *snapshot, const char *below,
    bool is_exact, const char *id, char **out, struct bkp_error *err)
{
	struct bkp_entries *entries = NULL;
	struct bkp_entry entry;
	int rc;

	if (bkp_entries_open(repository, snapshot, below, &entries, err) < 0)
		return -1;
	while ((rc = bkp_entries_next(entries, &entry, err)) == 1) {
		if (is_exact && strcmp(entry.path, below) != 0)
			rc = 0;
		if (rc == 0 || has_id(entry.attributes, id))
			break;
	}
	if (rc == 1 && !entry.has_content)
		rc = bkp_fail(err, BKP_NOTFOUND,
		    "'%s' is a delete marker, and has no bytes", entry.path);
	if (rc == 1 && (*out = bkp_strdup(entry.path, err)) == NULL)
		rc = -1;
	bkp_entries_close(entries);
	return rc;
}

/* The source that holds a path, as far as a snapshot has it, and it is a
 * bucket. */
static const char *
bucket_of(const struct fmt_snapshot *snapshot, const char *path)
{
	for (size_t i = 0; i < snapshot->source_count; i++) {
		const char *prefix = snapshot->sources[i].prefix;
		size_t len = strlen(prefix);

		if (strcmp(snapshot->sources[i].kind, "bucket") == 0 &&
		    strncmp(path, prefix, len) == 0 && path[len] == '/' &&
		    path[len + 1] != '\0')
			return prefix;
	}
	return NULL;
}

static int
find(struct bkp_repository *repository, const char *snapshot,
    const char *prefix, const char *path, const char *id, char **out,
    struct bkp_error *err)
{
	struct fmt_buf group = FMT_BUF_INIT;
	int rc = look(repository, snapshot, path, true, id, out, err);

	if (rc == 0 && (fmt_version_group(prefix, path + strlen(prefix) + 1,
			    &group) != FMT_OK ||
			   fmt_buf_text(&group) == NULL))
		rc = bkp_fail_nomem(err, "looking for a version");
	if (rc == 0)
		rc = look(repository, snapshot, fmt_buf_text(&group), false, id,
		    out, err);
	if (rc == 0)
		rc = bkp_fail(err, BKP_NOTFOUND,
		    "the snapshot has no version '%s' of '%s'; 'backup-list "
		    "--json SNAPSHOT' shows the ids, of the current one at "
		    "that path and of others below '%s'",
		    id, path, fmt_buf_text(&group));
	fmt_buf_free(&group);
	return rc < 0 ? -1 : 0;
}

int
bkp_version_find(struct bkp_repository *repository, const char *snapshot,
    const char *path, const char *version_id, char **entry_path,
    struct bkp_error *err)
{
	struct fmt_snapshot found = FMT_SNAPSHOT_INIT;
	const char *prefix;
	int rc = -1;

	if (bkp_repository_snapshot(repository, snapshot, &found, err) < 0)
		return -1;
	prefix = bucket_of(&found, path);
	if (prefix == NULL)
		(void)bkp_fail(err, BKP_INVALID,
		    "'%s' is no path of an object in a bucket of this "
		    "snapshot, and only these have versions",
		    path);
	else
		rc = find(repository, snapshot, prefix, path, version_id,
		    entry_path, err);
	fmt_snapshot_free(&found);
	return rc;
}
