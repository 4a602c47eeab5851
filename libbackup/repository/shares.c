/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/shares.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/repository_own.h"

#define HEX "0123456789abcdef"
#define DIGITS "0123456789"
#define SESSION 32 /* digits */
#define NUMBER 16  /* digits of what makes the name of a result its own */

/* ---- names ---- */

/* "3-8.0123456789abcdef" */
static bool
is_result(const char *name)
{
	size_t len = strspn(name, DIGITS);

	if (len == 0 || len > 4 || name[len] != '-')
		return false;
	name += len + 1;
	len = strspn(name, DIGITS);
	return len > 0 && len <= 4 && name[len] == '.' &&
	       fmt_is_hex(name + len + 1, NUMBER);
}

/* What comes behind the session; NULL where that is no such object. */
static const char *
rest_of(const char *path)
{
	size_t len = strlen(BKP_SHARES);

	if (strncmp(path, BKP_SHARES, len) != 0 ||
	    strspn(path + len, HEX) != SESSION || path[len + SESSION] != '.')
		return NULL;
	return path + len + SESSION + 1;
}

bool
bkp_shares_is_object(const char *path)
{
	const char *rest = rest_of(path);

	return rest != NULL &&
	       (strcmp(rest, "plan") == 0 || strcmp(rest, "finish") == 0 ||
		   strcmp(rest, "end") == 0 || is_result(rest));
}

bool
bkp_shares_is_of(const char *path, unsigned share, unsigned shares)
{
	const char *rest = rest_of(path);
	unsigned a, b;

	return rest != NULL && is_result(rest) &&
	       sscanf(rest, "%u-%u", &a, &b) == 2 && a == share && b == shares;
}

/* ---- writing ---- */

static int
seal(struct bkp_repository *repository, const char *session, const char *what,
    const struct fmt_buf *text, struct bkp_error *err)
{
	struct fmt_buf sealed = FMT_BUF_INIT;
	char path[BKP_SHARE_PATH];
	enum fmt_status status;
	int rc;

	(void)snprintf(path, sizeof(path), BKP_SHARES "%s.%s", session, what);
	status = fmt_age_seal(&repository->keys.metadata_recipient, 1,
	    text->data, text->len, &sealed);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "encrypting %s", path);
	else
		rc = bkp_store_put(
		    repository->store, path, sealed.data, sealed.len, err);
	fmt_buf_free(&sealed);
	return rc;
}

static int
check_signing(const struct bkp_repository *repository, struct bkp_error *err)
{
	if (repository->keys.has_signing)
		return 0;
	return bkp_repository_refuse_unsigned(repository,
	    "to take part in a shared backup, the key file of this host is "
	    "needed",
	    err);
}

static int
put_plan(struct bkp_repository *repository, struct fmt_share_plan *plan,
    struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	if (check_signing(repository, err) < 0)
		return -1;
	memcpy(
	    plan->repository, repository->config.id, sizeof(plan->repository));
	(void)snprintf(
	    plan->host, sizeof(plan->host), "%s", repository->keys.writer);
	plan->time_us = bkp_now_us();
	status =
	    fmt_share_plan_encode(plan, repository->keys.signing_seed, &text);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "writing the plan");
	else
		rc = seal(repository, plan->session, "plan", &text, err);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_shares_put_result(struct bkp_repository *repository,
    struct fmt_share_result *result, struct bkp_error *err)
{
	unsigned char number[NUMBER / 2];
	struct fmt_buf text = FMT_BUF_INIT;
	char hex[NUMBER + 1], what[64];
	enum fmt_status status;
	int rc;

	if (check_signing(repository, err) < 0)
		return -1;
	memcpy(result->repository, repository->config.id,
	    sizeof(result->repository));
	(void)snprintf(
	    result->host, sizeof(result->host), "%s", repository->keys.writer);
	status = fmt_random(number, sizeof(number));
	if (status == FMT_OK)
		status = fmt_share_result_encode(
		    result, repository->keys.signing_seed, &text);
	if (status != FMT_OK) {
		rc = bkp_fail_format(err, status, "writing the result");
	} else {
		fmt_hex(number, sizeof(number), hex);
		(void)snprintf(what, sizeof(what), "%u-%u.%s", result->share,
		    result->shares, hex);
		rc = seal(repository, result->session, what, &text, err);
	}
	fmt_buf_free(&text);
	return rc;
}

