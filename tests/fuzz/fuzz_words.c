/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short texts: durations, ETags, percent encoding, names that go into paths
 * and into SQL, connection strings.
 */
#include <string.h>

#include "libbackup/base/duration.h"
#include "libbackup/postgres/conninfo.h"
#include "libbackup/postgres/names.h"
#include "libbackup/postgres/sqltext.h"
#include "libbackup/s3/etag.h"
#include "libbackup/s3/fields.h"
#include "tests/fuzz/fuzz.h"

static void
try_duration(const char *text)
{
	const int64_t most = INT64_C(1000) * 366 * 24 * 3600 * 1000000;
	struct bkp_error err = BKP_ERROR_INIT;
	int64_t us;

	if (bkp_duration_read(text, &us, &err) == 0)
		require(us > 0 && us <= most);
	else
		require(err.code == BKP_INVALID && err.message[0] != '\0');
}

static void
try_span(const char *text)
{
	const uint64_t most = UINT64_C(10) * 366 * 24 * 3600 * 1000;
	struct bkp_error err = BKP_ERROR_INIT;
	uint64_t ms;

	if (bkp_span_read(text, &ms, &err) == 0)
		require(ms > 0 && ms <= most && bkp_span(ms).text[0] != '\0');
	else
		require(err.code == BKP_INVALID && err.message[0] != '\0');
}

static void
try_etag(const char *text, const uint8_t *data, size_t size)
{
	const uint64_t sizes[2] = {1, size};
	struct bkp_s3_etag *check;
	unsigned parts = bkp_s3_etag_parts(text);
	uint64_t part_size;
	bool is_match;

	require(parts <= 10000);
	require(bkp_s3_etag_new(
		    text, size, sizes, parts == 2 ? 2 : 0, &check, NULL) == 0);
	require(bkp_s3_etag_update(check, data, size, NULL) == 0);
	require(bkp_s3_etag_finish(check, &is_match, &part_size, NULL) == 0);
	bkp_s3_etag_free(check);
}

/* What is decoded is encoded and decoded as the same. */
static void
try_encoding(const uint8_t *data, size_t size)
{
	struct fmt_buf plain = FMT_BUF_INIT, text = FMT_BUF_INIT;
	struct fmt_buf back = FMT_BUF_INIT;

	if (bkp_s3_decode((const char *)data, size, false, &plain) == FMT_OK &&
	    fmt_buf_text(&plain) != NULL) {
		size_t len = strlen(fmt_buf_text(&plain));

		require(bkp_s3_encode(fmt_buf_text(&plain), false, &text) ==
			FMT_OK);
		require(bkp_s3_decode((const char *)text.data, text.len, true,
			    &back) == FMT_OK);
		require(back.len == len &&
			(len == 0 || memcmp(back.data, plain.data, len) == 0));
	}
	fmt_buf_free(&plain);
	fmt_buf_free(&text);
	fmt_buf_free(&back);
}

/* A name is one component of a path, and one word of SQL. */
static void
try_names(const char *text)
{
	struct fmt_buf path = FMT_BUF_INIT, sql = FMT_BUF_INIT;
	struct fmt_buf back = FMT_BUF_INIT;
	const char *at;

	if (*text == '\0')
		return;
	require(bkp_pg_path_database(&path, text) == FMT_OK &&
		fmt_buf_text(&path) != NULL);
	require(strchr(fmt_buf_text(&path), '/') == NULL &&
		strcmp(fmt_buf_text(&path), ".") != 0 &&
		strcmp(fmt_buf_text(&path), "..") != 0);
	require(bkp_pg_sql(&sql, "%I", text) == FMT_OK &&
		fmt_buf_text(&sql) != NULL);
	at = fmt_buf_text(&sql);
	require(bkp_sql_identifier(&at, at + sql.len, &back) && *at == '\0');
	require(
	    back.len == strlen(text) && memcmp(back.data, text, back.len) == 0);
	require(bkp_pg_sql(&sql, "%L", text) == FMT_OK);
	fmt_buf_free(&path);
	fmt_buf_free(&sql);
	fmt_buf_free(&back);
}

static const char *
value_of(const struct bkp_conninfo *info, const char *keyword)
{
	for (size_t i = 0; i < info->count; i++)
		if (strcmp(info->keywords[i], keyword) == 0)
			return info->values[i];
	return NULL;
}

/* What programs are given is read as the same, but for the passwords. */
static void
compare_access(
    const struct bkp_conninfo *info, const struct bkp_postgres_config *config)
{
	struct bkp_pg_access access = BKP_PG_ACCESS_INIT;
	struct bkp_postgres_config given = {.conninfo = NULL};
	struct bkp_conninfo again = BKP_CONNINFO_INIT;
	size_t secrets = 0;

	require(bkp_pg_access_make(config, "db", &access, NULL) == 0);
	given.conninfo = access.conninfo;
	require(bkp_conninfo_make(&given, NULL, &again, NULL) == 0);
	for (size_t i = 0; i < info->count; i++) {
		const char *keyword = info->keywords[i];
		const char *value = value_of(&again, keyword);
		bool is_secret = strcmp(keyword, "password") == 0 ||
				 strcmp(keyword, "sslpassword") == 0;

		require(is_secret == (value == NULL));
		require(is_secret || strcmp(info->values[i], value) == 0);
		secrets += is_secret;
	}
	require(again.count + secrets == info->count);
	bkp_conninfo_free(&again);
	bkp_pg_access_free(&access);
}

static void
try_conninfo(char *text)
{
	const struct bkp_postgres_config config = {.conninfo = text};
	struct bkp_conninfo info = BKP_CONNINFO_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_conninfo_make(&config, "db", &info, &err) < 0) {
		require(err.code != BKP_OK && err.message[0] != '\0');
		return;
	}
	compare_access(&info, &config);
	bkp_conninfo_free(&info);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	try_duration(text);
	try_span(text);
	try_etag(text, (const uint8_t *)text, size);
	try_encoding((const uint8_t *)text, size);
	try_names(text);
	try_conninfo(text);
	free(text);
	return 0;
}
