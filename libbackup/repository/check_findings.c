/* SPDX-License-Identifier: Apache-2.0 */
/* What a check has found, and whom it hurts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"

#define TEXT_MAX 1024
#define HURT_MAX 100000 /* that are named, of one finding */

int
bkp_finding_texts(const char *object, const char *text, char **object_copy,
    char **text_copy, struct bkp_error *err)
{
	char *first = bkp_strdup(object, err);
	char *second = first != NULL ? bkp_strdup(text, err) : NULL;

	if (second == NULL) {
		free(first);
		return -1;
	}
	*object_copy = first;
	*text_copy = second;
	return 0;
}

int
bkp_finding_add(struct bkp_finding_list *list, size_t *number,
    enum bkp_finding_level level, const char *kind, const char *object,
    struct bkp_error *err, const char *format, ...)
{
	struct bkp_finding_item item = {.level = level, .kind = kind};
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (bkp_grow(&list->items, list->count, &list->cap,
		sizeof(*list->items), err) < 0)
		return -1;
	if (bkp_finding_texts(object, text, &item.object, &item.text, err) < 0)
		return -1;
	list->items[list->count++] = item;
	if (number != NULL)
		*number = list->count;
	return 0;
}

int
bkp_finding_append(struct bkp_finding_list *list, size_t number,
    struct bkp_error *err, const char *format, ...)
{
	struct bkp_finding_item *item = &list->items[number - 1];
	char more[TEXT_MAX], *text;
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(more, sizeof(more), format, ap);
	va_end(ap);
	if ((text = bkp_format(err, "%s%s", item->text, more)) == NULL)
		return -1;
	free(item->text);
	item->text = text;
	return 0;
}

/* The list's own copy of a path; entries come one after another, so the last
 * one is most often the same. */
static const char *
keep_path(
    struct bkp_finding_list *list, const char *path, struct bkp_error *err)
{
	char *copy;

	if (list->path_count > 0 &&
	    strcmp(list->paths[list->path_count - 1], path) == 0)
		return list->paths[list->path_count - 1];
	if (bkp_grow(&list->paths, list->path_count, &list->path_cap,
		sizeof(*list->paths), err) < 0 ||
	    (copy = bkp_strdup(path, err)) == NULL)
		return NULL;
	list->paths[list->path_count++] = copy;
	return copy;
}

static const char *
keep_snapshot(
    struct bkp_finding_list *list, const char *name, struct bkp_error *err)
{
	char *copy;

	for (size_t i = list->snapshot_count; i > 0; i--) {
		if (strcmp(list->snapshots[i - 1], name) == 0)
			return list->snapshots[i - 1];
	}
	if (bkp_grow(&list->snapshots, list->snapshot_count,
		&list->snapshot_cap, sizeof(*list->snapshots), err) < 0 ||
	    (copy = bkp_strdup(name, err)) == NULL)
		return NULL;
	list->snapshots[list->snapshot_count++] = copy;
	return copy;
}

int
bkp_finding_hurt(struct bkp_finding_list *list, size_t number,
    const char *snapshot, const char *path, struct bkp_error *err)
{
	struct bkp_finding_item *item = &list->items[number - 1];
	const struct bkp_hurt *last =
	    item->hurt_count > 0 ? &item->hurt[item->hurt_count - 1] : NULL;
	const char *copy, *name;

	item->level = BKP_FINDING_DAMAGE;
	if (last != NULL && strcmp(last->snapshot, snapshot) == 0 &&
	    strcmp(last->path, path) == 0)
		return 0;
	if ((name = keep_snapshot(list, snapshot, err)) == NULL)
		return -1;
	if (item->hurt_count < HURT_MAX) {
		if (bkp_grow(&item->hurt, item->hurt_count, &item->hurt_cap,
			sizeof(*item->hurt), err) < 0 ||
		    (copy = keep_path(list, path, err)) == NULL)
			return -1;
		item->hurt[item->hurt_count++] = (struct bkp_hurt){name, copy};
	}
	item->hurt_total++;
	return 0;
}

void
bkp_finding_list_free(struct bkp_finding_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].object);
		free(list->items[i].text);
		free(list->items[i].hurt);
	}
	for (size_t i = 0; i < list->path_count; i++)
		free(list->paths[i]);
	for (size_t i = 0; i < list->snapshot_count; i++)
		free(list->snapshots[i]);
	free(list->items);
	free(list->snapshots);
	free(list->paths);
	*list = (struct bkp_finding_list){.items = NULL};
}
