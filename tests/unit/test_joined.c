/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One backup into two repositories that are alike: each has all of it, what one
 * lacks is stored there, and whatever happens to one is no matter of the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/repository/repository_own.h"
#include "tests/unit/repository_fixture.h"

#define MIB ((size_t)1 << 20)
#define LINES 2000
#define TEXT ((size_t)64 * 1024 * 2)

struct side {
	struct bkp_store *memory; /* owned */
	char key_file[80];
	struct bkp_store_fault fault; /* of the next night */
	/* of a night */
	struct bkp_repository *repository;
	struct bkp_session *session;
	char name[65]; /* "": there is no new snapshot */
	struct bkp_error err;
	uint64_t new_chunks, known_chunks;
};

struct pair {
	struct fixture *fixture;
	struct side sides[2];
};

/* What a night brings. */
struct night {
	const struct fixture_file *files;
	size_t count;
	const char *text; /* rows of a range; NULL: none */
	size_t len;
};

static void
must(int rc, const struct bkp_error *err)
{
	assert_string_equal(err->message, "");
	assert_int_equal(rc, 0);
}

static struct bkp_store *
share(const struct side *side)
{
	struct bkp_store *store = NULL;

	assert_int_equal(bkp_store_memory_share(side->memory, &store, NULL), 0);
	return store;
}

/* An empty repository, like another one or (NULL) like none. */
static void
make_side(struct fixture *fixture, struct side *side, const char *name,
    const struct bkp_repository *like)
{
	const char *recipients[1] = {fixture->recipient};
	struct bkp_init_options options = fixture_options(fixture, recipients);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)snprintf(side->key_file, sizeof(side->key_file), "%s/%s.key",
	    fixture->folder, name);
	(void)remove(side->key_file);
	options.key_file = side->key_file;
	options.like = like;
	must(bkp_store_memory_new(&side->memory, &err), &err);
	must(bkp_repository_init_store(share(side), &options, &err), &err);
}

static void
open_pair(struct pair *pair, struct fixture *fixture)
{
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_repository *first = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	memset(pair, 0, sizeof(*pair));
	pair->fixture = fixture;
	make_side(fixture, &pair->sides[0], "first", NULL);
	keys.key_file = pair->sides[0].key_file;
	must(bkp_repository_open_store(
		 share(&pair->sides[0]), &keys, &first, &err),
	    &err);
	make_side(fixture, &pair->sides[1], "second", first);
	bkp_repository_close(first);
}

static void
close_pair(struct pair *pair)
{
	for (int i = 0; i < 2; i++)
		bkp_store_close(pair->sides[i].memory);
}

static struct bkp_repository *
open_admin(const struct pair *pair, int n)
{
	struct bkp_keys keys = fixture_admin_keys(pair->fixture);
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	must(bkp_repository_open_store(
		 share(&pair->sides[n]), &keys, &repository, &err),
	    &err);
	return repository;
}

/* ---- a night ---- */

static int
begin_side(struct side *side)
{
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_store *store;

	side->name[0] = '\0';
	side->err = (struct bkp_error)BKP_ERROR_INIT;
	keys.key_file = side->key_file;
	if (bkp_store_fault_new(share(side), &side->fault, &store, &side->err) <
		0 ||
	    bkp_repository_open_store(
		store, &keys, &side->repository, &side->err) < 0)
		return -1;
	return bkp_session_begin(side->repository, &side->session, &side->err);
}

/* Begins on those that are there; answers with the one to write through. */
static struct bkp_session *
begin(struct pair *pair)
{
	struct bkp_session *first = NULL;

	for (int i = 0; i < 2; i++) {
		struct side *side = &pair->sides[i];

		if (begin_side(side) < 0)
			continue;
		if (first == NULL)
			first = side->session;
		else
			must(bkp_session_join(first, side->session, &side->err),
			    &side->err);
	}
	return first;
}

