/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/key_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"
#include "libbackup/repository/copies.h"
#include "libbackup/repository/erasures.h"

#define FROM_THE_OTHER                                                         \
	"the other one is good, and backup-check --repair makes this one of "  \
	"it"

struct checking {
	struct bkp_repository *repository;
	bkp_key_finding_fn *fn;
	void *arg;
	uint64_t *numbers; /* owned: of the rosters that were read */
	size_t count, cap;
};

__attribute__((format(printf, 6, 7))) static int
tell(const struct checking *checking, enum bkp_finding_level level,
    const char *kind, const char *object, struct bkp_error *err,
    const char *format, ...)
{
	struct bkp_key_finding finding = {level, kind, object, ""};
	char text[2 * BKP_ERROR_MESSAGE];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	finding.text = text;
	return checking->fn(checking->arg, &finding, err);
}

/* ---- one of two ---- */

enum state { GOOD, MISSING, DAMAGED };

struct one {
	char path[BKP_OBJECT_NAME + 40];
	enum state state;
	struct fmt_buf bytes; /* owned */
	char problem[BKP_ERROR_MESSAGE];
};

static bool
is_config(const char *folder)
{
	return folder[0] == '\0';
}

/* config has no digest to be held against. */
static int
get_config(struct bkp_repository *repository, const char *path,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_repository_config config;

	if (bkp_store_get(
		repository->store, path, 0, BKP_STORE_WHOLE, out, err) < 0 ||
	    bkp_repository_config_decode(out->data, out->len, &config, err) < 0)
		return -1;
	if (strcmp(config.id, repository->keys.repository) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "%s: it names another repository than the keys", path);
	return 0;
}

/* Reads one of two; `folder` is "" for config. */
static int
look_at(struct bkp_repository *repository, bool is_copy, const char *folder,
    const char *name, struct one *out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	char at[32];
	int rc;

	(void)snprintf(at, sizeof(at), "%s%s", is_copy ? BKP_COPIES : "",
	    is_config(folder) ? name : folder);
	*out = (struct one){.state = GOOD, .bytes = FMT_BUF_INIT};
	(void)snprintf(out->path, sizeof(out->path), "%s%s%s", at,
	    is_config(folder) ? "" : "/", is_config(folder) ? "" : name);
	rc = is_config(folder)
		 ? get_config(repository, out->path, &out->bytes, &problem)
		 : bkp_object_get(
		       repository->store, at, name, &out->bytes, &problem);
	if (rc == 0)
		return 0;
	if (problem.code != BKP_NOTFOUND && problem.code != BKP_CORRUPT &&
	    problem.code != BKP_UNSUPPORTED) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	out->state = problem.code == BKP_NOTFOUND ? MISSING : DAMAGED;
	memcpy(out->problem, problem.message, sizeof(out->problem));
	return 0;
}

static void
free_pair(struct one pair[2])
{
	fmt_buf_free(&pair[0].bytes);
	fmt_buf_free(&pair[1].bytes);
}

static int
look_at_both(struct bkp_repository *repository, const char *folder,
    const char *name, struct one pair[2], struct bkp_error *err)
{
	pair[1] = (struct one){.bytes = FMT_BUF_INIT};
	if (look_at(repository, false, folder, name, &pair[0], err) == 0 &&
	    look_at(repository, true, folder, name, &pair[1], err) == 0)
		return 0;
	free_pair(pair);
	return -1;
}

/* What is wrong with one of two. `is_left` says that a killed change may have
 * made or left it, one without the other. */
