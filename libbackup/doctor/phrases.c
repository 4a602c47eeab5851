/* SPDX-License-Identifier: Apache-2.0 */
/* The list of phrases, and looking for them. */
#include "libbackup/doctor/phrases.h"

#include <ctype.h>
#include <string.h>

#include "libbackup/base/fail.h"

#define DIGITS_MOST 3   /* of a number that is told */
#define QUOTED_MOST 200 /* between quotes, which is not told */
#define ERRNO_MOST 140

/* '#' is a number of few digits, '*' whatever is between quotes. */
static const char *const phrases[] = {
    /* commands and steps */
    "backup-archive", "backup-cat", "backup-check", "backup-create",
    "backup-doctor", "backup-export", "backup-guard", "backup-import",
    "backup-init", "backup-key", "backup-list", "backup-prune",
    "backup-restore", "backup-run", "backup-verify", "pg_dump", "pg_dumpall",
    "pg_restore", "warning:", "left out", "omission", "degraded", "failed",
    "complete", "exit status # and told no result", "time limit", "is over",
    "stopped on request", "has not ended within", "did not end within",
    "is not proven", "a verification is due", "nothing here opens contents",
    "out of memory", "what is missing was named", "not restored",
    "not compared", "cannot be read", "cannot be written", "cannot be restored",
    "cannot be listed", "could not be read", "could not be stored",
    "could not be removed", "may not read", "may not write",
    /* doing something */
    "backing up", "restoring", "reading", "writing", "opening", "listing",
    "locking", "connecting to PostgreSQL", "connecting", "starting", "storing",
    "decrypting", "encrypting", "compressing", "hashing", "syncing",
    "making a temporary file", "making a pipe", "waiting for",
    /* files */
    "is a socket", "socket", "a device", "vanished",
    "changed while it was read", "changed while it was backed up",
    "is not there", "does not exist", "already exists", "exists already",
    "there is no program", "no more room", "no room", "short read",
    /* the configuration */
    "is empty", "is no text", "needs a text",
    "holds a secret, but others than its owner may read the file",
    "names no program", "mount what belongs there",
    "does not count as a backup",
    /* the repository */
    "there is no such directory", "this is not a directory",
    "there is no bucket", "there is no snapshot", "there is no such object",
    "there is a repository already", "cancelled", "could not be opened",
    "what was stored there does not come back", "looking at it",
    "trying to write", "more of it is damaged", "is gone",
    "names another repository", "belongs to repository",
    "was made for repository", "says config", "does not open repository",
    "other users may read this key file", "has been revoked",
    "is not among the writers", "may not prune", "may not remove snapshots",
    "has format version", "its signature does not fit",
    "a key that is not a writer's", "its content is not the one",
    "its SHA-256 is not the one that was recorded",
    "no index object knows where it is", "the answer has no",
    "bytes came where", "MiB free", "run backup-check",
    "there is no repository here", "no repository is named",
    "nothing could be read from it", "is missing or damaged", "damaged",
    "does not come back", "its bytes are not the ones that were stored",
    "no key was given", "no key file is named", "passphrase is wrong",
    "opens metadata", "is of another repository", "newer libbackup",
    "another process holds the lock", "another session", "is at work",
    "a session", "object lock", "the snapshots", "the time limit",
    "nothing is deleted", "no snapshot", "put back to an earlier state",
    /* networks */
    "Could not resolve host", "Couldn't connect to server", "Failed to connect",
    "Connection reset by peer", "timed out", "SSL certificate problem",
    "self-signed certificate", "certificate has expired",
    "certificate is not trusted", "Name or service not known",
    "Temporary failure in name resolution",
    "No address associated with hostname", "the server sent no answer",
    "the server does not answer", "Empty reply from server", "no answer",
    "HTTP #", "status #", "AccessDenied", "NoSuchBucket", "NoSuchKey",
    "NoSuchUpload", "NoSuchVersion", "SignatureDoesNotMatch",
    "InvalidAccessKeyId", "RequestTimeTooSkewed", "SlowDown", "InternalError",
    "ServiceUnavailable", "ExpiredToken", "InvalidToken", "QuotaExceeded",
    "EntityTooLarge", "InvalidRequest", "PreconditionFailed",
    "MethodNotAllowed", "NotImplemented", "AuthorizationHeaderMalformed",
    "PermanentRedirect", "XMinioStorageFull",
    /* PostgreSQL */
    "connection to server at", "connection to server on socket",
    "could not translate host name", "could not connect to server",
    "password authentication failed", "authentication failed",
    "no password supplied", "no pg_hba.conf entry",
    "database \"*\" does not exist", "role \"*\" does not exist",
    "relation \"*\" does not exist", "schema \"*\" does not exist",
    "extension \"*\" does not exist", "role \"*\" is not permitted to log in",
    "permission denied for", "must be superuser", "must be owner of",
    "too many clients already", "too many connections for",
    "remaining connection slots are reserved",
    "server closed the connection unexpectedly", "timeout expired",
    "SSL connection has been closed unexpectedly", "SSL error",
    "server does not support SSL", "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode", "terminating connection",
    "due to administrator command", "due to conflict with recovery",
    "due to idle-in-transaction timeout", "canceling statement",
    "due to statement timeout", "due to lock timeout", "due to user request",
    "deadlock detected", "out of shared memory", "max_locks_per_transaction",
    "could not serialize access", "could not open file", "could not read block",
    "could not access file", "could not extend file", "invalid page in block",
    "missing chunk number", "cache lookup failed", "row-level security",
    "row security policy", "duplicate key value violates unique constraint",
    "violates foreign key constraint", "violates check constraint",
    "violates not-null constraint", "could not create unique index",
    "invalid byte sequence for encoding", "could not load library",
    "is not available", "server version mismatch", "snapshot too old",
    "a pooler", NULL};

