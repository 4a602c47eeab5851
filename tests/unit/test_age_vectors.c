/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public age test vectors (C2SP/CCTV), each through every way to read a
 * file. Prints TAP itself, so that each vector is a line and one that is left
 * out is left out by name. $BACKUP_TEST_VECTORS says where age/testdata is.
 */
#include "config.h"

#include <dirent.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#include "formats/age.h"

#define MAX_IDENTITIES 4
#define INFLATED_MAX ((size_t)32 << 20)

struct vector {
	char expect[32];
	unsigned char payload[SHA256_DIGEST_LENGTH];
	bool has_payload, is_armored, is_compressed, is_unsupported;
	struct fmt_age_identity identities[MAX_IDENTITIES];
	char passphrases[MAX_IDENTITIES][128];
	size_t identity_count;
	struct fmt_buf file;
};

/* ---- reading a vector ---- */

static void
die(const char *what)
{
	printf("Bail out! %s\n", what);
	exit(1);
}

static void
need(enum fmt_status status, const char *what)
{
	if (status != FMT_OK)
		die(what);
}

static void
read_file(const char *path, struct fmt_buf *out)
{
	FILE *file = fopen(path, "rb");
	unsigned char portion[65536];
	size_t got;

	if (file == NULL)
		die(path);
	while ((got = fread(portion, 1, sizeof portion, file)) > 0)
		need(fmt_buf_append(out, portion, got), "memory");
	if (ferror(file))
		die(path);
	fclose(file);
}

static bool
inflate_file(struct fmt_buf *file)
{
#ifdef HAVE_ZLIB
	struct fmt_buf raw = FMT_BUF_INIT;
	uLongf len = INFLATED_MAX;

	need(fmt_buf_reserve(&raw, INFLATED_MAX), "memory");
	if (uncompress(raw.data, &len, file->data, file->len) != Z_OK)
		die("a vector cannot be decompressed");
	raw.len = len;
	fmt_buf_free(file);
	*file = raw;
	return true;
#else
	(void)file;
	return false;
#endif
}

static void
read_hash(const char *hex, unsigned char out[SHA256_DIGEST_LENGTH])
{
	for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
		unsigned byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			die("a payload hash is no hash");
		out[i] = (unsigned char)byte;
	}
}

static void
add_identity(struct vector *vector, const char *text)
{
	struct fmt_age_identity *next =
	    &vector->identities[vector->identity_count];

	if (vector->identity_count == MAX_IDENTITIES)
		die("a vector has too many identities");
	if (fmt_age_identity_parse(text, strlen(text), next) == FMT_OK)
		vector->identity_count++;
	else if (strncmp(text, "AGE-SECRET-KEY-PQ-", 18) == 0)
		vector->is_unsupported = true;
	else
		die("a vector's identity is not understood");
}

static void
add_passphrase(struct vector *vector, const char *text)
{
	size_t n = vector->identity_count;

	if (n == MAX_IDENTITIES)
		die("a vector has too many identities");
	snprintf(
	    vector->passphrases[n], sizeof vector->passphrases[n], "%s", text);
	vector->identities[n].kind = FMT_AGE_SCRYPT;
	vector->identities[n].passphrase = vector->passphrases[n];
	vector->identity_count++;
}

static void
read_line(struct vector *vector, const char *key, const char *value)
{
	if (strcmp(key, "expect") == 0)
		snprintf(vector->expect, sizeof vector->expect, "%s", value);
	else if (strcmp(key, "payload") == 0) {
		read_hash(value, vector->payload);
		vector->has_payload = true;
	} else if (strcmp(key, "identity") == 0)
		add_identity(vector, value);
	else if (strcmp(key, "passphrase") == 0)
		add_passphrase(vector, value);
	else if (strcmp(key, "armored") == 0)
		vector->is_armored = true;
	else if (strcmp(key, "compressed") == 0)
		vector->is_compressed = true;
	else if (strcmp(key, "file key") != 0 && strcmp(key, "comment") != 0)
		die("a vector has a key that is not understood");
}

static void
read_vector(const char *path, struct vector *vector)
{
	struct fmt_buf all = FMT_BUF_INIT;
	const char *at, *end;

	memset(vector, 0, sizeof *vector);
	read_file(path, &all);
	at = fmt_buf_text(&all);
	if (at == NULL)
		die("memory");
	while (*at != '\n') {
		char line[512];
		char *value;

		end = strchr(at, '\n');
		if (end == NULL || (size_t)(end - at) >= sizeof line)
			die("a vector's head is not understood");
		memcpy(line, at, (size_t)(end - at));
		line[end - at] = '\0';
		value = strstr(line, ": ");
		if (value == NULL)
			die("a vector's head is not understood");
		*value = '\0';
		read_line(vector, line, value + 2);
		at = end + 1;
	}
	at++;
	end = (const char *)all.data + all.len;
	need(fmt_buf_append(&vector->file, at, (size_t)(end - at)), "memory");
	fmt_buf_free(&all);
}

