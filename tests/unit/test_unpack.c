/* SPDX-License-Identifier: Apache-2.0 */
/* Exports as somebody might hand them over who means no good: whatever is in
 * them, nothing of it is given to anybody unless all of it is as the manifest
 * says. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "formats/sign.h"
#include "libbackup/subject/unpack.h"
#include "tests/unit/failing_alloc.h"

#define ROWS "{\"id\":\"1\"}\n{\"id\":\"2\"}\n"
#define FILE_LINE                                                              \
	"{\"file\":\"files/up/a\",\"bucket\":\"up\",\"key\":\"a\",\"bytes\":"  \
	"3,\"sha256\":\"%s\",\"content_type\":\"text/plain\"}\n"

#define LYING_LINE                                                             \
	"{\"file\":\"own/public.t.ndjson\",\"bucket\":\"b\",\"key\":\"k\","    \
	"\"bytes\":1,\"sha256\":\"x\"}\n"

static char top[] = "/tmp/test_unpack.XXXXXX";
static struct bkp_run *run;

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(top) == NULL)
		return -1;
	return bkp_run_new(1, NULL, NULL, &run, NULL);
}

static int
tear_down(void **state)
{
	char command[128];

	(void)state;
	bkp_run_free(run);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

/* ---- an export ---- */

struct part {
	const char *name;
	char *text; /* owned */
	size_t len;
	unsigned type; /* AE_IFREG where 0 */
	const char *link;
};

struct parts {
	struct part at[12];
	size_t count;
};

static const char *
path(const char *name)
{
	static char text[4][256];
	static unsigned turn;

	turn = (turn + 1) % 4;
	(void)snprintf(text[turn], sizeof(text[turn]), "%s/%s", top, name);
	return text[turn];
}

static struct part *
add(struct parts *parts, const char *name, const char *text)
{
	struct part *part = &parts->at[parts->count++];

	assert_true(parts->count <= sizeof(parts->at) / sizeof(*parts->at));
	*part = (struct part){.name = name, .len = strlen(text)};
	part->text = strdup(text);
	assert_non_null(part->text);
	return part;
}

static struct part *
find(struct parts *parts, const char *name)
{
	for (size_t i = 0; i < parts->count; i++)
		if (strcmp(parts->at[i].name, name) == 0)
			return &parts->at[i];
	fail_msg("no part %s", name);
	abort();
}

static void
digest(const char *text, char hex[65])
{
	unsigned char bytes[32];

	assert_int_equal(fmt_sha256(text, strlen(text), bytes), FMT_OK);
	fmt_hex(bytes, sizeof(bytes), hex);
}

/* A whole one. */
static void
make(struct parts *parts)
{
	char rows[65], list[65], object[65], lines[512], manifest[2048];

	*parts = (struct parts){.count = 0};
	digest(ROWS, rows);
	digest("abc", object);
	(void)snprintf(lines, sizeof(lines), FILE_LINE, object);
	digest(lines, list);
	(void)snprintf(manifest, sizeof(manifest),
	    "{\"format\":\"libbackup-export\",\"version\":1,\"tables\":[{"
	    "\"table\":\"public.t\",\"decision\":\"own\",\"rows\":2,"
	    "\"file\":{\"name\":\"own/public.t.ndjson\",\"bytes\":%zu,"
	    "\"sha256\":\"%s\"},\"csv\":null,\"columns\":[{\"name\":\"id\","
	    "\"type\":\"bigint\",\"replaced\":null,\"names_others\":false}]}],"
	    "\"references\":[{\"edge\":\"e\",\"from\":\"public.t\",\"to\":"
	    "\"public.t\",\"columns\":[\"id\"],\"to_columns\":[\"id\"],"
	    "\"when\":null,\"array\":false,\"decision\":\"own\"}],"
	    "\"objects\":{\"list\":{\"name\":\"files.ndjson\",\"bytes\":%zu,"
	    "\"sha256\":\"%s\"},\"count\":1,\"bytes\":3},\"omitted\":[]}",
	    strlen(ROWS), rows, strlen(lines), list);
	(void)add(parts, "own/public.t.ndjson", ROWS);
	(void)add(parts, "files/up/a", "abc");
	(void)add(parts, "files.ndjson", lines);
	(void)add(parts, "manifest.json", manifest);
}

static void
parts_free(struct parts *parts)
{
	for (size_t i = 0; i < parts->count; i++)
		free(parts->at[i].text);
	parts->count = 0;
}

/* ---- packing ---- */

