/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a later version writes is refused with a sentence, and never taken for
 * damage or for something else: a whole repository with one object of version
 * 2, kind by kind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "formats/archive.h"
#include "formats/checkpoint.h"
#include "formats/condemned.h"
#include "formats/erasure.h"
#include "formats/index_impl.h"
#include "formats/parity_impl.h"
#include "formats/presence.h"
#include "formats/proof.h"
#include "formats/record.h"
#include "formats/sign.h"
#include "libbackup/archive/reader.h"
#include "libbackup/base/run.h"
#include "libbackup/repository/prune.h"
#include "libbackup/repository/repair.h"
#include "libbackup/repository/repository_own.h"
#include "libbackup/repository/roster.h"
#include "libbackup/source/postgres_form.h"
#include "libbackup/store/store_parity.h"
#include "tests/unit/repository_fixture.h"

static void
assert_refused(int rc, const struct bkp_error *err)
{
	assert_int_equal(rc, -1);
	assert_int_equal(err->code, BKP_UNSUPPORTED);
	if (strstr(err->message, "newer") == NULL &&
	    strstr(err->message, "version") == NULL)
		fail_msg("it does not say why: %s", err->message);
}

static void
a_config_of_a_later_version_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_keys keys = fixture_admin_keys(fixture);
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf config = FMT_BUF_INIT;
	char *version;

	assert_int_equal(bkp_store_get(fixture->memory, "config", 0,
			     BKP_STORE_WHOLE, &config, NULL),
	    0);
	version = memmem(config.data, config.len, "\"version\":1", 11);
	assert_non_null(version);
	version[10] = '2';
	assert_int_equal(bkp_store_put(fixture->memory, "config", config.data,
			     config.len, NULL),
	    0);
	fmt_buf_free(&config);
	assert_refused(bkp_repository_open_store(
			   fixture_store(fixture), &keys, &repository, &err),
	    &err);
}

/* The writer itself has become newer than this reader. */
static void
put_index(
    struct fixture *fixture, const struct bkp_key_ring *keys, char name[65])
{
	struct fmt_index_builder *builder;
	struct fmt_buf plain = FMT_BUF_INIT;
	unsigned char digest[32];

	assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
	assert_int_equal(
	    fmt_index_builder_encode(builder, keys->signing_seed, &plain),
	    FMT_OK);
	fmt_index_builder_free(builder);
	plain.data[8] = 2;
	assert_int_equal(
	    fmt_index_digest(plain.data, plain.len, digest), FMT_OK);
	assert_int_equal(fmt_sign(keys->signing_seed, FMT_INDEX_CONTEXT, digest,
			     32, plain.data + plain.len - FMT_INDEX_TAIL),
	    FMT_OK);
	assert_int_equal(
	    bkp_object_seal(fixture->memory, "index", &keys->metadata_recipient,
		1, plain.data, plain.len, name, NULL, NULL),
	    0);
	fmt_buf_free(&plain);
}

static void
an_index_of_a_later_version_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	put_index(fixture, &host->keys, name);
	assert_refused(bkp_repository_load_index(host, &err), &err);
	assert_non_null(strstr(err.message, name));
	/* Not even a backup goes on: it would store everything again. */
	err = (struct bkp_error)BKP_ERROR_INIT;
	assert_refused(bkp_repository_load_good_index(host, &err), &err);
	bkp_repository_close(host);
}

/* A record of this kind, version 2, by whoever may sign it. */
static void
sign_record(const char *type, const char *context, const unsigned char seed[32],
    struct fmt_buf *out)
{
	json_t *body = json_pack("{s:s, s:i}", "type", type, "version", 2);

	assert_non_null(body);
	assert_int_equal(fmt_record_encode(body, context, seed, out), FMT_OK);
	json_decref(body);
}

static void
a_snapshot_of_a_later_version_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	struct fmt_snapshot snapshot;
	char name[65];

	sign_record("snapshot", "libbackup snapshot v1",
	    host->keys.signing_seed, &text);
	assert_int_equal(bkp_object_seal(fixture->memory, "snapshots",
			     &host->keys.metadata_recipient, 1, text.data,
			     text.len, name, NULL, NULL),
	    0);
	fmt_buf_free(&text);
	assert_refused(
	    bkp_repository_snapshot(host, name, &snapshot, &err), &err);
	bkp_repository_close(host);
}

