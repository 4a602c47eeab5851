/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_EVENTS_H
#define LIBBACKUP_EVENTS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What a running operation tells. All callbacks come from the thread that
 * called the operation, never from a worker; the texts are borrowed until the
 * callback returns and never hold a secret.
 */

enum bkp_level {
	BKP_INFO,    /* a step of the story: "postgres/app: 12 tables" */
	BKP_WARNING, /* something to look at that lost nothing */
	BKP_OMISSION /* something named was left out: the run is degraded */
};

struct bkp_progress {
	const char *phase;   /* "backing up postgres/app" */
	uint64_t bytes_done; /* plaintext bytes */
	uint64_t bytes_total; /* 0 where nobody knows */
	uint64_t items_done;
	uint64_t items_total; /* 0 where nobody knows */
	uint64_t elapsed_ms;  /* since this phase began */
};

struct bkp_events {
	void *arg;
	/* A line for people; `path` names the entry or thing, or is NULL. */
	void (*message)(void *arg, enum bkp_level level, const char *path,
	    const char *text);
	/* About five times a second while something runs. */
	void (*progress)(void *arg, const struct bkp_progress *progress);
};

#define BKP_EVENTS_INIT {0, 0, 0}

#ifdef __cplusplus
}
#endif

#endif
