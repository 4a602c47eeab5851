/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Others at work in the same repository: while somebody looks at it, and as
 * hosts that vouch for one another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "tests/unit/history_fixture.h"

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

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_listing_that_lacks_some_is_not_believed),
	    CASE(a_backup_and_a_prune_meanwhile_are_no_finding),
	    CASE(hosts_vouch_for_one_another),
	    CASE(a_roster_that_is_gone_is_missed),
	};

	return cmocka_run_group_tests_name("history others", tests, NULL, NULL);
}
