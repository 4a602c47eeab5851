/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/export_html.h"

#include <string.h>

/* So much of a text is shown; the whole of it is in the files of rows. */
#define SHOWN ((size_t)4000)

/* No script, nothing from elsewhere: what a value holds stays text, and even
 * where that failed nothing could be run or fetched. */
static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
    "'none'; style-src 'unsafe-inline'; img-src 'self' file:\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n"
    "<meta name=\"referrer\" content=\"no-referrer\">\n<title>";
static const char style[] =
    "</title>\n<style>\n"
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;"
    "max-width:72rem;color:#1a1a1a;background:#fff}\n"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;"
    "border-bottom:1px solid #ccc}\n"
    ".rows{overflow-x:auto}table{border-collapse:collapse}\n"
    "th,td{border:1px solid #ddd;padding:.3rem .6rem;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere;min-width:4rem;"
    "max-width:32rem;white-space:pre-wrap}\n"
    "th{background:#f4f4f4;white-space:normal;overflow-wrap:normal}.none{color:"
    "#767676}\n"
    ".note{color:#555}img{max-width:16rem;max-height:16rem;display:block}\n"
    "li{margin:.2rem 0}\n"
    "@media print{.rows{overflow:visible}}\n"
    "</style>\n</head>\n<body>\n";

enum fmt_status
bkp_html_text(struct fmt_buf *out, const char *text, size_t len)
{
	enum fmt_status status = FMT_OK;
	size_t from = 0;

	for (size_t i = 0; i < len && status == FMT_OK; i++) {
		const char *name = text[i] == '<'    ? "&lt;"
				   : text[i] == '>'  ? "&gt;"
				   : text[i] == '&'  ? "&amp;"
				   : text[i] == '"'  ? "&quot;"
				   : text[i] == '\'' ? "&#39;"
				   : text[i] == '\0' ? "&#65533;"
						     : NULL;

		if (name == NULL)
			continue;
		status = fmt_buf_append(out, text + from, i - from);
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, name);
		from = i + 1;
	}
	if (status == FMT_OK)
		status = fmt_buf_append(out, text + from, len - from);
	return status;
}

/* Everything but letters, digits and a few signs is percent-encoded: a name
 * cannot end the attribute it stands in or become another scheme. */
enum fmt_status
bkp_html_link(struct fmt_buf *out, const char *name, unsigned depth)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/";
	enum fmt_status status = FMT_OK;

	while (depth-- > 0 && status == FMT_OK)
		status = fmt_buf_append_text(out, "../");
	for (; *name != '\0' && status == FMT_OK; name++)
		status =
		    strchr(plain, *name) != NULL
			? fmt_buf_append_byte(out, (unsigned char)*name)
			: fmt_buf_printf(out, "%%%02X", (unsigned char)*name);
	return status;
}

enum fmt_status
bkp_html_begin(struct fmt_buf *out, const char *title)
{
	enum fmt_status status = fmt_buf_append_text(out, head);

	if (status == FMT_OK)
		status = bkp_html_text(out, title, strlen(title));
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, style);
	return status;
}

enum fmt_status
bkp_html_end(struct fmt_buf *out)
{
	return fmt_buf_append_text(out, "</body>\n</html>\n");
}

const char *
bkp_html_label(
    const struct bkp_export *export, const struct bkp_exported_table *table)
{
	const struct bkp_map_table *map = bkp_export_map(export, table);

	return map != NULL && map->label != NULL
		   ? map->label
		   : bkp_export_model(export, table)->name;
}

/* ---- rows ---- */

static const char *
column_label(const struct bkp_rows_column *column)
{
	return column->map != NULL && column->map->label != NULL
		   ? column->map->label
		   : column->name;
}

enum fmt_status
bkp_html_rows_begin(struct fmt_buf *out, const struct bkp_export *export,
    const struct bkp_exported_table *table)
{
	enum fmt_status status = fmt_buf_append_text(
	    out, "<div class=\"rows\"><table>\n<thead><tr>");

	(void)export;
	for (size_t i = 0; i < table->column_count && status == FMT_OK; i++) {
		const char *label = column_label(&table->columns[i]);

		status = fmt_buf_append_text(out, "<th scope=\"col\">");
		if (status == FMT_OK)
			status = bkp_html_text(out, label, strlen(label));
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, "</th>");
	}
	return status == FMT_OK
		   ? fmt_buf_append_text(out, "</tr></thead>\n<tbody>\n")
		   : status;
}

