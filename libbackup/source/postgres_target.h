/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_POSTGRES_TARGET_H
#define LIBBACKUP_SOURCE_POSTGRES_TARGET_H

/*
 * Restoring PostgreSQL. A database is built under a temporary name from
 * template0 and renamed into place when it is whole; until then nothing that
 * was there is touched.
 */

#include "libbackup/base/memfile.h"
#include "libbackup/postgres/dump.h"
#include "libbackup/postgres/session.h"
#include "libbackup/postgres/toc_choice.h"
#include "libbackup/source/source.h"

/* One database to restore. */
struct bkp_pg_target_database {
	char *path;       /* owned: in the snapshot, "postgres/app/shop" */
	char *name;       /* owned: that it gets */
	char *temporary;  /* owned: while it is being built */
	json_t *facts;    /* owned: database.json */
	json_t *versions; /* owned: the attributes of that entry */
	bool is_lost;     /* what describes it cannot be read; noted */
	bool has_moved; /* rows of partitions were loaded through their root */
	bool is_ready;  /* whole and proven: not dropped whatever fails */
	struct bkp_pg_choice *choice; /* owned; NULL: everything */
};

struct bkp_pg_target {
	struct bkp_target base;
	const struct bkp_postgres_config *config; /* borrowed */
	struct bkp_target_options options;
	struct bkp_pg_programs programs;
	struct bkp_pg_target_database *databases;
	size_t database_count;
	bool has_globals;  /* roles are to be looked after */
	bool is_rows;      /* rows of single tables into a database there is */
	bool makes_tables; /* or, in a scratch place, into one that is made with
			      its tables and no more */
	bool has_tablespaces; /* those of the snapshot are all here */
};

int bkp_pg_target_open(const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_target **out,
    struct bkp_error *err);

/* Refuses a server that lacks roles of the snapshot, and names them; it is
 * others', and none is made there (postgres_roles.c). */
int bkp_pg_target_roles_check(
    struct bkp_supply *supply, struct bkp_pg *pg, struct bkp_error *err);

/* Makes the roles that are missing (postgres_roles.c). */
int bkp_pg_target_roles(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg *pg, struct bkp_error *err);

/* Builds a database and puts it in its place (postgres_build.c). */
int bkp_pg_target_build(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err);

/* Creates the temporary database; renames it into place, or where something of
 * it is lost to a name that says so; drops it where something failed
 * (postgres_place.c). */
int bkp_pg_place_create(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err);
int bkp_pg_place_swap(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err);
int bkp_pg_place_aside(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err);
void bkp_pg_place_drop(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database);

/* Says which databases a killed restore left on the server, and what to do
 * about them. */
int bkp_pg_place_tell_leftovers(
    struct bkp_pg *pg, struct bkp_run *run, struct bkp_error *err);

/* Loads the rows of all tables of a database and makes its indexes,
 * constraints and foreign keys with every worker (postgres_queue.c). */
struct bkp_pg_restore;
struct bkp_pg_toc;
int bkp_pg_target_fill(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, const struct bkp_pg_restore *what,
    struct bkp_pg_toc *toc, struct bkp_error *err);

/* Connects to a database that is being built, as the role that owns it
 * (postgres_profile.c). */
int bkp_pg_target_connect(const struct bkp_pg_target *target,
    const char *database, struct bkp_run *run, struct bkp_pg *pg,
    struct bkp_error *err);

/* Who owns what was `owner`'s. */
const char *bkp_pg_target_owner(const struct bkp_pg_target *target,
    const struct bkp_pg *pg, const char *owner);

/* Where the session's role is no superuser: tells what it will not be able to
 * put back, and refuses where nobody asked for less. */
int bkp_pg_target_preflight(struct bkp_pg_target *target,
    struct bkp_supply *supply, struct bkp_pg *pg,
    const struct bkp_pg_target_database *database, struct bkp_error *err);

/* Tells every extension that a database to be restored uses and the server
 * has not, and refuses where there is one (postgres_extensions.c). */
int bkp_pg_target_extensions(struct bkp_pg_target *target,
    struct bkp_supply *supply, struct bkp_pg *pg, struct bkp_error *err);

/* Tells which collations of a database have another version on the server, and
 * what that may mean (postgres_collations.c). */
