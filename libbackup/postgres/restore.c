/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schema goes back by pg_restore, but for what takes time: indexes,
 * constraints and foreign keys, which are only read here (toc.h) and made by
 * whoever has loaded the rows.
 *
 * Foreign keys of a database of which rows are missing go back one by one, for
 * some of them cannot be made any more.
 */
#include "libbackup/postgres/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/memfile.h"

/* One restore, for the steps. */
struct restore {
	const struct bkp_pg_restore *what;
	const char *database;
	struct bkp_run *run;
};

/* pg_restore reads lists from files. */
static int
open_list(const struct fmt_buf *list, struct bkp_memfile *out, char **option,
    struct bkp_error *err)
{
	if (bkp_memfile_open(out, err) < 0 ||
	    bkp_memfile_write(out, list->data, list->len, err) < 0)
		return -1;
	*option = bkp_format(err, "--use-list=%s", out->path);
	return *option != NULL ? 0 : -1;
}

/* `list` NULL: the whole section. With a list the section is not named: a
 * comment has none of its own, and pg_restore takes it to be in that of
 * whatever stands before it. */
static int
run_restore(struct restore *restore, const char *section, unsigned jobs,
    const struct fmt_buf *list, struct bkp_error *err)
{
	const struct bkp_pg_restore *what = restore->what;
	char section_option[32], jobs_option[32];
	const char *argv[12] = {what->program, NULL, "--exit-on-error",
	    "--no-password", jobs_option};
	struct bkp_memfile list_file = BKP_MEMFILE_INIT;
	char *list_option = NULL, *role_option = NULL;
	size_t next = 5;
	int rc = -1;

	(void)snprintf(
	    section_option, sizeof(section_option), "--section=%s", section);
	(void)snprintf(jobs_option, sizeof(jobs_option), "--jobs=%u", jobs);
	if (!what->has_tablespaces)
		argv[next++] = "--no-tablespaces";
	if (what->has_no_owner)
		argv[next++] = "--no-owner";
	if (what->has_no_privileges)
		argv[next++] = "--no-privileges";
	if (what->role != NULL) {
		role_option = bkp_format(err, "--role=%s", what->role);
		if (role_option == NULL)
			goto out;
		argv[next++] = role_option;
	}
	if (list != NULL && open_list(list, &list_file, &list_option, err) < 0)
		goto out;
	argv[next++] = list != NULL ? list_option : section_option;
	argv[next] = restore->what->archive;
	rc = bkp_pg_run_program(
	    argv, 1, what->config, restore->database, restore->run, NULL, err);
	if (rc < 0)
		(void)bkp_fail_in(err, "restoring the schema (%s)", section);
out:
	free(list_option);
	free(role_option);
	bkp_memfile_close(&list_file);
	return rc;
}

/* ---- what comes after the rows ---- */

static int
keep_output(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_append(arg, data, len);

	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "keeping a list");
}

/* Runs pg_restore on the archive without a server. */
static int
print_archive(const struct restore *restore, const char *const *options,
    bkp_bytes_fn *take, void *arg, struct bkp_error *err)
{
	const char *argv[10] = {restore->what->program};
	struct bkp_child_options child = {.argv = argv,
	    .output = take,
	    .output_arg = arg,
	    .cancel = bkp_run_cancel(restore->run)};
	size_t next = 1;

	while (*options != NULL)
		argv[next++] = *options++;
	argv[next] = restore->what->archive;
	return bkp_child_run(&child, err);
}

/* The lines of a list that are chosen; remarks are of no use. */
static int
keep_chosen(const struct bkp_pg_restore *what, struct fmt_buf *list,
    struct bkp_error *err)
{
	const char *at = (const char *)list->data;
	const char *end = at != NULL ? at + list->len : at;
	struct fmt_buf kept = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;

	if (what->choice == NULL)
		return 0;
	while (at < end && status == FMT_OK) {
		struct bkp_pg_view line = bkp_pg_next_line(&at, end);

		if (bkp_pg_choice_has(what->choice, line.text, line.len))
			status = fmt_buf_append(&kept, line.text, line.len);
	}
	fmt_buf_free(list);
	*list = kept;
	return status == FMT_OK
		   ? 0
		   : bkp_fail_format(err, status, "listing the schema");
}

static int
print_script(
    struct restore *restore, struct bkp_pg_toc *toc, struct bkp_error *err)
{
	struct bkp_memfile list_file = BKP_MEMFILE_INIT;
	struct fmt_buf list = FMT_BUF_INIT;
	const char *options[5] = {"--file=-", "--verbose"};
	char *list_option = NULL;
	int rc = -1;

	if (bkp_pg_toc_wanted(toc, &list) != FMT_OK) {
		(void)bkp_fail_nomem(err, "listing the schema");
		goto out;
	}
	if (open_list(&list, &list_file, &list_option, err) < 0)
		goto out;
	fmt_buf_free(&list);
	fmt_buf_free(&toc->table_lines);
	options[2] = list_option;
	if (!restore->what->has_tablespaces)
		options[3] = "--no-tablespaces";
	rc = print_archive(restore, options, bkp_pg_toc_script, toc, err);
out:
	free(list_option);
	bkp_memfile_close(&list_file);
	fmt_buf_free(&list);
	return rc;
}

