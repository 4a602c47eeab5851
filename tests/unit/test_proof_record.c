/* SPDX-License-Identifier: Apache-2.0 */
/* What a verification found, as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/proof.h"
#include "formats/record.h"
#include "formats/sign.h"
#include "tests/unit/failing_alloc.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define B64 B32 B32

static const unsigned char seed[32] = "thirty-two bytes of a signing ke";
static char host[] = "proof-host", path[] = "files/a%\xff", nothing[] = "";

static struct fmt_proof
example(void)
{
	return (struct fmt_proof){.repository = A32,
	    .snapshot = B64,
	    .time_us = 7,
	    .host = host,
	    .path = path,
	    .is_proven = true,
	    .level = FMT_PROOF_PARTLY,
	    .passed = 1,
	    .skipped = 2,
	    .rows = 3,
	    .objects = 4,
	    .files = 5,
	    .duration_ms = 6};
}

static const char line[] =
    "{\"duration_ms\":6,\"failed\":0,\"files\":5,\"host\":\"proof-host\","
    "\"is_proven\":true,\"level\":\"partly restored\",\"objects\":4,"
    "\"passed\":1,\"path\":\"files/a%25%FF\",\"repository\":\"" A32 "\","
    "\"rows\":3,\"skipped\":2,\"snapshot\":\"" B64 "\",\"time_us\":7,"
    "\"type\":\"proof\",\"version\":1}\n";

static void
what_is_written_is_read_back(void **state)
{
	struct fmt_proof p = example(), read = FMT_PROOF_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	unsigned char key[32];

	(void)state;
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_OK);
	assert_memory_equal(buf.data, line, sizeof(line) - 1);
	assert_int_equal(fmt_proof_decode(buf.data, buf.len, &read), FMT_OK);
	assert_int_equal(fmt_sign_public(seed, key), FMT_OK);
	assert_memory_equal(read.signer, key, 32);
	assert_string_equal(read.repository, A32);
	assert_string_equal(read.snapshot, B64);
	assert_string_equal(read.host, host);
	assert_string_equal(read.path, path);
	assert_int_equal(read.time_us, 7);
	assert_true(read.is_proven);
	assert_int_equal(read.level, FMT_PROOF_PARTLY);
	assert_int_equal(read.passed, 1);
	assert_int_equal(read.failed, 0);
	assert_int_equal(read.skipped, 2);
	assert_int_equal(read.rows, 3);
	assert_int_equal(read.objects, 4);
	assert_int_equal(read.files, 5);
	assert_int_equal(read.duration_ms, 6);
	fmt_proof_free(&read);
	fmt_buf_free(&buf);
}

static void
a_changed_byte_is_found(void **state)
{
	struct fmt_proof p = example(), read = FMT_PROOF_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_OK);
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		buf.data[i] ^= 1;
		assert_int_not_equal(
		    fmt_proof_decode(buf.data, buf.len, &read), FMT_OK);
		buf.data[i] ^= 1;
	}
	for (size_t len = 0; len < buf.len; len++)
		assert_int_not_equal(
		    fmt_proof_decode(buf.data, len, &read), FMT_OK);
	assert_null(read.host);
	fmt_buf_free(&buf);
}

/* Decodes the example with one member replaced (NULL: removed). */
static enum fmt_status
decode_with(const char *key, json_t *value)
{
	struct fmt_proof read = FMT_PROOF_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	json_t *body = json_loadb(line, sizeof(line) - 1, 0, NULL);
	enum fmt_status status;

	assert_non_null(body);
	if (value == NULL)
		assert_int_equal(json_object_del(body, key), 0);
	else
		assert_int_equal(json_object_set_new(body, key, value), 0);
	assert_int_equal(
	    fmt_record_encode(body, "libbackup proof v1", seed, &buf), FMT_OK);
	status = fmt_proof_decode(buf.data, buf.len, &read);
	json_decref(body);
	fmt_buf_free(&buf);
	fmt_proof_free(&read);
	return status;
}

static void
every_member_must_be_there_and_fit(void **state)
{
	json_t *body = json_loadb(line, sizeof(line) - 1, 0, NULL);
	const char *key;
	json_t *value;

	(void)state;
	json_object_foreach(body, key, value)
	{
		assert_int_equal(decode_with(key, NULL), FMT_MALFORMED);
		assert_int_equal(decode_with(key, json_array()), FMT_MALFORMED);
	}
	json_decref(body);
	assert_int_equal(decode_with("more", json_true()), FMT_OK);
	assert_int_equal(
	    decode_with("version", json_integer(2)), FMT_UNSUPPORTED);
	assert_int_equal(
	    decode_with("level", json_string("hoped")), FMT_MALFORMED);
	assert_int_equal(
	    decode_with("snapshot", json_string("xyz")), FMT_MALFORMED);
	assert_int_equal(
	    decode_with("passed", json_integer(-1)), FMT_MALFORMED);
}

static void
later_members_may_be_missing_and_must_fit(void **state)
{
	static char program[] = "libbackup 0.1.0";
	struct fmt_proof p = example(), read = FMT_PROOF_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	p.recovery_ms = 5;
	p.bytes = INT64_MAX;
	p.program = program;
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_OK);
	assert_int_equal(fmt_proof_decode(buf.data, buf.len, &read), FMT_OK);
	assert_int_equal(read.recovery_ms, 5);
	assert_int_equal(read.bytes, INT64_MAX);
	assert_string_equal(read.program, program);
	fmt_proof_free(&read);
	fmt_buf_free(&buf);
	p.bytes = (uint64_t)INT64_MAX + 1;
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_LIMIT);
	assert_int_equal(
	    decode_with("recovery_ms", json_integer(-1)), FMT_MALFORMED);
	assert_int_equal(decode_with("bytes", json_null()), FMT_MALFORMED);
	assert_int_equal(decode_with("program", json_true()), FMT_MALFORMED);
}

