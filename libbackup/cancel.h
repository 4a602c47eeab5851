/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_CANCEL_H
#define LIBBACKUP_CANCEL_H

#include <libbackup/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A request to stop, shared by the application (often a signal handler) and a
 * running operation. Setting it is async-signal-safe. The operation cleans up
 * (scratch clusters, temporary files, open uploads) and fails with
 * BKP_CANCELLED.
 */
struct bkp_cancel {
	int is_set; /* through the two calls below only */
};

#define BKP_CANCEL_INIT {0}

/* Asks to stop. From any thread or signal handler. */
BKP_API void bkp_cancel_request(struct bkp_cancel *cancel);

/* 1 where somebody asked; NULL is never cancelled. */
BKP_API int bkp_cancel_is_requested(const struct bkp_cancel *cancel);

#ifdef __cplusplus
}
#endif

#endif