int
bkp_shares_put_note(struct bkp_repository *repository, const char *session,
    const char *what, const char *text, struct bkp_error *err)
{
	struct fmt_share_note note = FMT_SHARE_NOTE_INIT;
	struct fmt_buf encoded = FMT_BUF_INIT;
	enum fmt_status status;
	int rc = -1;

	if (check_signing(repository, err) < 0 ||
	    (note.text = bkp_strdup(text, err)) == NULL)
		return -1;
	memcpy(note.repository, repository->config.id, sizeof(note.repository));
	(void)snprintf(note.session, sizeof(note.session), "%s", session);
	(void)snprintf(note.what, sizeof(note.what), "%s", what);
	status = fmt_share_note_encode(
	    &note, repository->keys.signing_seed, &encoded);
	if (status != FMT_OK)
		(void)bkp_fail_format(err, status, "writing a note");
	else
		rc = seal(repository, session,
		    strcmp(what, "finish") == 0 ? "finish" : "end", &encoded,
		    err);
	fmt_share_note_free(&note);
	fmt_buf_free(&encoded);
	return rc;
}

/* ---- reading ---- */

static int
unseal(struct bkp_repository *repository, const char *path,
    struct fmt_buf *text, struct bkp_error *err)
{
	struct fmt_buf sealed = FMT_BUF_INIT;
	enum fmt_status status;
	int rc = bkp_store_get(
	    repository->store, path, 0, BKP_STORE_WHOLE, &sealed, err);

	if (rc == 0) {
		status = fmt_age_open(repository->keys.metadata,
		    repository->keys.count, sealed.data, sealed.len, text);
		if (status != FMT_OK)
			rc =
			    bkp_fail_format(err, status, "decrypting %s", path);
	}
	fmt_buf_free(&sealed);
	return rc;
}

/* Whether it is of this repository and run, and of somebody who may write. */
static int
check_origin(const struct bkp_repository *repository, const char *path,
    const char *id, const char *session, const unsigned char signer[32],
    struct bkp_error *err)
{
	const char *named = path + strlen(BKP_SHARES);

	if (strcmp(id, repository->config.id) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "%s: it was made for repository %s, this is %s", path, id,
		    repository->config.id);
	if (strncmp(session, named, SESSION) != 0)
		return bkp_fail(err, BKP_AUTH,
		    "%s: it was made for another run (%s)", path, session);
	if (!bkp_roster_may_write(&repository->roster, signer)) {
		(void)bkp_roster_refuse(&repository->roster, signer, err);
		return bkp_fail_in(err, "%s", path);
	}
	return 0;
}

static int
get_plan(struct bkp_repository *repository, const char *path,
    struct fmt_share_plan *out, struct bkp_error *err)
{
	struct fmt_buf text = FMT_BUF_INIT;
	struct fmt_share_plan plan = FMT_SHARE_PLAN_INIT;
	enum fmt_status status;
	int rc = unseal(repository, path, &text, err);

	if (rc == 0) {
		status = fmt_share_plan_decode(text.data, text.len, &plan);
		rc = status == FMT_OK
			 ? check_origin(repository, path, plan.repository,
			       plan.session, plan.signer, err)
			 : bkp_fail_format(err, status, "reading %s", path);
	}
	if (rc == 0)
		*out = plan;
	else
		fmt_share_plan_free(&plan);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_shares_get_result(struct bkp_repository *repository, const char *path,
    const char *session, struct fmt_share_result *out, struct bkp_error *err)
{
	struct fmt_share_result result = FMT_SHARE_RESULT_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	enum fmt_status status;
	int rc = unseal(repository, path, &text, err);

	if (rc == 0) {
		status = fmt_share_result_decode(text.data, text.len, &result);
		rc = status == FMT_OK
			 ? check_origin(repository, path, result.repository,
			       result.session, result.signer, err)
			 : bkp_fail_format(err, status, "reading %s", path);
	}
	if (rc == 0 && strcmp(result.session, session) != 0)
		rc = bkp_fail(
		    err, BKP_AUTH, "%s: it was made for another run", path);
	if (rc == 0)
		*out = result;
	else
		fmt_share_result_free(&result);
	fmt_buf_free(&text);
	return rc;
}

int
bkp_shares_get_end(struct bkp_repository *repository, const char *session,
    struct fmt_share_note *out, struct bkp_error *err)
{
	struct fmt_share_note note = FMT_SHARE_NOTE_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	char path[BKP_SHARE_PATH];
	enum fmt_status status;
	int rc;

