/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of a recovery sheet as they are typed in again. The input is the
 * text; and, since no checksum comes by chance, its first bytes are what a
 * sheet holds that is written here, and the others are typing errors in it.
 * A sheet that is taken is the one that was written.
 */
#include <string.h>

#include "libbackup/repository/sheet_lines.h"
#include "tests/fuzz/fuzz.h"

#define HELD (BKP_SHEET_ID - 1 + BKP_SHEET_KEY - 1)

static bool
read_sheet(const void *text, size_t len, struct bkp_sheet_lines *out)
{
	struct bkp_error err = BKP_ERROR_INIT;
	int rc = bkp_sheet_lines_read(text, len, out, &err);

	require(rc == 0 || (err.code == BKP_CORRUPT && err.message[0] != '\0'));
	return rc == 0;
}

static bool
is_same(const struct bkp_sheet_lines *a, const struct bkp_sheet_lines *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->key, b->key) == 0;
}

static void
write_sheet(const struct bkp_sheet_lines *lines, struct fmt_buf *out)
{
	struct bkp_error err = BKP_ERROR_INIT;

	require(bkp_sheet_lines_write(lines, out, &err) == 0);
}

static void
try_typed(const uint8_t *data, size_t size)
{
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_sheet_lines lines, again;

	if (!read_sheet(data, size, &lines))
		return;
	write_sheet(&lines, &text);
	require(read_sheet(text.data, text.len, &again));
	require(is_same(&lines, &again));
	fmt_buf_free(&text);
}

/* Pairs of bytes: the second stands at the place that the first names. */
static void
mistype(const uint8_t *data, size_t size, struct fmt_buf *text)
{
	for (size_t i = 0; i + 1 < size; i += 2)
		text->data[(size_t)data[i] * text->len / 256] = data[i + 1];
}

static void
try_mistyped(const uint8_t *data, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	static const char key[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
	struct bkp_sheet_lines lines = {"", ""}, again;
	struct fmt_buf text = FMT_BUF_INIT;

	if (size < HELD)
		return;
	for (size_t i = 0; i < BKP_SHEET_ID - 1; i++)
		lines.id[i] = hex[*data++ % 16];
	for (size_t i = 0; i < BKP_SHEET_KEY - 1; i++)
		lines.key[i] = key[*data++ % 32];
	write_sheet(&lines, &text);
	require(read_sheet(text.data, text.len, &again));
	require(is_same(&lines, &again));
	mistype(data, size - HELD, &text);
	if (read_sheet(text.data, text.len, &again))
		require(is_same(&lines, &again));
	fmt_buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	try_typed(data, size);
	try_mistyped(data, size);
	return 0;
}
