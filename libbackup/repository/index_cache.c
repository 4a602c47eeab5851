/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/index_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "formats/bytes.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/base/write.h"

/* The tail: a magic, the length of the index, XXH3-128 of name and index. */
#define MAGIC "bkpcach1"
#define TAIL 32

#define BLOCK ((size_t)256 * 1024)       /* read at a time */
#define LEAST_FREE ((uint64_t)256 << 20) /* bytes left to others */
#define STALE_S 3600                     /* what is younger may be at work */

/* The longest name in the folder, and a slash. */
#define NAME_ROOM (BKP_OBJECT_NAME + 1)

static int
allocate(struct bkp_index_cache *cache, struct bkp_error *err)
{
	cache->path_size = strlen(cache->directory) + NAME_ROOM;
	if ((cache->path = bkp_alloc(cache->path_size, err)) == NULL ||
	    (cache->temporary = bkp_alloc(cache->path_size, err)) == NULL ||
	    (cache->block = bkp_alloc(BLOCK, err)) == NULL)
		return -1;
	if ((cache->hash = XXH3_createState()) == NULL)
		return bkp_fail_nomem(err, "setting up the cache");
	return 0;
}

int
bkp_index_cache_open(
    struct bkp_index_cache *cache, const char *id, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	char *below = bkp_format(err, "%s/index", id);

	bkp_index_cache_close(cache);
	if (below == NULL)
		return -1;
	cache->directory = bkp_cache_directory(below, &problem);
	free(below);
	if (cache->directory == NULL) {
		if (problem.code != BKP_NOMEM)
			return 0;
		if (err != NULL)
			*err = problem;
		return -1;
	}
	if (allocate(cache, err) == 0)
		return 0;
	bkp_index_cache_close(cache);
	return -1;
}

void
bkp_index_cache_close(struct bkp_index_cache *cache)
{
	free(cache->directory);
	free(cache->path);
	free(cache->temporary);
	free(cache->block);
	(void)XXH3_freeState(cache->hash);
	*cache = (struct bkp_index_cache)BKP_INDEX_CACHE_INIT;
}

static const char *
path_of(struct bkp_index_cache *cache, const char *name)
{
	(void)snprintf(
	    cache->path, cache->path_size, "%s/%s", cache->directory, name);
	return cache->path;
}

/* ---- the hash ---- */

static bool
hash_bytes(struct bkp_index_cache *cache, int fd, uint64_t len)
{
	for (uint64_t at = 0; at < len;) {
		size_t want = len - at < BLOCK ? (size_t)(len - at) : BLOCK;
		ssize_t n = pread(fd, cache->block, want, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || XXH3_128bits_update(cache->hash, cache->block,
				  (size_t)n) != XXH_OK)
			return false;
		at += (uint64_t)n;
	}
	return true;
}

/* Reads rather than maps: a disk that cannot is then an answer, and nothing
 * becomes resident. The name is in it, so that no file passes for another. */
static bool
make_tail(struct bkp_index_cache *cache, int fd, uint64_t len, const char *name,
    unsigned char tail[TAIL])
{
	XXH128_canonical_t hash;

	if (XXH3_128bits_reset(cache->hash) != XXH_OK ||
	    XXH3_128bits_update(cache->hash, name, strlen(name)) != XXH_OK ||
	    !hash_bytes(cache, fd, len))
		return false;
	XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(cache->hash));
	memcpy(tail, MAGIC, 8);
	fmt_store_le64(tail + 8, len);
	memcpy(tail + 16, hash.digest, 16);
	return true;
}

/* ---- reading ---- */

/* Whether nobody else can have written it, and it is what was put there. */
static bool
is_whole(struct bkp_index_cache *cache, int fd, const char *name, uint64_t *len)
{
	unsigned char tail[TAIL], expected[TAIL];
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid() || (st.st_mode & 077) != 0 ||
	    st.st_size < TAIL)
		return false;
	*len = (uint64_t)st.st_size - TAIL;
	return pread(fd, tail, TAIL, (off_t)*len) == TAIL &&
	       memcmp(tail, MAGIC, 8) == 0 && fmt_load_le64(tail + 8) == *len &&
	       make_tail(cache, fd, *len, name, expected) &&
	       memcmp(tail, expected, TAIL) == 0;
}

