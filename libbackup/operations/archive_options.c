/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/archive_options.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_impl.h"
#include "libbackup/base/fail.h"
#include "libbackup/repository/key_ring.h"

static int
take_named(struct bkp_archive_recipients *recipients,
    const struct bkp_archive_options *options, struct bkp_error *err)
{
	recipients->items = bkp_alloc_array(
	    options->recipient_count, sizeof(*recipients->items), err);
	if (recipients->items == NULL)
		return -1;
	for (size_t i = 0; i < options->recipient_count; i++) {
		const char *text = options->recipients[i];

		if (fmt_age_recipient_parse(
			text, strlen(text), &recipients->items[i]) != FMT_OK)
			return bkp_fail(err, BKP_INVALID,
			    "'%.80s' is not an age recipient (age1...)", text);
		recipients->count++;
	}
	return 0;
}

static int
take_passphrase(struct bkp_archive_recipients *recipients,
    const char *passphrase, unsigned work_factor, struct bkp_error *err)
{
	if (bkp_passphrase_check(passphrase, work_factor, err) < 0)
		return -1;
	recipients->items = bkp_alloc(sizeof(*recipients->items), err);
	if (recipients->items == NULL)
		return -1;
	recipients->items[0].kind = FMT_AGE_SCRYPT;
	recipients->items[0].passphrase = passphrase;
	recipients->items[0].work_factor = work_factor;
	recipients->count = 1;
	return 0;
}

/* The public halves of the identities in a file. */
static int
take_identities(struct bkp_archive_recipients *recipients, const char *file,
    struct bkp_error *err)
{
	struct fmt_age_identity *identities = NULL;
	size_t count = 0;
	int rc = bkp_identity_file_read(file, &identities, &count, err);

	if (rc == 0) {
		recipients->items =
		    bkp_alloc_array(count, sizeof(*recipients->items), err);
		rc = recipients->items == NULL ? -1 : 0;
	}
	for (; rc == 0 && recipients->count < count; recipients->count++) {
		enum fmt_status status =
		    fmt_age_identity_recipient(&identities[recipients->count],
			&recipients->items[recipients->count]);

		if (status != FMT_OK) {
			rc = bkp_fail_format(err, status, "%s", file);
			break;
		}
	}
	bkp_identities_free(identities, count);
	return rc;
}

int
bkp_archive_recipients_init(struct bkp_archive_recipients *recipients,
    const struct bkp_archive_options *options, struct bkp_error *err)
{
	const struct bkp_config *config = options->config;

	if (options->recipient_count > 0 && options->passphrase != NULL)
		return bkp_fail(err, BKP_INVALID,
		    "an archive is for recipients or for a passphrase, and "
		    "both were given: age allows a passphrase only alone");
	if (options->recipient_count > 0)
		return take_named(recipients, options, err);
	if (options->passphrase != NULL)
		return take_passphrase(
		    recipients, options->passphrase, options->work_factor, err);
	if (config->identity_file != NULL)
		return take_identities(recipients, config->identity_file, err);
	if (config->passphrase != NULL)
		return take_passphrase(
		    recipients, config->passphrase, options->work_factor, err);
	return bkp_fail(err, BKP_INVALID,
	    "nobody could open the archive: give a recipient (age1...) or a "
	    "passphrase");
}

void
bkp_archive_recipients_fini(struct bkp_archive_recipients *recipients)
{
	free(recipients->items);
	*recipients =
	    (struct bkp_archive_recipients)BKP_ARCHIVE_RECIPIENTS_INIT;
}

/* ---- where it goes ---- */

const struct bkp_bucket_config *
bkp_bucket_of(const struct bkp_config *config, const char *location)
{
	for (size_t i = 0; i < config->source_count; i++) {
		const struct bkp_source_config *source = &config->sources[i];
		size_t len;

		if (source->kind != BKP_KIND_BUCKET ||
		    strncmp(location, "s3://", 5) != 0)
			continue;
		len = strlen(source->bucket.bucket);
		if (strncmp(location + 5, source->bucket.bucket, len) == 0 &&
		    location[5 + len] == '/')
			return &source->bucket;
	}
	return NULL;
}

int
bkp_archive_options_open(const struct bkp_archive_options *options,
    uint64_t expected, struct bkp_archive_output **out, struct bkp_error *err)
{
	const struct bkp_archive_output_options output = {
	    .location = options->output,
	    .split = options->split,
	    .expected = expected,
	    .is_overwrite = options->is_overwrite != 0,
	    .bucket = bkp_bucket_of(options->config, options->output),
	    .endpoint = options->endpoint,
	    .cancel = options->cancel,
	};

	return bkp_archive_output_open(&output, out, err);
}
