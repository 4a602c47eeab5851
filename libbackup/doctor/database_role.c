/* SPDX-License-Identifier: Apache-2.0 */
/* What the role may do: read everything, and make what a restore needs. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/doctor/database.h"
#include "libbackup/operations/opened.h"

/* Connections beside those of the workers: one that holds the snapshot of each
 * database, pg_dump, one that asks. */
#define MORE_CONNECTIONS 3

/* Of the databases: what pg_dump takes, too. */
#define OF_USERS                                                               \
	" n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"           \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e"                  \
	"  WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"       \
	"  AND e.objid = c.oid AND e.deptype = 'e')"

static struct bkp_exam_server *
server_of(struct bkp_exam *exam)
{
	return exam->state;
}

int
bkp_exam_role(struct bkp_exam *exam, struct bkp_error *err)
{
	PGresult *row = NULL;
	int rc;

	if (bkp_exam_row(&server_of(exam)->pg,
		"SELECT r.rolname, r.rolsuper, COALESCE((SELECT"
		" pg_catalog.pg_has_role(r.oid, a.oid, 'USAGE') FROM"
		" pg_catalog.pg_roles a WHERE a.rolname = 'pg_read_all_data'),"
		" false), pg_catalog.has_table_privilege("
		"  'pg_catalog.pg_authid', 'SELECT'),"
		" COALESCE(r.rolvaliduntil < pg_catalog.now()"
		"  + interval '14 days', false), r.rolvaliduntil"
		" FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
		&row, err) < 0)
		return -1;
	if (bkp_exam_is_true(row, 4))
		rc = bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "ALTER ROLE ... VALID UNTIL", err,
		    "the password of role " BKP_NAMED " is valid until %s",
		    PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 5));
	else if (bkp_exam_is_true(row, 1))
		rc = bkp_exam_ok(exam, err, "role " BKP_NAMED " is a superuser",
		    PQgetvalue(row, 0, 0));
	else if (!bkp_exam_is_true(row, 2))
		rc = bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "GRANT pg_read_all_data TO the role, and tables that are "
		    "made tomorrow can be read, too",
		    err,
		    "role " BKP_NAMED " is neither a superuser nor a member of "
		    "pg_read_all_data",
		    PQgetvalue(row, 0, 0));
	else if (!bkp_exam_is_true(row, 3))
		rc = bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "give roles their passwords after a restore, or back up as "
		    "a superuser",
		    err,
		    "role " BKP_NAMED
		    " reads all data and no passwords of roles, which "
		    "are not in the backup",
		    PQgetvalue(row, 0, 0));
	else
		rc = bkp_exam_ok(exam, err, "role " BKP_NAMED " reads all data",
		    PQgetvalue(row, 0, 0));
	PQclear(row);
	return rc;
}

static int
look_at_tables(struct bkp_exam *exam, struct bkp_pg *pg, const char *subject,
    struct bkp_error *err)
{
	return bkp_exam_tell_names(exam, pg, subject,
	    "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
	    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	    " WHERE c.relkind IN ('r', 'p', 'S') AND" OF_USERS
	    " AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
	    "  AND CASE WHEN c.relkind = 'S'"
	    "  THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')"
	    "  ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END)"
	    " ORDER BY 1",
	    BKP_HEALTH_ERROR, "the role may not read",
	    "GRANT pg_read_all_data TO the role, or back up as the owner", err);
}

int
bkp_exam_tables(struct bkp_exam *exam, struct bkp_error *err)
{
	if (bkp_exam_each_database(exam, look_at_tables, err) < 0)
		return -1;
	return exam->has_found
		   ? 0
		   : bkp_exam_ok(exam, err, "the role may read every table");
}

static int
look_at_policies(struct bkp_exam *exam, struct bkp_pg *pg, const char *subject,
    struct bkp_error *err)
{
	return bkp_exam_tell_names(exam, pg, subject,
	    "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
	    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	    " WHERE c.relkind IN ('r', 'p') AND" OF_USERS
	    " AND pg_catalog.row_security_active(c.oid) ORDER BY 1",
	    BKP_HEALTH_ERROR,
	    "policies of row level security hide rows from the role",
	    "ALTER ROLE ... BYPASSRLS, or back up as the owner", err);
}

