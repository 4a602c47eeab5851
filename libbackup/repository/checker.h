/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_REPOSITORY_CHECKER_H
#define LIBBACKUP_REPOSITORY_CHECKER_H

/*
 * The check of a repository. Snapshots are read before the index, and the
 * index before packs are listed, which is the reverse of the order of writing:
 * a backup that goes on meanwhile is no damage.
 *
 *   check_strays     what is no object of a repository
 *   check_sessions   who says that he is at work, and is not
 *   check_objects    what is read whole: keys, writers, index, snapshots
 *   check_packs      the packs that are stored beside those that are indexed
 *   check_parity     the error correction that is kept beside them
 *   check_read       the bytes of packs, by several workers
 *   check_salvage    what is left of those that are damaged
 *   check_misplaced  objects that hold the bytes of another one
 *   check_walk       the chunks that snapshots refer to
 *   check_memory     which packs were read when
 *
 * Memory: 80 bytes a pack, 96 bytes for each other object, 20 bytes for each
 * metadata chunk of entry lists, and a pack (16 MiB, twice where it is
 * decrypted) for each worker.
 */

#include "libbackup/base/run.h"
#include "libbackup/check.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/known_set.h"
#include "libbackup/repository/repository_own.h"

/* Where a repair keeps what is damaged. */
#define BKP_DAMAGED_FOLDER "damaged"

/* ---- findings ---- */

struct bkp_finding_item {
	enum bkp_finding_level level;
	const char *kind;      /* a literal */
	char *object;          /* owned */
	char *text;            /* owned */
	struct bkp_hurt *hurt; /* owned; its texts are the list's */
	size_t hurt_count, hurt_cap;
	uint64_t hurt_total;
};

struct bkp_finding_list {
	struct bkp_finding_item *items; /* owned */
	size_t count, cap;
	char **paths; /* owned, each too */
	size_t path_count, path_cap;
	char **snapshots; /* the same: all that are hurt */
	size_t snapshot_count, snapshot_cap;
};