int
bkp_pg_restore_toc(const struct bkp_pg_restore *what, struct bkp_run *run,
    struct bkp_pg_toc *out, struct bkp_error *err)
{
	static const char *const all[] = {"--list", "--verbose", NULL};
	static const char *const after[] = {
	    "--list", "--section=post-data", NULL};
	struct restore restore = {.what = what, .run = run};
	int rc = -1;

	if (print_archive(&restore, after, keep_output, &out->after, err) ==
		0 &&
	    keep_chosen(what, &out->after, err) == 0 &&
	    bkp_pg_toc_after(out, err) == 0 &&
	    print_archive(&restore, all, bkp_pg_toc_list, out, err) == 0 &&
	    bkp_pg_toc_list_end(out, err) == 0 &&
	    print_script(&restore, out, err) == 0)
		rc = bkp_pg_toc_script_end(out, err);
	return rc < 0 ? bkp_fail_in(err, "reading the schema") : 0;
}

/* ---- one by one ---- */

char *
bkp_pg_restore_name(const struct bkp_pg_item *item, struct bkp_error *err)
{
	const struct bkp_pg_view *line = &item->line;
	size_t kind = bkp_pg_kind_at(line->text, line->len);
	char *name =
	    bkp_format(err, "%.*s", (int)(line->len - kind), line->text + kind);

	if (name != NULL)
		name[strcspn(name, "\n")] = '\0';
	return name;
}

int
bkp_pg_restore_fail(const struct bkp_pg_item *item, const struct bkp_error *why,
    struct bkp_error *err)
{
	char *name;

	if (err != NULL)
		*err = *why;
	if (why->code == BKP_CANCELLED ||
	    (name = bkp_pg_restore_name(item, NULL)) == NULL)
		return -1;
	(void)bkp_fail_in(err, "%s", name);
	free(name);
	return -1;
}

/* Whom to tell where it cannot be made; NULL: that is an error. */
static bkp_pg_refused_fn *
told_of(const struct bkp_pg_restore *what, const struct bkp_pg_item *item)
{
	const struct bkp_pg_view *line = &item->line;

	if (bkp_pg_step_of(line->text, line->len) == BKP_PG_STEP_FOREIGN_KEYS)
		return what->refused;
	if (bkp_pg_need_of(line->text, line->len) == BKP_PG_NEED_LEAF)
		return what->privileged;
	return NULL;
}

int
bkp_pg_restore_refuse(const struct bkp_pg_restore *what,
    struct bkp_pg_item *item, const struct bkp_error *why,
    struct bkp_error *err)
{
	char *name = bkp_pg_restore_name(item, err);
	int rc;

	if (name == NULL)
		return -1;
	rc = told_of(what, item)(what->refused_arg, name, why, err);
	item->is_refused = true;
	free(name);
	return rc;
}

/* A connection that broke is seen by whatever comes next. */
static int
restore_item(struct restore *restore, const char *section,
    struct bkp_pg_item *item, struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;
	struct fmt_buf list = FMT_BUF_INIT;
	int rc;

	if (fmt_buf_append(&list, item->line.text, item->line.len) != FMT_OK) {
		fmt_buf_free(&list);
		return bkp_fail_nomem(err, "making what a schema has");
	}
	rc = run_restore(restore, section, 1, &list, &why);
	fmt_buf_free(&list);
	if (rc == 0)
		return 0;
	return why.code == BKP_CANCELLED || why.code == BKP_NOMEM
		   ? bkp_pg_restore_fail(item, &why, err)
		   : bkp_pg_restore_refuse(restore->what, item, &why, err);
}

/* ---- after the rows ---- */

static int
restore_late(struct restore *restore, struct bkp_pg_toc *toc, unsigned jobs,
    struct bkp_error *err)
{
	struct fmt_buf list = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	bool has_attach = false;
	int rc = 0;

	for (size_t i = 0; i < toc->item_count && status == FMT_OK; i++) {
		const struct bkp_pg_item *item = &toc->items[i];

		if (!item->is_late || told_of(restore->what, item) != NULL ||
		    bkp_pg_toc_lacks(toc, item))
			continue;
		status = fmt_buf_append(&list, item->line.text, item->line.len);
		has_attach = has_attach || item->step == BKP_PG_STEP_ATTACH;
	}
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "listing the schema");
	else if (list.len > 0)
		/* Several attach indexes in a deadlock now and then. */
		rc = run_restore(
		    restore, "post-data", has_attach ? 1 : jobs, &list, err);
	fmt_buf_free(&list);
	for (size_t i = 0; rc == 0 && i < toc->item_count; i++)
		if (toc->items[i].is_late &&
		    told_of(restore->what, &toc->items[i]) != NULL)
			rc = restore_item(
			    restore, "post-data", &toc->items[i], err);
	return rc;
}

