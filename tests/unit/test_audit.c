/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "libbackup/subject/audit.h"

static char top[] = "/tmp/test_audit.XXXXXX";
static char path[64];

static const char *const alice[] = {"42"};
static const char *const bob[] = {"43"};

static int
make_folder(void **state)
{
	(void)state;
	if (mkdtemp(top) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/exports.log", top);
	return 0;
}

static int
remove_folder(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

static int
begin_anew(void **state)
{
	(void)state;
	(void)unlink(path);
	return 0;
}

static struct bkp_audit *
opened(void)
{
	struct bkp_audit *audit = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_audit_open(path, &audit, &err) < 0)
		fail_msg("%s", err.message);
	return audit;
}

static void
add(struct bkp_audit *audit, const char *event, const char *const *key)
{
	const struct bkp_audit_entry entry = {
	    .event = event,
	    .who = "data protection desk",
	    .table = "public.users",
	    .key = key,
	    .key_count = 1,
	    .map_sha256 = "ab",
	    .state = "complete",
	};

	assert_int_equal(bkp_audit_append(audit, &entry, NULL), 0);
}

static char *
content(size_t *len)
{
	FILE *file = fopen(path, "r");
	char *data = calloc(1, 65536);

	assert_non_null(file);
	assert_non_null(data);
	*len = fread(data, 1, 65535, file);
	assert_int_equal(fclose(file), 0);
	return data;
}

static void
rewrite(const char *data, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void
lines_follow_each_other_over_processes_and_handles(void **state)
{
	struct bkp_audit *one = opened(), *two = opened();
	char head[65];
	struct stat st;

	(void)state;
	add(one, "export-begun", alice);
	add(two, "export-begun", bob);
	add(one, "export-done", alice);
	assert_int_equal(bkp_audit_lines(one), 3);
	(void)snprintf(head, sizeof(head), "%s", bkp_audit_head(one));
	bkp_audit_close(one);
	bkp_audit_close(two);
	one = opened();
	assert_int_equal(bkp_audit_lines(one), 3);
	assert_string_equal(bkp_audit_head(one), head);
	bkp_audit_close(one);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* The value of "subject" in the line that begins at `at`. */
static const char *
subject(const char *at)
{
	static char out[2][65];
	static int turn;

	turn = !turn;
	at = strstr(at, "\"subject\":\"");
	assert_non_null(at);
	memcpy(out[turn], at + 11, 64);
	return out[turn];
}

static void
a_subject_is_told_apart_and_not_named(void **state)
{
	struct bkp_audit *audit = opened();
	const char *first, *second, *third;
	char *data;
	size_t len;

	(void)state;
	add(audit, "export-begun", alice);
	add(audit, "export-begun", bob);
	add(audit, "export-begun", alice);
	bkp_audit_close(audit);
	data = content(&len);
	assert_null(strstr(data, "\"42\""));
	first = data;
	second = strchr(first, '\n') + 1;
	third = strchr(second, '\n') + 1;
	assert_string_not_equal(subject(first), subject(second));
	assert_string_equal(subject(first), subject(third));
	free(data);
}

static void
refused(const char *what)
{
	struct bkp_audit *audit = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_audit_open(path, &audit, &err) == 0)
		fail_msg("%s is not seen", what);
	assert_int_equal(err.code, BKP_CORRUPT);
}

static void
what_is_changed_moved_or_taken_out_is_seen(void **state)
{
	struct bkp_audit *audit = opened();
	char *data, *second, *third;
	size_t len;

	(void)state;
	for (int i = 0; i < 3; i++)
		add(audit, "export-begun", alice);
	bkp_audit_close(audit);
	data = content(&len);
	second = strchr(data, '\n') + 1;
	third = strchr(second, '\n') + 1;

	rewrite(second, len - (size_t)(second - data));
	refused("a first line that was taken out");
	memcpy(strstr(second, "complete"), "COMPLETE", 8);
	rewrite(data, len);
	refused("a line that was changed");
	memcpy(strstr(second, "COMPLETE"), "complete", 8);
	memmove(second, third, len - (size_t)(third - data));
	rewrite(data, len - (size_t)(third - second));
	refused("a line that was taken out of the middle");
	free(data);
}

static void
a_line_that_a_crash_cut_is_replaced_by_the_next(void **state)
{
	struct bkp_audit *audit = opened();
	char *data;
	size_t len;

	(void)state;
	add(audit, "export-begun", alice);
	add(audit, "export-done", alice);
	bkp_audit_close(audit);
	data = content(&len);
	rewrite(data, len - 10);
	free(data);
	audit = opened();
	assert_int_equal(bkp_audit_lines(audit), 1);
	add(audit, "export-begun", bob);
	bkp_audit_close(audit);
	audit = opened();
	assert_int_equal(bkp_audit_lines(audit), 2);
	bkp_audit_close(audit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(
		lines_follow_each_other_over_processes_and_handles, begin_anew),
	    cmocka_unit_test_setup(
		a_subject_is_told_apart_and_not_named, begin_anew),
	    cmocka_unit_test_setup(
		what_is_changed_moved_or_taken_out_is_seen, begin_anew),
	    cmocka_unit_test_setup(
		a_line_that_a_crash_cut_is_replaced_by_the_next, begin_anew),
	};

	return cmocka_run_group_tests_name(
	    "audit", tests, make_folder, remove_folder);
}
