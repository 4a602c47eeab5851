/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a repository: config, then keys (open_keys.c). */
#include "libbackup/repository/copies.h"
#include "libbackup/repository/repository_own.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libbackup/archive/input.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/s3/s3.h"
#include "libbackup/store/store_parity.h"
#include "libbackup/repository/archive_view.h"

int64_t
bkp_now_us(void)
{
	struct timespec now = {0, 0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- config ---- */

static int
read_config_at(
    struct bkp_repository *repository, const char *path, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = bkp_store_get(
	    repository->store, path, 0, BKP_STORE_WHOLE, &text, err);

	if (rc == 0) {
		rc = bkp_repository_config_decode(
		    text.data, text.len, &repository->config, err);
		if (rc < 0)
			(void)bkp_fail_in(
			    err, "%s", repository->store->location);
	}
	fmt_buf_free(&text);
	return rc;
}

static int
read_config(struct bkp_repository *repository, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT, other = BKP_ERROR_INIT;

	if (read_config_at(repository, "config", &problem) == 0)
		return 0;
	if (problem.code == BKP_NOTFOUND || problem.code == BKP_CORRUPT) {
		if (read_config_at(repository, BKP_COPIES "config", &other) ==
		    0)
			return 0;
		if (other.code != BKP_NOTFOUND && other.code != BKP_CORRUPT)
			problem = other;
	}
	if (problem.code == BKP_NOTFOUND && repository->store->is_past)
		return bkp_fail(err, BKP_INVALID,
		    "%s: there was no repository here at that time (no object "
		    "'config'); give a later one with --as-of",
		    repository->store->location);
	if (problem.code == BKP_NOTFOUND)
		return bkp_fail(err, BKP_NOTFOUND,
		    "%s: there is no repository here (no object 'config'); "
		    "backup-init makes one",
		    repository->store->location);
	if (err != NULL)
		*err = problem;
	return -1;
}

/* ---- opening and closing ---- */

/* A program that was built against an older header gives less. */
struct bkp_keys
bkp_keys_adopt(const struct bkp_keys *keys)
{
	struct bkp_keys known = BKP_KEYS_INIT;

	memcpy(&known, keys,
	    keys->size < sizeof(known) ? keys->size : sizeof(known));
	return known;
}

int
bkp_repository_open_store(struct bkp_store *store, const struct bkp_keys *keys,
    struct bkp_repository **out, struct bkp_error *err)
{
	struct bkp_keys known = bkp_keys_adopt(keys);
	struct bkp_repository *repository;

	if ((repository = bkp_alloc(sizeof(*repository), err)) == NULL) {
		bkp_store_close(store);
		return -1;
	}
	repository->store = store;
	bkp_index_set_init(&repository->index);
	if (read_config(repository, err) < 0 ||
	    bkp_repository_open_keys(repository, &known, err) < 0) {
		bkp_repository_close(repository);
		return -1;
	}
	*out = repository;
	return 0;
}

static int
open_repository(const char *location, const struct bkp_keys *keys,
    struct bkp_repository **out, struct bkp_error *err)
{
	struct bkp_keys known = bkp_keys_adopt(keys);
	struct bkp_repository *repository;
	struct bkp_store *store;

	if (bkp_store_open_at(
		location, known.storage, BKP_STORE_OPEN, &store, err) < 0)
		return -1;
	if (bkp_store_parity_new(store, &store, err) < 0 ||
	    bkp_repository_open_store(store, keys, &repository, err) < 0)
		return -1;
	if (bkp_index_set_use_cache(
		&repository->index, repository->config.id, err) < 0) {
		bkp_repository_close(repository);
		return -1;
	}
	*out = repository;
	return 0;
}

/* Whether an object of that name is there, or parts of one, as whole as they
 * may be. */
static bool
has_archive(const char *location, const struct bkp_keys *keys)
{
	const char *slash = strchr(location + strlen("s3://"), '/');
	const struct bkp_keys known = bkp_keys_adopt(keys);
	struct bkp_s3_options options = {.endpoint = NULL};
	struct bkp_archive_input *input = NULL;
	struct bkp_error problem = BKP_ERROR_INIT;
	bool answer;

	if (slash == NULL || slash[1] == '\0')
		return false;
	if (known.storage != NULL)
		options = bkp_s3_options_of(&known.storage->bucket);
	answer =
	    bkp_archive_input_open(location, &options, &input, &problem) == 0 ||
	    problem.code == BKP_CORRUPT || problem.code == BKP_INVALID;
	bkp_archive_input_close(input);
	return answer;
}

int
bkp_repository_open(const char *location, const struct bkp_keys *keys,
    struct bkp_repository **out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	bool is_bucket = location != NULL && bkp_store_is_bucket(location);

	if (is_bucket) {
		/* Objects below a prefix, or one of that name: it is what is
		 * there. */
		if (open_repository(location, keys, out, &problem) == 0)
			return 0;
		if (problem.code != BKP_NOTFOUND ||
		    !has_archive(location, keys)) {
			if (err != NULL)
				*err = problem;
			return -1;
		}
	}
	if (is_bucket || bkp_archive_is_location(location))
		return bkp_archive_view_open(location, keys, out, err);
	return open_repository(location, keys, out, err);
}

int
bkp_repository_refuse_unsigned(const struct bkp_repository *repository,
    const char *what, struct bkp_error *err)
{
	const char *lost = repository->lost_key_file;

	return bkp_fail(err, BKP_AUTH, "%s: %s%s%s%s",
	    repository->store->location, what,
	    lost != NULL ? "; the one that is named, " : "",
	    lost != NULL ? lost : "", lost != NULL ? ", is not there" : "");
}

int
bkp_repository_keep_parity(
    struct bkp_repository *repository, unsigned percent, struct bkp_error *err)
{
	struct bkp_store *store = repository->store;

	if (percent == 0)
		return 0;
	if (bkp_store_parity_set(store, percent, err) < 0 ||
	    bkp_parity_complete(store, "config", NULL, err) < 0 ||
	    bkp_parity_complete(store, "keys/", NULL, err) < 0 ||
	    bkp_parity_complete(store, "roster/", NULL, err) < 0)
		return bkp_fail_in(err, "keeping error correction");
	return 0;
}

int
bkp_repository_complete_parity(struct bkp_repository *repository,
    unsigned percent, size_t *added, struct bkp_error *err)
{
	if (percent == 0)
		return 0;
	if (bkp_store_parity_set(repository->store, percent, err) < 0 ||
	    bkp_parity_complete(repository->store, "", added, err) < 0)
		return bkp_fail_in(err, "adding error correction");
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
	bkp_roster_free(&repository->roster);
	bkp_names_free(&repository->opened_keys);
	bkp_key_ring_wipe(&repository->keys);
	free(repository->lost_key_file);
	bkp_store_close(repository->store);
	bkp_archive_close(repository->archive);
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

int
bkp_repository_is_like(
    const struct bkp_repository *a, const struct bkp_repository *b)
{
	return a->archive == NULL && b->archive == NULL &&
	       CRYPTO_memcmp(
		   a->keys.id_key, b->keys.id_key, sizeof(a->keys.id_key)) == 0;
}

/* ---- index ---- */

static int
check_signer(void *arg, const unsigned char key[32], const char *name,
    struct bkp_error *err)
{
	const struct bkp_repository *repository = arg;

	if (bkp_roster_believes_index(&repository->roster, key, name))
		return 0;
	return bkp_roster_refuse(&repository->roster, key, err);
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
	    repository->keys.metadata, repository->keys.count, check_signer,
	    repository, err);
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
