/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One snapshot, or a part of it, into an archive:
 *
 *   open the repository, choose, and the place to write to
 *   the entries of every source under their names; their lines and digests are
 *     set aside meanwhile
 *   the snapshot as it was signed, the lines, the digests, and a manifest that
 *     is signed and names all of these
 *   commit: from then on there is an archive
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations.h"
#include "libbackup/operations/archive_lines.h"
#include "libbackup/operations/archive_options.h"
#include "libbackup/operations/archive_writer.h"
#include "libbackup/operations/opened.h"
#include "libbackup/operations/sink.h"
#include "libbackup/repository/repository_own.h"

struct archiving {
	const struct bkp_archive_options *options;
	struct bkp_run *run;
	struct bkp_opened opened;
	struct bkp_archive_recipients recipients;
	struct bkp_archive_output *output;
	struct bkp_archive_writer *writer;
	struct bkp_archive_lines *lines;
	struct fmt_archive_manifest manifest;
	/* The source at hand. */
	const struct bkp_chosen *chosen;
	struct bkp_supply *supply;
	struct bkp_entry_stream *stream;
	struct fmt_archive_names *names;
	/* The members that are no entries. */
	struct bkp_member *own;
	struct fmt_chunk_ref *refs; /* where their chunks come to lie */
	size_t ref_count;
	unsigned char sha256[32];
	uint64_t entries, bytes, stored;
	size_t parts;
};

/* ---- entries ---- */

static int
next_selected(
    struct archiving *archiving, struct fmt_entry *entry, struct bkp_error *err)
{
	int found;

	while ((found = bkp_entry_stream_next(archiving->stream, entry, err)) ==
	       1) {
		if (bkp_supply_is_selected(archiving->supply, entry->path))
			break;
		fmt_entry_free(entry);
	}
	return found;
}

/* What has the content of an entry outside of what was chosen takes that
 * entry's place: in the archive the two are one. */
static int
stand_in(struct archiving *archiving, struct fmt_entry *entry, const char *path,
    struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry first = FMT_ENTRY_INIT;
	char *own;
	int found;

	if (bkp_supply_entries(archiving->supply, path, &stream, err) < 0)
		return -1;
	found = bkp_entry_stream_next(stream, &first, err);
	bkp_entry_stream_close(stream);
	if (found < 0)
		return -1;
	if (found == 0 || strcmp(first.path, path) != 0) {
		fmt_entry_free(&first);
		return bkp_fail(err, BKP_CORRUPT,
		    "%s has the content of %s, which is not in the snapshot",
		    entry->path, path);
	}
	own = entry->path;
	entry->path = NULL;
	fmt_entry_free(entry);
	*entry = first;
	free(entry->path);
	entry->path = own;
	return 0;
}

static int
resolve(
    struct archiving *archiving, struct fmt_entry *entry, struct bkp_error *err)
{
	const struct bkp_kind *kind = archiving->chosen->kind;
	char *path = NULL;
	int rc = 0;

	if (kind->same_as == NULL)
		return 0;
	if (kind->same_as(entry, &path, err) < 0)
		return -1;
	if (path != NULL && !bkp_supply_is_selected(archiving->supply, path))
		rc = stand_in(archiving, entry, path, err);
	free(path);
	return rc;
}

static int
next_entry(void *arg, struct bkp_member **out, struct bkp_error *err)
{
	struct archiving *archiving = arg;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	struct bkp_member *member = NULL;
	enum fmt_status status;
	int found = next_selected(archiving, &entry, err);

	if (found != 1) {
		*out = NULL;
		return found;
	}
	if (resolve(archiving, &entry, err) < 0 ||
	    bkp_member_new(&entry, &member, err) < 0) {
		fmt_entry_free(&entry);
		return -1;
	}
	member->kind = archiving->chosen->kind;
	member->time_us = archiving->opened.snapshot.time_us;
	status = fmt_archive_names_next(archiving->names, member->entry.path,
	    !member->entry.has_content, &member->name);
	if (status == FMT_OK && fmt_buf_text(&member->name) == NULL)
		status = FMT_NOMEM;
	if (status != FMT_OK) {
		bkp_member_free(member);
		return bkp_fail_format(err, status, "naming a member");
	}
	*out = member;
	return 0;
}

static int
entry_done(void *arg, const struct fmt_entry *entry, const char *name,
    const unsigned char sha256[32], struct bkp_error *err)
{
	struct archiving *archiving = arg;
	struct fmt_archive_source *source =
	    &archiving->manifest.sources[archiving->manifest.source_count - 1];

	source->entries++;
	source->bytes += entry->has_content ? entry->size : 0;
	if (bkp_archive_lines_entry(archiving->lines, entry, err) < 0)
		return -1;
	if (!entry->has_content)
		return 0;
	return bkp_archive_lines_sum(archiving->lines, sha256, name, err);
}

