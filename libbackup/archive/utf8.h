/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_ARCHIVE_UTF8_H
#define LIBBACKUP_ARCHIVE_UTF8_H

/*
 * libarchive takes names to be in the locale's encoding, and ours are in UTF-8
 * whatever the process was started with: calls to it that look at names stand
 * between these two. Where there is no such locale, names are as they were.
 */

#include <locale.h>

/* A locale to enter; 0 where the system has none. freelocale() takes it. */
locale_t bkp_utf8_locale(void);

/* Enters it on this thread; what it returns is to be left again. */
locale_t bkp_utf8_enter(locale_t locale);
void bkp_utf8_leave(locale_t before);

#endif
