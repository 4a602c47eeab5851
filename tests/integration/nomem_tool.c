/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with subjects, with allocations failing one after the other.
 * Whichever it is, the operation ends with BKP_NOMEM, and leaves no output
 * or says that it did.
 *
 *   nomem_tool OPERATION STEP CONFIGURATION MAP FOLDER KEY
 *
 * OPERATION: plan, check, folder, tar, zip (exports into FOLDER/out), explain,
 * import (of FOLDER/in, rolled back), erase (until it works). Of the first
 * forty allocations each fails once; of the n-th after that every
 * (n / STEP)-th, or all of them where STEP is 0. Prints how many it tried;
 * exit status 1, and a line for each that was not seen to.
 */
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libbackup/libbackup.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/subject/erase.h"
#include "tests/unit/failing_alloc.h"

#define EACH 40

struct asked {
	const char *operation, *map, *folder;
	const char *const *key;
	struct bkp_config *config;
	struct bkp_subject_source from;
};

/* That something was left out is an answer, too, where the reason is that. */
static bool is_told;

static void
on_message(void *arg, enum bkp_level level, const char *path, const char *text)
{
	(void)arg;
	(void)level;
	(void)path;
	is_told |= strstr(text, "memory") != NULL;
}

/* ---- the operations ---- */

static int
plan(const struct asked *asked, struct bkp_error *err)
{
	struct bkp_subject_plan_options options = BKP_SUBJECT_PLAN_OPTIONS_INIT;
	char *yaml = NULL;
	size_t undecided;
	int rc;

	options.from = asked->from;
	options.table = "public.users";
	rc = bkp_subject_plan(&options, &yaml, &undecided, err);
	free(yaml);
	return rc;
}

static int
check(const struct asked *asked, struct bkp_error *err)
{
	struct bkp_subject_check_options options =
	    BKP_SUBJECT_CHECK_OPTIONS_INIT;
	struct bkp_subject_check_result result;

	options.from = asked->from;
	if (bkp_subject_check(&options, &result, err) < 0)
		return -1;
	bkp_subject_check_result_free(&result);
	return 0;
}

static int export(const struct asked *asked, enum bkp_subject_form form,
    struct bkp_error *err)
{
	struct bkp_subject_export_options options =
	    BKP_SUBJECT_EXPORT_OPTIONS_INIT;
	struct bkp_subject_export_result result;
	char output[512], audit[512];

	(void)snprintf(output, sizeof(output), "%s/out", asked->folder);
	(void)snprintf(audit, sizeof(audit), "%s/audit.log", asked->folder);
	options.from = asked->from;
	options.key = asked->key;
	options.key_count = 1;
	options.has_csv = form == BKP_SUBJECT_FOLDER;
	options.has_no_files = 1;
	options.form = form;
	options.output = output;
	options.is_open = 1;
	options.audit = audit;
	options.events.message = on_message;
	if (bkp_subject_export(&options, &result, err) < 0)
		return -1;
	bkp_subject_export_result_free(&result);
	return 0;
}

static int
explain(const struct asked *asked, struct bkp_error *err)
{
	struct bkp_subject_explain_options options =
	    BKP_SUBJECT_EXPLAIN_OPTIONS_INIT;
	struct bkp_subject_explain_result result;

	options.from = asked->from;
	options.key = options.row = asked->key;
	options.key_count = options.row_count = 1;
	options.table = "public.orders";
	if (bkp_subject_explain(&options, &result, err) < 0)
		return -1;
	bkp_subject_explain_result_free(&result);
	return 0;
}

static int
import(const struct asked *asked, struct bkp_error *err)
{
	struct bkp_subject_import_options options =
	    BKP_SUBJECT_IMPORT_OPTIONS_INIT;
	struct bkp_subject_import_result result;
	char input[512];

	(void)snprintf(input, sizeof(input), "%s/in", asked->folder);
	options.config = asked->config;
	options.input = input;
	options.has_shared = 1;
	options.is_remapped = 1;
	options.is_rehearsal = 1;
	options.is_appended = 1;
	options.events.message = on_message;
	return bkp_subject_import(&options, &result, err);
}

