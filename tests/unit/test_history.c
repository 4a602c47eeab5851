/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots that are missing, damaged, forged, put back or out of order, with
 * the test as the one who has the store. What nobody touched gives no finding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/history.h"
#include "tests/unit/repository_fixture.h"

#define HOUR ((int64_t)3600 * 1000000)
#define DAY (24 * HOUR)

static char db1[] = "db1", db2[] = "db2";

/* ---- making snapshots of any kind ---- */

struct made {
	char name[65];
};

/* A host as the snapshots show it. */
struct maker {
	struct bkp_repository *repository; /* borrowed */
	uint64_t sequence;
	int64_t clock_us;
	char previous[65];
};

static void
seal(struct bkp_repository *repository, const struct fmt_snapshot *snapshot,
    const unsigned char seed[32], char name[65])
{
	struct fmt_buf text = FMT_BUF_INIT;

	assert_int_equal(fmt_snapshot_encode(snapshot, seed, &text), FMT_OK);
	assert_int_equal(bkp_object_seal(repository->store, "snapshots",
			     &repository->keys.metadata_recipient, 1, text.data,
			     text.len, name, NULL, NULL),
	    0);
	fmt_buf_free(&text);
}

/* An empty snapshot after those in `seen` (NULL ends them). */
static struct made
make_with(struct maker *maker, struct fmt_snapshot with, const char **seen)
{
	struct fmt_snapshot snapshot = with;
	char names[16][65];
	struct made made;

	memcpy(snapshot.repository, maker->repository->config.id, 33);
	snapshot.host = with.host != NULL ? with.host : db1;
	if (snapshot.sequence == 0)
		snapshot.sequence = maker->sequence + 1;
	if (snapshot.finished_us == 0)
		snapshot.finished_us = maker->clock_us += HOUR;
	snapshot.time_us = snapshot.finished_us;
	if (snapshot.previous[0] == '\0')
		memcpy(snapshot.previous, maker->previous, 65);
	for (snapshot.seen_count = 0; seen != NULL && *seen != NULL; seen++)
		memcpy(names[snapshot.seen_count++], *seen, 65);
	snapshot.seen = names;
	seal(maker->repository, &snapshot, maker->repository->keys.signing_seed,
	    made.name);
	maker->sequence = snapshot.sequence;
	memcpy(maker->previous, made.name, 65);
	return made;
}

static struct made
make(struct maker *maker)
{
	return make_with(maker, (struct fmt_snapshot)FMT_SNAPSHOT_INIT, NULL);
}

static struct maker
maker_of(struct bkp_repository *repository)
{
	return (struct maker){
	    .repository = repository, .clock_us = bkp_now_us()};
}

/* ---- looking ---- */

static struct bkp_history
look_at(struct bkp_repository *repository)
{
	struct bkp_history history = BKP_HISTORY_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_history_read(repository, &history, &err);
	assert_string_equal(err.message, "");
	return history;
}

static void
remember(struct bkp_repository *repository)
{
	struct bkp_history history = look_at(repository);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_history_remember(repository, &history, &err);
	assert_string_equal(err.message, "");
	bkp_history_free(&history);
}

/* "missing" for "snapshot-missing". */
static const char *
short_kind(enum bkp_history_kind kind)
{
	const char *name = bkp_history_kind_name(kind);

	return strncmp(name, "snapshot-", 9) == 0 ? name + 9 : name;
}

/* Exactly these findings, in any order: "missing <12 digits>". */
static void
expect_findings(struct bkp_repository *repository, const char *const *expected)
{
	struct bkp_history history = look_at(repository);
	size_t count = 0;

	for (; expected[count] != NULL; count++) {
		bool is_found = false;

		for (size_t i = 0; i < history.count; i++) {
			const struct bkp_history_finding *finding =
			    &history.findings[i];
			char text[128];

			(void)snprintf(text, sizeof(text), "%s %.12s",
			    short_kind(finding->kind), finding->name);
			is_found |= strcmp(text, expected[count]) == 0;
			/* What is to be brought back is named whole. */
			assert_non_null(strstr(finding->text, finding->name));
		}
		if (!is_found)
			fail_msg("not found: %s", expected[count]);
	}
	if (history.count != count)
		fail_msg("%zu findings, the first: %s", history.count,
		    history.findings[0].text);
	bkp_history_free(&history);
}

#define expect(repository, ...)                                                \
	expect_findings(repository, (const char *const[]){__VA_ARGS__, NULL})
#define expect_none(repository)                                                \
	expect_findings(repository, (const char *const[]){NULL})

