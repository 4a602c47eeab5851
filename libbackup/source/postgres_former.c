/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/postgres_former.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/exchange.h"
#include "libbackup/postgres/front.h"
#include "libbackup/postgres/names.h"

#define NAME_MAX_BYTES 63

static int
is_taken(struct bkp_pg *pg, const char *name, bool *out, struct bkp_error *err)
{
	PGresult *result = NULL;

	if (bkp_pg_query(pg,
		"SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", 1,
		&name, &result, err) < 0)
		return -1;
	*out = PQntuples(result) > 0;
	PQclear(result);
	return 0;
}

static char *
name_at(
    const char *name, const char *what, time_t moment, struct bkp_error *err)
{
	char stamp[sizeof("20261121T100203Z")];
	size_t len = strlen(name);
	size_t room = NAME_MAX_BYTES - strlen(what) - sizeof(stamp) - 1;
	struct tm parts;

	if (gmtime_r(&moment, &parts) == NULL ||
	    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &parts) == 0) {
		(void)bkp_fail(err, BKP_IO, "the clock tells no time");
		return NULL;
	}
	if (len > room)
		for (len = room; len > 0 && (name[len] & 0xc0) == 0x80;)
			len--;
	return bkp_format(err, "%.*s.%s-%s", (int)len, name, what, stamp);
}

char *
bkp_pg_former_name(struct bkp_pg *pg, const char *name, const char *what,
    struct bkp_error *err)
{
	bool has_other = true;
	char *text = NULL;

	for (time_t moment = time(NULL); has_other; moment++) {
		free(text);
		text = name_at(name, what, moment, err);
		if (text == NULL || is_taken(pg, text, &has_other, err) < 0) {
			free(text);
			return NULL;
		}
	}
	return text;
}

/* ---- which there are ---- */

/* What of a name tells its state; the order of the enumeration, and at the end
 * what an --overwrite could not drop. */
#define PATTERN                                                                \
	"'[.]((before|restored)-[0-9]{8}T[0-9]{6}Z"                            \
	"|(incomplete|restoring|replaced)-[0-9a-f]{8})$'"

static enum bkp_former_state
state_of(const char *word)
{
	static const struct {
		const char *word;
		enum bkp_former_state state;
	} states[] = {{"restored", BKP_FORMER_READY},
	    {"incomplete", BKP_FORMER_INCOMPLETE},
	    {"restoring", BKP_FORMER_UNFINISHED}};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(word, states[i].word) == 0)
			return states[i].state;
	return BKP_FORMER_KEPT;
}

/* One block: the array, and the names behind it. */
static int
copy_rows(const PGresult *result, struct bkp_former **out, size_t *count,
    struct bkp_error *err)
{
	size_t rows = (size_t)PQntuples(result), text = 0;
	struct bkp_former *formers;
	char *at;

	for (size_t i = 0; i < rows; i++)
		text += strlen(PQgetvalue(result, (int)i, 0)) + 1;
	formers = bkp_alloc(rows * sizeof(*formers) + text + 1, err);
	if (formers == NULL)
		return -1;
	at = (char *)(formers + rows);
	for (size_t i = 0; i < rows; i++) {
		size_t len = strlen(PQgetvalue(result, (int)i, 0)) + 1;

		memcpy(at, PQgetvalue(result, (int)i, 0), len);
		formers[i].name = at;
		at += len;
		formers[i].state = state_of(PQgetvalue(result, (int)i, 1));
		formers[i].bytes =
		    strtoull(PQgetvalue(result, (int)i, 2), NULL, 10);
		formers[i].connections =
		    strtoull(PQgetvalue(result, (int)i, 3), NULL, 10);
	}
	*out = formers;
	*count = rows;
	return 0;
}

static int
list(struct bkp_pg *pg, struct bkp_former **out, size_t *count,
    struct bkp_error *err)
{
	/* Who may not connect may not ask for the size. */
	static const char sql[] =
	    "SELECT d.datname,"
	    " substring(d.datname FROM '[.]([a-z]+)-[0-9A-Za-z]+$'),"
	    " CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT')"
	    "  THEN pg_catalog.pg_database_size(d.oid) ELSE 0 END,"
	    " (SELECT count(*) FROM pg_catalog.pg_stat_activity a"
	    "  WHERE a.datid = d.oid)"
	    " FROM pg_catalog.pg_database d WHERE d.datname ~ " PATTERN
	    " ORDER BY d.datname COLLATE \"C\"";
	PGresult *result = NULL;
	int rc;

	if (bkp_pg_query(pg, sql, 0, NULL, &result, err) < 0)
		return -1;
	rc = copy_rows(result, out, count, err);
	PQclear(result);
	return rc;
}

