/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_VERSION_H
#define LIBBACKUP_VERSION_H

#include <libbackup/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version this header came with; a program can compare it with the one it
 * runs against. */
#define BKP_VERSION "0.1.0"

/* The version of the library at run time; static storage. */
BKP_API const char *bkp_version(void);

#ifdef __cplusplus
}
#endif

#endif
