/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks of rows, stored as differences: what is stored, what is read back,
 * and what happens where a base, or what is remembered of it, is not there.
 */
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
#include "libbackup/repository/chunk_writer_own.h"
#include "libbackup/repository/condemned.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/repository/row_cache.h"
#include "tests/unit/repository_fixture.h"

#define LINES 2000
#define TEXT ((size_t)64 * 1024 * 2)

static const struct bkp_row_range range = {"public.t", 0, 0, FMT_COPY_TEXT};

static void
must(int rc, const struct bkp_error *err)
{
	assert_string_equal(err->message, "");
	assert_int_equal(rc, 0);
}

/* Rows, of which those whose number leaves `salt` are other ones. */
static size_t
make_rows(char *text, unsigned lines, unsigned salt)
{
	size_t len = 0;

	for (unsigned n = 0; n < lines; n++) {
		unsigned version = n % 97 < salt ? salt : 0;

		len += (size_t)sprintf(text + len, "%u\t%08x\trow of a table\n",
		    n, (n + 1) * 2654435761u ^ version * 40503u);
	}
	return len;
}

/* One session that stores one chunk of rows, and commits unless told not to. */
static void
store(struct bkp_repository *repository, const void *data, size_t len,
    bool is_committed, struct fmt_chunk_ref *ref)
{
	struct fmt_rowhash hash = FMT_ROWHASH_INIT, wanted = FMT_ROWHASH_INIT;
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_chunk_writer *writer = NULL;
	struct bkp_session *session = NULL;
	struct bkp_row_cache *rows = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	static int64_t clock_us = 1763500000000000;
	char name[65];

	must(bkp_session_begin(repository, &session, &err), &err);
	must(bkp_session_rows(session, "postgres/app/t", &rows, &err), &err);
	assert_non_null(rows);
	must(bkp_chunk_writer_new(session, &writer, &err), &err);
	must(bkp_chunk_writer_put_rows(
		 writer, rows, &range, data, len, ref, &hash, &err),
	    &err);
	assert_int_equal(
	    fmt_rowhash_add_rows(&wanted, range.form, data, len), FMT_OK);
	assert_true(fmt_rowhash_is_equal(&hash, &wanted));
	assert_int_equal(hash.rows, wanted.rows);
	must(bkp_chunk_writer_flush(writer, &err), &err);
	snapshot.time_us = clock_us += 1000000;
	if (is_committed)
		must(bkp_session_commit(session, &snapshot, name, &err), &err);
	fmt_snapshot_free(&snapshot);
	bkp_chunk_writer_free(writer);
	bkp_session_end(session);
}

/* A session of its own, as every night has. */
static void
store_again(struct fixture *fixture, const void *data, size_t len,
    struct fmt_chunk_ref *ref)
{
	struct bkp_repository *host = fixture_open_host(fixture);

	store(host, data, len, true, ref);
	bkp_repository_close(host);
}

/* Where a chunk lies, as somebody who opens the repository finds it. */
static bool
find(struct fixture *fixture, const struct fmt_chunk_ref *ref,
    struct fmt_index_place *place)
{
	struct bkp_repository *admin = fixture_open_admin(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	bool is_found;

	must(bkp_repository_load_index(admin, &err), &err);
	must(
	    bkp_index_set_check_packs(&admin->index, admin->store, &err), &err);
	is_found = bkp_index_set_find(&admin->index, ref->id, place);
	bkp_repository_close(admin);
	return is_found;
}

static bool
is_difference(struct fixture *fixture, const struct fmt_chunk_ref *ref)
{
	struct fmt_index_place place;

	assert_true(find(fixture, ref, &place));
	return place.chunk.has_base;
}

static int
read_back(struct fixture *fixture, const struct fmt_chunk_ref *ref,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_repository *admin = fixture_open_admin(fixture);
	struct bkp_chunk_reader *reader = NULL;
	int rc;

	must(bkp_chunk_reader_new(admin, &reader, err), err);
	rc = bkp_chunk_reader_get(reader, ref, out, err);
	bkp_chunk_reader_free(reader);
	bkp_repository_close(admin);
	return rc;
}

static void
assert_reads(struct fixture *fixture, const struct fmt_chunk_ref *ref,
    const char *text, size_t len)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	must(read_back(fixture, ref, &out, &err), &err);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, text, len);
	fmt_buf_free(&out);
}