/* "missing 0123456789ab", in one of a few buffers. */
static const char *
is(const char *what, struct made made)
{
	static char texts[8][64];
	static unsigned n;
	char *text = texts[n++ % 8];

	(void)snprintf(text, sizeof(texts[0]), "%s %.12s", what, made.name);
	return text;
}

static void
path_of(struct made made, char path[128])
{
	(void)snprintf(path, 128, "snapshots/%s", made.name);
}

static void delete (struct fixture *fixture, struct made made)
{
	char path[128];

	path_of(made, path);
	assert_int_equal(bkp_store_remove(fixture->memory, path, NULL), 0);
}

static struct fmt_buf
take(struct fixture *fixture, struct made made)
{
	struct fmt_buf bytes = FMT_BUF_INIT;
	char path[128];

	path_of(made, path);
	assert_int_equal(bkp_store_get(fixture->memory, path, 0,
			     BKP_STORE_WHOLE, &bytes, NULL),
	    0);
	return bytes;
}

static void
put_bytes(
    struct fixture *fixture, struct made made, const void *data, size_t len)
{
	char path[128];

	path_of(made, path);
	assert_int_equal(
	    bkp_store_put(fixture->memory, path, data, len, NULL), 0);
}

/* ---- what nobody touched ---- */

static void
what_nobody_touched_gives_no_finding(void **state)
{
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_repository *host = fixture_open_host(*state);
	struct bkp_repository *admin = fixture_open_admin(*state);
	struct bkp_history history;

	expect_none(host);
	for (int i = 0; i < 4; i++) {
		struct bkp_error err = BKP_ERROR_INIT;
		char name[65];

		(void)fixture_back_up(host, &file, 1, 4, name, &err);
		assert_string_equal(err.message, "");
		expect_none(host);
		remember(admin);
		expect_none(admin);
	}
	history = look_at(host);
	assert_int_equal(history.snapshots.count, 4);
	for (size_t i = 1; i < 4; i++) {
		const struct fmt_snapshot *snapshot =
		    &history.snapshots.items[i].snapshot;

		assert_int_equal(snapshot->seen_count, 1);
		assert_string_equal(
		    snapshot->seen[0], history.snapshots.items[i - 1].name);
		assert_string_equal(snapshot->previous, snapshot->seen[0]);
		assert_int_equal(snapshot->sequence, i + 1);
	}
	bkp_history_free(&history);
	bkp_repository_close(host);
	bkp_repository_close(admin);
}

/* Both came after the same one and neither after the other. */
static void
sessions_at_the_same_time_are_both_named_by_the_next(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	const struct fixture_file file = {"a", "hello", 5};
	struct maker a = maker_of(host), b;
	struct bkp_history history;
	char name[65];

	make(&a);
	b = a;
	make(&a);
	b.clock_us -= 5 * HOUR; /* a clock that is wrong */
	make(&b);
	expect_none(host);
	remember(host);
	assert_int_equal(fixture_back_up(host, &file, 1, 4, name, NULL), 0);
	expect_none(host);
	history = look_at(host);
	for (size_t i = 0; i < history.snapshots.count; i++)
		if (strcmp(history.snapshots.items[i].name, name) == 0)
			assert_int_equal(
			    history.snapshots.items[i].snapshot.seen_count, 2);
	bkp_history_free(&history);
	bkp_repository_close(host);
}

/* ---- deleting ---- */

static void
one_that_others_came_after_is_missed_by_anybody(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made oldest = make(&maker), middle = make(&maker);

	make(&maker);
	expect_none(host);
	delete (*state, middle);
	expect(host, is("missing", middle));
	delete (*state, oldest);
	/* Who named the oldest is missing as well. */
	expect(host, is("missing", middle));
	bkp_repository_close(host);
}

static void
the_newest_is_missed_by_who_saw_it(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made newest;

	make(&maker);
	newest = make(&maker);
	remember(host);
	delete (*state, newest);
	expect(host, is("rolled-back", newest));
	/* It is not forgotten by looking at what is left. */
	remember(host);
	expect(host, is("rolled-back", newest));
	/* Nor by what comes then. */
	maker.previous[0] = '\0';
	make(&maker);
	remember(host);
	expect(host, is("rolled-back", newest));
	fixture_forget(*state);
	expect_none(host);
	bkp_repository_close(host);
}

static void
all_of_them_are_missed_by_who_saw_the_newest(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made old = make(&maker), newest = make(&maker);

	remember(host);
	delete (*state, old);
	delete (*state, newest);
	expect(host, is("rolled-back", newest));
	bkp_repository_close(host);
}

