/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups and prunes against each other in processes of their own, on one
 * directory, while they are killed and suspended at random, and sessions are
 * given up, dead or alive. PRUNE_STRESS_SECONDS is how long (10),
 * PRUNE_STRESS_SEED repeats the choices of a run, as far as the machine lets
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/prune.h"
#include "tests/unit/repository_fixture.h"

#define PIECE ((size_t)8 << 10)
#define POOL 24   /* pieces that all backups are made of */
#define PIECES 6  /* of a backup */
#define BACKUPS 3 /* processes */
#define PRUNES 2
#define PROCESSES (BACKUPS + PRUNES)
#define KEEP 3
#define REPORT 96 /* bytes: one write to the pipe, so never half of one */

struct made {
	char name[BKP_OBJECT_NAME];
	uint32_t seed;
	bool is_unwanted;
};

struct stress {
	struct fixture *fixture;
	char place[64];
	unsigned char *pool; /* owned */
	int reports[2];
	pid_t pids[PROCESSES];
	uint32_t random;
	struct made *made; /* owned */
	size_t count, cap;
	unsigned kills, given_up, removals, failures;
};

static uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static uint32_t
number_of(const char *variable, uint32_t otherwise)
{
	const char *text = getenv(variable);

	return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

/* ---- what a process does ---- */

/* The content that belongs to a seed; free(). */
static unsigned char *
content_of(const struct stress *stress, uint32_t seed)
{
	unsigned char *content = malloc(PIECES * PIECE);
	uint32_t random = seed * 2654435761u | 1;

	if (content == NULL)
		_exit(1);
	for (size_t i = 0; i < PIECES; i++)
		memcpy(content + i * PIECE,
		    stress->pool + next_random(&random) % POOL * PIECE, PIECE);
	return content;
}

/* What a process tells: M made, R about to be removed, E failed. */
static void
report(const struct stress *stress, char what, uint32_t seed, const char *text)
{
	char line[REPORT] = "";

	(void)snprintf(
	    line, sizeof(line), "%c%08x%.80s", what, (unsigned)seed, text);
	if (write(stress->reports[1], line, sizeof(line)) !=
	    (ssize_t)sizeof(line))
		_exit(1);
}

static struct bkp_repository *
open_place(const struct stress *stress, bool is_admin, struct bkp_error *err)
{
	struct bkp_keys keys = fixture_host_keys(stress->fixture);
	struct bkp_repository *repository = NULL;
	struct bkp_store *store = NULL;

	if (is_admin)
		keys.identity_file = stress->fixture->identity_file;
	if (bkp_store_directory_open(
		stress->place, BKP_STORE_OPEN, &store, err) < 0 ||
	    bkp_repository_open_store(store, &keys, &repository, err) < 0)
		return NULL;
	return repository;
}

static int
back_up(const struct stress *stress, struct bkp_repository *host, uint32_t seed,
    struct bkp_error *err)
{
	unsigned char *content = content_of(stress, seed);
	const struct fixture_file file = {"f", content, PIECES * PIECE};
	char name[BKP_OBJECT_NAME];
	int rc = fixture_back_up(host, &file, 1, PIECE, name, err);

	if (rc == 0)
		report(stress, 'M', seed, name);
	free(content);
	return rc;
}

/* Removes one of two of all but the newest. */
static int
choose(const struct stress *stress, struct bkp_repository *host,
    uint32_t *random, struct bkp_names *out, struct bkp_error *err)
{
	struct bkp_history history = BKP_HISTORY_INIT;
	int rc = bkp_history_read(host, &history, err);

	for (size_t i = 0; rc == 0 && i + KEEP < history.snapshots.count; i++) {
		if (next_random(random) % 2 == 0)
			continue;
		report(stress, 'R', 0, history.snapshots.items[i].name);
		rc = bkp_names_add(out, history.snapshots.items[i].name, err);
	}
	bkp_history_free(&history);
	return rc;
}

static int
prune(const struct stress *stress, struct bkp_repository *host,
    uint32_t *random, struct bkp_error *err)
{
	const struct bkp_prune_limits limits = {.may_repack = true};
	struct bkp_prune_report result;
	struct bkp_presence *presence = NULL;
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_prune_begin(host, &presence, err);

	if (rc == 0)
		rc = choose(stress, host, random, &names, err);
	if (rc == 0)
		rc = bkp_prune_remove(host, presence,
		    (const char(*)[BKP_OBJECT_NAME])names.items, names.count,
		    err);
	if (rc == 0)
		rc = bkp_prune_collect(
		    host, presence, &limits, &result, NULL, err);
	bkp_names_free(&names);
	bkp_presence_end(presence);
	return rc;
}

/* Works until it is killed. That a session was given up, or that somebody else
 * is pruning, is no failure. */
static void
work(const struct stress *stress, bool is_prune, uint32_t random)
{
	for (;;) {
		struct bkp_error err = BKP_ERROR_INIT;
		struct bkp_repository *host =
		    open_place(stress, is_prune, &err);
		int rc = -1;

		if (host != NULL)
			rc = is_prune ? prune(stress, host, &random, &err)
				      : back_up(stress, host,
					    next_random(&random), &err);
		bkp_repository_close(host);
		if (rc < 0 && err.code != BKP_RETRY) {
			const char *end = err.message;

			/* The end tells most. */
			if (strlen(end) > 80)
				end += strlen(end) - 80;
			(void)fprintf(stderr, "# %s: %s\n",
			    is_prune ? "prune" : "backup", err.message);
			report(stress, 'E', 0, end);
		}
	}
}

/* ---- what the test does to them ---- */

static void
start(struct stress *stress, size_t n)
{
	uint32_t random = next_random(&stress->random) | 1;
	pid_t self = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* Nobody is left behind where the test itself is killed. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(1);
		(void)close(stress->reports[0]);
		work(stress, n >= BACKUPS, random);
		_exit(0);
	}
	stress->pids[n] = pid;
}

