/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/record.h"

#include <string.h>

#include "formats/json.h"
#include "formats/sign.h"

void
fmt_record_free(struct fmt_record *record)
{
	json_decref(record->body);
	*record = (struct fmt_record)FMT_RECORD_INIT;
}

/* ---- writing ---- */

/* Appends line 2 for the line from `start` to the end of `out`. */
static enum fmt_status
append_signature(const char *context, const unsigned char seed[32],
    size_t start, struct fmt_buf *out)
{
	unsigned char signer[32], signature[FMT_SIGNATURE_SIZE];
	char signer_hex[65], signature_hex[2 * FMT_SIGNATURE_SIZE + 1];
	enum fmt_status status;

	if ((status = fmt_sign_public(seed, signer)) != FMT_OK)
		return status;
	status = fmt_sign(
	    seed, context, out->data + start, out->len - start, signature);
	if (status != FMT_OK)
		return status;
	fmt_hex(signer, sizeof(signer), signer_hex);
	fmt_hex(signature, sizeof(signature), signature_hex);
	return fmt_buf_printf(out,
	    "\n{\"signature\":\"%s\",\"signer\":\"%s\"}\n", signature_hex,
	    signer_hex);
}

enum fmt_status
fmt_record_encode(const json_t *body, const char *context,
    const unsigned char seed[32], struct fmt_buf *out)
{
	size_t start = out->len;
	enum fmt_status status = fmt_json_append(body, out);

	if (status == FMT_OK && out->len - start > FMT_RECORD_MAX_LINE)
		status = FMT_LIMIT;
	if (status == FMT_OK)
		status = append_signature(context, seed, start, out);
	if (status != FMT_OK)
		out->len = start;
	return status;
}

/* ---- reading ---- */

/* Checks line 1 against the signature and the key in line 2. */
static enum fmt_status
check_signature(const char *line, size_t len, const char *second,
    size_t second_len, const char *context, unsigned char signer[32])
{
	unsigned char signature[FMT_SIGNATURE_SIZE];
	const char *signer_hex, *signature_hex;
	enum fmt_status status;
	json_t *root;

	status = fmt_json_parse(second, second_len, &root);
	if (status != FMT_OK)
		return status;
	signer_hex = json_string_value(json_object_get(root, "signer"));
	signature_hex = json_string_value(json_object_get(root, "signature"));
	if (signer_hex == NULL || signature_hex == NULL ||
	    fmt_unhex(signer_hex, signer, 32) != FMT_OK ||
	    fmt_unhex(signature_hex, signature, sizeof(signature)) != FMT_OK)
		status = FMT_MALFORMED;
	json_decref(root);
	if (status != FMT_OK)
		return status;
	return fmt_sign_verify(signer, context, line, len, signature);
}

/* Where the two lines are: both ended, and nothing after them. */
static enum fmt_status
split_lines(const char *text, size_t len, size_t *first, size_t *second)
{
	const char *newline = len > 0 ? memchr(text, '\n', len) : NULL;

	*first = newline != NULL ? (size_t)(newline - text) : len;
	if (*first > FMT_RECORD_MAX_LINE)
		return FMT_LIMIT;
	if (newline == NULL || newline == text + len - 1)
		return FMT_TRUNCATED;
	len -= *first + 1;
	newline = memchr(newline + 1, '\n', len);
	if (newline == NULL)
		return FMT_TRUNCATED;
	*second = (size_t)(newline - text) - *first - 1;
	return *second == len - 1 ? FMT_OK : FMT_MALFORMED;
}

enum fmt_status
fmt_record_decode(
    const void *data, size_t len, const char *context, struct fmt_record *out)
{
	struct fmt_record read = FMT_RECORD_INIT;
	const char *text = data;
	size_t first, second;
	enum fmt_status status;

	if ((status = split_lines(text, len, &first, &second)) != FMT_OK)
		return status;
	status = check_signature(
	    text, first, text + first + 1, second, context, read.signer);
	if (status == FMT_OK)
		status = fmt_json_parse(text, first, &read.body);
	if (status == FMT_OK)
		*out = read;
	return status;
}

enum fmt_status
fmt_record_check(const json_t *body, const char *type, json_int_t version)
{
	const char *actual = json_string_value(json_object_get(body, "type"));
	const json_t *number = json_object_get(body, "version");

	if (actual == NULL || strcmp(actual, type) != 0 ||
	    !json_is_integer(number))
		return FMT_MALFORMED;
	return json_integer_value(number) == version ? FMT_OK : FMT_UNSUPPORTED;
}

enum fmt_status
fmt_record_read(const void *data, size_t len,
    const struct fmt_record_kind *kind, void *out, unsigned char signer[32])
{
	struct fmt_record record = FMT_RECORD_INIT;
	enum fmt_status status;

	status = fmt_record_decode(data, len, kind->context, &record);
	if (status != FMT_OK)
		return status;
	status = fmt_record_check(record.body, kind->type, kind->version);
	if (status == FMT_OK)
		status = kind->fill(record.body, out);
	memcpy(signer, record.signer, sizeof(record.signer));
	fmt_record_free(&record);
	return status;
}
