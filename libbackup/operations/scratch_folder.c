/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder that scratch places are made in. Whoever made it holds a lock on
 * a file in it, which ends with the process however that ends: so the next run
 * knows a folder that was left from one that is in use, and removes it. That
 * may be as large as what was restored.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"
#include "libbackup/base/write.h"
#include "libbackup/operations/scratch.h"

#define LOCK_NAME ".in-use"
#define DAY_S (24 * 60 * 60)

/* So often, twenty times a second, a server that was told to end is looked
 * at. */
#define LOOKS 100

/* ---- what was left ---- */

/* The process that a server wrote into its folder, where it works there: a
 * number alone may be somebody else's by now. 0: none. */
static pid_t
server_in(const char *pid_file)
{
	char link[64], where[4096], line[32] = "";
	FILE *file = fopen(pid_file, "re");
	ssize_t len;
	long pid;

	if (file == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) == NULL)
		line[0] = '\0';
	(void)fclose(file);
	pid = strtol(line, NULL, 10);
	if (pid <= 1)
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/%ld/cwd", pid);
	len = readlink(link, where, sizeof(where) - 1);
	if (len <= 0 || (size_t)len > strlen(pid_file) ||
	    strncmp(where, pid_file, (size_t)len) != 0 ||
	    strcmp(pid_file + len, "/postmaster.pid") != 0)
		return 0;
	return (pid_t)pid;
}

/* A scratch server ends with who started it; one that did not is ended. */
static void
end_servers(const char *path)
{
	const struct timespec pause = {0, 50 * 1000 * 1000};
	char pattern[4096];
	glob_t found;

	if (snprintf(pattern, sizeof(pattern), "%s/*/data/postmaster.pid",
		path) >= (int)sizeof(pattern) ||
	    glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		pid_t pid = server_in(found.gl_pathv[i]);

		if (pid == 0 || kill(pid, SIGQUIT) < 0)
			continue;
		for (int n = 0; n < LOOKS && kill(pid, 0) == 0; n++)
			(void)nanosleep(&pause, NULL);
	}
	globfree(&found);
}

/* Of which nobody knows whether it is in use. One of today may be. */
static void
tell_leftover(struct bkp_run *run, const char *path, const struct stat *st,
    const char *command)
{
	if (st->st_mtime < time(NULL) - DAY_S)
		bkp_run_message(run, BKP_WARNING, NULL,
		    "%s was left by a %s that was killed; remove it: "
		    "rm -r '%s'",
		    path, command, path);
}

static void
look_at(struct bkp_run *run, const char *path, const char *command)
{
	char name[4096];
	struct stat st, lock;
	int fd;

	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) ||
	    st.st_uid != geteuid() ||
	    snprintf(name, sizeof(name), "%s/" LOCK_NAME, path) >=
		(int)sizeof(name))
		return;
	fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	/* It is empty until whoever makes it has the lock. */
	if (fd < 0 || fstat(fd, &lock) < 0 || lock.st_size == 0) {
		tell_leftover(run, path, &st, command);
	} else if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		end_servers(path);
		bkp_temporary_remove(path);
		bkp_run_message(run, BKP_INFO, NULL,
		    "%s was left by a %s that was killed, and is removed", path,
		    command);
	}
	if (fd >= 0)
		(void)close(fd);
}

static void
look_for_leftovers(struct bkp_run *run, const char *base, const char *command)
{
	char pattern[4096];
	glob_t found;

	if (snprintf(pattern, sizeof(pattern), "%s/%s-??????", base, command) >=
		(int)sizeof(pattern) ||
	    glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		look_at(run, found.gl_pathv[i], command);
	globfree(&found);
}

/* ---- one of our own ---- */

/* Where a file system has no locks the folder is one of which nobody knows. */
static int
hold(struct bkp_scratch_folder *folder, struct bkp_error *err)
{
	char *name = bkp_format(err, "%s/" LOCK_NAME, folder->path);
	int rc = -1;

	if (name == NULL)
		return -1;
	folder->lock = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (folder->lock < 0)
		(void)bkp_fail_errno(err, errno, "making %s", name);
	else if (flock(folder->lock, LOCK_EX | LOCK_NB) == 0 &&
		 bkp_write_all(folder->lock, "\n", 1) < 0)
		(void)bkp_fail_errno(err, errno,
		    "writing into %s (--scratch-directory names another place)",
		    folder->path);
	else
		rc = 0;
	free(name);
	return rc;
}

int
bkp_scratch_folder_open(struct bkp_scratch_folder *folder, const char *base,
    const char *command, struct bkp_run *run, struct bkp_error *err)
{
	char *whole;

	if (base == NULL)
		base = bkp_temporary_directory();
	/* A server that is started in a folder of its own has to find it. */
	if ((whole = realpath(base, NULL)) == NULL)
		return bkp_fail_errno(err, errno,
		    "making a scratch folder in %s (--scratch-directory or "
		    "TMPDIR names another)",
		    base);
	look_for_leftovers(run, whole, command);
	folder->path = bkp_format(err, "%s/%s-XXXXXX", whole, command);
	free(whole);
	if (folder->path == NULL)
		return -1;
	if (mkdtemp(folder->path) == NULL) {
		(void)bkp_fail_errno(err, errno,
		    "making a scratch folder in %s (--scratch-directory or "
		    "TMPDIR names another)",
		    base);
		free(folder->path);
		folder->path = NULL;
		return -1;
	}
	return hold(folder, err);
}

void
bkp_scratch_folder_close(struct bkp_scratch_folder *folder)
{
	bkp_temporary_remove(folder->path);
	if (folder->lock >= 0)
		(void)close(folder->lock);
	free(folder->path);
	*folder = (struct bkp_scratch_folder)BKP_SCRATCH_FOLDER_INIT;
}
