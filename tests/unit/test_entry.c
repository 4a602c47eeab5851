/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <malloc.h>
#include <cmocka.h>

#include "tests/unit/entry_fixture.h"

#define ID_A "00000000000000000000000000000000000000000000000000000000000000aa"

static void
the_line_is_the_one_in_the_specification(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_chunk_ref ref = {.id = {[31] = 0xaa}, .len = 5};

	(void)state;
	assert_int_equal(
	    fmt_entry_init(&entry, "files/a \"b\"%\n", "files.file"), FMT_OK);
	entry.attrs = json_pack("{s:i, s:s}", "mode", 420, "a", "x");
	entry.has_content = entry.has_sha256 = true;
	entry.size = 5;
	memset(entry.sha256, 0x11, 32);
	assert_int_equal(fmt_entry_add_chunk(&entry, &ref), FMT_OK);
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_OK);
	assert_string_equal(fmt_buf_text(&buf),
	    "{\"path\":\"files/a \\\"b\\\"%25%0A\",\"kind\":\"files.file\","
	    "\"attrs\":{\"a\":\"x\",\"mode\":420},\"size\":5,\"sha256\":"
	    "\"11111111111111111111111111111111"
	    "11111111111111111111111111111111\","
	    "\"chunks\":[[\"" ID_A "\",5]]}\n");
	fmt_entry_free(&entry);
	fmt_buf_clear(&buf);
	assert_int_equal(
	    fmt_entry_init(&entry, "files/d", "files.directory"), FMT_OK);
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_OK);
	assert_string_equal(fmt_buf_text(&buf),
	    "{\"path\":\"files/d\",\"kind\":\"files.directory\"}\n");
	fmt_entry_free(&entry);
	fmt_buf_free(&buf);
}

static void
attributes_are_written_as_jansson_writes_them(void **state)
{
	static const char *const attrs[] = {"{}",
	    "{\"z\":1,\"a\":{\"d\":[],\"c\":[1,{}]},\"m\":\"\"}",
	    "{\"t\":true,\"f\":false,\"n\":null,\"r\":1.5,\"i\":-7}",
	    "{\"s\":\"\\\"\\\\/\\u007f\\u0085\\n\\u0001\",\"\\\"k\":0}",
	    "{\"u\":\"gr\xc3\xbc\xc3\x9f\",\"max\":9223372036854775807}",
	    "{\"a\":[[[[[[[[[[[[\"deep\"]]]]]]]]]]]]}"};

	(void)state;
	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++) {
		struct fmt_entry entry = FMT_ENTRY_INIT;
		struct fmt_buf buf = FMT_BUF_INIT;
		char *expected;

		assert_int_equal(fmt_entry_init(&entry, "p", "k"), FMT_OK);
		entry.attrs = json_loads(attrs[i], 0, NULL);
		expected =
		    json_dumps(entry.attrs, JSON_COMPACT | JSON_SORT_KEYS);
		assert_non_null(expected);
		assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_OK);
		assert_non_null(strstr(fmt_buf_text(&buf), expected));
		free(expected);
		fmt_entry_free(&entry);
		fmt_buf_free(&buf);
	}
}

static void
what_no_reader_would_take_is_not_written(void **state)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_MALFORMED);
	entry_make(&entry, "p", 2);
	entry.size++;
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_MALFORMED);
	entry.size--;
	entry.attrs = json_array();
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_MALFORMED);
	json_decref(entry.attrs);
	entry.attrs = NULL;
	entry.kind[0] = '"';
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_MALFORMED);
	entry.kind[0] = 'f';
	entry.path[0] = '\0';
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_MALFORMED);
	entry.path[0] = 'p';
	assert_int_equal(buf.len, 0);
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_OK);
	fmt_entry_free(&entry);
	fmt_buf_free(&buf);
}

