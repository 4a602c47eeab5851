/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_amcheck over a scratch database: does every page of every table and index
 * say what it should?
 *
 * That an index has all that its table has (heapallindexed) takes one more scan
 * of the table for each, twice as much as all the rest. The server made each of
 * them a moment ago of these very rows, by the same scan: it says nothing of
 * the backup, but where what is in the index is computed. A function that is
 * called immutable and is not gives other keys, or other rows, the second time;
 * those are always asked, and all where the configuration wants it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "libbackup/base/child.h"
#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/conninfo.h"
#include "libbackup/postgres/programs.h"
#include "libbackup/source/postgres_examine.h"

#define CHECK "amcheck"
#define ROWS CHECK "/heapallindexed"
/* Where the extension is put while it is needed. */
#define SCHEMA "libbackup_amcheck"
/* As much of what it finds as is told. */
#define TOLD 1200
/* Where more are computed than fit well into a command line, all are asked. */
#define NAMED_MAX 1000

/* What does not run says nothing of the database, but for a run that ends. */
static int
leave_untried(const struct bkp_pg_examined *in, const char *check,
    const struct bkp_error *why, struct bkp_error *err)
{
	if (why->code != BKP_CANCELLED && why->code != BKP_NOMEM)
		return bkp_pg_remark(
		    in, BKP_REMARK_UNTRIED, check, why->message, err);
	if (err != NULL)
		*err = *why;
	return -1;
}

struct check {
	const struct bkp_pg_examined *in;
	const char *program;
	const char *encoding;     /* of names, in and out */
	const PGresult *computed; /* indexes, as arguments */
	struct fmt_buf found;     /* what the program says */
};

/* ---- the extension ---- */

/* A trigger of the database that refuses changes is not asked. */
static int
without_event_triggers(struct bkp_pg *pg, struct bkp_error *err)
{
	return bkp_pg_do(pg,
	    bkp_pg_major(pg) >= 17 ? "SET event_triggers TO off"
				   : "SET session_replication_role TO replica",
	    err);
}

/* *is_made: it was not there, and goes again. */
static int
make_extension(struct bkp_pg *pg, bool *is_made, struct bkp_error *err)
{
	char *count = bkp_pg_text(pg,
	    "SELECT count(*) FROM pg_catalog.pg_extension"
	    " WHERE extname = 'amcheck'",
	    err);

	if (count == NULL)
		return -1;
	*is_made = strcmp(count, "0") == 0;
	free(count);
	if (!*is_made)
		return 0;
	if (without_event_triggers(pg, err) < 0 ||
	    bkp_pg_do(pg,
		"CREATE SCHEMA " SCHEMA ";"
		" CREATE EXTENSION amcheck SCHEMA " SCHEMA,
		err) < 0)
		return bkp_fail_in(err,
		    "not run, for the server has no extension amcheck (a "
		    "package of PostgreSQL's contributed modules has it)");
	return 0;
}

static int
drop_extension(struct bkp_pg *pg, struct bkp_error *err)
{
	return bkp_pg_do(
	    pg, "DROP EXTENSION amcheck; DROP SCHEMA " SCHEMA, err);
}

/* ---- the program ---- */

static int
keep_output(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct fmt_buf *out = arg;

	/* A database that is damaged all over has much to say. */
	if (out->len >= TOLD)
		return 0;
	return fmt_buf_append(out, data, len) == FMT_OK
		   ? 0
		   : bkp_fail_nomem(err, "reading what pg_amcheck says");
}

/* *has_found: what it says is findings. Its exit status is 2 then; any other
 * but 0 is a failure of its own, such as that the server goes down over what is
 * damaged. But it has nothing else to say than what it found. */
static int
run_child(const struct bkp_child_options *options, const struct fmt_buf *said,
    bool *has_found, struct bkp_error *err)
{
	struct bkp_child *child = NULL;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc;

	*has_found = false;
	if (bkp_child_start(options, &child, err) < 0)
		return -1;
	rc = bkp_child_finish(child, &why);
	if (rc < 0 && WIFEXITED(bkp_child_status(child)) &&
	    (WEXITSTATUS(bkp_child_status(child)) == 2 ||
		(said->len > 0 && why.code != BKP_CANCELLED &&
		    why.code != BKP_NOMEM))) {
		*has_found = true;
		rc = 0;
	} else if (rc < 0 && err != NULL) {
		*err = why;
	}
	bkp_child_free(child);
	return rc;
}

/* With `count` more arguments. */
static int
run_program(struct check *check, const char *const *more, size_t count,
    bool *has_found, struct bkp_error *err)
{
	const struct bkp_pg_examined *in = check->in;
	struct bkp_run *run = bkp_supply_run(in->supply);
	struct bkp_pg_access access = BKP_PG_ACCESS_INIT;
	char *jobs = bkp_format(err, "--jobs=%u", bkp_run_workers(run));
	const char **argv = bkp_alloc_array(count + 5, sizeof(*argv), err);
	int rc = -1;

	fmt_buf_clear(&check->found);
	if (jobs != NULL && argv != NULL &&
	    bkp_pg_access_make_untimed(
		in->config, in->database, check->encoding, &access, err) == 0) {
		const struct bkp_child_options options = {.argv = argv,
		    .env = (const char *const *)access.env,
		    .output = keep_output,
		    .output_arg = &check->found,
		    .cancel = bkp_run_cancel(run)};

		argv[0] = check->program;
		argv[1] = "--no-password";
		argv[2] = jobs;
		for (size_t i = 0; i < count; i++)
			argv[3 + i] = more[i];
		argv[3 + count] = access.conninfo;
		rc = run_child(&options, &check->found, has_found, err);
	}
	bkp_pg_access_free(&access);
	free(argv);
	free(jobs);
	return rc;
}