static void
pack_path(const struct fmt_index_place *place, char path[96])
{
	char hex[65];

	fmt_hex(place->pack.name, 32, hex);
	(void)snprintf(path, 96, "packs/%.2s/%s", hex, hex);
}

/* Deletes the pack that holds the chunk. */
static void
lose(struct fixture *fixture, const struct fmt_chunk_ref *ref)
{
	struct fmt_index_place place;
	struct bkp_error err = BKP_ERROR_INIT;
	char path[96];

	assert_true(find(fixture, ref, &place));
	pack_path(&place, path);
	must(bkp_store_remove(fixture->memory, path, &err), &err);
}

/* ---- the tests ---- */

static void
rows_that_changed_little_are_a_difference_and_come_back(void **state)
{
	char *first = malloc(TEXT), *text = malloc(TEXT);
	struct fmt_index_place place, base_place;
	struct fmt_chunk_ref base, ref;
	size_t len;

	len = make_rows(first, LINES, 0);
	store_again(*state, first, len, &base);
	assert_false(is_difference(*state, &base));
	for (unsigned salt = 1; salt < 4; salt++) {
		len = make_rows(text, LINES + salt, salt);
		store_again(*state, text, len, &ref);
		assert_true(find(*state, &ref, &place));
		assert_true(place.chunk.has_base);
		assert_memory_equal(place.chunk.base, base.id, 32);
		assert_int_equal(place.chunk.raw_len, len);
		assert_true(find(*state, &base, &base_place));
		assert_true(
		    place.chunk.stored_len * 4 < base_place.chunk.stored_len);
		/* In a pack of differences. */
		assert_memory_not_equal(
		    place.pack.name, base_place.pack.name, 32);
		assert_reads(*state, &ref, text, len);
	}
	/* What was there before is known, whichever way it is stored. */
	store_again(*state, first, make_rows(first, LINES, 0), &ref);
	assert_memory_equal(ref.id, base.id, 32);
	store_again(*state, text, len, &ref);
	assert_true(is_difference(*state, &ref));
	free(first);
	free(text);
}

static void
when_differences_have_cost_as_much_a_new_base_is_stored(void **state)
{
	char *text = malloc(TEXT);
	unsigned whole = 0, differences = 0;

	for (unsigned night = 0; night < 40; night++) {
		struct fmt_chunk_ref ref;
		size_t len = make_rows(text, LINES, night);

		store_again(*state, text, len, &ref);
		if (is_difference(*state, &ref))
			differences++;
		else
			whole++;
		assert_reads(*state, &ref, text, len);
	}
	assert_in_range(whole, 3, 15);
	assert_in_range(differences, 25, 37);
	free(text);
}

static void
what_cannot_be_a_difference_is_stored_whole(void **state)
{
	char *text = malloc(TEXT);
	struct fmt_chunk_ref ref;
	size_t len = make_rows(text, LINES, 0);

	store_again(*state, text, len, &ref);
	/* All other rows; few rows; none at all. */
	for (size_t i = 0; i < len; i++)
		text[i] ^= text[i] >= '0' && text[i] <= '7' ? 1 : 0;
	store_again(*state, text, len, &ref);
	assert_false(is_difference(*state, &ref));
	assert_reads(*state, &ref, text, len);
	for (len = 40; text[len - 1] != '\n'; len++)
		continue;
	store_again(*state, text, len, &ref);
	assert_false(is_difference(*state, &ref));
	assert_reads(*state, &ref, text, len);
	store_again(*state, text, 0, &ref);
	assert_false(is_difference(*state, &ref));
	assert_reads(*state, &ref, text, 0);
	free(text);
}

