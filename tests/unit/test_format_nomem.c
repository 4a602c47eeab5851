/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each codec with memory running out at its first allocation, its second, and
 * so on until it succeeds: the answer is FMT_NOMEM, outputs are as they were,
 * and under the address sanitizer nothing leaks. jansson allocates through the
 * same failing malloc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/entry.h"
#include "formats/index.h"
#include "formats/json.h"
#include "formats/pack.h"
#include "formats/sign.h"
#include "formats/snapshot.h"
#include "tests/unit/failing_alloc.h"

static const unsigned char seed[32] = "thirty-two bytes of a signing ke";

/* What the decoders read; made while memory is plenty. */
static struct fmt_buf list, spaced, snapshot_file, directory, index_file;

static enum fmt_status
make_entry(struct fmt_entry *entry, const char *path, uint32_t chunks)
{
	enum fmt_status status = fmt_entry_init(entry, path, "files.file");

	if (status != FMT_OK)
		return status;
	entry->has_content = true;
	entry->attrs = json_pack("{s:i,s:[s,n]}", "mode", 420, "x", "y");
	if (entry->attrs == NULL)
		status = FMT_NOMEM;
	for (uint32_t i = 0; i < chunks && status == FMT_OK; i++) {
		struct fmt_chunk_ref ref = {.id = {[31] = 7}, .len = i + 1};

		status = fmt_entry_add_chunk(entry, &ref);
		entry->size += ref.len;
	}
	return status;
}

static enum fmt_status
encode_entry(void)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_buf out = FMT_BUF_INIT;
	enum fmt_status status = make_entry(&entry, "a\"\n/\xff", 600);

	if (status == FMT_OK) {
		status = fmt_entry_encode(&entry, &out);
		if (status != FMT_OK)
			assert_int_equal(out.len, 0);
	}
	fmt_entry_free(&entry);
	fmt_buf_free(&out);
	return status;
}

static enum fmt_status
decode_list(const struct fmt_buf *from)
{
	struct fmt_entry_reader *reader = NULL;
	enum fmt_status status = fmt_entry_reader_new(&reader);
	bool have = true;

	if (status == FMT_OK)
		status = fmt_entry_reader_feed(reader, from->data, from->len);
	while (status == FMT_OK && have) {
		struct fmt_entry entry = FMT_ENTRY_INIT;

		status = fmt_entry_reader_next(reader, &entry, &have);
		fmt_entry_free(&entry);
	}
	fmt_entry_reader_free(reader);
	return status;
}

static enum fmt_status
decode_entries(void)
{
	return decode_list(&list);
}

/* The same list as our writer would not write it: it is left to jansson. */
static enum fmt_status
decode_spaced_entries(void)
{
	return decode_list(&spaced);
}

static enum fmt_status
escape_paths(void)
{
	struct fmt_buf out = FMT_BUF_INIT, back = FMT_BUF_INIT;
	enum fmt_status status = fmt_path_escape("a\xff\n%b", &out);

	if (status == FMT_OK)
		status = fmt_path_unescape((char *)out.data, out.len, &back);
	fmt_buf_free(&out);
	fmt_buf_free(&back);
	return status;
}

static void
fill_snapshot(struct fmt_snapshot *s, struct fmt_snapshot_source *source,
    struct fmt_chunk_ref *ref, char **tag)
{
	static char host[] = "host", prefix[] = "files/%", kind[] = "files";

	*s = (struct fmt_snapshot)FMT_SNAPSHOT_INIT;
	memset(s->repository, 'a', 32);
	s->host = host;
	s->tags = tag;
	s->tag_count = 1;
	s->sources = source;
	s->source_count = 1;
	*source = (struct fmt_snapshot_source){
	    .prefix = prefix, .kind = kind, .list = ref, .list_count = 1};
	*ref = (struct fmt_chunk_ref){.len = 9};
}

static enum fmt_status
encode_snapshot_to(struct fmt_buf *out)
{
	static char tag_text[] = "tag";
	struct fmt_snapshot_source source;
	struct fmt_snapshot snapshot;
	struct fmt_chunk_ref ref;
	char *tag = tag_text;
	enum fmt_status status;

	/* Borrows everything, so nothing of it is freed. */
	fill_snapshot(&snapshot, &source, &ref, &tag);
	status = fmt_snapshot_encode(&snapshot, seed, out);
	if (status != FMT_OK)
		assert_int_equal(out->len, 0);
	return status;
}

