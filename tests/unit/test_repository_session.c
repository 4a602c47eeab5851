/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: what goes in comes out, once, whoever else is writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/age.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/repository/pack_builder.h"
#include "tests/unit/repository_fixture.h"

#define MIB ((size_t)1 << 20)

static void
must(int rc, const struct bkp_error *err)
{
	assert_string_equal(err->message, "");
	assert_int_equal(rc, 0);
}

static void
back_up(struct bkp_repository *repository, const struct fixture_file *files,
    size_t count, size_t piece, char name[65])
{
	struct bkp_error err = BKP_ERROR_INIT;

	must(
	    fixture_back_up(repository, files, count, piece, name, &err), &err);
}

static void
compare(struct fixture *fixture, const char *name,
    const struct fixture_file *files, size_t count)
{
	struct bkp_repository *admin = fixture_open_admin(fixture);
	struct bkp_error err = BKP_ERROR_INIT;

	must(fixture_compare(admin, name, files, count, &err), &err);
	bkp_repository_close(admin);
}

static void
what_was_backed_up_comes_back(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	unsigned char *noise = fixture_random(9 * MIB, 1);
	unsigned char *zeros = calloc(1, 3 * MIB);
	const struct fixture_file files[] = {
	    {"a-text", "hello", 5},
	    {"b-empty", "", 0},
	    {"c-noise", noise, 9 * MIB},
	    {"d-zeros", zeros, 3 * MIB},
	    {"e-same-as-text", "hello", 5},
	};
	char name[65];

	assert_non_null(zeros);
	back_up(host, files, 5, MIB, name);
	compare(*state, name, files, 5);
	bkp_repository_close(host);
	free(noise);
	free(zeros);
}

static void
chunks_of_8_and_of_40_mib_come_back(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	unsigned char *noise = fixture_random(40 * MIB, 2);
	const struct fixture_file files[] = {
	    {"a", noise, 8 * MIB},
	    {"b", noise, 40 * MIB},
	    {"c", noise + 1, 17},
	};
	char name[65];

	back_up(host, files, 3, 40 * MIB, name);
	compare(*state, name, files, 3);
	bkp_repository_close(host);
	free(noise);
}

/* What is known of each chunk is in memory until its pack is stored. */
static void
a_pack_holds_so_many_chunks_however_small(void **state)
{
	enum { PIECE_SIZE = 24, COUNT = BKP_PACK_CHUNKS + 1 };
	struct bkp_repository *host = fixture_open_host(*state);
	unsigned char *noise = fixture_random((size_t)COUNT * PIECE_SIZE, 6);
	const struct fixture_file file = {
	    "a", noise, (size_t)COUNT * PIECE_SIZE};
	size_t packs = 0;
	char name[65], *names;

	back_up(host, &file, 1, PIECE_SIZE, name);
	names = fixture_names(*state, "packs/");
	for (const char *at = names; *at != '\0'; at++)
		packs += *at == '\n';
	assert_int_equal(packs, 3); /* one of them of metadata */
	compare(*state, name, &file, 1);
	free(names);
	bkp_repository_close(host);
	free(noise);
}

static void
a_snapshot_of_nothing_is_one(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	char name[65];

	back_up(host, NULL, 0, MIB, name);
	compare(*state, name, NULL, 0);
	bkp_repository_close(host);
}

/* Many entries make a list of many chunks; each prefix starts in the right
 * one. */
static void
a_long_list_is_entered_at_any_prefix(void **state)
{
	enum { COUNT = 20000 };
	struct fixture_file *files = calloc(COUNT, sizeof(*files));
	char(*paths)[24] = calloc(COUNT, sizeof(*paths));
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65], prefix[64];

	assert_non_null(files);
	assert_non_null(paths);
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "f%05d.txt", i * 2);
		files[i] = (struct fixture_file){paths[i], "same", 4};
	}
	back_up(host, files, COUNT, MIB, name);
	for (int i = -1; i <= 2 * COUNT; i += 997) {
		struct bkp_entries *entries = NULL;
		struct bkp_entry entry;
		int rc;

		(void)snprintf(prefix, sizeof(prefix), FIXTURE_PREFIX "/f%05d.",
		    i < 0 ? 0 : i);
		must(
		    bkp_entries_open(host, name, prefix, &entries, &err), &err);
		rc = bkp_entries_next(entries, &entry, &err);
		assert_string_equal(err.message, "");
		assert_int_equal(rc, i < 0 || (i % 2 == 0 && i < 2 * COUNT));
		if (rc == 1) {
			assert_int_equal(
			    strncmp(entry.path, prefix, strlen(prefix)), 0);
			assert_int_equal(
			    bkp_entries_next(entries, &entry, &err), 0);
		}
		bkp_entries_close(entries);
	}
	bkp_repository_close(host);
	free(files);
	free(paths);
}

