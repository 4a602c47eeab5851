/* SPDX-License-Identifier: Apache-2.0 */
/* An entry of the ledger of erasures, as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "formats/erasure.h"
#include "formats/record.h"
#include "formats/sign.h"
#include "tests/unit/failing_alloc.h"

#define A32 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B32 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define B64 B32 B32

static const unsigned char seed[32] = "thirty-two bytes of a signing ke";
static const unsigned char key[32] = "thirty-two bytes of a secret key";
static char host[] = "db1", source[] = "postgres/app", database[] = "a%\xff",
	    table[] = "public.users", sealed[] = "an\nage file", nothing[] = "";

static struct fmt_erasure
example(void)
{
	return (struct fmt_erasure){.repository = A32,
	    .time_us = 7,
	    .host = host,
	    .source = source,
	    .database = database,
	    .table = table,
	    .map = B64,
	    .hash = {0x12, 0x34},
	    .sealed = sealed};
}

static const char line[] =
    "{\"database\":\"a%25%FF\",\"hash\":\"1234"
    "000000000000000000000000000000000000000000000000000000000000\","
    "\"host\":\"db1\",\"map\":\"" B64 "\",\"repository\":\"" A32 "\","
    "\"sealed\":\"an\\nage file\",\"source\":\"postgres/app\","
    "\"table\":\"public.users\",\"time_us\":7,\"type\":\"erasure\","
    "\"version\":1}\n";

static void
what_is_written_is_read_back(void **state)
{
	struct fmt_erasure e = example(), read = FMT_ERASURE_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	unsigned char signer[32];

	(void)state;
	assert_int_equal(fmt_erasure_encode(&e, seed, &buf), FMT_OK);
	assert_memory_equal(buf.data, line, sizeof(line) - 1);
	assert_int_equal(fmt_erasure_decode(buf.data, buf.len, &read), FMT_OK);
	assert_int_equal(fmt_sign_public(seed, signer), FMT_OK);
	assert_memory_equal(read.signer, signer, 32);
	assert_string_equal(read.repository, A32);
	assert_int_equal(read.time_us, 7);
	assert_string_equal(read.host, host);
	assert_string_equal(read.source, source);
	assert_string_equal(read.database, database);
	assert_string_equal(read.table, table);
	assert_string_equal(read.map, B64);
	assert_memory_equal(read.hash, e.hash, sizeof(e.hash));
	assert_string_equal(read.sealed, sealed);
	fmt_erasure_free(&read);
	fmt_buf_free(&buf);
}

static void
a_changed_byte_is_found(void **state)
{
	struct fmt_erasure e = example(), read = FMT_ERASURE_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_erasure_encode(&e, seed, &buf), FMT_OK);
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		buf.data[i] ^= 1;
		assert_int_not_equal(
		    fmt_erasure_decode(buf.data, buf.len, &read), FMT_OK);
		buf.data[i] ^= 1;
	}
	for (size_t len = 0; len < buf.len; len++)
		assert_int_not_equal(
		    fmt_erasure_decode(buf.data, len, &read), FMT_OK);
	assert_null(read.host);
	fmt_buf_free(&buf);
}

/* Decodes the example with one member replaced (NULL: removed). */
static enum fmt_status
decode_with(const char *member, json_t *value)
{
	struct fmt_erasure read = FMT_ERASURE_INIT;
	struct fmt_buf buf = FMT_BUF_INIT;
	json_t *body = json_loadb(line, sizeof(line) - 1, 0, NULL);
	enum fmt_status status;

	assert_non_null(body);
	if (value == NULL)
		assert_int_equal(json_object_del(body, member), 0);
	else
		assert_int_equal(json_object_set_new(body, member, value), 0);
	assert_int_equal(
	    fmt_record_encode(body, "libbackup erasure v1", seed, &buf),
	    FMT_OK);
	status = fmt_erasure_decode(buf.data, buf.len, &read);
	json_decref(body);
	fmt_buf_free(&buf);
	fmt_erasure_free(&read);
	return status;
}

static void
every_member_must_be_there_and_fit(void **state)
{
	json_t *body = json_loadb(line, sizeof(line) - 1, 0, NULL);
	const char *member;
	json_t *value;

	(void)state;
	json_object_foreach(body, member, value)
	{
		assert_int_equal(decode_with(member, NULL), FMT_MALFORMED);
		assert_int_equal(
		    decode_with(member, json_array()), FMT_MALFORMED);
		if (strcmp(member, "host") != 0)
			assert_int_equal(decode_with(member, json_string("")),
			    FMT_MALFORMED);
	}
	json_decref(body);
	assert_int_equal(decode_with("more", json_true()), FMT_OK);
	assert_int_equal(
	    decode_with("version", json_integer(2)), FMT_UNSUPPORTED);
	assert_int_equal(
	    decode_with("hash", json_string("xyz")), FMT_MALFORMED);
	assert_int_equal(
	    decode_with("table", json_string("%zz")), FMT_MALFORMED);
}

