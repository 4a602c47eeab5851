/* SPDX-License-Identifier: Apache-2.0 */
/* Backups, prunes and key changes die at every call of their store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "formats/parity.h"
#include "libbackup/base/fail.h"
#include "libbackup/key.h"
#include "libbackup/repository/prune.h"
#include "libbackup/repository/repository_own.h"
#include "tests/unit/crash_fixture.h"

/* ---- the cases ---- */

/* A backup dies: what was there before is there, and so is what it reported,
 * if it came to that. */
static void
kill_backups(struct crash *crash, bool is_effect_done)
{
	char must[CRASH_NIGHTS + 2][65];
	bool is_killed = true;

	memcpy(must, crash->names, sizeof(crash->names));
	for (uint64_t call = 1; is_killed; call++) {
		size_t count = crash->count;

		crash_begin_again(crash);
		is_killed = crash_kill_at(crash, crash_back_up_tonight,
		    fixture_host_keys(crash->fixture), call, is_effect_done,
		    must[count]);
		if (must[count][0] != '\0')
			count++;
		crash_check_clean(crash);
		crash_go_on(crash, must[count]);
		crash_check_clean(crash);
		(void)crash_check_snapshots(
		    crash, (const char(*)[65])must, count + 1);
		crash_complete_parity(crash);
	}
}

static void
a_backup_dies_before_each_call(void **state)
{
	crash_add_night(*state);
	crash_add_night(*state);
	kill_backups(*state, false);
}

static void
a_backup_dies_after_each_call(void **state)
{
	crash_add_night(*state);
	crash_add_night(*state);
	kill_backups(*state, true);
}

static void
the_first_backup_dies_at_each_call(void **state)
{
	kill_backups(*state, false);
	kill_backups(*state, true);
}

static int
prune_as(struct crash *crash, struct bkp_repository *repository,
    const struct bkp_prune_limits *limits, struct bkp_prune_report *report,
    struct bkp_error *err)
{
	struct bkp_presence *presence = NULL;
	int rc = -1;

	if (bkp_prune_begin(repository, &presence, err) == 0 &&
	    bkp_prune_remove(repository, presence,
		(const char(*)[65])crash->names, 1, err) == 0 &&
	    bkp_prune_collect(
		repository, presence, limits, report, NULL, err) == 0)
		rc = 0;
	bkp_presence_end(presence);
	return rc;
}

/* The first night goes, and what only it used. */
static int
prune_first_night(struct crash *crash, struct bkp_repository *repository,
    char name[65], struct bkp_error *err)
{
	const struct bkp_prune_limits limits = {.may_repack = true};
	struct bkp_prune_report report;

	memset(name, 0, 65);
	return prune_as(crash, repository, &limits, &report, err);
}

/* So do the packs of which anything went; what is left of them is written
 * anew. */
static int
write_anew(struct crash *crash, struct bkp_repository *repository,
    char name[65], struct bkp_error *err)
{
	const struct bkp_prune_limits limits = {
	    .may_repack = true, .repack_below = 100};
	struct bkp_prune_report report;

	memset(name, 0, 65);
	if (prune_as(crash, repository, &limits, &report, err) < 0)
		return -1;
	return report.repacked.packs > 0
		   ? 0
		   : bkp_fail(err, BKP_INVALID, "nothing was written anew");
}

/* The sessions of the dead have been silent for longer than they may. */
static void
finish_prune(struct crash *crash)
{
	struct bkp_repository *repository;
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	crash_run(
	    "find '%s/sessions' -type f -exec touch -d '30 hours ago' {} +",
	    crash->place);
	repository = crash_open_repository(
	    crash, crash->place, fixture_host_keys(crash->fixture));
	if (prune_first_night(crash, repository, name, &err) < 0)
		fail_msg("%s", err.message);
	bkp_repository_close(repository);
}

/* A prune dies: what it did not mean to remove is there, and the next prune
 * finishes it. */
static void
kill_prunes(struct crash *crash, crash_job_fn *job, struct bkp_keys keys,
    bool is_effect_done)
{
	bool is_killed = true;
	char name[65];

	for (size_t i = 0; i < 3; i++)
		crash_add_night(crash);
	for (uint64_t call = 1; is_killed; call++) {
		crash_begin_again(crash);
		is_killed =
		    crash_kill_at(crash, job, keys, call, is_effect_done, name);
		crash_check_clean(crash);
		finish_prune(crash);
		crash_check_clean(crash);
		crash_go_on(crash, name);
		crash_check_clean(crash);
		(void)crash_check_snapshots(
		    crash, (const char(*)[65])crash->names + 1, 2);
		crash_complete_parity(crash);
	}
}

