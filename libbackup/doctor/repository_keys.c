/* SPDX-License-Identifier: Apache-2.0 */
/* Who may open the repository and who may write to it. */
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/doctor/repository.h"
#include "libbackup/key.h"
#include "libbackup/repository/key_check.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/repository/roster.h"

static struct bkp_exam_repository *
ward_of(struct bkp_exam *exam)
{
	return exam->state;
}

static int
tell_finding(
    void *arg, const struct bkp_key_finding *finding, struct bkp_error *err)
{
	static const enum bkp_health healths[] = {
	    [BKP_FINDING_NOTE] = BKP_HEALTH_NOTE,
	    [BKP_FINDING_WARNING] = BKP_HEALTH_WARNING,
	    [BKP_FINDING_DAMAGE] = BKP_HEALTH_ERROR};
	struct bkp_exam *exam = arg;

	exam->has_found = true;
	return bkp_exam_tell(exam, healths[finding->level], NULL,
	    "backup-check tells more, and --repair mends what can be", err,
	    "%s", finding->text);
}

int
bkp_exam_key_objects(struct bkp_exam *exam, struct bkp_error *err)
{
	if (bkp_repository_check_keys(
		ward_of(exam)->repository, tell_finding, exam, err) < 0)
		return -1;
	if (exam->has_found)
		return 0;
	return bkp_exam_ok(
	    exam, err, "all that opens it is there, and stored twice");
}

int
bkp_exam_host_key(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_repository *repository = ward_of(exam)->repository;
	const struct bkp_roster_writer *self;
	unsigned char key[32];

	if (repository->lost_key_file != NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "put it back, or have backup-key host make a new one", err,
		    "the key file " BKP_NAMED " is not there",
		    repository->lost_key_file);
	if (!repository->keys.has_signing)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "a host that backs up needs `key_file:`", err,
		    "no key at hand signs backups");
	if (fmt_sign_public(repository->keys.signing_seed, key) != FMT_OK)
		return bkp_fail(err, BKP_IO, "computing a public key failed");
	self = bkp_roster_writer(&repository->roster, key);
	if (self == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "an administrator makes a new key file by backup-key "
		    "host",
		    err,
		    "the repository does not know the key of host " BKP_NAMED,
		    repository->keys.writer);
	if (self->revoked_us != 0)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "an administrator makes a new key file by backup-key "
		    "host",
		    err,
		    "the key of host " BKP_NAMED
		    " has been revoked: what it writes is "
		    "not believed",
		    repository->keys.writer);
	return bkp_exam_ok(exam, err, "host " BKP_NAMED " may write%s",
	    self->name, self->may_prune ? " and prune" : "");
}

int
bkp_exam_administrators(struct bkp_exam *exam, struct bkp_error *err)
{
	struct bkp_key_list list = BKP_KEY_LIST_INIT;
	int rc;

	if (bkp_key_list(ward_of(exam)->repository, &list, err) < 0)
		return -1;
	if (list.damaged > 0)
		rc = bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "backup-check tells more", err,
		    "%zu rosters could not be used: %s", list.damaged,
		    list.damage);
	else if (list.admin_count < 2)
		rc = bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "backup-key add another one, or print a recovery sheet "
		    "(backup-key sheet) and keep it elsewhere; then add a "
		    "second all the same",
		    err,
		    "one administrator alone can read the backups: where that "
		    "key is lost, all of them are");
	else
		rc = bkp_exam_ok(exam, err, "%zu administrators, %zu hosts",
		    list.admin_count, list.host_count);
	bkp_key_list_free(&list);
	return rc;
}
