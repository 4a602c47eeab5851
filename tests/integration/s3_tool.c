/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The S3 client as a program, for the tests that hold it against real servers
 * and against a server that misbehaves. The endpoint and the credentials come
 * from the environment, as they do for the AWS tools.
 *
 *   s3_tool list BUCKET [PREFIX [tags]]    key TAB size TAB etag [TAB tags],
 *                                          a line each; with S3_TOOL_DATES,
 *                                          TAB date at its end
 *   s3_tool head BUCKET KEY [PART]     headers
 *   s3_tool get BUCKET KEY [ETAG]      bytes
 *   s3_tool put BUCKET KEY [NAME=VALUE...]        stdin
 *   s3_tool multipart BUCKET KEY SIZE...          stdin, cut so
 *   s3_tool parts BUCKET KEY SIZE...              the same over connections
 *   s3_tool ranges BUCKET KEY SIZE RANGE ETAG     bytes, over connections
 *   s3_tool delete BUCKET KEY...
 *   s3_tool tags BUCKET KEY [NAME=VALUE...]       shows, or sets
 *   s3_tool versions BUCKET [PREFIX]   key, id, what, size, etag, us, tags
 *   s3_tool remove BUCKET KEY
 *   s3_tool doom BUCKET [KEY ID]...    deletes versions at once; what is kept
 *   s3_tool retain BUCKET KEY MODE UNTIL          MODE: g or c
 *   s3_tool hold BUCKET KEY on|off
 *   s3_tool lock BUCKET KEY            mode, until, hold
 *   s3_tool rule BUCKET [MODE DAYS]    shows, or sets
 *   s3_tool uploads BUCKET [PREFIX]    key TAB id, a line each
 *   s3_tool abort BUCKET KEY ID
 *   s3_tool probe BUCKET [PREFIX]      1: a condition to a PUT is kept
 *   s3_tool bucket head|create|lockable|delete|versioning|version|suspend
 * BUCKET
 *
 * head, get, tags, remove, retain, hold and lock are of the version
 * $S3_TOOL_VERSION, where set. put locks with $S3_TOOL_LOCK ("c 1800000000"),
 * and puts only what is not there where $S3_TOOL_IF_ABSENT is set.
 *
 * S3_TOOL_VIRTUAL_HOST, S3_TOOL_V2 and S3_TOOL_UNVERIFIED are the options of
 * such names.
 *
 * Exit status: 0, or 1 with "code CODE sys SYS: MESSAGE" on stderr.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/s3/s3.h"

static struct bkp_s3 *client;
static struct bkp_s3_connection *connection;

static const char *
version_id(void)
{
	return getenv("S3_TOOL_VERSION");
}

static int
print_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	(void)arg;
	(void)err;
	return fwrite(data, 1, len, stdout) == len ? 0 : -1;
}

static void
read_stdin(struct fmt_buf *out)
{
	size_t got;

	do {
		if (fmt_buf_reserve(out, 65536) != FMT_OK)
			abort();
		got = fread(out->data + out->len, 1, 65536, stdin);
		out->len += got;
	} while (got > 0);
}

static void
read_fields(char **words, struct bkp_s3_fields *out)
{
	for (; *words != NULL; words++) {
		char *value = strchr(*words, '=');

		if (value == NULL ||
		    bkp_s3_fields_add_len(out, *words, (size_t)(value - *words),
			value + 1, strlen(value + 1), NULL) < 0)
			abort();
	}
}

static int
list(char **words, struct bkp_error *err)
{
	bool has_dates = getenv("S3_TOOL_DATES") != NULL;
	struct bkp_s3_listing *listing;
	struct bkp_s3_object object;
	int rc;

	if (bkp_s3_list_open(connection, words[0], words[1], &listing, err) < 0)
		return -1;
	if (words[1] != NULL && words[2] != NULL)
		bkp_s3_list_ask_metadata(listing);
	while ((rc = bkp_s3_list_next(listing, &object, err)) == 1)
		printf("%s\t%llu\t%s%s%s%s%s\n", object.key,
		    (unsigned long long)object.size, object.etag,
		    object.tags != NULL ? "\t" : "",
		    object.tags != NULL ? object.tags : "",
		    has_dates ? "\t" : "",
		    has_dates ? object.last_modified : "");
	bkp_s3_list_close(listing);
	return rc;
}

static int
versions(char **words, struct bkp_error *err)
{
	struct bkp_s3_versions *listing;
	struct bkp_s3_version version;
	int rc;

	if (bkp_s3_versions_open(
		connection, words[0], words[1], &listing, err) < 0)
		return -1;
	if (getenv("S3_TOOL_METADATA") != NULL)
		bkp_s3_versions_ask_metadata(listing);
	while ((rc = bkp_s3_versions_next(listing, &version, err)) == 1)
		printf("%s\t%s\t%s%s\t%llu\t%s\t%lld\t%s\n", version.key,
		    version.version_id, version.is_latest ? "latest" : "-",
		    version.is_delete_marker ? ",marker" : "",
		    (unsigned long long)version.size, version.etag,
		    (long long)version.modified_us,
		    version.tags != NULL ? version.tags : "?");
	bkp_s3_versions_close(listing);
	return rc;
}

