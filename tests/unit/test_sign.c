/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "formats/sign.h"

static void
assert_hex(const void *data, size_t len, const char *expected)
{
	char text[2 * 64 + 1];

	assert_true(len <= 64);
	fmt_hex(data, len, text);
	assert_string_equal(text, expected);
}

static void
sha256_gives_the_published_digests(void **state)
{
	unsigned char digest[32];

	(void)state;
	assert_int_equal(fmt_sha256("abc", 3, digest), FMT_OK);
	assert_hex(digest, 32,
	    "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(fmt_sha256(NULL, 0, digest), FMT_OK);
	assert_hex(digest, 32,
	    "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block). */
static void
hmac_gives_the_published_codes(void **state)
{
	static const char data[] =
	    "Test Using Larger Than Block-Size Key - Hash Key First";
	unsigned char key[131], code[32];

	(void)state;
	memset(key, 0x0b, 20);
	assert_int_equal(fmt_hmac_sha256(key, 20, "Hi There", 8, code), FMT_OK);
	assert_hex(code, 32,
	    "b0344c61d8db38535ca8afceaf0bf12b"
	    "881dc200c9833da726e9376c2e32cff7");
	assert_int_equal(fmt_hmac_sha256("Jefe", 4,
			     "what do ya want for nothing?", 28, code),
	    FMT_OK);
	assert_hex(code, 32,
	    "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof(key));
	assert_int_equal(
	    fmt_hmac_sha256(key, sizeof(key), data, sizeof(data) - 1, code),
	    FMT_OK);
	assert_hex(code, 32,
	    "60e431591ee0b67f0d8a26aacbf5b77f"
	    "8e0bc6213728c5140546040f0ee37f54");
}

static void
hmac_takes_an_empty_key(void **state)
{
	unsigned char code[32];

	(void)state;
	assert_int_equal(fmt_hmac_sha256(NULL, 0, NULL, 0, code), FMT_OK);
	assert_hex(code, 32,
	    "b613679a0814d9ec772f95d778c35fc5"
	    "ff1697c493715653c6c712144292c5ad");
}

/* RFC 8032, test 1 of section 7.1: the key alone, as our messages always carry
 * a context. */
static void
a_seed_has_the_published_public_key(void **state)
{
	unsigned char seed[32], public_key[32];

	(void)state;
	assert_int_equal(fmt_unhex("9d61b19deffd5a60ba844af492ec2cc4"
				   "4449c5697b326919703bac031cae7f60",
			     seed, 32),
	    FMT_OK);
	assert_int_equal(fmt_sign_public(seed, public_key), FMT_OK);
	assert_hex(public_key, 32,
	    "d75a980182b10ab7d54bfed3c964073a"
	    "0ee172f3daa62325af021a68f707511a");
}

static void
a_signature_fits_only_its_context_data_and_key(void **state)
{
	unsigned char seed[32] = {1}, public_key[32], other[32];
	unsigned char signature[64];

	(void)state;
	assert_int_equal(fmt_sign_public(seed, public_key), FMT_OK);
	assert_int_equal(fmt_sign(seed, "one", "data", 4, signature), FMT_OK);
	assert_int_equal(
	    fmt_sign_verify(public_key, "one", "data", 4, signature), FMT_OK);
	assert_int_equal(
	    fmt_sign_verify(public_key, "two", "data", 4, signature), FMT_AUTH);
	assert_int_equal(
	    fmt_sign_verify(public_key, "one", "dat", 3, signature), FMT_AUTH);
	seed[0] = 2;
	assert_int_equal(fmt_sign_public(seed, other), FMT_OK);
	assert_int_equal(
	    fmt_sign_verify(other, "one", "data", 4, signature), FMT_AUTH);
	for (size_t i = 0; i < sizeof(signature); i++) {
		signature[i] ^= 4;
		assert_int_equal(
		    fmt_sign_verify(public_key, "one", "data", 4, signature),
		    FMT_AUTH);
		signature[i] ^= 4;
	}
}

static void
context_and_data_cannot_be_moved_into_each_other(void **state)
{
	unsigned char seed[32] = {7}, public_key[32], signature[64];

	(void)state;
	assert_int_equal(fmt_sign_public(seed, public_key), FMT_OK);
	assert_int_equal(fmt_sign(seed, "ab", "c", 1, signature), FMT_OK);
	assert_int_equal(
	    fmt_sign_verify(public_key, "a", "bc", 2, signature), FMT_AUTH);
	assert_int_equal(
	    fmt_sign_verify(public_key, "abc", "", 0, signature), FMT_AUTH);
}

static void
hex_goes_there_and_back(void **state)
{
	unsigned char bytes[256], back[256];
	char text[513];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	fmt_hex(bytes, sizeof(bytes), text);
	assert_int_equal(strlen(text), 512);
	assert_int_equal(fmt_unhex(text, back, sizeof(back)), FMT_OK);
	assert_memory_equal(bytes, back, sizeof(back));
	assert_int_equal(fmt_unhex("aBcD", back, 2), FMT_OK);
	assert_memory_equal(back, "\xab\xcd", 2);
}

static void
unhex_refuses_all_but_the_exact_length_and_keeps_its_output(void **state)
{
	static const char *const wrong[] = {"", "a", "abc", "abcde", "abc ",
	    "abcg", "0xab", "+bcd", "-1ab", "ab\n1"};
	unsigned char out[2] = {1, 2};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(fmt_unhex(wrong[i], out, 2), FMT_MALFORMED);
	assert_memory_equal(out, "\x01\x02", 2);
}

static void
random_bytes_differ_and_fill_everything(void **state)
{
	unsigned char a[64] = {0}, b[64] = {0}, seen[64] = {0};

	(void)state;
	assert_int_equal(fmt_random(a, sizeof(a)), FMT_OK);
	assert_int_equal(fmt_random(b, sizeof(b)), FMT_OK);
	assert_memory_not_equal(a, b, sizeof(a));
	for (int round = 0; round < 16; round++) {
		assert_int_equal(fmt_random(a, sizeof(a)), FMT_OK);
		for (size_t i = 0; i < sizeof(a); i++)
			seen[i] |= a[i];
	}
	/* A byte that stayed 0 in 16 rounds would be one of 2^128. */
	assert_null(memchr(seen, 0, sizeof(seen)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sha256_gives_the_published_digests),
	    cmocka_unit_test(hmac_gives_the_published_codes),
	    cmocka_unit_test(hmac_takes_an_empty_key),
	    cmocka_unit_test(a_seed_has_the_published_public_key),
	    cmocka_unit_test(a_signature_fits_only_its_context_data_and_key),
	    cmocka_unit_test(context_and_data_cannot_be_moved_into_each_other),
	    cmocka_unit_test(hex_goes_there_and_back),
	    cmocka_unit_test(
		unhex_refuses_all_but_the_exact_length_and_keeps_its_output),
	    cmocka_unit_test(random_bytes_differ_and_fill_everything),
	};

	return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
