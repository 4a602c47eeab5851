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

/* The paths of sources are plain words. */
static int
add_restore(struct guard *guard, const json_t *source, struct bkp_error *err)
{
	const char *path = json_string_value(json_object_get(source, "path"));
	const char *kind = json_string_value(json_object_get(source, "kind"));
	const char *arguments = bkp_guard_text(guard, "arguments");
	const char *how = strcmp(kind, "postgres") == 0 ? "--swap "
			  : strcmp(kind, "bucket") == 0
			      ? "--overwrite --delete "
			  : strcmp(kind, "files") == 0 ? "--overwrite "
						       : "";

	return bkp_guard_add_text(&guard->lines, err,
	    "backup-restore %s%s%s%s %s", arguments,
	    arguments[0] != '\0' ? " " : "", how,
	    bkp_guard_text(guard, "snapshot"), path);
}

int
bkp_guard_add_lines(struct guard *guard, struct bkp_error *err)
{
	const json_t *sources = json_object_get(guard->state, "sources");
	const char *stop = bkp_guard_text(guard, "stop");
	const char *start = bkp_guard_text(guard, "start");

	if (stop[0] != '\0' &&
	    bkp_guard_add_text(&guard->lines, err, "%s", stop) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(sources); i++)
		if (add_restore(guard, json_array_get(sources, i), err) < 0)
			return -1;
	return start[0] != '\0'
		   ? bkp_guard_add_text(&guard->lines, err, "%s", start)
		   : 0;
}
