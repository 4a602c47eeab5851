/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/config_yaml.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"

#define FILE_MAX ((size_t)1024 * 1024)

unsigned
bkp_config_line(const yaml_node_t *node)
{
	return node != NULL ? (unsigned)node->start_mark.line + 1 : 1;
}

int
bkp_config_fail(const struct config_file *file, const yaml_node_t *node,
    struct bkp_error *err, const char *format, ...)
{
	char text[BKP_ERROR_MESSAGE];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return bkp_fail(err, BKP_INVALID, "%s:%u: %s", file->path,
	    bkp_config_line(node), text);
}

/* ---- loading ---- */

/* What libyaml found wrong, with the line it stands on. */
static int
fail_parse(const struct config_file *file, const yaml_parser_t *parser,
    struct bkp_error *err)
{
	const char *problem =
	    parser->problem != NULL ? parser->problem : "not YAML";

	if (parser->error == YAML_MEMORY_ERROR)
		return bkp_fail_nomem(err, "reading the configuration");
	if (parser->error == YAML_READER_ERROR)
		return bkp_fail(err, BKP_INVALID, "%s: %s (byte %zu)",
		    file->path, problem, parser->problem_offset);
	return bkp_fail(err, BKP_INVALID, "%s:%zu: %s%s%s", file->path,
	    parser->problem_mark.line + 1, problem,
	    parser->context != NULL ? " " : "",
	    parser->context != NULL ? parser->context : "");
}

/* libyaml's own buffers hold the text as well. */
static void
wipe_parser(yaml_parser_t *parser)
{
	if (parser->raw_buffer.start != NULL)
		OPENSSL_cleanse(parser->raw_buffer.start,
		    (size_t)(parser->raw_buffer.end -
			     parser->raw_buffer.start));
	if (parser->buffer.start != NULL)
		OPENSSL_cleanse(parser->buffer.start,
		    (size_t)(parser->buffer.end - parser->buffer.start));
	yaml_parser_delete(parser);
}

static void
wipe_document(yaml_document_t *document)
{
	for (yaml_node_t *node = document->nodes.start;
	     node < document->nodes.top; node++)
		if (node->type == YAML_SCALAR_NODE)
			OPENSSL_cleanse(
			    node->data.scalar.value, node->data.scalar.length);
	yaml_document_delete(document);
}

/* There is one document in the file and no more. */
static int
refuse_second_document(const struct config_file *file, yaml_parser_t *parser,
    struct bkp_error *err)
{
	yaml_document_t more;
	yaml_node_t *root;
	int rc = 0;

	if (!yaml_parser_load(parser, &more))
		return fail_parse(file, parser, err);
	root = yaml_document_get_root_node(&more);
	if (root != NULL)
		rc = bkp_config_fail(
		    file, root, err, "a second document begins here; keep one");
	wipe_document(&more);
	return rc;
}

int
bkp_config_file_parse(struct config_file *file, const void *data, size_t len,
    struct bkp_error *err)
{
	yaml_parser_t parser;
	int rc = -1;

	if (!yaml_parser_initialize(&parser))
		return bkp_fail_nomem(err, "reading the configuration");
	yaml_parser_set_input_string(&parser, data, len);
	if (!yaml_parser_load(&parser, &file->document)) {
		(void)fail_parse(file, &parser, err);
		goto out;
	}
	file->has_document = true;
	if (yaml_document_get_root_node(&file->document) != NULL &&
	    refuse_second_document(file, &parser, err) < 0)
		goto out;
	rc = 0;
out:
	wipe_parser(&parser);
	return rc;
}

