/* SPDX-License-Identifier: Apache-2.0 */
/* The repository: that it is reached, that the keys at hand open it, and what
 * was left in it. */
#include "libbackup/doctor/repository.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/duration.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/condemned.h"
#include "libbackup/repository/presence.h"
#include "libbackup/repository/repository_own.h"

#define SCHEME "s3://"

static struct bkp_exam_repository *
ward_of(struct bkp_exam *exam)
{
	return exam->state;
}

static bool
is_in_bucket(const struct bkp_exam *exam)
{
	return bkp_store_is_bucket(exam->config->repository);
}

static int
check_reachable(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_exam_repository *ward = ward_of(exam);
	struct bkp_error reason = BKP_ERROR_INIT;
	struct bkp_store_object object;

	if (bkp_store_open_at(exam->config->repository, &exam->config->storage,
		BKP_STORE_OPEN, &ward->store, &reason) == 0 &&
	    (bkp_store_stat(ward->store, "config", &object, &reason) == 0 ||
		reason.code == BKP_NOTFOUND)) {
		if (reason.code != BKP_NOTFOUND)
			return bkp_exam_ok(exam, err, BKP_NAMED " answers",
			    ward->store->location);
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "backup-init makes one; where there was one, look what "
		    "became of it before",
		    err, BKP_NAMED ": there is no repository here",
		    ward->store->location);
	}
	return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
	    is_in_bucket(exam)
		? "look at `storage:`, the credentials and the bucket"
		: "look whether it is mounted, and whether this user may read "
		  "it",
	    err, BKP_SAID, reason.message);
}

static int
check_key(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_exam_repository *ward = ward_of(exam);
	struct bkp_error reason = BKP_ERROR_INIT;
	struct bkp_keys keys = BKP_KEYS_INIT;

	bkp_config_keys(exam->config, &keys);
	if (keys.key_file == NULL && keys.identity_file == NULL &&
	    keys.passphrase == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "write `key_file:` into the configuration, or give "
		    "--key-file",
		    err, "no key is at hand");
	if (bkp_repository_open(exam->config->repository, &keys,
		&ward->repository, &reason) < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    reason.code == BKP_UNSUPPORTED
			? "a newer version of these programs made it: upgrade "
			  "them"
			: "",
		    err, "%s", reason.message);
	return bkp_exam_ok(exam, err, "format %d; the key at hand opens %s",
	    BKP_REPOSITORY_VERSION,
	    bkp_repository_can_read(ward->repository)
		? "contents"
		: "metadata, as a backup host's should");
}

/* Without `may_write` only what the file system tells is asked. */
static int
check_writable(struct bkp_exam *exam, struct bkp_error *err)
{
	const char *location = exam->config->repository;

	if (exam->options->may_write) {
		struct bkp_error reason = BKP_ERROR_INIT;

		if (bkp_store_probe(ward_of(exam)->store, &reason) < 0)
			return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
			    "let this user, or these credentials, write there",
			    err, BKP_SAID, reason.message);
		return bkp_exam_ok(
		    exam, err, "an object was written and removed");
	}
	if (is_in_bucket(exam))
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL,
		    "--write tries it", err,
		    "whether it takes objects is not "
		    "known without trying");
	if (access(location, W_OK | X_OK) < 0)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "let the user who makes backups write there, or mount it "
		    "for writing",
		    err, "this user may not write to " BKP_NAMED, location);
	return bkp_exam_ok(exam, err, "this user may write to it");
}

int
bkp_exam_snapshots(struct bkp_exam *exam, const struct bkp_snapshot_list **out,
    struct bkp_error *err)
{
	struct bkp_exam_repository *ward = ward_of(exam);

	if (!ward->has_list &&
	    bkp_snapshot_list(ward->repository, &ward->list, err) < 0)
		return -1;
	ward->has_list = true;
	*out = &ward->list;
	return 0;
}

/* ---- what was left in it ---- */

