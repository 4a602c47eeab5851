/* SPDX-License-Identifier: Apache-2.0 */
/* Who does which task of a shared backup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "libbackup/operations/shares.h"

#define TASKS 1000

static struct fmt_share_task tasks[TASKS];

static struct fmt_share_plan
plan_of(const uint64_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		tasks[i] = (struct fmt_share_task){.bytes = bytes[i]};
	return (struct fmt_share_plan){.tasks = tasks, .task_count = count};
}

static void
the_largest_goes_first_and_to_who_has_least(void **state)
{
	static const uint64_t bytes[] = {1, 7, 5, 5, 2};
	static const uint32_t expected[] = {2, 0, 1, 2, 1};
	struct fmt_share_plan plan = plan_of(bytes, 5);
	uint32_t owners[5];

	(void)state;
	assert_int_equal(bkp_share_deal(&plan, 3, owners, NULL), 0);
	/* 7 to 0; 5 to 1; 5 to 2; 2 to 1, which is before 2; 1 to 2. */
	assert_memory_equal(owners, expected, sizeof(expected));
}

static void
empty_tasks_are_spread_as_well(void **state)
{
	uint64_t bytes[TASKS] = {0};
	struct fmt_share_plan plan = plan_of(bytes, TASKS);
	uint32_t owners[TASKS], counts[7] = {0};

	(void)state;
	assert_int_equal(bkp_share_deal(&plan, 7, owners, NULL), 0);
	for (size_t i = 0; i < TASKS; i++)
		counts[owners[i]]++;
	for (size_t i = 0; i < 7; i++)
		assert_in_range(counts[i], TASKS / 7, TASKS / 7 + 1);
}

/* By the rule itself, without a heap. */
static void
deal_slowly(const uint64_t *bytes, size_t count, uint32_t shares, uint32_t *out)
{
	uint64_t *has = calloc(shares, sizeof(*has));
	bool *is_dealt = calloc(count, sizeof(*is_dealt));

	assert_non_null(has);
	assert_non_null(is_dealt);
	for (size_t n = 0; n < count; n++) {
		size_t next = count;
		uint32_t least = 0;

		for (size_t i = 0; i < count; i++)
			if (!is_dealt[i] &&
			    (next == count || bytes[i] > bytes[next]))
				next = i;
		for (uint32_t i = 1; i < shares; i++)
			if (has[i] < has[least])
				least = i;
		is_dealt[next] = true;
		out[next] = least;
		has[least] += bytes[next] > 0 ? bytes[next] : 1;
	}
	free(has);
	free(is_dealt);
}

static void
it_is_what_the_rule_says(void **state)
{
	static const uint32_t shares[] = {1, 2, 3, 8, 64, 4096};
	uint64_t bytes[TASKS], seed = 88172645463325252u;
	uint32_t owners[TASKS], expected[TASKS];

	(void)state;
	for (size_t i = 0; i < TASKS; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		bytes[i] = seed % 50; /* so that many are equal */
	}
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		struct fmt_share_plan plan = plan_of(bytes, TASKS);

		deal_slowly(bytes, TASKS, shares[i], expected);
		assert_int_equal(
		    bkp_share_deal(&plan, shares[i], owners, NULL), 0);
		assert_memory_equal(owners, expected, sizeof(owners));
	}
}

static void
nothing_can_be_dealt(void **state)
{
	struct fmt_share_plan plan = plan_of(NULL, 0);

	(void)state;
	assert_int_equal(bkp_share_deal(&plan, 5, NULL, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest cases[] = {
	    cmocka_unit_test(the_largest_goes_first_and_to_who_has_least),
	    cmocka_unit_test(empty_tasks_are_spread_as_well),
	    cmocka_unit_test(it_is_what_the_rule_says),
	    cmocka_unit_test(nothing_can_be_dealt),
	};

	return cmocka_run_group_tests_name("share deal", cases, NULL, NULL);
}
