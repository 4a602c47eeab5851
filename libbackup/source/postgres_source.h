/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_SOURCE_H
#define LIBBACKUP_SOURCE_POSTGRES_SOURCE_H

/* The steps of a PostgreSQL source: each yields the entries of one sort. */

#include "libbackup/postgres/dump.h"
#include "libbackup/postgres/holder.h"
#include "libbackup/postgres/wal.h"
#include "libbackup/source/source.h"

struct bkp_pg_source_database {
	char *path; /* owned: "postgres/app/shop" */
	struct bkp_pg_holder holder;
	struct bkp_packed *archive; /* owned: the schema, until it is stored */
};

struct bkp_pg_source {
	struct bkp_source base;
	const struct bkp_postgres_config *config; /* borrowed */
	struct bkp_pg_programs programs;
	struct bkp_pg_source_database *databases; /* in path order */
	size_t database_count;
	char *front;           /* owned: a database to connect to for globals */
	bool has_passwords;    /* those of roles can be read */
	bool has_later_moment; /* than that at which roles were read */
	struct fmt_buf globals, tablespaces; /* statements; a secret */
	json_t *info;                        /* owned */
	bool is_incremental;
	struct bkp_pg_wal wal; /* then */
	char *wal_problem;     /* owned: why it says nothing; NULL */
};

int bkp_pg_source_open(const struct bkp_source_config *config,
    struct bkp_source **out, struct bkp_error *err);

/* Takes the snapshots of all databases, one right after another, and reads
 * their schemas and the roles (postgres_moment.c). The connection `front` is
 * used for the database that it is of, or closed. */
int bkp_pg_source_moments(struct bkp_pg_source *source, struct bkp_pg *front,
    struct bkp_run *run, struct bkp_error *err);

/* One entry each (postgres_rest.c): globals.sql; catalogue.sql; database.json;
 * schema.dump, after which the archive is gone; sequences.sql. */
int bkp_pg_source_globals(
    struct bkp_pg_source *source, struct bkp_sink *sink, struct bkp_error *err);
int bkp_pg_source_catalogue(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err);
int bkp_pg_source_facts(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err);
int bkp_pg_source_schema(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err);
int bkp_pg_source_sequences(struct bkp_pg_source_database *database,
    struct bkp_sink *sink, struct bkp_error *err);

/* Entries below data/ of a database. */
int bkp_pg_source_tables(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err);

/* Sets form and ranges of the tables in the catalogue. */
int bkp_pg_source_ranges(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err);

/* Reading together with others (postgres_share.c, postgres_share_run.c). */
int bkp_pg_source_plan(struct bkp_source *source, struct bkp_sink *sink,
    struct bkp_share_planning *planning, struct bkp_error *err);
int bkp_pg_share(const struct bkp_source_config *config,
    const struct bkp_share_work *work, struct bkp_sink *sink,
    struct bkp_error *err);
int bkp_pg_share_check(const struct bkp_source_config *config,
    const struct fmt_share_database *database, struct bkp_run *run,
    struct bkp_error *err);

/* Cuts a catalogue (postgres_sections.c). */
bool bkp_pg_next_part(
    const char **at, const char *end, struct bkp_text_part *out);

/* Entries below largeobjects/. */
int bkp_pg_source_largeobjects(struct bkp_pg_source *source,
    struct bkp_pg_source_database *database, struct bkp_sink *sink,
    struct bkp_error *err);

#endif
