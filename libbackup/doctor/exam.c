/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks in processes of their own. What they find comes back through a pipe,
 * one line of JSON each: {"begin": N} before the N-th check, then its symptoms.
 */
#include "libbackup/doctor/exam.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "formats/buf.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"
#include "libbackup/doctor/redact.h"

#define WAIT_MS 100
#define SEEN_MAX 2000

/* ---- in the process that checks ---- */

static int
send_line(struct bkp_exam *exam, json_t *line, struct bkp_error *err)
{
	char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
	int rc = 0;

	json_decref(line);
	if (text == NULL)
		return bkp_fail_nomem(err, "telling what was found");
	if (bkp_write_all(exam->pipe, text, strlen(text)) < 0 ||
	    bkp_write_all(exam->pipe, "\n", 1) < 0)
		rc = bkp_fail_errno(err, errno, "telling what was found");
	free(text);
	return rc;
}

/* What a server or a file system said need not be UTF-8. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if (((unsigned char)*text < ' ' && *text != BKP_NAME_BEGIN &&
			*text != BKP_NAME_END && *text != BKP_SAID_BEGIN &&
			*text != BKP_SAID_END) ||
		    (unsigned char)*text == 0x7f)
			*text = ' ';
}

static json_t *
text_of(const char *text)
{
	json_t *value = json_string(text);
	char *copy, *at;

	if (value != NULL || (copy = strdup(text)) == NULL)
		return value;
	for (at = copy; *at != '\0'; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

__attribute__((format(printf, 5, 0))) static int
tell(struct bkp_exam *exam, enum bkp_health health, const char *subject,
    const char *advice, const char *format, va_list ap, struct bkp_error *err)
{
	char seen[SEEN_MAX];

	if (health == BKP_HEALTH_ERROR)
		exam->has_failed = true;
	if (exam->is_silent)
		return 0;
	(void)vsnprintf(seen, sizeof(seen), format, ap);
	make_printable(seen);
	return send_line(exam,
	    json_pack("{s:s, s:i, s:o, s:o, s:o}", "id", exam->check, "health",
		(int)health, "subject",
		text_of(subject != NULL ? subject : exam->subject), "seen",
		text_of(seen), "advice", text_of(advice != NULL ? advice : "")),
	    err);
}

int
bkp_exam_tell(struct bkp_exam *exam, enum bkp_health health,
    const char *subject, const char *advice, struct bkp_error *err,
    const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = tell(exam, health, subject, advice, format, ap, err);
	va_end(ap);
	return rc;
}

int
bkp_exam_ok(
    struct bkp_exam *exam, struct bkp_error *err, const char *format, ...)
{
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = tell(exam, BKP_HEALTH_OK, NULL, NULL, format, ap, err);
	va_end(ap);
	return rc;
}

/* Whether the way in is open afterwards, where this is it. */
static bool
make_check(struct bkp_exam *exam, const struct bkp_exam_check *check)
{
	struct bkp_error error = BKP_ERROR_INIT;

	exam->check = check->id;
	exam->has_failed = exam->has_found = false;
	if (check->run(exam, &error) < 0)
		(void)bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL, NULL, NULL,
		    BKP_SAID, error.message);
	return !exam->has_failed;
}

/* Why a check is not made; NULL: it is. */
static const char *
reason_to_skip(
    const struct bkp_exam *exam, enum bkp_exam_need need, bool is_shut)
{
	if (need == BKP_EXAM_NONE)
		return NULL;
	if (exam->options->is_offline)
		return "not looked at: --offline";
	return is_shut && need != BKP_EXAM_APART
		   ? "not looked at: there is no way in"
		   : NULL;
}