int
bkp_index_cache_get(
    struct bkp_index_cache *cache, const char *name, uint64_t *len)
{
	int fd;

	if (cache->directory == NULL)
		return -1;
	fd = open(path_of(cache, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && !is_whole(cache, fd, name, len)) {
		(void)close(fd);
		(void)unlink(cache->path);
		fd = -1;
	}
	return fd;
}

/* ---- writing ---- */

int
bkp_index_cache_begin(struct bkp_index_cache *cache)
{
	if (cache->directory == NULL ||
	    !bkp_place_has_room(cache->directory, LEAST_FREE))
		return -1;
	(void)snprintf(cache->temporary, cache->path_size, "%s/tmp-XXXXXX",
	    cache->directory);
	return mkostemp(cache->temporary, O_CLOEXEC);
}

/* Not synced: what a power loss takes away, the hash finds missing. */
void
bkp_index_cache_keep(
    struct bkp_index_cache *cache, int fd, uint64_t len, const char *name)
{
	unsigned char tail[TAIL];

	if (!make_tail(cache, fd, len, name, tail) ||
	    lseek(fd, (off_t)len, SEEK_SET) < 0 ||
	    bkp_write_all(fd, tail, TAIL) < 0 ||
	    rename(cache->temporary, path_of(cache, name)) < 0)
		(void)unlink(cache->temporary);
}

void
bkp_index_cache_drop(struct bkp_index_cache *cache)
{
	(void)unlink(cache->temporary);
}

/* ---- sweeping ---- */

void
bkp_index_cache_forget(struct bkp_index_cache *cache, const char *name)
{
	if (cache->directory != NULL)
		(void)unlink(path_of(cache, name));
}

static int
compare_name(const void *name, const void *item)
{
	return strcmp(name, item);
}

static bool
is_among(const struct bkp_names *names, const char *name)
{
	return names->count > 0 &&
	       bsearch(name, names->items, names->count, sizeof(*names->items),
		   compare_name) != NULL;
}

/* Another process may have just put what this one has not seen in the store:
 * young files are left alone. */
static bool
is_stale(int directory, const char *name)
{
	struct timespec now;
	struct stat st;

	return clock_gettime(CLOCK_REALTIME, &now) == 0 &&
	       fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && now.tv_sec - st.st_mtime > STALE_S;
}

/* Calls `fn` with each old file of an object that is not among the names. */
static int
each_other(struct bkp_index_cache *cache, const struct bkp_names *names,
    int (*fn)(void *arg, int folder, const char *name, struct bkp_error *err),
    void *arg, struct bkp_error *err)
{
	const struct dirent *entry;
	DIR *folder;
	int rc = 0;

	if (cache->directory == NULL ||
	    (folder = opendir(cache->directory)) == NULL)
		return 0;
	while (rc == 0 && (entry = readdir(folder)) != NULL) {
		const char *name = entry->d_name;

		if (name[0] != '.' && !is_among(names, name) &&
		    is_stale(dirfd(folder), name))
			rc = fn(arg, dirfd(folder), name, err);
	}
	(void)closedir(folder);
	return rc;
}

static int
add_other(void *arg, int folder, const char *name, struct bkp_error *err)
{
	(void)folder;
	return fmt_is_hex(name, BKP_OBJECT_NAME - 1)
		   ? bkp_names_add(arg, name, err)
		   : 0;
}

int
bkp_index_cache_others(struct bkp_index_cache *cache,
    const struct bkp_names *names, struct bkp_names *out, struct bkp_error *err)
{
	return each_other(cache, names, add_other, out, err);
}

static int
remove_other(void *arg, int folder, const char *name, struct bkp_error *err)
{
	(void)arg;
	(void)err;
	(void)unlinkat(folder, name, 0);
	return 0;
}

void
bkp_index_cache_sweep(
    struct bkp_index_cache *cache, const struct bkp_names *names)
{
	(void)each_other(cache, names, remove_other, NULL, NULL);
}
