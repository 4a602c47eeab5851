/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>

#include "libbackup/source/bucket_impl.h"

static void
add(struct bkp_s3_fields *fields, const char *name, const char *value)
{
	assert_int_equal(bkp_s3_fields_add(fields, name, value, NULL), 0);
}

static json_t *
read_headers(const struct bkp_s3_fields *headers)
{
	json_t *attrs = NULL;

	assert_int_equal(bkp_bucket_attrs_read(headers, &attrs, NULL), 0);
	return attrs;
}

static const char *const both_ways[][2] = {
    {"content-type", "text/html; charset=utf-8"},
    {"cache-control", "max-age=1"},
    {"content-disposition", "attachment; filename=\"a b\""},
    {"content-encoding", "gzip"},
    {"content-language", "de-CH"},
    {"expires", "Thu, 01 Dec 1994 16:00:00 GMT"},
    {"x-amz-website-redirect-location", "/there"},
    {"x-amz-meta-a", "two  spaces"},
    {"x-amz-meta-bytes", "\xff\x01\xfe"},
    {"x-amz-meta-empty", ""},
};

#define COUNT (sizeof(both_ways) / sizeof(both_ways[0]))

static void
headers_come_back_as_they_were(void **state)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_fields back = BKP_S3_FIELDS_INIT;
	json_t *attrs;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		add(&headers, both_ways[i][0], both_ways[i][1]);
	add(&headers, "server", "none of the object's");
	attrs = read_headers(&headers);
	assert_int_equal(bkp_bucket_attrs_headers(attrs, &back, NULL), 0);
	assert_int_equal(back.count, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		const char *value = bkp_s3_fields_get(&back, both_ways[i][0]);

		assert_non_null(value);
		assert_string_equal(value, both_ways[i][1]);
	}
	json_decref(attrs);
	bkp_s3_fields_free(&headers);
	bkp_s3_fields_free(&back);
}

static void
how_an_object_was_sent_is_not_part_of_it(void **state)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	json_t *attrs;

	(void)state;
	add(&headers, "content-encoding", "aws-chunked, gzip");
	attrs = read_headers(&headers);
	assert_string_equal(
	    bkp_bucket_attrs_get(attrs, "content_encoding"), "gzip");
	json_decref(attrs);
	bkp_s3_fields_free(&headers);
	add(&headers, "content-encoding", "aws-chunked");
	attrs = read_headers(&headers);
	assert_int_equal(json_object_size(attrs), 0);
	json_decref(attrs);
	bkp_s3_fields_free(&headers);
}

static void
metadata_in_several_lines_is_one_list(void **state)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	json_t *attrs;

	(void)state;
	add(&headers, "x-amz-meta-a", "1");
	add(&headers, "X-Amz-Meta-a", "2");
	attrs = read_headers(&headers);
	assert_string_equal(
	    bkp_bucket_attrs_get(json_object_get(attrs, "metadata"), "a"),
	    "1,2");
	json_decref(attrs);
	bkp_s3_fields_free(&headers);
}

static void
tags_come_back_and_are_compared(void **state)
{
	struct bkp_s3_fields tags = BKP_S3_FIELDS_INIT;
	struct bkp_s3_fields back = BKP_S3_FIELDS_INIT;
	json_t *attrs = json_object();

	(void)state;
	assert_true(bkp_bucket_attrs_have_tags(attrs, ""));
	assert_false(bkp_bucket_attrs_have_tags(attrs, "a=1"));
	add(&tags, "a b", "c+d");
	add(&tags, "x", "");
	assert_int_equal(bkp_bucket_attrs_add_tags(attrs, &tags, NULL), 0);
	assert_int_equal(bkp_bucket_attrs_tags(attrs, &back, NULL), 0);
	assert_int_equal(back.count, 2);
	assert_string_equal(bkp_s3_fields_get(&back, "a b"), "c+d");
	assert_string_equal(bkp_s3_fields_get(&back, "x"), "");
	assert_true(bkp_bucket_attrs_have_tags(attrs, "a+b=c%2Bd&x="));
	assert_true(bkp_bucket_attrs_have_tags(attrs, "x&a%20b=c%2Bd"));
	assert_false(bkp_bucket_attrs_have_tags(attrs, "a+b=c%2Bd"));
	assert_false(bkp_bucket_attrs_have_tags(attrs, "a+b=c%2Bd&x=1"));
	assert_false(bkp_bucket_attrs_have_tags(attrs, "a+b=c%2Bd&x=&y="));
	assert_false(bkp_bucket_attrs_have_tags(attrs, ""));
	assert_false(bkp_bucket_attrs_have_tags(attrs, "a+b=c%2&x="));
	json_decref(attrs);
	bkp_s3_fields_free(&tags);
	bkp_s3_fields_free(&back);
}

static void
expect_parts(const uint64_t *sizes, size_t count, const char *form)
{
	json_t *attrs = json_object();
	uint64_t *back = NULL, sum = 0;
	size_t back_count;

	for (size_t i = 0; i < count; i++)
		sum += sizes[i];
	assert_int_equal(
	    bkp_bucket_attrs_add_parts(attrs, sizes, count, NULL), 0);
	assert_non_null(json_object_get(attrs, form));
	assert_int_equal(
	    bkp_bucket_attrs_parts(attrs, sum, &back, &back_count, NULL), 0);
	assert_int_equal(back_count, count);
	assert_memory_equal(back, sizes, count * sizeof(*sizes));
	free(back);
	/* A list that is not all of the object tells nothing. */
	assert_int_equal(
	    bkp_bucket_attrs_parts(attrs, sum + 1000, &back, &back_count, NULL),
	    0);
	assert_int_equal(
	    back_count, strcmp(form, "part_sizes") == 0 ? 0 : count);
	free(back);
	json_decref(attrs);
}

static void
parts_come_back_in_either_form(void **state)
{
	const uint64_t even[] = {5, 5, 5}, tail[] = {5, 5, 1}, one[] = {7};
	const uint64_t odd[] = {5, 6, 1}, grows[] = {5, 5, 6};

	(void)state;
	expect_parts(even, 3, "part_size");
	expect_parts(tail, 3, "part_size");
	expect_parts(one, 1, "part_size");
	expect_parts(odd, 3, "part_sizes");
	expect_parts(grows, 3, "part_sizes");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(headers_come_back_as_they_were),
	    cmocka_unit_test(how_an_object_was_sent_is_not_part_of_it),
	    cmocka_unit_test(metadata_in_several_lines_is_one_list),
	    cmocka_unit_test(tags_come_back_and_are_compared),
	    cmocka_unit_test(parts_come_back_in_either_form),
	};

	return cmocka_run_group_tests_name("bucket attrs", tests, NULL, NULL);
}
