/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/drop.h"

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"

/* A subscription that has no slot and follows no table yet, as pg_restore makes
 * it, is dropped without a word to the publisher. */
static int
drop_subscription(struct bkp_pg *pg, const char *name, struct bkp_error *err)
{
	if (bkp_pg_run(pg, err, "ALTER SUBSCRIPTION %I DISABLE", name) < 0 ||
	    bkp_pg_run(pg, err, "ALTER SUBSCRIPTION %I SET (slot_name = NONE)",
		name) < 0 ||
	    bkp_pg_run(pg, err, "DROP SUBSCRIPTION %I", name) < 0)
		return bkp_fail_in(err, "the subscription %s", name);
	return 0;
}

/* They can be dropped from within their database alone. Its event triggers
 * could refuse that. */
static int
drop_subscriptions(const struct bkp_postgres_config *config, const char *name,
    const PGresult *subscriptions, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	if (bkp_pg_open(&pg, config, name, NULL, err) < 0)
		return -1;
	rc = bkp_pg_run(&pg, err,
	    "SELECT set_config(%L, %L, false) FROM pg_catalog.pg_roles"
	    " WHERE rolname = current_user AND rolsuper",
	    bkp_pg_major(&pg) >= 17 ? "event_triggers"
				    : "session_replication_role",
	    bkp_pg_major(&pg) >= 17 ? "off" : "replica");
	for (int i = 0; rc == 0 && i < PQntuples(subscriptions); i++)
		rc = drop_subscription(
		    &pg, PQgetvalue(subscriptions, i, 0), err);
	bkp_pg_close(&pg);
	return rc;
}

int
bkp_pg_drop_restored(struct bkp_pg *front,
    const struct bkp_postgres_config *config, const char *name,
    struct bkp_error *err)
{
	PGresult *subscriptions = NULL;
	int rc = 0;

	if (bkp_pg_query(front,
		"SELECT s.subname FROM pg_catalog.pg_subscription s"
		" JOIN pg_catalog.pg_database d ON d.oid = s.subdbid"
		" WHERE d.datname = $1",
		1, &name, &subscriptions, err) < 0)
		return -1;
	if (PQntuples(subscriptions) > 0)
		rc = drop_subscriptions(config, name, subscriptions, err);
	PQclear(subscriptions);
	if (rc < 0)
		return -1;
	return bkp_pg_run(front, err,
	    bkp_pg_major(front) >= 13
		? "DROP DATABASE IF EXISTS %I WITH (FORCE)"
		: "DROP DATABASE IF EXISTS %I",
	    name);
}
