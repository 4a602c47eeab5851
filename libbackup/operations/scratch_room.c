/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a restore has room, asked before it begins: one that fills the file
 * system of a server that others live on is worse than none.
 */
#include <stdio.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/operations/scratch.h"
#include "libbackup/source/bucket_folder.h"

#define MIB ((uint64_t)1024 * 1024)

/* A cluster with nothing in it, and the most of a log that a restore writes
 * before it is used again (max_wal_size of a scratch server). */
#define CLUSTER (64 * MIB)
#define LOG_MOST (1024 * MIB)

/* Where the backup did not record how large the databases were: rows are not
 * often smaller in a table than in a backup, and have indexes. */
#define GUESS 2

#define FILE_BLOCK 4096u

uint64_t
bkp_scratch_recorded(const struct bkp_chosen *chosen)
{
	const json_t *list = json_object_get(chosen->source->info, "databases");
	uint64_t sum = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *facts = json_array_get(list, i);
		const char *path =
		    json_string_value(json_object_get(facts, "path"));
		json_int_t bytes =
		    json_integer_value(json_object_get(facts, "bytes"));

		if (path == NULL)
			continue;
		if (!bkp_path_is_within(path, chosen->selection)) {
			/* Rows of a table are less than their database. */
			if (bkp_path_is_within(chosen->selection, path))
				return 0;
			continue;
		}
		if (bytes <= 0)
			return 0;
		sum += (uint64_t)bytes;
	}
	return sum;
}

static uint64_t
need_of_databases(
    const struct bkp_chosen *chosen, const struct bkp_amount *amount)
{
	uint64_t bytes = bkp_scratch_recorded(chosen);

	if (bytes == 0)
		bytes = amount->bytes * GUESS;
	return CLUSTER + bytes + (bytes < LOG_MOST ? bytes : LOG_MOST);
}

uint64_t
bkp_scratch_need(
    const struct bkp_chosen *chosen, const struct bkp_amount *amount)
{
	switch (chosen->kind->kind) {
	case BKP_KIND_POSTGRES:
		return need_of_databases(chosen, amount);
	case BKP_KIND_FILES:
		return amount->bytes + amount->entries * FILE_BLOCK;
	case BKP_KIND_BUCKET:
		if (chosen->kind == &bkp_kind_bucket_folder)
			return amount->bytes + amount->entries * FILE_BLOCK;
		break;
	case BKP_KIND_COMMAND:
		break;
	}
	return 0;
}

/* "12.3 GB" */
static const char *
tell_size(uint64_t bytes, char text[32])
{
	static const char *const units[] = {"MB", "GB", "TB", "PB"};
	double value = (double)bytes / 1e6;
	size_t unit = 0;

	while (value >= 1000 && unit < 3) {
		value /= 1000;
		unit++;
	}
	(void)snprintf(text, 32, "%.1f %s", value, units[unit]);
	return text;
}

int
bkp_scratch_check_room(const struct bkp_chosen *chosen,
    const struct bkp_amount *amount, const char *directory,
    struct bkp_error *err)
{
	uint64_t need = bkp_scratch_need(chosen, amount);
	uint64_t room = bkp_place_room(directory);
	char a[32], b[32];

	if (need <= room)
		return 0;
	return bkp_fail(err, BKP_IO,
	    "%s takes about %s in a scratch place, and %s has room for %s: "
	    "--scratch-directory names a folder that has more",
	    chosen->selection, tell_size(need, a), directory,
	    tell_size(room, b));
}

bool
bkp_scratch_is_in_folder(
    const struct bkp_chosen *chosen, const struct bkp_scratch_choice *choice)
{
	return chosen->kind->kind != BKP_KIND_POSTGRES ||
	       choice->server == NULL;
}

int
bkp_scratch_check_all(const struct bkp_opened *opened,
    const struct bkp_scratch_choice *choice, const char *directory,
    struct bkp_error *err)
{
	for (size_t i = 0; i < opened->chosen_count; i++) {
		const struct bkp_chosen *chosen = &opened->chosen[i];
		const struct bkp_amount amount = {
		    chosen->source->entries, chosen->source->bytes};

		/* A part is alone, and counted when its turn comes. */
		if (bkp_scratch_is_in_folder(chosen, choice) &&
		    strcmp(chosen->selection, chosen->source->prefix) == 0 &&
		    bkp_scratch_check_room(chosen, &amount, directory, err) < 0)
			return -1;
	}
	return 0;
}