static int
remove_one(char **words, struct bkp_error *err)
{
	return bkp_s3_delete_version(
	    connection, words[0], words[1], version_id(), err);
}

static int
head(char **words, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	unsigned part = words[2] != NULL ? (unsigned)atoi(words[2]) : 0;
	int rc = bkp_s3_head_version(
	    connection, words[0], words[1], version_id(), part, &headers, err);

	for (size_t i = 0; i < headers.count; i++)
		printf(
		    "%s: %s\n", headers.items[i].name, headers.items[i].value);
	bkp_s3_fields_free(&headers);
	return rc;
}

static int
get(char **words, struct bkp_error *err)
{
	const struct bkp_s3_get_options options = {.if_match = words[2],
	    .version_id = version_id(),
	    .write = print_bytes};

	return bkp_s3_get(connection, words[0], words[1], &options, err);
}

static enum bkp_s3_lock_mode
read_mode(const char *word)
{
	if (word[0] == 'c')
		return BKP_S3_LOCK_COMPLIANCE;
	return word[0] == 'g' ? BKP_S3_LOCK_GOVERNANCE : BKP_S3_LOCK_NONE;
}

static int
put(char **words, struct bkp_error *err)
{
	const char *locked = getenv("S3_TOOL_LOCK");
	struct bkp_s3_put_result result = BKP_S3_PUT_RESULT_INIT;
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct fmt_buf bytes = FMT_BUF_INIT;
	struct bkp_s3_body body = {0};
	struct bkp_s3_lock lock = {0};
	struct bkp_s3_put_options options = {.headers = &headers,
	    .body = &body,
	    .if_absent = getenv("S3_TOOL_IF_ABSENT") != NULL};
	int rc;

	if (locked != NULL) {
		lock.mode = read_mode(locked);
		lock.until = strtoll(locked + 1, NULL, 10);
		lock.has_legal_hold = strstr(locked, "hold") != NULL;
		options.lock = &lock;
	}
	read_fields(words + 2, &headers);
	read_stdin(&bytes);
	body.data = bytes.data;
	body.size = bytes.len;
	rc = bkp_s3_put_object(
	    connection, words[0], words[1], &options, &result, err);
	if (rc == 0)
		printf("%s\n%s", (const char *)result.etag.data,
		    (const char *)result.version_id.data);
	bkp_s3_fields_free(&headers);
	fmt_buf_free(&bytes);
	bkp_s3_put_result_free(&result);
	return rc;
}

static int
multipart(char **words, struct bkp_error *err)
{
	struct fmt_buf bytes = FMT_BUF_INIT, etag = FMT_BUF_INIT;
	struct bkp_s3_upload *upload = NULL;
	size_t at = 0;
	int rc;

	read_stdin(&bytes);
	rc = bkp_s3_upload_begin(
	    connection, words[0], words[1], NULL, &upload, err);
	for (char **size = words + 2; *size != NULL && rc == 0; size++) {
		struct bkp_s3_body body = {
		    .data = bytes.data + at, .size = strtoull(*size, NULL, 10)};

		if (body.size > bytes.len - at)
			abort();
		at += (size_t)body.size;
		rc = bkp_s3_upload_part(upload, &body, err);
	}
	if (rc == 0)
		rc = bkp_s3_upload_complete(upload, &etag, err);
	if (rc == 0)
		printf("%s\n", (const char *)etag.data);
	bkp_s3_upload_end(upload);
	fmt_buf_free(&bytes);
	fmt_buf_free(&etag);
	return rc;
}

/* ---- over several connections ---- */

#define CONNECTIONS 4

static int
connect_all(struct bkp_s3_connection *all[CONNECTIONS], struct bkp_error *err)
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (bkp_s3_connect(client, NULL, &all[i], err) < 0)
			return -1;
	return 0;
}

static void
disconnect_all(struct bkp_s3_connection *all[CONNECTIONS])
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		bkp_s3_disconnect(all[i]);
}

static int
read_some(void *arg, void *to, size_t len, size_t *got, struct bkp_error *err)
{
	(void)err;
	*got = fread(to, 1, len < 100000 ? len : 100000, arg);
	return 0;
}