static void
a_roster_of_a_later_version_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *admin = fixture_open_admin(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	struct bkp_roster roster;

	sign_record("libbackup roster", "libbackup roster v1",
	    admin->keys.admin_seed, &text);
	assert_refused(
	    bkp_roster_decode(text.data, text.len, &admin->keys, &roster, &err),
	    &err);
	fmt_buf_free(&text);
	bkp_repository_close(admin);
}

static void
records_of_a_later_version_are_refused(void **state)
{
	static const unsigned char seed[32] = {1};
	struct fmt_buf text = FMT_BUF_INIT;
	union {
		struct fmt_checkpoint checkpoint;
		struct fmt_condemned condemned;
		struct fmt_erasure erasure;
		struct fmt_presence presence;
		struct fmt_proof proof;
	} out;

	(void)state;
	sign_record("checkpoint", "libbackup checkpoint v1", seed, &text);
	assert_int_equal(
	    fmt_checkpoint_decode(text.data, text.len, &out.checkpoint),
	    FMT_UNSUPPORTED);
	fmt_buf_clear(&text);
	sign_record("condemned", "libbackup condemned v1", seed, &text);
	assert_int_equal(
	    fmt_condemned_decode(text.data, text.len, &out.condemned),
	    FMT_UNSUPPORTED);
	fmt_buf_clear(&text);
	sign_record("erasure", "libbackup erasure v1", seed, &text);
	assert_int_equal(fmt_erasure_decode(text.data, text.len, &out.erasure),
	    FMT_UNSUPPORTED);
	fmt_buf_clear(&text);
	sign_record("session", "libbackup session v1", seed, &text);
	assert_int_equal(
	    fmt_presence_decode(text.data, text.len, &out.presence),
	    FMT_UNSUPPORTED);
	fmt_buf_clear(&text);
	sign_record("proof", "libbackup proof v1", seed, &text);
	assert_int_equal(
	    fmt_proof_decode(text.data, text.len, &out.proof), FMT_UNSUPPORTED);
	fmt_buf_free(&text);
}

/* A head of one data and one parity shard of one byte. */
#define PARITY_HEAD ((size_t)64 + 2 * 16 + 32)

static void
make_parity(unsigned char head[PARITY_HEAD])
{
	const size_t len = PARITY_HEAD;

	memset(head, 0, len);
	memcpy(head, "bkpparit", 8);
	head[8] = 2;
	head[12] = head[14] = head[24] = 1;
	assert_int_equal(fmt_sha256(head, len - 32, head + len - 32), FMT_OK);
}

static void
a_parity_of_a_later_version_is_refused(void **state)
{
	unsigned char head[PARITY_HEAD];
	const size_t len = PARITY_HEAD;
	struct fmt_parity view;

	(void)state;
	make_parity(head);
	assert_int_equal(fmt_parity_open(head, len, &view), FMT_UNSUPPORTED);
	assert_int_equal(fmt_parity_check(head, len), FMT_UNSUPPORTED);
}

/* A table's rows say how they are stored, and have no version. */
static void
rows_in_a_form_of_a_later_version_are_refused(void **state)
{
	static const char *const names[] = {"arrow", "Binary", ""};
	struct fmt_entry entry = FMT_ENTRY_INIT;
	enum fmt_copy_form form = FMT_COPY_TEXT;

	(void)state;
	assert_int_equal(
	    fmt_entry_init(&entry, "postgres/app/app/data/public.t", "table"),
	    FMT_OK);
	entry.attrs = json_object();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct bkp_error err = BKP_ERROR_INIT;
		char quoted[16];

		(void)snprintf(quoted, sizeof(quoted), "\"%s\"", names[i]);
		assert_int_equal(json_object_set_new(entry.attrs, "format",
				     json_string(names[i])),
		    0);
		assert_refused(bkp_pg_form_read(&entry, &form, &err), &err);
		assert_non_null(strstr(err.message, entry.path));
		assert_non_null(strstr(err.message, quoted));
	}
	assert_int_equal(
	    json_object_set_new(entry.attrs, "format", json_string("text")), 0);
	assert_int_equal(bkp_pg_form_read(&entry, &form, NULL), 0);
	assert_int_equal(form, FMT_COPY_TEXT);
	fmt_entry_free(&entry);
}

