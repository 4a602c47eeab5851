/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/config_impl.h"
#include "tests/unit/failing_alloc.h"

static char path[] = "/tmp/bkp-notifications-XXXXXX";

static const char whole[] =
    "repository: /srv\n"
    "sources: [{files: etc, paths: [/etc]}]\n"
    "metrics_file: libbackup.prom\n"
    "notifications:\n"
    "  - ping: https://hc.example.org/abc\n"
    "  - webhook: https://example.org/hook\n"
    "    signing_key: secret\n"
    "    on: [failure, recovery]\n"
    "    timeout: 3s\n"
    "  - {mail: [root, ops@example.org], from: db1@example.org}\n"
    "jobs:\n"
    "  nightly:\n"
    "  weekly:\n"
    "    notifications: [{mail: [boss], sendmail: /opt/sendmail}]\n"
    "  quiet: {notifications: []}\n";

static int
make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd >= 0 &&
		       write(fd, whole, strlen(whole)) == (ssize_t)strlen(whole)
		   ? close(fd)
		   : -1;
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static struct bkp_config *
load(void)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;

	if (bkp_config_load(path, &config, &err) < 0 || config == NULL) {
		fail_msg("%s", err.message);
		abort();
	}
	return config;
}

static void
a_list_is_read(void **state)
{
	struct bkp_config *config = load();
	const struct bkp_notification_config *n = config->notifications.items;

	(void)state;
	assert_string_equal(config->metrics_file, "/tmp/libbackup.prom");
	assert_int_equal(config->notifications.count, 3);
	assert_string_equal(n[0].ping, "https://hc.example.org/abc");
	assert_int_equal(n[0].line, 5);
	assert_int_equal(n[0].timeout_ms, 10000);
	assert_int_equal(n[0].moments, BKP_ON_START | BKP_ON_SUCCESS |
					   BKP_ON_FAILURE | BKP_ON_DEGRADED |
					   BKP_ON_RECOVERY);
	assert_string_equal(n[1].signing_key, "secret");
	assert_int_equal(n[1].timeout_ms, 3000);
	assert_int_equal(n[1].moments, BKP_ON_FAILURE | BKP_ON_RECOVERY);
	assert_int_equal(n[2].mail.count, 2);
	assert_string_equal(n[2].sendmail, "/usr/sbin/sendmail");
	assert_int_equal(
	    n[2].moments, BKP_ON_FAILURE | BKP_ON_DEGRADED | BKP_ON_RECOVERY);
	bkp_config_free(config);
}

static void
a_job_has_its_own_or_those_of_all(void **state)
{
	struct bkp_config *config = load();

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
		    bkp_config_use_job(config, "nightly", NULL), 0);
		assert_int_equal(config->notifications.count, 3);
		assert_int_equal(config->notifications.items[2].moments,
		    BKP_ON_FAILURE | BKP_ON_DEGRADED | BKP_ON_RECOVERY);
		assert_string_equal(
		    config->notifications.items[1].signing_key, "secret");
		assert_int_equal(bkp_config_use_job(config, "weekly", NULL), 0);
		assert_int_equal(config->notifications.count, 1);
		assert_int_equal(config->notifications.items[0].line, 14);
		assert_string_equal(
		    config->notifications.items[0].sendmail, "/opt/sendmail");
		assert_int_equal(bkp_config_use_job(config, "quiet", NULL), 0);
		assert_int_equal(config->notifications.count, 0);
	}
	bkp_config_free(config);
}

static void
running_out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	int rc = -1;

	(void)state;
	for (int n = 0;; n++) {
		config = NULL;
		failing_alloc_at(n);
		rc = bkp_config_load(path, &config, &err);
		if (rc == 0)
			rc = bkp_config_use_job(config, "nightly", &err);
		if (!failing_alloc_end())
			break;
		assert_int_equal(rc, -1);
		assert_int_equal(err.code, BKP_NOMEM);
		bkp_config_free(config);
	}
	assert_int_equal(rc, 0);
	bkp_config_free(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_list_is_read),
	    cmocka_unit_test(a_job_has_its_own_or_those_of_all),
	    cmocka_unit_test(
		running_out_of_memory_is_an_error_and_leaks_nothing)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name(
	    "notifications", tests, make_file, remove_file);
}
