/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two catalogues of the same lines need not be the same schema: the labels of
 * an enum, the fields of a type and the statements of a function have an
 * order, and a line may have gone from one function into another.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/compare.h"
#include "libbackup/postgres/sqltext.h"

#define HEADING "-- Name: "

/* As much of a line as is told. */
#define TOLD 120

/* One object of a catalogue: its heading and what follows. */
struct part {
	const char *text, *end;
};

struct parts {
	struct part *items;
	size_t count, cap;
};

static const char *
line_end(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline != NULL ? newline : end;
}

static const char *
next_line(const char *at, const char *end)
{
	const char *stop = line_end(at, end);

	return stop < end ? stop + 1 : end;
}

bool
bkp_compare_is_heading(const char *at, const char *end)
{
	return (size_t)(end - at) >= strlen(HEADING) &&
	       memcmp(at, HEADING, strlen(HEADING)) == 0;
}

bool
bkp_compare_is_heir(const char *heading, const char *end)
{
	static const char *const types[] = {
	    "; Type: TABLE;", "; Type: FOREIGN TABLE;"};
	static const char inherits[] = "INHERITS (";
	const char *at = line_end(heading, end);
	bool is_table = false;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (memmem(heading, (size_t)(at - heading), types[i],
			strlen(types[i])) != NULL)
			is_table = true;
	if (!is_table)
		return false;
	for (at = next_line(heading, end);
	     at < end && !bkp_compare_is_heading(at, end);
	     at = next_line(at, end))
		if ((size_t)(end - at) >= strlen(inherits) &&
		    memcmp(at, inherits, strlen(inherits)) == 0)
			return true;
	return false;
}

static int
compare_bytes(
    const char *a, const char *a_end, const char *b, const char *b_end)
{
	size_t x = (size_t)(a_end - a), y = (size_t)(b_end - b);
	size_t len = x < y ? x : y;
	int order = len > 0 ? memcmp(a, b, len) : 0;

	return order != 0 ? order : (x > y) - (x < y);
}

/* By the heading alone first: what follows may be written otherwise. */
static int
compare_parts(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int order = compare_bytes(x->text, line_end(x->text, x->end), y->text,
	    line_end(y->text, y->end));

	return order != 0 ? order
			  : compare_bytes(x->text, x->end, y->text, y->end);
}

static int
split(const struct fmt_buf *text, struct parts *out, struct bkp_error *err)
{
	const char *at = text->len > 0 ? (const char *)text->data : "";
	const char *end = at + text->len;

	for (; at < end; at = next_line(at, end)) {
		if (!bkp_compare_is_heading(at, end)) {
			if (out->count > 0)
				out->items[out->count - 1].end =
				    next_line(at, end);
			continue;
		}
		if (bkp_grow(&out->items, out->count, &out->cap,
			sizeof(*out->items), err) < 0)
			return -1;
		out->items[out->count].text = at;
		out->items[out->count++].end = next_line(at, end);
	}
	if (out->count > 0)
		qsort(
		    out->items, out->count, sizeof(*out->items), compare_parts);
	return 0;
}

/* Whether the server could have written the one line for the other. 1, 0 or
 * -1. */
static int
is_same_line(const char *a, const char *a_end, const char *b, const char *b_end,
    struct bkp_error *err)
{
	struct fmt_buf x = FMT_BUF_INIT, y = FMT_BUF_INIT;
	enum fmt_status status;
	int same = 1;

