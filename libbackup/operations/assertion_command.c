/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that look at a restored place. */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/assertions.h"
#include "libbackup/postgres/conninfo.h"

#define TAIL_MAX 1000 /* bytes of what it said */

/* ---- its environment ---- */

struct environment {
	char **items; /* NULL ended */
	size_t count, cap;
};

/* Takes the text; NULL is a failure that was told. */
static int
add(struct environment *env, char *text, struct bkp_error *err)
{
	if (text == NULL)
		return -1;
	if (bkp_grow(&env->items, env->count + 1, &env->cap,
		sizeof(*env->items), err) < 0) {
		bkp_secret_free(text);
		return -1;
	}
	env->items[env->count++] = text;
	env->items[env->count] = NULL;
	return 0;
}

/* "NAME=value", or "NAME", which takes it away. */
static int
set(struct environment *env, const char *name, const char *value,
    struct bkp_error *err)
{
	if (value == NULL || value[0] == '\0')
		return add(env, bkp_strdup(name, err), err);
	return add(env, bkp_format(err, "%s=%s", name, value), err);
}

static const char *
value_of(const struct bkp_conninfo *info, const char *keyword)
{
	for (size_t i = 0; i < info->count; i++)
		if (strcmp(info->keywords[i], keyword) == 0)
			return info->values[i];
	return NULL;
}

/* All that libpq looks at leads to the place, or to nothing. */
static int
set_connection(struct environment *env,
    const struct bkp_assertion_config *config,
    const struct bkp_postgres_config *place, struct bkp_error *err)
{
	struct bkp_conninfo info = BKP_CONNINFO_INIT;
	PQconninfoOption *known = NULL;
	int rc = -1;

	if (bkp_conninfo_make(place, config->database_name, &info, err) < 0)
		return -1;
	if ((known = PQconninfoParse("", NULL)) == NULL) {
		(void)bkp_fail_nomem(err, "describing a connection");
		goto out;
	}
	for (const PQconninfoOption *o = known; o->keyword != NULL; o++) {
		const char *value = value_of(&info, o->keyword);

		if (config->database_name == NULL &&
		    strcmp(o->keyword, "dbname") == 0)
			value = NULL;
		if (o->envvar != NULL && set(env, o->envvar, value, err) < 0)
			goto out;
	}
	rc = set(env, "PGSERVICEFILE", NULL, err);
out:
	PQconninfoFree(known);
	bkp_conninfo_free(&info);
	return rc;
}

static int
set_place(struct environment *env, const struct bkp_assertion_config *config,
    const struct bkp_source_config *place, struct bkp_error *err)
{
	switch (place->kind) {
	case BKP_KIND_POSTGRES:
		return set_connection(env, config, &place->postgres, err);
	case BKP_KIND_FILES:
		return set(
		    env, "BACKUP_SCRATCH_DIRECTORY", place->files.root, err);
	case BKP_KIND_BUCKET:
		if (place->bucket.folder != NULL)
			return set(env, "BACKUP_SCRATCH_DIRECTORY",
			    place->bucket.folder, err);
		if (set(env, "BACKUP_SCRATCH_ENDPOINT", place->bucket.endpoint,
			err) < 0)
			return -1;
		return set(
		    env, "BACKUP_SCRATCH_BUCKET", place->bucket.bucket, err);
	case BKP_KIND_COMMAND:
		break;
	}
	return 0;
}

int
bkp_assertion_environment(const struct bkp_assertion_config *config,
    const struct bkp_source_config *place, const char *snapshot, char ***out,
    struct bkp_error *err)
{
	struct environment env = {.items = NULL};

