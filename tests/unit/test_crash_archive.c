/* SPDX-License-Identifier: Apache-2.0 */
/* An archive is taken into a repository, and that dies at every call of the
 * store: what was there is there, and the next attempt makes the snapshot,
 * once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/operations/archive_import.h"
#include "tests/unit/crash_fixture.h"

enum { KNOWN = 2 };

static struct bkp_config *
configure(struct crash *crash, const char *repository)
{
	struct bkp_config *config = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_config_new(&config, &err) < 0 ||
	    bkp_config_set_repository(config, repository, &err) < 0 ||
	    bkp_config_set_identity_file(
		config, crash->fixture->identity_file, &err) < 0)
		fail_msg("%s", err.message);
	config->workers = 1;
	return config;
}

static void
archive_path(const struct crash *crash, char out[96])
{
	(void)snprintf(out, 96, "%s/night.age", crash->folder);
}

/* Two nights in a repository, and an archive of a third. */
static void
make_archive(struct crash *crash)
{
	struct bkp_archive_options options = BKP_ARCHIVE_OPTIONS_INIT;
	struct bkp_archive_result result;
	struct bkp_config *config;
	struct bkp_error err = BKP_ERROR_INIT;
	char path[96];

	for (size_t i = 0; i < KNOWN; i++)
		crash_add_night(crash);
	crash_run("cd '%s' && cp -a template known", crash->folder);
	crash_add_night(crash);
	archive_path(crash, path);
	config = configure(crash, crash->template);
	options.config = config;
	options.snapshot = crash->names[KNOWN];
	options.output = path;
	if (bkp_archive_write(&options, &result, &err) < 0)
		fail_msg("%s", err.message);
	bkp_config_free(config);
	crash_run(
	    "cd '%s' && rm -rf template && mv known template", crash->folder);
}

static int
take_in(struct crash *crash, struct bkp_repository *repository, char name[65],
    struct bkp_error *err)
{
	struct bkp_import_options options = BKP_IMPORT_OPTIONS_INIT;
	struct bkp_config *config = configure(crash, crash->place);
	struct bkp_backup_result result;
	char path[96];
	int rc;

	archive_path(crash, path);
	options.config = config;
	options.archive = path;
	rc = bkp_archive_import_into(&options, repository, &result, err);
	if (rc == 0)
		memcpy(name, result.snapshot, 65);
	bkp_config_free(config);
	return rc;
}

static void
take_in_again(struct crash *crash, char name[65])
{
	struct bkp_repository *repository = crash_open_repository(
	    crash, crash->place, fixture_host_keys(crash->fixture));
	struct bkp_error err = BKP_ERROR_INIT;

	if (take_in(crash, repository, name, &err) < 0)
		fail_msg("%s", err.message);
	bkp_repository_close(repository);
}

static void
kill_imports(struct crash *crash, bool is_effect_done)
{
	char must[KNOWN + 1][65], reported[65];
	bool is_killed = true;

	make_archive(crash);
	memcpy(must, crash->names, sizeof(must));
	for (uint64_t call = 1; is_killed; call++) {
		crash_begin_again(crash);
		is_killed = crash_kill_at(crash, take_in,
		    fixture_host_keys(crash->fixture), call, is_effect_done,
		    reported);
		crash_check_clean(crash);
		take_in_again(crash, must[KNOWN]);
		if (reported[0] != '\0')
			assert_string_equal(must[KNOWN], reported);
		crash_check_clean(crash);
		assert_int_equal(crash_check_snapshots(
				     crash, (const char(*)[65])must, KNOWN + 1),
		    KNOWN + 1);
	}
}

static void
an_import_dies_before_each_call(void **state)
{
	kill_imports(*state, false);
}

static void
an_import_dies_after_each_call(void **state)
{
	kill_imports(*state, true);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, crash_set_up, crash_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(an_import_dies_before_each_call),
	    TEST(an_import_dies_after_each_call),
	};

	return cmocka_run_group_tests_name("crash archive", tests, NULL, NULL);
}
