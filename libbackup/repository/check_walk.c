/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunks that snapshots refer to, each metadata chunk of an entry list
 * read once however many snapshots share it. Where such a chunk names one that
 * is bad, that is kept, so that every snapshot that shares it is named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/checker.h"

/* An entry in a metadata chunk that is hurt by a finding. */
struct wound {
	size_t finding;
	char *path; /* owned */
};

/* A metadata chunk that holds such entries. */
struct sore {
	unsigned char id[FMT_ID_SIZE];
	size_t first, count; /* of wounds */
};

struct walk {
	struct bkp_checker *checker;
	struct bkp_chunk_reader *reader; /* owned; of metadata */
	struct bkp_known_set sound;      /* metadata chunks without wounds */
	struct sore *sores;              /* owned */
	size_t sore_count, sore_cap;
	struct wound *wounds; /* owned */
	size_t wound_count, wound_cap;
	size_t first_wound;   /* of the metadata chunk at hand */
	struct fmt_buf plain; /* secret */
	struct bkp_error *err;
	bool has_failed; /* in a callback, with err set */
};

static void
end_walk(struct walk *walk)
{
	bkp_chunk_reader_free(walk->reader);
	bkp_known_set_free(&walk->sound);
	for (size_t i = 0; i < walk->wound_count; i++)
		free(walk->wounds[i].path);
	free(walk->wounds);
	free(walk->sores);
	fmt_buf_free(&walk->plain);
}

/* ---- one chunk ---- */

/* The pack of the n-th copy of a chunk; NULL: there is no such copy. */
static struct bkp_check_pack *
copy_of(struct walk *walk, const unsigned char id[FMT_ID_SIZE], size_t n,
    struct fmt_index_place *place)
{
	struct bkp_checker *checker = walk->checker;

	if (!bkp_index_set_find_copy(&checker->repository->index, id, n, place))
		return NULL;
	return bkp_check_packs_find(&checker->packs, place->pack.name);
}

/* What a difference needs of its base is a copy that is stored whole. */
static bool
is_sound_as(
    struct walk *walk, const unsigned char id[FMT_ID_SIZE], bool as_base)
{
	const struct bkp_check_pack *pack;
	struct fmt_index_place place;

	for (size_t n = 0; (pack = copy_of(walk, id, n, &place)) != NULL; n++) {
		if (bkp_check_is_bad_chunk(walk->checker, pack, id))
			continue;
		if (!place.chunk.has_base ||
		    (!as_base && is_sound_as(walk, place.chunk.base, true)))
			return true;
	}
	return false;
}

static bool
is_sound(struct walk *walk, const unsigned char id[FMT_ID_SIZE])
{
	return is_sound_as(walk, id, false);
}

/* The finding about a pack that is not there, made when it is missed first:
 * one that nobody misses is a ghost. */
static int
finding_of_pack(
    struct walk *walk, struct bkp_check_pack *pack, struct bkp_error *err)
{
	char path[BKP_PACK_PATH];

	pack->is_needed = true;
	if (pack->finding != 0)
		return 0;
	bkp_pack_path(pack->name, path);
	return bkp_finding_add(&walk->checker->findings, &pack->finding,
	    BKP_FINDING_DAMAGE, "pack-missing", path, err,
	    "%s: it is not there, and the index names it", path);
}

/* An index object that is not there any more may have left its error
 * correction, which tells what it was called. */
static int
name_missing_index(struct bkp_checker *checker, struct bkp_error *err)
{
	struct bkp_names names = BKP_NAMES_INIT;
	struct bkp_names there = BKP_NAMES_INIT;
	struct bkp_store *store = checker->repository->store;
	int rc = bkp_object_names(store, "parity/index", "", &names, err);

	if (rc == 0 && names.count > 0)
		rc = bkp_object_names(store, "index", "", &there, err);
	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		char path[BKP_PACK_PATH];

		if (bkp_names_has(&there, names.items[i]))
			continue;
		(void)snprintf(path, sizeof(path), "index/%s", names.items[i]);
		rc = bkp_finding_add(&checker->findings, NULL,
		    BKP_FINDING_DAMAGE, "index-missing", path, err,
		    "%s: it is not there, and its error correction is", path);
	}
	bkp_names_free(&names);
	bkp_names_free(&there);
	return rc;
}