static void
write_part(struct archive *archive, const struct part *part)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, part->name);
	archive_entry_set_filetype(
	    entry, part->type != 0 ? part->type : AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_size(entry, (la_int64_t)part->len);
	if (part->link != NULL && part->type == AE_IFLNK)
		archive_entry_set_symlink(entry, part->link);
	else if (part->link != NULL)
		archive_entry_set_hardlink(entry, part->link);
	if (part->type != 0 || part->link != NULL)
		archive_entry_set_size(entry, 0);
	assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
	if (part->type == 0 && part->link == NULL && part->len > 0)
		assert_int_equal(
		    archive_write_data(archive, part->text, part->len),
		    part->len);
	archive_entry_free(entry);
}

static const char *
pack(const struct parts *parts, const char *name)
{
	struct archive *archive = archive_write_new();
	const char *location = path(name);

	assert_non_null(archive);
	if (strstr(name, ".zip") != NULL) {
		assert_int_equal(archive_write_set_format_zip(archive), 0);
	} else {
		assert_int_equal(
		    archive_write_set_format_gnutar(archive), ARCHIVE_OK);
		assert_int_equal(
		    archive_write_add_filter_zstd(archive), ARCHIVE_OK);
	}
	assert_int_equal(
	    archive_write_open_filename(archive, location), ARCHIVE_OK);
	for (size_t i = 0; i < parts->count; i++)
		write_part(archive, &parts->at[i]);
	assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
	return location;
}

static int
unpack(const char *location, struct bkp_unpack *out, struct bkp_error *err)
{
	const struct bkp_unpack_options options = {
	    .location = location,
	    .has_files = true,
	};

	*err = (struct bkp_error)BKP_ERROR_INIT;
	return bkp_unpack(&options, run, out, err);
}

static void
refused(const struct parts *parts, enum bkp_error_code code, const char *words)
{
	struct bkp_unpack out = BKP_UNPACK_INIT;
	struct bkp_error err;

	assert_int_equal(unpack(pack(parts, "bad.tar.zst"), &out, &err), -1);
	if (err.code != (int)code || strstr(err.message, words) == NULL)
		fail_msg(
		    "%d: %s, and not '%s'", (int)err.code, err.message, words);
	assert_null(out.members);
	assert_null(out.rows);
}

/* ---- cases ---- */

