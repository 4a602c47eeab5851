/* SPDX-License-Identifier: Apache-2.0 */
/* Taking secrets and names out of a text. */
#include "libbackup/doctor/redact.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/doctor/phrases.h"

#define SECRET "[secret]"
#define ELSE "(something else)"
#define KEY_LEAST 20 /* letters and digits of something that looks like one */

int
bkp_redactor_new(struct bkp_redactor **out, struct bkp_error *err)
{
	*out = bkp_alloc(sizeof(**out), err);
	return *out != NULL ? 0 : -1;
}

void
bkp_redactor_free(struct bkp_redactor *redactor)
{
	if (redactor == NULL)
		return;
	for (size_t i = 0; i < redactor->secret_count; i++) {
		free(redactor->secrets[i].field);
		bkp_secret_free(redactor->secrets[i].value);
	}
	for (size_t i = 0; i < redactor->alias_count; i++) {
		free(redactor->aliases[i].kind);
		free(redactor->aliases[i].name);
		free(redactor->aliases[i].alias);
	}
	free(redactor->secrets);
	free(redactor->aliases);
	free(redactor);
}

int
bkp_redactor_secret(struct bkp_redactor *redactor, const char *field,
    const char *value, struct bkp_error *err)
{
	struct bkp_redacted *secret;

	if (value == NULL || strlen(value) < BKP_REDACT_LEAST)
		return 0;
	if (bkp_grow(&redactor->secrets, redactor->secret_count,
		&redactor->secret_cap, sizeof(*redactor->secrets), err) < 0)
		return -1;
	secret = &redactor->secrets[redactor->secret_count++];
	*secret = (struct bkp_redacted){
	    bkp_strdup(field, err), bkp_strdup(value, err), false};
	if (secret->field != NULL && secret->value != NULL)
		return 0;
	free(secret->field);
	bkp_secret_free(secret->value);
	redactor->secret_count--;
	return -1;
}

/* ---- names ---- */

static const struct bkp_redacted_alias *
find_item(const struct bkp_redactor *redactor, const char *name, size_t len)
{
	for (size_t i = 0; i < redactor->alias_count; i++)
		if (strncmp(redactor->aliases[i].name, name, len) == 0 &&
		    redactor->aliases[i].name[len] == '\0')
			return &redactor->aliases[i];
	return NULL;
}

static const char *
find_alias(const struct bkp_redactor *redactor, const char *name, size_t len)
{
	const struct bkp_redacted_alias *item = find_item(redactor, name, len);

	return item != NULL ? item->alias : NULL;
}

static const struct bkp_redacted_alias *
find_beginning(
    const struct bkp_redactor *redactor, const char *text, size_t *len)
{
	const struct bkp_redacted_alias *found = NULL;

	*len = 0;
	for (size_t i = 0; i < redactor->alias_count; i++) {
		const struct bkp_redacted_alias *item = &redactor->aliases[i];
		size_t own = strlen(item->name);

		if (own <= *len || strncmp(item->name, text, own) != 0 ||
		    isalnum((unsigned char)text[own]) || text[own] == '_')
			continue;
		found = item;
		*len = own;
	}
	return found;
}

const char *
bkp_redactor_known(
    const struct bkp_redactor *redactor, const char *text, size_t *len)
{
	const struct bkp_redacted_alias *item =
	    find_beginning(redactor, text, len);

	return item != NULL ? item->alias : NULL;
}

static int
add_alias(struct bkp_redactor *redactor, const char *kind, const char *name,
    char *alias, struct bkp_error *err)
{
	struct bkp_redacted_alias *item;

	if (alias == NULL ||
	    bkp_grow(&redactor->aliases, redactor->alias_count,
		&redactor->alias_cap, sizeof(*redactor->aliases), err) < 0) {
		free(alias);
		return -1;
	}
	item = &redactor->aliases[redactor->alias_count];
	*item = (struct bkp_redacted_alias){
	    bkp_strdup(kind, err), bkp_strdup(name, err), alias, false};
	if (item->kind != NULL && item->name != NULL) {
		redactor->alias_count++;
		return 0;
	}
	free(item->kind);
	free(item->name);
	free(alias);
	return -1;
}

