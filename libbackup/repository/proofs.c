/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/proofs.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/repository/remembered.h"

#define FOLDER "proofs"
#define TRIES 10 /* while others replace what was just listed */

/* ---- where they are ---- */

/* The folder of this machine as a store, or NULL: there is none. */
static struct bkp_store *
open_local(const struct bkp_repository *repository, struct bkp_error *err)
{
	char *path = bkp_state_directory(repository->config.id, err);
	struct bkp_store *store = NULL;

	if (path != NULL)
		(void)bkp_store_directory_open(
		    path, BKP_STORE_CREATE, &store, err);
	free(path);
	return store;
}

/* ---- reading ---- */

void
bkp_proofs_free(struct bkp_proofs *proofs)
{
	for (size_t i = 0; i < proofs->count; i++)
		fmt_proof_free(&proofs->items[i].proof);
	free(proofs->items);
	*proofs = (struct bkp_proofs)BKP_PROOFS_INIT;
}

static int
read_proof(const struct bkp_repository *repository, struct bkp_store *store,
    const char *name, struct fmt_proof *out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status;
	int rc = -1;

	if (bkp_object_open(store, FOLDER, name, repository->keys.metadata,
		repository->keys.count, &text, err) < 0)
		goto out;
	status = fmt_proof_decode(text.data, text.len, out);
	if (status != FMT_OK) {
		(void)bkp_fail_format(
		    err, status, "%s: " FOLDER "/%s", store->location, name);
		goto out;
	}
	if (memcmp(out->signer, repository->keys.admin_public, 32) == 0 &&
	    strcmp(out->repository, repository->config.id) == 0) {
		rc = 0;
		goto out;
	}
	fmt_proof_free(out);
	(void)bkp_fail(err, BKP_CORRUPT,
	    "%s: " FOLDER "/%s: it was not signed by the administrators of "
	    "this repository",
	    store->location, name);
out:
	fmt_buf_free(&text);
	return rc;
}

static bool
has_proof(const struct bkp_proofs *proofs, const char *name)
{
	for (size_t i = 0; i < proofs->count; i++)
		if (strcmp(proofs->items[i].name, name) == 0)
			return true;
	return false;
}

/* 0 also where the proof is damaged; 1: gone since it was listed. */
static int
add_proof(const struct bkp_repository *repository, struct bkp_store *store,
    const char *name, struct bkp_proofs *out, struct bkp_error *err)
{
	struct bkp_error error = BKP_ERROR_INIT;
	struct bkp_proof *proof;

	if (has_proof(out, name))
		return 0;
	if (bkp_grow(&out->items, out->count, &out->cap, sizeof(*out->items),
		err) < 0)
		return -1;
	proof = &out->items[out->count];
	memset(proof, 0, sizeof(*proof));
	if (read_proof(repository, store, name, &proof->proof, &error) == 0) {
		memcpy(proof->name, name, BKP_OBJECT_NAME);
		proof->is_local = store != repository->store;
		out->count++;
		return 0;
	}
	if (error.code == BKP_NOTFOUND)
		return 1;
	if (error.code == BKP_CORRUPT || error.code == BKP_AUTH ||
	    error.code == BKP_UNSUPPORTED || error.code == BKP_INVALID) {
		if (out->damaged++ == 0)
			out->damage = error;
		return 0;
	}
	if (err != NULL)
		*err = error;
	return -1;
}

/* *is_steady where all that was listed was there. */
static int
load_once(const struct bkp_repository *repository, struct bkp_store *store,
    struct bkp_proofs *out, bool *is_steady, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_object_names(store, FOLDER, "", &names, err);

	*is_steady = true;
	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		rc = add_proof(repository, store, names.items[i], out, err);
		if (rc == 1) {
			*is_steady = false;
			rc = 0;
		}
	}
	bkp_names_free(&names);
	return rc;
}

/* Whoever replaces a proof stores the new one first, so where one that was
 * listed is gone the next may be there and was not listed. */
static int
load_from(const struct bkp_repository *repository, struct bkp_store *store,
    struct bkp_proofs *out, struct bkp_error *err)
{
	size_t damaged = out->damaged;
	bool is_steady = false;
	int rc = 0;

	for (int n = 0; rc == 0 && !is_steady && n < TRIES; n++) {
		out->damaged = damaged;
		rc = load_once(repository, store, out, &is_steady, err);
	}
	return rc;
}

int
bkp_proofs_load(struct bkp_repository *repository, struct bkp_proofs *out,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_proofs proofs = BKP_PROOFS_INIT;
	struct bkp_store *local;
	int rc;

	rc = load_from(repository, repository->store, &proofs, err);
	/* A machine without a place of its own has kept nothing there. */
	local = rc == 0 ? open_local(repository, &problem) : NULL;
	if (problem.code == BKP_NOMEM)
		rc = bkp_fail_nomem(err, "opening the place for proofs");
	if (local != NULL)
		rc = load_from(repository, local, &proofs, err);
	bkp_store_close(local);
	if (rc < 0) {
		bkp_proofs_free(&proofs);
		return bkp_fail_in(err, "reading what verifications found");
	}
	*out = proofs;
	return 0;
}

/* A part that is proven proves no whole. */
static bool
counts_for(const struct fmt_proof *proof, const char *snapshot)
{
	return strcmp(proof->snapshot, snapshot) == 0 &&
	       (proof->path[0] == '\0' || !proof->is_proven);
}

