/* SPDX-License-Identifier: Apache-2.0 */
/* In place of parity_shards.c where there is no ISA-L. */
#include "formats/parity.h"

bool
fmt_parity_is_available(void)
{
	return false;
}

enum fmt_status
fmt_parity_make(
    const void *object, size_t len, unsigned percent, struct fmt_buf *out)
{
	(void)object;
	(void)len;
	(void)percent;
	(void)out;
	return FMT_UNSUPPORTED;
}

enum fmt_status
fmt_parity_repair(const void *parity, size_t parity_len, const void *object,
    size_t len, struct fmt_buf *out, unsigned *damaged)
{
	(void)parity;
	(void)parity_len;
	(void)object;
	(void)len;
	(void)out;
	(void)damaged;
	return FMT_UNSUPPORTED;
}