static void
end(struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		bkp_session_end(pair->sides[i].session);
		bkp_repository_close(pair->sides[i].repository);
		pair->sides[i].session = NULL;
		pair->sides[i].repository = NULL;
	}
}

static int
put_file(struct bkp_chunk_writer *writer, struct bkp_list_writer *list,
    const struct fixture_file *file, struct bkp_error *err)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_chunk_ref ref;
	char path[128];
	int rc = 0;

	(void)snprintf(path, sizeof(path), FIXTURE_PREFIX "/%s", file->path);
	assert_int_equal(fmt_entry_init(&entry, path, "files.file"), FMT_OK);
	entry.has_content = true;
	entry.size = file->len;
	for (size_t at = 0; rc == 0 && at < file->len; at += MIB) {
		size_t left = file->len - at;

		rc = bkp_chunk_writer_put(writer,
		    (const unsigned char *)file->data + at,
		    left < MIB ? left : MIB, &ref, err);
		if (rc == 0)
			assert_int_equal(
			    fmt_entry_add_chunk(&entry, &ref), FMT_OK);
	}
	if (rc == 0)
		rc = bkp_list_writer_add(list, &entry, err);
	fmt_entry_free(&entry);
	return rc;
}

static int
put_rows(struct bkp_session *first, struct bkp_chunk_writer *writer,
    struct bkp_list_writer *list, const struct night *night,
    struct bkp_error *err)
{
	const struct bkp_row_range range = {"public.t", 0, 0, FMT_COPY_TEXT};
	struct fmt_rowhash hash = FMT_ROWHASH_INIT, wanted = FMT_ROWHASH_INIT;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct bkp_row_cache *rows = NULL;
	struct fmt_chunk_ref ref;
	int rc = -1;

	if (night->text == NULL)
		return 0;
	assert_int_equal(
	    fmt_entry_init(&entry, FIXTURE_PREFIX "/rows", "files.file"),
	    FMT_OK);
	if (bkp_session_rows(first, "postgres/app/t", &rows, err) == 0 &&
	    bkp_chunk_writer_put_rows(writer, rows, &range, night->text,
		night->len, &ref, &hash, err) == 0) {
		assert_int_equal(fmt_rowhash_add_rows(&wanted, range.form,
				     night->text, night->len),
		    FMT_OK);
		assert_true(fmt_rowhash_is_equal(&hash, &wanted));
		assert_int_equal(fmt_entry_add_chunk(&entry, &ref), FMT_OK);
		entry.has_content = true;
		entry.size = night->len;
		rc = bkp_list_writer_add(list, &entry, err);
	}
	fmt_entry_free(&entry);
	return rc;
}

static int
write_night(struct bkp_session *first, const struct night *night,
    struct fmt_snapshot_source *source, struct bkp_error *err)
{
	struct bkp_chunk_writer *writer = NULL;
	struct bkp_list_writer *list = NULL;
	int rc = 0;

	source->prefix = bkp_strdup(FIXTURE_PREFIX, NULL);
	source->kind = bkp_strdup("files", NULL);
	must(bkp_chunk_writer_new(first, &writer, err), err);
	must(bkp_list_writer_new(first, &list, err), err);
	for (size_t i = 0; rc == 0 && i < night->count; i++)
		rc = put_file(writer, list, &night->files[i], err);
	if (rc == 0)
		rc = put_rows(first, writer, list, night, err);
	if (rc == 0)
		rc = bkp_chunk_writer_flush(writer, err);
	if (rc == 0)
		rc = bkp_list_writer_finish(
		    list, &source->list, &source->list_count, err);
	bkp_list_writer_free(list);
	bkp_chunk_writer_free(writer);
	return rc;
}

/* Each side has a name afterwards, or an error. 0 where nothing kept either of
 * them from going on to the end. */
