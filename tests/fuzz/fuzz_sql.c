/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that PostgreSQL's programs write, cut into statements and put in order:
 * nothing is read beyond its end, and every statement lies within it.
 */
#include <string.h>

#include "libbackup/postgres/sqlcatalogue.h"
#include "libbackup/postgres/sqltext.h"
#include "tests/fuzz/fuzz.h"

static void
try_statements(const char *text, size_t len)
{
	const char *at = text, *end = text + len, *rest;
	struct fmt_buf name = FMT_BUF_INIT;
	struct bkp_sql_statement statement;

	while (bkp_sql_next(&at, end, &statement)) {
		const char *inside = statement.text;
		const char *stop = statement.text + statement.len;

		require(statement.len > 0 && statement.text >= text &&
			stop <= at && at <= end);
		if (bkp_sql_begins(&statement, "CREATE ROLE", &rest)) {
			require(rest >= inside && rest <= stop);
			inside = rest;
		}
		while (bkp_sql_identifier(&inside, stop, &name))
			require(inside <= stop);
	}
	fmt_buf_free(&name);
}

static int
keep(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	(void)err;
	require(fmt_buf_append(arg, data, len) == FMT_OK);
	return 0;
}

/* In two portions, cut where the first byte says. */
static void
sort_text(const char *text, size_t len, size_t cut, struct fmt_buf *out)
{
	struct bkp_sql_catalogue *catalogue;

	require(bkp_sql_catalogue_new(&catalogue, NULL) == 0);
	require(bkp_sql_catalogue_write(catalogue, text, cut, NULL) == 0);
	require(bkp_sql_catalogue_write(
		    catalogue, text + cut, len - cut, NULL) == 0);
	require(bkp_sql_catalogue_finish(catalogue, keep, out, NULL) == 0);
	bkp_sql_catalogue_free(catalogue);
}

static void
try_dumps(const char *text, size_t len)
{
	struct fmt_buf once = FMT_BUF_INIT, places = FMT_BUF_INIT;
	struct fmt_buf whole = FMT_BUF_INIT, cut = FMT_BUF_INIT;

	require(bkp_sql_globals(text, len, &once, &places) == FMT_OK);
	sort_text(text, len, 0, &whole);
	sort_text(text, len, len > 0 ? (unsigned char)text[0] % len : 0, &cut);
	require(whole.len == cut.len &&
		(cut.len == 0 || memcmp(whole.data, cut.data, cut.len) == 0));
	fmt_buf_free(&once);
	fmt_buf_free(&places);
	fmt_buf_free(&whole);
	fmt_buf_free(&cut);
}

static void
try_settling(const char *text, size_t len)
{
	struct fmt_buf out = FMT_BUF_INIT;

	require(bkp_sql_settle(text, len, &out) == FMT_OK);
	fmt_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = size > 0 ? (const char *)data : "";

	try_statements(text, size);
	try_dumps(text, size);
	try_settling(text, size);
	return 0;
}
