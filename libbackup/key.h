/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_KEY_H
#define LIBBACKUP_KEY_H

/*
 * Who may open a repository and who may write to it.
 *
 * Administrators open everything: people with an age identity, and
 * passphrases. Hosts write backups with a key file and cannot read what is in
 * them. Whoever changes that opens the repository with an administrator's key.
 * No change rewrites or encrypts anything again that was backed up, and hosts
 * go on without being touched.
 *
 * A change that fails leaves the repository open to everybody who could open
 * it before. BKP_RETRY: another administrator changed something meanwhile;
 * open the repository again and repeat.
 */

#include <stddef.h>
#include <stdint.h>

#include <libbackup/error.h>
#include <libbackup/export.h>
#include <libbackup/repository.h>

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

/* ---- looking ---- */

/* Borrowed from the list that they came in. */
struct bkp_key_admin {
	const char *label;     /* "" where none was given */
	const char *recipient; /* "age1..." */
	int is_passphrase;
	int64_t added_us; /* microseconds since 1970 UTC */
};

struct bkp_key_host {
	const char *name;
	const char *public_key; /* 64 hex digits: what it signs with */
	int may_prune;
	int64_t added_us;
	int64_t revoked_us; /* 0: it is let in */
	uint64_t believed;  /* revoked: snapshots that go on being believed */
};

struct bkp_key_list {
	uint64_t roster;     /* its number: grows with every change */
	uint64_t generation; /* of the keys: grows with every rotation */
	int64_t changed_us;  /* the last change */
	const struct bkp_key_admin *admins;
	size_t admin_count;
	const struct bkp_key_host *hosts;
	size_t host_count;
	int is_joined;	     /* two changed it at the same time; the next change
				joins them */
	size_t damaged;	     /* rosters that had to be left out */
	const char *damage;  /* what is wrong with the first, or NULL */
	void *memory;
};

#define BKP_KEY_LIST_INIT {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* Any key that opens the repository will do. Free the list. */
BKP_API int bkp_key_list(struct bkp_repository *repository,
    struct bkp_key_list *out, struct bkp_error *err);
BKP_API void bkp_key_list_free(struct bkp_key_list *list);

/* ---- administrators ---- */

struct bkp_key_add_options {
	size_t size;
	const char *recipient;	/* "age1...", or NULL */
	const char *passphrase; /* or this; NUL ended */
	const char *label;	/* for people; NULL: none, or "passphrase",
				   "passphrase 2"... */
	unsigned work_factor;	/* scrypt log2 N for the passphrase; 0: 18 */
};

#define BKP_KEY_ADD_OPTIONS_INIT                                               \
	{                                                                      \
		sizeof(struct bkp_key_add_options), 0, 0, 0, 0                 \
	}

/* Lets one more in. BKP_EXISTS: the recipient or the label is there. */
BKP_API int bkp_key_add(struct bkp_repository *repository,
    const struct bkp_key_add_options *options, struct bkp_error *err);

/* Takes one away: `who` is a label, a recipient, or the start of either that
 * fits one only. BKP_INVALID: it is the last one, or several fit. That person
 * still knows the present keys: see bkp_key_rotate. Writes the recipient. */
BKP_API int bkp_key_remove(struct bkp_repository *repository, const char *who,
    char recipient[63], struct bkp_error *err);

/* Makes new keys for what is written from now on, for all administrators and
 * hosts that are let in. What was written before stays as it is, and whoever
 * knows the old keys can go on reading that. */
BKP_API int bkp_key_rotate(
    struct bkp_repository *repository, struct bkp_error *err);

/* ---- hosts ---- */

/* Makes the key of a backup host and writes it to a file that must not exist
 * (mode 0600). BKP_EXISTS: a host of that name is let in. */
BKP_API int bkp_key_host_add(struct bkp_repository *repository,
    const char *name, const char *key_file, int may_prune,
    struct bkp_error *err);

/* Lets a host in no longer: by its name or the start of its public key. What
 * it had written until now goes on being believed; *believed (may be NULL)
 * says how many snapshots that is. */
BKP_API int bkp_key_host_revoke(struct bkp_repository *repository,
    const char *who, uint64_t *believed, struct bkp_error *err);

/* ---- paper ---- */

/* Gives the text of a recovery sheet: the administrator's identity, which is
 * found in `keys`, with checksums, and what to do with it. It is a secret. */
BKP_API int bkp_key_sheet(struct bkp_repository *repository,
    const struct bkp_keys *keys, bkp_bytes_fn *fn, void *arg,
    struct bkp_error *err);

struct bkp_key_sheet {
	char repository[33]; /* its id */
	char recipient[63];  /* whom it makes an administrator */
};

/* Reads a sheet that was typed in. BKP_CORRUPT: err names the lines that are
 * wrong. With identity_file (may be NULL) it writes the identity to that file,
 * which must not exist (mode 0600). */
BKP_API int bkp_key_sheet_read(const char *text, size_t len,
    const char *identity_file, struct bkp_key_sheet *out,
    struct bkp_error *err);

#ifdef __cplusplus
}
#endif

#endif
