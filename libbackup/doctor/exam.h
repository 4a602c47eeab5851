/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_EXAM_H
#define LIBBACKUP_DOCTOR_EXAM_H

/*
 * One thing that is looked at (a server, a bucket, the repository) and the
 * checks that are made of it, in their order, by a process of its own. Where a
 * check hangs or crashes, that is what was found, and a new process goes on
 * with the next one.
 */

#include <stdbool.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/doctor.h"

struct bkp_exam;

/* -1: the check could not be made, which is an error among the findings. */
typedef int bkp_exam_fn(struct bkp_exam *exam, struct bkp_error *err);

enum bkp_exam_need {
	BKP_EXAM_NONE,   /* asks nobody: made offline, too */
	BKP_EXAM_APART,  /* finds its own way */
	BKP_EXAM_INSIDE, /* needs all doors before it */
	BKP_EXAM_DOOR    /* so, and is one: it is gone through again by each
			    process, and where it is shut, what needs it is
			    skipped */
};

struct bkp_exam_check {
	const char *id; /* NULL ends the list */
	bkp_exam_fn *run;
	enum bkp_exam_need need;
};

struct bkp_exam_kind {
	const struct bkp_exam_check *checks;
	size_t room;                          /* for `state`, zeroed */
	void (*close)(struct bkp_exam *exam); /* may be NULL */
};

struct bkp_exam {
	const struct bkp_exam_kind *kind;
	const char *subject;    /* "postgres/app" */
	const char *repository; /* the name of the one to use; NULL: as is */
	const struct bkp_doctor_options *options;
	uint64_t limit_ms;                      /* of each check */
	const struct bkp_config *config;        /* NULL: there is none */
	const struct bkp_source_config *source; /* of one, or NULL */
	void *state;                            /* the kind's own */
	const char *check; /* the id of the one that is made */
	int pipe;          /* to whoever asked */
	bool is_silent;    /* it was told before */
	bool has_failed;   /* this check found an error */
	bool has_found;    /* for a check's own use; false when it begins */
};

/* For checks: what was found. `subject` NULL: the exam's; advice NULL: none is
 * needed. */
int bkp_exam_tell(struct bkp_exam *exam, enum bkp_health health,
    const char *subject, const char *advice, struct bkp_error *err,
    const char *format, ...) __attribute__((format(printf, 6, 7)));
int bkp_exam_ok(struct bkp_exam *exam, struct bkp_error *err,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Takes each symptom; -1 ends it. */
typedef int bkp_exam_take_fn(
    void *arg, const struct bkp_symptom *symptom, struct bkp_error *err);

/* Makes all checks of an exam. */
int bkp_exam_run(struct bkp_exam *exam, bkp_exam_take_fn *take, void *arg,
    struct bkp_error *err);

/* Whether one of `repositories` or `jobs` says something of its own there. */
struct config_field;
bool bkp_exam_is_said(const struct config_field *fields,
    const struct bkp_named_config *named, const char *key);

/* Whether who is to be told of runs will be: a monitor's file, notifications.
 * Without it backups go on, and nobody hears of them. (told.c) */
int bkp_exam_metrics(struct bkp_exam *exam, struct bkp_error *err);
int bkp_exam_notifications(struct bkp_exam *exam, struct bkp_error *err);

/* ---- the kinds ---- */

extern const struct bkp_exam_kind bkp_exam_host;       /* host.c */
extern const struct bkp_exam_kind bkp_exam_configured; /* configured.c */
extern const struct bkp_exam_kind bkp_exam_repository; /* repository.c */
extern const struct bkp_exam_kind bkp_exam_database;   /* database.c */
extern const struct bkp_exam_kind bkp_exam_bucket;     /* bucket.c */

#endif