static int
put_parts(char **words, struct bkp_error *err)
{
	struct bkp_s3_connection *all[CONNECTIONS] = {NULL};
	struct bkp_s3_put_result result = BKP_S3_PUT_RESULT_INIT;
	uint64_t sizes[16];
	struct bkp_s3_parts parts = {
	    .sizes = sizes, .read = read_some, .arg = stdin};
	int rc = connect_all(all, err);

	while (parts.count < 16 && words[2 + parts.count] != NULL) {
		sizes[parts.count] = strtoull(words[2 + parts.count], NULL, 10);
		parts.count++;
	}
	if (rc == 0)
		rc = bkp_s3_put_parts(all, CONNECTIONS, words[0], words[1],
		    NULL, &parts, &result, err);
	if (rc == 0)
		printf("%s\n%s", (const char *)result.etag.data,
		    (const char *)result.version_id.data);
	bkp_s3_put_result_free(&result);
	disconnect_all(all);
	return rc;
}

static int
count_begin(
    void *arg, const struct bkp_s3_fields *headers, struct bkp_error *err)
{
	(void)arg;
	(void)err;
	fprintf(stderr, "begin %s\n", bkp_s3_fields_get(headers, "etag"));
	return 0;
}

static int
get_ranges(char **words, struct bkp_error *err)
{
	struct bkp_s3_connection *all[CONNECTIONS] = {NULL};
	const struct bkp_s3_get_options options = {.if_match = words[4],
	    .version_id = version_id(),
	    .begin = count_begin,
	    .write = print_bytes};
	int rc = connect_all(all, err);

	if (rc == 0)
		rc = bkp_s3_get_ranges(all, CONNECTIONS, words[0], words[1],
		    &options, strtoull(words[2], NULL, 10),
		    strtoull(words[3], NULL, 10), err);
	disconnect_all(all);
	return rc;
}

static int delete (char **words, struct bkp_error *err)
{
	size_t count = 0;

	while (words[1 + count] != NULL)
		count++;
	return bkp_s3_delete_many(connection, words[0], words + 1, count, err);
}

static int
print_kept(void *arg, const char *key, const char *version,
    const struct bkp_error *why, struct bkp_error *err)
{
	(void)arg;
	(void)err;
	printf("%s\t%s\t%d %d\t%s\n", key, version != NULL ? version : "",
	    why->code, why->sys, why->message);
	return 0;
}

static int
doom(char **words, struct bkp_error *err)
{
	struct bkp_s3_doomed doomed[8];
	size_t count = 0;

	for (char **word = words + 1; word[0] != NULL && count < 8; word += 2) {
		doomed[count].key = word[0];
		doomed[count++].version_id = word[1];
		if (word[1] == NULL)
			break;
	}
	return bkp_s3_delete_versions(connection, words[0], doomed, count,
	    getenv("S3_TOOL_KEPT") != NULL ? print_kept : NULL, NULL, err);
}

static int
retain(char **words, struct bkp_error *err)
{
	return bkp_s3_put_retention(connection, words[0], words[1],
	    version_id(), read_mode(words[2]), strtoll(words[3], NULL, 10),
	    err);
}

static int
hold(char **words, struct bkp_error *err)
{
	return bkp_s3_put_legal_hold(connection, words[0], words[1],
	    version_id(), strcmp(words[2], "on") == 0, err);
}

static int
show_lock(char **words, struct bkp_error *err)
{
	struct bkp_s3_fields headers = BKP_S3_FIELDS_INIT;
	struct bkp_s3_lock lock;
	int rc = bkp_s3_head_version(
	    connection, words[0], words[1], version_id(), 0, &headers, err);

	if (rc == 0)
		rc = bkp_s3_read_lock(&headers, &lock, err);
	if (rc == 0)
		printf("%d %lld %d\n", (int)lock.mode, (long long)lock.until,
		    lock.has_legal_hold);
	bkp_s3_fields_free(&headers);
	return rc;
}

static int
rule(char **words, struct bkp_error *err)
{
	struct bkp_s3_lock_rule found = {0};

	if (words[1] != NULL) {
		found.mode = read_mode(words[1]);
		found.days = (unsigned)atoi(words[2]);
		return bkp_s3_set_lock_rule(connection, words[0], &found, err);
	}
	if (bkp_s3_get_lock_rule(connection, words[0], &found, err) < 0)
		return -1;
	printf("%d %d %u %u\n", found.is_enabled, (int)found.mode, found.days,
	    found.years);
	return 0;
}

static int
uploads(char **words, struct bkp_error *err)
{
	struct bkp_s3_uploads *listing;
	struct bkp_s3_leftover leftover;
	int rc;

	if (bkp_s3_uploads_open(connection, words[0], words[1], &listing, err) <
	    0)
		return -1;
	while ((rc = bkp_s3_uploads_next(listing, &leftover, err)) == 1)
		printf("%s\t%s\n", leftover.key, leftover.upload_id);
	bkp_s3_uploads_close(listing);
	return rc;
}

