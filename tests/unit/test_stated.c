/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and condemned lists: what is written is read, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/condemned.h"
#include "formats/presence.h"
#include "formats/sign.h"

static const unsigned char seed[32] = {1, 2, 3};

static void
fill_name(char *name, size_t digits, char digit)
{
	memset(name, digit, digits);
	name[digits] = '\0';
}

static struct fmt_condemned
make_condemned(void)
{
	struct fmt_condemned condemned = {.time_us = 1763500000000000};

	fill_name(condemned.repository, 32, 'a');
	condemned.packs = calloc(2, sizeof(*condemned.packs));
	assert_non_null(condemned.packs);
	condemned.pack_count = 2;
	fill_name(condemned.packs[0], 64, '1');
	fill_name(condemned.packs[1], 64, '2');
	return condemned;
}

static struct fmt_presence
make_presence(void)
{
	struct fmt_presence presence = {
	    .what = "backup", .host = "db1", .began_us = 1763500000000000};

	fill_name(presence.repository, 32, 'a');
	fill_name(presence.session, 32, 'b');
	fill_name(presence.process.machine, 32, 'd');
	(void)snprintf(presence.process.boot, sizeof(presence.process.boot),
	    "1378b768-33b5-4baa-8df6-2f9d459a0a0c");
	(void)snprintf(presence.process.space, sizeof(presence.process.space),
	    "pid:[4026531836]");
	presence.process.pid = 4711;
	presence.process.start = 123456;
	presence.heeds = calloc(1, sizeof(*presence.heeds));
	assert_non_null(presence.heeds);
	presence.heed_count = 1;
	fill_name(presence.heeds[0], 64, 'c');
	return presence;
}

static void
a_condemned_list_comes_back(void **state)
{
	struct fmt_condemned written = make_condemned();
	struct fmt_condemned read = FMT_CONDEMNED_INIT;
	struct fmt_buf text = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_condemned_encode(&written, seed, &text), FMT_OK);
	assert_int_equal(
	    fmt_condemned_decode(text.data, text.len, &read), FMT_OK);
	assert_string_equal(read.repository, written.repository);
	assert_int_equal(read.time_us, written.time_us);
	assert_int_equal(read.pack_count, 2);
	assert_memory_equal(read.packs, written.packs, 2 * sizeof(*read.packs));
	fmt_condemned_free(&read);
	fmt_condemned_free(&written);
	fmt_buf_free(&text);
}

static void
a_session_comes_back(void **state)
{
	struct fmt_presence written = make_presence();

	(void)state;
	for (int is_ended = 0; is_ended < 2; is_ended++) {
		struct fmt_presence read = FMT_PRESENCE_INIT;
		struct fmt_buf text = FMT_BUF_INIT;

		written.is_ended = is_ended == 1;
		assert_int_equal(
		    fmt_presence_encode(&written, seed, &text), FMT_OK);
		assert_int_equal(
		    fmt_presence_decode(text.data, text.len, &read), FMT_OK);
		assert_string_equal(read.repository, written.repository);
		assert_string_equal(read.session, written.session);
		assert_string_equal(read.what, "backup");
		assert_string_equal(read.host, "db1");
		assert_int_equal(read.began_us, written.began_us);
		assert_int_equal(read.is_ended, written.is_ended);
		assert_int_equal(read.heed_count, 1);
		assert_string_equal(read.heeds[0], written.heeds[0]);
		assert_memory_equal(
		    &read.process, &written.process, sizeof(read.process));
		fmt_presence_free(&read);
		fmt_buf_free(&text);
	}
	fmt_presence_free(&written);
}

/* As writers said it before it was thought of. */
static void
a_session_need_not_say_its_process(void **state)
{
	struct fmt_presence written = make_presence();
	struct fmt_presence read = FMT_PRESENCE_INIT;
	struct fmt_buf text = FMT_BUF_INIT;

	(void)state;
	written.process = (struct fmt_process){.pid = 0};
	assert_int_equal(fmt_presence_encode(&written, seed, &text), FMT_OK);
	assert_null(memmem(text.data, text.len, "process", 7));
	assert_int_equal(
	    fmt_presence_decode(text.data, text.len, &read), FMT_OK);
	assert_int_equal(read.process.pid, 0);
	assert_string_equal(read.process.machine, "");
	fmt_presence_free(&read);
	fmt_presence_free(&written);
	fmt_buf_free(&text);
}

