/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole operations, with each of their allocations failing once. Whichever it
 * is, the operation says that it failed and why, and the repository is as it
 * was: it opens, it lists what was committed and no more, and that is readable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libbackup/libbackup.h>

#include "tests/unit/failing_alloc.h"

/* Every allocation up to this one; then ever fewer of them. */
#define EACH 600

#define CONTENT (12 + 12 + 14)

static char folder[64];
static char recipient[63];
static size_t committed; /* snapshots in the repository */

static const char configuration[] = "repository: repo\n"
				    "key_file: host.key\n"
				    "identity_file: admin.key\n"
				    "workers: 2\n"
				    "sources:\n"
				    "  - files: t\n"
				    "    paths: [tree]\n"
				    "  - command: c\n"
				    "    run: [cat, input]\n"
				    "    restore: [sh, -c, 'cat > output']\n"
				    "    output: out\n";

static void
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void
remove_tree(const char *path)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

/* ---- the operations ---- */

static int
init(struct bkp_error *err)
{
	struct bkp_init_options options = BKP_INIT_OPTIONS_INIT;
	const char *recipients[1] = {recipient};

	options.recipients = recipients;
	options.recipient_count = 1;
	options.key_file = "new.key";
	return bkp_repository_init("new", &options, err);
}

static int
open_repository(struct bkp_repository **out, struct bkp_error *err)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	keys.key_file = "host.key";
	keys.identity_file = "admin.key";
	return bkp_repository_open("repo", &keys, out, err);
}

/* That what was made or proven could not be noted is told, and no failure. */
static bool is_told;

static void
on_message(void *arg, enum bkp_level level, const char *path, const char *text)
{
	(void)arg;
	(void)level;
	(void)path;
	is_told |= strstr(text, "is not remembered on this machine") != NULL;
}

static int
back_up(struct bkp_error *err)
{
	struct bkp_backup_options options = BKP_BACKUP_OPTIONS_INIT;
	struct bkp_backup_result result;
	struct bkp_config *config = NULL;
	int rc;

	if (bkp_config_load("backup.yaml", &config, err) < 0)
		return -1;
	options.config = config;
	options.events.message = on_message;
	rc = bkp_backup(&options, &result, err);
	bkp_config_free(config);
	if (rc == 0 && result.omission_count > 0) {
		err->code = BKP_NOTFOUND;
		rc = -1;
	}
	return rc;
}

static int
restore(struct bkp_error *err)
{
	struct bkp_restore_options options = BKP_RESTORE_OPTIONS_INIT;
	struct bkp_restore_result result = {.entries = 0};
	struct bkp_config *config = NULL;
	int rc;

	if (bkp_config_load("backup.yaml", &config, err) < 0)
		return -1;
	options.config = config;
	options.snapshot = "latest";
	options.path = "files/t";
	options.to = "restored";
	rc = bkp_restore(&options, &result, err);
	bkp_restore_result_free(&result);
	bkp_config_free(config);
	return rc;
}

static int
restore_command(struct bkp_error *err)
{
	struct bkp_restore_options options = BKP_RESTORE_OPTIONS_INIT;
	struct bkp_restore_result result = {.entries = 0};
	struct bkp_config *config = NULL;
	int rc;

	if (bkp_config_load("backup.yaml", &config, err) < 0)
		return -1;
	options.config = config;
	options.snapshot = "latest";
	options.path = "command/c";
	rc = bkp_restore(&options, &result, err);
	bkp_restore_result_free(&result);
	bkp_config_free(config);
	return rc;
}