static int
run(struct pair *pair, const struct night *night)
{
	static int64_t clock_us = 1763500000000000;
	struct bkp_session *first = begin(pair);
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	int rc = -1;

	if (first == NULL)
		goto out;
	snapshot.time_us = clock_us += 1000000;
	snapshot.sources = calloc(1, sizeof(*snapshot.sources));
	assert_non_null(snapshot.sources);
	snapshot.source_count = 1;
	rc = write_night(first, night, snapshot.sources, &err);
	for (int i = 0; i < 2; i++) {
		struct side *side = &pair->sides[i];

		if (side->session == NULL)
			continue;
		if (rc < 0)
			side->err = err;
		else if (bkp_session_commit(side->session, &snapshot,
			     side->name, &side->err) < 0)
			side->name[0] = '\0';
		side->new_chunks = snapshot.new_chunks;
		side->known_chunks = snapshot.known_chunks;
	}
	fmt_snapshot_free(&snapshot);
out:
	end(pair);
	return rc;
}

/* ---- what is there ---- */

static void
read_entry(struct bkp_repository *repository, const char *name,
    const char *path, const void *data, size_t len)
{
	struct fmt_buf bytes = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	must(fixture_read(repository, name, path, &bytes, &err), &err);
	assert_int_equal(bytes.len, len);
	if (len > 0)
		assert_memory_equal(bytes.data, data, len);
	fmt_buf_free(&bytes);
}

/* All of the night comes back from this one alone. */
static void
assert_whole(struct pair *pair, int n, const struct night *night)
{
	struct bkp_repository *admin = open_admin(pair, n);
	const char *name = pair->sides[n].name;

	assert_string_equal(pair->sides[n].err.message, "");
	assert_int_equal(strlen(name), 64);
	for (size_t i = 0; i < night->count; i++)
		read_entry(admin, name, night->files[i].path,
		    night->files[i].data, night->files[i].len);
	if (night->text != NULL)
		read_entry(admin, name, "rows", night->text, night->len);
	bkp_repository_close(admin);
}

static void
assert_same_lists(struct pair *pair)
{
	struct fmt_snapshot snapshots[2] = {
	    FMT_SNAPSHOT_INIT, FMT_SNAPSHOT_INIT};
	struct bkp_error err = BKP_ERROR_INIT;
	const struct fmt_snapshot_source *a, *b;

	for (int i = 0; i < 2; i++) {
		struct bkp_repository *admin = open_admin(pair, i);

		must(bkp_repository_snapshot(
			 admin, pair->sides[i].name, &snapshots[i], &err),
		    &err);
		bkp_repository_close(admin);
	}
	assert_int_equal(snapshots[0].time_us, snapshots[1].time_us);
	assert_string_not_equal(
	    snapshots[0].repository, snapshots[1].repository);
	a = &snapshots[0].sources[0];
	b = &snapshots[1].sources[0];
	assert_int_equal(a->list_count, b->list_count);
	for (size_t i = 0; i < a->list_count; i++)
		assert_memory_equal(a->list[i].id, b->list[i].id, FMT_ID_SIZE);
	for (int i = 0; i < 2; i++)
		fmt_snapshot_free(&snapshots[i]);
}

static bool
is_difference(const struct pair *pair, int n, const char *name)
{
	struct bkp_repository *admin = open_admin(pair, n);
	struct bkp_entry_stream *stream = NULL;
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_index_place place;

	must(bkp_repository_snapshot(admin, name, &snapshot, &err), &err);
	must(bkp_entry_stream_open(admin, snapshot.sources[0].list,
		 snapshot.sources[0].list_count, FIXTURE_PREFIX "/rows",
		 &stream, &err),
	    &err);
	assert_int_equal(bkp_entry_stream_next(stream, &entry, &err), 1);
	must(bkp_repository_find_chunk(admin, entry.chunks[0].id, &place, &err),
	    &err);
	fmt_entry_free(&entry);
	bkp_entry_stream_close(stream);
	fmt_snapshot_free(&snapshot);
	bkp_repository_close(admin);
	return place.chunk.has_base;
}