int
bkp_pg_restore_late(const struct bkp_pg_restore *what, const char *database,
    struct bkp_pg_toc *toc, unsigned jobs, struct bkp_run *run,
    struct bkp_error *err)
{
	struct restore restore = {
	    .what = what, .database = database, .run = run};
	int rc;

	rc = restore_late(&restore, toc, jobs, err);
	return rc;
}

/* ---- before the rows ---- */

/* The next line that is no remark; false at the end. */
static bool
next_item(const char **at, const char *end, struct bkp_pg_item *item)
{
	*item = (struct bkp_pg_item){.id = 0};
	while (*at < end) {
		item->line = bkp_pg_next_line(at, end);
		if (*item->line.text != ';' && *item->line.text != '\n')
			return true;
	}
	return false;
}

/* All of it at once, for its order is that of what depends on what; then what
 * may be refused. */
static int
restore_listed(struct restore *restore, const struct fmt_buf *listed,
    struct bkp_error *err)
{
	const char *at = (const char *)listed->data;
	const char *end = listed->len > 0 ? at + listed->len : at;
	struct fmt_buf list = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	struct bkp_pg_item item;
	int rc = 0;

	while (status == FMT_OK && next_item(&at, end, &item))
		if (told_of(restore->what, &item) == NULL)
			status = fmt_buf_append(
			    &list, item.line.text, item.line.len);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "listing the schema");
	else if (list.len > 0)
		rc = run_restore(restore, "pre-data", 1, &list, err);
	at = (const char *)listed->data;
	while (rc == 0 && next_item(&at, end, &item))
		if (told_of(restore->what, &item) != NULL)
			rc = restore_item(restore, "pre-data", &item, err);
	fmt_buf_free(&list);
	return rc;
}

int
bkp_pg_restore_schema(const struct bkp_pg_restore *what, const char *database,
    struct bkp_run *run, struct bkp_error *err)
{
	static const char *const listed[] = {
	    "--list", "--section=pre-data", NULL};
	struct restore restore = {
	    .what = what, .database = database, .run = run};
	struct fmt_buf list = FMT_BUF_INIT;
	int rc = -1;

	if (what->privileged == NULL && what->choice == NULL)
		rc = run_restore(&restore, "pre-data", 1, NULL, err);
	else if (print_archive(&restore, listed, keep_output, &list, err) ==
		     0 &&
		 keep_chosen(what, &list, err) == 0)
		rc = restore_listed(&restore, &list, err);
	fmt_buf_free(&list);
	return rc;
}

int
bkp_pg_restore_list(const struct bkp_pg_restore *what, struct bkp_run *run,
    bkp_pg_line_fn *fn, void *arg, struct bkp_error *err)
{
	static const char *const listed[] = {"--list", NULL};
	struct restore restore = {.what = what, .run = run};
	struct fmt_buf list = FMT_BUF_INIT;
	struct bkp_pg_item item;
	const char *at, *end;
	int rc;

	rc = print_archive(&restore, listed, keep_output, &list, err);
	at = (const char *)list.data;
	end = list.len > 0 ? at + list.len : at;
	while (rc == 0 && next_item(&at, end, &item))
		rc = fn(arg, item.line.text, item.line.len, err);
	fmt_buf_free(&list);
	return rc;
}

/* ---- a part ---- */

/* What is of this name alone: pg_restore knows it from others that have spaces
 * in theirs. */
static int
take_one(struct restore *restore, const struct bkp_pg_only *only,
    struct bkp_pg_choice *choice, struct bkp_error *err)
{
	const char *options[] = {"--list", NULL, NULL, NULL};
	char *schema = bkp_format(err, "--schema=%s", only->schema);
	char *table = only->table != NULL
			  ? bkp_format(err, "--table=%s", only->table)
			  : NULL;
	struct fmt_buf list = FMT_BUF_INIT;
	int rc = -1;

	if (schema == NULL || (only->table != NULL && table == NULL))
		goto out;
	options[1] = schema;
	options[2] = table;
	if (print_archive(restore, options, keep_output, &list, err) < 0)
		goto out;
	rc = bkp_pg_choice_take(choice, &list) > 0
		 ? 0
		 : bkp_fail(err, BKP_NOTFOUND,
		       only->table != NULL
			   ? "the snapshot has no table \"%s\".\"%s\""
			   : "the snapshot has nothing in a schema \"%s\"",
		       only->schema, only->table);
out:
	free(schema);
	free(table);
	fmt_buf_free(&list);
	return rc;
}

int
bkp_pg_restore_choose(const struct bkp_pg_restore *what,
    const struct bkp_pg_only *only, size_t count, struct bkp_run *run,
    struct bkp_pg_choice *out, struct bkp_error *err)
{
	static const char *const all[] = {"--list", "--verbose", NULL};
	struct restore restore = {.what = what, .run = run};
	int rc;

	rc = print_archive(&restore, all, keep_output, &out->list, err);
	if (rc == 0)
		rc = bkp_pg_choice_read(out, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = take_one(&restore, &only[i], out, err);
	if (rc == 0)
		bkp_pg_choice_complete(out);
	return rc;
}