int
bkp_exam_row_security(struct bkp_exam *exam, struct bkp_error *err)
{
	if (bkp_exam_each_database(exam, look_at_policies, err) < 0)
		return -1;
	return exam->has_found
		   ? 0
		   : bkp_exam_ok(exam, err, "no policy hides rows from it");
}

/* pg_read_all_data is not about them. */
static int
look_at_large_objects(struct bkp_exam *exam, struct bkp_pg *pg,
    const char *subject, struct bkp_error *err)
{
	return bkp_exam_tell_names(exam, pg, subject,
	    "SELECT count(*)::text || ' owned by ' || r.rolname"
	    " FROM pg_catalog.pg_largeobject_metadata m"
	    " JOIN pg_catalog.pg_roles r ON r.oid = m.lomowner"
	    " WHERE NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE')"
	    " AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) a"
	    "  WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0"
	    "  OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))"
	    " GROUP BY r.rolname ORDER BY 1",
	    BKP_HEALTH_ERROR, "large objects that the role may not read",
	    "GRANT the owner to the role, or back up as a superuser", err);
}

int
bkp_exam_large_objects(struct bkp_exam *exam, struct bkp_error *err)
{
	if (!server_of(exam)->is_superuser &&
	    bkp_exam_each_database(exam, look_at_large_objects, err) < 0)
		return -1;
	return exam->has_found
		   ? 0
		   : bkp_exam_ok(exam, err, "it may read large objects");
}

int
bkp_exam_can_restore(struct bkp_exam *exam, struct bkp_error *err)
{
	char *text = bkp_pg_text(&server_of(exam)->pg,
	    "SELECT rolsuper OR rolcreatedb FROM pg_catalog.pg_roles"
	    " WHERE rolname = current_user",
	    err);
	bool is_able;

	if (text == NULL)
		return -1;
	is_able = text[0] == 't';
	free(text);
	if (is_able)
		return bkp_exam_ok(exam, err, "the role may make databases");
	return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
	    "good for backups; a restore onto this server needs a role with "
	    "CREATEDB, or a superuser",
	    err, "the role may not make databases");
}

int
bkp_exam_timeouts(struct bkp_exam *exam, struct bkp_error *err)
{
	if (bkp_exam_tell_names(exam, &server_of(exam)->pg, NULL,
		"SELECT DISTINCT o FROM pg_catalog.pg_db_role_setting s,"
		" pg_catalog.unnest(s.setconfig) o"
		" WHERE s.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles"
		"  WHERE rolname = current_user))"
		" AND o ~ '_timeout=' AND o !~ '=0[a-z]*$' ORDER BY 1",
		BKP_HEALTH_NOTE, "limits of time are set for role or database",
		"a backup puts them off for itself; other programs of the same "
		"role are ended by them",
		err) < 0)
		return -1;
	return exam->has_found
		   ? 0
		   : bkp_exam_ok(exam, err, "no limits of time are set for it");
}

int
bkp_exam_connections(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_exam_server *server = server_of(exam);
	uint64_t need = bkp_worker_count(exam->config) +
			server->databases.count + MORE_CONNECTIONS;
	uint64_t room, used, all;
	PGresult *row = NULL;
	int limit;

	if (bkp_exam_row(&server->pg,
		"SELECT current_setting('max_connections')::int"
		" - current_setting('superuser_reserved_connections')::int,"
		" (SELECT COALESCE(pg_catalog.sum(numbackends), 0)"
		"  FROM pg_catalog.pg_stat_database),"
		" (SELECT rolconnlimit FROM pg_catalog.pg_roles"
		"  WHERE rolname = current_user)",
		&row, err) < 0)
		return -1;
	all = bkp_exam_number(row, 0);
	used = bkp_exam_number(row, 1);
	limit = atoi(PQgetvalue(row, 0, 2));
	PQclear(row);
	room = all > used ? all - used : 0;
	if (limit >= 0 && !server->is_superuser && (uint64_t)limit < need)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "ALTER ROLE ... CONNECTION LIMIT, or fewer `workers:`", err,
		    "the role may have %d connections, and a backup takes "
		    "about %llu",
		    limit, (unsigned long long)need);
	if (room < need)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "raise max_connections, or write fewer `workers:`", err,
		    "%llu of %llu connections are free, and a backup takes "
		    "about %llu",
		    (unsigned long long)room, (unsigned long long)all,
		    (unsigned long long)need);
	return bkp_exam_ok(exam, err, "%llu of %llu connections are free",
	    (unsigned long long)room, (unsigned long long)all);
}