static void
what_another_host_made_later_gives_the_deletion_away(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker a = maker_of(host), b = maker_of(host);
	struct made first = make(&a);

	make_with(&b, (struct fmt_snapshot){.host = db2},
	    (const char *[]){first.name, NULL});
	expect_none(host);
	delete (*state, first);
	expect(host, is("missing", first));
	bkp_repository_close(host);
}

/* ---- other bytes ---- */

static void
other_bytes_under_a_name_are_damage(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker), c = make(&maker);
	struct fmt_buf bytes_a = take(*state, a), bytes_b = take(*state, b);

	put_bytes(*state, a, bytes_b.data, bytes_b.len);
	expect(host, is("damaged", a));
	put_bytes(*state, b, bytes_a.data, bytes_a.len); /* swapped */
	expect(host, is("damaged", a), is("damaged", b));
	put_bytes(*state, a, bytes_a.data, bytes_a.len);
	put_bytes(*state, b, bytes_b.data, bytes_b.len - 1);
	expect(host, is("damaged", b));
	put_bytes(*state, b, "", 0);
	expect(host, is("damaged", b));
	put_bytes(*state, b, bytes_b.data, bytes_b.len);
	expect_none(host);
	remember(host);
	put_bytes(*state, c, bytes_a.data, bytes_a.len);
	expect(host, is("damaged", c));
	/* It is remembered until it is there again, or removed. */
	remember(host);
	delete (*state, c);
	expect(host, is("rolled-back", c));
	fmt_buf_free(&bytes_a);
	fmt_buf_free(&bytes_b);
	bkp_repository_close(host);
}

static void
what_nobody_who_may_has_signed_is_forged(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fmt_snapshot snapshot = {.host = db1, .sequence = 9};
	struct maker maker = maker_of(host);
	unsigned char stranger[32] = {4};
	struct made forged;

	make(&maker);
	memcpy(snapshot.repository, host->config.id, 33);
	seal(host, &snapshot, stranger, forged.name);
	expect(host, is("forged", forged));
	delete (*state, forged);
	/* As a copy out of another repository with the same keys would be. */
	memset(snapshot.repository, '0', 32);
	seal(host, &snapshot, host->keys.signing_seed, forged.name);
	expect(host, is("forged", forged));
	bkp_repository_close(host);
}

/* ---- checkpoints ---- */

static struct bkp_checkpoint
load(struct bkp_repository *repository)
{
	struct bkp_checkpoint checkpoint;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_checkpoint_load(repository, &checkpoint, &err);
	assert_string_equal(err.message, "");
	return checkpoint;
}

static void
put(struct bkp_repository *repository, struct bkp_checkpoint *checkpoint)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_checkpoint_put(repository, checkpoint, &err);
	assert_string_equal(err.message, "");
}

static void
keep(struct bkp_checkpoint *checkpoint, struct made made)
{
	assert_int_equal(bkp_checkpoint_keep(checkpoint, made.name, NULL), 0);
}

static void
strike(struct bkp_checkpoint *checkpoint, struct made made)
{
	assert_int_equal(bkp_checkpoint_remove(checkpoint, made.name, NULL), 0);
}

/* What a prune does: keeps all that count but one. */
static void
prune(struct bkp_repository *repository, struct made removed)
{
	struct bkp_history history = look_at(repository);

	for (size_t i = 0; i < history.snapshots.count; i++)
		assert_int_equal(bkp_checkpoint_keep(&history.checkpoint,
				     history.snapshots.items[i].name, NULL),
		    0);
	strike(&history.checkpoint, removed);
	put(repository, &history.checkpoint);
	bkp_history_free(&history);
}

static void
numbers_that_go_backwards_are_out_of_order(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made odd, nothing;

	memset(nothing.name, 'f', 64);
	nothing.name[64] = '\0';
	make(&maker);
	make(&maker);
	maker.sequence = 1;
	odd = make(&maker);
	expect(host, is("reordered", odd));
	/* Whoever has looked into it may accept it. */
	prune(host, nothing);
	expect_none(host);
	bkp_repository_close(host);
}

static size_t
count_objects(struct fixture *fixture, const char *prefix)
{
	char *names = fixture_names(fixture, prefix);
	size_t count = 0;

	for (const char *at = names; *at != '\0'; at++)
		count += *at == '\n';
	free(names);
	return count;
}

