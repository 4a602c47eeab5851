/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives by somebody who wishes harm: they decrypt, and what they say of
 * themselves is chosen to make a reader take more than it should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/age.h"
#include "formats/archive.h"
#include "libbackup/archive/reader.h"

#define MIB (1024u * 1024u)

/* ---- making one ---- */

struct hostile {
	struct fmt_age_identity identity;
	struct fmt_age_recipient recipient;
	char path[32];
};

static int
set_up(void **state)
{
	struct hostile *hostile = calloc(1, sizeof(*hostile));

	if (hostile == NULL ||
	    fmt_age_identity_new(&hostile->identity) != FMT_OK ||
	    fmt_age_identity_recipient(
		&hostile->identity, &hostile->recipient) != FMT_OK)
		return -1;
	(void)snprintf(
	    hostile->path, sizeof(hostile->path), "/tmp/bkp-hostile-XXXXXX");
	*state = hostile;
	return 0;
}

static int
tear_down(void **state)
{
	free(*state);
	return 0;
}

/* A zstd frame (RFC 8878) of one segment that says that its content has `size`
 * bytes, and holds one block of a byte that is repeated 100,000 times. */
static void
add_frame(struct fmt_buf *payload, uint64_t size)
{
	static const unsigned char head[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0};
	const uint32_t block = 100000u << 3 | 1u << 1 | 1u;
	unsigned char bytes[sizeof(head) + 12];

	memcpy(bytes, head, sizeof(head));
	for (size_t i = 0; i < 8; i++)
		bytes[sizeof(head) + i] = (unsigned char)(size >> (8 * i));
	for (size_t i = 0; i < 3; i++)
		bytes[sizeof(head) + 8 + i] = (unsigned char)(block >> (8 * i));
	bytes[sizeof(bytes) - 1] = 'x';
	assert_int_equal(fmt_buf_append(payload, bytes, sizeof(bytes)), FMT_OK);
}

static void
write_archive(struct hostile *hostile, const struct fmt_buf *payload)
{
	struct fmt_buf file = FMT_BUF_INIT;
	int fd;

	assert_int_equal(fmt_age_seal(&hostile->recipient, 1, payload->data,
			     payload->len, &file),
	    FMT_OK);
	assert_true((fd = mkstemp(hostile->path)) >= 0);
	assert_int_equal(write(fd, file.data, file.len), (ssize_t)file.len);
	assert_int_equal(close(fd), 0);
	fmt_buf_free(&file);
}

/* Opens an archive whose manifest lies in a frame that claims `size`, at such a
 * place and of such a length. */
static void
refuse(struct hostile *hostile, uint64_t size, uint32_t offset, uint32_t len,
    const char *words)
{
	struct fmt_archive_place place = {.offset = offset};
	struct fmt_buf payload = FMT_BUF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_archive *archive = NULL;
	struct fmt_chunk_ref ref = {.len = len};

	add_frame(&payload, size);
	place.frame_len = (uint32_t)payload.len;
	fmt_archive_place_encode(&place, ref.id);
	assert_int_equal(fmt_archive_trailer_encode(&ref, &payload), FMT_OK);
	write_archive(hostile, &payload);
	fmt_buf_free(&payload);
	assert_int_equal(bkp_archive_open(hostile->path, NULL,
			     &hostile->identity, 1, &archive, &err),
	    -1);
	assert_int_equal(unlink(hostile->path), 0);
	(void)snprintf(
	    hostile->path, sizeof(hostile->path), "/tmp/bkp-hostile-XXXXXX");
	assert_int_equal(err.code, BKP_CORRUPT);
	if (strstr(err.message, words) == NULL)
		fail_msg("%s", err.message);
}

/* ---- cases ---- */

static const char no_place[] = "no chunk of such a size";
static const char no_size[] = "a size that no frame has";

static void
a_place_that_explains_eight_gibibytes_is_refused(void **state)
{
	refuse(
	    *state, (uint64_t)UINT32_MAX * 2, UINT32_MAX, UINT32_MAX, no_place);
	refuse(*state, UINT32_MAX, UINT32_MAX - 10, 10, no_place);
	refuse(*state, UINT32_MAX, 0, UINT32_MAX, no_place);
	refuse(*state, 2 * MIB, 1, MIB, no_place);
}

static void
a_frame_that_claims_more_than_what_is_in_it_is_refused(void **state)
{
	refuse(*state, 64 * MIB, 0, 10, no_size);
	refuse(*state, UINT64_MAX - 10, 0, 10, no_size);
	refuse(*state, MIB + 1, 0, MIB, no_size);
	refuse(*state, (uint64_t)FMT_ARCHIVE_CHUNK + 1, 0, FMT_ARCHIVE_CHUNK,
	    no_size);
}

static void
a_frame_that_is_smaller_than_it_claims_is_refused(void **state)
{
	refuse(*state, 100001, 0, 10, "the frame at 0");
	refuse(*state, MIB, 0, MIB, "the frame at 0");
}

/* The format itself, in one place for writers and readers. */
static void
what_a_writer_chooses_is_allowed(void **state)
{
	const uint32_t shared = 2 * FMT_ARCHIVE_FRAME + FMT_ARCHIVE_BETWEEN;
	struct fmt_archive_place place = {.offset = 0};

	(void)state;
	assert_int_equal(fmt_archive_frame_max(&place, 1), shared);
	assert_int_equal(
	    fmt_archive_frame_max(&place, 2 * FMT_ARCHIVE_FRAME), shared);
	assert_int_equal(
	    fmt_archive_frame_max(&place, 2 * FMT_ARCHIVE_FRAME + 1),
	    2 * FMT_ARCHIVE_FRAME + 1);
	assert_int_equal(fmt_archive_frame_max(&place, FMT_ARCHIVE_CHUNK),
	    FMT_ARCHIVE_CHUNK);
	assert_int_equal(
	    fmt_archive_frame_max(&place, FMT_ARCHIVE_CHUNK + 1), 0);
	place.offset = FMT_ARCHIVE_FRAME - 1;
	assert_int_equal(
	    fmt_archive_frame_max(&place, FMT_ARCHIVE_FRAME + 1), shared);
	assert_int_equal(
	    fmt_archive_frame_max(&place, FMT_ARCHIVE_FRAME + 2), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_place_that_explains_eight_gibibytes_is_refused),
	    TEST(a_frame_that_claims_more_than_what_is_in_it_is_refused),
	    TEST(a_frame_that_is_smaller_than_it_claims_is_refused),
	    cmocka_unit_test(what_a_writer_chooses_is_allowed),
	};

	return cmocka_run_group_tests_name(
	    "hostile archives", tests, NULL, NULL);
}
