/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of an export: index.html with the beginning of every table, and
 * pages/ with the rest of those that have more, as far as people turn pages;
 * beyond that they are sent to the data file.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/export_html.h"
#include "libbackup/subject/export_pages.h"

#define RUN ((size_t)256 * 1024)

static int
nomem(struct bkp_error *err)
{
	return bkp_fail_nomem(err, "writing the pages of the export");
}

/* Appends the formatted text with its %s as text of HTML: what is not written
 * here is never markup. */
static enum fmt_status
say(struct fmt_buf *out, const char *before, const char *text,
    const char *after)
{
	enum fmt_status status = fmt_buf_append_text(out, before);

	if (status == FMT_OK)
		status = bkp_html_text(out, text, strlen(text));
	return status == FMT_OK ? fmt_buf_append_text(out, after) : status;
}

static bool
has_pages(const struct bkp_exported_table *table)
{
	return table->rows > BKP_PAGES_ON_INDEX;
}

/* "pages/own.public.orders.1.html", the caller's. */
static char *
page_name(const struct bkp_exported_table *table, uint64_t page,
    struct bkp_error *err)
{
	const char *slash = strchr(table->json.name, '/');
	const char *dot = strrchr(table->json.name, '.');

	return bkp_format(err, "pages/%s.%.*s.%llu.html",
	    bkp_decided_name(table->decided), (int)(dot - slash - 1), slash + 1,
	    (unsigned long long)page);
}

/* ---- the pages of one table ---- */

static int
link_page(struct bkp_pages *pages, uint64_t page, const char *text,
    struct bkp_error *err)
{
	char *name = page_name(pages->table, page, err);
	enum fmt_status status;

	if (name == NULL)
		return -1;
	status = fmt_buf_append_text(&pages->out, "<a href=\"");
	if (status == FMT_OK)
		status = bkp_html_link(&pages->out, name, 1);
	if (status == FMT_OK)
		status = fmt_buf_printf(&pages->out, "\">%s</a> ", text);
	free(name);
	return status == FMT_OK ? 0 : nomem(err);
}

static int
begin_page(struct bkp_pages *pages, struct bkp_error *err)
{
	const char *label = bkp_html_label(pages->export, pages->table);
	char *name = page_name(pages->table, pages->page, err);
	int rc;

	if (name == NULL)
		return -1;
	rc = bkp_package_begin(pages->export->package, name, err);
	free(name);
	if (rc < 0)
		return -1;
	fmt_buf_clear(&pages->out);
	if (bkp_html_begin(&pages->out, label) != FMT_OK ||
	    say(&pages->out, "<h1>", label, "</h1>\n") != FMT_OK ||
	    fmt_buf_printf(&pages->out,
		"<p><a href=\"../index.html\">Everything</a>, page %llu of "
		"%llu</p>\n",
		(unsigned long long)pages->page,
		(unsigned long long)pages->last) != FMT_OK ||
	    bkp_html_rows_begin(&pages->out, pages->export, pages->table) !=
		FMT_OK)
		return nomem(err);
	return 0;
}

/* Ends the member, and keeps what the manifest says of it. */
static int
keep_page(struct bkp_pages *pages, struct bkp_error *err)
{
	struct bkp_export *export = pages->export;
	char *name = page_name(pages->table, pages->page, err);
	int rc = -1;

	if (name == NULL)
		return -1;
	if (bkp_grow(&export->pages, export->page_count, &export->page_cap,
		sizeof(*export->pages), err) == 0) {
		struct bkp_exported_file *page =
		    &export->pages[export->page_count++];

		*page = (struct bkp_exported_file){.name = NULL};
		rc = bkp_export_end(export, name, page, err);
	}
	free(name);
	return rc;
}

static int
end_page(struct bkp_pages *pages, struct bkp_error *err)
{
	if (bkp_html_rows_end(&pages->out) != FMT_OK ||
	    fmt_buf_append_text(&pages->out, "<p>") != FMT_OK)
		return nomem(err);
	if ((pages->page > 1 &&
		link_page(pages, pages->page - 1, "before", err) < 0) ||
	    (pages->page < pages->last &&
		link_page(pages, pages->page + 1, "next", err) < 0))
		return -1;
	if (pages->page == pages->last && pages->table->rows > pages->rows &&
	    say(&pages->out, "All other rows are in ", pages->table->json.name,
		".") != FMT_OK)
		return nomem(err);
	if (fmt_buf_append_text(&pages->out, "</p>\n") != FMT_OK ||
	    bkp_html_end(&pages->out) != FMT_OK)
		return nomem(err);
	if (bkp_package_put(pages->export->package, pages->out.data,
		pages->out.len, err) < 0)
		return -1;
	return keep_page(pages, err);
}

/* The rows of the present page, which stand next. */
static int
copy_rows(struct bkp_pages *pages, struct bkp_error *err)
{
	uint64_t left = pages->sizes[pages->page - 1];

	while (left > 0) {
		size_t here = left < RUN ? (size_t)left : RUN;

		if (bkp_package_put(pages->export->package, pages->out.data,
			pages->out.len, err) < 0)
			return -1;
		fmt_buf_clear(&pages->out);
		if (bkp_spool_read(pages->aside, here, &pages->out, err) < 0)
			return -1;
		left -= here;
	}
	return 0;
}

