/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_UNPACK_H
#define LIBBACKUP_SUBJECT_UNPACK_H

/*
 * The members of an export (package.h), out of a folder, a tar.zst or a zip,
 * encrypted or not, from a file, its parts, standard input or a bucket.
 *
 * Nothing that is read is believed: all members are read to their end, the
 * wanted ones set aside, and compared with the digests of the manifest, before
 * anybody is given a byte. The manifest itself is as authentic as what it came
 * in: age proves nothing about who wrote it.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/age.h"
#include "libbackup/archive/spool.h"
#include "libbackup/base/run.h"
#include "libbackup/subject/map.h"

/* Where the content of a member is. */
enum bkp_unpack_place {
	BKP_UNPACK_NOWHERE, /* it was digested and dropped */
	BKP_UNPACK_ROWS,    /* in the spool of rows */
	BKP_UNPACK_FILES    /* in the spool of files */
};

struct bkp_unpack_member {
	char *name; /* owned */
	uint64_t size;
	char sha256[65];
	enum bkp_unpack_place place;
	bool is_told; /* by the manifest */
};

struct bkp_unpack_column {
	const char *name, *type; /* borrowed from the manifest */
	bool is_replaced;        /* by a mask or a pseudonym */
	bool names_others;       /* "self" or pseudonyms: it refers to the
				    subject's table in rows that are shared */
};

struct bkp_unpack_table {
	const char *id;   /* borrowed; so below */
	const char *name; /* of the member */
	enum bkp_decided decided;
	uint64_t rows;
	struct bkp_unpack_column *columns; /* owned */
	size_t column_count;
};

/* A reference that is no foreign key. What it says is SQL of whoever made the
 * export, and nothing of it is given to a server as it is. */
struct bkp_unpack_reference {
	const char *id, *from, *to;         /* borrowed */
	const char *when;                   /* borrowed, or NULL */
	const char **columns, **to_columns; /* owned arrays of borrowed */
	size_t count;
	bool is_array;
};

struct bkp_unpack_file {
	char *name, *bucket, *key; /* owned */
	char *type;                /* owned: content type, or NULL */
};

struct bkp_unpack {
	struct bkp_unpack_member *members; /* in the order in which they came */
	size_t count, cap;
	struct bkp_unpack_member **sorted; /* owned: the same, by name */
	struct bkp_spool *rows, *files; /* owned: contents, one behind the other
					   in that order */
	struct fmt_buf manifest_text, files_text;
	json_t *manifest; /* owned */
	struct bkp_unpack_table *tables;
	size_t table_count;
	struct bkp_unpack_reference *references;
	size_t reference_count;
	struct bkp_unpack_file *objects; /* sorted by name */
	size_t object_count, object_cap;
	/* what unpack_own.h needs */
	struct bkp_run *run;
	void *digest;        /* EVP_MD_CTX of the member that is open */
	uint64_t until_look; /* bytes until the room is looked at again */
	bool is_open, has_shared, has_actor, has_files;
};

#define BKP_UNPACK_INIT                                                        \
	{                                                                      \
		.members = NULL                                                \
	}

struct bkp_unpack_options {
	const char *location; /* a folder, FILE, "-" or "s3://bucket/key" */
	const struct fmt_age_identity *identities; /* borrowed for the call */
	size_t identity_count;
	const char *passphrase; /* of age or of a zip; NULL: none */
	/* what is set aside beside own and lookup rows */
	bool has_shared, has_actor, has_files;
};

/*
 * Reads and proves all of it. BKP_CORRUPT: a member is missing, is too many or
 * is not what the manifest says; BKP_INVALID: it is no export; BKP_AUTH:
 * nothing at hand opens it. Temporary files: the rows' and files' bytes,
 * encrypted.
 */
int bkp_unpack(const struct bkp_unpack_options *options, struct bkp_run *run,
    struct bkp_unpack *out, struct bkp_error *err);
void bkp_unpack_free(struct bkp_unpack *unpack);

/* NULL: there is none. */
struct bkp_unpack_member *bkp_unpack_find(
    const struct bkp_unpack *unpack, const char *name);
const struct bkp_unpack_file *bkp_unpack_object(
    const struct bkp_unpack *unpack, const char *name);

#endif