	if (compare_bytes(a, a_end, b, b_end) == 0)
		return 1;
	status = bkp_sql_steady(a, (size_t)(a_end - a), &x);
	if (status == FMT_OK)
		status = bkp_sql_steady(b, (size_t)(b_end - b), &y);
	if (status != FMT_OK)
		same = bkp_fail_format(err, status, "telling a difference");
	else
		same = x.len == y.len &&
		       (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
	fmt_buf_free(&x);
	fmt_buf_free(&y);
	return same;
}

static int
told_length(const char *at, const char *end)
{
	size_t len = (size_t)(end - at);

	return len > TOLD ? TOLD : (int)len;
}

static int
tell(const struct part *part, const char *a, const char *a_end, const char *b,
    const char *b_end, struct fmt_buf *what, struct bkp_error *err)
{
	const char *name = part->text + strlen(HEADING);
	enum fmt_status status = fmt_buf_printf(what,
	    "the same lines in another order, first of %.*s: recorded "
	    "\"%.*s\", found \"%.*s\"",
	    told_length(name, line_end(name, part->end)), name,
	    told_length(a, a_end), a, told_length(b, b_end), b);

	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "telling a difference");
}

/* Line by line. 1, 0 or -1. */
static int
compare_part(const struct part *recorded, const struct part *found,
    struct fmt_buf *what, struct bkp_error *err)
{
	const char *a = recorded->text, *b = found->text;

	while (a < recorded->end || b < found->end) {
		const char *a_end = line_end(a, recorded->end);
		const char *b_end = line_end(b, found->end);
		int same = is_same_line(a, a_end, b, b_end, err);

		if (same < 0)
			return -1;
		if (same == 0)
			return tell(recorded, a, a_end, b, b_end, what, err);
		a = next_line(a, recorded->end);
		b = next_line(b, found->end);
	}
	return 1;
}

static int
compare_whole(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return compare_bytes(x->text, x->end, y->text, y->end);
}

/* The lines of an object in the order of their bytes, without commas. */
static int
sort_lines(const struct part *part, struct parts *out, struct bkp_error *err)
{
	for (const char *at = part->text; at < part->end;
	     at = next_line(at, part->end)) {
		const char *end = line_end(at, part->end);

		if (bkp_grow(&out->items, out->count, &out->cap,
			sizeof(*out->items), err) < 0)
			return -1;
		if (end > at && end[-1] == ',')
			end--;
		out->items[out->count].text = at;
		out->items[out->count++].end = end;
	}
	if (out->count > 0)
		qsort(
		    out->items, out->count, sizeof(*out->items), compare_whole);
	return 0;
}

/* In whatever order: but a line of one table is none of another. */
static int
compare_heirs(const struct part *recorded, const struct part *found,
    struct fmt_buf *what, struct bkp_error *err)
{
	static const char nothing[] = "";
	static const struct part none = {nothing, nothing};
	struct parts a = {NULL, 0, 0}, b = {NULL, 0, 0};
	int rc = -1, same;

	if (sort_lines(recorded, &a, err) < 0 || sort_lines(found, &b, err) < 0)
		goto out;
	rc = 1;
	for (size_t i = 0; rc == 1 && (i < a.count || i < b.count); i++) {
		struct part x = i < a.count ? a.items[i] : none;
		struct part y = i < b.count ? b.items[i] : none;

		same = is_same_line(x.text, x.end, y.text, y.end, err);
		if (same < 0)
			rc = -1;
		else if (same == 0)
			rc = tell(
			    recorded, x.text, x.end, y.text, y.end, what, err);
	}
out:
	free(a.items);
	free(b.items);
	return rc;
}

int
bkp_compare_order(const struct fmt_buf *recorded, const struct fmt_buf *found,
    struct fmt_buf *what, struct bkp_error *err)
{
	struct parts a = {NULL, 0, 0}, b = {NULL, 0, 0};
	int rc = -1;

	if (split(recorded, &a, err) < 0 || split(found, &b, err) < 0)
		goto out;
	rc = 1;
	for (size_t i = 0; rc == 1 && i < a.count && i < b.count; i++)
		rc = bkp_compare_is_heir(a.items[i].text, a.items[i].end)
			 ? compare_heirs(&a.items[i], &b.items[i], what, err)
			 : compare_part(&a.items[i], &b.items[i], what, err);
out:
	free(a.items);
	free(b.items);
	return rc;
}
