/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/front.h"

#include <string.h>

int
bkp_pg_open_beside(struct bkp_pg *pg, const struct bkp_postgres_config *config,
    const char *busy, struct bkp_run *run, struct bkp_error *err)
{
	static const char *const databases[] = {NULL, "postgres", "template1"};
	struct bkp_error failure = BKP_ERROR_INIT;

	for (size_t i = 0; i < sizeof(databases) / sizeof(databases[0]); i++) {
		if (bkp_pg_open(pg, config, databases[i], run, &failure) < 0) {
			if (failure.code != BKP_NOTFOUND)
				break;
			continue;
		}
		if (busy == NULL || strcmp(PQdb(pg->conn), busy) != 0)
			return 0;
		bkp_pg_close(pg);
	}
	if (err != NULL)
		*err = failure;
	return -1;
}

int
bkp_pg_open_front(struct bkp_pg *pg, const struct bkp_postgres_config *config,
    struct bkp_run *run, struct bkp_error *err)
{
	return bkp_pg_open_beside(pg, config, NULL, run, err);
}
