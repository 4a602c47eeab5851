/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/index_set.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/temporary.h"

#define PIECE (1u << 20) /* bytes fetched at a time */

/* ---- the file that is mapped ---- */

static int
write_all(int fd, const unsigned char *data, size_t len, struct bkp_error *err)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return bkp_fail_errno(
			    err, errno, "writing a temporary file");
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Maps `len` bytes of a file and looks at them as an index. */
static int
map_index(
    int fd, size_t len, struct bkp_index_file *file, struct bkp_error *err)
{
	enum fmt_status status;
	void *map;

	if (len == 0)
		return bkp_fail(err, BKP_CORRUPT, "the index is empty");
	map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return bkp_fail_errno(err, errno, "mapping the index");
	file->map = map;
	file->len = len;
	if ((status = fmt_index_open(map, len, &file->view)) != FMT_OK)
		return bkp_fail_format(err, status, "reading the index");
	return 0;
}

static void
free_file(struct bkp_index_file *file)
{
	if (file->map != NULL)
		(void)munmap(file->map, file->len);
	file->map = NULL;
}

/* ---- fetching and decrypting, a piece at a time ---- */

struct fetch {
	struct bkp_store *store;
	const char *path;
	struct fmt_age_reader *reader; /* owned */
	EVP_MD_CTX *digest;            /* owned */
	struct fmt_buf stored, plain;  /* one piece */
	size_t plain_len;              /* written so far */
	int fd;                        /* owned */
};

static int
decrypted(struct fetch *fetch, enum fmt_status status, struct bkp_error *err)
{
	if (status != FMT_OK)
		return bkp_fail_format(err, status, "decrypting");
	if (write_all(fetch->fd, fetch->plain.data, fetch->plain.len, err) < 0)
		return -1;
	fetch->plain_len += fetch->plain.len;
	fmt_buf_clear(&fetch->plain);
	return 0;
}

/* Hashes everything even where decryption has failed, so that damage is told
 * as damage. */
static int
fetch_pieces(struct fetch *fetch, uint64_t size, struct bkp_error *err)
{
	int rc = 0;

	for (uint64_t at = 0; at < size; at += PIECE) {
		uint64_t len = size - at < PIECE ? size - at : PIECE;

		fmt_buf_clear(&fetch->stored);
		if (bkp_store_get(fetch->store, fetch->path, at, len,
			&fetch->stored, err) < 0)
			return -1;
		if (EVP_DigestUpdate(fetch->digest, fetch->stored.data,
			fetch->stored.len) != 1)
			return bkp_fail(err, BKP_IO, "hashing an object");
		if (rc == 0)
			rc = decrypted(fetch,
			    fmt_age_reader_update(fetch->reader,
				fetch->stored.data, fetch->stored.len,
				&fetch->plain),
			    err);
	}
	if (rc == 0)
		rc = decrypted(fetch,
		    fmt_age_reader_finish(fetch->reader, &fetch->plain), err);
	return rc;
}

static int
check_digest(struct fetch *fetch, const char *name, struct bkp_error *err)
{
	unsigned char digest[32];
	char hex[BKP_OBJECT_NAME];

	if (EVP_DigestFinal_ex(fetch->digest, digest, NULL) != 1)
		return bkp_fail(err, BKP_IO, "hashing an object");
	fmt_hex(digest, sizeof(digest), hex);
	if (strcmp(hex, name) != 0)
		return bkp_fail(err, BKP_CORRUPT,
		    "its bytes are not the ones that were stored (SHA-256 "
		    "differs from the name)");
	return 0;
}

static int
prepare_fetch(struct fetch *fetch, const struct fmt_age_identity *metadata,
    struct bkp_error *err)
{
	enum fmt_status status =
	    fmt_age_reader_new(metadata, 1, &fetch->reader);

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "decrypting");
	if ((fetch->digest = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex(fetch->digest, EVP_sha256(), NULL) != 1)
		return bkp_fail_nomem(err, "hashing an object");
	fetch->fd = bkp_temporary_file(err);
	return fetch->fd < 0 ? -1 : 0;
}

static void
end_fetch(struct fetch *fetch)
{
	fmt_age_reader_free(fetch->reader);
	EVP_MD_CTX_free(fetch->digest);
	fmt_buf_free(&fetch->stored);
	fmt_buf_free(&fetch->plain);
	if (fetch->fd >= 0)
		(void)close(fetch->fd);
}

/* True where decryption failed, and nothing else did. */
static bool
problem_is_damage(const struct bkp_error *err)
{
	return err != NULL &&
	       (err->code == BKP_CORRUPT || err->code == BKP_AUTH ||
		   err->code == BKP_UNSUPPORTED);
}