	(void)snprintf(path, sizeof(path), BKP_SHARES "%s.end", session);
	rc = unseal(repository, path, &text, err);
	if (rc == 0) {
		status = fmt_share_note_decode(text.data, text.len, &note);
		rc = status == FMT_OK
			 ? check_origin(repository, path, note.repository,
			       note.session, note.signer, err)
			 : bkp_fail_format(err, status, "reading %s", path);
	}
	if (rc == 0)
		*out = note;
	else
		fmt_share_note_free(&note);
	fmt_buf_free(&text);
	return rc;
}

/* ---- looking ---- */

struct paths {
	char (*items)[BKP_SHARE_PATH]; /* owned */
	size_t count, cap;
};

static int
note_path(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct paths *paths = arg;

	if (!bkp_shares_is_object(object->name))
		return 0;
	if (bkp_grow(&paths->items, paths->count, &paths->cap,
		sizeof(*paths->items), err) < 0)
		return -1;
	(void)snprintf(
	    paths->items[paths->count++], BKP_SHARE_PATH, "%s", object->name);
	return 0;
}

/* Of one session ("": of all). */
static int
list_paths(struct bkp_repository *repository, const char *session,
    struct paths *out, struct bkp_error *err)
{
	char prefix[BKP_SHARE_PATH];

	(void)snprintf(prefix, sizeof(prefix), BKP_SHARES "%s", session);
	if (bkp_store_list(repository->store, prefix, note_path, out, err) == 0)
		return 0;
	free(out->items);
	*out = (struct paths){.items = NULL};
	return -1;
}

/* What is no plan for us is none: it may go any moment, be somebody's who has
 * no say, or of a newer version, which must not stop every run. */
static bool
is_none(const struct bkp_error *problem)
{
	return problem->code == BKP_NOTFOUND || problem->code == BKP_AUTH ||
	       problem->code == BKP_CORRUPT || problem->code == BKP_UNSUPPORTED;
}

struct leaders {
	struct paths paths;                 /* items owned: of all runs */
	struct bkp_presence_info *sessions; /* owned */
	size_t count;
	int64_t now_us;
	bool is_heard;
};

/* Somebody who was killed elsewhere seems to be there for a while yet. */
static bool
is_led(const struct leaders *leaders, const char *session)
{
	char end[BKP_SHARE_PATH];

	(void)snprintf(end, sizeof(end), BKP_SHARES "%s.end", session);
	for (size_t i = 0; i < leaders->paths.count; i++)
		if (strcmp(leaders->paths.items[i], end) == 0)
			return false;
	for (size_t i = 0; i < leaders->count; i++) {
		const struct bkp_presence_info *info = &leaders->sessions[i];

		if (strcmp(info->id, session) == 0)
			return !info->is_ended && !info->is_given_up &&
			       !info->is_gone && !info->is_expired &&
			       (!leaders->is_heard ||
				   bkp_presence_is_at_work(
				       info, leaders->now_us));
	}
	return false;
}

/* A leader's session was there before his plan: the plans are listed first. */
static int
find_leaders(struct bkp_repository *repository, struct leaders *leaders,
    struct bkp_error *err)
{
	bool is_any = false;

	if (list_paths(repository, "", &leaders->paths, err) < 0)
		return -1;
	for (size_t i = 0; i < leaders->paths.count; i++)
		if (strcmp(rest_of(leaders->paths.items[i]), "plan") == 0)
			is_any = true;
	if (!is_any)
		return 0;
	return bkp_presence_list(repository, NULL, &leaders->sessions,
	    &leaders->count, &leaders->now_us, err);
}

/* *is_there: it is one of this run. */
static int
try_plan(struct bkp_repository *repository, const char *path, const char *run,
    struct fmt_share_plan *out, bool *is_there, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	*is_there = false;
	if (get_plan(repository, path, out, &problem) < 0) {
		if (is_none(&problem))
			return 0;
		if (err != NULL)
			*err = problem;
		return -1;
	}
	*is_there = strcmp(out->run, run) == 0;
	if (!*is_there)
		fmt_share_plan_free(out);
	return 0;
}

int
bkp_shares_find_plan(struct bkp_repository *repository, const char *run,
    bool is_heard, struct fmt_share_plan *out, bool *is_there,
    struct bkp_error *err)
{
	struct fmt_share_plan newest = FMT_SHARE_PLAN_INIT;
	struct leaders leaders = {.is_heard = is_heard};
	int rc = find_leaders(repository, &leaders, err);

