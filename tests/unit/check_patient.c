/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check_patient.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/parity.h"
#include "formats/sign.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/key.h"
#include "libbackup/repository/condemned.h"
#include "libbackup/repository/erasures.h"
#include "libbackup/repository/history.h"
#include "libbackup/repository/presence.h"
#include "libbackup/repository/proofs.h"

#define PIECE ((size_t)50000)
#define PARITY_PERCENT 10
#define FOLDERS_IN_MEMORY "/dev/shm"

struct patient patient;

/* ---- set-up ---- */

void
patient_shell(const char *format, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

struct bkp_repository *
patient_open(const char *location)
{
	struct bkp_keys keys = fixture_host_keys(patient.fixture);
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	keys.identity_file = patient.fixture->identity_file;
	(void)bkp_repository_open(location, &keys, &repository, &err);
	assert_string_equal(err.message, "");
	bkp_repository_without_cache(repository);
	return repository;
}

static void
list_objects(const char *folder)
{
	char path[256];
	DIR *dir;
	struct dirent *entry;
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", patient.good, folder);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char name[160];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%.80s%s%.70s", folder,
		    folder[0] != '\0' ? "/" : "", entry->d_name);
		(void)snprintf(
		    path, sizeof(path), "%.64s/%.160s", patient.good, name);
		assert_int_equal(stat(path, &st), 0);
		if (S_ISDIR(st.st_mode)) {
			list_objects(name);
			continue;
		}
		assert_true(patient.object_count < OBJECTS_MAX);
		patient.sizes[patient.object_count] = (size_t)st.st_size;
		memcpy(patient.objects[patient.object_count++], name,
		    sizeof(name));
	}
	(void)closedir(dir);
}

/* Of which a hundredth is different in each snapshot, and more come: enough
 * that two such differences do not fit into one segment of a pack. */
static char *
make_rows(size_t n, unsigned kind, size_t *len)
{
	size_t count = 4000 + n * 1500, size = 64 * count, at = 0;
	unsigned char *noise = fixture_random(16 * count, 77 + kind);
	char *rows = malloc(size);

	assert_non_null(rows);
	for (size_t i = 0; i < count; i++) {
		char hex[33];

		fmt_hex(noise + 16 * i, 16, hex);
		at += (size_t)snprintf(rows + at, size - at, "%zu\t%s\t%zu\n",
		    i, hex, n > 0 && i % 100 == n ? n : 0);
	}
	free(noise);
	*len = at;
	return rows;
}

/* All in one source, or in two. */
static size_t
count_first(void)
{
	return patient.is_rich ? FIRST_OF_SECOND : FILES;
}

static void
path_of_file(size_t s, size_t f, char path[300])
{
	(void)snprintf(path, 300, "%s/%s",
	    f < count_first() ? FIXTURE_PREFIX : SECOND_PREFIX,
	    patient.files[s][f].path);
}

/* Files that stay, some that change, and rows. */
static void
back_up(struct bkp_repository *host, size_t n)
{
	struct fixture_file *files = patient.files[n];
	struct fixture_source sources[2];
	struct bkp_error err = BKP_ERROR_INIT;
	size_t len[2];

	patient.noise[n] = fixture_random(320000, n + 1);
	for (unsigned kind = 0; kind < 2; kind++)
		patient.rows[n][kind] = make_rows(n, kind, &len[kind]);
	files[0] = (struct fixture_file){"a", "hello", 5};
	files[1] = (struct fixture_file){"b", patient.noise[0], 320000};
	files[2] = (struct fixture_file){"c", patient.noise[n], 270000};
	files[3] = (struct fixture_file){"d", patient.noise[n > 0], 120000 + n};
	files[4] = (struct fixture_file){"rows0", patient.rows[n][0], len[0]};
	files[5] = (struct fixture_file){"rows1", patient.rows[n][1], len[1]};
	sources[0] =
	    (struct fixture_source){FIXTURE_PREFIX, files, count_first()};
	sources[1] = (struct fixture_source){
	    SECOND_PREFIX, files + count_first(), FILES - count_first()};
	(void)fixture_back_up_sources(host, sources, patient.is_rich ? 2 : 1,
	    PIECE, patient.names[n], &err);
	assert_string_equal(err.message, "");
}

static uint64_t
count_differences(const char *location)
{
	struct bkp_repository *repository = patient_open(location);
	uint64_t count = 0;

	assert_int_equal(bkp_repository_load_good_index(repository, NULL), 0);
	for (size_t i = 0; i < repository->index.count; i++)
		count += repository->index.files[i].view.base_count;
	bkp_repository_close(repository);
	return count;
}

