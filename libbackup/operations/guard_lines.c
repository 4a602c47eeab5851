/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody has to run, as a shell takes it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/guard_impl.h"

int
bkp_guard_add_text(
    struct guard_texts *texts, struct bkp_error *err, const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	if (bkp_grow(&texts->items, texts->count, &texts->cap,
		sizeof(*texts->items), err) < 0)
		return -1;
	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0)
		return bkp_fail_nomem(err, "telling what to run");
	texts->items[texts->count++] = text;
	return 0;
}

void
bkp_guard_texts_free(struct guard_texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->items[i]);
	free(texts->items);
	memset(texts, 0, sizeof(*texts));
}

/* As a shell takes it for one word, whatever is in it. */
static char *
quote(const char *text, struct bkp_error *err)
{
	char *quoted = bkp_alloc(4 * strlen(text) + 3, err), *to = quoted;

	if (quoted == NULL)
		return NULL;
	*to++ = '\'';
	for (; *text != '\0'; text++)
		if (*text == '\'') {
			memcpy(to, "'\\''", 4);
			to += 4;
		} else {
			*to++ = *text;
		}
	memcpy(to, "'", 2);
	return quoted;
}

/* The line may be run elsewhere, so that the file has its whole name. */
int
bkp_guard_add_resume(struct guard *guard, struct bkp_error *err)
{
	const char *arguments = bkp_guard_text(guard, "arguments");
	const char *space = arguments[0] != '\0' ? " " : "";
	char *whole, *quoted;
	int rc = -1;

	if (guard->options->journal == NULL)
		return bkp_guard_add_text(&guard->lines, err,
		    "backup-guard %s%s--resume", arguments, space);
	whole = realpath(guard->journal, NULL);
	quoted = quote(whole != NULL ? whole : guard->journal, err);
	if (quoted != NULL)
		rc = bkp_guard_add_text(&guard->lines, err,
		    "backup-guard %s%s--resume --journal %s", arguments, space,
		    quoted);
	free(quoted);
	free(whole);
	return rc;
}

/* ---- to go back later ---- */

static const char *
kind_of(const json_t *source)
{
	return json_string_value(json_object_get(source, "kind"));
}

/* Puts it behind what there is. */
static int
extend(char **text, const char *between, char *more, struct bkp_error *err)
{
	char *whole = NULL;

	if (more != NULL)
		whole = bkp_format(err, "%s%s%s", *text != NULL ? *text : "",
		    *text != NULL ? between : "", more);
	free(more);
	free(*text);
	*text = whole;
	return whole != NULL ? 0 : -1;
}

/* What may lack something ends with exit status 3, and so does what has lost
 * something: who runs the line is told to look. Takes it. */
static char *
tolerate(char *line, struct bkp_error *err)
{
	char *whole = NULL;

	if (line != NULL)
		whole = bkp_format(err,
		    "{ %s ||\n        { [ $? -eq 3 ] && echo 'not whole: look "
		    "at what was named above, which may be more than was "
		    "allowed' >&2; }; }",
		    line);
	free(line);
	return whole;
}

enum copies {
	COPY_ALL,     /* what is replaced */
	COPY_WHOLE,   /* what is deleted next if the way back has it not */
	COPY_IN_PART, /* the rest of it: it may lack what the way back lacks */
};

static bool
is_copied(const json_t *source, enum copies which)
{
	bool is_bucket = strcmp(kind_of(source), "bucket") == 0;
	bool has_others =
	    is_bucket && bkp_guard_lacks(source, GUARD_LACKS) == 0;

	if (!is_bucket && strcmp(kind_of(source), "files") != 0)
		return false;
	return which == COPY_ALL || has_others == (which == COPY_WHOLE);
}

/* The names of sources: " files/app bucket/uploads". */
static int
add_names(const struct guard *guard, enum copies which, char **text,
    struct bkp_error *err)
{
	const json_t *sources = json_object_get(guard->state, "sources");

	for (size_t i = 0; i < json_array_size(sources); i++) {
		const json_t *source = json_array_get(sources, i);
		const char *path =
		    json_string_value(json_object_get(source, "path"));

		if (is_copied(source, which) &&
		    extend(text, "", bkp_format(err, " %s", path), err) < 0)
			return -1;
	}
	return 0;
}

