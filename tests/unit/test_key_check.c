/* SPDX-License-Identifier: Apache-2.0 */
/* Damage to that without which nothing opens is found, named and repaired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/repository/key_check.h"
#include "tests/unit/repository_fixture.h"

struct findings {
	size_t notes, warnings, damage;
	char all[8192]; /* "<kind> <object>: <text>\n" */
};

static int
take_finding(
    void *arg, const struct bkp_key_finding *finding, struct bkp_error *err)
{
	struct findings *findings = arg;
	size_t len = strlen(findings->all);

	(void)err;
	findings->notes += finding->level == BKP_FINDING_NOTE;
	findings->warnings += finding->level == BKP_FINDING_WARNING;
	findings->damage += finding->level == BKP_FINDING_DAMAGE;
	(void)snprintf(findings->all + len, sizeof(findings->all) - len,
	    "%s %s: %s\n", finding->kind, finding->object, finding->text);
	return 0;
}

static struct findings
check(struct fixture *fixture)
{
	struct findings findings = {0, 0, 0, ""};
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_repository_check_keys(host, take_finding, &findings, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(host);
	return findings;
}

static size_t
repair(struct fixture *fixture)
{
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	size_t repaired = 0;

	(void)bkp_repository_repair_keys(host, &repaired, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(host);
	return repaired;
}

static void
put(struct fixture *fixture, const char *name, const char *text)
{
	assert_int_equal(
	    bkp_store_put(fixture->memory, name, text, strlen(text), NULL), 0);
}

/* The other one of two. */
static void
partner(const char *name, char out[128])
{
	if (strncmp(name, "copies/", 7) == 0)
		(void)snprintf(out, 128, "%s", name + 7);
	else
		(void)snprintf(out, 128, "copies/%s", name);
}

/* Damages an object in one of several ways. */
static void
hurt(struct fixture *fixture, const char *name, int way)
{
	struct fmt_buf bytes = FMT_BUF_INIT;

	assert_int_equal(bkp_store_get(fixture->memory, name, 0,
			     BKP_STORE_WHOLE, &bytes, NULL),
	    0);
	if (way == 0) {
		assert_int_equal(
		    bkp_store_remove(fixture->memory, name, NULL), 0);
	} else {
		bytes.data[2] ^= 0x40;
		assert_int_equal(
		    bkp_store_put(fixture->memory, name, bytes.data,
			way == 1 ? bytes.len : 0, NULL),
		    0);
	}
	fmt_buf_free(&bytes);
}

static void
a_whole_repository_has_no_findings(void **state)
{
	struct findings findings = check(*state);

	assert_string_equal(findings.all, "");
	assert_int_equal(repair(*state), 0);
}

static void
one_of_two_that_is_bad_is_named_and_made_again(void **state)
{
	struct fixture *fixture = *state;
	char *names = fixture_names(fixture, "");
	unsigned count = 0;

	for (char *name = names; *name != '\0'; name += strlen(name) + 1) {
		name[strcspn(name, "\n")] = '\0';
		for (int way = 0; way < 3; way++) {
			struct findings findings;

			hurt(fixture, name, way);
			findings = check(fixture);
			assert_int_equal(findings.damage, 0);
			assert_int_equal(findings.notes + findings.warnings, 1);
			/* As a change of keys that was killed leaves it. */
			assert_int_equal(findings.notes,
			    way == 0 && strncmp(name, "roster/", 7) == 0);
			assert_non_null(strstr(findings.all, name));
			assert_int_equal(repair(fixture), 1);
			assert_string_equal(check(fixture).all, "");
			count++;
		}
	}
	assert_int_equal(count, 6 * 3);
	free(names);
}

static void
two_that_are_bad_are_damage(void **state)
{
	struct fixture *fixture = *state;
	static const char *const folders[] = {"keys/", "roster/"};

	for (int i = 0; i < 2; i++) {
		char *name = fixture_names(fixture, folders[i]), other[128];
		struct findings findings;

		name[strcspn(name, "\n")] = '\0';
		partner(name, other);
		hurt(fixture, name, 1);
		hurt(fixture, other, 0);
		findings = check(fixture);
		assert_true(findings.damage >= 2);
		assert_non_null(strstr(findings.all, other));
		assert_int_equal(repair(fixture), 0);
		free(name);
	}
}

/* Genuine bytes by their name, but not the administrators'. */
static void
a_roster_of_a_stranger_is_told_and_not_heeded(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_key_ring ring = BKP_KEY_RING_INIT;
	struct bkp_roster roster = BKP_ROSTER_INIT;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct findings findings;
	char name[BKP_OBJECT_NAME];

	assert_int_equal(bkp_key_ring_new(&ring, NULL), 0);
	memcpy(ring.repository, host->keys.repository, sizeof(ring.repository));
	roster = host->roster;
	assert_int_equal(
	    bkp_roster_put(fixture->memory, &ring, &roster, name, NULL), 0);
	bkp_repository_close(host);
	host = fixture_open_host(fixture);
	assert_int_equal(host->roster.number, 1);
	assert_int_equal(host->roster.damaged, 1);
	bkp_repository_close(host);
	findings = check(fixture);
	assert_int_equal(findings.warnings, 1);
	assert_non_null(strstr(findings.all, "roster-forged"));
	assert_non_null(strstr(findings.all, name));
	bkp_key_ring_wipe(&ring);
}

static void
a_config_of_another_repository_is_not_believed(void **state)
{
	struct fixture *fixture = *state;
	struct findings findings;

	put(fixture, "copies/config",
	    "{\"type\":\"libbackup repository\",\"version\":1,"
	    "\"id\":\"0123456789abcdef0123456789abcdef\"}\n");
	findings = check(fixture);
	assert_int_equal(findings.warnings, 1);
	assert_non_null(strstr(findings.all, "another repository"));
	assert_int_equal(repair(fixture), 1);
	assert_string_equal(check(fixture).all, "");
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_whole_repository_has_no_findings),
	    CASE(one_of_two_that_is_bad_is_named_and_made_again),
	    CASE(two_that_are_bad_are_damage),
	    CASE(a_roster_of_a_stranger_is_told_and_not_heeded),
	    CASE(a_config_of_another_repository_is_not_believed),
	};

	return cmocka_run_group_tests_name("key check", tests, NULL, NULL);
}