static int
load_file(struct bkp_store *store, const struct fmt_age_identity *metadata,
    struct bkp_index_file *file, struct bkp_error *err)
{
	char path[96];
	struct fetch fetch = {.store = store,
	    .path = path,
	    .stored = FMT_BUF_INIT,
	    .plain = FMT_BUF_INIT,
	    .fd = -1};
	struct bkp_error damage = BKP_ERROR_INIT;
	struct bkp_store_object object;
	int rc = -1;

	(void)snprintf(path, sizeof(path), "index/%s", file->name);
	if (bkp_store_stat(store, path, &object, err) < 0) {
		/* It was listed a moment ago. */
		if (err != NULL && err->code == BKP_NOTFOUND)
			err->code = BKP_RETRY;
		return -1;
	}
	if (prepare_fetch(&fetch, metadata, err) < 0)
		goto out;
	rc = fetch_pieces(&fetch, object.size, err);
	if (rc == 0)
		rc = check_digest(&fetch, file->name, err);
	else if (problem_is_damage(err) &&
		 check_digest(&fetch, file->name, &damage) < 0)
		*err = damage;
	if (rc == 0)
		rc = map_index(fetch.fd, fetch.plain_len, file, err);
	if (rc < 0)
		(void)bkp_fail_in(err, "%s: %s", store->location, path);
out:
	end_fetch(&fetch);
	return rc;
}

/* ---- the set ---- */

void
bkp_index_set_init(struct bkp_index_set *set)
{
	*set = (struct bkp_index_set){.files = NULL};
	pthread_rwlock_init(&set->lock, NULL);
}

void
bkp_index_set_free(struct bkp_index_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		free_file(&set->files[i]);
	free(set->files);
	free(set->lost);
	free(set->damaged);
	pthread_rwlock_destroy(&set->lock);
}

static const struct bkp_index_file *
find_file(const struct bkp_index_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(set->files[i].name, name) == 0)
			return &set->files[i];
	}
	return NULL;
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

/* True where it is loaded, or was found not to be loadable. */
static bool
is_settled(struct bkp_index_set *set, const char *name)
{
	bool is_there;

	pthread_rwlock_rdlock(&set->lock);
	is_there = find_file(set, name) != NULL || is_damaged(set, name);
	pthread_rwlock_unlock(&set->lock);
	return is_there;
}

/* Takes the file, also on failure. Another thread may have loaded the same
 * one meanwhile. */
static int
insert_file(struct bkp_index_set *set, struct bkp_index_file *file,
    struct bkp_error *err)
{
	int rc = 0;

	/* What was read to check it need not stay resident. */
	(void)madvise(file->map, file->len, MADV_DONTNEED);
	(void)madvise(file->map, file->len, MADV_RANDOM);
	pthread_rwlock_wrlock(&set->lock);
	if (find_file(set, file->name) != NULL)
		free_file(file);
	else if ((rc = bkp_grow(&set->files, set->count, &set->cap,
		      sizeof(*set->files), err)) == 0)
		set->files[set->count++] = *file;
	pthread_rwlock_unlock(&set->lock);
	if (rc < 0)
		free_file(file);
	return rc;
}

static int
check_file(const struct bkp_index_file *file, bkp_is_writer_fn *is_writer,
    void *arg, struct bkp_error *err)
{
	enum fmt_status status;

	if (!is_writer(arg, file->view.signer))
		return bkp_fail(err, BKP_AUTH,
		    "it is signed by a key that is not a writer's");
	if ((status = fmt_index_check(&file->view)) != FMT_OK)
		return bkp_fail_format(err, status, "checking the index");
	return 0;
}

static int
load_one(struct bkp_index_set *set, struct bkp_store *store,
    const struct fmt_age_identity *metadata, const char *name,
    bkp_is_writer_fn *is_writer, void *arg, struct bkp_error *err)
{
	struct bkp_index_file file = {.map = NULL};

	memcpy(file.name, name, sizeof(file.name));
	if (load_file(store, metadata, &file, err) < 0)
		goto fail;
	if (check_file(&file, is_writer, arg, err) < 0) {
		(void)bkp_fail_in(err, "%s: index/%s", store->location, name);
		goto fail;
	}
	return insert_file(set, &file, err);
fail:
	free_file(&file);
	return -1;
}

