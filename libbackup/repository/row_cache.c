/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/row_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "formats/bytes.h"
#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"

#define KEY_LABEL "libbackup rows 1"
#define SEAL_LABEL "libbackup row seals 1"

/*
 * The file: records, the directory, the tail; integers in the machine's order,
 * which the magic tells.
 *
 *   record     a struct record, then a hash of 64 bits a row, and of rows in
 *              the binary form 32 bits each of where they begin, filled up
 *              to 64; or a note, in words of 64 bits, of which `len` bytes
 *              count
 *   directory  a struct place for each record, by range
 *   tail       a struct tail
 */
#define MAGIC UINT64_C(0x32776f72706b6231) /* "1bkprow2" */

struct record {
	uint64_t mac; /* of what follows, and the words behind it */
	uint64_t range;
	unsigned char base[FMT_ID_SIZE];
	uint32_t len, stored_len;
	uint64_t paid;
	struct bkp_row_last last;
	uint64_t count; /* words of 64 bits that follow */
};

_Static_assert(
    sizeof(struct record) ==
	8 + 8 + FMT_ID_SIZE + 4 + 4 + 8 + (FMT_ID_SIZE + 12 + 16 + 4 + 24) + 8,
    "all of a record is authenticated, and none of it is padding");

struct place {
	uint64_t range, offset, count;
};

struct tail {
	uint64_t mac; /* of the directory, and what follows */
	uint64_t magic, offset, count;
};

#define RANGES_MAX (UINT64_C(1) << 32)
#define WORDS_MAX (2 * FMT_DELTA_LINES_MAX)
#define LEAST_FREE ((uint64_t)512 << 20) /* bytes left to others */
#define LOOK_EVERY ((uint64_t)64 << 20)  /* at what is left */
#define FORGOTTEN_S (100 * 24 * 3600)    /* not used by any backup since */
#define KILLED_S (3 * 24 * 3600)         /* a temporary file of nobody */

struct bkp_row_cache {
	const struct bkp_repository *repository; /* borrowed */
	struct bkp_row_cache *next; /* borrowed; joined after this one */
	char *directory, *path, *temporary; /* owned; temporary may be NULL */
	unsigned char line_key[FMT_SIPHASH_KEY]; /* secret */
	unsigned char mac_key[FMT_SIPHASH_KEY];  /* secret */
	unsigned char seal_key[BKP_SEAL_KEY];    /* secret */

	int old_fd;        /* -1: nothing is remembered */
	struct place *old; /* owned, by range */
	size_t old_count;

	pthread_mutex_t lock; /* of what follows, but for writing itself */
	int fd;               /* -1: nothing is being remembered; fixed */
	bool is_given_up;     /* nothing more is, and what was before stays */
	struct place *places; /* owned */
	size_t count, cap;
	uint64_t end;
};

/* ---- authentication ---- */

/* Over the two parts of a record, or of directory and tail. */
static uint64_t
make_mac(const struct bkp_row_cache *cache, const void *a, size_t a_len,
    const void *b, size_t b_len)
{
	uint64_t parts[2] = {fmt_siphash(cache->mac_key, a, a_len),
	    fmt_siphash(cache->mac_key, b, b_len)};

	return fmt_siphash(cache->mac_key, parts, sizeof(parts));
}

static uint64_t
record_mac(const struct bkp_row_cache *cache, const struct record *record,
    const void *words)
{
	return make_mac(cache, &record->range,
	    sizeof(*record) - offsetof(struct record, range), words,
	    (size_t)record->count * sizeof(uint64_t));
}

static uint64_t
tail_mac(const struct bkp_row_cache *cache, const struct tail *tail,
    const struct place *places)
{
	return make_mac(cache, &tail->magic,
	    sizeof(*tail) - offsetof(struct tail, magic), places,
	    (size_t)tail->count * sizeof(*places));
}

/* ---- what is remembered ---- */

