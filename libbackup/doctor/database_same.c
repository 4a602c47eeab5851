/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two sources mean the same server. */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libbackup/base/fail.h"
#include "libbackup/doctor/database.h"

/* What libpq would go by: the text, then the environment. */
struct parameters {
	PQconninfoOption *said, *defaults;
};

static void
forget(struct parameters *p)
{
	PQconninfoFree(p->said);
	PQconninfoFree(p->defaults);
}

static int
understand(const struct bkp_postgres_config *config, struct parameters *p,
    struct bkp_error *err)
{
	char *reason = NULL;

	p->defaults = PQconndefaults();
	p->said = PQconninfoParse(
	    config->conninfo != NULL ? config->conninfo : "", &reason);
	if (p->said == NULL)
		(void)bkp_fail(err, BKP_INVALID, "conninfo: %s",
		    reason != NULL ? reason : "out of memory");
	PQfreemem(reason);
	return p->said != NULL ? 0 : -1;
}

static const char *
find(const PQconninfoOption *options, const char *keyword)
{
	for (; options != NULL && options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0 &&
		    options->val != NULL && options->val[0] != '\0')
			return options->val;
	return NULL;
}

/* "": nothing says it. */
static const char *
value_of(const struct parameters *p, const char *keyword)
{
	const char *value = find(p->said, keyword);

	if (value == NULL)
		value = find(p->defaults, keyword);
	return value != NULL ? value : "";
}

/* This machine has several names, and the usual socket is one of them. */
static const char *
host_of(const struct parameters *p)
{
	static const char *const own[] = {"localhost", "127.0.0.1", "::1",
	    "/var/run/postgresql", "/run/postgresql", "/tmp", NULL};
	const char *host = value_of(p, "hostaddr");

	if (*host == '\0')
		host = value_of(p, "host");
	for (size_t i = 0; own[i] != NULL; i++)
		if (strcasecmp(host, own[i]) == 0)
			return "";
	return host;
}

static bool
is_same(const struct parameters *a, const struct parameters *b)
{
	return strcasecmp(host_of(a), host_of(b)) == 0 &&
	       strcmp(value_of(a, "port"), value_of(b, "port")) == 0 &&
	       strcmp(value_of(a, "service"), value_of(b, "service")) == 0;
}

static bool
has_database(const struct bkp_postgres_config *source,
    const struct parameters *p, const char *database)
{
	const char *own = value_of(p, "dbname");

	if (source->all_databases)
		return true;
	for (size_t i = 0; i < source->databases.count; i++)
		if (strcmp(source->databases.items[i], database) == 0)
			return true;
	if (*own == '\0')
		own = value_of(p, "user");
	return source->databases.count == 0 && strcmp(own, database) == 0;
}

int
bkp_exam_backs_up(const struct bkp_postgres_config *source,
    const struct bkp_postgres_config *own, const char *database, bool *answer,
    struct bkp_error *err)
{
	struct parameters a = {NULL, NULL}, b = {NULL, NULL};
	int rc = -1;

	if (understand(source, &a, err) == 0 && understand(own, &b, err) == 0) {
		*answer = is_same(&a, &b) && has_database(source, &a, database);
		rc = 0;
	}
	forget(&a);
	forget(&b);
	return rc;
}
