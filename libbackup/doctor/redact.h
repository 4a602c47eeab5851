/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_REDACT_H
#define LIBBACKUP_DOCTOR_REDACT_H

/*
 * The one that takes out of a text what nobody else is to read: secrets become
 * "[secret]"; names of hosts, databases, buckets, roles and paths become names
 * that stand for them ("host-1"), the same one for the same name.
 *
 * What it knows beforehand (the configuration's secrets and names) it finds
 * wherever it stands. What it does not know it takes for a name by its looks:
 * whatever is in quotes, is a path, a URL, an address, has a dot or an '@' in
 * it, or looks like a key.
 *
 * A path or a URL that is neither known nor marked may have blanks in it: of
 * what follows it, only phrases of a list are told (phrases.h).
 *
 * And it can look afterwards whether something came through all the same. That
 * is not the same code.
 */

#include <stdbool.h>
#include <stddef.h>

#include "formats/buf.h"
#include "libbackup/error.h"

struct bkp_redactor;

/* Around a name in what a check has seen: it is told to people without, and
 * stands in no bundle. */
#define BKP_NAME_BEGIN '\x0e'
#define BKP_NAME_END '\x0f'
#define BKP_NAMED "\x0e%s\x0f"

/* Around what somebody else said (a server, a program), which may quote
 * anything: of it, phrases of a list stand in a bundle. */
#define BKP_SAID_BEGIN '\x11'
#define BKP_SAID_END '\x12'
#define BKP_SAID "\x11%s\x12"

int bkp_redactor_new(struct bkp_redactor **out, struct bkp_error *err);
void bkp_redactor_free(struct bkp_redactor *redactor); /* wipes; NULL is fine */

/* A secret that is never to come through; `field` is told where it does. What
 * is shorter than four bytes cannot be looked for. */
int bkp_redactor_secret(struct bkp_redactor *redactor, const char *field,
    const char *value, struct bkp_error *err);

/* The name that stands for one, made where there is none yet: `kind` and a
 * number. Borrowed until free; NULL: out of memory. */
const char *bkp_redactor_alias(struct bkp_redactor *redactor, const char *kind,
    const char *name, struct bkp_error *err);

/* A name that is to stand for another: "postgres/source-1". */
int bkp_redactor_rename(struct bkp_redactor *redactor, const char *name,
    const char *alias, struct bkp_error *err);

/* What stands for the longest known name that `text` begins with, and *len, how
 * long that name is; NULL: it begins with none. */
const char *bkp_redactor_known(
    const struct bkp_redactor *redactor, const char *text, size_t *len);

/* Appends the text without what is not to be read. */
int bkp_redactor_text(struct bkp_redactor *redactor, const char *text,
    struct fmt_buf *out, struct bkp_error *err);

/* 0 where none of the secrets is in there: as it is, backwards, in halves,
 * wrapped into lines, as base64, hexadecimal, in URLs or in JSON. -1: BKP_AUTH
 * names the field, and `where`. (redact_scan.c) */
int bkp_redactor_scan(const struct bkp_redactor *redactor, const char *where,
    const void *data, size_t len, struct bkp_error *err);

/* Secrets that stand in `data`, which holds nothing of anybody, are words of
 * every day: they are neither taken out nor looked for. */
int bkp_redactor_pardon(struct bkp_redactor *redactor, const void *data,
    size_t len, struct bkp_error *err);

/* ---- what the two files share ---- */

struct bkp_redacted {
	char *field, *value; /* owned; the value wiped */
	bool is_pardoned;
};

struct bkp_redacted_alias {
	char *kind, *name, *alias; /* owned */
	bool is_guess;             /* a path that may be the beginning of one */
};

struct bkp_redactor {
	struct bkp_redacted *secrets; /* owned */
	size_t secret_count, secret_cap;
	struct bkp_redacted_alias *aliases; /* owned */
	size_t alias_count, alias_cap;
	bool has_guessed; /* in the text that is read */
};

/* How a secret may look; each appends. */
typedef enum fmt_status bkp_redact_form_fn(
    const char *data, size_t len, struct fmt_buf *out);

struct bkp_redact_form {
	const char *name;
	bkp_redact_form_fn *write;
};

extern const struct bkp_redact_form bkp_redact_forms[]; /* NULL ends */

#define BKP_REDACT_LEAST 4 /* bytes */

#endif