/* Rows, of which those whose number leaves `salt` are other ones. */
static size_t
make_rows(char *text, unsigned salt)
{
	size_t len = 0;

	for (unsigned n = 0; n < LINES; n++) {
		unsigned version = n % 97 < salt ? salt : 0;

		len += (size_t)sprintf(text + len, "%u\t%08x\trow of a table\n",
		    n, (n + 1) * 2654435761u ^ version * 40503u);
	}
	return len;
}

/* ---- the tests ---- */

static void
each_has_all_of_it_and_the_same_lists(void **state)
{
	unsigned char *noise = fixture_random(5 * MIB, 1);
	const struct fixture_file files[] = {
	    {"a", "hello", 5}, {"b", noise, 5 * MIB}, {"c", "", 0}};
	struct night night = {files, 3, NULL, 0};
	char *text = malloc(TEXT);
	struct pair pair;

	open_pair(&pair, *state);
	assert_non_null(text);
	for (unsigned i = 0; i < 3; i++) {
		night.text = text;
		night.len = make_rows(text, i);
		assert_int_equal(run(&pair, &night), 0);
		assert_same_lists(&pair);
		for (int n = 0; n < 2; n++) {
			assert_whole(&pair, n, &night);
			assert_int_equal(
			    is_difference(&pair, n, pair.sides[n].name), i > 0);
			assert_int_equal(
			    pair.sides[n].new_chunks, i == 0 ? 7 : 1);
		}
	}
	/* And of a night without changes nothing. */
	assert_int_equal(run(&pair, &night), 0);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(pair.sides[n].new_chunks, 0);
		assert_int_equal(pair.sides[n].known_chunks, 7);
		assert_whole(&pair, n, &night);
	}
	close_pair(&pair);
	free(noise);
	free(text);
}

static void
what_one_missed_is_stored_there_and_nowhere_twice(void **state)
{
	unsigned char *noise = fixture_random(3 * MIB, 2);
	const struct fixture_file files[] = {{"a", noise, 3 * MIB}};
	struct night night = {files, 1, NULL, 0};
	char *text = malloc(TEXT);
	struct pair pair;

	open_pair(&pair, *state);
	assert_non_null(text);
	night.text = text;
	night.len = make_rows(text, 0);
	assert_int_equal(run(&pair, &night), 0);
	for (int missing = 0; missing < 2; missing++) {
		int other = 1 - missing;
		unsigned char *more = fixture_random(MIB, missing ? 3 : 4);
		const struct fixture_file both[] = {
		    {"a", noise, 3 * MIB}, {"b", more, MIB}};

		/* From its first call on one of them is not there. */
		night.files = both;
		night.count = 2;
		night.len = make_rows(text, 1 + (unsigned)missing);
		pair.sides[missing].fault.fail_at = 1;
		pair.sides[missing].fault.calls = 0;
		pair.sides[missing].fault.is_killed_after = true;
		assert_int_equal(run(&pair, &night), 0);
		assert_int_equal(strlen(pair.sides[missing].name), 0);
		assert_whole(&pair, other, &night);
		assert_int_equal(pair.sides[other].new_chunks, 2);

		/* The same again: known in the one, new in the other, where the
		 * rows are a difference to what that one has. */
		pair.sides[missing].fault.fail_at = 0;
		pair.sides[missing].fault.is_killed_after = false;
		pair.sides[missing].fault.calls = 0;
		assert_int_equal(run(&pair, &night), 0);
		assert_int_equal(pair.sides[missing].new_chunks, 2);
		assert_int_equal(pair.sides[other].new_chunks, 0);
		assert_same_lists(&pair);
		for (int n = 0; n < 2; n++) {
			assert_whole(&pair, n, &night);
			assert_true(
			    is_difference(&pair, n, pair.sides[n].name));
		}
		free(more);
	}
	close_pair(&pair);
	free(noise);
	free(text);
}

