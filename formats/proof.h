/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FORMATS_PROOF_H
#define FORMATS_PROOF_H

/*
 * A proof: what a verification of a snapshot found. A signed record.
 * formats/proof.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/buf.h"
#include "formats/status.h"

enum fmt_proof_level {
	FMT_PROOF_READ,     /* every byte was read back and digested */
	FMT_PROOF_PARTLY,   /* some sources restored, others read back */
	FMT_PROOF_RESTORED, /* every source restored and compared */
	FMT_PROOF_LEVELS
};

/* "read", "partly restored", "restored". */
const char *fmt_proof_level_name(enum fmt_proof_level level);

/* Chunks by the first twelve bits of their ids. */
#define FMT_PROOF_SLICES 4096u

/* What samples of a part have read back, each adding to those before it. */
struct fmt_proof_sample {
	char *host;       /* owned: whose backups they are of */
	int64_t since_us; /* since then all were of one snapshot; 0: it is not
			     known */
	int64_t read_us[FMT_PROOF_SLICES]; /* when each slice last was, as it
					      was then; 0: never */
	bool is_bad[FMT_PROOF_SLICES]; /* something of it was not well when it
					  was tried last */
};

struct fmt_proof {
	char repository[33]; /* hex id of the repository it belongs to */
	char snapshot[65];
	int64_t time_us; /* of the verdict, microseconds UTC */
	char *host;      /* owned: where it was tried */
	char *path;      /* owned, raw: what was tried; "": everything */
	bool is_proven;
	enum fmt_proof_level level;
	uint64_t passed, failed, skipped;
	uint64_t rows, objects, files;
	uint64_t duration_ms;
	/* What later versions added; 0 or NULL: it is not known. */
	uint64_t recovery_ms; /* of it, until all was restored and answered */
	uint64_t bytes;       /* plaintext of what was tried */
	char *program;        /* owned: "libbackup 0.1.0" */
	struct fmt_proof_sample *sample; /* owned: `path` was not looked at as a
					    whole, but so far */
	unsigned char signer[32];        /* Ed25519 public key; set by decode */
};

#define FMT_PROOF_INIT                                                         \
	{                                                                      \
		.host = NULL                                                   \
	}

void fmt_proof_free(struct fmt_proof *proof);

/* Appends both lines, signed with an Ed25519 seed. */
enum fmt_status fmt_proof_encode(const struct fmt_proof *proof,
    const unsigned char seed[32], struct fmt_buf *out);

/* Reads it and checks the signature against the key that it names; whether
 * that key may say such a thing is the caller's question. FMT_UNSUPPORTED: a
 * newer version. */
enum fmt_status fmt_proof_decode(
    const void *data, size_t len, struct fmt_proof *out);

#endif
