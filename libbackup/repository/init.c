/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a repository. Keys and the roster come first, then the host key file,
 * and `config`, which makes it a repository, last; so there is never one
 * without keys. A run that fails takes away what it made and nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/archive_view.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/key_objects.h"
#include "libbackup/repository/repository_own.h"

/* What has been made so far. */
struct making {
	struct bkp_store *store;
	const struct bkp_init_options *options;
	struct bkp_key_ring ring; /* secret */
	struct bkp_roster roster; /* owned */
	char roster_name[BKP_OBJECT_NAME]; /* "": none was put */
	bool has_copy;                     /* of config */
	bool has_key_file;
	bool is_uncertain; /* there may be a repository all the same */
};

/* ---- before anything is touched ---- */

static int
check_options(const struct bkp_init_options *options, struct bkp_error *err)
{
	if (options->recipient_count == 0 && options->passphrase == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "nobody could open the repository: give a recipient "
		    "(age1...) or a passphrase");
	if (bkp_passphrase_check(
		options->passphrase, options->work_factor, err) < 0)
		return -1;
	if (options->like != NULL && bkp_archive_view_refuse(options->like,
					 "make a repository like", err) < 0)
		return -1;
	if (options->key_file == NULL || options->key_file[0] == '\0')
		return bkp_fail(err, BKP_INVALID,
		    "no name was given for the key file of this host");
	if (access(options->key_file, F_OK) == 0)
		return bkp_fail(err, BKP_EXISTS,
		    "%s: the key file exists already; name another one",
		    options->key_file);
	return 0;
}

static int
add_recipients(struct making *making, struct bkp_error *err)
{
	const struct bkp_init_options *options = making->options;

	for (size_t i = 0; i < options->recipient_count; i++) {
		if (bkp_roster_add_recipient(
			&making->roster, options->recipients[i], "", err) < 0)
			return -1;
	}
	return 0;
}

static int
note_object(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	char *first = arg;

	(void)snprintf(first, 256, "%s", object->name);
	return bkp_fail(err, BKP_EXISTS, "one is enough");
}

static int
check_empty(struct bkp_store *store, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_store_object object;
	char first[256] = "";

	if (bkp_store_stat(store, "config", &object, &problem) == 0)
		return bkp_fail(err, BKP_EXISTS,
		    "%s: there is a repository already", store->location);
	if (problem.code != BKP_NOTFOUND)
		goto fail;
	if (bkp_store_list(store, "", note_object, first, &problem) == 0)
		return 0;
	if (first[0] != '\0')
		return bkp_fail(err, BKP_EXISTS,
		    "%s: the place is not empty (%s); if that is left from "
		    "making a repository and failing, remove it",
		    store->location, first);
fail:
	if (err != NULL)
		*err = problem;
	return -1;
}

/* All keys are new. The secret of chunk ids is the one that may be shared, and
 * the chunker follows from it. */
static int
make_ring(struct making *making, struct bkp_error *err)
{
	const struct bkp_repository *like = making->options->like;

	if (bkp_key_ring_new(&making->ring, err) < 0)
		return -1;
	if (like != NULL)
		memcpy(making->ring.id_key, like->keys.id_key,
		    sizeof(making->ring.id_key));
	return 0;
}

/* ---- the objects ---- */

static int
put_keys(struct making *making, struct bkp_error *err)
{
	const struct bkp_init_options *options = making->options;

	if (options->passphrase != NULL &&
	    bkp_key_objects_add_passphrase(making->store, &making->roster,
		options->passphrase, options->work_factor, BKP_PASSPHRASE_LABEL,
		err) < 0)
		return -1;
	return bkp_key_objects_put_admin(
	    making->store, &making->ring, &making->roster, err);
}

/* Whoever makes a repository may prune it from this host. */
static int
put_roster(struct making *making, struct bkp_error *err)
{
	if (bkp_roster_set_generation(&making->roster, 1, &making->ring, err) <
		0 ||
	    bkp_roster_add_host(&making->roster, &making->ring, true, err) < 0)
		return -1;
	return bkp_roster_put(making->store, &making->ring, &making->roster,
	    making->roster_name, err);
}

static int
write_key_file(struct making *making, struct bkp_error *err)
{
	if (bkp_host_key_write(&making->ring, making->options->key_file, err) <
	    0)
		return -1;
	making->has_key_file = true;
	return 0;
}

