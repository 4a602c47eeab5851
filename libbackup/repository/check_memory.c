/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which packs were read and found good or damaged, and when: a file of this
 * machine. It saves work and proves nothing, so one that cannot be read counts
 * as none.
 *
 *   "bkpcheck" | 1 (32 bits) | records (32 bits) | SHA-256 of the records
 *   records: name (32 bytes) | microseconds UTC (64 bits, below 0 where it was
 *   damaged), sorted by name
 *
 * Integers are little-endian.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/bytes.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/repository/checker.h"

#define MAGIC "bkpcheck"
#define VERSION 1u
#define HEAD ((size_t)48)
#define RECORD ((size_t)40)
#define FILE_NAME "checked"

static char *
file_path(const char *repository_id, struct bkp_error *err)
{
	char *folder = bkp_state_directory(repository_id, err);
	char *path = NULL;

	if (folder != NULL)
		path = bkp_format(err, "%s/" FILE_NAME, folder);
	free(folder);
	return path;
}

/* ---- reading ---- */

static bool
is_whole(const struct fmt_buf *file)
{
	unsigned char digest[32];
	uint64_t count;

	if (file->len < HEAD || memcmp(file->data, MAGIC, 8) != 0 ||
	    fmt_load_le32(file->data + 8) != VERSION)
		return false;
	count = fmt_load_le32(file->data + 12);
	return file->len == HEAD + count * RECORD &&
	       fmt_sha256(file->data + HEAD, file->len - HEAD, digest) ==
		   FMT_OK &&
	       memcmp(digest, file->data + 16, sizeof(digest)) == 0;
}

static int
decode(const struct fmt_buf *file, struct bkp_check_memory *out,
    struct bkp_error *err)
{
	size_t count;

	if (!is_whole(file))
		return bkp_fail(
		    err, BKP_CORRUPT, "the file is not what was written there");
	count = (file->len - HEAD) / RECORD;
	out->items =
	    bkp_alloc_array(count > 0 ? count : 1, sizeof(*out->items), err);
	if (out->items == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const unsigned char *record = file->data + HEAD + i * RECORD;

		memcpy(out->items[i].name, record, 32);
		out->items[i].read_us = (int64_t)fmt_load_le64(record + 32);
	}
	out->count = count;
	return 0;
}

int
bkp_check_memory_load(const char *repository_id, struct bkp_check_memory *out,
    struct bkp_error *err)
{
	struct fmt_buf file = FMT_BUF_INIT;
	char *path = file_path(repository_id, err);
	int rc = -1;

	if (path != NULL && bkp_place_read(path, &file, err) == 0 &&
	    (rc = decode(&file, out, err)) < 0)
		(void)bkp_fail_in(err, "%s", path);
	fmt_buf_free(&file);
	free(path);
	return rc;
}

void
bkp_check_memory_free(struct bkp_check_memory *memory)
{
	free(memory->items);
	*memory = (struct bkp_check_memory){NULL, 0};
}

/* ---- writing ---- */

static enum fmt_status
encode(const struct bkp_check_packs *packs, struct fmt_buf *out)
{
	unsigned char record[RECORD] = {0};
	enum fmt_status status = FMT_OK;
	uint32_t count = 0;

	for (size_t i = 0; status == FMT_OK && i < HEAD / 8; i++)
		status = fmt_buf_append(out, record, 8);
	for (size_t i = 0; status == FMT_OK && i < packs->count; i++) {
		const struct bkp_check_pack *pack = &packs->items[i];

		if (pack->read_us == 0)
			continue;
		memcpy(record, pack->name, 32);
		fmt_store_le64(record + 32, (uint64_t)pack->read_us);
		status = fmt_buf_append(out, record, sizeof(record));
		count++;
	}
	if (status != FMT_OK)
		return status;
	memcpy(out->data, MAGIC, 8);
	fmt_store_le32(out->data + 8, VERSION);
	fmt_store_le32(out->data + 12, count);
	return fmt_sha256(out->data + HEAD, out->len - HEAD, out->data + 16);
}

int
bkp_check_memory_save(const char *repository_id,
    const struct bkp_check_packs *packs, struct bkp_error *err)
{
	struct fmt_buf file = FMT_BUF_INIT;
	char *path = file_path(repository_id, err);
	enum fmt_status status;
	int rc = -1;

	if (path != NULL && (status = encode(packs, &file)) != FMT_OK)
		(void)bkp_fail_format(err, status, "noting what was checked");
	else if (path != NULL)
		rc = bkp_place_write(path, file.data, file.len, err);
	fmt_buf_free(&file);
	free(path);
	return rc;
}