static void
entries_come_back_whatever_the_portions(void **state)
{
	static const size_t portions[] = {1, 2, 7, 64, 1000, 1u << 20};
	struct fmt_entry entries[4] = {
	    FMT_ENTRY_INIT, FMT_ENTRY_INIT, FMT_ENTRY_INIT, FMT_ENTRY_INIT};
	struct fmt_entry last = FMT_ENTRY_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	size_t count;

	(void)state;
	assert_int_equal(fmt_entry_init(&entries[0], "a", "x.y"), FMT_OK);
	entry_make(&entries[1], "b\n%", 0);
	entry_make(&entries[2], "b\xff", 3);
	entries[2].has_sha256 = true;
	entries[2].sha256[31] = 9;
	entry_make(&entries[3], "c", 1500);
	entries[3].attrs =
	    json_pack("{s:[i,n], s:{s:f}}", "l", 1, "o", "f", 2.5);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(fmt_entry_encode(&entries[i], &buf), FMT_OK);
	for (size_t p = 0; p < sizeof(portions) / sizeof(portions[0]); p++) {
		assert_int_equal(entry_read_all((char *)buf.data, buf.len,
				     portions[p], &count, &last),
		    FMT_OK);
		assert_int_equal(count, 4);
		entry_assert_same(&last, &entries[3]);
	}
	/* Each of them alone, and in front of nothing. */
	for (size_t i = 0; i < 4; i++) {
		fmt_buf_clear(&buf);
		assert_int_equal(fmt_entry_encode(&entries[i], &buf), FMT_OK);
		assert_int_equal(entry_read_all((char *)buf.data, buf.len, 100,
				     &count, &last),
		    FMT_OK);
		entry_assert_same(&last, &entries[i]);
		fmt_entry_free(&entries[i]);
	}
	fmt_entry_free(&last);
	fmt_buf_free(&buf);
}

static size_t
count_lines(const struct fmt_buf *buf)
{
	size_t lines = 0;

	for (size_t i = 0; i < buf->len; i++)
		lines += buf->data[i] == '\n';
	return lines;
}

static void
only_more_than_512_chunks_take_more_than_one_line(void **state)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	entry_make(&entry, "t", 512);
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_OK);
	assert_int_equal(count_lines(&buf), 1);
	fmt_entry_free(&entry);
	fmt_buf_clear(&buf);
	entry_make(&entry, "t", 513);
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_OK);
	assert_true(count_lines(&buf) >= 2);
	fmt_entry_free(&entry);
	fmt_buf_free(&buf);
}

/* How many lines of `a` are not in `b`. */
static size_t
lines_not_in(struct fmt_buf *a, struct fmt_buf *b)
{
	const char *text = fmt_buf_text(a), *in = fmt_buf_text(b);
	size_t missing = 0;

	while (*text != '\0') {
		size_t len = (size_t)(strchr(text, '\n') - text) + 1;
		const char *found = memmem(in, b->len, text, len);

		missing += found == NULL;
		text += len;
	}
	return missing;
}

static void
a_chunk_put_in_front_changes_two_lines_of_a_long_list(void **state)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_buf before = FMT_BUF_INIT, after = FMT_BUF_INIT;

	(void)state;
	entry_make(&entry, "table", 4000);
	assert_int_equal(fmt_entry_encode(&entry, &before), FMT_OK);
	memmove(entry.chunks + 1, entry.chunks,
	    3999 * sizeof(struct fmt_chunk_ref));
	entry.size = entry.size + 77 - 4000;
	entry.chunks[0].id[3] = 0xee;
	entry.chunks[0].len = 77;
	assert_int_equal(fmt_entry_encode(&entry, &after), FMT_OK);
	assert_true(count_lines(&before) > 10);
	/* The first line, and the last, which lost its last chunk. */
	assert_true(lines_not_in(&after, &before) <= 2);
	fmt_entry_free(&entry);
	fmt_buf_free(&before);
	fmt_buf_free(&after);
}

static void
lists_are_cut_about_every_256_lines_or_64_kib(void **state)
{
	char *line = malloc(65536 * 2);
	size_t cuts = 0;

	(void)state;
	assert_non_null(line);
	for (int i = 0; i < 256 * 200; i++) {
		int len = snprintf(line, 256, "{\"path\":\"files/%d\"}\n", i);

		cuts += fmt_entry_is_boundary(line, (size_t)len);
	}
	assert_in_range(cuts, 140, 260);
	cuts = 0;
	memset(line, 'x', 65536 * 2);
	for (int i = 0; i < 400; i++) {
		snprintf(line, 256, "%d", i);
		cuts += fmt_entry_is_boundary(line, 16384);
	}
	assert_in_range(cuts, 60, 140);
	assert_true(fmt_entry_is_boundary(line, 65536));
	assert_true(fmt_entry_is_boundary(line, 65536 * 2));
	free(line);
}

