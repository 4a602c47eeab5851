/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_REPOSITORY_FIXTURE_H
#define TESTS_UNIT_REPOSITORY_FIXTURE_H

/*
 * A repository in memory with an administrator's identity and a host key in a
 * folder of their own, and small backups in it.
 */

#include "libbackup/repository/repository_impl.h"
#include "libbackup/store/store_fault.h"

#define FIXTURE_PREFIX "files/stack"
#define FIXTURE_PASSPHRASE "correct horse battery staple"

struct fixture {
	char folder[32];
	char key_file[64], identity_file[64];
	char recipient[63];
	struct bkp_store *memory; /* owned: all handles share its objects */
};

/* What a test puts into one entry. Where the path begins with "rows", it is one
 * chunk of rows, which may become a difference to what was there before. */
struct fixture_file {
	const char *path; /* below FIXTURE_PREFIX */
	const void *data;
	size_t len;
};

/* A source of a snapshot; they come in the order of their prefixes. */
struct fixture_source {
	const char *prefix;
	const struct fixture_file *files;
	size_t count;
};

/* As cmocka set-up and tear-down: *state becomes the fixture. The second has a
 * repository in it already. */
int fixture_new(void **state);
int fixture_new_initialised(void **state);
int fixture_free(void **state);

/* A handle on the fixture's objects. */
struct bkp_store *fixture_store(struct fixture *fixture);

/* Init options with the fixture's recipient and key file. */
struct bkp_init_options fixture_options(
    struct fixture *fixture, const char *const recipients[1]);

struct bkp_keys fixture_host_keys(struct fixture *fixture);
struct bkp_keys fixture_admin_keys(struct fixture *fixture);

/* Opens with the host's or the administrator's keys; fails the test where
 * that does not work. */
struct bkp_repository *fixture_open_host(struct fixture *fixture);
struct bkp_repository *fixture_open_admin(struct fixture *fixture);

/* One whole session over an open repository, on one thread: entries in the
 * order given, each cut into chunks of `piece` bytes. 0 or -1. */
int fixture_back_up(struct bkp_repository *repository,
    const struct fixture_file *files, size_t count, size_t piece, char name[65],
    struct bkp_error *err);

/* The same of several sources. */
int fixture_back_up_sources(struct bkp_repository *repository,
    const struct fixture_source *sources, size_t count, size_t piece,
    char name[65], struct bkp_error *err);

/* Reads an entry whole; the second takes its path as it is. */
int fixture_read(struct bkp_repository *repository, const char *snapshot,
    const char *path, struct fmt_buf *out, struct bkp_error *err);
int fixture_read_entry(struct bkp_repository *repository, const char *snapshot,
    const char *path, struct fmt_buf *out, struct bkp_error *err);

/* 0 where the snapshot holds exactly these files, bytes and all. */
int fixture_compare(struct bkp_repository *repository, const char *snapshot,
    const struct fixture_file *files, size_t count, struct bkp_error *err);

/* Reads all data of a repository in a folder: nothing is wrong with any. */
void fixture_assert_clean(struct fixture *fixture, const char *location);

/* Bytes that do not compress and depend on the seed; free(). */
unsigned char *fixture_random(size_t len, uint64_t seed);

/* Lets this machine forget what it has seen of every repository. */
void fixture_forget(struct fixture *fixture);

/* The names of all objects below a prefix: a text, "\n" after each; free(). */
char *fixture_names(struct fixture *fixture, const char *prefix);

#endif