/* So, and what is behind it is of somebody else. */
static const char *const last_phrases[] = {"exit status #", "ended by signal #",
    "was killed", "was stopped", "DETAIL:", "CONTEXT:", "HINT:", "QUERY:",
    "STATEMENT:", "LINE #:", "Failing row contains", "Key (", NULL};

/* How long the part of `text` is that `phrase` matches; 0: it does not. */
static size_t
match(const char *phrase, const char *text)
{
	const char *at = text;

	for (; *phrase != '\0'; phrase++) {
		size_t len;

		if (*phrase == '#') {
			len = strspn(at, "0123456789");
			if (len == 0 || len > DIGITS_MOST)
				return 0;
			at += len;
		} else if (*phrase == '*') {
			len = strcspn(at, "\"");
			if (len > QUOTED_MOST || at[len] == '\0')
				return 0;
			at += len;
		} else if (*phrase != *at++) {
			return 0;
		}
	}
	if (isalnum((unsigned char)at[-1]) &&
	    (isalnum((unsigned char)*at) || *at == '_'))
		return 0;
	return (size_t)(at - text);
}

struct found {
	const char *phrase; /* as it is in the list, or an alias */
	size_t len;         /* of the text */
	bool is_last;
};

static void
prefer_longer(struct found *found, const char *phrase, size_t len, bool is_last)
{
	if (len > found->len)
		*found = (struct found){phrase, len, is_last};
}

static struct found
find(const struct bkp_redactor *redactor, const char *text)
{
	struct found found = {NULL, 0, false};
	const char *alias;
	size_t len;

	for (size_t i = 0; phrases[i] != NULL; i++)
		prefer_longer(
		    &found, phrases[i], match(phrases[i], text), false);
	for (size_t i = 0; last_phrases[i] != NULL; i++)
		prefer_longer(&found, last_phrases[i],
		    match(last_phrases[i], text), true);
	for (int i = 1; i < ERRNO_MOST; i++)
		if (strerrordesc_np(i) != NULL)
			prefer_longer(&found, strerrordesc_np(i),
			    match(strerrordesc_np(i), text), false);
	if ((alias = bkp_redactor_known(redactor, text, &len)) != NULL)
		prefer_longer(&found, alias, len, false);
	return found;
}

/* A phrase as it is in the list, with its number: that is of the text. */
static enum fmt_status
append(const struct found *found, const char *text, struct fmt_buf *out)
{
	const char *hash = strchr(found->phrase, '#');
	size_t before = hash != NULL ? (size_t)(hash - found->phrase) : 0;

	if (hash == NULL)
		return fmt_buf_append_text(out, found->phrase);
	return fmt_buf_printf(out, "%.*s%.*s%s", (int)before, found->phrase,
	    (int)strspn(text + before, "0123456789"), text + before, hash + 1);
}

int
bkp_phrases(const struct bkp_redactor *redactor, const char *text,
    struct fmt_buf *out, struct bkp_error *err)
{
	enum fmt_status status = FMT_OK;
	const char *at = text;
	bool is_first = true;

	while (status == FMT_OK && *at != '\0') {
		struct found found = {NULL, 0, false};

		if (at == text || !isalnum((unsigned char)at[-1]))
			found = find(redactor, at);
		if (found.phrase == NULL) {
			at++;
			continue;
		}
		if (!is_first)
			status = fmt_buf_append_text(out, "; ");
		if (status == FMT_OK)
			status = append(&found, at, out);
		is_first = false;
		if (found.is_last)
			break;
		at += found.len;
	}
	return status == FMT_OK ? 0 : bkp_fail_nomem(err, "redacting");
}
