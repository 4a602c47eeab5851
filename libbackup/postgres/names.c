/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/names.h"

#include <string.h>

static enum fmt_status
append_escaped(struct fmt_buf *out, const char *name, bool is_dot_escaped)
{
	enum fmt_status status = FMT_OK;

	for (; status == FMT_OK && *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;

		if (c < 0x20 || c == 0x7f || c == '/' || c == '=' ||
		    (c == '.' && is_dot_escaped))
			status = fmt_buf_printf(out, "=%02X", (unsigned)c);
		else
			status = fmt_buf_append_byte(out, c);
	}
	return status;
}

enum fmt_status
bkp_pg_path_database(struct fmt_buf *out, const char *name)
{
	return append_escaped(out, name,
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		strcmp(name, "globals.sql") == 0);
}

enum fmt_status
bkp_pg_path_table(struct fmt_buf *out, const char *schema, const char *name)
{
	enum fmt_status status = append_escaped(out, schema, true);

	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, '.');
	if (status == FMT_OK)
		status = append_escaped(out, name, true);
	return status;
}

/* Appends text between quotes, with every `quote` in it doubled. */
static enum fmt_status
append_quoted(struct fmt_buf *out, const char *text, unsigned char quote)
{
	enum fmt_status status = fmt_buf_append_byte(out, quote);

	for (; status == FMT_OK && *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == quote || (c == '\\' && quote == '\''))
			status = fmt_buf_append_byte(out, c);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(out, c);
	}
	return status == FMT_OK ? fmt_buf_append_byte(out, quote) : status;
}

enum fmt_status
bkp_pg_quote(struct fmt_buf *out, const char *name)
{
	return append_quoted(out, name, '"');
}

enum fmt_status
bkp_pg_literal(struct fmt_buf *out, const char *text)
{
	/* With a backslash in it only E'' means the same on every server. */
	if (strchr(text, '\\') != NULL) {
		enum fmt_status status = fmt_buf_append_text(out, " E");

		if (status != FMT_OK)
			return status;
	}
	return append_quoted(out, text, '\'');
}

/* One directive; *format stands behind the '%' and is moved past it. */
static enum fmt_status
append_directive(struct fmt_buf *out, const char **format, va_list *ap)
{
	char what = *(*format)++;

	switch (what) {
	case 'I':
		return bkp_pg_quote(out, va_arg(*ap, const char *));
	case 'L':
		return bkp_pg_literal(out, va_arg(*ap, const char *));
	case 's':
		return fmt_buf_append_text(out, va_arg(*ap, const char *));
	case 'u':
		return fmt_buf_printf(out, "%u", va_arg(*ap, unsigned));
	case 'l':
		*format += 2;
		return fmt_buf_printf(
		    out, "%llu", va_arg(*ap, unsigned long long));
	default:
		return FMT_UNSUPPORTED;
	}
}

enum fmt_status
bkp_pg_vsql(struct fmt_buf *out, const char *format, va_list *ap)
{
	enum fmt_status status = FMT_OK;
	size_t before = out->len;

	while (status == FMT_OK && *format != '\0') {
		size_t plain = strcspn(format, "%");

		status = fmt_buf_append(out, format, plain);
		format += plain;
		if (status == FMT_OK && *format == '%') {
			format++;
			status = append_directive(out, &format, ap);
		}
	}
	if (status != FMT_OK)
		out->len = before;
	return status;
}

enum fmt_status
bkp_pg_sql(struct fmt_buf *out, const char *format, ...)
{
	enum fmt_status status;
	va_list ap;

	va_start(ap, format);
	status = bkp_pg_vsql(out, format, &ap);
	va_end(ap);
	return status;
}