static void
stop(struct stress *stress, size_t n)
{
	assert_true(stress->pids[n] > 0);
	assert_int_equal(kill(stress->pids[n], SIGKILL), 0);
	assert_int_equal(waitpid(stress->pids[n], NULL, 0), stress->pids[n]);
}

/* Makes sessions look as if they had been silent for 30 hours; one of `few`. */
static void
age_sessions(struct stress *stress, uint32_t few)
{
	struct timespec times[2];
	const struct dirent *entry;
	char path[96];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/sessions", stress->place);
	if ((dir = opendir(path)) == NULL)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= (time_t)30 * 3600;
	times[1] = times[0];
	while ((entry = readdir(dir)) != NULL)
		if (strlen(entry->d_name) == 32 &&
		    next_random(&stress->random) % few == 0 &&
		    utimensat(dirfd(dir), entry->d_name, times, 0) == 0)
			stress->given_up++;
	(void)closedir(dir);
}

/* The entry of a snapshot. A prune may be heard of before whoever made it, and
 * whoever made it may have been killed before he could tell. */
static struct made *
entry_of(struct stress *stress, const char *name)
{
	for (size_t i = 0; i < stress->count; i++)
		if (strcmp(stress->made[i].name, name) == 0)
			return &stress->made[i];
	assert_int_equal(bkp_grow(&stress->made, stress->count, &stress->cap,
			     sizeof(*stress->made), NULL),
	    0);
	stress->made[stress->count] = (struct made){.seed = 0};
	memcpy(stress->made[stress->count].name, name, BKP_OBJECT_NAME);
	return &stress->made[stress->count++];
}

static void
note_unwanted(struct stress *stress, const char *name)
{
	stress->removals++;
	entry_of(stress, name)->is_unwanted = true;
}

