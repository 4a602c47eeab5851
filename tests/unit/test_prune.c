/* SPDX-License-Identifier: Apache-2.0 */
/* Removing snapshots, and giving back what only they used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/condemned.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/prune.h"
#include "tests/unit/repository_fixture.h"

#define UNIT ((size_t)64 << 10) /* what a backup adds */
#define PIECE ((size_t)16 << 10)

static void
must(int rc, const struct bkp_error *err)
{
	assert_string_equal(err->message, "");
	assert_int_equal(rc, 0);
}

/* ---- backups to prune ---- */

/* Each has a file of its own and one that all share. */
struct backups {
	struct fixture *fixture;
	unsigned char *noise;
	size_t count;
	char names[32][BKP_OBJECT_NAME];
};

static struct backups
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

static void
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

static void
back_up_times(struct backups *backups, size_t times)
{
	struct bkp_repository *host = fixture_open_host(backups->fixture);

	for (size_t i = 0; i < times; i++)
		back_up(backups, host);
	bkp_repository_close(host);
}

static void
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

static size_t
count_objects(struct fixture *fixture, const char *prefix)
{
	char *names = fixture_names(fixture, prefix);
	size_t count = 0;

	for (const char *at = names; (at = strchr(at, '\n')) != NULL; at++)
		count++;
	free(names);
	return count;
}

static void
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

/* ---- a whole prune ---- */

static int
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

static const struct bkp_prune_limits at_once = {.grace_s = 0};

static struct bkp_prune_report
prune_now(struct backups *backups, size_t first, size_t count)
{
	struct bkp_repository *host = fixture_open_host(backups->fixture);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;

	must(prune(host, (const char(*)[BKP_OBJECT_NAME])backups->names + first,
		 count, &at_once, &report, &err),
	    &err);
	bkp_repository_close(host);
	return report;
}

static void
what_only_a_removed_snapshot_used_is_given_back(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 3);
	report = prune_now(&backups, 1, 1);
	assert_int_equal(report.snapshots, 2);
	assert_int_equal(report.deleted.packs, 2); /* content and list */
	assert_in_range(report.deleted.bytes, UNIT, UNIT + 10000);
	assert_int_equal(report.waiting.packs, 0);
	assert_int_equal(report.orphans.packs, 0);
	assert_int_equal(count_objects(*state, "snapshots/"), 2);
	assert_int_equal(count_objects(*state, "packs/"), 4);
	assert_int_equal(count_objects(*state, "condemned/"), 0);
	assert_int_equal(count_objects(*state, "sessions/"), 0);
	assert_no_problems(*state, 2);
	assert_readable(&backups, 0);
	assert_readable(&backups, 2);
	/* And nothing more the next time. */
	report = prune_now(&backups, 0, 0);
	assert_int_equal(report.condemned.packs, 0);
	assert_int_equal(report.deleted.packs, 0);
	back_up_times(&backups, 1);
	assert_readable(&backups, 3);
	assert_no_problems(*state, 3);
	free(backups.noise);
}

static void
the_first_backup_keeps_what_later_ones_share(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 2);
	report = prune_now(&backups, 0, 1);
	/* The pack with the shared file stays, and with it what was not. */
	assert_int_equal(report.deleted.packs, 1);
	assert_int_equal(report.held.packs, 1);
	assert_in_range(report.held.bytes, UNIT, UNIT + 1000);
	assert_readable(&backups, 1);
	assert_no_problems(*state, 1);
	free(backups.noise);
}

/* As an administrator and this host together, who may read what is stored. */
static struct bkp_repository *
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

