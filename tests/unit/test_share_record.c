/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of a shared backup tell each other, as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/record.h"
#include "formats/share.h"
#include "formats/sign.h"
#include "tests/unit/failing_alloc.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C64 "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define D64 "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define HASH "0123456789abcdef0123456789abcdef"

static const unsigned char seed[32] = "thirty-two bytes of a signing ke";

static const char plan_line[] =
    "{\"buckets\":[{\"name\":\"up\",\"prefix\":\"a/\",\"source\":"
    "\"bucket/up\"},{\"name\":\"more\",\"prefix\":\"\",\"source\":"
    "\"bucket/"
    "more\"}],\"databases\":[{\"encoding\":\"UTF8\",\"moment\":\"7:9:8\","
    "\"name\":\"shop\",\"path\":\"postgres/app/shop\","
    "\"snapshot\":\"00000003-0000001B-1\",\"source\":\"postgres/app\","
    "\"system\":\"\"}],\"host\":\"db1\","
    "\"ranges\":[[0,\"a/b\",9],[0,null,8],[1,null,0]],"
    "\"repository\":\"" A32 "\","
    "\"run\":\"nightly\",\"session\":\"" B32 "\",\"tables\":["
    "{\"columns\":[\"id\",\"na\\\"me\"],\"database\":0,\"form\":\"binary\","
    "\"name\":\"users\",\"range_pages\":128,\"schema\":\"public\"},"
    "{\"columns\":[],\"database\":0,\"form\":\"text\",\"name\":\"seen\","
    "\"range_pages\":0,\"schema\":\"public\"}],"
    "\"tasks\":[[0,0,4,false,4194304],[0,512,2,true,7],[1,0,1,true,0]],"
    "\"time_us\":7,\"type\":\"share-plan\",\"version\":2}\n";

/* As before there were ranges of buckets, and as it is without them. */
static const char old_plan_line[] =
    "{\"databases\":[],\"host\":\"db1\",\"repository\":\"" A32 "\","
    "\"run\":\"nightly\",\"session\":\"" B32 "\",\"tables\":[],"
    "\"tasks\":[],\"time_us\":7,\"type\":\"share-plan\",\"version\":1}\n";

static const char result_line[] =
    "{\"host\":\"db2\",\"known_chunks\":1,\"new_chunks\":2,"
    "\"repository\":\"" A32 "\",\"session\":\"" B32 "\",\"share\":3,"
    "\"shares\":8,\"stored_bytes\":99,\"tasks\":[{\"pieces\":["
    "{\"bytes\":7,\"chunks\":[[\"" C64 "\",3],[\"" D64 "\",4]],"
    "\"hash\":\"" HASH "\",\"rows\":2},null],\"task\":0},"
    "{\"pieces\":[null],\"task\":5}],"
    "\"type\":\"share-result\",\"version\":1}\n";

static const char note_line[] =
    "{\"repository\":\"" A32 "\",\"session\":\"" B32 "\","
    "\"text\":\"" C64 "\",\"type\":\"share-note\",\"version\":1,"
    "\"what\":\"made\"}\n";

/* ---- each kind: reads a signed record, writes it again ---- */

static enum fmt_status
plan_again(const struct fmt_buf *in, struct fmt_buf *out)
{
	struct fmt_share_plan plan = FMT_SHARE_PLAN_INIT;
	enum fmt_status status =
	    fmt_share_plan_decode(in->data, in->len, &plan);

	if (status == FMT_OK)
		status = fmt_share_plan_encode(&plan, seed, out);
	fmt_share_plan_free(&plan);
	return status;
}

static enum fmt_status
result_again(const struct fmt_buf *in, struct fmt_buf *out)
{
	struct fmt_share_result result = FMT_SHARE_RESULT_INIT;
	enum fmt_status status =
	    fmt_share_result_decode(in->data, in->len, &result);

	if (status == FMT_OK)
		status = fmt_share_result_encode(&result, seed, out);
	fmt_share_result_free(&result);
	return status;
}

