/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_STORE_STORE_FAULT_H
#define LIBBACKUP_STORE_STORE_FAULT_H

/*
 * A decorator for tests: makes a chosen call of the store below it fail, so
 * that "the n-th call fails" can be tried for every n.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libbackup/store/store.h"

/*
 * What is to fail, and how many calls there were. The test owns it, keeps it
 * longer than the store and may change it between calls. Calls are counted
 * from 1; a listing counts once.
 */
struct bkp_store_fault {
	_Atomic uint64_t calls;
	uint64_t fail_at;      /* this call fails with BKP_IO; 0: none */
	bool is_effect_done;   /* the call works and its answer is lost */
	bool is_killed_after;  /* every later call fails too (without effect),
				  as for a process that was killed */
	bool only_changes;     /* calls that change nothing are not counted:
				  what a killed process leaves does not
				  depend on them */
	void (*strike)(void);  /* called where the call fails, before or after
				  its effect; may end the process, as if it
				  had been killed; NULL: nothing is called */
	_Atomic uint64_t hits; /* calls that failed */
};

#define BKP_STORE_FAULT_INIT                                                   \
	{                                                                      \
		0, 0, false, false, false, NULL, 0                             \
	}

/* Takes `inner`, also on failure. */
int bkp_store_fault_new(struct bkp_store *inner, struct bkp_store_fault *fault,
    struct bkp_store **out, struct bkp_error *err);

#endif
