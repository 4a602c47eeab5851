/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL as a kind of source. The entries below "postgres/<name>":
 *
 *   <db>/catalogue.sql           the schema as text in a stable order: to read
 *                                and to compare, not to restore from
 *   <db>/data/<schema>.<table>   rows as COPY sends them, as text or binary
 *   <db>/database.json           owner, locale, settings, privileges
 *   <db>/largeobjects/<oid>      the bytes of a large object
 *   <db>/schema.dump             pg_dump -Fc --schema-only --create
 *   <db>/sequences.sql           setval statements
 *   globals.sql                  roles: pg_dumpall --globals-only
 *
 * How names become paths: postgres/names.h.
 */
#include <stddef.h>

#include "libbackup/source/postgres_examine.h"
#include "libbackup/source/postgres_scratch.h"
#include "libbackup/source/postgres_source.h"
#include "libbackup/source/postgres_target.h"

/* What says how or where it was read and not what it is. */
static const char *const of_globals[] = {
    "has_role_passwords", "tablespaces", NULL};
static const char *const of_table[] = {"range_pages", NULL};
static const char *const of_database[] = {"collation_version",
    "extension_versions", "server_version", "tablespace", NULL};
static const char *const of_schema[] = {"server_version", NULL};

static const struct bkp_comparison comparisons[] = {
    {.entry_kind = "postgres.globals",
	.has_content_compared = true,
	.is_text = true,
	.ignored = of_globals},
    {.entry_kind = "postgres.catalogue",
	.has_content_compared = true,
	.is_text = true,
	.next_part = bkp_pg_next_part},
    {.entry_kind = "postgres.table",
	.is_content = true,
	.has_content_compared = true,
	.ignored = of_table},
    {.entry_kind = "postgres.database",
	.has_content_compared = true,
	.is_text = true,
	.ignored = of_database},
    {.entry_kind = "postgres.largeobject",
	.is_content = true,
	.has_content_compared = true,
	.is_counted = true},
    /* An archive holds the time it was made; the catalogue stands for it. */
    {.entry_kind = "postgres.schema", .ignored = of_schema},
    {.entry_kind = "postgres.sequences",
	.is_content = true,
	.has_content_compared = true,
	.is_text = true},
    {.entry_kind = NULL}};

const struct bkp_kind bkp_kind_postgres = {.kind = BKP_KIND_POSTGRES,
    .name = "postgres",
    .source_open = bkp_pg_source_open,
    .target_open = bkp_pg_target_open,
    .scratch_open = bkp_pg_scratch_open,
    .examine = bkp_pg_examine,
    .comparisons = comparisons,
    .share = bkp_pg_share,
    .check_share = bkp_pg_share_check};
