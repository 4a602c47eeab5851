/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An import:
 *
 *   unpack: every byte of the export is held against its manifest
 *   load: rows into tables, in a transaction that stays open
 *   files: into buckets, where they were asked for
 *   commit: only now is anything there
 */
#include "libbackup/subject_import.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/subject_impl.h"
#include "libbackup/repository/key_ring.h"
#include "libbackup/subject/load.h"
#include "libbackup/subject/load_files.h"

struct import {
	const struct bkp_subject_import_options *options;
	struct bkp_run *run;
	struct bkp_pg pg;
	struct bkp_unpack unpack;
	struct bkp_load *load;
	struct bkp_load_bucket *buckets; /* owned; names of them, too */
	size_t bucket_count;
	struct bkp_load_files *files;
};

/* ---- which places ---- */

static const struct bkp_bucket_config *
find_bucket_source(const struct bkp_config *config, const char *prefix)
{
	for (size_t i = 0; i < config->source_count; i++)
		if (config->sources[i].kind == BKP_KIND_BUCKET &&
		    strcmp(config->sources[i].prefix, prefix) == 0)
			return &config->sources[i].bucket;
	return NULL;
}

static int
find_database(const struct bkp_subject_import_options *options,
    const struct bkp_postgres_config **config, const char **database,
    struct bkp_error *err)
{
	const struct bkp_subject_source from = {
	    .config = options->config,
	    .source = options->source,
	    .database = options->database,
	};

	return bkp_subject_database(&from, config, database, err);
}

/* "bucket/uploads", or "NAME=bucket/uploads". */
static int
find_bucket(struct import *import, const char *text, struct bkp_error *err)
{
	const char *equals = strchr(text, '=');
	const char *prefix = equals != NULL ? equals + 1 : text;
	struct bkp_load_bucket *bucket = &import->buckets[import->bucket_count];

	bucket->config = find_bucket_source(import->options->config, prefix);
	if (bucket->config == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "the configuration names no bucket source '%s'; a source "
		    "is named by kind and name, as in 'bucket/uploads'",
		    prefix);
	import->bucket_count++;
	if (equals == NULL)
		return 0;
	bucket->name = bkp_format(err, "%.*s", (int)(equals - text), text);
	return bucket->name != NULL ? 0 : -1;
}

static int
find_buckets(struct import *import, struct bkp_error *err)
{
	const struct bkp_subject_import_options *options = import->options;

	import->buckets = bkp_alloc_array(
	    options->files_to_count + 1, sizeof(*import->buckets), err);
	if (import->buckets == NULL)
		return -1;
	for (size_t i = 0; i < options->files_to_count; i++)
		if (find_bucket(import, options->files_to[i], err) < 0)
			return -1;
	return 0;
}

/* ---- the export ---- */

static int
unpack(struct import *import, struct bkp_error *err)
{
	const struct bkp_subject_import_options *options = import->options;
	struct fmt_age_identity *identities = NULL;
	struct bkp_unpack_options unpack = {
	    .location = options->input,
	    .passphrase = options->passphrase,
	    .has_shared = options->has_shared != 0,
	    .has_actor = options->has_actor != 0,
	    .has_files = options->files_to_count > 0 && !options->is_rehearsal,
	};
	struct bkp_keys keys = BKP_KEYS_INIT;
	int rc;

	bkp_config_keys(options->config, &keys);
	if (bkp_keys_identities(
		&keys, &identities, &unpack.identity_count, err) < 0)
		return -1;
	unpack.identities = identities;
	bkp_run_phase(import->run, 0, 0, "reading the export");
	rc = bkp_unpack(&unpack, import->run, &import->unpack, err);
	bkp_identities_free(identities, unpack.identity_count);
	return rc;
}

/* What the export itself says that it lacks. */
static void
tell_omitted(struct import *import, struct bkp_subject_import_result *result)
{
	const json_t *omitted =
	    json_object_get(import->unpack.manifest, "omitted");

	for (size_t i = 0; i < json_array_size(omitted); i++) {
		const json_t *one = json_array_get(omitted, i);
		const char *what =
		    json_string_value(json_object_get(one, "what"));
		const char *reason =
		    json_string_value(json_object_get(one, "reason"));

		result->is_partial = 1;
		bkp_run_message(import->run, BKP_WARNING, NULL,
		    "the export lacks %s: %s",
		    what != NULL ? what : "something",
		    reason != NULL ? reason : "nobody knows why");
	}
}