static int
begin_source(struct archiving *archiving, const struct bkp_chosen *chosen,
    struct bkp_amount *amount, struct bkp_error *err)
{
	struct fmt_archive_manifest *manifest = &archiving->manifest;
	struct fmt_archive_source *source =
	    &manifest->sources[manifest->source_count++];
	enum fmt_status status;

	archiving->chosen = chosen;
	source->prefix = bkp_strdup(chosen->source->prefix, err);
	if (source->prefix == NULL ||
	    bkp_supply_new(archiving->run, archiving->opened.repository,
		chosen->source, chosen->selection, &archiving->supply,
		err) < 0 ||
	    bkp_opened_count(&archiving->opened, chosen, archiving->supply,
		amount, err) < 0 ||
	    bkp_supply_entries(archiving->supply, chosen->selection,
		&archiving->stream, err) < 0)
		return -1;
	status = fmt_archive_names_new(&archiving->names);
	return status == FMT_OK ? 0 : bkp_fail_format(err, status, "archiving");
}

static void
end_source(struct archiving *archiving)
{
	bkp_entry_stream_close(archiving->stream);
	archiving->stream = NULL;
	bkp_supply_free(archiving->supply);
	archiving->supply = NULL;
	fmt_archive_names_free(archiving->names);
	archiving->names = NULL;
}

static int
put_source(struct archiving *archiving, const struct bkp_chosen *chosen,
    struct bkp_error *err)
{
	struct bkp_amount amount = {0, 0};
	int rc = begin_source(archiving, chosen, &amount, err);

	if (rc == 0) {
		const struct bkp_member_feed feed = {.next = next_entry,
		    .done = entry_done,
		    .arg = archiving,
		    .supply = archiving->supply};

		bkp_run_phase(archiving->run, amount.bytes, amount.entries,
		    "archiving %s", chosen->source->prefix);
		rc = bkp_archive_writer_run(archiving->writer, &feed, err);
	}
	if (rc == 0)
		rc = bkp_archive_lines_end_source(archiving->lines, err);
	end_source(archiving);
	if (rc < 0)
		return bkp_fail_in(err, "%s", chosen->source->prefix);
	archiving->entries += amount.entries;
	archiving->bytes += amount.bytes;
	bkp_run_message(archiving->run, BKP_INFO, chosen->source->prefix,
	    "%llu entries", (unsigned long long)amount.entries);
	return 0;
}

/* ---- the members beside them ---- */

static int
next_own(void *arg, struct bkp_member **out, struct bkp_error *err)
{
	struct archiving *archiving = arg;

	(void)err;
	*out = archiving->own;
	archiving->own = NULL;
	return 0;
}

static int
own_done(void *arg, const struct fmt_entry *entry, const char *name,
    const unsigned char sha256[32], struct bkp_error *err)
{
	struct archiving *archiving = arg;

	(void)name;
	memcpy(archiving->sha256, sha256, sizeof(archiving->sha256));
	free(archiving->refs);
	archiving->ref_count = entry->chunk_count;
	archiving->refs =
	    bkp_alloc_array(entry->chunk_count, sizeof(*archiving->refs), err);
	if (archiving->refs == NULL)
		return -1;
	memcpy(archiving->refs, entry->chunks,
	    entry->chunk_count * sizeof(*archiving->refs));
	return 0;
}

/* Content as chunks of the given lengths. */
static enum fmt_status
cut(struct fmt_entry *entry, const uint32_t *lengths, size_t count)
{
	enum fmt_status status = FMT_OK;

	entry->has_content = true;
	for (size_t i = 0; i < count && status == FMT_OK; i++) {
		const struct fmt_chunk_ref ref = {.len = lengths[i]};

		entry->size += ref.len;
		status = fmt_entry_add_chunk(entry, &ref);
	}
	return status;
}

/* One member of `count` chunks, from memory or from a spool. Afterwards refs
 * and sha256 are its own. */
static int
put_own(struct archiving *archiving, const char *name, const void *data,
    struct bkp_spool *spool, const uint32_t *lengths, size_t count,
    struct bkp_error *err)
{
	const struct bkp_member_feed feed = {
	    .next = next_own, .done = own_done, .arg = archiving};
	struct fmt_entry entry = FMT_ENTRY_INIT;
	enum fmt_status status = fmt_entry_init(&entry, name, "archive");

	if (status == FMT_OK)
		status = cut(&entry, lengths, count);
	if (status != FMT_OK ||
	    bkp_member_new(&entry, &archiving->own, err) < 0) {
		fmt_entry_free(&entry);
		return bkp_fail_nomem(err, "archiving");
	}
	archiving->own->data = data;
	archiving->own->spool = spool;
	archiving->own->time_us = archiving->manifest.created_us;
	if (fmt_buf_append_text(&archiving->own->name, name) != FMT_OK ||
	    fmt_buf_text(&archiving->own->name) == NULL)
		return bkp_fail_nomem(err, "archiving");
	return bkp_archive_writer_run(archiving->writer, &feed, err);
}