static void
a_lost_base_is_not_built_upon_and_its_differences_are_stored_again(void **state)
{
	char *first = malloc(TEXT), *text = malloc(TEXT);
	struct fmt_chunk_ref base, ref, again;
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_index_place place;
	char hex[65];
	size_t len, first_len;

	first_len = make_rows(first, LINES, 0);
	store_again(*state, first, first_len, &base);
	len = make_rows(text, LINES, 1);
	store_again(*state, text, len, &ref);
	assert_true(is_difference(*state, &ref));
	lose(*state, &base);
	assert_false(find(*state, &base, &place));
	assert_false(find(*state, &ref, &place));
	/* The message names the chunk, and what of it is lost. */
	assert_int_equal(read_back(*state, &ref, &out, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	fmt_hex(base.id, 32, hex);
	assert_non_null(strstr(err.message, hex));
	fmt_hex(ref.id, 32, hex);
	assert_non_null(strstr(err.message, hex));
	assert_int_equal(out.len, 0);
	/* Stored again, whole. */
	store_again(*state, text, len, &again);
	assert_memory_equal(again.id, ref.id, 32);
	assert_false(is_difference(*state, &ref));
	assert_reads(*state, &ref, text, len);
	/* With the base again, everything there is to it is there. */
	store_again(*state, first, first_len, &again);
	assert_reads(*state, &base, first, first_len);
	fmt_buf_free(&out);
	free(first);
	free(text);
}

/* States that the pack that holds the chunk is to go. */
static void
condemn(struct fixture *fixture, const struct fmt_chunk_ref *ref)
{
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_condemned_list list = {.count = 1};
	struct bkp_error err = BKP_ERROR_INIT;
	char name[BKP_OBJECT_NAME], pack[1][BKP_OBJECT_NAME];
	struct fmt_index_place place;

	assert_true(find(fixture, ref, &place));
	fmt_hex(place.pack.name, 32, pack[0]);
	list.packs = pack;
	must(bkp_condemned_put(host, &list, name, &err), &err);
	bkp_repository_close(host);
}

static void
a_base_that_is_to_go_is_not_built_upon(void **state)
{
	char *first = malloc(TEXT), *text = malloc(TEXT);
	struct fmt_chunk_ref base, ref, again;
	size_t len, first_len = make_rows(first, LINES, 0);

	store_again(*state, first, first_len, &base);
	len = make_rows(text, LINES, 1);
	store_again(*state, text, len, &ref);
	assert_true(is_difference(*state, &ref));
	condemn(*state, &base);
	/* Neither what is a difference to it nor what would be one. */
	store_again(*state, text, len, &again);
	assert_false(is_difference(*state, &ref));
	len = make_rows(text, LINES, 2);
	store_again(*state, text, len, &ref);
	lose(*state, &base);
	assert_reads(*state, &again, text, make_rows(text, LINES, 1));
	assert_reads(*state, &ref, text, make_rows(text, LINES, 2));
	free(first);
	free(text);
}

static void
a_difference_is_read_by_any_whole_copy_of_its_base(void **state)
{
	char *first = malloc(TEXT), *text = malloc(TEXT);
	struct fixture *fixture = *state;
	struct fmt_index_place place;
	struct fmt_chunk_ref base, ref;
	struct fmt_buf stored = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char path[96];
	size_t len, first_len;

	first_len = make_rows(first, LINES, 0);
	store_again(fixture, first, first_len, &base);
	assert_true(find(fixture, &base, &place));
	len = make_rows(text, LINES, 1);
	store_again(fixture, text, len, &ref);
	/* The base is lost and stored again; then its first pack is there
	 * again, but damaged. */
	pack_path(&place, path);
	must(bkp_store_get(fixture->memory, path, 0, place.pack.stored_size,
		 &stored, &err),
	    &err);
	must(bkp_store_remove(fixture->memory, path, &err), &err);
	store_again(fixture, first, first_len, &base);
	stored.data[stored.len - 5000] ^= 1;
	must(
	    bkp_store_put(fixture->memory, path, stored.data, stored.len, &err),
	    &err);
	assert_true(is_difference(fixture, &ref));
	assert_reads(fixture, &base, first, first_len);
	assert_reads(fixture, &ref, text, len);
	fmt_buf_free(&stored);
	free(first);
	free(text);
}

static void
a_session_without_a_snapshot_changes_nothing_that_is_remembered(void **state)
{
	char *text = malloc(TEXT);
	struct bkp_repository *host = fixture_open_host(*state);
	struct fmt_index_place place;
	struct fmt_chunk_ref base, other, ref;

	store_again(*state, text, make_rows(text, LINES, 0), &base);
	for (unsigned i = 0; i < 3; i++)
		store(
		    host, text, make_rows(text, LINES, 60 + i), false, &other);
	bkp_repository_close(host);
	store_again(*state, text, make_rows(text, LINES, 1), &ref);
	assert_true(find(*state, &ref, &place));
	assert_true(place.chunk.has_base);
	assert_memory_equal(place.chunk.base, base.id, 32);
	free(text);
}

/* What is remembered is found by who writes the same range only. */
static void
without_what_is_remembered_chunks_are_whole(void **state)
{
	char *text = malloc(TEXT), command[128];
	struct fmt_chunk_ref ref;
	size_t len;

	store_again(*state, text, make_rows(text, LINES, 0), &ref);
	(void)snprintf(command, sizeof(command), "rm -r '%s'/cache/*/rows",
	    ((struct fixture *)*state)->folder);
	assert_int_equal(system(command), 0);
	len = make_rows(text, LINES, 1);
	store_again(*state, text, len, &ref);
	assert_false(is_difference(*state, &ref));
	assert_reads(*state, &ref, text, len);
	/* What is known and whole is a base as well. */
	assert_int_equal(system(command), 0);
	store_again(*state, text, len, &ref);
	len = make_rows(text, LINES, 2);
	store_again(*state, text, len, &ref);
	assert_true(is_difference(*state, &ref));
	assert_reads(*state, &ref, text, len);
	/* What is known and a difference is not. */
	assert_int_equal(system(command), 0);
	store_again(*state, text, len, &ref);
	len = make_rows(text, LINES, 3);
	store_again(*state, text, len, &ref);
	assert_false(is_difference(*state, &ref));
	free(text);
}

/* ---- what an earlier session knew ---- */

/* One session, to do with as a test likes. */
struct night {
	struct bkp_repository *host;
	struct bkp_session *session;
	struct bkp_row_cache *rows;
	struct bkp_chunk_writer *writer;
};

static struct night
dusk(struct fixture *fixture)
{
	struct night night = {.host = fixture_open_host(fixture)};
	struct bkp_error err = BKP_ERROR_INIT;

	must(bkp_session_begin(night.host, &night.session, &err), &err);
	must(bkp_session_rows(
		 night.session, "postgres/app/t", &night.rows, &err),
	    &err);
	must(bkp_chunk_writer_new(night.session, &night.writer, &err), &err);
	return night;
}

static void
dawn(struct night *night, bool is_committed)
{
	struct fmt_snapshot snapshot = {.time_us = 1763600000000000};
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	must(bkp_chunk_writer_flush(night->writer, &err), &err);
	if (is_committed)
		must(bkp_session_commit(night->session, &snapshot, name, &err),
		    &err);
	fmt_snapshot_free(&snapshot);
	bkp_chunk_writer_free(night->writer);
	bkp_session_end(night->session);
	bkp_repository_close(night->host);
}

static void
a_chunk_that_is_known_is_taken_over_and_what_it_differs_from(void **state)
{
	char *text = malloc(TEXT);
	struct fmt_chunk_ref ref, other, later;
	struct night night;

	store_again(*state, text, make_rows(text, LINES, 0), &ref);
	other = ref;
	other.id[7] ^= 1;
	night = dusk(*state);
	assert_true(bkp_chunk_writer_reuse_rows(
	    night.writer, night.rows, &range, &ref));
	assert_false(bkp_chunk_writer_reuse_rows(
	    night.writer, night.rows, &range, &other));
	dawn(&night, true);
	store_again(*state, text, make_rows(text, LINES, 1), &later);
	assert_true(is_difference(*state, &later));

	lose(*state, &ref);
	night = dusk(*state);
	assert_false(bkp_chunk_writer_reuse_rows(
	    night.writer, night.rows, &range, &ref));
	/* Nor what differs from it. */
	assert_false(bkp_chunk_writer_reuse_rows(
	    night.writer, night.rows, &range, &later));
	dawn(&night, false);
	free(text);
}

/* From now on this writer would give the same bytes other ids. */
static void
name_otherwise(struct night *night)
{
	struct bkp_repository other = *night->host;
	struct bkp_error err = BKP_ERROR_INIT;

	other.keys.id_key[0] ^= 1;
	bkp_chunk_hasher_free(&night->writer->hasher);
	must(bkp_chunk_hasher_init(&night->writer->hasher, &other, &err), &err);
}

static void
put(struct night *night, const struct bkp_row_range *where, const char *text,
    size_t len, struct fmt_chunk_ref *ref, struct fmt_rowhash *hash)
{
	struct bkp_error err = BKP_ERROR_INIT;

	*hash = (struct fmt_rowhash)FMT_ROWHASH_INIT;
	must(bkp_chunk_writer_put_rows(
		 night->writer, night->rows, where, text, len, ref, hash, &err),
	    &err);
}

static void
what_is_as_it_was_has_the_id_and_hash_it_had(void **state)
{
	static const struct bkp_row_range elsewhere = {
	    "public.t", 128, 0, FMT_COPY_TEXT};
	char *text = malloc(TEXT);
	struct fmt_rowhash wanted, hash;
	struct fmt_chunk_ref ref, again;
	size_t len = make_rows(text, LINES, 0);
	struct night night = dusk(*state);

	put(&night, &range, text, len, &ref, &wanted);
	assert_int_equal(wanted.rows, LINES);
	dawn(&night, true);

	night = dusk(*state);
	name_otherwise(&night);
	put(&night, &range, text, len, &again, &hash);
	assert_memory_equal(&again, &ref, sizeof(ref));
	assert_true(fmt_rowhash_is_equal(&hash, &wanted));
	assert_int_equal(hash.rows, wanted.rows);
	/* Not in another range, and not after any change. */
	put(&night, &elsewhere, text, len, &again, &hash);
	assert_memory_not_equal(again.id, ref.id, 32);
	for (size_t at = 0; at < len; at += at / 3 + 1) {
		if (text[at] == '\n')
			continue;
		text[at] ^= 1;
		put(&night, &range, text, len, &again, &hash);
		assert_memory_not_equal(again.id, ref.id, 32);
		assert_false(fmt_rowhash_is_equal(&hash, &wanted));
		text[at] ^= 1;
	}
	dawn(&night, false);

	/* Nor where it is not stored any more. */
	lose(*state, &ref);
	night = dusk(*state);
	name_otherwise(&night);
	put(&night, &range, text, len, &again, &hash);
	assert_memory_not_equal(again.id, ref.id, 32);
	dawn(&night, false);
	free(text);
}

static void
a_seal_fits_what_it_was_made_of_and_nothing_else(void **state)
{
	unsigned char key[BKP_SEAL_KEY] = {1}, data[] = "some rows\n";
	struct bkp_sealer *sealer = NULL, *other = NULL;
	struct bkp_row_seal seal, second;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	must(bkp_sealer_new(key, &sealer, &err), &err);
	key[31] ^= 1;
	must(bkp_sealer_new(key, &other, &err), &err);
	must(bkp_seal_make(sealer, data, sizeof(data), &seal, &err), &err);
	must(bkp_seal_make(sealer, data, sizeof(data), &second, &err), &err);
	assert_memory_not_equal(&seal, &second, sizeof(seal));
	assert_true(bkp_seal_fits(sealer, &seal, data, sizeof(data)));
	assert_true(bkp_seal_fits(sealer, &second, data, sizeof(data)));
	assert_false(bkp_seal_fits(other, &seal, data, sizeof(data)));
	assert_false(bkp_seal_fits(sealer, &seal, data, sizeof(data) - 1));
	for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
		data[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_false(bkp_seal_fits(sealer, &seal, data, sizeof(data)));
		data[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	second = seal;
	second.nonce[0] ^= 1;
	assert_false(bkp_seal_fits(sealer, &second, data, sizeof(data)));
	second = seal;
	second.tag[15] ^= 1;
	assert_false(bkp_seal_fits(sealer, &second, data, sizeof(data)));
	bkp_sealer_free(sealer);
	bkp_sealer_free(other);
}

static void
notes_are_read_in_the_next_session_if_there_is_a_snapshot(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf note = FMT_BUF_INIT;

	for (unsigned n = 0; n < 4; n++) {
		struct night night = dusk(*state);
		bool is_kept = n % 2 == 0;

		/* Those of odd nights are lost, with their night. */
		assert_int_equal(
		    bkp_row_cache_get_note(night.rows, "a", &note), n > 0);
		if (n > 0) {
			assert_int_equal(note.len, 5);
			assert_memory_equal(
			    note.data, n < 3 ? "note0" : "note2", 5);
		}
		assert_false(bkp_row_cache_get_note(night.rows, "b", &note));
		fmt_buf_clear(&note);
		assert_int_equal(fmt_buf_printf(&note, "note%u", n), FMT_OK);
		must(
		    bkp_row_cache_put_note(night.rows, "a", &note, &err), &err);
		dawn(&night, is_kept);
	}
	fmt_buf_free(&note);
}

static int
set_up(void **state)
{
	struct fixture *fixture;
	char cache[64];

	if (fixture_new_initialised(state) != 0)
		return -1;
	fixture = *state;
	(void)snprintf(cache, sizeof(cache), "%s/cache", fixture->folder);
	return setenv("BACKUP_CACHE_DIR", cache, 1);
}

static int
tear_down(void **state)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf '%s/cache'",
	    ((struct fixture *)*state)->folder);
	return system(command) | fixture_free(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(rows_that_changed_little_are_a_difference_and_come_back),
	    TEST(when_differences_have_cost_as_much_a_new_base_is_stored),
	    TEST(what_cannot_be_a_difference_is_stored_whole),
	    TEST(
		a_lost_base_is_not_built_upon_and_its_differences_are_stored_again),
	    TEST(a_base_that_is_to_go_is_not_built_upon),
	    TEST(a_difference_is_read_by_any_whole_copy_of_its_base),
	    TEST(
		a_session_without_a_snapshot_changes_nothing_that_is_remembered),
	    TEST(without_what_is_remembered_chunks_are_whole),
	    TEST(a_chunk_that_is_known_is_taken_over_and_what_it_differs_from),
	    TEST(what_is_as_it_was_has_the_id_and_hash_it_had),
	    TEST(a_seal_fits_what_it_was_made_of_and_nothing_else),
	    TEST(notes_are_read_in_the_next_session_if_there_is_a_snapshot),
	};

	return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
