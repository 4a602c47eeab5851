/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_FAILING_ALLOC_H
#define TESTS_UNIT_FAILING_ALLOC_H

/*
 * Makes the n-th allocation of our own code fail. A test program that uses it
 * adds failing_alloc.c to its sources and WRAP_ALLOC_FLAGS to its
 * LDFLAGS, which lead the calls of all that is linked in statically here.
 *
 *     for (int n = 0; ; n++) {
 *             failing_alloc_at(n);
 *             rc = the_call(...);
 *             if (!failing_alloc_end())
 *                     break;          (it needed fewer than n)
 *             assert_int_equal(rc, -1);
 *     }
 */

#include <stdbool.h>

/* Lets `n` allocations of this thread succeed and every later one fail. */
void failing_alloc_at(int n);

/* Back to normal; true where one was made to fail. */
bool failing_alloc_end(void);

/* The same for operations that have threads of their own: `n` allocations of
 * the whole process succeed and the next one alone fails, so that what is done
 * about it has memory. Returns whether one failed so far. */
void failing_alloc_once_at(unsigned n);
bool failing_alloc_once_end(void);

#endif
