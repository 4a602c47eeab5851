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

#include "formats/entry.h"

#define ID_A "00000000000000000000000000000000000000000000000000000000000000aa"
#define LIMIT ((size_t)16 * 1024 * 1024)

static void
assert_escapes(const char *path, const char *text)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	assert_int_equal(fmt_path_escape(path, &buf), FMT_OK);
	assert_string_equal(fmt_buf_text(&buf), text);
	fmt_buf_clear(&buf);
	assert_int_equal(fmt_path_unescape(text, strlen(text), &buf), FMT_OK);
	assert_string_equal(fmt_buf_text(&buf), path);
	fmt_buf_free(&buf);
}

static void
paths_are_escaped_and_come_back(void **state)
{
	(void)state;
	assert_escapes("", "");
	assert_escapes("files/etc/app.conf", "files/etc/app.conf");
	assert_escapes("100%", "100%25");
	assert_escapes("a\"b\\c", "a\"b\\c");
	assert_escapes("tab\there\n\x7f", "tab%09here%0A%7F");
	assert_escapes("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	assert_escapes("\xc2\x85\xc2\xa0", "%C2%85\xc2\xa0");
	assert_escapes("latin1 \xfc end", "latin1 %FC end");
	assert_escapes("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
}

static void
what_only_looks_like_utf8_is_escaped(void **state)
{
	(void)state;
	assert_escapes("\xc0\xaf", "%C0%AF");               /* over-long */
	assert_escapes("\xe0\x9f\xbf", "%E0%9F%BF");        /* over-long */
	assert_escapes("\xf0\x8f\xbf\xbf", "%F0%8F%BF%BF"); /* over-long */
	assert_escapes("\xed\xa0\x80", "%ED%A0%80");        /* surrogate */
	assert_escapes("\xf4\x90\x80\x80", "%F4%90%80%80"); /* > 10FFFF */
	assert_escapes("\xe2\x82", "%E2%82");               /* cut */
	assert_escapes("\xe2\x82z", "%E2%82z");
	assert_escapes("\x80", "%80");
}

static void
every_byte_survives_alone_and_between_others(void **state)
{
	(void)state;
	for (int a = 1; a < 256; a++)
		for (int b = 1; b < 256; b++) {
			char path[] = {(char)a, (char)b, 'x', (char)a, 0};
			struct fmt_buf text = FMT_BUF_INIT, back = FMT_BUF_INIT;

			assert_int_equal(fmt_path_escape(path, &text), FMT_OK);
			assert_int_equal(fmt_path_unescape((char *)text.data,
					     text.len, &back),
			    FMT_OK);
			assert_string_equal(fmt_buf_text(&back), path);
			fmt_buf_free(&text);
			fmt_buf_free(&back);
		}
}

static void
wrong_escapes_are_malformed_and_append_nothing(void **state)
{
	static const char *const wrong[] = {
	    "%", "a%2", "a%zz", "%00", "%%", "ok%20%", "% 1"};
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_buf_append_text(&buf, "kept"), FMT_OK);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(
		    fmt_path_unescape(wrong[i], strlen(wrong[i]), &buf),
		    FMT_MALFORMED);
	assert_int_equal(fmt_path_unescape("a\0b", 3, &buf), FMT_MALFORMED);
	assert_int_equal(buf.len, 4);
	fmt_buf_free(&buf);
}

static void
order_is_by_unsigned_bytes(void **state)
{
	(void)state;
	assert_true(fmt_entry_compare("a", "b") < 0);
	assert_true(fmt_entry_compare("a\x7f", "a\x80") < 0);
	assert_true(fmt_entry_compare("a", "a/b") < 0);
	assert_true(fmt_entry_compare("a b", "a/b") < 0);
	assert_int_equal(fmt_entry_compare("same", "same"), 0);
}

/* An entry with `count` chunks of 1, 2, 3... bytes. */
static void
make_entry(struct fmt_entry *entry, const char *path, size_t count)
{
	assert_int_equal(fmt_entry_init(entry, path, "files.file"), FMT_OK);
	entry->has_content = true;
	for (size_t i = 0; i < count; i++) {
		struct fmt_chunk_ref ref = {.len = (uint32_t)i + 1};

		memcpy(ref.id, &i, sizeof(i));
		ref.id[FMT_ID_SIZE - 1] = (unsigned char)(i * 7 + 1);
		entry->size += ref.len;
		assert_int_equal(fmt_entry_add_chunk(entry, &ref), FMT_OK);
	}
}

static void
assert_same(const struct fmt_entry *a, const struct fmt_entry *b)
{
	assert_string_equal(a->path, b->path);
	assert_string_equal(a->kind, b->kind);
	assert_int_equal(a->attrs == NULL, b->attrs == NULL);
	if (a->attrs != NULL)
		assert_true(json_equal(a->attrs, b->attrs));
	assert_int_equal(a->has_content, b->has_content);
	assert_int_equal(a->has_sha256, b->has_sha256);
	assert_int_equal(a->size, b->size);
	if (a->has_sha256)
		assert_memory_equal(a->sha256, b->sha256, 32);
	assert_int_equal(a->chunk_count, b->chunk_count);
	for (size_t i = 0; i < a->chunk_count; i++) {
		assert_memory_equal(a->chunks[i].id, b->chunks[i].id, 32);
		assert_int_equal(a->chunks[i].len, b->chunks[i].len);
	}
}

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
	make_entry(&entry, "p", 2);
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

/* Reads all of `text`, fed `portion` bytes at a time; the status that ended
 * it, and in *count the entries before that. */
static enum fmt_status
read_all(const char *text, size_t len, size_t portion, size_t *count,
    struct fmt_entry *last)
{
	struct fmt_entry_reader *reader;
	enum fmt_status status = FMT_OK;
	bool have;

	*count = 0;
	assert_int_equal(fmt_entry_reader_new(&reader), FMT_OK);
	for (size_t pos = 0; status == FMT_OK; pos += portion) {
		size_t left = len - pos;

		if (left <= portion) {
			status =
			    fmt_entry_reader_feed(reader, text + pos, left);
			if (status == FMT_OK)
				status = fmt_entry_reader_finish(reader);
		} else {
			status =
			    fmt_entry_reader_feed(reader, text + pos, portion);
		}
		for (have = true; status == FMT_OK && have;) {
			struct fmt_entry entry = FMT_ENTRY_INIT;

			status = fmt_entry_reader_next(reader, &entry, &have);
			if (status != FMT_OK || !have)
				break;
			++*count;
			if (last != NULL) {
				fmt_entry_free(last);
				*last = entry;
			} else {
				fmt_entry_free(&entry);
			}
		}
		if (left <= portion)
			break;
	}
	fmt_entry_reader_free(reader);
	return status;
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
	make_entry(&entries[1], "b\n%", 0);
	make_entry(&entries[2], "b\xff", 3);
	entries[2].has_sha256 = true;
	entries[2].sha256[31] = 9;
	make_entry(&entries[3], "c", 1500);
	entries[3].attrs =
	    json_pack("{s:[i,n], s:{s:f}}", "l", 1, "o", "f", 2.5);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(fmt_entry_encode(&entries[i], &buf), FMT_OK);
	for (size_t p = 0; p < sizeof(portions) / sizeof(portions[0]); p++) {
		assert_int_equal(read_all((char *)buf.data, buf.len,
				     portions[p], &count, &last),
		    FMT_OK);
		assert_int_equal(count, 4);
		assert_same(&last, &entries[3]);
	}
	/* Each of them alone, and in front of nothing. */
	for (size_t i = 0; i < 4; i++) {
		fmt_buf_clear(&buf);
		assert_int_equal(fmt_entry_encode(&entries[i], &buf), FMT_OK);
		assert_int_equal(
		    read_all((char *)buf.data, buf.len, 100, &count, &last),
		    FMT_OK);
		assert_same(&last, &entries[i]);
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
	make_entry(&entry, "t", 512);
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_OK);
	assert_int_equal(count_lines(&buf), 1);
	fmt_entry_free(&entry);
	fmt_buf_clear(&buf);
	make_entry(&entry, "t", 513);
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
	make_entry(&entry, "table", 4000);
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
assert_list(const char *text, enum fmt_status expected)
{
	static const size_t portions[] = {1, 1u << 20};
	size_t count;

	for (size_t p = 0; p < 2; p++) {
		enum fmt_status status =
		    read_all(text, strlen(text), portions[p], &count, NULL);

		if (status != expected)
			print_error("%s: %s\n", text, fmt_status_text(status));
		assert_int_equal(status, expected);
	}
}

static void
wrong_types_and_values_are_malformed(void **state)
{
	static const char *const wrong[] = {"\n", "{}\n", "[]\n", "null\n",
	    "{\"path\":1,\"kind\":\"k\"}\n", "{\"path\":\"\",\"kind\":\"k\"}\n",
	    "{\"path\":\"%0\",\"kind\":\"k\"}\n",
	    "{\"path\":\"a\\u0000b\",\"kind\":\"k\"}\n",
	    "{\"path\":\"a\",\"path\":\"a\",\"kind\":\"k\"}\n",
	    "{\"path\":\"a\"}\n", "{\"path\":\"a\",\"kind\":\"\"}\n",
	    "{\"path\":\"a\",\"kind\":\"k k\"}\n",
	    "{\"path\":\"a\",\"kind\":7}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"attrs\":[]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"attrs\":null}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":-1}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":1.0}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":\"1\"}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":99999999999999999999}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":1}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"chunks\":[]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"sha256\":\"" ID_A "\"}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,\"sha256\":\"00\"}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,\"chunks\":{}}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,\"more\":1}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,\"more\":true}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":0,"
	    "\"chunks\":[[\"" ID_A "\",0]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":4,"
	    "\"chunks\":[[\"" ID_A "\",5]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":6,"
	    "\"chunks\":[[\"" ID_A "\",5]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":5,"
	    "\"chunks\":[[\"" ID_A "\",5,1]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":5,"
	    "\"chunks\":[[\"zz\",5]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\",\"size\":4294967296,"
	    "\"chunks\":[[\"" ID_A "\",4294967296]]}\n",
	    "{\"path\":\"a\",\"kind\":\"k\"} x\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_list(wrong[i], FMT_MALFORMED);
	assert_list("{\"path\":\"a\",\"kind\":\"k\"}\n", FMT_OK);
	assert_list("{\"path\":\"a\",\"kind\":\"k\",\"size\":5,"
		    "\"chunks\":[[\"" ID_A "\",5]],\"more\":false}\n",
	    FMT_OK);
}

/* Reads the one entry of a line that is `front` and `rest`. */
static enum fmt_status
read_one(const char *front, const char *rest, struct fmt_entry *entry)
{
	struct fmt_buf line = FMT_BUF_INIT;
	enum fmt_status status;
	size_t count;

	assert_int_equal(fmt_buf_append_text(&line, front), FMT_OK);
	assert_int_equal(fmt_buf_append_text(&line, rest), FMT_OK);
	status = read_all(
	    (const char *)line.data, line.len, line.len, &count, entry);
	fmt_buf_free(&line);
	return status;
}

/* Lines as our writer has them are not read by what reads all others. */
static void
white_space_changes_nothing(void **state)
{
	static const char *const attrs[] = {"{}", "{\"\":\"\"}",
	    ("{\"a\":{\"b\":[[],{},1,\"x\"]},\"c\":true,\"d\":false,"
	     "\"e\":null}"),
	    "{\"a\":\"\\\"\\\\gr\xc3\xbc\xc3\x9f\x7f\",\"\\\"\":0}",
	    "{\"b\":1,\"a\":2}", "{\"a\":1,\"a\":2}", "{\"a\":01}",
	    "{\"a\":-1}", "{\"a\":1.5}", "{\"a\":1e3}",
	    "{\"a\":\"\\n\\u00e9\"}", "{\"a\":\"\\q\"}", "{\"a\":\"\t\"}",
	    "{\"a\":\"\xc3\"}", "{\"a\":\"\xed\xa0\x80\"}",
	    "{\"a\":\"\\u0000\"}", "{\"a\":999999999999999999}",
	    "{\"a\":9223372036854775807}", "{\"a\":9223372036854775808}",
	    "{\"a\":}", "{\"a\"}", "{\"a\":1,}", "{,}", "{\"a\":[1,]}",
	    "{\"a\":[1}", "{\"a\":tru}", "{\"a\":1", "[1]", "null", "1",
	    "{\"a\":\"", "{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}"};
	size_t good = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++) {
		struct fmt_entry plain = FMT_ENTRY_INIT, spaced = plain;
		char rest[512];
		enum fmt_status status;

		snprintf(rest, sizeof(rest),
		    "\"path\":\"a\\\"%%25\",\"kind\":\"k\",\"attrs\":%s,"
		    "\"size\":5,\"sha256\":\"" ID_A "\",\"chunks\":[[\"" ID_A
		    "\",5]]}\n",
		    attrs[i]);
		status = read_one("{", rest, &plain);
		assert_int_equal(read_one("{ ", rest, &spaced), status);
		if (status == FMT_OK) {
			assert_same(&plain, &spaced);
			good++;
		}
		fmt_entry_free(&plain);
		fmt_entry_free(&spaced);
	}
	assert_int_equal(good, 12);
}

