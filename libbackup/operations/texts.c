/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/content.h"

struct text {
	char *path;
	struct fmt_buf content;
};

struct bkp_texts {
	pthread_mutex_t lock;
	struct text *items; /* few at a time: those between worker and done */
	size_t count, cap;
};

int
bkp_texts_new(struct bkp_texts **out, struct bkp_error *err)
{
	struct bkp_texts *texts = bkp_alloc(sizeof(*texts), err);

	if (texts == NULL)
		return -1;
	pthread_mutex_init(&texts->lock, NULL);
	*out = texts;
	return 0;
}

void
bkp_texts_free(struct bkp_texts *texts)
{
	if (texts == NULL)
		return;
	for (size_t i = 0; i < texts->count; i++) {
		free(texts->items[i].path);
		fmt_buf_free(&texts->items[i].content);
	}
	free(texts->items);
	pthread_mutex_destroy(&texts->lock);
	free(texts);
}

int
bkp_texts_add(struct bkp_texts *texts, const char *path, struct fmt_buf *text,
    struct bkp_error *err)
{
	const struct fmt_buf empty = FMT_BUF_INIT;
	char *copy = bkp_strdup(path, err);
	int rc;

	if (copy == NULL)
		return -1;
	pthread_mutex_lock(&texts->lock);
	rc = bkp_grow(&texts->items, texts->count, &texts->cap,
	    sizeof(*texts->items), err);
	if (rc == 0) {
		texts->items[texts->count].path = copy;
		texts->items[texts->count].content = *text;
		texts->count++;
		*text = empty;
		copy = NULL;
	}
	pthread_mutex_unlock(&texts->lock);
	free(copy);
	return rc;
}

bool
bkp_texts_take(struct bkp_texts *texts, const char *path, struct fmt_buf *out)
{
	bool is_found = false;

	pthread_mutex_lock(&texts->lock);
	for (size_t i = 0; i < texts->count && !is_found; i++) {
		if (strcmp(texts->items[i].path, path) != 0)
			continue;
		is_found = true;
		*out = texts->items[i].content;
		free(texts->items[i].path);
		texts->items[i] = texts->items[--texts->count];
	}
	pthread_mutex_unlock(&texts->lock);
	return is_found;
}