static int
abort_one(char **words, struct bkp_error *err)
{
	return bkp_s3_abort_upload(
	    connection, words[0], words[1], words[2], err);
}

static int
probe(char **words, struct bkp_error *err)
{
	bool is_kept;

	if (bkp_s3_probe_if_absent(
		connection, words[0], words[1], &is_kept, err) < 0)
		return -1;
	printf("%d\n", is_kept);
	return 0;
}

static int
tags(char **words, struct bkp_error *err)
{
	struct bkp_s3_fields fields = BKP_S3_FIELDS_INIT;
	int rc;

	read_fields(words + 2, &fields);
	if (fields.count > 0)
		rc = bkp_s3_put_tags_version(
		    connection, words[0], words[1], version_id(), &fields, err);
	else
		rc = bkp_s3_get_tags_version(
		    connection, words[0], words[1], version_id(), &fields, err);
	for (size_t i = 0; i < fields.count && rc == 0; i++)
		printf("%s=%s\n", fields.items[i].name, fields.items[i].value);
	bkp_s3_fields_free(&fields);
	return rc;
}

static int
bucket(char **words, struct bkp_error *err)
{
	enum bkp_s3_versioning versioning;

	if (strcmp(words[0], "head") == 0)
		return bkp_s3_head_bucket(connection, words[1], err);
	if (strcmp(words[0], "create") == 0)
		return bkp_s3_create_bucket(connection, words[1], err);
	if (strcmp(words[0], "lockable") == 0)
		return bkp_s3_create_bucket_with_lock(
		    connection, words[1], err);
	if (strcmp(words[0], "delete") == 0)
		return bkp_s3_delete_bucket(connection, words[1], err);
	if (strcmp(words[0], "version") == 0)
		return bkp_s3_set_versioning(
		    connection, words[1], BKP_S3_VERSIONING_ON, err);
	if (strcmp(words[0], "suspend") == 0)
		return bkp_s3_set_versioning(
		    connection, words[1], BKP_S3_VERSIONING_SUSPENDED, err);
	if (bkp_s3_get_versioning(connection, words[1], &versioning, err) < 0)
		return -1;
	printf("%d\n", (int)versioning);
	return 0;
}

static int
make_link(char **words, struct bkp_error *err)
{
	unsigned seconds = (unsigned)strtoul(words[2], NULL, 10);
	char *url = NULL;
	int rc = bkp_s3_link(client, words[0], words[1], seconds, &url, err);

	if (rc == 0)
		printf("%s\n", url);
	free(url);
	return rc;
}

static const struct {
	const char *name;
	int words; /* at least */
	int (*run)(char **words, struct bkp_error *err);
} commands[] = {
    {"list", 1, list},
    {"versions", 1, versions},
    {"remove", 2, remove_one},
    {"doom", 2, doom},
    {"retain", 4, retain},
    {"hold", 3, hold},
    {"lock", 2, show_lock},
    {"rule", 1, rule},
    {"uploads", 1, uploads},
    {"abort", 3, abort_one},
    {"probe", 1, probe},
    {"head", 2, head},
    {"get", 2, get},
    {"put", 2, put},
    {"multipart", 3, multipart},
    {"parts", 3, put_parts},
    {"ranges", 4, get_ranges},
    {"delete", 2, delete},
    {"tags", 2, tags},
    {"bucket", 2, bucket},
    {"link", 3, make_link},
};

static int
run(int argc, char **argv, struct bkp_error *err)
{
	const char *stall = getenv("S3_TOOL_STALL"); /* seconds */
	const struct bkp_s3_options options = {
	    .backoff_ms = 5,
	    .stall_s = stall != NULL ? (unsigned)atoi(stall) : 2,
	    .is_virtual_host = getenv("S3_TOOL_VIRTUAL_HOST") != NULL,
	    .is_v2 = getenv("S3_TOOL_V2") != NULL,
	    .accepts_unverified_tls = getenv("S3_TOOL_UNVERIFIED") != NULL,
	};
	int rc = 2;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (argc < 2 || strcmp(argv[1], commands[i].name) != 0 ||
		    argc < 2 + commands[i].words)
			continue;
		rc = -1;
		if (bkp_s3_new(&options, &client, err) == 0 &&
		    bkp_s3_connect(client, NULL, &connection, err) == 0)
			rc = commands[i].run(argv + 2, err);
	}
	bkp_s3_disconnect(connection);
	bkp_s3_free(client);
	return rc;
}

int
main(int argc, char **argv)
{
	struct bkp_error err = BKP_ERROR_INIT;
	int rc = run(argc, argv, &err);

	if (rc < 0)
		fprintf(stderr, "code %d sys %d: %s\n", err.code, err.sys,
		    err.message);
	return rc < 0 ? 1 : rc;
}