static void
keys_of_a_later_version_are_ignored(void **state)
{
	(void)state;
	assert_list("{\"path\":\"a\",\"kind\":\"k\",\"new\":[1,{}]}\n", FMT_OK);
}

static void
entries_out_of_order_or_twice_are_malformed(void **state)
{
	(void)state;
	assert_list("{\"path\":\"a\",\"kind\":\"k\"}\n"
		    "{\"path\":\"b\",\"kind\":\"k\"}\n",
	    FMT_OK);
	assert_list("{\"path\":\"b\",\"kind\":\"k\"}\n"
		    "{\"path\":\"a\",\"kind\":\"k\"}\n",
	    FMT_MALFORMED);
	assert_list("{\"path\":\"a\",\"kind\":\"k\"}\n"
		    "{\"path\":\"%61\",\"kind\":\"k\"}\n",
	    FMT_MALFORMED);
}

#define FIRST                                                                  \
	"{\"path\":\"a\",\"kind\":\"k\",\"size\":10,"                          \
	"\"chunks\":[[\"" ID_A "\",5]],\"more\":true}\n"
#define REST "{\"path\":\"a\",\"chunks\":[[\"" ID_A "\",5]]}\n"
#define OTHER "{\"path\":\"b\",\"kind\":\"k\"}\n"

