/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/tree.h"

#include <ftw.h>
#include <stdio.h>

#define DESCRIPTORS 32 /* open folders at the most */

static int
remove_one(
    const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	(void)remove(path); /* the rest still goes */
	return 0;
}

void
bkp_tree_remove(const char *path)
{
	if (path != NULL)
		(void)nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}
