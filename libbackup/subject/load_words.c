/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQL of references in a manifest. Whoever made the export wrote it, and
 * it would run with the rights of whoever loads it: so nothing of it reaches
 * the server. What is read here is written anew, and everything else is told
 * to be beyond this:
 *
 *	value      column | "(" value ")" | value "::" type
 *	           | column ("->" 'key')* "->>" 'key' | column "#>>" '{key,key}'
 *	condition  term (AND term)*
 *	term       value (= | <> | != | ~ | ~* | LIKE) literal
 *	           | value IN (literal, ...) | value IS [NOT] NULL
 */
#include "libbackup/subject/load_words.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libbackup/postgres/names.h"

#define DEPTH_MAX 20

enum token {
	END,
	BAD,
	WORD,   /* an identifier, its text without quotes */
	TEXT,   /* a literal, its text without quotes */
	NUMBER, /* digits, with a sign and a dot */
	SIGN    /* anything else: one to three characters */
};

struct scan {
	const char *at;
	enum token token;
	struct fmt_buf text;
	bool is_quoted; /* WORD */
	const struct bkp_model_table *table;
	unsigned depth;
	enum fmt_status status; /* FMT_NOMEM where there was none */
};

/* ---- tokens ---- */

static void
put(struct scan *scan, char c)
{
	if (scan->status == FMT_OK)
		scan->status =
		    fmt_buf_append_byte(&scan->text, (unsigned char)c);
}