static void
only_what_both_have_is_taken_over(void **state)
{
	const struct bkp_row_range range = {"public.t", 0, 0, FMT_COPY_TEXT};
	const struct fixture_file files[] = {{"a", "only in one", 11}};
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct bkp_chunk_writer *writer = NULL;
	struct bkp_row_cache *rows = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_session *first;
	struct fmt_chunk_ref ref;
	struct pair pair;
	char name[65];

	open_pair(&pair, *state);
	assert_int_equal(begin_side(&pair.sides[0]), 0);
	bkp_session_end(pair.sides[0].session);
	must(fixture_back_up(
		 pair.sides[0].repository, files, 1, MIB, name, &err),
	    &err);
	bkp_repository_close(pair.sides[0].repository);
	first = begin(&pair);
	must(bkp_chunk_writer_new(first, &writer, &err), &err);
	must(bkp_session_rows(first, "postgres/app/t", &rows, &err), &err);
	assert_int_equal(fmt_entry_init(&entry, "files/x", "files.file"), 0);
	must(bkp_chunk_writer_put(writer, "in neither", 10, &ref, &err), &err);
	assert_true(bkp_session_has_entry(first, &entry));

	/* Known in the first, and not in the second. */
	{
		struct bkp_chunk_hasher hasher;

		must(bkp_chunk_hasher_init(
			 &hasher, pair.sides[0].repository, &err),
		    &err);
		must(bkp_chunk_hasher_id(&hasher, FMT_PACK_DATA, "only in one",
			 11, ref.id, &err),
		    &err);
		ref.len = 11;
		bkp_chunk_hasher_free(&hasher);
	}
	assert_int_equal(fmt_entry_add_chunk(&entry, &ref), FMT_OK);
	assert_false(bkp_session_has_entry(first, &entry));
	assert_false(bkp_chunk_writer_reuse_rows(writer, rows, &range, &ref));
	must(bkp_chunk_writer_put(writer, "only in one", 11, &ref, &err), &err);
	assert_true(bkp_session_has_entry(first, &entry));
	fmt_entry_free(&entry);
	bkp_chunk_writer_free(writer);
	end(&pair);
	close_pair(&pair);
}

/* Each has a base of its own: what is made for the one is not stored in the
 * other. */
static void
bases_may_differ(void **state)
{
	struct night night = {NULL, 0, NULL, 0};
	char *text = malloc(TEXT);
	struct pair pair;

	open_pair(&pair, *state);
	assert_non_null(text);
	night.text = text;
	night.len = make_rows(text, 0);
	assert_int_equal(run(&pair, &night), 0);

	/* All rows are other ones, which the second never sees. */
	pair.sides[1].fault.fail_at = 1;
	pair.sides[1].fault.calls = 0;
	pair.sides[1].fault.is_killed_after = true;
	night.len = make_rows(text, 97);
	assert_int_equal(run(&pair, &night), 0);
	assert_false(is_difference(&pair, 0, pair.sides[0].name));
	memset(&pair.sides[1].fault, 0, sizeof(pair.sides[1].fault));

	/* Few to the first, all to the second; and then few to both. */
	for (int i = 0; i < 3; i++) {
		text[night.len - 2 - (size_t)i] ^= 1;
		assert_int_equal(run(&pair, &night), 0);
		for (int n = 0; n < 2; n++) {
			assert_whole(&pair, n, &night);
			assert_int_equal(
			    is_difference(&pair, n, pair.sides[n].name),
			    n == 0 || i > 0);
		}
		assert_same_lists(&pair);
	}
	close_pair(&pair);
	free(text);
}

/* How one fails at its n-th call, while the other goes on. */
struct failing {
	int side;
	bool stays_away;   /* and does not come back */
	bool only_changes; /* of those that change something */
	size_t len;        /* of a file: a pack is stored while it is read */
};