static void
what_a_prune_removed_is_not_missed(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker), c = make(&maker);
	struct fmt_buf bytes = take(*state, c);

	remember(host);
	prune(host, b);
	/* It counts no more, also before it is deleted. */
	expect(host, is("returned", b));
	delete (*state, b);
	expect_none(host);
	prune(host, c); /* which this machine remembers */
	delete (*state, c);
	expect_none(host);
	remember(host);
	put_bytes(*state, c, bytes.data, bytes.len);
	expect(host, is("returned", c));
	put_bytes(*state, c, bytes.data, bytes.len / 2);
	expect(host, is("returned", c));
	delete (*state, c);
	delete (*state, a); /* kept by the checkpoint, named by nobody */
	expect(host, is("missing", a));
	prune(host, a); /* the loss is accepted */
	expect_none(host);
	assert_int_equal(count_objects(*state, "checkpoints/"), 1);
	fmt_buf_free(&bytes);
	bkp_repository_close(host);
}

static void
what_a_session_that_was_given_up_made_is_void(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fmt_snapshot with = FMT_SNAPSHOT_INIT;
	struct maker maker = maker_of(host);
	struct bkp_checkpoint checkpoint = load(host);
	struct bkp_history history;
	struct made a = make(&maker), before, after;

	memset(with.session, 'a', 32);
	before = make_with(&maker, with, NULL);
	keep(&checkpoint, a);
	keep(&checkpoint, before);
	assert_int_equal(
	    bkp_checkpoint_expire(&checkpoint, with.session, NULL), 0);
	put(host, &checkpoint);
	bkp_checkpoint_free(&checkpoint);
	expect_none(host); /* what it had made by then counts */
	after = make_with(&maker, with, NULL);
	expect(host, is("void", after));
	history = look_at(host);
	assert_int_equal(history.snapshots.count, 2);
	assert_int_equal(bkp_history_problems(&history), 0);
	bkp_history_free(&history);
	bkp_repository_close(host);
}

static void
two_checkpoints_of_the_same_time_are_joined(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker), c = make(&maker);
	struct bkp_checkpoint one, other, late, joined;

	prune(host, a);
	one = load(host);
	other = load(host);
	late = load(host);
	strike(&one, b);
	strike(&other, c);
	put(host, &one);
	put(host, &other);
	assert_int_equal(count_objects(*state, "checkpoints/"), 2);
	joined = load(host);
	assert_int_equal(joined.sequence, 2);
	assert_int_equal(joined.kept_count, 0);
	assert_int_equal(joined.removed_count, 3);
	keep(&joined, b); /* removed is removed */
	assert_int_equal(joined.kept_count, 0);
	put(host, &joined);
	assert_int_equal(count_objects(*state, "checkpoints/"), 1);
	bkp_checkpoint_free(&joined);
	/* One that slept meanwhile takes nothing back, and is not lost. */
	assert_int_equal(bkp_checkpoint_expire(
			     &late, "0123456789abcdef0123456789abcdef", NULL),
	    0);
	put(host, &late);
	joined = load(host);
	assert_int_equal(joined.sequence, 3);
	assert_int_equal(joined.removed_count, 3);
	assert_int_equal(joined.expired_count, 1);
	assert_int_equal(joined.kept_count, 0);
	bkp_checkpoint_free(&joined);
	bkp_checkpoint_free(&one);
	bkp_checkpoint_free(&other);
	bkp_checkpoint_free(&late);
	bkp_repository_close(host);
}

/* Fails and is killed at every call of writing one: the state is the old one
 * or the new one, and nothing is missed. */
static void
a_checkpoint_is_written_whole_or_not_at_all(void **state)
{
	struct bkp_keys keys = fixture_host_keys(*state);
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made made = make(&maker);
	unsigned old = 0, new = 0;

	make(&maker);
	remember(host);
	for (uint64_t n = 1;; n++) {
		struct bkp_store_fault fault = {
		    .fail_at = 0, .is_killed_after = true};
		struct bkp_repository *failing = NULL;
		struct bkp_store *store = NULL;
		struct bkp_checkpoint checkpoint, after;

		assert_int_equal(bkp_store_fault_new(fixture_store(*state),
				     &fault, &store, NULL),
		    0);
		assert_int_equal(
		    bkp_repository_open_store(store, &keys, &failing, NULL), 0);
		checkpoint = load(failing);
		fault.fail_at = fault.calls + n;
		fault.is_effect_done = n % 2 == 0;
		strike(&checkpoint, made);
		(void)bkp_checkpoint_put(failing, &checkpoint, NULL);
		after = load(host);
		old += after.removed_count == 0;
		new += after.removed_count == 1;
		assert_int_equal(after.damaged, 0);
		bkp_checkpoint_free(&after);
		bkp_checkpoint_free(&checkpoint);
		bkp_repository_close(failing);
		if (fault.hits == 0)
			break;
	}
	assert_true(old > 0 && new > 1);
	/* What the others left was taken away by the last. */
	assert_int_equal(count_objects(*state, "checkpoints/"), 1);
	assert_int_equal(count_objects(*state, "copies/checkpoints/"), 1);
	expect(host, is("returned", made));
	bkp_repository_close(host);
}

