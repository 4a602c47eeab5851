/* SPDX-License-Identifier: Apache-2.0 */
/* Those who are told of runs: where that goes wrong the backup is made all the
 * same, and only its warning says so, to those who are not told. */
#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/config_fields.h"
#include "libbackup/base/fail.h"
#include "libbackup/doctor/exam.h"
#include "libbackup/doctor/redact.h"

/* ---- metrics ---- */

static char *
folder_of(const char *file, struct bkp_error *err)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		return bkp_strdup(".", err);
	return bkp_format(
	    err, "%.*s", slash > file ? (int)(slash - file) : 1, file);
}

/* NULL: it can be replaced. The folder is locked, and takes a new file each
 * time; what the file says of other jobs is read before. */
static const char *
reason_against(const char *folder, const char *file)
{
	struct stat st;

	if (stat(folder, &st) < 0)
		return strerror(errno);
	if (!S_ISDIR(st.st_mode))
		return strerror(ENOTDIR);
	if (access(folder, R_OK | W_OK | X_OK) < 0)
		return strerror(errno);
	if (stat(file, &st) < 0)
		return errno == ENOENT ? NULL : strerror(errno);
	if (S_ISDIR(st.st_mode))
		return strerror(EISDIR);
	return access(file, R_OK) < 0 ? "this user may not read the file"
				      : NULL;
}

int
bkp_exam_metrics(struct bkp_exam *exam, struct bkp_error *err)
{
	const char *file = exam->config->metrics_file, *why;
	char *folder;
	int rc = 0;

	if (file == NULL)
		return 0;
	if ((folder = folder_of(file, err)) == NULL)
		return -1;
	if ((why = reason_against(folder, file)) != NULL) {
		exam->has_found = true;
		rc = bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "make the folder, and let the user who runs backups write "
		    "there, or correct the path: a monitor sees nothing of "
		    "runs until then",
		    err, "metrics_file " BKP_NAMED " cannot be written: %s",
		    file, why);
	}
	free(folder);
	return rc;
}

/* ---- notifications ---- */

static int
warn(struct bkp_exam *exam, const struct bkp_notification_config *it,
    const char *advice, const char *what, const char *name, const char *why,
    struct bkp_error *err)
{
	exam->has_found = true;
	return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL, advice, err,
	    "nobody would be told by the notification of line %u: %s " BKP_NAMED
	    ": %s",
	    it->line, what, name, why);
}

/* The caller frees by curl_free; NULL: the address has none. */
static char *
host_of(const char *address)
{
	CURLU *url = curl_url();
	char *host = NULL;
	size_t len;

	if (url != NULL &&
	    curl_url_set(url, CURLUPART_URL, address, 0) == CURLUE_OK)
		(void)curl_url_get(url, CURLUPART_HOST, &host, 0);
	curl_url_cleanup(url);
	len = host != NULL ? strlen(host) : 0;
	if (len > 2 && host[0] == '[') {
		memmove(host, host + 1, len - 2);
		host[len - 2] = '\0';
	}
	return host;
}

/* Then it is the proxy that looks for hosts. */
static bool
has_proxy(void)
{
	static const char *const names[] = {"http_proxy", "https_proxy",
	    "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};

	for (size_t i = 0; names[i] != NULL; i++)
		if (getenv(names[i]) != NULL && *getenv(names[i]) != '\0')
			return true;
	return false;
}

static int
look_for_host(struct bkp_exam *exam, const struct bkp_notification_config *it,
    const char *address, struct bkp_error *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	char *host = host_of(address);
	int code, rc = 0;

	if (host != NULL &&
	    (code = getaddrinfo(host, NULL, &hints, &found)) != 0)
		rc = warn(exam, it,
		    "correct the address, or look at the name service of this "
		    "machine",
		    "host", host, gai_strerror(code), err);
	if (found != NULL)
		freeaddrinfo(found);
	curl_free(host);
	return rc;
}

static int
look_at_one(struct bkp_exam *exam, const struct bkp_notification_config *it,
    struct bkp_error *err)
{
	const char *address = it->ping != NULL ? it->ping : it->webhook;

	if (it->lack[0] != '\0') {
		exam->has_found = true;
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "put the file there, or set the variable where backups "
		    "run",
		    err,
		    "nobody would be told by the notification of line %u: "
		    "%s",
		    it->line, it->lack);
	}
	if (it->mail.count > 0 && it->sendmail != NULL &&
	    access(it->sendmail, X_OK) < 0)
		return warn(exam, it,
		    "install one that has it (Debian: postfix, msmtp-mta, "
		    "nullmailer), or name it with 'sendmail'",
		    "mailer", it->sendmail, strerror(errno), err);
	if (it->ca_file != NULL && access(it->ca_file, R_OK) < 0)
		return warn(exam, it,
		    "put the certificates there, or correct the path",
		    "ca_file", it->ca_file, strerror(errno), err);
	if (address == NULL || exam->options->is_offline || has_proxy())
		return 0;
	return look_for_host(exam, it, address, err);
}

static int
look_at_all(struct bkp_exam *exam, const struct bkp_notifications *all,
    size_t *count, struct bkp_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < all->count; i++, (*count)++)
		rc = look_at_one(exam, &all->items[i], err);
	return rc;
}

int
bkp_exam_notifications(struct bkp_exam *exam, struct bkp_error *err)
{
	const struct bkp_config *config = exam->config;
	size_t count = 0;
	int rc;

	if (config == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_SKIPPED, NULL, NULL, err,
		    "the configuration could not be read");
	/* In this process, which is ended at a limit that holds for all. */
	(void)setenv("RES_OPTIONS", "timeout:3 attempts:2", 0);
	rc = look_at_all(exam, &config->notifications, &count, err);
	for (size_t i = 0;
	     rc == 0 && config->chosen_job == NULL && i < config->job_count;
	     i++)
		rc = look_at_all(
		    exam, &config->jobs[i].values->notifications, &count, err);
	if (rc == 0 && !exam->has_found)
		rc = bkp_exam_ok(exam, err, "%zu %s looked at%s", count,
		    count == 1 ? "notification was" : "notifications were",
		    exam->options->is_offline && count > 0
			? ", and no host was looked for: --offline"
			: "");
	return rc;
}
