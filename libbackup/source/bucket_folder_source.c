/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that were put into a folder, read back as what a bucket would have:
 * all that is there, not only what is looked for. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/version.h"
#include "libbackup/base/fail.h"
#include "libbackup/base/pipeline.h"
#include "libbackup/source/bucket_folder.h"
#include "libbackup/source/bucket_impl.h"

#define UNDER_WAY 8

struct found {
	char *path; /* of an entry; owned */
	bool is_marker;
};

struct folder_source {
	struct bkp_source base;
	const char *folder; /* borrowed */
	struct bkp_sink *sink;
	struct found *found; /* owned */
	size_t count, cap, at;
};

/* ---- what is there ---- */

static int
add_found(struct folder_source *source, const char *name, struct bkp_error *err)
{
	struct fmt_buf path = FMT_BUF_INIT;
	struct found found = {.path = NULL};
	int rc = -1;

	if (fmt_buf_append_text(&path, "bucket/") != FMT_OK ||
	    bkp_bucket_folder_decode(name, &path, &found.is_marker) != FMT_OK ||
	    fmt_buf_text(&path) == NULL)
		rc = bkp_fail(err, BKP_CORRUPT,
		    "%s/%s is the name of no object", source->folder, name);
	else if (bkp_grow(&source->found, source->count, &source->cap,
		     sizeof(found), err) == 0 &&
		 (found.path = bkp_strdup(fmt_buf_text(&path), err)) != NULL) {
		source->found[source->count++] = found;
		rc = 0;
	}
	fmt_buf_free(&path);
	return rc;
}

static int
walk(struct folder_source *source, FTS *fts, struct bkp_error *err)
{
	size_t skip = strlen(source->folder) + 1;
	FTSENT *seen;

	while (errno = 0, (seen = fts_read(fts)) != NULL) {
		switch (seen->fts_info) {
		case FTS_D:
		case FTS_DP:
			break;
		case FTS_F:
			if (add_found(source, seen->fts_path + skip, err) < 0)
				return -1;
			break;
		default:
			return bkp_fail_errno(
			    err, seen->fts_errno, "reading %s", seen->fts_path);
		}
	}
	if (errno == 0)
		return 0;
	return bkp_fail_errno(err, errno, "reading %s", source->folder);
}

static int
compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return fmt_entry_compare(x->path, y->path);
}

static int
find_all(struct folder_source *source, struct bkp_error *err)
{
	char *folder = bkp_strdup(source->folder, err);
	char *const roots[] = {folder, NULL};
	FTS *fts;
	int rc;

	if (folder == NULL)
		return -1;
	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	rc = fts != NULL
		 ? walk(source, fts, err)
		 : bkp_fail_errno(err, errno, "reading %s", source->folder);
	if (fts != NULL)
		(void)fts_close(fts);
	free(folder);
	if (rc == 0 && source->count > 0)
		qsort(source->found, source->count, sizeof(*source->found),
		    compare_found);
	return rc;
}

/* ---- reading them ---- */

static const char *
kind_of(const struct folder_source *source, const struct found *found)
{
	if (found->is_marker)
		return BKP_BUCKET_MARKER;
	return fmt_version_is_path(source->base.prefix, found->path)
		   ? BKP_BUCKET_VERSION
		   : BKP_BUCKET_OBJECT;
}

struct item {
	struct fmt_entry entry;
	bool is_marker;
};

static void
discard(void *arg, void *taken)
{
	struct item *item = taken;

	(void)arg;
	fmt_entry_free(&item->entry);
	free(item);
}

static int
next(void *arg, void **out, struct bkp_error *err)
{
	struct folder_source *source = arg;
	struct item *item;
	const struct found *found;

	*out = NULL;
	if (source->at == source->count)
		return 0;
	found = &source->found[source->at++];
	if ((item = bkp_alloc(sizeof(*item), err)) == NULL)
		return -1;
	item->is_marker = found->is_marker;
	if (fmt_entry_init(&item->entry, found->path, kind_of(source, found)) !=
	    FMT_OK) {
		discard(NULL, item);
		return bkp_fail_nomem(err, "reading a folder");
	}
	*out = item;
	return 0;
}

