/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extensions that a restore needs. Packages are installed by people, who are
 * told all that is missing at once, over all databases, before anything is
 * touched.
 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/postgres_target.h"

/* Which of some names the server has no extension of. */
static const char missing_sql[] =
    "SELECT x FROM pg_catalog.json_array_elements_text($1::json) AS x"
    " WHERE x NOT IN (SELECT name::text"
    "  FROM pg_catalog.pg_available_extensions)"
    " ORDER BY x COLLATE \"C\"";

struct missing {
	struct fmt_buf names; /* each once: "postgis 3.4.2, vector" */
	json_t *seen;         /* owned: an object, names are its keys */
};

static int
add(struct missing *missing, const struct bkp_pg_target_database *database,
    struct bkp_run *run, const char *name, struct bkp_error *err)
{
	const char *version = json_string_value(json_object_get(
	    json_object_get(database->versions, "extension_versions"), name));
	enum fmt_status status;

	bkp_run_message(run, BKP_WARNING, database->path,
	    "extension %s%s%s: the server does not have it", name,
	    version != NULL ? " " : "", version != NULL ? version : "");
	if (json_object_get(missing->seen, name) != NULL)
		return 0;
	if (json_object_set_new(missing->seen, name, json_true()) < 0)
		return bkp_fail_nomem(err, "looking at extensions");
	status = fmt_buf_printf(&missing->names, "%s%s%s%s",
	    missing->names.len > 0 ? ", " : "", name,
	    version != NULL ? " " : "", version != NULL ? version : "");
	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "looking at extensions");
}

static int
look_at(struct missing *missing, const struct bkp_pg_target_database *database,
    struct bkp_run *run, struct bkp_pg *pg, struct bkp_error *err)
{
	const json_t *list = json_object_get(database->facts, "extensions");
	char *text = json_dumps(list, JSON_COMPACT | JSON_ENCODE_ANY);
	const char *names = text;
	PGresult *result = NULL;
	int rc = 0;

	if (text == NULL)
		return bkp_fail_nomem(err, "looking at extensions");
	if (bkp_pg_query(pg, missing_sql, 1, &names, &result, err) < 0)
		rc = -1;
	for (int i = 0; rc == 0 && i < PQntuples(result); i++)
		rc = add(missing, database, run, PQgetvalue(result, i, 0), err);
	PQclear(result);
	free(text);
	return rc;
}

static int
refuse(struct missing *missing, struct bkp_error *err)
{
	size_t count = json_object_size(missing->seen);

	if (count == 0)
		return 0;
	if (fmt_buf_text(&missing->names) == NULL)
		return bkp_fail_nomem(err, "looking at extensions");
	return bkp_fail(err, BKP_UNSUPPORTED,
	    "the server does not have %zu extension%s that the backup uses: "
	    "%s. Nothing was touched: install the packages there and restore "
	    "again",
	    count, count > 1 ? "s" : "", (const char *)missing->names.data);
}

int
bkp_pg_target_extensions(struct bkp_pg_target *target,
    struct bkp_supply *supply, struct bkp_pg *pg, struct bkp_error *err)
{
	struct missing missing = {FMT_BUF_INIT, json_object()};
	int rc = 0;

	if (missing.seen == NULL)
		rc = bkp_fail_nomem(err, "looking at extensions");
	for (size_t i = 0; rc == 0 && i < target->database_count; i++) {
		const struct bkp_pg_target_database *database =
		    &target->databases[i];

		/* Which of them a part needs is seen when it is made. */
		if (database->choice == NULL &&
		    json_is_array(
			json_object_get(database->facts, "extensions")))
			rc = look_at(&missing, database, bkp_supply_run(supply),
			    pg, err);
	}
	if (rc == 0)
		rc = refuse(&missing, err);
	fmt_buf_free(&missing.names);
	json_decref(missing.seen);
	return rc;
}
