/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_PARITY_IMPL_H
#define FORMATS_PARITY_IMPL_H

/* What the two files of the codec share; formats/parity.md has the table. */

#include "formats/parity.h"

#define FMT_PARITY_MAGIC "bkpparit"
#define FMT_PARITY_VERSION 1u
#define FMT_PARITY_FIXED ((size_t)64)
#define FMT_PARITY_DIGEST ((size_t)16)
#define FMT_PARITY_SUM ((size_t)32)
#define FMT_PARITY_SHARDS 255u

void fmt_parity_choose(uint64_t len, unsigned percent, struct fmt_parity *out);
size_t fmt_parity_head_size(const struct fmt_parity *parity);
size_t fmt_parity_size(const struct fmt_parity *parity);
void fmt_parity_write_fixed(
    const struct fmt_parity *parity, unsigned char *head);
enum fmt_status fmt_parity_find_head(const unsigned char *parity, size_t len,
    struct fmt_parity *out, const unsigned char **head);
enum fmt_status fmt_parity_check_shard(const struct fmt_parity *parity,
    const unsigned char *head, unsigned number, const unsigned char *shard);

#endif