static int
verify(struct bkp_error *err)
{
	struct bkp_verify_options options = BKP_VERIFY_OPTIONS_INIT;
	struct bkp_verify_result result;
	struct bkp_config *config = NULL;
	int rc;

	if (bkp_config_load("backup.yaml", &config, err) < 0)
		return -1;
	options.config = config;
	options.snapshot = "latest";
	options.scratch_directory = ".";
	rc = bkp_verify(&options, &result, err);
	bkp_config_free(config);
	if (rc < 0)
		return -1;
	/* The verdict was reached; what it replaces is put away as well as
	 * that can be done. */
	is_told = true;
	for (size_t i = 0; !result.is_proven && i < result.check_count; i++)
		if (result.checks[i].status == BKP_CHECK_FAIL) {
			(void)snprintf(err->message, sizeof(err->message),
			    "verdict: %s: %s", result.checks[i].name,
			    result.checks[i].what);
			rc = -1;
		}
	bkp_verify_result_free(&result);
	return rc;
}

static int
check(struct bkp_error *err)
{
	struct bkp_check_options options = BKP_CHECK_OPTIONS_INIT;
	struct bkp_check_result result;
	struct bkp_config *config = NULL;
	int rc;

	if (bkp_config_load("backup.yaml", &config, err) < 0)
		return -1;
	options.config = config;
	options.read_percent = 100;
	options.events.message = on_message;
	rc = bkp_check(&options, &result, err);
	bkp_config_free(config);
	if (rc < 0)
		return -1;
	/* A lack of memory is no damage. */
	assert_int_equal(result.damage, 0);
	assert_true(result.is_clean);
	bkp_check_result_free(&result);
	return 0;
}

static int
keep_nothing(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	(void)data;
	(void)err;
	*(size_t *)arg += len;
	return 0;
}

/* Reads whatever the snapshot holds. */
static int
read_snapshot(struct bkp_repository *repository, const char *name,
    size_t *bytes, struct bkp_error *err)
{
	struct bkp_entries *entries = NULL;
	struct bkp_entry entry;
	int got, rc = -1;

	if (bkp_entries_open(repository, name, "", &entries, err) < 0)
		return -1;
	while ((got = bkp_entries_next(entries, &entry, err)) > 0)
		if (entry.has_content &&
		    bkp_entry_read(repository, name, entry.path, keep_nothing,
			bytes, err) < 0)
			goto out;
	rc = got;
out:
	bkp_entries_close(entries);
	return rc;
}

static int
list_and_read(struct bkp_error *err)
{
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_repository *repository = NULL;
	size_t bytes;
	int rc = -1;

	if (open_repository(&repository, err) < 0)
		return -1;
	if (bkp_snapshot_list(repository, &list, err) < 0)
		goto out;
	assert_int_equal(list.count, committed);
	for (size_t i = 0; i < list.count; i++) {
		bytes = 0;
		if (read_snapshot(repository, list.items[i].name, &bytes, err) <
		    0)
			goto out;
		assert_int_equal(bytes, CONTENT);
	}
	rc = 0;
out:
	bkp_snapshot_list_free(&list);
	bkp_repository_close(repository);
	return rc;
}

/* ---- the loop ---- */

struct operation {
	const char *name;
	int (*run)(struct bkp_error *err);
	const char *makes[2]; /* paths that are there after it went well */
	bool has_rollback;    /* and only then */
	bool commits;
};

static void
check_after(const struct operation *operation, unsigned n, int rc,
    const struct bkp_error *problem)
{
	struct bkp_error err = BKP_ERROR_INIT;
	glob_t left;

	/* What failed once the snapshot was stored says that there is one. */
	if (operation->commits &&
	    (rc == 0 || strstr(problem->message, "may not count") != NULL))
		committed++;
	if (list_and_read(&err) < 0)
		fail_msg("%s, allocation %u: then the repository: %s",
		    operation->name, n, err.message);
	for (size_t i = 0; i < 2 && operation->makes[i] != NULL; i++) {
		if (operation->has_rollback && rc < 0 &&
		    access(operation->makes[i], F_OK) == 0)
			fail_msg("%s, allocation %u: %s is left behind",
			    operation->name, n, operation->makes[i]);
		remove_tree(operation->makes[i]);
	}
	if (glob("backup-verify-*", 0, NULL, &left) == 0)
		fail_msg("%s, allocation %u: %s is left behind",
		    operation->name, n, left.gl_pathv[0]);
}