/* ---- once ---- */

static uint64_t
stored_bytes(struct fixture *fixture)
{
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	uint64_t bytes;

	must(bkp_snapshot_list(host, &list, &err), &err);
	assert_true(list.count > 0);
	bytes = list.items[list.count - 1].stored_bytes;
	bkp_snapshot_list_free(&list);
	bkp_repository_close(host);
	return bytes;
}

static void
what_is_known_is_not_stored_again(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	unsigned char *noise = fixture_random(5 * MIB, 3);
	const struct fixture_file first[] = {
	    {"a", noise, 5 * MIB}, {"b", noise, 5 * MIB}};
	const struct fixture_file second[] = {
	    {"a", noise, 5 * MIB}, {"c", "new", 3}};
	char one[65], two[65];

	back_up(host, first, 2, MIB, one);
	assert_in_range(stored_bytes(*state), 5 * MIB, 5 * MIB + 20000);
	/* In the session that is still open, and by another handle. */
	back_up(host, second, 2, MIB, two);
	assert_in_range(stored_bytes(*state), 1, 20000);
	bkp_repository_close(host);
	host = fixture_open_host(*state);
	back_up(host, second, 2, MIB, two);
	assert_in_range(stored_bytes(*state), 0, 20000);
	compare(*state, one, first, 2);
	compare(*state, two, second, 2);
	bkp_repository_close(host);
	free(noise);
}

static void
a_list_shares_what_did_not_change(void **state)
{
	enum { COUNT = 6000 };
	struct fixture_file *files = calloc(COUNT, sizeof(*files));
	char(*paths)[24] = calloc(COUNT, sizeof(*paths));
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	uint64_t whole, change;
	char name[65];

	assert_non_null(files);
	assert_non_null(paths);
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "f%05d.txt", i);
		files[i] = (struct fixture_file){paths[i], paths[i], 10};
	}
	back_up(host, files, COUNT, MIB, name);
	whole = stored_bytes(*state);
	files[COUNT / 2].len = 9;
	back_up(host, files, COUNT, MIB, name);
	change = stored_bytes(*state);
	assert_in_range(change, 1, whole / 2);
	must(
	    fixture_read(admin, name, files[COUNT / 2].path, &out, &err), &err);
	assert_string_equal(fmt_buf_text(&out), "f03000.tx");
	fmt_buf_free(&out);
	bkp_repository_close(admin);
	bkp_repository_close(host);
	free(files);
	free(paths);
}

static void
an_entry_is_known_where_all_its_chunks_are(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_session *session = NULL;
	struct bkp_chunk_writer *writer = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_chunk_ref ref;
	char name[65];

	back_up(host, &file, 1, MIB, name);
	must(bkp_session_begin(host, &session, &err), &err);
	must(bkp_chunk_writer_new(session, &writer, &err), &err);
	assert_int_equal(fmt_entry_init(&entry, "x", "files.file"), FMT_OK);
	must(bkp_chunk_writer_put(writer, "hello", 5, &ref, &err), &err);
	assert_int_equal(fmt_entry_add_chunk(&entry, &ref), FMT_OK);
	assert_true(bkp_session_has_entry(session, &entry));
	ref.id[5] ^= 1;
	assert_int_equal(fmt_entry_add_chunk(&entry, &ref), FMT_OK);
	assert_false(bkp_session_has_entry(session, &entry));
	fmt_entry_free(&entry);
	bkp_chunk_writer_free(writer);
	bkp_session_end(session);
	bkp_repository_close(host);
}

/* ---- chains ---- */

