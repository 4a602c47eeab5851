/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/copies.h"

#include <stdio.h>

#include "libbackup/base/fail.h"

void
bkp_copies_folder(const char *folder, char out[32])
{
	(void)snprintf(out, 32, BKP_COPIES "%s", folder);
}

int
bkp_copies_names(struct bkp_store *store, const char *folder,
    struct bkp_names *out, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT, copies = BKP_NAMES_INIT;
	char second[32];
	int rc;

	bkp_copies_folder(folder, second);
	rc = bkp_object_names(store, folder, "", &names, err);
	if (rc == 0)
		rc = bkp_object_names(store, second, "", &copies, err);
	if (rc == 0)
		rc = bkp_names_join(&names, &copies, err);
	bkp_names_free(&copies);
	if (rc < 0)
		bkp_names_free(&names);
	else
		*out = names;
	return rc;
}

int
bkp_copies_get(struct bkp_store *store, const char *folder, const char *name,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT, other = BKP_ERROR_INIT;
	char second[32];

	if (bkp_object_get(store, folder, name, out, &problem) == 0)
		return 0;
	bkp_copies_folder(folder, second);
	if (problem.code == BKP_NOTFOUND || problem.code == BKP_CORRUPT) {
		if (bkp_object_get(store, second, name, out, &other) == 0)
			return 0;
		/* A copy that is damaged is there, and something to tell. */
		if (other.code != BKP_NOTFOUND &&
		    (problem.code == BKP_NOTFOUND || other.code != BKP_CORRUPT))
			problem = other;
	}
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_copies_put(struct bkp_store *store, const char *folder, const void *data,
    size_t len, char name[BKP_OBJECT_NAME], struct bkp_error *err)
{
	char second[32];

	bkp_copies_folder(folder, second);
	if (bkp_object_put(store, second, data, len, name, err) < 0)
		return -1;
	return bkp_object_put(store, folder, data, len, name, err);
}

int
bkp_copies_open(struct bkp_store *store, const char *folder, const char *name,
    const struct fmt_age_identity *identities, size_t count,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct fmt_buf stored = FMT_BUF_INIT;
	size_t before = out->len;
	enum fmt_status status;
	int rc = bkp_copies_get(store, folder, name, &stored, err);

	if (rc == 0) {
		status = fmt_age_open(
		    identities, count, stored.data, stored.len, out);
		if (status != FMT_OK) {
			out->len = before;
			rc = bkp_fail_format(err, status,
			    "%s: %s/%s: decrypting", store->location, folder,
			    name);
		}
	}
	fmt_buf_free(&stored);
	return rc;
}

int
bkp_copies_seal(struct bkp_store *store, const char *folder,
    const struct fmt_age_recipient *recipient, const void *plain, size_t len,
    char name[BKP_OBJECT_NAME], struct bkp_error *err)
{
	struct fmt_buf sealed = FMT_BUF_INIT;
	enum fmt_status status =
	    fmt_age_seal(recipient, 1, plain, len, &sealed);
	int rc = status == FMT_OK ? bkp_copies_put(store, folder, sealed.data,
					sealed.len, name, err)
				  : bkp_fail_format(err, status,
					"encrypting an object of %s/", folder);

	fmt_buf_free(&sealed);
	return rc;
}

static int
remove_one(struct bkp_store *store, const char *folder, const char *name,
    struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (bkp_store_remove(store, path, &problem) == 0 ||
	    problem.code == BKP_NOTFOUND)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_copies_remove(struct bkp_store *store, const char *folder, const char *name,
    struct bkp_error *err)
{
	char second[32];

	bkp_copies_folder(folder, second);
	if (remove_one(store, folder, name, err) < 0)
		return -1;
	return remove_one(store, second, name, err);
}
