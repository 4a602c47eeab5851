/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/restore_left.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"

int
bkp_restore_turn(enum bkp_source_kind kind)
{
	switch (kind) {
	case BKP_KIND_COMMAND:
		return BKP_TURN_LAST;
	case BKP_KIND_POSTGRES:
		return 1;
	case BKP_KIND_BUCKET:
	case BKP_KIND_FILES:
		break;
	}
	return 0;
}

struct left {
	struct bkp_restore_left *items;
	char **texts; /* owned: three for each of the items */
	size_t count;
};

static void
free_left(struct left *left)
{
	if (left == NULL)
		return;
	for (size_t i = 0; i < 3 * left->count; i++)
		free(left->texts[i]);
	free(left->texts);
	free(left->items);
	free(left);
}

void
bkp_restore_result_free(struct bkp_restore_result *result)
{
	free_left(result->memory);
	memset(result, 0, sizeof(*result));
}

/* What takes its output back, as the configuration of this machine says. */
static const char *
program_of(
    const struct bkp_config *config, const struct fmt_snapshot_source *source)
{
	const struct bkp_source_config *its =
	    bkp_opened_config(config, source->prefix);

	if (its == NULL || its->kind != BKP_KIND_COMMAND ||
	    its->command.restore.count == 0)
		return NULL;
	return its->command.restore.items[0];
}

static bool
is_held(const struct bkp_opened *opened, const char *prefix)
{
	const struct bkp_archive *archive = opened->repository->archive;
	const char *part =
	    archive != NULL ? bkp_archive_manifest(archive)->path : "";

	return part[0] == '\0' || bkp_path_is_within(prefix, part);
}

static int
add(struct left *left, const struct fmt_snapshot_source *source,
    const char *program, bool has_failed, struct bkp_error *err)
{
	const char *output =
	    json_string_value(json_object_get(source->info, "output"));
	char **texts = &left->texts[3 * left->count];

	left->count++;
	texts[0] = bkp_strdup(source->prefix, err);
	texts[1] = bkp_format(err, "%s%s%s", source->prefix,
	    output != NULL ? "/" : "", output != NULL ? output : "");
	texts[2] = bkp_strdup(program, err);
	if (texts[0] == NULL || texts[1] == NULL || texts[2] == NULL)
		return -1;
	left->items[left->count - 1] =
	    (struct bkp_restore_left){.source = texts[0],
		.output = texts[1],
		.program = texts[2],
		.has_failed = has_failed};
	return 0;
}

int
bkp_restore_find_left(const struct bkp_opened *opened,
    const struct bkp_config *config, const enum bkp_left *states,
    struct bkp_restore_result *result, struct bkp_error *err)
{
	const struct fmt_snapshot *snapshot = &opened->snapshot;
	struct left *left = bkp_alloc(sizeof(*left), err);

	if (left == NULL)
		return -1;
	left->items =
	    bkp_alloc_array(snapshot->source_count, sizeof(*left->items), err);
	left->texts = bkp_alloc_array(
	    3 * snapshot->source_count, sizeof(*left->texts), err);
	if (left->items == NULL || left->texts == NULL)
		goto failed;
	for (size_t i = 0; i < snapshot->source_count; i++) {
		const struct fmt_snapshot_source *source =
		    &snapshot->sources[i];
		const char *program = program_of(config, source);

		if (states[i] != BKP_LEFT_NOTHING && program != NULL &&
		    strcmp(source->kind, "command") == 0 &&
		    is_held(opened, source->prefix) &&
		    add(left, source, program, states[i] == BKP_LEFT_FAILED,
			err) < 0)
			goto failed;
	}
	result->left = left->items;
	result->left_count = left->count;
	result->memory = left;
	return 0;
failed:
	free_left(left);
	return -1;
}