int
bkp_pages_put(struct bkp_pages *pages, struct bkp_error *err)
{
	if (pages->aside == NULL)
		return 0;
	if (bkp_spool_rewind(pages->aside, err) < 0)
		return -1;
	pages->last = (pages->rows + BKP_PAGES_ON_PAGE - 1) / BKP_PAGES_ON_PAGE;
	while (pages->page < pages->last) {
		pages->page++;
		if (begin_page(pages, err) < 0 || copy_rows(pages, err) < 0 ||
		    end_page(pages, err) < 0)
			return -1;
	}
	return 0;
}

/* Only the row behind those of the index tells that there are pages. */
static int
put_aside(struct bkp_pages *pages, struct bkp_error *err)
{
	const struct fmt_buf *first = &pages->table->first;

	if (pages->aside == NULL) {
		if (bkp_spool_new(&pages->aside, err) < 0 ||
		    bkp_spool_write(
			pages->aside, first->data, first->len, err) < 0)
			return -1;
		pages->sizes[0] = first->len;
	}
	pages->sizes[pages->rows / BKP_PAGES_ON_PAGE] += pages->out.len;
	return bkp_spool_write(
	    pages->aside, pages->out.data, pages->out.len, err);
}

int
bkp_pages_row(struct bkp_pages *pages, const struct bkp_rows_value *values,
    struct bkp_error *err)
{
	bool is_first = pages->rows < BKP_PAGES_ON_INDEX;
	struct fmt_buf *out = is_first ? &pages->table->first : &pages->out;

	if (pages->rows == BKP_PAGES_MAX * BKP_PAGES_ON_PAGE)
		return 0;
	if (!is_first)
		fmt_buf_clear(out);
	if (bkp_html_row(out, pages->export, pages->table, values) != FMT_OK)
		return nomem(err);
	if (!is_first && put_aside(pages, err) < 0)
		return -1;
	pages->rows++;
	return 0;
}

void
bkp_pages_fini(struct bkp_pages *pages)
{
	bkp_spool_free(pages->aside);
	fmt_buf_free(&pages->out);
}

/* ---- the index ---- */

static const char *
in_words(enum bkp_decided decided)
{
	switch (decided) {
	case BKP_OWN:
		return "Yours.";
	case BKP_SHARED:
		return "Yours and other people's. Where it names others, a "
		       "made-up name stands for them.";
	case BKP_ACTOR:
		return "What you did to something that is not yours.";
	case BKP_LOOKUP:
		return "Not about you: it explains what the other tables "
		       "name.";
	case BKP_UNDECIDED:
	case BKP_SKIP:
		break;
	}
	return "";
}

static enum fmt_status
put_facts(struct fmt_buf *out, const struct bkp_map_table *map)
{
	enum fmt_status status = FMT_OK;

	if (map != NULL && map->purpose != NULL)
		status = say(out, "<p class=\"note\">What for: ", map->purpose,
		    "</p>\n");
	if (status == FMT_OK && map != NULL && map->retention != NULL)
		status = say(out,
		    "<p class=\"note\">How long it is kept: ", map->retention,
		    "</p>\n");
	return status;
}

static enum fmt_status
put_first_rows(const struct bkp_export *export,
    const struct bkp_exported_table *table, struct fmt_buf *out)
{
	enum fmt_status status = bkp_html_rows_begin(out, export, table);

	if (status == FMT_OK)
		status =
		    fmt_buf_append(out, table->first.data, table->first.len);
	return status == FMT_OK ? bkp_html_rows_end(out) : status;
}

static int
put_section(struct bkp_export *export, size_t n, struct fmt_buf *out,
    struct bkp_error *err)
{
	const struct bkp_exported_table *table = &export->tables[n];
	char *page = NULL;
	enum fmt_status status;

	if (fmt_buf_printf(out, "<h2 id=\"t%zu\">", n) != FMT_OK ||
	    say(out, "", bkp_html_label(export, table), "</h2>\n") != FMT_OK ||
	    say(out, "<p>", in_words(table->decided), "</p>\n") != FMT_OK ||
	    put_facts(out, bkp_export_map(export, table)) != FMT_OK ||
	    put_first_rows(export, table, out) != FMT_OK)
		return nomem(err);
	if (!has_pages(table))
		return 0;
	if ((page = page_name(table, 1, err)) == NULL)
		return -1;
	status = fmt_buf_append_text(out, "<p><a href=\"");
	if (status == FMT_OK)
		status = bkp_html_link(out, page, 0);
	if (status == FMT_OK)
		status = fmt_buf_printf(out, "\">All %llu rows</a></p>\n",
		    (unsigned long long)table->rows);
	free(page);
	return status == FMT_OK ? 0 : nomem(err);
}

static bool
is_picture(const struct bkp_exported_object *object)
{
	static const char *const types[] = {"image/png", "image/jpeg",
	    "image/gif", "image/webp", "image/avif", "image/bmp"};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (object->type != NULL && strcmp(object->type, types[i]) == 0)
			return true;
	return false;
}

