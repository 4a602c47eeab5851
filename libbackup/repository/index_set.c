/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "libbackup/base/fail.h"
#include "libbackup/repository/index_set_own.h"

#define PORTION ((uint64_t)256 * 1024) /* records noted at a time */

/* Of what is mapped, about this much may be resident. A look-up makes at most
 * two times 64 KiB so: that is how the kernel maps around a page. */
#define RESIDENT ((size_t)96 << 20)
#define TOUCHED ((size_t)64 << 10)

/* ---- files ---- */

int
bkp_index_file_map(
    int fd, uint64_t len, struct bkp_index_file *file, struct bkp_error *err)
{
	enum fmt_status status;
	void *map;

	if (len == 0)
		return bkp_fail(err, BKP_CORRUPT, "the index is empty");
	map = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return bkp_fail_errno(err, errno, "mapping the index");
	file->map = map;
	file->len = (size_t)len;
	if ((status = fmt_index_open(map, file->len, &file->view)) != FMT_OK)
		return bkp_fail_format(err, status, "reading the index");
	return 0;
}

void
bkp_index_file_free(struct bkp_index_file *file)
{
	if (file->map != NULL)
		(void)munmap(file->map, file->len);
	file->map = NULL;
}

/* What was read stays in the page cache, and leaves the process. */
static void
relax_file(const struct bkp_index_file *file)
{
	(void)madvise(file->map, file->len, MADV_DONTNEED);
}

/* ---- the set ---- */

void
bkp_index_set_init(struct bkp_index_set *set)
{
	*set = (struct bkp_index_set){.files = NULL};
	pthread_rwlock_init(&set->lock, NULL);
	pthread_mutex_init(&set->loading, NULL);
}

void
bkp_index_set_clear(struct bkp_index_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		bkp_index_file_free(&set->files[i]);
	free(set->files);
	free(set->lost);
	free(set->damaged);
	bkp_index_directory_free(&set->directory);
	set->files = NULL;
	set->lost = NULL;
	set->damaged = NULL;
	set->directory = (struct bkp_index_directory){.slots = NULL};
	set->count = set->cap = set->mapped = set->noted = 0;
	set->lost_count = set->lost_cap = 0;
	set->damaged_count = set->damaged_cap = 0;
}

void
bkp_index_set_free(struct bkp_index_set *set)
{
	bkp_index_set_clear(set);
	bkp_index_cache_close(&set->cache);
	pthread_mutex_destroy(&set->loading);
	pthread_rwlock_destroy(&set->lock);
}

int
bkp_index_set_use_cache(
    struct bkp_index_set *set, const char *id, struct bkp_error *err)
{
	int rc = 0;

	pthread_mutex_lock(&set->loading);
	if (id != NULL)
		rc = bkp_index_cache_open(&set->cache, id, err);
	else
		bkp_index_cache_close(&set->cache);
	pthread_mutex_unlock(&set->loading);
	return rc;
}

int
bkp_index_set_append(struct bkp_index_set *set, struct bkp_index_file *file,
    struct bkp_error *err)
{
	int rc;

	relax_file(file);
	(void)madvise(file->map, file->len, MADV_RANDOM);
	pthread_rwlock_wrlock(&set->lock);
	rc = bkp_grow(
	    &set->files, set->count, &set->cap, sizeof(*set->files), err);
	if (rc == 0) {
		set->files[set->count++] = *file;
		set->mapped += file->len;
	}
	pthread_rwlock_unlock(&set->lock);
	if (rc < 0)
		bkp_index_file_free(file);
	return rc;
}

/* ---- the directory ---- */

static void
note_file(struct bkp_index_directory *directory,
    const struct bkp_index_file *file, uint32_t number)
{
	for (uint64_t i = 0; i < file->view.chunk_count; i++) {
		bkp_index_directory_add(
		    directory, fmt_index_id_at(&file->view, i), number);
		if (i % PORTION == PORTION - 1)
			relax_file(file);
	}
	relax_file(file);
}