int bkp_pg_target_collations(struct bkp_supply *supply, struct bkp_pg *pg,
    const struct bkp_pg_target_database *database, struct bkp_error *err);

/* Makes the choice of what options.only names (postgres_part.c). */
int bkp_pg_part_choose(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err);

/* What of a database that is being built, of which a part was chosen, is
 * there: tables and materialised views, by what they are called in paths. */
struct bkp_pg_there {
	char **names; /* owned, sorted by strcmp */
	size_t count;
};

int bkp_pg_part_there(
    struct bkp_pg *pg, struct bkp_pg_there *out, struct bkp_error *err);
bool bkp_pg_there_has(const struct bkp_pg_there *there, const char *name);
void bkp_pg_there_free(struct bkp_pg_there *there);

/* Keeps the triggers of a table from changing rows that come back, or from
 * writing about them; appends the statements that undo this. */
int bkp_pg_part_hush(struct bkp_pg *pg, const char *quoted,
    struct fmt_buf *undo, struct bkp_error *err);

/* The table that a partition is one of, by whatever number of steps, quoted;
 * the caller frees it. *root stays NULL where there is none, or where rows
 * might go to another server through it. */
int bkp_pg_part_root(
    struct bkp_pg *pg, const char *quoted, char **root, struct bkp_error *err);

/* The schema archive, as a file (postgres_build.c): pg_restore reads it with
 * several connections, and it may hold passwords of foreign servers. The
 * caller closes it, whatever comes of this. */
int bkp_pg_target_archive(struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, struct bkp_memfile *out,
    struct bkp_error *err);

/* Reads all rows back out of the temporary database and compares them with the
 * snapshot (postgres_prove.c). */
int bkp_pg_target_prove(struct bkp_pg_target *target, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, struct bkp_error *err);

/* Says before anything is touched what stands in the way of a swap; gives the
 * database its place and keeps the one that was there (postgres_swap.c). */
int bkp_pg_swap_check(struct bkp_pg *pg, struct bkp_run *run,
    const struct bkp_pg_target_database *database, struct bkp_error *err);
int bkp_pg_swap(struct bkp_pg_target *target, struct bkp_supply *supply,
    struct bkp_pg_target_database *database, struct bkp_error *err);

/* Loads the rows of selected tables into tables that exist
 * (postgres_load_rows.c). */
int bkp_pg_target_load_rows(struct bkp_pg_target *target,
    struct bkp_supply *supply, struct bkp_pg_target_database *database,
    struct bkp_error *err);

/* Takes statistics with every worker; `pg` is connected to the database
 * (postgres_analyze.c). */
enum bkp_pg_statistics {
	BKP_PG_STATISTICS_ALL,
	BKP_PG_STATISTICS_FIRST, /* rough ones of large tables */
	BKP_PG_STATISTICS_REST   /* those of large tables */
};
int bkp_pg_target_analyze(struct bkp_pg_target *target, struct bkp_run *run,
    struct bkp_pg *pg, const char *database, enum bkp_pg_statistics what,
    struct bkp_error *err);

/* What comes after the rows (postgres_after.c, postgres_objects.c). */
int bkp_pg_target_objects(struct bkp_pg_target *target,
    struct bkp_supply *supply, struct bkp_pg_target_database *database,
    struct bkp_error *err);
int bkp_pg_target_sequences(const struct bkp_pg_target *target,
    struct bkp_pg *pg, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, struct bkp_error *err);
int bkp_pg_target_views(struct bkp_pg *pg, struct bkp_supply *supply,
    const struct bkp_pg_target_database *database, struct bkp_error *err);
int bkp_pg_target_settings(const struct bkp_pg_target *target,
    struct bkp_supply *supply, struct bkp_pg *pg,
    const struct bkp_pg_target_database *database, struct bkp_error *err);

/* Sets the session to the search path that the database has by its own
 * setting, or to public. */
int bkp_pg_target_search_path(
    struct bkp_pg *pg, const json_t *facts, struct bkp_error *err);

/* Sets the privileges on an object ("DATABASE \"x\"", "LARGE OBJECT 17") to
 * exactly these. */
int bkp_pg_target_acl(struct bkp_pg *pg, const char *object, const char *owner,
    const json_t *acl, struct bkp_error *err);

#endif
