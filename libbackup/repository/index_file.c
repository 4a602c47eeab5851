/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/index_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/bytes.h"
#include "libbackup/base/fail.h"

#define STRIDE 32u        /* records between two fences */
#define WINDOW (8 * 1024) /* bytes read at a time; ids are far apart */

static uint64_t *
new_firsts(uint64_t records, struct bkp_error *err)
{
	return bkp_alloc_array(
	    (size_t)(records / STRIDE + 1), sizeof(uint64_t), err);
}

/* Where there is no further descriptor it is searched as a small one is. */
static int
make_large(struct bkp_index_file *file, int fd, struct bkp_error *err)
{
	file->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (file->fd < 0)
		return 0;
	file->is_large = true;
	file->chunks.firsts = new_firsts(file->view.chunk_count, err);
	file->bases.firsts = new_firsts(file->view.base_count, err);
	if (file->chunks.firsts != NULL && file->bases.firsts != NULL)
		return 0;
	bkp_index_file_make_small(file);
	return -1;
}

void
bkp_index_file_make_small(struct bkp_index_file *file)
{
	if (file->is_large)
		(void)close(file->fd);
	free(file->chunks.firsts);
	free(file->bases.firsts);
	file->chunks = file->bases = (struct bkp_index_fence){NULL, 0};
	file->is_large = false;
}

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
	return file->len >= BKP_INDEX_LARGE ? make_large(file, fd, err) : 0;
}

void
bkp_index_file_free(struct bkp_index_file *file)
{
	if (file->map != NULL)
		(void)munmap(file->map, file->len);
	file->map = NULL;
	bkp_index_file_make_small(file);
}

void
bkp_index_file_relax(const struct bkp_index_file *file)
{
	(void)madvise(file->map, file->len, MADV_DONTNEED);
}

/* ---- fences ---- */

static void
pass(struct bkp_index_fence *fence, uint64_t n, const unsigned char *id)
{
	if (n % STRIDE == 0)
		fence->firsts[n / STRIDE] = fmt_load_be64(id);
	fence->count = n + 1;
}

/* There are no more bases than chunks. */
void
bkp_index_file_pass(struct bkp_index_file *file, uint64_t n)
{
	if (!file->is_large || n < file->chunks.count)
		return;
	pass(&file->chunks, n, fmt_index_id_at(&file->view, n));
	if (n < file->view.base_count)
		pass(&file->bases, n, fmt_index_base_id_at(&file->view, n));
}

/* The first fence that is not below (or, with is_above, is above) `key`. */
static uint64_t
find_fence(const struct bkp_index_fence *fence, uint64_t key, bool is_above)
{
	uint64_t low = 0, high = (fence->count + STRIDE - 1) / STRIDE;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t first = fence->firsts[middle];

		if (first < key || (is_above && first == key))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The records among which an id must be: [*from, *to). */
static void
find_range(const struct bkp_index_fence *fence, const unsigned char *id,
    uint64_t *from, uint64_t *to)
{
	uint64_t key = fmt_load_be64(id);
	uint64_t before = find_fence(fence, key, false);
	uint64_t after = find_fence(fence, key, true);

	*from = before > 0 ? (before - 1) * STRIDE : 0;
	*to = after * STRIDE < fence->count ? after * STRIDE : fence->count;
}

/* ---- finding ---- */

/* False where it cannot be read so: too much, or the disk fails. */
static bool
read_range(const struct bkp_index_file *file, uint64_t from, uint64_t to,
    unsigned char window[WINDOW])
{
	return to - from <= WINDOW &&
	       pread(file->fd, window, (size_t)(to - from), (off_t)from) ==
		   (ssize_t)(to - from);
}

static bool
find_base(const struct bkp_index_file *file, const unsigned char *id,
    unsigned char *base)
{
	unsigned char window[WINDOW];
	uint64_t from, to;

	find_range(&file->bases, id, &from, &to);
	if (from == to)
		return false;
	if (!read_range(file, fmt_index_base_offset(&file->view, from),
		fmt_index_base_offset(&file->view, to), window))
		return fmt_index_base(&file->view, id, base);
	return fmt_index_base_among(window, (size_t)(to - from), id, base);
}

bool
bkp_index_file_find(const struct bkp_index_file *file,
    const unsigned char id[FMT_ID_SIZE], struct fmt_index_place *out)
{
	unsigned char window[WINDOW];
	uint64_t from, to;

	if (!file->is_large)
		return fmt_index_find(&file->view, id, out);
	find_range(&file->chunks, id, &from, &to);
	if (from == to)
		return false;
	if (!read_range(file, fmt_index_offset(&file->view, from),
		fmt_index_offset(&file->view, to), window))
		return fmt_index_find(&file->view, id, out);
	if (!fmt_index_find_among(
		&file->view, window, (size_t)(to - from), id, out))
		return false;
	out->chunk.has_base = find_base(file, id, out->chunk.base);
	return true;
}