static void
a_pack_that_is_hardly_used_is_written_anew(void **state)
{
	const struct bkp_prune_limits limits = {
	    .may_repack = true, .repack_below = 60};
	struct bkp_prune_limits dry = limits;
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *host;

	back_up_times(&backups, 2);
	/* Without the data identity it is told, and stays. */
	host = fixture_open_host(*state);
	must(prune(host, (const char(*)[BKP_OBJECT_NAME])backups.names, 1,
		 &limits, &report, &err),
	    &err);
	assert_int_equal(report.repacked.packs, 0);
	assert_int_equal(report.held.packs, 1);
	bkp_repository_close(host);
	host = open_both(*state);
	dry.is_dry_run = true;
	must(bkp_prune_collect(host, NULL, &dry, &report, NULL, &err), &err);
	assert_int_equal(report.repacked.packs, 1);
	assert_int_equal(report.repacked_to, 0);
	must(prune(host, NULL, 0, &limits, &report, &err), &err);
	assert_int_equal(report.repacked.packs, 1);
	assert_int_equal(report.held.packs, 0);
	assert_int_equal(report.deleted.packs, 1);
	assert_in_range(report.deleted.bytes, 2 * UNIT, 2 * UNIT + UNIT / 4);
	assert_in_range(report.repacked_to, UNIT, UNIT + UNIT / 4);
	assert_int_equal(count_objects(*state, "packs/"), 3);
	assert_no_problems(*state, 1);
	assert_readable(&backups, 1);
	/* And it is as it should be. */
	must(prune(host, NULL, 0, &limits, &report, &err), &err);
	assert_int_equal(report.repacked.packs, 0);
	assert_int_equal(report.condemned.packs, 0);
	bkp_repository_close(host);
	back_up_times(&backups, 1);
	assert_readable(&backups, 2);
	free(backups.noise);
}

/* The largest object is the content; what is in the middle of it. */
static void
damage_content(struct fixture *fixture)
{
	char *names = fixture_names(fixture, "packs/"), *rest = NULL;

	for (char *name = strtok_r(names, "\n", &rest); name != NULL;
	     name = strtok_r(NULL, "\n", &rest)) {
		struct fmt_buf bytes = FMT_BUF_INIT;

		assert_int_equal(bkp_store_get(fixture->memory, name, 0,
				     BKP_STORE_WHOLE, &bytes, NULL),
		    0);
		if (bytes.len >= UNIT) {
			bytes.data[bytes.len / 2] ^= 1;
			bytes.data[bytes.len / 4] ^= 1;
			bytes.data[bytes.len / 4 * 3] ^= 1;
		}
		assert_int_equal(bkp_store_put(fixture->memory, name,
				     bytes.data, bytes.len, NULL),
		    0);
		fmt_buf_free(&bytes);
	}
	free(names);
}

static void
what_cannot_be_written_anew_says_what_to_do(void **state)
{
	const struct bkp_prune_limits limits = {
	    .may_repack = true, .repack_below = 60};
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *host;

	back_up_times(&backups, 2);
	damage_content(*state);
	host = open_both(*state);
	assert_int_equal(
	    prune(host, (const char(*)[BKP_OBJECT_NAME])backups.names, 1,
		&limits, &report, &err),
	    -1);
	assert_non_null(strstr(err.message, "--no-repack"));
	assert_non_null(strstr(err.message, "backup-check --repair"));
	bkp_repository_close(host);
	free(backups.noise);
}

/* Rows that became differences, and what they are differences to. */
static void
differences_are_written_anew_with_their_bases(void **state)
{
	enum { NIGHTS = 4, ROWS = 2000, ROW = 40 };
	const struct bkp_prune_limits limits = {
	    .may_repack = true, .repack_below = 100};
	struct bkp_repository *host = open_both(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	char *rows = malloc(ROWS * ROW + 1), *other;
	struct fixture_file files[] = {
	    {"rows-a", rows, ROWS * ROW}, {"rows-b", NULL, ROWS * ROW}};
	char names[NIGHTS][BKP_OBJECT_NAME];
	bool has_differences = false;

	other = malloc(ROWS * ROW + 1);
	assert_non_null(rows);
	assert_non_null(other);
	files[1].data = other;
	for (int night = 0; night < NIGHTS; night++) {
		for (int i = 0; i < ROWS; i++) {
			(void)snprintf(rows + i * ROW, ROW + 1,
			    "%08u\ta row of night %08x       \n",
			    (unsigned)i % 100000000U,
			    (unsigned)(i % 40 == 0 ? night : i * 7919));
			(void)snprintf(other + i * ROW, ROW + 1,
			    "%08u\tanother of night %08x     \n",
			    (unsigned)i % 100000000U,
			    (unsigned)(night * 77 + i * 104729));
		}
		must(fixture_back_up(
			 host, files, 2, ROWS * ROW, names[night], &err),
		    &err);
	}
	for (size_t i = 0; i < host->index.count; i++)
		has_differences =
		    has_differences || host->index.files[i].view.base_count > 0;
	assert_true(has_differences);
	must(prune(host, (const char(*)[BKP_OBJECT_NAME])names, NIGHTS - 1,
		 &limits, &report, &err),
	    &err);
	assert_true(report.repacked.packs > 0);
	assert_int_equal(report.held.packs, 0);
	must(fixture_compare(host, names[NIGHTS - 1], files, 2, &err), &err);
	assert_no_problems(*state, 1);
	bkp_repository_close(host);
	free(rows);
	free(other);
}

static void
all_snapshots_may_go(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 2);
	report = prune_now(&backups, 0, 2);
	assert_int_equal(report.snapshots, 0);
	assert_int_equal(count_objects(*state, "packs/"), 0);
	assert_int_equal(count_objects(*state, "index/"), 0);
	back_up_times(&backups, 1);
	assert_readable(&backups, 2);
	assert_no_problems(*state, 1);
	free(backups.noise);
}