static enum fmt_status
note_again(const struct fmt_buf *in, struct fmt_buf *out)
{
	struct fmt_share_note note = FMT_SHARE_NOTE_INIT;
	enum fmt_status status =
	    fmt_share_note_decode(in->data, in->len, &note);

	if (status == FMT_OK)
		status = fmt_share_note_encode(&note, seed, out);
	fmt_share_note_free(&note);
	return status;
}

static const struct kind {
	const char *line, *context;
	enum fmt_status (*again)(const struct fmt_buf *in, struct fmt_buf *out);
} kinds[] = {
    {plan_line, FMT_SHARE_PLAN_CONTEXT, plan_again},
    {result_line, FMT_SHARE_RESULT_CONTEXT, result_again},
    {note_line, FMT_SHARE_NOTE_CONTEXT, note_again},
    {old_plan_line, FMT_SHARE_PLAN_CONTEXT, plan_again},
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

static json_t *
body_of(const char *line)
{
	json_t *body = json_loads(line, 0, NULL);

	assert_non_null(body);
	return body;
}

/* Signs a body, which is given away, and reads it. */
static enum fmt_status
read_body(const struct kind *kind, json_t *body)
{
	struct fmt_buf in = FMT_BUF_INIT, out = FMT_BUF_INIT;
	enum fmt_status status;

	assert_int_equal(
	    fmt_record_encode(body, kind->context, seed, &in), FMT_OK);
	json_decref(body);
	status = kind->again(&in, &out);
	fmt_buf_free(&in);
	fmt_buf_free(&out);
	return status;
}

/* With one member replaced; NULL: removed. */
static enum fmt_status
read_with(const struct kind *kind, const char *key, json_t *value)
{
	json_t *body = body_of(kind->line);

	if (value == NULL)
		assert_int_equal(json_object_del(body, key), 0);
	else
		assert_int_equal(json_object_set_new(body, key, value), 0);
	return read_body(kind, body);
}

/* With the value that a text says. */
static enum fmt_status
read_as(const struct kind *kind, const char *key, const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(value);
	return read_with(kind, key, value);
}

/* ---- cases ---- */

static void
what_is_read_is_written_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct fmt_buf in = FMT_BUF_INIT, out = FMT_BUF_INIT;
		json_t *body = body_of(kinds[i].line);

		assert_int_equal(
		    fmt_record_encode(body, kinds[i].context, seed, &in),
		    FMT_OK);
		assert_memory_equal(
		    in.data, kinds[i].line, strlen(kinds[i].line));
		assert_int_equal(kinds[i].again(&in, &out), FMT_OK);
		assert_int_equal(out.len, in.len);
		assert_memory_equal(out.data, in.data, in.len);
		json_decref(body);
		fmt_buf_free(&in);
		fmt_buf_free(&out);
	}
}

/* Tasks first, then ranges; each begins where the one before has ended. */
static void
what_is_to_be_done_is_numbered(const struct fmt_share_plan *plan)
{
	const char *behind = NULL;

	assert_int_equal(fmt_share_plan_count(plan), 6);
	assert_null(fmt_share_plan_range(plan, 2, NULL));
	assert_int_equal(fmt_share_plan_pieces(plan, 0), 4);
	assert_int_equal(fmt_share_plan_bytes(plan, 1), 7);
	assert_string_equal(fmt_share_plan_source(plan, 2), "postgres/app");
	assert_string_equal(
	    fmt_share_plan_range(plan, 3, &behind)->last, "a/b");
	assert_string_equal(behind, "");
	assert_null(fmt_share_plan_range(plan, 4, &behind)->last);
	assert_string_equal(behind, "a/b");
	assert_int_equal(fmt_share_plan_range(plan, 5, &behind)->bucket, 1);
	assert_string_equal(behind, "");
	assert_int_equal(fmt_share_plan_pieces(plan, 4), 1);
	assert_int_equal(fmt_share_plan_bytes(plan, 4), 8);
	assert_string_equal(fmt_share_plan_source(plan, 5), "bucket/more");
}

