/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/operations/references_query.h"

#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/copy.h"
#include "libbackup/postgres/names.h"

/* ---- the statement ---- */

/* The bytes of a text in a database's own encoding are sorted as those of
 * UTF-8 where it is UTF-8, or no encoding at all. */
static bool
has_same_order(const char *encoding)
{
	return strcmp(encoding, "UTF8") == 0 ||
	       strcmp(encoding, "SQL_ASCII") == 0;
}

/* Expressions stand on lines of their own, so that a comment in one ends with
 * it. Collations that take different texts for equal would lose keys. */
enum fmt_status
bkp_reference_sql(const struct bkp_reference_config *config,
    const char *encoding, struct fmt_buf *out)
{
	enum fmt_status status =
	    bkp_pg_sql(out, "SELECT k FROM (SELECT DISTINCT (");

	if (status == FMT_OK && config->key != NULL)
		status = bkp_pg_sql(out, "%s\n", config->key);
	else if (status == FMT_OK)
		status = bkp_pg_sql(out, "%I", config->attribute);
	if (status == FMT_OK)
		status = bkp_pg_sql(out,
		    ")::text COLLATE pg_catalog.\"C\" AS k FROM %I.%I",
		    config->schema, config->relation);
	if (status == FMT_OK && config->where != NULL)
		status = bkp_pg_sql(out, " WHERE (%s\n)", config->where);
	if (status == FMT_OK)
		status = bkp_pg_sql(out, ") named WHERE k <> '' ORDER BY %s",
		    has_same_order(encoding) ? "k" : "convert_to(k, 'UTF8')");
	return status;
}

/* "COPY (...) TO STDOUT", or "EXPLAIN ...". */
static const char *
write_sql(const struct bkp_reference_config *config, const char *before,
    const char *behind, struct bkp_pg *pg, struct fmt_buf *out,
    struct bkp_error *err)
{
	enum fmt_status status = fmt_buf_append_text(out, before);
	const char *text = NULL;

	if (status == FMT_OK)
		status = bkp_reference_sql(config, bkp_pg_encoding(pg), out);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, behind);
	if (status == FMT_OK)
		text = fmt_buf_text(out);
	if (text == NULL)
		(void)bkp_fail_nomem(err, "asking for keys");
	return text;
}

/* ---- rows ---- */

size_t
bkp_reference_value(char *row, size_t len)
{
	static const char letters[] = "bfnrtv", meant[] = "\b\f\n\r\t\v";
	size_t to = 0;

	if (len > 0 && row[len - 1] == '\n')
		len--;
	for (size_t i = 0; i < len; i++) {
		const char *letter = NULL;

		if (row[i] != '\\' || i + 1 == len) {
			row[to++] = row[i];
			continue;
		}
		letter = memchr(letters, row[++i], sizeof(letters) - 1);
		row[to++] = letter != NULL ? meant[letter - letters] : row[i];
	}
	return to;
}

static int
read_rows(struct bkp_pg *pg, struct bkp_named *named, struct bkp_error *err)
{
	uint64_t count = 0;
	char *row = NULL;
	size_t len = 0;
	int more;

	while ((more = bkp_pg_copy_out_row(pg, &row, &len, err)) > 0) {
		int rc;

		count++;
		len = bkp_reference_value(row, len);
		rc = bkp_named_add(named, row, len, err);
		PQfreemem(row);
		if (rc < 0) {
			bkp_pg_interrupt(pg);
			return -1;
		}
	}
	return more < 0 ? -1 : bkp_pg_copy_out_end(pg, count, err);
}

/* ---- where they came from ---- */

/* A statement has a lock on each thing that it read, through whatever views,
 * partitions and functions, until the savepoint before it is gone. A
 * materialised view was filled before that from what it is made of. */
static const char list_relations[] =
    "WITH RECURSIVE used(oid, is_behind) AS ("
    " SELECT l.relation, false FROM pg_catalog.pg_locks l"
    " WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'"
    " AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d"
    "  WHERE d.datname = pg_catalog.current_database())"
    " UNION SELECT n.oid, true FROM used u"
    " JOIN pg_catalog.pg_class c ON c.oid = u.oid CROSS JOIN LATERAL ("
    "  SELECT d.refobjid FROM pg_catalog.pg_rewrite r"
    "  JOIN pg_catalog.pg_depend d ON d.objid = r.oid"
    "   AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
    "   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
    "  WHERE r.ev_class = c.oid AND (c.relkind = 'm' OR u.is_behind)"
    "  UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i"
    "  WHERE i.inhparent = c.oid AND u.is_behind) n(oid))"
    "SELECT DISTINCT n.nspname, c.relname FROM used u"
    " JOIN pg_catalog.pg_class c ON c.oid = u.oid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'm', 'f')"
    " ORDER BY 1, 2";

static int
name_relations(struct bkp_pg *pg, const struct bkp_reference_reader *reader,
    struct bkp_error *err)
{
	PGresult *rows = NULL;
	int rc = bkp_pg_query(pg, list_relations, 0, NULL, &rows, err);

	for (int i = 0; rc == 0 && i < PQntuples(rows); i++)
		rc = reader->each(reader->arg, PQgetvalue(rows, i, 0),
		    PQgetvalue(rows, i, 1), err);
	PQclear(rows);
	return rc;
}

static int
copy_rows(const struct bkp_reference_config *config, struct bkp_pg *pg,
    const struct bkp_reference_reader *reader, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	const char *text =
	    write_sql(config, "COPY (", ") TO STDOUT", pg, &sql, err);
	int rc = -1;

	if (text != NULL && bkp_pg_copy_out_begin(pg, text, err) == 0)
		rc = read_rows(pg, reader->named, err);
	if (rc == 0 && reader->each != NULL)
		rc = name_relations(pg, reader, err);
	fmt_buf_free(&sql);
	return rc;
}

static int
explain(const struct bkp_reference_config *config, struct bkp_pg *pg,
    const struct bkp_reference_reader *reader, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT;
	const char *text = write_sql(config, "EXPLAIN ", "", pg, &sql, err);
	int rc = -1;

	(void)reader;
	if (text != NULL && (rc = bkp_pg_statement(pg, text, err)) < 0 &&
	    err != NULL && strncmp(pg->state, "42", 2) == 0)
		err->code = BKP_INVALID;
	fmt_buf_free(&sql);
	return rc;
}

/* ---- in a transaction that goes on ---- */

typedef int question_fn(const struct bkp_reference_config *config,
    struct bkp_pg *pg, const struct bkp_reference_reader *reader,
    struct bkp_error *err);

static int
ask(question_fn *question, const struct bkp_reference_config *config,
    struct bkp_pg *pg, const struct bkp_reference_reader *reader,
    struct bkp_error *err)
{
	int rc;

	if (bkp_pg_do(pg, "SAVEPOINT reference", err) < 0)
		return -1;
	rc = question(config, pg, reader, err);
	if (rc < 0 && PQstatus(pg->conn) != CONNECTION_OK)
		return -1;
	if (bkp_pg_do(pg,
		"ROLLBACK TO SAVEPOINT reference; RELEASE SAVEPOINT reference",
		rc < 0 ? NULL : err) < 0)
		return -1;
	return rc;
}

int
bkp_reference_explain(const struct bkp_reference_config *config,
    struct bkp_pg *pg, struct bkp_error *err)
{
	return ask(explain, config, pg, NULL, err);
}

int
bkp_reference_query(const struct bkp_reference_config *config,
    struct bkp_pg *pg, const struct bkp_reference_reader *reader,
    struct bkp_error *err)
{
	return ask(copy_rows, config, pg, reader, err);
}
