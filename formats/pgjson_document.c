/* SPDX-License-Identifier: Apache-2.0 */
/* A json value as it is, on one line (pgjson.md). */
#include <string.h>

#include "formats/pgjson_impl.h"

/* What may stand next. */
enum expected {
	VALUE,        /* any */
	VALUE_OR_END, /* behind '[' */
	KEY,          /* behind ',' of an object */
	KEY_OR_END,   /* behind '{' */
	COLON,        /* behind a key */
	COMMA_OR_END, /* behind a value */
};

struct reader {
	struct fmt_buf *out;
	const char *at, *end;
	struct fmt_buf open; /* a bracket each; values nest without a limit */
	enum expected expected;
	int *is_changed;
};

/* A line break between values is a space; the rest stays as it is. */
static enum fmt_status
copy_space(struct reader *reader)
{
	enum fmt_status status = FMT_OK;

	while (status == FMT_OK && reader->at < reader->end &&
	       strchr(" \t\r\n", *reader->at) != NULL && *reader->at != '\0') {
		status = fmt_buf_append_byte(
		    reader->out, *reader->at == '\t' ? '\t' : ' ');
		reader->at++;
	}
	return status;
}

static enum fmt_status
copy_escape(struct reader *reader)
{
	size_t len = 2;

	if (reader->end - reader->at < 2 ||
	    strchr("\"\\/bfnrtu", reader->at[1]) == NULL ||
	    reader->at[1] == '\0')
		return FMT_MALFORMED;
	if (reader->at[1] == 'u') {
		for (len = 2; len < 6; len++)
			if (reader->at + len == reader->end ||
			    reader->at[len] == '\0' ||
			    strchr("0123456789abcdefABCDEF", reader->at[len]) ==
				NULL)
				return FMT_MALFORMED;
	}
	reader->at += len;
	return fmt_buf_append(reader->out, reader->at - len, len);
}

static enum fmt_status
copy_string(struct reader *reader)
{
	enum fmt_status status = fmt_buf_append_byte(reader->out, '"');

	reader->at++;
	while (status == FMT_OK && reader->at < reader->end) {
		unsigned char c = (unsigned char)*reader->at;
		size_t run = fmt_pgjson_plain(reader->at, reader->end);

		if (run > 0) {
			status = fmt_buf_append(reader->out, reader->at, run);
			reader->at += run;
			continue;
		}
		if (c == '"') {
			reader->at++;
			return fmt_buf_append_byte(reader->out, '"');
		}
		if (c < 0x20)
			return FMT_MALFORMED;
		status = c == '\\'
			     ? copy_escape(reader)
			     : fmt_pgjson_character(reader->out, &reader->at,
				   reader->end, reader->is_changed);
	}
	return status == FMT_OK ? FMT_TRUNCATED : status;
}

/* true, false, null or a number. */
static enum fmt_status
copy_plain(struct reader *reader)
{
	static const char *const words[] = {"true", "false", "null"};
	size_t left = (size_t)(reader->end - reader->at), len;

	len = fmt_pgjson_number(reader->at, left);
	for (size_t i = 0; len == 0 && i < 3; i++)
		if (left >= strlen(words[i]) &&
		    memcmp(reader->at, words[i], strlen(words[i])) == 0)
			len = strlen(words[i]);
	if (len == 0)
		return FMT_MALFORMED;
	reader->at += len;
	return fmt_buf_append(reader->out, reader->at - len, len);
}

static enum fmt_status
copy_opening(struct reader *reader)
{
	char c = *reader->at++;
	enum fmt_status status =
	    fmt_buf_append_byte(reader->out, (unsigned char)c);

	reader->expected = c == '[' ? VALUE_OR_END : KEY_OR_END;
	return status == FMT_OK
		   ? fmt_buf_append_byte(&reader->open, c == '[' ? ']' : '}')
		   : status;
}

static enum fmt_status
copy_closing(struct reader *reader)
{
	char c = *reader->at++;

	if (reader->open.len == 0 ||
	    reader->open.data[reader->open.len - 1] != (unsigned char)c)
		return FMT_MALFORMED;
	reader->open.len--;
	reader->expected = COMMA_OR_END;
	return fmt_buf_append_byte(reader->out, (unsigned char)c);
}

static enum fmt_status
copy_value(struct reader *reader)
{
	if (*reader->at == '{' || *reader->at == '[')
		return copy_opening(reader);
	reader->expected = COMMA_OR_END;
	return *reader->at == '"' ? copy_string(reader) : copy_plain(reader);
}

static enum fmt_status
copy_comma(struct reader *reader)
{
	if (reader->open.len == 0 || *reader->at != ',')
		return FMT_MALFORMED;
	reader->expected =
	    reader->open.data[reader->open.len - 1] == ']' ? VALUE : KEY;
	reader->at++;
	return fmt_buf_append_byte(reader->out, ',');
}

static enum fmt_status
copy_next(struct reader *reader)
{
	bool is_end = *reader->at == ']' || *reader->at == '}';

	switch (reader->expected) {
	case VALUE:
		return copy_value(reader);
	case VALUE_OR_END:
		return is_end ? copy_closing(reader) : copy_value(reader);
	case COMMA_OR_END:
		return is_end ? copy_closing(reader) : copy_comma(reader);
	case KEY_OR_END:
		if (is_end)
			return copy_closing(reader);
		break;
	case COLON:
		reader->expected = VALUE;
		return *reader->at++ == ':'
			   ? fmt_buf_append_byte(reader->out, ':')
			   : FMT_MALFORMED;
	case KEY:
		break;
	}
	reader->expected = COLON;
	return *reader->at == '"' ? copy_string(reader) : FMT_MALFORMED;
}

enum fmt_status
fmt_pgjson_document(
    struct fmt_buf *out, const char *text, size_t len, int *is_changed)
{
	struct reader reader = {.out = out,
	    .at = text,
	    .end = text + len,
	    .open = FMT_BUF_INIT,
	    .expected = VALUE,
	    .is_changed = is_changed};
	enum fmt_status status = copy_space(&reader);

	while (status == FMT_OK && reader.at < reader.end) {
		status = copy_next(&reader);
		if (status == FMT_OK)
			status = copy_space(&reader);
	}
	if (status == FMT_OK &&
	    (reader.expected != COMMA_OR_END || reader.open.len > 0))
		status = FMT_TRUNCATED;
	fmt_buf_free(&reader.open);
	return status;
}