const char *
bkp_redactor_alias(struct bkp_redactor *redactor, const char *kind,
    const char *name, struct bkp_error *err)
{
	const char *known = find_alias(redactor, name, strlen(name));
	unsigned number = 1;

	if (known != NULL)
		return known;
	for (size_t i = 0; i < redactor->alias_count; i++)
		if (strcmp(redactor->aliases[i].kind, kind) == 0)
			number++;
	if (add_alias(redactor, kind, name,
		bkp_format(err, "%s-%u", kind, number), err) < 0)
		return NULL;
	return redactor->aliases[redactor->alias_count - 1].alias;
}

int
bkp_redactor_rename(struct bkp_redactor *redactor, const char *name,
    const char *alias, struct bkp_error *err)
{
	if (find_alias(redactor, name, strlen(name)) != NULL)
		return 0;
	return add_alias(redactor, "", name, bkp_strdup(alias, err), err);
}

/* ---- secrets that are known ---- */

static int
replace_all(
    struct fmt_buf *text, const struct fmt_buf *form, struct fmt_buf *out)
{
	size_t at = 0;
	enum fmt_status status = FMT_OK;

	fmt_buf_clear(out);
	while (status == FMT_OK && at < text->len) {
		unsigned char *found =
		    form->len < BKP_REDACT_LEAST
			? NULL
			: memmem(text->data + at, text->len - at, form->data,
			      form->len);
		size_t len = found != NULL ? (size_t)(found - text->data) - at
					   : text->len - at;

		status = fmt_buf_append(out, text->data + at, len);
		at += len;
		if (found != NULL && status == FMT_OK) {
			status = fmt_buf_append_text(out, SECRET);
			at += form->len;
		}
	}
	if (status != FMT_OK)
		return -1;
	fmt_buf_clear(text);
	return fmt_buf_append(text, out->data, out->len) == FMT_OK ? 0 : -1;
}

static int
take_out_secrets(const struct bkp_redactor *redactor, struct fmt_buf *text)
{
	struct fmt_buf form = FMT_BUF_SECRET_INIT, other = FMT_BUF_SECRET_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < redactor->secret_count; i++) {
		const struct bkp_redacted *secret = &redactor->secrets[i];
		const struct bkp_redact_form *f = bkp_redact_forms;

		for (; rc == 0 && !secret->is_pardoned && f->name != NULL;
		     f++) {
			fmt_buf_clear(&form);
			if (f->write(secret->value, strlen(secret->value),
				&form) != FMT_OK)
				rc = -1;
			else
				rc = replace_all(text, &form, &other);
		}
	}
	fmt_buf_free(&form);
	fmt_buf_free(&other);
	return rc;
}

/* ---- words, by their looks ---- */

static bool
is_one_of(const char *word, size_t len, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strlen(*list) == len && strncasecmp(*list, word, len) == 0)
			return true;
	return false;
}

/* "password" in "pgpassword=", "x-api-key:". */
static bool
is_secretive(const char *word, size_t len)
{
	static const char *const parts[] = {"password", "passwd", "passphrase",
	    "secret", "token", "api-key", "apikey", "api_key", "access-key",
	    "access_key", "accesskey", "credential", "authorization", "bearer",
	    "cookie", "signature", "private", NULL};
	static const char *const whole[] = {"key", "pwd", "pass", NULL};
	char lower[64];
	size_t i;

	if (len == 0 || len >= sizeof(lower))
		return false;
	for (i = 0; i < len; i++)
		lower[i] = (char)tolower((unsigned char)word[i]);
	lower[i] = '\0';
	for (i = 0; parts[i] != NULL; i++)
		if (strstr(lower, parts[i]) != NULL)
			return true;
	return is_one_of(word, len, whole);
}

