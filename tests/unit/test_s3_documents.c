/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "libbackup/s3/etag.h"
#include "libbackup/s3/request.h"
#include "libbackup/s3/xml.h"

/* ---- XML ---- */

static int
note(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	char *seen = arg;
	size_t used = strlen(seen);

	(void)err;
	assert_int_equal(strlen(text), len);
	(void)snprintf(seen + used, 1024 - used, "%s=%s;", path, text);
	return 0;
}

static int
read_text(const char *text, char seen[1024], struct bkp_error *err)
{
	seen[0] = '\0';
	return bkp_s3_xml_read(text, strlen(text), note, seen, err);
}

static void
elements_are_told_as_they_end(void **state)
{
	char seen[1024];

	(void)state;
	assert_int_equal(
	    read_text("<?xml version=\"1.0\"?>\n<L xmlns='u' xmlns:n='v'> "
		      "<C><K>a</K><n:S>1</n:S></C><E/></L>",
		seen, NULL),
	    0);
	assert_string_equal(seen, "L/C/K=a;L/C/S=1;L/C=;L/E=;L=;");
}

static void
references_and_sections_are_text(void **state)
{
	char seen[1024];

	(void)state;
	assert_int_equal(read_text("<K>&lt;&amp;&gt;&quot;&apos;&#65;&#x20AC;"
				   "<![CDATA[<b>]]></K>",
			     seen, NULL),
	    0);
	assert_string_equal(seen, "K=<&>\"'A\xe2\x82\xac<b>;");
}

static void
every_prefix_of_a_document_is_refused(void **state)
{
	static const char text[] = "<L><K>a&amp;b</K><T>false</T></L>";
	char seen[1024];

	(void)state;
	for (size_t len = 0; len < strlen(text); len++) {
		struct bkp_error err = BKP_ERROR_INIT;

		seen[0] = '\0';
		assert_int_equal(
		    bkp_s3_xml_read(text, len, note, seen, &err), -1);
		assert_int_equal(err.code, BKP_CORRUPT);
	}
	assert_int_equal(read_text(text, seen, NULL), 0);
}

