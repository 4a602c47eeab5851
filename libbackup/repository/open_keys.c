/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a person or a host holds to all the keys of a repository, and the
 * roster that says which of them are in use.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/repository_own.h"

/* ---- administrators ---- */

struct admin_keys {
	struct fmt_age_identity *items; /* owned, secret */
	size_t count;
};

/* The objects of keys/, each read once. */
struct key_object {
	char name[BKP_OBJECT_NAME];
	struct fmt_buf stored; /* owned */
	bool is_there;
};

struct key_objects {
	struct key_object *items; /* owned */
	size_t count;
	/* Why one that may have been ours did not serve. */
	struct bkp_error reason;
};

static void
free_objects(struct key_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		fmt_buf_free(&objects->items[i].stored);
	free(objects->items);
}

/* One damaged key object must not lock out whoever holds another. */
static void
note_reason(struct key_objects *objects, const struct bkp_error *problem)
{
	if (objects->reason.code == BKP_OK)
		objects->reason = *problem;
}

static bool
is_about_the_object(const struct bkp_error *err)
{
	return err->code == BKP_CORRUPT || err->code == BKP_NOTFOUND;
}

static int
read_objects(
    struct bkp_store *store, struct key_objects *out, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_copies_names(store, "keys", &names, err);

	if (rc == 0)
		out->items =
		    bkp_alloc_array(names.count, sizeof(*out->items), err);
	if (rc < 0 || out->items == NULL) {
		bkp_names_free(&names);
		return -1;
	}
	out->count = names.count;
	for (size_t i = 0; i < names.count; i++) {
		struct key_object *object = &out->items[i];
		struct bkp_error problem = BKP_ERROR_INIT;

		memcpy(object->name, names.items[i], sizeof(object->name));
		object->is_there = bkp_copies_get(store, "keys", object->name,
				       &object->stored, &problem) == 0;
		if (object->is_there)
			continue;
		if (!is_about_the_object(&problem)) {
			if (err != NULL)
				*err = problem;
			rc = -1;
			break;
		}
		note_reason(out, &problem);
	}
	bkp_names_free(&names);
	return rc;
}

/* Opens one object: 1; 0 where none of the keys does or it is damaged; -1 where
 * memory is out. */
static int
open_object(const struct bkp_repository *repository,
    struct key_objects *objects, const struct key_object *object,
    const struct fmt_age_identity *identities, size_t count,
    struct fmt_buf *plain, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	enum fmt_status status;

	if (!object->is_there)
		return 0;
	fmt_buf_clear(plain);
	status = fmt_age_open(
	    identities, count, object->stored.data, object->stored.len, plain);
	if (status == FMT_NOMEM)
		return bkp_fail_nomem(err, "decrypting a key");
	/* That a key does not fit says less than any other reason. */
	if (status != FMT_OK && status != FMT_NOMATCH) {
		(void)bkp_fail_format(&problem, status,
		    "%s: keys/%s: decrypting", repository->store->location,
		    object->name);
		note_reason(objects, &problem);
	}
	return status == FMT_OK ? 1 : 0;
}

/* What is wrong with one object is noted, what is wrong with us is an error. */
static int
pass_over(struct key_objects *objects, const struct bkp_error *problem,
    struct bkp_error *err)
{
	if (problem->code == BKP_NOMEM) {
		if (err != NULL)
			*err = *problem;
		return -1;
	}
	note_reason(objects, problem);
	return 0;
}

/* Whether it opens any object. 1, 0, -1. */
static int
fits_any(const struct bkp_repository *repository, struct key_objects *objects,
    const struct fmt_age_identity *identity, struct bkp_error *err)
{
	struct fmt_buf plain = FMT_BUF_SECRET_INIT;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < objects->count; i++)
		rc = open_object(repository, objects, &objects->items[i],
		    identity, 1, &plain, err);
	fmt_buf_free(&plain);
	return rc;
}

