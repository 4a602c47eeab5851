/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/history_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

char db1[] = "db1";

/* ---- making snapshots of any kind ---- */

void
seal(struct bkp_repository *repository, const struct fmt_snapshot *snapshot,
    const unsigned char seed[32], char name[65])
{
	struct fmt_buf text = FMT_BUF_INIT;

	assert_int_equal(fmt_snapshot_encode(snapshot, seed, &text), FMT_OK);
	assert_int_equal(bkp_object_seal(repository->store, "snapshots",
			     &repository->keys.metadata_recipient, 1, text.data,
			     text.len, name, NULL, NULL),
	    0);
	fmt_buf_free(&text);
}

struct made
make_with(struct maker *maker, struct fmt_snapshot with, const char **seen)
{
	struct fmt_snapshot snapshot = with;
	char names[16][65];
	struct made made;

	memcpy(snapshot.repository, maker->repository->config.id, 33);
	snapshot.host = with.host != NULL ? with.host : db1;
	if (snapshot.sequence == 0)
		snapshot.sequence = maker->sequence + 1;
	if (snapshot.finished_us == 0)
		snapshot.finished_us = maker->clock_us += HOUR;
	snapshot.time_us = snapshot.finished_us;
	if (snapshot.previous[0] == '\0')
		memcpy(snapshot.previous, maker->previous, 65);
	for (snapshot.seen_count = 0; seen != NULL && *seen != NULL; seen++)
		memcpy(names[snapshot.seen_count++], *seen, 65);
	snapshot.seen = names;
	seal(maker->repository, &snapshot, maker->repository->keys.signing_seed,
	    made.name);
	maker->sequence = snapshot.sequence;
	memcpy(maker->previous, made.name, 65);
	return made;
}

struct made
make(struct maker *maker)
{
	return make_with(maker, (struct fmt_snapshot)FMT_SNAPSHOT_INIT, NULL);
}

struct maker
maker_of(struct bkp_repository *repository)
{
	return (struct maker){
	    .repository = repository, .clock_us = bkp_now_us()};
}

/* ---- looking ---- */

struct bkp_history
look_at(struct bkp_repository *repository)
{
	struct bkp_history history = BKP_HISTORY_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_history_read(repository, &history, &err);
	assert_string_equal(err.message, "");
	return history;
}

void
remember(struct bkp_repository *repository)
{
	struct bkp_history history = look_at(repository);
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_history_remember(repository, &history, &err);
	assert_string_equal(err.message, "");
	bkp_history_free(&history);
}

/* "missing" for "snapshot-missing". */
static const char *
short_kind(enum bkp_history_kind kind)
{
	const char *name = bkp_history_kind_name(kind);

	return strncmp(name, "snapshot-", 9) == 0 ? name + 9 : name;
}

void
expect_findings(struct bkp_repository *repository, const char *const *expected)
{
	struct bkp_history history = look_at(repository);
	size_t count = 0;

	for (; expected[count] != NULL; count++) {
		bool is_found = false;

		for (size_t i = 0; i < history.count; i++) {
			const struct bkp_history_finding *finding =
			    &history.findings[i];
			char text[128];

			(void)snprintf(text, sizeof(text), "%s %.12s",
			    short_kind(finding->kind), finding->name);
			is_found |= strcmp(text, expected[count]) == 0;
			/* What is to be brought back is named whole. */
			assert_non_null(strstr(finding->text, finding->name));
		}
		if (!is_found)
			fail_msg("not found: %s", expected[count]);
	}
	if (history.count != count)
		fail_msg("%zu findings, the first: %s", history.count,
		    history.findings[0].text);
	bkp_history_free(&history);
}

const char *
is(const char *what, struct made made)
{
	static char texts[8][64];
	static unsigned n;
	char *text = texts[n++ % 8];

	(void)snprintf(text, sizeof(texts[0]), "%s %.12s", what, made.name);
	return text;
}

void
path_of(struct made made, char path[128])
{
	(void)snprintf(path, 128, "snapshots/%s", made.name);
}

void delete (struct fixture *fixture, struct made made)
{
	char path[128];

	path_of(made, path);
	assert_int_equal(bkp_store_remove(fixture->memory, path, NULL), 0);
}

struct fmt_buf
take(struct fixture *fixture, struct made made)
{
	struct fmt_buf bytes = FMT_BUF_INIT;
	char path[128];

	path_of(made, path);
	assert_int_equal(bkp_store_get(fixture->memory, path, 0,
			     BKP_STORE_WHOLE, &bytes, NULL),
	    0);
	return bytes;
}

void
put_bytes(
    struct fixture *fixture, struct made made, const void *data, size_t len)
{
	char path[128];

	path_of(made, path);
	assert_int_equal(
	    bkp_store_put(fixture->memory, path, data, len, NULL), 0);
}

/* ---- checkpoints ---- */

struct bkp_checkpoint
load(struct bkp_repository *repository)
{
	struct bkp_checkpoint checkpoint;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_checkpoint_load(repository, &checkpoint, &err);
	assert_string_equal(err.message, "");
	return checkpoint;
}

void
put(struct bkp_repository *repository, struct bkp_checkpoint *checkpoint)
{
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_checkpoint_put(repository, checkpoint, &err);
	assert_string_equal(err.message, "");
}

void
strike(struct bkp_checkpoint *checkpoint, struct made made)
{
	assert_int_equal(bkp_checkpoint_remove(checkpoint, made.name, NULL), 0);
}

void
prune(struct bkp_repository *repository, struct made removed)
{
	struct bkp_history history = look_at(repository);

	for (size_t i = 0; i < history.snapshots.count; i++)
		assert_int_equal(bkp_checkpoint_keep(&history.checkpoint,
				     history.snapshots.items[i].name, NULL),
		    0);
	strike(&history.checkpoint, removed);
	put(repository, &history.checkpoint);
	bkp_history_free(&history);
}
