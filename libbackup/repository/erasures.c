/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/erasures.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/copies.h"

#define FOLDER "erasures"
#define KEY_LABEL "libbackup erasure ledger 1"

/* ---- reading ---- */

void
bkp_erasures_free(struct bkp_erasures *erasures)
{
	for (size_t i = 0; i < erasures->count; i++)
		fmt_erasure_free(&erasures->items[i].record);
	free(erasures->items);
	*erasures = (struct bkp_erasures)BKP_ERASURES_INIT;
}

static int
check_origin(struct bkp_repository *repository, const char *name,
    const struct fmt_erasure *record, struct bkp_error *err)
{
	if (strcmp(record->repository, repository->config.id) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "it was made for repository %s, this is %s",
		    record->repository, repository->config.id);
	if (bkp_roster_believes_erasure(
		&repository->roster, record->signer, name))
		return 0;
	return bkp_roster_refuse(&repository->roster, record->signer, err);
}

static int
decode(struct bkp_repository *repository, const char *name,
    const struct fmt_buf *text, struct fmt_erasure *out, struct bkp_error *err)
{
	enum fmt_status status = fmt_erasure_decode(text->data, text->len, out);

	if (status == FMT_UNSUPPORTED)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "a newer libbackup wrote it, in a version that this one "
		    "does not know (it reads version 1)");
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "reading it");
	return check_origin(repository, name, out, err);
}

int
bkp_erasure_read(struct bkp_repository *repository, const char *name,
    struct fmt_erasure *out, struct bkp_error *err)
{
	struct fmt_erasure record = FMT_ERASURE_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	int rc;

	rc = bkp_copies_open(repository->store, FOLDER, name,
	    repository->keys.metadata, repository->keys.count, &text, err);
	if (rc == 0 && (rc = decode(repository, name, &text, &record, err)) < 0)
		(void)bkp_fail_in(err, "%s: " FOLDER "/%s",
		    repository->store->location, name);
	fmt_buf_free(&text);
	if (rc < 0)
		fmt_erasure_free(&record);
	else
		*out = record;
	return rc;
}

/* Nothing ever removes one, so that one which is gone since it was listed is as
 * bad as one that is damaged. */
static bool
is_about_the_entry(const struct bkp_error *problem)
{
	return problem->code == BKP_CORRUPT || problem->code == BKP_AUTH ||
	       problem->code == BKP_UNSUPPORTED ||
	       problem->code == BKP_NOTFOUND;
}

static int
add_erasure(struct bkp_repository *repository, const char *name,
    struct bkp_erasures *out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_erasure *item;

	if (bkp_grow(&out->items, out->count, &out->cap, sizeof(*out->items),
		err) < 0)
		return -1;
	item = &out->items[out->count];
	if (bkp_erasure_read(repository, name, &item->record, &problem) == 0) {
		memcpy(item->name, name, BKP_OBJECT_NAME);
		out->count++;
		return 0;
	}
	if (!is_about_the_entry(&problem)) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (out->damaged++ == 0)
		out->damage = problem;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const struct bkp_erasure *x = a, *y = b;

	if (x->record.time_us != y->record.time_us)
		return x->record.time_us < y->record.time_us ? -1 : 1;
	return strcmp(x->name, y->name);
}

int
bkp_erasures_load(struct bkp_repository *repository, struct bkp_erasures *out,
    struct bkp_error *err)
{
	struct bkp_erasures erasures = BKP_ERASURES_INIT;
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = 0;

	if (repository->archive == NULL)
		rc = bkp_copies_names(repository->store, FOLDER, &names, err);
	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = add_erasure(repository, names.items[i], &erasures, err);
	bkp_names_free(&names);
	if (rc < 0) {
		bkp_erasures_free(&erasures);
		return bkp_fail_in(err, "reading the ledger of erasures");
	}
	if (erasures.count > 1)
		qsort(erasures.items, erasures.count, sizeof(*erasures.items),
		    compare);
	*out = erasures;
	return 0;
}

uint64_t
bkp_erasures_expected(const struct bkp_snapshots *snapshots)
{
	uint64_t expected = 0;

	for (size_t i = 0; i < snapshots->count; i++)
		if (snapshots->items[i].snapshot.erasures > expected)
			expected = snapshots->items[i].snapshot.erasures;
	return expected;
}