/* The identity in an object, if the passphrase opens that. 1; 0 where it does
 * not, or where the identity itself opens nothing: one that was left when it
 * was being added. */
static int
read_passphrase(const struct bkp_repository *repository,
    struct key_objects *objects, const struct key_object *object,
    const struct fmt_age_identity *passphrase, struct fmt_age_identity *out,
    struct bkp_error *err)
{
	struct fmt_buf plain = FMT_BUF_SECRET_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc;

	rc = open_object(
	    repository, objects, object, passphrase, 1, &plain, err);
	if (rc == 1 && bkp_identity_text_parse(&plain, out, &problem) < 0) {
		(void)bkp_fail_in(&problem, "%s: keys/%s",
		    repository->store->location, object->name);
		rc = pass_over(objects, &problem, err);
	} else if (rc == 1) {
		rc = fits_any(repository, objects, out, err);
	}
	fmt_buf_free(&plain);
	return rc;
}

/* What a passphrase, the last of the keys, opens is an identity, which then
 * takes its place. */
static int
open_passphrase(const struct bkp_repository *repository,
    struct key_objects *objects, struct admin_keys *admin,
    struct bkp_error *err)
{
	struct fmt_age_identity *last = &admin->items[admin->count - 1];
	struct fmt_age_identity found;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < objects->count; i++)
		rc = read_passphrase(
		    repository, objects, &objects->items[i], last, &found, err);
	if (rc == 1)
		*last = found;
	else
		admin->count--;
	OPENSSL_cleanse(&found, sizeof(found));
	return rc < 0 ? -1 : 0;
}

/* Adds what one opened object holds to the ring. */
static int
take_document(const struct bkp_repository *repository,
    const struct key_object *object, const struct fmt_buf *plain,
    struct bkp_key_ring *ring, struct bkp_error *err)
{
	struct bkp_key_ring read = BKP_KEY_RING_INIT;
	char what[96];
	int rc;

	(void)snprintf(what, sizeof(what), "keys/%s", object->name);
	rc = bkp_admin_key_decode(plain->data, plain->len, &read, err);
	if (rc == 0)
		rc = bkp_key_ring_check(&read, &repository->config, what, err);
	if (rc < 0) {
		(void)bkp_fail_in(err, "%s", repository->store->location);
	} else if (ring->count == 0) {
		*ring = read;
	} else if (memcmp(ring->id_key, read.id_key, 32) != 0 ||
		   memcmp(ring->admin_public, read.admin_public, 32) != 0) {
		rc = bkp_fail(err, BKP_AUTH,
		    "%s: %s does not belong with the other keys of the "
		    "repository: somebody put it there; remove it",
		    repository->store->location, what);
	} else {
		rc = bkp_key_ring_join(ring, &read, err);
	}
	bkp_key_ring_wipe(&read);
	return rc;
}

/* Every object that the keys open counts: the newest may be damaged, and two
 * administrators may have changed it at the same time. */
static int
open_documents(struct bkp_repository *repository, struct key_objects *objects,
    const struct admin_keys *admin, struct bkp_key_ring *ring,
    struct bkp_error *err)
{
	struct fmt_buf plain = FMT_BUF_SECRET_INIT;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < objects->count; i++) {
		const struct key_object *object = &objects->items[i];
		struct bkp_error problem = BKP_ERROR_INIT;

		rc = open_object(repository, objects, object, admin->items,
		    admin->count, &plain, err);
		if (rc <= 0)
			continue;
		if (take_document(repository, object, &plain, ring, &problem) ==
		    0) {
			rc = bkp_names_add(
			    &repository->opened_keys, object->name, err);
			continue;
		}
		rc = pass_over(objects, &problem, err);
		/* Which of two is the stranger's cannot be told here. */
		if (rc == 0 && ring->count > 0 && problem.code == BKP_AUTH) {
			if (err != NULL)
				*err = problem;
			rc = -1;
		}
	}
	fmt_buf_free(&plain);
	return rc < 0 ? -1 : 0;
}