static int
tell_session(struct bkp_exam *exam, const struct bkp_presence_info *session,
    int64_t now_us, struct bkp_error *err)
{
	bool is_late = session->is_expired || session->is_gone ||
		       session->is_ended || session->is_given_up;
	int64_t age_us = now_us - session->touched_us;
	struct bkp_span age =
	    bkp_span(age_us > 0 ? (uint64_t)age_us / 1000 : 0);

	if (session->what[0] == '\0')
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "backup-check tells more", err,
		    "a session that cannot be read was stored %s ago",
		    age.text);
	if (is_late)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "the next backup-prune takes it away", err,
		    "a %s of host " BKP_NAMED
		    " did not end well and left its session",
		    session->what, session->host);
	return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL, NULL, err,
	    "a %s of host " BKP_NAMED " is at work, last heard of %s ago",
	    session->what, session->host, age.text);
}

static int
check_sessions(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_presence_info *list = NULL;
	size_t count = 0;
	int64_t now_us;
	int rc = 0;

	if (bkp_presence_list(ward_of(exam)->repository, NULL, &list, &count,
		&now_us, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = tell_session(exam, &list[i], now_us, err);
	free(list);
	if (rc == 0 && count == 0)
		rc = bkp_exam_ok(exam, err,
		    "nobody is at work, and nobody "
		    "left a session");
	return rc;
}

static int
check_condemned(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_condemned condemned = BKP_CONDEMNED_INIT;
	int rc;

	if (bkp_condemned_load(ward_of(exam)->repository, &condemned, err) < 0)
		return -1;
	if (condemned.damaged > 0)
		rc = bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "backup-check --repair", err,
		    "%zu lists of what is to be deleted cannot be read: %s",
		    condemned.damaged, condemned.damage.message);
	else if (condemned.pack_count > 0)
		rc = bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "the next backup-prune after the grace period deletes them",
		    err, "%zu packs wait to be deleted", condemned.pack_count);
	else
		rc = bkp_exam_ok(exam, err, "nothing waits to be deleted");
	bkp_condemned_free(&condemned);
	return rc;
}

/* ---- in a bucket ---- */

static int
open_s3(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_exam_repository *ward = ward_of(exam);

	if (ward->s3.connection != NULL)
		return 0;
	return bkp_exam_s3_open(&ward->s3, &exam->config->storage.bucket,
	    exam->config->repository + strlen(SCHEME), exam->options->cancel,
	    err);
}

static int
check_lock(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_exam_repository *ward = ward_of(exam);
	struct bkp_s3_lock_rule rule = {.is_enabled = false};
	unsigned days = exam->config->storage.lock_days;

	if (!is_in_bucket(exam))
		return bkp_exam_ok(exam, err, "it is in a folder");
	if (open_s3(exam, err) < 0 || bkp_s3_get_lock_rule(ward->s3.connection,
					  ward->s3.bucket, &rule, err) < 0)
		return -1;
	if (days > 0 && !rule.is_enabled)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "object lock can be had from a new bucket only: make one "
		    "with it",
		    err,
		    "object_lock is configured for %u days and the bucket has "
		    "none",
		    days);
	if (days == 0 && rule.is_enabled && rule.mode != BKP_S3_LOCK_NONE)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "write `object_lock:` with the same days, or take the "
		    "bucket's rule away: prune does not lengthen locks that it "
		    "does not know of",
		    err,
		    "the bucket locks what is put for %u days by a rule of its "
		    "own, and the configuration says nothing of it",
		    rule.days > 0 ? rule.days : rule.years * 365);
	if (days == 0)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "with `object_lock:` nobody who has these credentials can "
		    "delete backups",
		    err, "what is stored is not locked");
	return bkp_exam_ok(exam, err, "object lock of %u days", days);
}

static int
check_clock(struct bkp_exam *exam, struct bkp_error *err)
{
	if (!is_in_bucket(exam))
		return bkp_exam_ok(exam, err, "it is in a folder");
	if (open_s3(exam, err) < 0)
		return -1;
	return bkp_exam_s3_clock(exam, &ward_of(exam)->s3, err);
}