int
bkp_erasures_count(struct bkp_repository *repository, uint64_t known,
    uint64_t *listed, uint64_t *genuine, struct bkp_error *err)
{
	struct bkp_erasures erasures = BKP_ERASURES_INIT;
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_copies_names(repository->store, FOLDER, &names, err);

	if (rc == 0 && names.count > known)
		rc = bkp_erasures_load(repository, &erasures, err);
	if (rc == 0) {
		*listed = names.count;
		*genuine = erasures.count > known ? erasures.count : known;
	}
	bkp_names_free(&names);
	bkp_erasures_free(&erasures);
	return rc;
}

bool
bkp_erasure_concerns(const struct bkp_erasure *erasure, const char *source,
    const char *database, int64_t snapshot_us)
{
	const struct fmt_erasure *record = &erasure->record;

	return record->time_us > snapshot_us &&
	       strcmp(record->source, source) == 0 &&
	       strcmp(record->database, database) == 0;
}

/* ---- what is sealed ---- */

void
bkp_erasure_secret_free(struct bkp_erasure_secret *secret)
{
	OPENSSL_cleanse(secret->key, sizeof(secret->key));
	free(secret->map);
	*secret = (struct bkp_erasure_secret)BKP_ERASURE_SECRET_INIT;
}

static int
digest_of(const void *map, size_t len, char out[65], struct bkp_error *err)
{
	unsigned char digest[32];
	enum fmt_status status = fmt_sha256(map, len, digest);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "hashing a map");
	fmt_hex(digest, sizeof(digest), out);
	return 0;
}

static int
take_secret(const struct fmt_buf *text, const struct fmt_erasure *record,
    struct bkp_erasure_secret *out, struct bkp_error *err)
{
	const char *map = NULL;
	char digest[65];
	enum fmt_status status = fmt_erasure_secret_read(
	    text->data, text->len, out->key, &map, &out->map_len);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "reading what is sealed");
	if (digest_of(map, out->map_len, digest, err) < 0)
		return -1;
	if (strcmp(digest, record->map) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "the map that is sealed in it is not the one that it "
		    "names");
	if ((out->map = bkp_alloc(out->map_len + 1, err)) == NULL)
		return -1;
	memcpy(out->map, map, out->map_len);
	out->map[out->map_len] = '\0';
	return 0;
}

int
bkp_erasure_open(struct bkp_repository *repository,
    const struct bkp_erasure *erasure, struct bkp_erasure_secret *out,
    struct bkp_error *err)
{
	struct bkp_erasure_secret secret = BKP_ERASURE_SECRET_INIT;
	const struct bkp_key_ring *keys = &repository->keys;
	const char *sealed = erasure->record.sealed;
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	enum fmt_status status;
	int rc;

	if (!keys->has_data)
		return bkp_fail(err, BKP_AUTH,
		    "what an erasure was of is read with an administrator's "
		    "key; the key at hand is a host's");
	status = fmt_age_open(
	    keys->data, keys->count, sealed, strlen(sealed), &text);
	rc = status == FMT_OK
		 ? take_secret(&text, &erasure->record, &secret, err)
		 : bkp_fail_format(err, status, "decrypting what is sealed");
	fmt_buf_free(&text);
	if (rc < 0) {
		bkp_erasure_secret_free(&secret);
		return bkp_fail_in(err, "%s: " FOLDER "/%s",
		    repository->store->location, erasure->name);
	}
	*out = secret;
	return 0;
}

int
bkp_erasure_hash(const unsigned char key[FMT_ERASURE_KEY], const char *table,
    const char *const *values, size_t count,
    unsigned char out[FMT_ERASURE_HASH], struct bkp_error *err)
{
	enum fmt_status status =
	    fmt_erasure_hash(key, table, values, count, out);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "hashing a subject");
	return 0;
}

/* ---- writing ---- */

static int
derive_key(const struct bkp_key_ring *keys, unsigned char key[FMT_ERASURE_KEY],
    struct bkp_error *err)
{
	enum fmt_status status = fmt_hmac_sha256(keys->signing_seed,
	    sizeof(keys->signing_seed), KEY_LABEL, strlen(KEY_LABEL), key);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "deriving a key");
	return 0;
}

