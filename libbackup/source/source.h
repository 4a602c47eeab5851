/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SOURCE_SOURCE_H
#define LIBBACKUP_SOURCE_SOURCE_H

/*
 * Sources and targets. A source yields entries: a path, attributes, a stream
 * of bytes; it writes them into a sink. A target takes entries back; it draws
 * them from a supply. The same source run over a restored thing with a sink
 * that only digests is the proof: both entry lists must agree.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "formats/entry.h"
#include "formats/share.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/run.h"
#include "libbackup/repository/repository_impl.h"

/* ---- sink: what a source writes into (operations/sink.c) ---- */

struct bkp_sink;    /* one source of one run */
struct bkp_content; /* one worker's way to write bytes */

struct bkp_run *bkp_sink_run(struct bkp_sink *sink);

/* The content writer of worker 0..bkp_run_workers()-1; borrowed. Worker 0's
 * is also the calling thread's while no pipeline runs. */
struct bkp_content *bkp_sink_content(struct bkp_sink *sink, unsigned worker);

/* A stream that is cut by content. begin clears what entry holds of content;
 * end sets has_content, size, sha256 and chunks. abort drops a stream that
 * was begun (the chunks already stored stay as garbage). */
int bkp_content_begin(struct bkp_content *content, struct fmt_entry *entry,
    struct bkp_error *err);
int bkp_content_write(struct bkp_content *content, const void *data, size_t len,
    struct bkp_error *err);
int bkp_content_end(struct bkp_content *content, struct bkp_error *err);
void bkp_content_abort(struct bkp_content *content);

/* All of a small content at once. */
int bkp_content_put(struct bkp_content *content, struct fmt_entry *entry,
    const void *data, size_t len, struct bkp_error *err);

/* One chunk that the source cut itself (a range of a table). The source adds
 * the refs to its entry in order and sets has_content and size. In a sink
 * that only digests the id stays zero: such content needs a digest of the
 * source's own among the attributes (a row hash). */
int bkp_content_chunk(struct bkp_content *content, const void *data, size_t len,
    struct fmt_chunk_ref *ref, struct bkp_error *err);

/* What is remembered of a database's rows between backups; *out is NULL where
 * nothing can be, and in a sink that only digests. Borrowed; any thread. */
int bkp_sink_rows(struct bkp_sink *sink, const char *database,
    struct bkp_row_cache **out, struct bkp_error *err);

/* The same as bkp_content_chunk for whole rows of a range of a table, in the
 * form that the range says: where few of them have changed little is
 * stored. Adds the rows to *hash. */
int bkp_content_rows(struct bkp_content *content, struct bkp_row_cache *rows,
    const struct bkp_row_range *range, const void *data, size_t len,
    struct fmt_chunk_ref *ref, struct fmt_rowhash *hash, struct bkp_error *err);

/* Takes over a chunk of rows that an earlier backup stored; false: it is not
 * there, and the rows must be read. `rows` is not NULL. */
bool bkp_content_reuse_rows(struct bkp_content *content,
    struct bkp_row_cache *rows, const struct bkp_row_range *range,
    const struct fmt_chunk_ref *ref);

/* Hands an entry over (content moves; *entry is INIT again). Calling thread
 * only, in path order: BKP_INVALID otherwise. The path must be the source's
 * prefix or below it, or of an older version (formats/version.h). */
int bkp_sink_entry(
    struct bkp_sink *sink, struct fmt_entry *entry, struct bkp_error *err);

/* The entries that this source wrote in the last good snapshot, in order;
 * *out is NULL where there is none. The caller closes it. */
int bkp_sink_previous(struct bkp_sink *sink, struct bkp_entry_stream **out,
    struct bkp_error *err);

/* In a sink that only digests, the entries that it compares with, in order:
 * who may read the same thing in more than one form reads it as that was. *out
 * is NULL in others. The caller closes it. */
int bkp_sink_recorded(struct bkp_sink *sink, struct bkp_entry_stream **out,
    struct bkp_error *err);

/* The same two, of those entries alone whose paths begin with `prefix`. */
int bkp_sink_previous_below(struct bkp_sink *sink, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err);
int bkp_sink_recorded_below(struct bkp_sink *sink, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err);

/* True where an entry of the previous snapshot can be handed over as it is. */
bool bkp_sink_has_entry(
    struct bkp_sink *sink, const struct fmt_entry *previous);

/* True where bytes are digested and dropped (verification). */
bool bkp_sink_is_digest_only(const struct bkp_sink *sink);

/* ---- sharing: several processes read one thing in one moment ---- */

/* What others have read for the leader; by numbers of the plan. */
struct bkp_shared {
	const struct fmt_share_plan *plan;
	const struct fmt_share_done *done;
};