/* Whoever was faster has a config, which the copy is to be of. */
static void
take_back_copy(struct making *making)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_buf config = FMT_BUF_INIT;

	if (bkp_store_get(making->store, "config", 0, BKP_STORE_WHOLE, &config,
		&problem) == 0)
		(void)bkp_store_put(making->store, BKP_COPIES "config",
		    config.data, config.len, NULL);
	else if (problem.code == BKP_NOTFOUND)
		(void)bkp_store_remove(
		    making->store, BKP_COPIES "config", NULL);
	fmt_buf_free(&config);
}

static void
take_back_keys(struct making *making, const struct bkp_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		(void)bkp_copies_remove(
		    making->store, "keys", names->items[i], NULL);
}

/* What this run made, and nothing of somebody who makes a repository in the
 * same place at the same time. */
static void
take_back(struct making *making)
{
	const struct bkp_roster *roster = &making->roster;

	take_back_keys(making, &roster->admin_objects);
	for (size_t i = 0; i < roster->key_count; i++)
		take_back_keys(making, &roster->keys[i].passphrase);
	if (making->roster_name[0] != '\0')
		(void)bkp_copies_remove(
		    making->store, "roster", making->roster_name, NULL);
	if (making->has_copy)
		take_back_copy(making);
	if (making->has_key_file)
		(void)unlink(making->options->key_file);
}

/* A put may have worked though its answer was lost; then keys must stay. */
static bool
may_be_there(struct making *making, const struct fmt_buf *config)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_buf there = FMT_BUF_INIT;
	bool may_be;

	if (bkp_store_get(making->store, "config", 0, BKP_STORE_WHOLE, &there,
		&problem) < 0)
		may_be = problem.code != BKP_NOTFOUND;
	else
		may_be = there.len == config->len &&
			 memcmp(there.data, config->data, there.len) == 0;
	fmt_buf_free(&there);
	return may_be;
}

static int
put_config(struct making *making, int64_t now_us, struct bkp_error *err)
{
	struct fmt_buf config = FMT_BUF_INIT;
	int rc;

	rc = bkp_repository_config_encode(&making->ring, now_us, &config, err);
	making->has_copy = rc == 0;
	if (rc == 0)
		rc = bkp_store_put(making->store, BKP_COPIES "config",
		    config.data, config.len, err);
	if (rc == 0) {
		rc = bkp_store_put_new(
		    making->store, "config", config.data, config.len, err);
		making->is_uncertain = rc < 0 && may_be_there(making, &config);
	}
	fmt_buf_free(&config);
	return rc;
}

static int
make(struct making *making, struct bkp_error *err)
{
	int64_t now_us = bkp_now_us();

	if (put_keys(making, err) == 0 && put_roster(making, err) == 0 &&
	    write_key_file(making, err) == 0 &&
	    put_config(making, now_us, err) == 0)
		return 0;
	if (making->is_uncertain)
		return bkp_fail_in(err,
		    "the repository may have been made all the same, so its "
		    "key file %s is kept; try to open it",
		    making->options->key_file);
	take_back(making);
	return -1;
}

/* A program that was built against an older header gives less. */
static struct bkp_init_options
adopt(const struct bkp_init_options *given)
{
	struct bkp_init_options options = BKP_INIT_OPTIONS_INIT;

	memcpy(&options, given,
	    given->size < sizeof(options) ? given->size : sizeof(options));
	return options;
}

int
bkp_repository_init_store(struct bkp_store *store,
    const struct bkp_init_options *given, struct bkp_error *err)
{
	struct bkp_init_options options = adopt(given);
	struct making making = {
	    .store = store, .options = &options, .roster = BKP_ROSTER_INIT};
	int rc = -1;

	if (check_options(&options, err) == 0 &&
	    add_recipients(&making, err) == 0 && check_empty(store, err) == 0 &&
	    make_ring(&making, err) == 0)
		rc = make(&making, err);
	if (rc < 0 && !making.is_uncertain)
		bkp_store_undo_create(store);
	bkp_key_ring_wipe(&making.ring);
	bkp_roster_free(&making.roster);
	bkp_store_close(store);
	return rc;
}

int
bkp_repository_init(const char *location, const struct bkp_init_options *given,
    struct bkp_error *err)
{
	struct bkp_init_options options = adopt(given);
	struct bkp_store *store;

	/* Before a directory is made for nothing. */
	if (check_options(&options, err) < 0 ||
	    bkp_store_open_at(
		location, options.storage, BKP_STORE_CREATE, &store, err) < 0)
		return -1;
	return bkp_repository_init_store(store, &options, err);
}
