/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/key_objects.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/repository_own.h"

/* ---- one document ---- */

/* The name is added also where the store then fails: it may be there. */
static int
put_object(struct bkp_store *store, const struct fmt_age_recipient *recipients,
    size_t count, const struct fmt_buf *plain, struct bkp_names *names,
    struct bkp_error *err)
{
	struct fmt_buf sealed = FMT_BUF_INIT;
	char name[BKP_OBJECT_NAME] = "";
	enum fmt_status status;
	int rc;

	/* Room for the name first: what is put without is never found. */
	if (bkp_grow(&names->items, names->count, &names->cap,
		sizeof(*names->items), err) < 0)
		return -1;
	status =
	    fmt_age_seal(recipients, count, plain->data, plain->len, &sealed);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "encrypting a key");
	else
		rc = bkp_copies_put(
		    store, "keys", sealed.data, sealed.len, name, err);
	if (name[0] != '\0' &&
	    bkp_names_add(names, name, rc < 0 ? NULL : err) < 0)
		rc = -1;
	fmt_buf_free(&sealed);
	return rc;
}

static int
parse_recipient(
    const char *text, struct fmt_age_recipient *out, struct bkp_error *err)
{
	enum fmt_status status =
	    fmt_age_recipient_parse(text, strlen(text), out);

	if (status != FMT_OK)
		return bkp_fail_format(
		    err, status, "reading the recipient '%.80s'", text);
	return 0;
}

/* The document of a ring for these recipients, if any, in place of those that
 * `names` had. */
static int
put_ring(struct bkp_store *store, const struct fmt_age_recipient *recipients,
    size_t count, const struct bkp_key_ring *ring,
    int (*encode)(const struct bkp_key_ring *ring, struct fmt_buf *out,
	struct bkp_error *err),
    struct bkp_names *names, struct bkp_error *err)
{
	struct fmt_buf plain = FMT_BUF_SECRET_INIT;
	int rc = encode(ring, &plain, err);

	if (rc == 0)
		bkp_names_free(names);
	if (rc == 0 && count > 0)
		rc = put_object(store, recipients, count, &plain, names, err);
	fmt_buf_free(&plain);
	return rc;
}

/* ---- administrators ---- */

int
bkp_key_objects_put_admin(struct bkp_store *store,
    const struct bkp_key_ring *ring, struct bkp_roster *roster,
    struct bkp_error *err)
{
	struct fmt_age_recipient *recipients;
	int rc = 0;

	recipients =
	    bkp_alloc_array(roster->key_count, sizeof(*recipients), err);
	if (recipients == NULL)
		return -1;
	for (size_t i = 0; rc == 0 && i < roster->key_count; i++)
		rc = parse_recipient(
		    roster->keys[i].recipient, &recipients[i], err);
	if (rc == 0)
		rc = put_ring(store, recipients, roster->key_count, ring,
		    bkp_admin_key_encode, &roster->admin_objects, err);
	free(recipients);
	return rc;
}

int
bkp_roster_add_recipient(struct bkp_roster *roster, const char *text,
    const char *label, struct bkp_error *err)
{
	char own[FMT_AGE_RECIPIENT_TEXT];
	struct fmt_age_recipient recipient;
	struct bkp_roster_key *key;

	if (fmt_age_recipient_parse(text, strlen(text), &recipient) != FMT_OK ||
	    fmt_age_recipient_text(&recipient, own) != FMT_OK)
		return bkp_fail(err, BKP_INVALID,
		    "'%.80s' is not an age recipient (age1...)", text);
	for (size_t i = 0; i < roster->key_count; i++) {
		if (strcmp(roster->keys[i].recipient, own) == 0)
			return 0;
	}
	if ((key = bkp_roster_add_key(roster, err)) == NULL)
		return -1;
	(void)snprintf(key->label, sizeof(key->label), "%s", label);
	memcpy(key->recipient, own, sizeof(key->recipient));
	key->added_us = bkp_now_us();
	return 0;
}

/* 1, 0, -1. */
static int
opens(struct bkp_store *store, const char *name,
    const struct fmt_age_identity *identity, struct bkp_error *err)
{
	struct fmt_buf plain = FMT_BUF_SECRET_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc =
	    bkp_copies_open(store, "keys", name, identity, 1, &plain, &problem);

	fmt_buf_free(&plain);
	if (rc == 0)
		return 1;
	return problem.code == BKP_NOMEM
		   ? bkp_fail_nomem(err, "trying a passphrase")
		   : 0;
}