static void
snapshots_of_a_writer_form_a_chain(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	char names[3][65], found[65];

	for (int i = 0; i < 3; i++) {
		struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;

		back_up(host, &file, 1, MIB, names[i]);
		must(bkp_repository_snapshot(host, names[i], &snapshot, &err),
		    &err);
		assert_int_equal(snapshot.sequence, i + 1);
		assert_string_equal(
		    snapshot.previous, i > 0 ? names[i - 1] : "");
		assert_string_equal(
		    snapshot.repository, bkp_repository_id(host));
		fmt_snapshot_free(&snapshot);
	}
	must(bkp_snapshot_list(host, &list, &err), &err);
	assert_int_equal(list.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(list.items[i].name, names[i]);
		assert_int_equal(list.items[i].source_count, 1);
		assert_string_equal(
		    list.items[i].sources[0].prefix, FIXTURE_PREFIX);
		assert_int_equal(list.items[i].sources[0].bytes, 5);
		assert_int_equal(list.items[i].json[0], '{');
		assert_null(strchr(list.items[i].json, '\n'));
		assert_int_equal(list.items[i].new_chunks, i == 0);
		assert_int_equal(list.items[i].known_chunks, i > 0);
	}
	bkp_snapshot_list_free(&list);
	must(bkp_snapshot_find(host, "latest", found, &err), &err);
	assert_string_equal(found, names[2]);
	bkp_repository_close(host);
}

