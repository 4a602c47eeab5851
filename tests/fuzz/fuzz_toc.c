/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pg_restore prints of a schema archive: the list of everything, the list
 * of what comes after the rows, and the script, with a form feed between them.
 * Whatever they are, and however they are cut, pieces lie within the text that
 * they are of, and what is needed is among what was read.
 */
#include "libbackup/postgres/toc.h"
#include "libbackup/postgres/toc_choice.h"
#include "libbackup/repository.h"
#include "tests/fuzz/fuzz.h"

static void
require_within(const struct bkp_pg_view *view, const struct fmt_buf *text)
{
	const char *start = (const char *)text->data;

	if (view->text != NULL)
		require(view->text >= start && view->len <= text->len &&
			view->text + view->len <= start + text->len);
}

/* A copy, ended by a NUL. */
static void
require_kept(const struct bkp_pg_view *view)
{
	if (view->text != NULL)
		require(view->text[view->len] == '\0');
}

static void
try_line(const struct bkp_pg_view *line)
{
	const char *end = line->text + line->len;
	size_t len = 0;
	const char *name = bkp_pg_line_name(line->text, line->len, &len);

	require(name >= line->text && len <= (size_t)(end - name));
	name = bkp_pg_line_owner(line->text, line->len, &len);
	require(
	    len == 0 || (name >= line->text && len <= (size_t)(end - name)));
	(void)bkp_pg_need_of(line->text, line->len);
	require(bkp_pg_kind_at(line->text, line->len) <= line->len);
}

static void
try_split(const struct bkp_pg_view *statement)
{
	struct fmt_buf index = FMT_BUF_INIT, constraint = FMT_BUF_INIT;
	enum fmt_status status;

	if (statement->text == NULL)
		return;
	status = bkp_pg_toc_split(statement, &index, &constraint);
	require(status == FMT_OK || status == FMT_UNSUPPORTED);
	require((status == FMT_OK) == (index.len > 0 && constraint.len > 0));
	fmt_buf_free(&index);
	fmt_buf_free(&constraint);
}

static void
require_item(const struct bkp_pg_toc *toc, const struct bkp_pg_item *item)
{
	require(item->first_need <= toc->need_count &&
		item->need_count <= toc->need_count - item->first_need);
	require(bkp_pg_toc_item(toc, item->id) != NULL);
	require_within(&item->line, &toc->after);
	require_kept(&item->tablespace);
	require_kept(&item->first);
	require_kept(&item->more);
	require(item->is_late || item->first.text != NULL);
	(void)bkp_pg_toc_lacks(toc, item);
	try_split(&item->first);
}

/* In two portions, cut where the first byte says. */
static void
feed(bkp_bytes_fn *take, struct bkp_pg_toc *toc, const struct fmt_buf *text)
{
	size_t cut = text->len > 0 ? text->data[0] % text->len : 0;

	if (text->len == 0)
		return;
	require(take(toc, text->data, cut, NULL) == 0);
	require(take(toc, text->data + cut, text->len - cut, NULL) == 0);
}

static void
try_toc(struct bkp_pg_toc *toc, const struct fmt_buf *all,
    const struct fmt_buf *script)
{
	struct fmt_buf wanted = FMT_BUF_INIT;

	require(bkp_pg_toc_after(toc, NULL) == 0);
	feed(bkp_pg_toc_list, toc, all);
	require(bkp_pg_toc_list_end(toc, NULL) == 0);
	require(bkp_pg_toc_wanted(toc, &wanted) == FMT_OK);
	fmt_buf_free(&wanted);
	feed(bkp_pg_toc_script, toc, script);
	require(bkp_pg_toc_script_end(toc, NULL) == 0);
	require_kept(&toc->setup);
	for (size_t i = 0; i < toc->item_count; i++)
		require_item(toc, &toc->items[i]);
	for (size_t i = 0; i < toc->table_count; i++)
		require_kept(&toc->tables[i].key);
}

/* Of the entries of one list those of another are chosen. */
static void
try_choice(const struct fmt_buf *all, const struct fmt_buf *some)
{
	struct bkp_pg_choice choice = BKP_PG_CHOICE_INIT;
	const char *at, *end;

	require(fmt_buf_append(&choice.list, all->data, all->len) == FMT_OK);
	require(bkp_pg_choice_read(&choice, NULL) == 0);
	require(bkp_pg_choice_take(&choice, some) <= some->len);
	bkp_pg_choice_complete(&choice);
	for (size_t i = 0; i < choice.count; i++) {
		require_within(&choice.entries[i].line, &choice.list);
		(void)bkp_pg_choice_is_torn(&choice, &choice.entries[i]);
	}
	at = (const char *)all->data;
	end = all->len > 0 ? at + all->len : at;
	while (at < end) {
		struct bkp_pg_view line = bkp_pg_next_line(&at, end);

		require(line.len > 0 && at <= end);
		try_line(&line);
		(void)bkp_pg_choice_has(&choice, line.text, line.len);
	}
	bkp_pg_choice_free(&choice);
}

/* Up to the next form feed, or to the end. */
static void
take_part(const uint8_t **at, size_t *left, struct fmt_buf *out)
{
	const uint8_t *stop = *left > 0 ? memchr(*at, '\f', *left) : NULL;
	size_t len = stop != NULL ? (size_t)(stop - *at) : *left;

	if (len > 0)
		require(fmt_buf_append(out, *at, len) == FMT_OK);
	*at += len;
	*left -= len;
	if (stop != NULL) {
		(*at)++;
		(*left)--;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bkp_pg_toc toc = BKP_PG_TOC_INIT;
	struct fmt_buf all = FMT_BUF_INIT, script = FMT_BUF_INIT;

	take_part(&data, &size, &all);
	take_part(&data, &size, &toc.after);
	take_part(&data, &size, &script);
	try_choice(&all, &toc.after);
	try_toc(&toc, &all, &script);
	fmt_buf_free(&all);
	fmt_buf_free(&script);
	bkp_pg_toc_free(&toc);
	return 0;
}