/* What was tried, in the words of whoever gave it, and what to do now. */
static int
no_key_fits(const struct bkp_repository *repository,
    const struct bkp_keys *keys, size_t count, struct bkp_error *err)
{
	const char *location = repository->store->location;

	if (count == 0)
		return bkp_fail(err, BKP_AUTH,
		    "%s: its folder keys/ is empty, so that no identity and "
		    "no passphrase opens it; bring that folder back from a "
		    "copy of the repository",
		    location);
	if (keys->identity_file == NULL)
		return bkp_fail(err, BKP_AUTH,
		    "the passphrase does not open repository %s; check "
		    "BACKUP_PASSPHRASE, or the file that "
		    "BACKUP_PASSPHRASE_FILE or --passphrase-file names",
		    location);
	return bkp_fail(err, BKP_AUTH,
	    "%s%s does not open repository %s; name the identity file of one "
	    "of its administrators%s",
	    keys->identity_file,
	    keys->passphrase != NULL ? " (nor does the passphrase)" : "",
	    location,
	    keys->passphrase != NULL ? ", or check the passphrase"
				     : ", or give its passphrase");
}

/* What keys/ holds, and every identity that was given or that the passphrase
 * opens there. The caller frees both, also after a failure. */
static int
gather_keys(struct bkp_repository *repository, const struct bkp_keys *keys,
    struct key_objects *objects, struct admin_keys *admin,
    struct bkp_error *err)
{
	if (bkp_keys_identities(keys, &admin->items, &admin->count, err) < 0 ||
	    read_objects(repository->store, objects, err) < 0)
		return -1;
	if (keys->passphrase == NULL)
		return 0;
	return open_passphrase(repository, objects, admin, err);
}

static int
open_admin_key(struct bkp_repository *repository, const struct bkp_keys *keys,
    struct bkp_key_ring *out, struct bkp_error *err)
{
	struct key_objects objects = {NULL, 0, BKP_ERROR_INIT};
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	struct admin_keys admin = {NULL, 0};
	int rc = -1;

	if (gather_keys(repository, keys, &objects, &admin, err) < 0)
		goto out;
	rc = open_documents(repository, &objects, &admin, &ring, err);
	if (rc < 0)
		goto out;
	if (ring.count > 0) {
		*out = ring;
	} else if (objects.reason.code == BKP_OK) {
		rc = no_key_fits(repository, keys, objects.count, err);
	} else {
		if (err != NULL)
			*err = objects.reason;
		rc = -1;
	}
out:
	bkp_key_ring_wipe(&ring);
	free_objects(&objects);
	bkp_identities_free(admin.items, admin.count);
	return rc;
}

/* ---- hosts ---- */

static int
open_host_key(struct bkp_repository *repository, const char *path,
    struct bkp_key_ring *out, struct bkp_error *err)
{
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	char what[4096];
	int rc;

	(void)snprintf(what, sizeof(what), "key file %s", path);
	rc = bkp_host_key_read(path, &ring, err);
	if (rc < 0 && err != NULL && err->code == BKP_NOTFOUND)
		return bkp_fail(err, BKP_NOTFOUND,
		    "there is no key file %s; where it is lost, an "
		    "administrator (an identity file or a passphrase) opens "
		    "the repository all the same, and makes another one: "
		    "backup-key revoke, then backup-key host",
		    path);
	if (rc == 0)
		rc = bkp_key_ring_check(&ring, &repository->config, what, err);
	if (rc == 0)
		*out = ring;
	bkp_key_ring_wipe(&ring);
	return rc;
}

/* What an administrator wants may be just to replace a key file that is lost,
 * or to restore on a machine that never had it; who needs it asks for it. */
