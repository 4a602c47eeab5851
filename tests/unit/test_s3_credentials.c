/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/s3/credentials.h"

/* All that the search looks at; each case begins without any of it. */
static const char *const variables[] = {"AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID_FILE",
    "AWS_SECRET_ACCESS_KEY_FILE", "AWS_SESSION_TOKEN_FILE", "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_REGION",
    "AWS_REGION_FILE", "AWS_DEFAULT_REGION", "AWS_DEFAULT_REGION_FILE",
    "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3_FILE",
    "AWS_ENDPOINT_URL_FILE"};

static char home[64];

static const char *
path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", home, name);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int
make_home(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	(void)snprintf(home, sizeof(home), "/tmp/bkp-aws-XXXXXX");
	if (mkdtemp(home) == NULL || mkdir(path_of(".aws"), 0700) < 0)
		return -1;
	return setenv("HOME", home, 1);
}

static int
remove_home(void **state)
{
	(void)state;
	(void)unlink(path_of(".aws/credentials"));
	(void)unlink(path_of(".aws/config"));
	(void)unlink(path_of("one"));
	(void)rmdir(path_of(".aws"));
	return rmdir(home);
}

static const struct bkp_s3_given nothing;

static void
expect(const struct bkp_s3_given *given, const char *access_key,
    const char *secret_key, const char *token, const char *region)
{
	struct bkp_s3_credentials found;
	struct bkp_error err = BKP_ERROR_INIT;
	int rc = bkp_s3_credentials_load(given, &found, &err);

	if (rc < 0)
		print_message("# %s\n", err.message);
	assert_int_equal(rc, 0);
	assert_string_equal(found.access_key, access_key);
	assert_string_equal(found.secret_key, secret_key);
	if (token != NULL)
		assert_string_equal(found.session_token, token);
	else
		assert_null(found.session_token);
	assert_string_equal(found.region, region);
	bkp_s3_credentials_free(&found);
	assert_null(found.secret_key);
}

static void
expect_failure(const struct bkp_s3_given *given, enum bkp_error_code code,
    const char *words)
{
	struct bkp_s3_credentials found;
	struct bkp_error err = BKP_ERROR_INIT;

	assert_int_equal(bkp_s3_credentials_load(given, &found, &err), -1);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.message, words));
}

static void
nothing_anywhere_is_told_with_where_to_put_it(void **state)
{
	(void)state;
	expect_failure(&nothing, BKP_AUTH, "AWS_ACCESS_KEY_ID");
}

static void
half_a_pair_names_the_other_half(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "a", 1);
	expect_failure(&nothing, BKP_AUTH, "AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_ACCESS_KEY_ID");
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	expect_failure(&nothing, BKP_AUTH, "AWS_ACCESS_KEY_ID");
}

static void
the_environment_is_read(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "a", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	setenv("AWS_SESSION_TOKEN", "t", 1);
	setenv("AWS_REGION", "eu-central-1", 1);
	setenv("AWS_DEFAULT_REGION", "eu-west-1", 1);
	expect(&nothing, "a", "s", "t", "eu-central-1");
}

static void
an_empty_variable_is_one_that_is_not_set(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "a", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	setenv("AWS_SESSION_TOKEN", "", 1);
	setenv("AWS_SECRET_ACCESS_KEY_FILE", "", 1);
	expect(&nothing, "a", "s", NULL, "us-east-1");
}

static void
a_file_of_the_environment_is_read_without_its_newline(void **state)
{
	(void)state;
	write_file("one", "from a file\n");
	setenv("AWS_ACCESS_KEY_ID", "a", 1);
	setenv("AWS_SECRET_ACCESS_KEY_FILE", path_of("one"), 1);
	expect(&nothing, "a", "from a file", NULL, "us-east-1");
}

static void
a_secret_that_is_given_twice_is_refused(void **state)
{
	(void)state;
	write_file("one", "b");
	setenv("AWS_ACCESS_KEY_ID", "a", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	setenv("AWS_SECRET_ACCESS_KEY_FILE", path_of("one"), 1);
	expect_failure(&nothing, BKP_INVALID, "twice");
}

static void
a_file_of_the_environment_that_is_not_there_is_named(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "a", 1);
	setenv("AWS_SECRET_ACCESS_KEY_FILE", path_of("gone"), 1);
	expect_failure(&nothing, BKP_NOTFOUND, "AWS_SECRET_ACCESS_KEY");
	expect_failure(&nothing, BKP_NOTFOUND, "/gone");
}

