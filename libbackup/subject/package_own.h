/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_PACKAGE_OWN_H
#define LIBBACKUP_SUBJECT_PACKAGE_OWN_H

/* What the forms of a package do for package.c. */

#include "libbackup/archive/spool.h"
#include "libbackup/subject/package.h"

struct bkp_package_ops {
	/* Where a member is written as it comes; else these are NULL, and there
	 * is a spool. `drop` gives up one that did not become whole. */
	int (*begin)(struct bkp_package *package, const char *name,
	    struct bkp_error *err);
	int (*write)(struct bkp_package *package, const void *data, size_t len,
	    struct bkp_error *err);
	void (*drop)(struct bkp_package *package);
	/* A member that is whole: `size` bytes to be read from the spool, or
	 * written already, where that is NULL. */
	int (*member)(struct bkp_package *package, const char *name,
	    struct bkp_spool *spool, uint64_t size, const char *sha256,
	    struct bkp_error *err);
	int (*commit)(struct bkp_package *package, char sha256[65],
	    uint64_t *stored, size_t *parts, struct bkp_error *err);
	void (*close)(struct bkp_package *package);
};

/* The first member of the form's own struct. */
struct bkp_package {
	const struct bkp_package_ops *ops;
	struct bkp_run *run;     /* borrowed */
	char *name;              /* owned: of the member that is open */
	struct bkp_spool *spool; /* owned: its content, or NULL */
	void *digest;            /* owned: EVP_MD_CTX of it */
	uint64_t size;
};

int bkp_package_open_folder(const struct bkp_package_options *options,
    struct bkp_package **out, struct bkp_error *err);
int bkp_package_open_packed(const struct bkp_package_options *options,
    struct bkp_package **out, struct bkp_error *err);

#endif