/* The snapshot as its writer signed it. */
static int
put_record(struct archiving *archiving, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	uint32_t len;
	int rc = bkp_snapshot_record(
	    archiving->opened.repository, archiving->opened.name, &text, err);

	if (rc == 0) {
		len = (uint32_t)text.len;
		rc = put_own(archiving, FMT_ARCHIVE_SNAPSHOT, text.data, NULL,
		    &len, 1, err);
	}
	fmt_buf_free(&text);
	if (rc < 0)
		return -1;
	archiving->manifest.record = archiving->refs[0];
	return bkp_archive_lines_sum(
	    archiving->lines, archiving->sha256, FMT_ARCHIVE_SNAPSHOT, err);
}

/* Hands the places of the list's chunks to the sources they belong to. */
static int
take_lists(struct archiving *archiving, struct bkp_error *err)
{
	const size_t *counts = bkp_archive_lines_counts(archiving->lines);
	size_t at = 0;

	for (size_t i = 0; i < archiving->manifest.source_count; i++) {
		struct fmt_archive_source *source =
		    &archiving->manifest.sources[i];

		source->list =
		    bkp_alloc_array(counts[i], sizeof(*source->list), err);
		if (source->list == NULL)
			return -1;
		memcpy(source->list, archiving->refs + at,
		    counts[i] * sizeof(*source->list));
		source->list_count = counts[i];
		at += counts[i];
	}
	return 0;
}

static int
put_entries(struct archiving *archiving, struct bkp_error *err)
{
	const uint32_t *lengths;
	size_t count;
	struct bkp_spool *spool =
	    bkp_archive_lines_entries(archiving->lines, &lengths, &count, err);

	if (spool == NULL || put_own(archiving, FMT_ARCHIVE_ENTRIES, NULL,
				 spool, lengths, count, err) < 0)
		return -1;
	memcpy(archiving->manifest.entries_sha256, archiving->sha256, 32);
	if (take_lists(archiving, err) < 0)
		return -1;
	return bkp_archive_lines_sum(
	    archiving->lines, archiving->sha256, FMT_ARCHIVE_ENTRIES, err);
}

static int
put_sums(struct archiving *archiving, struct bkp_error *err)
{
	const uint32_t *lengths;
	size_t count;
	struct bkp_spool *spool =
	    bkp_archive_lines_sums(archiving->lines, &lengths, &count, err);

	if (spool == NULL || put_own(archiving, FMT_ARCHIVE_SUMS, NULL, spool,
				 lengths, count, err) < 0)
		return -1;
	memcpy(archiving->manifest.sums_sha256, archiving->sha256, 32);
	return 0;
}

/* By the host's key where it is at hand, else by the administrators'. */
static int
sign_manifest(
    struct archiving *archiving, struct fmt_buf *out, struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &archiving->opened.repository->keys;
	enum fmt_status status = FMT_OK;
	unsigned char seed[32];

	if (keys->has_signing)
		memcpy(seed, keys->signing_seed, sizeof(seed));
	else if (keys->has_admin)
		memcpy(seed, keys->admin_seed, sizeof(seed));
	else
		status = fmt_random(seed, sizeof(seed));
	if (status == FMT_OK)
		status = fmt_archive_manifest_encode(
		    &archiving->manifest, seed, out);
	OPENSSL_cleanse(seed, sizeof(seed));
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing the manifest");
	return 0;
}

static int
put_manifest(struct archiving *archiving, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	uint32_t len;
	int rc = sign_manifest(archiving, &text, err);

	if (rc == 0) {
		len = (uint32_t)text.len;
		rc = put_own(archiving, FMT_ARCHIVE_MANIFEST, text.data, NULL,
		    &len, 1, err);
	}
	fmt_buf_free(&text);
	if (rc < 0)
		return -1;
	return bkp_archive_writer_finish(
	    archiving->writer, &archiving->refs[0], &archiving->stored, err);
}

/* ---- the story ---- */

static int
open_output(struct archiving *archiving, struct bkp_error *err)
{
	const struct bkp_opened *opened = &archiving->opened;
	uint64_t expected = 0;

	for (size_t i = 0; i < opened->chosen_count; i++)
		expected += opened->chosen[i].source->bytes +
			    4096 * opened->chosen[i].source->entries;
	return bkp_archive_options_open(
	    archiving->options, expected, &archiving->output, err);
}

/* What was chosen; of an archive of a part, no more than that part. A slash
 * behind a source or a database is none. */