static bool
read_at(int fd, void *data, size_t len, uint64_t offset)
{
	unsigned char *at = data;

	while (len > 0) {
		ssize_t n = pread(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return true;
}

/* Whether nobody else can have written the file; its length. */
static bool
is_own(int fd, uint64_t *len)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return false;
	*len = (uint64_t)st.st_size;
	return true;
}

/* Reads the directory. False: the file is not what was put there. */
static bool
read_directory(struct bkp_row_cache *cache)
{
	uint64_t len = 0;
	struct tail tail;

	if (!is_own(cache->old_fd, &len) || len < sizeof(tail) ||
	    !read_at(cache->old_fd, &tail, sizeof(tail), len - sizeof(tail)) ||
	    tail.magic != MAGIC || tail.count > RANGES_MAX ||
	    tail.offset > len - sizeof(tail) ||
	    len - sizeof(tail) - tail.offset !=
		tail.count * sizeof(struct place))
		return false;
	cache->old_count = (size_t)tail.count;
	cache->old =
	    bkp_alloc_array(cache->old_count, sizeof(*cache->old), NULL);
	return cache->old != NULL &&
	       read_at(cache->old_fd, cache->old,
		   cache->old_count * sizeof(*cache->old), tail.offset) &&
	       tail.mac == tail_mac(cache, &tail, cache->old);
}

static void
open_old(struct bkp_row_cache *cache)
{
	cache->old_fd = open(cache->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (cache->old_fd >= 0 && read_directory(cache))
		return;
	if (cache->old_fd >= 0)
		(void)close(cache->old_fd);
	cache->old_fd = -1;
	cache->old_count = 0;
}

/* ---- what is being remembered ---- */

static void
open_new(struct bkp_row_cache *cache)
{
	if (bkp_place_has_room(cache->directory, LEAST_FREE))
		cache->fd = mkostemp(cache->temporary, O_CLOEXEC);
}

/* Removes what no backup has used for long, and what killed ones have left. */
static void
sweep(const char *directory)
{
	const struct dirent *entry;
	DIR *folder = opendir(directory);
	struct timespec now;
	struct stat st;

	if (folder == NULL)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	while ((entry = readdir(folder)) != NULL) {
		bool is_temporary = strncmp(entry->d_name, "tmp-", 4) == 0;

		if (fstatat(dirfd(folder), entry->d_name, &st,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) &&
		    now.tv_sec - st.st_mtime >
			(is_temporary ? KILLED_S : FORGOTTEN_S))
			(void)unlinkat(dirfd(folder), entry->d_name, 0);
	}
	(void)closedir(folder);
}

/* ---- opening and closing ---- */

/* The folder; NULL where there is no place for one. */
static int
find_directory(
    const struct bkp_repository *repository, char **out, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;
	char *below = bkp_format(err, "%s/rows", repository->config.id);

	if (below == NULL)
		return -1;
	*out = bkp_cache_directory(below, &problem);
	free(below);
	if (*out != NULL || problem.code != BKP_NOMEM)
		return 0;
	if (err != NULL)
		*err = problem;
	return -1;
}

static int
set_up(struct bkp_row_cache *cache, const struct bkp_repository *repository,
    const char *name, struct bkp_error *err)
{
	unsigned char digest[32], key[32];
	char hex[65];
	enum fmt_status status;

	if (bkp_key_ring_derive(&repository->keys, KEY_LABEL, key, err) < 0 ||
	    bkp_key_ring_derive(
		&repository->keys, SEAL_LABEL, cache->seal_key, err) < 0)
		return -1;
	memcpy(cache->line_key, key, sizeof(cache->line_key));
	memcpy(cache->mac_key, key + 16, sizeof(cache->mac_key));
	OPENSSL_cleanse(key, sizeof(key));
	status = fmt_sha256(name, strlen(name), digest);
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "naming a cache");
	fmt_hex(digest, sizeof(digest), hex);
	cache->path = bkp_format(err, "%s/%s", cache->directory, hex);
	cache->temporary = bkp_format(err, "%s/tmp-XXXXXX", cache->directory);
	return cache->path == NULL || cache->temporary == NULL ? -1 : 0;
}

int
bkp_row_cache_open(const struct bkp_repository *repository, const char *name,
    struct bkp_row_cache **out, struct bkp_error *err)
{
	struct bkp_row_cache *cache = bkp_alloc(sizeof(*cache), err);

	*out = NULL;
	if (cache == NULL)
		return -1;
	cache->repository = repository;
	cache->old_fd = cache->fd = -1;
	pthread_mutex_init(&cache->lock, NULL);
	if (find_directory(repository, &cache->directory, err) < 0 ||
	    (cache->directory != NULL &&
		set_up(cache, repository, name, err) < 0)) {
		bkp_row_cache_free(cache);
		return -1;
	}
	if (cache->directory == NULL) {
		bkp_row_cache_free(cache);
		return 0;
	}
	sweep(cache->directory);
	open_old(cache);
	open_new(cache);
	*out = cache;
	return 0;
}

void
bkp_row_cache_free(struct bkp_row_cache *cache)
{
	if (cache == NULL)
		return;
	if (cache->fd >= 0) {
		(void)close(cache->fd);
		(void)unlink(cache->temporary);
	}
	if (cache->old_fd >= 0)
		(void)close(cache->old_fd);
	pthread_mutex_destroy(&cache->lock);
	OPENSSL_cleanse(cache->line_key, sizeof(cache->line_key));
	OPENSSL_cleanse(cache->mac_key, sizeof(cache->mac_key));
	OPENSSL_cleanse(cache->seal_key, sizeof(cache->seal_key));
	free(cache->directory);
	free(cache->path);
	free(cache->temporary);
	free(cache->old);
	free(cache->places);
	free(cache);
}

void
bkp_row_cache_join(struct bkp_row_cache *first, struct bkp_row_cache *cache)
{
	while (first->next != NULL)
		first = first->next;
	first->next = cache;
}

struct bkp_row_cache *
bkp_row_cache_of(
    struct bkp_row_cache *first, const struct bkp_repository *repository)
{
	while (first != NULL && first->repository != repository)
		first = first->next;
	return first;
}

const unsigned char *
bkp_row_cache_line_key(const struct bkp_row_cache *cache)
{
	return cache->line_key;
}

const unsigned char *
bkp_row_cache_seal_key(const struct bkp_row_cache *cache)
{
	return cache->seal_key;
}

/* Three numbers, and four where the rows are not text. */
uint64_t
bkp_row_cache_range(
    const struct bkp_row_cache *cache, const struct bkp_row_range *range)
{
	uint64_t numbers[4] = {
	    fmt_siphash(cache->mac_key, range->part, strlen(range->part)),
	    range->first_page, range->number, (uint64_t)range->form};
	size_t count = range->form == FMT_COPY_TEXT ? 3 : 4;

	return fmt_siphash(cache->mac_key, numbers, count * sizeof(*numbers));
}

/* Two numbers, where a range has more: none is the other. */
static uint64_t
note_key(const struct bkp_row_cache *cache, const char *name)
{
	uint64_t numbers[2] = {
	    fmt_siphash(cache->mac_key, name, strlen(name)), 0};

	return fmt_siphash(cache->mac_key, numbers, sizeof(numbers));
}

/* ---- get ---- */

static int
compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->range > y->range) - (x->range < y->range);
}

