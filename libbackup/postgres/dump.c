/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/memfile.h"
#include "libbackup/postgres/conninfo.h"
#include "libbackup/postgres/programs.h"
#include "libbackup/postgres/sqlcatalogue.h"
#include "libbackup/postgres/sqltext.h"

int
bkp_pg_programs_find(const char *bindir, unsigned major,
    struct bkp_pg_programs *out, struct bkp_error *err)
{
	struct bkp_pg_programs programs = BKP_PG_PROGRAMS_INIT;

	if (bkp_pg_program(bindir, "pg_dump", major, &programs.dump, err) < 0 ||
	    bkp_pg_program_like(programs.dump, bindir, "pg_dumpall", major,
		&programs.dumpall, err) < 0 ||
	    bkp_pg_program_like(programs.dump, bindir, "pg_restore", major,
		&programs.restore, err) < 0) {
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

/* Its output goes where the options say. */
static int
start_program(const char **argv, size_t at,
    const struct bkp_postgres_config *config, const char *database,
    struct bkp_run *run, struct bkp_child_options options,
    struct bkp_child **out, struct bkp_error *err)
{
	struct bkp_pg_access access = BKP_PG_ACCESS_INIT;
	char *dbname = NULL;
	int rc = -1;

	if (bkp_pg_access_make(config, database, &access, err) < 0)
		return -1;
	dbname = bkp_format(err, "--dbname=%s", access.conninfo);
	if (dbname == NULL)
		goto out;
	argv[at] = dbname;
	options.argv = argv;
	options.cancel = bkp_run_cancel(run);
	options.env = (const char *const *)access.env;
	rc = bkp_child_start(&options, out, err);
out:
	free(dbname);
	bkp_pg_access_free(&access);
	return rc;
}

/* Its output goes to `take`; NULL: it has none. */
static int
run_program(const char **argv, size_t at,
    const struct bkp_postgres_config *config, const char *database,
    struct bkp_run *run, bkp_bytes_fn *take, void *arg, struct bkp_error *err)
{
	const struct bkp_child_options options = {
	    .output = take, .output_arg = arg};
	struct bkp_child *child = NULL;
	int rc;

	if (start_program(
		argv, at, config, database, run, options, &child, err) < 0)
		return -1;
	rc = bkp_child_finish(child, err);
	bkp_child_free(child);
	return rc;
}

int
bkp_pg_run_program(const char **argv, size_t at,
    const struct bkp_postgres_config *config, const char *database,
    struct bkp_run *run, struct fmt_buf *out, struct bkp_error *err)
{
	return run_program(argv, at, config, database, run,
	    out != NULL ? keep_output : NULL, out, err);
}

int
bkp_pg_dump_schema(const struct bkp_pg_programs *programs,
    const struct bkp_postgres_config *config, const char *database,
    const char *snapshot, const char *encoding, struct bkp_run *run,
    struct bkp_packed **out, struct bkp_error *err)
{
	char *snapshot_option = bkp_format(err, "--snapshot=%s", snapshot);
	char *encoding_option = bkp_format(err, "--encoding=%s", encoding);
	const char *argv[] = {programs->dump, NULL, "--format=custom",
	    "--schema-only", "--create", "--no-password",
	    "--lock-wait-timeout=2000", snapshot_option, encoding_option, NULL};
	struct bkp_packed *archive = NULL;
	int rc = -1;

	if (snapshot_option != NULL && encoding_option != NULL &&
	    bkp_packed_new(&archive, err) == 0)
		rc = run_program(argv, 1, config, database, run,
		    bkp_packed_write, archive, err);
	if (rc == 0)
		rc = bkp_packed_end(archive, err);
	if (rc == 0)
		*out = archive;
	else
		bkp_packed_free(archive);
	free(snapshot_option);
	free(encoding_option);
	return rc;
}

static int
write_child(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	return bkp_child_write(arg, data, len, err);
}

int
bkp_pg_dump_catalogue(const struct bkp_pg_programs *programs,
    const struct bkp_packed *archive, struct bkp_run *run, bkp_bytes_fn *take,
    void *arg, struct bkp_error *err)
{
	const char *argv[] = {programs->restore, "--file=-", NULL};
	struct bkp_child_options options = {.argv = argv,
	    .has_input = true,
	    .output = bkp_sql_catalogue_write,
	    .cancel = bkp_run_cancel(run)};
	struct bkp_sql_catalogue *catalogue = NULL;
	struct bkp_child *child = NULL;
	int rc = -1;

	if (bkp_sql_catalogue_new(&catalogue, err) < 0)
		return -1;
	options.output_arg = catalogue;
	if (bkp_child_start(&options, &child, err) == 0 &&
	    bkp_packed_read(archive, write_child, child, err) == 0 &&
	    bkp_child_finish(child, err) == 0)
		rc = bkp_sql_catalogue_finish(catalogue, take, arg, err);
	bkp_child_free(child);
	bkp_sql_catalogue_free(catalogue);
	return rc;
}

struct bkp_pg_globals {
	struct bkp_child *child;
	struct bkp_memfile file; /* what it prints: nobody reads it meanwhile,
				    and a pipe would be full */
	struct fmt_buf text;     /* of passwords, too */
};

int
bkp_pg_globals_start(const struct bkp_pg_programs *programs,
    const struct bkp_postgres_config *config, const char *database,
    bool has_passwords, struct bkp_run *run, struct bkp_pg_globals **out,
    struct bkp_error *err)
{
	struct bkp_pg_globals *globals = bkp_alloc(sizeof(*globals), err);
	char *initial = bkp_format(err, "--database=%s", database);
	const char *argv[] = {programs->dumpall, NULL, "--globals-only",
	    "--no-password", initial,
	    has_passwords ? NULL : "--no-role-passwords", NULL};
	int rc = -1;

	if (globals != NULL)
		*globals = (struct bkp_pg_globals){
		    .file = BKP_MEMFILE_INIT, .text = FMT_BUF_SECRET_INIT};
	if (globals != NULL && initial != NULL &&
	    bkp_memfile_open(&globals->file, err) == 0)
		rc = start_program(argv, 1, config, database, run,
		    (struct bkp_child_options){.output_fd = globals->file.fd},
		    &globals->child, err);
	free(initial);
	if (rc == 0)
		*out = globals;
	else
		bkp_pg_globals_free(globals);
	return rc;
}

int
bkp_pg_globals_finish(struct bkp_pg_globals *globals, struct fmt_buf *out,
    struct fmt_buf *tablespaces, struct bkp_error *err)
{
	enum fmt_status status;

	if (bkp_child_finish(globals->child, err) < 0 ||
	    bkp_memfile_read(&globals->file, &globals->text, err) < 0)
		return -1;
	status = bkp_sql_globals((const char *)globals->text.data,
	    globals->text.len, out, tablespaces);
	return status == FMT_OK ? 0 : bkp_fail_format(err, status, "the roles");
}

void
bkp_pg_globals_free(struct bkp_pg_globals *globals)
{
	if (globals == NULL)
		return;
	bkp_child_free(globals->child);
	bkp_memfile_close(&globals->file);
	fmt_buf_free(&globals->text);
	free(globals);
}