/* The key and the map, for those alone who may read contents. */
static int
seal(const struct bkp_key_ring *keys, const unsigned char *key,
    const struct bkp_erasure_entry *entry, struct fmt_buf *out,
    struct bkp_error *err)
{
	struct fmt_buf plain = FMT_BUF_SECRET_INIT, file = FMT_BUF_INIT;
	enum fmt_status status =
	    fmt_erasure_secret_write(key, entry->map, entry->map_len, &plain);

	if (status == FMT_OK)
		status = fmt_age_seal(
		    &keys->data_recipient, 1, plain.data, plain.len, &file);
	if (status == FMT_OK)
		status = fmt_age_armor(file.data, file.len, out);
	fmt_buf_free(&plain);
	fmt_buf_free(&file);
	if (status == FMT_OK && fmt_buf_text(out) == NULL)
		status = FMT_NOMEM;
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "sealing an erasure");
	return 0;
}

/* Now, and after every snapshot that is there: what that was made of, and by
 * whose clock, it may hold whoever is gone now. */
static int
find_time(
    struct bkp_repository *repository, int64_t *out, struct bkp_error *err)
{
	struct bkp_snapshots snapshots = BKP_SNAPSHOTS_INIT;
	int64_t time_us = bkp_now_us();

	if (bkp_snapshots_read(repository, &snapshots, err) < 0)
		return -1;
	for (size_t i = 0; i < snapshots.count; i++)
		if (snapshots.items[i].snapshot.time_us >= time_us)
			time_us = snapshots.items[i].snapshot.time_us + 1;
	bkp_snapshots_free(&snapshots);
	*out = time_us;
	return 0;
}

/* All but what is sealed. */
static int
fill(struct bkp_repository *repository, const unsigned char *key,
    const struct bkp_erasure_entry *entry, struct fmt_erasure *out,
    struct bkp_error *err)
{
	if (find_time(repository, &out->time_us, err) < 0)
		return -1;
	memcpy(out->repository, repository->config.id, sizeof(out->repository));
	if (digest_of(entry->map, entry->map_len, out->map, err) < 0 ||
	    bkp_erasure_hash(key, entry->table, entry->values,
		entry->value_count, out->hash, err) < 0)
		return -1;
	out->host = bkp_strdup(repository->keys.writer, err);
	out->source = bkp_strdup(entry->source, err);
	out->database = bkp_strdup(entry->database, err);
	out->table = bkp_strdup(entry->table, err);
	return out->host != NULL && out->source != NULL &&
		       out->database != NULL && out->table != NULL
		   ? 0
		   : -1;
}

static int
store(struct bkp_repository *repository, const struct fmt_erasure *record,
    char name[BKP_OBJECT_NAME], struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status =
	    fmt_erasure_encode(record, repository->keys.signing_seed, &text);
	int rc;

	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "writing down an erasure");
	else
		rc = bkp_copies_seal(repository->store, FOLDER,
		    &repository->keys.metadata_recipient, text.data, text.len,
		    name, err);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_erasure_append(struct bkp_repository *repository,
    const struct bkp_erasure_entry *entry, char name[BKP_OBJECT_NAME],
    struct bkp_error *err)
{
	struct fmt_erasure record = FMT_ERASURE_INIT;
	unsigned char key[FMT_ERASURE_KEY];
	struct fmt_buf sealed = FMT_BUF_INIT;
	int rc = -1;

	if (!repository->keys.has_signing)
		return bkp_fail(err, BKP_AUTH,
		    "an erasure is recorded by a host that may write to the "
		    "repository; use the host's key file");
	if (derive_key(&repository->keys, key, err) == 0 &&
	    fill(repository, key, entry, &record, err) == 0 &&
	    seal(&repository->keys, key, entry, &sealed, err) == 0) {
		record.sealed = (char *)sealed.data;
		sealed = (struct fmt_buf)FMT_BUF_INIT;
		rc = store(repository, &record, name, err);
	}
	OPENSSL_cleanse(key, sizeof(key));
	fmt_buf_free(&sealed);
	fmt_erasure_free(&record);
	return rc;
}
