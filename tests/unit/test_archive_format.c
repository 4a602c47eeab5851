/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "formats/archive.h"
#include "formats/sign.h"

static const unsigned char seed[32] = {7};

/* ---- places and trailer ---- */

static struct fmt_chunk_ref
ref_at(uint64_t frame, uint32_t frame_len, uint32_t offset, uint32_t len)
{
	struct fmt_archive_place place = {
	    .frame = frame, .frame_len = frame_len, .offset = offset};
	struct fmt_chunk_ref ref = {.len = len};

	memset(place.digest, 0xd1, sizeof(place.digest));
	fmt_archive_place_encode(&place, ref.id);
	return ref;
}

static void
a_place_is_what_it_was(void **state)
{
	struct fmt_chunk_ref ref =
	    ref_at(UINT64_C(0x1122334455667788), 0x99aabbcc, 0xddeeff01, 5);
	struct fmt_archive_place place;

	(void)state;
	fmt_archive_place_decode(ref.id, &place);
	assert_true(place.frame == UINT64_C(0x1122334455667788));
	assert_int_equal(place.frame_len, 0x99aabbcc);
	assert_int_equal(place.offset, 0xddeeff01);
	assert_int_equal(place.digest[15], 0xd1);
	assert_int_equal(ref.id[0], 0x88);
}

static void
a_trailer_names_the_manifest(void **state)
{
	struct fmt_chunk_ref ref = ref_at(100, 50, 3, 40), got;
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_archive_trailer_encode(&ref, &out), FMT_OK);
	assert_int_equal(out.len, FMT_ARCHIVE_TRAILER);
	assert_int_equal(
	    fmt_archive_trailer_decode(out.data, 150 + out.len, &got), FMT_OK);
	assert_memory_equal(&got, &ref, sizeof(ref));
	fmt_buf_free(&out);
}

static void
a_trailer_that_points_beyond_the_payload_is_malformed(void **state)
{
	struct fmt_chunk_ref ref = ref_at(100, 50, 3, 40), got;
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_archive_trailer_encode(&ref, &out), FMT_OK);
	assert_int_equal(
	    fmt_archive_trailer_decode(out.data, 149 + out.len, &got),
	    FMT_MALFORMED);
	assert_int_equal(
	    fmt_archive_trailer_decode(out.data, 55, &got), FMT_MALFORMED);
	fmt_buf_free(&out);
}

static void
a_changed_trailer_is_refused(void **state)
{
	struct fmt_chunk_ref ref = ref_at(0, 50, 0, 40), got;
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_archive_trailer_encode(&ref, &out), FMT_OK);
	out.data[44] = 2;
	assert_int_equal(
	    fmt_archive_trailer_decode(out.data, 150 + out.len, &got),
	    FMT_UNSUPPORTED);
	out.data[44] = 1;
	out.data[55] = 0;
	assert_int_equal(
	    fmt_archive_trailer_decode(out.data, 150 + out.len, &got),
	    FMT_MALFORMED);
	fmt_buf_free(&out);
}

/* ---- manifest ---- */

static struct fmt_chunk_ref lists[2];
static struct fmt_archive_source sources[2];

static struct fmt_archive_manifest
example(void)
{
	static char path[] = "files/\xff";
	static char first[] = "files/a", second[] = "postgres/app";
	struct fmt_archive_manifest manifest = {.created_us = -5,
	    .path = path,
	    .record = ref_at(10, 20, 30, 40),
	    .sources = sources,
	    .source_count = 2};

	lists[0] = ref_at(1, 2, 3, 4);
	lists[1] = ref_at(5, 6, 7, 8);
	sources[0] = (struct fmt_archive_source){first, 3, 4, lists, 2};
	sources[1] = (struct fmt_archive_source){second, 0, 0, lists, 0};
	memset(manifest.repository, 'a', 32);
	memset(manifest.snapshot, 'b', 64);
	memset(manifest.entries_sha256, 1, 32);
	memset(manifest.sums_sha256, 2, 32);
	return manifest;
}

