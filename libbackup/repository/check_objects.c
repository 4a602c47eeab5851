/* SPDX-License-Identifier: Apache-2.0 */
/* The objects that are read whole. */
#include <stdio.h>
#include <string.h>

#include "formats/record.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"
#include "libbackup/repository/key_check.h"

/* Named by their content, and plain to everybody who has the key at hand. */
static const struct folder {
	const char *name, *type, *context, *kind, *advice;
} folders[] = {
    {"proofs", "proof", "libbackup proof v1", "proof-damaged",
	"it counts for nothing; backup-verify makes the next one"},
    {"condemned", "condemned", "libbackup condemned v1", "condemned-damaged",
	"nobody acts on it; the next backup-prune makes a new list"},
};

bool
bkp_check_is_damage(const struct bkp_error *problem)
{
	return problem->code == BKP_CORRUPT || problem->code == BKP_AUTH ||
	       problem->code == BKP_UNSUPPORTED;
}

int
bkp_check_newer(
    struct bkp_checker *checker, const char *object, struct bkp_error *err)
{
	return bkp_finding_add(&checker->findings, NULL, BKP_FINDING_WARNING,
	    BKP_FINDING_NEWER, object, err,
	    "%s: it was written by a newer version of libbackup, so what it "
	    "says is not known here; it is left alone: look at it with that "
	    "version",
	    object);
}

/* ---- folders of small objects ---- */

/* Good as an object, and a record of a version that is not known here. */
static int
check_version(struct bkp_checker *checker, const struct folder *folder,
    const char *path, const struct fmt_buf *stored, struct bkp_error *err)
{
	const struct bkp_key_ring *keys = &checker->repository->keys;
	struct fmt_record record = FMT_RECORD_INIT;
	struct fmt_buf text = FMT_BUF_SECRET_INIT;
	enum fmt_status status;

	status = fmt_age_open(
	    keys->metadata, keys->count, stored->data, stored->len, &text);
	if (status == FMT_OK)
		status = fmt_record_decode(
		    text.data, text.len, folder->context, &record);
	if (status == FMT_OK)
		status = fmt_record_check(record.body, folder->type, 1);
	fmt_record_free(&record);
	fmt_buf_free(&text);
	if (status == FMT_NOMEM)
		return bkp_fail_nomem(err, "checking a record");
	return status == FMT_UNSUPPORTED ? bkp_check_newer(checker, path, err)
					 : 0;
}

static int
check_object(struct bkp_checker *checker, const struct folder *folder,
    const char *name, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct fmt_buf stored = FMT_BUF_INIT;
	char path[BKP_PACK_PATH];
	size_t number;
	int rc;

	rc = bkp_object_get(
	    checker->repository->store, folder->name, name, &stored, &problem);
	(void)snprintf(path, sizeof(path), "%s/%s", folder->name, name);
	if (rc == 0)
		rc = check_version(checker, folder, path, &stored, err);
	else if (problem.code == BKP_NOTFOUND)
		rc = 0; /* removed since it was listed */
	else
		rc = 1;
	fmt_buf_free(&stored);
	if (rc <= 0)
		return rc;
	if (!bkp_check_is_damage(&problem)) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (bkp_finding_add(&checker->findings, &number, BKP_FINDING_DAMAGE,
		folder->kind, path, err, "%s; %s", problem.message,
		folder->advice) < 0)
		return -1;
	return bkp_check_misplaced(checker, number, folder->name, name, err);
}

/* "copies/keys/<name>": what is under `finding` is about that. */
static int
look_for_owner(struct bkp_checker *checker, size_t finding, const char *object,
    struct bkp_error *err)
{
	const char *slash = strrchr(object, '/');
	char folder[BKP_PACK_PATH];

	if (slash == NULL || strlen(slash + 1) != BKP_OBJECT_NAME - 1)
		return 0;
	(void)snprintf(
	    folder, sizeof(folder), "%.*s", (int)(slash - object), object);
	return bkp_check_misplaced(checker, finding, folder, slash + 1, err);
}

static int
take_key_finding(
    void *arg, const struct bkp_key_finding *finding, struct bkp_error *err)
{
	struct bkp_checker *checker = arg;
	size_t number;

	if (bkp_finding_add(&checker->findings, &number, finding->level,
		finding->kind, finding->object, err, "%s%s%s", finding->object,
		finding->object[0] != '\0' ? ": " : "", finding->text) < 0)
		return -1;
	return look_for_owner(checker, number, finding->object, err);
}

