/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts come and go. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "formats/checkpoint.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/erasures.h"
#include "libbackup/key.h"
#include "libbackup/repository/key_change.h"
#include "libbackup/repository/key_objects.h"

/* ---- adding ---- */

static int
check_name(
    const struct bkp_roster *roster, const char *name, struct bkp_error *err)
{
	size_t len = strlen(name);

	if (len == 0 || len >= BKP_WRITER_NAME)
		return bkp_fail(err, BKP_INVALID,
		    "the name of a host has 1 to %d characters",
		    BKP_WRITER_NAME - 1);
	for (const char *c = name; *c != '\0'; c++) {
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
			return bkp_fail(err, BKP_INVALID,
			    "the name of a host is of ASCII letters, digits "
			    "and marks, without spaces, quotes and "
			    "backslashes");
	}
	for (size_t i = 0; i < roster->writer_count; i++) {
		if (roster->writers[i].revoked_us == 0 &&
		    strcmp(roster->writers[i].name, name) == 0)
			return bkp_fail(err, BKP_EXISTS,
			    "a host called '%s' is let in already; revoke it "
			    "first where its key is lost, or take another name",
			    name);
	}
	return 0;
}

int
bkp_key_host_add(struct bkp_repository *repository, const char *name,
    const char *key_file, int may_prune, struct bkp_error *err)
{
	struct bkp_key_ring host = BKP_KEY_RING_INIT;
	struct bkp_key_change change;
	bool has_file = false;
	int rc = bkp_key_change_begin(repository, &change, err);

	if (rc == 0)
		rc = check_name(&change.roster, name, err);
	if (rc == 0) {
		host = change.ring;
		rc = bkp_key_ring_for_host(&host, name, err);
	}
	if (rc == 0)
		rc = bkp_roster_add_host(
		    &change.roster, &host, may_prune != 0, err);
	if (rc == 0) {
		rc = bkp_host_key_write(&host, key_file, err);
		has_file = rc == 0;
	}
	if (rc == 0)
		rc = bkp_key_change_commit(&change, err);
	if (rc < 0 && has_file && !change.is_uncertain)
		(void)unlink(key_file);
	bkp_key_change_end(&change);
	bkp_key_ring_wipe(&host);
	return rc;
}

/* ---- revoking ---- */

static int
find_host(const struct bkp_roster *roster, const char *who, size_t *out,
    struct bkp_error *err)
{
	size_t found = 0, count = 0, revoked = 0, len = strlen(who);

	for (size_t i = 0; i < roster->writer_count; i++) {
		const struct bkp_roster_writer *writer = &roster->writers[i];
		char key[65];

		fmt_hex(writer->public_key, 32, key);
		if (strcmp(writer->name, who) != 0 &&
		    (len < 8 || strncmp(key, who, len) != 0))
			continue;
		if (writer->revoked_us != 0) {
			revoked++;
			continue;
		}
		found = i;
		count++;
	}
	if (count == 1) {
		*out = found;
		return 0;
	}
	if (count > 1)
		return bkp_fail(err, BKP_INVALID,
		    "'%.80s' fits %zu hosts; give the start of its public key, "
		    "as backup-key show tells it",
		    who, count);
	return bkp_fail(err, BKP_NOTFOUND,
	    revoked > 0
		? "the host '%.80s' has been revoked already"
		: "there is no host '%.80s'; backup-key show lists them",
	    who);
}

static bool
is_damage(const struct bkp_error *problem)
{
	return problem->code == BKP_CORRUPT || problem->code == BKP_AUTH ||
	       problem->code == BKP_UNSUPPORTED ||
	       problem->code == BKP_NOTFOUND;
}

/* All snapshots that it signed and that count until now. */
static int
believe_snapshots(struct bkp_repository *repository,
    struct bkp_roster_writer *writer, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc =
	    bkp_object_names(repository->store, "snapshots", "", &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		struct bkp_error problem = BKP_ERROR_INIT;
		struct fmt_snapshot snapshot;

		if (bkp_repository_snapshot(
			repository, names.items[i], &snapshot, &problem) < 0) {
			if (is_damage(&problem))
				continue;
			if (err != NULL)
				*err = problem;
			rc = -1;
			break;
		}
		if (memcmp(snapshot.signer, writer->public_key, 32) == 0)
			rc = bkp_names_add(
			    &writer->snapshots, names.items[i], err);
		fmt_snapshot_free(&snapshot);
	}
	bkp_names_free(&names);
	return rc;
}

