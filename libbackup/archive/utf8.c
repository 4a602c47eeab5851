/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/archive/utf8.h"

locale_t
bkp_utf8_locale(void)
{
	return newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

locale_t
bkp_utf8_enter(locale_t locale)
{
	return locale != (locale_t)0 ? uselocale(locale) : (locale_t)0;
}

void
bkp_utf8_leave(locale_t before)
{
	if (before != (locale_t)0)
		(void)uselocale(before);
}