int
bkp_check_objects(struct bkp_checker *checker, struct bkp_error *err)
{
	if (bkp_repository_check_keys(
		checker->repository, take_key_finding, checker, err) < 0)
		return -1;
	for (size_t f = 0; f < sizeof(folders) / sizeof(folders[0]); f++) {
		struct bkp_names names = BKP_NAMES_INIT;
		int rc = bkp_object_names(checker->repository->store,
		    folders[f].name, "", &names, err);

		for (size_t i = 0; rc == 0 && i < names.count; i++)
			rc = check_object(
			    checker, &folders[f], names.items[i], err);
		bkp_names_free(&names);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- snapshots ---- */

static int
add_history_finding(struct bkp_checker *checker,
    const struct bkp_history_finding *finding, struct bkp_error *err)
{
	enum bkp_finding_level level = finding->is_note ? BKP_FINDING_NOTE
				       : finding->kind == BKP_HISTORY_PROOF
					   ? BKP_FINDING_WARNING
					   : BKP_FINDING_DAMAGE;
	char path[BKP_PACK_PATH] = "checkpoints/";
	size_t number;

	if (finding->kind == BKP_HISTORY_ERASURES)
		(void)snprintf(path, sizeof(path), "erasures/");
	else if (finding->kind == BKP_HISTORY_PROOF)
		(void)snprintf(path, sizeof(path), "proofs/");
	if (finding->name[0] != '\0' && finding->kind != BKP_HISTORY_PROOF)
		(void)snprintf(
		    path, sizeof(path), "snapshots/%s", finding->name);
	if (bkp_finding_add(&checker->findings, &number, level,
		bkp_history_kind_name(finding->kind), path, err, "%s",
		finding->text) < 0)
		return -1;
	/* A snapshot that lacks its proof is as good as it was. */
	if (finding->is_note || finding->name[0] == '\0' ||
	    finding->kind == BKP_HISTORY_PROOF)
		return 0;
	if (bkp_finding_hurt(
		&checker->findings, number, finding->name, "", err) < 0)
		return -1;
	return bkp_check_misplaced(
	    checker, number, "snapshots", finding->name, err);
}

/* A machine that checks is one that has seen. */
static void
remember(struct bkp_checker *checker)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_history_remember(
		checker->repository, &checker->history, &problem) < 0)
		bkp_run_message(checker->run, BKP_WARNING, NULL,
		    "which snapshots there are is not remembered on this "
		    "machine: %s",
		    problem.message);
}

static int
miss_proofs(struct bkp_checker *checker, struct bkp_error *err)
{
	struct bkp_proofs proofs = BKP_PROOFS_INIT;
	int rc = bkp_proofs_load(checker->repository, &proofs, err);

	if (rc == 0)
		rc = bkp_history_miss_proofs(&checker->history, &proofs, err);
	bkp_proofs_free(&proofs);
	return rc;
}

int
bkp_check_snapshots(struct bkp_checker *checker, struct bkp_error *err)
{
	struct bkp_history *history = &checker->history;

	if (bkp_history_read(checker->repository, history, err) < 0 ||
	    miss_proofs(checker, err) < 0)
		return -1;
	for (size_t i = 0; i < history->count; i++)
		if (add_history_finding(checker, &history->findings[i], err) <
		    0)
			return -1;
	remember(checker);
	return 0;
}

/* ---- index ---- */

int
bkp_check_index(struct bkp_checker *checker, struct bkp_error *err)
{
	struct bkp_index_set *set = &checker->repository->index;

	set->notes_newer = true;
	if (bkp_repository_load_good_index(checker->repository, err) < 0)
		return -1;
	for (size_t i = 0; i < set->damaged_count; i++) {
		const struct bkp_index_damage *damage = &set->damaged[i];
		bool is_newer = damage->problem.code == BKP_UNSUPPORTED;
		char path[BKP_PACK_PATH];
		size_t number;

		(void)snprintf(path, sizeof(path), "index/%s", damage->name);
		if (bkp_finding_add(&checker->findings, &number,
			is_newer ? BKP_FINDING_WARNING : BKP_FINDING_DAMAGE,
			is_newer ? BKP_FINDING_NEWER : "index-damaged", path,
			err,
			is_newer ? "%s; a newer version of libbackup wrote it, "
				   "so where the chunks are that it names is "
				   "not known here, and what seems to be "
				   "missing may be there: check with that "
				   "version"
				 : "%s",
			damage->problem.message) < 0 ||
		    bkp_check_misplaced(
			checker, number, "index", damage->name, err) < 0)
			return -1;
		if (checker->unknown_count++ == 0)
			checker->unknown = number;
	}
	return 0;
}