/* One that another one stands for may be left by a crash, and rot. */
static void
a_damaged_checkpoint_that_was_replaced_is_missed_by_nobody(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fixture *fixture = *state;
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker);
	char *name;

	prune(host, a);
	name = fixture_names(fixture, "checkpoints/");
	name[strcspn(name, "\n")] = '\0';
	prune(host, b);
	delete (fixture, a);
	delete (fixture, b);
	assert_int_equal(bkp_store_put(fixture->memory, name, "x", 1, NULL), 0);
	expect_none(host);
	free(name);
	bkp_repository_close(host);
}

static void
a_checkpoint_that_is_gone_is_missed(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), b = make(&maker);
	char *name, copy[128];

	prune(host, a);
	delete (*state, a);
	remember(host);
	expect_none(host);
	name = fixture_names(*state, "checkpoints/");
	name[strcspn(name, "\n")] = '\0';
	assert_int_equal(
	    bkp_store_remove(((struct fixture *)*state)->memory, name, NULL),
	    0);
	/* It is stored twice. */
	expect_none(host);
	(void)snprintf(copy, sizeof(copy), "copies/%s", name);
	assert_int_equal(
	    bkp_store_remove(((struct fixture *)*state)->memory, copy, NULL),
	    0);
	expect(host, "rolled-back ", is("missing", a));
	fixture_forget(*state);
	/* A snapshot that was made after it says so to anybody. */
	make_with(&maker, (struct fmt_snapshot){.checkpoint = 1}, NULL);
	expect(host, "record-damaged ", is("missing", a));
	prune(host, a);
	expect_none(host);
	assert_int_equal(bkp_store_put(((struct fixture *)*state)->memory, name,
			     "x", 1, NULL),
	    0);
	/* The one that is damaged there now has been lost before. */
	expect(host, "record-damaged ");
	(void)b;
	free(name);
	bkp_repository_close(host);
}

static void
one_that_a_later_checkpoint_does_not_know_was_held_back(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made a = make(&maker), held;
	const int64_t now = bkp_now_us();

	prune(host, a);
	maker.previous[0] = '\0';
	held = make_with(
	    &maker, (struct fmt_snapshot){.finished_us = now - 2 * DAY}, NULL);
	/* Made at the same time, by a clock that is some hours late. */
	make_with(
	    &maker, (struct fmt_snapshot){.finished_us = now - 9 * HOUR}, NULL);
	/* A clock that is weeks late, of one that knew the checkpoint. */
	make_with(&maker,
	    (struct fmt_snapshot){
		.finished_us = now - 30 * DAY, .checkpoint = 1},
	    NULL);
	expect(host, is("held-back", held), is("returned", a));
	bkp_repository_close(host);
}

static void
a_stranger_writes_no_checkpoint(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct bkp_checkpoint checkpoint = load(host);
	struct made made = make(&maker);
	struct bkp_history history;
	unsigned char seed[32];

	memcpy(seed, host->keys.signing_seed, 32);
	strike(&checkpoint, made);
	host->keys.signing_seed[3] ^= 1;
	assert_int_equal(bkp_checkpoint_put(host, &checkpoint, NULL), -1);
	/* As one who does not ask would do. */
	memcpy(host->keys.admin_seed, host->keys.signing_seed, 32);
	host->keys.has_admin = true;
	put(host, &checkpoint);
	host->keys.has_admin = false;
	memcpy(host->keys.signing_seed, seed, 32);
	expect(host, "record-damaged ");
	history = look_at(host);
	assert_int_equal(history.snapshots.count, 1);
	bkp_history_free(&history);
	bkp_checkpoint_free(&checkpoint);
	bkp_repository_close(host);
}

/* ---- others at work meanwhile ---- */

/* A store that does something at a listing, or hides a name from it. */
struct meddler {
	struct bkp_store base;
	struct bkp_store *inner; /* owned */
	const char *hidden[2];   /* or NULL */
	void (*at_list)(void *arg, const char *prefix);
	void *arg;
};

struct filter {
	const char *const *hidden;
	bkp_store_list_fn *fn;
	void *arg;
};

static int
filter_name(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	const struct filter *filter = arg;

	for (size_t i = 0; i < 2; i++)
		if (filter->hidden[i] != NULL &&
		    strcmp(object->name, filter->hidden[i]) == 0)
			return 0;
	return filter->fn(filter->arg, object, err);
}