/* Whether two that make a repository at the same time are told apart. */
static int
check_conditions(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_exam_repository *ward = ward_of(exam);
	bool is_kept = false;

	if (!is_in_bucket(exam))
		return bkp_exam_ok(exam, err, "it is in a folder");
	if (!exam->options->may_write)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL,
		    "--write tries it", err,
		    "whether the server keeps to conditions of PUT is not "
		    "known without trying");
	if (open_s3(exam, err) < 0 ||
	    bkp_s3_probe_if_absent(
		ward->s3.connection, ward->s3.bucket, NULL, &is_kept, err) < 0)
		return -1;
	if (is_kept)
		return bkp_exam_ok(
		    exam, err, "the server keeps to conditions of PUT");
	return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL, NULL, err,
	    "the server ignores conditions of PUT; nothing rests on them");
}

/* A disk that dies takes both along. */
static int
check_disk(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;
	struct stat own, st;

	if (is_in_bucket(exam) || stat(config->repository, &own) < 0)
		return bkp_exam_ok(
		    exam, err, "it is on no disk of this machine");
	for (size_t i = 0; i < config->source_count; i++) {
		const struct bkp_source_config *source = &config->sources[i];

		if (source->kind != BKP_KIND_FILES)
			continue;
		for (size_t k = 0; k < source->files.paths.count; k++)
			if (source->files.root == NULL &&
			    stat(source->files.paths.items[k], &st) == 0 &&
			    st.st_dev == own.st_dev)
				return bkp_exam_tell(exam, BKP_HEALTH_NOTE,
				    NULL,
				    "keep another copy on another machine", err,
				    "it is on the same file system "
				    "as " BKP_NAMED ", which it backs up",
				    source->files.paths.items[k]);
	}
	return bkp_exam_ok(
	    exam, err, "no file that it backs up is on its file system");
}

static void
close_ward(struct bkp_exam *exam)
{
	struct bkp_exam_repository *ward = ward_of(exam);

	if (ward->has_list)
		bkp_snapshot_list_free(&ward->list);
	bkp_repository_close(ward->repository);
	bkp_store_close(ward->store);
	bkp_exam_s3_close(&ward->s3);
}

static const struct bkp_exam_check checks[] = {
    {"repository-reachable", check_reachable, BKP_EXAM_DOOR},
    {"repository-key", check_key, BKP_EXAM_DOOR},
    {"repository-writable", check_writable, BKP_EXAM_INSIDE},
    {"repository-room", bkp_exam_room, BKP_EXAM_INSIDE},
    {"repository-disk", check_disk, BKP_EXAM_INSIDE},
    {"repository-history", bkp_exam_history, BKP_EXAM_INSIDE},
    {"repository-keys", bkp_exam_key_objects, BKP_EXAM_INSIDE},
    {"host-key", bkp_exam_host_key, BKP_EXAM_INSIDE},
    {"administrators", bkp_exam_administrators, BKP_EXAM_INSIDE},
    {"sessions", check_sessions, BKP_EXAM_INSIDE},
    {"condemned", check_condemned, BKP_EXAM_INSIDE},
    {"last-backup", bkp_exam_last_backup, BKP_EXAM_INSIDE},
    {"last-backup-whole", bkp_exam_omissions, BKP_EXAM_INSIDE},
    {"last-proof", bkp_exam_last_proof, BKP_EXAM_INSIDE},
    {"object-lock", check_lock, BKP_EXAM_APART},
    {"repository-clock", check_clock, BKP_EXAM_APART},
    {"repository-conditions", check_conditions, BKP_EXAM_APART},
    {NULL, NULL, BKP_EXAM_NONE},
};

const struct bkp_exam_kind bkp_exam_repository = {
    checks, sizeof(struct bkp_exam_repository), close_ward};