enum fmt_status
bkp_html_rows_end(struct fmt_buf *out)
{
	return fmt_buf_append_text(out, "</tbody>\n</table></div>\n");
}

/* What the map calls a value, or NULL. */
static const char *
value_label(
    const struct bkp_rows_column *column, const struct bkp_rows_value *value)
{
	for (size_t i = 0; column->map != NULL && i < column->map->value_count;
	     i++) {
		const struct bkp_map_value *known = &column->map->values[i];

		if (strlen(known->value) == value->len &&
		    memcmp(known->value, value->text, value->len) == 0)
			return known->label;
	}
	return NULL;
}

/* A text that is long is cut between characters. */
static enum fmt_status
put_text(struct fmt_buf *out, const struct bkp_rows_value *value)
{
	size_t len = value->len;
	enum fmt_status status;

	if (len <= SHOWN)
		return bkp_html_text(out, value->text, len);
	for (len = SHOWN; len > 0 && (value->text[len] & 0xC0) == 0x80;)
		len--;
	status = bkp_html_text(out, value->text, len);
	if (status == FMT_OK)
		status = fmt_buf_printf(out,
		    "<span class=\"note\">… (%zu bytes in all; the whole text "
		    "is in the data file)</span>",
		    value->len);
	return status;
}

/* "2026-11-20 12:00:00+00" is said in words; what is not of that form stays. */
static enum fmt_status
put_time(struct fmt_buf *out, const struct bkp_rows_value *value)
{
	size_t len = value->len;
	enum fmt_status status;

	if (len < 4 || memcmp(value->text + len - 3, "+00", 3) != 0)
		return put_text(out, value);
	status = bkp_html_text(out, value->text, len - 3);
	return status == FMT_OK ? fmt_buf_append_text(out, " UTC") : status;
}

static enum fmt_status
put_value(struct fmt_buf *out, const struct bkp_model_column *model,
    const struct bkp_rows_column *column, const struct bkp_rows_value *value)
{
	const char *label;

	if (value->form == BKP_ROWS_ABSENT)
		return FMT_OK;
	if (value->text == NULL)
		return fmt_buf_append_text(
		    out, "<span class=\"none\">–</span>");
	if ((label = value_label(column, value)) != NULL)
		return bkp_html_text(out, label, strlen(label));
	if (value->form != BKP_ROWS_TYPED || model->is_array ||
	    model->is_composite)
		return put_text(out, value);
	if (model->kind == FMT_PGJSON_BOOLEAN)
		return fmt_buf_append_text(
		    out, value->text[0] == 't' ? "yes" : "no");
	if (model->kind == FMT_PGJSON_BYTES)
		return fmt_buf_printf(out,
		    "<span class=\"note\">%zu bytes; they are in the data "
		    "file</span>",
		    value->len > 2 ? (value->len - 2) / 2 : 0);
	if (model->kind == FMT_PGJSON_TIMESTAMPTZ)
		return put_time(out, value);
	return put_text(out, value);
}

enum fmt_status
bkp_html_row(struct fmt_buf *out, const struct bkp_export *export,
    const struct bkp_exported_table *table, const struct bkp_rows_value *values)
{
	const struct bkp_model_table *model = bkp_export_model(export, table);
	enum fmt_status status = fmt_buf_append_text(out, "<tr>");

	for (size_t i = 0; i < table->column_count && status == FMT_OK; i++) {
		const struct bkp_rows_column *column = &table->columns[i];

		status = fmt_buf_append_text(out, "<td>");
		if (status == FMT_OK)
			status = put_value(out, &model->columns[column->column],
			    column, &values[i]);
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, "</td>");
	}
	return status == FMT_OK ? fmt_buf_append_text(out, "</tr>\n") : status;
}