static void
what_is_as_the_manifest_says_is_read_in_order(void **state)
{
	static const char *const names[] = {"good.tar.zst", "good.zip"};
	struct parts parts;

	(void)state;
	make(&parts);
	for (size_t i = 0; i < 2; i++) {
		struct bkp_unpack out = BKP_UNPACK_INIT;
		struct fmt_buf got = FMT_BUF_INIT;
		struct bkp_error err;

		if (unpack(pack(&parts, names[i]), &out, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(out.table_count, 1);
		assert_int_equal(out.tables[0].rows, 2);
		assert_int_equal(out.reference_count, 1);
		assert_int_equal(out.object_count, 1);
		assert_string_equal(out.objects[0].key, "a");
		assert_int_equal(
		    bkp_spool_read(out.rows, strlen(ROWS), &got, &err), 0);
		assert_memory_equal(got.data, ROWS, strlen(ROWS));
		assert_int_equal(bkp_spool_size(out.files), 3);
		fmt_buf_free(&got);
		bkp_unpack_free(&out);
	}
	parts_free(&parts);
}

static void
names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const names[] = {"../a", "/etc/a", "own/../../a",
	    "own/./a", "own//a", "..", "own/..", "own/a\nb", "own/\033[2Ja",
	    "own/\177"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct parts parts;

		make(&parts);
		(void)add(&parts, names[i], "x");
		refused(&parts, BKP_CORRUPT, "nothing of this is used");
		parts_free(&parts);
	}
}

static void
links_and_devices_are_refused(void **state)
{
	static const struct {
		unsigned type;
		const char *link;
	} kinds[] = {{AE_IFLNK, "/etc/passwd"}, {0, "manifest.json"},
	    {AE_IFIFO, NULL}, {AE_IFCHR, NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct parts parts;
		struct part *part;

		make(&parts);
		part = add(&parts, "own/x.ndjson", "");
		part->type = kinds[i].type;
		part->link = kinds[i].link;
		refused(&parts, BKP_CORRUPT, "is a link or a device");
		parts_free(&parts);
	}
}

static void
links_in_a_folder_are_not_followed(void **state)
{
	struct bkp_unpack out = BKP_UNPACK_INIT;
	struct bkp_error err;

	(void)state;
	assert_int_equal(mkdir(path("folder"), 0700), 0);
	assert_int_equal(symlink("/etc/passwd", path("folder/a")), 0);
	assert_int_equal(unpack(path("folder"), &out, &err), -1);
	assert_int_equal(err.code, BKP_CORRUPT);
	assert_non_null(strstr(err.message, "a is neither a file nor"));
	assert_int_equal(unlink(path("folder/a")), 0);
	assert_int_equal(mkfifo(path("folder/f"), 0600), 0);
	assert_int_equal(unpack(path("folder"), &out, &err), -1);
	assert_non_null(strstr(err.message, "f is neither a file nor"));
}

static void
members_that_are_twice_missing_or_too_many_are_refused(void **state)
{
	struct parts parts;

	(void)state;
	make(&parts);
	(void)add(&parts, "own/public.t.ndjson", ROWS);
	refused(&parts, BKP_CORRUPT, "own/public.t.ndjson is in it twice");
	parts_free(&parts);
	make(&parts);
	(void)add(&parts, "manifest.json", "{}");
	refused(&parts, BKP_CORRUPT, "");
	parts_free(&parts);
	make(&parts);
	(void)add(&parts, "own/more.ndjson", "");
	refused(&parts, BKP_CORRUPT, "the manifest does not name it");
	parts_free(&parts);
	make(&parts);
	find(&parts, "files/up/a")->name = "files/up/b";
	refused(&parts, BKP_CORRUPT, "files/up/a is missing");
	parts_free(&parts);
	make(&parts);
	find(&parts, "manifest.json")->name = "manifest.yaml";
	refused(&parts, BKP_INVALID, "no manifest.json");
	parts_free(&parts);
}

static void
content_that_is_not_what_was_exported_is_refused(void **state)
{
	static const char *const names[] = {
	    "own/public.t.ndjson", "files/up/a", "files.ndjson"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct parts parts;
		struct part *part;

		make(&parts);
		part = find(&parts, names[i]);
		part->text[part->len / 2] ^= 1;
		refused(&parts, BKP_CORRUPT, "is not what was exported");
		part->text[part->len / 2] ^= 1;
		part->len--;
		refused(&parts, BKP_CORRUPT, "is not what was exported");
		parts_free(&parts);
	}
}

static void
manifests_that_are_none_are_refused(void **state)
{
	static const char *const texts[] = {"", "[]", "{", "{}",
	    "{\"format\":\"x\",\"version\":1}",
	    "{\"format\":\"libbackup-export\",\"version\":\"1\"}",
	    "{\"format\":\"libbackup-export\",\"version\":1}",
	    "{\"format\":\"libbackup-export\",\"version\":1,\"tables\":[7]}",
	    "{\"format\":\"libbackup-export\",\"version\":1,\"tables\":[{"
	    "\"table\":\"t\",\"decision\":\"all\",\"rows\":1,\"columns\":[]}]}",
	    "{\"format\":\"libbackup-export\",\"version\":1,\"tables\":[{"
	    "\"table\":\"t\",\"decision\":\"own\",\"rows\":-1,"
	    "\"columns\":[]}]}",
	    "{\"format\":\"libbackup-export\",\"version\":1,\"tables\":[],"
	    "\"references\":7}",
	    "{\"format\":\"libbackup-export\",\"version\":1,\"tables\":[],"
	    "\"references\":[{\"edge\":\"e\",\"from\":\"a\",\"to\":\"b\","
	    "\"columns\":[\"x\"],\"to_columns\":[],\"when\":null,"
	    "\"array\":false}]}",
	    "{\"format\":\"libbackup-export\",\"version\":1,\"version\":1}",
	    "{\"format\":\"libbackup-\xff\",\"version\":1}",
	    "{\"format\":\"libbackup-export\\u0000\",\"version\":1}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct parts parts = {.count = 0};

		(void)add(&parts, "manifest.json", texts[i]);
		refused(&parts, BKP_CORRUPT, "is not written as that of");
		parts_free(&parts);
	}
}

static void
a_later_version_is_told_as_that(void **state)
{
	struct parts parts = {.count = 0};

	(void)state;
	(void)add(&parts, "manifest.json",
	    "{\"format\":\"libbackup-export\",\"version\":2}");
	refused(&parts, BKP_UNSUPPORTED, "version 2");
	parts_free(&parts);
}

/* Little to carry, and much to hold. */
static void
a_manifest_that_would_fill_memory_is_refused(void **state)
{
	struct parts parts = {.count = 0};
	struct part *part = add(&parts, "manifest.json", "");

	(void)state;
	free(part->text);
	part->len = (size_t)70 * 1024 * 1024;
	part->text = calloc(1, part->len);
	assert_non_null(part->text);
	refused(&parts, BKP_CORRUPT, "larger than that of any export");
	parts_free(&parts);
}

static void
a_list_of_files_that_lies_is_refused(void **state)
{
	static const char *const lists[] = {"no json\n", "{}\n", "[1]\n",
	    "{\"file\":\"files/up/a\"}", "\n", LYING_LINE};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		struct parts parts = {.count = 0};
		char hex[65], manifest[512];

		digest(lists[i], hex);
		(void)snprintf(manifest, sizeof(manifest),
		    "{\"format\":\"libbackup-export\",\"version\":1,"
		    "\"tables\":[],\"objects\":{\"list\":{\"name\":"
		    "\"files.ndjson\",\"bytes\":%zu,\"sha256\":\"%s\"}}}",
		    strlen(lists[i]), hex);
		(void)add(&parts, "files.ndjson", lists[i]);
		(void)add(&parts, "own/public.t.ndjson", ROWS);
		(void)add(&parts, "manifest.json", manifest);
		refused(&parts, BKP_CORRUPT, "");
		parts_free(&parts);
	}
}

/* ---- every byte ---- */

static unsigned char *
slurp(const char *location, size_t *len)
{
	FILE *file = fopen(location, "rb");
	unsigned char *data = malloc(65536);

	assert_non_null(file);
	assert_non_null(data);
	*len = fread(data, 1, 65536, file);
	assert_true(*len > 0 && *len < 65536);
	assert_int_equal(fclose(file), 0);
	return data;
}

/* It is refused, or it is what it was, whole. */
static void
try_bytes(const unsigned char *data, size_t len)
{
	struct bkp_unpack out = BKP_UNPACK_INIT;
	struct bkp_error err;
	FILE *file = fopen(path("try"), "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	if (unpack(path("try"), &out, &err) < 0) {
		assert_true(err.code != BKP_OK && err.message[0] != '\0');
		return;
	}
	assert_int_equal(out.table_count, 1);
	assert_int_equal(bkp_spool_size(out.rows), strlen(ROWS));
	assert_int_equal(bkp_spool_size(out.files), 3);
	bkp_unpack_free(&out);
}

static void
cut_anywhere_or_changed_anywhere_it_is_whole_or_refused(void **state)
{
	static const char *const names[] = {"cut.tar.zst", "cut.zip"};
	struct parts parts;

	(void)state;
	make(&parts);
	for (size_t i = 0; i < 2; i++) {
		size_t len;
		unsigned char *data = slurp(pack(&parts, names[i]), &len);

		for (size_t k = 0; k < len; k += 3)
			try_bytes(data, k);
		for (size_t k = 0; k < len; k += 3) {
			data[k] ^= 0x55;
			try_bytes(data, len);
			data[k] ^= 0x55;
		}
		free(data);
	}
	parts_free(&parts);
}

static void
without_memory_nothing_is_given_and_nothing_is_left(void **state)
{
	static const char *const names[] = {"memory.tar.zst", "memory.zip"};
	struct parts parts;

	(void)state;
	make(&parts);
	for (size_t i = 0; i < 2; i++) {
		const char *location = pack(&parts, names[i]);
		bool is_short = true;

		for (int n = 0; is_short; n++) {
			struct bkp_unpack out = BKP_UNPACK_INIT;
			struct bkp_error err;
			int rc;

			failing_alloc_at(n);
			rc = unpack(location, &out, &err);
			is_short = failing_alloc_end();
			assert_int_equal(rc, is_short ? -1 : 0);
			if (rc == 0)
				bkp_unpack_free(&out);
			assert_true(n < 10000);
		}
	}
	parts_free(&parts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_as_the_manifest_says_is_read_in_order),
	    cmocka_unit_test(names_that_lead_elsewhere_are_refused),
	    cmocka_unit_test(links_and_devices_are_refused),
	    cmocka_unit_test(links_in_a_folder_are_not_followed),
	    cmocka_unit_test(
		members_that_are_twice_missing_or_too_many_are_refused),
	    cmocka_unit_test(content_that_is_not_what_was_exported_is_refused),
	    cmocka_unit_test(manifests_that_are_none_are_refused),
	    cmocka_unit_test(a_later_version_is_told_as_that),
	    cmocka_unit_test(a_manifest_that_would_fill_memory_is_refused),
	    cmocka_unit_test(a_list_of_files_that_lies_is_refused),
	    cmocka_unit_test(
		cut_anywhere_or_changed_anywhere_it_is_whole_or_refused),
	    cmocka_unit_test(
		without_memory_nothing_is_given_and_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