static int
add_copy_of(const struct guard *guard, enum copies which, char **text,
    struct bkp_error *err)
{
	const char *arguments = bkp_guard_text(guard, "arguments");
	char *line, *names = NULL;

	if (add_names(guard, which, &names, err) < 0)
		return -1;
	if (names == NULL)
		return 0;
	line = bkp_format(err, "backup-create %s%s--tag guard-failed%s",
	    arguments, arguments[0] != '\0' ? " " : "", names);
	free(names);
	return extend(text, " &&\n    ",
	    which == COPY_IN_PART ? tolerate(line, err) : line, err);
}

/* What the next ones replace and delete is kept first. Of buckets, whose new
 * objects are deleted, the copy has to be whole in any case. */
static int
add_copy(const struct guard *guard, char **text, struct bkp_error *err)
{
	if (!bkp_guard_flag(guard, "may_lack"))
		return add_copy_of(guard, COPY_ALL, text, err);
	return add_copy_of(guard, COPY_IN_PART, text, err) < 0
		   ? -1
		   : add_copy_of(guard, COPY_WHOLE, text, err);
}

/* "--no-owner --skip-refused ", or nothing. */
static char *
make_profile(const struct guard *guard, bool is_database, struct bkp_error *err)
{
	const char *role = bkp_guard_text(guard, "role");
	char *quoted, *text = NULL;

	if (!is_database)
		return bkp_strdup("", err);
	if ((quoted = quote(role, err)) == NULL)
		return NULL;
	text = bkp_format(err, "%s%s%s%s%s%s", role[0] != '\0' ? "--role " : "",
	    role[0] != '\0' ? quoted : "", role[0] != '\0' ? " " : "",
	    bkp_guard_flag(guard, "no_owner") ? "--no-owner " : "",
	    bkp_guard_flag(guard, "no_privileges") ? "--no-privileges " : "",
	    bkp_guard_flag(guard, "skip_refused") ? "--skip-refused " : "");
	free(quoted);
	return text;
}

/* The paths of sources are plain words. */
static int
add_restore(const struct guard *guard, const json_t *source, char **text,
    struct bkp_error *err)
{
	const char *path = json_string_value(json_object_get(source, "path"));
	const char *kind = kind_of(source);
	const char *arguments = bkp_guard_text(guard, "arguments");
	bool is_database = strcmp(kind, "postgres") == 0;
	bool may_lack = bkp_guard_flag(guard, "may_lack") ||
			(is_database && bkp_guard_flag(guard, "skip_refused"));
	const char *how = is_database ? "--swap "
			  : is_copied(source, COPY_WHOLE)
			      ? "--overwrite --delete "
			  : is_copied(source, COPY_ALL) ? "--overwrite "
							: "";
	char *profile = make_profile(guard, is_database, err);
	char *line = NULL;

	if (profile != NULL)
		line = bkp_format(err, "backup-restore %s%s%s%s%s %s",
		    arguments, arguments[0] != '\0' ? " " : "", how, profile,
		    bkp_guard_text(guard, "snapshot"), path);
	free(profile);
	return extend(
	    text, " &&\n    ", may_lack ? tolerate(line, err) : line, err);
}

/* One command for a shell, of many lines: where one fails, none that comes
 * behind it is run. */
static int
add_way(struct guard *guard, struct bkp_error *err)
{
	const json_t *sources = json_object_get(guard->state, "sources");
	char *text = NULL;
	int rc = add_copy(guard, &text, err);

	for (size_t i = 0; rc == 0 && i < json_array_size(sources); i++)
		rc = add_restore(guard, json_array_get(sources, i), &text, err);
	if (rc == 0)
		rc = bkp_guard_add_text(
		    &guard->lines, err, "%s", text != NULL ? text : "true");
	free(text);
	return rc;
}

int
bkp_guard_add_lines(struct guard *guard, struct bkp_error *err)
{
	const char *stop = bkp_guard_text(guard, "stop");
	const char *start = bkp_guard_text(guard, "start");

	if (stop[0] != '\0' &&
	    bkp_guard_add_text(&guard->lines, err, "%s", stop) < 0)
		return -1;
	if (add_way(guard, err) < 0)
		return -1;
	return start[0] != '\0'
		   ? bkp_guard_add_text(&guard->lines, err, "%s", start)
		   : 0;
}