/* Takes what was told so far; waits for that long at most. */
static void
listen_to(struct stress *stress, int timeout_ms)
{
	struct pollfd pollfd = {stress->reports[0], POLLIN, 0};
	char line[REPORT], seed[9];

	while (poll(&pollfd, 1, timeout_ms) == 1) {
		assert_int_equal(read(stress->reports[0], line, sizeof(line)),
		    (int)sizeof(line));
		(void)snprintf(seed, sizeof(seed), "%.8s", line + 1);
		if (line[0] == 'M')
			entry_of(stress, line + 9)->seed =
			    (uint32_t)strtoul(seed, NULL, 16);
		else if (line[0] == 'R')
			note_unwanted(stress, line + 9);
		else
			stress->failures++;
		timeout_ms = 0;
	}
}

static double
seconds_now(void)
{
	struct timespec now = {0, 0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Lets one process sleep between two requests, whatever they are, while the
 * others go on. */
static void
suspend(struct stress *stress, size_t n, int time_ms)
{
	assert_true(stress->pids[n] > 0);
	assert_int_equal(kill(stress->pids[n], SIGSTOP), 0);
	listen_to(stress, 0);
	(void)poll(NULL, 0, time_ms);
	listen_to(stress, 0);
	assert_int_equal(kill(stress->pids[n], SIGCONT), 0);
}

static void
disturb(struct stress *stress, double seconds)
{
	double end = seconds_now() + seconds;

	while (seconds_now() < end) {
		uint32_t choice = next_random(&stress->random);
		size_t n = (choice >> 9) % PROCESSES;

		listen_to(stress, (int)(choice % 40));
		if ((choice >> 20) % 8 == 0) {
			stop(stress, n);
			stress->kills++;
			start(stress, n);
		} else {
			suspend(stress, n % BACKUPS, 50 + (int)(choice % 200));
		}
		/* The dead would hold up prunes for a day; that some of those
		 * are alive must do no harm either. */
		if ((choice >> 16) % 6 == 0)
			age_sessions(stress, 2);
	}
}

/* ---- what has to be true afterwards ---- */

static void
fail_told(const struct bkp_error *err, const char *what)
{
	print_error("%s: %s\n", what, err->message);
	fail();
}

static void
prune_once_more(struct stress *stress)
{
	const struct bkp_prune_limits limits = {.grace_s = 0};
	struct bkp_prune_report result = {.missing = 0};
	struct bkp_presence *presence = NULL;
	struct bkp_history history = BKP_HISTORY_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *host = open_place(stress, false, &err);

	if (host == NULL || bkp_prune_begin(host, &presence, &err) < 0 ||
	    bkp_prune_remove(host, presence, NULL, 0, &err) < 0 ||
	    bkp_prune_collect(host, presence, &limits, &result, NULL, &err) < 0)
		fail_told(&err, "the last prune");
	bkp_presence_end(presence);
	assert_int_equal(result.missing, 0);
	assert_int_equal(result.waiting.packs, 0);
	assert_int_equal(bkp_history_read(host, &history, &err), 0);
	for (size_t i = 0; i < history.count; i++)
		if (!history.findings[i].is_note)
			print_error("%s\n", history.findings[i].text);
	assert_int_equal(bkp_history_problems(&history), 0);
	bkp_history_free(&history);
	bkp_repository_close(host);
}

/* What was reported and nobody meant to remove. */
static size_t
read_wanted(struct stress *stress, struct bkp_repository *admin)
{
	struct bkp_error err = BKP_ERROR_INIT;
	size_t read = 0;

	for (size_t i = 0; i < stress->count; i++) {
		const struct made *made = &stress->made[i];
		unsigned char *content = content_of(stress, made->seed);
		const struct fixture_file file = {"f", content, PIECES * PIECE};

		if (!made->is_unwanted) {
			if (fixture_compare(admin, made->name, &file, 1, &err) <
			    0)
				fail_told(&err, made->name);
			read++;
		}
		free(content);
	}
	return read;
}

static bool
is_of_pool(const struct stress *stress, const unsigned char *piece)
{
	for (size_t i = 0; i < POOL; i++)
		if (memcmp(stress->pool + i * PIECE, piece, PIECE) == 0)
			return true;
	return false;
}

/* Of one whose maker was killed before he could tell, nobody knows more than
 * what all are made of. */
static void
read_listed(struct stress *stress, struct bkp_repository *admin,
    const struct bkp_snapshot *snapshot)
{
	uint32_t seed = entry_of(stress, snapshot->name)->seed;
	struct fmt_buf bytes = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	unsigned char *content;

	if (fixture_read(admin, snapshot->name, "f", &bytes, &err) < 0)
		fail_told(&err, snapshot->name);
	assert_int_equal(bytes.len, PIECES * PIECE);
	for (size_t i = 0; i < PIECES; i++)
		assert_true(is_of_pool(stress, bytes.data + i * PIECE));
	if (seed != 0) {
		content = content_of(stress, seed);
		assert_memory_equal(bytes.data, content, PIECES * PIECE);
		free(content);
	}
	fmt_buf_free(&bytes);
}

/* Whatever is listed can be read, be it what nobody reported or what a prune
 * meant to remove and did not. */
static void
read_all(struct stress *stress)
{
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *admin = open_place(stress, true, &err);
	size_t wanted, made = stress->count;

	if (admin == NULL)
		fail_told(&err, "opening");
	wanted = read_wanted(stress, admin);
	if (bkp_snapshot_list(admin, &list, &err) < 0)
		fail_told(&err, "listing");
	assert_true(list.count >= wanted);
	for (size_t i = 0; i < list.count; i++)
		read_listed(stress, admin, &list.items[i]);
	print_message("# %zu made, %zu to stay, %zu left, %u kills, %u given "
		      "up\n",
	    made, wanted, list.count, stress->kills, stress->given_up);
	bkp_snapshot_list_free(&list);
	bkp_repository_close(admin);
	fixture_assert_clean(stress->fixture, stress->place);
	assert_true(wanted >= 1);
	assert_true(stress->removals >= 1);
	assert_true(stress->kills >= 1);
}

static void
set_up(struct stress *stress)
{
	struct bkp_init_options options;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store *store = NULL;
	const char *recipients[1];

	options = fixture_options(stress->fixture, recipients);
	recipients[0] = stress->fixture->recipient;
	(void)snprintf(stress->place, sizeof(stress->place), "%s/repository",
	    stress->fixture->folder);
	if (bkp_store_directory_open(
		stress->place, BKP_STORE_CREATE, &store, &err) < 0 ||
	    bkp_repository_init_store(store, &options, &err) < 0)
		fail_told(&err, "making a repository");
	stress->pool = fixture_random(POOL * PIECE, 11);
	assert_int_equal(pipe2(stress->reports, O_CLOEXEC), 0);
}

static void
backups_and_prunes_that_are_killed_lose_nothing(void **state)
{
	struct stress stress = {.fixture = *state};
	uint32_t seed = number_of("PRUNE_STRESS_SEED", (uint32_t)time(NULL));

	stress.random = seed | 1;
	set_up(&stress);
	for (size_t n = 0; n < PROCESSES; n++)
		start(&stress, n);
	disturb(&stress, number_of("PRUNE_STRESS_SECONDS", 10));
	for (size_t n = 0; n < PROCESSES; n++)
		stop(&stress, n);
	listen_to(&stress, 0);
	print_message("# PRUNE_STRESS_SEED=%u\n", (unsigned)seed);
	age_sessions(&stress, 1);
	prune_once_more(&stress);
	read_all(&stress);
	assert_int_equal(stress.failures, 0);
	(void)close(stress.reports[0]);
	(void)close(stress.reports[1]);
	free(stress.made);
	free(stress.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		backups_and_prunes_that_are_killed_lose_nothing, fixture_new,
		fixture_free),
	};

	return cmocka_run_group_tests_name("prune stress", tests, NULL, NULL);
}