	*is_there = false;
	for (size_t i = 0; rc == 0 && i < leaders.paths.count; i++) {
		struct fmt_share_plan plan = FMT_SHARE_PLAN_INIT;
		const char *path = leaders.paths.items[i];
		bool is_of_run;

		if (strcmp(rest_of(path), "plan") != 0)
			continue;
		rc = try_plan(repository, path, run, &plan, &is_of_run, err);
		if (rc < 0 || !is_of_run)
			continue;
		if (is_led(&leaders, plan.session) &&
		    (!*is_there || plan.time_us >= newest.time_us)) {
			fmt_share_plan_free(&newest);
			newest = plan;
			*is_there = true;
		} else {
			fmt_share_plan_free(&plan);
		}
	}
	free(leaders.paths.items);
	free(leaders.sessions);
	if (rc == 0 && *is_there)
		*out = newest;
	else
		fmt_share_plan_free(&newest);
	return rc;
}

static int
remove_others(struct bkp_repository *repository,
    const struct fmt_share_plan *plan, struct bkp_error *err)
{
	struct paths paths = {.items = NULL};
	int rc = 0;

	if (list_paths(repository, "", &paths, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < paths.count; i++) {
		struct fmt_share_plan other = FMT_SHARE_PLAN_INIT;
		struct bkp_error problem = BKP_ERROR_INIT;

		if (strcmp(rest_of(paths.items[i]), "plan") != 0 ||
		    get_plan(repository, paths.items[i], &other, &problem) < 0)
			continue;
		/* Where nothing can be removed the newer one counts. */
		if (strcmp(other.run, plan->run) == 0 &&
		    strcmp(other.session, plan->session) != 0)
			(void)bkp_shares_remove(
			    repository, other.session, false, NULL);
		fmt_share_plan_free(&other);
	}
	free(paths.items);
	return rc;
}

int
bkp_shares_replace_plan(struct bkp_repository *repository,
    struct fmt_share_plan *plan, struct bkp_error *err)
{
	if (put_plan(repository, plan, err) < 0)
		return -1;
	return remove_others(repository, plan, err);
}

void
bkp_shares_listing_free(struct bkp_shares_listing *listing)
{
	free(listing->results);
	*listing = (struct bkp_shares_listing)BKP_SHARES_LISTING_INIT;
}

int
bkp_shares_list(struct bkp_repository *repository, const char *session,
    struct bkp_shares_listing *out, struct bkp_error *err)
{
	struct bkp_shares_listing listing = BKP_SHARES_LISTING_INIT;
	struct paths paths = {.items = NULL};
	int rc = 0;

	if (list_paths(repository, session, &paths, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < paths.count; i++) {
		const char *rest = rest_of(paths.items[i]);

		if (strcmp(rest, "plan") == 0) {
			listing.has_plan = true;
		} else if (strcmp(rest, "finish") == 0) {
			listing.has_finish = true;
		} else if (strcmp(rest, "end") == 0) {
			listing.has_end = true;
		} else {
			rc = bkp_grow(&listing.results, listing.count,
			    &listing.cap, sizeof(*listing.results), err);
			if (rc == 0)
				memcpy(listing.results[listing.count++],
				    paths.items[i], BKP_SHARE_PATH);
		}
	}
	free(paths.items);
	if (rc == 0)
		*out = listing;
	else
		bkp_shares_listing_free(&listing);
	return rc;
}

/* ---- the end ---- */

static int
remove_path(
    struct bkp_repository *repository, const char *path, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_store_remove(repository->store, path, &problem) == 0 ||
	    problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_shares_remove(struct bkp_repository *repository, const char *session,
    bool keeps_end, struct bkp_error *err)
{
	struct paths paths = {.items = NULL};
	int rc = 0;

	if (list_paths(repository, session, &paths, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < paths.count; i++) {
		if (keeps_end && strcmp(rest_of(paths.items[i]), "end") == 0)
			continue;
		rc = remove_path(repository, paths.items[i], err);
	}
	free(paths.items);
	return rc;
}

static bool
is_among(
    const struct bkp_presence_info *sessions, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (!sessions[i].is_ended &&
		    strncmp(sessions[i].id, path + strlen(BKP_SHARES),
			SESSION) == 0)
			return true;
	return false;
}

/* A leader's session was there before anything of his run: what is listed
 * first and is of no session that is listed then is of one that is over. */
int
bkp_shares_clear(struct bkp_repository *repository, struct bkp_presence *self,
    struct bkp_error *err)
{
	struct bkp_presence_info *sessions = NULL;
	struct paths paths = {.items = NULL};
	size_t count = 0;
	int64_t now_us;
	int rc = 0;

	if (list_paths(repository, "", &paths, err) < 0)
		return -1;
	if (paths.count > 0)
		rc = bkp_presence_list(
		    repository, self, &sessions, &count, &now_us, err);
	for (size_t i = 0; rc == 0 && i < paths.count; i++)
		if (!is_among(sessions, count, paths.items[i]))
			rc = remove_path(repository, paths.items[i], err);
	free(sessions);
	free(paths.items);
	return rc;
}
