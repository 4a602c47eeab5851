/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/s3/fields.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libbackup/base/fail.h"

int
bkp_s3_fields_add_len(struct bkp_s3_fields *fields, const char *name,
    size_t name_len, const char *value, size_t value_len, struct bkp_error *err)
{
	struct bkp_s3_field field = {NULL, NULL};

	if (bkp_grow(&fields->items, fields->count, &fields->cap,
		sizeof(*fields->items), err) < 0)
		return -1;
	field.name = strndup(name, name_len);
	field.value = strndup(value, value_len);
	if (field.name == NULL || field.value == NULL) {
		free(field.name);
		free(field.value);
		return bkp_fail_nomem(err, "building a request");
	}
	fields->items[fields->count++] = field;
	return 0;
}

int
bkp_s3_fields_add(struct bkp_s3_fields *fields, const char *name,
    const char *value, struct bkp_error *err)
{
	return bkp_s3_fields_add_len(
	    fields, name, strlen(name), value, strlen(value), err);
}

const char *
bkp_s3_fields_get(const struct bkp_s3_fields *fields, const char *name)
{
	for (size_t i = 0; i < fields->count; i++)
		if (strcasecmp(fields->items[i].name, name) == 0)
			return fields->items[i].value;
	return NULL;
}

static int
compare_fields(const void *a, const void *b)
{
	const struct bkp_s3_field *field_a = a, *field_b = b;
	int order = strcmp(field_a->name, field_b->name);

	return order != 0 ? order : strcmp(field_a->value, field_b->value);
}

void
bkp_s3_fields_sort(struct bkp_s3_fields *fields)
{
	if (fields->count > 1)
		qsort(fields->items, fields->count, sizeof(*fields->items),
		    compare_fields);
}

void
bkp_s3_fields_free(struct bkp_s3_fields *fields)
{
	for (size_t i = 0; i < fields->count; i++) {
		struct bkp_s3_field *field = &fields->items[i];

		OPENSSL_cleanse(field->value, strlen(field->value));
		free(field->name);
		free(field->value);
	}
	free(fields->items);
	*fields = (struct bkp_s3_fields)BKP_S3_FIELDS_INIT;
}

static bool
is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

enum fmt_status
bkp_s3_encode(const char *text, bool keep_slash, struct fmt_buf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	enum fmt_status status = FMT_OK;

	for (; *text != '\0' && status == FMT_OK; text++) {
		unsigned char c = (unsigned char)*text;

		if (is_unreserved(c) || (c == '/' && keep_slash)) {
			status = fmt_buf_append_byte(out, c);
		} else {
			unsigned char hex[3] = {'%',
			    (unsigned char)digits[c >> 4],
			    (unsigned char)digits[c & 15]};

			status = fmt_buf_append(out, hex, sizeof(hex));
		}
	}
	return status;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

enum fmt_status
bkp_s3_decode(const char *text, size_t len, bool is_form, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; i < len && status == FMT_OK; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte == '+' && is_form) {
			byte = ' ';
		} else if (byte == '%') {
			int high, low;

			if (len - i < 3 ||
			    (high = hex_value(text[i + 1])) < 0 ||
			    (low = hex_value(text[i + 2])) < 0)
				return FMT_MALFORMED;
			byte = (unsigned char)(high * 16 + low);
			i += 2;
		}
		status = fmt_buf_append_byte(out, byte);
	}
	return status;
}

/* A copy of a list whose names and values are encoded, in order. */
static int
encode_sorted(const struct bkp_s3_fields *fields, struct bkp_s3_fields *out,
    struct bkp_error *err)
{
	struct fmt_buf name = FMT_BUF_INIT, value = FMT_BUF_SECRET_INIT;
	int rc = 0;

	for (size_t i = 0; i < fields->count && rc == 0; i++) {
		const char *name_text, *value_text;

		fmt_buf_clear(&name);
		fmt_buf_clear(&value);
		if (bkp_s3_encode(fields->items[i].name, false, &name) !=
			FMT_OK ||
		    bkp_s3_encode(fields->items[i].value, false, &value) !=
			FMT_OK ||
		    (name_text = fmt_buf_text(&name)) == NULL ||
		    (value_text = fmt_buf_text(&value)) == NULL)
			rc = bkp_fail_nomem(err, "building a request");
		else
			rc = bkp_s3_fields_add(out, name_text, value_text, err);
	}
	bkp_s3_fields_sort(out);
	fmt_buf_free(&name);
	fmt_buf_free(&value);
	return rc;
}

int
bkp_s3_encode_query(const struct bkp_s3_fields *fields, struct fmt_buf *out,
    struct bkp_error *err)
{
	struct bkp_s3_fields sorted = BKP_S3_FIELDS_INIT;
	int rc = encode_sorted(fields, &sorted, err);

	for (size_t i = 0; i < sorted.count && rc == 0; i++)
		if ((i > 0 && fmt_buf_append_byte(out, '&') != FMT_OK) ||
		    fmt_buf_append_text(out, sorted.items[i].name) != FMT_OK ||
		    fmt_buf_append_byte(out, '=') != FMT_OK ||
		    fmt_buf_append_text(out, sorted.items[i].value) != FMT_OK)
			rc = bkp_fail_nomem(err, "building a request");
	bkp_s3_fields_free(&sorted);
	return rc;
}
