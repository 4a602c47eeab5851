/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdatomic.h>

#include "libbackup/base/pipeline.h"
#include "libbackup/s3/limiter.h"

#define MOST 16u

static int
begin(void **state)
{
	static struct bkp_s3_limiter limiter;

	bkp_s3_limiter_init(&limiter, MOST);
	*state = &limiter;
	return 0;
}

static int
end(void **state)
{
	bkp_s3_limiter_destroy(*state);
	return 0;
}

/* So many requests at once, all with the same end. */
static void
run(struct bkp_s3_limiter *limiter, unsigned count, enum bkp_s3_load load)
{
	uint64_t tickets[MOST];

	for (unsigned i = 0; i < count; i++)
		bkp_s3_limiter_enter(limiter, NULL, &tickets[i]);
	for (unsigned i = 0; i < count; i++)
		bkp_s3_limiter_leave(limiter, tickets[i], load);
}

static void
it_starts_at_the_most_and_stays_there(void **state)
{
	struct bkp_s3_limiter *limiter = *state;

	assert_int_equal(bkp_s3_limiter_limit(limiter), MOST);
	run(limiter, MOST, BKP_S3_LOAD_GOOD);
	run(limiter, MOST, BKP_S3_LOAD_UNKNOWN);
	assert_int_equal(bkp_s3_limiter_limit(limiter), MOST);
}

static void
requests_that_were_refused_together_halve_it_once(void **state)
{
	struct bkp_s3_limiter *limiter = *state;

	run(limiter, MOST, BKP_S3_LOAD_TOO_MUCH);
	assert_int_equal(bkp_s3_limiter_limit(limiter), MOST / 2);
	run(limiter, MOST / 2, BKP_S3_LOAD_TOO_MUCH);
	assert_int_equal(bkp_s3_limiter_limit(limiter), MOST / 4);
}

static void
what_ran_is_halved_not_what_might_have(void **state)
{
	run(*state, 4, BKP_S3_LOAD_TOO_MUCH);
	assert_int_equal(bkp_s3_limiter_limit(*state), 2);
}

static void
one_request_may_always_run(void **state)
{
	for (int i = 0; i < 10; i++)
		run(*state, 1, BKP_S3_LOAD_TOO_MUCH);
	assert_int_equal(bkp_s3_limiter_limit(*state), 1);
}

static void
it_grows_by_one_for_a_round_of_good_answers(void **state)
{
	run(*state, 8, BKP_S3_LOAD_TOO_MUCH);
	assert_int_equal(bkp_s3_limiter_limit(*state), 4);
	run(*state, 4, BKP_S3_LOAD_GOOD);
	run(*state, 1, BKP_S3_LOAD_GOOD);
	assert_int_equal(bkp_s3_limiter_limit(*state), 5);
	for (int i = 0; i < 200; i++)
		run(*state, 1, BKP_S3_LOAD_GOOD);
	assert_int_equal(bkp_s3_limiter_limit(*state), MOST);
}

static void
who_waits_in_vain_goes_all_the_same(void **state)
{
	struct bkp_s3_limiter *limiter = *state;

	limiter->patience_ms = 0;
	run(limiter, 1, BKP_S3_LOAD_TOO_MUCH);
	run(limiter, 3, BKP_S3_LOAD_UNKNOWN);
}

static void
a_request_to_stop_ends_the_wait(void **state)
{
	struct bkp_s3_limiter *limiter = *state;
	struct bkp_cancel cancel = BKP_CANCEL_INIT;
	uint64_t first, second;

	run(limiter, 1, BKP_S3_LOAD_TOO_MUCH);
	limiter->patience_ms = 600000;
	bkp_cancel_request(&cancel);
	bkp_s3_limiter_enter(limiter, NULL, &first);
	bkp_s3_limiter_enter(limiter, &cancel, &second);
	bkp_s3_limiter_leave(limiter, first, BKP_S3_LOAD_UNKNOWN);
	bkp_s3_limiter_leave(limiter, second, BKP_S3_LOAD_UNKNOWN);
}

/* ---- many threads ---- */

#define ROUNDS 2000u

struct crowd {
	struct bkp_s3_limiter *limiter;
	unsigned begun;
	atomic_uint inside;
	atomic_bool was_crowded;
};

static int
next_round(void *arg, void **item, struct bkp_error *err)
{
	struct crowd *crowd = arg;

	(void)err;
	*item = crowd->begun++ < ROUNDS ? crowd : NULL;
	return 0;
}

static int
be_inside(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct crowd *crowd = arg;
	uint64_t ticket;

	(void)worker;
	(void)item;
	(void)err;
	bkp_s3_limiter_enter(crowd->limiter, NULL, &ticket);
	if (atomic_fetch_add(&crowd->inside, 1) + 1 > 2)
		atomic_store(&crowd->was_crowded, true);
	(void)atomic_fetch_sub(&crowd->inside, 1);
	bkp_s3_limiter_leave(crowd->limiter, ticket, BKP_S3_LOAD_UNKNOWN);
	return 0;
}

static void
forget(void *arg, void *item)
{
	(void)arg;
	(void)item;
}

static void
never_more_run_than_may(void **state)
{
	static const struct bkp_pipeline_ops ops = {
	    .next = next_round, .work = be_inside, .discard = forget};
	struct crowd crowd = {.limiter = *state};

	run(*state, 4, BKP_S3_LOAD_TOO_MUCH);
	crowd.limiter->patience_ms = 600000;
	assert_int_equal(bkp_pipeline_run(8, 16, &ops, &crowd, NULL, NULL), 0);
	assert_false(atomic_load(&crowd.was_crowded));
	assert_int_equal(crowd.limiter->active, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(it_starts_at_the_most_and_stays_there),
	    CASE(requests_that_were_refused_together_halve_it_once),
	    CASE(what_ran_is_halved_not_what_might_have),
	    CASE(one_request_may_always_run),
	    CASE(it_grows_by_one_for_a_round_of_good_answers),
	    CASE(who_waits_in_vain_goes_all_the_same),
	    CASE(a_request_to_stop_ends_the_wait),
	    CASE(never_more_run_than_may),
	};

	return cmocka_run_group_tests_name("s3 limiter", tests, NULL, NULL);
}
