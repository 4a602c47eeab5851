/* SPDX-License-Identifier: Apache-2.0 */
/* The record of what is there and what was removed, as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/checkpoint.h"
#include "formats/record.h"
#include "formats/sign.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C32 "cccccccccccccccccccccccccccccccc"
#define A64 A32 A32
#define B64 B32 B32
#define C64 C32 C32

static const unsigned char seed[32] = "thirty-two bytes of a signing ke";

static char kept[][65] = {A64, C64}, removed[][65] = {B64};
static char replaced[][65] = {C64, A64};
static char expired[][33] = {A32, B32};

static struct fmt_checkpoint
example(void)
{
	struct fmt_checkpoint c = FMT_CHECKPOINT_INIT;

	memcpy(c.repository, A32, sizeof(c.repository));
	c.sequence = 3;
	c.time_us = -7;
	c.kept = kept;
	c.kept_count = 2;
	c.removed = removed;
	c.removed_count = 1;
	c.expired = expired;
	c.expired_count = 2;
	c.replaced = replaced;
	c.replaced_count = 2;
	return c;
}

#define REST                                                                   \
	"\"expired\":[\"" A32 "\",\"" B32 "\"],"                               \
	"\"kept\":[\"" A64 "\",\"" C64 "\"],\"removed\":[\"" B64 "\"],"        \
	"\"replaced\":[\"" C64 "\",\"" A64 "\"],"                              \
	"\"repository\":\"" A32 "\",\"sequence\":3,\"time_us\":-7,"            \
	"\"type\":\"checkpoint\",\"version\":1}"

/* A record of any body. */
static void
sign_body(const json_t *body, struct fmt_buf *out)
{
	fmt_buf_clear(out);
	assert_int_equal(
	    fmt_record_encode(body, "libbackup checkpoint v1", seed, out),
	    FMT_OK);
}

static enum fmt_status
decode_body(const json_t *body)
{
	struct fmt_checkpoint c = FMT_CHECKPOINT_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	enum fmt_status status;

	sign_body(body, &buf);
	status = fmt_checkpoint_decode(buf.data, buf.len, &c);
	fmt_checkpoint_free(&c);
	fmt_buf_free(&buf);
	return status;
}

static void
what_is_written_is_read_back(void **state)
{
	const struct fmt_checkpoint a = example();
	struct fmt_checkpoint b = FMT_CHECKPOINT_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	unsigned char signer[32];

	(void)state;
	assert_int_equal(fmt_checkpoint_encode(&a, seed, &buf), FMT_OK);
	assert_int_equal(fmt_checkpoint_decode(buf.data, buf.len, &b), FMT_OK);
	assert_string_equal(b.repository, A32);
	assert_true(b.sequence == 3 && b.time_us == -7);
	assert_int_equal(b.kept_count, 2);
	assert_string_equal(b.kept[1], C64);
	assert_int_equal(b.removed_count, 1);
	assert_string_equal(b.removed[0], B64);
	assert_int_equal(b.expired_count, 2);
	assert_string_equal(b.expired[1], B32);
	assert_int_equal(b.replaced_count, 2);
	assert_string_equal(b.replaced[0], C64);
	assert_int_equal(fmt_sign_public(seed, signer), FMT_OK);
	assert_memory_equal(b.signer, signer, 32);
	fmt_checkpoint_free(&b);
	fmt_buf_free(&buf);
}

static void
the_first_line_is_the_one_in_the_specification(void **state)
{
	const struct fmt_checkpoint c = example();
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &buf), FMT_OK);
	assert_non_null(fmt_buf_text(&buf));
	assert_memory_equal(buf.data, "{" REST "\n", strlen("{" REST "\n"));
	fmt_buf_free(&buf);
}

static void
keys_of_a_later_version_are_ignored_but_not_the_version(void **state)
{
	json_t *body = json_loads("{\"added\":[1]," REST, 0, NULL);

	(void)state;
	assert_int_equal(decode_body(body), FMT_OK);
	assert_int_equal(
	    json_object_set_new(body, "version", json_integer(2)), 0);
	assert_int_equal(decode_body(body), FMT_UNSUPPORTED);
	assert_int_equal(
	    json_object_set_new(body, "type", json_string("snapshot")), 0);
	assert_int_equal(decode_body(body), FMT_MALFORMED);
	json_decref(body);
}

