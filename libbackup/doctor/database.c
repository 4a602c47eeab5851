/* SPDX-License-Identifier: Apache-2.0 */
/* A PostgreSQL server: that it is reached, what it is, and which of its
 * databases are backed up. */
#include "libbackup/doctor/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/buf.h"
#include "libbackup/base/config_fields.h"
#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/base/temporary.h"
#include "libbackup/operations/opened.h"
#include "libbackup/postgres/programs.h"

#define OLDEST 14 /* older ones get no corrections any more */
#define NEWEST 18
#define SKEW_NOTE_US 2000000
#define SKEW_BAD_US 60000000
#define MIB ((uint64_t)1024 * 1024)

static struct bkp_exam_server *
server_of(struct bkp_exam *exam)
{
	return exam->state;
}

/* ---- what all checks use ---- */

int
bkp_exam_row(
    struct bkp_pg *pg, const char *sql, PGresult **out, struct bkp_error *err)
{
	PGresult *result = NULL;

	if (bkp_pg_query(pg, sql, 0, NULL, &result, err) < 0)
		return -1;
	if (PQntuples(result) == 0) {
		PQclear(result);
		return bkp_fail(err, BKP_IO, "the server gave no answer");
	}
	*out = result;
	return 0;
}

uint64_t
bkp_exam_number(const PGresult *row, int column)
{
	return strtoull(PQgetvalue(row, 0, column), NULL, 10);
}

bool
bkp_exam_is_true(const PGresult *row, int column)
{
	return PQgetvalue(row, 0, column)[0] == 't';
}

int
bkp_exam_each_database(
    struct bkp_exam *exam, bkp_exam_database_fn *look, struct bkp_error *err)
{
	const struct bkp_strings *names = &server_of(exam)->databases;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < names->count; i++) {
		struct bkp_pg pg = BKP_PG_INIT;
		char *subject =
		    bkp_format(err, "%s/%s", exam->subject, names->items[i]);

		rc = subject != NULL ? bkp_pg_open(&pg, &exam->source->postgres,
					   names->items[i], NULL, err)
				     : -1;
		if (rc == 0)
			rc = look(exam, &pg, subject, err);
		if (rc < 0 && subject != NULL)
			(void)bkp_fail_in(err, "%s", subject);
		bkp_pg_close(&pg);
		free(subject);
	}
	return rc;
}

const char *
bkp_exam_names(const PGresult *result, char text[BKP_EXAM_NAMES])
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < PQntuples(result); i++) {
		const char *name = PQgetvalue(result, i, 0);
		size_t left = BKP_EXAM_NAMES - used;

		if (strlen(name) + 20 > left) {
			(void)snprintf(text + used, left, " and %d more",
			    PQntuples(result) - i);
			break;
		}
		used += (size_t)snprintf(
		    text + used, left, "%s%s", i > 0 ? ", " : "", name);
	}
	return text;
}

int
bkp_exam_tell_names(struct bkp_exam *exam, struct bkp_pg *pg,
    const char *subject, const char *sql, enum bkp_health health,
    const char *what, const char *advice, struct bkp_error *err)
{
	char names[BKP_EXAM_NAMES];
	PGresult *result = NULL;
	int rc = 0;

	if (bkp_pg_query(pg, sql, 0, NULL, &result, err) < 0)
		return -1;
	if (PQntuples(result) > 0) {
		exam->has_found = true;
		rc = bkp_exam_tell(exam, health, subject, advice, err,
		    "%s: " BKP_NAMED, what, bkp_exam_names(result, names));
	}
	PQclear(result);
	return rc;
}

/* ---- the way in ---- */

static const char *
front(const struct bkp_postgres_config *config)
{
	return config->databases.count > 0 ? config->databases.items[0] : NULL;
}

/* Opens another one where the first of a list is not there: that is what
 * another check tells. */
static int
open_front(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_pg *pg = &server_of(exam)->pg;
	const struct bkp_postgres_config *config = &exam->source->postgres;
	struct bkp_error reason = BKP_ERROR_INIT;

	if (bkp_pg_open(pg, config, front(config), NULL, &reason) == 0 ||
	    (reason.code == BKP_NOTFOUND && config->databases.count > 0 &&
		bkp_pg_open(pg, config, "postgres", NULL, NULL) == 0))
		return 0;
	if (err != NULL)
		*err = reason;
	return -1;
}

