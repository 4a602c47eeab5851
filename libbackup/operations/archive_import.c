/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive into a repository, as a snapshot: every entry is read, held
 * against its digest, and stored as a backup would have stored it. The moment,
 * the host, the tags and what was left out are those of the snapshot that the
 * archive was made of; who signs, and when, is new.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/archive/input.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/operations/archive_import.h"
#include "libbackup/operations/opened.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/source/source.h"

/* An entry on its way; owned by the item of its last chunk. */
struct import_entry {
	struct fmt_entry entry;
	EVP_MD_CTX *digest; /* owned */
	uint64_t size;      /* of what was stored */
};

/* One chunk, or the end of an entry without content. */
struct item {
	struct import_entry *entry;
	size_t chunk;
	bool is_last;
	struct fmt_chunk_ref ref;
	struct fmt_buf plain; /* secret */
};

struct import {
	const struct bkp_import_options *options;
	struct bkp_run *run;
	struct bkp_repository *archive;    /* owned */
	struct bkp_repository *repository; /* borrowed */
	struct bkp_session *session;
	struct bkp_chunk_reader **readers; /* one a worker */
	struct bkp_chunk_writer **writers;
	unsigned workers;
	struct fmt_snapshot original, snapshot;
	char name[65];
	/* The source at hand. */
	struct bkp_entry_stream *stream;
	struct bkp_list_writer *list;
	struct import_entry *entry; /* owned until its last item */
	size_t chunk;
	uint64_t entries, bytes, rows, objects, files;
};

static void
free_entry(struct import_entry *entry)
{
	if (entry == NULL)
		return;
	fmt_entry_free(&entry->entry);
	EVP_MD_CTX_free(entry->digest);
	free(entry);
}

static void
discard(void *arg, void *taken)
{
	struct item *item = taken;

	(void)arg;
	if (item->is_last)
		free_entry(item->entry);
	fmt_buf_free(&item->plain);
	free(item);
}

/* ---- one item after another ---- */

/* The next entry of the source. 1, 0 at the end, -1. */
static int
next_entry(struct import *import, struct bkp_error *err)
{
	struct import_entry *entry = bkp_alloc(sizeof(*entry), err);
	int found = -1;

	if (entry == NULL)
		return -1;
	entry->digest = EVP_MD_CTX_new();
	if (entry->digest == NULL ||
	    EVP_DigestInit_ex(entry->digest, EVP_sha256(), NULL) != 1)
		(void)bkp_fail_nomem(err, "hashing");
	else
		found =
		    bkp_entry_stream_next(import->stream, &entry->entry, err);
	if (found != 1) {
		free_entry(entry);
		return found;
	}
	import->entry = entry;
	import->chunk = 0;
	return 1;
}

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct import *import = arg;
	struct item *item;
	int found;

	*out = NULL;
	if (import->entry == NULL && (found = next_entry(import, err)) != 1)
		return found;
	if ((item = bkp_alloc(sizeof(*item), err)) == NULL)
		return -1;
	item->plain.is_secret = true;
	item->entry = import->entry;
	item->chunk = import->chunk;
	if (item->chunk < item->entry->entry.chunk_count)
		item->ref = item->entry->entry.chunks[import->chunk++];
	item->is_last = import->chunk == item->entry->entry.chunk_count;
	if (item->is_last)
		import->entry = NULL;
	*out = item;
	return 0;
}

static int
work(void *arg, unsigned worker, void *taken, struct bkp_error *err)
{
	struct import *import = arg;
	struct item *item = taken;

	if (item->ref.len == 0)
		return 0;
	if (bkp_chunk_reader_get(
		import->readers[worker], &item->ref, &item->plain, err) < 0)
		return bkp_fail_in(err, "%s", item->entry->entry.path);
	return bkp_chunk_writer_put(import->writers[worker], item->plain.data,
	    item->plain.len, &item->ref, err);
}