static int
meddle_list(struct bkp_store *store, const char *prefix, bkp_store_list_fn *fn,
    void *arg, struct bkp_error *err)
{
	struct meddler *meddler = (struct meddler *)store;
	struct filter filter = {meddler->hidden, fn, arg};
	int rc =
	    bkp_store_list(meddler->inner, prefix, filter_name, &filter, err);

	if (meddler->at_list != NULL)
		meddler->at_list(meddler->arg, prefix);
	return rc;
}

static int
meddle_get(struct bkp_store *store, const char *name, uint64_t offset,
    uint64_t len, struct fmt_buf *out, struct bkp_error *err)
{
	return bkp_store_get(
	    ((struct meddler *)store)->inner, name, offset, len, out, err);
}

static void
meddle_close(struct bkp_store *store)
{
	bkp_store_close(((struct meddler *)store)->inner);
	free(store->location);
	free(store);
}

static const struct bkp_store_ops meddler_ops = {
    .driver = "meddler",
    .list = meddle_list,
    .get = meddle_get,
    .close = meddle_close,
};

static struct bkp_repository *
open_meddled(struct fixture *fixture, struct meddler **out)
{
	struct bkp_keys keys = fixture_host_keys(fixture);
	struct bkp_repository *repository = NULL;
	struct meddler *meddler = calloc(1, sizeof(*meddler));

	assert_non_null(meddler);
	meddler->base.ops = &meddler_ops;
	meddler->base.location = strdup("meddled");
	meddler->inner = fixture_store(fixture);
	assert_int_equal(
	    bkp_repository_open_store(&meddler->base, &keys, &repository, NULL),
	    0);
	*out = meddler;
	return repository;
}

/* Also where the one that is hidden is the only one that names another. */
static void
a_listing_that_lacks_some_is_not_believed(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state), *meddled;
	struct maker maker = maker_of(host);
	struct made first, second;
	struct bkp_history history;
	struct meddler *meddler;
	char paths[2][128];

	make(&maker);
	first = make(&maker);
	second = make(&maker);
	make(&maker);
	meddled = open_meddled(*state, &meddler);
	path_of(first, paths[0]);
	path_of(second, paths[1]);
	meddler->hidden[0] = paths[0];
	meddler->hidden[1] = paths[1];
	expect_none(meddled);
	history = look_at(meddled);
	assert_int_equal(history.snapshots.count, 4);
	assert_string_equal(history.snapshots.items[1].name, first.name);
	assert_string_equal(history.snapshots.items[2].name, second.name);
	bkp_history_free(&history);
	bkp_repository_close(meddled);
	bkp_repository_close(host);
}

struct meanwhile {
	struct fixture *fixture;
	struct bkp_repository *host;
	struct maker *maker;
	struct made oldest;
	int times;
};

/* After the snapshots were listed, a backup and a prune go by. */
static void
back_up_and_prune(void *arg, const char *prefix)
{
	struct meanwhile *meanwhile = arg;

	if (strcmp(prefix, "snapshots/") != 0 || meanwhile->times == 0)
		return;
	meanwhile->times--;
	make(meanwhile->maker);
	remember(meanwhile->host);
	prune(meanwhile->host, meanwhile->oldest);
	delete (meanwhile->fixture, meanwhile->oldest);
	meanwhile->oldest = make(meanwhile->maker);
}

static void
a_backup_and_a_prune_meanwhile_are_no_finding(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state), *meddled;
	struct maker maker = maker_of(host);
	struct meanwhile meanwhile = {.fixture = *state,
	    .host = host,
	    .maker = &maker,
	    .oldest = make(&maker)};
	struct meddler *meddler;

	make(&maker);
	remember(host);
	meddled = open_meddled(*state, &meddler);
	meddler->at_list = back_up_and_prune;
	meddler->arg = &meanwhile;
	for (int i = 0; i < 4; i++) {
		meanwhile.times = i;
		expect_none(meddled);
		assert_int_equal(meanwhile.times, 0);
		remember(meddled);
	}
	bkp_repository_close(meddled);
	bkp_repository_close(host);
}

/* ---- several hosts ---- */

/* Another host, let in by the administrators; its repository signs as it. */
static struct bkp_repository *
let_in(struct fixture *fixture, unsigned char first)
{
	struct bkp_repository *admin = fixture_open_admin(fixture), *host;
	struct bkp_roster_writer *writer;
	struct bkp_error err = BKP_ERROR_INIT;
	unsigned char seed[32];
	char name[65];

	memset(seed, first, sizeof(seed));
	writer = bkp_roster_add_writer(&admin->roster, &err);
	assert_non_null(writer);
	(void)snprintf(writer->name, sizeof(writer->name), "db%d", first);
	memcpy(writer->recipient, admin->roster.writers[0].recipient,
	    sizeof(writer->recipient));
	assert_int_equal(fmt_sign_public(seed, writer->public_key), FMT_OK);
	assert_int_equal(bkp_roster_put(admin->store, &admin->keys,
			     &admin->roster, name, &err),
	    0);
	bkp_repository_close(admin);
	host = fixture_open_host(fixture);
	memcpy(host->keys.signing_seed, seed, sizeof(seed));
	return host;
}