/* Sweeping behind it is done as well as that can be. */
static int
erase(const struct asked *asked, struct bkp_error *err)
{
	const struct bkp_postgres_config *postgres =
	    &asked->config->sources[0].postgres;
	struct bkp_erased erased = BKP_ERASED_INIT;
	struct bkp_map map = BKP_MAP_INIT;
	struct bkp_walk *walk = NULL;
	struct bkp_run *run = NULL;
	int rc = -1;

	if (bkp_run_new(1, NULL, NULL, &run, err) == 0 &&
	    bkp_map_load(asked->map, &map, err) == 0 &&
	    bkp_walk_open_erasing(
		postgres, asked->from.database, &map, run, &walk, err) == 0 &&
	    bkp_walk_run_many(walk, asked->key, 1, 1, err) == 0)
		rc = bkp_erase(walk, &erased, err);
	is_told |= rc == 0;
	bkp_erased_free(&erased);
	bkp_walk_close(walk);
	bkp_map_free(&map);
	bkp_run_free(run);
	return rc;
}

static int
operate(const struct asked *asked, struct bkp_error *err)
{
	const char *name = asked->operation;

	if (strcmp(name, "plan") == 0)
		return plan(asked, err);
	if (strcmp(name, "check") == 0)
		return check(asked, err);
	if (strcmp(name, "folder") == 0)
		return export(asked, BKP_SUBJECT_FOLDER, err);
	if (strcmp(name, "tar") == 0)
		return export(asked, BKP_SUBJECT_TAR_ZST, err);
	if (strcmp(name, "zip") == 0)
		return export(asked, BKP_SUBJECT_ZIP, err);
	if (strcmp(name, "explain") == 0)
		return explain(asked, err);
	if (strcmp(name, "import") == 0)
		return import(asked, err);
	if (strcmp(name, "erase") == 0)
		return erase(asked, err);
	(void)fprintf(stderr, "there is no operation %s\n", name);
	exit(2);
}

/* ---- the loop ---- */

/* How much is there of what an export writes, half made or whole. */
static size_t
count_outputs(const struct asked *asked)
{
	char pattern[512];
	glob_t found;
	size_t count;

	(void)snprintf(pattern, sizeof(pattern), "%s/*out*", asked->folder);
	if (glob(pattern, GLOB_PERIOD, NULL, &found) != 0)
		return 0;
	count = found.gl_pathc;
	globfree(&found);
	return count;
}

static void
remove_outputs(const struct asked *asked)
{
	char command[600];

	(void)snprintf(
	    command, sizeof(command), "rm -rf '%s'/*out*", asked->folder);
	if (system(command) != 0)
		exit(2);
}

/* Counts in `bad` what was not seen to; false where nothing failed. */
static bool
fail_one(const struct asked *asked, unsigned n, unsigned *bad)
{
	struct bkp_error err = BKP_ERROR_INIT;
	bool has_failed;
	size_t left;
	int rc;

	is_told = false;
	failing_alloc_once_at(n);
	rc = operate(asked, &err);
	has_failed = failing_alloc_once_end();
	left = rc < 0 && strstr(err.message, "the export was written") == NULL
		   ? count_outputs(asked)
		   : 0;
	if ((has_failed && !is_told) != (rc < 0) ||
	    (rc < 0 && err.code != BKP_NOMEM) || left > 0) {
		(void)fprintf(stderr,
		    "%s, allocation %u %s: rc %d, code %d, %zu left: %s\n",
		    asked->operation, n, has_failed ? "failed" : "was not made",
		    rc, err.code, left, err.message);
		*bad += 1;
	}
	remove_outputs(asked);
	return has_failed &&
	       !(rc == 0 && strcmp(asked->operation, "erase") == 0);
}

int
main(int argc, char **argv)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct asked asked = {.operation = argv[1]};
	unsigned n = 0, tried = 0, bad = 0, step;

	if (argc != 7)
		return 2;
	step = (unsigned)atoi(argv[2]);
	asked.map = argv[4];
	asked.folder = argv[5];
	asked.key = (const char *const *)argv + 6;
	if (bkp_config_load(argv[3], &asked.config, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.message);
		return 2;
	}
	asked.from.config = asked.config;
	asked.from.map = asked.map;
	for (; fail_one(&asked, n, &bad); tried++)
		n += n < EACH || step == 0 || n < step ? 1 : n / step;
	(void)printf("%s: %u of %u allocations\n", asked.operation, tried, n);
	bkp_config_free(asked.config);
	return tried < 20 || bad > 0;
}