static enum fmt_status
encode_snapshot(void)
{
	struct fmt_buf out = FMT_BUF_INIT;
	enum fmt_status status = encode_snapshot_to(&out);

	fmt_buf_free(&out);
	return status;
}

static enum fmt_status
decode_snapshot(void)
{
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	enum fmt_status status = fmt_snapshot_decode(
	    snapshot_file.data, snapshot_file.len, &snapshot);

	if (status != FMT_OK)
		assert_null(snapshot.host);
	fmt_snapshot_free(&snapshot);
	return status;
}

static enum fmt_status
encode_directory(void)
{
	struct fmt_pack_chunk chunk = {.stored_len = 5};
	struct fmt_buf out = FMT_BUF_INIT;
	enum fmt_status status = fmt_pack_directory_encode(&chunk, 1, &out);

	fmt_buf_free(&out);
	return status;
}

static enum fmt_status
decode_directory(void)
{
	struct fmt_pack_chunk *chunks = NULL;
	size_t count, need;
	enum fmt_status status = fmt_pack_directory_decode(directory.data,
	    directory.len, directory.len, &chunks, &count, &need);

	free(chunks);
	return status;
}

static enum fmt_status
build_index_to(struct fmt_buf *out)
{
	struct fmt_index_pack pack = {.stored_size = 9, .kind = FMT_PACK_DATA};
	struct fmt_pack_chunk chunks[20];
	struct fmt_index_builder *builder = NULL;
	enum fmt_status status = fmt_index_builder_new(&builder);

	for (size_t i = 0; i < 20; i++)
		chunks[i] = (struct fmt_pack_chunk){
		    .id = {(unsigned char)i}, .stored_len = 5};
	for (int i = 0; i < 20 && status == FMT_OK; i++)
		status = fmt_index_builder_add(builder, &pack, chunks, 20);
	if (status == FMT_OK)
		status = fmt_index_builder_encode(builder, seed, out);
	if (status != FMT_OK)
		assert_int_equal(out->len, 0);
	fmt_index_builder_free(builder);
	return status;
}

static enum fmt_status
build_index(void)
{
	struct fmt_buf out = FMT_BUF_INIT;
	enum fmt_status status = build_index_to(&out);

	fmt_buf_free(&out);
	return status;
}

static enum fmt_status
check_index(void)
{
	struct fmt_index index;
	enum fmt_status status =
	    fmt_index_open(index_file.data, index_file.len, &index);

	return status == FMT_OK ? fmt_index_check(&index) : status;
}

/* Makes the codec fail ever later; at least `at_least` times. */
static void
fails_cleanly(enum fmt_status (*codec)(void), int at_least)
{
	for (int n = 0;; n++) {
		enum fmt_status status;

		failing_alloc_at(n);
		status = codec();
		if (!failing_alloc_end()) {
			assert_int_equal(status, FMT_OK);
			assert_true(n >= at_least);
			return;
		}
		assert_int_equal(status, FMT_NOMEM);
	}
}

/* A fraction, which jansson writes and not the short way; the buffer grows
 * within the second key. */
static enum fmt_status
encode_by_jansson(void)
{
	static const char text[] = "{\"a\":0.5,\"a key that is longer than the "
				   "sixty-four bytes that a "
				   "buffer begins with\":7}";
	json_t *value = json_pack("{s:f,s:i}", "a", 0.5,
	    "a key that is longer than the sixty-four bytes that a buffer "
	    "begins with",
	    7);
	struct fmt_buf out = FMT_BUF_INIT;
	enum fmt_status status = FMT_NOMEM;

	if (value != NULL)
		status = fmt_json_append(value, &out);
	if (status == FMT_OK) {
		assert_int_equal(out.len, strlen(text));
		assert_memory_equal(out.data, text, out.len);
	}
	json_decref(value);
	fmt_buf_free(&out);
	return status;
}

/* An encoder that lost one piece must not go on as if it were there: only the
 * allocation that is counted fails, and all after it have memory again. */
