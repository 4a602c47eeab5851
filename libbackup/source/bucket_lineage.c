/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/bucket_lineage.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "formats/version.h"
#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_impl.h"
#include "libbackup/source/bucket_walk.h"

/* A key with more older versions than this is read twice, not kept. */
#define FEW 32

static const char doing[] = "reading versions";

/* What tells a version from others. */
struct sign {
	uint64_t size; /* UINT64_MAX: a delete marker */
	uint64_t etag; /* its hash; 0: there is none */
	/* Another ETag may be of the same bytes, as of encrypted ones. */
	bool is_doubtful;
	char *id; /* owned: the server's; NULL where nobody needs it */
};

struct signs {
	struct sign *items; /* owned */
	size_t count, cap;
};

struct bkp_bucket_lineages {
	struct bkp_supply *supply; /* borrowed */
	bool is_telling;
	struct bkp_entry_stream *currents, *olders; /* NULL: at the end */
	struct fmt_entry current, older;            /* next; path NULL: none */
	struct fmt_buf older_key;                   /* of `older`; text */
	struct fmt_buf olders_chosen;    /* what version.h says of them; text */
	struct bkp_s3_versions *listing; /* NULL: at its end, or none */
	struct bkp_s3_version version;   /* the next, if has_version */
	bool has_version;
	struct signs wanted, existing; /* of the key at hand; oldest first */
	bool is_any_doubtful;          /* of the wanted */
};

/* ---- one key ---- */

void
bkp_bucket_lineage_free(struct bkp_bucket_lineage *lineage)
{
	if (lineage == NULL)
		return;
	for (size_t i = 0; i < lineage->older_count; i++)
		fmt_entry_free(&lineage->older[i]);
	free(lineage->older);
	for (size_t i = 0; lineage->doubtful != NULL && i < lineage->existing;
	     i++)
		free(lineage->doubtful[i]);
	free(lineage->doubtful);
	if (lineage->stream != NULL)
		bkp_entry_stream_close(lineage->stream);
	fmt_entry_free(&lineage->current);
	free(lineage->key);
	free(lineage);
}

bool
bkp_bucket_is_marker(const struct fmt_entry *entry)
{
	return strcmp(entry->kind, BKP_BUCKET_MARKER) == 0;
}

static bool
is_known_kind(const struct fmt_entry *entry)
{
	return bkp_bucket_is_marker(entry) ||
	       strcmp(entry->kind, BKP_BUCKET_VERSION) == 0;
}

/* The next of many. 1, 0 or -1. */
static int
next_of_many(struct bkp_bucket_lineage *lineage, struct fmt_entry *entry,
    struct bkp_error *err)
{
	int rc;

	while ((rc = bkp_entry_stream_next(lineage->stream, entry, err)) == 1) {
		if (is_known_kind(entry))
			return 1;
		fmt_entry_free(entry);
	}
	return rc;
}

int
bkp_bucket_lineage_next(struct bkp_bucket_lineage *lineage,
    struct fmt_entry *entry, struct bkp_error *err)
{
	int rc = 0;

	*entry = (struct fmt_entry)FMT_ENTRY_INIT;
	if (lineage->stream != NULL)
		rc = next_of_many(lineage, entry, err);
	else if (lineage->given < lineage->older_count) {
		*entry = lineage->older[lineage->given];
		lineage->older[lineage->given++] =
		    (struct fmt_entry)FMT_ENTRY_INIT;
		rc = 1;
	}
	if (rc != 0 || lineage->current.path == NULL)
		return rc;
	*entry = lineage->current;
	lineage->current = (struct fmt_entry)FMT_ENTRY_INIT;
	return 1;
}

/* ---- signs ---- */

static uint64_t
hash_etag(const char *etag)
{
	uint64_t hash = XXH3_64bits(etag, strlen(etag));

	return hash != 0 ? hash : 1;
}

static void
clear_signs(struct signs *signs)
{
	for (size_t i = 0; i < signs->count; i++)
		free(signs->items[i].id);
	signs->count = 0;
}

static int
add_sign(struct signs *signs, bool is_marker, uint64_t size, const char *etag,
    bool is_doubtful, struct bkp_error *err)
{
	if (bkp_grow(&signs->items, signs->count, &signs->cap,
		sizeof(*signs->items), err) < 0)
		return -1;
	signs->items[signs->count++] =
	    (struct sign){.size = is_marker ? UINT64_MAX : size,
		.etag = is_marker || etag == NULL ? 0 : hash_etag(etag),
		.is_doubtful = is_doubtful || etag == NULL};
	return 0;
}