/* "15.18", "15.18-0+deb12u1", "3.0.19", "0:02", "45%"; no address. */
static bool
is_number(const char *word, size_t len)
{
	size_t letters = 0, dots = 0, digits = 0;

	if (len == 0 || !isdigit((unsigned char)word[0]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (isalpha((unsigned char)word[i]))
			letters++;
		else if (isdigit((unsigned char)word[i]))
			digits++;
		else if (word[i] == '.')
			dots++;
		else if (strchr("+-~:%,", word[i]) == NULL)
			return false;
	}
	return letters <= digits + 2 && letters <= 8 && len <= 32 &&
	       !(dots == 3 && letters == 0);
}

/* A key, a digest, a token: long, and of digits and letters, or of letters of
 * both sizes mixed. */
static bool
is_key(const char *word, size_t len)
{
	size_t digits = 0, upper = 0, lower = 0;

	if (len < KEY_LEAST)
		return false;
	for (size_t i = 0; i < len; i++) {
		digits += isdigit((unsigned char)word[i]) != 0;
		upper += isupper((unsigned char)word[i]) != 0;
		lower += islower((unsigned char)word[i]) != 0;
	}
	return (digits > 2 && upper + lower > 0) || digits == len ||
	       (upper > 3 && lower > 3);
}

static bool
has(const char *word, size_t len, char c)
{
	return memchr(word, c, len) != NULL;
}

/* What a word is, or NULL where it may stay. */
static const char *
kind_of(const char *word, size_t len)
{
	/* Of our own advice. */
	static const char *const ours[] = {"backup.yaml",
	    "/etc/libbackup/backup.yaml", "...", "Input/output", "and/or",
	    "I/O", NULL};

	if (is_one_of(word, len, ours))
		return NULL;
	if (memmem(word, len, "://", 3) != NULL)
		return "url";
	if (has(word, len, '@'))
		return "name";
	if (is_number(word, len))
		return NULL;
	if (has(word, len, '/'))
		return len > 1 ? "path" : NULL;
	if (has(word, len, '.') || has(word, len, '\\') ||
	    (word[0] != ':' && memmem(word, len, "::", 2) != NULL))
		return "name";
	return is_key(word, len) ? "key" : NULL;
}

static int
put_alias(struct bkp_redactor *redactor, const char *kind, const char *word,
    size_t len, struct fmt_buf *out, struct bkp_error *err)
{
	char *name = bkp_format(err, "%.*s", (int)len, word);
	const char *alias = NULL;

	if (name != NULL)
		alias = bkp_redactor_alias(redactor, kind, name, err);
	free(name);
	if (alias == NULL)
		return -1;
	if (fmt_buf_append_text(out, alias) != FMT_OK)
		return bkp_fail_nomem(err, "redacting");
	return 0;
}

static int
put(struct fmt_buf *out, const char *data, size_t len, struct bkp_error *err)
{
	if (fmt_buf_append(out, data, len) != FMT_OK)
		return bkp_fail_nomem(err, "redacting");
	return 0;
}

/* A path or a URL ends nobody knows where: what stands for it will be known for
 * no more than its beginning. */
static int
put_guess(struct bkp_redactor *redactor, const char *kind, const char *word,
    size_t len, struct fmt_buf *out, struct bkp_error *err)
{
	size_t before = redactor->alias_count;

	if (put_alias(redactor, kind, word, len, out, err) < 0)
		return -1;
	if (redactor->alias_count > before)
		redactor->aliases[before].is_guess = true;
	redactor->has_guessed = true;
	return 0;
}

/* A source that is known and more behind it: "postgres/app/shop". */
static int
put_below(struct bkp_redactor *redactor, const char *word, size_t len,
    struct fmt_buf *out, struct bkp_error *err)
{
	for (size_t i = len; i > 0; i--) {
		const char *alias;

		if (word[i - 1] != '/' ||
		    (alias = find_alias(redactor, word, i - 1)) == NULL)
			continue;
		if (fmt_buf_append_text(out, alias) != FMT_OK ||
		    fmt_buf_append_byte(out, '/') != FMT_OK)
			return bkp_fail_nomem(err, "redacting");
		return put_guess(redactor, "name", word + i, len - i, out, err);
	}
	return put_guess(redactor, "path", word, len, out, err);
}

static int
put_word(struct bkp_redactor *redactor, const char *word, size_t len,
    struct fmt_buf *out, struct bkp_error *err)
{
	const struct bkp_redacted_alias *known = find_item(redactor, word, len);
	const char *kind, *equals;

	if (known != NULL) {
		redactor->has_guessed |= known->is_guess;
		return put(out, known->alias, strlen(known->alias), err);
	}
	equals = memchr(word, '=', len);
	if (equals != NULL && equals > word &&
	    memmem(word, len, "://", 3) == NULL) {
		size_t before = (size_t)(equals - word), after;

		after = len - before - 1;
		if (put_word(redactor, word, before, out, err) < 0 ||
		    put(out, "=", 1, err) < 0)
			return -1;
		if (after > 0 && is_secretive(word, before))
			return put(out, SECRET, strlen(SECRET), err);
		if (after == 0 || is_number(equals + 1, after))
			return put(out, equals + 1, after, err);
		return (has(equals + 1, after, '/') ? put_guess : put_alias)(
		    redactor, "name", equals + 1, after, out, err);
	}
	kind = kind_of(word, len);
	if (kind == NULL)
		return put(out, word, len, err);
	if (strcmp(kind, "path") == 0 && word[0] != '/')
		return put_below(redactor, word, len, out, err);
	if (strcmp(kind, "path") == 0 || strcmp(kind, "url") == 0)
		return put_guess(redactor, kind, word, len, out, err);
	return put_alias(redactor, kind, word, len, out, err);
}

/* ---- the text ---- */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What is between two marks or quotes from `at` on; 0: nothing is. */
static size_t
quoted(const char *at, const char *before, char *closing)
{
	const char *end;

	if (*at == BKP_NAME_BEGIN)
		*closing = BKP_NAME_END;
	else if (*at == BKP_SAID_BEGIN)
		*closing = BKP_SAID_END;
	else if (*at == '"' || *at == '`')
		*closing = *at;
	else if (*at == '\'' &&
		 (before == NULL || !isalnum((unsigned char)*before)))
		*closing = '\'';
	else
		return 0;
	end = strchr(at + 1, *closing);
	return end != NULL ? (size_t)(end - at) + 1 : 0;
}

struct reading {
	struct bkp_redactor *redactor;
	struct fmt_buf *out;
	bool is_next_secret; /* "password:" was the word before */
};

/* Of what may be anybody's. */
static int
take_phrases(struct reading *reading, const char *text, const char *before,
    struct bkp_error *err)
{
	struct fmt_buf phrases = FMT_BUF_INIT;
	int rc = bkp_phrases(reading->redactor, text, &phrases, err);

	if (rc == 0 && phrases.len > 0 &&
	    (rc = put(reading->out, before, strlen(before), err)) == 0)
		rc = put(
		    reading->out, (const char *)phrases.data, phrases.len, err);
	else if (rc == 0 && *before == '\0')
		rc = put(reading->out, ELSE, strlen(ELSE), err);
	fmt_buf_free(&phrases);
	return rc;
}

static int
take_said(
    struct reading *reading, const char *at, size_t len, struct bkp_error *err)
{
	char *text = bkp_format(err, "%.*s", (int)len - 2, at + 1);
	int rc = text != NULL ? take_phrases(reading, text, "", err) : -1;

	reading->is_next_secret = false;
	bkp_secret_free(text);
	return rc;
}

static int
take_quoted(struct reading *reading, const char *at, size_t len, char closing,
    struct bkp_error *err)
{
	bool is_marked = closing == BKP_NAME_END;

	if (closing == BKP_SAID_END)
		return take_said(reading, at, len, err);
	if (!is_marked && put(reading->out, at, 1, err) < 0)
		return -1;
	if (reading->is_next_secret) {
		if (put(reading->out, SECRET, strlen(SECRET), err) < 0)
			return -1;
	} else if (len > 2 && put_alias(reading->redactor, "name", at + 1,
				  len - 2, reading->out, err) < 0) {
		return -1;
	}
	reading->is_next_secret = false;
	return is_marked ? 0 : put(reading->out, at + len - 1, 1, err);
}

static int
take_word(struct reading *reading, const char *word, size_t len,
    struct bkp_error *err)
{
	size_t core = len;

	while (core > 0 && strchr(".,:;!?", word[core - 1]) != NULL)
		core--;
	if (reading->is_next_secret && core > 0) {
		/* "Authorization: Bearer abc": the next one, too. */
		reading->is_next_secret = is_secretive(word, core);
		return put(reading->out, SECRET, strlen(SECRET), err);
	}
	reading->is_next_secret =
	    core < len && word[core] == ':' && is_secretive(word, core);
	if (core > 0 &&
	    put_word(reading->redactor, word, core, reading->out, err) < 0)
		return -1;
	if (reading->redactor->has_guessed)
		return 0;
	return put(reading->out, word + core, len - core, err);
}

/* How much of the text was a name that is known to its end, blanks and all; 0:
 * it begins with none. */
static size_t
take_known(struct reading *reading, const char *at, struct bkp_error *err)
{
	size_t len = 0;
	const struct bkp_redacted_alias *known =
	    find_beginning(reading->redactor, at, &len);

	if (known == NULL || known->is_guess || reading->is_next_secret ||
	    (at[len] != '\0' && strchr("-./=@\\", at[len]) != NULL) ||
	    put(reading->out, known->alias, strlen(known->alias), err) < 0)
		return 0;
	return len;
}

static int
read_text(struct reading *reading, const char *text, struct bkp_error *err)
{
	const char *at = text;

	reading->redactor->has_guessed = false;
	while (*at != '\0') {
		char closing = 0;
		size_t len = quoted(at, at > text ? at - 1 : NULL, &closing);

		if (strncmp(at, SECRET, strlen(SECRET)) == 0) {
			reading->is_next_secret = false;
			if (put(reading->out, at, strlen(SECRET), err) < 0)
				return -1;
			at += strlen(SECRET);
			continue;
		}

		if (len > 0) {
			if (take_quoted(reading, at, len, closing, err) < 0)
				return -1;
			at += len;
			continue;
		}
		if (is_space(*at) || strchr("()[]{}<>,;|\"'`", *at) != NULL ||
		    (*at >= BKP_NAME_BEGIN && *at <= BKP_SAID_END)) {
			if ((unsigned char)*at >= ' ' || is_space(*at))
				if (put(reading->out, at, 1, err) < 0)
					return -1;
			at++;
			continue;
		}
		if ((len = take_known(reading, at, err)) > 0) {
			at += len;
			continue;
		}
		len = strcspn(at, " \t\r\n()[]{}<>,;|\"`\x0e\x0f\x11\x12");
		if (take_word(reading, at, len, err) < 0)
			return -1;
		at += len;
		if (reading->redactor->has_guessed)
			return take_phrases(reading, at, ": ", err);
	}
	return 0;
}

int
bkp_redactor_text(struct bkp_redactor *redactor, const char *text,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct fmt_buf copy = FMT_BUF_SECRET_INIT;
	struct reading reading = {redactor, out, false};
	const char *known;
	int rc = -1;

	if (fmt_buf_append_text(&copy, text) != FMT_OK ||
	    take_out_secrets(redactor, &copy) < 0 ||
	    (known = fmt_buf_text(&copy)) == NULL)
		(void)bkp_fail_nomem(err, "redacting");
	else
		rc = read_text(&reading, known, err);
	fmt_buf_free(&copy);
	return rc;
}