static void
lines_of_one_entry_belong_together(void **state)
{
	(void)state;
	assert_list(FIRST REST, FMT_OK);
	assert_list(FIRST REST OTHER, FMT_OK);
	assert_list(FIRST, FMT_TRUNCATED);
	assert_list(FIRST OTHER, FMT_MALFORMED);
	assert_list(FIRST REST REST, FMT_MALFORMED);
	assert_list(OTHER REST, FMT_MALFORMED);
	assert_list(REST, FMT_MALFORMED);
	assert_list(FIRST "{\"path\":\"b\",\"chunks\":[[\"" ID_A "\",5]]}\n",
	    FMT_MALFORMED);
	assert_list(FIRST "{\"path\":\"a\",\"chunks\":[]}\n", FMT_MALFORMED);
	assert_list(FIRST "{\"path\":\"a\",\"chunks\":[[\"" ID_A "\",4]]}\n",
	    FMT_MALFORMED);
}

static void
a_list_cut_inside_a_line_is_truncated(void **state)
{
	static const char text[] = OTHER;
	size_t count;

	(void)state;
	for (size_t len = 1; len < sizeof(text) - 1; len++)
		assert_int_equal(
		    read_all(text, len, 1000, &count, NULL), FMT_TRUNCATED);
	assert_int_equal(read_all(text, 0, 1000, &count, NULL), FMT_OK);
	assert_int_equal(count, 0);
}

