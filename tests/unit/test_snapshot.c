/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/sign.h"
#include "formats/snapshot.h"

static const unsigned char seed[32] = "thirty-two bytes of a signing ke";

static char *
copy(const char *text)
{
	char *made = strdup(text);

	assert_non_null(made);
	return made;
}

static void
make_snapshot(struct fmt_snapshot *s)
{
	*s = (struct fmt_snapshot)FMT_SNAPSHOT_INIT;
	memset(s->repository, 'a', 32);
	memset(s->previous, 'b', 64);
	memset(s->session, 'c', 32);
	s->seen = calloc(2, sizeof(*s->seen));
	s->seen_count = 2;
	memset(s->seen[0], 'b', 64);
	memset(s->seen[1], 'd', 64);
	s->roster = 9;
	s->checkpoint = 10;
	s->erasures = 11;
	s->host = copy("db1");
	s->time_us = 1700000000123456;
	s->finished_us = 1700000100000000;
	s->sequence = 7;
	s->tags = calloc(2, sizeof(*s->tags));
	s->tags[0] = copy("nightly");
	s->tags[1] = copy("\xc3\xbc\"");
	s->tag_count = 2;
	s->omissions =
	    json_pack("[{s:s,s:s}]", "path", "files/x", "reason", "unreadable");
	s->stored_bytes = 12345;
	s->new_chunks = 3;
	s->known_chunks = 4;
	s->sources = calloc(2, sizeof(*s->sources));
	s->source_count = 2;
	s->sources[0].prefix = copy("bucket/up%\xff");
	s->sources[0].kind = copy("bucket");
	s->sources[1].prefix = copy("postgres/app");
	s->sources[1].kind = copy("postgres");
	s->sources[1].info = json_pack("{s:s,s:i}", "lsn", "0/16", "a", 15);
	s->sources[1].list = calloc(2, sizeof(struct fmt_chunk_ref));
	s->sources[1].list_count = 2;
	s->sources[1].list[0] = (struct fmt_chunk_ref){{1}, 100};
	s->sources[1].list[1] = (struct fmt_chunk_ref){{2}, UINT32_MAX};
	s->sources[1].entries = 8;
	s->sources[1].bytes = INT64_MAX;
}

static void
encode_example(struct fmt_buf *out)
{
	struct fmt_snapshot snapshot;

	make_snapshot(&snapshot);
	assert_int_equal(fmt_snapshot_encode(&snapshot, seed, out), FMT_OK);
	fmt_snapshot_free(&snapshot);
}

/* Signs one line as the second line wants it. */
static void
sign_line(const char *line, struct fmt_buf *out)
{
	unsigned char signer[32], signature[64];
	char signer_hex[65], signature_hex[129];

	assert_int_equal(fmt_sign_public(seed, signer), FMT_OK);
	assert_int_equal(fmt_sign(seed, "libbackup snapshot v1", line,
			     strlen(line), signature),
	    FMT_OK);
	fmt_hex(signer, 32, signer_hex);
	fmt_hex(signature, 64, signature_hex);
	fmt_buf_clear(out);
	assert_int_equal(fmt_buf_printf(out,
			     "%s\n{\"signature\":\"%s\",\"signer\":\"%s\"}\n",
			     line, signature_hex, signer_hex),
	    FMT_OK);
}

static enum fmt_status
decode(const struct fmt_buf *buf)
{
	struct fmt_snapshot snapshot = FMT_SNAPSHOT_INIT;
	enum fmt_status status =
	    fmt_snapshot_decode(buf->data, buf->len, &snapshot);

	fmt_snapshot_free(&snapshot);
	return status;
}

static void
assert_sources(const struct fmt_snapshot *a, const struct fmt_snapshot *b)
{
	assert_int_equal(a->source_count, b->source_count);
	for (size_t i = 0; i < a->source_count; i++) {
		const struct fmt_snapshot_source *x = &a->sources[i];
		const struct fmt_snapshot_source *y = &b->sources[i];

		assert_string_equal(x->prefix, y->prefix);
		assert_string_equal(x->kind, y->kind);
		assert_int_equal(x->info == NULL, y->info == NULL);
		assert_true(x->info == NULL || json_equal(x->info, y->info));
		assert_int_equal(x->list_count, y->list_count);
		for (size_t k = 0; k < x->list_count; k++) {
			assert_memory_equal(x->list[k].id, y->list[k].id, 32);
			assert_int_equal(x->list[k].len, y->list[k].len);
		}
		assert_true(x->entries == y->entries);
		assert_true(x->bytes == y->bytes);
	}
}

