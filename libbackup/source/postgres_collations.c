/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which order of texts will be another one on the server that a database is
 * restored into. Indexes are built anew in it; what was put into ranges, or
 * tried by a check, was so in the order before.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/collations.h"
#include "libbackup/source/postgres_target.h"

/* More of them do not help anybody. */
#define RANGES_NAMED 5

static const char *
text_of(const json_t *item, const char *key)
{
	return json_string_value(json_object_get(item, key));
}

static const char *
library(const json_t *item)
{
	const char *provider = text_of(item, "provider");

	switch (provider != NULL ? provider[0] : '\0') {
	case 'c':
		return "libc";
	case 'i':
		return "ICU";
	default:
		return "its library";
	}
}

/* The tables whose partitions are ranges in this order; "" where there are
 * none. NULL where memory is short. */
static char *
name_ranges(const json_t *item, struct bkp_error *err)
{
	const json_t *ranges = json_object_get(item, "ranges");
	size_t count = json_array_size(ranges);
	struct fmt_buf names = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	char *text = NULL;

	for (size_t i = 0; status == FMT_OK && i < count && i < RANGES_NAMED;
	     i++) {
		const char *name = json_string_value(json_array_get(ranges, i));

		status = fmt_buf_printf(&names, "%s%s", i > 0 ? ", " : " (",
		    name != NULL ? name : "?");
	}
	if (status == FMT_OK && count > RANGES_NAMED)
		status = fmt_buf_printf(
		    &names, " and %zu more", count - RANGES_NAMED);
	if (status == FMT_OK && count > 0)
		status = fmt_buf_append_text(&names, ")");
	if (status == FMT_OK && fmt_buf_text(&names) != NULL)
		text = bkp_strdup(fmt_buf_text(&names), err);
	else
		(void)bkp_fail_nomem(err, "looking at collations");
	fmt_buf_free(&names);
	return text;
}

/* Without its locale, which was not recorded in early days, it may be here and
 * not be found. */
static bool
is_other(const json_t *item, const char *here)
{
	if (here == NULL)
		return text_of(item, "locale") != NULL;
	return strcmp(text_of(item, "actual"), here) != 0;
}

/* A library that was changed under the server may have left rows where even
 * the same one would not put them today. */
static int
tell(const struct bkp_pg_target_database *database, struct bkp_run *run,
    const json_t *item, const char *here, struct bkp_error *err)
{
	const char *made = text_of(item, "version");
	const char *was = text_of(item, "actual");
	const char *name = text_of(item, "name");
	bool is_stale = made != NULL && strcmp(made, was) != 0;
	char *ranges;

	if (!is_stale && !is_other(item, here))
		return 0;
	if ((ranges = name_ranges(item, err)) == NULL)
		return -1;
	bkp_run_message(run, BKP_WARNING, database->path,
	    "collation %s was that of %s %s%s%s, and %s%s here: texts may come "
	    "in another order. Indexes are built anew and are right; rows that "
	    "no longer fit a range of a partitioned table%s go into another; "
	    "those that no longer fit a check that compares texts make the "
	    "restore fail",
	    name != NULL ? name : "?", library(item), was,
	    is_stale ? ", with data from when it was " : "",
	    is_stale ? made : "", here != NULL ? "is " : "no version is known",
	    here != NULL ? here : "", ranges);
	free(ranges);
	return 0;
}

static const json_t *
recorded_of(
    struct bkp_supply *supply, const struct bkp_pg_target_database *database)
{
	const json_t *list =
	    json_object_get(bkp_supply_info(supply), "databases");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *path = text_of(item, "path");

		if (path != NULL && strcmp(path, database->path) == 0)
			return json_object_get(item, "collations");
	}
	return NULL;
}

int
bkp_pg_target_collations(struct bkp_supply *supply, struct bkp_pg *pg,
    const struct bkp_pg_target_database *database, struct bkp_error *err)
{
	const json_t *recorded = recorded_of(supply, database);
	json_t *found = NULL;
	int rc = 0;

	/* A snapshot of early days has none. */
	if (!json_is_array(recorded))
		return 0;
	if (bkp_pg_find_collations(pg, recorded, &found, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < json_array_size(recorded); i++) {
		const json_t *item = json_array_get(recorded, i);

		if (text_of(item, "actual") != NULL)
			rc = tell(database, bkp_supply_run(supply), item,
			    text_of(json_array_get(found, i), "actual"), err);
	}
	json_decref(found);
	return rc;
}
