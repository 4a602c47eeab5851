/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two texts, part by part: which things are missing, new or others, told for
 * each section by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/compare.h"

/* As many things as are named of a section, and as much of each name. */
#define NAMED 5
#define NAME_TOLD 120
/* As much of what it is. */
#define TEXT_TOLD 160

struct parts {
	struct bkp_text_part *items;
	size_t count, cap;
};

struct section {
	const char *name;
	uint64_t equal, different;
	struct fmt_buf what;
};

struct sections {
	struct section *items;
	size_t count, cap;
};

static int
compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;
	int order = len > 0 ? memcmp(a, b, len) : 0;

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int
compare_keys(const struct bkp_text_part *a, const struct bkp_text_part *b)
{
	return compare_bytes(a->text, a->key_len, b->text, b->key_len);
}

static int
compare_parts(const void *a, const void *b)
{
	const struct bkp_text_part *x = a, *y = b;
	int order = compare_keys(x, y);

	return order != 0 ? order
			  : compare_bytes(x->text, x->len, y->text, y->len);
}

static int
cut(const struct fmt_buf *text, bkp_next_part_fn *next_part, struct parts *out,
    struct bkp_error *err)
{
	const char *at = text->len > 0 ? (const char *)text->data : "";
	const char *end = at + text->len;
	struct bkp_text_part part;

	while (next_part(&at, end, &part)) {
		if (bkp_grow(&out->items, out->count, &out->cap,
			sizeof(*out->items), err) < 0)
			return -1;
		out->items[out->count++] = part;
	}
	if (out->count > 0)
		qsort(
		    out->items, out->count, sizeof(*out->items), compare_parts);
	return 0;
}

/* The section of this name, made where it is new; NULL: no memory. */
static struct section *
find_section(struct sections *sections, const char *name, struct bkp_error *err)
{
	for (size_t i = 0; i < sections->count; i++)
		if (strcmp(sections->items[i].name, name) == 0)
			return &sections->items[i];
	if (bkp_grow(&sections->items, sections->count, &sections->cap,
		sizeof(*sections->items), err) < 0)
		return NULL;
	sections->items[sections->count] =
	    (struct section){.name = name, .what = FMT_BUF_INIT};
	return &sections->items[sections->count++];
}

/* Tells one difference, as long as not many were told. */
static int
tell_part(struct sections *sections, const struct bkp_text_part *part,
    const char *before, const char *what, struct bkp_error *err)
{
	struct section *section = find_section(sections, part->section, err);
	size_t len = part->name_len < NAME_TOLD ? part->name_len : NAME_TOLD;
	enum fmt_status status = FMT_OK;

	if (section == NULL)
		return -1;
	if (section->different++ < NAMED)
		status = fmt_buf_printf(&section->what, "%s%.*s %s%s",
		    section->what.len > 0 ? "; " : "", (int)len, part->name,
		    before, what);
	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "telling a difference");
}

/* Two of one thing: equal, or the lines in which they differ. */
static int
compare_pair(struct sections *sections, const struct bkp_text_part *recorded,
    const struct bkp_text_part *found, struct bkp_error *err)
{
	struct fmt_buf a = FMT_BUF_INIT, b = FMT_BUF_INIT, what = FMT_BUF_INIT;
	struct section *section =
	    find_section(sections, recorded->section, err);
	int equal, rc = -1;

	if (section == NULL)
		return -1;
	if (compare_bytes(
		recorded->text, recorded->len, found->text, found->len) == 0) {
		section->equal++;
		return 0;
	}
	if (fmt_buf_append(&a, recorded->text, recorded->len) != FMT_OK ||
	    fmt_buf_append(&b, found->text, found->len) != FMT_OK) {
		(void)bkp_fail_nomem(err, "telling a difference");
		goto out;
	}
	equal = bkp_compare_texts(&a, &b, &what, err);
	if (equal == 1) {
		section->equal++;
		rc = 0;
	} else if (equal == 0 && fmt_buf_text(&what) == NULL) {
		rc = bkp_fail_nomem(err, "telling a difference");
	} else if (equal == 0) {
		rc = tell_part(
		    sections, recorded, "differs: ", fmt_buf_text(&what), err);
	}
out:
	fmt_buf_free(&a);
	fmt_buf_free(&b);
	fmt_buf_free(&what);
	return rc;
}

