/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kind `command`: what a program prints is the content of one entry, and
 * its exit status is believed: a program that fails fails the backup, however
 * much it had printed. Back it goes into another program, or into a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libbackup/base/child.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/write.h"
#include "libbackup/source/source.h"

/* argv as child.h wants it; the strings are borrowed. */
static const char **
make_argv(const struct bkp_strings *strings, struct bkp_error *err)
{
	const char **argv =
	    bkp_alloc_array(strings->count + 1, sizeof(*argv), err);

	for (size_t i = 0; argv != NULL && i < strings->count; i++)
		argv[i] = strings->items[i];
	return argv;
}

/* ---- source ---- */

struct command_source {
	struct bkp_source base;
	const struct bkp_command_config *config;
	struct bkp_content *content; /* while it runs */
	struct bkp_run *run;
};

static int
prepare(struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	struct command_source *source = (struct command_source *)base;
	char *path = bkp_child_find(source->config->run.items[0], err);

	(void)sink;
	free(path);
	return path != NULL ? 0 : -1;
}

static int
take_output(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct command_source *source = arg;

	bkp_run_count(source->run, len, 0);
	bkp_run_tick(source->run);
	return bkp_content_write(source->content, data, len, err);
}

static int
run_program(struct command_source *source, struct bkp_error *err)
{
	struct bkp_child_options options = {.output = take_output,
	    .output_arg = source,
	    .cancel = bkp_run_cancel(source->run)};
	const char **argv = make_argv(&source->config->run, err);
	int rc;

	if (argv == NULL)
		return -1;
	options.argv = argv;
	rc = bkp_child_run(&options, err);
	free(argv);
	return rc;
}

/* Runs the program and ends the content only where the program succeeded. */
static int
fill_entry(struct command_source *source, struct fmt_entry *entry,
    struct bkp_error *err)
{
	if (bkp_content_begin(source->content, entry, err) < 0)
		return -1;
	if (run_program(source, err) < 0) {
		bkp_content_abort(source->content);
		return -1;
	}
	return bkp_content_end(source->content, err);
}

static int
run_source(
    struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	struct command_source *source = (struct command_source *)base;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	char *path =
	    bkp_format(err, "%s/%s", base->prefix, source->config->output);
	enum fmt_status status;
	int rc = -1;

	if (path == NULL)
		return -1;
	source->run = bkp_sink_run(sink);
	source->content = bkp_sink_content(sink, 0);
	status = fmt_entry_init(&entry, path, "command.output");
	if (status != FMT_OK) {
		(void)bkp_fail_format(err, status, "%s", path);
		goto out;
	}
	if (fill_entry(source, &entry, err) < 0)
		goto out;
	if (entry.size == 0)
		bkp_run_message(source->run, BKP_WARNING, path,
		    "the command succeeded and printed nothing; is that "
		    "right?");
	bkp_run_count(source->run, 0, 1);
	rc = bkp_sink_entry(sink, &entry, err);
out:
	fmt_entry_free(&entry);
	free(path);
	return rc;
}

/* The program is named, its arguments are not: they may hold what is nobody
 * else's business. */
static int
info(struct bkp_source *base, json_t **out, struct bkp_error *err)
{
	struct command_source *source = (struct command_source *)base;
	json_t *facts = json_pack("{s:s}", "output", source->config->output);

	if (facts == NULL)
		return bkp_fail_nomem(err, "describing the source");
	*out = facts;
	return 0;
}

static void
close_source(struct bkp_source *base)
{
	free(base);
}

static int
source_open(const struct bkp_source_config *config, struct bkp_source **out,
    struct bkp_error *err)
{
	static const struct bkp_source_ops ops = {.kind = "command",
	    .prepare = prepare,
	    .run = run_source,
	    .info = info,
	    .close = close_source};
	struct command_source *source;

	if (config->command.run.count == 0 || config->command.output == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "%s has no command to run; give 'run:' and 'output:'",
		    config->prefix);
	if ((source = bkp_alloc(sizeof(*source), err)) == NULL)
		return -1;
	source->base.ops = &ops;
	source->base.prefix = config->prefix;
	source->config = &config->command;
	*out = &source->base;
	return 0;
}

