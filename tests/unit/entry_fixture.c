/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/entry_fixture.h"

void
entry_make(struct fmt_entry *entry, const char *path, size_t count)
{
	assert_int_equal(fmt_entry_init(entry, path, "files.file"), FMT_OK);
	entry->has_content = true;
	for (size_t i = 0; i < count; i++) {
		struct fmt_chunk_ref ref = {.len = (uint32_t)i + 1};

		memcpy(ref.id, &i, sizeof(i));
		ref.id[FMT_ID_SIZE - 1] = (unsigned char)(i * 7 + 1);
		entry->size += ref.len;
		assert_int_equal(fmt_entry_add_chunk(entry, &ref), FMT_OK);
	}
}

void
entry_assert_same(const struct fmt_entry *a, const struct fmt_entry *b)
{
	assert_string_equal(a->path, b->path);
	assert_string_equal(a->kind, b->kind);
	assert_int_equal(a->attrs == NULL, b->attrs == NULL);
	if (a->attrs != NULL)
		assert_true(json_equal(a->attrs, b->attrs));
	assert_int_equal(a->has_content, b->has_content);
	assert_int_equal(a->has_sha256, b->has_sha256);
	assert_int_equal(a->size, b->size);
	if (a->has_sha256)
		assert_memory_equal(a->sha256, b->sha256, 32);
	assert_int_equal(a->chunk_count, b->chunk_count);
	for (size_t i = 0; i < a->chunk_count; i++) {
		assert_memory_equal(a->chunks[i].id, b->chunks[i].id, 32);
		assert_int_equal(a->chunks[i].len, b->chunks[i].len);
	}
}

enum fmt_status
entry_read_all(const char *text, size_t len, size_t portion, size_t *count,
    struct fmt_entry *last)
{
	struct fmt_entry_reader *reader;
	enum fmt_status status = FMT_OK;
	bool have;

	*count = 0;
	assert_int_equal(fmt_entry_reader_new(&reader), FMT_OK);
	for (size_t pos = 0; status == FMT_OK; pos += portion) {
		size_t left = len - pos;

		if (left <= portion) {
			status =
			    fmt_entry_reader_feed(reader, text + pos, left);
			if (status == FMT_OK)
				status = fmt_entry_reader_finish(reader);
		} else {
			status =
			    fmt_entry_reader_feed(reader, text + pos, portion);
		}
		for (have = true; status == FMT_OK && have;) {
			struct fmt_entry entry = FMT_ENTRY_INIT;

			status = fmt_entry_reader_next(reader, &entry, &have);
			if (status != FMT_OK || !have)
				break;
			++*count;
			if (last != NULL) {
				fmt_entry_free(last);
				*last = entry;
			} else {
				fmt_entry_free(&entry);
			}
		}
		if (left <= portion)
			break;
	}
	fmt_entry_reader_free(reader);
	return status;
}
