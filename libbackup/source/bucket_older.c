/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_older.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"

static const char doing[] = "setting versions aside in a temporary file";

/* What a record begins with; then come its texts, each with its NUL, and the
 * former entry; and last the length of all that, to read it from behind. */
struct head {
	uint64_t size;
	int64_t modified_us;
	uint32_t former_len;
	bool is_delete_marker, has_tags;
};

#define TEXTS 6

struct bkp_bucket_older {
	FILE *records;
	FILE *ends; /* a uint64_t a key: where its records end in `records` */
	uint64_t count, written;
	char *key;             /* owned: of the last one added */
	struct fmt_buf record; /* the one being written or given */
	/* while they are given */
	uint64_t keys, next_key; /* how many; the one to begin next */
	uint64_t begin, at, end; /* of the key that is given */
};

static FILE *
open_temporary(struct bkp_error *err)
{
	int fd = bkp_temporary_file(err);
	FILE *file;

	if (fd < 0)
		return NULL;
	if ((file = fdopen(fd, "w+")) == NULL) {
		(void)close(fd);
		(void)bkp_fail_nomem(err, doing);
	}
	return file;
}

int
bkp_bucket_older_new(struct bkp_bucket_older **out, struct bkp_error *err)
{
	struct bkp_bucket_older *older = bkp_alloc(sizeof(*older), err);

	if (older == NULL)
		return -1;
	if ((older->records = open_temporary(err)) == NULL ||
	    (older->ends = open_temporary(err)) == NULL) {
		bkp_bucket_older_free(older);
		return -1;
	}
	*out = older;
	return 0;
}

void
bkp_bucket_older_free(struct bkp_bucket_older *older)
{
	if (older == NULL)
		return;
	if (older->records != NULL)
		(void)fclose(older->records);
	if (older->ends != NULL)
		(void)fclose(older->ends);
	free(older->key);
	fmt_buf_free(&older->record);
	free(older);
}

uint64_t
bkp_bucket_older_count(const struct bkp_bucket_older *older)
{
	return older->count;
}

/* ---- writing ---- */

static int
put(FILE *file, const void *data, size_t len, struct bkp_error *err)
{
	errno = 0;
	if (fwrite(data, 1, len, file) != len)
		return bkp_fail_errno(err, errno, "%s", doing);
	return 0;
}

static int
end_key(struct bkp_bucket_older *older, struct bkp_error *err)
{
	if (older->key == NULL)
		return 0;
	free(older->key);
	older->key = NULL;
	older->keys++;
	return put(older->ends, &older->written, sizeof(older->written), err);
}

static enum fmt_status
encode(const struct bkp_bucket_aside *version, struct fmt_buf *out)
{
	const char *tags = version->tags != NULL ? version->tags : "";
	const char *const texts[TEXTS] = {version->key, version->version_id,
	    version->etag, version->last_modified, version->storage_class,
	    tags};
	struct head head;
	enum fmt_status status;

	memset(&head, 0, sizeof(head));
	head.size = version->size;
	head.modified_us = version->modified_us;
	head.former_len =
	    version->former != NULL ? (uint32_t)version->former_len : 0;
	head.is_delete_marker = version->is_delete_marker;
	head.has_tags = version->tags != NULL;
	fmt_buf_clear(out);
	status = fmt_buf_append(out, &head, sizeof(head));
	for (size_t i = 0; i < TEXTS && status == FMT_OK; i++)
		status = fmt_buf_append(out, texts[i], strlen(texts[i]) + 1);
	if (status == FMT_OK && head.former_len > 0)
		status = fmt_buf_append(out, version->former, head.former_len);
	return status;
}

int
bkp_bucket_older_add(struct bkp_bucket_older *older,
    const struct bkp_bucket_aside *version, struct bkp_error *err)
{
	uint32_t len;

	if (version->former_len > UINT32_MAX / 2)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "the entry of version %s of %s is too long",
		    version->version_id, version->key);
	if (older->key != NULL && strcmp(older->key, version->key) != 0 &&
	    end_key(older, err) < 0)
		return -1;
	if (older->key == NULL &&
	    (older->key = bkp_strdup(version->key, err)) == NULL)
		return -1;
	if (encode(version, &older->record) != FMT_OK)
		return bkp_fail_nomem(err, doing);
	len = (uint32_t)older->record.len;
	if (put(older->records, older->record.data, len, err) < 0 ||
	    put(older->records, &len, sizeof(len), err) < 0)
		return -1;
	older->written += len + sizeof(len);
	older->count++;
	return 0;
}

/* ---- reading ---- */

int
bkp_bucket_older_rewind(struct bkp_bucket_older *older, struct bkp_error *err)
{
	if (end_key(older, err) < 0)
		return -1;
	errno = 0;
	if (fflush(older->records) != 0 || fflush(older->ends) != 0)
		return bkp_fail_errno(err, errno, "%s", doing);
	return 0;
}

static int
get(FILE *file, void *to, size_t len, uint64_t at, struct bkp_error *err)
{
	char *next = to;

	while (len > 0) {
		ssize_t got = pread(fileno(file), next, len, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return bkp_fail_errno(err, errno, "%s", doing);
		if (got == 0)
			return bkp_fail(err, BKP_IO,
			    "a temporary file ends before what was written to "
			    "it");
		next += got;
		at += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

/* Reads the record that ends at `at`, and moves in front of it. */
static int
get_record(struct bkp_bucket_older *older, struct bkp_error *err)
{
	uint32_t len;

	if (get(older->records, &len, sizeof(len), older->at - sizeof(len),
		err) < 0)
		return -1;
	older->at -= sizeof(len) + len;
	fmt_buf_clear(&older->record);
	if (fmt_buf_reserve(&older->record, len) != FMT_OK)
		return bkp_fail_nomem(err, doing);
	if (get(older->records, older->record.data, len, older->at, err) < 0)
		return -1;
	older->record.len = len;
	return 0;
}

static void
decode(const struct fmt_buf *record, struct bkp_bucket_aside *version)
{
	const char *texts[TEXTS], *at = (const char *)record->data;
	struct head head;

	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	for (size_t i = 0; i < TEXTS; i++) {
		texts[i] = at;
		at += strlen(at) + 1;
	}
	*version = (struct bkp_bucket_aside){.key = texts[0],
	    .version_id = texts[1],
	    .etag = texts[2],
	    .last_modified = texts[3],
	    .storage_class = texts[4],
	    .tags = head.has_tags ? texts[5] : NULL,
	    .is_delete_marker = head.is_delete_marker,
	    .size = head.size,
	    .modified_us = head.modified_us,
	    .former = head.former_len > 0 ? at : NULL,
	    .former_len = head.former_len};
}

int
bkp_bucket_older_next(struct bkp_bucket_older *older,
    struct bkp_bucket_aside *version, struct bkp_error *err)
{
	if (older->at == older->begin) {
		if (older->next_key == older->keys)
			return 0;
		older->begin = older->end;
		if (get(older->ends, &older->end, sizeof(older->end),
			older->next_key * sizeof(older->end), err) < 0)
			return -1;
		older->next_key++;
		older->at = older->end;
	}
	if (get_record(older, err) < 0)
		return -1;
	decode(&older->record, version);
	return 1;
}