uint64_t
patient_differences(void)
{
	return count_differences(patient.sick);
}

/* Objects that only a prune or a verification makes. */
static void
state_what_is_there(void)
{
	struct bkp_repository *repository = patient_open(patient.good);
	struct bkp_checkpoint checkpoint;
	struct bkp_condemned_list list = {.count = 0};
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	(void)bkp_checkpoint_load(repository, &checkpoint, &err);
	for (size_t i = 0; i < SNAPSHOTS; i++)
		(void)bkp_checkpoint_keep(&checkpoint, patient.names[i], &err);
	(void)bkp_checkpoint_put(repository, &checkpoint, &err);
	bkp_checkpoint_free(&checkpoint);
	list.packs = calloc(1, sizeof(*list.packs));
	assert_non_null(list.packs);
	memset(list.packs[0], 'a', 64);
	list.count = list.cap = 1;
	(void)bkp_condemned_put(repository, &list, name, &err);
	free(list.packs);
	assert_string_equal(err.message, "");
	bkp_repository_close(repository);
}

/* So that this machine remembers what was there. */
static void
look_once(void)
{
	struct bkp_repository *repository = patient_open(patient.good);
	struct bkp_history history = BKP_HISTORY_INIT;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_history_read(repository, &history, &err);
	(void)bkp_history_remember(repository, &history, &err);
	assert_string_equal(err.message, "");
	bkp_history_free(&history);
	bkp_repository_close(repository);
}

/* ---- what only a rich one has ---- */

static struct bkp_repository *
open_as(const char *key_file)
{
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_repository *repository = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	keys.key_file = key_file;
	(void)bkp_repository_open(patient.good, &keys, &repository, &err);
	assert_string_equal(err.message, "");
	bkp_repository_without_cache(repository);
	return repository;
}

