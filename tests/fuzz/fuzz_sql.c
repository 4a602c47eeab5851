/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that PostgreSQL's programs write, cut into statements and put in order:
 * nothing is read beyond its end, and every statement lies within it.
 */
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

static void
try_dumps(const char *text, size_t len)
{
	struct fmt_buf once = FMT_BUF_INIT, places = FMT_BUF_INIT;
	struct fmt_buf catalogue = FMT_BUF_INIT;

	require(bkp_sql_globals(text, len, &once, &places) == FMT_OK);
	require(bkp_sql_catalogue(text, len, &catalogue) == FMT_OK);
	fmt_buf_free(&once);
	fmt_buf_free(&places);
	fmt_buf_free(&catalogue);
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