static int
check_entry(struct import_entry *entry, struct bkp_error *err)
{
	const struct fmt_entry *recorded = &entry->entry;
	unsigned char sha256[32];

	if (!recorded->has_content)
		return 0;
	if (EVP_DigestFinal_ex(entry->digest, sha256, NULL) != 1)
		return bkp_fail(err, BKP_IO, "hashing failed");
	if (entry->size != recorded->size ||
	    (recorded->has_sha256 &&
		memcmp(sha256, recorded->sha256, sizeof(sha256)) != 0))
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: its content is not the one that was recorded",
		    recorded->path);
	return 0;
}

static void
count_entry(struct import *import, const struct fmt_entry *entry)
{
	const json_t *rows = json_object_get(entry->attrs, "rows");

	import->entries++;
	if (!entry->has_content)
		return;
	import->bytes += entry->size;
	if (json_is_integer(rows))
		import->rows += (uint64_t)json_integer_value(rows);
	if (strncmp(entry->kind, "bucket.", 7) == 0)
		import->objects++;
	if (strncmp(entry->kind, "files.", 6) == 0)
		import->files++;
}

static int
done_chunk(struct import *import, struct item *item, struct bkp_error *err)
{
	struct import_entry *entry = item->entry;

	entry->entry.chunks[item->chunk] = item->ref;
	entry->size += item->ref.len;
	bkp_run_count(import->run, item->ref.len, 0);
	if (EVP_DigestUpdate(
		entry->digest, item->plain.data, item->plain.len) != 1)
		return bkp_fail(err, BKP_IO, "hashing failed");
	return 0;
}

static int
done(void *arg, void *taken, struct bkp_error *err)
{
	struct import *import = arg;
	struct item *item = taken;
	int rc = 0;

	if (item->ref.len > 0)
		rc = done_chunk(import, item, err);
	if (rc == 0 && item->is_last) {
		rc = check_entry(item->entry, err);
		if (rc == 0)
			rc = bkp_list_writer_add(
			    import->list, &item->entry->entry, err);
		count_entry(import, &item->entry->entry);
		bkp_run_count(import->run, 0, 1);
	}
	discard(NULL, item);
	return rc;
}

static void
tick(void *arg)
{
	struct import *import = arg;

	bkp_run_tick(import->run);
}

/* ---- sources ---- */

static int
import_source(struct import *import, size_t n, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next,
	    .work = work,
	    .done = done,
	    .discard = discard,
	    .tick = tick};
	const struct fmt_snapshot_source *from = &import->original.sources[n];
	struct fmt_snapshot_source *to = &import->snapshot.sources[n];
	int rc;

	bkp_run_phase(import->run, from->bytes, from->entries, "taking in %s",
	    from->prefix);
	if (bkp_entry_stream_open(import->archive, from->list, from->list_count,
		"", &import->stream, err) < 0 ||
	    bkp_list_writer_new(import->session, &import->list, err) < 0)
		return -1;
	rc = bkp_pipeline_run(import->workers, 2 * import->workers + 2, &ops,
	    import, bkp_run_cancel(import->run), err);
	if (rc == 0)
		rc = bkp_list_writer_finish(
		    import->list, &to->list, &to->list_count, err);
	bkp_list_writer_free(import->list);
	import->list = NULL;
	bkp_entry_stream_close(import->stream);
	import->stream = NULL;
	free_entry(import->entry);
	import->entry = NULL;
	return rc < 0 ? bkp_fail_in(err, "%s", from->prefix) : 0;
}

static int
import_sources(struct import *import, struct bkp_error *err)
{
	for (size_t i = 0; i < import->original.source_count; i++) {
		const struct fmt_snapshot_source *source =
		    &import->snapshot.sources[i];

		if (import_source(import, i, err) < 0)
			return -1;
		bkp_run_message(import->run, BKP_INFO, source->prefix,
		    "%llu entries", (unsigned long long)source->entries);
	}
	for (unsigned i = 0; i < import->workers; i++)
		if (bkp_chunk_writer_flush(import->writers[i], err) < 0)
			return -1;
	return 0;
}

/* ---- the snapshot ---- */