/* Makes the checks from the `first` on. */
static void
make_checks(struct bkp_exam *exam, size_t first, bool is_shut)
{
	const struct bkp_exam_check *checks = exam->kind->checks;

	for (size_t i = 0; checks[i].id != NULL; i++) {
		const char *why = reason_to_skip(exam, checks[i].need, is_shut);
		bool is_door = checks[i].need == BKP_EXAM_DOOR;

		exam->check = checks[i].id;
		exam->is_silent = i < first;
		if (exam->is_silent && (!is_door || why != NULL))
			continue;
		if (!exam->is_silent &&
		    send_line(exam, json_pack("{s:i}", "begin", (int)i), NULL) <
			0)
			return;
		if (why != NULL)
			(void)bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL,
			    NULL, NULL, "%s", why);
		else if (!make_check(exam, &checks[i]) && is_door)
			is_shut = true;
	}
}

static void
be_examiner(struct bkp_exam *exam, size_t first, bool is_shut)
{
	/* Nobody else would end it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	exam->state = calloc(1, exam->kind->room + 1);
	if (exam->state == NULL)
		_exit(1);
	/* This process has a configuration of its own. */
	if (exam->repository != NULL &&
	    bkp_config_use_repository(
		exam->options->config, exam->repository, NULL) < 0)
		_exit(1);
	make_checks(exam, first, is_shut);
	if (exam->kind->close != NULL)
		exam->kind->close(exam);
	_exit(0);
}

/* ---- in the process that asked ---- */

struct watch {
	struct bkp_exam *exam;
	bkp_exam_take_fn *take;
	void *arg;
	pid_t pid;
	int pipe;
	struct fmt_buf unread;
	size_t current;    /* the check that is made */
	uint64_t begun_ms; /* since when */
	bool is_shut;      /* the way in */
	bool has_ended;    /* the pipe */
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
take_symptom(struct watch *watch, json_t *line, struct bkp_error *err)
{
	struct bkp_symptom symptom = {
	    .id = json_string_value(json_object_get(line, "id")),
	    .subject = json_string_value(json_object_get(line, "subject")),
	    .seen = json_string_value(json_object_get(line, "seen")),
	    .advice = json_string_value(json_object_get(line, "advice")),
	    .health = (enum bkp_health)json_integer_value(
		json_object_get(line, "health"))};

	if (symptom.health == BKP_HEALTH_ERROR &&
	    watch->exam->kind->checks[watch->current].need == BKP_EXAM_DOOR)
		watch->is_shut = true;
	return watch->take(watch->arg, &symptom, err);
}

static int
take_line(
    struct watch *watch, const char *text, size_t len, struct bkp_error *err)
{
	json_t *line = json_loadb(text, len, 0, NULL);
	json_t *begin = json_object_get(line, "begin");
	int rc = 0;

	if (json_is_integer(begin)) {
		watch->current = (size_t)json_integer_value(begin);
		watch->begun_ms = now_ms();
	} else if (json_object_get(line, "id") != NULL) {
		rc = take_symptom(watch, line, err);
	}
	json_decref(line);
	return rc;
}

static int
take_lines(struct watch *watch, struct bkp_error *err)
{
	struct fmt_buf *unread = &watch->unread;
	unsigned char *end;

	while (unread->len > 0 &&
	       (end = memchr(unread->data, '\n', unread->len)) != NULL) {
		size_t len = (size_t)(end - unread->data);

		if (take_line(watch, (char *)unread->data, len, err) < 0)
			return -1;
		unread->len -= len + 1;
		memmove(unread->data, end + 1, unread->len);
	}
	return 0;
}

static int
read_some(struct watch *watch, struct bkp_error *err)
{
	struct pollfd waiting = {.fd = watch->pipe, .events = POLLIN};
	char bytes[4096];
	ssize_t n;

	if (poll(&waiting, 1, WAIT_MS) <= 0)
		return 0;
	n = read(watch->pipe, bytes, sizeof(bytes));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0) {
		watch->has_ended = true;
		return 0;
	}
	if (fmt_buf_append(&watch->unread, bytes, (size_t)n) != FMT_OK)
		return bkp_fail_nomem(err, "reading what was found");
	return take_lines(watch, err);
}

