/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_PATH_H
#define FORMATS_PATH_H

/* Paths as the formats written as JSON keep them; what others need of it is in
 * formats/entry.h. */

#include <jansson.h>

#include "formats/buf.h"
#include "formats/status.h"

/* Appends the escaped path between quotes, ready to be JSON. */
enum fmt_status fmt_path_append_json(const char *path, struct fmt_buf *out);

/* The path that is escaped in `text`; *out is new memory, the caller's.
 * FMT_MALFORMED where it is empty or not well escaped. */
enum fmt_status fmt_path_from_text(const char *text, size_t len, char **out);

/* The path that a JSON string holds; *out is new memory, the caller's.
 * FMT_MALFORMED where it is no string, is empty or not well escaped. */
enum fmt_status fmt_path_from_json(const json_t *value, char **out);

/* The same at `key`, and it may be empty. */
enum fmt_status fmt_path_get(const json_t *object, const char *key, char **out);

/* The string that stands for a path; NULL where memory is short. */
json_t *fmt_path_to_json(const char *path);

#endif
