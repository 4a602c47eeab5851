/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/subject/erase.h"

#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/postgres/names.h"
#include "libbackup/subject/erase_own.h"

int
bkp_erase_execute(struct eraser *e, struct fmt_buf *sql, enum fmt_status status,
    uint64_t *rows, struct bkp_error *err)
{
	int rc = bkp_walk_execute(e->walk, sql, status, rows, err);

	fmt_buf_clear(sql);
	return rc;
}

/* ---- the rows ---- */

/* The leaves of a table that rows were reached in. */
static int
list_leaves(
    struct eraser *e, size_t table, PGresult **out, struct bkp_error *err)
{
	char *sql = bkp_format(err,
	    "SELECT w.rel, count(*) FROM pg_temp.walk_%zu w GROUP BY 1", table);
	int rc = -1;

	if (sql != NULL)
		rc = bkp_pg_query(&e->walk->pg, sql, 0, NULL, out, err);
	free(sql);
	return rc;
}

static const char *
leaf_name(const struct bkp_model_table *table, const char *oid)
{
	for (size_t i = 0; i < table->leaf_count; i++)
		if (table->leaves[i].oid == strtoul(oid, NULL, 10))
			return table->leaves[i].quoted;
	return NULL;
}

/* Appends what deletes from each leaf; *count numbers them all. */
static int
append_table(struct eraser *e, size_t table, struct fmt_buf *deletes,
    struct fmt_buf *counts, size_t *count, struct bkp_error *err)
{
	PGresult *leaves = NULL;
	enum fmt_status status = FMT_OK;

	if (list_leaves(e, table, &leaves, err) < 0)
		return -1;
	for (int i = 0; status == FMT_OK && i < PQntuples(leaves); i++) {
		const char *oid = PQgetvalue(leaves, i, 0);
		const char *name =
		    leaf_name(&e->walk->model.tables[table], oid);

		if (name == NULL)
			continue;
		status = bkp_pg_sql(deletes,
		    "%sd%u AS (DELETE FROM ONLY %s AS t"
		    " USING pg_temp.walk_%u w WHERE w.rel = %s"
		    " AND t.ctid = w.tid RETURNING 1)",
		    *count > 0 ? ", " : "", (unsigned)*count, name,
		    (unsigned)table, oid);
		if (status == FMT_OK)
			status = bkp_pg_sql(counts,
			    "%sSELECT %u AS t, count(*) AS n FROM d%u",
			    *count > 0 ? " UNION ALL " : "", (unsigned)table,
			    (unsigned)*count);
		(*count)++;
	}
	PQclear(leaves);
	return status == FMT_OK ? 0 : bkp_fail_nomem(err, "deleting rows");
}

static int
note_table(struct eraser *e, size_t table, uint64_t rows, struct bkp_error *err)
{
	struct bkp_erased *out = e->out;
	const char *id = e->walk->model.tables[table].id;

	if (rows != e->walk->sets[table].of[BKP_OWN])
		return bkp_fail(err, BKP_INVALID,
		    "%llu rows of %s are to be deleted, and the server deleted "
		    "%llu",
		    (unsigned long long)e->walk->sets[table].of[BKP_OWN], id,
		    (unsigned long long)rows);
	out->rows += rows;
	for (size_t i = 0; i < out->table_count; i++)
		if (strcmp(out->tables[i].table, id) == 0) {
			out->tables[i].rows += rows;
			return 0;
		}
	if (bkp_grow(&out->tables, out->table_count, &out->table_cap,
		sizeof(*out->tables), err) < 0)
		return -1;
	out->tables[out->table_count].rows = rows;
	out->tables[out->table_count].table = bkp_strdup(id, err);
	return out->tables[out->table_count++].table != NULL ? 0 : -1;
}

/* One statement for all of them: what the server checks it checks when all are
 * gone, so that cycles are nothing special. */
static int
delete_rows(struct eraser *e, struct bkp_error *err)
{
	struct fmt_buf sql = FMT_BUF_INIT, counts = FMT_BUF_INIT;
	PGresult *result = NULL;
	size_t count = 0;
	int rc = -1;

	if (fmt_buf_append_text(&sql, "WITH ") != FMT_OK) {
		(void)bkp_fail_nomem(err, "deleting rows");
		goto out;
	}
	for (size_t i = 0; i < e->walk->model.table_count; i++)
		if (e->walk->sets[i].rows > 0 &&
		    append_table(e, i, &sql, &counts, &count, err) < 0)
			goto out;
	if (bkp_pg_sql(&sql, " SELECT t, sum(n) FROM (") != FMT_OK ||
	    fmt_buf_append(&sql, counts.data, counts.len) != FMT_OK ||
	    bkp_pg_sql(&sql, ") x GROUP BY 1 ORDER BY 1") != FMT_OK ||
	    fmt_buf_text(&sql) == NULL) {
		(void)bkp_fail_nomem(err, "deleting rows");
		goto out;
	}
	if (bkp_pg_query(&e->walk->pg, (const char *)sql.data, 0, NULL, &result,
		err) < 0) {
		(void)bkp_fail_in(err, "deleting rows");
		goto out;
	}
	rc = 0;
	for (int i = 0; rc == 0 && i < PQntuples(result); i++)
		rc = note_table(e, strtoul(PQgetvalue(result, i, 0), NULL, 10),
		    strtoull(PQgetvalue(result, i, 1), NULL, 10), err);
out:
	PQclear(result);
	fmt_buf_free(&sql);
	fmt_buf_free(&counts);
	return rc;
}

/* What is deleted is in the files until somebody sweeps; that it cannot be
 * done now changes nothing of what was. */
static void
sweep(struct eraser *e)
{
	for (size_t i = 0; i < e->walk->model.table_count; i++)
		if (e->walk->sets[i].rows > 0 || e->has_references[i])
			(void)bkp_pg_run(&e->walk->pg, NULL, "VACUUM %s",
			    e->walk->model.tables[i].quoted);
}

/* ---- */

int
bkp_erase(struct bkp_walk *walk, struct bkp_erased *out, struct bkp_error *err)
{
	struct eraser e = {.walk = walk, .out = out};
	int rc = -1;

	e.has_references = bkp_alloc_array(
	    walk->model.table_count + 1, sizeof(*e.has_references), err);
	if (e.has_references == NULL)
		return -1;
	bkp_run_phase(walk->run, 0, 0, "erasing");
	if (bkp_erase_find(&e, err) < 0 || bkp_erase_quiet(&e, err) < 0 ||
	    bkp_erase_clear(&e, err) < 0 || bkp_erase_prove(&e, err) < 0 ||
	    bkp_erase_note_objects(&e, err) < 0 || delete_rows(&e, err) < 0 ||
	    bkp_erase_keep_objects(&e, err) < 0 ||
	    bkp_erase_wake(&e, err) < 0 || bkp_run_check(walk->run, err) < 0)
		goto out;
	rc = bkp_pg_do(&walk->pg, "COMMIT", err);
	if (rc == 0)
		sweep(&e);
out:
	PQclear(e.resting);
	free(e.has_references);
	return rc;
}

void
bkp_erased_free(struct bkp_erased *erased)
{
	for (size_t i = 0; i < erased->table_count; i++)
		free(erased->tables[i].table);
	for (size_t i = 0; i < erased->reference_count; i++)
		free(erased->references[i].edge);
	for (size_t i = 0; i < erased->object_count; i++) {
		free(erased->objects[i].bucket);
		free(erased->objects[i].key);
	}
	free(erased->tables);
	free(erased->references);
	free(erased->objects);
	*erased = (struct bkp_erased)BKP_ERASED_INIT;
}