static void
a_dry_run_tells_and_does_nothing(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_prune_limits limits = {.is_dry_run = true};
	struct bkp_repository *host;
	char *before, *after;

	back_up_times(&backups, 3);
	before = fixture_names(*state, "");
	host = fixture_open_host(*state);
	limits.without = (const char(*)[BKP_OBJECT_NAME])backups.names + 1;
	limits.without_count = 2;
	must(bkp_prune_collect(host, NULL, &limits, &report, NULL, &err), &err);
	bkp_repository_close(host);
	assert_int_equal(report.condemned.packs, 4);
	assert_in_range(report.condemned.bytes, 2 * UNIT, 2 * UNIT + 20000);
	assert_int_equal(report.deleted.packs, 0);
	after = fixture_names(*state, "");
	assert_string_equal(before, after);
	free(before);
	free(after);
	free(backups.noise);
}

static void
within_the_grace_it_waits(void **state)
{
	struct bkp_prune_limits limits = {.grace_s = 3600};
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report = {.snapshots = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_repository *host;
	char *list;

	back_up_times(&backups, 2);
	host = fixture_open_host(*state);
	must(prune(host, (const char(*)[BKP_OBJECT_NAME])backups.names + 1, 1,
		 &limits, &report, &err),
	    &err);
	assert_int_equal(report.condemned.packs, 2);
	assert_int_equal(report.waiting.packs, 2);
	assert_int_equal(report.deleted.packs, 0);
	assert_in_range(report.grace_left_s, 3500, 3600);
	/* It is not condemned twice. */
	must(prune(host, NULL, 0, &limits, &report, &err), &err);
	assert_int_equal(report.condemned.packs, 0);
	assert_int_equal(report.waiting.packs, 2);
	assert_int_equal(count_objects(*state, "condemned/"), 1);
	/* Where the list is taken away they stay, and are condemned anew. */
	list = fixture_names(*state, "condemned/");
	list[strcspn(list, "\n")] = '\0';
	must(bkp_store_remove(host->store, list, &err), &err);
	free(list);
	must(prune(host, NULL, 0, &limits, &report, &err), &err);
	assert_int_equal(report.condemned.packs, 2);
	assert_int_equal(report.deleted.packs, 0);
	must(prune(host, NULL, 0, &at_once, &report, &err), &err);
	assert_int_equal(report.deleted.packs, 2);
	bkp_repository_close(host);
	assert_readable(&backups, 0);
	free(backups.noise);
}

/* ---- others at work ---- */

static void
a_list_waits_for_who_was_at_work_before_it(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_repository *other = fixture_open_host(*state);
	struct bkp_session *session = NULL;
	struct bkp_prune_report report;
	struct bkp_error err = BKP_ERROR_INIT;

	back_up_times(&backups, 2);
	must(bkp_session_begin(other, &session, &err), &err);
	report = prune_now(&backups, 1, 1);
	assert_int_equal(report.condemned.packs, 2);
	assert_int_equal(report.deleted.packs, 0);
	assert_int_equal(report.waiting.packs, 2);
	assert_int_equal(report.sessions, 1);
	assert_string_equal(report.session_what, "backup");
	assert_true(report.session_host[0] != '\0');
	assert_true(report.session_since_us > 0);
	bkp_session_end(session);
	/* One that came after the list builds upon nothing in it. */
	must(bkp_session_begin(other, &session, &err), &err);
	report = prune_now(&backups, 0, 0);
	assert_int_equal(report.deleted.packs, 2);
	assert_int_equal(report.sessions, 0);
	bkp_session_end(session);
	bkp_repository_close(other);
	assert_readable(&backups, 0);
	free(backups.noise);
}

/* A session that began before the list takes over what is condemned. */
static void
what_is_needed_again_is_rescued(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_repository *other = fixture_open_host(*state);
	struct bkp_prune_report report;
	struct bkp_session *session = NULL;
	struct bkp_chunk_writer *writer = NULL;
	struct bkp_list_writer *list = NULL;
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_chunk_ref ref;
	char name[65];

	back_up_times(&backups, 2);
	must(bkp_session_begin(other, &session, &err), &err);
	report = prune_now(&backups, 1, 1);
	assert_int_equal(report.waiting.packs, 2);
	must(bkp_chunk_writer_new(session, &writer, &err), &err);
	must(bkp_chunk_writer_put(
		 writer, backups.noise + 2 * UNIT, PIECE, &ref, &err),
	    &err);
	must(bkp_list_writer_new(session, &list, &err), &err);
	assert_int_equal(
	    fmt_entry_init(&entry, FIXTURE_PREFIX "/x", "files.file"), FMT_OK);
	entry.has_content = true;
	entry.size = PIECE;
	assert_int_equal(fmt_entry_add_chunk(&entry, &ref), FMT_OK);
	must(bkp_list_writer_add(list, &entry, &err), &err);
	must(bkp_chunk_writer_flush(writer, &err), &err);
	snapshot.sources = calloc(1, sizeof(*snapshot.sources));
	snapshot.source_count = 1;
	snapshot.time_us = 1763500000000000;
	snapshot.sources[0].prefix = strdup(FIXTURE_PREFIX);
	snapshot.sources[0].kind = strdup("files");
	must(bkp_list_writer_finish(list, &snapshot.sources[0].list,
		 &snapshot.sources[0].list_count, &err),
	    &err);
	must(bkp_session_commit(session, &snapshot, name, &err), &err);
	assert_int_equal(snapshot.new_chunks, 0);
	bkp_list_writer_free(list);
	bkp_chunk_writer_free(writer);
	bkp_session_end(session);
	report = prune_now(&backups, 0, 0);
	assert_int_equal(report.deleted.packs, 1); /* the list alone */
	assert_int_equal(report.rescued.packs, 1);
	assert_int_equal(count_objects(*state, "condemned/"), 1);
	{
		struct bkp_repository *admin = fixture_open_admin(*state);
		struct fmt_buf out = FMT_BUF_INIT;

		must(fixture_read(admin, name, "x", &out, &err), &err);
		assert_int_equal(out.len, PIECE);
		assert_memory_equal(out.data, backups.noise + 2 * UNIT, PIECE);
		fmt_buf_free(&out);
		bkp_repository_close(admin);
	}
	fmt_entry_free(&entry);
	fmt_snapshot_free(&snapshot);
	bkp_repository_close(other);
	free(backups.noise);
}

static void
a_session_that_is_given_up_commits_nothing(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_repository *other = fixture_open_host(*state);
	struct bkp_presence_info *sessions = NULL;
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_session *session = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	int64_t now;
	char name[65];
	size_t count = 0;

	back_up_times(&backups, 1);
	must(bkp_session_begin(other, &session, &err), &err);
	must(bkp_presence_list(other, NULL, &sessions, &count, &now, &err),
	    &err);
	assert_int_equal(count, 1);
	must(bkp_presence_give_up(other, sessions[0].id, &err), &err);
	/* An earlier prune was killed here; the next one goes on. */
	(void)prune_now(&backups, 0, 0);
	assert_int_equal(count_objects(*state, "sessions/"), 0);
	snapshot.time_us = 1763500000000000;
	assert_int_equal(
	    bkp_session_commit(session, &snapshot, name, &err), -1);
	assert_int_equal(err.code, BKP_RETRY);
	bkp_session_end(session);
	assert_no_problems(*state, 1);
	free(sessions);
	fmt_snapshot_free(&snapshot);
	bkp_repository_close(other);
	free(backups.noise);
}

static void
a_second_prune_stops_and_says_so(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_presence *first = NULL, *second = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	must(bkp_prune_begin(host, &first, &err), &err);
	assert_int_equal(bkp_prune_begin(host, &second, &err), -1);
	assert_int_equal(err.code, BKP_RETRY);
	assert_non_null(strstr(err.message, "a prune of host "));
	bkp_presence_end(first);
	err = (struct bkp_error)BKP_ERROR_INIT;
	must(bkp_prune_begin(host, &second, &err), &err);
	bkp_presence_end(second);
	assert_int_equal(count_objects(*state, "sessions/"), 0);
	bkp_repository_close(host);
}

/* ---- what is not known is not garbage ---- */

static void
remove_first(struct fixture *fixture, const char *prefix)
{
	char *names = fixture_names(fixture, prefix);
	struct bkp_error err = BKP_ERROR_INIT;

	*strchr(names, '\n') = '\0';
	must(bkp_store_remove(fixture->memory, names, &err), &err);
	free(names);
}

static void
remove_object(struct fixture *fixture, const char *folder, const char *name)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char path[96];

	(void)snprintf(path, sizeof(path), "%s%s", folder, name);
	must(bkp_store_remove(fixture->memory, path, &err), &err);
}