static int
tell_pair(const struct checking *checking, const char *kind_missing,
    const char *kind_damaged, bool is_left, struct one pair[2],
    struct bkp_error *err)
{
	for (int i = 0; i < 2; i++) {
		const struct one *one = &pair[i];
		bool has_other = pair[1 - i].state == GOOD;
		enum bkp_finding_level level = has_other || is_left
						   ? BKP_FINDING_WARNING
						   : BKP_FINDING_DAMAGE;
		const char *advice =
		    has_other ? FROM_THE_OTHER
			      : "bring it back from a copy of the repository";
		int rc = 0;

		if (one->state == MISSING)
			rc = tell(checking, is_left ? BKP_FINDING_NOTE : level,
			    kind_missing, one->path, err, "it is missing%s; %s",
			    is_left ? ", as after a change of keys that was "
				      "interrupted"
				    : "",
			    advice);
		else if (one->state == DAMAGED)
			rc = tell(checking, level, kind_damaged, one->path, err,
			    "%s; %s", one->problem, advice);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* ---- rosters ---- */

static int
note_number(struct checking *checking, uint64_t number, struct bkp_error *err)
{
	if (bkp_grow(&checking->numbers, checking->count, &checking->cap,
		sizeof(*checking->numbers), err) < 0)
		return -1;
	checking->numbers[checking->count++] = number;
	return 0;
}

/* The bytes are those that were stored: were they the administrators'? */
static int
check_roster_text(struct checking *checking, const struct one *one,
    uint64_t *number, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_roster roster = BKP_ROSTER_INIT;

	if (bkp_roster_decode(one->bytes.data, one->bytes.len,
		&checking->repository->keys, &roster, &problem) == 0) {
		*number = roster.number;
		bkp_roster_free(&roster);
		return note_number(checking, *number, err);
	}
	if (problem.code == BKP_NOMEM) {
		if (err != NULL)
			*err = problem;
		return -1;
	}
	return tell(checking, BKP_FINDING_WARNING, "roster-forged", one->path,
	    err,
	    "nobody heeds it: %s; somebody who is no administrator put it "
	    "there; remove it",
	    problem.message);
}

static int
check_roster(struct checking *checking, const char *name, struct bkp_error *err)
{
	uint64_t newest = checking->repository->roster.number, number = 0;
	struct one pair[2];
	int rc = 0;

	if (look_at_both(checking->repository, "roster", name, pair, err) < 0)
		return -1;
	for (int i = 0; i < 2 && number == 0 && rc == 0; i++) {
		if (pair[i].state == GOOD)
			rc =
			    check_roster_text(checking, &pair[i], &number, err);
		if (pair[i].state == GOOD)
			break;
	}
	if (rc == 0)
		rc = tell_pair(checking, "roster-missing", "roster-damaged",
		    number != 0 && number == newest && pair[0].state == MISSING,
		    pair, err);
	free_pair(pair);
	return rc;
}

static bool
has_number(const struct checking *checking, uint64_t number)
{
	for (size_t i = 0; i < checking->count; i++) {
		if (checking->numbers[i] == number)
			return true;
	}
	return false;
}

static int
check_numbers(struct checking *checking, struct bkp_error *err)
{
	const struct bkp_roster *roster = &checking->repository->roster;

	if (roster->number == 0)
		return tell(checking, BKP_FINDING_DAMAGE, "roster-missing", "",
		    err, "nobody is known to write here: %s",
		    roster->damage.message);
	for (uint64_t n = 1; n < roster->number; n++) {
		if (!has_number(checking, n) &&
		    tell(checking, BKP_FINDING_WARNING, "roster-missing", "",
			err,
			"the roster number %llu is missing; it has been "
			"replaced since, so nothing is lost, but nobody should "
			"have removed it",
			(unsigned long long)n) < 0)
			return -1;
	}
	if (!roster->is_joined)
		return 0;
	return tell(checking, BKP_FINDING_NOTE, "roster-joined", "", err,
	    "two administrators changed the keys at the same time, and both "
	    "changes count; the next change by backup-key joins them");
}

static int
check_rosters(struct checking *checking, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_copies_names(
	    checking->repository->store, "roster", &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = check_roster(checking, names.items[i], err);
	bkp_names_free(&names);
	return rc < 0 ? -1 : check_numbers(checking, err);
}

/* ---- keys ---- */

static int
check_key(struct checking *checking, const char *name, bool is_needed,
    struct bkp_error *err)
{
	struct one pair[2];
	int rc;

	if (look_at_both(checking->repository, "keys", name, pair, err) < 0)
		return -1;
	rc = tell_pair(
	    checking, "key-missing", "key-damaged", !is_needed, pair, err);
	if (rc == 0 && !is_needed && checking->repository->roster.number > 0)
		rc = tell(checking, BKP_FINDING_NOTE, "key-unknown",
		    pair[0].state == MISSING ? pair[1].path : pair[0].path, err,
		    "no roster in use names it; a change of keys that was "
		    "interrupted leaves such objects, and the next one that "
		    "is done takes those away that it may");
	free_pair(pair);
	return rc;
}

static int
check_all_keys(struct checking *checking, struct bkp_error *err)
{
	struct bkp_repository *repository = checking->repository;
	struct bkp_names needed = BKP_NAMES_INIT, names = BKP_NAMES_INIT;
	int rc = bkp_roster_keys(&repository->roster, &needed, err);

	if (rc == 0)
		rc = bkp_copies_names(repository->store, "keys", &names, err);
	if (rc == 0)
		rc = bkp_names_join(&names, &needed, err);
	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = check_key(checking, names.items[i],
		    bkp_names_has(&needed, names.items[i]), err);
	bkp_names_free(&names);
	bkp_names_free(&needed);
	return rc;
}

/* ---- checkpoints ---- */

static int
check_checkpoint_of(const struct checking *checking, const struct one *one,
    bool has_other, struct bkp_error *err)
{
	if (one->state == DAMAGED)
		return tell(checking,
		    has_other ? BKP_FINDING_WARNING : BKP_FINDING_DAMAGE,
		    "checkpoint-damaged", one->path, err, "%s; %s",
		    one->problem,
		    has_other
			? FROM_THE_OTHER
			: "bring it back from a copy of the repository, or do "
			  "without it: backup-check --repair --accept-loss");
	if (one->state == GOOD || !has_other)
		return 0; /* replaced since it was listed */
	return tell(checking, BKP_FINDING_NOTE, "checkpoint-missing", one->path,
	    err,
	    "it is stored once, not twice, as after a prune that was "
	    "interrupted or by an earlier version; %s",
	    FROM_THE_OTHER);
}

static int
check_checkpoints(const struct checking *checking, struct bkp_error *err)
{
	struct bkp_repository *repository = checking->repository;
	struct bkp_names names = BKP_NAMES_INIT;
	int rc =
	    bkp_copies_names(repository->store, "checkpoints", &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		struct one pair[2];

		rc = look_at_both(
		    repository, "checkpoints", names.items[i], pair, err);
		if (rc < 0)
			break;
		for (int k = 0; rc == 0 && k < 2; k++)
			rc = check_checkpoint_of(
			    checking, &pair[k], pair[1 - k].state == GOOD, err);
		free_pair(pair);
	}
	bkp_names_free(&names);
	return rc;
}

/* ---- erasures ---- */

/* The bytes are those that were stored: is it an entry, by who may? */
static int
check_erasure_text(const struct checking *checking, const char *name,
    const struct one *one, struct bkp_error *err)
{
	struct fmt_erasure record = FMT_ERASURE_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_erasure_read(checking->repository, name, &record, &problem) ==
	    0) {
		fmt_erasure_free(&record);
		return 0;
	}
	if (problem.code == BKP_UNSUPPORTED)
		return tell(checking, BKP_FINDING_WARNING, BKP_FINDING_NEWER,
		    one->path, err,
		    "it was written by a newer version of libbackup, so whom "
		    "it is about is not known here; it is left alone: look at "
		    "it with that version");
	if (problem.code == BKP_AUTH || problem.code == BKP_CORRUPT ||
	    problem.code == BKP_INVALID)
		return tell(checking, BKP_FINDING_DAMAGE, "erasure-forged",
		    one->path, err,
		    "it counts for nothing: %s; somebody who may not write "
		    "here put it there: put it aside with backup-check "
		    "--repair --accept-loss",
		    problem.message);
	if (problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

static int
check_erasure_of(const struct checking *checking, const struct one *one,
    bool has_other, struct bkp_error *err)
{
	if (one->state == DAMAGED)
		return tell(checking,
		    has_other ? BKP_FINDING_WARNING : BKP_FINDING_DAMAGE,
		    "erasure-damaged", one->path, err, "%s; %s", one->problem,
		    has_other
			? FROM_THE_OTHER
			: "whom it is about is not known any more: bring it "
			  "back from a copy of the repository, or record it "
			  "once more with backup-export forget and put this "
			  "aside with backup-check --repair --accept-loss");
	if (one->state == GOOD || !has_other)
		return 0;
	return tell(checking, BKP_FINDING_WARNING, "erasure-missing", one->path,
	    err,
	    "it is stored once, not twice, as where recording it was "
	    "interrupted; %s",
	    FROM_THE_OTHER);
}

static int
check_erasure(
    const struct checking *checking, const char *name, struct bkp_error *err)
{
	struct one pair[2];
	int rc = 0;

	if (look_at_both(checking->repository, "erasures", name, pair, err) < 0)
		return -1;
	for (int i = 0; rc == 0 && i < 2; i++)
		rc = check_erasure_of(
		    checking, &pair[i], pair[1 - i].state == GOOD, err);
	for (int i = 0; rc == 0 && i < 2; i++) {
		if (pair[i].state != GOOD)
			continue;
		rc = check_erasure_text(checking, name, &pair[i], err);
		break;
	}
	free_pair(pair);
	return rc;
}

static int
check_erasures(const struct checking *checking, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_copies_names(
	    checking->repository->store, "erasures", &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = check_erasure(checking, names.items[i], err);
	bkp_names_free(&names);
	return rc;
}

int
bkp_repository_check_keys(struct bkp_repository *repository,
    bkp_key_finding_fn *fn, void *arg, struct bkp_error *err)
{
	struct checking checking = {
	    .repository = repository, .fn = fn, .arg = arg};
	struct one pair[2];
	int rc;

	if (look_at_both(repository, "", "config", pair, err) < 0)
		return -1;
	rc = tell_pair(
	    &checking, "config-missing", "config-damaged", false, pair, err);
	free_pair(pair);
	if (rc == 0)
		rc = check_rosters(&checking, err);
	if (rc == 0)
		rc = check_all_keys(&checking, err);
	if (rc == 0)
		rc = check_checkpoints(&checking, err);
	if (rc == 0)
		rc = check_erasures(&checking, err);
	free(checking.numbers);
	return rc;
}

/* ---- repair ---- */

static int
repair_pair(struct bkp_repository *repository, const char *folder,
    const char *name, size_t *repaired, struct bkp_error *err)
{
	struct one pair[2];
	int rc = 0;

	if (look_at_both(repository, folder, name, pair, err) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		const struct one *bad = &pair[i], *good = &pair[1 - i];

		if (bad->state == GOOD || good->state != GOOD)
			continue;
		rc = bkp_store_put(repository->store, bad->path,
		    good->bytes.data, good->bytes.len, err);
		*repaired += rc == 0;
	}
	free_pair(pair);
	return rc;
}

int
bkp_repository_repair_keys(
    struct bkp_repository *repository, size_t *repaired, struct bkp_error *err)
{
	static const char *const folders[] = {
	    "roster", "keys", "checkpoints", "erasures"};
	size_t count = 0;
	int rc = repair_pair(repository, "", "config", &count, err);

	for (size_t f = 0; rc == 0 && f < sizeof(folders) / sizeof(*folders);
	     f++) {
		struct bkp_names names = BKP_NAMES_INIT;

		rc = bkp_copies_names(
		    repository->store, folders[f], &names, err);
		for (size_t i = 0; rc == 0 && i < names.count; i++)
			rc = repair_pair(repository, folders[f], names.items[i],
			    &count, err);
		bkp_names_free(&names);
	}
	if (rc == 0 && repaired != NULL)
		*repaired = count;
	return rc;
}
