/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "formats/bytes.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/index_set_own.h"

#define LARGE 256 /* descriptors that large files may keep */

/* Of maps that are searched, about this much may be resident. */
#define RESIDENT ((size_t)64 << 20)

#define SLICE ((uint64_t)512 * 1024)   /* bytes of the directory */
#define BATCH ((size_t)32 << 20)       /* bytes of files noted together */
#define PORTION ((uint64_t)256 * 1024) /* records noted, then let go */

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

	bkp_index_file_relax(file);
	(void)madvise(file->map, file->len, MADV_RANDOM);
	if (set->large_count >= LARGE)
		bkp_index_file_make_small(file);
	pthread_rwlock_wrlock(&set->lock);
	rc = bkp_grow(
	    &set->files, set->count, &set->cap, sizeof(*set->files), err);
	if (rc == 0) {
		set->files[set->count++] = *file;
		set->large_count += file->is_large ? 1 : 0;
		set->mapped += file->is_large ? 0 : file->len;
	}
	pthread_rwlock_unlock(&set->lock);
	if (rc < 0)
		bkp_index_file_free(file);
	return rc;
}

/* ---- the directory ---- */

/* Files on their way into the directory, some at a time. */
struct noting {
	struct bkp_index_directory *directory;
	struct bkp_index_file *files;
	size_t from, to;
	uint64_t *next; /* owned: of each, the record that comes next */
	uint64_t noted;
};

static void
relax_files(const struct noting *noting)
{
	for (size_t i = noting->from; i < noting->to; i++)
		bkp_index_file_relax(&noting->files[i]);
}

/* Notes what begins with less than `end`, or all that is left. */
static void
note_until(struct noting *noting, size_t number, uint64_t end, bool is_last)
{
	struct bkp_index_file *file = &noting->files[number];
	uint64_t *next = &noting->next[number];

	for (; *next < file->view.chunk_count; ++*next) {
		const unsigned char *id = fmt_index_id_at(&file->view, *next);

		if (!is_last && fmt_load_be64(id) >= end)
			return;
		bkp_index_directory_add(
		    noting->directory, id, (uint32_t)number);
		bkp_index_file_pass(file, *next);
		if (++noting->noted % PORTION == 0)
			relax_files(noting);
	}
}

/* A slice of the directory after the other, each from all these files, so that
 * what is written to stays in the processor's cache. */
static void
note_batch(struct noting *noting)
{
	uint64_t slices = noting->directory->cap * sizeof(uint32_t) / SLICE + 1;
	uint64_t step = UINT64_MAX / slices;

	for (uint64_t slice = 1; slice <= slices; slice++) {
		for (size_t i = noting->from; i < noting->to; i++)
			note_until(noting, i, slice * step, slice == slices);
	}
	relax_files(noting);
}

/* Notes the files from the first that is given up to the last. */
static int
note_files(struct bkp_index_set *set, struct bkp_index_directory *directory,
    size_t first, struct bkp_error *err)
{
	struct noting noting = {
	    .directory = directory, .files = set->files, .to = first};

	noting.next = bkp_alloc_array(set->count, sizeof(*noting.next), err);
	if (noting.next == NULL)
		return -1;
	while (noting.to < set->count) {
		size_t len = 0;

		noting.from = noting.to;
		do
			len += set->files[noting.to++].len;
		while (noting.to < set->count && len < BATCH);
		note_batch(&noting);
	}
	free(noting.next);
	return 0;
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
	if (note_files(set, &larger, 0, err) < 0) {
		bkp_index_directory_free(&larger);
		return -1;
	}
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
	int rc;

	if (set->count >= BKP_INDEX_DIRECTORY_FILES)
		return bkp_fail(err, BKP_UNSUPPORTED,
		    "%zu index objects are more than can be searched; "
		    "backup-prune joins them",
		    set->count);
	if (set->noted == set->count)
		return 0;
	if (!bkp_index_directory_has_room(
		&set->directory, count_chunks(set, set->noted)))
		return remake_directory(set, err);
	pthread_rwlock_wrlock(&set->lock);
	rc = note_files(set, &set->directory, set->noted, err);
	if (rc == 0)
		set->noted = set->count;
	pthread_rwlock_unlock(&set->lock);
	return rc;
}

/* ---- finding ---- */

void
bkp_index_set_relax(struct bkp_index_set *set)
{
	pthread_rwlock_rdlock(&set->lock);
	for (size_t i = 0; i < set->count; i++)
		bkp_index_file_relax(&set->files[i]);
	pthread_rwlock_unlock(&set->lock);
}

/* Ids are as good as random, so that looking some thousand up makes nearly
 * all of the small files resident. They go back to the page cache from time to
 * time. A page fault may bring in as much of a file as is in one piece there:
 * all of it is counted. */
static void
count_touch(struct bkp_index_set *set, const struct bkp_index_file *file)
{
	if (file->is_large || set->mapped <= RESIDENT ||
	    atomic_fetch_add(&set->touched, file->len) < RESIDENT)
		return;
	atomic_store(&set->touched, 0);
	for (size_t i = 0; i < set->count; i++) {
		if (!set->files[i].is_large)
			bkp_index_file_relax(&set->files[i]);
	}
}

/* The n-th copy that is stored whole, or the n-th difference. */
static bool
find_nth(struct bkp_index_set *set, const unsigned char id[FMT_ID_SIZE],
    bool is_difference, size_t n, struct fmt_index_place *out)
{
	size_t at = bkp_index_directory_home(&set->directory, id);
	uint32_t number;

	while (bkp_index_directory_next(&set->directory, id, &at, &number)) {
		const struct bkp_index_file *file = &set->files[number];

		count_touch(set, file);
		if (bkp_index_file_find(file, id, out) &&
		    out->chunk.has_base == is_difference &&
		    !bkp_index_set_is_lost(set, out->pack.name) && n-- == 0)
			return true;
	}
	return false;
}

/* The n-th copy: first those stored whole, which others may be differences to,
 * then the differences to a base that is there. */
static bool
find_copy(struct bkp_index_set *set, const unsigned char id[FMT_ID_SIZE],
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
	if (is_found)
		*out = place;
	return is_found;
}

bool
bkp_index_set_find(struct bkp_index_set *set,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out)
{
	return bkp_index_set_find_copy(set, id, 0, out);
}