static int
copy_sources(struct import *import, struct bkp_error *err)
{
	const struct fmt_snapshot *from = &import->original;
	struct fmt_snapshot *to = &import->snapshot;

	to->sources =
	    bkp_alloc_array(from->source_count, sizeof(*to->sources), err);
	if (to->sources == NULL)
		return -1;
	for (size_t i = 0; i < from->source_count; i++) {
		struct fmt_snapshot_source *source = &to->sources[i];

		to->source_count++;
		source->prefix = bkp_strdup(from->sources[i].prefix, err);
		source->kind = bkp_strdup(from->sources[i].kind, err);
		if (source->prefix == NULL || source->kind == NULL)
			return -1;
		source->info = json_incref(from->sources[i].info);
		source->entries = from->sources[i].entries;
		source->bytes = from->sources[i].bytes;
	}
	return 0;
}

static int
copy_tags(struct import *import, struct bkp_error *err)
{
	const struct fmt_snapshot *from = &import->original;
	struct fmt_snapshot *to = &import->snapshot;

	to->tags = bkp_alloc_array(from->tag_count, sizeof(*to->tags), err);
	if (to->tags == NULL)
		return -1;
	for (; to->tag_count < from->tag_count; to->tag_count++)
		if ((to->tags[to->tag_count] =
			    bkp_strdup(from->tags[to->tag_count], err)) == NULL)
			return -1;
	return 0;
}

/* A part is not taken for the whole by anybody who restores it. */
static int
note_part(struct import *import, struct bkp_error *err)
{
	const char *path = bkp_archive_manifest(import->archive->archive)->path;

	import->snapshot.omissions = json_deep_copy(import->original.omissions);
	if (import->snapshot.omissions == NULL)
		return bkp_fail_nomem(err, "taking in an archive");
	for (size_t i = 0; path[0] != '\0' && i < import->original.source_count;
	     i++) {
		const struct fmt_snapshot_source *source =
		    &import->original.sources[i];
		json_t *item;

		if (strcmp(source->prefix, path) == 0)
			continue;
		item = json_pack("{s:s, s:s}", "path", source->prefix, "reason",
		    BKP_IMPORTED_PART);
		if (item == NULL ||
		    json_array_append_new(import->snapshot.omissions, item) < 0)
			return bkp_fail_nomem(err, "taking in an archive");
		if (bkp_run_omit(import->run, err, source->prefix,
			"the archive holds a part of it, %s", path) < 0)
			return -1;
	}
	return 0;
}

static int
begin_snapshot(struct import *import, struct bkp_error *err)
{
	if (bkp_snapshot_find(import->archive, "latest", import->name, err) <
		0 ||
	    bkp_repository_snapshot(
		import->archive, import->name, &import->original, err) < 0)
		return -1;
	import->snapshot.time_us = import->original.time_us;
	import->snapshot.host = bkp_strdup(import->original.host, err);
	if (import->snapshot.host == NULL || copy_tags(import, err) < 0 ||
	    copy_sources(import, err) < 0)
		return -1;
	return note_part(import, err);
}

/* ---- opening ---- */

static int
open_archive(struct import *import, struct bkp_error *err)
{
	struct bkp_keys keys = BKP_KEYS_INIT;

	bkp_config_keys(import->options->config, &keys);
	keys.key_file = NULL;
	keys.storage = NULL; /* it is elsewhere */
	if (import->options->passphrase != NULL) {
		keys.identity_file = NULL;
		keys.passphrase = import->options->passphrase;
	}
	return bkp_repository_open(
	    import->options->archive, &keys, &import->archive, err);
}

static int
open_repository(const struct bkp_import_options *options,
    struct bkp_repository **out, struct bkp_error *err)
{
	const struct bkp_config *config = options->config;
	struct bkp_keys keys = BKP_KEYS_INIT;

	if (options->archive == NULL ||
	    !bkp_archive_is_location(options->archive))
		return bkp_fail(err, BKP_NOTFOUND, "there is no archive %s",
		    options->archive != NULL ? options->archive : "named");
	if (config->repository == NULL || config->key_file == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "taking an archive into a repository needs its location "
		    "and the key file of this host (--repository, "
		    "--key-file)");
	keys.key_file = config->key_file;
	keys.storage = &config->storage;
	if (bkp_repository_open(config->repository, &keys, out, err) < 0)
		return -1;
	return bkp_repository_keep_parity(*out, config->error_correction, err);
}

