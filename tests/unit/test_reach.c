/* SPDX-License-Identifier: Apache-2.0 */
/* What snapshots refer to, and what nothing refers to. */
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
#include "libbackup/repository/reach.h"
#include "tests/unit/repository_fixture.h"

#define MIB ((size_t)1 << 20)

static void
must(int rc, const struct bkp_error *err)
{
	assert_string_equal(err->message, "");
	assert_int_equal(rc, 0);
}

/* Totals over packs of one kind. */
struct totals {
	uint64_t packs, unused_packs, chunks, used_chunks;
};

static struct totals
totals_of(struct bkp_reach *reach, enum fmt_pack_kind kind)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_reach_pack *packs = NULL;
	struct totals totals = {0, 0, 0, 0};
	size_t count = 0;

	must(bkp_reach_packs(reach, &packs, &count, &err), &err);
	for (size_t i = 0; i < count; i++) {
		if (packs[i].kind != kind)
			continue;
		if (i > 0)
			assert_true(
			    memcmp(packs[i - 1].name, packs[i].name, 32) < 0);
		assert_true(packs[i].used_bytes <= packs[i].bytes);
		totals.packs++;
		totals.unused_packs += packs[i].used_chunks == 0;
		totals.chunks += packs[i].chunks;
		totals.used_chunks += packs[i].used_chunks;
	}
	free(packs);
	return totals;
}

/* Two snapshots that share a file; the names in `names`. */
static void
make_two(struct bkp_repository *host, char names[2][65])
{
	unsigned char *noise = fixture_random(6 * MIB, 1);
	const struct fixture_file first[] = {
	    {"a", noise, 2 * MIB}, {"shared", noise + 2 * MIB, 2 * MIB}};
	const struct fixture_file second[] = {{"b", noise + 4 * MIB, 2 * MIB},
	    {"shared", noise + 2 * MIB, 2 * MIB}};
	struct bkp_error err = BKP_ERROR_INIT;

	must(fixture_back_up(host, first, 2, MIB, names[0], &err), &err);
	must(fixture_back_up(host, second, 2, MIB, names[1], &err), &err);
	free(noise);
}

static void
add(struct bkp_reach *reach, struct bkp_repository *host, const char *name)
{
	struct bkp_named_snapshot snapshot = {.snapshot = FMT_SNAPSHOT_INIT};
	struct bkp_error err = BKP_ERROR_INIT;

	must(bkp_repository_snapshot(host, name, &snapshot.snapshot, &err),
	    &err);
	memcpy(snapshot.name, name, sizeof(snapshot.name));
	must(bkp_reach_add(reach, &snapshot, NULL, NULL, &err), &err);
	fmt_snapshot_free(&snapshot.snapshot);
}

static void
what_only_another_snapshot_needs_is_not_marked(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_reach *reach = NULL;
	struct totals data, lists;
	char names[2][65];

	make_two(host, names);
	must(bkp_reach_new(host, &reach, &err), &err);
	data = totals_of(reach, FMT_PACK_DATA);
	assert_int_equal(data.packs, 2);
	assert_int_equal(data.unused_packs, 2);
	add(reach, host, names[1]);
	data = totals_of(reach, FMT_PACK_DATA);
	lists = totals_of(reach, FMT_PACK_METADATA);
	assert_int_equal(data.chunks, 6);
	assert_int_equal(data.used_chunks, 4);
	assert_int_equal(data.unused_packs, 0);
	assert_int_equal(lists.used_chunks, 1);
	assert_int_equal(lists.unused_packs, 1);
	add(reach, host, names[0]);
	data = totals_of(reach, FMT_PACK_DATA);
	lists = totals_of(reach, FMT_PACK_METADATA);
	assert_int_equal(data.used_chunks, 6);
	assert_int_equal(lists.unused_packs, 0);
	bkp_reach_free(reach);
	bkp_repository_close(host);
}

/* Takes the pack away that holds a chunk of the first snapshot alone. */
static void
remove_data_pack(struct fixture *fixture, const struct fmt_chunk_ref *ref)
{
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_index_place place;
	char hex[65], path[96];

	must(bkp_repository_find_chunk(host, ref->id, &place, &err), &err);
	fmt_hex(place.pack.name, 32, hex);
	(void)snprintf(path, sizeof(path), "packs/%.2s/%s", hex, hex);
	must(bkp_store_remove(fixture->memory, path, &err), &err);
	bkp_repository_close(host);
}

struct seen {
	unsigned entries, lists;
	char path[64];
};

static int
note_missing(void *arg, const char *snapshot, const char *path,
    const struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	struct seen *seen = arg;

	(void)err;
	assert_int_equal(strlen(snapshot), 64);
	assert_true(ref->len > 0);
	if (path == NULL) {
		seen->lists++;
	} else {
		seen->entries++;
		(void)snprintf(seen->path, sizeof(seen->path), "%s", path);
	}
	return 0;
}

static void
read_snapshot(struct bkp_repository *host, const char *name,
    struct bkp_named_snapshot *out)
{
	struct bkp_error err = BKP_ERROR_INIT;

	must(bkp_repository_snapshot(host, name, &out->snapshot, &err), &err);
	memcpy(out->name, name, sizeof(out->name));
}

