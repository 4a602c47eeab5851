/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schema goes back by pg_restore, section by section.
 *
 * Several connections at once attach the indexes of partitions to those of
 * their parents in a deadlock now and then: pg_restore does not know that the
 * locks go up and down the tree of partitions. So where a schema has such
 * statements its post-data goes back in three steps: indexes and the
 * constraints that are indexes, by all connections; the attaching, by one; then
 * foreign keys, which need the attached ones, and the rest by all again.
 *
 * Foreign keys of a database of which rows are missing go back one by one, for
 * some of them cannot be made any more.
 */
#include "libbackup/postgres/restore.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"

/* A file in memory. */
struct file {
	int fd;     /* owned */
	char *path; /* owned */
};

#define MEMORY_FILE                                                            \
	{                                                                      \
		-1, NULL                                                       \
	}

/* One restore, for the steps. */
struct restore {
	const struct bkp_pg_restore *what;
	const char *database;
	struct bkp_run *run;
	struct file archive;
};

static void
close_file(struct file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	free(file->path);
	*file = (struct file)MEMORY_FILE;
}

/* pg_restore reads an archive from a file with several connections; a schema
 * may hold passwords of foreign servers, so the file has no name and no disk.
 * file->path is valid while the descriptor is open. */
static int
open_file(
    const struct fmt_buf *content, struct file *file, struct bkp_error *err)
{
	int fd = memfd_create("libbackup", MFD_CLOEXEC);

	if (fd < 0)
		return bkp_fail_errno(err, errno, "making a file in memory");
	if (bkp_write_all(fd, content->data, content->len) < 0) {
		(void)bkp_fail_errno(err, errno, "writing a file in memory");
		goto fail;
	}
	file->path = bkp_format(err, "/proc/%ld/fd/%d", (long)getpid(), fd);
	if (file->path == NULL)
		goto fail;
	file->fd = fd;
	return 0;
fail:
	(void)close(fd);
	return -1;
}

/* `list` NULL: the whole section. */
static int
run_restore(struct restore *restore, const char *section, unsigned jobs,
    const struct fmt_buf *list, struct bkp_error *err)
{
	const struct bkp_pg_restore *what = restore->what;
	char section_option[32], jobs_option[32];
	const char *argv[10] = {what->program, NULL, "--exit-on-error",
	    "--no-password", section_option, jobs_option};
	struct file list_file = MEMORY_FILE;
	char *list_option = NULL;
	size_t next = 6;
	int rc = -1;

	(void)snprintf(
	    section_option, sizeof(section_option), "--section=%s", section);
	(void)snprintf(jobs_option, sizeof(jobs_option), "--jobs=%u", jobs);
	if (!what->has_tablespaces)
		argv[next++] = "--no-tablespaces";
	if (list != NULL) {
		if (open_file(list, &list_file, err) < 0)
			return -1;
		list_option = bkp_format(err, "--use-list=%s", list_file.path);
		if (list_option == NULL)
			goto out;
		argv[next++] = list_option;
	}
	argv[next] = restore->archive.path;
	rc = bkp_pg_run_program(
	    argv, 1, what->config, restore->database, restore->run, NULL, err);
	if (rc < 0)
		(void)bkp_fail_in(err, "restoring the schema (%s)", section);
out:
	free(list_option);
	close_file(&list_file);
	return rc;
}

/* ---- the steps of post-data ---- */

/* Where the kind begins in a line of the list, such as
 * "3345; 2606 16402 CONSTRAINT app account account_pkey owner". */
static size_t
find_kind(const char *line, size_t len)
{
	size_t at = 0;

	for (int numbers = 0; numbers < 3; numbers++) {
		while (at < len && isdigit((unsigned char)line[at]))
			at++;
		while (at < len && (line[at] == ';' || line[at] == ' '))
			at++;
	}
	return at;
}

enum bkp_pg_step
bkp_pg_step_of(const char *line, size_t len)
{
	static const struct {
		const char *start;
		enum bkp_pg_step step;
	} kinds[] = {{"INDEX ATTACH ", BKP_PG_STEP_ATTACH},
	    {"INDEX ", BKP_PG_STEP_INDEXES},
	    {"FK CONSTRAINT ", BKP_PG_STEP_FOREIGN_KEYS},
	    {"CONSTRAINT ", BKP_PG_STEP_INDEXES}};
	size_t at = find_kind(line, len);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t start_len = strlen(kinds[i].start);

		if (len - at >= start_len &&
		    memcmp(line + at, kinds[i].start, start_len) == 0)
			return kinds[i].step;
	}
	return BKP_PG_STEP_REST;
}

static int
keep_output(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_append(arg, data, len);

	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "keeping a list");
}

static int
list_section(struct restore *restore, const char *section_option,
    struct fmt_buf *out, struct bkp_error *err)
{
	const char *argv[] = {restore->what->program, "--list", section_option,
	    restore->archive.path, NULL};
	struct bkp_child_options options = {.argv = argv,
	    .output = keep_output,
	    .output_arg = out,
	    .cancel = bkp_run_cancel(restore->run)};

