/* SPDX-License-Identifier: Apache-2.0 */
/* Keys for fake_library.c: what is asked for comes back in what is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libbackup/libbackup.h>

#define RECIPIENT                                                              \
	"age1fakefakefakefakefakefakefakefakefakefakefakefakefakefakefa"
#define KEY "3f2a9c0100000000000000000000000000000000000000000000000000000000"

static int
end(struct bkp_error *err)
{
	const char *text = getenv("FAKE");

	if (text == NULL || strstr(text, "fail") == NULL)
		return 0;
	err->code = BKP_IO;
	err->sys = 0;
	(void)snprintf(
	    err->message, sizeof(err->message), "the store went away");
	return -1;
}

int
bkp_key_list(struct bkp_repository *repository, struct bkp_key_list *out,
    struct bkp_error *err)
{
	static const struct bkp_key_admin admins[] = {
	    {"ops\033", RECIPIENT, 0, 1763500000000000},
	    {"passphrase", RECIPIENT, 1, 1763500000000000}};
	static const struct bkp_key_host hosts[] = {
	    {"db1", KEY, 1, 1763500000000000, 0, 0},
	    {"db2", KEY, 0, 1763500000000000, 1763600000000000, 7}};

	(void)repository;
	if (end(err) < 0)
		return -1;
	*out = (struct bkp_key_list){.roster = 5,
	    .generation = 2,
	    .changed_us = 1763600000000000,
	    .admins = admins,
	    .admin_count = 2,
	    .hosts = hosts,
	    .host_count = 2,
	    .is_joined = 1,
	    .damaged = 1,
	    .damage = "roster/3f is damaged"};
	return 0;
}

void
bkp_key_list_free(struct bkp_key_list *list)
{
	list->memory = NULL;
}

int
bkp_key_add(struct bkp_repository *repository,
    const struct bkp_key_add_options *options, struct bkp_error *err)
{
	(void)repository;
	/* A recipient or a passphrase, and never both. */
	if ((options->recipient == NULL) == (options->passphrase == NULL))
		abort();
	return end(err);
}

int
bkp_key_remove(struct bkp_repository *repository, const char *who,
    char recipient[63], struct bkp_error *err)
{
	(void)repository;
	(void)snprintf(recipient, 63, "age1%s", who);
	return end(err);
}

int
bkp_key_rotate(struct bkp_repository *repository, struct bkp_error *err)
{
	(void)repository;
	return end(err);
}

int
bkp_key_host_add(struct bkp_repository *repository, const char *name,
    const char *key_file, int may_prune, struct bkp_error *err)
{
	(void)repository;
	(void)name;
	(void)key_file;
	(void)may_prune;
	return end(err);
}

int
bkp_key_host_revoke(struct bkp_repository *repository, const char *who,
    uint64_t *believed, struct bkp_error *err)
{
	(void)repository;
	*believed = strlen(who);
	return end(err);
}

int
bkp_key_sheet(struct bkp_repository *repository, const struct bkp_keys *keys,
    bkp_bytes_fn *fn, void *arg, struct bkp_error *err)
{
	(void)repository;
	(void)keys;
	if (end(err) < 0)
		return -1;
	return fn(arg, "THE SHEET\n", 10, err);
}

int
bkp_key_sheet_read(const char *text, size_t len, const char *identity_file,
    struct bkp_key_sheet *out, struct bkp_error *err)
{
	(void)identity_file;
	if (len != 10 || memcmp(text, "THE SHEET\n", 10) != 0) {
		err->code = BKP_CORRUPT;
		err->sys = 0;
		(void)snprintf(
		    err->message, sizeof(err->message), "line 4 is wrong");
		return -1;
	}
	(void)snprintf(out->repository, sizeof(out->repository), "%.32s", KEY);
	(void)snprintf(
	    out->recipient, sizeof(out->recipient), "%.62s", RECIPIENT);
	return 0;
}