static void
a_snapshot_comes_back_with_its_signer(void **state)
{
	struct fmt_snapshot a, b;
	struct fmt_buf buf = FMT_BUF_INIT;
	unsigned char signer[32];

	(void)state;
	make_snapshot(&a);
	assert_int_equal(fmt_snapshot_encode(&a, seed, &buf), FMT_OK);
	assert_int_equal(fmt_snapshot_decode(buf.data, buf.len, &b), FMT_OK);
	assert_string_equal(a.repository, b.repository);
	assert_string_equal(a.previous, b.previous);
	assert_string_equal(a.session, b.session);
	assert_int_equal(b.seen_count, 2);
	assert_string_equal(a.seen[1], b.seen[1]);
	assert_true(a.roster == b.roster);
	assert_true(b.checkpoint == 10);
	assert_true(b.erasures == 11);
	assert_string_equal(a.host, b.host);
	assert_true(a.time_us == b.time_us && a.finished_us == b.finished_us);
	assert_true(a.sequence == b.sequence);
	assert_int_equal(b.tag_count, 2);
	assert_string_equal(a.tags[1], b.tags[1]);
	assert_true(json_equal(a.omissions, b.omissions));
	assert_true(a.stored_bytes == b.stored_bytes);
	assert_true(a.new_chunks == 3 && a.known_chunks == 4);
	assert_true(b.new_chunks == 3 && b.known_chunks == 4);
	assert_sources(&a, &b);
	assert_int_equal(fmt_sign_public(seed, signer), FMT_OK);
	assert_memory_equal(b.signer, signer, 32);
	fmt_snapshot_free(&a);
	fmt_snapshot_free(&b);
	fmt_buf_free(&buf);
}

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
/* What earlier versions did not write. */
#define LATER "\"erasures\":0,"
#define REST                                                                   \
	"\"checkpoint\":0," LATER "\"finished_us\":0,\"host\":\"\","           \
	"\"known_chunks\":0,\"new_chunks\":0,"                                 \
	"\"omissions\":[],\"previous\":\"\",\"repository\":\"" A32 "\","       \
	"\"roster\":0,\"seen\":[],\"sequence\":1,\"session\":\"\","            \
	"\"sources\":[],\"stored_bytes\":0,\"tags\":[],"                       \
	"\"time_us\":-5,\"type\":\"snapshot\",\"version\":1}"

static void
the_first_line_is_the_one_in_the_specification(void **state)
{
	struct fmt_snapshot s = FMT_SNAPSHOT_INIT;
	struct fmt_buf buf = FMT_BUF_INIT, expected = FMT_BUF_INIT;

	(void)state;
	memset(s.repository, 'a', 32);
	s.host = copy("");
	s.sequence = 1;
	s.time_us = -5;
	assert_int_equal(fmt_snapshot_encode(&s, seed, &buf), FMT_OK);
	sign_line("{" REST, &expected);
	assert_string_equal(fmt_buf_text(&buf), fmt_buf_text(&expected));
	assert_int_equal(decode(&buf), FMT_OK);
	fmt_snapshot_free(&s);
	fmt_buf_free(&buf);
	fmt_buf_free(&expected);
}

static void
keys_of_a_later_version_are_ignored_but_not_the_version(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	sign_line("{\"added\":{\"a\":[1]}," REST, &buf);
	assert_int_equal(decode(&buf), FMT_OK);
	sign_line(
	    "{\"type\":\"snapshot\",\"version\":2,\"all\":\"new\"}", &buf);
	assert_int_equal(decode(&buf), FMT_UNSUPPORTED);
	sign_line("{\"type\":\"other\",\"version\":1}", &buf);
	assert_int_equal(decode(&buf), FMT_MALFORMED);
	fmt_buf_free(&buf);
}

static void
one_from_before_the_ledger_knew_of_no_erasures(void **state)
{
	struct fmt_snapshot s = FMT_SNAPSHOT_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	char line[] = "{" REST;
	char *later = strstr(line, LATER), *dumped;
	json_t *root;

	(void)state;
	memmove(
	    later, later + strlen(LATER), strlen(later + strlen(LATER)) + 1);
	s.erasures = 5;
	sign_line(line, &buf);
	assert_int_equal(fmt_snapshot_decode(buf.data, buf.len, &s), FMT_OK);
	assert_true(s.erasures == 0);
	fmt_snapshot_free(&s);
	root = json_loads(line, 0, NULL);
	assert_non_null(root);
	assert_int_equal(
	    json_object_set_new(root, "erasures", json_integer(-1)), 0);
	dumped = json_dumps(root, JSON_COMPACT);
	sign_line(dumped, &buf);
	assert_int_equal(decode(&buf), FMT_MALFORMED);
	free(dumped);
	json_decref(root);
	fmt_buf_free(&buf);
}