static void
a_manifest_is_what_it_was_and_says_who_signed(void **state)
{
	struct fmt_archive_manifest manifest = example(), got;
	unsigned char public_key[32];
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(
	    fmt_archive_manifest_encode(&manifest, seed, &out), FMT_OK);
	assert_int_equal(
	    fmt_archive_manifest_decode(out.data, out.len, &got), FMT_OK);
	assert_string_equal(got.repository, manifest.repository);
	assert_string_equal(got.snapshot, manifest.snapshot);
	assert_true(got.created_us == -5);
	assert_string_equal(got.path, manifest.path);
	assert_memory_equal(&got.record, &manifest.record, sizeof(got.record));
	assert_memory_equal(got.sums_sha256, manifest.sums_sha256, 32);
	assert_int_equal(got.source_count, 2);
	assert_string_equal(got.sources[0].prefix, "files/a");
	assert_int_equal(got.sources[0].bytes, 4);
	assert_memory_equal(got.sources[0].list, lists, sizeof(lists));
	assert_int_equal(got.sources[1].list_count, 0);
	assert_int_equal(fmt_sign_public(seed, public_key), FMT_OK);
	assert_memory_equal(got.signer, public_key, 32);
	fmt_archive_manifest_free(&got);
	fmt_buf_free(&out);
}

static void
a_manifest_with_any_byte_changed_is_refused(void **state)
{
	struct fmt_archive_manifest manifest = example(), got;
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(
	    fmt_archive_manifest_encode(&manifest, seed, &out), FMT_OK);
	for (size_t i = 0; i < out.len; i++) {
		out.data[i] ^= 1;
		assert_int_not_equal(
		    fmt_archive_manifest_decode(out.data, out.len, &got),
		    FMT_OK);
		out.data[i] ^= 1;
		assert_int_not_equal(
		    fmt_archive_manifest_decode(out.data, i, &got), FMT_OK);
	}
	fmt_buf_free(&out);
}

static void
sources_out_of_order_are_malformed(void **state)
{
	struct fmt_archive_manifest manifest = example(), got;
	struct fmt_archive_source first;
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	first = sources[0];
	sources[0] = sources[1];
	sources[1] = first;
	assert_int_equal(
	    fmt_archive_manifest_encode(&manifest, seed, &out), FMT_OK);
	assert_int_equal(fmt_archive_manifest_decode(out.data, out.len, &got),
	    FMT_MALFORMED);
	fmt_buf_free(&out);
}

/* ---- names ---- */

/* Checks the name of the last of some paths; a folder begins with ">" here. */
static void
name_is(const char *const *paths, const char *expected)
{
	struct fmt_archive_names *names;
	struct fmt_buf out = FMT_BUF_INIT, back = FMT_BUF_INIT;
	const char *path = NULL;

	assert_int_equal(fmt_archive_names_new(&names), FMT_OK);
	for (; *paths != NULL; paths++) {
		path = *paths + (**paths == '>');
		fmt_buf_clear(&out);
		assert_int_equal(
		    fmt_archive_names_next(names, path, **paths == '>', &out),
		    FMT_OK);
	}
	assert_non_null(fmt_buf_text(&out));
	assert_string_equal((const char *)out.data, expected);
	assert_int_equal(
	    fmt_archive_name_decode((const char *)out.data, out.len, &back),
	    FMT_OK);
	assert_non_null(fmt_buf_text(&back));
	assert_string_equal((const char *)back.data, path);
	fmt_buf_free(&out);
	fmt_buf_free(&back);
	fmt_archive_names_free(names);
}

#define NAME_IS(expected, ...)                                                 \
	name_is((const char *const[]){__VA_ARGS__, NULL}, expected)

static void
a_plain_path_is_its_own_name(void **state)
{
	(void)state;
	NAME_IS("files/a/b c/d.txt", "files/a/b c/d.txt");
	NAME_IS("files/k\xc3\xa4se", "files/k\xc3\xa4se");
}