/* ---- what a reader must answer ---- */

static bool
is_expected_status(const struct vector *vector, enum fmt_status status)
{
	if (strcmp(vector->expect, "success") == 0)
		return status == FMT_OK;
	if (strcmp(vector->expect, "no match") == 0)
		return status == FMT_NOMATCH;
	if (strcmp(vector->expect, "HMAC failure") == 0)
		return status == FMT_AUTH;
	if (strcmp(vector->expect, "header failure") == 0)
		return status == FMT_MALFORMED || status == FMT_TRUNCATED ||
		       status == FMT_UNSUPPORTED || status == FMT_LIMIT;
	if (strcmp(vector->expect, "armor failure") == 0)
		return status == FMT_MALFORMED || status == FMT_TRUNCATED;
	if (strcmp(vector->expect, "payload failure") == 0)
		return status == FMT_MALFORMED || status == FMT_TRUNCATED ||
		       status == FMT_AUTH;
	return false;
}

static bool
is_payload(const struct vector *vector, const struct fmt_buf *plain)
{
	static const unsigned char none[1];
	unsigned char hash[SHA256_DIGEST_LENGTH];

	SHA256(plain->len > 0 ? plain->data : none, plain->len, hash);
	return memcmp(hash, vector->payload, sizeof hash) == 0;
}

static bool
is_expected(const struct vector *vector, const char *way,
    enum fmt_status status, const struct fmt_buf *plain)
{
	bool is_good = is_expected_status(vector, status);

	if (vector->has_payload)
		is_good = is_good && is_payload(vector, plain);
	else if (strcmp(vector->expect, "armor failure") != 0)
		is_good = is_good && plain->len == 0;
	if (!is_good)
		printf("# %s: expected %s, got '%s' and %zu bytes\n", way,
		    vector->expect, fmt_status_text(status), plain->len);
	return is_good;
}

/* ---- the ways to read a file ---- */

static bool
opens_whole(const struct vector *vector, const struct fmt_buf *file)
{
	struct fmt_buf plain = FMT_BUF_INIT;
	enum fmt_status status = fmt_age_open(vector->identities,
	    vector->identity_count, file->data, file->len, &plain);
	bool is_good = is_expected(vector, "open", status, &plain);

	fmt_buf_free(&plain);
	return is_good;
}

static bool
opens_in_portions(const struct vector *vector, size_t portion)
{
	const struct fmt_buf *file = &vector->file;
	struct fmt_buf plain = FMT_BUF_INIT;
	struct fmt_age_reader *reader = NULL;
	enum fmt_status status;
	bool is_good;

	need(fmt_age_reader_new(
		 vector->identities, vector->identity_count, &reader),
	    "memory");
	status = FMT_OK;
	for (size_t at = 0; at < file->len && status == FMT_OK; at += portion) {
		size_t take = file->len - at;

		status = fmt_age_reader_update(reader, file->data + at,
		    take < portion ? take : portion, &plain);
	}
	/* An error stays: finish says the same. */
	is_good =
	    status == FMT_OK || fmt_age_reader_finish(reader, &plain) == status;
	if (status == FMT_OK)
		status = fmt_age_reader_finish(reader, &plain);
	is_good &= is_expected(vector, "reader", status, &plain);
	fmt_age_reader_free(reader);
	fmt_buf_free(&plain);
	return is_good;
}

static bool
reads_at(const struct fmt_age_payload *payload, const struct fmt_buf *file,
    const struct fmt_buf *plain, size_t offset, size_t len)
{
	struct fmt_buf piece = FMT_BUF_INIT;
	uint64_t at, stored;
	enum fmt_status status;
	bool is_good;

	fmt_age_payload_range(payload, file->len, offset, len, &at, &stored);
	status = fmt_age_payload_read(payload, file->len, offset, len,
	    file->data + at, (size_t)stored, &piece);
	is_good =
	    status == FMT_OK && piece.len == len &&
	    (len == 0 || memcmp(piece.data, plain->data + offset, len) == 0);
	if (!is_good)
		printf("# read at %zu, %zu bytes: '%s'\n", offset, len,
		    fmt_status_text(status));
	fmt_buf_free(&piece);
	return is_good;
}