/* Hosts whose clocks differ by hours, each with a chain of its own; what one
 * of them loses is named by the others. */
static void
hosts_vouch_for_one_another(void **state)
{
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_repository *hosts[3] = {fixture_open_host(*state), NULL};
	struct bkp_history history;
	char names[9][65];

	hosts[1] = let_in(*state, 2);
	hosts[2] = let_in(*state, 3);
	for (size_t i = 0; i < 9; i++) {
		struct bkp_error err = BKP_ERROR_INIT;

		/* The first was opened before the others were let in, and
		 * believes them all the same. */
		(void)fixture_back_up(
		    hosts[i % 3], &file, 1, 4, names[i], &err);
		assert_string_equal(err.message, "");
		for (size_t k = 0; k < 3; k++)
			expect_none(hosts[k]);
		remember(hosts[i % 3]);
	}
	history = look_at(hosts[0]);
	assert_int_equal(history.snapshots.count, 9);
	for (size_t i = 0; i < 9; i++)
		assert_int_equal(
		    history.snapshots.items[i].snapshot.sequence, i / 3 + 1);
	bkp_history_free(&history);
	fixture_forget(*state);
	for (size_t i = 0; i < 8; i++) {
		struct made made;
		struct fmt_buf bytes;

		memcpy(made.name, names[i], 65);
		bytes = take(*state, made);
		delete (*state, made);
		expect(hosts[0], is("missing", made));
		put_bytes(*state, made, bytes.data, bytes.len);
		fmt_buf_free(&bytes);
	}
	for (size_t i = 0; i < 3; i++)
		bkp_repository_close(hosts[i]);
}

/* Whoever holds the store puts back the roster that was before. */
static void
a_roster_that_is_gone_is_missed(void **state)
{
	const struct fixture_file file = {"a", "hello", 5};
	struct bkp_repository *host = let_in(*state, 2), *later;
	struct fixture *fixture = *state;
	char *before = fixture_names(fixture, ""), *after;
	char name[65];

	bkp_repository_close(host);
	host = let_in(*state, 3);
	bkp_repository_close(host);
	host = fixture_open_host(*state);
	assert_int_equal(fixture_back_up(host, &file, 1, 4, name, NULL), 0);
	expect_none(host);
	fixture_forget(*state);
	after = fixture_names(fixture, "");
	for (char *at = after; *at != '\0'; at += strcspn(at, "\n") + 1) {
		char path[128];

		(void)snprintf(
		    path, sizeof(path), "%.*s", (int)strcspn(at, "\n"), at);
		if (strstr(path, "roster/") != NULL &&
		    strstr(before, path) == NULL)
			assert_int_equal(
			    bkp_store_remove(fixture->memory, path, NULL), 0);
	}
	later = fixture_open_host(*state);
	expect(later, "record-damaged ");
	/* It hides no snapshot. */
	assert_int_equal(bkp_snapshot_find(later, "latest", name, NULL), 0);
	bkp_repository_close(later);
	bkp_repository_close(host);
	free(before);
	free(after);
}

/* ---- the machine ---- */

static void
a_machine_that_cannot_remember_goes_on(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_history history;

	make(&maker);
	assert_int_equal(setenv("BACKUP_STATE_DIR", "/dev/null/x", 1), 0);
	history = look_at(host);
	assert_int_equal(history.count, 1);
	assert_int_equal(history.findings[0].kind, BKP_HISTORY_MACHINE);
	assert_int_equal(bkp_history_problems(&history), 0);
	assert_int_equal(bkp_history_remember(host, &history, &err), -1);
	assert_non_null(strstr(err.message, "BACKUP_STATE_DIR"));
	bkp_history_free(&history);
	bkp_repository_close(host);
}

static void
a_damaged_memory_is_told_and_made_anew(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct fixture *fixture = *state;
	struct maker maker = maker_of(host);
	char path[256];
	FILE *file;

	make(&maker);
	remember(host);
	(void)snprintf(
	    path, sizeof(path), "%s/%s/seen", fixture->folder, host->config.id);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fputs("{\"type\":\"lib", file);
	(void)fclose(file);
	expect(host, "not-remembered ");
	remember(host);
	expect_none(host);
	bkp_repository_close(host);
}

