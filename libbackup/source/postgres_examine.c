/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no entry tells of a database that was restored, or is in use: whether
 * its indexes and constraints are valid, which versions its extensions and
 * collations have here and had there, and what pg_amcheck says of its files.
 * Few questions, however many tables there are.
 */
#include "libbackup/source/postgres_examine.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/counted.h"
#include "libbackup/base/fail.h"
#include "libbackup/postgres/collations.h"
#include "libbackup/postgres/describe.h"
#include "libbackup/postgres/session.h"

/* As many things as one line names. */
#define NAMED 5

int
bkp_pg_remark(const struct bkp_pg_examined *in, enum bkp_remark remark,
    const char *check, const char *what, struct bkp_error *err)
{
	char *name = bkp_format(err, "%s/%s", in->path, check);
	int rc = -1;

	if (name != NULL)
		rc = in->tell(in->arg, remark, name, what, err);
	free(name);
	return rc;
}

/* The same with a text that was made for it, which it frees; NULL: no
 * memory. */
static int
remark_text(const struct bkp_pg_examined *in, enum bkp_remark remark,
    const char *check, char *text, struct bkp_error *err)
{
	int rc =
	    text != NULL ? bkp_pg_remark(in, remark, check, text, err) : -1;

	free(text);
	return rc;
}

/* "a, b, c, d, e and 7 more" of a column of rows. */
static enum fmt_status
append_names(struct fmt_buf *out, const PGresult *rows, int column)
{
	int count = PQntuples(rows);
	enum fmt_status status = FMT_OK;

	for (int i = 0; status == FMT_OK && i < count && i < NAMED; i++)
		status = fmt_buf_printf(out, "%s%s", i > 0 ? ", " : "",
		    PQgetvalue(rows, i, column));
	if (status == FMT_OK && count > NAMED)
		status = fmt_buf_printf(out, " and %d more", count - NAMED);
	return status;
}

/* ---- indexes ---- */

/* One of a partitioned table is valid when every partition has its own, which
 * a dump leaves as it was. */
static const char invalid_indexes[] =
    "SELECT i.indexrelid::pg_catalog.regclass::text"
    " FROM pg_catalog.pg_index i"
    " JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'i' AND n.nspname !~ '^pg_temp'"
    " AND NOT (i.indisvalid AND i.indisready AND i.indislive)"
    " ORDER BY i.indexrelid::pg_catalog.regclass::text COLLATE \"C\"";

static const char count_indexes[] =
    "SELECT count(*) FROM pg_catalog.pg_index i"
    " JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

static int
look_at_indexes(
    const struct bkp_pg_examined *in, struct bkp_pg *pg, struct bkp_error *err)
{
	struct fmt_buf what = FMT_BUF_INIT;
	PGresult *invalid = NULL;
	char *count = bkp_pg_text(pg, count_indexes, err);
	bool is_good;
	int rc = -1;

	if (count == NULL ||
	    bkp_pg_query(pg, invalid_indexes, 0, NULL, &invalid, err) < 0)
		goto out;
	is_good = PQntuples(invalid) == 0;
	if ((is_good ? fmt_buf_printf(&what, "%s %s, all valid", count,
			   strcmp(count, "1") == 0 ? "index" : "indexes")
		     : fmt_buf_append_text(&what, "not valid: ")) != FMT_OK ||
	    append_names(&what, invalid, 0) != FMT_OK ||
	    fmt_buf_text(&what) == NULL)
		(void)bkp_fail_nomem(err, "looking at indexes");
	else
		rc = bkp_pg_remark(in,
		    is_good ? BKP_REMARK_GOOD : BKP_REMARK_BAD, "indexes",
		    fmt_buf_text(&what), err);
out:
	PQclear(invalid);
	free(count);
	fmt_buf_free(&what);
	return rc;
}

/* ---- constraints ---- */

static const char count_constraints[] =
    "SELECT count(*) FILTER (WHERE contype = 'f'),"
    " count(*) FILTER (WHERE contype <> 'f')"
    " FROM pg_catalog.pg_constraint c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace"
    " WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/* As the catalogue writes the end of its statement. */
