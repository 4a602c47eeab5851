/* SPDX-License-Identifier: Apache-2.0 */
/* What came of a share, and what the processes tell each other. */
#include <stdlib.h>
#include <string.h>

#include "formats/json.h"
#include "formats/record.h"
#include "formats/share_impl.h"
#include "formats/sign.h"

#define VERSION 1

static void
free_pieces(struct fmt_share_done *done)
{
	for (size_t i = 0; i < done->piece_count; i++)
		free(done->pieces[i].refs);
	free(done->pieces);
}

void
fmt_share_result_free(struct fmt_share_result *result)
{
	for (size_t i = 0; i < result->task_count; i++)
		free_pieces(&result->tasks[i]);
	free(result->tasks);
	*result = (struct fmt_share_result)FMT_SHARE_RESULT_INIT;
}

static bool
is_valid_piece(const struct fmt_share_piece *piece)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < piece->ref_count; i++)
		bytes += piece->refs[i].len;
	return piece->is_left || bytes == piece->bytes;
}

static bool
is_valid(const struct fmt_share_result *result)
{
	if (!fmt_is_hex(result->repository, 32) ||
	    !fmt_is_hex(result->session, 32) || result->shares == 0 ||
	    result->shares > FMT_SHARES_MAX || result->share >= result->shares)
		return false;
	for (size_t i = 0; i < result->task_count; i++) {
		const struct fmt_share_done *done = &result->tasks[i];

		if (done->piece_count == 0 ||
		    done->piece_count > FMT_SHARE_PIECES ||
		    (i > 0 && result->tasks[i - 1].task >= done->task))
			return false;
		for (size_t k = 0; k < done->piece_count; k++)
			if (!is_valid_piece(&done->pieces[k]))
				return false;
	}
	return true;
}

/* ---- writing ---- */

static json_t *
piece_value(const struct fmt_share_piece *piece)
{
	char hash[FMT_ROWHASH_TEXT];

	if (piece->is_left)
		return json_null();
	fmt_rowhash_text(&piece->hash, hash);
	return json_pack("{s:I, s:I, s:s, s:o}", "bytes",
	    (json_int_t)piece->bytes, "rows", (json_int_t)piece->hash.rows,
	    "hash", hash, "chunks",
	    fmt_json_refs(piece->refs, piece->ref_count));
}

static json_t *
done_value(const struct fmt_share_done *done)
{
	json_t *pieces = json_array();
	bool failed = pieces == NULL;

	for (size_t i = 0; !failed && i < done->piece_count; i++)
		failed = json_array_append_new(
			     pieces, piece_value(&done->pieces[i])) < 0;
	if (failed) {
		json_decref(pieces);
		return NULL;
	}
	return json_pack(
	    "{s:I, s:o}", "task", (json_int_t)done->task, "pieces", pieces);
}

static json_t *
tasks_value(const struct fmt_share_result *result)
{
	json_t *array = json_array();
	bool failed = array == NULL;

	for (size_t i = 0; !failed && i < result->task_count; i++)
		failed = json_array_append_new(
			     array, done_value(&result->tasks[i])) < 0;
	if (failed)
		json_decref(array);
	return failed ? NULL : array;
}

enum fmt_status
fmt_share_result_encode(const struct fmt_share_result *result,
    const unsigned char seed[32], struct fmt_buf *out)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
	    {"version", VERSION},
	    {"share", result->share},
	    {"shares", result->shares},
	    {"new_chunks", result->new_chunks},
	    {"known_chunks", result->known_chunks},
	    {"stored_bytes", result->stored_bytes},
	};
	enum fmt_status status = FMT_NOMEM;
	json_t *root;
	bool failed;

	if (!is_valid(result))
		return FMT_MALFORMED;
	root = json_object();
	failed = root == NULL;
	fmt_json_set(root, "type", json_string("share-result"), &failed);
	fmt_json_set(
	    root, "repository", json_string(result->repository), &failed);
	fmt_json_set(root, "session", json_string(result->session), &failed);
	fmt_json_set(root, "host", json_string(result->host), &failed);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		fmt_json_set(root, numbers[i].key,
		    json_integer((json_int_t)numbers[i].value), &failed);
	fmt_json_set(root, "tasks", tasks_value(result), &failed);
	if (!failed)
		status = fmt_record_encode(
		    root, FMT_SHARE_RESULT_CONTEXT, seed, out);
	json_decref(root);
	return status;
}

/* ---- reading ---- */

static enum fmt_status
get_piece(const json_t *value, struct fmt_share_piece *out)
{
	const char *hash;
	enum fmt_status status;
	uint64_t rows;

	out->is_left = json_is_null(value);
	if (out->is_left)
		return FMT_OK;
	hash = json_string_value(json_object_get(value, "hash"));
	if (hash == NULL)
		return FMT_MALFORMED;
	status = fmt_json_get_uint(value, "bytes", &out->bytes);
	if (status == FMT_OK)
		status = fmt_json_get_uint(value, "rows", &rows);
	if (status == FMT_OK)
		status = fmt_rowhash_parse(hash, &out->hash);
	if (status != FMT_OK)
		return status;
	out->hash.rows = rows;
	return fmt_json_get_refs(value, "chunks", &out->refs, &out->ref_count);
}