/* ---- archives and keys say which version, and which is known ---- */

static void
assert_says(const struct bkp_error *err, const char *object)
{
	assert_int_equal(err->code, BKP_UNSUPPORTED);
	if (strstr(err->message, object) == NULL ||
	    strstr(err->message, "version 2") == NULL ||
	    strstr(err->message, "version 1") == NULL)
		fail_msg("it does not say what and why: %s", err->message);
}

static void
write_file(const char *path, const struct fmt_buf *bytes)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes->data, 1, bytes->len, file), bytes->len);
	assert_int_equal(fclose(file), 0);
}

/* A payload of one frame with the manifest, and the trailer. */
static void
refuse_archive(struct fixture *fixture, const struct fmt_buf *manifest,
    unsigned char trailer_version)
{
	struct fmt_buf payload = FMT_BUF_INIT, file = FMT_BUF_INIT;
	struct fmt_archive_place place = {.frame = 0};
	struct fmt_chunk_ref ref = {.len = (uint32_t)manifest->len};
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_age_identity identity;
	struct fmt_age_recipient recipient;
	struct bkp_archive *archive = NULL;
	unsigned char digest[32];
	char path[64];

	assert_int_equal(
	    fmt_buf_reserve(&payload, ZSTD_compressBound(manifest->len)),
	    FMT_OK);
	payload.len =
	    ZSTD_compress(payload.data, ZSTD_compressBound(manifest->len),
		manifest->data, manifest->len, 1);
	assert_false(ZSTD_isError(payload.len));
	place.frame_len = (uint32_t)payload.len;
	assert_int_equal(
	    fmt_sha256(manifest->data, manifest->len, digest), FMT_OK);
	memcpy(place.digest, digest, sizeof(place.digest));
	fmt_archive_place_encode(&place, ref.id);
	assert_int_equal(fmt_archive_trailer_encode(&ref, &payload), FMT_OK);
	payload.data[payload.len - FMT_ARCHIVE_TRAILER + 44] = trailer_version;
	assert_int_equal(fmt_age_identity_new(&identity), FMT_OK);
	assert_int_equal(
	    fmt_age_identity_recipient(&identity, &recipient), FMT_OK);
	assert_int_equal(
	    fmt_age_seal(&recipient, 1, payload.data, payload.len, &file),
	    FMT_OK);
	(void)snprintf(path, sizeof(path), "%s/new.age", fixture->folder);
	write_file(path, &file);
	assert_int_equal(
	    bkp_archive_open(path, NULL, &identity, 1, &archive, &err), -1);
	assert_says(&err, path);
	fmt_buf_free(&payload);
	fmt_buf_free(&file);
}

static void
an_archive_of_a_later_version_is_refused(void **state)
{
	static const unsigned char seed[32] = {1};
	struct fmt_buf text = FMT_BUF_INIT;

	sign_record("archive", "libbackup archive v1", seed, &text);
	refuse_archive(*state, &text, 1);
	refuse_archive(*state, &text, 2);
	fmt_buf_free(&text);
}

static void
a_key_document_of_a_later_version_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *repository = NULL;
	struct bkp_keys keys = fixture_host_keys(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	struct fmt_buf text = FMT_BUF_INIT;
	char line[4096], *version;
	FILE *file = fopen(fixture->key_file, "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		if ((version = strstr(line, "\"version\":1")) != NULL)
			version[10] = '2';
		assert_int_equal(fmt_buf_append_text(&text, line), FMT_OK);
	}
	assert_int_equal(fclose(file), 0);
	write_file(fixture->key_file, &text);
	fmt_buf_free(&text);
	assert_int_equal(bkp_repository_open_store(
			     fixture_store(fixture), &keys, &repository, &err),
	    -1);
	assert_says(&err, fixture->key_file);
}

/* ---- a check tells it, and a repair leaves all of it alone ---- */

/* These are named by whoever announces himself. Takes the text. */
static void
put_session(struct fixture *fixture, const struct bkp_key_ring *keys,
    struct fmt_buf *text, char name[65])
{
	struct fmt_buf sealed = FMT_BUF_INIT;
	char path[80];

