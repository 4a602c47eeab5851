/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/postgres_scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"
#include "libbackup/postgres/identity.h"
#include "libbackup/postgres/programs.h"
#include "libbackup/postgres/session.h"
#include "libbackup/source/postgres_cluster.h"

#define START_SECONDS 60
#define STOP_MS 10000

/* Bytes of a socket's path, with "/.s.PGSQL.5432" and the NUL: 108. */
#define SOCKET_FOLDER_MAX 90

struct scratch {
	struct bkp_scratch base;
	struct bkp_run *run;
	char *folder;       /* owned: holds data, socket and log */
	char *data;         /* owned */
	char *socket;       /* owned: the folder of the socket */
	char *log;          /* owned */
	char *initdb;       /* owned */
	char *postgres;     /* owned */
	char *superuser;    /* owned */
	const char *source; /* borrowed: the system identifier of the server
			       that the backup is of; NULL: unknown */
	const char *user;   /* to run as; NULL: ourselves */
	uid_t uid;
	gid_t gid;
	struct bkp_child *server;
};

/* ---- folders ---- */

/* Root cannot run a server, and its folders are closed to others. */
static int
choose_user(struct scratch *scratch, struct bkp_error *err)
{
	static const char *const users[] = {"postgres", "nobody"};
	char room[4096];
	struct passwd entry, *found = NULL;

	if (geteuid() != 0)
		return 0;
	for (size_t i = 0; i < 2; i++) {
		if (getpwnam_r(users[i], &entry, room, sizeof(room), &found) !=
			0 ||
		    found == NULL)
			continue;
		scratch->user = users[i];
		scratch->uid = found->pw_uid;
		scratch->gid = found->pw_gid;
		return 0;
	}
	return bkp_fail(err, BKP_NOTFOUND,
	    "PostgreSQL does not run as root, and there is no user postgres "
	    "or nobody");
}

/* A new folder from a template, the server's own. */
static int
make_folder(struct scratch *scratch, char *path, struct bkp_error *err)
{
	if (mkdtemp(path) == NULL)
		return bkp_fail_errno(err, errno, "making %s", path);
	if (scratch->user != NULL &&
	    chown(path, scratch->uid, scratch->gid) < 0)
		return bkp_fail_errno(
		    err, errno, "giving %s to %s", path, scratch->user);
	return 0;
}

static int
make_folders(
    struct scratch *scratch, const char *directory, struct bkp_error *err)
{
	const char *sockets;

	/* The server's user may pass through, and no more. */
	if (scratch->user != NULL &&
	    (chown(directory, (uid_t)-1, scratch->gid) < 0 ||
		chmod(directory, 0710) < 0))
		return bkp_fail_errno(
		    err, errno, "opening %s to %s", directory, scratch->user);
	scratch->folder = bkp_format(err, "%s/postgres-XXXXXX", directory);
	if (scratch->folder == NULL ||
	    make_folder(scratch, scratch->folder, err) < 0)
		return -1;
	sockets = strlen(scratch->folder) < SOCKET_FOLDER_MAX - 10
		      ? scratch->folder
		      : "/tmp";
	scratch->socket = bkp_format(err, "%s/s-XXXXXX", sockets);
	if (scratch->socket == NULL ||
	    make_folder(scratch, scratch->socket, err) < 0)
		return -1;
	scratch->data = bkp_format(err, "%s/data", scratch->folder);
	scratch->log = bkp_format(err, "%s/log", scratch->folder);
	return scratch->data != NULL && scratch->log != NULL ? 0 : -1;
}

/* ---- the server ---- */

static const char *const environment[] = {"LC_ALL=C", "TZ=UTC", "PGDATA",
    "PGHOST", "PGPORT", "PGUSER", "PGOPTIONS", "PGPASSWORD", "PGSERVICE", NULL};

static struct bkp_pg_cluster
cluster_of(const struct scratch *scratch)
{
	return (struct bkp_pg_cluster){.run = scratch->run,
	    .initdb = scratch->initdb,
	    .postgres = scratch->postgres,
	    .superuser = scratch->superuser,
	    .user = scratch->user,
	    .folder = scratch->folder,
	    .env = environment};
}

static int
make_cluster(struct scratch *scratch, bool *is_kept, struct bkp_error *err)
{
	const struct bkp_pg_cluster cluster = cluster_of(scratch);

	if (bkp_pg_cluster_make(&cluster, is_kept, err) == 0)
		return 0;
	if (scratch->user != NULL)
		return bkp_fail_in(err,
		    "making a scratch cluster as the user %s, for PostgreSQL "
		    "does not run as root (%s has to be a folder that this "
		    "user can reach; --scratch-directory names another)",
		    scratch->user, scratch->folder);
	return bkp_fail_in(err, "making a scratch cluster");
}

