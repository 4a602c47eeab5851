/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that restores left beside others: which there are, into a place,
 * gone. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/run.h"
#include "libbackup/operations.h"
#include "libbackup/source/postgres_former.h"
#include "libbackup/source/source.h"

struct former {
	struct bkp_run *run;
	const struct bkp_postgres_config *postgres;
	const char *component; /* behind the source; "" where there is none */
};

static int
find_source(struct former *former, const struct bkp_former_options *options,
    struct bkp_error *err)
{
	const struct bkp_config *config = options->config;
	const char *path = options->path;

	for (size_t i = 0; i < config->source_count; i++) {
		const struct bkp_source_config *source = &config->sources[i];
		size_t len = strlen(source->prefix);

		if (source->kind != BKP_KIND_POSTGRES ||
		    strncmp(path, source->prefix, len) != 0 ||
		    (path[len] != '\0' && path[len] != '/'))
			continue;
		former->postgres = &source->postgres;
		former->component = path[len] == '/' ? path + len + 1 : "";
		return 0;
	}
	return bkp_fail(err, BKP_NOTFOUND,
	    "%s is not at or below a source of kind postgres in the "
	    "configuration",
	    path);
}

static int
begin(struct former *former, const struct bkp_former_options *options,
    struct bkp_error *err)
{
	memset(former, 0, sizeof(*former));
	if (bkp_run_new(
		1, &options->events, options->cancel, &former->run, err) < 0)
		return -1;
	return find_source(former, options, err);
}

int
bkp_former_list(const struct bkp_former_options *options,
    struct bkp_former_result *result, struct bkp_error *err)
{
	struct bkp_former *formers = NULL;
	struct former former;
	int rc = -1;

	memset(result, 0, sizeof(*result));
	if (begin(&former, options, err) == 0)
		rc = bkp_pg_former_list(former.postgres, former.run, &formers,
		    &result->former_count, err);
	if (rc == 0) {
		result->formers = formers;
		result->memory = formers;
	}
	bkp_run_free(former.run);
	return rc;
}

void
bkp_former_result_free(struct bkp_former_result *result)
{
	free(result->memory);
	memset(result, 0, sizeof(*result));
}

int
bkp_former_put(const struct bkp_former_options *options, const char *name,
    struct bkp_error *err)
{
	struct former former;
	int rc = -1;

	if (begin(&former, options, err) < 0)
		goto out;
	if (former.component[0] == '\0' ||
	    strchr(former.component, '/') != NULL)
		(void)bkp_fail(err, BKP_INVALID,
		    "%s names no database: the place is a source and a "
		    "database of it, such as postgres/app/shop",
		    options->path);
	else
		rc = bkp_pg_former_put(former.postgres, former.run,
		    options->path, former.component, name, err);
out:
	bkp_run_free(former.run);
	return rc;
}

int
bkp_former_drop(const struct bkp_former_options *options, const char *name,
    struct bkp_error *err)
{
	struct former former;
	int rc = -1;

	if (begin(&former, options, err) == 0)
		rc = bkp_pg_former_drop(former.postgres, former.run, name, err);
	bkp_run_free(former.run);
	return rc;
}
