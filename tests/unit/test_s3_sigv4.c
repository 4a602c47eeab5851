/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public SigV4 cases (awslabs/aws-c-auth), one line of TAP each. They are
 * found in $BACKUP_TEST_VECTORS/sigv4, or beside the source tree; where they
 * are not, every case is skipped by name. The *-normalized cases are not S3's:
 * S3 never normalises a path.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "formats/buf.h"
#include "libbackup/s3/signing.h"

/* True: S3 signs a path otherwise. */
struct vector {
	const char *name;
	bool is_normalized;
};

static const struct vector vectors[] = {
    {"get-header-key-duplicate", false},
    {"get-header-value-multiline", false},
    {"get-header-value-order", false},
    {"get-header-value-trim", false},
    {"get-relative-normalized", true},
    {"get-relative-relative-normalized", true},
    {"get-relative-relative-unnormalized", false},
    {"get-relative-unnormalized", false},
    {"get-slash-dot-slash-normalized", true},
    {"get-slash-dot-slash-unnormalized", false},
    {"get-slash-normalized", true},
    {"get-slash-pointless-dot-normalized", true},
    {"get-slash-pointless-dot-unnormalized", false},
    {"get-slash-unnormalized", false},
    {"get-slashes-normalized", true},
    {"get-slashes-unnormalized", false},
    {"get-space-normalized", true},
    {"get-space-unnormalized", false},
    {"get-unreserved", false},
    {"get-utf8", false},
    {"get-vanilla", false},
    {"get-vanilla-empty-query-key", false},
    {"get-vanilla-query", false},
    {"get-vanilla-query-order-encoded", false},
    {"get-vanilla-query-order-key-case", false},
    {"get-vanilla-query-unreserved", false},
    {"get-vanilla-utf8-query", false},
    {"get-vanilla-with-session-token", false},
    {"post-header-key-case", false},
    {"post-header-key-sort", false},
    {"post-header-value-case", false},
    {"post-sts-header-after", false},
    {"post-sts-header-before", false},
    {"post-vanilla", false},
    {"post-vanilla-empty-query-value", false},
    {"post-vanilla-query", false},
    {"post-x-www-form-urlencoded", false},
    {"post-x-www-form-urlencoded-parameters", false},
};

#define VECTOR_COUNT (sizeof(vectors) / sizeof(vectors[0]))

static char *directory;

static void
find_directory(void)
{
	const char *given = getenv("BACKUP_TEST_VECTORS");
	const char *source = getenv("top_srcdir");
	struct stat status;

	if (given != NULL) {
		if (asprintf(&directory, "%s/sigv4", given) < 0)
			abort();
	} else if (asprintf(&directory, "%s/../shared/vectors/sigv4",
		       source != NULL ? source : ".") < 0) {
		abort();
	}
	if (stat(directory, &status) != 0) {
		free(directory);
		directory = NULL;
	}
}

/* A file of a case; empty where there is none. */
static void
load(const char *name, const char *file, struct fmt_buf *out)
{
	char path[1024];
	FILE *stream;
	int c;

	fmt_buf_clear(out);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", directory, name, file);
	if ((stream = fopen(path, "r")) != NULL) {
		while ((c = getc(stream)) != EOF)
			if (fmt_buf_append_byte(out, (unsigned char)c) !=
			    FMT_OK)
				abort();
		(void)fclose(stream);
	}
	if (fmt_buf_text(out) == NULL)
		abort();
}

/* ---- request.txt ---- */

struct parsed {
	char *method;
	struct fmt_buf path;
	struct bkp_s3_fields query, headers;
	char *body;
};

static void
parse_query(struct parsed *parsed, char *text)
{
	for (char *pair = strtok(text, "&"); pair != NULL;
	     pair = strtok(NULL, "&")) {
		struct fmt_buf name = FMT_BUF_INIT, value = FMT_BUF_INIT;
		char *equals = strchr(pair, '=');

		if (equals == NULL)
			abort();
		*equals++ = '\0';
		if (bkp_s3_decode(pair, strlen(pair), false, &name) != FMT_OK ||
		    bkp_s3_decode(equals, strlen(equals), false, &value) !=
			FMT_OK ||
		    bkp_s3_fields_add(&parsed->query, fmt_buf_text(&name),
			fmt_buf_text(&value), NULL) < 0)
			abort();
		fmt_buf_free(&name);
		fmt_buf_free(&value);
	}
}

