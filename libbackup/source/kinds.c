/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of sources there are. */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/source/files_impl.h"
#include "libbackup/source/source.h"

const struct bkp_kind *
bkp_kind_of(enum bkp_source_kind kind)
{
	switch (kind) {
	case BKP_KIND_POSTGRES:
		return &bkp_kind_postgres;
	case BKP_KIND_BUCKET:
		return &bkp_kind_bucket;
	case BKP_KIND_FILES:
		return geteuid() == 0 ? &bkp_kind_files
				      : &bkp_kind_files_unprivileged;
	case BKP_KIND_COMMAND:
		return &bkp_kind_command;
	}
	return NULL;
}

const struct bkp_kind *
bkp_kind_by_name(const char *name)
{
	static const enum bkp_source_kind kinds[] = {BKP_KIND_POSTGRES,
	    BKP_KIND_BUCKET, BKP_KIND_FILES, BKP_KIND_COMMAND};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct bkp_kind *kind = bkp_kind_of(kinds[i]);

		if (kind != NULL && strcmp(kind->name, name) == 0)
			return kind;
	}
	return NULL;
}