/* ---- target ---- */

struct command_target {
	struct bkp_target base;
	const struct bkp_source_config *config;
	struct bkp_target_options options; /* copied; strings borrowed */
	struct bkp_run *run;
	struct fmt_entry entry; /* what is to be restored; path NULL: nothing */
	char *place;            /* owned: the file to write; NULL: a program */
};

/* The one entry of a command. */
static int
find_entry(struct command_target *target, struct bkp_supply *supply,
    struct bkp_error *err)
{
	struct bkp_entry_stream *stream = NULL;
	int got;

	if (bkp_supply_entries(
		supply, bkp_supply_selection(supply), &stream, err) < 0)
		return -1;
	while (
	    (got = bkp_entry_stream_next(stream, &target->entry, err)) == 1 &&
	    !bkp_supply_is_selected(supply, target->entry.path))
		fmt_entry_free(&target->entry);
	bkp_entry_stream_close(stream);
	if (got == 0 && bkp_supply_has_whole_list(supply))
		return bkp_fail(err, BKP_NOTFOUND,
		    "the snapshot holds no output of %s",
		    bkp_supply_prefix(supply));
	return got < 0 ? -1 : 0;
}

/* The entry's own name, which must be one. */
static const char *
file_name(const struct command_target *target, struct bkp_error *err)
{
	const char *slash = strrchr(target->entry.path, '/');
	const char *name = slash != NULL ? slash + 1 : target->entry.path;

	if (name[0] != '\0' && strcmp(name, ".") != 0 &&
	    strcmp(name, "..") != 0)
		return name;
	(void)bkp_fail(
	    err, BKP_CORRUPT, "'%s' is no name for a file", target->entry.path);
	return NULL;
}

static int
check_file(struct command_target *target, struct bkp_error *err)
{
	const char *name = file_name(target, err);
	struct stat st;

	if (name == NULL)
		return -1;
	target->place = bkp_format(err, "%s/%s", target->options.to, name);
	if (target->place == NULL)
		return -1;
	if (lstat(target->place, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode) || !target->options.is_overwrite)
		return bkp_fail(err, BKP_EXISTS,
		    "%s exists already; restore to another folder%s",
		    target->place,
		    S_ISDIR(st.st_mode) ? ""
					: ", or allow overwriting "
					  "(--overwrite)");
	return 0;
}

static int
check(struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	struct command_target *target = (struct command_target *)base;
	const struct bkp_strings *restore = &target->config->command.restore;
	char *path;

	target->run = bkp_supply_run(supply);
	if (find_entry(target, supply, err) < 0)
		return -1;
	if (target->entry.path == NULL)
		return 0;
	if (target->options.to != NULL)
		return check_file(target, err);
	if (restore->count == 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s has no 'restore:' command, so it is not known what "
		    "takes its output back; add one, or name a folder to put "
		    "the file into (--to)",
		    bkp_supply_prefix(supply));
	path = bkp_child_find(restore->items[0], err);
	free(path);
	return path != NULL ? 0 : -1;
}

struct feed {
	struct bkp_run *run;
	struct bkp_child *child;
	int fd;
};

static int
feed_program(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct feed *feed = arg;

	bkp_run_count(feed->run, len, 0);
	bkp_run_tick(feed->run);
	return bkp_child_write(feed->child, data, len, err);
}

static int
pass_bytes(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct feed *feed = arg;

	(void)data;
	(void)len;
	bkp_run_tick(feed->run);
	return bkp_run_check(feed->run, err);
}

static int
restore_to_program(struct command_target *target, struct bkp_supply *supply,
    struct bkp_error *err)
{
	const struct bkp_strings *restore = &target->config->command.restore;
	struct bkp_child_options options = {
	    .has_input = true, .cancel = bkp_run_cancel(target->run)};
	struct feed feed = {.run = target->run, .fd = -1};
	const char **argv = make_argv(restore, err);
	int rc = -1;

