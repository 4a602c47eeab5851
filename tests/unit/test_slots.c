/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sched.h>
#include <cmocka.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/base/slots.h"

#define SLOTS 2
#define ITEMS 400

static void
test_the_lowest_that_is_free_is_given(void **state)
{
	struct bkp_slots slots = {.is_taken = NULL};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_slots_open(&slots, 3, &err), 0);
	assert_int_equal(bkp_slots_take(&slots), 0);
	assert_int_equal(bkp_slots_take(&slots), 1);
	bkp_slots_give(&slots, 0);
	assert_int_equal(bkp_slots_take(&slots), 0);
	assert_int_equal(bkp_slots_take(&slots), 2);
	bkp_slots_close(&slots);
	bkp_slots_close(&slots);
}

struct scene {
	struct bkp_slots slots;
	int left;
	atomic_int holders[SLOTS], clashes, strays;
};

static int
next(void *arg, void **item, struct bkp_error *err)
{
	struct scene *scene = arg;

	(void)err;
	*item = scene->left-- > 0 ? scene : NULL;
	return 0;
}

static int
work(void *arg, unsigned worker, void *item, struct bkp_error *err)
{
	struct scene *scene = arg;
	unsigned slot = bkp_slots_take(&scene->slots);

	(void)worker;
	(void)item;
	(void)err;
	if (slot >= SLOTS) {
		atomic_fetch_add(&scene->strays, 1);
		return 0;
	}
	if (atomic_fetch_add(&scene->holders[slot], 1) != 0)
		atomic_fetch_add(&scene->clashes, 1);
	for (int i = 0; i < 20; i++)
		(void)sched_yield();
	atomic_fetch_sub(&scene->holders[slot], 1);
	bkp_slots_give(&scene->slots, slot);
	return 0;
}

static void
discard(void *arg, void *item)
{
	(void)arg;
	(void)item;
}

static void
test_nobody_has_a_slot_that_another_has(void **state)
{
	static const struct bkp_pipeline_ops ops = {
	    .next = next, .work = work, .discard = discard};
	struct scene scene = {.left = ITEMS};
	struct bkp_error err = BKP_ERROR_INIT;

	(void)state;
	assert_int_equal(bkp_slots_open(&scene.slots, SLOTS, &err), 0);
	assert_int_equal(bkp_pipeline_run(8, 16, &ops, &scene, NULL, &err), 0);
	assert_int_equal(atomic_load(&scene.clashes), 0);
	assert_int_equal(atomic_load(&scene.strays), 0);
	/* And all were given back. */
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(bkp_slots_take(&scene.slots), i);
	bkp_slots_close(&scene.slots);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_lowest_that_is_free_is_given),
	    cmocka_unit_test(test_nobody_has_a_slot_that_another_has),
	};

	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