/* "GET /path?query HTTP/1.1"; a path may hold spaces. */
static void
parse_first_line(struct parsed *parsed, char *line)
{
	char *path = strchr(line, ' '), *end = strrchr(line, ' '), *query;

	*path++ = '\0';
	*end = '\0';
	parsed->method = line;
	if ((query = strchr(path, '?')) != NULL) {
		*query++ = '\0';
		parse_query(parsed, query);
	}
	if (bkp_s3_encode(path, true, &parsed->path) != FMT_OK ||
	    fmt_buf_text(&parsed->path) == NULL)
		abort();
}

static void
add_header(struct parsed *parsed, char *line)
{
	struct bkp_s3_fields *headers = &parsed->headers;
	char *value = strchr(line, ':');

	/* A line that goes on: part of the value before. */
	if (line[0] == ' ') {
		struct bkp_s3_field *last = &headers->items[headers->count - 1];
		char *longer;

		if (asprintf(&longer, "%s%s", last->value, line) < 0)
			abort();
		free(last->value);
		last->value = longer;
		return;
	}
	*value++ = '\0';
	if (bkp_s3_fields_add(headers, line, value, NULL) < 0)
		abort();
}

static void
parse_request(struct parsed *parsed, char *text)
{
	char *line = text, *next;
	bool is_first = true;

	parsed->body = text + strlen(text);
	for (; line != NULL && *line != '\0'; line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		if (*line == '\0') {
			parsed->body = next;
			break;
		}
		if (is_first)
			parse_first_line(parsed, line);
		else
			add_header(parsed, line);
		is_first = false;
	}
}

/* ---- a case ---- */

struct context {
	json_t *json;
	struct bkp_s3_signer signer;
	const char *token;
	bool signs_body, omits_token;
};

static void
load_context(const char *name, struct context *context)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int signs_body = 0, omits_token = 0;

	load(name, "context.json", &text);
	context->json = json_loadb((const char *)text.data, text.len, 0, NULL);
	if (context->json == NULL ||
	    json_unpack(context->json,
		"{s:{s:s, s:s, s?s}, s:s, s:s, s:b, s?b}", "credentials",
		"access_key_id", &context->signer.access_key,
		"secret_access_key", &context->signer.secret_key, "token",
		&context->token, "region", &context->signer.region, "service",
		&context->signer.service, "sign_body", &signs_body,
		"omit_session_token", &omits_token) < 0)
		abort();
	context->signs_body = signs_body != 0;
	context->omits_token = omits_token != 0;
	fmt_buf_free(&text);
}

static bool
equals_file(const char *name, const char *file, const struct fmt_buf *got)
{
	struct fmt_buf expected = FMT_BUF_INIT;
	bool is_equal;

	load(name, file, &expected);
	is_equal = expected.len > 0 && expected.len == got->len &&
		   memcmp(expected.data, got->data, got->len) == 0;
	if (!is_equal)
		printf("# %s: expected \"%s\", got \"%.*s\"\n", file,
		    (const char *)expected.data, (int)got->len,
		    (const char *)got->data);
	fmt_buf_free(&expected);
	return is_equal;
}

#define TIMESTAMP "20150830T123600Z"

static bool
check_header_signing(const char *name, const struct context *context,
    struct parsed *parsed, const char *hash)
{
	const struct bkp_s3_signable signable = {parsed->method,
	    (const char *)parsed->path.data, &parsed->query, &parsed->headers,
	    hash};
	struct fmt_buf canonical = FMT_BUF_INIT, string = FMT_BUF_INIT;
	struct fmt_buf signature = FMT_BUF_INIT, header = FMT_BUF_INIT;
	char hex[BKP_S3_HEX];
	bool is_good;