/* Reads a record; what follows it lies in `room`. False: there is none, or
 * it is not whole. */
static bool
find(const struct bkp_row_cache *cache, uint64_t range, struct fmt_buf *room,
    struct record *record)
{
	struct place wanted = {.range = range}, *place = NULL;
	size_t size;

	if (cache->old_count > 0)
		place = bsearch(&wanted, cache->old, cache->old_count,
		    sizeof(*cache->old), compare_places);
	if (place == NULL || place->count > WORDS_MAX)
		return false;
	size = (size_t)place->count * sizeof(uint64_t);
	fmt_buf_clear(room);
	return fmt_buf_reserve(room, size + 1) == FMT_OK &&
	       read_at(cache->old_fd, record, sizeof(*record), place->offset) &&
	       record->range == range && record->count == place->count &&
	       read_at(cache->old_fd, room->data, size,
		   place->offset + sizeof(*record)) &&
	       record->mac ==
		   record_mac(cache, record, (const uint64_t *)room->data);
}

/* Words that `rows` rows take. */
static size_t
count_words(enum fmt_copy_form form, size_t rows)
{
	return form == FMT_COPY_TEXT ? rows : rows + (rows + 1) / 2;
}

bool
bkp_row_cache_get(struct bkp_row_cache *cache, uint64_t range,
    enum fmt_copy_form form, struct fmt_buf *room, struct bkp_row_base *out)
{
	struct record record;
	const uint64_t *words;
	size_t rows;

	if (!find(cache, range, room, &record))
		return false;
	rows = (size_t)record.count;
	if (form == FMT_COPY_BINARY)
		rows = rows * 2 / 3;
	if (count_words(form, rows) != record.count)
		return false;
	words = (const uint64_t *)room->data;
	memcpy(out->base.id, record.base, FMT_ID_SIZE);
	out->base.len = record.len;
	out->base.hashes = words;
	out->base.starts =
	    form == FMT_COPY_BINARY ? (const uint32_t *)(words + rows) : NULL;
	out->base.count = rows;
	out->stored_len = record.stored_len;
	out->paid = record.paid;
	out->last = record.last;
	return true;
}

bool
bkp_row_cache_get_note(
    struct bkp_row_cache *cache, const char *name, struct fmt_buf *out)
{
	struct record record;