static int
start_server(struct scratch *scratch, struct bkp_error *err)
{
	const char *argv[] = {scratch->postgres, "-D", scratch->data, "-k",
	    scratch->socket, "-p", "5432", "-c", "listen_addresses=", "-c",
	    "fsync=off", "-c", "synchronous_commit=off", "-c",
	    "full_page_writes=off", "-c", "wal_level=minimal", "-c",
	    "max_wal_senders=0", "-c", "archive_mode=off", "-c",
	    "max_wal_size=1GB", "-c", "checkpoint_timeout=1h", "-c",
	    "autovacuum=off", "-c", "jit=off", "-c",
	    "maintenance_work_mem=128MB", "-c",
	    "max_locks_per_transaction=1024", "-c",
	    "unix_socket_permissions=0700", NULL};
	struct bkp_child_options options = {.argv = argv,
	    .env = environment,
	    .directory = scratch->folder,
	    .user = scratch->user,
	    .death_signal = SIGQUIT,
	    .cancel = bkp_run_cancel(scratch->run)};
	int rc;

	options.errors_fd =
	    open(scratch->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (options.errors_fd < 0)
		return bkp_fail_errno(err, errno, "%s", scratch->log);
	rc = bkp_child_start(&options, &scratch->server, err);
	(void)close(options.errors_fd);
	return rc;
}

/* The server ended by itself: its last words are in the log. */
static int
fail_start(struct scratch *scratch, struct bkp_error *err)
{
	char tail[300] = "";
	FILE *log = fopen(scratch->log, "re");
	size_t len = 0;

	if (log != NULL) {
		(void)fseek(log, -(long)sizeof(tail) + 1, SEEK_END);
		len = fread(tail, 1, sizeof(tail) - 1, log);
		(void)fclose(log);
	}
	tail[len] = '\0';
	return bkp_fail(
	    err, BKP_IO, "the scratch server did not start: %s", tail);
}

/* Whatever leads there, what is written next must not go anywhere else: it is
 * the server of our own folder, and no copy of the one that was backed up. */
static int
check_identity(
    const struct scratch *scratch, struct bkp_pg *pg, struct bkp_error *err)
{
	struct stat ours, theirs;
	char *folder, *identity = NULL;
	int rc = -1;

	folder = bkp_pg_text(
	    pg, "SELECT pg_catalog.current_setting('data_directory')", err);
	if (folder == NULL || bkp_pg_identity(pg, &identity, err) < 0)
		goto out;
	if (stat(scratch->data, &ours) < 0 || stat(folder, &theirs) < 0 ||
	    ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
		(void)bkp_fail(err, BKP_INVALID,
		    "the server at the scratch socket %s is not the scratch "
		    "server, but one in %s: nothing was done there",
		    scratch->socket, folder);
	else if (identity != NULL && scratch->source != NULL &&
		 strcmp(identity, scratch->source) == 0)
		(void)bkp_fail(err, BKP_INVALID,
		    "the scratch server is the one that the backup is of "
		    "(system identifier %s): nothing was done there",
		    identity);
	else
		rc = 0;
out:
	free(folder);
	free(identity);
	return rc;
}

/* Waits until it takes connections, and makes room for a database of the name
 * that initdb gave to one. */
static int
wait_for_server(struct scratch *scratch, struct bkp_error *err)
{
	const struct bkp_postgres_config *place = &scratch->base.place.postgres;
	struct timespec pause = {0, 50 * 1000 * 1000};
	struct bkp_error failure = BKP_ERROR_INIT;
	struct bkp_pg pg = BKP_PG_INIT;
	int rc;

	for (int i = 0; i < START_SECONDS * 20; i++) {
		if (bkp_run_check(scratch->run, err) < 0)
			return -1;
		if (bkp_child_has_ended(scratch->server))
			return fail_start(scratch, err);
		bkp_run_tick(scratch->run);
		if (bkp_pg_open(&pg, place, NULL, scratch->run, &failure) == 0)
			break;
		(void)nanosleep(&pause, NULL);
	}
	if (pg.conn == NULL)
		return bkp_fail(err, BKP_IO,
		    "the scratch server takes no connections: %s",
		    failure.message);
	rc = check_identity(scratch, &pg, err);
	if (rc == 0)
		rc = bkp_pg_do(&pg, "DROP DATABASE IF EXISTS postgres", err);
	bkp_pg_close(&pg);
	return rc;
}

static void
stop_server(struct scratch *scratch)
{
	if (scratch->server != NULL)
		(void)bkp_child_stop(scratch->server, SIGQUIT, STOP_MS, NULL);
	bkp_child_free(scratch->server);
	scratch->server = NULL;
}

/* A cluster that was kept and in which no server starts is not worth a word:
 * another is made, and that one tells. */
static int
open_server(struct scratch *scratch, struct bkp_error *err)
{
	const struct bkp_pg_cluster cluster = cluster_of(scratch);
	bool is_kept = false;

	if (make_cluster(scratch, &is_kept, err) < 0)
		return -1;
	if (start_server(scratch, err) == 0 &&
	    wait_for_server(scratch, err) == 0)
		return 0;
	if (!is_kept || bkp_run_check(scratch->run, NULL) < 0)
		return -1;
	stop_server(scratch);
	bkp_pg_cluster_forget(&cluster);
	bkp_temporary_remove(scratch->data);
	return make_cluster(scratch, &is_kept, err) < 0 ||
		       start_server(scratch, err) < 0 ||
		       wait_for_server(scratch, err) < 0
		   ? -1
		   : 0;
}

/* ---- the place ---- */

int
bkp_pg_scratch_place(struct bkp_source_config *place,
    const struct bkp_source_config *config, char *conninfo,
    struct bkp_error *err)
{
	const char *bindir = config->postgres.bindir;

	place->kind = BKP_KIND_POSTGRES;
	place->name = bkp_strdup(config->name, err);
	place->prefix = bkp_strdup(config->prefix, err);
	place->postgres.conninfo = conninfo;
	place->postgres.all_databases = true;
	if (place->name == NULL || place->prefix == NULL ||
	    place->postgres.conninfo == NULL)
		return -1;
	if (bindir != NULL &&
	    (place->postgres.bindir = bkp_strdup(bindir, err)) == NULL)
		return -1;
	return 0;
}

/* Nothing of libpq's environment may lead elsewhere. */
static int
make_place(struct scratch *scratch, const struct bkp_source_config *config,
    struct bkp_error *err)
{
	return bkp_pg_scratch_place(&scratch->base.place, config,
	    bkp_format(err,
		"host='%s' hostaddr='' port=5432 user='%s' dbname=template1 "
		"password='' options='' gssencmode=disable",
		scratch->socket, scratch->superuser),
	    err);
}

static void
close_scratch(struct bkp_scratch *base)
{
	struct scratch *scratch = (struct scratch *)base;

	stop_server(scratch);
	bkp_temporary_remove(scratch->socket);
	bkp_temporary_remove(scratch->folder);
	bkp_source_config_free(&scratch->base.place);
	free(scratch->folder);
	free(scratch->data);
	free(scratch->socket);
	free(scratch->log);
	free(scratch->initdb);
	free(scratch->postgres);
	free(scratch->superuser);
	free(scratch);
}

static const struct bkp_scratch_ops scratch_ops = {.close = close_scratch};

/* What the backup says about the server it is of. */
static int
read_info(struct scratch *scratch, const json_t *info, const char *bindir,
    struct bkp_error *err)
{
	unsigned major = (unsigned)json_integer_value(
			     json_object_get(info, "server_version_num")) /
			 10000;
	const char *superuser =
	    json_string_value(json_object_get(info, "bootstrap_superuser"));

	if (major == 0 || superuser == NULL ||
	    strpbrk(superuser, "'\\") != NULL)
		return bkp_fail(err, BKP_CORRUPT,
		    "the snapshot does not tell what server it is of");
	scratch->source =
	    json_string_value(json_object_get(info, "system_identifier"));
	scratch->superuser = bkp_strdup(superuser, err);
	if (scratch->superuser == NULL)
		return -1;
	if (bkp_pg_program(bindir, "initdb", major, &scratch->initdb, err) <
		0 ||
	    bkp_pg_program(bindir, "postgres", major, &scratch->postgres, err) <
		0)
		return bkp_fail_in(err, "a scratch cluster");
	return 0;
}

int
bkp_pg_scratch_open(const struct bkp_source_config *config, const json_t *info,
    const char *directory, struct bkp_run *run, struct bkp_scratch **out,
    struct bkp_error *err)
{
	struct scratch *scratch = bkp_alloc(sizeof(*scratch), err);

	if (scratch == NULL)
		return -1;
	scratch->base.ops = &scratch_ops;
	scratch->run = run;
	if (read_info(scratch, info, config->postgres.bindir, err) < 0 ||
	    choose_user(scratch, err) < 0 ||
	    make_folders(scratch, directory, err) < 0 ||
	    make_place(scratch, config, err) < 0 ||
	    open_server(scratch, err) < 0) {
		close_scratch(&scratch->base);
		return -1;
	}
	*out = &scratch->base;
	return 0;
}
