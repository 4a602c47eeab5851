/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"

#define PATH_SIZE 128

static void
path_of(const char *folder, const char *name, char path[PATH_SIZE])
{
	(void)snprintf(path, PATH_SIZE, "%s/%s", folder, name);
}

static int
name_of(const void *data, size_t len, char name[BKP_OBJECT_NAME],
    struct bkp_error *err)
{
	unsigned char digest[32];
	enum fmt_status status = fmt_sha256(data, len, digest);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "hashing an object");
	fmt_hex(digest, sizeof(digest), name);
	return 0;
}

/* ---- names ---- */

struct collector {
	struct bkp_names *names;
	size_t folder_len;
};

static int
collect_name(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct collector *collector = arg;
	struct bkp_names *names = collector->names;
	const char *name = object->name + collector->folder_len;

	if (strlen(name) != BKP_OBJECT_NAME - 1 ||
	    strspn(name, "0123456789abcdef") != BKP_OBJECT_NAME - 1)
		return 0;
	if (bkp_grow(&names->items, names->count, &names->cap,
		sizeof(*names->items), err) < 0)
		return -1;
	memcpy(names->items[names->count++], name, BKP_OBJECT_NAME);
	return 0;
}

int
bkp_object_names(struct bkp_store *store, const char *folder, const char *start,
    struct bkp_names *out, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	struct collector collector = {&names, strlen(folder) + 1};
	char prefix[PATH_SIZE];

	path_of(folder, start, prefix);
	if (bkp_store_list(store, prefix, collect_name, &collector, err) < 0) {
		bkp_names_free(&names);
		return -1;
	}
	*out = names;
	return 0;
}

void
bkp_names_free(struct bkp_names *names)
{
	free(names->items);
	*names = (struct bkp_names)BKP_NAMES_INIT;
}

/* ---- reading ---- */

int
bkp_object_get(struct bkp_store *store, const char *folder, const char *name,
    struct fmt_buf *out, struct bkp_error *err)
{
	char path[PATH_SIZE], actual[BKP_OBJECT_NAME];
	size_t before = out->len;
	int rc;

	path_of(folder, name, path);
	if (bkp_store_get(store, path, 0, BKP_STORE_WHOLE, out, err) < 0)
		return -1;
	rc = name_of(out->len > before ? out->data + before : (const void *)"",
	    out->len - before, actual, err);
	if (rc == 0 && strcmp(actual, name) != 0)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "%s: %s: its bytes are not the ones that were stored "
		    "(SHA-256 differs from the name)",
		    store->location, path);
	if (rc < 0)
		out->len = before;
	return rc;
}

int
bkp_object_open(struct bkp_store *store, const char *folder, const char *name,
    const struct fmt_age_identity *identities, size_t count,
    struct fmt_buf *out, struct bkp_error *err)
{
	struct fmt_buf stored = FMT_BUF_INIT;
	size_t before = out->len;
	enum fmt_status status;
	int rc = -1;

	if (bkp_object_get(store, folder, name, &stored, err) < 0)
		goto out;
	status = fmt_age_open(identities, count, stored.data, stored.len, out);
	if (status != FMT_OK) {
		out->len = before;
		(void)bkp_fail_format(err, status, "%s: %s/%s: decrypting",
		    store->location, folder, name);
		goto out;
	}
	rc = 0;
out:
	fmt_buf_free(&stored);
	return rc;
}

/* ---- writing ---- */

int
bkp_object_put(struct bkp_store *store, const char *folder, const void *data,
    size_t len, char name[BKP_OBJECT_NAME], struct bkp_error *err)
{
	char path[PATH_SIZE];

	if (name_of(data, len, name, err) < 0)
		return -1;
	path_of(folder, name, path);
	return bkp_store_put(store, path, data, len, err);
}

int
bkp_object_seal(struct bkp_store *store, const char *folder,
    const struct fmt_age_recipient *recipients, size_t count, const void *plain,
    size_t len, char name[BKP_OBJECT_NAME], uint64_t *stored_size,
    struct bkp_error *err)
{
	struct fmt_buf sealed = FMT_BUF_INIT;
	enum fmt_status status;
	int rc;

	status = fmt_age_seal(recipients, count, plain, len, &sealed);
	if (status != FMT_OK)
		rc = bkp_fail_format(
		    err, status, "encrypting an object of %s/", folder);
	else
		rc = bkp_object_put(
		    store, folder, sealed.data, sealed.len, name, err);
	if (rc == 0 && stored_size != NULL)
		*stored_size = sealed.len;
	fmt_buf_free(&sealed);
	return rc;
}