int
bkp_pg_former_list(const struct bkp_postgres_config *config,
    struct bkp_run *run, struct bkp_former **out, size_t *count,
    struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	int rc;

	if (bkp_pg_open_front(&pg, config, run, err) < 0)
		return -1;
	rc = list(&pg, out, count, err);
	bkp_pg_close(&pg);
	return rc;
}

/* Only what a restore named is moved or dropped: a name that was misspelt must
 * not be the one of a database in use. */
static int
find(struct bkp_pg *pg, const char *name, enum bkp_former_state *state,
    struct bkp_error *err)
{
	struct bkp_former *formers = NULL;
	size_t count = 0;
	bool is_found = false;

	if (list(pg, &formers, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(formers[i].name, name) != 0)
			continue;
		*state = formers[i].state;
		is_found = true;
	}
	free(formers);
	if (!is_found)
		return bkp_fail(err, BKP_NOTFOUND,
		    "\"%s\" is no database that a restore left beside another "
		    "one (backup-restore --former tells which there are)",
		    name);
	return 0;
}

/* ---- into a place ---- */

/* The name that what is there gets; *aside NULL: nothing is there. */
static int
choose_aside(const struct bkp_postgres_config *config, const char *name,
    char **aside, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	bool has_former = false;
	int rc = -1;

	if (bkp_pg_open_beside(&pg, config, name, NULL, err) < 0)
		return -1;
	if (is_taken(&pg, name, &has_former, err) == 0)
		rc = 0;
	if (rc == 0 && has_former) {
		*aside = bkp_pg_former_name(&pg, name, "before", err);
		rc = *aside != NULL ? 0 : -1;
	}
	bkp_pg_close(&pg);
	return rc;
}

int
bkp_pg_former_exchange(const struct bkp_postgres_config *config,
    struct bkp_run *run, const char *path, const char *name, const char *in,
    struct bkp_error *err)
{
	struct bkp_pg_exchange exchange = {.name = name, .in = in};
	char *aside = NULL;
	int rc = -1;

	if (choose_aside(config, name, &aside, err) < 0)
		return -1;
	exchange.aside = aside;
	if (bkp_pg_exchange(config, &exchange, err) < 0)
		goto out;
	rc = 0;
	if (aside != NULL)
		bkp_run_message(run, BKP_INFO, path,
		    "in its place; nobody could connect for %llu ms. What was "
		    "there is \"%s\" now (backup-restore --put-back, "
		    "--drop-former)",
		    (unsigned long long)exchange.took_ms, aside);
	else
		bkp_run_message(run, BKP_INFO, path,
		    "in its place; no database was there before");
out:
	free(aside);
	return rc;
}

/* "a=2Fb" to "a/b": as names.h writes it. */
static char *
read_component(const char *component, struct bkp_error *err)
{
	char *name = bkp_strdup(component, err), *to = name;
	char hex[3] = "";

	for (const char *at = component; name != NULL && *at != '\0'; at++) {
		if (*at == '=' && at[1] != '\0' && at[2] != '\0') {
			memcpy(hex, at + 1, 2);
			*to++ = (char)strtol(hex, NULL, 16);
			at += 2;
		} else {
			*to++ = *at;
		}
	}
	if (name != NULL)
		*to = '\0';
	return name;
}

int
bkp_pg_former_put(const struct bkp_postgres_config *config, struct bkp_run *run,
    const char *path, const char *component, const char *name,
    struct bkp_error *err)
{
	enum bkp_former_state state = BKP_FORMER_UNFINISHED;
	struct bkp_pg pg = BKP_PG_INIT;
	char *place = read_component(component, err);
	int rc = -1;

	if (place == NULL || bkp_pg_open_front(&pg, config, run, err) < 0 ||
	    find(&pg, name, &state, err) < 0)
		goto out;
	bkp_pg_close(&pg);
	if (state == BKP_FORMER_UNFINISHED)
		(void)bkp_fail(err, BKP_INVALID,
		    "\"%s\" is of a restore that has not ended, and is not "
		    "whole",
		    name);
	else
		rc =
		    bkp_pg_former_exchange(config, run, path, place, name, err);
out:
	bkp_pg_close(&pg);
	free(place);
	return rc;
}

int
bkp_pg_former_drop(const struct bkp_postgres_config *config,
    struct bkp_run *run, const char *name, struct bkp_error *err)
{
	enum bkp_former_state state;
	struct bkp_pg pg = BKP_PG_INIT;
	int rc = -1;

	if (bkp_pg_open_beside(&pg, config, name, run, err) == 0 &&
	    find(&pg, name, &state, err) == 0)
		rc = bkp_pg_run(&pg, err, "DROP DATABASE %I", name);
	bkp_pg_close(&pg);
	return rc;
}
