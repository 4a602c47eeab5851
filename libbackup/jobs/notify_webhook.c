/* SPDX-License-Identifier: Apache-2.0 */
/* A run as JSON. tools/monitoring/webhook.schema.json is its shape. */
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formats/entry.h"
#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/jobs/notify.h"
#include "libbackup/operations/report_text.h"
#include "libbackup/version.h"

#define VERSION 1
#define LOG_MAX ((size_t)10000)

/* ---- values ---- */

/* Without secrets; what is not UTF-8 becomes %XX; NULL is null. */
static json_t *
text_of(const struct bkp_told *told, const char *text)
{
	struct bkp_report_text fit = BKP_REPORT_TEXT_INIT;
	const char *written = NULL;
	json_t *value;

	if (text == NULL)
		return json_null();
	bkp_report_plain(&fit, text);
	if (fit.status == FMT_OK &&
	    bkp_secrets_remove(&told->secrets, &fit.buf, NULL) == 0)
		written = fmt_buf_text(&fit.buf);
	value = written != NULL ? json_string(written) : NULL;
	fmt_buf_free(&fit.buf);
	return value;
}

static json_t *
time_of(int64_t us)
{
	return us > 0 ? json_string(bkp_words_iso(us, 1).text) : json_null();
}

static json_t *
number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *
status_of(int status)
{
	return status >= 0 ? json_integer(status) : json_null();
}

static json_t *
state_of(enum bkp_job_state state)
{
	return state == BKP_JOB_NONE ? json_null()
				     : json_string(bkp_notice_word(state));
}

/* ---- parts ---- */

static json_t *
repository_json(const struct bkp_told *told,
    const struct bkp_job_repository *it, bool *failed)
{
	json_t *object = json_object();

	fmt_json_set(object, "name", text_of(told, it->name), failed);
	fmt_json_set(object, "location", text_of(told, it->location), failed);
	fmt_json_set(object, "state", state_of(it->state), failed);
	fmt_json_set(object, "snapshot", text_of(told, it->snapshot), failed);
	fmt_json_set(
	    object, "last_success", time_of(it->last_success_us), failed);
	fmt_json_set(
	    object, "last_complete", time_of(it->last_complete_us), failed);
	fmt_json_set(object, "last_proof", time_of(it->last_proof_us), failed);
	fmt_json_set(object, "last_prune", time_of(it->last_prune_us), failed);
	if (it->snapshot == NULL)
		return object;
	fmt_json_set(object, "bytes", number(it->bytes), failed);
	fmt_json_set(object, "stored_bytes", number(it->stored_bytes), failed);
	fmt_json_set(object, "entries", number(it->entries), failed);
	fmt_json_set(object, "omissions", number(it->omissions), failed);
	return object;
}

static json_t *
step_json(
    const struct bkp_told *told, const struct bkp_job_step *it, bool *failed)
{
	json_t *object = json_object();

	fmt_json_set(object, "name", text_of(told, it->name), failed);
	fmt_json_set(
	    object, "repository", text_of(told, it->repository), failed);
	fmt_json_set(object, "state", state_of(it->state), failed);
	fmt_json_set(object, "what", text_of(told, it->what), failed);
	fmt_json_set(object, "exit_status", status_of(it->exit_status), failed);
	fmt_json_set(object, "signal",
	    it->signal_number > 0 ? json_integer(it->signal_number)
				  : json_null(),
	    failed);
	fmt_json_set(object, "began", time_of(it->began_us), failed);
	fmt_json_set(object, "ended", time_of(it->ended_us), failed);
	fmt_json_set(object, "error", text_of(told, it->error), failed);
	return object;
}

static void
append(json_t *array, json_t *value, bool *failed)
{
	if (json_array_append_new(array, value) != 0)
		*failed = true;
}

