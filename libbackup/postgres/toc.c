/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/toc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/sqltext.h"

void
bkp_pg_toc_free(struct bkp_pg_toc *toc)
{
	bkp_arena_free(&toc->arena);
	fmt_buf_free(&toc->after);
	fmt_buf_free(&toc->table_lines);
	fmt_buf_free(&toc->rest);
	fmt_buf_free(&toc->gather);
	free(toc->items);
	free(toc->tables);
	free(toc->needs);
	free(toc->by_id);
	*toc = (struct bkp_pg_toc)BKP_PG_TOC_INIT;
}

/* ---- lines ---- */

static bool
begins(const char *text, size_t len, const char *with)
{
	size_t with_len = strlen(with);

	return len >= with_len && memcmp(text, with, with_len) == 0;
}

enum bkp_pg_step
bkp_pg_step_of(const char *line, size_t len)
{
	static const struct {
		const char *start;
		enum bkp_pg_step step;
	} kinds[] = {{"INDEX ATTACH ", BKP_PG_STEP_ATTACH},
	    {"INDEX ", BKP_PG_STEP_INDEXES},
	    {"FK CONSTRAINT ", BKP_PG_STEP_FOREIGN_KEYS},
	    {"CONSTRAINT ", BKP_PG_STEP_INDEXES}};
	size_t at = bkp_pg_kind_at(line, len);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (begins(line + at, len - at, kinds[i].start))
			return kinds[i].step;
	return BKP_PG_STEP_REST;
}

/* "3345; 1259 16402 TABLE ...", and not TABLE ATTACH, which has no class. */
static bool
is_table(const struct bkp_pg_view *line)
{
	size_t at = bkp_pg_kind_at(line->text, line->len);
	const char *p = line->text, *end = line->text + line->len;

	(void)bkp_pg_read_number(&p, end);
	return begins(p, (size_t)(end - p), "; 1259 ") &&
	       begins(line->text + at, line->len - at, "TABLE ");
}

/* ";\tdepends on: 215 216" */
static int
read_needs(struct bkp_pg_toc *toc, struct bkp_pg_item *item,
    const struct bkp_pg_view *line, struct bkp_error *err)
{
	const char *end = line->text + line->len;
	const char *at = memchr(line->text, ':', line->len);
	unsigned long id;

	item->first_need = toc->need_count;
	item->need_count = 0;
	while (at != NULL && (id = bkp_pg_next_number(&at, end)) != 0) {
		if (bkp_grow(&toc->needs, toc->need_count, &toc->need_cap,
			sizeof(*toc->needs), err) < 0)
			return -1;
		toc->needs[toc->need_count++] = id;
		item->need_count++;
	}
	return 0;
}

static int
add_item(struct bkp_pg_toc *toc, const struct bkp_pg_view *line,
    struct bkp_error *err)
{
	const char *at = line->text;
	struct bkp_pg_item *item;

	if (bkp_grow(&toc->items, toc->item_count, &toc->item_cap,
		sizeof(*toc->items), err) < 0)
		return -1;
	item = &toc->items[toc->item_count++];
	*item =
	    (struct bkp_pg_item){.id = bkp_pg_read_number(&at, at + line->len),
		.step = bkp_pg_step_of(line->text, line->len),
		.line = *line};
	item->is_late = item->step == BKP_PG_STEP_REST;
	return 0;
}

static int
add_table(struct bkp_pg_toc *toc, const struct bkp_pg_view *line,
    struct bkp_error *err)
{
	const char *at = line->text;

	if (bkp_grow(&toc->tables, toc->table_count, &toc->table_cap,
		sizeof(*toc->tables), err) < 0)
		return -1;
	if (fmt_buf_append(&toc->table_lines, line->text, line->len) != FMT_OK)
		return bkp_fail_nomem(err, "listing the schema");
	toc->tables[toc->table_count++] = (struct bkp_pg_toc_table){
	    .id = bkp_pg_read_number(&at, at + line->len)};
	return 0;
}

/* ---- by number ---- */

/* An item and its id, for qsort has no place for the toc. */
struct numbered {
	unsigned long id;
	size_t at;
};