static int
copy_bytes(int fd, const char *file, struct bkp_content *content,
    struct bkp_run *run, struct bkp_error *err)
{
	char bytes[64 * 1024];
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0) {
		if (bkp_content_write(content, bytes, (size_t)got, err) < 0 ||
		    bkp_run_check(run, err) < 0)
			return -1;
		bkp_run_count(run, (uint64_t)got, 0);
	}
	return got == 0 ? 0 : bkp_fail_errno(err, errno, "reading %s", file);
}

static int
work(void *arg, unsigned worker, void *taken, struct bkp_error *err)
{
	struct folder_source *source = arg;
	struct bkp_content *content = bkp_sink_content(source->sink, worker);
	struct item *item = taken;
	char *file;
	int fd = -1, rc = -1;

	if (item->is_marker)
		return 0;
	file = bkp_bucket_folder_file(
	    source->folder, item->entry.path + strlen("bucket/"), false, err);
	if (file == NULL)
		return -1;
	if ((fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0) {
		(void)bkp_fail_errno(err, errno, "reading %s", file);
		goto out;
	}
	if (bkp_content_begin(content, &item->entry, err) < 0)
		goto out;
	if (copy_bytes(fd, file, content, bkp_sink_run(source->sink), err) < 0)
		bkp_content_abort(content);
	else
		rc = bkp_content_end(content, err);
out:
	if (fd >= 0)
		(void)close(fd);
	free(file);
	return rc;
}

static int
done(void *arg, void *taken, struct bkp_error *err)
{
	struct folder_source *source = arg;
	struct item *item = taken;
	int rc = bkp_sink_entry(source->sink, &item->entry, err);

	bkp_run_count(bkp_sink_run(source->sink), 0, 1);
	discard(NULL, item);
	return rc;
}

static void
tick(void *arg)
{
	struct folder_source *source = arg;

	bkp_run_tick(bkp_sink_run(source->sink));
}

/* ---- the source ---- */

static int
prepare(struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	(void)sink;
	return find_all((struct folder_source *)base, err);
}

static int
run(struct bkp_source *base, struct bkp_sink *sink, struct bkp_error *err)
{
	static const struct bkp_pipeline_ops ops = {.next = next,
	    .work = work,
	    .done = done,
	    .discard = discard,
	    .tick = tick};
	struct folder_source *source = (struct folder_source *)base;
	struct bkp_run *of = bkp_sink_run(sink);
	unsigned workers = bkp_run_workers(of);

	source->sink = sink;
	return bkp_pipeline_run(workers, workers * UNDER_WAY, &ops, source,
	    bkp_run_cancel(of), err);
}

static int
info(struct bkp_source *base, json_t **out, struct bkp_error *err)
{
	(void)base;
	*out = json_object();
	return *out != NULL ? 0 : bkp_fail_nomem(err, "describing a folder");
}

static void
close_source(struct bkp_source *base)
{
	struct folder_source *source = (struct folder_source *)base;

	for (size_t i = 0; i < source->count; i++)
		free(source->found[i].path);
	free(source->found);
	free(source);
}

int
bkp_bucket_folder_source_open(const struct bkp_source_config *config,
    struct bkp_source **out, struct bkp_error *err)
{
	static const struct bkp_source_ops ops = {.kind = "bucket",
	    .prepare = prepare,
	    .run = run,
	    .info = info,
	    .close = close_source};
	struct folder_source *source = bkp_alloc(sizeof(*source), err);

	if (source == NULL)
		return -1;
	source->base.ops = &ops;
	source->base.prefix = config->prefix;
	source->folder = config->bucket.folder;
	*out = &source->base;
	return 0;
}