/* True where an allocation was made to fail. */
static bool
fail_one(const struct operation *operation, unsigned n)
{
	struct bkp_error err = BKP_ERROR_INIT;
	bool has_failed;
	int rc;

	is_told = false;
	failing_alloc_once_at(n);
	rc = operation->run(&err);
	has_failed = failing_alloc_once_end();
	if ((has_failed && !is_told) != (rc < 0) ||
	    (rc < 0 && err.code != BKP_NOMEM))
		fail_msg("%s, allocation %u %s: rc %d, code %d: %s",
		    operation->name, n, has_failed ? "failed" : "was not made",
		    rc, err.code, err.message);
	check_after(operation, n, rc, &err);
	return has_failed;
}

static void
run_loop(const struct operation *operation)
{
	unsigned n = 0, tried = 0;

	for (; fail_one(operation, n); n += n < EACH ? 1 : n / 100)
		tried++;
	print_message("%s: %u of %u allocations\n", operation->name, tried, n);
	assert_true(tried > 20);
}

static void
init_survives(void **state)
{
	static const struct operation operation = {
	    "init", init, {"new", "new.key"}, true, false};

	(void)state;
	run_loop(&operation);
}

static void
reading_survives(void **state)
{
	static const struct operation operation = {
	    "list and cat", list_and_read, {NULL}, false, false};

	(void)state;
	run_loop(&operation);
}

static void
backup_survives(void **state)
{
	static const struct operation operation = {
	    "backup", back_up, {NULL}, false, true};

	(void)state;
	run_loop(&operation);
}

static void
check_survives(void **state)
{
	static const struct operation operation = {
	    "check", check, {NULL}, false, false};

	(void)state;
	run_loop(&operation);
}

static void
restore_survives(void **state)
{
	static const struct operation files = {
	    "restore of files", restore, {"restored"}, false, false};
	static const struct operation command = {
	    "restore of a command", restore_command, {"output"}, false, false};

	(void)state;
	run_loop(&files);
	run_loop(&command);
}

static void
verify_survives(void **state)
{
	static const struct operation operation = {
	    "verify", verify, {NULL}, false, false};

	(void)state;
	run_loop(&operation);
}

/* ---- the folder ---- */

static int
make_repository(struct bkp_error *err)
{
	struct bkp_init_options options = BKP_INIT_OPTIONS_INIT;
	const char *recipients[1] = {recipient};

	options.recipients = recipients;
	options.recipient_count = 1;
	options.key_file = "host.key";
	committed = 1;
	if (bkp_identity_create("admin.key", recipient, err) < 0 ||
	    bkp_repository_init("repo", &options, err) < 0)
		return -1;
	return back_up(err);
}

/* In memory where the machine has a place for that: it is much synced. */
static int
enter_folder(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	(void)snprintf(folder, sizeof(folder), "%s/bkp-nomem-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(folder) == NULL || chdir(folder) < 0 ||
	    mkdir("tree", 0755) < 0 || mkdir("tree/sub", 0755) < 0)
		return -1;
	write_text("tree/a", "content of a");
	write_text("tree/sub/b", "content of b");
	if (symlink("a", "tree/link") < 0 || link("tree/a", "tree/twin") < 0)
		return -1;
	write_text("input", "from a command");
	write_text("backup.yaml", configuration);
	if (make_repository(&err) == 0)
		return 0;
	print_error("%s\n", err.message);
	return -1;
}

static int
leave_folder(void **state)
{
	(void)state;
	if (chdir("/") < 0)
		return -1;
	remove_tree(folder);
	return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, enter_folder, leave_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(init_survives),
	    CASE(reading_survives),
	    CASE(backup_survives),
	    CASE(check_survives),
	    CASE(restore_survives),
	    CASE(verify_survives),
	};

	return cmocka_run_group_tests_name(
	    "operations without memory", tests, NULL, NULL);
}