static int
make_workers(struct import *import, struct bkp_error *err)
{
	unsigned workers = bkp_run_workers(import->run);

	import->readers =
	    bkp_alloc_array(workers, sizeof(*import->readers), err);
	import->writers =
	    bkp_alloc_array(workers, sizeof(*import->writers), err);
	if (import->readers == NULL || import->writers == NULL)
		return -1;
	for (; import->workers < workers; import->workers++)
		if (bkp_chunk_reader_new(import->archive,
			&import->readers[import->workers], err) < 0 ||
		    bkp_chunk_writer_new(import->session,
			&import->writers[import->workers], err) < 0)
			return -1;
	return 0;
}

static void
end(struct import *import)
{
	bkp_list_writer_free(import->list);
	bkp_entry_stream_close(import->stream);
	free_entry(import->entry);
	for (unsigned i = 0; i < import->workers; i++) {
		bkp_chunk_reader_free(import->readers[i]);
		bkp_chunk_writer_free(import->writers[i]);
	}
	free(import->readers);
	free(import->writers);
	bkp_session_end(import->session);
	bkp_repository_close(import->archive);
	fmt_snapshot_free(&import->original);
	fmt_snapshot_free(&import->snapshot);
	bkp_run_free(import->run);
}

/* An archive that is taken in twice is there once. What of it had been lost in
 * the meantime was stored again, and then there is a new snapshot. */
static int
commit(
    struct import *import, bool *is_known, char name[65], struct bkp_error *err)
{
	if (bkp_session_find_same(
		import->session, &import->snapshot, is_known, name, err) < 0)
		return -1;
	if (*is_known)
		return 0;
	return bkp_session_commit(
	    import->session, &import->snapshot, name, err);
}

static void
tell(const struct import *import, const char *name, bool is_known,
    struct bkp_backup_result *result)
{
	*result = (struct bkp_backup_result){
	    .entries = import->entries,
	    .bytes = import->bytes,
	    .rows = import->rows,
	    .objects = import->objects,
	    .files = import->files,
	    .stored_bytes = import->snapshot.stored_bytes,
	    .new_chunks = import->snapshot.new_chunks,
	    .known_chunks = import->snapshot.known_chunks,
	    .omission_count = json_array_size(import->snapshot.omissions),
	    .is_known = is_known ? 1 : 0,
	};
	memcpy(result->snapshot, name, sizeof(result->snapshot));
}

int
bkp_archive_import_into(const struct bkp_import_options *options,
    struct bkp_repository *repository, struct bkp_backup_result *result,
    struct bkp_error *err)
{
	struct import import = {.options = options, .repository = repository};
	uint64_t began_ms = bkp_clock_ms();
	bool is_known = false;
	char name[65];
	int rc = -1;

	if (bkp_run_new(bkp_worker_count(options->config), &options->events,
		options->cancel, &import.run, err) < 0 ||
	    open_archive(&import, err) < 0 ||
	    bkp_session_begin(repository, &import.session, err) < 0 ||
	    begin_snapshot(&import, err) < 0 ||
	    make_workers(&import, err) < 0 || import_sources(&import, err) < 0)
		goto out;
	bkp_run_phase(import.run, 0, 0, "committing");
	if (bkp_run_check(import.run, err) < 0 ||
	    commit(&import, &is_known, name, err) < 0)
		goto out;
	tell(&import, name, is_known, result);
	result->duration_ms = bkp_clock_ms() - began_ms;
	rc = 0;
out:
	end(&import);
	return rc;
}

int
bkp_archive_import(const struct bkp_import_options *options,
    struct bkp_backup_result *result, struct bkp_error *err)
{
	struct bkp_repository *repository = NULL;
	int rc = open_repository(options, &repository, err);

	if (rc == 0)
		rc = bkp_archive_import_into(options, repository, result, err);
	bkp_repository_close(repository);
	return rc;
}