static int
check_reachable(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_error reason = BKP_ERROR_INIT;
	struct bkp_exam_server *server = server_of(exam);
	PGresult *row = NULL;
	int rc;

	if (open_front(exam, &reason) < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    reason.code == BKP_AUTH
			? "look at the role, its password and pg_hba.conf"
			: "look at host, port and whether the server runs",
		    err, BKP_SAID, reason.message);
	if (bkp_exam_row(&server->pg,
		"SELECT current_setting('server_version'), current_user,"
		" (SELECT rolsuper FROM pg_catalog.pg_roles"
		"  WHERE rolname = current_user)",
		&row, err) < 0)
		return -1;
	server->is_superuser = bkp_exam_is_true(row, 2);
	rc = bkp_exam_ok(exam, err, "PostgreSQL %s answers role " BKP_NAMED,
	    PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1));
	PQclear(row);
	return rc;
}

static int
check_version(struct bkp_exam *exam, struct bkp_error *err)
{
	unsigned major = bkp_pg_major(&server_of(exam)->pg);

	if (major < OLDEST)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "it works, and is tested no more: upgrade the server", err,
		    "PostgreSQL %u; %d to %d are supported", major, OLDEST,
		    NEWEST);
	if (major > NEWEST)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "look for a newer version of these programs", err,
		    "PostgreSQL %u is newer than what is known here (%d to %d)",
		    major, OLDEST, NEWEST);
	return bkp_exam_ok(exam, err, "PostgreSQL %u is supported", major);
}

static int
check_programs(struct bkp_exam *exam, struct bkp_error *err)
{
	static const struct {
		const char *name;
		enum bkp_health health;
		const char *why;
	} programs[] = {{"pg_dump", BKP_HEALTH_ERROR, "no backup can be made"},
	    {"pg_dumpall", BKP_HEALTH_ERROR, "no backup can be made"},
	    {"pg_restore", BKP_HEALTH_ERROR, "no backup can be restored"},
	    {"initdb", BKP_HEALTH_NOTE,
		"backup-verify cannot make a scratch server here"},
	    {"postgres", BKP_HEALTH_NOTE,
		"backup-verify cannot make a scratch server here"}};
	unsigned major = bkp_pg_major(&server_of(exam)->pg);
	int rc = 0, missing = 0;

	for (size_t i = 0;
	     rc == 0 && i < sizeof(programs) / sizeof(programs[0]); i++) {
		struct bkp_error reason = BKP_ERROR_INIT;
		char *path = NULL;

		if (bkp_pg_program(exam->source->postgres.bindir,
			programs[i].name, major, &path, &reason) < 0) {
			missing++;
			rc = bkp_exam_tell(exam, programs[i].health, NULL, NULL,
			    err, "%s: %s", reason.message, programs[i].why);
		}
		free(path);
	}
	if (rc == 0 && missing == 0)
		rc = bkp_exam_ok(exam, err,
		    "pg_dump, pg_dumpall, pg_restore, initdb and postgres of "
		    "version %u are here",
		    major);
	return rc;
}

/* ---- which databases ---- */

static bool
is_named(const struct bkp_strings *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], name) == 0)
			return true;
	return false;
}

/* Whether the configuration has this database backed up. */
static bool
is_covered(struct bkp_exam *exam, const char *name)
{
	const struct bkp_postgres_config *config = &exam->source->postgres;

	if (config->all_databases)
		return true;
	if (config->databases.count > 0)
		return is_named(&config->databases, name);
	return strcmp(name, PQdb(server_of(exam)->pg.conn)) == 0;
}

/* By another source of the same server, perhaps. */
static int
look_elsewhere(struct bkp_exam *exam, const char *name, bool *is_there,
    struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;

	*is_there = false;
	for (size_t i = 0; !*is_there && i < config->source_count; i++) {
		const struct bkp_source_config *other = &config->sources[i];

		if (other->kind == BKP_KIND_POSTGRES && other != exam->source &&
		    bkp_exam_backs_up(&other->postgres, &exam->source->postgres,
			name, is_there, err) < 0)
			return -1;
	}
	return 0;
}

struct uncovered {
	char names[BKP_EXAM_NAMES];
	size_t used, untold;
};

