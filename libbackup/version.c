/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/version.h"

const char *
bkp_version(void)
{
	return BKP_VERSION;
}
