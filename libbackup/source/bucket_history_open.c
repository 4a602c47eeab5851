/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "formats/version.h"
#include "libbackup/base/fail.h"
#include "libbackup/source/bucket_history.h"

/* Whether a snapshot has older versions that a place is compared with. */
static int
has_recorded(
    struct bkp_sink *sink, const char *prefix, bool *out, struct bkp_error *err)
{
	struct fmt_buf root = FMT_BUF_INIT;
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	const char *text = NULL;
	int rc = -1;

	if (fmt_version_root(prefix, &root) == FMT_OK)
		text = fmt_buf_text(&root);
	if (text == NULL)
		(void)bkp_fail_nomem(err, "listing versions");
	else
		rc = bkp_sink_recorded_below(sink, text, &stream, err);
	if (rc == 0 && stream != NULL)
		rc = bkp_entry_stream_next(stream, &entry, err);
	*out = rc == 1;
	fmt_entry_free(&entry);
	if (stream != NULL)
		bkp_entry_stream_close(stream);
	fmt_buf_free(&root);
	return rc < 0 ? -1 : 0;
}

/* Asks for the first version. */
static int
try_listing(const struct bkp_bucket_place *place, struct bkp_error *err)
{
	struct bkp_s3_versions *versions = NULL;
	struct bkp_s3_version version;
	int rc = bkp_s3_versions_open(
	    place->connection, place->bucket, place->prefix, &versions, err);

	if (rc == 0)
		rc = bkp_s3_versions_next(versions, &version, err);
	bkp_s3_versions_close(versions);
	return rc < 0 ? -1 : 0;
}

static void
tell_none(struct bkp_run *run, const char *prefix)
{
	bkp_run_message(run, BKP_WARNING, prefix,
	    "'versions: all' finds none but the current ones, for the bucket "
	    "keeps no versions: switch them on at the server, and what is "
	    "overwritten or deleted from then on is backed up, too");
}

/* What cannot be had although it was asked for, and may be there, makes the
 * backup one that lacks something. */
static int
look(struct bkp_run *run, const char *prefix,
    const struct bkp_bucket_place *place, bool *has_older,
    struct bkp_error *err)
{
	struct bkp_error why = BKP_ERROR_INIT;

	*has_older = false;
	if (place->is_refused)
		return bkp_run_omit(run, err, prefix,
		    "the versions before the current ones: these credentials "
		    "may not list or read them");
	if (place->versioning == BKP_S3_VERSIONING_OFF) {
		tell_none(run, prefix);
		return 0;
	}
	if (try_listing(place, &why) == 0) {
		*has_older = true;
		return 0;
	}
	if (why.code == BKP_UNSUPPORTED &&
	    place->versioning == BKP_S3_VERSIONING_UNKNOWN) {
		tell_none(run, prefix);
		return 0;
	}
	if (why.code == BKP_UNSUPPORTED || why.code == BKP_AUTH)
		return bkp_run_omit(run, err, prefix,
		    "the versions before the current ones, for they cannot be "
		    "listed (credentials need s3:ListBucketVersions): %s",
		    why.message);
	if (err != NULL)
		*err = why;
	return -1;
}

int
bkp_bucket_history_open(struct bkp_sink *sink, const char *prefix,
    const struct bkp_bucket_place *place, bool is_wanted,
    struct bkp_bucket_history **out, struct bkp_error *err)
{
	bool has_older = false;
	int rc = 0;

	*out = NULL;
	if (bkp_sink_is_digest_only(sink))
		rc = has_recorded(sink, prefix, &has_older, err);
	else if (is_wanted)
		rc = look(bkp_sink_run(sink), prefix, place, &has_older, err);
	if (rc < 0 || !has_older)
		return rc;
	return bkp_bucket_history_new(sink, prefix, out, err);
}
