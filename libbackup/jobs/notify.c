/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/jobs/notify.h"

#include <stdio.h>
#include <stdlib.h>

#include "libbackup/base/fail.h"

/* What did not end well, or did not end. */
static bool
was_bad(enum bkp_job_state state)
{
	return state == BKP_JOB_DEGRADED || state == BKP_JOB_FAILED ||
	       state == BKP_JOB_RUNNING;
}

static unsigned
moments_of(const struct bkp_job_report *report, bool is_recovery)
{
	switch (report->state) {
	case BKP_JOB_RUNNING:
		return BKP_ON_START;
	case BKP_JOB_COMPLETE:
		return BKP_ON_SUCCESS | (is_recovery ? BKP_ON_RECOVERY : 0u);
	case BKP_JOB_DEGRADED:
		return BKP_ON_DEGRADED;
	case BKP_JOB_FAILED:
		return BKP_ON_FAILURE;
	case BKP_JOB_OVERLAPPED:
		return report->exit_status != 0 ? BKP_ON_FAILURE : 0;
	default:
		return 0;
	}
}

int
bkp_notify_send(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct bkp_error *err)
{
	if (config->lack[0] != '\0')
		return bkp_fail(err, BKP_INVALID, "%s", config->lack);
	if (config->ping != NULL)
		return bkp_notify_ping(config, told, err);
	if (config->webhook != NULL)
		return bkp_notify_webhook(config, told, err);
	return bkp_notify_mail(config, told, err);
}

const char *
bkp_notify_kind(const struct bkp_notification_config *config)
{
	return config->ping != NULL      ? "ping"
	       : config->webhook != NULL ? "webhook"
					 : "mail";
}

static void
warn(const struct bkp_events *events, const struct bkp_notification_config *it,
    const struct bkp_error *err)
{
	char text[sizeof(err->message) + 64];

	if (events == NULL || events->message == NULL)
		return;
	(void)snprintf(text, sizeof(text),
	    "nobody was told by the %s of line %u: %s", bkp_notify_kind(it),
	    it->line, err->message);
	events->message(events->arg, BKP_WARNING, NULL, text);
}

static int
tell_one(const struct bkp_notification_config *it, const struct bkp_told *told,
    const struct bkp_events *events)
{
	struct bkp_error err = BKP_ERROR_INIT;
	int rc = 0;

	if ((it->moments & told->moments) != 0)
		rc = bkp_notify_send(it, told, &err);
	else if (told->report->state == BKP_JOB_RUNNING && it->lack[0] != '\0')
		rc = bkp_fail(&err, BKP_INVALID, "%s", it->lack);
	else if (told->report->state == BKP_JOB_RUNNING && it->mail.count > 0)
		rc = bkp_notify_mail_check(it, &err);
	if (rc < 0)
		warn(events, it, &err);
	return rc;
}

size_t
bkp_notify(const struct bkp_config *config, const struct bkp_notice *notice,
    const struct bkp_events *events, const struct bkp_cancel *cancel)
{
	const struct bkp_notifications *list = &config->notifications;
	const struct bkp_job_report *report = notice->report;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_told told = {
	    .notice = notice, .report = report, .cancel = cancel};
	size_t failed = 0;

	told.host = report->host != NULL ? report->host : "unknown";
	told.is_recovery =
	    report->state == BKP_JOB_COMPLETE && was_bad(report->previous);
	told.moments = moments_of(report, told.is_recovery);
	/* Nothing is sent of which nobody knows what is secret in it. */
	if (list->count > 0 &&
	    bkp_secrets_collect(config, &told.secrets, &err) < 0) {
		warn(events, &list->items[0], &err);
		failed = list->count;
	}
	for (size_t i = 0; err.code == BKP_OK && i < list->count; i++)
		if (tell_one(&list->items[i], &told, events) < 0)
			failed++;
	free(told.secrets.items);
	return failed;
}