/* NULL: this process reads all by itself. Borrowed. */
const struct bkp_shared *bkp_sink_shared(const struct bkp_sink *sink);

/* The entries of a range of a bucket, by its number in the plan, in order; *out
 * is NULL where the share left it. The caller closes it. */
int bkp_sink_shared_entries(struct bkp_sink *sink, size_t n,
    struct bkp_entry_stream **out, struct bkp_error *err);

/* Of a share: makes of the entries that came since the last one what the range
 * of this number is handed in as. The paths go on behind them. */
int bkp_sink_hand_in(struct bkp_sink *sink, struct fmt_share_done *done,
    uint32_t n, struct bkp_error *err);

/* A plan that is being made. */
struct bkp_share_planning {
	struct fmt_share_plan plan;
	size_t database_cap, table_cap, task_cap, bucket_cap, range_cap;
};

/* Of those who read for the leader. */
struct bkp_share_work {
	const struct fmt_share_plan *plan;
	const bool *is_chosen; /* by numbers of the plan: to be done now */
	struct fmt_share_done *done; /* the same: of those it is filled */
};

/* ---- source ---- */

struct bkp_source;
struct bkp_pg;

struct bkp_source_ops {
	const char *kind;
	/* Fixes the moment: connects, opens the exported snapshot, looks at
	 * versioning. All sources are prepared before the first one runs. */
	int (*prepare)(struct bkp_source *source, struct bkp_sink *sink,
	    struct bkp_error *err);
	/* Yields every entry, in path order. */
	int (*run)(struct bkp_source *source, struct bkp_sink *sink,
	    struct bkp_error *err);
	/* Facts for the snapshot (server version, LSN, whether fuzzy...). *info
	 * becomes the caller's. After run. */
	int (*info)(
	    struct bkp_source *source, json_t **info, struct bkp_error *err);
	void (*close)(struct bkp_source *source);
	/* Databases: the session that holds the moment of the one at this path
	 * ("postgres/app/shop"), in a transaction that must go on; between
	 * prepare and run, on the calling thread. NULL: there is none. NULL
	 * member: nor of this kind. */
	struct bkp_pg *(*session)(struct bkp_source *source, const char *path);
	/* Adds to the plan what other processes can read, between prepare and
	 * run; run then finds it by bkp_sink_shared, and reads what is not
	 * there. NULL member: this kind is read by one process. */
	int (*plan)(struct bkp_source *source, struct bkp_sink *sink,
	    struct bkp_share_planning *planning, struct bkp_error *err);
	/* From time to time between plan and run: -1 where the moment is
	 * gone. NULL member: none is held. */
	int (*keep)(struct bkp_source *source, struct bkp_error *err);
};

struct bkp_source {
	const struct bkp_source_ops *ops;
	const char *prefix; /* borrowed from the configuration */
};

/* ---- supply: where a target draws entries from (operations/supply.c) ---- */

struct bkp_supply; /* one source's entries of one snapshot */

struct bkp_run *bkp_supply_run(struct bkp_supply *supply);

/* The prefix that the entries have in the snapshot ("postgres/app"). */
const char *bkp_supply_prefix(const struct bkp_supply *supply);

/* What the person chose: a path at or below the prefix. Entries outside are
 * not to be restored. Equal to the prefix: everything. */
const char *bkp_supply_selection(const struct bkp_supply *supply);

/* True where `path` is the selection, or below it (by component), or begins
 * with it where the selection ends in '/'. Where that is the prefix, all of the
 * source is, older versions of objects (formats/version.h) too. */
bool bkp_supply_is_selected(const struct bkp_supply *supply, const char *path);

/* The info the source recorded; borrowed; NULL where it recorded none. */
const json_t *bkp_supply_info(const struct bkp_supply *supply);

/* Entries whose path begins with `prefix` (full paths; NULL: all). Calling
 * thread; what is opened may be read by another. */
int bkp_supply_entries(struct bkp_supply *supply, const char *prefix,
    struct bkp_entry_stream **out, struct bkp_error *err);

/* The chunk reader of a worker; borrowed. Worker 0's is also the calling
 * thread's while no pipeline runs. */
struct bkp_chunk_reader *bkp_supply_reader(
    struct bkp_supply *supply, unsigned worker);

/* The bytes of one entry; BKP_NOTFOUND where it is not there, BKP_CORRUPT
 * where it is lost, or may be. */
int bkp_supply_stream(struct bkp_supply *supply, const char *path,
    bkp_bytes_fn *take, void *arg, struct bkp_error *err);