	memset(name, '0', 32);
	name[32] = '\0';
	(void)snprintf(path, sizeof(path), "sessions/%s", name);
	assert_int_equal(fmt_age_seal(&keys->metadata_recipient, 1, text->data,
			     text->len, &sealed),
	    FMT_OK);
	assert_int_equal(
	    bkp_store_put(fixture->memory, path, sealed.data, sealed.len, NULL),
	    0);
	fmt_buf_free(&sealed);
	fmt_buf_free(text);
}

static void
put_sealed(struct fixture *fixture, const struct bkp_key_ring *keys,
    const char *folder, const char *type, char name[65])
{
	struct fmt_buf text = FMT_BUF_INIT;
	char context[64];

	if (strcmp(folder, "index") == 0) {
		put_index(fixture, keys, name);
		return;
	}
	(void)snprintf(context, sizeof(context), "libbackup %s v1", type);
	sign_record(type, context, keys->signing_seed, &text);
	if (strcmp(folder, "sessions") == 0) {
		put_session(fixture, keys, &text, name);
		return;
	}
	assert_int_equal(
	    bkp_object_seal(fixture->memory, folder, &keys->metadata_recipient,
		1, text.data, text.len, name, NULL, NULL),
	    0);
	fmt_buf_free(&text);
}

static void
assert_told(const struct bkp_checker *checker, const char *object)
{
	const struct bkp_finding_list *findings = &checker->findings;

	/* What is wrong with the history is told of its folder. */
	for (size_t i = 0; i < findings->count; i++) {
		const struct bkp_finding_item *item = &findings->items[i];

		if (strstr(item->text, "newer") != NULL &&
		    strncmp(object, item->object, strlen(item->object)) == 0)
			return;
	}
	fail_msg("nothing is told of %s", object);
}

/* Checks, then repairs; `object` is of a newer version. */
static void
repair(struct fixture *fixture, const char *object)
{
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_events events = BKP_EVENTS_INIT;
	struct bkp_presence *presence = NULL;
	struct bkp_run *run = NULL;
	struct bkp_checker checker;
	struct bkp_repair repair;

	assert_int_equal(bkp_run_new(1, &events, NULL, &run, &err), 0);
	bkp_checker_init(&checker, host, run);
	bkp_repair_init(&repair, &checker);
	checker.read_percent = 100;
	repair.accepts_loss = true;
	/* It may refuse, where it says why; it may not remove. */
	if (bkp_checker_run(&checker, &err) < 0)
		assert_non_null(strstr(err.message, object));
	else
		assert_told(&checker, object);
	if (err.code == BKP_OK &&
	    bkp_repair_begin(host, &presence, &err) == 0) {
		repair.presence = presence;
		(void)bkp_repair_round(&repair, &err);
	}
	bkp_presence_end(presence);
	bkp_repair_free(&repair);
	bkp_checker_free(&checker);
	bkp_run_free(run);
	bkp_repository_close(host);
}

static void
assert_there(struct fixture *fixture, const char *names)
{
	char *copy = strdup(names), *rest = NULL;

	assert_non_null(copy);
	for (char *name = strtok_r(copy, "\n", &rest); name != NULL;
	     name = strtok_r(NULL, "\n", &rest)) {
		struct bkp_store_object object;

		if (bkp_store_stat(fixture->memory, name, &object, NULL) < 0)
			fail_msg("the repair took %s away", name);
	}
	free(copy);
}

static void
a_repair_takes_nothing_away_that_a_later_version_wrote(void **state)
{
	static const char *const kinds[][2] = {{"snapshots", "snapshot"},
	    {"checkpoints", "checkpoint"}, {"condemned", "condemned"},
	    {"erasures", "erasure"}, {"proofs", "proof"}, {"index", "index"},
	    {"sessions", "session"}};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct bkp_repository *host = fixture_open_host(fixture);
		char name[65], path[80], *names;

		put_sealed(
		    fixture, &host->keys, kinds[i][0], kinds[i][1], name);
		bkp_repository_close(host);
		names = fixture_names(fixture, "");
		(void)snprintf(path, sizeof(path), "%s/%s", kinds[i][0], name);
		repair(fixture, path);
		assert_there(fixture, names);
		free(names);
		assert_int_equal(
		    bkp_store_remove(fixture->memory, path, NULL), 0);
	}
}

