/* SPDX-License-Identifier: Apache-2.0 */
/* How index objects come into the set: out of the store, the cache, or the
 * session that has just written one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"
#include "libbackup/base/write.h"
#include "libbackup/repository/index_fetch.h"
#include "libbackup/repository/index_set_own.h"

#define LISTINGS 5 /* how often what vanishes is forgiven */

/* ---- loading ---- */

struct loader {
	struct bkp_index_set *set;
	struct bkp_store *store;
	const struct fmt_age_identity *metadata;
	size_t metadata_count;
	bkp_index_signer_fn *check;
	void *arg;
};

/* Asked whenever an index is opened: who is believed may change. */
static int
check_writer(const struct loader *loader, const struct bkp_index_file *file,
    struct bkp_error *err)
{
	return loader->check(loader->arg, file->view.signer, file->name, err);
}

/* Checked once: what the cache holds has been. */
static int
check_records(const struct bkp_index_file *file, struct bkp_error *err)
{
	enum fmt_status status = fmt_index_check(&file->view);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "checking the index");
	return 0;
}

static bool
open_cached(const struct loader *loader, struct bkp_index_file *file)
{
	uint64_t len;
	int fd = bkp_index_cache_get(&loader->set->cache, file->name, &len);
	bool is_open;

	if (fd < 0)
		return false;
	is_open = bkp_index_file_map(fd, len, file, NULL) == 0;
	file->is_cached = true;
	if (!is_open)
		bkp_index_file_free(file);
	(void)close(fd);
	return is_open;
}

static int
fetch_into(const struct loader *loader, int fd, struct bkp_index_file *file,
    bool *is_file_bad, struct bkp_error *err)
{
	uint64_t len;

	if (bkp_index_fetch(loader->store, loader->metadata,
		loader->metadata_count, file->name, fd, &len, is_file_bad,
		err) < 0)
		return -1;
	if (bkp_index_file_map(fd, len, file, err) == 0 &&
	    check_writer(loader, file, err) == 0 &&
	    check_records(file, err) == 0)
		return 0;
	return bkp_fail_in(
	    err, "%s: index/%s", loader->store->location, file->name);
}

static int
fetch_without_cache(const struct loader *loader, struct bkp_index_file *file,
    struct bkp_error *err)
{
	int fd = bkp_temporary_file(err), rc;
	bool is_file_bad;

	if (fd < 0)
		return -1;
	rc = fetch_into(loader, fd, file, &is_file_bad, err);
	(void)close(fd);
	return rc;
}

/* A cache that takes no more is done without from then on. */
static int
fetch_file(const struct loader *loader, struct bkp_index_file *file,
    struct bkp_error *err)
{
	struct bkp_index_cache *cache = &loader->set->cache;
	bool is_file_bad = false;
	int fd = bkp_index_cache_begin(cache), rc;

	if (fd < 0)
		return fetch_without_cache(loader, file, err);
	rc = fetch_into(loader, fd, file, &is_file_bad, err);
	if (rc == 0)
		bkp_index_cache_keep(cache, fd, file->len, file->name);
	else
		bkp_index_cache_drop(cache);
	(void)close(fd);
	if (rc == 0 || !is_file_bad)
		return rc;
	bkp_index_cache_close(cache);
	return fetch_without_cache(loader, file, err);
}

static int
load_one(const struct loader *loader, const char *name, struct bkp_error *err)
{
	struct bkp_index_file file = {.map = NULL};
	int rc = 0;

	memcpy(file.name, name, sizeof(file.name));
	if (!open_cached(loader, &file))
		rc = fetch_file(loader, &file, err);
	else if ((rc = check_writer(loader, &file, err)) < 0)
		(void)bkp_fail_in(
		    err, "%s: index/%s", loader->store->location, name);
	if (rc == 0)
		return bkp_index_set_append(loader->set, &file, err);
	bkp_index_file_free(&file);
	return -1;
}

static bool
is_damaged(const struct bkp_index_set *set, const char *name)
{
	for (size_t i = 0; i < set->damaged_count; i++) {
		if (strcmp(set->damaged[i].name, name) == 0)
			return true;
	}
	return false;
}

int
bkp_index_set_note_damage(struct bkp_index_set *set, const char *name,
    const struct bkp_error *problem, struct bkp_error *err)
{
	struct bkp_index_damage *damage;
	int rc;

	pthread_rwlock_wrlock(&set->lock);
	rc = bkp_grow(&set->damaged, set->damaged_count, &set->damaged_cap,
	    sizeof(*set->damaged), err);
	if (rc == 0) {
		damage = &set->damaged[set->damaged_count++];
		memcpy(damage->name, name, sizeof(damage->name));
		damage->problem = *problem;
	}
	pthread_rwlock_unlock(&set->lock);
	return rc;
}

/* What a newer version wrote is not damage: going on without it would store
 * everything that it names once more. */
static int
load_unless_damaged(
    const struct loader *loader, const char *name, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	if (load_one(loader, name, &problem) == 0)
		return 0;
	if (problem.code == BKP_CORRUPT || problem.code == BKP_AUTH ||
	    (problem.code == BKP_UNSUPPORTED && loader->set->notes_newer))
		return bkp_index_set_note_damage(
		    loader->set, name, &problem, err);
	if (err != NULL)
		*err = problem;
	return -1;
}