/* The first chunk of the first entry. */
static struct fmt_chunk_ref
first_chunk(struct bkp_repository *host, struct bkp_named_snapshot *snapshot)
{
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_chunk_ref ref;

	must(bkp_entry_stream_open(host, snapshot->snapshot.sources[0].list,
		 snapshot->snapshot.sources[0].list_count, "", &stream, &err),
	    &err);
	assert_int_equal(bkp_entry_stream_next(stream, &entry, &err), 1);
	ref = entry.chunks[0];
	fmt_entry_free(&entry);
	bkp_entry_stream_close(stream);
	return ref;
}

static void
what_is_missing_is_told_for_every_snapshot(void **state)
{
	struct bkp_named_snapshot snapshots[2] = {
	    {.snapshot = FMT_SNAPSHOT_INIT}, {.snapshot = FMT_SNAPSHOT_INIT}};
	struct bkp_repository *host = fixture_open_host(*state);
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_reach *reach = NULL;
	char names[2][65];

	/* The same list, and so the same list chunk, twice. */
	for (int i = 0; i < 2; i++) {
		must(
		    fixture_back_up(host, &file, 1, MIB, names[i], &err), &err);
		read_snapshot(host, names[i], &snapshots[i]);
	}
	{
		struct fmt_chunk_ref ref = first_chunk(host, &snapshots[0]);

		remove_data_pack(*state, &ref);
	}
	must(bkp_index_set_check_packs(&host->index, host->store, &err), &err);
	must(bkp_reach_new(host, &reach, &err), &err);
	for (int i = 0; i < 2; i++) {
		struct seen seen = {0, 0, ""};

		must(bkp_reach_add(
			 reach, &snapshots[i], note_missing, &seen, &err),
		    &err);
		assert_int_equal(seen.entries, 1);
		assert_int_equal(seen.lists, 0);
		assert_string_equal(seen.path, FIXTURE_PREFIX "/a");
	}
	assert_int_equal(
	    bkp_reach_add(reach, &snapshots[0], NULL, NULL, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_non_null(strstr(err.message, FIXTURE_PREFIX "/a"));
	bkp_reach_free(reach);
	/* A list chunk. */
	err = (struct bkp_error)BKP_ERROR_INIT;
	remove_data_pack(*state, &snapshots[0].snapshot.sources[0].list[0]);
	must(bkp_index_set_check_packs(&host->index, host->store, &err), &err);
	must(bkp_reach_new(host, &reach, &err), &err);
	{
		struct seen seen = {0, 0, ""};

		must(bkp_reach_add(
			 reach, &snapshots[1], note_missing, &seen, &err),
		    &err);
		assert_int_equal(seen.lists, 1);
	}
	bkp_reach_free(reach);
	fmt_snapshot_free(&snapshots[0].snapshot);
	fmt_snapshot_free(&snapshots[1].snapshot);
	bkp_repository_close(host);
}

/* Condemns the packs that are in the index now. */
static void
condemn_all(struct bkp_repository *host)
{
	struct bkp_condemned_list list = {.packs = NULL};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_reach_pack *packs = NULL;
	struct bkp_reach *reach = NULL;
	size_t count = 0;
	char name[65];

	must(bkp_reach_new(host, &reach, &err), &err);
	must(bkp_reach_packs(reach, &packs, &count, &err), &err);
	list.packs = calloc(count, sizeof(*list.packs));
	assert_non_null(list.packs);
	for (size_t i = 0; i < count; i++)
		fmt_hex(packs[i].name, 32, list.packs[list.count++]);
	must(bkp_condemned_put(host, &list, name, &err), &err);
	free(list.packs);
	free(packs);
	bkp_reach_free(reach);
}

static void
a_copy_in_a_condemned_pack_counts_only_where_there_is_no_other(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_reach *reach = NULL;
	char first[65], second[65];
	struct totals data;

	must(fixture_back_up(host, &file, 1, MIB, first, &err), &err);
	condemn_all(host);
	must(bkp_reach_new(host, &reach, &err), &err);
	add(reach, host, first);
	data = totals_of(reach, FMT_PACK_DATA);
	assert_int_equal(data.unused_packs, 0);
	bkp_reach_free(reach);
	/* What is condemned is stored anew. */
	must(fixture_back_up(host, &file, 1, MIB, second, &err), &err);
	must(bkp_reach_new(host, &reach, &err), &err);
	add(reach, host, first);
	add(reach, host, second);
	data = totals_of(reach, FMT_PACK_DATA);
	assert_int_equal(data.packs, 2);
	assert_int_equal(data.unused_packs, 1);
	bkp_reach_free(reach);
	/* Both condemned: none of them may go for the sake of the other. */
	condemn_all(host);
	must(bkp_reach_new(host, &reach, &err), &err);
	add(reach, host, second);
	data = totals_of(reach, FMT_PACK_DATA);
	assert_int_equal(data.unused_packs, 0);
	bkp_reach_free(reach);
	bkp_repository_close(host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		what_only_another_snapshot_needs_is_not_marked,
		fixture_new_initialised, fixture_free),
	    cmocka_unit_test_setup_teardown(
		what_is_missing_is_told_for_every_snapshot,
		fixture_new_initialised, fixture_free),
	    cmocka_unit_test_setup_teardown(
		a_copy_in_a_condemned_pack_counts_only_where_there_is_no_other,
		fixture_new_initialised, fixture_free),
	};

	return cmocka_run_group_tests_name("reach", tests, NULL, NULL);
}
