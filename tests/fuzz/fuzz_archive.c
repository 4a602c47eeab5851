/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is beside tar in an archive. A trailer that is taken is written back as
 * the same bytes. A manifest cannot be signed by chance, so the input is also
 * taken as its first line and signed here; what is taken of it is written back
 * and read again as the same. Any path has a name that a file system takes and
 * that stands for that path.
 */
#include <string.h>

#include "formats/archive.h"
#include "formats/json.h"
#include "formats/record.h"
#include "tests/fuzz/fuzz.h"

#define COMPONENT 255

static const unsigned char seed[32] = {1};

static void
try_trailer(const uint8_t *data, size_t size)
{
	struct fmt_buf out = FMT_BUF_INIT;
	struct fmt_chunk_ref ref;

	if (size < FMT_ARCHIVE_TRAILER)
		return;
	data += size - FMT_ARCHIVE_TRAILER;
	if (fmt_archive_trailer_decode(data, size, &ref) != FMT_OK)
		return;
	require(fmt_archive_trailer_encode(&ref, &out) == FMT_OK);
	require(memcmp(data, out.data, out.len) == 0);
	fmt_buf_free(&out);
}

static void
is_written_back(const struct fmt_archive_manifest *manifest)
{
	struct fmt_buf out = FMT_BUF_INIT, again = FMT_BUF_INIT;
	struct fmt_archive_manifest got;

	require(fmt_archive_manifest_encode(manifest, seed, &out) == FMT_OK);
	require(fmt_archive_manifest_decode(out.data, out.len, &got) == FMT_OK);
	require(fmt_archive_manifest_encode(&got, seed, &again) == FMT_OK);
	require(
	    out.len == again.len && memcmp(out.data, again.data, out.len) == 0);
	fmt_archive_manifest_free(&got);
	fmt_buf_free(&out);
	fmt_buf_free(&again);
}

static void
try_manifest(const uint8_t *data, size_t size)
{
	struct fmt_archive_manifest manifest;
	struct fmt_buf text = FMT_BUF_INIT;
	json_t *body;

	require(fmt_archive_manifest_decode(data, size, &manifest) != FMT_OK);
	if (fmt_json_parse((const char *)data, size, &body) != FMT_OK)
		return;
	require(fmt_record_encode(body, "libbackup archive v1", seed, &text) ==
		FMT_OK);
	json_decref(body);
	if (fmt_archive_manifest_decode(text.data, text.len, &manifest) ==
	    FMT_OK) {
		is_written_back(&manifest);
		fmt_archive_manifest_free(&manifest);
	}
	fmt_buf_free(&text);
}

static void
is_name(const char *name)
{
	require(name[0] != '/');
	for (;;) {
		size_t len = strcspn(name, "/");

		require(len > 0 && len <= COMPONENT);
		require(strncmp(name, ".", len) != 0 || len != 1);
		require(strncmp(name, "..", len) != 0 || len != 2);
		if (name[len] == '\0')
			return;
		name += len + 1;
	}
}

/* Every line of the input is a path, in whatever order. */
static void
try_names(const uint8_t *data, size_t size)
{
	struct fmt_buf name = FMT_BUF_INIT, back = FMT_BUF_INIT;
	char *text = calloc(1, size + 1), *at, *path;
	struct fmt_archive_names *names;

	require(text != NULL && fmt_archive_names_new(&names) == FMT_OK);
	if (size > 0)
		memcpy(text, data, size);
	at = text;
	while ((path = strsep(&at, "\n")) != NULL) {
		bool is_folder = *path == '>';

		if (*path == '\0')
			continue;
		fmt_buf_clear(&name);
		fmt_buf_clear(&back);
		require(fmt_archive_names_next(names, path, is_folder, &name) ==
			FMT_OK);
		require(fmt_buf_text(&name) != NULL);
		is_name((const char *)name.data);
		require(fmt_archive_name_decode((const char *)name.data,
			    name.len, &back) == FMT_OK);
		require(back.len == strlen(path) &&
			memcmp(back.data, path, back.len) == 0);
	}
	fmt_archive_names_free(names);
	fmt_buf_free(&name);
	fmt_buf_free(&back);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_buf any = FMT_BUF_INIT;

	try_trailer(data, size);
	try_manifest(data, size);
	try_names(data, size);
	(void)fmt_archive_name_decode((const char *)data, size, &any);
	fmt_buf_free(&any);
	return 0;
}