/* ---- steps ---- */

static int
load(struct import *import, struct bkp_error *err)
{
	const struct bkp_subject_import_options *options = import->options;
	const struct bkp_load_options load = {
	    .has_shared = options->has_shared != 0,
	    .has_actor = options->has_actor != 0,
	    .is_remapped = options->is_remapped != 0,
	    .is_nulled = options->is_nulled != 0,
	    .is_appended = options->is_appended != 0,
	    .fill = options->fill,
	    .fill_count = options->fill_count,
	    .left = options->leave_out,
	    .left_count = options->leave_out_count,
	};
	const struct bkp_postgres_config *config = NULL;
	const char *database = NULL;

	if (find_database(options, &config, &database, err) < 0 ||
	    bkp_pg_open(&import->pg, config, database, import->run, err) < 0)
		return -1;
	return bkp_load_run(&import->pg, &import->unpack, &load, import->run,
	    &import->load, err);
}

static int
commit(struct import *import, struct bkp_error *err)
{
	int rc = bkp_load_commit(import->load, err);
	bool is_unknown = rc < 0 && PQstatus(import->pg.conn) != CONNECTION_OK;

	if (import->files != NULL && (rc == 0 || is_unknown))
		bkp_load_files_keep(import->files);
	if (is_unknown)
		(void)bkp_fail_in(err,
		    "the connection was lost at the very end, and the rows may "
		    "be there or not; look before you try again");
	return rc;
}

static void
fill(const struct import *import, struct bkp_subject_import_result *result)
{
	struct bkp_load_counts counts = bkp_load_counts(import->load);

	result->rows = counts.rows;
	result->existing = counts.existing;
	result->rows_left = counts.left;
	result->remapped = counts.remapped;
	result->nulled = counts.nulled;
	result->unfollowed = counts.unfollowed;
	if (counts.unfollowed > 0)
		result->is_partial = 1;
	result->tables = counts.tables;
	result->files =
	    import->files != NULL ? bkp_load_files_count(import->files) : 0;
	result->files_left = import->unpack.object_count - result->files;
}

static int
run_import(struct import *import, struct bkp_subject_import_result *result,
    struct bkp_error *err)
{
	const struct bkp_subject_import_options *options = import->options;

	if (bkp_run_new(
		1, &options->events, options->cancel, &import->run, err) < 0 ||
	    find_buckets(import, err) < 0 || unpack(import, err) < 0)
		return -1;
	tell_omitted(import, result);
	if (load(import, err) < 0)
		return -1;
	if (options->files_to_count > 0 && !options->is_rehearsal &&
	    bkp_load_files_run(&import->unpack, import->buckets,
		import->bucket_count, import->run, &import->files, err) < 0)
		return -1;
	if (!options->is_rehearsal && commit(import, err) < 0)
		return -1;
	fill(import, result);
	return 0;
}

int
bkp_subject_import(const struct bkp_subject_import_options *options,
    struct bkp_subject_import_result *result, struct bkp_error *err)
{
	struct import import = {
	    .options = options,
	    .pg = BKP_PG_INIT,
	    .unpack = BKP_UNPACK_INIT,
	};
	struct bkp_subject_import_result filled = {.rows = 0};
	uint64_t begun = bkp_clock_ms();
	int rc = run_import(&import, &filled, err);

	bkp_load_free(import.load);
	bkp_load_files_free(import.files);
	bkp_pg_close(&import.pg);
	bkp_unpack_free(&import.unpack);
	for (size_t i = 0; i < import.bucket_count; i++)
		free(import.buckets[i].name);
	free(import.buckets);
	bkp_run_free(import.run);
	if (rc < 0)
		return -1;
	filled.duration_ms = bkp_clock_ms() - begun;
	*result = filled;
	return 0;
}