/* ---- which indexes are asked for rows ---- */

/* As arguments; a name in quotes is no pattern. */
static const char computed_indexes[] =
    "SELECT pg_catalog.format('--index=\"%s\".\"%s\"',"
    "  pg_catalog.replace(n.nspname, '\"', '\"\"'),"
    "  pg_catalog.replace(c.relname, '\"', '\"\"'))"
    " FROM pg_catalog.pg_index i"
    " JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_catalog.pg_am a ON a.oid = c.relam"
    " WHERE a.amname = 'btree' AND c.relkind = 'i'"
    " AND c.relpersistence <> 't'"
    " AND i.indisvalid AND i.indisready AND i.indislive"
    " AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)";

/* What pg_amcheck is asked a second time, and of how many indexes. */
static int
ask_computed(struct check *check, bool *has_found, struct bkp_error *err)
{
	size_t count = (size_t)PQntuples(check->computed);
	const char **more = bkp_alloc_array(count + 1, sizeof(*more), err);
	int rc;

	if (more == NULL)
		return -1;
	more[0] = "--heapallindexed";
	if (count > NAMED_MAX)
		count = 0;
	for (size_t i = 0; i < count; i++)
		more[1 + i] = PQgetvalue(check->computed, (int)i, 0);
	rc = run_program(check, more, 1 + count, has_found, err);
	free(more);
	return rc;
}

/* Its lines, with nothing but spaces between them. */
static int
tell_found(struct check *check, struct bkp_error *err)
{
	struct fmt_buf *found = &check->found;

	if (fmt_buf_text(found) == NULL)
		return bkp_fail_nomem(err, "reading what pg_amcheck says");
	for (size_t i = 0; i < found->len; i++)
		if (found->data[i] == '\n')
			found->data[i] = ' ';
	return bkp_pg_remark(
	    check->in, BKP_REMARK_BAD, CHECK, fmt_buf_text(found), err);
}

/* `computed`: so many indexes were asked for their rows. */
static int
tell_good(const struct bkp_pg_examined *in, int computed, struct bkp_error *err)
{
	char what[200] = "tables and indexes are sound";

	if (in->config->is_heapallindexed)
		return bkp_pg_remark(in, BKP_REMARK_GOOD, CHECK,
		    "tables and indexes are sound, and every index has all "
		    "rows of its table",
		    err);
	if (computed > 0)
		(void)snprintf(what, sizeof(what),
		    "tables and indexes are sound, and %s of expressions or "
		    "with a condition found with all rows",
		    bkp_counted((uint64_t)computed, "index").text);
	return bkp_pg_remark(in, BKP_REMARK_GOOD, CHECK, what, err);
}

/* The second time, when all is sound. Where that cannot be asked the first
 * answer stands. */
static int
check_computed(struct check *check, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	int computed = PQntuples(check->computed);
	bool has_found = false;

	if (computed > 0 && ask_computed(check, &has_found, &why) < 0) {
		if (tell_good(check->in, 0, err) < 0)
			return -1;
		return leave_untried(check->in, ROWS, &why, err);
	}
	return has_found ? tell_found(check, err)
			 : tell_good(check->in, computed, err);
}

static int
check_all(struct check *check, struct bkp_error *err)
{
	static const char *const all[] = {"--heapallindexed"};
	const struct bkp_pg_examined *in = check->in;
	struct bkp_error why = BKP_ERROR_INIT;
	bool is_all = in->config->is_heapallindexed, has_found;

	bkp_run_phase(
	    bkp_supply_run(in->supply), 0, 0, "%s: pg_amcheck", in->path);
	if (run_program(check, all, is_all ? 1 : 0, &has_found, &why) < 0)
		return leave_untried(in, CHECK, &why, err);
	if (has_found)
		return tell_found(check, err);
	return is_all ? tell_good(in, 0, err) : check_computed(check, err);
}

/* With the extension. */
static int
check_database(const struct bkp_pg_examined *in, struct bkp_pg *pg,
    const char *program, struct bkp_error *err)
{
	struct check check = {.in = in,
	    .program = program,
	    .encoding = bkp_pg_name_encoding(pg),
	    .found = FMT_BUF_INIT};
	struct bkp_error why = BKP_ERROR_INIT;
	PGresult *computed = NULL;
	int rc;

	if (bkp_pg_query(pg, computed_indexes, 0, NULL, &computed, &why) < 0) {
		rc = leave_untried(in, CHECK, &why, err);
	} else {
		check.computed = computed;
		rc = check_all(&check, err);
	}
	fmt_buf_free(&check.found);
	PQclear(computed);
	return rc;
}

int
bkp_pg_amcheck(
    const struct bkp_pg_examined *in, struct bkp_pg *pg, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	char *program = NULL;
	bool is_made = false;
	int rc;

	if (bkp_pg_program(in->config->bindir, "pg_amcheck", bkp_pg_major(pg),
		&program, &why) < 0 ||
	    make_extension(pg, &is_made, &why) < 0) {
		rc = leave_untried(in, CHECK, &why, err);
	} else {
		rc = check_database(in, pg, program, err);
		if (rc == 0 && is_made)
			rc = drop_extension(pg, err);
	}
	free(program);
	return rc;
}