static void
what_is_read_is_what_was_said(void **state)
{
	struct fmt_share_plan plan = FMT_SHARE_PLAN_INIT;
	struct fmt_share_result result = FMT_SHARE_RESULT_INIT;
	struct fmt_buf in = FMT_BUF_INIT;
	json_t *body = body_of(plan_line);

	(void)state;
	assert_int_equal(
	    fmt_record_encode(body, FMT_SHARE_PLAN_CONTEXT, seed, &in), FMT_OK);
	json_decref(body);
	assert_int_equal(fmt_share_plan_decode(in.data, in.len, &plan), FMT_OK);
	assert_string_equal(plan.run, "nightly");
	assert_string_equal(plan.databases[0].moment, "7:9:8");
	assert_int_equal(plan.tables[0].form, FMT_COPY_BINARY);
	assert_string_equal(plan.tables[0].columns[1], "na\"me");
	assert_int_equal(plan.tasks[1].first, 512);
	assert_true(plan.tasks[1].is_open);
	assert_int_equal(plan.tasks[0].bytes, 4194304);
	what_is_to_be_done_is_numbered(&plan);
	fmt_share_plan_free(&plan);
	fmt_buf_clear(&in);
	body = body_of(result_line);
	assert_int_equal(
	    fmt_record_encode(body, FMT_SHARE_RESULT_CONTEXT, seed, &in),
	    FMT_OK);
	json_decref(body);
	assert_int_equal(
	    fmt_share_result_decode(in.data, in.len, &result), FMT_OK);
	assert_int_equal(result.task_count, 2);
	assert_int_equal(result.tasks[0].pieces[0].hash.rows, 2);
	assert_int_equal(result.tasks[0].pieces[0].refs[1].len, 4);
	assert_true(result.tasks[0].pieces[1].is_left);
	assert_int_equal(result.tasks[1].task, 5);
	fmt_share_result_free(&result);
	fmt_buf_free(&in);
}

static void
every_member_must_be_there_and_fit(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		json_t *body = body_of(kinds[i].line), *value;
		const char *key;

		json_object_foreach(body, key, value)
		{
			assert_int_equal(
			    read_with(&kinds[i], key, NULL), FMT_MALFORMED);
			assert_int_equal(
			    read_with(&kinds[i], key, json_real(0.5)),
			    FMT_MALFORMED);
		}
		json_decref(body);
		assert_int_equal(
		    read_with(&kinds[i], "more", json_true()), FMT_OK);
		assert_int_equal(
		    read_with(&kinds[i], "version", json_integer(3)),
		    FMT_UNSUPPORTED);
	}
}

static void
a_record_of_one_kind_is_none_of_another(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct kind mixed = kinds[i];

		mixed.again = kinds[i == 0 ? 1 : (i + 1) % 3].again;
		assert_int_equal(
		    read_body(&mixed, body_of(mixed.line)), FMT_AUTH);
	}
}

