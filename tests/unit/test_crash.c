/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that dies at a call of its store, before the call has its effect
 * or after: for every call there is. Whatever it left behind, the repository
 * checks clean, every snapshot that was reported is there and whole, and the
 * next process goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/check.h"
#include "libbackup/key.h"
#include "libbackup/repository/prune.h"
#include "libbackup/repository/repository_own.h"
#include "tests/unit/repository_fixture.h"

#define DEAD 86
#define PIECE 20000
#define FOLDERS_IN_MEMORY "/dev/shm"

/* ---- what is backed up ---- */

enum { FILES = 3, NIGHTS = 4 };

/* Each night one file is another one. */
struct night {
	struct fixture_file files[FILES];
};

struct crash {
	struct fixture *fixture;
	char folder[64];              /* of what follows */
	char template[96], place[96]; /* repositories */
	unsigned char *bytes[FILES + NIGHTS];
	struct night nights[NIGHTS];
	char names[NIGHTS][65]; /* of snapshots in the template */
	size_t count;
};

static void
make_nights(struct crash *crash)
{
	static const char *const paths[FILES] = {"a", "b", "c"};

	for (size_t i = 0; i < FILES + NIGHTS; i++)
		crash->bytes[i] = fixture_random(50000 + i, i + 1);
	for (size_t n = 0; n < NIGHTS; n++)
		for (size_t f = 0; f < FILES; f++) {
			size_t which = f == n % FILES ? FILES + n : f;

			crash->nights[n].files[f] =
			    (struct fixture_file){.path = paths[f],
				.data = crash->bytes[which],
				.len = 50000 + which};
		}
}

/* ---- repositories ---- */

static struct bkp_store *
open_store(const char *folder, enum bkp_store_mode mode)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *store = NULL;

	if (bkp_store_directory_open(folder, mode, &store, &err) < 0)
		fail_msg("%s", err.message);
	return store;
}

/* Takes the store. */
static struct bkp_repository *
open_repository(struct bkp_store *store, struct bkp_keys keys)
{
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_repository_open_store(store, &keys, &repository, &err) < 0)
		fail_msg("%s", err.message);
	return repository;
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
run(const char *format, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

static int
set_up(void **state)
{
	struct crash *crash = calloc(1, sizeof(*crash));
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_init_options options;
	const char *recipients[1];
	void *fixture = NULL;

	if (crash == NULL || fixture_new(&fixture) < 0)
		return -1;
	*state = crash;
	crash->fixture = fixture;
	/* Thousands of syncs, which test_power_loss.py looks after. */
	(void)snprintf(crash->folder, sizeof(crash->folder),
	    "%s/bkp-crash-XXXXXX",
	    access(FOLDERS_IN_MEMORY, W_OK) == 0 ? FOLDERS_IN_MEMORY : "/tmp");
	if (mkdtemp(crash->folder) == NULL)
		return -1;
	(void)snprintf(crash->template, sizeof(crash->template), "%s/template",
	    crash->folder);
	(void)snprintf(
	    crash->place, sizeof(crash->place), "%s/place", crash->folder);
	make_nights(crash);
	options = fixture_options(crash->fixture, recipients);
	recipients[0] = crash->fixture->recipient;
	if (bkp_repository_init_store(
		open_store(crash->template, BKP_STORE_CREATE), &options, &err) <
	    0) {
		print_error("%s\n", err.message);
		return -1;
	}
	return 0;
}

static int
tear_down(void **state)
{
	struct crash *crash = *state;
	void *fixture = crash->fixture;

	run("rm -rf '%s'", crash->folder);
	for (size_t i = 0; i < FILES + NIGHTS; i++)
		free(crash->bytes[i]);
	(void)fixture_free(&fixture);
	free(crash);
	return 0;
}

/* A night's backup into the template. */
static void
add_night(struct crash *crash)
{
	struct bkp_repository *repository =
	    open_repository(open_store(crash->template, BKP_STORE_OPEN),
		fixture_host_keys(crash->fixture));
	struct bkp_error err = BKP_ERROR_INIT;

	if (fixture_back_up(repository, crash->nights[crash->count].files,
		FILES, PIECE, crash->names[crash->count], &err) < 0)
		fail_msg("%s", err.message);
	crash->count++;
	bkp_repository_close(repository);
}

/* A copy of the template, and a machine that has seen nothing else. */
static void
begin_again(struct crash *crash)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "%s/state", crash->folder);
	assert_int_equal(setenv("BACKUP_STATE_DIR", text, 1), 0);
	(void)snprintf(text, sizeof(text), "%s/cache", crash->folder);
	assert_int_equal(setenv("BACKUP_CACHE_DIR", text, 1), 0);
	run("cd '%s' && rm -rf place state cache && cp -a template place",
	    crash->folder);
}