/* Numbers of findings begin at 1, so that 0 is none. */
int bkp_finding_add(struct bkp_finding_list *list, size_t *number,
    enum bkp_finding_level level, const char *kind, const char *object,
    struct bkp_error *err, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

/* Both copied, for the caller to free; or neither. */
int bkp_finding_texts(const char *object, const char *text, char **object_copy,
    char **text_copy, struct bkp_error *err);

/* Adds to the text of one. */
int bkp_finding_append(struct bkp_finding_list *list, size_t number,
    struct bkp_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Notes that an entry is hurt, which makes the finding damage: one about a pack
 * is a warning until then. The same once more, right after it, is counted
 * once. */
int bkp_finding_hurt(struct bkp_finding_list *list, size_t number,
    const char *snapshot, const char *path, struct bkp_error *err);
void bkp_finding_list_free(struct bkp_finding_list *list);

/* ---- packs ---- */

enum bkp_pack_state {
	BKP_PACK_GOOD,
	BKP_PACK_LOST,  /* nothing of it can be read */
	BKP_PACK_PARTLY /* all but the chunks in bad_chunks */
};

struct bkp_check_pack {
	unsigned char name[32];
	uint64_t stored_size, indexed_size;
	int64_t read_us; /* when its bytes were last found good; 0: never;
			    below 0: damaged, at that time */
	size_t finding;
	enum fmt_pack_kind kind; /* where it is indexed */
	enum bkp_pack_state state;
	bool is_stored, is_indexed;
	bool is_needed; /* a snapshot needs it and it is not good */
	bool has_parity, is_parity_bad;
};

struct bkp_check_packs {
	struct bkp_check_pack *items; /* owned, by name */
	size_t count, cap;
	uint64_t stored, stored_bytes;
	size_t orphans; /* stored, and in no index object */
};

struct bkp_check_pack *bkp_check_packs_find(
    const struct bkp_check_packs *packs, const unsigned char name[32]);

/* "packs/3f/3f2a..." */
#define BKP_PACK_PATH 96
void bkp_pack_path(const unsigned char name[32], char path[BKP_PACK_PATH]);

/* What packs hold by the index, in their own order. */
struct bkp_pack_content {
	unsigned char name[32];
	enum fmt_pack_kind kind;
	uint64_t size;                 /* as it was stored */
	struct fmt_pack_chunk *chunks; /* owned */
	size_t count, cap;
};

struct bkp_pack_contents {
	struct bkp_pack_content *items; /* owned, by name */
	size_t count, cap;
};

/* Add in the order of names, then fill in one go. */
int bkp_pack_contents_add(struct bkp_pack_contents *contents,
    const struct bkp_check_pack *pack, struct bkp_error *err);
int bkp_pack_contents_fill(struct bkp_pack_contents *contents,
    struct bkp_index_set *set, struct bkp_error *err);
void bkp_pack_contents_free(struct bkp_pack_contents *contents);

/* ---- other objects ---- */

struct bkp_check_paths {
	char (*items)[BKP_PACK_PATH]; /* owned, sorted */
	size_t count, cap;
};

/* ---- which packs were read when ---- */

struct bkp_check_memory_item {
	unsigned char name[32];
	int64_t read_us;
};

struct bkp_check_memory {
	struct bkp_check_memory_item *items; /* owned, by name */
	size_t count;
};

/* What this machine remembers of a repository; BKP_NOTFOUND: nothing. */
int bkp_check_memory_load(const char *repository_id,
    struct bkp_check_memory *out, struct bkp_error *err);
int bkp_check_memory_save(const char *repository_id,
    const struct bkp_check_packs *packs, struct bkp_error *err);
void bkp_check_memory_free(struct bkp_check_memory *memory);

/* ---- the check ---- */

/* An object that holds the bytes of another one. */
struct bkp_misplaced {
	char wrong[BKP_PACK_PATH], right[BKP_PACK_PATH];
	size_t finding; /* about the first */
	bool is_there;  /* the second is, and good */
};

struct bkp_checker {
	struct bkp_repository *repository; /* borrowed */
	struct bkp_run *run;               /* borrowed */
	double read_percent;
	uint64_t max_age_s, budget;
	unsigned error_correction; /* percent that should be there */
	/* Of the check before a round of repair: what was good then is not
	 * read once more, and what was not is, and all that is new. */
	struct bkp_check_packs earlier; /* owned */
	bool is_again;

	struct bkp_finding_list findings;
	struct bkp_history history; /* with the snapshots that count */
	struct bkp_check_packs packs;
	struct bkp_check_paths covered; /* objects but packs that may have
		error correction */
	size_t strangers;
	struct bkp_known_set bad_chunks; /* by bkp_check_chunk_key */
	/* Findings, one after another: index objects that are damaged, or else
	 * the one that chunks are in none. */
	size_t unknown, unknown_count;
	struct bkp_misplaced *misplaced; /* owned */
	size_t misplaced_count, misplaced_cap;
	uint64_t entries;
	uint64_t packs_read, bytes_read, chunks_read;
};

void bkp_checker_init(struct bkp_checker *checker,
    struct bkp_repository *repository, struct bkp_run *run);
void bkp_checker_free(struct bkp_checker *checker);

/* All of it; 0 also where damage was found. */
int bkp_checker_run(struct bkp_checker *checker, struct bkp_error *err);

/* Its parts, in this order. */
int bkp_check_strays(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_sessions(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_objects(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_snapshots(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_index(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_list_packs(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_parity(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_read_packs(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_salvage(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_walk(struct bkp_checker *checker, struct bkp_error *err);
int bkp_check_sum_up(struct bkp_checker *checker, struct bkp_error *err);

/* Notes something that is no object of a repository. A repair may move it away
 * where it lies in a folder that nobody else has a use for. */
int bkp_check_stranger(
    struct bkp_checker *checker, const char *path, struct bkp_error *err);
int bkp_check_more_strangers(
    struct bkp_checker *checker, struct bkp_error *err);
bool bkp_check_may_move_stray(const char *path);
bool bkp_check_is_object_path(const char *path);

/* "written by a newer version": no damage, and nothing that a repair takes
 * away. */
#define BKP_FINDING_NEWER "newer-version"
int bkp_check_newer(
    struct bkp_checker *checker, const char *object, struct bkp_error *err);

/* Somebody of whom nothing is known. */
struct bkp_presence_info;
bool bkp_check_is_unreadable_session(const struct bkp_presence_info *session);

/* Reads the error correction of an object and notes where that is damaged.
 * `digest`: of the object; NULL: as its name tells. */
int bkp_check_parity_of(struct bkp_checker *checker, const char *name,
    const unsigned char digest[32], struct bkp_error *err);

int bkp_check_parity_damaged(struct bkp_checker *checker, const char *name,
    const char *problem, struct bkp_error *err);

/* The digest of config; false where config is damaged. */
bool bkp_check_config_digest(
    struct bkp_repository *repository, unsigned char digest[32]);

/* Notes that one chunk of a pack is bad; the others stay good. */
int bkp_check_bad_chunk(struct bkp_checker *checker,
    struct bkp_check_pack *pack, const unsigned char id[FMT_ID_SIZE],
    struct bkp_error *err);
bool bkp_check_is_bad_chunk(struct bkp_checker *checker,
    const struct bkp_check_pack *pack, const unsigned char id[FMT_ID_SIZE]);

/* Notes where the bytes of a damaged object are those of another one. */
int bkp_check_misplaced(struct bkp_checker *checker, size_t finding,
    const char *folder, const char *name, struct bkp_error *err);
int bkp_check_misplaced_pack(struct bkp_checker *checker,
    const struct bkp_check_pack *pack, const unsigned char digest[32],
    struct bkp_error *err);

/* Whether an object is there and fits its name. */
int bkp_check_is_good(struct bkp_store *store, const char *path, bool *out,
    struct bkp_error *err);

/* Whether bytes that have this name are an object of a folder ("keys"), and no
 * damaged one. */
bool bkp_check_is_object(const struct bkp_checker *checker, const char *folder,
    const char *name, const struct fmt_buf *stored);

/* The damaged packs that the keys at hand open. */
int bkp_check_damaged_packs(struct bkp_checker *checker,
    struct bkp_pack_contents *out, struct bkp_error *err);

/* The bytes of one, as far as there are any. */
int bkp_check_get_damaged(struct bkp_checker *checker,
    const unsigned char name[32], struct fmt_buf *out, struct bkp_error *err);

/* True where the error is about the stored bytes, and no other trouble. */
bool bkp_check_is_damage(const struct bkp_error *problem);

#endif
