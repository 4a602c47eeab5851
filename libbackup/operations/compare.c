/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/compare.h"

#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/sqltext.h"

/* As much of a value or a line as is told. */
#define TOLD 120
/* As many lines of a text as are told of each kind. */
#define LINES_TOLD 3

static bool
is_among(const char *const *names, const char *name)
{
	for (; names != NULL && *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* other: the other side's value, or NULL. */
static bool
is_ignored(const struct bkp_comparison *comparison, const char *name,
    const json_t *other)
{
	if (comparison == NULL)
		return false;
	return is_among(comparison->ignored, name) ||
	       (other == NULL && is_among(comparison->if_both, name));
}

static enum fmt_status
tell_value(struct fmt_buf *what, const json_t *value)
{
	enum fmt_status status;
	char *text;

	if (value == NULL)
		return fmt_buf_append_text(what, "nothing");
	text =
	    json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL)
		return FMT_NOMEM;
	status = fmt_buf_printf(
	    what, "%.*s%s", TOLD, text, strlen(text) > TOLD ? "..." : "");
	free(text);
	return status;
}

/* Begins one difference: "; " between two of them. */
static enum fmt_status
tell_name(struct fmt_buf *what, const char *name)
{
	return fmt_buf_printf(what, "%s%s: ", what->len > 0 ? "; " : "", name);
}

static enum fmt_status
tell_attribute(struct fmt_buf *what, const char *name, const json_t *recorded,
    const json_t *found)
{
	enum fmt_status status = tell_name(what, name);

	if (status == FMT_OK)
		status = fmt_buf_append_text(what, "recorded ");
	if (status == FMT_OK)
		status = tell_value(what, recorded);
	if (status == FMT_OK)
		status = fmt_buf_append_text(what, ", found ");
	if (status == FMT_OK)
		status = tell_value(what, found);
	return status;
}

/* Tells attributes of `a` that `b` has not or has otherwise. Those that both
 * have are told once, when a is the recorded side. */
static enum fmt_status
compare_attributes(const struct fmt_entry *recorded,
    const struct fmt_entry *found, const struct bkp_comparison *comparison,
    struct fmt_buf *what)
{
	enum fmt_status status = FMT_OK;
	const char *name;
	json_t *value;

	json_object_foreach(recorded->attrs, name, value)
	{
		const json_t *other = json_object_get(found->attrs, name);

		if (status == FMT_OK && !is_ignored(comparison, name, other) &&
		    (other == NULL || !json_equal(value, other)))
			status = tell_attribute(what, name, value, other);
	}
	json_object_foreach(found->attrs, name, value)
	{
		if (status == FMT_OK && !is_ignored(comparison, name, NULL) &&
		    json_object_get(recorded->attrs, name) == NULL)
			status = tell_attribute(what, name, NULL, value);
	}
	return status;
}

static enum fmt_status
compare_content(const struct fmt_entry *recorded, const struct fmt_entry *found,
    struct fmt_buf *what)
{
	char a[65], b[65];

	if (recorded->has_content != found->has_content)
		return fmt_buf_printf(what, "%s%s", what->len > 0 ? "; " : "",
		    recorded->has_content ? "has no content any more"
					  : "has content now");
	if (!recorded->has_content)
		return FMT_OK;
	if (recorded->size != found->size)
		return fmt_buf_printf(what,
		    "%ssize: recorded %llu bytes, found %llu",
		    what->len > 0 ? "; " : "",
		    (unsigned long long)recorded->size,
		    (unsigned long long)found->size);
	if (!recorded->has_sha256 || !found->has_sha256 ||
	    memcmp(recorded->sha256, found->sha256, 32) == 0)
		return FMT_OK;
	fmt_hex(recorded->sha256, 32, a);
	fmt_hex(found->sha256, 32, b);
	return fmt_buf_printf(what,
	    "%scontent: recorded SHA-256 %.16s..., found %.16s...",
	    what->len > 0 ? "; " : "", a, b);
}

int
bkp_compare_entries(const struct fmt_entry *recorded,
    const struct fmt_entry *found, const struct bkp_comparison *comparison,
    struct fmt_buf *what, struct bkp_error *err)
{
	size_t before = what->len;
	enum fmt_status status = FMT_OK;

	if (strcmp(recorded->kind, found->kind) != 0)
		status = fmt_buf_printf(what, "kind: recorded %s, found %s",
		    recorded->kind, found->kind);
	if (status == FMT_OK)
		status = compare_attributes(recorded, found, comparison, what);
	if (status == FMT_OK &&
	    (comparison == NULL || comparison->has_content_compared))
		status = compare_content(recorded, found, what);
	if (status != FMT_OK)
		return bkp_fail_format(
		    err, status, "telling a difference of %s", recorded->path);
	return what->len == before ? 1 : 0;
}

/* ---- texts ---- */

struct line {
	const char *text;
	size_t len;
};

struct lines {
	struct line *items;
	size_t count, cap;
};

static int
compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int order = len > 0 ? memcmp(x->text, y->text, len) : 0;

	if (order != 0)
		return order;
	return (x->len > y->len) - (x->len < y->len);
}