static const char open_constraints[] =
    "SELECT pg_catalog.format('ADD CONSTRAINT %I %s;', conname,"
    "  pg_catalog.pg_get_constraintdef(c.oid)),"
    " pg_catalog.format('%I on %s', conname, CASE WHEN conrelid <> 0"
    "  THEN conrelid::pg_catalog.regclass::text"
    "  ELSE contypid::pg_catalog.regtype::text END)"
    " FROM pg_catalog.pg_constraint c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace"
    " WHERE NOT convalidated AND n.nspname !~ '^pg_'"
    " AND n.nspname <> 'information_schema'"
    " ORDER BY conname, conrelid";

static bool
has_text(const struct fmt_buf *text, const char *part)
{
	return text->len > 0 &&
	       memmem(text->data, text->len, part, strlen(part)) != NULL;
}

/* Names those that are not validated here, and were there. */
static int
sort_open(const struct bkp_pg_examined *in, const PGresult *open,
    struct fmt_buf *bad, int *known, struct bkp_error *err)
{
	struct fmt_buf catalogue = FMT_BUF_INIT;
	char *path = bkp_format(err, "%s/catalogue.sql", in->path);
	enum fmt_status status = FMT_OK;
	int named = 0, rc = -1;

	*known = 0;
	if (path == NULL ||
	    (PQntuples(open) > 0 &&
		bkp_supply_read(in->supply, path, &catalogue, err) < 0))
		goto out;
	for (int i = 0; status == FMT_OK && i < PQntuples(open); i++) {
		if (has_text(&catalogue, PQgetvalue(open, i, 0)))
			(*known)++;
		else if (named++ < NAMED)
			status = fmt_buf_printf(bad, "%s%s",
			    bad->len > 0 ? ", " : "not validated: ",
			    PQgetvalue(open, i, 1));
	}
	if (status == FMT_OK && named > NAMED)
		status = fmt_buf_printf(bad, " and %d more", named - NAMED);
	rc = status == FMT_OK
		 ? 0
		 : bkp_fail_format(err, status, "looking at constraints");
out:
	fmt_buf_free(&catalogue);
	free(path);
	return rc;
}

static char *
say_constraints(const PGresult *counts, int known, struct bkp_error *err)
{
	uint64_t keys = strtoull(PQgetvalue(counts, 0, 0), NULL, 10);
	uint64_t others = strtoull(PQgetvalue(counts, 0, 1), NULL, 10);

	if (known > 0)
		return bkp_format(err,
		    "%s and %s, held by all rows but for %d, which were NOT "
		    "VALID there, too",
		    bkp_counted(keys, "foreign key").text,
		    bkp_counted(others, "other constraint").text, known);
	return bkp_format(err, "%s and %s, held by all rows",
	    bkp_counted(keys, "foreign key").text,
	    bkp_counted(others, "other constraint").text);
}

static int
look_at_constraints(
    const struct bkp_pg_examined *in, struct bkp_pg *pg, struct bkp_error *err)
{
	struct fmt_buf bad = FMT_BUF_INIT;
	PGresult *counts = NULL, *open = NULL;
	int known, rc = -1;

	if (bkp_pg_query(pg, count_constraints, 0, NULL, &counts, err) < 0 ||
	    bkp_pg_query(pg, open_constraints, 0, NULL, &open, err) < 0 ||
	    sort_open(in, open, &bad, &known, err) < 0)
		goto out;
	if (bad.len == 0)
		rc = remark_text(in, BKP_REMARK_GOOD, "constraints",
		    say_constraints(counts, known, err), err);
	else if (fmt_buf_text(&bad) == NULL)
		rc = bkp_fail_nomem(err, "looking at constraints");
	else
		rc = bkp_pg_remark(
		    in, BKP_REMARK_BAD, "constraints", fmt_buf_text(&bad), err);
out:
	PQclear(counts);
	PQclear(open);
	fmt_buf_free(&bad);
	return rc;
}

/* ---- extensions ---- */

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static enum fmt_status
append_version(
    struct fmt_buf *out, const char *name, const char *then, const char *now)
{
	return fmt_buf_printf(out, "%s%s %s there, %s here",
	    out->len > 0 ? "; " : "", name, then, now);
}

