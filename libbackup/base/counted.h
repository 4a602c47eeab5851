/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_COUNTED_H
#define LIBBACKUP_BASE_COUNTED_H

/*
 * Numbers of things in sentences: "1 pack is", "2 packs are". What is returned
 * lives until the end of the statement that asks for it:
 *
 *     bkp_fail(err, BKP_CORRUPT, "%s %s missing",
 *         bkp_counted(n, "pack").text, bkp_are(n));
 */

#include <stdint.h>

struct bkp_counted {
	char text[64];
};

/* "1 pack", "0 packs", "2 entries"; `noun` in the singular. */
struct bkp_counted bkp_counted(uint64_t count, const char *noun);

const char *bkp_are(uint64_t count);  /* "is", "are" */
const char *bkp_were(uint64_t count); /* "was", "were" */

#endif