static int
add_wanted(struct bkp_bucket_lineages *lineages, const struct fmt_entry *entry,
    struct bkp_error *err)
{
	struct signs *signs = &lineages->wanted;
	const char *etag = bkp_bucket_attrs_get(entry->attrs, "etag");
	bool is_doubtful = etag == NULL;

	if (is_doubtful)
		etag = bkp_bucket_attrs_get(entry->attrs, "etag_opaque");
	if (is_doubtful && !bkp_bucket_is_marker(entry))
		lineages->is_any_doubtful = true;
	return add_sign(signs, bkp_bucket_is_marker(entry), entry->size, etag,
	    is_doubtful, err);
}

/* What is equal for certain, what may be, and what has the same size. */
enum likeness { SURE, POSSIBLE, BY_SIZE };

static bool
is_alike(const struct sign *a, const struct sign *b, enum likeness likeness)
{
	if (a->size != b->size)
		return false;
	if (a->size == UINT64_MAX || likeness == BY_SIZE)
		return true;
	if (likeness == POSSIBLE && (a->is_doubtful || b->is_doubtful))
		return true;
	return a->etag != 0 && a->etag == b->etag;
}

static bool
are_alike(const struct sign *a, const struct sign *b, size_t count,
    enum likeness likeness)
{
	for (size_t i = 0; i < count; i++)
		if (!is_alike(&a[i], &b[i], likeness))
			return false;
	return true;
}

bool
bkp_bucket_lineages_go_on(
    const struct bkp_bucket_lineages *lineages, size_t skipped, bool is_sure)
{
	const struct signs *existing = &lineages->existing;
	size_t count = existing->count - skipped;

	return count <= lineages->wanted.count &&
	       (count == 0 ||
		   are_alike(existing->items + skipped, lineages->wanted.items,
		       count, is_sure ? SURE : POSSIBLE));
}

bool
bkp_bucket_lineages_are_there(
    const struct bkp_bucket_lineages *lineages, bool is_by_size)
{
	const struct signs *existing = &lineages->existing;
	size_t count = lineages->wanted.count;

	return existing->count >= count &&
	       are_alike(existing->items + (existing->count - count),
		   lineages->wanted.items, count,
		   is_by_size ? BY_SIZE : POSSIBLE);
}

int
bkp_bucket_lineages_doubt(struct bkp_bucket_lineages *lineages,
    struct bkp_bucket_lineage *lineage, struct bkp_error *err)
{
	struct signs *existing = &lineages->existing;
	size_t count = existing->count;

	if (!lineages->is_any_doubtful || count == 0)
		return 0;
	lineage->doubtful =
	    bkp_alloc_array(count, sizeof(*lineage->doubtful), err);
	if (lineage->doubtful == NULL)
		return -1;
	for (size_t i = 0; i < count && i < lineages->wanted.count; i++) {
		if (is_alike(
			&existing->items[i], &lineages->wanted.items[i], SURE))
			continue;
		lineage->doubtful[i] = existing->items[i].id;
		existing->items[i].id = NULL;
	}
	return 0;
}

/* ---- opening ---- */

static int
open_entries(struct bkp_bucket_lineages *lineages, struct bkp_error *err)
{
	struct bkp_supply *supply = lineages->supply;
	const char *prefix = bkp_supply_prefix(supply);
	const char *key = bkp_supply_selection(supply) + strlen(prefix);

	if (fmt_version_selection(prefix, *key == '/' ? key + 1 : key,
		&lineages->olders_chosen) != FMT_OK ||
	    fmt_buf_text(&lineages->olders_chosen) == NULL)
		return bkp_fail_nomem(err, doing);
	if (bkp_bucket_currents(supply, &lineages->currents, err) < 0)
		return -1;
	return bkp_supply_entries(supply,
	    (const char *)lineages->olders_chosen.data, &lineages->olders, err);
}

int
bkp_bucket_lineages_open(struct bkp_supply *supply,
    struct bkp_s3_connection *connection, const char *bucket, bool is_telling,
    struct bkp_bucket_lineages **out, struct bkp_error *err)
{
	struct bkp_bucket_lineages *lineages =
	    bkp_alloc(sizeof(*lineages), err);
	/* What is elsewhere in the bucket is none of the snapshot's. */
	const char *below = bkp_bucket_common_prefix(supply);

	if (lineages == NULL)
		return -1;
	lineages->supply = supply;
	lineages->is_telling = is_telling;
	lineages->current = lineages->older = (struct fmt_entry)FMT_ENTRY_INIT;
	if (open_entries(lineages, err) < 0 ||
	    (connection != NULL && bkp_s3_versions_open(connection, bucket,
				       below, &lineages->listing, err) < 0)) {
		bkp_bucket_lineages_close(lineages);
		return -1;
	}
	*out = lineages;
	return 0;
}