/* That one is missing is also in database.json; here it has its name. */
static int
look_at_extensions(const struct bkp_pg_examined *in, const json_t *recorded,
    const json_t *found, struct bkp_error *err)
{
	struct fmt_buf other = FMT_BUF_INIT, bad = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	const char *name;
	json_t *value;
	int rc = -1;

	json_object_foreach((json_t *)(uintptr_t)recorded, name, value)
	{
		const char *then = json_string_value(value);
		const char *now = text_of(found, name);

		if (status == FMT_OK && now == NULL)
			status = fmt_buf_printf(&bad, "%s%s is missing",
			    bad.len > 0 ? "; " : "", name);
		else if (status == FMT_OK && then != NULL &&
			 strcmp(then, now) != 0)
			status = append_version(&other, name, then, now);
	}
	if (status != FMT_OK || fmt_buf_text(&other) == NULL ||
	    fmt_buf_text(&bad) == NULL)
		rc = bkp_fail_nomem(err, "looking at extensions");
	else if (bad.len > 0)
		rc = bkp_pg_remark(
		    in, BKP_REMARK_BAD, "extensions", fmt_buf_text(&bad), err);
	else if (other.len > 0)
		rc = remark_text(in, BKP_REMARK_UNTRIED, "extensions",
		    bkp_format(err, "not tried in the version they had: %s",
			fmt_buf_text(&other)),
		    err);
	else
		rc = remark_text(in, BKP_REMARK_GOOD, "extensions",
		    bkp_format(err, "%s, of the same version",
			bkp_counted(json_object_size(recorded), "extension")
			    .text),
		    err);
	fmt_buf_free(&other);
	fmt_buf_free(&bad);
	return rc;
}

/* ---- collations ---- */

static const json_t *
find_named(const json_t *list, const char *name)
{
	for (size_t i = 0; name != NULL && i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *own = text_of(item, "name");

		if (own != NULL && strcmp(own, name) == 0)
			return item;
	}
	return NULL;
}

static bool
is_other(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) != 0;
}

/* Where a library was changed under a server, its indexes on text are in an
 * order that it does not look for. */
static enum fmt_status
compare_collation(const json_t *recorded, const json_t *found,
    struct fmt_buf *stale, struct fmt_buf *other)
{
	const char *name = text_of(recorded, "name");
	const char *version = text_of(recorded, "version");
	const char *actual = text_of(recorded, "actual");
	const char *here = text_of(found, "actual");
	enum fmt_status status = FMT_OK;

	if (is_other(version, actual))
		status = fmt_buf_printf(stale, "%s%s (made with %s, now %s)",
		    stale->len > 0 ? ", " : "", name, version, actual);
	if (status == FMT_OK && is_other(actual, here))
		status = append_version(other, name, actual, here);
	return status;
}

static int
tell_collations(const struct bkp_pg_examined *in, size_t count,
    struct fmt_buf *stale, struct fmt_buf *other, struct bkp_error *err)
{
	if (fmt_buf_text(stale) == NULL || fmt_buf_text(other) == NULL)
		return bkp_fail_nomem(err, "looking at collations");
	if (stale->len > 0)
		return remark_text(in, BKP_REMARK_UNTRIED, "collations",
		    bkp_format(err,
			"on the server that the backup is of, indexes on text "
			"may be out of order, for the library has changed "
			"under them: %s; REINDEX there, then ALTER ... REFRESH "
			"(COLLATION) VERSION%s%s",
			fmt_buf_text(stale), other->len > 0 ? "; also " : "",
			fmt_buf_text(other)),
		    err);
	if (other->len > 0)
		return remark_text(in, BKP_REMARK_UNTRIED, "collations",
		    bkp_format(err,
			"not tried in the order they had there: %s; indexes "
			"were made anew, what else counts on an order (ranges "
			"of partitions, checks) may find another",
			fmt_buf_text(other)),
		    err);
	return remark_text(in, BKP_REMARK_GOOD, "collations",
	    bkp_format(err, "%s, of the same version",
		bkp_counted(count, "collation").text),
	    err);
}

