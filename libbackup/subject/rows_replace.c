/* SPDX-License-Identifier: Apache-2.0 */
/* Values that are not shown as they are: pseudonyms that the map wants, and in
 * shared rows the names of other people. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/rows_impl.h"

#define PSEUDONYM_BYTES 8

static enum fmt_status
append_hex(struct fmt_buf *out, const unsigned char *bytes, size_t len)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < len; i++)
		status = fmt_buf_printf(out, "%02x", bytes[i]);
	return status;
}

/* Appends the pseudonym of a value. */
static enum fmt_status
append_pseudonym(struct bkp_rows *rows, const char *realm, const char *text,
    size_t len, struct fmt_buf *out)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	enum fmt_status status;

	fmt_buf_clear(&rows->room);
	status = fmt_buf_append(&rows->room, realm, strlen(realm) + 1);
	if (status == FMT_OK)
		status = fmt_buf_append(&rows->room, text, len);
	if (status != FMT_OK)
		return status;
	if (HMAC(EVP_sha256(), rows->secret, 32, rows->room.data,
		rows->room.len, mac, NULL) == NULL)
		return FMT_CRYPTO;
	return append_hex(out, mac, PSEUDONYM_BYTES);
}

static void
replace(struct bkp_rows *rows, size_t column, enum bkp_rows_form form)
{
	struct fmt_buf *made = &rows->makers[column].made;

	rows->values[column] =
	    (struct bkp_rows_value){(const char *)made->data, made->len, form};
}

/* ---- what the map wants ---- */

static enum fmt_status
treat(struct bkp_rows *rows, size_t column)
{
	const struct bkp_rows_column *c = &rows->columns[column];
	struct bkp_rows_value *value = &rows->values[column];
	struct fmt_buf *made = &rows->makers[column].made;
	enum fmt_status status;

	if (value->text == NULL)
		return FMT_OK;
	if (c->treatment == BKP_MASK)
		value->form = BKP_ROWS_STRING;
	if (c->treatment != BKP_PSEUDONYM)
		return FMT_OK;
	fmt_buf_clear(made);
	status = append_pseudonym(
	    rows, c->map->realm, value->text, value->len, made);
	if (status == FMT_OK && fmt_buf_text(made) == NULL)
		status = FMT_NOMEM;
	if (status == FMT_OK)
		replace(rows, column, BKP_ROWS_STRING);
	return status;
}

/* ---- references in shared rows ---- */

static int
nibble(char c)
{
	return c >= 'a' ? c - 'a' + 10 : c - '0';
}

/* Takes back what the server wrote in hex, in place. */
static size_t
unhex(char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		text[i / 2] =
		    (char)(nibble(text[i]) << 4 | nibble(text[i + 1]));
	return len / 2;
}

static enum fmt_status
append_quoted(struct fmt_buf *out, const char *text, size_t len)
{
	enum fmt_status status = fmt_buf_append_byte(out, '"');

	for (size_t i = 0; status == FMT_OK && i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			status = fmt_buf_append_byte(out, '\\');
		if (status == FMT_OK)
			status = fmt_buf_append(out, &text[i], 1);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, '"') : status;
}

static enum fmt_status
append_element(struct bkp_rows *rows, const struct bkp_rows_link *link,
    char *state, size_t len, struct fmt_buf *out)
{
	switch (state[0]) {
	case 'n':
		return fmt_buf_append_text(out, "NULL");
	case 's':
		return fmt_buf_append_text(out, "self");
	case 'o':
		return append_quoted(out, state + 1, unhex(state + 1, len - 1));
	default:
		return append_pseudonym(rows, link->realm, state + 1,
		    unhex(state + 1, len - 1), out);
	}
}

/* "s31,x32" becomes {self,0123456789abcdef}. */
static enum fmt_status
replace_array(struct bkp_rows *rows, const struct bkp_rows_link *link,
    const struct bkp_rows_value *state)
{
	struct fmt_buf *made = &rows->makers[link->column].made;
	enum fmt_status status;
	struct fmt_buf copy = FMT_BUF_INIT;
	char *at;

	fmt_buf_clear(made);
	status = fmt_buf_append(&copy, state->text, state->len + 1);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(made, '{');
	at = (char *)copy.data;
	while (status == FMT_OK && *at != '\0') {
		size_t len = strcspn(at, ",");
		bool is_last = at[len] == '\0';

		status = append_element(rows, link, at, len, made);
		if (status == FMT_OK && !is_last)
			status = fmt_buf_append_byte(made, ',');
		at += len + (is_last ? 0 : 1);
	}
	if (status == FMT_OK)
		status = fmt_buf_append_byte(made, '}');
	if (status == FMT_OK && fmt_buf_text(made) == NULL)
		status = FMT_NOMEM;
	if (status == FMT_OK)
		replace(rows, link->column, BKP_ROWS_STRINGS);
	fmt_buf_free(&copy);
	return status;
}

/* A pseudonym wins over "self": a column may stand in several references. */
static enum fmt_status
replace_value(struct bkp_rows *rows, const struct bkp_rows_link *link,
    const struct bkp_rows_reference *reference, char state)
{
	const struct bkp_rows_value *value =
	    &rows->fields[reference->field + 1 + link->pair];
	struct fmt_buf *made = &rows->makers[link->column].made;
	enum fmt_status status;

	if (state == 's' && rows->values[link->column].form != BKP_ROWS_TYPED)
		return FMT_OK;
	fmt_buf_clear(made);
	status = state == 's' ? fmt_buf_append_text(made, "self")
			      : append_pseudonym(rows, link->realm, value->text,
				    value->len, made);
	if (status == FMT_OK && fmt_buf_text(made) == NULL)
		status = FMT_NOMEM;
	if (status == FMT_OK)
		replace(rows, link->column, BKP_ROWS_STRING);
	return status;
}

static enum fmt_status
follow_link(struct bkp_rows *rows, const struct bkp_rows_link *link)
{
	const struct bkp_rows_reference *reference =
	    &rows->references[link->reference];
	const struct bkp_rows_value *state = &rows->fields[reference->field];
	const struct bkp_rows_value *value = &rows->values[link->column];

	if (state->text == NULL || value->text == NULL ||
	    rows->columns[link->column].treatment != BKP_KEEP)
		return FMT_OK;
	if (reference->edge->key == NULL && reference->edge->map->is_array)
		return replace_array(rows, link, state);
	if (state->text[0] != 's' && state->text[0] != 'x')
		return FMT_OK;
	return replace_value(rows, link, reference, state->text[0]);
}

int
bkp_rows_replace(struct bkp_rows *rows, struct bkp_error *err)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < rows->column_count; i++)
		status = treat(rows, i);
	for (size_t i = 0; status == FMT_OK && i < rows->link_count; i++)
		status = follow_link(rows, &rows->links[i]);
	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "replacing a value");
}
