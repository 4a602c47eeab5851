/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "formats/age.h"

/* The pair that the format's specification gives as its example: a scalar of
 * bytes 0x42. */
static const char identity_text[] = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGF"
				    "PYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
static const char recipient_text[] =
    "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

static enum fmt_status
parse_identity(const char *text, struct fmt_age_identity *out)
{
	return fmt_age_identity_parse(text, strlen(text), out);
}

static enum fmt_status
parse_recipient(const char *text, struct fmt_age_recipient *out)
{
	return fmt_age_recipient_parse(text, strlen(text), out);
}

static void
the_published_pair_is_read_and_written(void **state)
{
	struct fmt_age_identity identity;
	struct fmt_age_recipient derived, read;
	char text[FMT_AGE_IDENTITY_TEXT], public_text[FMT_AGE_RECIPIENT_TEXT];

	(void)state;
	assert_int_equal(parse_identity(identity_text, &identity), FMT_OK);
	for (size_t i = 0; i < sizeof identity.key; i++)
		assert_int_equal(identity.key[i], 0x42);
	assert_int_equal(
	    fmt_age_identity_recipient(&identity, &derived), FMT_OK);
	assert_int_equal(parse_recipient(recipient_text, &read), FMT_OK);
	assert_memory_equal(derived.key, read.key, sizeof read.key);
	assert_int_equal(fmt_age_identity_text(&identity, text), FMT_OK);
	assert_string_equal(text, identity_text);
	assert_int_equal(fmt_age_recipient_text(&derived, public_text), FMT_OK);
	assert_string_equal(public_text, recipient_text);
}

static void
new_identities_differ_and_survive_text(void **state)
{
	struct fmt_age_identity a, b, read;
	char text[FMT_AGE_IDENTITY_TEXT];

	(void)state;
	assert_int_equal(fmt_age_identity_new(&a), FMT_OK);
	assert_int_equal(fmt_age_identity_new(&b), FMT_OK);
	assert_memory_not_equal(a.key, b.key, sizeof a.key);
	assert_int_equal(fmt_age_identity_text(&a, text), FMT_OK);
	assert_int_equal(strlen(text), sizeof text - 1);
	assert_int_equal(parse_identity(text, &read), FMT_OK);
	assert_memory_equal(a.key, read.key, sizeof a.key);
}

static void
one_wrong_character_anywhere_is_refused(void **state)
{
	struct fmt_age_recipient recipient;
	struct fmt_age_identity identity;
	char text[sizeof identity_text];

	(void)state;
	for (size_t i = 0; i < sizeof recipient_text - 1; i++) {
		memcpy(text, recipient_text, sizeof recipient_text);
		text[i] = text[i] == 'q' ? 'p' : 'q';
		assert_int_equal(
		    parse_recipient(text, &recipient), FMT_MALFORMED);
	}
	for (size_t i = 0; i < sizeof identity_text - 1; i++) {
		memcpy(text, identity_text, sizeof identity_text);
		text[i] = text[i] == 'Q' ? 'P' : 'Q';
		assert_int_equal(
		    parse_identity(text, &identity), FMT_MALFORMED);
	}
}

static void
text_that_is_short_long_or_spaced_is_refused(void **state)
{
	struct fmt_age_recipient recipient;
	char text[sizeof recipient_text + 1];

	(void)state;
	for (size_t len = 0; len < sizeof recipient_text - 1; len++)
		assert_int_equal(
		    fmt_age_recipient_parse(recipient_text, len, &recipient),
		    FMT_MALFORMED);
	memcpy(text, recipient_text, sizeof recipient_text);
	strcat(text, "\n");
	assert_int_equal(parse_recipient(text, &recipient), FMT_MALFORMED);
	/* The NUL is not part of it. */
	assert_int_equal(fmt_age_recipient_parse(
			     recipient_text, sizeof recipient_text, &recipient),
	    FMT_MALFORMED);
}

static void
the_other_case_and_the_other_kind_are_refused(void **state)
{
	struct fmt_age_recipient recipient;
	struct fmt_age_identity identity;
	char text[sizeof identity_text];

	(void)state;
	memcpy(text, recipient_text, sizeof recipient_text);
	for (char *p = text; *p != '\0'; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
	assert_int_equal(parse_recipient(text, &recipient), FMT_MALFORMED);
	memcpy(text, recipient_text, sizeof recipient_text);
	text[10] = (char)(text[10] - 32); /* a letter: mixed case */
	assert_int_equal(parse_recipient(text, &recipient), FMT_MALFORMED);
	memcpy(text, identity_text, sizeof identity_text);
	for (char *p = text; *p != '\0'; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	assert_int_equal(parse_identity(text, &identity), FMT_MALFORMED);
	assert_int_equal(
	    parse_recipient(identity_text, &recipient), FMT_MALFORMED);
	assert_int_equal(
	    parse_identity(recipient_text, &identity), FMT_MALFORMED);
}

/* The checksum is right, but a bit behind the 32 bytes is set: it would be a
 * second text for the same key. */
static void
a_second_spelling_of_a_key_is_refused(void **state)
{
	struct fmt_age_recipient recipient;

	(void)state;
	assert_int_equal(parse_recipient("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s8"
					 "2hzrye869xeexvn73epp9g8nq",
			     &recipient),
	    FMT_MALFORMED);
}

static void
a_passphrase_has_no_text(void **state)
{
	struct fmt_age_identity identity = {.kind = FMT_AGE_SCRYPT};
	struct fmt_age_recipient recipient = {.kind = FMT_AGE_SCRYPT};
	char text[FMT_AGE_IDENTITY_TEXT];

	(void)state;
	assert_int_equal(
	    fmt_age_identity_text(&identity, text), FMT_UNSUPPORTED);
	assert_int_equal(
	    fmt_age_recipient_text(&recipient, text), FMT_UNSUPPORTED);
	assert_int_equal(
	    fmt_age_identity_recipient(&identity, &recipient), FMT_UNSUPPORTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_published_pair_is_read_and_written),
	    cmocka_unit_test(new_identities_differ_and_survive_text),
	    cmocka_unit_test(one_wrong_character_anywhere_is_refused),
	    cmocka_unit_test(text_that_is_short_long_or_spaced_is_refused),
	    cmocka_unit_test(the_other_case_and_the_other_kind_are_refused),
	    cmocka_unit_test(a_second_spelling_of_a_key_is_refused),
	    cmocka_unit_test(a_passphrase_has_no_text),
	};

	return cmocka_run_group_tests_name("age_text", tests, NULL, NULL);
}