	if (!find(cache, note_key(cache, name), out, &record) ||
	    record.len > record.count * sizeof(uint64_t))
		return false;
	out->len = record.len;
	return true;
}

/* ---- put ---- */

static bool
write_at(int fd, const void *data, size_t len, uint64_t offset)
{
	const unsigned char *at = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return true;
}

/* Takes a piece of the file for a record. False: nothing is remembered. */
static bool
reserve(struct bkp_row_cache *cache, const struct record *record, size_t size,
    uint64_t *offset)
{
	bool is_reserved = false;

	pthread_mutex_lock(&cache->lock);
	*offset = cache->end;
	if (cache->fd < 0 ||
	    (cache->end / LOOK_EVERY != (cache->end + size) / LOOK_EVERY &&
		!bkp_place_has_room(cache->directory, LEAST_FREE)))
		cache->is_given_up = true;
	if (!cache->is_given_up &&
	    bkp_grow(&cache->places, cache->count, &cache->cap,
		sizeof(*cache->places), NULL) == 0) {
		cache->places[cache->count++] =
		    (struct place){record->range, cache->end, record->count};
		cache->end += size;
		is_reserved = true;
	}
	pthread_mutex_unlock(&cache->lock);
	return is_reserved;
}

/* Finishes the record, which `words` follow, and writes it. */
static void
append(struct bkp_row_cache *cache, struct record *record, const void *words)
{
	size_t size = (size_t)record->count * sizeof(uint64_t);
	uint64_t offset;

	record->mac = record_mac(cache, record, words);
	if (!reserve(cache, record, sizeof(*record) + size, &offset))
		return;
	/* A record that is not whole is found out by whoever reads it. */
	(void)(write_at(cache->fd, record, sizeof(*record), offset) &&
	       write_at(cache->fd, words, size, offset + sizeof(*record)));
}

/* Hashes and starts behind one another. What there is no memory for is not
 * remembered. */
static void
put_binary(struct bkp_row_cache *cache, struct record *record,
    const struct fmt_delta_base *base)
{
	uint64_t *words;

	record->count = count_words(FMT_COPY_BINARY, base->count);
	words = calloc((size_t)record->count + 1, sizeof(*words));
	if (words == NULL)
		return;
	memcpy(words, base->hashes, base->count * sizeof(*words));
	memcpy(words + base->count, base->starts,
	    base->count * sizeof(*base->starts));
	append(cache, record, words);
	free(words);
}

void
bkp_row_cache_put(struct bkp_row_cache *cache, uint64_t range,
    const struct bkp_row_base *base)
{
	struct record record = {.range = range,
	    .len = base->base.len,
	    .stored_len = base->stored_len,
	    .paid = base->paid,
	    .last = base->last,
	    .count = base->base.count};

	memcpy(record.base, base->base.id, FMT_ID_SIZE);
	if (base->base.starts != NULL)
		put_binary(cache, &record, &base->base);
	else
		append(cache, &record, base->base.hashes);
}

int
bkp_row_cache_put_note(struct bkp_row_cache *cache, const char *name,
    struct fmt_buf *data, struct bkp_error *err)
{
	static const unsigned char zeros[sizeof(uint64_t)];
	struct record record = {
	    .range = note_key(cache, name), .len = (uint32_t)data->len};
	size_t odd = data->len % sizeof(uint64_t);

	if (odd > 0 &&
	    fmt_buf_append(data, zeros, sizeof(zeros) - odd) != FMT_OK)
		return bkp_fail_nomem(err, "remembering rows");
	record.count = data->len / sizeof(uint64_t);
	for (; cache != NULL; cache = cache->next)
		append(cache, &record, data->data);
	return 0;
}

/* Not synced: what a power loss takes away, the codes find missing. */
void
bkp_row_cache_keep(struct bkp_row_cache *cache)
{
	struct tail tail = {
	    .magic = MAGIC, .offset = cache->end, .count = cache->count};
	size_t size = cache->count * sizeof(*cache->places);

	if (cache->fd < 0 || cache->is_given_up)
		return;
	if (cache->count > 0)
		qsort(cache->places, cache->count, sizeof(*cache->places),
		    compare_places);
	tail.mac = tail_mac(cache, &tail, cache->places);
	if (!write_at(cache->fd, cache->places, size, tail.offset) ||
	    !write_at(cache->fd, &tail, sizeof(tail), tail.offset + size) ||
	    rename(cache->temporary, cache->path) < 0)
		return;
	(void)close(cache->fd);
	cache->fd = -1;
}
