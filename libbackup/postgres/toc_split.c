/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A constraint that is an index, made in two steps. ADD CONSTRAINT keeps
 * everybody else from the table while the index is built; CREATE UNIQUE INDEX
 * lets others build theirs. What is read here is what pg_dump writes, to the
 * letter: anything else stays in one piece.
 */
#include "libbackup/postgres/toc.h"

#include <ctype.h>
#include <string.h>

struct words {
	const char *at, *end;
};

struct constraint {
	struct bkp_pg_view table, name, columns, include, with, defer;
	bool is_primary, has_equal_nulls;
};

static bool
skip_words(struct words *w, const char *words)
{
	size_t len = strlen(words);

	if ((size_t)(w->end - w->at) < len || memcmp(w->at, words, len) != 0)
		return false;
	w->at += len;
	return true;
}

static bool
is_of_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' ||
	       (c & 0x80) != 0;
}

static bool
skip_name(struct words *w)
{
	const char *start = w->at;

	if (w->at == w->end)
		return false;
	if (*w->at != '"') {
		while (w->at < w->end && is_of_name(*w->at))
			w->at++;
		return w->at > start;
	}
	for (w->at++; w->at < w->end; w->at++) {
		if (*w->at != '"')
			continue;
		if (w->at + 1 == w->end || w->at[1] != '"') {
			w->at++;
			return true;
		}
		w->at++;
	}
	return false;
}

/* "(a, b)", names only. */
static bool
take_names(struct words *w, struct bkp_pg_view *out)
{
	out->text = w->at;
	if (!skip_words(w, "("))
		return false;
	do {
		if (!skip_name(w))
			return false;
	} while (skip_words(w, ", "));
	if (!skip_words(w, ")"))
		return false;
	out->len = (size_t)(w->at - out->text);
	return true;
}

/* "(fillfactor='70', deduplicate_items=off)" */
static bool
take_options(struct words *w, struct bkp_pg_view *out)
{
	bool is_quoted = false;

	out->text = w->at;
	for (; w->at < w->end && (is_quoted || *w->at != ')'); w->at++)
		if (*w->at == '\'')
			is_quoted = !is_quoted;
	if (!skip_words(w, ")"))
		return false;
	out->len = (size_t)(w->at - out->text);
	return true;
}

static bool
read_table(struct words *w, struct constraint *c)
{
	if (!skip_words(w, "ALTER TABLE ONLY "))
		return false;
	c->table.text = w->at;
	if (!skip_name(w) || !skip_words(w, ".") || !skip_name(w))
		return false;
	c->table.len = (size_t)(w->at - c->table.text);
	if (!skip_words(w, "\n    ADD CONSTRAINT "))
		return false;
	c->name.text = w->at;
	if (!skip_name(w))
		return false;
	c->name.len = (size_t)(w->at - c->name.text);
	return true;
}

static bool
read_constraint(struct words *w, struct constraint *c)
{
	if (!read_table(w, c))
		return false;
	c->is_primary = skip_words(w, " PRIMARY KEY");
	if (!c->is_primary && !skip_words(w, " UNIQUE"))
		return false;
	c->has_equal_nulls = skip_words(w, " NULLS NOT DISTINCT");
	if (!skip_words(w, " ") || !take_names(w, &c->columns))
		return false;
	if (skip_words(w, " INCLUDE ") && !take_names(w, &c->include))
		return false;
	if (skip_words(w, " WITH ") && !take_options(w, &c->with))
		return false;
	c->defer.text = w->at;
	(void)skip_words(w, " DEFERRABLE");
	(void)skip_words(w, " INITIALLY DEFERRED");
	c->defer.len = (size_t)(w->at - c->defer.text);
	return skip_words(w, ";") && w->at == w->end;
}

static enum fmt_status
append(struct fmt_buf *out, const char *words, const struct bkp_pg_view *view)
{
	enum fmt_status status;

	if (view->text == NULL)
		return FMT_OK;
	status = fmt_buf_append_text(out, words);
	return status == FMT_OK ? fmt_buf_append(out, view->text, view->len)
				: status;
}

static enum fmt_status
write_index(struct fmt_buf *out, const struct constraint *c)
{
	enum fmt_status status = append(out, "CREATE UNIQUE INDEX ", &c->name);

	if (status == FMT_OK)
		status = append(out, " ON ", &c->table);
	if (status == FMT_OK)
		status = append(out, " ", &c->columns);
	if (status == FMT_OK)
		status = append(out, " INCLUDE ", &c->include);
	if (status == FMT_OK && c->has_equal_nulls)
		status = fmt_buf_append_text(out, " NULLS NOT DISTINCT");
	return status == FMT_OK ? append(out, " WITH ", &c->with) : status;
}

static enum fmt_status
write_constraint(struct fmt_buf *out, const struct constraint *c)
{
	enum fmt_status status = append(out, "ALTER TABLE ONLY ", &c->table);

	if (status == FMT_OK)
		status = append(out, " ADD CONSTRAINT ", &c->name);
	if (status == FMT_OK)
		status = append(out,
		    c->is_primary ? " PRIMARY KEY USING INDEX "
				  : " UNIQUE USING INDEX ",
		    &c->name);
	if (status == FMT_OK)
		status = append(out, "", &c->defer);
	return status == FMT_OK ? fmt_buf_append_text(out, ";") : status;
}

enum fmt_status
bkp_pg_toc_split(const struct bkp_pg_view *statement, struct fmt_buf *index,
    struct fmt_buf *constraint)
{
	struct words words = {
	    statement->text, statement->text + statement->len};
	struct constraint c = {.is_primary = false};
	enum fmt_status status;

	if (!read_constraint(&words, &c))
		return FMT_UNSUPPORTED;
	status = write_index(index, &c);
	return status == FMT_OK ? write_constraint(constraint, &c) : status;
}
