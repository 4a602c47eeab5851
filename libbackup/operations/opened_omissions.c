/* SPDX-License-Identifier: Apache-2.0 */
/* What was left out when a backup was made: there may be as many as there are
 * objects, so they are searched in order. */
#include <stdlib.h>
#include <string.h>

#include "formats/entry.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"

static int
compare_omitted(const void *a, const void *b)
{
	const struct bkp_omitted *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order != 0 ? order : strcmp(x->reason, y->reason);
}

int
bkp_opened_read_omissions(struct bkp_opened *opened, struct bkp_error *err)
{
	size_t all = json_array_size(opened->snapshot.omissions);
	size_t count = 0;

	free(opened->omitted);
	free(opened->sorted);
	opened->omitted_count = 0;
	opened->sorted = NULL;
	opened->omitted = bkp_alloc_array(all, sizeof(*opened->omitted), err);
	opened->sorted = bkp_alloc_array(all, sizeof(*opened->sorted), err);
	if (opened->omitted == NULL || opened->sorted == NULL)
		return -1;
	for (size_t i = 0; i < all; i++) {
		const char *why, *text = bkp_opened_recorded(opened, i, &why);

		if (text != NULL && bkp_opened_has_chosen(opened, text))
			opened->omitted[count++] =
			    (struct bkp_omitted){text, why};
	}
	opened->omitted_count = count;
	if (count == 0)
		return 0;
	memcpy(opened->sorted, opened->omitted,
	    count * sizeof(struct bkp_omitted));
	qsort(opened->sorted, count, sizeof(*opened->sorted), compare_omitted);
	return 0;
}

const struct bkp_omitted *
bkp_opened_omissions(const struct bkp_opened *opened, size_t *count)
{
	*count = opened->omitted_count;
	return opened->omitted;
}

/* Where the first is that is not before this text. */
static size_t
seek_omission(const struct bkp_opened *opened, const char *text)
{
	size_t from = 0, to = opened->omitted_count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (strcmp(opened->sorted[middle].path, text) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Those whose paths are, or begin with, the path and what is behind it. */
static int
find_left_out(const struct bkp_opened *opened, const char *path,
    const char *behind, const struct bkp_omitted **out, size_t *count,
    struct bkp_error *err)
{
	struct fmt_buf escaped = FMT_BUF_INIT;
	const char *text = NULL;
	size_t len, first, last;

	if (fmt_path_escape(path, &escaped) == FMT_OK &&
	    fmt_buf_append_text(&escaped, behind) == FMT_OK)
		text = fmt_buf_text(&escaped);
	if (text == NULL) {
		fmt_buf_free(&escaped);
		return bkp_fail_nomem(err, "looking for what was left out");
	}
	len = strlen(text) + (behind[0] == '\0' ? 1 : 0);
	first = last = seek_omission(opened, text);
	while (last < opened->omitted_count &&
	       strncmp(opened->sorted[last].path, text, len) == 0)
		last++;
	*out = last > first ? &opened->sorted[first] : NULL;
	*count = last - first;
	fmt_buf_free(&escaped);
	return 0;
}

int
bkp_opened_left_out(const struct bkp_opened *opened, const char *path,
    const struct bkp_omitted **out, size_t *count, struct bkp_error *err)
{
	return find_left_out(opened, path, "", out, count, err);
}

int
bkp_opened_left_out_below(const struct bkp_opened *opened, const char *path,
    const struct bkp_omitted **out, size_t *count, struct bkp_error *err)
{
	return find_left_out(opened, path, "/", out, count, err);
}