static int
look_at_collations(
    const struct bkp_pg_examined *in, struct bkp_pg *pg, struct bkp_error *err)
{
	const json_t *recorded = json_object_get(in->facts, "collations");
	struct fmt_buf stale = FMT_BUF_INIT, other = FMT_BUF_INIT;
	enum fmt_status status = FMT_OK;
	json_t *found = NULL;
	int rc = 0;

	/* A snapshot of early days. */
	if (!json_is_array(recorded))
		return 0;
	if (bkp_pg_describe_collations(pg, &found, err) < 0)
		return -1;
	for (size_t i = 0; status == FMT_OK && i < json_array_size(recorded);
	     i++) {
		const json_t *item = json_array_get(recorded, i);
		const char *name = text_of(item, "name");

		if (name != NULL)
			status = compare_collation(
			    item, find_named(found, name), &stale, &other);
	}
	rc = status == FMT_OK
		 ? tell_collations(
		       in, json_array_size(recorded), &stale, &other, err)
		 : bkp_fail_format(err, status, "looking at collations");
	json_decref(found);
	fmt_buf_free(&stale);
	fmt_buf_free(&other);
	return rc;
}

/* ---- one database ---- */

/* The versions that were recorded with database.json; NULL: none were. */
static int
read_versions(
    const struct bkp_pg_examined *in, json_t **out, struct bkp_error *err)
{
	char *path = bkp_format(err, "%s/database.json", in->path);
	struct bkp_entry_stream *stream = NULL;
	struct fmt_entry entry = FMT_ENTRY_INIT;
	int rc = -1;

	*out = NULL;
	if (path == NULL ||
	    bkp_supply_entries(in->supply, path, &stream, err) < 0)
		goto out;
	rc = bkp_entry_stream_next(stream, &entry, err);
	if (rc > 0)
		*out = json_incref(
		    json_object_get(entry.attrs, "extension_versions"));
	rc = rc < 0 ? -1 : 0;
out:
	fmt_entry_free(&entry);
	bkp_entry_stream_close(stream);
	free(path);
	return rc;
}

static int
look_at_versions(
    const struct bkp_pg_examined *in, struct bkp_pg *pg, struct bkp_error *err)
{
	json_t *recorded = NULL, *versions = NULL;
	int rc = -1;

	if (read_versions(in, &recorded, err) < 0 ||
	    bkp_pg_describe_versions(pg, &versions, err) < 0)
		goto out;
	rc = recorded == NULL
		 ? 0
		 : look_at_extensions(in, recorded,
		       json_object_get(versions, "extension_versions"), err);
out:
	json_decref(recorded);
	json_decref(versions);
	return rc;
}

static int
examine_database(const struct bkp_pg_examined *in, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	int rc;

	if (bkp_pg_open(&pg, in->config, in->database,
		bkp_supply_run(in->supply), err) < 0)
		return -1;
	rc = look_at_indexes(in, &pg, err) < 0 ||
		     look_at_constraints(in, &pg, err) < 0 ||
		     look_at_versions(in, &pg, err) < 0 ||
		     look_at_collations(in, &pg, err) < 0
		 ? -1
		 : 0;
	if (rc == 0 && in->is_scratch)
		rc = bkp_pg_amcheck(in, &pg, err);
	bkp_pg_close(&pg);
	return rc;
}

int
bkp_pg_examine(const struct bkp_source_config *place, struct bkp_supply *supply,
    bool is_scratch, bkp_remark_fn *tell, void *arg, struct bkp_error *err)
{
	const json_t *list =
	    json_object_get(bkp_supply_info(supply), "databases");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *facts = json_array_get(list, i);
		const struct bkp_pg_examined in = {.config = &place->postgres,
		    .supply = supply,
		    .facts = facts,
		    .database = text_of(facts, "name"),
		    .path = text_of(facts, "path"),
		    .is_scratch = is_scratch,
		    .tell = tell,
		    .arg = arg};

		if (in.database == NULL || in.path == NULL ||
		    !bkp_supply_is_selected(supply, in.path))
			continue;
		bkp_run_phase(bkp_supply_run(supply), 0, 0,
		    "%s: looking at indexes and constraints", in.path);
		if (examine_database(&in, err) < 0)
			return bkp_fail_in(err, "database %s", in.database);
	}
	return 0;
}
