/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry lists. Whatever the bytes are, the reader answers the same however
 * they are portioned, and an entry that it takes is written and read back as
 * the same entry. A space in a line, which makes the reader leave it to
 * jansson, changes nothing.
 */
#include <string.h>

#include "formats/entry.h"
#include "tests/fuzz/fuzz.h"

static void
append_all(const struct fmt_entry *entry, struct fmt_buf *written)
{
	require(fmt_entry_encode(entry, written) == FMT_OK);
}

/* Appends every entry that is read, as it is written, to `written`. */
static enum fmt_status
read_list(
    const uint8_t *data, size_t size, size_t portion, struct fmt_buf *written)
{
	struct fmt_entry_reader *reader = NULL;
	enum fmt_status status = fmt_entry_reader_new(&reader);

	/* No bytes come as a NULL, to which nothing may be added. */
	if (size == 0)
		data = (const uint8_t *)"";
	for (size_t at = 0; status == FMT_OK && at <= size; at += portion) {
		size_t len = size - at < portion ? size - at : portion;
		bool have = true;

		status = fmt_entry_reader_feed(reader, data + at, len);
		if (status == FMT_OK && at + portion > size)
			status = fmt_entry_reader_finish(reader);
		while (status == FMT_OK && have) {
			struct fmt_entry entry = FMT_ENTRY_INIT;

			status = fmt_entry_reader_next(reader, &entry, &have);
			if (status == FMT_OK && have)
				append_all(&entry, written);
			fmt_entry_free(&entry);
		}
	}
	fmt_entry_reader_free(reader);
	return status;
}

static bool
is_same(const struct fmt_buf *a, const struct fmt_buf *b)
{
	return a->len == b->len &&
	       (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* Puts a space behind the brace that a line begins with. */
static void
put_spaces(const uint8_t *data, size_t size, struct fmt_buf *spaced)
{
	for (size_t i = 0; i < size; i++) {
		require(fmt_buf_append_byte(spaced, data[i]) == FMT_OK);
		if (data[i] == '{' && (i == 0 || data[i - 1] == '\n'))
			require(fmt_buf_append_byte(spaced, ' ') == FMT_OK);
	}
}

static void
spaces_change_nothing(const uint8_t *data, size_t size, enum fmt_status status,
    const struct fmt_buf *expected)
{
	struct fmt_buf spaced = FMT_BUF_INIT, found = FMT_BUF_INIT;

	put_spaces(data, size, &spaced);
	require(read_list(spaced.data, spaced.len, spaced.len + 1, &found) ==
		status);
	require(is_same(&found, expected));
	fmt_buf_free(&spaced);
	fmt_buf_free(&found);
}

static void
escaping_comes_back(const uint8_t *data, size_t size)
{
	struct fmt_buf path = FMT_BUF_INIT, text = FMT_BUF_INIT;
	struct fmt_buf back = FMT_BUF_INIT;

	if (fmt_path_unescape((const char *)data, size, &path) == FMT_OK) {
		const char *plain = fmt_buf_text(&path);

		require(fmt_path_escape(plain, &text) == FMT_OK);
		require(fmt_path_unescape((const char *)text.data, text.len,
			    &back) == FMT_OK);
		require(is_same(&path, &back));
	}
	fmt_buf_free(&path);
	fmt_buf_free(&text);
	fmt_buf_free(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_buf once = FMT_BUF_INIT, bytewise = FMT_BUF_INIT;
	struct fmt_buf again = FMT_BUF_INIT;
	enum fmt_status status = read_list(data, size, size + 1, &once);

	if (size < 65536) {
		enum fmt_status other = read_list(data, size, 1, &bytewise);

		/* At the end of a cut list, a whole read sees the cut first
		 * and a portioned one what comes before it. */
		require((status == FMT_OK) == (other == FMT_OK));
		if (status == FMT_OK)
			require(is_same(&once, &bytewise));
		spaces_change_nothing(data, size, status, &once);
	}
	if (status == FMT_OK) {
		require(read_list(once.data, once.len, once.len + 1, &again) ==
			FMT_OK);
		require(is_same(&once, &again));
	}
	escaping_comes_back(data, size);
	fmt_buf_free(&once);
	fmt_buf_free(&bytewise);
	fmt_buf_free(&again);
	return 0;
}
