/* SPDX-License-Identifier: Apache-2.0 */
/* Prunes where others are at work, or where not all is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/prune_fixture.h"

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
		    prune(host, NULL, 0, &prune_at_once, &report, &err), -1);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_list_waits_for_who_was_at_work_before_it),
	    CASE(what_is_needed_again_is_rescued),
	    CASE(a_session_that_is_given_up_commits_nothing),
	    CASE(a_second_prune_stops_and_says_so),
	    CASE(nothing_is_deleted_while_something_is_missing),
	    CASE(packs_that_no_index_names_are_given_back),
	};

	return cmocka_run_group_tests_name("prune others", tests, NULL, NULL);
}
