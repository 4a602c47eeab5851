/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_sink.h"

#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"

struct bkp_entry_stream {
	const struct bkp_sink *sink;
	char *prefix; /* owned */
	size_t next;
};

struct bkp_chunk_reader {
	struct bkp_supply *supply;
};

/* One is enough: it keeps nothing between calls. */
static struct bkp_chunk_reader only_reader;

/* ---- the sink ---- */

void
fake_sink_init(struct bkp_sink *sink, const struct bkp_events *events,
    const struct bkp_cancel *cancel)
{
	memset(sink, 0, sizeof(*sink));
	pthread_mutex_init(&sink->lock, NULL);
	assert_int_equal(
	    bkp_run_new(FAKE_WORKERS, events, cancel, &sink->run, NULL), 0);
	for (unsigned i = 0; i < FAKE_WORKERS; i++)
		sink->contents[i].sink = sink;
}

void
fake_sink_free(struct bkp_sink *sink)
{
	for (size_t i = 0; i < sink->entry_count; i++)
		fmt_entry_free(&sink->entries[i]);
	for (size_t i = 0; i < sink->blob_count; i++)
		fmt_buf_free(&sink->blobs[i].bytes);
	for (unsigned i = 0; i < FAKE_WORKERS; i++)
		fmt_buf_free(&sink->contents[i].bytes);
	free(sink->entries);
	free(sink->blobs);
	json_decref(sink->info);
	bkp_run_free(sink->run);
	pthread_mutex_destroy(&sink->lock);
}

struct bkp_run *
bkp_sink_run(struct bkp_sink *sink)
{
	return sink->run;
}

struct bkp_content *
bkp_sink_content(struct bkp_sink *sink, unsigned worker)
{
	return &sink->contents[worker];
}

bool
bkp_sink_is_digest_only(const struct bkp_sink *sink)
{
	return sink->is_digest_only;
}

int
bkp_content_begin(
    struct bkp_content *content, struct fmt_entry *entry, struct bkp_error *err)
{
	(void)err;
	pthread_mutex_lock(&content->sink->lock);
	content->sink->begun++;
	pthread_mutex_unlock(&content->sink->lock);
	content->entry = entry;
	fmt_buf_clear(&content->bytes);
	entry->has_content = entry->has_sha256 = false;
	entry->size = 0;
	entry->chunk_count = 0;
	return 0;
}

int
bkp_content_write(struct bkp_content *content, const void *data, size_t len,
    struct bkp_error *err)
{
	if (content->sink->on_write != NULL)
		content->sink->on_write(content->sink, content->entry->path);
	if (fmt_buf_append(&content->bytes, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "faking");
	return 0;
}

static int
keep(struct bkp_sink *sink, struct fmt_entry *entry, struct fmt_buf *bytes,
    struct bkp_error *err)
{
	static const unsigned char none[1];
	struct fmt_chunk_ref ref = {.len = (uint32_t)bytes->len};
	int rc;