/* The rest is checked all the same, and what is damaged is told. */
static void
a_check_goes_on_beside_an_index_of_a_later_version(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_events events = BKP_EVENTS_INIT;
	struct bkp_run *run = NULL;
	struct bkp_checker checker;
	char name[65], proof[65], path[80];
	bool is_proof_told = false;

	put_index(fixture, &host->keys, name);
	assert_int_equal(
	    bkp_object_put(fixture->memory, "proofs", "x", 1, proof, &err), 0);
	(void)snprintf(path, sizeof(path), "proofs/%s", proof);
	assert_int_equal(bkp_store_put(fixture->memory, path, "y", 1, NULL), 0);
	assert_int_equal(bkp_run_new(1, &events, NULL, &run, &err), 0);
	bkp_checker_init(&checker, host, run);
	if (bkp_checker_run(&checker, &err) < 0)
		fail_msg("%s", err.message);
	(void)snprintf(path, sizeof(path), "index/%s", name);
	assert_told(&checker, path);
	for (size_t i = 0; i < checker.findings.count; i++) {
		const struct bkp_finding_item *item =
		    &checker.findings.items[i];

		is_proof_told |= strcmp(item->kind, "proof-damaged") == 0;
		/* It is nothing that a repair would set aside. */
		assert_string_not_equal(item->kind, "index-damaged");
	}
	assert_true(is_proof_told);
	bkp_checker_free(&checker);
	bkp_run_free(run);
	bkp_repository_close(host);
}

/* Puts an index object that names one pack. */
static void
index_pack(struct fixture *fixture, const struct bkp_key_ring *keys,
    const struct fmt_buf *stored, const struct fmt_pack_chunk *chunks,
    size_t count, char path[96])
{
	struct fmt_index_pack pack = {
	    .stored_size = stored->len, .kind = FMT_PACK_METADATA};
	struct fmt_buf plain = FMT_BUF_INIT;
	struct fmt_index_builder *builder;
	char name[65];

	assert_int_equal(
	    fmt_sha256(stored->data, stored->len, pack.name), FMT_OK);
	bkp_pack_path(pack.name, path);
	assert_int_equal(bkp_store_put(fixture->memory, path, stored->data,
			     stored->len, NULL),
	    0);
	assert_int_equal(fmt_index_builder_new(&builder), FMT_OK);
	assert_int_equal(
	    fmt_index_builder_add(builder, &pack, chunks, count), FMT_OK);
	assert_int_equal(
	    fmt_index_builder_encode(builder, keys->signing_seed, &plain),
	    FMT_OK);
	fmt_index_builder_free(builder);
	assert_int_equal(
	    bkp_object_seal(fixture->memory, "index", &keys->metadata_recipient,
		1, plain.data, plain.len, name, NULL, NULL),
	    0);
	fmt_buf_free(&plain);
}

/* A pack of one chunk whose directory says version 2. */
static void
put_pack(
    struct fixture *fixture, const struct bkp_key_ring *keys, char path[96])
{
	static const char text[] = "a chunk";
	struct fmt_buf payload = FMT_BUF_INIT, stored = FMT_BUF_INIT;
	struct fmt_pack_chunk chunk = {.raw_len = sizeof(text)};

	assert_int_equal(fmt_buf_reserve(&payload, 256), FMT_OK);
	payload.len =
	    ZSTD_compress(payload.data, payload.cap, text, sizeof(text), 1);
	assert_false(ZSTD_isError(payload.len));
	chunk.stored_len = (uint32_t)payload.len;
	assert_int_equal(
	    fmt_pack_directory_encode(&chunk, 1, &payload), FMT_OK);
	/* Count, version, and 8 bytes of magic end it. */
	assert_int_equal(payload.data[payload.len - 12], 1);
	payload.data[payload.len - 12] = 2;
	assert_int_equal(fmt_age_seal(&keys->metadata_recipient, 1,
			     payload.data, payload.len, &stored),
	    FMT_OK);
	index_pack(fixture, keys, &stored, &chunk, 1, path);
	fmt_buf_free(&payload);
	fmt_buf_free(&stored);
}