static void
a_snapshot_is_found_by_the_start_of_its_name(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_error err = BKP_ERROR_INIT;
	const struct fixture_file file = {"a", "hello", 5};
	char name[65], found[65], start[65];

	assert_int_equal(bkp_snapshot_find(host, "latest", found, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	err = (struct bkp_error)BKP_ERROR_INIT;
	back_up(host, &file, 1, MIB, name);
	for (int len = 4; len <= 64; len += 20) {
		(void)snprintf(start, sizeof(start), "%.*s", len, name);
		must(bkp_snapshot_find(host, start, found, &err), &err);
		assert_string_equal(found, name);
	}
	(void)snprintf(start, sizeof(start), "%.8s", name);
	start[7] = start[7] == '0' ? '1' : '0';
	assert_int_equal(bkp_snapshot_find(host, start, found, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, start));
	assert_int_equal(bkp_snapshot_find(host, "abc", found, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_int_equal(bkp_snapshot_find(host, "yesterday", found, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	/* Another name with the same start, whatever it holds. */
	(void)snprintf(start, sizeof(start), "%.4s%060d", name, 1);
	{
		struct bkp_store *store = fixture_store(*state);
		char path[96];

		(void)snprintf(path, sizeof(path), "snapshots/%s", start);
		must(bkp_store_put(store, path, "x", 1, NULL),
		    &(struct bkp_error)BKP_ERROR_INIT);
		bkp_store_close(store);
	}
	(void)snprintf(start, sizeof(start), "%.4s", name);
	assert_int_equal(bkp_snapshot_find(host, start, found, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_non_null(strstr(err.message, "2 snapshots"));
	bkp_repository_close(host);
}

/* ---- what is not there, and what may not be read ---- */

static void
an_entry_that_is_not_there_is_not_found(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_repository *admin = fixture_open_admin(*state);
	const struct fixture_file file = {"abc", "hello", 5};
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65], other[65];

	back_up(host, &file, 1, MIB, name);
	assert_int_equal(fixture_read(admin, name, "ab", &out, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_int_equal(fixture_read(admin, name, "abcd", &out, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	memset(other, '0', 64);
	other[64] = '\0';
	assert_int_equal(fixture_read(admin, other, "abc", &out, &err), -1);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_non_null(strstr(err.message, other));
	assert_int_equal(out.len, 0);
	bkp_repository_close(host);
	bkp_repository_close(admin);
}

/* Looks for the words in everything that the host's keys open. */
struct search {
	struct bkp_store *store;
	const struct fmt_age_identity *identity;
	unsigned opened, closed;
};

static const char secret_words[] = "the patient's name is Rosalind";

static int
search_object(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct search *search = arg;
	struct fmt_buf stored = FMT_BUF_INIT, plain = FMT_BUF_INIT;

	if (bkp_store_get(search->store, object->name, 0, BKP_STORE_WHOLE,
		&stored, err) < 0)
		return -1;
	assert_null(memmem(
	    stored.data, stored.len, secret_words, strlen(secret_words)));
	if (fmt_age_open(
		search->identity, 1, stored.data, stored.len, &plain) == FMT_OK)
		search->opened++;
	else
		search->closed++;
	if (plain.len > 0)
		assert_null(memmem(
		    plain.data, plain.len, secret_words, strlen(secret_words)));
	fmt_buf_free(&stored);
	fmt_buf_free(&plain);
	return 0;
}

/* The one identity that a host's key file holds. */
static void
host_identity(struct fixture *fixture, struct fmt_age_identity *out)
{
	char text[4096] = "";
	FILE *file = fopen(fixture->key_file, "r");
	const char *at;

	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	assert_int_equal(fclose(file), 0);
	assert_non_null(at = strstr(text, "AGE-SECRET-KEY-1"));
	assert_int_equal(
	    fmt_age_identity_parse(at, strcspn(at, "\""), out), FMT_OK);
	assert_null(strstr(at + 1, "AGE-SECRET-KEY-1"));
}

static void
a_host_backs_up_lists_and_cannot_read_one_byte(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	const struct fixture_file file = {
	    "record", secret_words, strlen(secret_words)};
	struct fmt_buf out = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_age_identity identity;
	struct search search = {fixture->memory, &identity, 0, 0};
	char name[65];

	back_up(host, &file, 1, MIB, name);
	back_up(host, &file, 1, MIB, name);
	assert_in_range(stored_bytes(fixture), 0, 4000);
	assert_int_equal(fixture_read(host, name, "record", &out, &err), -1);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, FIXTURE_PREFIX "/record"));
	assert_int_equal(out.len, 0);
	/* Nor by going around the library with all that the host has. */
	host_identity(fixture, &identity);
	err = (struct bkp_error)BKP_ERROR_INIT;
	must(bkp_store_list(fixture->memory, "", search_object, &search, &err),
	    &err);
	assert_true(search.opened >= 4); /* list, index, 2 snapshots */
	assert_true(search.closed >= 4); /* config, keys, writer, content */
	compare(fixture, name, &file, 1);
	bkp_repository_close(host);
}

/* ---- misuse ---- */

static void
a_commit_with_chunks_in_hand_is_refused(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_session *session = NULL;
	struct bkp_chunk_writer *writer = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_chunk_ref ref;
	char name[65], *names;

	must(bkp_session_begin(host, &session, &err), &err);
	must(bkp_chunk_writer_new(session, &writer, &err), &err);
	must(bkp_chunk_writer_put(writer, "x", 1, &ref, &err), &err);
	assert_int_equal(
	    bkp_session_commit(session, &snapshot, name, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	/* And where a writer was dropped, its chunks are missing for good. */
	bkp_chunk_writer_free(writer);
	assert_int_equal(
	    bkp_session_commit(session, &snapshot, name, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	bkp_session_end(session);
	fmt_snapshot_free(&snapshot);
	names = fixture_names(*state, "snapshots/");
	assert_string_equal(names, "");
	free(names);
	bkp_repository_close(host);
}

static void
entries_out_of_order_are_refused(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	const struct fixture_file files[] = {{"b", "1", 1}, {"a", "2", 1}};
	const struct fixture_file twice[] = {{"b", "1", 1}, {"b", "1", 1}};
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	assert_int_equal(fixture_back_up(host, files, 2, MIB, name, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	assert_int_equal(fixture_back_up(host, twice, 2, MIB, name, &err), -1);
	assert_int_equal(err.code, BKP_INVALID);
	bkp_repository_close(host);
}

/* ---- at the same time ---- */

static void
two_sessions_at_once_both_commit(void **state)
{
	struct bkp_repository *one = fixture_open_host(*state);
	struct bkp_repository *two = fixture_open_host(*state);
	unsigned char *noise = fixture_random(3 * MIB, 4);
	const struct fixture_file files[] = {{"a", noise, 3 * MIB}};
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_session *session = NULL;
	struct bkp_chunk_writer *writer = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct fmt_chunk_ref ref;
	char name[65], other[65];

	must(bkp_session_begin(one, &session, &err), &err);
	must(bkp_chunk_writer_new(session, &writer, &err), &err);
	must(bkp_chunk_writer_put(writer, noise, MIB, &ref, &err), &err);
	back_up(two, files, 1, MIB, other);
	must(bkp_chunk_writer_put(writer, noise + MIB, MIB, &ref, &err), &err);
	must(bkp_chunk_writer_flush(writer, &err), &err);
	must(bkp_session_commit(session, &snapshot, name, &err), &err);
	bkp_chunk_writer_free(writer);
	bkp_session_end(session);
	fmt_snapshot_free(&snapshot);
	must(bkp_snapshot_list(two, &list, &err), &err);
	assert_int_equal(list.count, 2);
	bkp_snapshot_list_free(&list);
	compare(*state, other, files, 1);
	compare(*state, name, NULL, 0);
	bkp_repository_close(one);
	bkp_repository_close(two);
	free(noise);
}

enum { WRITERS = 4, PIECES = 200, PIECE = 100000 };

struct crowd {
	struct bkp_chunk_writer *writers[WRITERS];
	struct bkp_chunk_reader *readers[WRITERS];
	struct fmt_chunk_ref refs[PIECES];
	const unsigned char *noise;
	unsigned given;
	unsigned numbers[PIECES];
};

static int
next_piece(void *arg, void **item, struct bkp_error *err)
{
	struct crowd *crowd = arg;

	(void)err;
	*item = NULL;
	if (crowd->given < PIECES) {
		crowd->numbers[crowd->given] = crowd->given;
		*item = &crowd->numbers[crowd->given++];
	}
	return 0;
}

/* Half of the pieces are there twice, so that writers meet. */
static const unsigned char *
piece_of(const struct crowd *crowd, unsigned number)
{
	return crowd->noise + (size_t)(number / 2) * 4099;
}

static int
put_piece(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct crowd *crowd = arg;
	unsigned number = *(unsigned *)item;

	return bkp_chunk_writer_put(crowd->writers[worker],
	    piece_of(crowd, number), PIECE, &crowd->refs[number], err);
}

static int
get_piece(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct crowd *crowd = arg;
	unsigned number = *(unsigned *)item;
	struct fmt_buf out = FMT_BUF_INIT;
	int rc = bkp_chunk_reader_get(
	    crowd->readers[worker], &crowd->refs[number], &out, err);

	if (rc == 0 &&
	    (out.len != PIECE ||
		memcmp(out.data, piece_of(crowd, number), PIECE) != 0))
		rc = bkp_fail(err, BKP_INVALID, "WRONG BYTES");
	fmt_buf_free(&out);
	return rc;
}

static void
keep(void *arg, void *item)
{
	(void)arg;
	(void)item;
}

static void
many_writers_and_readers_work_at_once(void **state)
{
	static const struct bkp_pipeline_ops put = {
	    .next = next_piece, .work = put_piece, .discard = keep};
	static const struct bkp_pipeline_ops get = {
	    .next = next_piece, .work = get_piece, .discard = keep};
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_session *session = NULL;
	unsigned char *noise =
	    fixture_random((size_t)PIECES / 2 * 4099 + PIECE, 5);
	struct crowd crowd = {.noise = noise};
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	must(bkp_session_begin(host, &session, &err), &err);
	for (int i = 0; i < WRITERS; i++)
		must(bkp_chunk_writer_new(session, &crowd.writers[i], &err),
		    &err);
	must(bkp_pipeline_run(WRITERS, 8, &put, &crowd, NULL, &err), &err);
	for (int i = 0; i < WRITERS; i++)
		must(bkp_chunk_writer_flush(crowd.writers[i], &err), &err);
	must(bkp_session_commit(session, &snapshot, name, &err), &err);
	assert_int_equal(snapshot.new_chunks, PIECES / 2);
	assert_int_equal(snapshot.known_chunks, PIECES / 2);
	for (int i = 0; i < WRITERS; i++)
		bkp_chunk_writer_free(crowd.writers[i]);
	bkp_session_end(session);
	fmt_snapshot_free(&snapshot);
	crowd.given = 0;
	for (int i = 0; i < WRITERS; i++)
		must(
		    bkp_chunk_reader_new(admin, &crowd.readers[i], &err), &err);
	must(bkp_pipeline_run(WRITERS, 8, &get, &crowd, NULL, &err), &err);
	for (int i = 0; i < WRITERS; i++)
		bkp_chunk_reader_free(crowd.readers[i]);
	bkp_repository_close(host);
	bkp_repository_close(admin);
	free(noise);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_was_backed_up_comes_back),
	    CASE(chunks_of_8_and_of_40_mib_come_back),
	    CASE(a_pack_holds_so_many_chunks_however_small),
	    CASE(a_snapshot_of_nothing_is_one),
	    CASE(a_long_list_is_entered_at_any_prefix),
	    CASE(what_is_known_is_not_stored_again),
	    CASE(a_list_shares_what_did_not_change),
	    CASE(an_entry_is_known_where_all_its_chunks_are),
	    CASE(snapshots_of_a_writer_form_a_chain),
	    CASE(a_snapshot_is_found_by_the_start_of_its_name),
	    CASE(an_entry_that_is_not_there_is_not_found),
	    CASE(a_host_backs_up_lists_and_cannot_read_one_byte),
	    CASE(a_commit_with_chunks_in_hand_is_refused),
	    CASE(entries_out_of_order_are_refused),
	    CASE(two_sessions_at_once_both_commit),
	    CASE(many_writers_and_readers_work_at_once),
	};

	return cmocka_run_group_tests_name(
	    "repository session", tests, NULL, NULL);
}