/* Each key in turn is left out, or has a value that is wrong. */
static void
signed_nonsense_is_malformed(void **state)
{
	static const char *const wrong[][2] = {{"checkpoint", "-1"},
	    {"finished_us", "\"0\""}, {"host", "5"}, {"known_chunks", "-1"},
	    {"new_chunks", "1.5"}, {"omissions", "[1]"}, {"omissions", "{}"},
	    {"previous", "\"abc\""}, {"repository", "\"\""},
	    {"repository", "\"" A32 "a\""}, {"roster", "-1"}, {"seen", "{}"},
	    {"seen", "[1]"}, {"seen", "[\"00\"]"}, {"session", "\"ab\""},
	    {"session", "0"}, {"sequence", "null"}, {"sources", "{}"},
	    {"sources", "[1]"}, {"sources", "[{}]"}, {"stored_bytes", "[]"},
	    {"tags", "[1]"}, {"tags", "\"x\""}, {"time_us", "true"},
	    {"type", "1"}, {"version", "\"1\""},
	    {"sources", "[{\"bytes\":0,\"entries\":0,\"kind\":\"k\","
			"\"list\":[[\"00\",1]],\"prefix\":\"p\"}]"},
	    {"sources",
		"[{\"bytes\":0,\"entries\":0,\"info\":[],\"kind\":\"k\","
		"\"list\":[],\"prefix\":\"p\"}]"},
	    {"sources",
		"[{\"bytes\":0,\"entries\":0,\"kind\":\"k\",\"list\":[],"
		"\"prefix\":\"p\"},{\"bytes\":0,\"entries\":0,\"kind\":\"k\","
		"\"list\":[],\"prefix\":\"p\"}]"}};
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *root = json_loads("{" REST, 0, NULL);
		char *line;

		assert_non_null(root);
		assert_int_equal(
		    json_object_set_new(root, wrong[i][0],
			json_loads(wrong[i][1], JSON_DECODE_ANY, NULL)),
		    0);
		line = json_dumps(root, JSON_COMPACT);
		sign_line(line, &buf);
		assert_int_equal(decode(&buf), FMT_MALFORMED);
		free(line);
		json_object_del(root, wrong[i][0]);
		line = json_dumps(root, JSON_COMPACT);
		sign_line(line, &buf);
		assert_int_equal(decode(&buf), FMT_MALFORMED);
		free(line);
		json_decref(root);
	}
	fmt_buf_free(&buf);
}

static void
every_flipped_bit_of_the_first_line_breaks_the_signature(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	size_t line;

	(void)state;
	encode_example(&buf);
	line = (size_t)(strchr(fmt_buf_text(&buf), '\n') - (char *)buf.data);
	for (size_t i = 0; i < buf.len; i++) {
		enum fmt_status status;

		buf.data[i] ^= 1;
		status = decode(&buf);
		if (i < line && buf.data[i] != '\n')
			assert_int_equal(status, FMT_AUTH);
		else
			assert_int_not_equal(status, FMT_OK);
		buf.data[i] ^= 1;
	}
	assert_int_equal(decode(&buf), FMT_OK);
	fmt_buf_free(&buf);
}

static void
a_cut_snapshot_is_truncated_and_a_longer_one_malformed(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	size_t len;

	(void)state;
	encode_example(&buf);
	len = buf.len;
	for (buf.len = 0; buf.len < len; buf.len++)
		assert_int_equal(decode(&buf), FMT_TRUNCATED);
	assert_int_equal(fmt_buf_append_byte(&buf, '\n'), FMT_OK);
	assert_int_equal(decode(&buf), FMT_MALFORMED);
	fmt_buf_free(&buf);
}

static void
what_no_reader_would_take_is_not_written(void **state)
{
	struct fmt_snapshot s;
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	make_snapshot(&s);
	s.repository[3] = 'X';
	assert_int_equal(fmt_snapshot_encode(&s, seed, &buf), FMT_MALFORMED);
	s.repository[3] = 'a';
	s.previous[63] = '\0';
	assert_int_equal(fmt_snapshot_encode(&s, seed, &buf), FMT_MALFORMED);
	s.previous[63] = '0';
	s.host[0] = '\xff';
	assert_int_equal(fmt_snapshot_encode(&s, seed, &buf), FMT_MALFORMED);
	s.host[0] = 'd';
	s.sources[0].prefix[0] = 'z';
	assert_int_equal(fmt_snapshot_encode(&s, seed, &buf), FMT_MALFORMED);
	s.sources[0].prefix[0] = 'b';
	s.sources[1].bytes++;
	assert_int_equal(fmt_snapshot_encode(&s, seed, &buf), FMT_LIMIT);
	s.sources[1].bytes--;
	assert_int_equal(buf.len, 0);
	assert_int_equal(fmt_snapshot_encode(&s, seed, &buf), FMT_OK);
	fmt_snapshot_free(&s);
	fmt_buf_free(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_snapshot_comes_back_with_its_signer),
	    cmocka_unit_test(the_first_line_is_the_one_in_the_specification),
	    cmocka_unit_test(
		keys_of_a_later_version_are_ignored_but_not_the_version),
	    cmocka_unit_test(one_from_before_the_ledger_knew_of_no_erasures),
	    cmocka_unit_test(signed_nonsense_is_malformed),
	    cmocka_unit_test(
		every_flipped_bit_of_the_first_line_breaks_the_signature),
	    cmocka_unit_test(
		a_cut_snapshot_is_truncated_and_a_longer_one_malformed),
	    cmocka_unit_test(what_no_reader_would_take_is_not_written),
	};

	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
