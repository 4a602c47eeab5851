/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/conninfo.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/renamed.h"

/* What a program's environment gets, and the NULL at its end. */
#define ENV_SIZE 6

/* Ours where neither the configuration nor the environment decides. */
static const struct {
	const char *keyword, *value, *environment;
} defaults[] = {{"connect_timeout", "15", "PGCONNECT_TIMEOUT"},
    {"fallback_application_name", "libbackup", NULL}, {"keepalives", "1", NULL},
    {"keepalives_idle", "30", NULL}, {"keepalives_interval", "10", NULL},
    {"keepalives_count", "6", NULL}};

#define DEFAULT_COUNT (sizeof(defaults) / sizeof(defaults[0]))

static size_t
find(const struct bkp_conninfo *info, const char *keyword)
{
	size_t i = 0;

	while (i < info->count && strcmp(info->keywords[i], keyword) != 0)
		i++;
	return i;
}

static int
set(struct bkp_conninfo *info, const char *keyword, const char *value,
    struct bkp_error *err)
{
	size_t i = find(info, keyword);
	char *copy = bkp_strdup(value, err);

	if (copy == NULL)
		return -1;
	if (i < info->count) {
		bkp_secret_free(info->values[i]);
		info->values[i] = copy;
		return 0;
	}
	if ((info->keywords[i] = bkp_strdup(keyword, err)) == NULL) {
		bkp_secret_free(copy);
		return -1;
	}
	info->values[i] = copy;
	info->count++;
	return 0;
}

static int
set_all(struct bkp_conninfo *info, const PQconninfoOption *options,
    const struct bkp_postgres_config *config, const char *database,
    struct bkp_error *err)
{
	for (; options->keyword != NULL; options++)
		if (options->val != NULL &&
		    set(info, options->keyword, options->val, err) < 0)
			return -1;
	if (database != NULL && set(info, "dbname", database, err) < 0)
		return -1;
	if (config->password != NULL &&
	    set(info, "password", config->password, err) < 0)
		return -1;
	for (size_t i = 0; i < DEFAULT_COUNT; i++) {
		const char *name = defaults[i].environment;

		if (find(info, defaults[i].keyword) < info->count ||
		    (name != NULL && getenv(name) != NULL))
			continue;
		if (set(info, defaults[i].keyword, defaults[i].value, err) < 0)
			return -1;
	}
	return 0;
}

int
bkp_conninfo_make(const struct bkp_postgres_config *config,
    const char *database, struct bkp_conninfo *out, struct bkp_error *err)
{
	struct bkp_conninfo info = BKP_CONNINFO_INIT;
	PQconninfoOption *options;
	char *reason = NULL;
	size_t room = DEFAULT_COUNT + 4; /* dbname, password,
					     client_encoding, the NULL */
	int rc = -1;

	if (database != NULL)
		database = bkp_pg_real_name(config->renamed, database);
	options = PQconninfoParse(
	    config->conninfo != NULL ? config->conninfo : "", &reason);
	if (options == NULL) {
		(void)bkp_fail(err, BKP_INVALID, "conninfo: %s",
		    reason != NULL ? reason : "out of memory");
		goto out;
	}
	for (size_t i = 0; options[i].keyword != NULL; i++)
		room++;
	info.keywords = bkp_alloc_array(room, sizeof(*info.keywords), err);
	info.values = bkp_alloc_array(room, sizeof(*info.values), err);
	if (info.keywords == NULL || info.values == NULL ||
	    set_all(&info, options, config, database, err) < 0)
		goto out;
	*out = info;
	info = (struct bkp_conninfo)BKP_CONNINFO_INIT;
	rc = 0;
out:
	bkp_conninfo_free(&info);
	PQconninfoFree(options);
	PQfreemem(reason);
	return rc;
}

void
bkp_conninfo_free(struct bkp_conninfo *info)
{
	for (size_t i = 0; i < info->count; i++) {
		free(info->keywords[i]);
		bkp_secret_free(info->values[i]);
	}
	free(info->keywords);
	free(info->values);
	*info = (struct bkp_conninfo)BKP_CONNINFO_INIT;
}

/* ---- for children ---- */

static bool
is_secret(const char *keyword)
{
	return strcmp(keyword, "password") == 0 ||
	       strcmp(keyword, "sslpassword") == 0;
}

