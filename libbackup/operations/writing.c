/* SPDX-License-Identifier: Apache-2.0 */
/* The repository, opened to back up into it. */
#include "libbackup/archive/input.h"
#include "libbackup/base/fail.h"
#include "libbackup/operations/opened.h"
#include "libbackup/repository/repository_own.h"

int
bkp_opened_for_writing(const struct bkp_config *config,
    struct bkp_repository **out, struct bkp_error *err)
{
	struct bkp_repository *repository = NULL;
	struct bkp_keys keys = BKP_KEYS_INIT;

	if (config->repository == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "no repository is named; give 'repository:' in the "
		    "configuration or --repository");
	bkp_config_keys(config, &keys);
	/* A backup needs the host's key and nothing else: what opens contents
	 * stays out of the process. */
	keys.identity_file = NULL;
	keys.passphrase = NULL;
	if (!bkp_store_is_bucket(config->repository) &&
	    bkp_archive_is_location(config->repository))
		return bkp_fail(err, BKP_INVALID,
		    "%s is an archive, not a repository: there is no way to "
		    "back up into it; --archive FILE writes another one",
		    config->repository);
	if (keys.key_file == NULL)
		return bkp_fail(err, BKP_INVALID,
		    "no key file is named; give 'key_file:' in the "
		    "configuration or --key-file (backup-init made it)");
	if (bkp_repository_open(config->repository, &keys, &repository, err) <
	    0)
		return -1;
	if (bkp_repository_keep_parity(
		repository, config->error_correction, err) < 0) {
		bkp_repository_close(repository);
		return -1;
	}
	*out = repository;
	return 0;
}
