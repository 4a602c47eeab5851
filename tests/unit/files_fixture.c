/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "tests/unit/files_fixture.h"

char folder[32], tree[48], back[48], outside[48];
char *paths[4];
struct bkp_source_config config;

const struct bkp_kind *
kind(void)
{
	return geteuid() == 0 ? &bkp_kind_files : &bkp_kind_files_unprivileged;
}

int
enter_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/bkp-files-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(tree, sizeof(tree), "%s/tree", folder);
	(void)snprintf(back, sizeof(back), "%s/back", folder);
	(void)snprintf(outside, sizeof(outside), "%s/outside", folder);
	memset(&config, 0, sizeof(config));
	config.kind = BKP_KIND_FILES;
	config.name = strdup("t");
	config.prefix = strdup("files/t");
	config.files.root = tree;
	paths[0] = strdup("/d");
	paths[1] = paths[2] = NULL;
	config.files.paths = (struct bkp_strings){paths, 1};
	return mkdir(tree, 0755) == 0 && mkdir(outside, 0755) == 0 ? 0 : -1;
}

int
leave_folder(void **state)
{
	char command[128];

	(void)state;
	free(config.name);
	free(config.prefix);
	for (size_t i = 0; i < 4; i++)
		free(paths[i]);
	memset(paths, 0, sizeof(paths));
	(void)snprintf(command, sizeof(command),
	    "chmod -R u+rwx '%s'; rm -rf '%s'", folder, folder);
	return system(command) == 0 ? 0 : -1;
}

const char *
at(const char *base, const char *path)
{
	static char text[4][256];
	static int n;

	n = (n + 1) % 4;
	(void)snprintf(text[n], sizeof(text[n]), "%s%s", base, path);
	return text[n];
}

void
write_bytes(const char *path, const void *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

void
write_text(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text), 0644);
}

void
make_folder(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

void
expect_text(const char *path, const char *text)
{
	char buffer[256] = "";
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, buffer, sizeof(buffer) - 1) >= 0);
	assert_string_equal(buffer, text);
	close(fd);
}

void
back_up(struct bkp_sink *sink)
{
	struct bkp_error err = BKP_ERROR_INIT;

	if (fake_backup(sink, kind(), &config, &err) < 0)
		fail_msg("%s", err.message);
}

void
restore(struct bkp_sink *sink, const char *selection, bool is_overwrite)
{
	struct bkp_supply supply = {
	    .from = sink, .prefix = "files/t", .selection = selection};
	struct bkp_target_options options = {
	    .to = back, .is_overwrite = is_overwrite};
	struct bkp_error err = BKP_ERROR_INIT;

	if (fake_restore(&supply, kind(), &config, &options, &err) < 0)
		fail_msg("%s", err.message);
}

const struct bkp_comparison *
comparison_of(const char *name)
{
	const struct bkp_comparison *c = kind()->comparisons;

	while (c->entry_kind != NULL && strcmp(c->entry_kind, name) != 0)
		c++;
	assert_non_null(c->entry_kind);
	return c;
}

void
expect_equal(const struct bkp_sink *recorded)
{
	struct bkp_sink found;

	fake_sink_init(&found, NULL, NULL);
	found.is_digest_only = true;
	config.files.root = back;
	back_up(&found);
	config.files.root = tree;
	for (size_t i = 0; i < recorded->entry_count; i++) {
		const struct fmt_entry *entry = &recorded->entries[i];
		const struct fmt_entry *twin = fake_entry(&found, entry->path);
		struct fmt_buf what = FMT_BUF_INIT;

		if (twin == NULL)
			fail_msg("%s is missing", entry->path);
		if (bkp_compare_entries(entry, twin, comparison_of(entry->kind),
			&what, NULL) != 1)
			fail_msg("%s: %s", entry->path, fmt_buf_text(&what));
		fmt_buf_free(&what);
	}
	assert_int_equal(found.entry_count, recorded->entry_count);
	assert_int_equal(fake_omissions(&found), 0);
	fake_sink_free(&found);
}
