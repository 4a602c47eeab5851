/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/counted.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct bkp_counted
bkp_counted(uint64_t count, const char *noun)
{
	struct bkp_counted counted;
	size_t len = strlen(noun);
	int is_y = count != 1 && len > 1 && noun[len - 1] == 'y' &&
		   strchr("aeiou", noun[len - 2]) == NULL;

	(void)snprintf(counted.text, sizeof(counted.text), "%" PRIu64 " %.*s%s",
	    count, (int)(is_y ? len - 1 : len), noun,
	    count == 1 ? ""
	    : is_y     ? "ies"
		       : "s");
	return counted;
}

const char *
bkp_are(uint64_t count)
{
	return count == 1 ? "is" : "are";
}

const char *
bkp_were(uint64_t count)
{
	return count == 1 ? "was" : "were";
}