static int
compare_numbers(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int
compare_tables(const void *a, const void *b)
{
	const struct bkp_pg_toc_table *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int
sort_items(struct bkp_pg_toc *toc, struct bkp_error *err)
{
	struct numbered *sorted =
	    bkp_alloc_array(toc->item_count, sizeof(*sorted), err);

	toc->by_id = bkp_alloc_array(toc->item_count, sizeof(*toc->by_id), err);
	if (sorted == NULL || toc->by_id == NULL) {
		free(sorted);
		return -1;
	}
	for (size_t i = 0; i < toc->item_count; i++)
		sorted[i] = (struct numbered){toc->items[i].id, i};
	qsort(sorted, toc->item_count, sizeof(*sorted), compare_numbers);
	for (size_t i = 0; i < toc->item_count; i++)
		toc->by_id[i] = sorted[i].at;
	free(sorted);
	return 0;
}

struct bkp_pg_item *
bkp_pg_toc_item(const struct bkp_pg_toc *toc, unsigned long id)
{
	size_t low = 0, high = toc->item_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct bkp_pg_item *item = &toc->items[toc->by_id[middle]];

		if (item->id == id)
			return item;
		if (item->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static struct bkp_pg_toc_table *
find_table(const struct bkp_pg_toc *toc, unsigned long id)
{
	const struct bkp_pg_toc_table wanted = {.id = id};

	return toc->table_count == 0
		   ? NULL
		   : bsearch(&wanted, toc->tables, toc->table_count,
			 sizeof(*toc->tables), compare_tables);
}

/* ---- lists ---- */

/* The steps are made in their order: what needs something of a later one is
 * as late as that. */
static bool
needs_late(const struct bkp_pg_toc *toc, const struct bkp_pg_item *item)
{
	for (size_t i = 0; i < item->need_count; i++) {
		const struct bkp_pg_item *need =
		    bkp_pg_toc_item(toc, toc->needs[item->first_need + i]);

		if (need != NULL && (need->is_late || need->step > item->step))
			return true;
	}
	return false;
}

bool
bkp_pg_toc_lacks(const struct bkp_pg_toc *toc, const struct bkp_pg_item *item)
{
	for (size_t i = 0; i < item->need_count; i++) {
		const struct bkp_pg_item *need =
		    bkp_pg_toc_item(toc, toc->needs[item->first_need + i]);

		if (need != NULL && need->is_refused)
			return true;
	}
	return false;
}

/* The archive is in an order that mostly needs one pass. */
static void
spread_late(struct bkp_pg_toc *toc)
{
	bool has_changed = true;

	while (has_changed) {
		has_changed = false;
		for (size_t i = 0; i < toc->item_count; i++) {
			struct bkp_pg_item *item = &toc->items[i];

			if (item->is_late || !needs_late(toc, item))
				continue;
			item->is_late = true;
			has_changed = true;
		}
	}
}

int
bkp_pg_toc_after(struct bkp_pg_toc *toc, struct bkp_error *err)
{
	const char *at = (const char *)toc->after.data;
	const char *end = at != NULL ? at + toc->after.len : at;

	while (at < end) {
		struct bkp_pg_view line = bkp_pg_next_line(&at, end);

		if (isdigit((unsigned char)line.text[0]) &&
		    add_item(toc, &line, err) < 0)
			return -1;
	}
	return sort_items(toc, err);
}

/* What comes next is read together with what is not whole. */
static int
join(
    struct bkp_pg_toc *toc, const void *data, size_t len, struct bkp_error *err)
{
	if (fmt_buf_append(&toc->rest, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "reading the schema");
	return 0;
}

/* What has been read is dropped. */
static void
drop(struct bkp_pg_toc *toc, const char *until)
{
	struct fmt_buf *rest = &toc->rest;
	size_t read = rest->len > 0 ? (size_t)(until - (char *)rest->data) : 0;

	if (read > 0 && read < rest->len)
		memmove(rest->data, rest->data + read, rest->len - read);
	rest->len -= read;
}

static int
read_line(struct bkp_pg_toc *toc, const struct bkp_pg_view *line,
    struct bkp_error *err)
{
	const char *number = line->text;

	if (isdigit((unsigned char)line->text[0]))
		toc->item = bkp_pg_toc_item(
		    toc, bkp_pg_read_number(&number, line->text + line->len));
	if (is_table(line))
		return add_table(toc, line, err);
	if (toc->item != NULL &&
	    begins(line->text, line->len, ";\tdepends on:"))
		return read_needs(toc, toc->item, line, err);
	return 0;
}

static int
read_lines(struct bkp_pg_toc *toc, bool is_last, struct bkp_error *err)
{
	const char *at = (const char *)toc->rest.data;
	const char *end = at != NULL ? at + toc->rest.len : at;

	while (at < end) {
		struct bkp_pg_view line;

		if (!is_last && memchr(at, '\n', (size_t)(end - at)) == NULL)
			break;
		line = bkp_pg_next_line(&at, end);
		if (read_line(toc, &line, err) < 0)
			return -1;
	}
	drop(toc, at);
	return 0;
}

int
bkp_pg_toc_list(void *toc, const void *data, size_t len, struct bkp_error *err)
{
	return join(toc, data, len, err) < 0 ? -1 : read_lines(toc, false, err);
}

int
bkp_pg_toc_list_end(struct bkp_pg_toc *toc, struct bkp_error *err)
{
	if (read_lines(toc, true, err) < 0)
		return -1;
	if (toc->table_count > 0)
		qsort(toc->tables, toc->table_count, sizeof(*toc->tables),
		    compare_tables);
	toc->item = NULL;
	spread_late(toc);
	return 0;
}

enum fmt_status
bkp_pg_toc_wanted(const struct bkp_pg_toc *toc, struct fmt_buf *out)
{
	enum fmt_status status =
	    fmt_buf_append(out, toc->table_lines.data, toc->table_lines.len);

	for (size_t i = 0; i < toc->item_count && status == FMT_OK; i++)
		if (!toc->items[i].is_late)
			status = fmt_buf_append(out, toc->items[i].line.text,
			    toc->items[i].line.len);
	return status;
}

/* ---- the script ---- */

static int
keep(struct bkp_pg_toc *toc, const char *text, size_t len,
    struct bkp_pg_view *out, struct bkp_error *err)
{
	out->text = bkp_arena_text(&toc->arena, text, len, err);
	out->len = len;
	return out->text != NULL ? 0 : -1;
}

/* Several statements, a line end between them. */
static int
gather(struct bkp_pg_toc *toc, const struct bkp_sql_statement *s,
    struct bkp_error *err)
{
	enum fmt_status status = FMT_OK;

	if (toc->gather.len > 0)
		status = fmt_buf_append_byte(&toc->gather, '\n');
	if (status == FMT_OK)
		status = fmt_buf_append(&toc->gather, s->text, s->len);
	return status == FMT_OK ? 0 : bkp_fail_nomem(err, "reading the schema");
}

/* Another entry begins, or there is none left. */
static int
end_entry(struct bkp_pg_toc *toc, struct bkp_error *err)
{
	int rc = 0;

	if (toc->gather.len > 0)
		rc = keep(toc, (const char *)toc->gather.data, toc->gather.len,
		    toc->has_begun ? &toc->item->more : &toc->setup, err);
	fmt_buf_clear(&toc->gather);
	toc->has_begun = true;
	return rc;
}

/* "-- Name: account; Type: TABLE; Schema: app; Owner: somebody" */
static int
read_name(struct bkp_pg_toc *toc, const struct bkp_pg_view *line,
    struct bkp_error *err)
{
	static const char owner[] = "; Owner: ";
	const char *start = line->text + strlen("-- Name: ");
	const char *end = line->text + line->len, *stop = NULL;

	for (const char *p = start; p < end; p++)
		if (begins(p, (size_t)(end - p), owner))
			stop = p;
	if (toc->table == NULL || stop == NULL || toc->table->key.text != NULL)
		return 0;
	return keep(toc, start, (size_t)(stop - start), &toc->table->key, err);
}

static int
read_remark(struct bkp_pg_toc *toc, const struct bkp_pg_view *line,
    struct bkp_error *err)
{
	static const char entry[] = "-- TOC entry ";

	if (begins(line->text, line->len, entry)) {
		const char *at = line->text + sizeof(entry) - 1;
		unsigned long id =
		    bkp_pg_read_number(&at, line->text + line->len);

		if (end_entry(toc, err) < 0)
			return -1;
		toc->item = bkp_pg_toc_item(toc, id);
		toc->table = find_table(toc, id);
	} else if (begins(line->text, line->len, "-- Name: ")) {
		return read_name(toc, line, err);
	}
	return 0;
}

static int
read_statement(struct bkp_pg_toc *toc, const struct bkp_sql_statement *s,
    struct bkp_error *err)
{
	struct bkp_pg_item *item = toc->item;

	if (bkp_sql_begins(s, "SET default_tablespace = ", NULL))
		return keep(toc, s->text, s->len, &toc->tablespace, err);
	if (bkp_sql_begins(s, "SET default_table_access_method ", NULL))
		return 0;
	if (!toc->has_begun)
		return gather(toc, s, err);
	if (item == NULL)
		return 0;
	if (item->first.text != NULL)
		return gather(toc, s, err);
	item->tablespace = toc->tablespace;
	return keep(toc, s->text, s->len, &item->first, err);
}

/* Reads what begins at *at and moves behind it; where its end may not have
 * come *at stays. A statement that ends where the text does may go on: the
 * quote that it seems to end with may be the first of two. */
static int
read_one(struct bkp_pg_toc *toc, const char **at, const char *end, bool is_last,
    struct bkp_error *err)
{
	const char *next = *at;
	struct bkp_sql_statement s;
	struct bkp_pg_view line;

	if (isspace((unsigned char)*next)) {
		*at = next + 1;
		return 0;
	}
	if (*next == '\\' || begins(next, (size_t)(end - next), "--")) {
		line = bkp_pg_next_line(&next, end);
		if (!is_last && next[-1] != '\n')
			return 0;
		*at = next;
		return read_remark(toc, &line, err);
	}
	if (!bkp_sql_next(&next, end, &s) || (!is_last && next == end))
		return 0;
	*at = next;
	return read_statement(toc, &s, err);
}

static int
read_script(struct bkp_pg_toc *toc, bool is_last, struct bkp_error *err)
{
	const char *at = (const char *)toc->rest.data;
	const char *end = at != NULL ? at + toc->rest.len : at;

	while (at < end) {
		const char *before = at;

		if (read_one(toc, &at, end, is_last, err) < 0)
			return -1;
		if (at == before)
			break;
	}
	drop(toc, at);
	return 0;
}

int
bkp_pg_toc_script(
    void *toc, const void *data, size_t len, struct bkp_error *err)
{
	return join(toc, data, len, err) < 0 ? -1
					     : read_script(toc, false, err);
}

int
bkp_pg_toc_script_end(struct bkp_pg_toc *toc, struct bkp_error *err)
{
	if (read_script(toc, true, err) < 0 || end_entry(toc, err) < 0)
		return -1;
	for (size_t i = 0; i < toc->item_count; i++)
		if (toc->items[i].first.text == NULL)
			toc->items[i].is_late = true;
	spread_late(toc);
	return 0;
}

static enum fmt_status
append_line(struct fmt_buf *out, const char *text)
{
	enum fmt_status status = FMT_OK;

	for (; *text != '\0' && status == FMT_OK; text++)
		status = fmt_buf_append_byte(out, *text == '\n' || *text == '\r'
						      ? ' '
						      : (unsigned char)*text);
	return status;
}

enum fmt_status
bkp_pg_toc_key(struct fmt_buf *out, const char *schema, const char *name)
{
	enum fmt_status status = append_line(out, name);

	if (status == FMT_OK)
		status = fmt_buf_append_text(out, "; Type: TABLE; Schema: ");
	return status == FMT_OK ? append_line(out, schema) : status;
}
