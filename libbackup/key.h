/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_KEY_H
#define LIBBACKUP_KEY_H

#include <libbackup/error.h>
#include <libbackup/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a new age identity (X25519) for an administrator, writes it to a file
 * that must not exist (mode 0600, in age-keygen's form), and gives the
 * recipient text "age1..." (63 bytes with its NUL).
 */
BKP_API int bkp_identity_create(
    const char *path, char recipient[63], struct bkp_error *err);

#ifdef __cplusplus
}
#endif

#endif