#define CREDENTIALS                                                            \
	"# a comment\n[default]\naws_access_key_id = da\n"                     \
	"aws_secret_access_key=ds==\n\n[ other ]\r\n"                          \
	"aws_access_key_id=oa\r\naws_secret_access_key=os\r\n"                 \
	"aws_session_token = ot\r\n"
#define CONFIG                                                                 \
	"[default]\nregion = eu-north-1\ns3 =\n  region = nested\n"            \
	"[profile other]\nregion=eu-south-1\n"                                 \
	"endpoint_url = http://127.0.0.1:1\n"

static void
profiles_are_read_from_both_files(void **state)
{
	const struct bkp_s3_given other = {.profile = "other"};
	struct bkp_s3_credentials found;

	(void)state;
	write_file(".aws/credentials", CREDENTIALS);
	write_file(".aws/config", CONFIG);
	expect(&nothing, "da", "ds==", NULL, "eu-north-1");
	expect(&other, "oa", "os", "ot", "eu-south-1");
	setenv("AWS_PROFILE", "other", 1);
	expect(&nothing, "oa", "os", "ot", "eu-south-1");
	assert_int_equal(bkp_s3_credentials_load(&nothing, &found, NULL), 0);
	assert_string_equal(found.endpoint, "http://127.0.0.1:1");
	bkp_s3_credentials_free(&found);
}

static void
the_files_of_profiles_may_lie_elsewhere(void **state)
{
	(void)state;
	write_file("one", CREDENTIALS);
	setenv("AWS_SHARED_CREDENTIALS_FILE", path_of("one"), 1);
	expect(&nothing, "da", "ds==", NULL, "us-east-1");
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	setenv("AWS_CONFIG_FILE", path_of("one"), 1);
	expect(&nothing, "da", "ds==", NULL, "us-east-1");
}

static void
a_named_profile_that_is_not_there_is_an_error(void **state)
{
	const struct bkp_s3_given typo = {.profile = "otter"};

	(void)state;
	write_file(".aws/credentials", CREDENTIALS);
	expect_failure(&typo, BKP_INVALID, "\"otter\"");
	setenv("AWS_PROFILE", "otter", 1);
	expect_failure(&nothing, BKP_INVALID, "\"otter\"");
}

static void
pairs_of_keys_are_never_mixed(void **state)
{
	const struct bkp_s3_given given = {
	    .access_key = "ga", .secret_key = "gs"};

	(void)state;
	write_file(".aws/credentials", CREDENTIALS);
	setenv("AWS_PROFILE", "other", 1);
	setenv("AWS_SESSION_TOKEN", "et", 1);
	expect(&given, "ga", "gs", NULL, "us-east-1");
	setenv("AWS_ACCESS_KEY_ID", "ea", 1);
	expect_failure(&nothing, BKP_AUTH, "no secret key");
	setenv("AWS_SECRET_ACCESS_KEY", "es", 1);
	unsetenv("AWS_SESSION_TOKEN");
	expect(&nothing, "ea", "es", NULL, "us-east-1");
}

static void
a_profile_of_the_configuration_goes_before_the_environment(void **state)
{
	const struct bkp_s3_given other = {.profile = "other"};

	(void)state;
	write_file(".aws/credentials", CREDENTIALS);
	setenv("AWS_ACCESS_KEY_ID", "ea", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "es", 1);
	expect(&other, "oa", "os", "ot", "us-east-1");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_home, remove_home)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(nothing_anywhere_is_told_with_where_to_put_it),
	    CASE(half_a_pair_names_the_other_half),
	    CASE(the_environment_is_read),
	    CASE(an_empty_variable_is_one_that_is_not_set),
	    CASE(a_file_of_the_environment_is_read_without_its_newline),
	    CASE(a_secret_that_is_given_twice_is_refused),
	    CASE(a_file_of_the_environment_that_is_not_there_is_named),
	    CASE(profiles_are_read_from_both_files),
	    CASE(the_files_of_profiles_may_lie_elsewhere),
	    CASE(a_named_profile_that_is_not_there_is_an_error),
	    CASE(pairs_of_keys_are_never_mixed),
	    CASE(a_profile_of_the_configuration_goes_before_the_environment),
	};

	return cmocka_run_group_tests_name("s3 credentials", tests, NULL, NULL);
}
