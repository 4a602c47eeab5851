/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_SIPHASH_H
#define FORMATS_SIPHASH_H

/*
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * 2012): 64 bits over bytes under a secret key. Who has not got the key can
 * neither tell what was hashed nor make two inputs of the same hash.
 */

#include <stddef.h>
#include <stdint.h>

#define FMT_SIPHASH_KEY 16

uint64_t fmt_siphash(
    const unsigned char key[FMT_SIPHASH_KEY], const void *data, size_t len);

/* Two at a time. Each step of one waits for the step before, so a processor
 * has room for a second one beside it. */
void fmt_siphash_two(const unsigned char key[FMT_SIPHASH_KEY], const void *a,
    size_t a_len, const void *b, size_t b_len, uint64_t out[2]);

#endif