/* Appends keyword='value' as conninfo text quotes it. */
static enum fmt_status
append_pair(struct fmt_buf *out, const char *keyword, const char *value)
{
	enum fmt_status status;

	status =
	    fmt_buf_printf(out, "%s%s='", out->len > 0 ? " " : "", keyword);
	for (; status == FMT_OK && *value != '\0'; value++) {
		if (*value == '\'' || *value == '\\')
			status = fmt_buf_append_byte(out, '\\');
		if (status == FMT_OK)
			status =
			    fmt_buf_append_byte(out, (unsigned char)*value);
	}
	return status == FMT_OK ? fmt_buf_append_text(out, "'") : status;
}

static int
make_text(const struct bkp_conninfo *info, char **out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;

	for (size_t i = 0; status == FMT_OK && i < info->count; i++)
		if (!is_secret(info->keywords[i]))
			status = append_pair(
			    &text, info->keywords[i], info->values[i]);
	if (status == FMT_OK)
		*out = bkp_strdup(fmt_buf_text(&text), err);
	else
		(void)bkp_fail_format(err, status, "conninfo");
	fmt_buf_free(&text);
	return *out != NULL ? 0 : -1;
}

/* What a server, database or role may have set otherwise and what changes the
 * text of a schema, or refuses to write one: the form of bytea in defaults,
 * quotes around names, how strings are escaped. The source's text must be the
 * scratch's. */
static const char pinned[] =
    "-c bytea_output=hex -c quote_all_identifiers=off"
    " -c standard_conforming_strings=on -c default_transaction_read_only=off";

static const char untimed[] = " -c statement_timeout=0 -c lock_timeout=0"
			      " -c idle_in_transaction_session_timeout=0";

/* Where conninfo has options of its own, libpq does not look at PGOPTIONS. */
static int
pin_settings(struct bkp_conninfo *info, const char *more, char **env,
    struct bkp_error *err)
{
	size_t at = find(info, "options");
	const char *own =
	    at < info->count ? info->values[at] : getenv("PGOPTIONS");
	char *options = bkp_format(err, "%s%s%s%s", own != NULL ? own : "",
	    own != NULL ? " " : "", pinned, more);

	env[0] = bkp_strdup("PGTZ=UTC", err);
	env[1] =
	    options != NULL ? bkp_format(err, "PGOPTIONS=%s", options) : NULL;
	if (env[1] != NULL && at < info->count) {
		bkp_secret_free(info->values[at]);
		info->values[at] = options;
		options = NULL;
	}
	free(options);
	return env[0] != NULL && env[1] != NULL ? 0 : -1;
}

static int
make_access(const struct bkp_postgres_config *config, const char *database,
    const char *more, const char *encoding, struct bkp_pg_access *out,
    struct bkp_error *err)
{
	struct bkp_conninfo info = BKP_CONNINFO_INIT;
	struct bkp_pg_access access = BKP_PG_ACCESS_INIT;
	size_t password;
	int rc = -1;

	if (bkp_conninfo_make(config, database, &info, err) < 0)
		return -1;
	if (encoding != NULL &&
	    set(&info, "client_encoding", encoding, err) < 0)
		goto out;
	password = find(&info, "password");
	if ((access.env = bkp_alloc_array(ENV_SIZE, sizeof(char *), err)) ==
	    NULL)
		goto out;
	/* The first would change the text of what is dumped. */
	access.env[0] = bkp_strdup("PGCLIENTENCODING", err);
	access.env[1] = bkp_strdup("PGDATABASE", err);
	if (access.env[0] == NULL || access.env[1] == NULL ||
	    pin_settings(&info, more, access.env + 2, err) < 0)
		goto out;
	if (password < info.count &&
	    (access.env[4] = bkp_format(
		 err, "PGPASSWORD=%s", info.values[password])) == NULL)
		goto out;
	if (make_text(&info, &access.conninfo, err) < 0)
		goto out;
	*out = access;
	access = (struct bkp_pg_access)BKP_PG_ACCESS_INIT;
	rc = 0;
out:
	bkp_pg_access_free(&access);
	bkp_conninfo_free(&info);
	return rc;
}

int
bkp_pg_access_make(const struct bkp_postgres_config *config,
    const char *database, struct bkp_pg_access *out, struct bkp_error *err)
{
	return make_access(config, database, "", NULL, out, err);
}

int
bkp_pg_access_make_untimed(const struct bkp_postgres_config *config,
    const char *database, const char *encoding, struct bkp_pg_access *out,
    struct bkp_error *err)
{
	return make_access(config, database, untimed, encoding, out, err);
}

void
bkp_pg_access_free(struct bkp_pg_access *access)
{
	for (size_t i = 0; access->env != NULL && i < ENV_SIZE; i++)
		bkp_secret_free(access->env[i]);
	free(access->env);
	free(access->conninfo);
	*access = (struct bkp_pg_access)BKP_PG_ACCESS_INIT;
}
