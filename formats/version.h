/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_VERSION_H
#define FORMATS_VERSION_H

/*
 * The paths of older versions of objects (formats/version.md). They stand
 * beside the current ones, where no key can be: the name of a source has no
 * '@'. In the order of their bytes come the keys as they are listed, and of
 * each key the oldest version first.
 */

#include <stdbool.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

/* What all of them begin with, and what those of one key begin with, below a
 * source's prefix ("bucket/uploads"). Appended to `out`. */
enum fmt_status fmt_version_root(const char *prefix, struct fmt_buf *out);
enum fmt_status fmt_version_group(
    const char *prefix, const char *key, struct fmt_buf *out);

/* What the paths of all versions begin with of the keys that a selection takes
 * in: `key` itself, those below it by component, or, where it ends in '/' or is
 * "", those that begin with it. Appended to `out`. And whether a path is of one
 * of them; both may have been escaped alike (path.h). */
enum fmt_status fmt_version_selection(
    const char *prefix, const char *key, struct fmt_buf *out);
bool fmt_version_is_selected(const char *path, const char *selection);

/* The whole path; us: microseconds since 1970, in the years 1970 to 9999. */
enum fmt_status fmt_version_path(
    const char *prefix, const char *key, int64_t us, struct fmt_buf *out);

/* True where a path begins with the root. */
bool fmt_version_is_path(const char *prefix, const char *path);

/* Appends the key of a path; FMT_MALFORMED where it is none of a version. */
enum fmt_status fmt_version_key(
    const char *prefix, const char *path, struct fmt_buf *key);

#endif
