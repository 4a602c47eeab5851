/* SPDX-License-Identifier: Apache-2.0 */
/* Names of an archive's members. */
#include "formats/archive.h"

#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"

/* A component of a name has no more bytes; a file system takes 255. */
#define COMPONENT 250

/* Stands for nothing: a component goes on behind it. */
#define BREAK "%/"

struct fmt_archive_names {
	char **items; /* owned: paths without members below them; each begins
			 with the one before it */
	size_t count, cap;
};

enum fmt_status
fmt_archive_names_new(struct fmt_archive_names **out)
{
	struct fmt_archive_names *names = calloc(1, sizeof(*names));

	if (names == NULL)
		return FMT_NOMEM;
	*out = names;
	return FMT_OK;
}

void
fmt_archive_names_free(struct fmt_archive_names *names)
{
	if (names == NULL)
		return;
	while (names->count > 0)
		free(names->items[--names->count]);
	free(names->items);
	free(names);
}

/* ---- one name ---- */

/* Appends one piece of an escaped text that must not be torn: a character or
 * "%XX". *used: bytes of the component so far. */
static enum fmt_status
append_piece(const char *piece, size_t len, size_t *used, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	if (*used + len > COMPONENT) {
		status = fmt_buf_append_text(out, BREAK);
		*used = 0;
		/* What follows must not be "." or "..". */
		if (piece[0] == '.') {
			piece = "%2E";
			len = 3;
		}
	}
	*used += len;
	return status == FMT_OK ? fmt_buf_append(out, piece, len) : status;
}

/* How many bytes of escaped text belong together. */
static size_t
piece_length(const char *text, size_t len)
{
	size_t n = 1;

	if (text[0] == '%')
		return len < 3 ? len : 3;
	while (n < len && ((unsigned char)text[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* Appends the escaped component [text, text + len). */
static enum fmt_status
append_component(
    const char *text, size_t len, size_t *used, struct fmt_buf *out)
{
	enum fmt_status status = FMT_OK;

	for (size_t n; len > 0 && status == FMT_OK; text += n, len -= n) {
		n = piece_length(text, len);
		status = append_piece(text, n, used, out);
	}
	return status;
}

/* "." and ".." mean something to a file system. */
static bool
is_dots(const char *text, size_t len)
{
	return (len == 1 && text[0] == '.') ||
	       (len == 2 && text[0] == '.' && text[1] == '.');
}

static enum fmt_status
append_dots(size_t len, size_t *used, struct fmt_buf *out)
{
	return append_component("%2E%2E", 3 * len, used, out);
}

/* True where the first `len` bytes of path are one of those below which no
 * member can be. */
static bool
is_leaf(const struct fmt_archive_names *names, size_t len)
{
	for (size_t i = 0; names != NULL && i < names->count; i++)
		if (strlen(names->items[i]) == len)
			return true;
	return false;
}

static enum fmt_status
escape_component(const char *path, size_t len, struct fmt_buf *escaped)
{
	char *component = strndup(path, len);
	enum fmt_status status;

	if (component == NULL)
		return FMT_NOMEM;
	fmt_buf_clear(escaped);
	status = fmt_path_escape(component, escaped);
	free(component);
	return status;
}

/* A slash that nothing stands before or behind, or that a leaf stands before,
 * is part of the name and no separator. */
static bool
is_separator(const struct fmt_archive_names *names, const char *path, size_t at)
{
	return at > 0 && path[at - 1] != '/' && path[at + 1] != '\0' &&
	       !is_leaf(names, at);
}

static enum fmt_status
append_name(const struct fmt_archive_names *names, const char *path,
    struct fmt_buf *out)
{
	struct fmt_buf escaped = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	size_t at = 0, used = 0;

	while (path[at] != '\0' && status == FMT_OK) {
		size_t len = strcspn(path + at, "/");

		if (len == 0) {
			if (!is_separator(names, path, at)) {
				status = append_piece("%2F", 3, &used, out);
			} else {
				status = fmt_buf_append_byte(out, '/');
				used = 0;
			}
			at++;
			continue;
		}
		status = escape_component(path + at, len, &escaped);
		if (status == FMT_OK && is_dots(path + at, len))
			status = append_dots(len, &used, out);
		else if (status == FMT_OK)
			status = append_component((const char *)escaped.data,
			    escaped.len, &used, out);
		at += len;
	}
	fmt_buf_free(&escaped);
	return status;
}

enum fmt_status
fmt_archive_name(const char *path, struct fmt_buf *out)
{
	size_t before = out->len;
	enum fmt_status status = append_name(NULL, path, out);

	if (status != FMT_OK)
		out->len = before;
	return status;
}

/* ---- names in order ---- */

/* Forgets what nothing can be below any more: in the order of paths, all that
 * begin with a path come one after another. */
static void
forget(struct fmt_archive_names *names, const char *path)
{
	while (names->count > 0) {
		const char *last = names->items[names->count - 1];

		if (strncmp(path, last, strlen(last)) == 0)
			return;
		free(names->items[--names->count]);
	}
}

static enum fmt_status
remember(struct fmt_archive_names *names, const char *path)
{
	if (names->count == names->cap) {
		size_t cap = names->cap > 0 ? 2 * names->cap : 8;
		char **items =
		    realloc(names->items, cap * sizeof(*names->items));

		if (items == NULL)
			return FMT_NOMEM;
		names->items = items;
		names->cap = cap;
	}
	names->items[names->count] = strdup(path);
	if (names->items[names->count] == NULL)
		return FMT_NOMEM;
	names->count++;
	return FMT_OK;
}

enum fmt_status
fmt_archive_names_next(struct fmt_archive_names *names, const char *path,
    bool is_folder, struct fmt_buf *out)
{
	size_t before = out->len;
	enum fmt_status status;

	forget(names, path);
	status = append_name(names, path, out);
	if (status == FMT_OK && !is_folder)
		status = remember(names, path);
	if (status != FMT_OK)
		out->len = before;
	return status;
}

/* ---- and back ---- */

enum fmt_status
fmt_archive_name_decode(const char *name, size_t len, struct fmt_buf *out)
{
	struct fmt_buf joined = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	size_t from = 0;

	for (size_t i = 0; i + 1 < len && status == FMT_OK; i++) {
		if (name[i] != '%' || name[i + 1] != '/')
			continue;
		status = fmt_buf_append(&joined, name + from, i - from);
		from = i + 2;
		i++;
	}
	if (status == FMT_OK)
		status = fmt_buf_append(&joined, name + from, len - from);
	if (status == FMT_OK)
		status = fmt_path_unescape(
		    (const char *)joined.data, joined.len, out);
	fmt_buf_free(&joined);
	return status;
}

/* A backslash is doubled, and one in front of the line says so. Line ends do
 * not occur in names. */
enum fmt_status
fmt_archive_sum(
    const unsigned char sha256[32], const char *name, struct fmt_buf *out)
{
	bool has_backslash = strchr(name, '\\') != NULL;
	size_t before = out->len;
	enum fmt_status status;
	char hex[65];

	fmt_hex(sha256, 32, hex);
	status = fmt_buf_printf(out, "%s%s  ", has_backslash ? "\\" : "", hex);
	for (; *name != '\0' && status == FMT_OK; name++) {
		if (*name == '\\')
			status = fmt_buf_append_byte(out, '\\');
		if (status == FMT_OK)
			status = fmt_buf_append_byte(out, (unsigned char)*name);
	}
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, '\n');
	if (status != FMT_OK)
		out->len = before;
	return status;
}