/* Nor is error correction. */
static void
a_pack_of_a_later_version_is_no_damage(void **state)
{
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture);
	char path[96], parity[BKP_PARITY_NAME], *names;
	unsigned char head[PARITY_HEAD];

	put_pack(fixture, &host->keys, path);
	bkp_repository_close(host);
	make_parity(head);
	assert_true(bkp_parity_name_of("config", parity));
	assert_int_equal(
	    bkp_store_put(fixture->memory, parity, head, sizeof(head), NULL),
	    0);
	names = fixture_names(fixture, "");
	repair(fixture, path);
	assert_there(fixture, names);
	repair(fixture, parity);
	assert_there(fixture, names);
	free(names);
}

/* ---- a session of which nobody here knows when it is over ---- */

/* A folder with all that the fixture holds, everything 30 hours old. */
static struct bkp_store *
copy_to_folder(struct fixture *fixture, char folder[64])
{
	char *names = fixture_names(fixture, ""), *rest = NULL, command[128];
	struct bkp_store *store = NULL;

	(void)snprintf(folder, 64, "%s/old", fixture->folder);
	assert_int_equal(
	    bkp_store_directory_open(folder, BKP_STORE_CREATE, &store, NULL),
	    0);
	for (char *name = strtok_r(names, "\n", &rest); name != NULL;
	     name = strtok_r(NULL, "\n", &rest)) {
		struct fmt_buf bytes = FMT_BUF_INIT;

		assert_int_equal(bkp_store_get(fixture->memory, name, 0,
				     BKP_STORE_WHOLE, &bytes, NULL),
		    0);
		assert_int_equal(
		    bkp_store_put(store, name, bytes.data, bytes.len, NULL), 0);
		fmt_buf_free(&bytes);
	}
	free(names);
	(void)snprintf(command, sizeof(command),
	    "find '%s' -type f -exec touch -d '30 hours ago' {} +", folder);
	assert_int_equal(system(command), 0);
	return store;
}

static void
a_prune_waits_for_a_session_of_a_later_version(void **state)
{
	static const struct bkp_prune_limits limits = {.grace_s = 0};
	struct fixture *fixture = *state;
	struct bkp_repository *host = fixture_open_host(fixture), *old = NULL;
	struct bkp_keys keys = fixture_host_keys(fixture);
	struct bkp_prune_report report = {.newer = 0};
	struct bkp_presence *presence = NULL;
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_store_object object;
	char name[65], path[80], folder[64];
	struct bkp_store *store;

	put_sealed(fixture, &host->keys, "sessions", "session", name);
	bkp_repository_close(host);
	(void)snprintf(path, sizeof(path), "sessions/%s", name);
	store = copy_to_folder(fixture, folder);
	assert_int_equal(
	    bkp_repository_open_store(store, &keys, &old, &err), 0);
	assert_int_equal(bkp_prune_begin(old, &presence, &err), 0);
	if (bkp_prune_collect(old, presence, &limits, &report, NULL, &err) < 0)
		fail_msg("%s", err.message);
	bkp_presence_end(presence);
	assert_int_equal(report.newer, 1);
	assert_int_equal(report.expired, 0);
	assert_int_equal(bkp_store_stat(old->store, path, &object, NULL), 0);
	bkp_repository_close(old);
	(void)snprintf(path, sizeof(path), "rm -rf '%s'", folder);
	assert_int_equal(system(path), 0);
}

#define CASE(f)                                                                \
	cmocka_unit_test_setup_teardown(                                       \
	    f, fixture_new_initialised, fixture_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_config_of_a_later_version_is_refused),
	    CASE(an_index_of_a_later_version_is_refused),
	    CASE(a_snapshot_of_a_later_version_is_refused),
	    CASE(a_roster_of_a_later_version_is_refused),
	    CASE(an_archive_of_a_later_version_is_refused),
	    CASE(a_key_document_of_a_later_version_is_refused),
	    CASE(a_repair_takes_nothing_away_that_a_later_version_wrote),
	    CASE(a_pack_of_a_later_version_is_no_damage),
	    CASE(a_check_goes_on_beside_an_index_of_a_later_version),
	    CASE(a_prune_waits_for_a_session_of_a_later_version),
	    cmocka_unit_test(records_of_a_later_version_are_refused),
	    cmocka_unit_test(a_parity_of_a_later_version_is_refused),
	    cmocka_unit_test(rows_in_a_form_of_a_later_version_are_refused),
	};

	return cmocka_run_group_tests_name("newer versions", tests, NULL, NULL);
}