static int
open_host_key_if_there(struct bkp_repository *repository, const char *path,
    struct bkp_key_ring *out, struct bkp_error *err)
{
	if (access(path, F_OK) == 0 || errno != ENOENT)
		return open_host_key(repository, path, out, err);
	repository->lost_key_file = bkp_strdup(path, err);
	return repository->lost_key_file != NULL ? 0 : -1;
}

/* Adds the host's own secrets to an administrator's. */
static int
add_signing(struct bkp_key_ring *ring, const struct bkp_key_ring *host,
    struct bkp_error *err)
{
	if (memcmp(ring->id_key, host->id_key, 32) != 0 ||
	    memcmp(ring->admin_public, host->admin_public, 32) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "the key file and the administrator's key do not belong "
		    "together; give one of them");
	ring->has_signing = true;
	memcpy(ring->signing_seed, host->signing_seed, 32);
	memcpy(ring->writer, host->writer, sizeof(ring->writer));
	return 0;
}

static int
take_hosts_document(struct bkp_repository *repository, const char *name,
    const struct fmt_age_identity *own, struct bkp_error *err)
{
	struct fmt_buf stored = FMT_BUF_INIT, plain = FMT_BUF_SECRET_INIT;
	struct bkp_key_ring read = BKP_KEY_RING_INIT;
	enum fmt_status status;
	int rc;

	rc = bkp_copies_get(repository->store, "keys", name, &stored, err);
	if (rc == 0) {
		status = fmt_age_open(own, 1, stored.data, stored.len, &plain);
		if (status != FMT_OK)
			rc = bkp_fail_format(err, status,
			    "%s: keys/%s: decrypting",
			    repository->store->location, name);
	}
	if (rc == 0)
		rc = bkp_hosts_key_decode(plain.data, plain.len, &read, err);
	if (rc == 0)
		rc = bkp_key_ring_check(
		    &read, &repository->config, "keys/", err);
	if (rc == 0)
		rc = bkp_key_ring_join(&repository->keys, &read, err);
	bkp_key_ring_wipe(&read);
	fmt_buf_free(&plain);
	fmt_buf_free(&stored);
	return rc;
}

/* The keys were rotated since this host's key file was made: the new ones lie
 * in the repository, sealed to the host. The roster, which is signed, names
 * the objects. */
static int
fetch_generations(struct bkp_repository *repository, struct bkp_error *err)
{
	const struct bkp_names *objects = &repository->roster.host_objects;
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_age_identity own;
	size_t opened = 0;

	if (bkp_key_ring_host_identity(&repository->keys, &own, err) < 0)
		return -1;
	for (size_t i = 0; i < objects->count; i++) {
		opened += take_hosts_document(repository, objects->items[i],
			      &own, &problem) == 0;
	}
	OPENSSL_cleanse(&own, sizeof(own));
	if (opened > 0)
		return 0;
	if (err != NULL)
		*err = problem;
	return bkp_fail_in(err,
	    "the keys of the repository were rotated, and the new ones cannot "
	    "be had");
}

static bool
choose_generation(struct bkp_repository *repository)
{
	return bkp_key_ring_choose(&repository->keys,
	    repository->roster.data_recipient,
	    repository->roster.metadata_recipient);
}

static int
catch_up_host(struct bkp_repository *repository, struct bkp_error *err)
{
	const struct bkp_roster *roster = &repository->roster;
	const struct bkp_roster_writer *self = NULL;
	unsigned char public_key[32];

	if (choose_generation(repository))
		return 0;
	if (fmt_sign_public(repository->keys.signing_seed, public_key) ==
	    FMT_OK)
		self = bkp_roster_writer(roster, public_key);
	if (self != NULL && self->revoked_us != 0)
		return bkp_fail(err, BKP_AUTH,
		    "%s: the key of this host (%s) has been revoked and the "
		    "keys of the repository rotated since; an administrator "
		    "makes a new key file by backup-key host",
		    repository->store->location, repository->keys.writer);
	if (fetch_generations(repository, err) < 0)
		return -1;
	if (choose_generation(repository))
		return 0;
	return bkp_fail(err, BKP_AUTH,
	    "%s: the roster names keys that key file and repository do not "
	    "hold; an administrator makes them anew by backup-key rotate",
	    repository->store->location);
}

