/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what COPY statements send and throws it away: the time that a backup
 * of the same rows cannot beat.
 *
 *     drain CONNINFO PROCESSES <statements, a line each
 *
 * Each process has a connection, and takes the next statement as soon as it
 * is done with one. Prints how many bytes came.
 */
#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MAX 64

/* What the processes share. */
struct shared {
	atomic_size_t next;
	atomic_uint_fast64_t bytes;
};

static void
fail(PGconn *conn, const char *what)
{
	(void)fprintf(stderr, "drain: %s: %s", what, PQerrorMessage(conn));
	_exit(1);
}

static uint64_t
copy(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	uint64_t bytes = 0;
	char *row = NULL;
	int len;

	if (PQresultStatus(result) != PGRES_COPY_OUT)
		fail(conn, sql);
	PQclear(result);
	while ((len = PQgetCopyData(conn, &row, 0)) > 0) {
		bytes += (uint64_t)len;
		PQfreemem(row);
	}
	while ((result = PQgetResult(conn)) != NULL) {
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			fail(conn, sql);
		PQclear(result);
	}
	return bytes;
}

static void
drain(struct shared *shared, const char *conninfo, char *const *statements,
    size_t count)
{
	PGconn *conn = PQconnectdb(conninfo);
	size_t n;

	if (PQstatus(conn) != CONNECTION_OK)
		fail(conn, "connecting");
	while ((n = atomic_fetch_add(&shared->next, 1)) < count)
		atomic_fetch_add(&shared->bytes, copy(conn, statements[n]));
	PQfinish(conn);
}

/* The lines of the standard input; those that are read stay until the end. */
static char **
read_statements(size_t *count)
{
	char **statements = NULL, *line = NULL;
	size_t room = 0;

	*count = 0;
	while (getline(&line, &room, stdin) > 0) {
		char **grown =
		    realloc(statements, (*count + 1) * sizeof(*statements));

		if (grown == NULL)
			break;
		statements = grown;
		statements[(*count)++] = line;
		line = NULL;
		room = 0;
	}
	free(line);
	return statements;
}

int
main(int argc, char **argv)
{
	long processes = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	struct shared *shared;
	char **statements;
	size_t count = 0;
	int status, rc = 0;

	if (processes < 1 || processes > PROCESSES_MAX) {
		(void)fputs("drain CONNINFO PROCESSES <statements\n", stderr);
		return 2;
	}
	statements = read_statements(&count);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || count == 0)
		return 1;
	for (long i = 0; i < processes; i++) {
		pid_t child = fork();

		if (child == 0) {
			drain(shared, argv[1], statements, count);
			_exit(0);
		}
		if (child < 0)
			rc = 1;
	}
	while (wait(&status) > 0)
		if (status != 0)
			rc = 1;
	(void)printf("%llu\n", (unsigned long long)atomic_load(&shared->bytes));
	for (size_t i = 0; i < count; i++)
		free(statements[i]);
	free(statements);
	(void)munmap(shared, sizeof(*shared));
	return rc;
}
