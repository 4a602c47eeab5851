/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/crash_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/check.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/store/store_parity.h"

#define DEAD 86
#define FOLDERS_IN_MEMORY "/dev/shm"

/* ---- what is backed up ---- */

static void
make_nights(struct crash *crash)
{
	static const char *const paths[CRASH_FILES] = {"a", "b", "c"};

	for (size_t i = 0; i < CRASH_FILES + CRASH_NIGHTS; i++)
		crash->bytes[i] = fixture_random(50000 + i, i + 1);
	for (size_t n = 0; n < CRASH_NIGHTS; n++)
		for (size_t f = 0; f < CRASH_FILES; f++) {
			size_t which =
			    f == n % CRASH_FILES ? CRASH_FILES + n : f;

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

/* Takes the store. As those of a host do, it keeps error correction with what
 * the repository began with, too. */
static int
open_over(const struct crash *crash, struct bkp_store *store,
    struct bkp_keys keys, struct bkp_repository **out, struct bkp_error *err)
{
	if (crash->parity > 0 && bkp_store_parity_new(store, &store, err) < 0)
		return -1;
	if (bkp_repository_open_store(store, &keys, out, err) < 0)
		return -1;
	return bkp_repository_keep_parity(*out, crash->parity, err);
}

struct bkp_repository *
crash_open_repository(
    struct crash *crash, const char *folder, struct bkp_keys keys)
{
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	if (open_over(crash, open_store(folder, BKP_STORE_OPEN), keys,
		&repository, &err) < 0)
		fail_msg("%s", err.message);
	return repository;
}

void
crash_run(const char *format, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

int
crash_set_up(void **state)
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

int
crash_tear_down(void **state)
{
	struct crash *crash = *state;
	void *fixture = crash->fixture;

	crash_run("rm -rf '%s'", crash->folder);
	for (size_t i = 0; i < CRASH_FILES + CRASH_NIGHTS; i++)
		free(crash->bytes[i]);
	(void)fixture_free(&fixture);
	free(crash);
	return 0;
}

void
crash_add_night(struct crash *crash)
{
	struct bkp_repository *repository = crash_open_repository(
	    crash, crash->template, fixture_host_keys(crash->fixture));
	struct bkp_error err = BKP_ERROR_INIT;

	if (fixture_back_up(repository, crash->nights[crash->count].files,
		CRASH_FILES, CRASH_PIECE, crash->names[crash->count], &err) < 0)
		fail_msg("%s", err.message);
	crash->count++;
	bkp_repository_close(repository);
}

void
crash_begin_again(struct crash *crash)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "%s/state", crash->folder);
	assert_int_equal(setenv("BACKUP_STATE_DIR", text, 1), 0);
	(void)snprintf(text, sizeof(text), "%s/cache", crash->folder);
	assert_int_equal(setenv("BACKUP_CACHE_DIR", text, 1), 0);
	crash_run("cd '%s' && rm -rf place state cache && cp -a template place",
	    crash->folder);
}

/* ---- dying ---- */

static void
die(void)
{
	_exit(DEAD);
}

static void
live_and_die(struct crash *crash, crash_job_fn *job, struct bkp_keys keys,
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
	    open_over(crash, store, keys, &repository, &err) == 0 &&
	    job(crash, repository, name, &err) == 0 &&
	    write(to, name, sizeof(name)) == (ssize_t)sizeof(name))
		_exit(0);
	print_error("%s\n", err.message);
	_exit(1);
}

bool
crash_kill_at(struct crash *crash, crash_job_fn *job, struct bkp_keys keys,
    uint64_t call, bool is_effect_done, char name[65])
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

void
crash_check_clean(struct crash *crash)
{
	fixture_assert_clean(crash->fixture, crash->place);
}

static void
check_parity(
    const struct crash *crash, bool is_repair, struct bkp_check_result *result)
{
	struct bkp_check_options options = BKP_CHECK_OPTIONS_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	if (bkp_config_new(&config, &err) < 0 ||
	    bkp_config_set_repository(config, crash->place, &err) < 0 ||
	    bkp_config_set_key_file(config, crash->fixture->key_file, &err) <
		0 ||
	    bkp_config_set_identity_file(
		config, crash->fixture->identity_file, &err) < 0)
		fail_msg("%s", err.message);
	config->error_correction = crash->parity;
	options.config = config;
	options.read_percent = 100;
	options.is_repair = is_repair;
	if (bkp_check(&options, result, &err) < 0)
		fail_msg("%s", err.message);
	bkp_config_free(config);
}

void
crash_complete_parity(struct crash *crash)
{
	struct bkp_check_result result = {.is_clean = 0};

	if (crash->parity == 0)
		return;
	check_parity(crash, true, &result);
	bkp_check_result_free(&result);
	check_parity(crash, false, &result);
	for (size_t i = 0; i < result.finding_count; i++)
		if (result.findings[i].level != BKP_FINDING_NOTE)
			fail_msg("%s", result.findings[i].text);
	bkp_check_result_free(&result);
}

/* The night that a snapshot holds: the first that agrees in every byte. */
static size_t
night_of(struct crash *crash, struct bkp_repository *repository,
    const char *name, struct bkp_error *err)
{
	size_t n = 0;

	while (n < CRASH_NIGHTS &&
	       fixture_compare(repository, name, crash->nights[n].files,
		   CRASH_FILES, err) < 0)
		n++;
	return n;
}

size_t
crash_check_snapshots(struct crash *crash, const char (*must)[65], size_t count)
{
	struct bkp_repository *repository = crash_open_repository(
	    crash, crash->place, fixture_admin_keys(crash->fixture));
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	size_t listed;

	if (bkp_snapshot_list(repository, &list, &err) < 0)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < list.count; i++)
		if (night_of(crash, repository, list.items[i].name, &err) ==
		    CRASH_NIGHTS)
			fail_msg("%s", err.message);
	for (size_t m = 0; m < count; m++) {
		size_t i = 0;

		while (
		    i < list.count && strcmp(list.items[i].name, must[m]) != 0)
			i++;
		if (i == list.count)
			fail_msg("%.12s was reported and is lost", must[m]);
	}
	listed = list.count;
	bkp_snapshot_list_free(&list);
	bkp_repository_close(repository);
	return listed;
}

int
crash_back_up_tonight(struct crash *crash, struct bkp_repository *repository,
    char name[65], struct bkp_error *err)
{
	return fixture_back_up(repository, crash->nights[crash->count].files,
	    CRASH_FILES, CRASH_PIECE, name, err);
}

void
crash_go_on(struct crash *crash, char name[65])
{
	struct bkp_repository *repository = crash_open_repository(
	    crash, crash->place, fixture_host_keys(crash->fixture));
	struct bkp_error err = BKP_ERROR_INIT;

	if (crash_back_up_tonight(crash, repository, name, &err) < 0)
		fail_msg("%s", err.message);
	bkp_repository_close(repository);
}
