/* SPDX-License-Identifier: Apache-2.0 */
/* The file for a monitor, read and replaced. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/jobs/metrics.h"
#include "libbackup/operations/report_save.h"

#define LOCK_TRIES 100 /* of a tenth of a second */
#define MODE 0644      /* a monitor is somebody else */

void
bkp_metrics_free(struct bkp_metrics *metrics)
{
	for (size_t i = 0; i < metrics->count; i++) {
		free(metrics->items[i].name);
		free(metrics->items[i].job);
		free(metrics->items[i].repository);
		free(metrics->items[i].config);
		free(metrics->items[i].value);
	}
	free(metrics->items);
	memset(metrics, 0, sizeof(*metrics));
}

/* ---- reading ---- */

/* The value of a label behind its first quote; *at goes behind the last. NULL
 * where there is none or no memory. */
static char *
read_quoted(const char **at)
{
	char *value = malloc(strlen(*at) + 1), *to = value;
	const char *from = *at;

	if (value == NULL)
		return NULL;
	for (; *from != '"'; from++) {
		if (*from == '\0' || *from == '\n') {
			free(value);
			return NULL;
		}
		if (*from == '\\' && from[1] != '\0') {
			from++;
			*to++ = *from;
			if (*from == 'n')
				to[-1] = '\n';
			continue;
		}
		*to++ = *from;
	}
	*to = '\0';
	*at = from + 1;
	return value;
}

static char **
slot_of(struct bkp_metric *line, const char *label, size_t len)
{
	if (len == 10 && memcmp(label, "backup_job", len) == 0)
		return &line->job;
	if (len == 6 && memcmp(label, "config", len) == 0)
		return &line->config;
	if (len == 10 && memcmp(label, "repository", len) == 0)
		return &line->repository;
	return NULL;
}

/* {backup_job="a",repository="b"}: labels of ours, each once. */
static bool
read_labels(struct bkp_metric *line, const char **at)
{
	while (**at == '{' || **at == ',') {
		const char *label = ++*at;
		size_t len = strcspn(label, "=\"\n");
		char **slot = slot_of(line, label, len);

		if (slot == NULL || *slot != NULL ||
		    strncmp(label + len, "=\"", 2) != 0)
			return false;
		*at = label + len + 2;
		if ((*slot = read_quoted(at)) == NULL)
			return false;
	}
	return line->job != NULL && strncmp(*at, "} ", 2) == 0;
}

/* One that begins as ours do. */
static bool
read_line(struct bkp_metric *line, const char *at, const char *end)
{
	size_t len = strcspn(at, "{ \n");

	if (strncmp(at, "libbackup_", 10) != 0 ||
	    strncmp(at, "libbackup_verify_", 17) == 0 ||
	    (line->name = strndup(at, len)) == NULL)
		return false;
	at += len;
	if (*at != '{' || !read_labels(line, &at))
		return false;
	at += 2;
	len = (size_t)(end - at);
	if (len == 0 || len != strspn(at, "0123456789.+-eE"))
		return false;
	return (line->value = strndup(at, len)) != NULL;
}

int
bkp_metrics_parse(
    const char *text, struct bkp_metrics *out, struct bkp_error *err)
{
	unsigned number = 0;

	while (*text != '\0') {
		const char *end = strchrnul(text, '\n');

		number++;
		if (end > text && *text != '#') {
			if (bkp_grow(&out->items, out->count, &out->cap,
				sizeof(*out->items), err) < 0)
				return -1;
			memset(&out->items[out->count], 0, sizeof(*out->items));
			if (!read_line(&out->items[out->count++], text, end))
				return bkp_fail(err, BKP_INVALID,
				    "line %u is not of a job of ours; give "
				    "'metrics_file' a name of its own, or "
				    "remove the file where it is spoilt",
				    number);
		}
		text = *end == '\n' ? end + 1 : end;
	}
	return 0;
}

/* ---- the lock ---- */

/* Of the folder, in which no file has to be made for that. */
static int
lock_folder_of(const char *file, struct bkp_error *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	const char *slash = strrchr(file, '/');
	char *folder = slash == NULL   ? strdup(".")
		       : slash == file ? strdup("/")
				       : strndup(file, (size_t)(slash - file));
	int fd = -1, error;

	if (folder == NULL)
		return bkp_fail_nomem(err, "writing metrics");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error = errno;
	for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		error = errno;
		if ((error == EWOULDBLOCK || error == EINTR) &&
		    i < LOCK_TRIES) {
			(void)nanosleep(&pause, NULL);
			continue;
		}
		(void)close(fd);
		fd = -1;
	}
	if (fd < 0)
		(void)bkp_fail_errno(err, error,
		    error == EWOULDBLOCK
			? "another process holds the lock of %s"
			: "opening the folder %s",
		    folder);
	free(folder);
	return fd;
}

/* ---- replacing ---- */

static int
load(const char *file, struct bkp_metrics *out, struct bkp_error *err)
{
	struct fmt_buf buf = FMT_BUF_INIT;
	const char *text = NULL;
	int rc = 0;

	if (access(file, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (bkp_report_file_read(file, &buf) < 0)
		rc = bkp_fail(err, BKP_IO,
		    "it cannot be read, and what it says of other jobs would "
		    "be lost");
	else if ((text = fmt_buf_text(&buf)) == NULL)
		rc = bkp_fail_nomem(err, "reading metrics");
	else if (strlen(text) != buf.len)
		rc = bkp_fail(err, BKP_INVALID,
		    "it holds NUL bytes; remove it where it is spoilt");
	else
		rc = bkp_metrics_parse(text, out, err);
	fmt_buf_free(&buf);
	return rc;
}

int
bkp_metrics_replace(const char *file, const struct bkp_metrics_jobs *jobs,
    const struct bkp_notice *notice, struct bkp_error *err)
{
	struct bkp_metrics old = {.items = NULL};
	struct fmt_buf text = FMT_BUF_INIT;
	int rc = -1, lock = lock_folder_of(file, err);

	if (lock >= 0 && load(file, &old, err) == 0 &&
	    bkp_metrics_text(jobs, notice, &old, &text, err) == 0)
		rc = bkp_report_file_write_mode(
		    file, MODE, text.data, text.len, err);
	if (lock >= 0)
		(void)close(lock);
	fmt_buf_free(&text);
	bkp_metrics_free(&old);
	return rc == 0 ? 0 : bkp_fail_in(err, "writing metrics to %s", file);
}