static void
reading_may_start_inside_an_entry_where_that_is_said(void **state)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_entry_reader *reader;
	bool have = false;

	(void)state;
	assert_int_equal(fmt_entry_reader_new(&reader), FMT_OK);
	fmt_entry_reader_start_inside(reader);
	assert_int_equal(fmt_entry_reader_feed(reader, REST REST OTHER REST,
			     strlen(REST REST OTHER REST)),
	    FMT_OK);
	assert_int_equal(fmt_entry_reader_next(reader, &entry, &have), FMT_OK);
	assert_true(have);
	assert_string_equal(entry.path, "b");
	fmt_entry_free(&entry);
	assert_int_equal(
	    fmt_entry_reader_next(reader, &entry, &have), FMT_MALFORMED);
	fmt_entry_reader_free(reader);
}

static void
a_reader_that_failed_stays_failed(void **state)
{
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_entry_reader *reader;
	bool have;

	(void)state;
	assert_int_equal(fmt_entry_reader_new(&reader), FMT_OK);
	assert_int_equal(
	    fmt_entry_reader_feed(reader, "x\n" OTHER, 27), FMT_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fmt_entry_reader_next(reader, &entry, &have),
		    FMT_MALFORMED);
	assert_int_equal(
	    fmt_entry_reader_feed(reader, OTHER, 25), FMT_MALFORMED);
	assert_int_equal(fmt_entry_reader_finish(reader), FMT_MALFORMED);
	fmt_entry_reader_free(reader);
}