/* A reader that kept what it has given out would hold 30 MB here. */
static void
a_long_list_is_read_in_little_memory(void **state)
{
	struct fmt_entry_reader *reader;
	struct fmt_buf line = FMT_BUF_INIT;
	size_t before = mallinfo2().uordblks;
	char path[32];
	bool have;

	(void)state;
	assert_int_equal(fmt_entry_reader_new(&reader), FMT_OK);
	for (int i = 0; i < 100000; i++) {
		struct fmt_entry entry = FMT_ENTRY_INIT;

		snprintf(path, sizeof(path), "bucket/%08d", i);
		entry_make(&entry, path, 2);
		fmt_buf_clear(&line);
		assert_int_equal(fmt_entry_encode(&entry, &line), FMT_OK);
		fmt_entry_free(&entry);
		assert_int_equal(
		    fmt_entry_reader_feed(reader, line.data, line.len), FMT_OK);
		assert_int_equal(
		    fmt_entry_reader_next(reader, &entry, &have), FMT_OK);
		assert_true(have);
		assert_string_equal(entry.path, path);
		fmt_entry_free(&entry);
	}
	assert_true(mallinfo2().uordblks < before + 64 * 1024);
	fmt_entry_reader_free(reader);
	fmt_buf_free(&line);
}

struct seen {
	size_t lines, firsts, refs;
	char paths[64];
};

static enum fmt_status
note_refs(void *arg, const char *path, bool is_first,
    const struct fmt_chunk_ref *refs, size_t count)
{
	struct seen *seen = arg;

	seen->lines++;
	seen->firsts += is_first;
	seen->refs += count;
	if (count > 0)
		assert_int_equal(refs[count - 1].len, 7);
	(void)strncat(seen->paths, path, 15);
	return strcmp(path, "stop") == 0 ? FMT_LIMIT : FMT_OK;
}

static void
what_a_part_of_a_list_refers_to_is_told_line_by_line(void **state)
{
	/* It begins amid an entry. */
	static const char lines[] =
	    "{\"path\":\"a\",\"chunks\":[[\"" ID_A "\",7],[\"" ID_A "\",7]],"
	    "\"more\":true}\n"
	    "{\"path\":\"a\",\"chunks\":[[\"" ID_A "\",7]]}\n"
	    "{\"path\":\"b\",\"kind\":\"files.directory\"}\n"
	    "{\"path\":\"c\",\"kind\":\"files.file\",\"size\":7,"
	    "\"chunks\":[[\"" ID_A "\",7]]}\n";
	static const char stop[] = "{\"path\":\"stop\",\"kind\":\"x\"}\n"
				   "{\"path\":\"z\",\"kind\":\"x\"}\n";
	struct seen seen = {0};

	(void)state;
	assert_int_equal(
	    fmt_entry_refs(lines, strlen(lines), note_refs, &seen), FMT_OK);
	assert_int_equal(seen.lines, 4);
	assert_int_equal(seen.firsts, 2);
	assert_int_equal(seen.refs, 4);
	assert_string_equal(seen.paths, "aabc");
	assert_int_equal(fmt_entry_refs("", 0, note_refs, &seen), FMT_OK);
	assert_int_equal(
	    fmt_entry_refs(stop, strlen(stop), note_refs, &seen), FMT_LIMIT);
	assert_int_equal(seen.lines, 5);
	assert_int_equal(
	    fmt_entry_refs(lines, strlen(lines) - 1, note_refs, &seen),
	    FMT_TRUNCATED);
	assert_int_equal(
	    fmt_entry_refs("{}\n", 3, note_refs, &seen), FMT_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_line_is_the_one_in_the_specification),
	    cmocka_unit_test(what_no_reader_would_take_is_not_written),
	    cmocka_unit_test(entries_come_back_whatever_the_portions),
	    cmocka_unit_test(only_more_than_512_chunks_take_more_than_one_line),
	    cmocka_unit_test(
		a_chunk_put_in_front_changes_two_lines_of_a_long_list),
	    cmocka_unit_test(attributes_are_written_as_jansson_writes_them),
	    cmocka_unit_test(
		what_a_part_of_a_list_refers_to_is_told_line_by_line),
	    cmocka_unit_test(lists_are_cut_about_every_256_lines_or_64_kib),
	    cmocka_unit_test(a_long_list_is_read_in_little_memory),
	};

	return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}
