/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a configuration file: read, or refused with a line, but never a
 * crash. No file is opened for a secret: names that lead anywhere are rare, and
 * what is read is freed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/config_choice.h"
#include "libbackup/base/config_impl.h"
#include "libbackup/base/config_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
copy_sources(const struct bkp_config *config)
{
	for (size_t i = 0; i < config->source_count; i++) {
		struct bkp_source_config copy;

		if (bkp_source_config_copy(&config->sources[i], &copy, NULL) ==
		    0)
			bkp_source_config_free(&copy);
	}
}

/* Every job and every repository, one after another. */
static void
choose_each(struct bkp_config *config)
{
	struct bkp_error err = BKP_ERROR_INIT;

	if (bkp_config_choice_begin(config, &err) < 0)
		abort();
	for (size_t i = 0; bkp_config_job(config, i) != NULL; i++)
		if (bkp_config_use_job(
			config, bkp_config_job(config, i), &err) < 0)
			abort();
	for (size_t i = 0; bkp_config_repository_name(config, i) != NULL; i++)
		if (bkp_config_use_repository(config,
			bkp_config_repository_name(config, i), &err) < 0)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_config *config = NULL;
	struct config_file file;

	memset(&file, 0, sizeof(file));
	file.path = strdup("fuzz.yaml");
	file.folder = strdup("/nonexistent");
	file.is_private = true;
	if (file.path == NULL || file.folder == NULL ||
	    bkp_config_new(&config, &err) < 0)
		abort();
	if (bkp_config_file_parse(&file, data, size, &err) == 0 &&
	    bkp_config_read(&file, config, &err) == 0) {
		copy_sources(config);
		choose_each(config);
	} else if (err.code == BKP_OK || err.message[0] == '\0')
		abort();
	bkp_config_free(config);
	bkp_config_file_close(&file);
	return 0;
}