/* What the text says of a thing that only one side has: its beginning without
 * the remark, in one line. */
static int
tell_single(struct sections *sections, const struct bkp_text_part *part,
    const char *how, struct bkp_error *err)
{
	const char *at = memchr(part->text, '\n', part->len);
	const char *end = part->text + part->len;
	char text[TEXT_TOLD + 1];
	size_t len = 0;

	for (at = part->key_len > 0 && at != NULL ? at + 1 : part->text;
	     at < end && len < TEXT_TOLD; at++) {
		bool is_space = *at == ' ' || *at == '\n' || *at == '\t';

		if (!is_space)
			text[len++] = *at;
		else if (len > 0 && text[len - 1] != ' ')
			text[len++] = ' ';
	}
	while (len > 0 && text[len - 1] == ' ')
		len--;
	text[len] = '\0';
	return tell_part(sections, part, how, text, err);
}

static int
merge(struct sections *sections, const struct parts *recorded,
    const struct parts *found, struct bkp_error *err)
{
	size_t i = 0, k = 0;
	int rc = 0;

	while (rc == 0 && (i < recorded->count || k < found->count)) {
		int order =
		    i == recorded->count ? 1
		    : k == found->count
			? -1
			: compare_keys(&recorded->items[i], &found->items[k]);

		if (order < 0)
			rc = tell_single(sections, &recorded->items[i++],
			    "is missing: ", err);
		else if (order > 0)
			rc = tell_single(sections, &found->items[k++],
			    "is there and was not: ", err);
		else
			rc = compare_pair(sections, &recorded->items[i++],
			    &found->items[k++], err);
	}
	return rc;
}

static int
tell_section(struct section *section, bkp_tell_part_fn *tell, void *arg,
    struct bkp_error *err)
{
	const char *what = NULL;
	enum fmt_status status = FMT_OK;

	if (section->different == 0)
		status = fmt_buf_printf(&section->what, "%llu equal",
		    (unsigned long long)section->equal);
	else if (section->different > NAMED)
		status = fmt_buf_printf(&section->what,
		    "; and %llu more that differ",
		    (unsigned long long)(section->different - NAMED));
	if (status != FMT_OK || (what = fmt_buf_text(&section->what)) == NULL)
		return bkp_fail_nomem(err, "telling a difference");
	return tell(arg, section->name, section->different == 0, what, err);
}

static int
compare_sections(const void *a, const void *b)
{
	const struct section *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int
bkp_compare_by_part(const struct fmt_buf *recorded, const struct fmt_buf *found,
    bkp_next_part_fn *next_part, bkp_tell_part_fn *tell, void *arg,
    struct bkp_error *err)
{
	struct parts a = {NULL, 0, 0}, b = {NULL, 0, 0};
	struct sections sections = {NULL, 0, 0};
	int rc = -1;

	if (cut(recorded, next_part, &a, err) < 0 ||
	    cut(found, next_part, &b, err) < 0 ||
	    merge(&sections, &a, &b, err) < 0)
		goto out;
	if (sections.count > 0)
		qsort(sections.items, sections.count, sizeof(*sections.items),
		    compare_sections);
	rc = 0;
	for (size_t i = 0; rc == 0 && i < sections.count; i++)
		rc = tell_section(&sections.items[i], tell, arg, err);
out:
	for (size_t i = 0; i < sections.count; i++)
		fmt_buf_free(&sections.items[i].what);
	free(sections.items);
	free(a.items);
	free(b.items);
	return rc;
}
