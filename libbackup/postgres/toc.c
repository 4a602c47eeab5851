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
	fmt_buf_free(&toc->all);
	fmt_buf_free(&toc->after);
	fmt_buf_free(&toc->script);
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
	toc->tables[toc->table_count++] = (struct bkp_pg_toc_table){
	    .id = bkp_pg_read_number(&at, at + line->len), .line = *line};
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

static int
read_items(struct bkp_pg_toc *toc, struct bkp_error *err)
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

int
bkp_pg_toc_lists(struct bkp_pg_toc *toc, struct bkp_error *err)
{
	const char *at = (const char *)toc->all.data;
	const char *end = at != NULL ? at + toc->all.len : at;
	struct bkp_pg_item *item = NULL;

	if (read_items(toc, err) < 0)
		return -1;
	while (at < end) {
		struct bkp_pg_view line = bkp_pg_next_line(&at, end);
		const char *number = line.text;
		int rc = 0;

		if (isdigit((unsigned char)line.text[0]))
			item = bkp_pg_toc_item(toc,
			    bkp_pg_read_number(&number, line.text + line.len));
		if (is_table(&line))
			rc = add_table(toc, &line, err);
		else if (item != NULL &&
			 begins(line.text, line.len, ";\tdepends on:"))
			rc = read_needs(toc, item, &line, err);
		if (rc < 0)
			return -1;
	}
	if (toc->table_count > 0)
		qsort(toc->tables, toc->table_count, sizeof(*toc->tables),
		    compare_tables);
	spread_late(toc);
	return 0;
}

enum fmt_status
bkp_pg_toc_wanted(const struct bkp_pg_toc *toc, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; i < toc->table_count && status == FMT_OK; i++)
		status = fmt_buf_append(
		    out, toc->tables[i].line.text, toc->tables[i].line.len);
	for (size_t i = 0; i < toc->item_count && status == FMT_OK; i++)
		if (!toc->items[i].is_late)
			status = fmt_buf_append(out, toc->items[i].line.text,
			    toc->items[i].line.len);
	return status;
}

/* ---- the script ---- */

/* Where the reading of a script is. */
struct reading {
	struct bkp_pg_toc *toc;
	bool has_begun; /* an entry */
	struct bkp_pg_item *item;
	struct bkp_pg_toc_table *table;
	struct bkp_pg_view tablespace;
};

static void
widen(struct bkp_pg_view *view, const struct bkp_sql_statement *s)
{
	if (view->text == NULL)
		view->text = s->text;
	view->len = (size_t)(s->text + s->len - view->text);
}

/* "-- Name: account; Type: TABLE; Schema: app; Owner: somebody" */
static void
read_name(struct reading *reading, const struct bkp_pg_view *line)
{
	static const char owner[] = "; Owner: ";
	const char *start = line->text + strlen("-- Name: ");
	const char *end = line->text + line->len, *stop = NULL;

	for (const char *p = start; p < end; p++)
		if (begins(p, (size_t)(end - p), owner))
			stop = p;
	if (reading->table != NULL && stop != NULL &&
	    reading->table->key.text == NULL)
		reading->table->key =
		    (struct bkp_pg_view){start, (size_t)(stop - start)};
}

static void
read_remark(struct reading *reading, const struct bkp_pg_view *line)
{
	static const char entry[] = "-- TOC entry ";

	if (begins(line->text, line->len, entry)) {
		const char *at = line->text + sizeof(entry) - 1;
		unsigned long id =
		    bkp_pg_read_number(&at, line->text + line->len);

		reading->has_begun = true;
		reading->item = bkp_pg_toc_item(reading->toc, id);
		reading->table = find_table(reading->toc, id);
	} else if (begins(line->text, line->len, "-- Name: ")) {
		read_name(reading, line);
	}
}

static void
read_statement(struct reading *reading, const struct bkp_sql_statement *s)
{
	struct bkp_pg_item *item = reading->item;

	if (bkp_sql_begins(s, "SET default_tablespace = ", NULL)) {
		reading->tablespace = (struct bkp_pg_view){s->text, s->len};
	} else if (bkp_sql_begins(
		       s, "SET default_table_access_method ", NULL)) {
		return;
	} else if (!reading->has_begun) {
		widen(&reading->toc->setup, s);
	} else if (item != NULL && item->first.text == NULL) {
		item->first = (struct bkp_pg_view){s->text, s->len};
		item->tablespace = reading->tablespace;
	} else if (item != NULL) {
		widen(&item->more, s);
	}
}

void
bkp_pg_toc_statements(struct bkp_pg_toc *toc)
{
	struct reading reading = {.toc = toc};
	const char *at = (const char *)toc->script.data;
	const char *end = at != NULL ? at + toc->script.len : at;

	while (at < end) {
		struct bkp_sql_statement s;

		if (isspace((unsigned char)*at)) {
			at++;
		} else if (*at == '\\' ||
			   begins(at, (size_t)(end - at), "--")) {
			struct bkp_pg_view line = bkp_pg_next_line(&at, end);

			read_remark(&reading, &line);
		} else if (bkp_sql_next(&at, end, &s)) {
			read_statement(&reading, &s);
		}
	}
	for (size_t i = 0; i < toc->item_count; i++)
		if (toc->items[i].first.text == NULL)
			toc->items[i].is_late = true;
	spread_late(toc);
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