/* Up to the quote that ends it; two stand for one. */
static void
take_quoted(struct scan *scan, char quote, enum token token)
{
	scan->at++;
	for (; *scan->at != '\0'; scan->at++) {
		if (*scan->at == quote && *++scan->at != quote) {
			scan->token = token;
			return;
		}
		put(scan, *scan->at);
	}
	scan->token = BAD;
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (c & 0x80) != 0;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void
take_word(struct scan *scan)
{
	const char *begin = scan->at;

	for (; is_word(*scan->at) || is_digit(*scan->at) || *scan->at == '$';
	     scan->at++)
		put(scan, (char)(*scan->at >= 'A' && *scan->at <= 'Z'
				     ? *scan->at - 'A' + 'a'
				     : *scan->at));
	/* E'' and its kind read their text in another way. */
	scan->token = *scan->at == '\'' && scan->at > begin ? BAD : WORD;
}

static void
take_number(struct scan *scan)
{
	unsigned dots = 0;

	for (; is_digit(*scan->at) || *scan->at == '.'; scan->at++) {
		dots += *scan->at == '.';
		put(scan, *scan->at);
	}
	scan->token = dots > 1 || is_word(*scan->at) ? BAD : NUMBER;
}

static void
next(struct scan *scan)
{
	static const char *const signs[] = {"->>", "#>>", "->", "::", "<>",
	    "!=", "~*", "~", "=", "(", ")", ","};

	fmt_buf_clear(&scan->text);
	scan->is_quoted = false;
	while (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' ||
	       *scan->at == '\r')
		scan->at++;
	scan->token = BAD;
	if (*scan->at == '\0') {
		scan->token = END;
	} else if (*scan->at == '\'') {
		take_quoted(scan, '\'', TEXT);
	} else if (*scan->at == '"') {
		scan->is_quoted = true;
		take_quoted(scan, '"', WORD);
	} else if (is_word(*scan->at)) {
		take_word(scan);
	} else if (is_digit(*scan->at) ||
		   (*scan->at == '-' && is_digit(scan->at[1]))) {
		if (*scan->at == '-')
			put(scan, *scan->at++);
		take_number(scan);
	} else {
		for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
			if (strncmp(scan->at, signs[i], strlen(signs[i])) ==
			    0) {
				scan->token = SIGN;
				scan->at += strlen(signs[i]);
				scan->status =
				    fmt_buf_append_text(&scan->text, signs[i]);
				break;
			}
	}
	if (scan->status == FMT_OK && fmt_buf_text(&scan->text) == NULL)
		scan->status = FMT_NOMEM;
	if (scan->status != FMT_OK)
		scan->token = BAD;
}

static const char *
text_of(const struct scan *scan)
{
	return (const char *)scan->text.data;
}

static bool
is_sign(const struct scan *scan, const char *sign)
{
	return scan->token == SIGN && strcmp(text_of(scan), sign) == 0;
}

static bool
is_keyword(const struct scan *scan, const char *word)
{
	return scan->token == WORD && !scan->is_quoted &&
	       strcmp(text_of(scan), word) == 0;
}

static enum fmt_status
failed(const struct scan *scan)
{
	return scan->status != FMT_OK ? scan->status : FMT_MALFORMED;
}

static enum fmt_status
begin(struct scan *scan, const char *text, const struct bkp_model_table *table)
{
	*scan = (struct scan){.at = text, .table = table};
	next(scan);
	return scan->status;
}

/* ---- values ---- */

static enum fmt_status
add_key(struct load_words *words, const char *key)
{
	enum fmt_status status =
	    fmt_buf_append_text(&words->path, words->path.len > 0 ? ", " : "");

	if (status == FMT_OK)
		status = bkp_pg_literal(&words->path, key);
	if (status == FMT_OK && fmt_buf_text(&words->path) == NULL)
		status = FMT_NOMEM;
	return status;
}

/* "{a,b}", without quotes in it. */
static enum fmt_status
read_keys(struct scan *scan, struct load_words *words)
{
	char *text = (char *)scan->text.data, *at = text + 1, *key;
	enum fmt_status status = FMT_OK;
	size_t len = scan->text.len;

	if (len < 3 || text[0] != '{' || text[len - 1] != '}' ||
	    strpbrk(text, "\"\\ \t\n\r") != NULL)
		return FMT_MALFORMED;
	text[len - 1] = '\0';
	while (status == FMT_OK && (key = strsep(&at, ",")) != NULL)
		status = *key == '\0' || strpbrk(key, "{}") != NULL
			     ? FMT_MALFORMED
			     : add_key(words, key);
	return status;
}

/* Behind a column: the way to a text within it. */
static enum fmt_status
read_path(struct scan *scan, struct load_words *words)
{
	enum fmt_status status = FMT_OK;
	bool is_last = false;

	words->kind = LOAD_WORDS_PATH;
	while (status == FMT_OK && !is_last) {
		bool is_many = is_sign(scan, "#>>");

		if (!is_many && !is_sign(scan, "->") && !is_sign(scan, "->>"))
			return failed(scan);
		is_last = !is_sign(scan, "->");
		if (is_many && words->path.len > 0)
			return FMT_MALFORMED;
		next(scan);
		if (scan->token != TEXT)
			return failed(scan);
		status = is_many ? read_keys(scan, words)
				 : add_key(words, text_of(scan));
		next(scan);
	}
	return status;
}

static enum fmt_status
read_column(struct scan *scan, struct load_words *words)
{
	if (scan->token != WORD)
		return failed(scan);
	words->column = bkp_model_column(scan->table, text_of(scan));
	if (words->column == SIZE_MAX)
		return FMT_MALFORMED;
	next(scan);
	if (is_sign(scan, "->") || is_sign(scan, "->>") || is_sign(scan, "#>>"))
		return read_path(scan, words);
	return FMT_OK;
}

/* A type's name changes nothing: values are compared as what they refer to. */
static enum fmt_status
read_cast(struct scan *scan, struct load_words *words)
{
	next(scan);
	if (scan->token != WORD)
		return failed(scan);
	next(scan);
	if (words->kind == LOAD_WORDS_COLUMN)
		words->kind = LOAD_WORDS_CAST;
	return FMT_OK;
}

static enum fmt_status
read_value(struct scan *scan, struct load_words *words)
{
	enum fmt_status status;

	if (++scan->depth > DEPTH_MAX)
		return FMT_MALFORMED;
	if (is_sign(scan, "(")) {
		next(scan);
		status = read_value(scan, words);
		if (status == FMT_OK && !is_sign(scan, ")"))
			status = failed(scan);
		if (status == FMT_OK)
			next(scan);
	} else {
		status = read_column(scan, words);
	}
	while (status == FMT_OK && is_sign(scan, "::"))
		status = read_cast(scan, words);
	scan->depth--;
	return status;
}

enum fmt_status
bkp_load_words(struct load_words *out, const struct bkp_model_table *table,
    const char *text)
{
	struct scan scan;
	enum fmt_status status;

	*out = (struct load_words)LOAD_WORDS_INIT;
	out->column = bkp_model_column(table, text);
	if (out->column != SIZE_MAX)
		return FMT_OK;
	status = begin(&scan, text, table);
	if (status == FMT_OK)
		status = read_value(&scan, out);
	if (status == FMT_OK && scan.token != END)
		status = failed(&scan);
	fmt_buf_free(&scan.text);
	if (status != FMT_OK)
		bkp_load_words_free(out);
	return status;
}

void
bkp_load_words_free(struct load_words *words)
{
	fmt_buf_free(&words->path);
	*words = (struct load_words)LOAD_WORDS_INIT;
}

enum fmt_status
bkp_load_words_append(
    struct fmt_buf *sql, const struct load_words *words, const char *column)
{
	if (words->kind != LOAD_WORDS_PATH)
		return fmt_buf_append_text(sql, column);
	return bkp_pg_sql(sql,
	    "(%s OPERATOR(pg_catalog.#>>) ARRAY[%s]::text[])", column,
	    (const char *)words->path.data);
}

/* ---- conditions ---- */

/* A literal of no type: the server takes it as one of the column's. */
static enum fmt_status
read_literal(struct scan *scan, struct fmt_buf *sql)
{
	enum fmt_status status;

	if (scan->token != TEXT && scan->token != NUMBER)
		return failed(scan);
	status = bkp_pg_literal(sql, text_of(scan));
	next(scan);
	return status;
}

static enum fmt_status
read_list(struct scan *scan, struct fmt_buf *sql)
{
	enum fmt_status status = fmt_buf_append_text(sql, " IN (");

	next(scan);
	if (!is_sign(scan, "("))
		return failed(scan);
	do {
		next(scan);
		if (status == FMT_OK)
			status = read_literal(scan, sql);
		if (status == FMT_OK && is_sign(scan, ","))
			status = fmt_buf_append_text(sql, ", ");
	} while (status == FMT_OK && is_sign(scan, ","));
	if (status == FMT_OK && !is_sign(scan, ")"))
		return failed(scan);
	next(scan);
	return status == FMT_OK ? fmt_buf_append_byte(sql, ')') : status;
}

static enum fmt_status
read_null(struct scan *scan, struct fmt_buf *sql)
{
	bool is_not;

	next(scan);
	is_not = is_keyword(scan, "not");
	if (is_not)
		next(scan);
	if (!is_keyword(scan, "null"))
		return failed(scan);
	next(scan);
	return fmt_buf_append_text(sql, is_not ? " IS NOT NULL" : " IS NULL");
}

static enum fmt_status
read_comparison(struct scan *scan, struct fmt_buf *sql)
{
	static const char *const signs[] = {"=", "<>", "!=", "~*", "~"};
	enum fmt_status status = FMT_MALFORMED;

	if (is_keyword(scan, "in"))
		return read_list(scan, sql);
	if (is_keyword(scan, "is"))
		return read_null(scan, sql);
	if (is_keyword(scan, "like"))
		status = fmt_buf_append_text(sql, " LIKE ");
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
		if (is_sign(scan, signs[i]))
			status = bkp_pg_sql(
			    sql, " OPERATOR(pg_catalog.%s) ", signs[i]);
	if (status != FMT_OK)
		return scan->status != FMT_OK ? scan->status : status;
	next(scan);
	return read_literal(scan, sql);
}

static enum fmt_status
read_term(struct scan *scan, struct fmt_buf *sql, bkp_load_words_name_fn *name,
    void *arg)
{
	struct load_words words = LOAD_WORDS_INIT;
	struct fmt_buf column = FMT_BUF_INIT;
	enum fmt_status status;

	status = read_value(scan, &words);
	if (status == FMT_OK)
		status = name(&column, words.column, arg);
	if (status == FMT_OK && fmt_buf_text(&column) == NULL)
		status = FMT_NOMEM;
	if (status == FMT_OK)
		status = bkp_load_words_append(
		    sql, &words, (const char *)column.data);
	if (status == FMT_OK)
		status = read_comparison(scan, sql);
	fmt_buf_free(&column);
	bkp_load_words_free(&words);
	return status;
}

enum fmt_status
bkp_load_words_condition(struct fmt_buf *sql,
    const struct bkp_model_table *table, const char *text,
    bkp_load_words_name_fn *name, void *arg)
{
	struct scan scan;
	enum fmt_status status = begin(&scan, text, table);

	if (status == FMT_OK)
		status = read_term(&scan, sql, name, arg);
	while (status == FMT_OK && is_keyword(&scan, "and")) {
		next(&scan);
		status = fmt_buf_append_text(sql, " AND ");
		if (status == FMT_OK)
			status = read_term(&scan, sql, name, arg);
	}
	if (status == FMT_OK && scan.token != END)
		status = failed(&scan);
	fmt_buf_free(&scan.text);
	return status;
}