/* ---- the newest ---- */

static void
latest_is_refused_only_where_it_may_be_another_one(void **state)
{
	struct bkp_repository *host = fixture_open_host(*state);
	struct maker maker = maker_of(host);
	struct made oldest = make(&maker), middle = make(&maker);
	struct made newest = make(&maker);
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf bytes;
	char name[65];

	remember(host);
	delete (*state, oldest);
	put_bytes(*state, middle, "x", 1);
	assert_int_equal(bkp_snapshot_find(host, "latest", name, &err), 0);
	assert_string_equal(name, newest.name);
	bytes = take(*state, newest);
	put_bytes(*state, newest, "x", 1);
	fixture_forget(*state);
	/* Nobody is left who says that the middle one is older. */
	assert_int_equal(bkp_snapshot_find(host, "latest", name, &err), -1);
	assert_true(strstr(err.message, newest.name) != NULL ||
		    strstr(err.message, middle.name) != NULL);
	put_bytes(*state, newest, bytes.data, bytes.len);
	fmt_buf_free(&bytes);
	remember(host);
	delete (*state, newest);
	assert_int_equal(bkp_snapshot_find(host, "latest", name, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_non_null(strstr(err.message, "no good snapshot"));
	maker.previous[0] = '\0';
	oldest = make(&maker);
	assert_int_equal(bkp_snapshot_find(host, "latest", name, &err), -1);
	assert_non_null(strstr(err.message, oldest.name));
	assert_int_equal(bkp_snapshot_find(host, oldest.name, name, &err), 0);
	bkp_repository_close(host);
}

static void
the_public_list_has_the_good_ones_and_the_problems(void **state)
{
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_repository *host = fixture_open_host(*state);
	const struct bkp_snapshot_problem *problem;
	struct maker maker = maker_of(host);
	struct made first = make(&maker), second = make(&maker);

	assert_int_equal(bkp_snapshot_list(host, &list, NULL), 0);
	assert_int_equal(list.count, 2);
	assert_null(bkp_snapshot_list_problem(&list, 0));
	bkp_snapshot_list_free(&list);
	assert_null(bkp_snapshot_list_problem(&list, 0));
	delete (*state, first);
	assert_int_equal(bkp_snapshot_list(host, &list, NULL), 0);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.items[0].name, second.name);
	problem = bkp_snapshot_list_problem(&list, 0);
	assert_non_null(problem);
	assert_string_equal(problem->kind, "snapshot-missing");
	assert_string_equal(problem->name, first.name);
	assert_int_equal(problem->is_note, 0);
	assert_null(bkp_snapshot_list_problem(&list, 1));
	bkp_snapshot_list_free(&list);
	/* Listing remembered the newest. */
	delete (*state, second);
	expect(host, is("rolled-back", second));
	bkp_repository_close(host);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(what_nobody_touched_gives_no_finding),
	    CASE(sessions_at_the_same_time_are_both_named_by_the_next),
	    CASE(one_that_others_came_after_is_missed_by_anybody),
	    CASE(the_newest_is_missed_by_who_saw_it),
	    CASE(all_of_them_are_missed_by_who_saw_the_newest),
	    CASE(what_another_host_made_later_gives_the_deletion_away),
	    CASE(other_bytes_under_a_name_are_damage),
	    CASE(what_nobody_who_may_has_signed_is_forged),
	    CASE(numbers_that_go_backwards_are_out_of_order),
	    CASE(what_a_prune_removed_is_not_missed),
	    CASE(what_a_session_that_was_given_up_made_is_void),
	    CASE(two_checkpoints_of_the_same_time_are_joined),
	    CASE(a_checkpoint_is_written_whole_or_not_at_all),
	    CASE(a_damaged_checkpoint_that_was_replaced_is_missed_by_nobody),
	    CASE(a_checkpoint_that_is_gone_is_missed),
	    CASE(one_that_a_later_checkpoint_does_not_know_was_held_back),
	    CASE(a_stranger_writes_no_checkpoint),
	    CASE(a_listing_that_lacks_some_is_not_believed),
	    CASE(a_backup_and_a_prune_meanwhile_are_no_finding),
	    CASE(hosts_vouch_for_one_another),
	    CASE(a_roster_that_is_gone_is_missed),
	    CASE(a_machine_that_cannot_remember_goes_on),
	    CASE(a_damaged_memory_is_told_and_made_anew),
	    CASE(latest_is_refused_only_where_it_may_be_another_one),
	    CASE(the_public_list_has_the_good_ones_and_the_problems),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