static void
nothing_is_deleted_while_something_is_missing(void **state)
{
	const char *const folders[] = {"snapshots/", "index/", "packs/"};
	struct bkp_prune_report report;

	for (size_t i = 0; i < 3; i++) {
		struct backups backups;
		struct bkp_repository *host;
		struct bkp_error err = BKP_ERROR_INIT;
		size_t packs;

		backups = make_backups(*state);
		back_up_times(&backups, 3);
		if (i == 0)
			remove_object(*state, "snapshots/", backups.names[0]);
		else
			remove_first(*state, folders[i]);
		packs = count_objects(*state, "packs/");
		host = fixture_open_host(*state);
		assert_int_equal(
		    prune(host, NULL, 0, &at_once, &report, &err), -1);
		assert_int_equal(err.code, BKP_CORRUPT);
		assert_non_null(strstr(err.message, "nothing is deleted"));
		assert_int_equal(count_objects(*state, "packs/"), packs);
		bkp_repository_close(host);
		free(backups.noise);
		assert_int_equal(fixture_free(state), 0);
		assert_int_equal(fixture_new_initialised(state), 0);
	}
}

static void
packs_that_no_index_names_are_given_back(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 2);
	/* As after a kill before the index was written. */
	(void)prune_now(&backups, 1, 1);
	back_up_times(&backups, 1);
	{
		struct bkp_error err = BKP_ERROR_INIT;
		char path[96];

		(void)snprintf(path, sizeof(path), "packs/%.2s/%s",
		    backups.names[0], backups.names[0]);
		must(bkp_store_put(backups.fixture->memory, path, "x", 1, &err),
		    &err);
	}
	report = prune_now(&backups, 0, 0);
	assert_int_equal(report.orphans.packs, 1);
	assert_int_equal(report.deleted.packs, 1);
	assert_readable(&backups, 0);
	assert_readable(&backups, 2);
	free(backups.noise);
}