	if (argv == NULL)
		return -1;
	options.argv = argv;
	/* A program that got half of it cannot be made to forget that. */
	if (bkp_chunk_reader_entry(bkp_supply_reader(supply, 0), &target->entry,
		pass_bytes, &feed, err) < 0)
		goto out;
	if (bkp_child_start(&options, &feed.child, err) < 0)
		goto out;
	if (bkp_chunk_reader_entry(bkp_supply_reader(supply, 0), &target->entry,
		feed_program, &feed, err) < 0)
		goto out;
	rc = bkp_child_finish(feed.child, err);
out:
	bkp_child_free(feed.child);
	free(argv);
	return rc;
}

static int
feed_file(void *arg, const void *data, size_t len, struct bkp_error *err)
{
	struct feed *feed = arg;

	bkp_run_count(feed->run, len, 0);
	bkp_run_tick(feed->run);
	if (bkp_run_check(feed->run, err) < 0)
		return -1;
	if (bkp_write_all(feed->fd, data, len) < 0)
		return bkp_fail_errno(err, errno, "writing");
	return 0;
}

/* Makes the folder and those above it. */
static int
make_folders(const char *folder, struct bkp_error *err)
{
	char *path = bkp_strdup(folder, err);
	int rc = 0;

	if (path == NULL)
		return -1;
	for (char *p = path + 1; rc == 0; p++) {
		char old = *p;

		if (old != '/' && old != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0777) < 0 && errno != EEXIST)
			rc = bkp_fail_errno(
			    err, errno, "making the folder %s", path);
		*p = old;
		if (old == '\0')
			break;
	}
	free(path);
	return rc;
}

/* Writes beside the place and renames, so that what is there is whole. */
static int
restore_to_file(struct command_target *target, struct bkp_supply *supply,
    struct bkp_error *err)
{
	char *partial = bkp_format(err, "%s.XXXXXX", target->place);
	struct feed feed = {.run = target->run, .fd = -1};
	int rc = -1;

	if (partial == NULL || make_folders(target->options.to, err) < 0)
		goto out;
	if ((feed.fd = mkostemp(partial, O_CLOEXEC)) < 0) {
		(void)bkp_fail_errno(err, errno, "making %s", target->place);
		goto out;
	}
	if (bkp_chunk_reader_entry(bkp_supply_reader(supply, 0), &target->entry,
		feed_file, &feed, err) < 0)
		goto out;
	if (fsync(feed.fd) < 0 || rename(partial, target->place) < 0) {
		(void)bkp_fail_errno(err, errno, "writing %s", target->place);
		goto out;
	}
	rc = 0;
out:
	if (feed.fd >= 0 && rc < 0)
		(void)unlink(partial);
	if (feed.fd >= 0)
		(void)close(feed.fd);
	free(partial);
	return rc;
}

static int
run_target(
    struct bkp_target *base, struct bkp_supply *supply, struct bkp_error *err)
{
	struct command_target *target = (struct command_target *)base;
	struct bkp_error why = BKP_ERROR_INIT;
	int rc;

	if (target->entry.path == NULL)
		return 0; /* lost, and noted */
	rc = target->place != NULL ? restore_to_file(target, supply, &why)
				   : restore_to_program(target, supply, &why);
	if (rc < 0)
		return bkp_supply_lose(
		    supply, err, &why, target->entry.path, "not restored");
	bkp_supply_restored(supply, 1);
	bkp_run_count(target->run, 0, 1);
	return 0;
}

static void
close_target(struct bkp_target *base)
{
	struct command_target *target = (struct command_target *)base;

	fmt_entry_free(&target->entry);
	free(target->place);
	free(target);
}

static int
target_open(const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_target **out,
    struct bkp_error *err)
{
	static const struct bkp_target_ops ops = {.kind = "command",
	    .check = check,
	    .run = run_target,
	    .close = close_target};
	struct command_target *target = bkp_alloc(sizeof(*target), err);

	if (target == NULL)
		return -1;
	target->base.ops = &ops;
	target->config = config;
	target->options = *options;
	*out = &target->base;
	return 0;
}

static const struct bkp_comparison comparisons[] = {
    {.entry_kind = "command.output", .has_content_compared = true},
    {.entry_kind = NULL}};

/* Running it again gives other bytes: it is proven by its digest alone. */
const struct bkp_kind bkp_kind_command = {.kind = BKP_KIND_COMMAND,
    .name = "command",
    .source_open = source_open,
    .target_open = target_open,
    .comparisons = comparisons};