static void
entities_of_the_document_itself_are_refused(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	char seen[1024];

	(void)state;
	assert_int_equal(
	    read_text("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", seen, &err),
	    -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_string_equal(seen, "");
	assert_int_equal(read_text("<a>&unknown;</a>", seen, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
}

static int
stop(void *arg, const char *path, const char *text, size_t len,
    struct bkp_error *err)
{
	(void)path;
	(void)text;
	(void)len;
	++*(int *)arg;
	err->code = BKP_CANCELLED;
	return -1;
}

static void
a_callback_that_fails_ends_the_reading(void **state)
{
	static const char text[] = "<a><b/><c/></a>";
	struct bkp_error err = BKP_ERROR_INIT;
	int calls = 0;

	(void)state;
	assert_int_equal(
	    bkp_s3_xml_read(text, strlen(text), stop, &calls, &err), -1);
	assert_int_equal(calls, 1);
	assert_int_equal(err.code, BKP_CANCELLED);
}

/* ---- bodies of errors ---- */

static enum bkp_s3_end
judge(const char *key, long status, const char *body, struct bkp_error *err)
{
	const struct bkp_s3_request request = {
	    .method = "PUT", .bucket = "bucket", .key = key};
	struct bkp_s3_response response = BKP_S3_RESPONSE_INIT;
	enum bkp_s3_end end;

	*err = (struct bkp_error)BKP_ERROR_INIT;
	response.status = status;
	assert_int_equal(fmt_buf_append_text(&response.body, body), FMT_OK);
	end = bkp_s3_judge(&request, &response, err);
	bkp_s3_response_free(&response);
	assert_int_equal(err->sys, status);
	return end;
}

#define ERROR(code)                                                            \
	"<?xml version=\"1.0\"?><Error xmlns=\"u\"><Code>" code                \
	"</Code><Message>why &amp; how</Message><Extra><Code>not "             \
	"this</Code></Extra></Error>"

static void
the_code_of_an_error_decides(void **state)
{
	struct bkp_error err;

	(void)state;
	assert_int_equal(
	    judge("k", 403, ERROR("AccessDenied"), &err), BKP_S3_FAILED);
	assert_int_equal(err.code, BKP_AUTH);
	assert_non_null(strstr(err.message, "AccessDenied: why & how"));
	assert_non_null(strstr(err.message, "PUT s3://bucket/k"));
	assert_int_equal(
	    judge("k", 400, ERROR("RequestTimeout"), &err), BKP_S3_AGAIN);
	assert_int_equal(err.code, BKP_RETRY);
	assert_int_equal(judge(NULL, 403, ERROR("RequestTimeTooSkewed"), &err),
	    BKP_S3_CLOCK);
}

static void
the_status_decides_where_there_is_no_code(void **state)
{
	struct bkp_error err;

	(void)state;
	assert_int_equal(judge("k", 404, "", &err), BKP_S3_FAILED);
	assert_int_equal(err.code, BKP_NOTFOUND);
	assert_int_equal(
	    judge("k", 502, "<html><p>bad gateway", &err), BKP_S3_AGAIN);
	assert_int_equal(err.code, BKP_RETRY);
	assert_int_equal(
	    judge("k", 403, "<Error><Code>Acc", &err), BKP_S3_FAILED);
	assert_int_equal(err.code, BKP_AUTH);
}

static void
a_refusal_of_a_key_is_told_from_one_of_the_bucket(void **state)
{
	struct bkp_error err;

	(void)state;
	(void)judge("k", 400, ERROR("InvalidArgument"), &err);
	assert_int_equal(err.code, BKP_UNSUPPORTED);
	(void)judge(NULL, 400, ERROR("InvalidArgument"), &err);
	assert_int_equal(err.code, BKP_INVALID);
	(void)judge("k", 403, ERROR("SignatureDoesNotMatch"), &err);
	assert_int_equal(err.code, BKP_AUTH);
	(void)judge("\xff", 403, ERROR("SignatureDoesNotMatch"), &err);
	assert_int_equal(err.code, BKP_UNSUPPORTED);
}

static void
an_error_longer_than_a_message_is_cut(void **state)
{
	struct bkp_error err;
	char key[1025], body[4096];

	(void)state;
	memset(key, 'k', 1024);
	key[1024] = '\0';
	(void)snprintf(body, sizeof(body),
	    "<Error><Code>%s</Code><Message>%s</Message></Error>", key, key);
	assert_int_equal(judge(key, 400, body, &err), BKP_S3_FAILED);
	assert_true(strlen(err.message) < sizeof(err.message));
}

/* ---- keys as listings write them ---- */

static void
expect_decoded(const char *text, const char *expected)
{
	struct fmt_buf out = FMT_BUF_INIT;

	assert_int_equal(bkp_s3_decode(text, strlen(text), true, &out), FMT_OK);
	assert_string_equal(fmt_buf_text(&out), expected);
	fmt_buf_free(&out);
}

static void
encoded_keys_are_decoded(void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	expect_decoded("a+b%2Bc%2f%C3%BC%25", "a b+c/\xc3\xbc%");
	expect_decoded("plain", "plain");
	assert_int_equal(bkp_s3_decode("%", 1, true, &out), FMT_MALFORMED);
	assert_int_equal(bkp_s3_decode("a%4", 3, true, &out), FMT_MALFORMED);
	assert_int_equal(bkp_s3_decode("%4g", 3, true, &out), FMT_MALFORMED);
	fmt_buf_free(&out);
}

/* ---- ETags ---- */

#define LEN 1000u

static unsigned char bytes[LEN];

static void
md5_of(const void *data, size_t len, unsigned char out[16])
{
	assert_int_equal(EVP_Digest(data, len, out, NULL, EVP_md5(), NULL), 1);
}

/* The ETag that S3 makes of parts; one part with sizes NULL: a plain PUT. */
static void
make_etag(const uint64_t *sizes, size_t count, char out[64])
{
	unsigned char digests[8 * 16], digest[16];
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		md5_of(bytes + at, sizes[i], digests + 16 * i);
		at += sizes[i];
	}
	if (count == 0)
		md5_of(bytes, LEN, digest);
	else
		md5_of(digests, 16 * count, digest);
	for (size_t i = 0; i < 16; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
	if (count > 0)
		(void)snprintf(out + 32, 32, "-%zu", count);
}

static bool
matches(const char *etag, const uint64_t *sizes, size_t count, size_t step)
{
	struct bkp_s3_etag *check = NULL;
	uint64_t part_size;
	bool is_match;

	assert_int_equal(
	    bkp_s3_etag_new(etag, LEN, sizes, count, &check, NULL), 0);
	for (size_t at = 0; at < LEN; at += step) {
		size_t len = LEN - at < step ? LEN - at : step;

		assert_int_equal(
		    bkp_s3_etag_update(check, bytes + at, len, NULL), 0);
	}
	assert_int_equal(
	    bkp_s3_etag_finish(check, &is_match, &part_size, NULL), 0);
	bkp_s3_etag_free(check);
	return is_match;
}

static void
an_etag_is_that_of_the_bytes(void **state)
{
	const uint64_t parts[] = {300, 300, 400}, others[] = {300, 400, 300};
	char etag[64];

	(void)state;
	for (size_t step = 1; step <= LEN; step += 333) {
		make_etag(NULL, 0, etag);
		assert_true(matches(etag, NULL, 0, step));
		make_etag(parts, 3, etag);
		assert_true(matches(etag, parts, 3, step));
		assert_false(matches(etag, others, 3, step));
	}
	assert_false(matches("00000000000000000000000000000000", NULL, 0, 100));
	assert_false(matches("not an MD5 at all", NULL, 0, 100));
}

static void
an_etag_tells_its_parts(void **state)
{
	char etag[64];

	(void)state;
	make_etag(NULL, 0, etag);
	assert_int_equal(bkp_s3_etag_parts(etag), 0);
	assert_int_equal(
	    bkp_s3_etag_parts("00000000000000000000000000000000-12"), 12);
	assert_int_equal(bkp_s3_etag_parts(""), 0);
	assert_int_equal(bkp_s3_etag_parts("-"), 0);
	assert_int_equal(
	    bkp_s3_etag_parts("00000000000000000000000000000000-"), 0);
	assert_int_equal(
	    bkp_s3_etag_parts("00000000000000000000000000000000-1x"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(elements_are_told_as_they_end),
	    cmocka_unit_test(references_and_sections_are_text),
	    cmocka_unit_test(every_prefix_of_a_document_is_refused),
	    cmocka_unit_test(entities_of_the_document_itself_are_refused),
	    cmocka_unit_test(a_callback_that_fails_ends_the_reading),
	    cmocka_unit_test(the_code_of_an_error_decides),
	    cmocka_unit_test(the_status_decides_where_there_is_no_code),
	    cmocka_unit_test(a_refusal_of_a_key_is_told_from_one_of_the_bucket),
	    cmocka_unit_test(an_error_longer_than_a_message_is_cut),
	    cmocka_unit_test(encoded_keys_are_decoded),
	    cmocka_unit_test(an_etag_is_that_of_the_bytes),
	    cmocka_unit_test(an_etag_tells_its_parts),
	};

	for (size_t i = 0; i < LEN; i++)
		bytes[i] = (unsigned char)(i * 31 + i / 7);
	return cmocka_run_group_tests_name("s3 documents", tests, NULL, NULL);
}
