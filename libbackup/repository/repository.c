/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a repository: config, keys, writers. */
#include "libbackup/repository/repository_own.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/base/fail.h"

int64_t
bkp_now_us(void)
{
	struct timespec now = {0, 0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- config ---- */

static int
read_config(struct bkp_repository *repository, struct bkp_error *err)
{
	struct bkp_store *store = repository->store;
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc;

	rc =
	    bkp_store_get(store, "config", 0, BKP_STORE_WHOLE, &text, &problem);
	if (rc == 0) {
		rc = bkp_repository_config_decode(
		    text.data, text.len, &repository->config, err);
		if (rc < 0)
			(void)bkp_fail_in(err, "%s", store->location);
	} else if (problem.code == BKP_NOTFOUND) {
		(void)bkp_fail(err, BKP_NOTFOUND,
		    "%s: there is no repository here (no object 'config'); "
		    "backup-init makes one",
		    store->location);
	} else if (err != NULL) {
		*err = problem;
	}
	fmt_buf_free(&text);
	return rc;
}

/* ---- administrators' keys ---- */

struct admin_keys {
	struct fmt_age_identity *items; /* owned, secret */
	size_t count;
};

static void
wipe_admin_keys(struct admin_keys *admin)
{
	if (admin->items != NULL)
		OPENSSL_cleanse(
		    admin->items, admin->count * sizeof(*admin->items));
	free(admin->items);
}

/* The identities of the file, and the passphrase as one more. */
static int
gather_admin_keys(
    const struct bkp_keys *keys, struct admin_keys *out, struct bkp_error *err)
{
	struct fmt_age_identity *from_file = NULL;
	size_t count = 0;

	if (keys->identity_file != NULL &&
	    bkp_identity_file_read(
		keys->identity_file, &from_file, &count, err) < 0)
		return -1;
	out->items = bkp_alloc_array(count + 1, sizeof(*out->items), err);
	if (out->items != NULL) {
		if (count > 0)
			memcpy(
			    out->items, from_file, count * sizeof(*out->items));
		out->count = count;
		if (keys->passphrase != NULL) {
			out->items[count].kind = FMT_AGE_SCRYPT;
			out->items[count].passphrase = keys->passphrase;
			out->count++;
		}
	}
	if (from_file != NULL)
		OPENSSL_cleanse(from_file, count * sizeof(*from_file));
	free(from_file);
	return out->items == NULL ? -1 : 0;
}

/* 0: the ring is filled; -1: this object does not serve, and err says why.
 * *fits becomes false where the reason is that none of the keys opens it. */
static int
try_key_object(struct bkp_repository *repository, const char *name,
    const struct admin_keys *admin, struct bkp_key_ring *out, bool *fits,
    struct bkp_error *err)
{
	struct fmt_buf plain = FMT_BUF_SECRET_INIT, stored = FMT_BUF_INIT;
	enum fmt_status status;
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	char what[96];
	int rc;

	(void)snprintf(what, sizeof(what), "keys/%s", name);
	rc = bkp_object_get(repository->store, "keys", name, &stored, err);
	if (rc == 0) {
		status = fmt_age_open(admin->items, admin->count, stored.data,
		    stored.len, &plain);
		*fits = status != FMT_NOMATCH;
		if (status != FMT_OK)
			rc = bkp_fail_format(err, status, "%s: %s: decrypting",
			    repository->store->location, what);
	}
	if (rc == 0)
		rc = bkp_admin_key_decode(plain.data, plain.len, &ring, err);
	if (rc == 0)
		rc = bkp_key_ring_check(&ring, &repository->config, what, err);
	if (rc == 0)
		*out = ring;
	bkp_key_ring_wipe(&ring);
	fmt_buf_free(&plain);
	fmt_buf_free(&stored);
	return rc;
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

/* One damaged key object must not lock out whoever holds another. */
static int
open_admin_key(struct bkp_repository *repository, const struct bkp_keys *keys,
    struct bkp_key_ring *out, struct bkp_error *err)
{
	struct bkp_error reason = BKP_ERROR_INIT, problem;
	struct bkp_names names = BKP_NAMES_INIT;
	struct admin_keys admin = {NULL, 0};
	int rc = -1;

	if (gather_admin_keys(keys, &admin, err) < 0 ||
	    bkp_object_names(repository->store, "keys", "", &names, err) < 0)
		goto out;
	for (size_t i = 0; rc < 0 && i < names.count; i++) {
		bool fits = true;

		problem = (struct bkp_error)BKP_ERROR_INIT;
		rc = try_key_object(
		    repository, names.items[i], &admin, out, &fits, &problem);
		/* That a key does not fit says less than any other reason. */
		if (rc < 0 && fits && reason.code == BKP_OK)
			reason = problem;
	}
	if (rc < 0 && reason.code == BKP_OK)
		(void)no_key_fits(repository, keys, names.count, err);
	else if (rc < 0 && err != NULL)
		*err = reason;
out:
	bkp_names_free(&names);
	wipe_admin_keys(&admin);
	return rc;
}

/* ---- all keys ---- */

static int
open_host_key(struct bkp_repository *repository, const char *path,
    struct bkp_key_ring *out, struct bkp_error *err)
{
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	char what[4096];
	int rc;

	(void)snprintf(what, sizeof(what), "key file %s", path);
	rc = bkp_host_key_read(path, &ring, err);
	if (rc == 0)
		rc = bkp_key_ring_check(&ring, &repository->config, what, err);
	if (rc == 0)
		*out = ring;
	bkp_key_ring_wipe(&ring);
	return rc;
}

/* Adds the host's own secrets to an administrator's. */
static int
join_rings(struct bkp_key_ring *ring, const struct bkp_key_ring *host,
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
open_keys(struct bkp_repository *repository, const struct bkp_keys *keys,
    struct bkp_error *err)
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
	if (keys->key_file != NULL)
		rc = open_host_key(repository, keys->key_file, &host, err);
	if (rc == 0 && has_admin)
		rc = open_admin_key(repository, keys, &repository->keys, err);
	else if (rc == 0)
		repository->keys = host;
	if (rc == 0 && has_admin && keys->key_file != NULL)
		rc = join_rings(&repository->keys, &host, err);
	bkp_key_ring_wipe(&host);
	return rc;
}

/* ---- opening and closing ---- */

int
bkp_repository_open_store(struct bkp_store *store, const struct bkp_keys *keys,
    struct bkp_repository **out, struct bkp_error *err)
{
	struct bkp_keys known = BKP_KEYS_INIT;
	struct bkp_repository *repository;

	if ((repository = bkp_alloc(sizeof(*repository), err)) == NULL) {
		bkp_store_close(store);
		return -1;
	}
	repository->store = store;
	bkp_index_set_init(&repository->index);
	/* A program that was built against an older header gives less. */
	memcpy(&known, keys,
	    keys->size < sizeof(known) ? keys->size : sizeof(known));
	if (read_config(repository, err) < 0 ||
	    open_keys(repository, &known, err) < 0 ||
	    bkp_writers_load(
		store, &repository->keys, &repository->writers, err) < 0) {
		bkp_repository_close(repository);
		return -1;
	}
	*out = repository;
	return 0;
}

int
bkp_repository_open(const char *location, const struct bkp_keys *keys,
    struct bkp_repository **out, struct bkp_error *err)
{
	struct bkp_repository *repository;
	struct bkp_store *store;

	if (bkp_store_open(location, BKP_STORE_OPEN, &store, err) < 0)
		return -1;
	if (bkp_repository_open_store(store, keys, &repository, err) < 0)
		return -1;
	if (bkp_index_set_use_cache(
		&repository->index, repository->config.id, err) < 0) {
		bkp_repository_close(repository);
		return -1;
	}
	*out = repository;
	return 0;
}

void
bkp_repository_without_cache(struct bkp_repository *repository)
{
	(void)bkp_index_set_use_cache(&repository->index, NULL, NULL);
}

void
bkp_repository_close(struct bkp_repository *repository)
{
	if (repository == NULL)
		return;
	bkp_index_set_free(&repository->index);
	bkp_writers_free(&repository->writers);
	bkp_key_ring_wipe(&repository->keys);
	bkp_store_close(repository->store);
	free(repository);
}

int
bkp_repository_can_read(const struct bkp_repository *repository)
{
	return repository->keys.has_data ? 1 : 0;
}

const char *
bkp_repository_id(const struct bkp_repository *repository)
{
	return repository->config.id;
}

/* ---- writers and index ---- */

bool
bkp_repository_is_writer(void *arg, const unsigned char key[32])
{
	const struct bkp_repository *repository = arg;

	return bkp_writers_has(&repository->writers, key);
}

int
bkp_repository_load_index(
    struct bkp_repository *repository, struct bkp_error *err)
{
	if (bkp_repository_load_good_index(repository, err) < 0)
		return -1;
	return bkp_index_set_is_whole(&repository->index, err);
}

int
bkp_repository_load_good_index(
    struct bkp_repository *repository, struct bkp_error *err)
{
	return bkp_index_set_load(&repository->index, repository->store,
	    &repository->keys.metadata, bkp_repository_is_writer, repository,
	    err);
}

int
bkp_repository_find_chunk(struct bkp_repository *repository,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out,
    struct bkp_error *err)
{
	struct bkp_error damage = BKP_ERROR_INIT;
	char hex[2 * FMT_ID_SIZE + 1];

	if (bkp_index_set_find(&repository->index, id, out))
		return 0;
	if (bkp_repository_load_good_index(repository, err) < 0)
		return -1;
	if (bkp_index_set_find(&repository->index, id, out))
		return 0;
	fmt_hex(id, FMT_ID_SIZE, hex);
	if (bkp_index_set_is_whole(&repository->index, &damage) < 0)
		return bkp_fail(err, (enum bkp_error_code)damage.code,
		    "chunk %.12s: no index object knows where it is, and one "
		    "is damaged (backup-check --repair makes it anew): %s",
		    hex, damage.message);
	return bkp_fail(err, BKP_CORRUPT,
	    "chunk %s: no index object knows where it is", hex);
}

/* ---- chunk ids ---- */

int
bkp_chunk_hasher_init(struct bkp_chunk_hasher *hasher,
    const struct bkp_repository *repository, struct bkp_error *err)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;

	EVP_MAC_free(mac);
	if (context == NULL ||
	    EVP_MAC_init(context, repository->keys.id_key,
		sizeof(repository->keys.id_key), params) != 1) {
		EVP_MAC_CTX_free(context);
		return bkp_fail_nomem(err, "setting up chunk hashing");
	}
	hasher->context = context;
	return 0;
}

void
bkp_chunk_hasher_free(struct bkp_chunk_hasher *hasher)
{
	EVP_MAC_CTX_free(hasher->context);
	hasher->context = NULL;
}

int
bkp_chunk_hasher_id(struct bkp_chunk_hasher *hasher, enum fmt_pack_kind kind,
    const void *data, size_t len, unsigned char id[FMT_ID_SIZE],
    struct bkp_error *err)
{
	unsigned char kind_byte = (unsigned char)kind;
	size_t id_len;

	/* Without a key the context begins again under the one it has. */
	if (EVP_MAC_init(hasher->context, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(hasher->context, &kind_byte, 1) != 1 ||
	    (len > 0 && EVP_MAC_update(hasher->context, data, len) != 1) ||
	    EVP_MAC_final(hasher->context, id, &id_len, FMT_ID_SIZE) != 1)
		return bkp_fail(err, BKP_IO, "hashing a chunk failed");
	return 0;
}