int
bkp_key_objects_find_passphrase(struct bkp_store *store,
    const struct bkp_roster *roster, const char *passphrase,
    const struct bkp_roster_key **out, struct bkp_error *err)
{
	const struct fmt_age_identity identity = {
	    .kind = FMT_AGE_SCRYPT, .passphrase = passphrase};

	*out = NULL;
	for (size_t i = 0; i < roster->key_count; i++) {
		const struct bkp_roster_key *key = &roster->keys[i];

		for (size_t k = 0; k < key->passphrase.count; k++) {
			int rc = opens(
			    store, key->passphrase.items[k], &identity, err);

			if (rc < 0)
				return -1;
			if (rc > 0)
				*out = key;
		}
	}
	return 0;
}

int
bkp_key_objects_add_passphrase(struct bkp_store *store,
    struct bkp_roster *roster, const char *passphrase, unsigned work_factor,
    const char *label, struct bkp_error *err)
{
	const struct fmt_age_recipient recipient = {.kind = FMT_AGE_SCRYPT,
	    .passphrase = passphrase,
	    .work_factor = work_factor};
	struct bkp_roster_key *key = bkp_roster_add_key(roster, err);
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	struct fmt_age_identity identity;
	enum fmt_status status;
	int rc;

	if (key == NULL)
		return -1;
	(void)snprintf(key->label, sizeof(key->label), "%s", label);
	key->added_us = bkp_now_us();
	if ((status = fmt_age_identity_new(&identity)) != FMT_OK)
		rc = bkp_fail_format(err, status, "making an identity");
	else
		rc = bkp_identity_text_make(
		    &identity, key->recipient, &text, err);
	if (rc == 0)
		rc = put_object(
		    store, &recipient, 1, &text, &key->passphrase, err);
	OPENSSL_cleanse(&identity, sizeof(identity));
	fmt_buf_free(&text);
	return rc;
}

/* ---- hosts ---- */

int
bkp_key_objects_put_hosts(struct bkp_store *store,
    const struct bkp_key_ring *ring, struct bkp_roster *roster,
    struct bkp_error *err)
{
	struct fmt_age_recipient *recipients;
	size_t count = 0;
	int rc = 0;

	recipients =
	    bkp_alloc_array(roster->writer_count, sizeof(*recipients), err);
	if (recipients == NULL)
		return -1;
	for (size_t i = 0; rc == 0 && i < roster->writer_count; i++) {
		const struct bkp_roster_writer *writer = &roster->writers[i];

		if (writer->revoked_us == 0)
			rc = parse_recipient(
			    writer->recipient, &recipients[count++], err);
	}
	if (rc == 0)
		rc = put_ring(store, recipients, count, ring,
		    bkp_hosts_key_encode, &roster->host_objects, err);
	free(recipients);
	return rc;
}

static int
host_recipient(const struct bkp_key_ring *ring,
    char out[FMT_AGE_RECIPIENT_TEXT], struct bkp_error *err)
{
	struct fmt_age_recipient recipient;
	struct fmt_age_identity identity;
	enum fmt_status status;

	if (bkp_key_ring_host_identity(ring, &identity, err) < 0)
		return -1;
	status = fmt_age_identity_recipient(&identity, &recipient);
	OPENSSL_cleanse(&identity, sizeof(identity));
	if (status == FMT_OK)
		status = fmt_age_recipient_text(&recipient, out);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "deriving a host's key");
	return 0;
}

int
bkp_roster_add_host(struct bkp_roster *roster, const struct bkp_key_ring *ring,
    bool may_prune, struct bkp_error *err)
{
	struct bkp_roster_writer *writer = bkp_roster_add_writer(roster, err);
	enum fmt_status status;

	if (writer == NULL || host_recipient(ring, writer->recipient, err) < 0)
		return -1;
	status = fmt_sign_public(ring->signing_seed, writer->public_key);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "registering a writer");
	memcpy(writer->name, ring->writer, sizeof(writer->name));
	writer->may_prune = may_prune;
	writer->added_us = bkp_now_us();
	return 0;
}

int
bkp_roster_set_generation(struct bkp_roster *roster, uint64_t generation,
    const struct bkp_key_ring *ring, struct bkp_error *err)
{
	enum fmt_status status;

	roster->generation = generation;
	status = fmt_age_recipient_text(
	    &ring->data_recipient, roster->data_recipient);
	if (status == FMT_OK)
		status = fmt_age_recipient_text(
		    &ring->metadata_recipient, roster->metadata_recipient);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "writing the roster");
	return 0;
}