/* ---- index objects ---- */

static void
many_small_index_objects_become_one(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 12);
	assert_int_equal(count_objects(*state, "index/"), 12);
	report = prune_now(&backups, 3, 1);
	assert_int_equal(report.indexes_before, 12);
	assert_int_equal(report.indexes_after, 1);
	assert_int_equal(count_objects(*state, "index/"), 1);
	for (size_t i = 0; i < 12; i++)
		if (i != 3)
			assert_readable(&backups, i);
	free(backups.noise);
}

static void
condemn_all_packs(struct fixture *fixture, struct bkp_repository *host)
{
	struct bkp_condemned_list list = {.packs = NULL};
	struct bkp_error err = BKP_ERROR_INIT;
	char *packs = fixture_names(fixture, "packs/"), name[65];

	list.packs =
	    calloc(count_objects(fixture, "packs/"), sizeof(*list.packs));
	for (char *at = packs; *at != '\0'; at = strchr(at, '\n') + 1) {
		memcpy(list.packs[list.count], at + strlen("packs/00/"), 64);
		list.count++;
	}
	must(bkp_condemned_put(host, &list, name, &err), &err);
	free(list.packs);
	free(packs);
}

/* Joins index objects while nothing is old enough to go; the number of times
 * that they name a pack. */
static size_t
join_indexes(struct fixture *fixture, struct bkp_prune_report *report)
{
	const struct bkp_prune_limits later = {.grace_s = 3600};
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	size_t named = 0;

	must(prune(host, NULL, 0, &later, report, &err), &err);
	must(bkp_repository_load_index(host, &err), &err);
	for (size_t i = 0; i < host->index.count; i++)
		named += host->index.files[i].view.pack_count;
	bkp_repository_close(host);
	return named;
}

