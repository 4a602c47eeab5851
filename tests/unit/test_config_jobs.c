/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/config_impl.h"
#include "tests/unit/failing_alloc.h"

static char path[] = "/tmp/bkp-jobs-XXXXXX";

static int
make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	(void)unsetenv("BACKUP_REPOSITORY");
	(void)unsetenv("BACKUP_PASSPHRASE");
	return fd >= 0 ? close(fd) : -1;
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void
write_text(const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct bkp_config *
load(const char *text)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	write_text(text);
	if (bkp_config_load(path, &config, &err) < 0 || config == NULL) {
		fail_msg("%s", err.message);
		abort();
	}
	return config;
}

/* What is wrong stands on this line, in these words. */
static void
refuse(const char *text, unsigned line, const char *words)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	char at[128];

	write_text(text);
	assert_int_equal(bkp_config_load(path, &config, &err), -1);
	assert_null(config);
	assert_int_equal(err.code, BKP_INVALID);
	(void)snprintf(at, sizeof(at), "%s:%u: ", path, line);
	if (strncmp(err.message, at, strlen(at)) != 0 ||
	    strstr(err.message, words) == NULL)
		fail_msg("'%s' is not '%s...%s'", err.message, at, words);
}

static void
use_job(struct bkp_config *config, const char *name)
{
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_config_use_job(config, name, &err) < 0)
		fail_msg("%s", err.message);
}

static void
use_repository(struct bkp_config *config, const char *name)
{
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_config_use_repository(config, name, &err) < 0)
		fail_msg("%s", err.message);
}

static const char *
key_file_of(const struct bkp_config *config)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	bkp_config_keys(config, &keys);
	return keys.key_file;
}

static const char whole[] =
    "key_file: /etc/host.key\n"
    "tags: [web1]\n"
    "retention: {keep_daily: 7, keep_tags: [legal]}\n"
    "error_correction: 2%\n"
    "time_limit: 8h\n"
    "hooks:\n"
    "  failure: [{run: [logger, failed]}]\n"
    "repositories:\n"
    "  local:\n"
    "    location: /srv/backup\n"
    "  offsite:\n"
    "    location: s3://backups/shop\n"
    "    storage: {endpoint: \"https://s3\", access_key: RA, secret_key: RS,\n"
    "              object_lock: {mode: compliance, days: 30}}\n"
    "    key_file: /etc/offsite.key\n"
    "    passphrase: horse\n"
    "    error_correction: 0%\n"
    "    retention: {keep_monthly: 12}\n"
    "sources:\n"
    "  - postgres: app\n"
    "    databases: [shop]\n"
    "  - files: stack\n"
    "    paths: [/etc/app]\n"
    "  - bucket: uploads\n"
    "references:\n"
    "  - column: postgres/app/shop/public.documents.file_key\n"
    "    bucket: bucket/uploads\n"
    "assertions:\n"
    "  - {name: a, source: files/stack, run: [\"true\"]}\n"
    "  - {name: b, database: postgres/app/shop, query: SELECT 1, expect: 1}\n"
    "jobs:\n"
    "  nightly:\n"
    "    sources: [postgres/app, bucket/uploads]\n"
    "    repositories: [offsite, local]\n"
    "    tags: [nightly, web1]\n"
    "    prune: after\n"
    "    verification: {every: 7d, level: sample}\n"
    "    hooks:\n"
    "      before: [{run: [sync]}, {run: [sh, -c, \"exit 0\"], timeout: 90s}]\n"
    "      after: [{run: [a]}]\n"
    "      always: [{run: [b]}]\n"
    "    time_limit: 6h\n"
    "    window: 22:00-06:00\n"
    "  hourly:\n"
    "    sources: [files/stack]\n"
    "    repositories: [local]\n"
    "    retention: {keep_hourly: 24}\n"
    "  all:\n";

static void
without_a_choice_it_is_all_sources_and_the_first_repository(void **state)
{
	struct bkp_config *config = load(whole);

	(void)state;
	assert_string_equal(bkp_config_repository(config), "/srv/backup");
	assert_string_equal(bkp_config_repository_used(config), "local");
	assert_string_equal(key_file_of(config), "/etc/host.key");
	assert_null(bkp_config_job_used(config));
	assert_int_equal(config->source_count, 3);
	assert_int_equal(config->retention.keep_daily, 7);
	assert_int_equal(config->error_correction, 2);
	assert_int_equal(config->job.time_limit_ms, 8 * 3600 * 1000);
	assert_string_equal(bkp_config_job(config, 0), "nightly");
	assert_string_equal(bkp_config_job(config, 2), "all");
	assert_null(bkp_config_job(config, 3));
	assert_string_equal(bkp_config_repository_name(config, 1), "offsite");
	assert_null(bkp_config_repository_name(config, 2));
	bkp_config_free(config);
}

