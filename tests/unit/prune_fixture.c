/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/prune_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/history.h"

void
must(int rc, const struct bkp_error *err)
{
	assert_string_equal(err->message, "");
	assert_int_equal(rc, 0);
}

/* ---- backups to prune ---- */

struct backups
make_backups(struct fixture *fixture)
{
	struct backups backups = {.fixture = fixture};

	backups.noise = fixture_random(33 * UNIT, 7);
	return backups;
}

static void
files_of(const struct backups *backups, size_t n, struct fixture_file files[2])
{
	files[0] =
	    (struct fixture_file){"own", backups->noise + (n + 1) * UNIT, UNIT};
	files[1] = (struct fixture_file){"shared", backups->noise, UNIT};
}

void
back_up(struct backups *backups, struct bkp_repository *host)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct fixture_file files[2];

	files_of(backups, backups->count, files);
	must(fixture_back_up(
		 host, files, 2, PIECE, backups->names[backups->count], &err),
	    &err);
	backups->count++;
}

void
back_up_times(struct backups *backups, size_t times)
{
	struct bkp_repository *host = fixture_open_host(backups->fixture);

	for (size_t i = 0; i < times; i++)
		back_up(backups, host);
	bkp_repository_close(host);
}

void
assert_readable(const struct backups *backups, size_t n)
{
	struct bkp_repository *admin = fixture_open_admin(backups->fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	struct fixture_file files[2];

	files_of(backups, n, files);
	(void)fixture_compare(admin, backups->names[n], files, 2, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(admin);
}

size_t
count_objects(struct fixture *fixture, const char *prefix)
{
	char *names = fixture_names(fixture, prefix);
	size_t count = 0;

	for (const char *at = names; (at = strchr(at, '\n')) != NULL; at++)
		count++;
	free(names);
	return count;
}

void
assert_no_problems(struct fixture *fixture, size_t snapshots)
{
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_history history = BKP_HISTORY_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	must(bkp_history_read(host, &history, &err), &err);
	if (bkp_history_problems(&history) > 0)
		for (size_t i = 0; i < history.count; i++)
			print_error("%s\n", history.findings[i].text);
	assert_int_equal(bkp_history_problems(&history), 0);
	assert_int_equal(history.snapshots.count, snapshots);
	bkp_history_free(&history);
	bkp_repository_close(host);
}

/* ---- prunes ---- */

struct bkp_repository *
open_both(struct fixture *fixture)
{
	struct bkp_keys keys = fixture_host_keys(fixture);
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	keys.identity_file = fixture->identity_file;
	must(bkp_repository_open_store(
		 fixture_store(fixture), &keys, &repository, &err),
	    &err);
	return repository;
}

int
prune(struct bkp_repository *host, const char (*names)[BKP_OBJECT_NAME],
    size_t count, const struct bkp_prune_limits *limits,
    struct bkp_prune_report *report, struct bkp_error *err)
{
	struct bkp_presence *presence = NULL;
	int rc = bkp_prune_begin(host, &presence, err);

	if (rc == 0)
		rc = bkp_prune_remove(host, presence, names, count, err);
	if (rc == 0)
		rc = bkp_prune_collect(
		    host, presence, limits, report, NULL, err);
	bkp_presence_end(presence);
	return rc;
}

const struct bkp_prune_limits prune_at_once = {.grace_s = 0};

struct bkp_prune_report
prune_now(struct backups *backups, size_t first, size_t count)
{
	struct bkp_repository *host = fixture_open_host(backups->fixture);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;

	must(prune(host, (const char(*)[BKP_OBJECT_NAME])backups->names + first,
		 count, &prune_at_once, &report, &err),
	    &err);
	bkp_repository_close(host);
	return report;
}
