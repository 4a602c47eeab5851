/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_cuts.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

/* A page of a listing. */
#define STRIDE 1000u

/* Of more keys than this every second one is let go. Even. */
#define CUTS_MAX 4096u

/* Entries that are read before they are asked for, at most: as many as are
 * listed at a time, and some. Where the bucket has lost more than that in a
 * row, the rest is one piece. */
#define WAITING_MAX (8u * STRIDE)

/* Chunks of theirs, at most, but for those of one entry: a large object has
 * thousands. Some megabytes. */
#define REFS_MAX 100000u

bool
bkp_bucket_is_plain(const char *key)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789 -._~/=,:@";
	size_t len = strspn(key, plain);

	return len > 0 && key[len] == '\0' && key[0] != '/' &&
	       key[len - 1] != '/' && strstr(key, "//") == NULL &&
	       strstr(key, "./") == NULL;
}

/* ---- of keys that were listed ---- */

void
bkp_bucket_cuts_free(struct bkp_bucket_cuts *cuts)
{
	for (size_t i = 0; i < cuts->count; i++)
		free(cuts->keys[i]);
	free(cuts->keys);
	*cuts = (struct bkp_bucket_cuts)BKP_BUCKET_CUTS_INIT;
}

static void
thin_out(struct bkp_bucket_cuts *cuts)
{
	for (size_t i = 0; i < cuts->count / 2; i++) {
		free(cuts->keys[2 * i]);
		cuts->keys[i] = cuts->keys[2 * i + 1];
	}
	cuts->count /= 2;
	cuts->stride *= 2;
}

int
bkp_bucket_cuts_see(
    struct bkp_bucket_cuts *cuts, const char *key, struct bkp_error *err)
{
	char *copy;

	if (cuts->stride == 0)
		cuts->stride = STRIDE;
	if (++cuts->since < cuts->stride || !bkp_bucket_is_plain(key))
		return 0;
	if (cuts->count == CUTS_MAX)
		thin_out(cuts);
	if (cuts->since < cuts->stride)
		return 0;
	if (bkp_grow(&cuts->keys, cuts->count, &cuts->cap, sizeof(*cuts->keys),
		err) < 0 ||
	    (copy = bkp_strdup(key, err)) == NULL)
		return -1;
	cuts->keys[cuts->count++] = copy;
	cuts->since = 0;
	return 0;
}

int
bkp_bucket_cuts_next(void *arg, const char **key, struct bkp_error *err)
{
	struct bkp_bucket_cuts *cuts = arg;

	(void)err;
	/* Behind the last key there is nothing to be asked for. */
	if (cuts->given == cuts->count ||
	    (cuts->given + 1 == cuts->count && cuts->since == 0))
		return 0;
	*key = cuts->keys[cuts->given++];
	return 1;
}

/* ---- of the last snapshot ---- */

struct bkp_bucket_former {
	struct bkp_entry_stream *stream; /* owned; NULL: at its end */
	size_t skipped;
	struct fmt_entry *waiting; /* a ring of WAITING_MAX, owned */
	size_t first, count;
	size_t cut;  /* how many of them are in front of the last cut */
	size_t refs; /* to chunks, of them all */
};

void
bkp_bucket_former_free(struct bkp_bucket_former *former)
{
	if (former == NULL)
		return;
	for (size_t i = 0; i < former->count; i++)
		fmt_entry_free(
		    &former->waiting[(former->first + i) % WAITING_MAX]);
	free(former->waiting);
	if (former->stream != NULL)
		bkp_entry_stream_close(former->stream);
	free(former);
}

int
bkp_bucket_former_new(struct bkp_entry_stream *stream, size_t skipped,
    struct bkp_bucket_former **out, struct bkp_error *err)
{
	struct bkp_bucket_former *former = bkp_alloc(sizeof(*former), err);

	if (former == NULL) {
		if (stream != NULL)
			bkp_entry_stream_close(stream);
		return -1;
	}
	former->stream = stream;
	former->skipped = skipped;
	former->waiting =
	    bkp_alloc_array(WAITING_MAX, sizeof(*former->waiting), err);
	if (former->waiting == NULL) {
		bkp_bucket_former_free(former);
		return -1;
	}
	*out = former;
	return 0;
}

static int
read_one(struct bkp_bucket_former *former, struct fmt_entry *entry,
    struct bkp_error *err)
{
	int rc = 0;

	if (former->stream != NULL &&
	    (rc = bkp_entry_stream_next(former->stream, entry, err)) == 0) {
		bkp_entry_stream_close(former->stream);
		former->stream = NULL;
	}
	return rc;
}

int
bkp_bucket_former_next(struct bkp_bucket_former *former,
    struct fmt_entry *entry, struct bkp_error *err)
{
	if (former->count == 0)
		return read_one(former, entry, err);
	*entry = former->waiting[former->first];
	former->first = (former->first + 1) % WAITING_MAX;
	former->count--;
	former->refs -= entry->chunk_count;
	if (former->cut > 0)
		former->cut--;
	return 1;
}

/* Has at least so many waiting: 1; 0 where there are not so many, or they
 * cannot wait; -1. */
static int
read_ahead(
    struct bkp_bucket_former *former, size_t count, struct bkp_error *err)
{
	while (former->count < count) {
		struct fmt_entry *room =
		    &former->waiting[(former->first + former->count) %
				     WAITING_MAX];
		int rc = 0;

		if (count <= WAITING_MAX && former->refs < REFS_MAX)
			rc = read_one(former, room, err);
		if (rc != 1)
			return rc;
		former->count++;
		former->refs += room->chunk_count;
	}
	return 1;
}

int
bkp_bucket_former_cut(void *arg, const char **key, struct bkp_error *err)
{
	struct bkp_bucket_former *former = arg;
	size_t next = former->cut + STRIDE;
	int rc;

	/* One more, since behind the last key there is nothing. */
	while ((rc = read_ahead(former, next + 1, err)) == 1) {
		const struct fmt_entry *entry =
		    &former->waiting[(former->first + next - 1) % WAITING_MAX];

		*key = entry->path + former->skipped;
		if (bkp_bucket_is_plain(*key))
			break;
		next++;
	}
	former->cut = next;
	return rc;
}
