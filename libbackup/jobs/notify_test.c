/* SPDX-License-Identifier: Apache-2.0 */
/* Each notification once, with no run behind it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/jobs/notify.h"

struct test {
	const struct bkp_notify_test_options *options;
	char host[256];
	char **seen; /* owned, secret: what was tried, of all jobs */
	size_t count, cap;
};

/* ---- what several jobs share is tried once ---- */

static char *
key_of(const struct bkp_notification_config *it, struct bkp_error *err)
{
	char *key = bkp_format(err, "%u %s %s", it->line,
	    it->ping != NULL ? it->ping : "-",
	    it->webhook != NULL ? it->webhook : "-");

	for (size_t i = 0; key != NULL && i < it->mail.count; i++) {
		char *longer = bkp_format(err, "%s %s", key, it->mail.items[i]);

		bkp_secret_free(key);
		key = longer;
	}
	return key;
}

/* 1: for the first time; 0; -1. */
static int
is_new(struct test *test, const struct bkp_notification_config *it,
    struct bkp_error *err)
{
	char *key = key_of(it, err);

	if (key == NULL)
		return -1;
	for (size_t i = 0; i < test->count; i++)
		if (strcmp(test->seen[i], key) == 0) {
			bkp_secret_free(key);
			return 0;
		}
	if (bkp_grow(&test->seen, test->count, &test->cap, sizeof(*test->seen),
		err) < 0) {
		bkp_secret_free(key);
		return -1;
	}
	test->seen[test->count++] = key;
	return 1;
}

/* ---- trying ---- */

/* What knows no words would take any call for a good run. */
static bool
would_mislead(const struct bkp_notification_config *it)
{
	return it->ping != NULL &&
	       (it->moments & ~(unsigned)(BKP_ON_SUCCESS | BKP_ON_RECOVERY)) ==
		   0;
}

static int
try_one(struct test *test, const struct bkp_notification_config *it,
    const struct bkp_told *told, struct bkp_error *err)
{
	struct bkp_notify_tried tried = {
	    .kind = bkp_notify_kind(it), .line = it->line};
	struct bkp_error why = BKP_ERROR_INIT;

	if (would_mislead(it)) {
		tried.state = BKP_TRIED_NOT;
		(void)bkp_fail(&why, BKP_UNSUPPORTED,
		    "it is sent after good runs alone, so that a test would be "
		    "taken for one");
	} else if (bkp_notify_send(it, told, &why) < 0) {
		tried.state = BKP_TRIED_FAILED;
		if (why.code == BKP_CANCELLED) {
			if (err != NULL)
				*err = why;
			return -1;
		}
	}
	tried.why = why.message;
	if (test->options->tried != NULL)
		test->options->tried(test->options->arg, &tried);
	return 0;
}

static int
try_job(struct test *test, struct bkp_config *config, struct bkp_error *err)
{
	const struct bkp_notifications *list = &config->notifications;
	const char *job = bkp_config_job_used(config);
	struct bkp_job_report report = BKP_JOB_REPORT_INIT;
	struct bkp_notice notice = BKP_NOTICE_INIT;
	struct bkp_told told = {.notice = &notice,
	    .report = &report,
	    .cancel = test->options->cancel,
	    .is_test = true,
	    .host = test->host};
	int rc = 0;

	report.job = job != NULL ? job : "default";
	report.host = test->host;
	notice.report = &report;
	if (bkp_secrets_collect(config, &told.secrets, err) < 0)
		return -1;
	for (size_t i = 0; rc == 0 && i < list->count; i++) {
		int fresh = is_new(test, &list->items[i], err);

		rc = fresh < 0   ? -1
		     : fresh > 0 ? try_one(test, &list->items[i], &told, err)
				 : 0;
	}
	free(told.secrets.items);
	return rc;
}

static int
choose_and_try(struct test *test, struct bkp_config *config, const char *name,
    struct bkp_error *err)
{
	if (bkp_config_use_job(config, name, err) < 0)
		return -1;
	return try_job(test, config, err);
}

static int
try_all(struct test *test, struct bkp_config *config, struct bkp_error *err)
{
	const struct bkp_notify_test_options *options = test->options;
	const char *name;
	size_t i;

	for (i = 0; i < options->job_count; i++)
		if (choose_and_try(test, config, options->jobs[i], err) < 0)
			return -1;
	if (options->job_count > 0)
		return 0;
	if (bkp_config_job_used(config) != NULL)
		return try_job(test, config, err);
	for (i = 0; (name = bkp_config_job(config, i)) != NULL; i++)
		if (choose_and_try(test, config, name, err) < 0)
			return -1;
	return 0;
}

int
bkp_notify_test(struct bkp_config *config,
    const struct bkp_notify_test_options *options, struct bkp_error *err)
{
	struct test test = {.options = options, .host = "localhost"};
	int rc;

	(void)gethostname(test.host, sizeof(test.host) - 1);
	rc = try_all(&test, config, err);
	if (rc == 0 && test.count == 0)
		rc = bkp_fail(err, BKP_NOTFOUND,
		    "nobody is told of anything: there are no 'notifications' "
		    "in the configuration");
	for (size_t i = 0; i < test.count; i++)
		bkp_secret_free(test.seen[i]);
	free(test.seen);
	return rc;
}
