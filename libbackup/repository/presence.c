/* SPDX-License-Identifier: Apache-2.0 */
/* This process among those that are at work on a repository. */
#include "libbackup/repository/presence.h"

#include <errno.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formats/presence.h"
#include "formats/record.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/condemned.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/process.h"
#include "libbackup/repository/repository_own.h"

#define RETRY_S 60 /* after a sign of life that the store did not take */

struct bkp_presence {
	struct bkp_repository *repository;
	char path[48], gone_path[48];
	pthread_mutex_t lock; /* of what follows */
	struct fmt_presence record;
	int64_t next_touch_s; /* by the clock that nobody sets */
	bool is_left;
};

/* Leases run out while this machine sleeps, too. */
static int64_t
steady_s(void)
{
	struct timespec now = {0, 0};

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec;
}

static void
paths_of(const char *id, char path[48], char gone_path[48])
{
	(void)snprintf(path, 48, "sessions/%s", id);
	(void)snprintf(gone_path, 48, "sessions/%s.gone", id);
}

/* Stores the record as it is now. */
static int
put_record(struct bkp_presence *presence, struct bkp_error *err)
{
	const struct bkp_repository *repository = presence->repository;
	struct fmt_buf text = FMT_BUF_INIT, sealed = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	status = fmt_presence_encode(
	    &presence->record, repository->keys.signing_seed, &text);
	if (status == FMT_OK)
		status = fmt_age_seal(&repository->keys.metadata_recipient, 1,
		    text.data, text.len, &sealed);
	if (status != FMT_OK)
		rc = bkp_fail_format(err, status, "announcing this session");
	else
		rc = bkp_store_put(repository->store, presence->path,
		    sealed.data, sealed.len, err);
	fmt_buf_free(&text);
	fmt_buf_free(&sealed);
	return rc;
}

/* ---- beginning ---- */

static int
fill_record(
    struct bkp_presence *presence, const char *what, struct bkp_error *err)
{
	const struct bkp_repository *repository = presence->repository;
	struct fmt_presence *record = &presence->record;
	unsigned char id[16];

	if (!repository->keys.has_signing)
		return bkp_repository_refuse_unsigned(repository,
		    "to change the repository, the key file of this host is "
		    "needed",
		    err);
	if (RAND_bytes(id, sizeof(id)) != 1)
		return bkp_fail(err, BKP_IO, "making a random number failed");
	fmt_hex(id, sizeof(id), record->session);
	memcpy(record->repository, repository->config.id,
	    sizeof(record->repository));
	(void)snprintf(record->what, sizeof(record->what), "%s", what);
	(void)snprintf(
	    record->host, sizeof(record->host), "%s", repository->keys.writer);
	if (bkp_process_self(repository->config.id, &record->process, err) < 0)
		return -1;
	paths_of(record->session, presence->path, presence->gone_path);
	return 0;
}

static int
given_up(const struct bkp_presence *presence, struct bkp_error *err)
{
	return bkp_fail(err, BKP_RETRY,
	    "%s: this session (%.8s) has been given up, as it had not been "
	    "heard of for a day or its process was not found; what it stored "
	    "may be deleted: run it again",
	    presence->repository->store->location, presence->record.session);
}

/* When the record was stored, by the server's clock. */
static int
ask_time(struct bkp_presence *presence, int64_t *time_us, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_store_object object;

	if (bkp_store_stat(presence->repository->store, presence->path, &object,
		&problem) == 0) {
		*time_us = object.modified_us;
		return 0;
	}
	if (problem.code == BKP_NOTFOUND)
		return given_up(presence, err);
	if (err != NULL)
		*err = problem;
	return -1;
}

/* Stores the first record and learns when that was. */
static int
announce(struct bkp_presence *presence, struct bkp_error *err)
{
	if (put_record(presence, err) < 0 ||
	    ask_time(presence, &presence->record.began_us, err) < 0)
		return bkp_fail_in(err, "announcing this session");
	presence->next_touch_s = steady_s() + BKP_PRESENCE_TOUCH_S;
	return 0;
}

int
bkp_presence_begin(struct bkp_repository *repository, const char *what,
    struct bkp_presence **out, struct bkp_error *err)
{
	struct bkp_presence *presence = bkp_alloc(sizeof(*presence), err);

	if (presence == NULL)
		return -1;
	presence->repository = repository;
	pthread_mutex_init(&presence->lock, NULL);
	if (fill_record(presence, what, err) < 0) {
		bkp_presence_leave(presence);
		bkp_presence_end(presence);
		return -1;
	}
	if (announce(presence, err) < 0) {
		bkp_presence_end(presence);
		return -1;
	}
	*out = presence;
	return 0;
}

const char *
bkp_presence_id(const struct bkp_presence *presence)
{
	return presence->record.session;
}

