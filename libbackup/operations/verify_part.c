/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a snapshot can be restored by itself. Rows need the definitions of
 * their tables, and these their roles: an archive of a single table has none
 * of it. What cannot be restored anywhere is read back, and the verdict says
 * that this is less.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/entry.h"
#include "libbackup/archive/reader.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/archive_import.h"
#include "libbackup/operations/verify_impl.h"
#include "libbackup/repository/repository_own.h"

/* It is said of the source, whatever of it was chosen: what was left out of
 * the selection alone does not tell. 1, 0 or -1. */
static int
was_part(
    const struct bkp_opened *opened, const char *prefix, struct bkp_error *err)
{
	size_t count = json_array_size(opened->snapshot.omissions);
	struct fmt_buf escaped = FMT_BUF_INIT;
	const char *text = NULL;
	int found = 0;

	if (fmt_path_escape(prefix, &escaped) == FMT_OK)
		text = fmt_buf_text(&escaped);
	if (text == NULL)
		found = bkp_fail_nomem(err, "looking for what was left out");
	for (size_t i = 0; found == 0 && i < count; i++) {
		const char *why, *path = bkp_opened_recorded(opened, i, &why);

		found = path != NULL && strcmp(path, text) == 0 &&
			strcmp(why, BKP_IMPORTED_PART) == 0;
	}
	fmt_buf_free(&escaped);
	return found;
}

int
bkp_verify_is_part(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_error *err)
{
	const struct bkp_repository *repository = verify->opened.repository;
	const char *prefix = chosen->source->prefix;

	if (repository->archive != NULL) {
		const char *path =
		    bkp_archive_manifest(repository->archive)->path;

		return path[0] != '\0' && strcmp(path, prefix) != 0;
	}
	return was_part(&verify->opened, prefix, err);
}

/* 1, 0 or -1. */
static int
has_entry(struct bkp_supply *supply, const char *folder, const char *name,
    struct bkp_error *err)
{
	char *path = bkp_format(err, "%s/%s", folder, name);
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int found = -1;

	if (path != NULL &&
	    bkp_supply_entries(supply, path, &stream, err) == 0) {
		found = bkp_entry_stream_next(stream, &entry, err);
		if (found == 1)
			found = strcmp(entry.path, path) == 0;
	}
	fmt_entry_free(&entry);
	bkp_entry_stream_close(stream);
	free(path);
	return found;
}

/* Of a database and the server that it is of. 1, 0 or -1. */
static int
has_definitions(
    struct bkp_supply *supply, const char *path, struct bkp_error *err)
{
	int has =
	    has_entry(supply, bkp_supply_prefix(supply), "globals.sql", err);

	if (has == 1)
		has = has_entry(supply, path, "database.json", err);
	if (has == 1)
		has = has_entry(supply, path, "schema.dump", err);
	return has;
}

static bool
is_rows_of(const char *selection, const char *database)
{
	size_t len = strlen(database);

	return strncmp(selection, database, len) == 0 &&
	       strncmp(selection + len, "/data/", 6) == 0;
}

/* Whether the selection is, or takes in, or is rows of a database. */
static bool
is_about(const char *selection, const char *database)
{
	return bkp_path_is_within(database, selection) ||
	       is_rows_of(selection, database);
}

static bool
is_globals(const struct bkp_chosen *chosen)
{
	size_t len = strlen(chosen->source->prefix);

	return bkp_path_is_within(chosen->selection, chosen->source->prefix) &&
	       strcmp(chosen->selection + len, "/globals.sql") == 0;
}

const char *
bkp_verify_rows_of(const struct bkp_chosen *chosen)
{
	const json_t *list = json_object_get(chosen->source->info, "databases");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *path = json_string_value(
		    json_object_get(json_array_get(list, i), "path"));

		if (path != NULL && is_rows_of(chosen->selection, path))
			return path;
	}
	return NULL;
}

int
bkp_verify_obstacle(struct bkp_verify *verify, const struct bkp_chosen *chosen,
    struct bkp_supply *supply, const char **why, struct bkp_error *err)
{
	const json_t *list = json_object_get(chosen->source->info, "databases");
	int part, has = 1;
	bool is_any = is_globals(chosen) ||
		      strcmp(chosen->selection, chosen->source->prefix) == 0;

	*why = NULL;
	if (chosen->kind->kind != BKP_KIND_POSTGRES)
		return 0;
	if ((part = bkp_verify_is_part(verify, chosen, err)) < 0)
		return -1;
	for (size_t i = 0; has == 1 && i < json_array_size(list); i++) {
		const char *path = json_string_value(
		    json_object_get(json_array_get(list, i), "path"));

		if (path == NULL || !is_about(chosen->selection, path))
			continue;
		is_any = true;
		if (part == 1)
			has = has_definitions(supply, path, err);
	}
	if (has < 0)
		return -1;
	if (!is_any)
		*why = "it cannot be restored by itself, but for whole "
		       "databases and rows of tables (DB/data/SCHEMA.TABLE)";
	else if (has == 0)
		*why = "the archive holds a part, without the roles and "
		       "definitions that a restore takes";
	return 0;
}
