/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict, kept with the backup, so that it is known later which snapshot
 * was proven and none that is the last proof is removed.
 */
#include <string.h>
#include <unistd.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/verify_impl.h"
#include "libbackup/repository/proofs.h"
#include "libbackup/version.h"

#define HOST_SIZE 256

static enum fmt_proof_level
level_of(const struct bkp_verify *verify)
{
	if (verify->read_back == 0 && verify->restored > 0)
		return FMT_PROOF_RESTORED;
	return verify->restored == 0 ? FMT_PROOF_READ : FMT_PROOF_PARTLY;
}

/* What is kept is what the snapshot holds: it is as good as it was where it has
 * become too old, or a machine too slow. */
static bool
holds(const struct bkp_verify_result *result)
{
	return result->passed > result->about_passed &&
	       result->failed == result->about_failed;
}

/* An archive keeps nothing; and what differs from a place in use may have
 * changed there. */
static bool
is_of_use(const struct bkp_verify *verify)
{
	return verify->opened.repository->archive == NULL &&
	       verify->options->mode == BKP_VERIFY_SCRATCH;
}

/* Whether the verdict says something of the snapshot. A part that is proven is
 * no whole. */
static bool
is_kept(const struct bkp_verify *verify, const struct bkp_verify_result *result)
{
	const char *path = verify->options->path;

	if (!is_of_use(verify))
		return false;
	/* Nor is one that was looked at in part. */
	if (holds(result) && verify->is_partial)
		return false;
	return !holds(result) || path == NULL || path[0] == '\0';
}

static int
put(struct bkp_verify *verify, const struct bkp_verify_result *result,
    const char *path, struct fmt_proof_sample *sample, bool *is_local,
    struct bkp_error *err)
{
	/* A sample says what was read and well; where something else was not,
	 * that has a record of its own. */
	bool is_aside = sample != NULL && !holds(result);
	struct fmt_proof proof = {.time_us = bkp_clock_utc_us(),
	    .is_proven = is_aside || holds(result),
	    .level = sample != NULL ? FMT_PROOF_READ : level_of(verify),
	    .passed = is_aside ? 1 : result->passed - result->about_passed,
	    .failed = is_aside ? 0 : result->failed - result->about_failed,
	    .skipped = result->skipped,
	    .rows = result->rows,
	    .objects = result->objects,
	    .files = result->files,
	    .duration_ms = result->duration_ms,
	    .recovery_ms = result->recovery_ms,
	    .bytes = verify->bytes,
	    .sample = sample};
	char host[HOST_SIZE] = "";
	int rc = -1;

	if (gethostname(host, sizeof(host) - 1) < 0 || !fmt_utf8_is_valid(host))
		host[0] = '\0';
	memcpy(proof.snapshot, result->snapshot, sizeof(proof.snapshot));
	proof.host = bkp_strdup(host, err);
	proof.path = bkp_strdup(path != NULL ? path : "", err);
	proof.program = bkp_strdup("libbackup " BKP_VERSION, err);
	if (proof.host != NULL && proof.path != NULL && proof.program != NULL)
		rc = bkp_proof_put(
		    verify->opened.repository, &proof, is_local, err);
	proof.sample = NULL; /* the caller's */
	fmt_proof_free(&proof);
	return rc;
}

/* What samples have found well, each by itself. Without a key that may say so
 * the next one is chosen by the clock. */
static int
put_samples(struct bkp_verify *verify, const struct bkp_verify_result *result,
    bool *is_local, struct bkp_error *err)
{
	if (!verify->opened.repository->keys.has_admin ||
	    verify->opened.repository->store->is_past)
		return 0;
	for (size_t i = 0; i < verify->sample_count; i++)
		if (put(verify, result, verify->samples[i].path,
			&verify->samples[i].covered, is_local, err) < 0)
			return -1;
	return 0;
}

void
bkp_verify_record(
    struct bkp_verify *verify, const struct bkp_verify_result *result)
{
	struct bkp_error error = BKP_ERROR_INIT;
	bool is_local = false;
	int rc = 0;

	/* The verdict comes last: the newest counts. It is kept where samples
	 * cannot be, too. */
	if (is_of_use(verify))
		rc = put_samples(verify, result, &is_local, &error);
	if (is_kept(verify, result) &&
	    put(verify, result, verify->options->path, NULL, &is_local,
		&error) < 0)
		rc = -1;
	if (rc < 0)
		bkp_run_message(verify->run, BKP_WARNING, NULL,
		    "the verdict stands, but could not be kept with the "
		    "repository: %s",
		    error.message);
	else if (is_local)
		bkp_run_message(verify->run, BKP_INFO, NULL,
		    "the repository takes no writes: the verdict is kept on "
		    "this machine");
}