/* ---- all keys ---- */

/* An administrator goes on with what can be opened: it may be all there is.
 * What the roster names is what is written with. */
static int
catch_up_admin(struct bkp_repository *repository, struct bkp_error *err)
{
	const struct bkp_roster *roster = &repository->roster;
	struct bkp_key_ring *keys = &repository->keys;
	enum fmt_status status;

	if (choose_generation(repository))
		return 0;
	status = fmt_age_recipient_parse(roster->data_recipient,
	    strlen(roster->data_recipient), &keys->data_recipient);
	if (status == FMT_OK)
		status = fmt_age_recipient_parse(roster->metadata_recipient,
		    strlen(roster->metadata_recipient),
		    &keys->metadata_recipient);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "reading the roster");
	return 0;
}

int
bkp_repository_open_keys(struct bkp_repository *repository,
    const struct bkp_keys *keys, struct bkp_error *err)
{
	bool has_admin =
	    keys->identity_file != NULL || keys->passphrase != NULL;
	struct bkp_key_ring host = BKP_KEY_RING_INIT;
	int rc = 0;

	if (keys->key_file == NULL && !has_admin)
		return bkp_fail(err, BKP_AUTH,
		    "%s: no key was given; name a key file, an identity file "
		    "or a passphrase",
		    repository->store->location);
	if (keys->key_file != NULL && has_admin)
		rc = open_host_key_if_there(
		    repository, keys->key_file, &host, err);
	else if (keys->key_file != NULL)
		rc = open_host_key(repository, keys->key_file, &host, err);
	if (rc == 0 && has_admin)
		rc = open_admin_key(repository, keys, &repository->keys, err);
	else if (rc == 0)
		repository->keys = host;
	if (rc == 0 && has_admin && host.has_signing)
		rc = add_signing(&repository->keys, &host, err);
	bkp_key_ring_wipe(&host);
	if (rc < 0 || bkp_roster_load(repository->store, &repository->keys,
			  &repository->roster, err) < 0)
		return -1;
	if (repository->roster.number == 0)
		return 0;
	return has_admin ? catch_up_admin(repository, err)
			 : catch_up_host(repository, err);
}

/* ---- who one is ---- */

static bool
is_admin(
    const struct bkp_roster *roster, const struct fmt_age_identity *identity)
{
	char text[FMT_AGE_RECIPIENT_TEXT];
	struct fmt_age_recipient recipient;

	if (identity->kind != FMT_AGE_X25519 ||
	    fmt_age_identity_recipient(identity, &recipient) != FMT_OK ||
	    fmt_age_recipient_text(&recipient, text) != FMT_OK)
		return false;
	for (size_t i = 0; i < roster->key_count; i++) {
		if (strcmp(roster->keys[i].recipient, text) == 0)
			return true;
	}
	return false;
}

int
bkp_repository_admin_identity(struct bkp_repository *repository,
    const struct bkp_keys *keys, struct fmt_age_identity *out,
    struct bkp_error *err)
{
	struct key_objects objects = {NULL, 0, BKP_ERROR_INIT};
	struct admin_keys admin = {NULL, 0};
	int rc = -1;

	if (gather_keys(repository, keys, &objects, &admin, err) < 0)
		goto out;
	for (size_t i = 0; rc < 0 && i < admin.count; i++) {
		if (is_admin(&repository->roster, &admin.items[i])) {
			*out = admin.items[i];
			rc = 0;
		}
	}
	if (rc < 0)
		(void)bkp_fail(err, BKP_AUTH,
		    "none of the keys at hand is an administrator's; give an "
		    "identity file or a passphrase of the repository");
out:
	free_objects(&objects);
	bkp_identities_free(admin.items, admin.count);
	return rc;
}