/* Each key in turn is left out, or has a value that is wrong. */
static void
signed_nonsense_is_malformed(void **state)
{
	static const char *const wrong[][2] = {{"expired", "{}"},
	    {"expired", "[\"" B32 "\",\"" A32 "\"]"},
	    {"expired", "[\"" A32 "\",\"" A32 "\"]"},
	    {"expired", "[\"" A64 "\"]"}, {"kept", "1"}, {"kept", "[1]"},
	    {"kept", "[\"" A32 "\"]"}, {"kept", "[\"" B64 "\"]"},
	    {"kept", "[\"" C64 "\",\"" A64 "\"]"}, {"removed", "null"},
	    {"removed", "[\"" A32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]"},
	    {"removed", "[\"" A64 "\"]"}, {"replaced", "[\"\"]"},
	    {"replaced", "\"\""}, {"repository", "\"" A32 "a\""},
	    {"repository", "\"" A64 "\""}, {"sequence", "0"},
	    {"sequence", "-1"}, {"time_us", "1.5"}, {"type", "1"},
	    {"version", "\"1\""}};
	json_t *good = json_loads("{" REST, 0, NULL);

	(void)state;
	assert_int_equal(decode_body(good), FMT_OK);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *body = json_copy(good);

		assert_int_equal(json_object_del(body, wrong[i][0]), 0);
		assert_int_equal(decode_body(body), FMT_MALFORMED);
		assert_int_equal(
		    json_object_set_new(body, wrong[i][0],
			json_loads(wrong[i][1], JSON_DECODE_ANY, NULL)),
		    0);
		assert_int_equal(decode_body(body), FMT_MALFORMED);
		json_decref(body);
	}
	json_decref(good);
}

static void
what_no_reader_would_take_is_not_written(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_checkpoint c = example();

	(void)state;
	c.sequence = 0;
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &buf), FMT_MALFORMED);
	c.sequence = (uint64_t)INT64_MAX + 1;
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &buf), FMT_LIMIT);
	c = example();
	c.removed = kept; /* in both */
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &buf), FMT_MALFORMED);
	c = example();
	c.kept = replaced; /* not in order */
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &buf), FMT_MALFORMED);
	c = example();
	c.repository[5] = '\0';
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &buf), FMT_MALFORMED);
	assert_int_equal(buf.len, 0);
	fmt_buf_free(&buf);
}

static void
a_record_of_another_kind_is_none(void **state)
{
	json_t *body = json_loads("{" REST, 0, NULL);
	struct fmt_checkpoint c = FMT_CHECKPOINT_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(
	    fmt_record_encode(body, "libbackup snapshot v1", seed, &buf),
	    FMT_OK);
	assert_int_equal(
	    fmt_checkpoint_decode(buf.data, buf.len, &c), FMT_AUTH);
	json_decref(body);
	fmt_buf_free(&buf);
}

static void
claims_of_proofs_are_read_back_and_may_be_missing(void **state)
{
	struct fmt_claim claims[] = {
	    {.snapshot = A64, .proven_us = 5, .failed_us = 0},
	    {.snapshot = C64, .proven_us = 0, .failed_us = 9}};
	struct fmt_checkpoint c = example(), read = FMT_CHECKPOINT_INIT;
	static const char expected[] =
	    "\"proofs\":[[\"" A64 "\",5,0],[\"" C64 "\",0,9]]";
	struct fmt_buf text = FMT_BUF_INIT;

	(void)state;
	c.claims = claims;
	c.claim_count = 2;
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &text), FMT_OK);
	assert_non_null(
	    memmem(text.data, text.len, expected, sizeof(expected) - 1));
	assert_int_equal(
	    fmt_checkpoint_decode(text.data, text.len, &read), FMT_OK);
	assert_int_equal(read.claim_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(
		    read.claims[i].snapshot, claims[i].snapshot);
		assert_int_equal(read.claims[i].proven_us, claims[i].proven_us);
		assert_int_equal(read.claims[i].failed_us, claims[i].failed_us);
	}
	fmt_checkpoint_free(&read);
	fmt_buf_free(&text);
	/* None twice, in order, each with a time. */
	memcpy(claims[1].snapshot, A64, 65);
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &text), FMT_MALFORMED);
	memcpy(claims[1].snapshot, C64, 65);
	claims[1].failed_us = 0;
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &text), FMT_MALFORMED);
	claims[1].failed_us = -1;
	assert_int_equal(fmt_checkpoint_encode(&c, seed, &text), FMT_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read_back),
	    cmocka_unit_test(the_first_line_is_the_one_in_the_specification),
	    cmocka_unit_test(
		keys_of_a_later_version_are_ignored_but_not_the_version),
	    cmocka_unit_test(signed_nonsense_is_malformed),
	    cmocka_unit_test(what_no_reader_would_take_is_not_written),
	    cmocka_unit_test(a_record_of_another_kind_is_none),
	    cmocka_unit_test(claims_of_proofs_are_read_back_and_may_be_missing),
	};

	return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
