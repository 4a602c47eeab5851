/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/fields.h"

#include <openssl/crypto.h>
#include <string.h>

#include "formats/sign.h"

/* What is left to read. */
struct cursor {
	const char *at, *end;
};

static void
skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end &&
	       memchr(" \t\r\n", *cursor->at, 4) != NULL)
		cursor->at++;
}

/* Skips space, then takes one certain byte. */
static bool
take(struct cursor *cursor, char byte)
{
	skip_space(cursor);
	if (cursor->at == cursor->end || *cursor->at != byte)
		return false;
	cursor->at++;
	return true;
}

static bool
take_string(struct cursor *cursor, const char **text, size_t *len)
{
	if (!take(cursor, '"'))
		return false;
	*text = cursor->at;
	while (cursor->at < cursor->end && *cursor->at != '"') {
		if (*cursor->at == '\\' || (unsigned char)*cursor->at < 0x20)
			return false;
		cursor->at++;
	}
	*len = (size_t)(cursor->at - *text);
	return take(cursor, '"');
}

static bool
take_number(struct cursor *cursor, const char **text, size_t *len)
{
	skip_space(cursor);
	*text = cursor->at;
	while (cursor->at < cursor->end && *cursor->at >= '0' &&
	       *cursor->at <= '9')
		cursor->at++;
	*len = (size_t)(cursor->at - *text);
	return *len > 0;
}

static bool
take_field(struct cursor *cursor, struct bkp_field *field)
{
	if (!take_string(cursor, &field->name, &field->name_len) ||
	    !take(cursor, ':'))
		return false;
	skip_space(cursor);
	field->is_number = cursor->at < cursor->end && *cursor->at != '"';
	if (field->is_number)
		return take_number(cursor, &field->value, &field->value_len);
	return take_string(cursor, &field->value, &field->value_len);
}

bool
bkp_fields_parse(const char *text, size_t len, struct bkp_fields *out)
{
	struct cursor cursor = {text, text + len};

	out->count = 0;
	if (!take(&cursor, '{'))
		return false;
	do {
		if (out->count == BKP_FIELDS_MAX ||
		    !take_field(&cursor, &out->items[out->count]))
			return false;
		out->count++;
	} while (take(&cursor, ','));
	if (!take(&cursor, '}'))
		return false;
	skip_space(&cursor);
	return cursor.at == cursor.end;
}

const struct bkp_field *
bkp_fields_find(const struct bkp_fields *fields, const char *name)
{
	for (size_t i = 0; i < fields->count; i++) {
		const struct bkp_field *field = &fields->items[i];

		if (field->name_len == strlen(name) &&
		    memcmp(field->name, name, field->name_len) == 0)
			return field;
	}
	return NULL;
}

bool
bkp_fields_has(
    const struct bkp_fields *fields, const char *name, const char *value)
{
	const struct bkp_field *field = bkp_fields_find(fields, name);

	return field != NULL && field->value_len == strlen(value) &&
	       memcmp(field->value, value, field->value_len) == 0;
}

bool
bkp_fields_hex(
    const struct bkp_fields *fields, const char *name, void *out, size_t len)
{
	const struct bkp_field *field = bkp_fields_find(fields, name);
	char text[2 * 32 + 1];
	bool is_fine;

	if (field == NULL || field->value_len != 2 * len ||
	    field->value_len >= sizeof(text))
		return false;
	memcpy(text, field->value, field->value_len);
	text[field->value_len] = '\0';
	is_fine = fmt_unhex(text, out, len) == FMT_OK;
	OPENSSL_cleanse(text, sizeof(text));
	return is_fine;
}