static void
close_stream(struct bkp_entry_stream **stream)
{
	if (*stream != NULL)
		bkp_entry_stream_close(*stream);
	*stream = NULL;
}

void
bkp_bucket_lineages_close(struct bkp_bucket_lineages *lineages)
{
	if (lineages == NULL)
		return;
	close_stream(&lineages->currents);
	close_stream(&lineages->olders);
	bkp_s3_versions_close(lineages->listing);
	fmt_entry_free(&lineages->current);
	fmt_entry_free(&lineages->older);
	fmt_buf_free(&lineages->older_key);
	fmt_buf_free(&lineages->olders_chosen);
	clear_signs(&lineages->wanted);
	clear_signs(&lineages->existing);
	free(lineages->wanted.items);
	free(lineages->existing.items);
	free(lineages);
}

/* ---- what comes next ---- */

static int
leave_unknown(struct bkp_bucket_lineages *lineages,
    const struct fmt_entry *entry, struct bkp_error *err)
{
	return lineages->is_telling
		   ? bkp_bucket_leave_unknown(lineages->supply, entry, err)
		   : 0;
}

static int
next_entry(struct bkp_entry_stream **stream, struct fmt_entry *entry,
    struct bkp_error *err)
{
	int rc = 0;

	if (*stream != NULL)
		rc = bkp_entry_stream_next(*stream, entry, err);
	if (rc == 0)
		close_stream(stream);
	return rc;
}

static int
fill_current(struct bkp_bucket_lineages *lineages, struct bkp_error *err)
{
	struct fmt_entry *entry = &lineages->current;
	int rc;

	while (entry->path == NULL) {
		if ((rc = next_entry(&lineages->currents, entry, err)) != 1)
			return rc;
		if (bkp_supply_is_selected(lineages->supply, entry->path)) {
			if (bkp_bucket_key_of(lineages->supply, entry) != NULL)
				return 0;
			if (leave_unknown(lineages, entry, err) < 0)
				return -1;
		}
		fmt_entry_free(entry);
	}
	return 0;
}

/* Reads the key of the entry at hand. 1; 0: there is none; -1. */
static int
read_key(struct bkp_bucket_lineages *lineages, struct bkp_error *err)
{
	enum fmt_status status;

	if (!is_known_kind(&lineages->older))
		return 0;
	fmt_buf_clear(&lineages->older_key);
	status = fmt_version_key(bkp_supply_prefix(lineages->supply),
	    lineages->older.path, &lineages->older_key);
	if (status == FMT_MALFORMED)
		return 0;
	if (status != FMT_OK || fmt_buf_text(&lineages->older_key) == NULL)
		return bkp_fail_nomem(err, doing);
	return 1;
}

static int
fill_older(struct bkp_bucket_lineages *lineages, struct bkp_error *err)
{
	struct fmt_entry *entry = &lineages->older;
	int rc;

	while (entry->path == NULL) {
		if ((rc = next_entry(&lineages->olders, entry, err)) != 1)
			return rc;
		if (fmt_version_is_selected(entry->path,
			(const char *)lineages->olders_chosen.data)) {
			if ((rc = read_key(lineages, err)) != 0)
				return rc < 0 ? -1 : 0;
			if (leave_unknown(lineages, entry, err) < 0)
				return -1;
		}
		fmt_entry_free(entry);
	}
	return 0;
}

static int
fill_version(struct bkp_bucket_lineages *lineages, struct bkp_error *err)
{
	int rc;

	if (lineages->has_version || lineages->listing == NULL)
		return 0;
	rc = bkp_s3_versions_next(lineages->listing, &lineages->version, err);
	lineages->has_version = rc == 1;
	if (rc == 0) {
		bkp_s3_versions_close(lineages->listing);
		lineages->listing = NULL;
	}
	return rc < 0 ? -1 : 0;
}

/* ---- a key ---- */

/* Where an entry has no ETag that tells of its bytes, those of the version
 * there are looked at, by its id. */
static int
add_existing(struct bkp_bucket_lineages *lineages, struct bkp_error *err)
{
	const struct bkp_s3_version *version = &lineages->version;
	struct signs *signs = &lineages->existing;

	if (add_sign(signs, version->is_delete_marker, version->size,
		version->etag, false, err) < 0)
		return -1;
	if (!lineages->is_any_doubtful || version->is_delete_marker)
		return 0;
	signs->items[signs->count - 1].id =
	    bkp_strdup(version->version_id, err);
	return signs->items[signs->count - 1].id != NULL ? 0 : -1;
}

/* Those that the bucket has come with the newest first. */
static int
read_existing(struct bkp_bucket_lineages *lineages, const char *key,
    struct bkp_error *err)
{
	const struct bkp_s3_version *version = &lineages->version;
	struct signs *signs = &lineages->existing;