/* The last lines. */
static json_t *
log_json(const struct bkp_told *told, const char *log)
{
	size_t len = log != NULL ? strlen(log) : 0;
	const char *cut;

	if (len > LOG_MAX) {
		cut = strchr(log + (len - LOG_MAX), '\n');
		log = cut != NULL ? cut + 1 : log + (len - LOG_MAX);
	}
	return text_of(told, log);
}

static void
set_run(const struct bkp_told *told, json_t *root, bool *failed)
{
	const struct bkp_job_report *report = told->report;
	bool is_over = report->state != BKP_JOB_RUNNING && !told->is_test;
	const char *log =
	    told->is_test ? bkp_notice_of_test : told->notice->log;

	fmt_json_set(
	    root, "event", json_string(bkp_notice_event(told)), failed);
	fmt_json_set(root, "job", text_of(told, report->job), failed);
	fmt_json_set(root, "host", text_of(told, told->host), failed);
	fmt_json_set(root, "run", text_of(told, told->notice->run_id), failed);
	fmt_json_set(root, "state", state_of(report->state), failed);
	fmt_json_set(root, "exit_status",
	    is_over ? status_of(report->exit_status) : json_null(), failed);
	fmt_json_set(root, "began", time_of(report->began_us), failed);
	fmt_json_set(root, "ended", time_of(report->ended_us), failed);
	fmt_json_set(
	    root, "sent", time_of((int64_t)time(NULL) * 1000000), failed);
	fmt_json_set(root, "error", text_of(told, report->error), failed);
	fmt_json_set(root, "log", log_json(told, log), failed);
}

static char *
make_json(const struct bkp_told *told)
{
	const struct bkp_job_report *report = told->report;
	json_t *root = json_object(), *repositories = json_array(),
	       *steps = json_array();
	bool failed = false;
	char *text = NULL;

	fmt_json_set(root, "type", json_string("run"), &failed);
	fmt_json_set(root, "version", json_integer(VERSION), &failed);
	fmt_json_set(
	    root, "program", json_string("libbackup " BKP_VERSION), &failed);
	set_run(told, root, &failed);
	for (size_t i = 0; i < report->repository_count; i++)
		append(repositories,
		    repository_json(told, &report->repositories[i], &failed),
		    &failed);
	for (size_t i = 0; i < report->step_count; i++)
		append(steps, step_json(told, &report->steps[i], &failed),
		    &failed);
	fmt_json_set(root, "repositories", repositories, &failed);
	fmt_json_set(root, "steps", steps, &failed);
	if (!failed && root != NULL)
		text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(root);
	return text;
}

/* ---- the signature ---- */

/* "Libbackup-Signature: sha256=<hex>", of the body as it is sent. */
static char *
sign(const char *key, const char *body, struct bkp_error *err)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1];
	unsigned len = 0;

	if (HMAC(EVP_sha256(), key, (int)strlen(key),
		(const unsigned char *)body, strlen(body), mac, &len) == NULL) {
		(void)bkp_fail(err, BKP_IO, "a webhook cannot be signed");
		return NULL;
	}
	for (unsigned i = 0; i < len; i++)
		(void)snprintf(hex + (size_t)2 * i, 3, "%02x", mac[i]);
	return bkp_format(err, "Libbackup-Signature: sha256=%s", hex);
}

int
bkp_notify_webhook(const struct bkp_notification_config *config,
    const struct bkp_told *told, struct bkp_error *err)
{
	struct bkp_post post = {.url = config->webhook,
	    .type = "application/json",
	    .headers = config->headers,
	    .ca_file = config->ca_file,
	    .timeout_ms = config->timeout_ms,
	    .cancel = told->cancel};
	char *body = make_json(told), *signature = NULL;
	int rc = -1;

	if (body == NULL)
		return bkp_fail_nomem(err, "telling of a run");
	if (config->signing_key == NULL ||
	    (signature = sign(config->signing_key, body, err)) != NULL) {
		post.more = signature;
		post.body = body;
		post.len = strlen(body);
		rc = bkp_post(&post, err);
	}
	free(signature);
	free(body);
	return rc;
}