static void
what_no_reader_would_take_is_not_written(void **state)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	struct fmt_erasure e = example();

	(void)state;
	e.repository[0] = 'A';
	assert_int_equal(fmt_erasure_encode(&e, seed, &buf), FMT_MALFORMED);
	e = example();
	e.map[0] = '\0';
	assert_int_equal(fmt_erasure_encode(&e, seed, &buf), FMT_MALFORMED);
	e = example();
	e.table = nothing;
	assert_int_equal(fmt_erasure_encode(&e, seed, &buf), FMT_MALFORMED);
	e = example();
	e.sealed = NULL;
	assert_int_equal(fmt_erasure_encode(&e, seed, &buf), FMT_MALFORMED);
	e = example();
	e.host = database; /* no UTF-8 */
	assert_int_equal(fmt_erasure_encode(&e, seed, &buf), FMT_MALFORMED);
	assert_int_equal(buf.len, 0);
	fmt_buf_free(&buf);
}

/* ---- what is sealed ---- */

static void
the_key_and_the_map_come_back_as_they_were(void **state)
{
	static const char map[] = "subject:\n\0\xff";
	struct fmt_buf buf = FMT_BUF_INIT;
	unsigned char read[FMT_ERASURE_KEY];
	const char *text;
	size_t len;

	(void)state;
	assert_int_equal(
	    fmt_erasure_secret_write(key, map, sizeof(map), &buf), FMT_OK);
	assert_int_equal(
	    fmt_erasure_secret_read(buf.data, buf.len, read, &text, &len),
	    FMT_OK);
	assert_memory_equal(read, key, sizeof(key));
	assert_int_equal(len, sizeof(map));
	assert_memory_equal(text, map, sizeof(map));
	for (size_t n = 0; n < 65; n++)
		assert_int_equal(
		    fmt_erasure_secret_read(buf.data, n, read, &text, &len),
		    FMT_TRUNCATED);
	assert_int_equal(
	    fmt_erasure_secret_read(buf.data, 65, read, &text, &len), FMT_OK);
	assert_int_equal(len, 0);
	for (size_t n = 0; n < 65; n++) {
		unsigned char good = buf.data[n];

		buf.data[n] = 'x';
		assert_int_equal(fmt_erasure_secret_read(
				     buf.data, buf.len, read, &text, &len),
		    FMT_MALFORMED);
		buf.data[n] = good;
	}
	fmt_buf_free(&buf);
}

/* ---- the subject ---- */

/* Python: hmac.new(key, b"public.users\0" + pack("<Q", 2) + b"42" +
 * pack("<Q", 0), "sha256") */
static void
the_hash_is_the_one_in_the_specification(void **state)
{
	static const char *const values[] = {"42", ""};
	unsigned char hash[32];
	char hex[65];

	(void)state;
	assert_int_equal(fmt_erasure_hash(key, table, values, 2, hash), FMT_OK);
	fmt_hex(hash, sizeof(hash), hex);
	assert_string_equal(hex,
	    "c5998f1ca2db543be052c129aa35e14c560aa8b975cc6f2eaa72f827a2659a38");
}

static void
whoever_differs_in_anything_has_another_hash(void **state)
{
	static const char *const values[][2] = {
	    {"1", "23"}, {"12", "3"}, {"123", ""}, {"", "123"}, {"23", "1"}};
	unsigned char seen[8][32];
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(
		    fmt_erasure_hash(key, table, values[i], 2, seen[count++]),
		    FMT_OK);
	assert_int_equal(
	    fmt_erasure_hash(key, table, values[2], 1, seen[count++]), FMT_OK);
	assert_int_equal(
	    fmt_erasure_hash(key, "public.user", values[0], 2, seen[count++]),
	    FMT_OK);
	assert_int_equal(
	    fmt_erasure_hash(seed, table, values[0], 2, seen[count++]), FMT_OK);
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(seen[i], seen[k], 32);
}

static void
every_allocation_may_fail(void **state)
{
	static const char *const values[] = {"42"};

	(void)state;
	for (int n = 0;; n++) {
		struct fmt_erasure e = example(), read = FMT_ERASURE_INIT;
		struct fmt_buf buf = FMT_BUF_INIT, secret = FMT_BUF_INIT;
		enum fmt_status status;

		failing_alloc_at(n);
		status = fmt_erasure_encode(&e, seed, &buf);
		if (status == FMT_OK)
			status = fmt_erasure_decode(buf.data, buf.len, &read);
		if (status == FMT_OK)
			status = fmt_erasure_secret_write(
			    key, line, sizeof(line), &secret);
		if (status == FMT_OK)
			status =
			    fmt_erasure_hash(key, table, values, 1, read.hash);
		if (!failing_alloc_end())
			assert_int_equal(status, FMT_OK);
		else
			assert_int_equal(status, FMT_NOMEM);
		fmt_erasure_free(&read);
		fmt_buf_free(&buf);
		fmt_buf_free(&secret);
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
	    cmocka_unit_test(what_no_reader_would_take_is_not_written),
	    cmocka_unit_test(the_key_and_the_map_come_back_as_they_were),
	    cmocka_unit_test(the_hash_is_the_one_in_the_specification),
	    cmocka_unit_test(whoever_differs_in_anything_has_another_hash),
	    cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests_name("erasure record", tests, NULL, NULL);
}