static int
note_damage(struct bkp_index_set *set, const char *name,
    const struct bkp_error *problem, struct bkp_error *err)
{
	struct bkp_index_damage *damage;
	int rc = 0;

	pthread_rwlock_wrlock(&set->lock);
	if (!is_damaged(set, name)) {
		rc = bkp_grow(&set->damaged, set->damaged_count,
		    &set->damaged_cap, sizeof(*set->damaged), err);
		if (rc == 0) {
			damage = &set->damaged[set->damaged_count++];
			memcpy(damage->name, name, sizeof(damage->name));
			damage->problem = *problem;
		}
	}
	pthread_rwlock_unlock(&set->lock);
	return rc;
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

int
bkp_index_set_load(struct bkp_index_set *set, struct bkp_store *store,
    const struct fmt_age_identity *metadata, bkp_is_writer_fn *is_writer,
    void *arg, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	int rc = bkp_object_names(store, "index", "", &names, err);

	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		struct bkp_error problem = BKP_ERROR_INIT;

		if (is_settled(set, names.items[i]) ||
		    load_one(set, store, metadata, names.items[i], is_writer,
			arg, &problem) == 0)
			continue;
		if (problem_is_damage(&problem)) {
			rc = note_damage(set, names.items[i], &problem, err);
		} else {
			if (err != NULL)
				*err = problem;
			rc = -1;
		}
	}
	bkp_names_free(&names);
	return rc;
}

int
bkp_index_set_add(struct bkp_index_set *set, const char *name, const void *data,
    size_t len, struct bkp_error *err)
{
	struct bkp_index_file file = {.map = NULL};
	int fd = bkp_temporary_file(err), rc;

	if (fd < 0)
		return -1;
	memcpy(file.name, name, sizeof(file.name));
	rc = write_all(fd, data, len, err);
	if (rc == 0)
		rc = map_index(fd, len, &file, err);
	(void)close(fd);
	if (rc < 0) {
		free_file(&file);
		return -1;
	}
	return insert_file(set, &file, err);
}

/* ---- packs that are not there ---- */

struct stored_pack {
	unsigned char name[32];
	uint64_t size;
};

struct stored_packs {
	struct stored_pack *items; /* owned, in the order of names */
	size_t count, cap;
};

static int
add_stored(
    void *arg, const struct bkp_store_object *object, struct bkp_error *err)
{
	struct stored_packs *packs = arg;
	const char *slash = strrchr(object->name, '/');
	struct stored_pack pack = {.size = object->size};

	if (slash == NULL || fmt_unhex(slash + 1, pack.name, 32) != FMT_OK)
		return 0; /* not a pack */
	if (bkp_grow(&packs->items, packs->count, &packs->cap,
		sizeof(*packs->items), err) < 0)
		return -1;
	packs->items[packs->count++] = pack;
	return 0;
}

static int
compare_names(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static int
check_packs_of(struct bkp_index_set *set, const struct fmt_index *view,
    const struct stored_packs *packs, struct bkp_error *err)
{
	for (uint32_t n = 0; n < view->pack_count; n++) {
		const struct stored_pack *found = NULL;
		struct fmt_index_pack pack;

		fmt_index_pack_at(view, n, &pack);
		if (packs->count > 0)
			found = bsearch(pack.name, packs->items, packs->count,
			    sizeof(*packs->items), compare_names);
		if (found != NULL && found->size == pack.stored_size)
			continue;
		if (bkp_grow(&set->lost, set->lost_count, &set->lost_cap,
			sizeof(*set->lost), err) < 0)
			return -1;
		memcpy(set->lost[set->lost_count++], pack.name, 32);
	}
	return 0;
}

int
bkp_index_set_check_packs(
    struct bkp_index_set *set, struct bkp_store *store, struct bkp_error *err)
{
	struct stored_packs packs = {NULL, 0, 0};
	int rc = bkp_store_list(store, "packs/", add_stored, &packs, err);

	pthread_rwlock_wrlock(&set->lock);
	set->lost_count = 0;
	for (size_t i = 0; rc == 0 && i < set->count; i++)
		rc = check_packs_of(set, &set->files[i].view, &packs, err);
	if (set->lost_count > 0)
		qsort(set->lost, set->lost_count, sizeof(*set->lost),
		    compare_names);
	pthread_rwlock_unlock(&set->lock);
	free(packs.items);
	return rc;
}

static bool
is_lost(const struct bkp_index_set *set, const unsigned char pack[32])
{
	return set->lost_count > 0 &&
	       bsearch(pack, set->lost, set->lost_count, sizeof(*set->lost),
		   compare_names) != NULL;
}

/* ---- finding ---- */

bool
bkp_index_set_find_copy(struct bkp_index_set *set,
    const unsigned char id[FMT_ID_SIZE], size_t n, struct fmt_index_place *out)
{
	struct fmt_index_place place;
	bool is_found = false;

	pthread_rwlock_rdlock(&set->lock);
	/* The newest last: what is asked for was most often stored lately. */
	for (size_t i = set->count; !is_found && i > 0; i--)
		is_found =
		    fmt_index_find(&set->files[i - 1].view, id, &place) &&
		    !is_lost(set, place.pack.name) && n-- == 0;
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