/* A passphrase, a second host, and new keys for what comes. */
static void
change_keys(const char *second_key)
{
	struct bkp_key_add_options options = BKP_KEY_ADD_OPTIONS_INIT;
	struct bkp_repository *repository = patient_open(patient.good);
	struct bkp_error err = BKP_ERROR_INIT;

	options.passphrase = FIXTURE_PASSPHRASE;
	options.label = "paper";
	options.work_factor = 2;
	(void)bkp_key_add(repository, &options, &err);
	(void)bkp_key_host_add(repository, "second", second_key, 0, &err);
	(void)bkp_key_rotate(repository, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(repository);
}

static void
prove(struct bkp_repository *repository, size_t n)
{
	struct fmt_proof proof = FMT_PROOF_INIT;
	struct bkp_error err = BKP_ERROR_INIT;
	bool is_local = true;

	memcpy(proof.snapshot, patient.names[n], sizeof(proof.snapshot));
	proof.host = bkp_strdup("machine", &err);
	proof.path = bkp_strdup("", &err);
	proof.is_proven = true;
	proof.passed = FILES;
	proof.time_us = 1763600000000000 + (int64_t)n;
	(void)bkp_proof_put(repository, &proof, &is_local, &err);
	assert_string_equal(err.message, "");
	assert_false(is_local);
	fmt_proof_free(&proof);
}

static void
forget_somebody(struct bkp_repository *repository)
{
	static const char *const values[] = {"7"};
	const struct bkp_erasure_entry entry = {.source = "postgres/app",
	    .database = "app",
	    .table = "public.users",
	    .values = values,
	    .value_count = 1,
	    .map = "version: 1",
	    .map_len = 10};
	struct bkp_error err = BKP_ERROR_INIT;
	char name[65];

	(void)bkp_erasure_append(repository, &entry, name, &err);
	assert_string_equal(err.message, "");
}

/* Two backups that are at work, or died a moment ago. */
static void
leave_sessions(struct bkp_repository *repository)
{
	for (size_t i = 0; i < 2; i++) {
		struct bkp_presence *presence = NULL;

		assert_int_equal(
		    bkp_presence_begin(repository, "backup", &presence, NULL),
		    0);
		bkp_presence_leave(presence);
		bkp_presence_end(presence);
	}
}

static void
enrich(void)
{
	struct bkp_repository *repository = patient_open(patient.good);
	struct bkp_error err = BKP_ERROR_INIT;

	for (size_t i = 0; i < 2; i++)
		prove(repository, i);
	for (size_t i = 0; i < 2; i++)
		forget_somebody(repository);
	leave_sessions(repository);
	if (fmt_parity_is_available())
		(void)bkp_repository_complete_parity(
		    repository, PARITY_PERCENT, NULL, &err);
	assert_string_equal(err.message, "");
	bkp_repository_close(repository);
}

/* ---- set-up ---- */

static void
initialise(void **state)
{
	struct bkp_init_options options;
	struct bkp_error err = BKP_ERROR_INIT;
	const char *recipients[1];
	char state_folder[64];

	patient = (struct patient){.fixture = *state};
	/* Thousands of syncs, which test_power_loss.py looks after. */
	(void)snprintf(patient.folder, sizeof(patient.folder),
	    "%s/bkp-patient-XXXXXX",
	    access(FOLDERS_IN_MEMORY, W_OK) == 0 ? FOLDERS_IN_MEMORY : "/tmp");
	assert_non_null(mkdtemp(patient.folder));
	(void)snprintf(
	    patient.good, sizeof(patient.good), "%s/good", patient.folder);
	(void)snprintf(
	    patient.sick, sizeof(patient.sick), "%s/sick", patient.folder);
	(void)snprintf(
	    state_folder, sizeof(state_folder), "%s/state", patient.folder);
	(void)setenv("BACKUP_STATE_DIR", state_folder, 1);
	(void)setenv("BACKUP_CACHE_DIR", patient.folder, 1);
	options = fixture_options(patient.fixture, recipients);
	recipients[0] = patient.fixture->recipient;
	(void)bkp_repository_init(patient.good, &options, &err);
	assert_string_equal(err.message, "");
}

static void
note_what_is_there(void)
{
	patient.differences = count_differences(patient.good);
	assert_true(patient.differences > 0);
	list_objects("");
	look_once();
	patient_shell(
	    "cp -a %s/state %s/state.good", patient.folder, patient.folder);
}

int
patient_set_up(void **state)
{
	if (fixture_new(state) < 0)
		return -1;
	initialise(state);
	for (size_t i = 0; i < SNAPSHOTS; i++) {
		struct bkp_repository *host = patient_open(patient.good);

		back_up(host, i);
		bkp_repository_close(host);
	}
	assert_int_equal(count_differences(patient.good), DIFFERENCES);
	state_what_is_there();
	note_what_is_there();
	return 0;
}

int
patient_set_up_rich(void **state)
{
	char second_key[64];

	if (fixture_new(state) < 0)
		return -1;
	initialise(state);
	patient.is_rich = true;
	(void)snprintf(second_key, sizeof(second_key), "%s/second.key",
	    patient.fixture->folder);
	for (size_t i = 0; i < SNAPSHOTS; i++) {
		struct bkp_repository *host;

		if (i == 1)
			change_keys(second_key);
		host = open_as(i == 1 ? second_key : patient.fixture->key_file);
		back_up(host, i);
		bkp_repository_close(host);
	}
	state_what_is_there();
	enrich();
	note_what_is_there();
	return 0;
}

int
patient_tear_down(void **state)
{
	for (size_t i = 0; i < SNAPSHOTS; i++) {
		free(patient.noise[i]);
		free(patient.rows[i][0]);
		free(patient.rows[i][1]);
	}
	patient_shell("rm -rf '%s'", patient.folder);
	return fixture_free(state);
}

/* ---- what can be read ---- */

static bool
is_right(struct bkp_repository *repository, size_t s, size_t f)
{
	const struct fixture_file *file = &patient.files[s][f];
	struct fmt_buf bytes = FMT_BUF_INIT;
	bool is_same = false;

	char path[300];

	path_of_file(s, f, path);
	if (fixture_read_entry(
		repository, patient.names[s], path, &bytes, NULL) == 0) {
		is_same = bytes.len == file->len &&
			  memcmp(bytes.data, file->data, file->len) == 0;
		assert_true(is_same); /* never other bytes */
	}
	fmt_buf_free(&bytes);
	return is_same;
}

struct readable
patient_read_all(void)
{
	struct bkp_repository *repository = patient_open(patient.sick);
	struct readable out = {0};

	for (size_t s = 0; s < SNAPSHOTS; s++) {
		for (size_t f = 0; f < FILES; f++)
			out.files[s][f] = patient.files[s][f].path == NULL ||
					  is_right(repository, s, f);
	}
	bkp_repository_close(repository);
	return out;
}

/* ---- checks ---- */

static void
check_with(const char *identity_file, enum how how,
    struct bkp_check_result *result, const char *story)
{
	struct bkp_check_options options = BKP_CHECK_OPTIONS_INIT;
	struct bkp_config *config = NULL;
	struct bkp_error err = BKP_ERROR_INIT;

	(void)bkp_config_new(&config, &err);
	(void)bkp_config_set_repository(config, patient.sick, &err);
	(void)bkp_config_set_key_file(config, patient.fixture->key_file, &err);
	if (identity_file != NULL)
		(void)bkp_config_set_identity_file(config, identity_file, &err);
	(void)bkp_config_set_workers(config, 1, &err);
	if (patient.is_rich && fmt_parity_is_available())
		config->error_correction = PARITY_PERCENT;
	options.config = config;
	options.read_percent = 100;
	options.is_repair = how != LOOK;
	options.accepts_loss = how == ACCEPT;
	if (err.code != BKP_OK || bkp_check(&options, result, &err) < 0)
		fail_msg("%s: %s", story, err.message);
	bkp_config_free(config);
}

void
patient_check(enum how how, struct bkp_check_result *result, const char *story)
{
	check_with(patient.fixture->identity_file, how, result, story);
}

void
patient_check_as_host(
    enum how how, struct bkp_check_result *result, const char *story)
{
	check_with(NULL, how, result, story);
}

void
patient_print(const struct bkp_check_result *result)
{
	for (size_t i = 0; i < result->step_count; i++)
		print_message("#   %d %s: %s\n", (int)result->steps[i].state,
		    result->steps[i].object, result->steps[i].text);
	for (size_t i = 0; i < result->finding_count; i++) {
		const struct bkp_finding *f = &result->findings[i];

		print_message(
		    "#   %d %s %s\n", (int)f->level, f->kind, f->text);
		for (size_t k = 0; k < f->hurt_count; k++)
			print_message("#      %.8s %s\n", f->hurt[k].snapshot,
			    f->hurt[k].path);
	}
}

static bool
is_hurt_by(const struct bkp_hurt *hurt, size_t s, size_t f)
{
	char path[300];

	path_of_file(s, f, path);
	return strcmp(hurt->snapshot, patient.names[s]) == 0 &&
	       (strcmp(hurt->path, path) == 0 || hurt->path[0] == '\0' ||
		   strcmp(hurt->path, f < count_first() ? FIXTURE_PREFIX
							: SECOND_PREFIX) == 0);
}

static bool
is_told(const struct bkp_check_result *result, size_t s, size_t f)
{
	for (size_t i = 0; i < result->finding_count; i++) {
		for (size_t k = 0; k < result->findings[i].hurt_count; k++) {
			if (is_hurt_by(&result->findings[i].hurt[k], s, f))
				return true;
		}
	}
	return false;
}

/* Exactly what cannot be read is said to be hurt. */
void
patient_assert_true_story(const struct bkp_check_result *result,
    const struct readable *readable, const char *story)
{
	for (size_t s = 0; s < SNAPSHOTS; s++) {
		for (size_t f = 0; f < FILES; f++) {
			if (is_told(result, s, f) != readable->files[s][f])
				continue;
			patient_print(result);
			fail_msg("%s: %s of snapshot %zu is %s", story,
			    patient.files[s][f].path, s,
			    readable->files[s][f] ? "said to be hurt"
						  : "not said to be hurt");
		}
	}
}

bool
patient_is_named(const struct bkp_check_result *result, const char *object)
{
	for (size_t i = 0; i < result->finding_count; i++) {
		const struct bkp_finding *f = &result->findings[i];

		/* One of two may be all that a killed change of keys, or a
		 * prune, wrote; a copy hurts nobody. */
		if ((f->level != BKP_FINDING_NOTE ||
			strcmp(object, patient.copy) == 0 ||
			strncmp(object, "roster/", 7) == 0 ||
			strstr(object, "checkpoints/") != NULL) &&
		    (strcmp(f->object, object) == 0 ||
			/* Nobody knows what it was called. */
			(strncmp(object, f->object, strlen(f->object)) == 0 &&
			    f->object[0] != '\0')))
			return true;
	}
	return false;
}

/* ---- damage ---- */

static void
path_of(const char *object, char path[256])
{
	(void)snprintf(path, 256, "%s/%s", patient.sick, object);
}

static void
change_bytes(const char *object, enum damage damage)
{
	unsigned char *bytes;
	char path[256];
	struct stat st;
	size_t size;
	FILE *file;

	path_of(object, path);
	assert_int_equal(stat(path, &st), 0);
	size = (size_t)st.st_size;
	bytes = malloc(size);
	assert_non_null(bytes);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fread(bytes, 1, size, file), size);
	(void)fclose(file);
	if (damage == ZERO)
		memset(bytes, 0, size);
	else
		bytes[damage == FLIP_START    ? 0
		      : damage == FLIP_MIDDLE ? size / 2
					      : size - 1] ^= 0x10;
	(void)chmod(path, 0600);
	file = fopen(path, "wb");
	assert_non_null(file);
	if (damage == CUT)
		size /= 2;
	if (damage == EMPTY)
		size = 0;
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	(void)fclose(file);
	free(bytes);
}