static int
start(struct watch *watch, size_t first, struct bkp_error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return bkp_fail_errno(err, errno, "making a pipe");
	watch->current = first;
	watch->has_ended = false;
	watch->begun_ms = now_ms();
	watch->pid = fork();
	if (watch->pid == 0) {
		(void)close(ends[0]);
		watch->exam->pipe = ends[1];
		be_examiner(watch->exam, first, watch->is_shut);
	}
	(void)close(ends[1]);
	if (watch->pid < 0) {
		(void)close(ends[0]);
		return bkp_fail_errno(err, errno, "making a process");
	}
	watch->pipe = ends[0];
	return 0;
}

/* What became of a check that said nothing to its end. */
static int
take_failure(struct watch *watch, enum bkp_health health, const char *seen,
    struct bkp_error *err)
{
	const struct bkp_exam_check *check =
	    &watch->exam->kind->checks[watch->current];
	struct bkp_symptom symptom = {.id = check->id,
	    .health = health,
	    .subject = watch->exam->subject,
	    .seen = seen,
	    .advice = "look whether what it asks is overloaded, or hangs; "
		      "--time-limit gives it more time"};

	if (check->need == BKP_EXAM_DOOR)
		watch->is_shut = true;
	return watch->take(watch->arg, &symptom, err);
}

static int
finish(struct watch *watch, bool is_late, size_t *next, struct bkp_error *err)
{
	const struct bkp_exam_check *checks = watch->exam->kind->checks;
	char seen[120];
	int status = 0;

	if (is_late)
		(void)kill(watch->pid, SIGKILL);
	while (waitpid(watch->pid, &status, 0) < 0 && errno == EINTR)
		;
	watch->pid = -1;
	(void)close(watch->pipe);
	watch->pipe = -1;
	*next = watch->current + 1;
	if (is_late) {
		(void)snprintf(seen, sizeof(seen),
		    "no answer within %llu seconds",
		    (unsigned long long)(watch->exam->limit_ms + 999) / 1000);
		return take_failure(watch, BKP_HEALTH_ERROR, seen, err);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		while (checks[*next].id != NULL)
			(*next)++;
		return 0;
	}
	if (WIFSIGNALED(status))
		(void)snprintf(seen, sizeof(seen),
		    "the check itself was ended by signal %d",
		    WTERMSIG(status));
	else
		(void)snprintf(seen, sizeof(seen),
		    "the check itself ended with status %d",
		    WEXITSTATUS(status));
	return take_failure(watch, BKP_HEALTH_ERROR, seen, err);
}

/* One process, to its end or until a check is late. */
static int
watch_process(struct watch *watch, size_t *next, struct bkp_error *err)
{
	const struct bkp_doctor_options *options = watch->exam->options;
	uint64_t limit = watch->exam->limit_ms;
	bool is_late = false;

	while (!watch->has_ended && !is_late) {
		if (options->cancel != NULL &&
		    bkp_cancel_is_requested(options->cancel))
			return bkp_fail(err, BKP_CANCELLED,
			    "stopped before everything was looked at");
		if (read_some(watch, err) < 0)
			return -1;
		is_late =
		    !watch->has_ended && now_ms() - watch->begun_ms > limit;
	}
	return finish(watch, is_late, next, err);
}

int
bkp_exam_run(struct bkp_exam *exam, bkp_exam_take_fn *take, void *arg,
    struct bkp_error *err)
{
	struct watch watch = {.exam = exam,
	    .take = take,
	    .arg = arg,
	    .pid = -1,
	    .pipe = -1,
	    .unread = FMT_BUF_INIT};
	size_t next = 0;
	int rc = 0;

	while (rc == 0 && exam->kind->checks[next].id != NULL) {
		fmt_buf_clear(&watch.unread);
		rc = start(&watch, next, err);
		if (rc == 0)
			rc = watch_process(&watch, &next, err);
	}
	if (watch.pid > 0) {
		(void)kill(watch.pid, SIGKILL);
		while (waitpid(watch.pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (watch.pipe >= 0)
		(void)close(watch.pipe);
	fmt_buf_free(&watch.unread);
	return rc;
}