static void
a_plan_that_makes_no_sense_is_none(void **state)
{
	static const char *const tasks[] = {"[[2,0,1,true,0]]",
	    "[[0,0,0,false,1]]", "[[0,1,1,false,1]]", "[[0,0,65537,true,1]]",
	    "[[1,0,2,true,1]]", "[[1,0,1,false,1]]", "[[0,0,1,0,1]]",
	    "[[0,0,1,true]]", "[[0,-128,1,true,1]]", "[[0,0,1,true,-1]]",
	    "[[0,549755813888,1,true,1]]", "[7]", "{}",
	    "[[1,0,1,true,0],[0,0,1,true,1]]",
	    "[[0,128,1,true,1],[0,0,1,false,1]]",
	    "[[0,0,1,true,1],[0,0,1,true,1]]"};
	const struct kind *plan = &kinds[0];

	(void)state;
	for (size_t i = 0; i < sizeof(tasks) / sizeof(*tasks); i++)
		assert_int_equal(
		    read_as(plan, "tasks", tasks[i]), FMT_MALFORMED);
	assert_int_equal(read_as(plan, "tasks", "[]"), FMT_OK);
	assert_int_equal(
	    read_as(plan, "tasks", "[[0,0,1,true,1],[1,0,1,true,1]]"), FMT_OK);
	assert_int_equal(read_as(plan, "databases", "[]"), FMT_MALFORMED);
	assert_int_equal(read_as(plan, "tables", "[]"), FMT_MALFORMED);
	assert_int_equal(read_as(plan, "tables", "[7]"), FMT_MALFORMED);
	assert_int_equal(read_as(plan, "run", "\"a b\""), FMT_MALFORMED);
	assert_int_equal(read_as(plan, "run", "\"\""), FMT_MALFORMED);
	assert_int_equal(read_as(plan, "time_us", "-1"), FMT_MALFORMED);
}

static void
a_plan_says_all_of_each_bucket_in_order(void **state)
{
	static const char *const ranges[] = {"7", "[7]", "[[0,null]]",
	    "[[0,null,-1]]", "[[0,7,1]]", "[[2,null,1]]", "[[-1,null,1]]",
	    "[[0,\"\",1],[0,null,1]]", "[[0,\"a\",1]]",
	    "[[0,null,1],[0,null,1]]", "[[0,null,1],[0,\"a\",1]]",
	    "[[0,\"b\",1],[0,\"a\",1],[0,null,1]]",
	    "[[0,\"a\",1],[0,\"a\",1],[0,null,1]]", "[[0,\"a\",1],[1,null,1]]",
	    "[[1,null,1],[0,null,1]]"};
	const struct kind *plan = &kinds[0];

	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		assert_int_equal(
		    read_as(plan, "ranges", ranges[i]), FMT_MALFORMED);
	assert_int_equal(read_as(plan, "ranges", "[]"), FMT_OK);
	assert_int_equal(read_as(plan, "ranges", "[[1,null,1]]"), FMT_OK);
	assert_int_equal(
	    read_as(plan, "ranges", "[[0,\"a\",1],[0,\"b\",1],[0,null,1]]"),
	    FMT_OK);
	assert_int_equal(read_as(plan, "buckets", "[]"), FMT_MALFORMED);
	assert_int_equal(read_as(plan, "buckets", "[{},{}]"), FMT_MALFORMED);
}

/* Whoever reads it counts on what is of one database being in one place. */
static void
a_plan_is_in_order(void **state)
{
	static const uint32_t orders[][4] = {
	    {0, 0, 1, 1}, {0, 1, 0, 1}, {1, 0, 0, 0}, {0, 0, 1, 0}};
	const struct kind *plan = &kinds[0];

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		json_t *body = body_of(plan->line), *tables = json_array();
		json_t *databases = json_object_get(body, "databases");
		json_t *table =
		    json_array_get(json_object_get(body, "tables"), 0);

		json_array_append_new(
		    databases, json_deep_copy(json_array_get(databases, 0)));
		for (size_t t = 0; t < 4; t++) {
			json_t *copy = json_deep_copy(table);

			json_object_set_new(
			    copy, "database", json_integer(orders[i][t]));
			json_array_append_new(tables, copy);
		}
		json_object_set_new(body, "tables", tables);
		assert_int_equal(
		    read_body(plan, body), i == 0 ? FMT_OK : FMT_MALFORMED);
	}
}