/* The folder of an object: "packs" without the digits. */
static size_t
folder_length(const char *object)
{
	const char *packs = strstr(object, "packs/");

	return packs != NULL ? (size_t)(packs - object) + 5
			     : (size_t)(strrchr(object, '/') - object);
}

static const char *
neighbour_of(const char *object)
{
	for (size_t i = 0; i < patient.object_count; i++) {
		const char *other = patient.objects[i];

		if (strchr(other, '/') != NULL && strcmp(other, object) != 0 &&
		    folder_length(other) == folder_length(object) &&
		    strncmp(other, object, folder_length(object)) == 0)
			return other;
	}
	return NULL;
}

/* A copy under a name that nothing has. */
static void
copy_under_wrong_name(const char *object)
{
	char from[256], to[256];
	char *name;

	(void)snprintf(patient.copy, sizeof(patient.copy), "%s", object);
	name = strrchr(patient.copy, '/') + 1;
	/* The first digits are those of the folder of a pack. */
	name[5] = name[5] == 'a' ? 'b' : 'a';
	path_of(object, from);
	path_of(patient.copy, to);
	patient_shell("cp %s %s", from, to);
}

/* The repository and what this machine knows of it. */
void
patient_begin_anew(void)
{
	const char *folder = patient.folder;

	patient_shell("rm -rf %s && cp -a %s %s", patient.sick, patient.good,
	    patient.sick);
	patient_shell("rm -rf %s/state && cp -a %s/state.good %s/state", folder,
	    folder, folder);
}