/* A pack is condemned, and what lies in it stored anew: the same ids in two
 * packs, and both stay known as long as both are there. */
static void
copies_stay_known_when_index_objects_are_joined(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 1);
	condemn_all_packs(*state, host);
	backups.count = 0;
	for (size_t i = 0; i < 9; i++)
		back_up(&backups, host);
	bkp_repository_close(host);
	/* The condemned packs, and those that took their place. */
	assert_int_equal(
	    join_indexes(*state, &report), count_objects(*state, "packs/"));
	assert_true(report.indexes_after < report.indexes_before);
	assert_in_range(report.indexes_after, 2, 3);
	report = prune_now(&backups, 0, 0);
	assert_int_equal(report.deleted.packs, 2);
	assert_readable(&backups, 0);
	free(backups.noise);
}

/* Packs that share some of what they hold: a repair believes that of a pack
 * that an index object names all is known. */
static void
index_objects_that_are_joined_name_packs_as_a_whole(void **state)
{
	struct backups backups = make_backups(*state);
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_prune_report report;

	back_up_times(&backups, 1);
	condemn_all_packs(*state, host);
	for (size_t i = 0; i < 9; i++)
		back_up(&backups, host);
	bkp_repository_close(host);
	assert_int_equal(
	    join_indexes(*state, &report), count_objects(*state, "packs/"));
	assert_true(report.indexes_after < report.indexes_before);
	assert_readable(&backups, 0);
	assert_readable(&backups, 9);
	free(backups.noise);
}

/* ---- crashes ---- */

struct crash {
	bool is_killed_after, is_effect_done;
	bool repacks; /* with the administrators' key at hand */
};

/* A prune over a store whose n-th call fails; 0 where it went through. */
static int
prune_through(struct backups *backups, struct bkp_store_fault *fault,
    const struct crash *crash, size_t first, struct bkp_error *err)
{
	const struct bkp_prune_limits limits = {
	    .may_repack = crash->repacks, .repack_below = 60};
	struct bkp_keys keys = fixture_host_keys(backups->fixture);
	struct bkp_prune_report report;
	struct bkp_repository *host = NULL;
	struct bkp_store *store = NULL;
	int rc;

	if (crash->repacks)
		keys.identity_file = backups->fixture->identity_file;
	assert_int_equal(bkp_store_fault_new(fixture_store(backups->fixture),
			     fault, &store, NULL),
	    0);
	rc = bkp_repository_open_store(store, &keys, &host, err);
	if (rc == 0)
		rc = prune(host,
		    (const char(*)[BKP_OBJECT_NAME])backups->names + first, 1,
		    &limits, &report, err);
	bkp_repository_close(host);
	return rc;
}

