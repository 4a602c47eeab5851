/* SPDX-License-Identifier: Apache-2.0 */
/* The machine that the backups run on. */
#include <archive.h>
#include <curl/curl.h>
#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "formats/buf.h"
#include "libbackup/base/place.h"
#include "libbackup/doctor/exam.h"
#include "libbackup/doctor/redact.h"
#include "libbackup/doctor/starter.h"
#include "libbackup/s3/libs3.h"
#include "libbackup/version.h"

#define PATH_SIZE 4096
#define MIB ((uint64_t)1024 * 1024)
#define YEAR_BUILT 2026 /* no clock that is right is before this */

static int
check_versions(struct bkp_exam *exam, struct bkp_error *err)
{
	const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
	int pq = PQlibVersion();

	return bkp_exam_ok(exam, err,
	    "libbackup %s, libpq %d.%d, zstd %s, %s, %s, libcurl %s, libs3 %s",
	    bkp_version(), pq / 10000, pq % 10000, ZSTD_versionString(),
	    OpenSSL_version(OPENSSL_VERSION), archive_version_string(),
	    curl != NULL ? curl->version : "unknown",
	    bkp_s3_libs3_is_built() ? "built in" : "none");
}

static int
check_clock(struct bkp_exam *exam, struct bkp_error *err)
{
	struct timex state = {.modes = 0};
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL || tm.tm_year + 1900 < YEAR_BUILT)
		return bkp_exam_tell(exam, BKP_HEALTH_ERROR, NULL,
		    "set the clock; retention and ages go by it", err,
		    "the clock of this machine tells a time before %d",
		    YEAR_BUILT);
	if (adjtimex(&state) == TIME_ERROR)
		return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
		    "let an NTP client keep it (systemd-timesyncd, chrony), or "
		    "be sure that the host of this container does",
		    err, "the kernel does not know its clock to be kept");
	return bkp_exam_ok(exam, err, "the clock is kept");
}

/* ---- places ---- */

typedef char *place_fn(const char *below, struct bkp_error *err);

static int
check_place(struct bkp_exam *exam, place_fn *place, const char *what,
    const char *why, struct bkp_error *err)
{
	struct bkp_error reason = BKP_ERROR_INIT;
	char *path = place(NULL, &reason);
	int rc;

	if (path == NULL)
		return bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL, why, err,
		    "no place for %s: %s", what, reason.message);
	if (access(path, W_OK) < 0)
		rc = bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL, why, err,
		    BKP_NAMED ", the place for %s, takes no files", path, what);
	else if (bkp_place_room(path) < 256 * MIB)
		rc = bkp_exam_tell(exam, BKP_HEALTH_WARNING, NULL,
		    "make room, or name another folder; backup.yaml(5) tells "
		    "how",
		    err, BKP_NAMED ", the place for %s, has %llu MiB left",
		    path, what,
		    (unsigned long long)(bkp_place_room(path) / MIB));
	else
		rc = bkp_exam_ok(exam, err,
		    "%s is in " BKP_NAMED ", with %llu MiB left", what, path,
		    (unsigned long long)(bkp_place_room(path) / MIB));
	free(path);
	return rc;
}

static int
check_state(struct bkp_exam *exam, struct bkp_error *err)
{
	return check_place(exam, bkp_state_directory, "what was seen",
	    "without it a repository that is put back to an earlier state is "
	    "not found out; set BACKUP_STATE_DIR to a folder that lasts",
	    err);
}

static int
check_cache(struct bkp_exam *exam, struct bkp_error *err)
{
	return check_place(exam, bkp_cache_directory, "the cache",
	    "without it tables that changed a little are stored again whole; "
	    "set BACKUP_CACHE_DIR to a folder that lasts",
	    err);
}

/* ---- who starts it ---- */

static int
check_schedule(struct bkp_exam *exam, struct bkp_error *err)
{
	char found[PATH_SIZE];

	if (bkp_exam_starter("", found, sizeof(found)))
		return bkp_exam_ok(
		    exam, err, "backups are started by " BKP_NAMED, found);
	return bkp_exam_tell(exam, BKP_HEALTH_NOTE, NULL,
	    "a systemd timer, a cron line, or whatever starts things here "
	    "should run it every night",
	    err, "nothing was found that starts backups by itself");
}

static const struct bkp_exam_check checks[] = {
    {"versions", check_versions, BKP_EXAM_NONE},
    {"clock", check_clock, BKP_EXAM_NONE},
    {"state-directory", check_state, BKP_EXAM_NONE},
    {"cache-directory", check_cache, BKP_EXAM_NONE},
    {"schedule", check_schedule, BKP_EXAM_NONE},
    {NULL, NULL, BKP_EXAM_NONE},
};

const struct bkp_exam_kind bkp_exam_host = {checks, 0, NULL};