static void
add_uncovered(struct uncovered *list, const char *name)
{
	size_t left = sizeof(list->names) - list->used;

	if (strlen(name) + 30 > left)
		list->untold++;
	else
		list->used += (size_t)snprintf(list->names + list->used, left,
		    "%s%s", list->used > 0 ? ", " : "", name);
}

static int
tell_uncovered(
    struct bkp_exam *exam, struct uncovered *list, struct bkp_error *err)
{
	if (list->untold > 0)
		(void)snprintf(list->names + list->used,
		    sizeof(list->names) - list->used, " and %zu more",
		    list->untold);
	return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
	    "add them to `databases:` or write `databases: all`, or know that "
	    "they are not needed",
	    err, "not backed up by this configuration: " BKP_NAMED,
	    list->names);
}

/* "postgres" is there for maintenance, and usually empty. */
static int
look_at_databases(
    struct bkp_exam *exam, const PGresult *result, struct bkp_error *err)
{
	struct bkp_exam_server *server = server_of(exam);
	struct uncovered uncovered = {.names = ""};

	server->databases.items =
	    bkp_alloc_array((size_t)PQntuples(result) + 1, sizeof(char *), err);
	if (server->databases.items == NULL)
		return -1;
	for (int i = 0; i < PQntuples(result); i++) {
		const char *name = PQgetvalue(result, i, 0);
		bool is_elsewhere = false;
		char *copy;

		if (look_elsewhere(exam, name, &is_elsewhere, err) < 0)
			return -1;
		if (is_covered(exam, name)) {
			if ((copy = bkp_strdup(name, err)) == NULL)
				return -1;
			server->databases.items[server->databases.count++] =
			    copy;
			server->bytes +=
			    strtoull(PQgetvalue(result, i, 1), NULL, 10);
		} else if (strcmp(name, "postgres") != 0 && !is_elsewhere) {
			add_uncovered(&uncovered, name);
		}
	}
	if (uncovered.used > 0)
		return tell_uncovered(exam, &uncovered, err);
	return bkp_exam_ok(exam, err, "%zu of %d databases are backed up",
	    server->databases.count, PQntuples(result));
}

static int
check_covered(struct bkp_exam *exam, struct bkp_error *err)
{
	PGresult *result = NULL;
	int rc;

	if (bkp_pg_query(&server_of(exam)->pg,
		"SELECT datname, CASE WHEN pg_catalog.has_database_privilege("
		" oid, 'CONNECT') THEN pg_catalog.pg_database_size(oid)"
		" ELSE 0 END FROM pg_catalog.pg_database"
		" WHERE datallowconn AND NOT datistemplate"
		" AND datconnlimit <> -2 ORDER BY 1",
		0, NULL, &result, err) < 0)
		return -1;
	rc = look_at_databases(exam, result, err);
	PQclear(result);
	return rc;
}

static int
check_present(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_strings *wanted = &exam->source->postgres.databases;
	int rc = 0, missing = 0;

	for (size_t i = 0; rc == 0 && i < wanted->count; i++) {
		if (is_named(&server_of(exam)->databases, wanted->items[i]))
			continue;
		missing++;
		rc = bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "take it out of the configuration, or look why it is gone",
		    err,
		    "database " BKP_NAMED
		    " is configured and not on the server",
		    wanted->items[i]);
	}
	if (rc == 0 && missing == 0)
		rc = bkp_exam_ok(exam, err, "what is configured is there");
	return rc;
}

/* ---- room and clock ---- */

static int
check_scratch(struct bkp_exam *exam, struct bkp_error *err)
{
	const char *folder = exam->options->scratch_directory;
	uint64_t bytes = server_of(exam)->bytes, room;

	if (exam->config->verification.server != NULL)
		return bkp_exam_ok(
		    exam, err, "verifications use a server that is there");
	if (folder == NULL)
		folder = bkp_temporary_directory();
	room = bkp_place_room(folder);
	if (room == UINT64_MAX)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "set TMPDIR, or give --scratch-directory", err,
		    "how much room " BKP_NAMED " has is not known", folder);
	if (room < bytes + bytes / 4)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "give backup-verify a --scratch-directory with more room, "
		    "or `verification: server:`",
		    err,
		    "its databases have %llu MiB and " BKP_NAMED
		    " has room for %llu MiB: "
		    "they cannot be restored there to prove a backup",
		    (unsigned long long)(bytes / MIB), folder,
		    (unsigned long long)(room / MIB));
	return bkp_exam_ok(exam, err,
	    BKP_NAMED " has room for %llu MiB and the databases have %llu MiB",
	    folder, (unsigned long long)(room / MIB),
	    (unsigned long long)(bytes / MIB));
}

