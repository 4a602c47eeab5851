/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever becomes of one check, the others are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/doctor/exam.h"

static int
good(struct bkp_exam *exam, struct bkp_error *err)
{
	return bkp_exam_ok(exam, err, "good");
}

static int
bad(struct bkp_exam *exam, struct bkp_error *err)
{
	(void)exam;
	return bkp_fail(err, BKP_IO, "it cannot be asked");
}

static int
shut(struct bkp_exam *exam, struct bkp_error *err)
{
	return bkp_exam_tell(
	    exam, BKP_HEALTH_ERROR, "the door", "open it", err, "shut");
}

static int
crash(struct bkp_exam *exam, struct bkp_error *err)
{
	(void)exam;
	(void)err;
	(void)kill(getpid(), SIGKILL);
	return 0;
}

static int
hang(struct bkp_exam *exam, struct bkp_error *err)
{
	(void)exam;
	(void)err;
	for (;;)
		(void)pause();
	return 0;
}

/* What was found, as "id health; ...". */
static int
take(void *arg, const struct bkp_symptom *symptom, struct bkp_error *err)
{
	char *text = arg;
	size_t len = strlen(text);

	(void)err;
	(void)snprintf(text + len, 400 - len, "%s %s; ", symptom->id,
	    bkp_health_name(symptom->health));
	return 0;
}

static void
assert_found(
    const struct bkp_exam_check *checks, bool is_offline, const char *expected)
{
	struct bkp_exam_kind kind = {checks, 8, NULL};
	struct bkp_doctor_options options = BKP_DOCTOR_OPTIONS_INIT;
	struct bkp_exam exam = {.kind = &kind,
	    .subject = "thing",
	    .options = &options,
	    .limit_ms = 300,
	    .pipe = -1};
	char text[400] = "";

	options.is_offline = is_offline;
	assert_int_equal(bkp_exam_run(&exam, take, text, NULL), 0);
	assert_string_equal(text, expected);
}

static void
one_that_hangs_or_crashes_or_fails_keeps_no_other_from_being_made(void **state)
{
	static const struct bkp_exam_check checks[] = {
	    {"a", good, BKP_EXAM_DOOR}, {"b", hang, BKP_EXAM_INSIDE},
	    {"c", crash, BKP_EXAM_INSIDE}, {"d", bad, BKP_EXAM_INSIDE},
	    {"e", good, BKP_EXAM_INSIDE}, {"f", crash, BKP_EXAM_INSIDE},
	    {NULL, NULL, BKP_EXAM_NONE}};

	(void)state;
	assert_found(
	    checks, false, "a ok; b error; c error; d error; e ok; f error; ");
}

static void
behind_a_door_that_is_shut_nothing_is_looked_for(void **state)
{
	static bkp_exam_fn *const ways[] = {shut, bad, hang, crash};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const struct bkp_exam_check checks[] = {
		    {"door", ways[i], BKP_EXAM_DOOR},
		    {"inside", good, BKP_EXAM_INSIDE},
		    {"apart", hang, BKP_EXAM_APART},
		    {"second", good, BKP_EXAM_DOOR},
		    {"none", good, BKP_EXAM_NONE}, {NULL, NULL, BKP_EXAM_NONE}};

		assert_found(checks, false,
		    "door error; inside skipped; apart error; second skipped; "
		    "none ok; ");
	}
}

static void
offline_nobody_is_asked(void **state)
{
	static const struct bkp_exam_check checks[] = {
	    {"door", crash, BKP_EXAM_DOOR}, {"apart", crash, BKP_EXAM_APART},
	    {"none", good, BKP_EXAM_NONE}, {NULL, NULL, BKP_EXAM_NONE}};

	(void)state;
	assert_found(checks, true, "door skipped; apart skipped; none ok; ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		one_that_hangs_or_crashes_or_fails_keeps_no_other_from_being_made),
	    cmocka_unit_test(behind_a_door_that_is_shut_nothing_is_looked_for),
	    cmocka_unit_test(offline_nobody_is_asked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