static uint64_t
count_chunks(const struct bkp_index_set *set, size_t from)
{
	uint64_t chunks = 0;

	for (size_t i = from; i < set->count; i++)
		chunks += set->files[i].view.chunk_count;
	return chunks;
}

/* Makes a larger directory while the old one still answers. */
static int
remake_directory(struct bkp_index_set *set, struct bkp_error *err)
{
	struct bkp_index_directory larger;

	if (bkp_index_directory_init(&larger, count_chunks(set, 0), err) < 0)
		return -1;
	for (size_t i = 0; i < set->count; i++)
		note_file(&larger, &set->files[i], (uint32_t)i);
	pthread_rwlock_wrlock(&set->lock);
	bkp_index_directory_free(&set->directory);
	set->directory = larger;
	set->noted = set->count;
	pthread_rwlock_unlock(&set->lock);
	return 0;
}

int
bkp_index_set_note_new(struct bkp_index_set *set, struct bkp_error *err)
{
	if (set->count >= BKP_INDEX_DIRECTORY_FILES)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "%zu index objects are more than can be searched; "
		    "backup-prune joins them",
		    set->count);
	if (!bkp_index_directory_has_room(
		&set->directory, count_chunks(set, set->noted)))
		return remake_directory(set, err);
	pthread_rwlock_wrlock(&set->lock);
	for (; set->noted < set->count; set->noted++)
		note_file(&set->directory, &set->files[set->noted],
		    (uint32_t)set->noted);
	pthread_rwlock_unlock(&set->lock);
	return 0;
}

/* ---- finding ---- */

void
bkp_index_set_relax(struct bkp_index_set *set)
{
	pthread_rwlock_rdlock(&set->lock);
	for (size_t i = 0; i < set->count; i++)
		relax_file(&set->files[i]);
	pthread_rwlock_unlock(&set->lock);
}

/* Ids are as good as random, so that looking some thousand up makes nearly
 * everything resident. It goes back to the page cache from time to time. */
static void
count_touch(struct bkp_index_set *set)
{
	if (set->mapped > RESIDENT &&
	    atomic_fetch_add(&set->touches, 1) % (RESIDENT / TOUCHED) ==
		RESIDENT / TOUCHED - 1)
		bkp_index_set_relax(set);
}

/* The n-th copy that is stored whole, or the n-th difference. */
static bool
find_nth(const struct bkp_index_set *set, const unsigned char id[FMT_ID_SIZE],
    bool is_difference, size_t n, struct fmt_index_place *out)
{
	size_t at = bkp_index_directory_home(&set->directory, id);
	uint32_t file;

	while (bkp_index_directory_next(&set->directory, id, &at, &file))
		if (fmt_index_find(&set->files[file].view, id, out) &&
		    out->chunk.has_base == is_difference &&
		    !bkp_index_set_is_lost(set, out->pack.name) && n-- == 0)
			return true;
	return false;
}

/* The n-th copy: first those stored whole, which others may be differences to,
 * then the differences to a base that is there. */
static bool
find_copy(const struct bkp_index_set *set, const unsigned char id[FMT_ID_SIZE],
    size_t n, struct fmt_index_place *out)
{
	struct fmt_index_place base;
	size_t whole = 0;

	for (; find_nth(set, id, false, whole, out); whole++)
		if (whole == n)
			return true;
	n -= whole;
	for (size_t k = 0; find_nth(set, id, true, k, out); k++)
		if (find_nth(set, out->chunk.base, false, 0, &base) && n-- == 0)
			return true;
	return false;
}

bool
bkp_index_set_find_copy(struct bkp_index_set *set,
    const unsigned char id[FMT_ID_SIZE], size_t n, struct fmt_index_place *out)
{
	struct fmt_index_place place;
	bool is_found;

	pthread_rwlock_rdlock(&set->lock);
	is_found = find_copy(set, id, n, &place);
	pthread_rwlock_unlock(&set->lock);
	if (is_found) {
		*out = place;
		count_touch(set);
	}
	return is_found;
}

bool
bkp_index_set_find(struct bkp_index_set *set,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out)
{
	return bkp_index_set_find_copy(set, id, 0, out);
}
