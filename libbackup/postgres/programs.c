/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"

unsigned
bkp_pg_program_major(const char *version)
{
	const char *at = strstr(version, "(PostgreSQL) ");
	unsigned major = 0;

	if (at == NULL || sscanf(at + 13, "%3u", &major) != 1)
		return 0;
	return major;
}

static int
keep_output(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_append(arg, data, len);

	return status == FMT_OK ? 0
				: bkp_fail_format(err, status,
				      "reading a program's version");
}

/* The major version of the program at `path`; 0 where there is none. */
static unsigned
major_of(const char *path)
{
	const char *argv[] = {path, "--version", NULL};
	struct fmt_buf output = FMT_BUF_INIT;
	struct bkp_child_options options = {
	    .argv = argv, .output = keep_output, .output_arg = &output};
	const char *text;
	unsigned major = 0;

	if (access(path, X_OK) == 0 && bkp_child_run(&options, NULL) == 0 &&
	    (text = fmt_buf_text(&output)) != NULL)
		major = bkp_pg_program_major(text);
	fmt_buf_free(&output);
	return major;
}

/* What a search has found so far. */
struct search {
	const char *program;
	unsigned major;
	char *found; /* owned; the answer */
	char *other; /* owned; one of another version */
	unsigned other_major;
};

/* Looks in a directory; true ends the search. */
static bool
look_in(struct search *search, const char *directory)
{
	char *path = bkp_format(NULL, "%s/%s", directory, search->program);
	unsigned major;

	if (path == NULL)
		return false;
	major = major_of(path);
	if (major == search->major) {
		search->found = path;
		return true;
	}
	if (major != 0 && search->other == NULL) {
		search->other = path;
		search->other_major = major;
		return false;
	}
	free(path);
	return false;
}

/* Where distributions keep the programs of one version alone. */
static const char *const folders[][2] = {{"/usr/lib/postgresql/", "/bin"},
    {"/usr/pgsql-", "/bin"}, {"/usr/libexec/postgresql", ""},
    {"/usr/local/opt/postgresql@", "/bin"}};

#define FOLDER_COUNT (sizeof(folders) / sizeof(folders[0]))
#define FOLDER_MAX 64

static void
name_folder(size_t n, unsigned major, char out[FOLDER_MAX])
{
	(void)snprintf(
	    out, FOLDER_MAX, "%s%u%s", folders[n][0], major, folders[n][1]);
}

static bool
look_in_versioned(struct search *search)
{
	char directory[FOLDER_MAX];

	for (size_t i = 0; i < FOLDER_COUNT; i++) {
		name_folder(i, search->major, directory);
		if (look_in(search, directory))
			return true;
	}
	return false;
}

static bool
look_in_path(struct search *search)
{
	const char *path = getenv("PATH");
	char *copy = path != NULL ? strdup(path) : NULL;
	char *rest = copy, *directory;
	bool is_found = false;

	while (!is_found && (directory = strsep(&rest, ":")) != NULL)
		is_found = directory[0] == '/' && look_in(search, directory);
	free(copy);
	return is_found;
}

int
bkp_pg_program(const char *bindir, const char *program, unsigned major,
    char **out, struct bkp_error *err)
{
	struct search search = {.program = program, .major = major};
	const char *package =
	    strcmp(program, "postgres") == 0 || strcmp(program, "initdb") == 0
		? ""
		: "client-";

	if ((bindir != NULL && look_in(&search, bindir)) ||
	    look_in_versioned(&search) || look_in_path(&search)) {
		free(search.other);
		*out = search.found;
		return 0;
	}
	if (search.other != NULL)
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "%s of PostgreSQL %u is needed, but %s is of PostgreSQL "
		    "%u: install postgresql-%s%u or set bindir",
		    program, major, search.other, search.other_major, package,
		    major);
	else
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "%s of PostgreSQL %u is needed and there is none: install "
		    "postgresql-%s%u or set bindir",
		    program, major, package, major);
	free(search.other);
	return -1;
}

static bool
is_versioned(const char *path, unsigned major)
{
	const char *slash = strrchr(path, '/');
	char directory[FOLDER_MAX];

	for (size_t i = 0; slash != NULL && i < FOLDER_COUNT; i++) {
		name_folder(i, major, directory);
		if (strlen(directory) == (size_t)(slash - path) &&
		    memcmp(directory, path, (size_t)(slash - path)) == 0)
			return true;
	}
	return false;
}

int
bkp_pg_program_like(const char *known, const char *bindir, const char *program,
    unsigned major, char **out, struct bkp_error *err)
{
	char *path = NULL;

	if ((bindir == NULL || strncmp(known, bindir, strlen(bindir)) == 0) &&
	    is_versioned(known, major)) {
		path = bkp_format(err, "%.*s/%s",
		    (int)(strrchr(known, '/') - known), known, program);
		if (path == NULL)
			return -1;
	}
	if (path != NULL && access(path, X_OK) == 0) {
		*out = path;
		return 0;
	}
	free(path);
	return bkp_pg_program(bindir, program, major, out, err);
}