static void
a_piece_that_is_lost_is_told(void **state)
{
	enum fmt_status (*const encoders[])(void) = {encode_entry,
	    encode_snapshot, encode_directory, build_index, encode_by_jansson};

	(void)state;
	for (size_t i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++) {
		bool has_failed = true;

		for (unsigned n = 0; has_failed; n++) {
			enum fmt_status status;

			failing_alloc_once_at(n);
			status = encoders[i]();
			has_failed = failing_alloc_once_end();
			assert_int_equal(
			    status, has_failed ? FMT_NOMEM : FMT_OK);
		}
	}
}

static void
entries_and_paths_survive_it(void **state)
{
	(void)state;
	fails_cleanly(encode_entry, 10);
	fails_cleanly(decode_entries, 20);
	fails_cleanly(decode_spaced_entries, 20);
	fails_cleanly(escape_paths, 2);
}

static void
snapshots_survive_it(void **state)
{
	(void)state;
	fails_cleanly(encode_snapshot, 20);
	fails_cleanly(decode_snapshot, 20);
}

static void
packs_and_indexes_survive_it(void **state)
{
	(void)state;
	fails_cleanly(encode_directory, 1);
	fails_cleanly(decode_directory, 1);
	fails_cleanly(build_index, 4);
	fails_cleanly(check_index, 1);
}

static int until_failure;

static void *
malloc_that_fails_once(size_t size)
{
	return until_failure-- == 0 ? NULL : malloc(size);
}

/* jansson calls a failed allocation in its scanner bad text, or drops a byte
 * of a string without a word. A list that is whole must never be called
 * damaged because memory was short for a moment. */
static void
a_single_failure_is_never_taken_for_damage(void **state)
{
	(void)state;
	json_set_alloc_funcs(malloc_that_fails_once, free);
	for (int n = 0;; n++) {
		enum fmt_status status;

		until_failure = n;
		status = decode_entries();
		assert_true(status == FMT_OK || status == FMT_NOMEM);
		if (until_failure >= 0)
			break;
	}
	for (int n = 0;; n++) {
		enum fmt_status status;

		until_failure = n;
		status = decode_spaced_entries();
		assert_true(status == FMT_OK || status == FMT_NOMEM);
		if (until_failure >= 0)
			break;
	}
	for (int n = 0;; n++) {
		enum fmt_status status;

		until_failure = n;
		status = decode_snapshot();
		assert_true(status == FMT_OK || status == FMT_NOMEM);
		if (until_failure >= 0)
			break;
	}
	json_set_alloc_funcs(malloc, free);
}

static int
make_inputs(void **state)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_pack_chunk chunk = {.stored_len = 5};

	(void)state;
	/* From here, so that they are this program's failing ones. */
	json_set_alloc_funcs(malloc, free);
	for (char path[] = "a"; path[0] < 'd'; path[0]++) {
		if (make_entry(&entry, path, path[0] == 'b' ? 520 : 2) !=
			FMT_OK ||
		    fmt_entry_encode(&entry, &list) != FMT_OK)
			return -1;
		fmt_entry_free(&entry);
	}
	for (size_t i = 0; i < list.len; i++)
		if (fmt_buf_append_byte(&spaced, list.data[i]) != FMT_OK ||
		    (list.data[i] == ',' &&
			fmt_buf_append_byte(&spaced, ' ') != FMT_OK))
			return -1;
	/* Five bytes in front of the directory stand for the frame. */
	if (fmt_buf_append(&directory, "frame", 5) != FMT_OK ||
	    fmt_pack_directory_encode(&chunk, 1, &directory) != FMT_OK ||
	    encode_snapshot_to(&snapshot_file) != FMT_OK)
		return -1;
	return build_index_to(&index_file) == FMT_OK ? 0 : -1;
}

static int
free_inputs(void **state)
{
	(void)state;
	fmt_buf_free(&list);
	fmt_buf_free(&spaced);
	fmt_buf_free(&directory);
	fmt_buf_free(&snapshot_file);
	fmt_buf_free(&index_file);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(entries_and_paths_survive_it),
	    cmocka_unit_test(snapshots_survive_it),
	    cmocka_unit_test(packs_and_indexes_survive_it),
	    cmocka_unit_test(a_piece_that_is_lost_is_told),
	    cmocka_unit_test(a_single_failure_is_never_taken_for_damage),
	};

	return cmocka_run_group_tests_name(
	    "format_nomem", tests, make_inputs, free_inputs);
}