static void
what_a_file_system_does_not_take_is_escaped(void **state)
{
	(void)state;
	NAME_IS("b/50%25\\%0A%FF", "b/50%\\\n\xff");
	NAME_IS("b/%2E/%2E%2E/...", "b/./../...");
	NAME_IS("b/a%2F", "b/a/");
	NAME_IS("b/a/%2Fc", "b/a//c");
	NAME_IS("b/a/%2F", "b/a//");
	NAME_IS("%2Fa", "/a");
}

static void
nothing_lies_below_an_entry_with_content(void **state)
{
	(void)state;
	NAME_IS("b/a%2Fb", "b/a", "b/a/b");
	NAME_IS("b/a%2Fb%2Fc", "b/a", "b/a/b", "b/a/b/c");
	NAME_IS("b/a%2Fb", "b/a", "b/a!", "b/a!!", "b/a-x", "b/a/b");
	NAME_IS("b/a%2Fb/c", "b/a", "b/a.txt", "b/a/b/c");
}

static void
entries_lie_below_folders_and_beside_others(void **state)
{
	(void)state;
	NAME_IS("f/a/b", ">f/a", "f/a/b");
	NAME_IS("f/ab/c", "f/a", "f/ab/c");
	NAME_IS("f/b/c", "f/a", "f/b/c");
}

static void
a_long_component_is_broken_between_characters(void **state)
{
	char path[800], expected[800];

	(void)state;
	memset(path, 'x', 251);
	path[251] = '\0';
	memset(expected, 'x', 250);
	strcpy(expected + 250, "%/x");
	NAME_IS(expected, path);
	memset(path, 'x', 249);
	strcpy(path + 249, "\xc3\xa4z");
	strcpy(expected + 249, "%/\xc3\xa4z");
	NAME_IS(expected, path);
	strcpy(path + 249, "x..");
	strcpy(expected + 249, "x%/%2E.");
	NAME_IS(expected, path);
	strcpy(path + 249, "%z");
	strcpy(expected + 249, "%/%25z");
	NAME_IS(expected, path);
}

static void
a_sum_is_written_as_sha256sum_writes_it(void **state)
{
	unsigned char sha256[32];
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	memset(sha256, 0xab, sizeof(sha256));
	assert_int_equal(fmt_archive_sum(sha256, "a b", &out), FMT_OK);
	assert_int_equal(out.len, 64 + 2 + 3 + 1);
	assert_memory_equal(out.data, "abab", 4);
	assert_memory_equal(out.data + 64, "  a b\n", 6);
	fmt_buf_clear(&out);
	assert_int_equal(fmt_archive_sum(sha256, "a\\b", &out), FMT_OK);
	assert_int_equal(out.data[0], '\\');
	assert_memory_equal(out.data + 65, "  a\\\\b\n", 7);
	fmt_buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_place_is_what_it_was),
	    cmocka_unit_test(a_trailer_names_the_manifest),
	    cmocka_unit_test(
		a_trailer_that_points_beyond_the_payload_is_malformed),
	    cmocka_unit_test(a_changed_trailer_is_refused),
	    cmocka_unit_test(a_manifest_is_what_it_was_and_says_who_signed),
	    cmocka_unit_test(a_manifest_with_any_byte_changed_is_refused),
	    cmocka_unit_test(sources_out_of_order_are_malformed),
	    cmocka_unit_test(a_plain_path_is_its_own_name),
	    cmocka_unit_test(what_a_file_system_does_not_take_is_escaped),
	    cmocka_unit_test(nothing_lies_below_an_entry_with_content),
	    cmocka_unit_test(entries_lie_below_folders_and_beside_others),
	    cmocka_unit_test(a_long_component_is_broken_between_characters),
	    cmocka_unit_test(a_sum_is_written_as_sha256sum_writes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
