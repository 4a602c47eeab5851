/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The age file as an attacker may hand it over. Whatever the bytes are, the
 * reader answers the same however they are portioned, armor and key texts have
 * one spelling, and a file that was touched gives nothing that was not
 * sealed. The identity is that of the format's own example (0x42 repeated),
 * so that the corpus can hold files that open.
 */
#include <string.h>

#include "formats/age.h"
#include "tests/fuzz/fuzz.h"

static struct fmt_age_identity
example_identity(void)
{
	struct fmt_age_identity identity = {.kind = FMT_AGE_X25519};

	memset(identity.key, 0x42, sizeof identity.key);
	return identity;
}

static enum fmt_status
read_in_portions(
    const uint8_t *data, size_t size, size_t portion, struct fmt_buf *out)
{
	struct fmt_age_identity identity = example_identity();
	struct fmt_age_reader *reader = NULL;
	enum fmt_status status = fmt_age_reader_new(&identity, 1, &reader);

	for (size_t at = 0; at < size && status == FMT_OK; at += portion)
		status = fmt_age_reader_update(reader, data + at,
		    size - at < portion ? size - at : portion, out);
	if (status == FMT_OK)
		status = fmt_age_reader_finish(reader, out);
	fmt_age_reader_free(reader);
	return status;
}

static bool
is_same(const struct fmt_buf *a, const struct fmt_buf *b)
{
	return a->len == b->len &&
	       (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void
portions_make_no_difference(const uint8_t *data, size_t size)
{
	struct fmt_age_identity identity = example_identity();
	struct fmt_buf whole = FMT_BUF_INIT, parts = FMT_BUF_INIT;
	enum fmt_status status;

	status = fmt_age_open(&identity, 1, data, size, &whole);
	require(read_in_portions(data, size, size % 61 + 1, &parts) == status);
	require(is_same(&whole, &parts));
	fmt_buf_free(&whole);
	fmt_buf_free(&parts);
}

static void
seeking_makes_no_difference(const uint8_t *data, size_t size)
{
	struct fmt_age_identity identity = example_identity();
	struct fmt_buf whole = FMT_BUF_INIT, sought = FMT_BUF_INIT;
	struct fmt_age_payload payload;
	uint64_t plain_size, at, len;

	if (fmt_age_payload_open(&identity, 1, data, size, &payload) != FMT_OK)
		return;
	if (fmt_age_open(&identity, 1, data, size, &whole) == FMT_OK) {
		require(
		    fmt_age_plain_size(&payload, size, &plain_size) == FMT_OK);
		require(plain_size == whole.len);
		fmt_age_payload_range(&payload, size, 0, plain_size, &at, &len);
		require(fmt_age_payload_read(&payload, size, 0, plain_size,
			    data + at, (size_t)len, &sought) == FMT_OK);
		require(is_same(&whole, &sought));
	}
	fmt_buf_free(&whole);
	fmt_buf_free(&sought);
}

static void
armor_has_one_reading(const uint8_t *data, size_t size)
{
	struct fmt_buf binary = FMT_BUF_INIT, text = FMT_BUF_INIT;
	struct fmt_buf again = FMT_BUF_INIT;

	if (fmt_age_dearmor(data, size, &binary) == FMT_OK) {
		require(
		    fmt_age_armor(binary.data, binary.len, &text) == FMT_OK);
		require(fmt_age_dearmor(text.data, text.len, &again) == FMT_OK);
		require(is_same(&binary, &again));
	}
	fmt_buf_free(&binary);
	fmt_buf_free(&text);
	fmt_buf_free(&again);
}

static void
keys_have_one_spelling(const uint8_t *data, size_t size)
{
	struct fmt_age_recipient recipient;
	struct fmt_age_identity identity;
	char public_text[FMT_AGE_RECIPIENT_TEXT], text[FMT_AGE_IDENTITY_TEXT];
	const char *given = (const char *)data;

	if (fmt_age_recipient_parse(given, size, &recipient) == FMT_OK) {
		require(
		    fmt_age_recipient_text(&recipient, public_text) == FMT_OK);
		require(size == sizeof public_text - 1 &&
			memcmp(given, public_text, size) == 0);
	}
	if (fmt_age_identity_parse(given, size, &identity) == FMT_OK) {
		require(fmt_age_identity_text(&identity, text) == FMT_OK);
		require(
		    size == sizeof text - 1 && memcmp(given, text, size) == 0);
	}
}

/* The first bytes say where the file is touched, the rest is plaintext. */
static void
a_touched_file_gives_nothing_new(const uint8_t *data, size_t size)
{
	struct fmt_age_identity identity = example_identity();
	struct fmt_age_recipient recipient;
	struct fmt_buf file = FMT_BUF_INIT, plain = FMT_BUF_INIT;
	size_t at;

	if (size < 3)
		return;
	at = (size_t)data[0] << 8 | data[1];
	require(fmt_age_identity_recipient(&identity, &recipient) == FMT_OK);
	require(fmt_age_seal(&recipient, 1, data, size, &file) == FMT_OK);
	file.data[at % file.len] ^= (unsigned char)(data[2] | 1);
	require(
	    fmt_age_open(&identity, 1, file.data, file.len, &plain) != FMT_OK);
	require(plain.len <= size &&
		(plain.len == 0 || memcmp(plain.data, data, plain.len) == 0));
	fmt_buf_free(&file);
	fmt_buf_free(&plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	portions_make_no_difference(data, size);
	seeking_makes_no_difference(data, size);
	armor_has_one_reading(data, size);
	keys_have_one_spelling(data, size);
	/* What looks like an age file is not sealed as well: it is slow. */
	if (size > 0 && data[0] != 'a' && data[0] != '-')
		a_touched_file_gives_nothing_new(data, size);
	return 0;
}