	return bkp_child_run(&options, err);
}

/* Lines that begin with ';' are remarks. */
static enum fmt_status
split_list(const struct fmt_buf *list, struct fmt_buf lists[BKP_PG_STEPS])
{
	const char *at = (const char *)list->data;
	const char *end = list->len > 0 ? at + list->len : at;
	enum fmt_status status = FMT_OK;

	while (at < end && status == FMT_OK) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline != NULL ? newline + 1 : end;

		if (*at != ';')
			status = fmt_buf_append(
			    &lists[bkp_pg_step_of(at, (size_t)(stop - at))], at,
			    (size_t)(stop - at));
		at = stop;
	}
	return status;
}

/* A connection that broke is seen by whatever comes next. */
static int
restore_line(struct restore *restore, const char *line, size_t len,
    struct bkp_error *err)
{
	const struct bkp_pg_restore *what = restore->what;
	struct bkp_error why = BKP_ERROR_INIT;
	struct fmt_buf list = FMT_BUF_INIT;
	size_t kind = find_kind(line, len);
	char *name = bkp_format(err, "%.*s", (int)(len - kind), line + kind);
	int rc = -1;

	if (name == NULL)
		return -1;
	name[strcspn(name, "\n")] = '\0';
	if (fmt_buf_append(&list, line, len) != FMT_OK)
		(void)bkp_fail_nomem(err, "making a foreign key");
	else if ((rc = run_restore(restore, "post-data", 1, &list, &why)) < 0) {
		if (why.code == BKP_CANCELLED || why.code == BKP_NOMEM) {
			if (err != NULL)
				*err = why;
		} else {
			rc = what->refused(what->refused_arg, name, &why, err);
		}
	}
	fmt_buf_free(&list);
	free(name);
	return rc;
}

static int
restore_line_by_line(
    struct restore *restore, const struct fmt_buf *list, struct bkp_error *err)
{
	const char *at = (const char *)list->data;
	const char *end = list->len > 0 ? at + list->len : at;
	int rc = 0;

	while (rc == 0 && at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline != NULL ? newline + 1 : end;

		rc = restore_line(restore, at, (size_t)(stop - at), err);
		at = stop;
	}
	return rc;
}

static int
restore_step(struct restore *restore, enum bkp_pg_step step, unsigned jobs,
    const struct fmt_buf *list, struct bkp_error *err)
{
	if (list->len == 0)
		return 0;
	if (step == BKP_PG_STEP_FOREIGN_KEYS && restore->what->refused != NULL)
		return restore_line_by_line(restore, list, err);
	return run_restore(restore, "post-data",
	    step == BKP_PG_STEP_ATTACH ? 1 : jobs, list, err);
}

static int
restore_in_steps(struct restore *restore, unsigned jobs, struct bkp_error *err)
{
	struct fmt_buf list = FMT_BUF_INIT;
	struct fmt_buf lists[BKP_PG_STEPS] = {
	    FMT_BUF_INIT, FMT_BUF_INIT, FMT_BUF_INIT, FMT_BUF_INIT};
	enum fmt_status status;
	int rc = -1;

	if (list_section(restore, "--section=post-data", &list, err) < 0)
		goto out;
	if ((status = split_list(&list, lists)) != FMT_OK) {
		(void)bkp_fail_format(err, status, "listing the schema");
		goto out;
	}
	if (lists[BKP_PG_STEP_ATTACH].len == 0 &&
	    restore->what->refused == NULL) {
		rc = run_restore(restore, "post-data", jobs, NULL, err);
		goto out;
	}
	rc = 0;
	for (int step = 0; rc == 0 && step < BKP_PG_STEPS; step++)
		rc = restore_step(
		    restore, (enum bkp_pg_step)step, jobs, &lists[step], err);
out:
	for (int step = 0; step < BKP_PG_STEPS; step++)
		fmt_buf_free(&lists[step]);
	fmt_buf_free(&list);
	return rc;
}

int
bkp_pg_restore_schema(const struct bkp_pg_restore *what, const char *database,
    enum bkp_pg_section section, unsigned jobs, struct bkp_run *run,
    struct bkp_error *err)
{
	struct restore restore = {.what = what,
	    .database = database,
	    .run = run,
	    .archive = MEMORY_FILE};
	int rc;

	if (open_file(what->archive, &restore.archive, err) < 0)
		return -1;
	if (section == BKP_PG_PRE_DATA)
		rc = run_restore(&restore, "pre-data", 1, NULL, err);
	else if (jobs == 1 && what->refused == NULL)
		rc = run_restore(&restore, "post-data", 1, NULL, err);
	else
		rc = restore_in_steps(&restore, jobs, err);
	close_file(&restore.archive);
	return rc;
}