	clear_signs(signs);
	while (fill_version(lineages, err) == 0) {
		int order =
		    lineages->has_version ? strcmp(version->key, key) : 1;

		if (order > 0)
			break;
		if (order == 0 && add_existing(lineages, err) < 0)
			return -1;
		lineages->has_version = false;
	}
	if (!lineages->has_version && lineages->listing != NULL)
		return -1;
	for (size_t i = 0; i < signs->count / 2; i++) {
		struct sign sign = signs->items[i];

		signs->items[i] = signs->items[signs->count - 1 - i];
		signs->items[signs->count - 1 - i] = sign;
	}
	return 0;
}

/* Too many to be kept: they are read again when their turn comes. */
static int
turn_to_stream(struct bkp_bucket_lineages *lineages,
    struct bkp_bucket_lineage *lineage, struct bkp_error *err)
{
	struct fmt_buf group = FMT_BUF_INIT;
	const char *text = NULL;
	int rc = -1;

	while (lineage->older_count > 0)
		fmt_entry_free(&lineage->older[--lineage->older_count]);
	if (fmt_version_group(bkp_supply_prefix(lineages->supply), lineage->key,
		&group) == FMT_OK)
		text = fmt_buf_text(&group);
	if (text == NULL)
		(void)bkp_fail_nomem(err, doing);
	else
		rc = bkp_supply_entries(
		    lineages->supply, text, &lineage->stream, err);
	fmt_buf_free(&group);
	return rc;
}

/* Takes the older version at hand. */
static int
take_older(struct bkp_bucket_lineages *lineages,
    struct bkp_bucket_lineage *lineage, struct bkp_error *err)
{
	if (add_wanted(lineages, &lineages->older, err) < 0)
		return -1;
	if (lineage->stream == NULL && lineage->older_count == FEW &&
	    turn_to_stream(lineages, lineage, err) < 0)
		return -1;
	if (lineage->stream != NULL) {
		fmt_entry_free(&lineages->older);
		return 0;
	}
	if (bkp_grow(&lineage->older, lineage->older_count, &lineage->older_cap,
		sizeof(*lineage->older), err) < 0)
		return -1;
	lineage->older[lineage->older_count++] = lineages->older;
	lineages->older = (struct fmt_entry)FMT_ENTRY_INIT;
	return 0;
}

static int
read_wanted(struct bkp_bucket_lineages *lineages,
    struct bkp_bucket_lineage *lineage, struct bkp_error *err)
{
	const char *key = lineage->key;

	clear_signs(&lineages->wanted);
	lineages->is_any_doubtful = false;
	for (;;) {
		if (fill_older(lineages, err) < 0)
			return -1;
		if (lineages->older.path == NULL ||
		    strcmp((const char *)lineages->older_key.data, key) != 0)
			break;
		if (take_older(lineages, lineage, err) < 0)
			return -1;
	}
	if (lineages->current.path == NULL ||
	    strcmp(bkp_bucket_key_of(lineages->supply, &lineages->current),
		key) != 0)
		return 0;
	lineage->current = lineages->current;
	lineages->current = (struct fmt_entry)FMT_ENTRY_INIT;
	return add_wanted(lineages, &lineage->current, err);
}

/* The key that comes first; NULL: there is none any more. */
static const char *
first_key(const struct bkp_bucket_lineages *lineages)
{
	const char *current = NULL, *older = NULL;

	if (lineages->current.path != NULL)
		current =
		    bkp_bucket_key_of(lineages->supply, &lineages->current);
	if (lineages->older.path != NULL)
		older = (const char *)lineages->older_key.data;
	if (current == NULL || older == NULL)
		return current != NULL ? current : older;
	return strcmp(current, older) <= 0 ? current : older;
}

int
bkp_bucket_lineages_next(struct bkp_bucket_lineages *lineages,
    struct bkp_bucket_lineage **out, struct bkp_error *err)
{
	struct bkp_bucket_lineage *lineage;
	const char *key;

	*out = NULL;
	if (fill_current(lineages, err) < 0 || fill_older(lineages, err) < 0)
		return -1;
	if ((key = first_key(lineages)) == NULL)
		return 0;
	if ((lineage = bkp_alloc(sizeof(*lineage), err)) == NULL)
		return -1;
	lineage->current = (struct fmt_entry)FMT_ENTRY_INIT;
	if ((lineage->key = bkp_strdup(key, err)) == NULL ||
	    read_wanted(lineages, lineage, err) < 0 ||
	    read_existing(lineages, lineage->key, err) < 0) {
		bkp_bucket_lineage_free(lineage);
		return -1;
	}
	lineage->wanted = lineages->wanted.count;
	lineage->existing = lineages->existing.count;
	*out = lineage;
	return 0;
}
