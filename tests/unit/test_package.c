/* SPDX-License-Identifier: Apache-2.0 */
/* What an export is packed into, read back by libarchive. */
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
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

#include "formats/age.h"
#include "formats/sign.h"
#include "libbackup/subject/package.h"

#define BIG ((size_t)700 * 1024)

static char top[] = "/tmp/test_package.XXXXXX";
static struct bkp_run *run;
static const char *const names[] = {
    "data/public.users.ndjson", "files/h\xc3\xa9.txt", "manifest.json"};

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

/* ---- writing and reading ---- */

static const char *
at(const char *name)
{
	static char path[4][256];
	static unsigned turn;

	turn = (turn + 1) % 4;
	(void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", top, name);
	return path[turn];
}

static unsigned char *
content(size_t *len)
{
	unsigned char *data = malloc(BIG);

	assert_non_null(data);
	for (size_t i = 0; i < BIG; i++)
		data[i] = (unsigned char)(i * 7 + i / 251);
	*len = BIG;
	return data;
}

static void
put(struct bkp_package *package, const char *name, const void *data, size_t len)
{
	struct bkp_error err = {0};
	char sha256[65], expected[65];
	unsigned char digest[32];
	uint64_t size = 0;

	assert_int_equal(bkp_package_begin(package, name, &err), 0);
	assert_int_equal(bkp_package_put(package, data, len / 2, &err), 0);
	assert_int_equal(bkp_package_put(package, (const char *)data + len / 2,
			     len - len / 2, &err),
	    0);
	assert_int_equal(bkp_package_end(package, sha256, &size, &err), 0);
	assert_int_equal(size, len);
	assert_int_equal(fmt_sha256(data, len, digest), FMT_OK);
	fmt_hex(digest, sizeof(digest), expected);
	assert_string_equal(sha256, expected);
}

/* Members: a large one, an empty one, the manifest; and one that is given
 * up half-way. */
static void
fill(struct bkp_package *package)
{
	size_t len;
	unsigned char *data = content(&len);

	put(package, names[0], data, len);
	assert_int_equal(bkp_package_begin(package, "dropped", NULL), 0);
	assert_int_equal(bkp_package_put(package, "half", 4, NULL), 0);
	bkp_package_drop(package);
	put(package, names[1], "", 0);
	put(package, names[2], "{}", 2);
	free(data);
}

static struct bkp_package_options
options(enum bkp_package_form form, const char *location)
{
	return (struct bkp_package_options){
	    .form = form,
	    .output.location = location,
	    .time = 1700000000,
	};
}

static void
write_package(const struct bkp_package_options *how)
{
	struct bkp_package *package = NULL;
	struct bkp_error err = {0};
	char sha256[65] = "";
	uint64_t stored = 0;
	size_t parts = 0;

	if (bkp_package_open(how, run, &package, &err) < 0)
		fail_msg("%s", err.message);
	fill(package);
	assert_int_equal(
	    bkp_package_commit(package, sha256, &stored, &parts, &err), 0);
	assert_int_equal(strlen(sha256), 64);
	assert_true(stored > 0);
	assert_int_equal(parts, 1);
	bkp_package_close(package);
}

static unsigned char *
slurp(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	unsigned char *data = malloc(4 * BIG);

	assert_non_null(file);
	assert_non_null(data);
	*len = fread(data, 1, 4 * BIG, file);
	assert_int_equal(fclose(file), 0);
	return data;
}

/* How many members are as they were written, up to the first that is not. */
static int
members(const unsigned char *data, size_t len, const char *passphrase)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	size_t big_len, got;
	unsigned char *big = content(&big_len), *read = malloc(2 * BIG);
	int count = 0;

	archive_read_support_format_tar(archive);
	archive_read_support_format_zip(archive);
	archive_read_support_filter_zstd(archive);
	if (passphrase != NULL)
		archive_read_add_passphrase(archive, passphrase);
	assert_int_equal(
	    archive_read_open_memory(archive, data, len), ARCHIVE_OK);
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		const char *expected = count == 0   ? (const char *)big
				       : count == 1 ? ""
						    : "{}";
		la_ssize_t n = archive_read_data(archive, read, 2 * BIG);

		assert_true(count < 3);
		assert_string_equal(
		    archive_entry_pathname(entry), names[count]);
		assert_int_equal(archive_entry_mtime(entry), 1700000000);
		if (n < 0)
			break;
		got = count == 0 ? big_len : strlen(expected);
		assert_int_equal(n, got);
		assert_memory_equal(read, expected, got);
		count++;
	}
	archive_read_free(archive);
	free(read);
	free(big);
	return count;
}