	(void)SHA256(bytes->data != NULL ? bytes->data : none, bytes->len,
	    entry->sha256);
	entry->has_content = entry->has_sha256 = true;
	entry->size = bytes->len;
	memcpy(ref.id, entry->sha256, sizeof(ref.id));
	pthread_mutex_lock(&sink->lock);
	rc = bkp_grow(&sink->blobs, sink->blob_count, &sink->blob_cap,
	    sizeof(*sink->blobs), err);
	if (rc == 0) {
		struct fake_blob *blob = &sink->blobs[sink->blob_count++];

		memcpy(blob->id, ref.id, sizeof(ref.id));
		blob->bytes = *bytes;
		*bytes = (struct fmt_buf)FMT_BUF_INIT;
	}
	pthread_mutex_unlock(&sink->lock);
	if (rc == 0 && fmt_entry_add_chunk(entry, &ref) != FMT_OK)
		rc = bkp_fail_nomem(err, "faking");
	return rc;
}

int
bkp_content_end(struct bkp_content *content, struct bkp_error *err)
{
	return keep(content->sink, content->entry, &content->bytes, err);
}

void
bkp_content_abort(struct bkp_content *content)
{
	fmt_buf_clear(&content->bytes);
}

int
bkp_sink_entry(
    struct bkp_sink *sink, struct fmt_entry *entry, struct bkp_error *err)
{
	if (sink->entry_count > 0 &&
	    fmt_entry_compare(
		sink->entries[sink->entry_count - 1].path, entry->path) >= 0) {
		(void)bkp_fail(err, BKP_INVALID, "%s came after %s",
		    entry->path, sink->entries[sink->entry_count - 1].path);
		fmt_entry_free(entry);
		return -1;
	}
	if (bkp_grow(&sink->entries, sink->entry_count, &sink->entry_cap,
		sizeof(*sink->entries), err) < 0) {
		fmt_entry_free(entry);
		return -1;
	}
	sink->entries[sink->entry_count++] = *entry;
	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	return 0;
}

static int
open_stream(const struct bkp_sink *sink, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	struct bkp_entry_stream *stream = bkp_alloc(sizeof(*stream), err);

	if (stream == NULL)
		return -1;
	stream->sink = sink;
	stream->prefix = bkp_strdup(prefix != NULL ? prefix : "", err);
	if (stream->prefix == NULL) {
		free(stream);
		return -1;
	}
	*out = stream;
	return 0;
}

int
bkp_sink_previous(
    struct bkp_sink *sink, struct bkp_entry_stream **out, struct bkp_error *err)
{
	*out = NULL;
	if (sink->previous == NULL)
		return 0;
	return open_stream(sink->previous, NULL, out, err);
}

int
bkp_sink_recorded(
    struct bkp_sink *sink, struct bkp_entry_stream **out, struct bkp_error *err)
{
	(void)sink;
	(void)err;
	*out = NULL;
	return 0;
}

bool
bkp_sink_has_entry(struct bkp_sink *sink, const struct fmt_entry *previous)
{
	return sink->previous != NULL && !sink->is_digest_only &&
	       previous->has_content;
}

/* ---- streams ---- */

static enum fmt_status
copy_entry(const struct fmt_entry *from, struct fmt_entry *to)
{
	enum fmt_status status = fmt_entry_init(to, from->path, from->kind);

	if (status != FMT_OK)
		return status;
	to->attrs = json_deep_copy(from->attrs);
	to->has_content = from->has_content;
	to->has_sha256 = from->has_sha256;
	to->size = from->size;
	memcpy(to->sha256, from->sha256, sizeof(to->sha256));
	for (size_t i = 0; status == FMT_OK && i < from->chunk_count; i++)
		status = fmt_entry_add_chunk(to, &from->chunks[i]);
	if (status != FMT_OK)
		fmt_entry_free(to);
	return status;
}

int
bkp_entry_stream_next(struct bkp_entry_stream *stream, struct fmt_entry *entry,
    struct bkp_error *err)
{
	while (stream->next < stream->sink->entry_count) {
		const struct fmt_entry *next =
		    &stream->sink->entries[stream->next++];

		if (strncmp(next->path, stream->prefix,
			strlen(stream->prefix)) != 0)
			continue;
		if (copy_entry(next, entry) != FMT_OK)
			return bkp_fail_nomem(err, "faking");
		return 1;
	}
	return 0;
}

void
bkp_entry_stream_close(struct bkp_entry_stream *stream)
{
	free(stream->prefix);
	free(stream);
}

/* ---- looking at what came ---- */

int
fake_backup(struct bkp_sink *sink, const struct bkp_kind *kind,
    const struct bkp_source_config *config, struct bkp_error *err)
{
	struct bkp_source *source = NULL;
	int rc = -1;

	if (kind->source_open(config, &source, err) < 0)
		return -1;
	if (source->ops->prepare(source, sink, err) == 0 &&
	    source->ops->run(source, sink, err) == 0 &&
	    source->ops->info(source, &sink->info, err) == 0)
		rc = 0;
	source->ops->close(source);
	return rc;
}

const struct fmt_entry *
fake_entry(const struct bkp_sink *sink, const char *path)
{
	for (size_t i = 0; i < sink->entry_count; i++)
		if (strcmp(sink->entries[i].path, path) == 0)
			return &sink->entries[i];
	return NULL;
}

const struct fmt_buf *
fake_bytes(const struct bkp_sink *sink, const struct fmt_entry *entry)
{
	assert_int_equal(entry->chunk_count, 1);
	for (size_t i = 0; i < sink->blob_count; i++)
		if (memcmp(sink->blobs[i].id, entry->chunks[0].id,
			FMT_ID_SIZE) == 0)
			return &sink->blobs[i].bytes;
	if (sink->previous != NULL)
		return fake_bytes(sink->previous, entry);
	fail_msg("%s has no bytes", entry->path);
	return NULL;
}

const char *
fake_text(const struct fmt_entry *entry, const char *name)
{
	return json_string_value(json_object_get(entry->attrs, name));
}

void
fake_add(struct bkp_sink *sink, const char *path, const char *kind,
    json_t *attrs, const char *content)
{
	struct fmt_entry *entry;
	struct fmt_buf bytes = FMT_BUF_INIT;

	assert_int_equal(bkp_grow(&sink->entries, sink->entry_count,
			     &sink->entry_cap, sizeof(*entry), NULL),
	    0);
	entry = &sink->entries[sink->entry_count++];
	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	assert_int_equal(fmt_entry_init(entry, path, kind), FMT_OK);
	entry->attrs = attrs;
	if (content == NULL)
		return;
	assert_int_equal(fmt_buf_append_text(&bytes, content), FMT_OK);
	assert_int_equal(keep(sink, entry, &bytes, NULL), 0);
}

size_t
fake_omissions(struct bkp_sink *sink)
{
	size_t count;

	(void)bkp_run_omissions(sink->run, &count);
	return count;
}

const char *
fake_omission(struct bkp_sink *sink, const char *path)
{
	size_t count;
	const struct bkp_omission *all = bkp_run_omissions(sink->run, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].path, path) == 0)
			return all[i].reason;
	return NULL;
}

