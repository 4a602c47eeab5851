/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_JOBS_NOTIFY_H
#define LIBBACKUP_JOBS_NOTIFY_H

/* How a run is told: the parts of bkp_notify. */

#include "formats/buf.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/notify.h"

/* Every secret of a configuration and of the environment, borrowed from them.
 */
struct bkp_secrets {
	struct bkp_secret_text {
		const char *text;
		size_t len;
	} * items; /* owned */
	size_t count, cap;
};

int bkp_secrets_collect(const struct bkp_config *config,
    struct bkp_secrets *secrets, struct bkp_error *err);

/* Writes "[secret]" in their place. */
int bkp_secrets_remove(const struct bkp_secrets *secrets, struct fmt_buf *text,
    struct bkp_error *err);

/* A notice with what is the same for everybody who is told. */
struct bkp_told {
	const struct bkp_notice *notice;
	const struct bkp_job_report *report; /* the notice's */
	const struct bkp_cancel *cancel;     /* may be NULL */
	struct bkp_secrets secrets;
	unsigned moments; /* BKP_ON_...; 0: nobody is told */
	bool is_recovery;
	bool is_test; /* there is no run; nothing of the report but the job */
	const char *host;
};

/* "ping", "webhook" or "mail". */
const char *bkp_notify_kind(const struct bkp_notification_config *config);

int bkp_notify_send(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct bkp_error *err);

/* ---- words (notify_text.c) ---- */

/* What a test says of itself: sentences. */
extern const char bkp_notice_of_test[];

/* "started", "complete", "degraded", "failed". */
const char *bkp_notice_word(enum bkp_job_state state);

/* "start", "success", "failure", "degraded", "recovery" or "test". */
const char *bkp_notice_event(const struct bkp_told *told);

/* One line: the job, the host and the state come first. */
int bkp_notice_subject(
    const struct bkp_told *told, struct fmt_buf *out, struct bkp_error *err);

/* Plain text of at most `most` bytes; of the log, its last lines. */
int bkp_notice_text(const struct bkp_told *told, size_t most,
    struct fmt_buf *out, struct bkp_error *err);

/* ---- HTTP (notify_http.c) ---- */

/* POSTs a body, again where it may help, and wants an answer from 200 to 299.
 * `headers` are lines. Messages name the host and no more of the address. */
struct bkp_post {
	const char *url;
	const char *type;           /* of the body */
	const char *headers, *more; /* lines; each may be NULL */
	const void *body;
	size_t len;
	const char *ca_file; /* NULL: the system's */
	uint64_t timeout_ms; /* of one try */
	const struct bkp_cancel *cancel;
};

int bkp_post(const struct bkp_post *post, struct bkp_error *err);

/* ---- each way ---- */

int bkp_notify_ping(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct bkp_error *err);
int bkp_notify_webhook(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct bkp_error *err);
int bkp_notify_mail(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct bkp_error *err);

/* Whether there is a mailer to start. */
int bkp_notify_mail_check(
    const struct bkp_notification_config *config, struct bkp_error *err);

#endif