void
bkp_proofs_of(const struct bkp_proofs *proofs, const char *snapshot,
    int64_t *proven_us, int64_t *failed_us)
{
	*proven_us = *failed_us = 0;
	for (size_t i = 0; i < proofs->count; i++) {
		const struct fmt_proof *p = &proofs->items[i].proof;
		int64_t *slot = p->is_proven ? proven_us : failed_us;

		if (counts_for(p, snapshot) && p->time_us > *slot)
			*slot = p->time_us;
	}
}

/* Of two at the same moment the bad one, as for whoever lists them. */
const struct fmt_proof *
bkp_proofs_newest(const struct bkp_proofs *proofs, const char *snapshot)
{
	const struct fmt_proof *newest = NULL;

	for (size_t i = 0; i < proofs->count; i++) {
		const struct fmt_proof *p = &proofs->items[i].proof;

		if (counts_for(p, snapshot) &&
		    (newest == NULL || p->time_us > newest->time_us ||
			(p->time_us == newest->time_us && !p->is_proven)))
			newest = p;
	}
	return newest;
}

/* ---- writing ---- */

static int
store_proof(const struct bkp_repository *repository, struct bkp_store *store,
    const struct fmt_buf *text, char name[BKP_OBJECT_NAME],
    struct bkp_error *err)
{
	return bkp_object_seal(store, FOLDER,
	    &repository->keys.metadata_recipient, 1, text->data, text->len,
	    name, NULL, err);
}

/* Where the repository takes it not, this machine does. */
static int
store_somewhere(const struct bkp_repository *repository,
    const struct fmt_buf *text, char name[BKP_OBJECT_NAME], bool *is_local,
    struct bkp_error *err)
{
	struct bkp_error error = BKP_ERROR_INIT;
	struct bkp_store *local;
	int rc = -1;

	*is_local = false;
	if (store_proof(repository, repository->store, text, name, &error) == 0)
		return 0;
	local = open_local(repository, NULL);
	if (local != NULL)
		rc = store_proof(repository, local, text, name, NULL);
	bkp_store_close(local);
	*is_local = rc == 0;
	if (rc < 0 && err != NULL)
		*err = error;
	return rc;
}

static void
remove_one(struct bkp_repository *repository, const struct bkp_proof *proof)
{
	char path[sizeof(FOLDER) + BKP_OBJECT_NAME];
	struct bkp_store *store = repository->store;

	memcpy(path, FOLDER "/", sizeof(FOLDER));
	memcpy(path + sizeof(FOLDER), proof->name, BKP_OBJECT_NAME);
	if (proof->is_local)
		store = open_local(repository, NULL);
	if (store != NULL)
		(void)bkp_store_remove(store, path, NULL);
	if (proof->is_local)
		bkp_store_close(store);
}

/* Older proofs that said the same. What stays behind does no harm. */
static void
remove_replaced(struct bkp_repository *repository,
    const struct fmt_proof *proof, const char *name)
{
	struct bkp_proofs proofs = BKP_PROOFS_INIT;

	if (bkp_proofs_load(repository, &proofs, NULL) < 0)
		return;
	for (size_t i = 0; i < proofs.count; i++) {
		const struct fmt_proof *p = &proofs.items[i].proof;

		if (strcmp(p->snapshot, proof->snapshot) == 0 &&
		    strcmp(p->path, proof->path) == 0 &&
		    p->is_proven == proof->is_proven &&
		    p->time_us < proof->time_us &&
		    strcmp(proofs.items[i].name, name) != 0)
			remove_one(repository, &proofs.items[i]);
	}
	bkp_proofs_free(&proofs);
}

/* So that it is missed here where it is gone; a machine without a place of its
 * own misses nothing. */
static void
remember(const struct bkp_repository *repository, const struct fmt_proof *proof)
{
	struct fmt_claim claim;

	if (bkp_claim_of(proof, &claim))
		(void)bkp_remembered_claim(repository->config.id, &claim, NULL);
}

int
bkp_proof_put(struct bkp_repository *repository, struct fmt_proof *proof,
    bool *is_local, struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &repository->keys;
	struct fmt_buf text = FMT_BUF_INIT;
	char name[BKP_OBJECT_NAME];
	enum fmt_status status;
	int rc = -1;

	if (repository->store->is_past)
		return bkp_fail(err, BKP_INVALID,
		    "it is of the repository as it was at a time (--as-of), "
		    "and says nothing of what is there now");
	if (!keys->has_admin)
		return bkp_fail(err, BKP_AUTH,
		    "what was found is not kept: only an administrator's key "
		    "can sign it");
	memcpy(proof->repository, repository->config.id,
	    sizeof(proof->repository));
	status = fmt_proof_encode(proof, keys->admin_seed, &text);
	if (status != FMT_OK)
		(void)bkp_fail_format(err, status, "writing down a proof");
	else
		rc = store_somewhere(repository, &text, name, is_local, err);
	fmt_buf_free(&text);
	if (rc < 0)
		return -1;
	if (!*is_local)
		remember(repository, proof);
	remove_replaced(repository, proof, name);
	return 0;
}

int
bkp_proofs_remove(struct bkp_repository *repository,
    const char (*snapshots)[BKP_OBJECT_NAME], size_t count,
    struct bkp_error *err)
{
	struct bkp_proofs proofs = BKP_PROOFS_INIT;

	if (count == 0)
		return 0;
	if (bkp_proofs_load(repository, &proofs, err) < 0)
		return -1;
	for (size_t i = 0; i < proofs.count; i++)
		for (size_t k = 0; k < count; k++)
			if (strcmp(proofs.items[i].proof.snapshot,
				snapshots[k]) == 0)
				remove_one(repository, &proofs.items[i]);
	bkp_proofs_free(&proofs);
	return 0;
}