/* False where there is nothing to be done that way. */
static bool
do_damage(const char *object, enum damage damage)
{
	char path[256], other[256];
	const char *neighbour;

	/* Nobody misses a list of what is to go, or somebody who has ended. */
	if (damage == GONE && (strncmp(object, "condemned/", 10) == 0 ||
				  strncmp(object, "sessions/", 9) == 0))
		return false;
	patient_begin_anew();
	patient.copy[0] = '\0';
	path_of(object, path);
	if (strchr(object, '/') == NULL && damage >= SWAP && damage != ZERO)
		return false;
	switch (damage) {
	case GONE:
		assert_int_equal(unlink(path), 0);
		return true;
	case TWICE:
		if (strstr(object, "config") != NULL)
			return false;
		copy_under_wrong_name(object);
		return true;
	case SWAP:
		neighbour = neighbour_of(object);
		if (neighbour == NULL)
			return false;
		path_of(neighbour, other);
		patient_shell("mv %s %s.x && mv %s %s && mv %s.x %s", path,
		    path, other, path, path, other);
		return true;
	default:
		change_bytes(object, damage);
		return true;
	}
}

/* Whoever cannot be read is heeded for half an hour, and left alone for a day.
 */
bool
patient_damage(const char *object, enum damage damage)
{
	if (!do_damage(object, damage))
		return false;
	if (strncmp(object, "sessions/", 9) == 0)
		patient_shell("touch -d '%s ago' %s/sessions/*",
		    patient_is_old(damage) ? "30 hours" : "40 minutes",
		    patient.sick);
	return true;
}

bool
patient_is_old(enum damage damage)
{
	return damage % 2 == 1;
}

void
patient_assert_no_worse(const struct readable *before,
    const struct readable *after, const char *story)
{
	for (size_t s = 0; s < SNAPSHOTS; s++) {
		for (size_t f = 0; f < FILES; f++) {
			if (before->files[s][f] && !after->files[s][f])
				fail_msg("%s: after the repair, %s of snapshot "
					 "%zu cannot be read any more",
				    story, patient.files[s][f].path, s);
		}
	}
}

bool
patient_is_all_readable(const struct readable *readable)
{
	for (size_t s = 0; s < SNAPSHOTS; s++) {
		for (size_t f = 0; f < FILES; f++) {
			if (!readable->files[s][f])
				return false;
		}
	}
	return true;
}