static const char *
chosen_path(const struct archiving *archiving)
{
	const struct bkp_opened *opened = &archiving->opened;
	const struct bkp_archive *from = opened->repository->archive;
	const char *path = archiving->options->path;
	const char *part = from != NULL ? bkp_archive_manifest(from)->path : "";

	if (path == NULL || path[0] == '\0')
		return part;
	if (part[0] != '\0' && bkp_path_is_within(part, path))
		return part;
	return opened->chosen_count == 1 &&
		       bkp_path_is_with_slash(path, opened->chosen[0].selection)
		   ? opened->chosen[0].selection
		   : path;
}

static int
begin(struct archiving *archiving, struct bkp_error *err)
{
	const struct bkp_archive_options *options = archiving->options;
	struct fmt_archive_manifest *manifest = &archiving->manifest;
	struct bkp_opened *opened = &archiving->opened;

	if (options->output == NULL)
		return bkp_fail(
		    err, BKP_INVALID, "no name was given for the archive");
	if (bkp_opened_init(opened, options->config, options->snapshot,
		options->path, err) < 0 ||
	    bkp_archive_recipients_init(&archiving->recipients, options, err) <
		0)
		return -1;
	memcpy(manifest->repository, opened->snapshot.repository,
	    sizeof(manifest->repository));
	memcpy(manifest->snapshot, opened->name, sizeof(manifest->snapshot));
	manifest->created_us = bkp_clock_utc_us();
	manifest->path = bkp_strdup(chosen_path(archiving), err);
	manifest->sources = bkp_alloc_array(
	    opened->chosen_count, sizeof(*manifest->sources), err);
	if (manifest->path == NULL || manifest->sources == NULL ||
	    bkp_archive_lines_new(
		opened->chosen_count, &archiving->lines, err) < 0 ||
	    open_output(archiving, err) < 0)
		return -1;
	return bkp_archive_writer_new(archiving->run,
	    archiving->recipients.items, archiving->recipients.count,
	    archiving->output, &archiving->writer, err);
}

/* What was left out when the snapshot was made is not in the archive either:
 * said again here, where it matters. */
static int
repeat_omissions(struct archiving *archiving, struct bkp_error *err)
{
	const struct bkp_omitted *omitted;
	size_t count;

	omitted = bkp_opened_omissions(&archiving->opened, &count);
	for (size_t i = 0; i < count; i++)
		if (bkp_run_omit(archiving->run, err, omitted[i].path,
			"not in the snapshot: %s", omitted[i].reason) < 0)
			return -1;
	return 0;
}

static int
put_all(struct archiving *archiving, struct bkp_error *err)
{
	for (size_t i = 0; i < archiving->opened.chosen_count; i++)
		if (put_source(archiving, &archiving->opened.chosen[i], err) <
		    0)
			return -1;
	bkp_run_phase(archiving->run, 0, 0, "ending the archive");
	if (put_record(archiving, err) < 0 || put_entries(archiving, err) < 0 ||
	    put_sums(archiving, err) < 0 || put_manifest(archiving, err) < 0 ||
	    repeat_omissions(archiving, err) < 0 ||
	    bkp_run_check(archiving->run, err) < 0)
		return -1;
	return bkp_archive_output_commit(
	    archiving->output, &archiving->parts, err);
}

static void
end(struct archiving *archiving)
{
	end_source(archiving);
	bkp_archive_writer_free(archiving->writer);
	bkp_archive_output_close(archiving->output);
	bkp_archive_lines_free(archiving->lines);
	bkp_member_free(archiving->own);
	free(archiving->refs);
	fmt_archive_manifest_free(&archiving->manifest);
	bkp_archive_recipients_fini(&archiving->recipients);
	bkp_opened_fini(&archiving->opened);
	bkp_run_free(archiving->run);
}

int
bkp_archive_write(const struct bkp_archive_options *options,
    struct bkp_archive_result *result, struct bkp_error *err)
{
	struct archiving archiving = {.options = options};
	uint64_t began_ms = bkp_clock_ms();
	int rc = -1;

	if (bkp_run_new(bkp_worker_count(options->config), &options->events,
		options->cancel, &archiving.run, err) < 0 ||
	    begin(&archiving, err) < 0 || put_all(&archiving, err) < 0)
		goto out;
	memset(result, 0, sizeof(*result));
	memcpy(
	    result->snapshot, archiving.opened.name, sizeof(result->snapshot));
	result->entries = archiving.entries;
	result->bytes = archiving.bytes;
	result->stored_bytes = archiving.stored;
	result->parts = archiving.parts;
	(void)bkp_run_omissions(archiving.run, &result->omission_count);
	result->duration_ms = bkp_clock_ms() - began_ms;
	rc = 0;
out:
	end(&archiving);
	return rc;
}
