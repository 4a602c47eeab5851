/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The examples of "Signature Calculations for the Authorization Header:
 * Transferring Payload in a Single Chunk" and "Authenticating Requests: Using
 * Query Parameters" in the Amazon S3 API reference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "libbackup/s3/signing.h"

#define NOW "20130524T000000Z"
#define HOST "examplebucket.s3.amazonaws.com"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct bkp_s3_signer signer = {"AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", "s3"};

static void
add(struct bkp_s3_fields *fields, const char *name, const char *value)
{
	assert_int_equal(bkp_s3_fields_add(fields, name, value, NULL), 0);
}

/* Signs with the headers that every request has, and those that are given. */
static void
expect(const char *method, const char *path, struct bkp_s3_fields *query,
    struct bkp_s3_fields *headers, const char *hash, const char *signature)
{
	const struct bkp_s3_signable signable = {
	    method, path, query, headers, hash};
	struct fmt_buf header = FMT_BUF_INIT;
	const char *found;

	add(headers, "host", HOST);
	add(headers, "x-amz-content-sha256", hash);
	add(headers, "x-amz-date", NOW);
	assert_int_equal(
	    bkp_s3_authorize(&signer, &signable, NOW, &header, NULL), 0);
	assert_non_null(fmt_buf_text(&header));
	found = strstr((const char *)header.data, "Signature=");
	assert_non_null(found);
	assert_string_equal(found + strlen("Signature="), signature);
	fmt_buf_free(&header);
	bkp_s3_fields_free(headers);
	bkp_s3_fields_free(query);
}

static void
a_get_with_a_range_is_signed(void **state)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;

	(void)state;
	add(&headers, "range", "bytes=0-9");
	expect("GET", "/test.txt", &query, &headers, EMPTY,
	    "f0e8bdb87c964420e857bd35b5d6ed31"
	    "0bd44f0170aba48dd91039c6036bdb41");
}

static void
a_put_is_signed_with_its_body(void **state)
{
	static const char body[] = "Welcome to Amazon S3.";
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	struct fmt_buf path = FMT_BUF_INIT;
	char hash[BKP_S3_HEX];

	(void)state;
	assert_int_equal(bkp_s3_hash(body, strlen(body), hash, NULL), 0);
	assert_int_equal(bkp_s3_encode("/test$file.text", true, &path), FMT_OK);
	assert_non_null(fmt_buf_text(&path));
	add(&headers, "date", "Fri, 24 May 2013 00:00:00 GMT");
	add(&headers, "x-amz-storage-class", "REDUCED_REDUNDANCY");
	expect("PUT", (const char *)path.data, &query, &headers, hash,
	    "98ad721746da40c64f1a55b78f14c238"
	    "d841ea1380cd77a1b5971af0ece108bd");
	fmt_buf_free(&path);
}

static void
a_query_without_a_value_is_signed(void **state)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;

	(void)state;
	add(&query, "lifecycle", "");
	expect("GET", "/", &query, &headers, EMPTY,
	    "fea454ca298b7da1c68078a5d1bdbfbb"
	    "e0d65c699e0f91ac7a200a0136783543");
}

static void
a_listing_is_signed_whatever_the_order_of_its_query(void **state)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;

	(void)state;
	add(&query, "prefix", "J");
	add(&query, "max-keys", "2");
	expect("GET", "/", &query, &headers, EMPTY,
	    "34b48302e7b5fa45bde8084f4b7868a8"
	    "6f0a534bc59db6670ed5711ef69dc6f7");
}

static void
an_address_is_signed_for_a_day(void **state)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_fields query = BKP_S3_FIELDS_INIT;
	const struct bkp_s3_signable signable = {
	    "GET", "/test.txt", NULL, &headers, BKP_S3_UNSIGNED};

	(void)state;
	add(&headers, "host", HOST);
	assert_int_equal(
	    bkp_s3_presign(&signer, &signable, NULL, NOW, 86400, &query, NULL),
	    0);
	assert_string_equal(bkp_s3_fields_get(&query, "X-Amz-Signature"),
	    "aeeed9bbccd4d02ee5c0109b86d86835"
	    "f995330da4c265957d157751f604d404");
	bkp_s3_fields_free(&headers);
	bkp_s3_fields_free(&query);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_get_with_a_range_is_signed),
	    cmocka_unit_test(a_put_is_signed_with_its_body),
	    cmocka_unit_test(a_query_without_a_value_is_signed),
	    cmocka_unit_test(
		a_listing_is_signed_whatever_the_order_of_its_query),
	    cmocka_unit_test(an_address_is_signed_for_a_day),
	};

	return cmocka_run_group_tests_name("s3 examples", tests, NULL, NULL);
}