static enum fmt_status
get_done(const json_t *object, struct fmt_share_done *out)
{
	const json_t *pieces = json_object_get(object, "pieces");
	enum fmt_status status =
	    fmt_share_get_u32(json_object_get(object, "task"), &out->task);

	if (status == FMT_OK)
		status = fmt_share_get_array(object, "pieces",
		    sizeof(*out->pieces), &out->pieces, &out->piece_count);
	for (size_t i = 0; status == FMT_OK && i < out->piece_count; i++)
		status = get_piece(json_array_get(pieces, i), &out->pieces[i]);
	return status;
}

static enum fmt_status
get_counts(const json_t *root, struct fmt_share_result *out)
{
	enum fmt_status status =
	    fmt_share_get_u32(json_object_get(root, "share"), &out->share);

	if (status == FMT_OK)
		status = fmt_share_get_u32(
		    json_object_get(root, "shares"), &out->shares);
	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(root, "new_chunks", &out->new_chunks);
	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(root, "known_chunks", &out->known_chunks);
	if (status == FMT_OK)
		status =
		    fmt_json_get_uint(root, "stored_bytes", &out->stored_bytes);
	return status;
}

static enum fmt_status
fill_result(const json_t *root, void *arg)
{
	const json_t *tasks = json_object_get(root, "tasks");
	struct fmt_share_result *out = arg;
	enum fmt_status status;

	if (!fmt_share_get_text(root, "host", out->host, sizeof(out->host)))
		return FMT_MALFORMED;
	status = fmt_json_get_hex(root, "repository", 32, out->repository);
	if (status == FMT_OK)
		status = fmt_json_get_hex(root, "session", 32, out->session);
	if (status == FMT_OK)
		status = get_counts(root, out);
	if (status == FMT_OK)
		status = fmt_share_get_array(root, "tasks", sizeof(*out->tasks),
		    &out->tasks, &out->task_count);
	for (size_t i = 0; status == FMT_OK && i < out->task_count; i++)
		status = get_done(json_array_get(tasks, i), &out->tasks[i]);
	if (status == FMT_OK && !is_valid(out))
		status = FMT_MALFORMED;
	return status;
}

static const struct fmt_record_kind result_kind = {
    FMT_SHARE_RESULT_CONTEXT, "share-result", VERSION, fill_result};

enum fmt_status
fmt_share_result_decode(
    const void *data, size_t len, struct fmt_share_result *out)
{
	struct fmt_share_result read = FMT_SHARE_RESULT_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &result_kind, &read, read.signer);

	if (status == FMT_OK)
		*out = read;
	else
		fmt_share_result_free(&read);
	return status;
}

/* ---- notes ---- */

void
fmt_share_note_free(struct fmt_share_note *note)
{
	free(note->text);
	*note = (struct fmt_share_note)FMT_SHARE_NOTE_INIT;
}

static bool
is_valid_note(const struct fmt_share_note *note)
{
	return fmt_is_hex(note->repository, 32) &&
	       fmt_is_hex(note->session, 32) &&
	       (strcmp(note->what, "finish") == 0 ||
		   strcmp(note->what, "failed") == 0 ||
		   (strcmp(note->what, "made") == 0 &&
		       fmt_is_hex(note->text, 64)));
}

enum fmt_status
fmt_share_note_encode(const struct fmt_share_note *note,
    const unsigned char seed[32], struct fmt_buf *out)
{
	enum fmt_status status = FMT_NOMEM;
	json_t *root;

	if (note->text == NULL || !fmt_utf8_is_valid(note->text) ||
	    !is_valid_note(note))
		return FMT_MALFORMED;
	root = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "type", "share-note",
	    "version", VERSION, "repository", note->repository, "session",
	    note->session, "what", note->what, "text", note->text);
	if (root != NULL)
		status =
		    fmt_record_encode(root, FMT_SHARE_NOTE_CONTEXT, seed, out);
	json_decref(root);
	return status;
}

static enum fmt_status
fill_note(const json_t *root, void *arg)
{
	struct fmt_share_note *out = arg;
	enum fmt_status status;

	if (!fmt_share_get_text(root, "what", out->what, sizeof(out->what)))
		return FMT_MALFORMED;
	status = fmt_json_get_hex(root, "repository", 32, out->repository);
	if (status == FMT_OK)
		status = fmt_json_get_hex(root, "session", 32, out->session);
	if (status == FMT_OK)
		status = fmt_share_get_new_text(root, "text", &out->text);
	if (status == FMT_OK && !is_valid_note(out))
		status = FMT_MALFORMED;
	return status;
}

static const struct fmt_record_kind note_kind = {
    FMT_SHARE_NOTE_CONTEXT, "share-note", VERSION, fill_note};

enum fmt_status
fmt_share_note_decode(const void *data, size_t len, struct fmt_share_note *out)
{
	struct fmt_share_note read = FMT_SHARE_NOTE_INIT;
	enum fmt_status status =
	    fmt_record_read(data, len, &note_kind, &read, read.signer);

	if (status == FMT_OK)
		*out = read;
	else
		fmt_share_note_free(&read);
	return status;
}
