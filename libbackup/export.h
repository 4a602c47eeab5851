/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_EXPORT_H
#define LIBBACKUP_EXPORT_H

/* Marks what the shared library exports; everything else is hidden. The same
 * names stand in libbackup.sym, and a test compares the two. */
#if defined(__GNUC__)
#define BKP_API __attribute__((visibility("default")))
#else
#define BKP_API
#endif

#endif
