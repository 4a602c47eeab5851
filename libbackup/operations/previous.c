/* SPDX-License-Identifier: Apache-2.0 */
/* What was there before: by it a source reads what has changed alone. */
#include <string.h>

#include "libbackup/operations/sink.h"

static bool
has_source(const struct bkp_snapshot *snapshot, const char *prefix)
{
	for (size_t i = 0; i < snapshot->source_count; i++)
		if (strcmp(snapshot->sources[i].prefix, prefix) == 0)
			return true;
	return false;
}

int
bkp_previous_find(struct bkp_repository *repository,
    const struct bkp_snapshot_list *list, const char *prefix,
    struct fmt_snapshot *snapshot, const char **name, struct bkp_previous *out,
    struct bkp_error *err)
{
	size_t i = list->count;

	while (i > 0 && !has_source(&list->items[i - 1], prefix))
		i--;
	if (i == 0)
		return 0;
	*name = list->items[i - 1].name;
	if (bkp_repository_snapshot(repository, *name, snapshot, err) < 0)
		return -1;
	for (size_t k = 0; k < snapshot->source_count; k++) {
		const struct fmt_snapshot_source *source =
		    &snapshot->sources[k];

		if (strcmp(source->prefix, prefix) != 0)
			continue;
		out->repository = repository;
		out->list = source->list;
		out->list_count = source->list_count;
	}
	return 0;
}