/* ---- dying ---- */

/* What a process does; the name that it reports, or "". */
typedef int job_fn(struct crash *crash, struct bkp_repository *repository,
    char name[65], struct bkp_error *err);

static void
die(void)
{
	_exit(DEAD);
}

static void
live_and_die(struct crash *crash, job_fn *job, struct bkp_keys keys,
    uint64_t call, bool is_effect_done, int to)
{
	static struct bkp_store_fault fault;
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *store = NULL;
	char name[65] = "";

	fault.fail_at = call;
	fault.is_effect_done = is_effect_done;
	/* After one that changes nothing is before the next one. */
	fault.only_changes = is_effect_done;
	fault.strike = die;
	if (bkp_store_fault_new(open_store(crash->place, BKP_STORE_OPEN),
		&fault, &store, &err) == 0 &&
	    bkp_repository_open_store(store, &keys, &repository, &err) == 0 &&
	    job(crash, repository, name, &err) == 0 &&
	    write(to, name, sizeof(name)) == (ssize_t)sizeof(name))
		_exit(0);
	print_error("%s\n", err.message);
	_exit(1);
}

/* Runs a job in a process that dies at its n-th call. Answers false where it
 * came to its end; `name` is what it reported. */
static bool
kill_at(struct crash *crash, job_fn *job, struct bkp_keys keys, uint64_t call,
    bool is_effect_done, char name[65])
{
	int ends[2], status = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		live_and_die(crash, job, keys, call, is_effect_done, ends[1]);
	assert_int_equal(close(ends[1]), 0);
	name[0] = '\0';
	if (read(ends[0], name, 65) < 0)
		fail_msg("nothing can be read from the child");
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != DEAD && WEXITSTATUS(status) != 0)
		fail_msg("killed at call %llu, it failed instead",
		    (unsigned long long)call);
	return WEXITSTATUS(status) == DEAD;
}

/* ---- what is left ---- */

static void
check_clean(struct crash *crash)
{
	struct bkp_check_options options = BKP_CHECK_OPTIONS_INIT;
	struct bkp_check_result result = {.is_clean = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	assert_int_equal(bkp_config_new(&config, &err), 0);
	assert_int_equal(
	    bkp_config_set_repository(config, crash->place, &err), 0);
	assert_int_equal(bkp_config_set_identity_file(
			     config, crash->fixture->identity_file, &err),
	    0);
	options.config = config;
	options.read_percent = 100;
	if (bkp_check(&options, &result, &err) < 0)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < result.finding_count; i++)
		if (result.findings[i].level == BKP_FINDING_DAMAGE)
			fail_msg("%s", result.findings[i].text);
	assert_true(result.is_clean);
	bkp_check_result_free(&result);
	bkp_config_free(config);
}

/* The night that a snapshot holds: the first that agrees in every byte. */
static size_t
night_of(struct crash *crash, struct bkp_repository *repository,
    const char *name, struct bkp_error *err)
{
	size_t n = 0;

	while (n < NIGHTS && fixture_compare(repository, name,
				 crash->nights[n].files, FILES, err) < 0)
		n++;
	return n;
}

/* Every snapshot that is listed is whole, and those of `must` are listed. */
static void
check_snapshots(struct crash *crash, const char (*must)[65], size_t count)
{
	struct bkp_repository *repository =
	    open_repository(open_store(crash->place, BKP_STORE_OPEN),
		fixture_admin_keys(crash->fixture));
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_snapshot_list(repository, &list, &err) < 0)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < list.count; i++)
		if (night_of(crash, repository, list.items[i].name, &err) ==
		    NIGHTS)
			fail_msg("%s", err.message);
	for (size_t m = 0; m < count; m++) {
		size_t i = 0;

		while (
		    i < list.count && strcmp(list.items[i].name, must[m]) != 0)
			i++;
		if (i == list.count)
			fail_msg("%.12s was reported and is lost", must[m]);
	}
	bkp_snapshot_list_free(&list);
	bkp_repository_close(repository);
}

static int
back_up_tonight(struct crash *crash, struct bkp_repository *repository,
    char name[65], struct bkp_error *err)
{
	return fixture_back_up(repository, crash->nights[crash->count].files,
	    FILES, PIECE, name, err);
}

/* Somebody else, after all that. */
static void
go_on(struct crash *crash, char name[65])
{
	struct bkp_repository *repository =
	    open_repository(open_store(crash->place, BKP_STORE_OPEN),
		fixture_host_keys(crash->fixture));
	struct bkp_error err = BKP_ERROR_INIT;

	if (back_up_tonight(crash, repository, name, &err) < 0)
		fail_msg("%s", err.message);
	bkp_repository_close(repository);
}