static int
check_clock(struct bkp_exam *exam, struct bkp_error *err)
{
	int64_t before = bkp_clock_utc_us(), after, skew = 0, theirs;
	char *text = bkp_pg_text(&server_of(exam)->pg,
	    "SELECT (pg_catalog.date_part('epoch',"
	    " pg_catalog.clock_timestamp()) * 1000000)::bigint",
	    err);

	if (text == NULL)
		return -1;
	after = bkp_clock_utc_us();
	theirs = strtoll(text, NULL, 10);
	free(text);
	if (theirs > after)
		skew = theirs - after;
	else if (theirs < before)
		skew = before - theirs;
	if (skew > SKEW_NOTE_US)
		return bkp_exam_tell(exam,
		    skew > SKEW_BAD_US ? BKP_HEALTH_WARNING : BKP_HEALTH_NOTE,
		    NULL,
		    "let both keep their clocks by NTP: what a point in time "
		    "means is told by them",
		    err,
		    "the clock of the server is %s %s that of this machine",
		    bkp_span((uint64_t)skew / 1000).text,
		    theirs > after ? "ahead of" : "behind");
	return bkp_exam_ok(exam, err, "its clock agrees with this machine's");
}

static void
close_server(struct bkp_exam *exam)
{
	struct bkp_exam_server *server = server_of(exam);

	bkp_pg_close(&server->pg);
	bkp_strings_free(&server->databases);
}

static const struct bkp_exam_check checks[] = {
    {"database-reachable", check_reachable, BKP_EXAM_DOOR},
    {"pooler", bkp_exam_pooler, BKP_EXAM_INSIDE},
    {"server-version", check_version, BKP_EXAM_INSIDE},
    {"server-programs", check_programs, BKP_EXAM_INSIDE},
    {"databases-covered", check_covered, BKP_EXAM_DOOR},
    {"databases-present", check_present, BKP_EXAM_INSIDE},
    {"role", bkp_exam_role, BKP_EXAM_INSIDE},
    {"role-tables", bkp_exam_tables, BKP_EXAM_INSIDE},
    {"role-row-security", bkp_exam_row_security, BKP_EXAM_INSIDE},
    {"role-large-objects", bkp_exam_large_objects, BKP_EXAM_INSIDE},
    {"role-restore", bkp_exam_can_restore, BKP_EXAM_INSIDE},
    {"timeouts", bkp_exam_timeouts, BKP_EXAM_INSIDE},
    {"connections", bkp_exam_connections, BKP_EXAM_INSIDE},
    {"lock-table", bkp_exam_locks, BKP_EXAM_INSIDE},
    {"standby", bkp_exam_standby, BKP_EXAM_INSIDE},
    {"wal-summaries", bkp_exam_wal, BKP_EXAM_INSIDE},
    {"old-transactions", bkp_exam_transactions, BKP_EXAM_INSIDE},
    {"prepared-transactions", bkp_exam_prepared, BKP_EXAM_INSIDE},
    {"replication-slots", bkp_exam_slots, BKP_EXAM_INSIDE},
    {"transaction-ids", bkp_exam_wraparound, BKP_EXAM_INSIDE},
    {"unlogged-tables", bkp_exam_unlogged, BKP_EXAM_INSIDE},
    {"invalid-indexes", bkp_exam_indexes, BKP_EXAM_INSIDE},
    {"collation-versions", bkp_exam_collations, BKP_EXAM_INSIDE},
    {"extensions", bkp_exam_extensions, BKP_EXAM_INSIDE},
    {"page-checksums", bkp_exam_checksums, BKP_EXAM_INSIDE},
    {"database-clock", check_clock, BKP_EXAM_INSIDE},
    {"scratch-room", check_scratch, BKP_EXAM_INSIDE},
    {NULL, NULL, BKP_EXAM_NONE},
};

const struct bkp_exam_kind bkp_exam_database = {
    checks, sizeof(struct bkp_exam_server), close_server};