static void
a_result_that_makes_no_sense_is_none(void **state)
{
	static const char *const tasks[] = {"[{\"task\":0,\"pieces\":[]}]",
	    "[{\"task\":1,\"pieces\":[null]},{\"task\":1,\"pieces\":[null]}]",
	    "[{\"task\":2,\"pieces\":[null]},{\"task\":1,\"pieces\":[null]}]",
	    "[{\"task\":0,\"pieces\":[7]}]",
	    /* not as long as its chunks */
	    "[{\"task\":0,\"pieces\":[{\"bytes\":8,\"rows\":1,\"hash\":\"" HASH
	    "\",\"chunks\":[[\"" C64 "\",7]]}]}]",
	    "[{\"task\":0,\"pieces\":[{\"bytes\":7,\"rows\":1,\"hash\":\"x"
	    "\",\"chunks\":[[\"" C64 "\",7]]}]}]"};
	const struct kind *result = &kinds[1];

	(void)state;
	for (size_t i = 0; i < sizeof(tasks) / sizeof(*tasks); i++)
		assert_int_equal(
		    read_as(result, "tasks", tasks[i]), FMT_MALFORMED);
	assert_int_equal(read_as(result, "tasks", "[]"), FMT_OK);
	assert_int_equal(read_as(result, "share", "8"), FMT_MALFORMED);
	assert_int_equal(read_as(result, "shares", "0"), FMT_MALFORMED);
	assert_int_equal(read_as(result, "shares", "4097"), FMT_MALFORMED);
	assert_int_equal(read_as(&kinds[2], "what", "\"x\""), FMT_MALFORMED);
	assert_int_equal(read_as(&kinds[2], "text", "\"x\""), FMT_MALFORMED);
	assert_int_equal(read_as(&kinds[2], "what", "\"failed\""), FMT_OK);
}

static void
names_of_runs_are_simple(void **state)
{
	char long_name[FMT_SHARE_NAME_MAX + 2];

	(void)state;
	assert_true(fmt_share_is_run("a"));
	assert_true(fmt_share_is_run("Nightly-2026.11.21_x"));
	assert_false(fmt_share_is_run(""));
	assert_false(fmt_share_is_run("-a"));
	assert_false(fmt_share_is_run(".a"));
	assert_false(fmt_share_is_run("a/b"));
	assert_false(fmt_share_is_run("a\n"));
	memset(long_name, 'a', sizeof(long_name));
	long_name[FMT_SHARE_NAME_MAX + 1] = '\0';
	assert_false(fmt_share_is_run(long_name));
	long_name[FMT_SHARE_NAME_MAX] = '\0';
	assert_true(fmt_share_is_run(long_name));
}

static void
every_allocation_may_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct fmt_buf in = FMT_BUF_INIT;
		json_t *body = body_of(kinds[i].line);

		assert_int_equal(
		    fmt_record_encode(body, kinds[i].context, seed, &in),
		    FMT_OK);
		json_decref(body);
		for (int n = 0;; n++) {
			struct fmt_buf out = FMT_BUF_INIT;
			enum fmt_status status;
			bool has_failed;

			failing_alloc_at(n);
			status = kinds[i].again(&in, &out);
			has_failed = failing_alloc_end();
			assert_int_equal(
			    status, has_failed ? FMT_NOMEM : FMT_OK);
			fmt_buf_free(&out);
			if (!has_failed)
				break;
		}
		fmt_buf_free(&in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_read_is_written_as_it_was),
	    cmocka_unit_test(what_is_read_is_what_was_said),
	    cmocka_unit_test(every_member_must_be_there_and_fit),
	    cmocka_unit_test(a_record_of_one_kind_is_none_of_another),
	    cmocka_unit_test(a_plan_that_makes_no_sense_is_none),
	    cmocka_unit_test(a_plan_says_all_of_each_bucket_in_order),
	    cmocka_unit_test(a_plan_is_in_order),
	    cmocka_unit_test(a_result_that_makes_no_sense_is_none),
	    cmocka_unit_test(names_of_runs_are_simple),
	    cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("share record", tests, NULL, NULL);
}
