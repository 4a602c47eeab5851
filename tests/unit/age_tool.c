/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seals or opens its standard input, for tests/integration/test_age_interop.py:
 *
 *	age_tool keygen                      prints an identity, then its
 *recipient age_tool seal    recipient FILE      lines of "age1..." age_tool
 *seal    passphrase FILE     a line age_tool open    identity FILE       lines
 *of "AGE-SECRET-KEY-1..." age_tool open    passphrase FILE age_tool armor |
 *age_tool dearmor
 */
#include <stdio.h>
#include <string.h>

#include "formats/age.h"

#define MAX_KEYS 16
#define WORK_FACTOR 12 /* a test's passphrase needs no guarding */

struct keys {
	size_t count;
	struct fmt_age_identity identities[MAX_KEYS];
	struct fmt_age_recipient recipients[MAX_KEYS];
	char passphrase[256];
};

static int
fail(const char *what, enum fmt_status status)
{
	fprintf(stderr, "age_tool: %s: %s\n", what, fmt_status_text(status));
	return 1;
}

static enum fmt_status
read_all(FILE *file, struct fmt_buf *out)
{
	unsigned char portion[65536];
	enum fmt_status status = FMT_OK;
	size_t got;

	while (status == FMT_OK &&
	       (got = fread(portion, 1, sizeof portion, file)) > 0)
		status = fmt_buf_append(out, portion, got);
	return status == FMT_OK && ferror(file) ? FMT_TRUNCATED : status;
}

static enum fmt_status
add_key(const char *line, struct keys *keys)
{
	size_t len = strcspn(line, "\n"), n = keys->count;
	enum fmt_status status;

	if (line[0] == '#' || len == 0)
		return FMT_OK;
	if (n == MAX_KEYS)
		return FMT_LIMIT;
	if (line[0] == 'a')
		status =
		    fmt_age_recipient_parse(line, len, &keys->recipients[n]);
	else
		status =
		    fmt_age_identity_parse(line, len, &keys->identities[n]);
	if (status == FMT_OK)
		keys->count++;
	return status;
}

static void
set_passphrase(const char *line, struct keys *keys)
{
	snprintf(keys->passphrase, sizeof keys->passphrase, "%.*s",
	    (int)strcspn(line, "\n"), line);
	keys->count = 1;
	keys->identities[0].kind = FMT_AGE_SCRYPT;
	keys->identities[0].passphrase = keys->passphrase;
	keys->recipients[0].kind = FMT_AGE_SCRYPT;
	keys->recipients[0].passphrase = keys->passphrase;
	keys->recipients[0].work_factor = WORK_FACTOR;
}

static enum fmt_status
read_keys(const char *kind, const char *path, struct keys *keys)
{
	FILE *file = fopen(path, "r");
	enum fmt_status status = FMT_OK;
	char line[512];

	memset(keys, 0, sizeof *keys);
	if (file == NULL)
		return FMT_TRUNCATED;
	while (status == FMT_OK && fgets(line, sizeof line, file) != NULL) {
		if (strcmp(kind, "passphrase") == 0)
			set_passphrase(line, keys);
		else
			status = add_key(line, keys);
	}
	fclose(file);
	return status;
}

static int
keygen(void)
{
	char text[FMT_AGE_IDENTITY_TEXT], public_text[FMT_AGE_RECIPIENT_TEXT];
	struct fmt_age_identity identity;
	struct fmt_age_recipient recipient;
	enum fmt_status status = fmt_age_identity_new(&identity);

	if (status == FMT_OK)
		status = fmt_age_identity_recipient(&identity, &recipient);
	if (status == FMT_OK)
		status = fmt_age_identity_text(&identity, text);
	if (status == FMT_OK)
		status = fmt_age_recipient_text(&recipient, public_text);
	if (status != FMT_OK)
		return fail("keygen", status);
	printf("%s\n%s\n", text, public_text);
	return 0;
}

static enum fmt_status
convert(const char *verb, const struct keys *keys, const struct fmt_buf *in,
    struct fmt_buf *out)
{
	if (strcmp(verb, "seal") == 0)
		return fmt_age_seal(
		    keys->recipients, keys->count, in->data, in->len, out);
	if (strcmp(verb, "open") == 0)
		return fmt_age_open(
		    keys->identities, keys->count, in->data, in->len, out);
	if (strcmp(verb, "armor") == 0)
		return fmt_age_armor(in->data, in->len, out);
	if (strcmp(verb, "dearmor") == 0)
		return fmt_age_dearmor(in->data, in->len, out);
	return FMT_UNSUPPORTED;
}

int
main(int argc, char **argv)
{
	struct fmt_buf in = FMT_BUF_INIT, out = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	static struct keys keys;

	if (argc == 2 && strcmp(argv[1], "keygen") == 0)
		return keygen();
	if (argc != 2 && argc != 4)
		return fail("usage", FMT_MALFORMED);
	if (argc == 4)
		status = read_keys(argv[2], argv[3], &keys);
	if (status != FMT_OK)
		return fail(argv[3], status);
	status = read_all(stdin, &in);
	if (status == FMT_OK)
		status = convert(argv[1], &keys, &in, &out);
	/* What was authenticated before an error is of use to a test. */
	if (out.len > 0 && fwrite(out.data, 1, out.len, stdout) != out.len)
		status = FMT_TRUNCATED;
	fmt_buf_free(&in);
	fmt_buf_free(&out);
	return status == FMT_OK ? 0 : fail(argv[1], status);
}