static int
believe_indexes(struct bkp_repository *repository,
    struct bkp_roster_writer *writer, struct bkp_error *err)
{
	struct bkp_index_set *set = &repository->index;
	int rc = bkp_repository_load_good_index(repository, err);

	pthread_rwlock_rdlock(&set->lock);
	for (size_t i = 0; rc == 0 && i < set->count; i++) {
		const struct bkp_index_file *file = &set->files[i];

		if (memcmp(file->view.signer, writer->public_key, 32) == 0)
			rc = bkp_names_add(&writer->indexes, file->name, err);
	}
	pthread_rwlock_unlock(&set->lock);
	return rc;
}

/* Whether it signed this checkpoint; damaged ones are nobody's. */
static int
signed_checkpoint(struct bkp_repository *repository, const char *name,
    const struct bkp_roster_writer *writer, bool *out, struct bkp_error *err)
{
	struct fmt_checkpoint checkpoint = FMT_CHECKPOINT_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	int rc;

	*out = false;
	rc = bkp_copies_open(repository->store, "checkpoints", name,
	    repository->keys.metadata, repository->keys.count, &text, &problem);
	if (rc == 0)
		status =
		    fmt_checkpoint_decode(text.data, text.len, &checkpoint);
	if (rc == 0 && status == FMT_OK)
		*out = memcmp(checkpoint.signer, writer->public_key, 32) == 0;
	fmt_checkpoint_free(&checkpoint);
	fmt_buf_free(&text);
	if (rc == 0 && status == FMT_NOMEM)
		return bkp_fail_nomem(err, "reading a checkpoint");
	if (rc == 0 || is_damage(&problem))
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

/* What it had stated to be removed stays removed. */
static int
believe_checkpoints(struct bkp_repository *repository,
    struct bkp_roster_writer *writer, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc =
	    bkp_copies_names(repository->store, "checkpoints", &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		bool is_own;

		rc = signed_checkpoint(
		    repository, names.items[i], writer, &is_own, err);
		if (rc == 0 && is_own)
			rc = bkp_names_add(
			    &writer->checkpoints, names.items[i], err);
	}
	bkp_names_free(&names);
	return rc;
}

/* Whom it had recorded as erased stays so. */
static int
believe_erasures(struct bkp_repository *repository,
    struct bkp_roster_writer *writer, struct bkp_error *err)
{
	struct bkp_erasures erasures = BKP_ERASURES_INIT;
	int rc = bkp_erasures_load(repository, &erasures, err);

	for (size_t i = 0; rc == 0 && i < erasures.count; i++) {
		const struct bkp_erasure *erasure = &erasures.items[i];

		if (memcmp(erasure->record.signer, writer->public_key, 32) == 0)
			rc = bkp_names_add(
			    &writer->erasures, erasure->name, err);
	}
	bkp_erasures_free(&erasures);
	return rc;
}

static int
revoke_host(struct bkp_key_change *change, const char *who, uint64_t *believed,
    struct bkp_error *err)
{
	struct bkp_roster_writer *writer;
	size_t n = 0;

	if (find_host(&change->roster, who, &n, err) < 0)
		return -1;
	writer = &change->roster.writers[n];
	if (believe_snapshots(change->repository, writer, err) < 0 ||
	    believe_indexes(change->repository, writer, err) < 0 ||
	    believe_checkpoints(change->repository, writer, err) < 0 ||
	    believe_erasures(change->repository, writer, err) < 0)
		return -1;
	writer->revoked_us = bkp_now_us();
	*believed = writer->snapshots.count;
	return 0;
}

int
bkp_key_host_revoke(struct bkp_repository *repository, const char *who,
    uint64_t *believed, struct bkp_error *err)
{
	struct bkp_key_change change;
	uint64_t count = 0;
	int rc = bkp_key_change_begin(repository, &change, err);

	if (rc == 0)
		rc = revoke_host(&change, who, &count, err);
	if (rc == 0)
		rc = bkp_key_change_commit(&change, err);
	bkp_key_change_end(&change);
	if (rc == 0 && believed != NULL)
		*believed = count;
	return rc;
}