static void
a_repository_has_its_own_keys_storage_and_retention(void **state)
{
	struct bkp_config *config = load(whole);
	struct bkp_keys keys = BKP_KEYS_INIT;

	(void)state;
	use_repository(config, "offsite");
	bkp_config_keys(config, &keys);
	assert_string_equal(bkp_config_repository(config), "s3://backups/shop");
	assert_string_equal(keys.key_file, "/etc/offsite.key");
	assert_string_equal(keys.passphrase, "horse");
	assert_string_equal(keys.storage->bucket.access_key, "RA");
	assert_int_equal(keys.storage->lock_days, 30);
	assert_true(keys.storage->is_compliance);
	assert_int_equal(config->error_correction, 0);
	assert_int_equal(config->retention.keep_daily, 0);
	assert_int_equal(config->retention.keep_monthly, 12);
	use_repository(config, "local");
	bkp_config_keys(config, &keys);
	assert_string_equal(keys.key_file, "/etc/host.key");
	assert_null(keys.passphrase);
	assert_null(keys.storage->bucket.access_key);
	assert_int_equal(keys.storage->lock_days, 0);
	assert_int_equal(config->error_correction, 2);
	assert_string_equal(config->retention.keep_tags.items[0], "legal");
	bkp_config_free(config);
}

static void
check_hooks(const struct bkp_job_config *job)
{
	assert_int_equal(job->before.count, 2);
	assert_string_equal(job->before.items[0].run.items[0], "sync");
	assert_int_equal(job->before.items[0].timeout_ms, 5 * 60 * 1000);
	assert_int_equal(job->before.items[1].run.count, 3);
	assert_int_equal(job->before.items[1].timeout_ms, 90 * 1000);
	assert_int_equal(job->after.count, 1);
	assert_int_equal(job->always.count, 1);
	assert_int_equal(job->failure.count, 0);
}

static void
a_job_narrows_what_is_backed_up_and_says_how(void **state)
{
	struct bkp_config *config = load(whole);

	(void)state;
	use_job(config, "nightly");
	assert_string_equal(bkp_config_job_used(config), "nightly");
	assert_int_equal(config->source_count, 2);
	assert_string_equal(bkp_config_source(config, 0), "bucket/uploads");
	assert_string_equal(bkp_config_source(config, 1), "postgres/app");
	assert_null(bkp_config_source(config, 2));
	assert_int_equal(config->reference_count, 1);
	assert_int_equal(config->assertion_count, 1);
	assert_string_equal(config->assertions[0].name, "b");
	assert_string_equal(bkp_config_repository_used(config), "offsite");
	assert_string_equal(bkp_config_repository_name(config, 1), "local");
	assert_int_equal(config->tags.count, 2);
	assert_string_equal(config->tags.items[0], "web1");
	assert_string_equal(config->tags.items[1], "nightly");
	assert_true(config->job.prunes_after);
	assert_int_equal(config->verification.every_ms, 7 * 86400 * 1000);
	assert_int_equal(config->verification.level, BKP_LEVEL_SAMPLE);
	assert_int_equal(config->job.time_limit_ms, 6 * 3600 * 1000);
	assert_true(config->job.window.is_given);
	assert_int_equal(config->job.window.from_min, 22 * 60);
	assert_int_equal(config->job.window.to_min, 30 * 60);
	assert_int_equal(config->retention.keep_monthly, 12);
	check_hooks(&config->job);
	/* What was asked for stays where it is. */
	use_repository(config, bkp_config_repository_name(config, 0));
	use_repository(config, bkp_config_repository_name(config, 1));
	assert_int_equal(config->retention.keep_daily, 7);
	assert_int_equal(config->tags.count, 2);
	bkp_config_free(config);
}

static void
one_job_after_another_leaves_nothing_behind(void **state)
{
	struct bkp_config *config = load(whole);

	(void)state;
	use_job(config, "nightly");
	use_job(config, "hourly");
	assert_int_equal(config->source_count, 1);
	assert_string_equal(bkp_config_source(config, 0), "files/stack");
	assert_int_equal(config->reference_count, 0);
	assert_int_equal(config->assertion_count, 1);
	assert_string_equal(config->assertions[0].name, "a");
	assert_int_equal(config->tags.count, 1);
	assert_false(config->job.prunes_after);
	assert_false(config->job.window.is_given);
	assert_int_equal(config->job.before.count, 0);
	assert_int_equal(config->job.failure.count, 1);
	assert_int_equal(config->retention.keep_hourly, 24);
	assert_int_equal(config->retention.keep_daily, 0);
	assert_null(bkp_config_repository_name(config, 1));
	use_job(config, "all");
	assert_int_equal(config->source_count, 3);
	assert_string_equal(bkp_config_source(config, 0), "bucket/uploads");
	assert_string_equal(bkp_config_source(config, 2), "postgres/app");
	assert_int_equal(config->retention.keep_daily, 7);
	use_job(config, NULL);
	assert_int_equal(config->source_count, 3);
	assert_int_equal(config->assertion_count, 2);
	bkp_config_free(config);
}

