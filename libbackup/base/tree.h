/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_TREE_H
#define LIBBACKUP_BASE_TREE_H

/* Removes a folder of ours and all below it, as far as that goes, without
 * following links. NULL is fine. */
void bkp_tree_remove(const char *path);

#endif
