/* SPDX-License-Identifier: Apache-2.0 */
/* How fast, and who goes first. */
#include "libbackup/base/config_limits.h"

#include <stdlib.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/rate.h"

int
bkp_config_limits_begin(struct bkp_config *config, struct bkp_error *err)
{
	struct bkp_limits *limits = bkp_alloc(sizeof(*limits), err);

	if (limits == NULL)
		return -1;
	bkp_rate_init(&limits->upload);
	bkp_rate_init(&limits->download);
	bkp_rate_set(&limits->upload, config->limits_wanted.upload);
	bkp_rate_set(&limits->download, config->limits_wanted.download);
	config->limits = limits;
	config->storage.bucket.limits = limits;
	for (size_t i = 0; i < config->repository_count; i++)
		config->repositories[i].values->storage.bucket.limits = limits;
	for (size_t i = 0; i < config->source_count; i++)
		if (config->sources[i].kind == BKP_KIND_BUCKET)
			config->sources[i].bucket.limits = limits;
	return 0;
}

void
bkp_config_limits_free(struct bkp_config *config)
{
	if (config->limits == NULL)
		return;
	bkp_rate_destroy(&config->limits->upload);
	bkp_rate_destroy(&config->limits->download);
	free(config->limits);
	config->limits = NULL;
}

static int
set_rate(struct bkp_rate *rate, const char *what, const char *text,
    struct bkp_error *err)
{
	uint64_t per_second;

	if (text == NULL)
		return 0;
	if (bkp_rate_read(text, &per_second, err) < 0)
		return bkp_fail_in(err, "the limit of %s", what);
	bkp_rate_set(rate, per_second);
	return 0;
}

int
bkp_config_set_limits(struct bkp_config *config, const char *upload,
    const char *download, struct bkp_error *err)
{
	if (set_rate(&config->limits->upload, "uploads", upload, err) < 0)
		return -1;
	return set_rate(&config->limits->download, "downloads", download, err);
}

int
bkp_config_is_idle(const struct bkp_config *config)
{
	return config->is_idle;
}