static void
a_line_without_end_is_beyond_the_limit(void **state)
{
	struct fmt_entry_reader *reader;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	char *spaces = malloc(LIMIT);
	bool have;

	(void)state;
	assert_non_null(spaces);
	memset(spaces, ' ', LIMIT);
	assert_int_equal(fmt_entry_reader_new(&reader), FMT_OK);
	assert_int_equal(
	    fmt_entry_reader_feed(reader, spaces, LIMIT - 1), FMT_OK);
	assert_int_equal(fmt_entry_reader_next(reader, &entry, &have), FMT_OK);
	assert_false(have);
	assert_int_equal(fmt_entry_reader_feed(reader, spaces, 1), FMT_OK);
	assert_int_equal(
	    fmt_entry_reader_next(reader, &entry, &have), FMT_LIMIT);
	fmt_entry_reader_free(reader);
	/* And no such line is written. */
	assert_int_equal(fmt_entry_init(&entry, "p", "k"), FMT_OK);
	spaces[LIMIT - 1] = '\0';
	entry.attrs = json_pack("{s:s}", "long", spaces);
	assert_int_equal(fmt_entry_encode(&entry, &buf), FMT_LIMIT);
	assert_int_equal(buf.len, 0);
	fmt_buf_free(&buf);
	fmt_entry_free(&entry);
	free(spaces);
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
		make_entry(&entry, path, 2);
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
	    cmocka_unit_test(paths_are_escaped_and_come_back),
	    cmocka_unit_test(what_only_looks_like_utf8_is_escaped),
	    cmocka_unit_test(every_byte_survives_alone_and_between_others),
	    cmocka_unit_test(wrong_escapes_are_malformed_and_append_nothing),
	    cmocka_unit_test(order_is_by_unsigned_bytes),
	    cmocka_unit_test(the_line_is_the_one_in_the_specification),
	    cmocka_unit_test(what_no_reader_would_take_is_not_written),
	    cmocka_unit_test(entries_come_back_whatever_the_portions),
	    cmocka_unit_test(only_more_than_512_chunks_take_more_than_one_line),
	    cmocka_unit_test(
		a_chunk_put_in_front_changes_two_lines_of_a_long_list),
	    cmocka_unit_test(wrong_types_and_values_are_malformed),
	    cmocka_unit_test(white_space_changes_nothing),
	    cmocka_unit_test(attributes_are_written_as_jansson_writes_them),
	    cmocka_unit_test(keys_of_a_later_version_are_ignored),
	    cmocka_unit_test(entries_out_of_order_or_twice_are_malformed),
	    cmocka_unit_test(lines_of_one_entry_belong_together),
	    cmocka_unit_test(a_list_cut_inside_a_line_is_truncated),
	    cmocka_unit_test(
		what_a_part_of_a_list_refers_to_is_told_line_by_line),
	    cmocka_unit_test(
		reading_may_start_inside_an_entry_where_that_is_said),
	    cmocka_unit_test(a_reader_that_failed_stays_failed),
	    cmocka_unit_test(a_line_without_end_is_beyond_the_limit),
	    cmocka_unit_test(lists_are_cut_about_every_256_lines_or_64_kib),
	    cmocka_unit_test(a_long_list_is_read_in_little_memory),
	};

	return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}