int64_t
bkp_presence_began_us(const struct bkp_presence *presence)
{
	return presence->record.began_us;
}

int
bkp_presence_heed(struct bkp_presence *presence,
    const struct bkp_condemned *condemned, struct bkp_error *err)
{
	struct fmt_presence *record = &presence->record;
	int rc = 0;

	if (condemned->count == 0)
		return 0;
	pthread_mutex_lock(&presence->lock);
	free(record->heeds);
	record->heed_count = 0;
	record->heeds =
	    bkp_alloc_array(condemned->count, sizeof(*record->heeds), err);
	if (record->heeds == NULL)
		rc = -1;
	for (size_t i = 0; rc == 0 && i < condemned->count; i++)
		memcpy(record->heeds[record->heed_count++],
		    condemned->lists[i].name, sizeof(*record->heeds));
	if (rc == 0)
		rc = put_record(presence, err);
	pthread_mutex_unlock(&presence->lock);
	return rc;
}

/* ---- signs of life ---- */

static int
is_there(struct bkp_presence *presence, const char *path, bool *answer,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	struct bkp_store_object object;

	*answer = bkp_store_stat(presence->repository->store, path, &object,
		      &problem) == 0;
	if (*answer || problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return bkp_fail_in(err, "looking whether this session still counts");
}

/* What a prune did to our objects. */
static int
check_objects(struct bkp_presence *presence, struct bkp_error *err)
{
	bool has_mark, has_object;

	if (is_there(presence, presence->gone_path, &has_mark, err) < 0 ||
	    is_there(presence, presence->path, &has_object, err) < 0)
		return -1;
	return has_mark || !has_object ? given_up(presence, err) : 0;
}

/* The mark first: it goes only after the checkpoint is there that says the
 * same, so one of the two is seen. */
int
bkp_presence_check(struct bkp_presence *presence, struct bkp_error *err)
{
	struct bkp_checkpoint checkpoint = {.sequence = 0};
	bool is_expired;

	if (check_objects(presence, err) < 0)
		return -1;
	if (bkp_checkpoint_load(presence->repository, &checkpoint, err) < 0)
		return bkp_fail_in(
		    err, "looking whether this session still counts");
	is_expired =
	    bkp_checkpoint_has_expired(&checkpoint, presence->record.session);
	bkp_checkpoint_free(&checkpoint);
	return is_expired ? given_up(presence, err) : 0;
}

/* Looks first: to store the object again after it was taken away would keep
 * prunes waiting for a session that does not count. */
static int
touch_now(struct bkp_presence *presence, struct bkp_error *err)
{
	int rc = check_objects(presence, err);

	if (rc == 0)
		rc = put_record(presence, err);
	presence->next_touch_s =
	    steady_s() + (rc == 0 ? BKP_PRESENCE_TOUCH_S : RETRY_S);
	return rc;
}

int
bkp_presence_touch(struct bkp_presence *presence, struct bkp_error *err)
{
	int rc = 0;

	pthread_mutex_lock(&presence->lock);
	if (steady_s() >= presence->next_touch_s)
		rc = touch_now(presence, err);
	pthread_mutex_unlock(&presence->lock);
	return rc;
}

/* ---- the end ---- */

void
bkp_presence_leave(struct bkp_presence *presence)
{
	presence->is_left = true;
}

void
bkp_presence_end(struct bkp_presence *presence)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (presence == NULL)
		return;
	/* Where objects cannot be removed, the last one says that it is
	 * over; where that fails, too, the lease runs out. */
	if (!presence->is_left &&
	    bkp_store_remove(
		presence->repository->store, presence->path, &problem) < 0 &&
	    problem.code != BKP_NOTFOUND) {
		presence->record.is_ended = true;
		(void)put_record(presence, NULL);
	}
	fmt_presence_free(&presence->record);
	pthread_mutex_destroy(&presence->lock);
	free(presence);
}

/* ---- others ---- */

struct others {
	struct bkp_presence_info *items; /* owned; heeds are unset */
	struct fmt_presence *records;    /* owned, one an item */
	size_t count, cap, record_cap;
	const char *self;
	size_t heed_count;
};

static struct bkp_presence_info *
find_other(struct others *others, const char *id)
{
	for (size_t i = 0; i < others->count; i++)
		if (strcmp(others->items[i].id, id) == 0)
			return &others->items[i];
	return NULL;
}

