/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/pooler.h"

#include <stdlib.h>

#include "libbackup/base/fail.h"

static int
read_pid(struct bkp_pg *pg, int *out, struct bkp_error *err)
{
	char *text = bkp_pg_text(pg, "SELECT pg_backend_pid()", err);

	if (text == NULL)
		return -1;
	*out = atoi(text);
	free(text);
	return 0;
}

/*
 * A direct connection is told the process id of its own server process. Where
 * that differs from what the server says there is a pooler in between; whether
 * it changes the server process between transactions shows when a second
 * client keeps one busy.
 */
int
bkp_pg_refuse_pooler(
    struct bkp_pg *pg, const struct bkp_conninfo *info, struct bkp_error *err)
{
	struct bkp_pg other = {.run = pg->run};
	int before = 0, between = 0, after = 0;
	int rc = -1;

	if (read_pid(pg, &before, err) < 0)
		return -1;
	if (before == PQbackendPID(pg->conn))
		return 0;
	other.conn = PQconnectdbParams((const char *const *)info->keywords,
	    (const char *const *)info->values, 0);
	if (PQstatus(other.conn) != CONNECTION_OK) {
		(void)bkp_fail(err, BKP_IO,
		    "a second connection through the connection pooler: %s",
		    PQerrorMessage(other.conn));
		goto out;
	}
	if (bkp_pg_do(&other, "BEGIN", err) < 0 ||
	    read_pid(&other, &between, err) < 0 ||
	    read_pid(pg, &after, err) < 0)
		goto out;
	if (before != after || before == between)
		(void)bkp_fail(err, BKP_INVALID,
		    "a connection pooler in transaction mode is in between: "
		    "a backup needs one server process for its whole time; "
		    "use the server's direct port");
	else
		rc = 0;
out:
	bkp_pg_close(&other);
	return rc;
}