/* It has a whole snapshot or none, the other one always has, and the next night
 * mends all. False: there is no n-th call. */
static bool
fail_at(struct fixture *fixture, const struct failing *how, uint64_t n,
    const unsigned char *noise, char *text)
{
	const struct fixture_file files[] = {{"a", noise, how->len}};
	struct night night = {files, 0, text, make_rows(text, 0)};
	struct pair pair;
	struct side *side = &pair.sides[how->side];
	bool is_hit;

	open_pair(&pair, fixture);
	assert_int_equal(run(&pair, &night), 0);
	night.count = 1;
	night.len = make_rows(text, 1);
	side->fault.calls = 0;
	side->fault.fail_at = n;
	side->fault.is_killed_after = how->stays_away;
	side->fault.only_changes = how->only_changes;
	assert_int_equal(run(&pair, &night), 0);
	assert_whole(&pair, 1 - how->side, &night);
	is_hit = atomic_load(&side->fault.hits) > 0;
	if (strlen(side->name) > 0)
		assert_whole(&pair, how->side, &night);
	else
		assert_string_not_equal(side->err.message, "");
	if (!is_hit)
		assert_same_lists(&pair);

	memset(&side->fault, 0, sizeof(side->fault));
	assert_int_equal(run(&pair, &night), 0);
	assert_whole(&pair, 0, &night);
	assert_whole(&pair, 1, &night);
	assert_same_lists(&pair);
	close_pair(&pair);
	return is_hit;
}

static void
fail_at_every_call(struct fixture *fixture, const struct failing *how)
{
	unsigned char *noise = fixture_random(how->len, 5);
	char *text = malloc(TEXT);
	uint64_t n = 1;

	assert_non_null(text);
	while (fail_at(fixture, how, n, noise, text))
		n++;
	assert_true(n > 4);
	free(noise);
	free(text);
}

static void
the_second_may_fail_at_any_call(void **state)
{
	const struct failing how = {1, false, false, 100000};

	fail_at_every_call(*state, &how);
}

static void
the_second_may_go_away_at_any_call(void **state)
{
	const struct failing how = {1, true, false, 100000};

	fail_at_every_call(*state, &how);
}

static void
the_first_may_go_away_at_any_call(void **state)
{
	const struct failing how = {0, true, false, 100000};

	fail_at_every_call(*state, &how);
}

static void
either_may_fail_while_packs_are_stored(void **state)
{
	for (int side = 0; side < 2; side++) {
		const struct failing how = {side, true, true, 18 * MIB};

		fail_at_every_call(*state, &how);
	}
}

static void
where_both_fail_the_run_has_failed(void **state)
{
	unsigned char *noise = fixture_random(40 * MIB, 6);
	const struct fixture_file files[] = {{"a", noise, 40 * MIB}};
	struct night night = {files, 1, NULL, 0};
	struct pair pair;

	open_pair(&pair, *state);
	for (int i = 0; i < 2; i++) {
		pair.sides[i].fault.fail_at = 3;
		pair.sides[i].fault.is_killed_after = true;
		pair.sides[i].fault.only_changes = true;
	}
	(void)run(&pair, &night);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(pair.sides[i].name, "");
		assert_string_not_equal(pair.sides[i].err.message, "");
	}
	close_pair(&pair);
	free(noise);
}

static void
those_that_name_chunks_in_other_ways_are_not_joined(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct pair pair;

	open_pair(&pair, *state);
	bkp_store_close(pair.sides[1].memory);
	make_side(*state, &pair.sides[1], "alone", NULL);
	assert_int_equal(begin_side(&pair.sides[0]), 0);
	assert_int_equal(begin_side(&pair.sides[1]), 0);
	assert_int_equal(bkp_session_join(pair.sides[0].session,
			     pair.sides[1].session, &err),
	    -1);
	assert_int_equal(err.code, BKP_INVALID);
	end(&pair);
	close_pair(&pair);
}