static int
note_other(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	const char *name = object->name + strlen("sessions/");
	size_t digits = strspn(name, "0123456789abcdef");
	bool is_mark = strcmp(name + digits, ".gone") == 0;
	struct others *others = arg;
	struct bkp_presence_info *info;
	char id[33];

	if (digits != 32 || (name[digits] != '\0' && !is_mark))
		return 0;
	(void)snprintf(id, sizeof(id), "%.32s", name);
	if (others->self != NULL && strcmp(id, others->self) == 0)
		return 0;
	if ((info = find_other(others, id)) == NULL) {
		if (bkp_grow(&others->items, others->count, &others->cap,
			sizeof(*others->items), err) < 0 ||
		    bkp_grow(&others->records, others->count,
			&others->record_cap, sizeof(*others->records), err) < 0)
			return -1;
		info = &others->items[others->count];
		others->records[others->count++] =
		    (struct fmt_presence)FMT_PRESENCE_INIT;
		*info = (struct bkp_presence_info){.is_ended = false};
		memcpy(info->id, id, sizeof(id));
	}
	if (is_mark)
		info->is_given_up = true;
	else
		info->began_us = info->touched_us = object->modified_us;
	return 0;
}

/* Whether it is the record of a version that is not known here, by somebody who
 * may announce himself. */
static bool
is_of_newer(const struct bkp_repository *repository, const struct fmt_buf *text)
{
	struct fmt_record record = FMT_RECORD_INIT;
	bool is_believed =
	    fmt_record_decode(text->data, text->len, FMT_PRESENCE_CONTEXT,
		&record) == FMT_OK &&
	    bkp_roster_may_write(&repository->roster, record.signer);

	fmt_record_free(&record);
	return is_believed;
}

/* One that cannot be read stands for somebody of whom nothing is known. */
static int
read_other(struct bkp_repository *repository, struct bkp_presence_info *info,
    struct fmt_presence *record, bool *is_gone, struct bkp_error *err)
{
	struct fmt_buf stored = FMT_BUF_INIT, text = FMT_BUF_INIT;
	struct bkp_error problem = BKP_ERROR_INIT;
	char path[48], gone_path[48];
	enum fmt_status status;
	int rc = 0;

	*is_gone = false;
	paths_of(info->id, path, gone_path);
	if (bkp_store_get(repository->store, path, 0, BKP_STORE_WHOLE, &stored,
		&problem) < 0) {
		*is_gone = problem.code == BKP_NOTFOUND && !info->is_given_up;
		/* A sector that cannot be read must not stop everybody. */
		if (problem.code != BKP_NOTFOUND && problem.sys != EIO) {
			if (err != NULL)
				*err = problem;
			rc = -1;
		}
		goto out;
	}
	if (fmt_age_open(repository->keys.metadata, repository->keys.count,
		stored.data, stored.len, &text) != FMT_OK)
		goto out;
	status = fmt_presence_decode(text.data, text.len, record);
	info->is_newer =
	    status == FMT_UNSUPPORTED && is_of_newer(repository, &text);
	if (status != FMT_OK)
		goto out;
	if (strcmp(record->session, info->id) != 0 ||
	    strcmp(record->repository, repository->config.id) != 0 ||
	    !bkp_roster_may_write(&repository->roster, record->signer)) {
		fmt_presence_free(record);
		goto out;
	}
	memcpy(info->what, record->what, sizeof(info->what));
	memcpy(info->host, record->host, sizeof(info->host));
	if (record->began_us > 0)
		info->began_us = record->began_us;
	info->is_ended = record->is_ended;
out:
	fmt_buf_free(&stored);
	fmt_buf_free(&text);
	return rc;
}

static int
read_others(struct bkp_repository *repository, struct others *others,
    struct bkp_error *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < others->count; i++) {
		bool is_gone;

		if (read_other(repository, &others->items[i],
			&others->records[i], &is_gone, err) < 0)
			return -1;
		if (is_gone) /* ended a moment ago */
			continue;
		others->heed_count += others->records[i].heed_count;
		if (kept != i) {
			others->items[kept] = others->items[i];
			others->records[kept] = others->records[i];
			others->records[i] =
			    (struct fmt_presence)FMT_PRESENCE_INIT;
		}
		kept++;
	}
	others->count = kept;
	return 0;
}

/* One block: the sessions, then the names that they heed. */
static struct bkp_presence_info *
assemble(const struct others *others, struct bkp_error *err)
{
	size_t head = others->count * sizeof(struct bkp_presence_info);
	struct bkp_presence_info *items =
	    bkp_alloc(head + others->heed_count * BKP_OBJECT_NAME + 1, err);
	char(*names)[BKP_OBJECT_NAME];

	if (items == NULL)
		return NULL;
	names = (char(*)[BKP_OBJECT_NAME])((char *)items + head);
	for (size_t i = 0; i < others->count; i++) {
		const struct fmt_presence *record = &others->records[i];

		items[i] = others->items[i];
		items[i].heeds = (const char(*)[BKP_OBJECT_NAME])names;
		items[i].heed_count = record->heed_count;
		if (record->heed_count > 0)
			memcpy(names, record->heeds,
			    record->heed_count * sizeof(*names));
		names += record->heed_count;
	}
	return items;
}