/* As a day later: sessions that were killed are not waited for. */
static void
forget_sessions(struct fixture *fixture)
{
	char *names = fixture_names(fixture, "sessions/"), *at = names, *end;

	while ((end = strchr(at, '\n')) != NULL) {
		*end = '\0';
		if (strstr(at, ".gone") == NULL)
			(void)bkp_store_remove(fixture->memory, at, NULL);
		at = end + 1;
	}
	free(names);
}

/* Every other snapshot is whole after each crash, and the next prune
 * finishes. */
static void
crash_at_every_call(struct fixture *fixture, const struct crash *crash)
{
	const size_t gone = crash->repacks ? 0 : 1, left = 1 - gone;
	bool went_through = false;

	for (uint64_t n = 1; !went_through; n++) {
		struct bkp_store_fault fault = {.fail_at = n,
		    .is_killed_after = crash->is_killed_after,
		    .is_effect_done = crash->is_effect_done};
		struct backups backups = make_backups(fixture);
		struct bkp_error err = BKP_ERROR_INIT;
		struct bkp_prune_report report;
		char *snapshots;
		int rc;

		assert_true(n < 400);
		back_up_times(&backups, 3);
		rc = prune_through(&backups, &fault, crash, gone, &err);
		went_through = fault.hits == 0;
		if (went_through)
			assert_int_equal(rc, 0);
		assert_readable(&backups, left);
		assert_readable(&backups, 2);
		forget_sessions(fixture);
		report = prune_now(&backups, gone, 1);
		assert_int_equal(report.missing, 0);
		assert_int_equal(count_objects(fixture, "condemned/"), 0);
		assert_int_equal(count_objects(fixture, "sessions/"), 0);
		assert_int_equal(
		    count_objects(fixture, "packs/"), crash->repacks ? 5 : 4);
		snapshots = fixture_names(fixture, "snapshots/");
		assert_null(strstr(snapshots, backups.names[gone]));
		free(snapshots);
		assert_no_problems(fixture, 2);
		assert_readable(&backups, left);
		assert_readable(&backups, 2);
		(void)prune_now(&backups, 0, 3);
		assert_int_equal(count_objects(fixture, "packs/"), 0);
		free(backups.noise);
	}
}

static void
a_prune_that_fails_anywhere_is_finished_by_the_next(void **state)
{
	crash_at_every_call(*state, &(const struct crash){false, false, false});
}

static void
a_prune_that_is_killed_anywhere_is_finished_by_the_next(void **state)
{
	crash_at_every_call(*state, &(const struct crash){true, false, false});
}

static void
a_prune_that_hears_no_answer_is_finished_by_the_next(void **state)
{
	crash_at_every_call(*state, &(const struct crash){true, true, false});
}

static void
writing_packs_anew_is_finished_by_the_next(void **state)
{
	crash_at_every_call(*state, &(const struct crash){true, false, true});
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_only_a_removed_snapshot_used_is_given_back),
	    CASE(the_first_backup_keeps_what_later_ones_share),
	    CASE(what_cannot_be_written_anew_says_what_to_do),
	    CASE(a_pack_that_is_hardly_used_is_written_anew),
	    CASE(differences_are_written_anew_with_their_bases),
	    CASE(all_snapshots_may_go),
	    CASE(a_dry_run_tells_and_does_nothing),
	    CASE(within_the_grace_it_waits),
	    CASE(a_list_waits_for_who_was_at_work_before_it),
	    CASE(what_is_needed_again_is_rescued),
	    CASE(a_session_that_is_given_up_commits_nothing),
	    CASE(a_second_prune_stops_and_says_so),
	    CASE(nothing_is_deleted_while_something_is_missing),
	    CASE(packs_that_no_index_names_are_given_back),
	    CASE(many_small_index_objects_become_one),
	    CASE(copies_stay_known_when_index_objects_are_joined),
	    CASE(index_objects_that_are_joined_name_packs_as_a_whole),
	    CASE(a_prune_that_fails_anywhere_is_finished_by_the_next),
	    CASE(a_prune_that_is_killed_anywhere_is_finished_by_the_next),
	    CASE(a_prune_that_hears_no_answer_is_finished_by_the_next),
	    CASE(writing_packs_anew_is_finished_by_the_next),
	};

	return cmocka_run_group_tests_name("prune", tests, NULL, NULL);
}