static int
finding_of_unknown(struct walk *walk, struct bkp_error *err)
{
	struct bkp_checker *checker = walk->checker;
	int rc;

	if (checker->unknown_count > 0)
		return 0;
	checker->unknown_count = 1;
	if (checker->packs.orphans > 0)
		rc = bkp_finding_add(&checker->findings, &checker->unknown,
		    BKP_FINDING_DAMAGE, "index-missing", "index/", err,
		    "index/: chunks that snapshots need are in no index "
		    "object, and %s %s in none: an index object is "
		    "missing; backup-check --repair makes it anew from the "
		    "packs",
		    bkp_counted(checker->packs.orphans, "pack").text,
		    bkp_are(checker->packs.orphans));
	else
		rc = bkp_finding_add(&checker->findings, &checker->unknown,
		    BKP_FINDING_DAMAGE, "chunks-missing", "packs/", err,
		    "chunks that snapshots need are not there any more, and "
		    "no pack could hold them; a backup that finds the same "
		    "content again stores them");
	return rc < 0 ? -1 : name_missing_index(checker, err);
}

/* Who is told of a finding that explains why a chunk is bad. */
typedef int blame_fn(
    void *arg, size_t finding, const char *path, struct bkp_error *err);

static int
blame_copies(struct walk *walk, const unsigned char id[FMT_ID_SIZE],
    blame_fn *fn, void *arg, const char *path, size_t *count,
    struct bkp_error *err)
{
	struct fmt_index_place place;
	struct bkp_check_pack *pack;

	for (size_t n = 0; (pack = copy_of(walk, id, n, &place)) != NULL; n++) {
		size_t bases = 0;

		(*count)++;
		if (!bkp_check_is_bad_chunk(walk->checker, pack, id)) {
			/* Its base is, which is never a difference itself. */
			if (place.chunk.has_base &&
			    blame_copies(walk, place.chunk.base, fn, arg, path,
				&bases, err) < 0)
				return -1;
			continue;
		}
		if (finding_of_pack(walk, pack, err) < 0 ||
		    fn(arg, pack->finding, path, err) < 0)
			return -1;
	}
	return 0;
}