/* The server's clock: the time of what is stored now. */
static int
ask_clock(struct bkp_presence *self, int64_t *now_us, struct bkp_error *err)
{
	int rc;

	if (self == NULL) {
		*now_us = bkp_now_us();
		return 0;
	}
	pthread_mutex_lock(&self->lock);
	rc = touch_now(self, err);
	if (rc == 0)
		rc = ask_time(self, now_us, err);
	pthread_mutex_unlock(&self->lock);
	return rc;
}

int
bkp_presence_list(struct bkp_repository *repository, struct bkp_presence *self,
    struct bkp_presence_info **out, size_t *count, int64_t *now_us,
    struct bkp_error *err)
{
	struct others others = {
	    .self = self != NULL ? self->record.session : NULL};
	const int64_t lease_us = (int64_t)BKP_PRESENCE_LEASE_S * 1000000;
	struct bkp_presence_info *items = NULL;
	struct fmt_process process;
	int64_t now;

	if (bkp_process_self(repository->config.id, &process, err) == 0 &&
	    ask_clock(self, &now, err) == 0 &&
	    bkp_store_list(repository->store, "sessions/", note_other, &others,
		err) == 0 &&
	    read_others(repository, &others, err) == 0)
		items = assemble(&others, err);
	for (size_t i = 0; i < others.count; i++) {
		if (items != NULL) {
			items[i].is_gone = bkp_process_is_gone(
			    &process, &others.records[i].process);
			items[i].is_expired =
			    items[i].is_gone ||
			    now - items[i].touched_us >= lease_us;
		}
		fmt_presence_free(&others.records[i]);
	}
	free(others.items);
	free(others.records);
	if (items == NULL)
		return -1;
	*out = items;
	*count = others.count;
	*now_us = now;
	return 0;
}

bool
bkp_presence_is_at_work(const struct bkp_presence_info *info, int64_t now_us)
{
	return !info->is_expired && !info->is_given_up && !info->is_ended &&
	       now_us - info->touched_us <
		   INT64_C(1000000) * BKP_PRESENCE_SILENCE_S;
}

/* Whole minutes, at least none. */
static long long
minutes(int64_t us)
{
	return us > 0 ? (long long)(us / 60000000) : 0;
}

int
bkp_presence_refuse(const struct bkp_presence_info *info, int64_t now_us,
    const char *location, struct bkp_error *err)
{
	int64_t silent_us = now_us - info->touched_us;

	if (silent_us < 0)
		return bkp_fail(err, BKP_RETRY,
		    "%s: sessions/%s: its time is yet to come, as after a "
		    "clock that was wrong; where nobody is at work, remove it, "
		    "then run this again",
		    location, info->id);
	if (info->what[0] == '\0')
		return bkp_fail(err, BKP_RETRY,
		    "%s: sessions/%s cannot be read, and might be of somebody "
		    "who is at work; run this again in %lld minutes, or remove "
		    "it where nobody is",
		    location, info->id,
		    minutes(
			INT64_C(1000000) * BKP_PRESENCE_SILENCE_S - silent_us) +
			1);
	return bkp_fail(err, BKP_RETRY,
	    "%s: a %s of host %s is at work (sessions/%s) since %lld minutes, "
	    "and gave a sign of life %lld minutes ago; run this again when it "
	    "has ended; if it died, it is in the way for %lld more minutes",
	    location, info->what, info->host, info->id,
	    minutes(now_us - info->began_us), minutes(silent_us),
	    minutes(INT64_C(1000000) * BKP_PRESENCE_SILENCE_S - silent_us) + 1);
}

bool
bkp_presence_heeds(const struct bkp_presence_info *info, const char *list)
{
	for (size_t i = 0; i < info->heed_count; i++)
		if (strcmp(info->heeds[i], list) == 0)
			return true;
	return false;
}

/* ---- giving up ---- */

int
bkp_presence_give_up(
    struct bkp_repository *repository, const char *id, struct bkp_error *err)
{
	static const char text[] = "given up\n";
	char path[48], gone_path[48];

	paths_of(id, path, gone_path);
	return bkp_store_put(
	    repository->store, gone_path, text, sizeof(text) - 1, err);
}

static int
remove_if_there(
    struct bkp_store *store, const char *path, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (bkp_store_remove(store, path, &problem) == 0 ||
	    problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

/* The mark last: while there is an object, somebody must see why it does not
 * count. */
int
bkp_presence_forget(
    struct bkp_repository *repository, const char *id, struct bkp_error *err)
{
	char path[48], gone_path[48];

	paths_of(id, path, gone_path);
	if (remove_if_there(repository->store, path, err) < 0)
		return -1;
	return remove_if_there(repository->store, gone_path, err);
}