static enum fmt_status
put_object(struct fmt_buf *out, const struct bkp_exported_object *object)
{
	enum fmt_status status = fmt_buf_append_text(out, "<li><a href=\"");

	if (status == FMT_OK)
		status = bkp_html_link(out, object->name, 0);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, "\">");
	if (status == FMT_OK && is_picture(object)) {
		status = fmt_buf_append_text(out, "<img alt=\"\" src=\"");
		if (status == FMT_OK)
			status = bkp_html_link(out, object->name, 0);
		if (status == FMT_OK)
			status = fmt_buf_append_text(out, "\">");
	}
	if (status == FMT_OK)
		status =
		    bkp_html_text(out, object->title, strlen(object->title));
	if (status == FMT_OK)
		status = fmt_buf_printf(out,
		    "</a> <span class=\"note\">%llu bytes%s</span></li>\n",
		    (unsigned long long)object->size,
		    object->is_shared ? ", yours and other people's" : "");
	return status;
}

static int
put_objects(
    const struct bkp_export *export, struct fmt_buf *out, struct bkp_error *err)
{
	if (export->object_count == 0)
		return 0;
	if (fmt_buf_append_text(out, "<h2 id=\"files\">Files</h2>\n<ul>\n") !=
	    FMT_OK)
		return nomem(err);
	for (size_t i = 0; i < export->shown_count; i++)
		if (put_object(out, &export->shown[i]) != FMT_OK)
			return nomem(err);
	if (fmt_buf_append_text(out, "</ul>\n") != FMT_OK)
		return nomem(err);
	if (export->shown_count < export->object_count &&
	    fmt_buf_printf(out,
		"<p>%llu files in all; files.ndjson names them.</p>\n",
		(unsigned long long)export->object_count) != FMT_OK)
		return nomem(err);
	return 0;
}

static int
put_contents(
    const struct bkp_export *export, struct fmt_buf *out, struct bkp_error *err)
{
	const char *title =
	    export->map->label != NULL ? export->map->label : "Your data";

	if (bkp_html_begin(out, title) != FMT_OK ||
	    say(out, "<h1>", title, "</h1>\n") != FMT_OK ||
	    fmt_buf_printf(out,
		"<p>As it was on %.10s at %.5s UTC%s.</p>\n<ul>\n",
		export->time, export->time + 11,
		export->snapshot != NULL ? ", out of a backup of that time"
					 : "") != FMT_OK)
		return nomem(err);
	for (size_t i = 0; i < export->table_count; i++) {
		const struct bkp_exported_table *table = &export->tables[i];

		if (fmt_buf_printf(out, "<li><a href=\"#t%zu\">", i) !=
			FMT_OK ||
		    say(out, "", bkp_html_label(export, table), "</a>") !=
			FMT_OK ||
		    fmt_buf_printf(out, ", %llu %s</li>\n",
			(unsigned long long)table->rows,
			table->rows == 1 ? "row" : "rows") != FMT_OK)
			return nomem(err);
	}
	if (export->object_count > 0 &&
	    fmt_buf_printf(out, "<li><a href=\"#files\">Files</a>, %llu</li>\n",
		(unsigned long long)export->object_count) != FMT_OK)
		return nomem(err);
	return fmt_buf_append_text(out, "</ul>\n") == FMT_OK ? 0 : nomem(err);
}

/* What is not there, and why; and what could not be had. */
static int
put_missing(
    const struct bkp_export *export, struct fmt_buf *out, struct bkp_error *err)
{
	size_t count;
	const struct bkp_omission *omissions =
	    bkp_run_omissions(export->run, &count);

	if (count > 0 &&
	    fmt_buf_append_text(
		out, "<h2>What could not be had</h2>\n<ul>\n") != FMT_OK)
		return nomem(err);
	for (size_t i = 0; i < count; i++)
		if (say(out, "<li>", omissions[i].path, ": ") != FMT_OK ||
		    say(out, "", omissions[i].reason, "</li>\n") != FMT_OK)
			return nomem(err);
	if (count > 0 && fmt_buf_append_text(out, "</ul>\n") != FMT_OK)
		return nomem(err);
	return fmt_buf_append_text(out,
		   "<p class=\"note\">manifest.json says what was left out on "
		   "purpose, and why.</p>\n") == FMT_OK
		   ? 0
		   : nomem(err);
}

int
bkp_export_pages(struct bkp_export *export, struct bkp_error *err)
{
	struct fmt_buf out = FMT_BUF_SECRET_INIT;
	int rc = put_contents(export, &out, err);

	for (size_t i = 0; i < export->table_count && rc == 0; i++)
		rc = put_section(export, i, &out, err);
	if (rc == 0)
		rc = put_objects(export, &out, err);
	if (rc == 0)
		rc = put_missing(export, &out, err);
	if (rc == 0 && bkp_html_end(&out) != FMT_OK)
		rc = nomem(err);
	if (rc == 0)
		rc = bkp_export_put(
		    export, "index.html", &out, &export->index, err);
	fmt_buf_free(&out);
	return rc;
}