static int
read_all(int fd, struct fmt_buf *out, struct bkp_error *err)
{
	ssize_t n;

	if (fmt_buf_reserve(out, FILE_MAX + 1) != FMT_OK)
		return bkp_fail_nomem(err, "reading the configuration");
	while (out->len <= FILE_MAX) {
		n = read(fd, out->data + out->len, FILE_MAX + 1 - out->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bkp_fail_errno(err, errno, "reading");
		if (n == 0)
			return 0;
		out->len += (size_t)n;
	}
	return bkp_fail(err, BKP_INVALID, "larger than 1 MiB");
}

static int
read_and_parse(struct config_file *file, int fd, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	struct stat st;
	int rc = -1;

	if (fstat(fd, &st) < 0) {
		(void)bkp_fail_errno(err, errno, "%s", file->path);
	} else if (S_ISDIR(st.st_mode)) {
		(void)bkp_fail(err, BKP_INVALID,
		    "%s is a folder, not a configuration file", file->path);
	} else if (read_all(fd, &text, err) < 0) {
		(void)bkp_fail_in(err, "%s", file->path);
	} else {
		file->is_private = (st.st_mode & 044) == 0;
		rc = bkp_config_file_parse(file, text.data, text.len, err);
	}
	fmt_buf_free(&text);
	return rc;
}

/* The folder that holds `path`, absolute. */
static char *
folder_of(const char *path, struct bkp_error *err)
{
	const char *slash = strrchr(path, '/');
	int len = slash != NULL ? (int)(slash - path) : 0;
	char *here, *folder;

	if (path[0] == '/')
		return bkp_format(err, "%.*s", len > 0 ? len : 1, path);
	if ((here = getcwd(NULL, 0)) == NULL) {
		(void)bkp_fail_errno(err, errno, "the current folder");
		return NULL;
	}
	folder = bkp_format(err, "%s/%.*s", here, len, path);
	free(here);
	return folder;
}

int
bkp_config_file_load(
    const char *path, struct config_file *out, struct bkp_error *err)
{
	struct config_file file;
	int fd, rc = -1;

	memset(&file, 0, sizeof(file));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return bkp_fail_errno(
		    err, errno, "opening the configuration %s", path);
	if ((file.path = bkp_strdup(path, err)) != NULL &&
	    (file.folder = folder_of(path, err)) != NULL)
		rc = read_and_parse(&file, fd, err);
	(void)close(fd);
	if (rc < 0)
		bkp_config_file_close(&file);
	else
		*out = file;
	return rc;
}

void
bkp_config_file_close(struct config_file *file)
{
	if (file->has_document)
		wipe_document(&file->document);
	file->has_document = false;
	free(file->path);
	free(file->folder);
	file->path = file->folder = NULL;
}

/* ---- values ---- */

bool
bkp_config_is_plain(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

const char *
bkp_config_scalar(const yaml_node_t *node)
{
	const char *text;

	if (node == NULL || node->type != YAML_SCALAR_NODE)
		return NULL;
	text = (const char *)node->data.scalar.value;
	if (strlen(text) != node->data.scalar.length)
		return NULL;
	if (bkp_config_is_plain(node) &&
	    (text[0] == '\0' || strcmp(text, "~") == 0 ||
		strcmp(text, "null") == 0))
		return NULL;
	return text;
}

static bool
is_variable_name(const char *text, size_t len)
{
	if (len == 0 || isdigit((unsigned char)text[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_')
			return false;
	return true;
}

/* Appends what stands for the variable between the braces [text, len). */
static int
expand_variable(const struct config_file *file, const yaml_node_t *node,
    const char *text, size_t len, struct fmt_buf *out, bool *has_literal,
    struct bkp_error *err)
{
	const char *dash = memmem(text, len, ":-", 2);
	size_t name_len = dash != NULL ? (size_t)(dash - text) : len;
	enum fmt_status status;
	const char *value;
	char *name;

	if (!is_variable_name(text, name_len))
		return bkp_config_fail(file, node, err,
		    "'${' begins a variable: ${NAME} or ${NAME:-default}; "
		    "write '$${' for the characters themselves");
	if ((name = strndup(text, name_len)) == NULL)
		return bkp_fail_nomem(err, "reading the configuration");
	value = getenv(name);
	if ((value == NULL || value[0] == '\0') && dash != NULL) {
		status = fmt_buf_append(out, dash + 2, len - name_len - 2);
		if (len - name_len > 2)
			*has_literal = true;
	} else if (value == NULL) {
		int rc = bkp_config_fail(file, node, err,
		    "the variable %s is not set; set it, or write "
		    "${%s:-default}",
		    name, name);

		free(name);
		return rc;
	} else {
		status = fmt_buf_append_text(out, value);
	}
	free(name);
	return status == FMT_OK
		   ? 0
		   : bkp_fail_nomem(err, "reading the configuration");
}

static int
expand_text(const struct config_file *file, const yaml_node_t *node,
    const char *text, struct fmt_buf *out, bool *has_literal,
    struct bkp_error *err)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "$");

		if (text[len] == '$' && text[len + 1] == '{') {
			const char *end = strchr(text + len, '}');

			*has_literal |= len > 0;
			if (fmt_buf_append(out, text, len) != FMT_OK)
				goto nomem;
			text += len + 2;
			if (end == NULL)
				return bkp_config_fail(file, node, err,
				    "'${' without its '}'; write '$${' for "
				    "the characters themselves");
			if (expand_variable(file, node, text,
				(size_t)(end - text), out, has_literal,
				err) < 0)
				return -1;
			text = end + 1;
			continue;
		}
		*has_literal = true;
		if (text[len] == '$') /* this one and not a second */
			len++;
		if (fmt_buf_append(out, text, len) != FMT_OK)
			goto nomem;
		text += len;
		if (len > 0 && text[-1] == '$' && text[0] == '$')
			text++;
	}
	return 0;
nomem:
	return bkp_fail_nomem(err, "reading the configuration");
}

int
bkp_config_expand(const struct config_file *file, const yaml_node_t *node,
    const char *key, char **out, bool *has_literal, struct bkp_error *err)
{
	const char *text = bkp_config_scalar(node);
	struct fmt_buf buf = FMT_BUF_SECRET_INIT;
	bool is_literal = false;
	int rc = -1;

	if (text == NULL)
		return bkp_config_fail(file, node, err, "'%s' needs a text%s",
		    key,
		    node->type == YAML_SCALAR_NODE ? "; it has no value"
						   : ", not a list or map");
	if (expand_text(file, node, text, &buf, &is_literal, err) < 0)
		goto out;
	if ((text = fmt_buf_text(&buf)) == NULL) {
		(void)bkp_fail_nomem(err, "reading the configuration");
		goto out;
	}
	if ((*out = bkp_strdup(text, err)) == NULL)
		goto out;
	if (has_literal != NULL)
		*has_literal = is_literal;
	rc = 0;
out:
	fmt_buf_free(&buf);
	return rc;
}

/* ---- paths ---- */

/* Takes out ".", ".." and empty components, in place. By their names alone: a
 * path may not exist yet. */
static void
tidy(char *path)
{
	char *to = path;
	const char *from = path;

	while (*from != '\0') {
		size_t len;

		while (*from == '/')
			from++;
		len = strcspn(from, "/");
		if (len == 2 && from[0] == '.' && from[1] == '.') {
			while (to > path && *--to != '/')
				;
		} else if (len > 0 && !(len == 1 && from[0] == '.')) {
			*to++ = '/';
			memmove(to, from, len);
			to += len;
		}
		from += len;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

static char *
home(struct bkp_error *err)
{
	const char *folder = getenv("HOME");
	char buffer[4096];
	struct passwd entry, *found = NULL;

	if (folder != NULL && folder[0] == '/')
		return bkp_strdup(folder, err);
	if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) == 0 &&
	    found != NULL)
		return bkp_strdup(found->pw_dir, err);
	(void)bkp_fail(
	    err, BKP_INVALID, "'~/' cannot be expanded: HOME is not set");
	return NULL;
}

char *
bkp_config_absolute(
    const struct config_file *file, const char *path, struct bkp_error *err)
{
	char *absolute = NULL, *folder;

	if (path[0] == '/') {
		absolute = bkp_strdup(path, err);
	} else if (path[0] == '~' && (path[1] == '/' || path[1] == '\0')) {
		if ((folder = home(err)) == NULL)
			return NULL;
		absolute = bkp_format(err, "%s/%s", folder, path + 1);
		free(folder);
	} else {
		absolute = bkp_format(err, "%s/%s", file->folder, path);
	}
	if (absolute != NULL)
		tidy(absolute);
	return absolute;
}

/* ---- misspelt keys ---- */

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The optimal string alignment distance, three rows at a time. */
size_t
bkp_config_distance(const char *a, const char *b)
{
	enum { MAX = 64 };
	size_t rows[3][MAX + 1] = {{0}};
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > MAX || b_len > MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3];
		const size_t *above = rows[(i + 2) % 3];
		const size_t *top = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = a[i - 1] != b[j - 1];

			row[j] = least(above[j - 1] + change,
			    least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], top[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}