/* All of a small one into memory. */
int bkp_supply_read(struct bkp_supply *supply, const char *path,
    struct fmt_buf *out, struct bkp_error *err);

/*
 * What the repository has lost does not keep the rest from going back. Where
 * `why` is BKP_CORRUPT, notes that `path` is left out (text: what became of it,
 * such as "not restored") and answers 0; any other error is copied to err, and
 * the answer is -1. Any thread.
 */
int bkp_supply_lose(struct bkp_supply *supply, struct bkp_error *err,
    const struct bkp_error *why, const char *path, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* How much was noted so far. */
uint64_t bkp_supply_lost(const struct bkp_supply *supply);

/* Notes what the place refused, and whoever restores has said that it may go
 * (may_skip). Any thread. */
int bkp_supply_refuse(struct bkp_supply *supply, struct bkp_error *err,
    const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
uint64_t bkp_supply_refused(const struct bkp_supply *supply);

/* False where entries may be lost that nobody can name: a part of their list
 * could not be read so far (it has been noted). */
bool bkp_supply_has_whole_list(const struct bkp_supply *supply);

/* Counts what has been put back: a run that put nothing back has failed. Any
 * thread. */
void bkp_supply_restored(struct bkp_supply *supply, uint64_t count);

/* What was put back so far can be used by those who wait for it: databases
 * answer queries. Calling thread. */
void bkp_supply_ready(struct bkp_supply *supply);

/* ---- target ---- */

struct bkp_target;

/* Looks after a database whose rows and constraints are in, before anybody
 * uses it: `path` in the snapshot, `name` on the server, which is temporary.
 * -1: it is not to be used. `config` and `name` NULL: before anything is done,
 * and rows of single tables are to go into a database that is in use. */
typedef int bkp_settle_fn(void *arg, const char *path,
    const struct bkp_postgres_config *config, const char *name,
    struct bkp_error *err);

/* Where and how to restore. Strings are borrowed until close. */
struct bkp_target_options {
	const char *to; /* another database, bucket or folder; NULL: the same */
	bool is_overwrite; /* may replace what exists there */
	bool is_locking;   /* buckets only: with retention and legal hold */
	bool is_delete;    /* buckets only: what the snapshot has not goes */
	bool is_every_version; /* buckets only: of a part, too */
	bool is_swap;          /* databases only: takes the place of what exists
				  when it is proven, and keeps that */
	/* Databases, for a role that is not a superuser. */
	const char *role; /* makes and owns everything; NULL: as it was */
	bool has_no_owner, has_no_privileges;
	const char *const *only; /* schemas and tables; count 0: everything */
	size_t only_count;
	bool is_schema_only; /* without rows */
	bool may_skip;       /* leaves out what the server refuses and nothing
				depends on */
	bool is_scratch;     /* a throwaway place: fast and unsafe is fine, and
				nothing of the outside may be touched */
	bkp_settle_fn *settle; /* databases only; NULL: nothing to do */
	void *settle_arg;
};

struct bkp_target_ops {
	const char *kind;
	/* Looks before anything is touched: reachable, room, permissions,
	 * target free. Every target of a run is checked before any runs. */
	int (*check)(struct bkp_target *target, struct bkp_supply *supply,
	    struct bkp_error *err);
	int (*run)(struct bkp_target *target, struct bkp_supply *supply,
	    struct bkp_error *err);
	/* After run: takes back what was put there from the entry of this name
	 * below the prefix, or from all whose names begin so. Adds to *removed.
	 * NULL member: this kind has nothing that anybody would ask for. */
	int (*remove)(struct bkp_target *target, struct bkp_supply *supply,
	    const char *name, bool is_prefix, uint64_t *removed,
	    struct bkp_error *err);
	void (*close)(struct bkp_target *target);
};

struct bkp_target {
	const struct bkp_target_ops *ops;
};

/* ---- scratch: a throwaway place to prove a restore in ---- */

struct bkp_scratch;

struct bkp_scratch_ops {
	/* What a place lacks that is not of our making, and so tells nothing
	 * of the snapshot. NULL member: nothing. */
	int (*check)(struct bkp_scratch *scratch, struct bkp_supply *supply,
	    struct bkp_error *err);
	void (*close)(struct bkp_scratch *scratch); /* leaves nothing behind */
};

/* Drivers embed this first. `place` points both a target and a source at the
 * scratch place; it is the scratch's own. */
struct bkp_scratch {
	const struct bkp_scratch_ops *ops;
	struct bkp_source_config place;
};

/* ---- looking closer ---- */

enum bkp_remark {
	BKP_REMARK_GOOD,
	BKP_REMARK_BAD,
	BKP_REMARK_UNTRIED /* and `what` says why */
};

/* Hears what was found: `name` is a path below the source's prefix, of the
 * thing or of the check, and `what` a phrase. */
typedef int bkp_remark_fn(void *arg, enum bkp_remark remark, const char *name,
    const char *what, struct bkp_error *err);

/* ---- kinds ---- */

/* A thing that a text speaks of. All but `section` are pieces of the text. */
struct bkp_text_part {
	const char *text;
	size_t len;
	size_t key_len; /* of its text: the same for both versions of a thing */
	const char *name; /* what it is called, for people */
	size_t name_len;
	const char *section; /* what sort of thing: "indexes"; static */
};

/* The next one, from *at, which moves behind it; false: there is none. */
typedef bool bkp_next_part_fn(
    const char **at, const char *end, struct bkp_text_part *out);

/*
 * How a verification compares an entry with its twin. Attributes are compared
 * one by one but for the ignored ones.
 */
struct bkp_comparison {
	const char *entry_kind;    /* "postgres.table" */
	bool has_content_compared; /* sha256 (where there is one) and size */
	bool is_text;    /* content is lines for people: on a difference
			    the lines are told, not the digests */
	bool is_content; /* what a schema alone is without */
	bool is_counted; /* there may be millions: those that agree are
			    counted, not listed one by one */
	const char *const *ignored; /* attribute names, NULL ended; or NULL */
	/* The same: compared where both sides have them. What one side could
	 * not tell is no difference. */
	const char *const *if_both;
	bkp_next_part_fn *next_part; /* of a text: each sort of thing in it has
					its own line. NULL: one for all */
};

struct archive_entry;

/* Everything one kind of source can do. */
struct bkp_kind {
	enum bkp_source_kind kind;
	const char *name; /* "postgres": the first component of paths */
	int (*source_open)(const struct bkp_source_config *config,
	    struct bkp_source **out, struct bkp_error *err);
	int (*target_open)(const struct bkp_source_config *config,
	    const struct bkp_target_options *options, struct bkp_target **out,
	    struct bkp_error *err);
	/* Makes an empty scratch place below `directory` (which the caller
	 * removes afterwards). `config` is the configuration of the source or,
	 * on a machine that has none, one with kind, name and prefix alone.
	 * `info` is what the source recorded. NULL member or *out NULL: this
	 * kind is proven by digest only, and the verdict says so. */
	int (*scratch_open)(const struct bkp_source_config *config,
	    const json_t *info, const char *directory, struct bkp_run *run,
	    struct bkp_scratch **out, struct bkp_error *err);
	/* What no entry tells of a place where the selection was restored, or
	 * that is in use: whether indexes are valid, and the like. A scratch
	 * place may be changed, and is afterwards what it was. NULL member:
	 * there is nothing. */
	int (*examine)(const struct bkp_source_config *place,
	    struct bkp_supply *supply, bool is_scratch, bkp_remark_fn *tell,
	    void *arg, struct bkp_error *err);
	const struct bkp_comparison *comparisons; /* entry_kind NULL ends */
	/* Reads what of the chosen tasks is of this source, in the moment that
	 * the leader holds. BKP_NOTFOUND: it is held no more. NULL member:
	 * sources of this kind have no tasks. */
	int (*share)(const struct bkp_source_config *config,
	    const struct bkp_share_work *work, struct bkp_sink *sink,
	    struct bkp_error *err);
	/* Whether that moment is held yet; BKP_NOTFOUND: it is not. NULL
	 * member: none is held. */
	int (*check_share)(const struct bkp_source_config *config,
	    const struct fmt_share_database *database, struct bkp_run *run,
	    struct bkp_error *err);
	/* What tar can say of an entry beside its name: type, size, owner,
	 * times. NULL member: a plain file that belongs to nobody. */
	int (*to_tar)(const struct fmt_entry *entry, struct archive_entry *out,
	    struct bkp_error *err);
	/* The path of the entry that has the content of this one (a second
	 * name of a file), the caller's; *out NULL: its content is its own.
	 * NULL member: always. */
	int (*same_as)(
	    const struct fmt_entry *entry, char **out, struct bkp_error *err);
};

extern const struct bkp_kind bkp_kind_postgres; /* source/postgres.c */
extern const struct bkp_kind bkp_kind_bucket;   /* source/bucket.c */
extern const struct bkp_kind bkp_kind_files;    /* source/files.c */
extern const struct bkp_kind bkp_kind_command;  /* source/command.c */

/* By enum or by name; NULL where there is none. (source/kinds.c) */
const struct bkp_kind *bkp_kind_of(enum bkp_source_kind kind);
const struct bkp_kind *bkp_kind_by_name(const char *name);

#endif