static void
what_no_list_may_hold_is_not_written(void **state)
{
	struct fmt_condemned condemned = make_condemned();
	struct fmt_buf text = FMT_BUF_INIT;

	(void)state;
	condemned.packs[1][0] = '1';
	memset(condemned.packs[1], '1', 64); /* twice */
	assert_int_equal(
	    fmt_condemned_encode(&condemned, seed, &text), FMT_MALFORMED);
	memset(condemned.packs[1], '0', 64); /* out of order */
	assert_int_equal(
	    fmt_condemned_encode(&condemned, seed, &text), FMT_MALFORMED);
	memset(condemned.packs[1], 'G', 64);
	assert_int_equal(
	    fmt_condemned_encode(&condemned, seed, &text), FMT_MALFORMED);
	condemned.pack_count = 0;
	assert_int_equal(
	    fmt_condemned_encode(&condemned, seed, &text), FMT_MALFORMED);
	assert_int_equal(text.len, 0);
	fmt_condemned_free(&condemned);
}

/* Each text is signed, and still refused. */
static void
what_is_signed_and_wrong_is_refused(void **state)
{
	static const char *const bodies[] = {
	    "{\"type\":\"condemned\",\"version\":2}",
	    "{\"type\":\"session\",\"version\":1}",
	    "{\"type\":\"condemned\",\"version\":1,\"packs\":[]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct fmt_condemned condemned = FMT_CONDEMNED_INIT;
		struct fmt_presence presence = FMT_PRESENCE_INIT;
		unsigned char signer[32], signature[FMT_SIGNATURE_SIZE];
		char hex[2 * FMT_SIGNATURE_SIZE + 1], key[65], text[512];

		for (int k = 0; k < 2; k++) {
			int len;

			assert_int_equal(fmt_sign_public(seed, signer), FMT_OK);
			assert_int_equal(
			    fmt_sign(seed,
				k == 0 ? "libbackup condemned v1"
				       : "libbackup session v1",
				bodies[i], strlen(bodies[i]), signature),
			    FMT_OK);
			fmt_hex(signature, sizeof(signature), hex);
			fmt_hex(signer, sizeof(signer), key);
			len = snprintf(text, sizeof(text),
			    "%s\n{\"signature\":\"%s\",\"signer\":\"%s\"}\n",
			    bodies[i], hex, key);
			if (k == 0)
				assert_int_equal(fmt_condemned_decode(text,
						     (size_t)len, &condemned),
				    i == 0 ? FMT_UNSUPPORTED : FMT_MALFORMED);
			else
				assert_int_equal(fmt_presence_decode(text,
						     (size_t)len, &presence),
				    FMT_MALFORMED);
		}
	}
}

static void
a_list_is_no_session(void **state)
{
	struct fmt_condemned written = make_condemned();
	struct fmt_presence read = FMT_PRESENCE_INIT;
	struct fmt_buf text = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_condemned_encode(&written, seed, &text), FMT_OK);
	assert_int_equal(
	    fmt_presence_decode(text.data, text.len, &read), FMT_AUTH);
	fmt_condemned_free(&written);
	fmt_buf_free(&text);
}

static void
every_changed_byte_is_noticed(void **state)
{
	struct fmt_presence written = make_presence();
	struct fmt_buf text = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_presence_encode(&written, seed, &text), FMT_OK);
	for (size_t i = 0; i < text.len; i++) {
		struct fmt_presence read = FMT_PRESENCE_INIT;

		text.data[i] ^= 1;
		assert_int_not_equal(
		    fmt_presence_decode(text.data, text.len, &read), FMT_OK);
		text.data[i] ^= 1;
		assert_int_not_equal(
		    fmt_presence_decode(text.data, i, &read), FMT_OK);
	}
	fmt_presence_free(&written);
	fmt_buf_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_condemned_list_comes_back),
	    cmocka_unit_test(a_session_comes_back),
	    cmocka_unit_test(a_session_need_not_say_its_process),
	    cmocka_unit_test(what_no_list_may_hold_is_not_written),
	    cmocka_unit_test(what_is_signed_and_wrong_is_refused),
	    cmocka_unit_test(a_list_is_no_session),
	    cmocka_unit_test(every_changed_byte_is_noticed),
	};

	return cmocka_run_group_tests_name(
	    "sessions and condemned lists", tests, NULL, NULL);
}