static void
a_repository_is_chosen_by_name_or_by_place(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = load(whole);

	(void)state;
	assert_int_equal(bkp_config_set_repository(config, "offsite", &err), 0);
	assert_string_equal(key_file_of(config), "/etc/offsite.key");
	assert_int_equal(
	    bkp_config_set_repository(config, "/mnt/usb", &err), 0);
	assert_string_equal(bkp_config_repository(config), "/mnt/usb");
	assert_string_equal(key_file_of(config), "/etc/host.key");
	assert_string_equal(bkp_config_repository_used(config), "default");
	assert_string_equal(bkp_config_repository_name(config, 0), "default");
	assert_null(bkp_config_repository_name(config, 1));
	assert_int_equal(
	    bkp_config_set_repository(config, "s3://backups/shop", &err), 0);
	assert_string_equal(bkp_config_repository_used(config), "offsite");
	assert_int_equal(
	    bkp_config_set_repository(config, "offsiet", &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_non_null(strstr(err.message, "local, offsite"));
	assert_int_equal(bkp_config_use_repository(config, "usb", &err), -1);
	assert_int_equal(bkp_config_use_job(config, "daily", &err), -1);
	assert_non_null(strstr(err.message, "nightly, hourly, all"));
	bkp_config_free(config);
	setenv("BACKUP_REPOSITORY", "offsite", 1);
	config = load(whole);
	assert_string_equal(bkp_config_repository_used(config), "offsite");
	use_job(config, "hourly");
	assert_string_equal(bkp_config_repository_used(config), "offsite");
	(void)unsetenv("BACKUP_REPOSITORY");
	bkp_config_free(config);
}

static void
a_passphrase_of_the_environment_wins_over_every_repository(void **state)
{
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_config *config;

	(void)state;
	setenv("BACKUP_PASSPHRASE", "battery", 1);
	config = load(whole);
	use_repository(config, "offsite");
	bkp_config_keys(config, &keys);
	assert_string_equal(keys.passphrase, "battery");
	(void)unsetenv("BACKUP_PASSPHRASE");
	bkp_config_free(config);
}

static void
files_are_not_read_from_any_of_the_repositories(void **state)
{
	struct bkp_config *config = load(whole);

	(void)state;
	assert_string_equal(config->sources[1].prefix, "files/stack");
	assert_int_equal(config->sources[1].files.repositories->count, 2);
	assert_string_equal(
	    config->sources[1].files.repositories->items[0], "/srv/backup");
	use_repository(config, "offsite");
	assert_string_equal(
	    config->sources[1].files.repository, "s3://backups/shop");
	bkp_config_free(config);
}

static void
a_file_without_jobs_is_the_job_default(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config =
	    load("repository: /r\nsources: [{bucket: a}]\nprune: after\n"
		 "window: 01:00-05:30\n");

	(void)state;
	assert_string_equal(bkp_config_job(config, 0), "default");
	assert_null(bkp_config_job(config, 1));
	assert_string_equal(bkp_config_job_used(config), "default");
	assert_string_equal(bkp_config_repository_name(config, 0), "default");
	assert_null(bkp_config_repository_name(config, 1));
	use_job(config, "default");
	use_repository(config, "default");
	assert_true(config->job.prunes_after);
	assert_int_equal(config->job.window.to_min, 330);
	assert_int_equal(config->source_count, 1);
	assert_int_equal(bkp_config_use_job(config, "x", &err), -1);
	assert_non_null(strstr(err.message, "has no 'jobs'"));
	assert_int_equal(bkp_config_use_repository(config, "x", &err), -1);
	assert_int_equal(bkp_config_set_repository(config, "folder", &err), 0);
	assert_string_equal(bkp_config_repository(config), "folder");
	bkp_config_free(config);
}

#define SOURCES "sources: [{bucket: a}, {files: etc, paths: [/etc]}]\n"

static void
names_that_are_not_there_are_told_with_their_line(void **state)
{
	(void)state;
	refuse(SOURCES "jobs:\n  n:\n    tags: [t]\n    sources: [bucket/b]\n",
	    5, "the job 'n' names the source 'bucket/b', which");
	refuse(SOURCES "repositories: {a: {location: /a}, b: {location: /b}}\n"
		       "jobs:\n  n:\n    repositories:\n      - c\n",
	    5,
	    "the repository 'c', which the configuration does not have; "
	    "there is: a, b");
	refuse(SOURCES "repository: /a\njobs: {n: {repositories: [b]}}\n", 3,
	    "there is: default");
	refuse(SOURCES "jobs:\n  n: {sources: []}\n", 3, "lists no source");
	refuse(SOURCES "jobs:\n  n: {sources: [bucket/a, bucket/a]}\n", 3,
	    "twice");
	refuse("repository: /a\njobs:\n  n: {tags: [a]}\n", 3,
	    "the job 'n' has no sources");
	refuse("repositories: {a: {location: /a}}\nrepository: /b\n", 2,
	    "'repository' and 'repositories' are not given together");
	refuse("repositories:\n  a: {location: /a}\n  b: {location: /a/}\n", 3,
	    "the repository 'b' is where 'a' is, on line 2");
}

static void
shapes_and_values_that_are_wrong_are_told(void **state)
{
	(void)state;
	refuse("repositories: [/a]\n", 1, "needs names, and below each");
	refuse("repositories: {}\n", 1, "'repositories' is empty");
	refuse("repositories:\n  a/b: {location: /a}\n", 2, "may hold only");
	refuse("repositories:\n  a: {location: /a}\n  a: {location: /b}\n", 3,
	    "there is a repository 'a' already, on line 2");
	refuse("repositories:\n  a: {key_file: /a}\n", 2,
	    "the repository 'a' needs 'location'");
	refuse("repositories:\n  a:\n", 2, "the repository 'a' is made of");
	refuse(SOURCES "jobs:\n  n: {tag: [a]}\n", 3, "did you mean 'tags'?");
	refuse(SOURCES "jobs:\n  n: {prune: always}\n", 3,
	    "'prune' needs never or after");
	refuse("window: 22:00\n", 1, "'window' needs two times of the day");
	refuse("window: 22:00-24:00\n", 1, "'window' needs two times");
	refuse("window: 22:00-22:00\n", 1, "'window' ends when it begins");
	refuse("window: 22:00-6:00\n", 1, "'window' needs two times");
	refuse("window: 22:00-06:00h\n", 1, "'window' needs two times");
	refuse("time_limit: long\n", 1, "'time_limit': 'long' is no time");
	refuse("time_limit: 0s\n", 1,
	    "'time_limit': '0s' is no time at all: give 1s or more");
	refuse("hooks: {befor: []}\n", 1, "did you mean 'before'?");
	refuse("hooks:\n  before: [sync]\n", 2, "a hook is made of");
	refuse("hooks:\n  before:\n    - timeout: 5m\n", 3, "needs 'run'");
	refuse("hooks:\n  before:\n    - run: []\n", 3, "'run' is empty");
	refuse("hooks:\n  before:\n    - run: [\"\"]\n", 3,
	    "the hook names no program");
}

static void
running_out_of_memory_anywhere_is_an_error_and_leaks_nothing(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	int rc, n;

	(void)state;
	write_text(whole);
	for (n = 0;; n++) {
		failing_alloc_at(n);
		rc = bkp_config_load(path, &config, &err);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
		assert_null(config);
	}
	assert_int_equal(rc, 0);
	for (n = 0;; n++) {
		failing_alloc_at(n);
		rc = bkp_config_use_job(config, "nightly", &err);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(config->tags.count, 2);
	bkp_config_free(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		without_a_choice_it_is_all_sources_and_the_first_repository),
	    cmocka_unit_test(
		a_repository_has_its_own_keys_storage_and_retention),
	    cmocka_unit_test(a_job_narrows_what_is_backed_up_and_says_how),
	    cmocka_unit_test(one_job_after_another_leaves_nothing_behind),
	    cmocka_unit_test(a_repository_is_chosen_by_name_or_by_place),
	    cmocka_unit_test(
		a_passphrase_of_the_environment_wins_over_every_repository),
	    cmocka_unit_test(files_are_not_read_from_any_of_the_repositories),
	    cmocka_unit_test(a_file_without_jobs_is_the_job_default),
	    cmocka_unit_test(names_that_are_not_there_are_told_with_their_line),
	    cmocka_unit_test(shapes_and_values_that_are_wrong_are_told),
	    cmocka_unit_test(
		running_out_of_memory_anywhere_is_an_error_and_leaks_nothing),
	};

	return cmocka_run_group_tests_name(
	    "config_jobs", tests, make_file, remove_file);
}
