/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/conninfo.h"
#include "libbackup/postgres/programs.h"
#include "libbackup/postgres/sqltext.h"

int
bkp_pg_programs_find(const char *bindir, unsigned major,
    struct bkp_pg_programs *out, struct bkp_error *err)
{
	struct bkp_pg_programs programs = BKP_PG_PROGRAMS_INIT;

	if (bkp_pg_program(bindir, "pg_dump", major, &programs.dump, err) < 0 ||
	    bkp_pg_program(
		bindir, "pg_dumpall", major, &programs.dumpall, err) < 0 ||
	    bkp_pg_program(
		bindir, "pg_restore", major, &programs.restore, err) < 0) {
		bkp_pg_programs_free(&programs);
		return -1;
	}
	*out = programs;
	return 0;
}

void
bkp_pg_programs_free(struct bkp_pg_programs *programs)
{
	free(programs->dump);
	free(programs->dumpall);
	free(programs->restore);
	*programs = (struct bkp_pg_programs)BKP_PG_PROGRAMS_INIT;
}

static int
keep_output(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_append(arg, data, len);

	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "keeping a program's output");
}

int
bkp_pg_run_program(const char **argv, size_t at,
    const struct bkp_postgres_config *config, const char *database,
    struct bkp_run *run, struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_pg_access access = BKP_PG_ACCESS_INIT;
	struct bkp_child_options options = {.argv = argv};
	char *dbname = NULL;
	int rc = -1;

	if (bkp_pg_access_make(config, database, &access, err) < 0)
		return -1;
	dbname = bkp_format(err, "--dbname=%s", access.conninfo);
	if (dbname == NULL)
		goto out;
	argv[at] = dbname;
	options.env = (const char *const *)access.env;
	options.cancel = bkp_run_cancel(run);
	if (out != NULL) {
		options.output = keep_output;
		options.output_arg = out;
	}
	rc = bkp_child_run(&options, err);
out:
	free(dbname);
	bkp_pg_access_free(&access);
	return rc;
}

int
bkp_pg_dump_schema(const struct bkp_pg_programs *programs,
    const struct bkp_postgres_config *config, const char *database,
    const char *snapshot, const char *encoding, struct bkp_run *run,
    struct fmt_buf *out, struct bkp_error *err)
{
	char *snapshot_option = bkp_format(err, "--snapshot=%s", snapshot);
	char *encoding_option = bkp_format(err, "--encoding=%s", encoding);
	const char *argv[] = {programs->dump, NULL, "--format=custom",
	    "--schema-only", "--create", "--no-password",
	    "--lock-wait-timeout=2000", snapshot_option, encoding_option, NULL};
	int rc = -1;

	if (snapshot_option != NULL && encoding_option != NULL)
		rc = bkp_pg_run_program(
		    argv, 1, config, database, run, out, err);
	free(snapshot_option);
	free(encoding_option);
	return rc;
}

int
bkp_pg_dump_catalogue(const struct bkp_pg_programs *programs,
    const struct fmt_buf *archive, struct bkp_run *run, struct fmt_buf *out,
    struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	const char *argv[] = {programs->restore, "--file=-", NULL};
	struct bkp_child_options options = {.argv = argv,
	    .has_input = true,
	    .output = keep_output,
	    .output_arg = &text,
	    .cancel = bkp_run_cancel(run)};
	struct bkp_child *child = NULL;
	enum fmt_status status;
	int rc = -1;

	if (bkp_child_start(&options, &child, err) < 0 ||
	    bkp_child_write(child, archive->data, archive->len, err) < 0 ||
	    bkp_child_finish(child, err) < 0)
		goto out;
	status = bkp_sql_catalogue((const char *)text.data, text.len, out);
	rc = status == FMT_OK ? 0
			      : bkp_fail_format(err, status, "the catalogue");
out:
	bkp_child_free(child);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_pg_dump_globals(const struct bkp_pg_programs *programs,
    const struct bkp_postgres_config *config, const char *database,
    bool has_passwords, struct bkp_run *run, struct fmt_buf *out,
    struct fmt_buf *tablespaces, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	char *initial = bkp_format(err, "--database=%s", database);
	const char *argv[] = {programs->dumpall, NULL, "--globals-only",
	    "--no-password", initial,
	    has_passwords ? NULL : "--no-role-passwords", NULL};
	enum fmt_status status;
	int rc = -1;

	if (initial == NULL ||
	    bkp_pg_run_program(argv, 1, config, database, run, &text, err) < 0)
		goto out;
	status = bkp_sql_globals(
	    (const char *)text.data, text.len, out, tablespaces);
	rc = status == FMT_OK ? 0 : bkp_fail_format(err, status, "the roles");
out:
	free(initial);
	fmt_buf_free(&text);
	return rc;
}