int
bkp_index_set_is_whole(struct bkp_index_set *set, struct bkp_error *err)
{
	int rc = 0;

	pthread_rwlock_rdlock(&set->lock);
	if (set->damaged_count > 0) {
		if (err != NULL)
			*err = set->damaged[0].problem;
		rc = -1;
	}
	pthread_rwlock_unlock(&set->lock);
	return rc;
}

static int
compare_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* The names of what is loaded, in order; the caller's (free()). */
static const char **
loaded_names(const struct bkp_index_set *set, struct bkp_error *err)
{
	const char **names =
	    bkp_alloc_array(set->count + 1, sizeof(*names), err);

	if (names == NULL)
		return NULL;
	for (size_t i = 0; i < set->count; i++)
		names[i] = set->files[i].name;
	qsort(names, set->count, sizeof(*names), compare_text);
	return names;
}

/* BKP_NOTFOUND: one that was listed a moment ago is gone. */
static int
load_listed(const struct loader *loader, const struct bkp_names *names,
    struct bkp_error *err)
{
	const size_t count = loader->set->count;
	struct bkp_names missing = BKP_NAMES_INIT;
	const char **loaded = loaded_names(loader->set, err);
	int rc = loaded == NULL ? -1 : 0;

	/* What is loaded moves when more is: first all are asked for. */
	for (size_t i = 0; rc == 0 && i < names->count; i++) {
		const char *name = names->items[i];

		if (bsearch(&name, loaded, count, sizeof(*loaded),
			compare_text) != NULL ||
		    is_damaged(loader->set, name))
			continue;
		rc = bkp_grow(&missing.items, missing.count, &missing.cap,
		    sizeof(*missing.items), err);
		if (rc == 0)
			memcpy(missing.items[missing.count++], name,
			    BKP_OBJECT_NAME);
	}
	free(loaded);
	for (size_t i = 0; rc == 0 && i < missing.count; i++)
		rc = load_unless_damaged(loader, missing.items[i], err);
	bkp_names_free(&missing);
	return rc;
}

/* Whoever joins index objects puts the new ones before the old ones go: what
 * vanished is in the next listing under another name. */
static int
load_all(const struct loader *loader, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	int rc = -1;

	for (int i = 0; rc < 0 && i < LISTINGS; i++) {
		struct bkp_names names = BKP_NAMES_INIT;

		rc = bkp_object_names(
		    loader->store, "index", "", &names, &problem);
		if (rc < 0)
			break;
		rc = load_listed(loader, &names, &problem);
		if (rc == 0 && !loader->set->keeps_copies)
			bkp_index_cache_sweep(&loader->set->cache, &names);
		bkp_names_free(&names);
		if (rc < 0 && problem.code != BKP_NOTFOUND)
			break;
	}
	if (rc < 0 && problem.code == BKP_NOTFOUND)
		problem.code = BKP_RETRY;
	if (rc < 0 && err != NULL)
		*err = problem;
	return rc;
}

int
bkp_index_set_load(struct bkp_index_set *set, struct bkp_store *store,
    const struct fmt_age_identity *metadata, size_t metadata_count,
    bkp_index_signer_fn *check, void *arg, struct bkp_error *err)
{
	struct loader loader = {
	    set, store, metadata, metadata_count, check, arg};
	int rc;

	pthread_mutex_lock(&set->loading);
	rc = load_all(&loader, err);
	/* What was loaded before something went wrong counts, too. */
	if (bkp_index_set_note_new(set, rc == 0 ? err : NULL) < 0)
		rc = -1;
	pthread_mutex_unlock(&set->loading);
	return rc;
}

/* ---- adding ---- */

static bool
is_loaded(const struct bkp_index_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(set->files[i].name, name) == 0)
			return true;
	}
	return false;
}

static int
write_file(struct bkp_index_file *file, int fd, const void *data, size_t len,
    struct bkp_error *err)
{
	if (bkp_write_all(fd, data, len) < 0)
		return bkp_fail_errno(err, errno, "writing a temporary file");
	return bkp_index_file_map(fd, len, file, err);
}

static int
write_without_cache(struct bkp_index_file *file, const void *data, size_t len,
    struct bkp_error *err)
{
	int fd = bkp_temporary_file(err), rc;

	if (fd < 0)
		return -1;
	rc = write_file(file, fd, data, len, err);
	(void)close(fd);
	return rc;
}

static int
write_to_cache(struct bkp_index_cache *cache, struct bkp_index_file *file,
    const void *data, size_t len)
{
	int fd = bkp_index_cache_begin(cache), rc;

	if (fd < 0)
		return -1;
	rc = write_file(file, fd, data, len, NULL);
	if (rc == 0)
		bkp_index_cache_keep(cache, fd, len, file->name);
	else
		bkp_index_cache_drop(cache);
	(void)close(fd);
	return rc;
}

int
bkp_index_set_add(struct bkp_index_set *set, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct bkp_index_file file = {.map = NULL};
	int rc = 0;

	memcpy(file.name, name, sizeof(file.name));
	pthread_mutex_lock(&set->loading);
	/* Another thread may have found it in the store already. */
	if (is_loaded(set, name))
		goto out;
	if (write_to_cache(&set->cache, &file, data, len) < 0) {
		bkp_index_file_free(&file);
		rc = write_without_cache(&file, data, len, err);
	}
	if (rc < 0)
		bkp_index_file_free(&file);
	else if ((rc = bkp_index_set_append(set, &file, err)) == 0)
		rc = bkp_index_set_note_new(set, err);
out:
	pthread_mutex_unlock(&set->loading);
	return rc;
}