/* ---- the supply ---- */

struct bkp_run *
bkp_supply_run(struct bkp_supply *supply)
{
	return supply->from->run;
}

const char *
bkp_supply_prefix(const struct bkp_supply *supply)
{
	return supply->prefix;
}

const char *
bkp_supply_selection(const struct bkp_supply *supply)
{
	return supply->selection != NULL ? supply->selection : supply->prefix;
}

bool
bkp_supply_is_selected(const struct bkp_supply *supply, const char *path)
{
	const char *selection = bkp_supply_selection(supply);
	size_t len = strlen(selection);

	return strncmp(path, selection, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/');
}

const json_t *
bkp_supply_info(const struct bkp_supply *supply)
{
	return supply->from->info;
}

int
bkp_supply_entries(struct bkp_supply *supply, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err)
{
	return open_stream(supply->from, prefix, out, err);
}

struct bkp_chunk_reader *
bkp_supply_reader(struct bkp_supply *supply, unsigned worker)
{
	assert_true(worker < FAKE_WORKERS);
	(void)supply;
	return &only_reader;
}

int
bkp_supply_lose(struct bkp_supply *supply, struct bkp_error *err,
    const struct bkp_error *why, const char *path, const char *format, ...)
{
	(void)format;
	if (why->code != BKP_CORRUPT) {
		if (err != NULL)
			*err = *why;
		return -1;
	}
	supply->lost++;
	return bkp_run_omit(
	    supply->from->run, err, path, "lost: %s", why->message);
}

bool
bkp_supply_has_whole_list(const struct bkp_supply *supply)
{
	(void)supply;
	return true;
}

void
bkp_supply_restored(struct bkp_supply *supply, uint64_t count)
{
	supply->restored += count;
}

/* In pieces of an odd size; a damaged one fails in the middle. */
int
bkp_chunk_reader_entry(struct bkp_chunk_reader *reader,
    const struct fmt_entry *entry, bkp_bytes_fn *fn, void *arg,
    struct bkp_error *err)
{
	struct bkp_supply *supply = reader->supply;
	const struct fmt_buf *bytes = fake_bytes(supply->from, entry);
	int number = __atomic_add_fetch(&supply->read, 1, __ATOMIC_SEQ_CST);
	bool is_damaged = number == supply->damage_at ||
			  (supply->damaged != NULL &&
			      strstr(entry->path, supply->damaged) != NULL);
	size_t at = 0, end = is_damaged ? bytes->len / 2 : bytes->len;

	while (at < end) {
		size_t n = end - at < 70001 ? end - at : 70001;

		if (fn(arg, bytes->data + at, n, err) < 0)
			return -1;
		at += n;
	}
	if (is_damaged)
		return bkp_fail(
		    err, BKP_CORRUPT, "%s: a chunk is damaged", entry->path);
	return 0;
}

int
fake_restore(struct bkp_supply *supply, const struct bkp_kind *kind,
    const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_error *err)
{
	struct bkp_target *target = NULL;
	int rc = -1;

	only_reader.supply = supply;
	if (kind->target_open(config, options, &target, err) < 0)
		return -1;
	if (target->ops->check(target, supply, err) == 0 &&
	    target->ops->run(target, supply, err) == 0)
		rc = 0;
	target->ops->close(target);
	return rc;
}