/* ---- cases ---- */

static void
a_folder_is_there_once_it_is_whole(void **state)
{
	struct bkp_package_options how =
	    options(BKP_PACKAGE_FOLDER, at("folder/"));
	struct bkp_package *package = NULL;
	size_t len, big_len;
	unsigned char *data, *big = content(&big_len);
	struct stat st;

	(void)state;
	assert_int_equal(bkp_package_open(&how, run, &package, NULL), 0);
	fill(package);
	assert_int_equal(access(at("folder"), F_OK), -1);
	bkp_package_close(package);      /* given up */
	assert_int_equal(rmdir(top), 0); /* nothing was left behind */
	assert_int_equal(mkdir(top, 0700), 0);

	write_package(&how);
	data = slurp(at("folder/data/public.users.ndjson"), &len);
	assert_int_equal(len, big_len);
	assert_memory_equal(data, big, len);
	assert_int_equal(access(at("folder/dropped"), F_OK), -1);
	assert_int_equal(stat(at("folder/manifest.json"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	free(data);
	free(big);
}

static void
what_exists_is_replaced_where_that_is_asked_for_and_it_is_an_export(
    void **state)
{
	struct bkp_package_options how =
	    options(BKP_PACKAGE_FOLDER, at("twice"));
	struct bkp_package *package = NULL;
	struct bkp_error err = {0};

	(void)state;
	write_package(&how);
	assert_int_equal(bkp_package_open(&how, run, &package, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	how.output.is_overwrite = true;
	write_package(&how);

	assert_int_equal(mkdir(at("mine"), 0700), 0);
	how.output.location = at("mine");
	assert_int_equal(bkp_package_open(&how, run, &package, &err), -1);
	assert_int_equal(err.code, BKP_EXISTS);
	assert_non_null(strstr(err.message, "is no export"));
}

static void
tar_zst_and_zip_hold_the_same_members(void **state)
{
	static const enum bkp_package_form forms[] = {
	    BKP_PACKAGE_TAR_ZST, BKP_PACKAGE_ZIP};
	static const char *const files[][2] = {
	    {"a.tar.zst", "b.tar.zst"}, {"a.zip", "b.zip"}};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct bkp_package_options how =
		    options(forms[i], at(files[i][0]));
		unsigned char *data, *again;
		size_t len, again_len;

		write_package(&how);
		data = slurp(at(files[i][0]), &len);
		assert_int_equal(members(data, len, NULL), 3);
		how.output.location = at(files[i][1]);
		write_package(&how);
		again = slurp(at(files[i][1]), &again_len);
		assert_int_equal(len, again_len); /* equal exports */
		assert_memory_equal(data, again, len);
		free(data);
		free(again);
	}
}

static void
a_zip_with_a_passphrase_opens_with_it_alone(void **state)
{
	struct bkp_package_options how =
	    options(BKP_PACKAGE_ZIP, at("secret.zip"));
	unsigned char *data;
	size_t len;

	(void)state;
	how.passphrase = "correct horse";
	write_package(&how);
	data = slurp(at("secret.zip"), &len);
	assert_int_equal(members(data, len, "correct horse"), 3);
	assert_int_equal(members(data, len, "wrong"), 0);
	assert_int_equal(members(data, len, NULL), 0);
	free(data);
}

/* The members of an age file. */
static int
sealed_members(const char *path, const struct fmt_age_identity *identity)
{
	struct fmt_buf plain = FMT_BUF_INIT;
	unsigned char *data;
	size_t len;
	int count = -1;

	data = slurp(path, &len);
	if (fmt_age_open(identity, 1, data, len, &plain) == FMT_OK)
		count = members(plain.data, plain.len, NULL);
	fmt_buf_free(&plain);
	free(data);
	return count;
}

static void
recipients_and_passphrases_make_age_files(void **state)
{
	struct bkp_package_options how =
	    options(BKP_PACKAGE_TAR_ZST, at("x.tar.zst.age"));
	struct fmt_age_identity identity, other;
	struct fmt_age_recipient recipient;
	char text[FMT_AGE_RECIPIENT_TEXT];
	const char *recipients[] = {text};

	(void)state;
	assert_int_equal(fmt_age_identity_new(&identity), FMT_OK);
	assert_int_equal(fmt_age_identity_new(&other), FMT_OK);
	assert_int_equal(
	    fmt_age_identity_recipient(&identity, &recipient), FMT_OK);
	assert_int_equal(fmt_age_recipient_text(&recipient, text), FMT_OK);
	how.recipients = recipients;
	how.recipient_count = 1;
	write_package(&how);
	assert_int_equal(sealed_members(at("x.tar.zst.age"), &identity), 3);
	assert_int_equal(sealed_members(at("x.tar.zst.age"), &other), -1);

	how.form = BKP_PACKAGE_ZIP;
	how.output.location = at("x.zip.age");
	write_package(&how);
	assert_int_equal(sealed_members(at("x.zip.age"), &identity), 3);

	how = options(BKP_PACKAGE_TAR_ZST, at("p.tar.zst.age"));
	how.passphrase = "correct horse";
	how.work_factor = 10;
	write_package(&how);
	other = (struct fmt_age_identity){
	    .kind = FMT_AGE_SCRYPT, .passphrase = "correct horse"};
	assert_int_equal(sealed_members(at("p.tar.zst.age"), &other), 3);
}

static void
what_cannot_be_is_refused_by_name(void **state)
{
	static const char *const bad[] = {
	    "", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "."};
	static const char *const recipients[] = {"age1nonsense"};
	struct bkp_package_options how = options(BKP_PACKAGE_FOLDER, "-");
	struct bkp_package *package = NULL;
	struct bkp_error err = {0};

	(void)state;
	assert_int_equal(bkp_package_open(&how, run, &package, &err), -1);
	assert_non_null(strstr(err.message, "choose tar.zst or zip"));
	how.output.location = at("enc");
	how.passphrase = "x";
	assert_int_equal(bkp_package_open(&how, run, &package, &err), -1);
	assert_non_null(strstr(err.message, "not encrypted"));
	how = options(BKP_PACKAGE_ZIP, at("r.zip"));
	how.recipients = recipients;
	how.recipient_count = 1;
	assert_int_equal(bkp_package_open(&how, run, &package, &err), -1);
	assert_non_null(strstr(err.message, "age1nonsense"));

	how = options(BKP_PACKAGE_ZIP, at("names.zip"));
	assert_int_equal(bkp_package_open(&how, run, &package, &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(bkp_package_begin(package, bad[i], &err), -1);
		assert_int_equal(err.code, BKP_INVALID);
	}
	bkp_package_close(package);
	assert_int_equal(access(at("names.zip"), F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_folder_is_there_once_it_is_whole),
	    cmocka_unit_test(
		what_exists_is_replaced_where_that_is_asked_for_and_it_is_an_export),
	    cmocka_unit_test(tar_zst_and_zip_hold_the_same_members),
	    cmocka_unit_test(a_zip_with_a_passphrase_opens_with_it_alone),
	    cmocka_unit_test(recipients_and_passphrases_make_age_files),
	    cmocka_unit_test(what_cannot_be_is_refused_by_name),
	};

	/* For libarchive to say names in. */
	(void)setlocale(LC_ALL, "C.UTF-8");
	return cmocka_run_group_tests_name("package", tests, set_up, tear_down);
}
