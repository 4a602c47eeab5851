/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/named_keys.h"

#include <stdlib.h>
#include <string.h>

#include "formats/buf.h"
#include "libbackup/archive/spool.h"
#include "libbackup/base/fail.h"

/* How a key is set aside: what it has in common with the one before, and the
 * rest. */
struct record {
	uint32_t shared, rest; /* bytes */
};

struct bkp_named {
	struct bkp_spool *spool;
	struct bkp_key_tally tally;
	struct fmt_buf key;  /* the last that was added, or is being compared */
	struct fmt_buf head; /* room for a record */
	uint64_t left;       /* keys still to be read */
	bool has_key;
};

/* ---- tallies ---- */

static int
show(struct bkp_key_tally *tally, const char *key, struct bkp_error *err)
{
	char *copy;

	tally->missing++;
	if (tally->shown_count == BKP_NAMED_SHOWN)
		return 0;
	if ((copy = bkp_strdup(key, err)) == NULL)
		return -1;
	tally->shown[tally->shown_count++] = copy;
	return 0;
}

static void
free_tally(struct bkp_key_tally *tally)
{
	for (size_t i = 0; i < tally->shown_count; i++)
		free(tally->shown[i]);
	tally->shown_count = 0;
}

/* ---- keys set aside ---- */

int
bkp_named_new(struct bkp_named **out, struct bkp_error *err)
{
	struct bkp_named *named = bkp_alloc(sizeof(*named), err);

	if (named == NULL)
		return -1;
	if (bkp_spool_new(&named->spool, err) < 0) {
		free(named);
		return -1;
	}
	*out = named;
	return 0;
}

void
bkp_named_free(struct bkp_named *named)
{
	if (named == NULL)
		return;
	bkp_spool_free(named->spool);
	fmt_buf_free(&named->key);
	fmt_buf_free(&named->head);
	free_tally(&named->tally);
	free(named);
}

/* How many bytes the last key and this one begin with. */
static size_t
common_start(const struct bkp_named *named, const char *key, size_t len)
{
	size_t most = named->key.len < len ? named->key.len : len, n = 0;

	while (n < most && named->key.data[n] == (unsigned char)key[n])
		n++;
	return n;
}

int
bkp_named_add(
    struct bkp_named *named, const char *key, size_t len, struct bkp_error *err)
{
	size_t shared = common_start(named, key, len), last = named->key.len;
	struct record record = {(uint32_t)shared, (uint32_t)(len - shared)};

	if (named->tally.count > 0 && shared == last && shared == len)
		return 0;
	if (named->tally.count > 0 &&
	    (shared == len ||
		(shared < last &&
		    named->key.data[shared] > (unsigned char)key[shared])))
		return bkp_fail(err, BKP_IO,
		    "the server did not sort the keys by their bytes");
	named->key.len = shared;
	if (fmt_buf_append(&named->key, key + shared, len - shared) != FMT_OK)
		return bkp_fail_nomem(err, "setting a key aside");
	if (bkp_spool_write(named->spool, &record, sizeof(record), err) < 0 ||
	    bkp_spool_write(named->spool, key + shared, len - shared, err) < 0)
		return -1;
	named->tally.count++;
	return 0;
}

const struct bkp_key_tally *
bkp_named_tally(const struct bkp_named *named)
{
	return &named->tally;
}

static int
next_key(struct bkp_named *named, struct bkp_error *err)
{
	struct record record;

	named->has_key = named->left > 0;
	if (!named->has_key)
		return 0;
	fmt_buf_clear(&named->head);
	if (bkp_spool_read(named->spool, sizeof(record), &named->head, err) < 0)
		return -1;
	memcpy(&record, named->head.data, sizeof(record));
	named->key.len = record.shared;
	if (bkp_spool_read(named->spool, record.rest, &named->key, err) < 0)
		return -1;
	if (fmt_buf_text(&named->key) == NULL)
		return bkp_fail_nomem(err, "comparing keys");
	named->left--;
	return 0;
}

static int
begin_reading(struct bkp_named *named, struct bkp_error *err)
{
	named->left = named->tally.count;
	fmt_buf_clear(&named->key);
	if (bkp_spool_rewind(named->spool, err) < 0)
		return -1;
	return next_key(named, err);
}

/* ---- beside objects ---- */

struct bkp_match {
	struct bkp_named *const *named; /* borrowed */
	size_t count;
	struct bkp_key_tally orphans;
};

int
bkp_match_new(struct bkp_named *const *named, size_t count,
    struct bkp_match **out, struct bkp_error *err)
{
	struct bkp_match *match = bkp_alloc(sizeof(*match), err);

	if (match == NULL)
		return -1;
	match->named = named;
	match->count = count;
	for (size_t i = 0; i < count; i++)
		if (begin_reading(named[i], err) < 0) {
			bkp_match_free(match);
			return -1;
		}
	*out = match;
	return 0;
}

void
bkp_match_free(struct bkp_match *match)
{
	if (match == NULL)
		return;
	free_tally(&match->orphans);
	free(match);
}

/* Moves on to `key` (NULL: to the end); what is passed has no object. 1 where
 * the key is named. */
static int
seek(struct bkp_named *named, const char *key, struct bkp_error *err)
{
	while (named->has_key) {
		const char *next = (const char *)named->key.data;
		int order = key == NULL ? -1 : strcmp(next, key);

		if (order > 0)
			return 0;
		if (order < 0 && show(&named->tally, next, err) < 0)
			return -1;
		if (next_key(named, err) < 0)
			return -1;
		if (order == 0)
			return 1;
	}
	return 0;
}

int
bkp_match_see(struct bkp_match *match, const char *key, struct bkp_error *err)
{
	bool is_named = false;

	match->orphans.count++;
	for (size_t i = 0; i < match->count; i++) {
		int found = seek(match->named[i], key, err);

		if (found < 0)
			return -1;
		is_named = is_named || found == 1;
	}
	return is_named ? 0 : show(&match->orphans, key, err);
}

int
bkp_match_finish(struct bkp_match *match, struct bkp_error *err)
{
	for (size_t i = 0; i < match->count; i++)
		if (seek(match->named[i], NULL, err) < 0)
			return -1;
	return 0;
}

const struct bkp_key_tally *
bkp_match_orphans(const struct bkp_match *match)
{
	return &match->orphans;
}
