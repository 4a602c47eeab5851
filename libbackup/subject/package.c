/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a package, one at a time. Of an archive a member is set aside
 * (encrypted, in a file without a name) until it is whole: tar wants its size
 * first, and what could not be read to its end is not to be there at all. A
 * folder takes it as it comes, and removes what does not become whole.
 */
#include "libbackup/subject/package.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/subject/package_own.h"

int
bkp_package_open(const struct bkp_package_options *options, struct bkp_run *run,
    struct bkp_package **out, struct bkp_error *err)
{
	int rc = options->form == BKP_PACKAGE_FOLDER
		     ? bkp_package_open_folder(options, out, err)
		     : bkp_package_open_packed(options, out, err);

	if (rc == 0)
		(*out)->run = run;
	return rc;
}

void
bkp_package_drop(struct bkp_package *package)
{
	if (package->ops->drop != NULL && package->name != NULL)
		package->ops->drop(package);
	bkp_spool_free(package->spool);
	package->spool = NULL;
	EVP_MD_CTX_free(package->digest);
	package->digest = NULL;
	free(package->name);
	package->name = NULL;
}

/* Relative, with components that are names: no reader of the package is led
 * out of its folder. */
static bool
is_member_name(const char *name)
{
	const char *at = name;

	for (;;) {
		size_t len = strcspn(at, "/");

		if (len == 0 || (len == 1 && at[0] == '.') ||
		    (len == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		if (at[len] == '\0')
			return true;
		at += len + 1;
	}
}

int
bkp_package_begin(
    struct bkp_package *package, const char *name, struct bkp_error *err)
{
	if (!is_member_name(name))
		return bkp_fail(err, BKP_INVALID,
		    "\"%s\" cannot be the name of a file in an export", name);
	package->size = 0;
	package->name = bkp_strdup(name, err);
	if (package->name == NULL ||
	    (package->ops->begin != NULL
		    ? package->ops->begin(package, name, err)
		    : bkp_spool_new(&package->spool, err)) < 0) {
		bkp_package_drop(package);
		return -1;
	}
	package->digest = EVP_MD_CTX_new();
	if (package->digest == NULL ||
	    EVP_DigestInit_ex(package->digest, EVP_sha256(), NULL) != 1) {
		bkp_package_drop(package);
		return bkp_fail_nomem(err, "beginning a file of the export");
	}
	return 0;
}

int
bkp_package_put(struct bkp_package *package, const void *data, size_t len,
    struct bkp_error *err)
{
	if (bkp_run_check(package->run, err) < 0)
		return -1;
	if (package->spool == NULL) {
		if (package->ops->write(package, data, len, err) < 0)
			return -1;
	} else if (bkp_spool_write(package->spool, data, len, err) < 0) {
		return bkp_fail_in(err, "%s", package->name);
	}
	if (EVP_DigestUpdate(package->digest, data, len) != 1)
		return bkp_fail(
		    err, BKP_IO, "%s: its digest failed", package->name);
	package->size += len;
	return 0;
}

int
bkp_package_end(struct bkp_package *package, char sha256[65], uint64_t *size,
    struct bkp_error *err)
{
	unsigned char digest[32];
	char text[65] = "";
	int rc = 0;

	if (EVP_DigestFinal_ex(package->digest, digest, NULL) != 1)
		rc = bkp_fail(
		    err, BKP_IO, "%s: its digest failed", package->name);
	else
		fmt_hex(digest, sizeof(digest), text);
	if (rc == 0 && package->spool != NULL)
		rc = bkp_spool_rewind(package->spool, err);
	if (rc == 0)
		rc = package->ops->member(package, package->name,
		    package->spool, package->size, text, err);
	if (rc == 0 && sha256 != NULL)
		memcpy(sha256, text, sizeof(text));
	if (rc == 0 && size != NULL)
		*size = package->size;
	bkp_package_drop(package);
	return rc;
}

int
bkp_package_commit(struct bkp_package *package, char sha256[65],
    uint64_t *stored, size_t *parts, struct bkp_error *err)
{
	if (bkp_run_check(package->run, err) < 0)
		return -1;
	return package->ops->commit(package, sha256, stored, parts, err);
}

void
bkp_package_close(struct bkp_package *package)
{
	if (package == NULL)
		return;
	bkp_package_drop(package);
	package->ops->close(package);
}