/* ---- many at once ---- */

#define WRITERS 4
#define PIECE 70000
#define PIECES 1000

struct crowd {
	const unsigned char *noise;
	struct bkp_chunk_writer *writers[WRITERS];
	size_t given;
	size_t pieces[PIECES];
};

static int
next_piece(void *arg, void **item, struct bkp_error *err)
{
	struct crowd *crowd = arg;

	(void)err;
	*item = NULL;
	if (crowd->given < PIECES) {
		crowd->pieces[crowd->given] = crowd->given % (PIECES / 2);
		*item = &crowd->pieces[crowd->given++];
	}
	return 0;
}

static int
put_piece(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct crowd *crowd = arg;
	const size_t *n = item;
	struct fmt_chunk_ref ref;

	return bkp_chunk_writer_put(
	    crowd->writers[worker], crowd->noise + *n * 4099, PIECE, &ref, err);
}

static void
keep(void *arg, void *item)
{
	(void)arg;
	(void)item;
}

/* With the second lost at the n-th change once it has begun (0: never). */
static void
crowd_in(struct pair *pair, uint64_t fail_at, const unsigned char *noise)
{
	static const struct bkp_pipeline_ops put = {
	    .next = next_piece, .work = put_piece, .discard = keep};
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct side *sides = pair->sides;
	struct bkp_session *first;

	assert_non_null(crowd);
	memset(&sides[1].fault, 0, sizeof(sides[1].fault));
	crowd->noise = noise;
	sides[1].fault.only_changes = true;
	sides[1].fault.is_killed_after = true;
	first = begin(pair);
	if (fail_at > 0)
		sides[1].fault.fail_at = sides[1].fault.calls + fail_at;
	assert_non_null(sides[0].session);
	assert_non_null(sides[1].session);
	for (int i = 0; i < WRITERS; i++)
		must(bkp_chunk_writer_new(first, &crowd->writers[i], &err),
		    &err);
	must(bkp_pipeline_run(WRITERS, 8, &put, crowd, NULL, &err), &err);
	for (int i = 0; i < WRITERS; i++)
		must(bkp_chunk_writer_flush(crowd->writers[i], &err), &err);
	must(bkp_session_commit(
		 sides[0].session, &snapshot, sides[0].name, &err),
	    &err);
	assert_int_equal(bkp_session_commit(
			     sides[1].session, &snapshot, sides[1].name, &err),
	    fail_at == 0 ? 0 : -1);
	for (int i = 0; i < WRITERS; i++)
		bkp_chunk_writer_free(crowd->writers[i]);
	fmt_snapshot_free(&snapshot);
	end(pair);
	free(crowd);
}

static void
many_writers_write_into_both_at_once(void **state)
{
	unsigned char *noise = fixture_random((size_t)PIECES * 4099 + PIECE, 7);
	struct pair pair;

	open_pair(&pair, *state);
	crowd_in(&pair, 2, noise);
	crowd_in(&pair, 0, noise + 1);
	close_pair(&pair);
	free(noise);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_new, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(each_has_all_of_it_and_the_same_lists),
	    CASE(what_one_missed_is_stored_there_and_nowhere_twice),
	    CASE(only_what_both_have_is_taken_over),
	    CASE(bases_may_differ),
	    CASE(the_second_may_fail_at_any_call),
	    CASE(the_second_may_go_away_at_any_call),
	    CASE(the_first_may_go_away_at_any_call),
	    CASE(either_may_fail_while_packs_are_stored),
	    CASE(where_both_fail_the_run_has_failed),
	    CASE(those_that_name_chunks_in_other_ways_are_not_joined),
	    CASE(many_writers_write_into_both_at_once),
	};

	return cmocka_run_group_tests_name("joined", tests, NULL, NULL);
}
