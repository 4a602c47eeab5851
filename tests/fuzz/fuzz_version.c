/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of older versions. A key that is read out of a path gives the same
 * path as far as the key goes, and any key comes back out of its own path; two
 * keys are in the order of their paths.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/version.h"
#include "tests/fuzz/fuzz.h"

#define PREFIX "bucket/a"

static void
read_path(const char *text)
{
	struct fmt_buf path = FMT_BUF_INIT, key = FMT_BUF_INIT;
	struct fmt_buf again = FMT_BUF_INIT;

	require(fmt_version_root(PREFIX, &path) == FMT_OK);
	require(fmt_buf_append_text(&path, text) == FMT_OK);
	require(fmt_buf_text(&path) != NULL);
	if (fmt_version_key(PREFIX, (const char *)path.data, &key) == FMT_OK) {
		require(fmt_buf_text(&key) != NULL);
		require(fmt_version_group(
			    PREFIX, (const char *)key.data, &again) == FMT_OK);
		require(again.len < path.len);
		require(memcmp(again.data, path.data, again.len) == 0);
	}
	fmt_buf_free(&path);
	fmt_buf_free(&key);
	fmt_buf_free(&again);
}

static void
write_path(const char *text, struct fmt_buf *path)
{
	struct fmt_buf key = FMT_BUF_INIT;

	require(fmt_version_path(PREFIX, text, 0, path) == FMT_OK);
	require(fmt_buf_text(path) != NULL);
	require(
	    fmt_version_key(PREFIX, (const char *)path->data, &key) == FMT_OK);
	require(fmt_buf_text(&key) != NULL);
	require(strcmp((const char *)key.data, text) == 0);
	fmt_buf_free(&key);
}

static int
sign_of(int order)
{
	return (order > 0) - (order < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_buf one = FMT_BUF_INIT, other = FMT_BUF_INIT;
	char *text = malloc(size + 2);
	const char *second;

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	/* Up to the first NUL, and what is behind it. */
	text[size] = text[size + 1] = '\0';
	second = text + strlen(text) + 1;
	read_path(text);
	if (text[0] != '\0' && second < text + size + 1 && *second != '\0') {
		write_path(text, &one);
		write_path(second, &other);
		require(sign_of(strcmp(text, second)) ==
			sign_of(strcmp(
			    (const char *)one.data, (const char *)other.data)));
	}
	fmt_buf_free(&one);
	fmt_buf_free(&other);
	free(text);
	return 0;
}