/* ---- the cases ---- */

/* A backup dies: what was there before is there, and so is what it reported,
 * if it came to that. */
static void
kill_backups(struct crash *crash, bool is_effect_done)
{
	char must[NIGHTS + 2][65];
	bool is_killed = true;

	memcpy(must, crash->names, sizeof(crash->names));
	for (uint64_t call = 1; is_killed; call++) {
		size_t count = crash->count;

		begin_again(crash);
		is_killed = kill_at(crash, back_up_tonight,
		    fixture_host_keys(crash->fixture), call, is_effect_done,
		    must[count]);
		if (must[count][0] != '\0')
			count++;
		check_clean(crash);
		go_on(crash, must[count]);
		check_clean(crash);
		check_snapshots(crash, (const char(*)[65])must, count + 1);
	}
}

static void
a_backup_dies_before_each_call(void **state)
{
	add_night(*state);
	add_night(*state);
	kill_backups(*state, false);
}

static void
a_backup_dies_after_each_call(void **state)
{
	add_night(*state);
	add_night(*state);
	kill_backups(*state, true);
}

static void
the_first_backup_dies_at_each_call(void **state)
{
	kill_backups(*state, false);
	kill_backups(*state, true);
}

/* The first night goes, and what only it used. */
static int
prune_first_night(struct crash *crash, struct bkp_repository *repository,
    char name[65], struct bkp_error *err)
{
	const struct bkp_prune_limits limits = {.may_repack = true};
	struct bkp_presence *presence = NULL;
	struct bkp_prune_report report;
	int rc = -1;

	memset(name, 0, 65);
	if (bkp_prune_begin(repository, &presence, err) == 0 &&
	    bkp_prune_remove(repository, presence,
		(const char(*)[65])crash->names, 1, err) == 0 &&
	    bkp_prune_collect(
		repository, presence, &limits, &report, NULL, err) == 0)
		rc = 0;
	bkp_presence_end(presence);
	return rc;
}

/* The sessions of the dead have been silent for longer than they may. */
static void
finish_prune(struct crash *crash)
{
	struct bkp_repository *repository;
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	run("find '%s/sessions' -type f -exec touch -d '30 hours ago' {} +",
	    crash->place);
	repository = open_repository(open_store(crash->place, BKP_STORE_OPEN),
	    fixture_host_keys(crash->fixture));
	if (prune_first_night(crash, repository, name, &err) < 0)
		fail_msg("%s", err.message);
	bkp_repository_close(repository);
}

/* A prune dies: what it did not mean to remove is there, and the next prune
 * finishes it. */
static void
kill_prunes(struct crash *crash, bool is_effect_done)
{
	bool is_killed = true;
	char name[65];

	for (size_t i = 0; i < 3; i++)
		add_night(crash);
	for (uint64_t call = 1; is_killed; call++) {
		begin_again(crash);
		is_killed = kill_at(crash, prune_first_night,
		    fixture_host_keys(crash->fixture), call, is_effect_done,
		    name);
		check_clean(crash);
		finish_prune(crash);
		check_clean(crash);
		go_on(crash, name);
		check_clean(crash);
		check_snapshots(crash, (const char(*)[65])crash->names + 1, 2);
	}
}

static void
a_prune_dies_before_each_call(void **state)
{
	kill_prunes(*state, false);
}

static void
a_prune_dies_after_each_call(void **state)
{
	kill_prunes(*state, true);
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
	struct bkp_repository *repository =
	    open_repository(open_store(crash->place, BKP_STORE_OPEN),
		fixture_admin_keys(crash->fixture));
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

	add_night(crash);
	add_night(crash);
	memcpy(must, crash->names, 2 * sizeof(must[0]));
	for (uint64_t call = 1; is_killed; call++) {
		begin_again(crash);
		is_killed = kill_at(crash, change_keys,
		    fixture_admin_keys(crash->fixture), call, is_effect_done,
		    must[2]);
		check_clean(crash);
		change_keys_again(crash);
		go_on(crash, must[2]);
		check_clean(crash);
		check_snapshots(crash, (const char(*)[65])must, 3);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_backup_dies_before_each_call),
	    TEST(a_backup_dies_after_each_call),
	    TEST(the_first_backup_dies_at_each_call),
	    TEST(a_prune_dies_before_each_call),
	    TEST(a_prune_dies_after_each_call),
	    TEST(a_key_change_dies_before_each_call),
	    TEST(a_key_change_dies_after_each_call),
	};

	return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