	/* What opens the repository is not for others. */
	if (set(&env, "BACKUP_PASSPHRASE", NULL, err) < 0 ||
	    set(&env, "BACKUP_PASSPHRASE_FILE", NULL, err) < 0 ||
	    set(&env, "BACKUP_SNAPSHOT", snapshot, err) < 0 ||
	    set(&env, "BACKUP_SOURCE", config->prefix, err) < 0 ||
	    set(&env, "BACKUP_ASSERTION", config->name, err) < 0 ||
	    set_place(&env, config, place, err) < 0) {
		bkp_assertion_environment_free(env.items);
		return -1;
	}
	*out = env.items;
	return 0;
}

void
bkp_assertion_environment_free(char **env)
{
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		bkp_secret_free(env[i]);
	free(env);
}

/* ---- the command ---- */

/* The last bytes of its standard output. */
struct tail {
	char text[TAIL_MAX + 1];
	size_t len;
};

static int
keep_tail(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct tail *tail = arg;
	const char *bytes = data;
	size_t keep = tail->len;

	(void)err;
	if (len > TAIL_MAX) {
		bytes += len - TAIL_MAX;
		len = TAIL_MAX;
	}
	if (keep > TAIL_MAX - len)
		keep = TAIL_MAX - len;
	memmove(tail->text, tail->text + tail->len - keep, keep);
	memcpy(tail->text + keep, bytes, len);
	tail->len = keep + len;
	for (size_t i = 0; i < tail->len; i++)
		if (tail->text[i] == '\0')
			tail->text[i] = '?';
	tail->text[tail->len] = '\0';
	return 0;
}

/* Whole lines, where it has been cut. */
static const char *
last_lines(const struct tail *tail)
{
	const char *line = tail->text;

	if (tail->len == TAIL_MAX &&
	    (line = strchr(tail->text, '\n')) != NULL && line[1] != '\0')
		return line + 1;
	return line != NULL ? line : tail->text;
}

static int
tell(struct fmt_buf *what, const char *message, const struct tail *tail,
    struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_append_text(what, message);

	if (status == FMT_OK && tail->len > 0)
		status = fmt_buf_printf(
		    what, "; its output ends: %s", last_lines(tail));
	while (what->len > 0 && (what->data[what->len - 1] == '\n' ||
				    what->data[what->len - 1] == ' '))
		what->len--;
	return status == FMT_OK ? 0
				: bkp_fail_nomem(err, "telling of a "
						      "command");
}

static int
run_child(const struct bkp_child_options *options, struct bkp_error *err)
{
	struct bkp_child *child = NULL;
	int rc = bkp_child_start(options, &child, err);

	if (rc == 0)
		rc = bkp_child_finish(child, err);
	bkp_child_free(child);
	return rc;
}

int
bkp_assertion_run(const struct bkp_assertion *assertion,
    const struct bkp_source_config *place, const char *snapshot,
    struct bkp_run *run, struct fmt_buf *what, struct bkp_error *err)
{
	const struct bkp_assertion_config *config = assertion->config;
	struct bkp_error why = BKP_ERROR_INIT;
	struct tail tail = {.len = 0};
	struct bkp_child_options options = {.output = keep_tail,
	    .output_arg = &tail,
	    .limit_ms = config->timeout_ms,
	    .cancel = bkp_run_cancel(run)};
	const char **argv = NULL;
	char **env = NULL;
	int holds = -1;

	argv = bkp_alloc_array(config->run.count + 1, sizeof(*argv), err);
	if (argv == NULL ||
	    bkp_assertion_environment(config, place, snapshot, &env, err) < 0)
		goto out;
	memcpy(argv, config->run.items, config->run.count * sizeof(*argv));
	options.argv = argv;
	options.env = (const char *const *)env;
	if (run_child(&options, &why) == 0)
		holds = fmt_buf_append_text(what, "exit status 0") == FMT_OK
			    ? 1
			    : bkp_fail_nomem(err, "telling of a command");
	else if (why.code != BKP_CANCELLED && why.code != BKP_NOMEM)
		holds = tell(what, why.message, &tail, err);
	else if (err != NULL)
		*err = why;
out:
	bkp_assertion_environment_free(env);
	free(argv);
	return holds;
}