/* Every pair of the offsets where something changes. */
static bool
reads_anywhere(const struct fmt_age_payload *payload,
    const struct fmt_buf *file, const struct fmt_buf *plain)
{
	const size_t seg = FMT_AGE_SEGMENT, size = plain->len;
	const size_t marks[] = {0, 1, 17, seg - 1, seg, seg + 1, 2 * seg - 1,
	    2 * seg, 3 * seg + 5, size / 2, size - 1, size};
	const size_t count = sizeof marks / sizeof *marks;
	bool is_good = true;

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			if (marks[i] <= marks[j] && marks[j] <= size)
				is_good &= reads_at(payload, file, plain,
				    marks[i], marks[j] - marks[i]);
		}
	}
	return is_good;
}

static bool
reads_with_seeks(const struct vector *vector)
{
	const struct fmt_buf *file = &vector->file;
	struct fmt_buf plain = FMT_BUF_INIT;
	struct fmt_age_payload payload;
	uint64_t size = 0;
	bool is_good;

	need(fmt_age_open(vector->identities, vector->identity_count,
		 file->data, file->len, &plain),
	    "open");
	is_good =
	    fmt_age_payload_open(vector->identities, vector->identity_count,
		file->data, file->len, &payload) == FMT_OK &&
	    fmt_age_plain_size(&payload, file->len, &size) == FMT_OK &&
	    size == plain.len && reads_anywhere(&payload, file, &plain);
	fmt_buf_free(&plain);
	return is_good;
}

/* A header that is refused is refused by the seekable reader too. */
static bool
refuses_header(const struct vector *vector)
{
	struct fmt_age_payload payload;
	struct fmt_buf none = FMT_BUF_INIT;

	return is_expected(vector, "payload_open",
	    fmt_age_payload_open(vector->identities, vector->identity_count,
		vector->file.data, vector->file.len, &payload),
	    &none);
}

static bool
passes_armor(const struct vector *vector)
{
	bool is_armor_good = strcmp(vector->expect, "armor failure") != 0;
	struct fmt_buf binary = FMT_BUF_INIT, again = FMT_BUF_INIT;
	enum fmt_status status =
	    fmt_age_dearmor(vector->file.data, vector->file.len, &binary);
	bool is_good = (status == FMT_OK) == is_armor_good;

	if (status == FMT_OK && binary.len > 0) {
		need(fmt_age_armor(binary.data, binary.len, &again), "memory");
		is_good &= opens_whole(vector, &binary);
		is_good &= opens_whole(vector, &again);
	}
	if (!is_good)
		printf("# dearmor: '%s'\n", fmt_status_text(status));
	fmt_buf_free(&binary);
	fmt_buf_free(&again);
	return is_good;
}

static bool
passes(const struct vector *vector)
{
	static const size_t portions[] = {1, 7, 65536};
	bool is_good = opens_whole(vector, &vector->file);
	bool is_success = strcmp(vector->expect, "success") == 0;

	for (size_t i = 0; i < sizeof portions / sizeof *portions; i++)
		is_good &= opens_in_portions(vector, portions[i]);
	if (vector->is_armored)
		is_good &= passes_armor(vector);
	else if (is_success)
		is_good &= reads_with_seeks(vector);
	else if (strcmp(vector->expect, "payload failure") != 0)
		is_good &= refuses_header(vector);
	return is_good;
}

/* ---- one line a vector ---- */

static bool
run_vector(const char *folder, const char *name, int number)
{
	struct vector vector;
	char path[4096 + NAME_MAX];
	bool is_good = true;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	read_vector(path, &vector);
	if (vector.is_unsupported)
		printf("ok %d %s # SKIP post-quantum identities are not "
		       "supported\n",
		    number, name);
	else if (vector.is_compressed && !inflate_file(&vector.file))
		printf("ok %d %s # SKIP built without zlib\n", number, name);
	else {
		is_good = passes(&vector);
		printf("%s %d %s\n", is_good ? "ok" : "not ok", number, name);
	}
	fmt_buf_free(&vector.file);
	return is_good;
}

static int
is_vector(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void
find_folder(char *out, size_t size)
{
	const char *vectors = getenv("BACKUP_TEST_VECTORS");
	const char *top = getenv("top_srcdir");

	if (vectors != NULL && vectors[0] != '\0')
		snprintf(out, size, "%s/age/testdata", vectors);
	else
		snprintf(out, size, "%s/../shared/vectors/age/testdata",
		    top != NULL ? top : ".");
}

int
main(void)
{
	struct dirent **entries = NULL;
	char folder[4000];
	int count, failed = 0;

	find_folder(folder, sizeof folder);
	count = scandir(folder, &entries, is_vector, alphasort);
	if (count <= 0) {
		puts("1..0 # SKIP no age vectors");
		free(entries);
		return 0;
	}
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		failed += !run_vector(folder, entries[i]->d_name, i + 1);
		free(entries[i]);
	}
	free(entries);
	return failed > 0;
}