static void
a_prune_dies_before_each_call(void **state)
{
	struct crash *crash = *state;

	kill_prunes(
	    crash, prune_first_night, fixture_host_keys(crash->fixture), false);
}

static void
a_prune_dies_after_each_call(void **state)
{
	struct crash *crash = *state;

	kill_prunes(
	    crash, prune_first_night, fixture_host_keys(crash->fixture), true);
}

/* With the data identity at hand, packs of content are copied, too. */
static struct bkp_keys
both_keys(const struct crash *crash)
{
	struct bkp_keys keys = fixture_host_keys(crash->fixture);

	keys.identity_file = crash->fixture->identity_file;
	return keys;
}

static void
writing_packs_anew_dies_before_each_call(void **state)
{
	kill_prunes(*state, write_anew, both_keys(*state), false);
}

static void
writing_packs_anew_dies_after_each_call(void **state)
{
	kill_prunes(*state, write_anew, both_keys(*state), true);
}

/* New keys, and one more way in. */
static int
change_keys(struct crash *crash, struct bkp_repository *repository,
    char name[65], struct bkp_error *err)
{
	struct bkp_key_add_options options = BKP_KEY_ADD_OPTIONS_INIT;

	(void)crash;
	memset(name, 0, 65);
	options.passphrase = FIXTURE_PASSPHRASE;
	options.label = "paper";
	options.work_factor = 2;
	return bkp_key_rotate(repository, err) == 0
		   ? bkp_key_add(repository, &options, err)
		   : -1;
}

/* Whether the change came to its end or not, the administrator and the host
 * get in, and the same change can be made again. */
static void
change_keys_again(struct crash *crash)
{
	struct bkp_repository *repository = crash_open_repository(
	    crash, crash->place, fixture_admin_keys(crash->fixture));
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	if (change_keys(crash, repository, name, &err) < 0 &&
	    err.code != BKP_EXISTS)
		fail_msg("%s", err.message);
	bkp_repository_close(repository);
}

static void
kill_key_changes(struct crash *crash, bool is_effect_done)
{
	bool is_killed = true;
	char must[3][65];

	crash_add_night(crash);
	crash_add_night(crash);
	memcpy(must, crash->names, 2 * sizeof(must[0]));
	for (uint64_t call = 1; is_killed; call++) {
		crash_begin_again(crash);
		is_killed = crash_kill_at(crash, change_keys,
		    fixture_admin_keys(crash->fixture), call, is_effect_done,
		    must[2]);
		crash_check_clean(crash);
		change_keys_again(crash);
		crash_go_on(crash, must[2]);
		crash_check_clean(crash);
		(void)crash_check_snapshots(crash, (const char(*)[65])must, 3);
		crash_complete_parity(crash);
	}
}

static void
a_key_change_dies_before_each_call(void **state)
{
	kill_key_changes(*state, false);
}

static void
a_key_change_dies_after_each_call(void **state)
{
	kill_key_changes(*state, true);
}

/* ---- with error correction ---- */

/* Where the build has none, these are the same as those above. */
static struct crash *
with_parity(void **state)
{
	struct crash *crash = *state;

	crash->parity = fmt_parity_is_available() ? 10 : 0;
	return crash;
}

static void
a_backup_with_error_correction_dies_before_each_call(void **state)
{
	struct crash *crash = with_parity(state);

	crash_add_night(crash);
	kill_backups(crash, false);
}

static void
a_backup_with_error_correction_dies_after_each_call(void **state)
{
	struct crash *crash = with_parity(state);

	crash_add_night(crash);
	kill_backups(crash, true);
}

static void
a_prune_with_error_correction_dies_after_each_call(void **state)
{
	struct crash *crash = with_parity(state);

	kill_prunes(crash, write_anew, both_keys(crash), true);
}

static void
a_key_change_with_error_correction_dies_after_each_call(void **state)
{
	kill_key_changes(with_parity(state), true);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, crash_set_up, crash_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_backup_dies_before_each_call),
	    TEST(a_backup_dies_after_each_call),
	    TEST(the_first_backup_dies_at_each_call),
	    TEST(a_prune_dies_before_each_call),
	    TEST(a_prune_dies_after_each_call),
	    TEST(writing_packs_anew_dies_before_each_call),
	    TEST(writing_packs_anew_dies_after_each_call),
	    TEST(a_key_change_dies_before_each_call),
	    TEST(a_key_change_dies_after_each_call),
	    TEST(a_backup_with_error_correction_dies_before_each_call),
	    TEST(a_backup_with_error_correction_dies_after_each_call),
	    TEST(a_prune_with_error_correction_dies_after_each_call),
	    TEST(a_key_change_with_error_correction_dies_after_each_call),
	};

	return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