static int
split(const struct fmt_buf *text, struct lines *out, struct bkp_error *err)
{
	/* An empty text may have no memory. */
	const char *at = text->len > 0 ? (const char *)text->data : "";
	const char *end = at + text->len;
	bool is_heir = false;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline != NULL ? newline : end;
		bool has_comma = stop > at && stop[-1] == ',';

		if (bkp_compare_is_heading(at, end))
			is_heir = bkp_compare_is_heir(at, end);

		if (bkp_grow(&out->items, out->count, &out->cap,
			sizeof(*out->items), err) < 0)
			return -1;
		out->items[out->count].text = at;
		out->items[out->count].len =
		    (size_t)(stop - at) - (is_heir && has_comma ? 1 : 0);
		out->count++;
		at = stop + 1;
	}
	if (out->count > 0)
		qsort(
		    out->items, out->count, sizeof(*out->items), compare_lines);
	return 0;
}

/* Moves the lines of `from` that are not in `other` to its front; answers how
 * many. Both are sorted. */
static size_t
keep_missing(struct lines *from, const struct lines *other)
{
	size_t kept = 0, k = 0;

	for (size_t i = 0; i < from->count; i++) {
		int order = 1;

		while (
		    k < other->count && (order = compare_lines(&other->items[k],
					     &from->items[i])) < 0)
			k++;
		if (k < other->count && order == 0)
			k++;
		else
			from->items[kept++] = from->items[i];
	}
	return kept;
}

/* Leaves in each what the other does not have, at its front. */
static int
keep_different(struct lines *a, struct lines *b, size_t *missing, size_t *extra,
    struct bkp_error *err)
{
	struct lines all_a = *a;

	all_a.items = bkp_alloc_array(a->count, sizeof(*all_a.items), err);
	if (all_a.items == NULL)
		return -1;
	if (a->count > 0)
		memcpy(all_a.items, a->items, a->count * sizeof(*a->items));
	*missing = keep_missing(a, b);
	*extra = keep_missing(b, &all_a);
	free(all_a.items);
	return 0;
}

static enum fmt_status
tell_lines(struct fmt_buf *what, const char *heading, const struct lines *lines,
    size_t count)
{
	enum fmt_status status = FMT_OK;

	if (count == 0)
		return FMT_OK;
	status =
	    fmt_buf_printf(what, "%s%zu %s %s: ", what->len > 0 ? "; " : "",
		count, count == 1 ? "line" : "lines", heading);
	for (size_t i = 0; i < count && i < LINES_TOLD && status == FMT_OK;
	     i++) {
		const struct line *line = &lines->items[i];
		int len = line->len > TOLD ? TOLD : (int)line->len;

		status = fmt_buf_printf(
		    what, "%s\"%.*s\"", i > 0 ? ", " : "", len, line->text);
	}
	if (status == FMT_OK && count > LINES_TOLD)
		status = fmt_buf_append_text(what, ", ...");
	return status;
}

/* Writes the lines anew, without what the server's own reading changes. */
static int
make_steady(struct lines *lines, size_t count, struct fmt_buf *text,
    struct bkp_error *err)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; i < count && status == FMT_OK; i++) {
		status = bkp_sql_steady(
		    lines->items[i].text, lines->items[i].len, text);
		if (status == FMT_OK)
			status = fmt_buf_append_byte(text, '\n');
	}
	lines->count = 0;
	return status != FMT_OK
		   ? bkp_fail_format(err, status, "telling a difference")
		   : split(text, lines, err);
}

int
bkp_compare_texts(const struct fmt_buf *recorded, const struct fmt_buf *found,
    struct fmt_buf *what, struct bkp_error *err)
{
	struct fmt_buf steady_a = FMT_BUF_INIT, steady_b = FMT_BUF_INIT;
	struct lines a = {NULL, 0, 0}, b = {NULL, 0, 0};
	size_t missing, extra;
	enum fmt_status status;
	int rc = -1;

	if (bkp_compare_json(recorded, found, what, &rc, err))
		return rc;
	if (split(recorded, &a, err) < 0 || split(found, &b, err) < 0 ||
	    keep_different(&a, &b, &missing, &extra, err) < 0)
		goto out;
	if (missing > 0 && missing == extra &&
	    (make_steady(&a, missing, &steady_a, err) < 0 ||
		make_steady(&b, extra, &steady_b, err) < 0 ||
		keep_different(&a, &b, &missing, &extra, err) < 0))
		goto out;
	status = tell_lines(what, "missing", &a, missing);
	if (status == FMT_OK)
		status = tell_lines(what, "extra", &b, extra);
	if (status != FMT_OK) {
		(void)bkp_fail_format(err, status, "telling a difference");
		goto out;
	}
	rc = missing == 0 && extra == 0
		 ? bkp_compare_order(recorded, found, what, err)
		 : 0;
out:
	free(a.items);
	free(b.items);
	fmt_buf_free(&steady_a);
	fmt_buf_free(&steady_b);
	return rc;
}