static int
blame(struct walk *walk, const unsigned char id[FMT_ID_SIZE], blame_fn *fn,
    void *arg, const char *path, struct bkp_error *err)
{
	size_t count = 0;

	if (blame_copies(walk, id, fn, arg, path, &count, err) < 0)
		return -1;
	if (count > 0)
		return 0;
	if (finding_of_unknown(walk, err) < 0)
		return -1;
	/* Which of them knew it nobody can tell. */
	for (size_t i = 0; i < walk->checker->unknown_count; i++) {
		if (fn(arg, walk->checker->unknown + i, path, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- one metadata chunk ---- */

/* True where it is among the last ones, of the same entry and from `first`. */
static bool
has_wound(const struct walk *walk, size_t finding, const char *path)
{
	for (size_t i = walk->wound_count; i > walk->first_wound; i--) {
		const struct wound *wound = &walk->wounds[i - 1];

		if (strcmp(wound->path, path) != 0)
			return false;
		if (wound->finding == finding)
			return true;
	}
	return false;
}

static int
add_wound(void *arg, size_t finding, const char *path, struct bkp_error *err)
{
	struct walk *walk = arg;
	char *copy;

	if (has_wound(walk, finding, path))
		return 0;
	if (bkp_grow(&walk->wounds, walk->wound_count, &walk->wound_cap,
		sizeof(*walk->wounds), err) < 0 ||
	    (copy = bkp_strdup(path, err)) == NULL)
		return -1;
	walk->wounds[walk->wound_count++] = (struct wound){finding, copy};
	return 0;
}

static enum fmt_status
check_line(void *arg, const char *path, bool is_first,
    const struct fmt_chunk_ref *refs, size_t count)
{
	struct walk *walk = arg;

	walk->checker->entries += is_first;
	for (size_t i = 0; i < count; i++) {
		if (is_sound(walk, refs[i].id))
			continue;
		if (blame(walk, refs[i].id, add_wound, walk, path, walk->err) <
		    0) {
			walk->has_failed = true;
			return FMT_NOMEM;
		}
	}
	return FMT_OK;
}

/* The pack turned out to be damaged only now that it is read. */
static int
note_unreadable(struct walk *walk, const struct fmt_chunk_ref *ref,
    const struct bkp_error *problem, struct bkp_error *err)
{
	struct bkp_checker *checker = walk->checker;
	struct fmt_index_place place;
	struct bkp_check_pack *pack;
	char path[BKP_PACK_PATH];

	for (size_t n = 0; (pack = copy_of(walk, ref->id, n, &place)) != NULL;
	     n++) {
		if (bkp_check_is_bad_chunk(checker, pack, ref->id))
			continue;
		bkp_pack_path(pack->name, path);
		if (pack->finding == 0 &&
		    bkp_finding_add(&checker->findings, &pack->finding,
			BKP_FINDING_WARNING, "pack-damaged", path, err,
			"%s: %s", path, problem->message) < 0)
			return -1;
		if (bkp_check_bad_chunk(checker, pack, ref->id, err) < 0)
			return -1;
	}
	return 0;
}

/* Reads a metadata chunk. 1: it is in `plain`; 0: it is bad, and the walk
 * knows; -1. */
static int
read_list(
    struct walk *walk, const struct fmt_chunk_ref *ref, struct bkp_error *err)
{
	struct bkp_error problem = BKP_ERROR_INIT;

	fmt_buf_clear(&walk->plain);
	if (!is_sound(walk, ref->id))
		return 0;
	if (bkp_chunk_reader_get(walk->reader, ref, &walk->plain, &problem) ==
	    0)
		return 1;
	if (bkp_check_is_damage(&problem))
		return note_unreadable(walk, ref, &problem, err);
	if (err != NULL)
		*err = problem;
	return -1;
}

/* Where a sore is, or would be. */
static size_t
place_of(const struct walk *walk, const unsigned char id[FMT_ID_SIZE])
{
	size_t low = 0, high = walk->sore_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(walk->sores[middle].id, id, FMT_ID_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct sore *
find_sore(const struct walk *walk, const unsigned char id[FMT_ID_SIZE])
{
	size_t at = place_of(walk, id);

	if (at == walk->sore_count ||
	    memcmp(walk->sores[at].id, id, FMT_ID_SIZE) != 0)
		return NULL;
	return &walk->sores[at];
}

static int
add_sore(struct walk *walk, const unsigned char id[FMT_ID_SIZE],
    struct bkp_error *err)
{
	size_t at = place_of(walk, id);

	if (bkp_grow(&walk->sores, walk->sore_count, &walk->sore_cap,
		sizeof(*walk->sores), err) < 0)
		return -1;
	memmove(&walk->sores[at + 1], &walk->sores[at],
	    (walk->sore_count - at) * sizeof(*walk->sores));
	memcpy(walk->sores[at].id, id, FMT_ID_SIZE);
	walk->sores[at].first = walk->first_wound;
	walk->sores[at].count = walk->wound_count - walk->first_wound;
	walk->sore_count++;
	return 0;
}

/* Authentic, and not what it should be: its writer erred. */
static int
note_malformed(struct walk *walk, enum fmt_status status, const char *prefix,
    struct bkp_error *err)
{
	size_t number;

	if (bkp_finding_add(&walk->checker->findings, &number,
		BKP_FINDING_DAMAGE, "list-malformed", "", err,
		"%s: an entry list is %s", prefix, fmt_status_text(status)) < 0)
		return -1;
	return add_wound(walk, number, prefix, err);
}

/* Looks at what a metadata chunk refers to, which becomes sound or a sore.
 * 1; 0: it is bad itself; -1. */
static int
examine(struct walk *walk, const struct fmt_chunk_ref *ref, const char *prefix,
    struct bkp_error *err)
{
	enum fmt_status status;
	bool is_new;
	int rc;

	if ((rc = read_list(walk, ref, err)) != 1)
		return rc;
	walk->first_wound = walk->wound_count;
	walk->err = err;
	status =
	    fmt_entry_refs(walk->plain.data, walk->plain.len, check_line, walk);
	if (walk->has_failed)
		return -1;
	if (status == FMT_NOMEM)
		return bkp_fail_nomem(err, "reading an entry list");
	if (status != FMT_OK && note_malformed(walk, status, prefix, err) < 0)
		return -1;
	if (walk->wound_count > walk->first_wound)
		rc = add_sore(walk, ref->id, err);
	else
		rc = bkp_known_set_add(&walk->sound, ref->id, &is_new, err);
	return rc < 0 ? -1 : 1;
}

/* ---- one snapshot ---- */

struct patient {
	struct walk *walk;
	const struct bkp_named_snapshot *snapshot;
};

static int
hurt(void *arg, size_t finding, const char *path, struct bkp_error *err)
{
	struct patient *patient = arg;

	return bkp_finding_hurt(&patient->walk->checker->findings, finding,
	    patient->snapshot->name, path, err);
}

static int
visit(struct walk *walk, struct patient *patient,
    const struct fmt_chunk_ref *ref, const char *prefix, struct bkp_error *err)
{
	const struct sore *sore;
	int rc;

	if (bkp_known_set_has(&walk->sound, ref->id))
		return 0;
	if ((sore = find_sore(walk, ref->id)) == NULL) {
		if ((rc = examine(walk, ref, prefix, err)) < 0)
			return -1;
		if (rc == 0)
			/* Which entries were in it nobody can tell, so the
			 * source is named. */
			return blame(walk, ref->id, hurt, patient, prefix, err);
		sore = find_sore(walk, ref->id);
	}
	for (size_t i = 0; sore != NULL && i < sore->count; i++) {
		const struct wound *wound = &walk->wounds[sore->first + i];

		if (hurt(patient, wound->finding, wound->path, err) < 0)
			return -1;
	}
	return 0;
}

static int
walk_snapshot(struct walk *walk, const struct bkp_named_snapshot *snapshot,
    struct bkp_error *err)
{
	struct patient patient = {walk, snapshot};

	for (size_t s = 0; s < snapshot->snapshot.source_count; s++) {
		const struct fmt_snapshot_source *source =
		    &snapshot->snapshot.sources[s];

		for (size_t i = 0; i < source->list_count; i++) {
			if (bkp_run_check(walk->checker->run, err) < 0 ||
			    visit(walk, &patient, &source->list[i],
				source->prefix, err) < 0)
				return -1;
		}
	}
	bkp_run_count(walk->checker->run, 0, 1);
	bkp_run_tick(walk->checker->run);
	return 0;
}

int
bkp_check_walk(struct bkp_checker *checker, struct bkp_error *err)
{
	struct walk walk = {.checker = checker, .plain.is_secret = true};
	int rc;

	bkp_known_set_init(&walk.sound);
	bkp_run_phase(checker->run, 0, checker->history.snapshots.count,
	    "checking what snapshots need");
	rc = bkp_chunk_reader_new_of(
	    checker->repository, FMT_PACK_METADATA, &walk.reader, err);
	for (size_t i = 0; rc == 0 && i < checker->history.snapshots.count; i++)
		rc = walk_snapshot(
		    &walk, &checker->history.snapshots.items[i], err);
	end_walk(&walk);
	return rc;
}