static void
how_far_samples_came_is_read_back(void **state)
{
	static struct fmt_proof_sample sample = {.host = host, .since_us = 8};
	struct fmt_proof p = example(), read = FMT_PROOF_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	for (size_t i = 0; i < FMT_PROOF_SLICES; i++)
		sample.read_us[i] = i < 7 ? 0 : i < 4095 ? 5 : 9;
	p.sample = &sample;
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_OK);
	assert_non_null(strstr((char *)buf.data,
	    "\"sample\":{\"host\":\"proof-host\",\"read\":[[7,0],[4088,5],"
	    "[1,9]],\"since_us\":8}"));
	assert_int_equal(fmt_proof_decode(buf.data, buf.len, &read), FMT_OK);
	assert_non_null(read.sample);
	assert_string_equal(read.sample->host, host);
	assert_int_equal(read.sample->since_us, 8);
	assert_memory_equal(
	    read.sample->read_us, sample.read_us, sizeof(sample.read_us));
	fmt_proof_free(&read);
	sample.is_bad[0] = sample.is_bad[4095] = true;
	fmt_buf_clear(&buf);
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_OK);
	assert_non_null(strstr((char *)buf.data, "\"bad\":[0,4095]"));
	assert_int_equal(fmt_proof_decode(buf.data, buf.len, &read), FMT_OK);
	assert_memory_equal(
	    read.sample->is_bad, sample.is_bad, sizeof(sample.is_bad));
	fmt_proof_free(&read);
	/* Nobody takes it for a proof of all. */
	p.path = nothing;
	fmt_buf_clear(&buf);
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_MALFORMED);
	fmt_buf_free(&buf);
}

static void
a_sample_must_be_of_all_slices(void **state)
{
	static const char *const good[] = {"[[4096,0]]", "[[1,7],[4095,3]]"};
	static const char *const bad[] = {"[]", "[[4095,0]]", "[[4097,0]]",
	    "[[4096,0],[1,0]]", "[[0,1],[4096,0]]", "[[-1,0],[4096,0]]",
	    "[[4096,-1]]", "[[4096]]", "[[4096,0,0]]", "[4096,0]",
	    "[[\"4096\",0]]", "{}", "7"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(
		    decode_with("sample",
			json_pack("{s:s, s:o}", "host", "h", "read",
			    json_loads(good[i], JSON_DECODE_ANY, NULL))),
		    FMT_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    decode_with("sample",
			json_pack("{s:s, s:o}", "host", "h", "read",
			    json_loads(bad[i], JSON_DECODE_ANY, NULL))),
		    FMT_MALFORMED);
	for (int since = 0; since < 2; since++)
		assert_int_equal(
		    decode_with(
			"sample", json_pack("{s:s, s:[[i,i]], s:i}", "host",
				      "h", "read", 4096, 1, "since_us", since)),
		    since > 0 ? FMT_OK : FMT_MALFORMED);
	for (int slice = -1; slice <= 4096; slice += 4097)
		assert_int_equal(
		    decode_with(
			"sample", json_pack("{s:s, s:[[i,i]], s:[i]}", "host",
				      "h", "read", 4096, 1, "bad", slice)),
		    FMT_MALFORMED);
	assert_int_equal(
	    decode_with("sample", json_pack("{s:s, s:[[i,i]], s:i}", "host",
				      "h", "read", 4096, 1, "bad", 7)),
	    FMT_MALFORMED);
	assert_int_equal(decode_with("sample", json_integer(1)), FMT_MALFORMED);
	assert_int_equal(decode_with("sample", json_pack("{s:s}", "host", "h")),
	    FMT_MALFORMED);
}

static void
a_verdict_that_its_counts_contradict_is_none(void **state)
{
	struct fmt_proof p = example();
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(decode_with("failed", json_integer(1)), FMT_MALFORMED);
	assert_int_equal(decode_with("passed", json_integer(0)), FMT_MALFORMED);
	p.failed = 1;
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_MALFORMED);
	p.is_proven = false;
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_OK);
	p.rows = UINT64_MAX;
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_LIMIT);
	p = example();
	p.path = nothing;
	p.repository[0] = 'A';
	assert_int_equal(fmt_proof_encode(&p, seed, &buf), FMT_MALFORMED);
	fmt_buf_free(&buf);
}

static void
every_allocation_may_fail(void **state)
{
	(void)state;
	for (int n = 0;; n++) {
		struct fmt_proof p = example(), read = FMT_PROOF_INIT;
		struct fmt_buf buf = FMT_BUF_INIT;
		enum fmt_status status;

		p.program = host;
		failing_alloc_at(n);
		status = fmt_proof_encode(&p, seed, &buf);
		if (status == FMT_OK)
			status = fmt_proof_decode(buf.data, buf.len, &read);
		if (!failing_alloc_end())
			assert_int_equal(status, FMT_OK);
		else
			assert_int_equal(status, FMT_NOMEM);
		fmt_proof_free(&read);
		fmt_buf_free(&buf);
		if (status == FMT_OK)
			break;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_is_read_back),
	    cmocka_unit_test(a_changed_byte_is_found),
	    cmocka_unit_test(every_member_must_be_there_and_fit),
	    cmocka_unit_test(later_members_may_be_missing_and_must_fit),
	    cmocka_unit_test(how_far_samples_came_is_read_back),
	    cmocka_unit_test(a_sample_must_be_of_all_slices),
	    cmocka_unit_test(a_verdict_that_its_counts_contradict_is_none),
	    cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("proof", tests, NULL, NULL);
}