	if (bkp_s3_fields_add(&parsed->headers, "X-Amz-Date", TIMESTAMP, NULL) <
		0 ||
	    (context->signs_body &&
		bkp_s3_fields_add(&parsed->headers, "x-amz-content-sha256",
		    hash, NULL) < 0) ||
	    (context->token != NULL && !context->omits_token &&
		bkp_s3_fields_add(&parsed->headers, "X-Amz-Security-Token",
		    context->token, NULL) < 0))
		abort();
	is_good =
	    bkp_s3_canonical(&signable, &canonical, NULL) == 0 &&
	    equals_file(name, "header-canonical-request.txt", &canonical) &&
	    bkp_s3_string_to_sign(
		&context->signer, TIMESTAMP, &canonical, &string, NULL) == 0 &&
	    equals_file(name, "header-string-to-sign.txt", &string) &&
	    bkp_s3_signature(&context->signer, TIMESTAMP, &string, hex, NULL) ==
		0 &&
	    fmt_buf_append_text(&signature, hex) == FMT_OK &&
	    equals_file(name, "header-signature.txt", &signature) &&
	    bkp_s3_authorize(
		&context->signer, &signable, TIMESTAMP, &header, NULL) == 0 &&
	    strstr(fmt_buf_text(&header), hex) != NULL;
	fmt_buf_free(&canonical);
	fmt_buf_free(&string);
	fmt_buf_free(&signature);
	fmt_buf_free(&header);
	return is_good;
}

static bool
check_query_signing(const char *name, const struct context *context,
    struct parsed *parsed, const char *hash)
{
	const struct bkp_s3_signable signable = {parsed->method,
	    (const char *)parsed->path.data, NULL, &parsed->headers, hash};
	struct fmt_buf signature = FMT_BUF_INIT;
	const char *hex;
	bool is_good;

	is_good = bkp_s3_presign(&context->signer, &signable,
		      context->omits_token ? NULL : context->token, TIMESTAMP,
		      3600, &parsed->query, NULL) == 0 &&
		  (hex = bkp_s3_fields_get(
		       &parsed->query, "X-Amz-Signature")) != NULL &&
		  fmt_buf_append_text(&signature, hex) == FMT_OK &&
		  equals_file(name, "query-signature.txt", &signature);
	fmt_buf_free(&signature);
	return is_good;
}

static void
parsed_free(struct parsed *parsed)
{
	fmt_buf_free(&parsed->path);
	bkp_s3_fields_free(&parsed->query);
	bkp_s3_fields_free(&parsed->headers);
}

static bool
check_vector(const char *name)
{
	struct fmt_buf text = FMT_BUF_INIT;
	struct context context = {0};
	bool is_good = true;

	load_context(name, &context);
	for (int is_query = 0; is_query < 2; is_query++) {
		struct parsed parsed = {.path = FMT_BUF_INIT};
		char hash[BKP_S3_HEX];

		load(name, "request.txt", &text);
		parse_request(&parsed, (char *)text.data);
		if (bkp_s3_hash(parsed.body, strlen(parsed.body), hash, NULL) <
		    0)
			abort();
		if (is_query)
			is_good &=
			    check_query_signing(name, &context, &parsed, hash);
		else
			is_good &=
			    check_header_signing(name, &context, &parsed, hash);
		parsed_free(&parsed);
	}
	json_decref(context.json);
	fmt_buf_free(&text);
	return is_good;
}

int
main(void)
{
	bool is_good = true;

	find_directory();
	printf("1..%zu\n", VECTOR_COUNT);
	for (size_t i = 0; i < VECTOR_COUNT; i++) {
		const char *name = vectors[i].name;

		if (directory == NULL) {
			printf("ok %zu - %s # SKIP the SigV4 vectors are not "
			       "here: set BACKUP_TEST_VECTORS\n",
			    i + 1, name);
		} else if (vectors[i].is_normalized) {
			printf("ok %zu - %s # SKIP S3 does not normalise "
			       "paths\n",
			    i + 1, name);
		} else {
			bool is_case_good = check_vector(name);

			printf("%s %zu - %s\n", is_case_good ? "ok" : "not ok",
			    i + 1, name);
			is_good &= is_case_good;
		}
	}
	free(directory);
	return is_good ? 0 : 1;
}
