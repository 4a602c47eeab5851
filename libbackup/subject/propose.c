/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/subject/names.h"
#include "libbackup/subject/propose_own.h"

/* True where the map before is of the same subject, with a key. */
static bool
has_key(const struct proposal *p)
{
	return p->before->table != NULL && p->before->key.count > 0 &&
	       strcmp(p->before->table, p->model->tables[p->subject].id) == 0;
}

static void
write_key(struct proposal *p)
{
	const struct bkp_model_table *table = &p->model->tables[p->subject];

	bkp_propose_put(p, "  key: ");
	if (has_key(p)) {
		bkp_propose_list(p, &p->before->key);
	} else {
		for (size_t i = 0; i < table->key_count; i++) {
			bkp_propose_put(p, "%s", i > 0 ? ", " : "[");
			bkp_propose_scalar(
			    p, table->columns[table->key[i]].name);
		}
		bkp_propose_put(p, "]");
	}
	bkp_propose_put(p, "\n");
	if (has_key(p) && p->before->label != NULL) {
		bkp_propose_put(p, "  label: ");
		bkp_propose_scalar(p, p->before->label);
		bkp_propose_put(p, "\n");
	}
}

static void
write_map(struct proposal *p)
{
	const struct bkp_model_table *table = &p->model->tables[p->subject];

	bkp_propose_comment(p, "",
	    "What an export holds about one subject: see "
	    "backup-export-map(5). What is undecided keeps every export from "
	    "running; comments are made anew by 'backup-export plan'.");
	bkp_propose_put(p, "version: 1\n\nsubject:\n  table: ");
	bkp_propose_scalar(p, table->id);
	bkp_propose_put(p, "\n");
	write_key(p);
	bkp_propose_write_edges(p);
	bkp_propose_write_references(p);
	bkp_propose_write_files(p);
	bkp_propose_write_tables(p);
}

/* The subject's table as it was typed: with its schema, or alone where only
 * one table has the name. */
static int
find_subject(struct proposal *p, const char *table, struct bkp_error *err)
{
	struct fmt_buf id = FMT_BUF_INIT;
	enum fmt_status status = bkp_subject_read_table(&id, table);
	size_t found = SIZE_MAX;

	if (status == FMT_OK && fmt_buf_text(&id) == NULL)
		status = FMT_NOMEM;
	if (status == FMT_OK)
		found = bkp_model_table(p->model, (const char *)id.data);
	fmt_buf_free(&id);
	if (status == FMT_NOMEM)
		return bkp_fail_nomem(err, "looking for a table");
	for (size_t i = 0; found == SIZE_MAX && i < p->model->table_count; i++)
		if (strcmp(p->model->tables[i].name, table) == 0)
			return bkp_fail(err, BKP_NOTFOUND,
			    "there is no table %s; name it with its schema: %s",
			    table, p->model->tables[i].id);
	if (found == SIZE_MAX)
		return bkp_fail(err, BKP_NOTFOUND,
		    "there is no table %s; name the subject's table with its "
		    "schema, as in public.users",
		    table);
	p->subject = found;
	return 0;
}

static const struct bkp_map_edge *
kept_edge(const struct proposal *p, size_t edge)
{
	const struct bkp_map_edge *kept =
	    bkp_map_edge(p->before, p->model->edges[edge].id);

	return kept != NULL && kept->decided != BKP_UNDECIDED ? kept : NULL;
}

int
bkp_propose(struct bkp_pg *pg, const struct bkp_model *model, const char *table,
    const struct bkp_map *before, struct fmt_buf *out, struct bkp_error *err)
{
	static const struct bkp_map none = BKP_MAP_INIT;
	struct proposal p = {.model = model,
	    .before = before != NULL ? before : &none,
	    .out = out,
	    .status = FMT_OK};
	size_t start = out->len;
	int rc = -1;

	(void)pg;
	if (find_subject(&p, table, err) < 0)
		return -1;
	if (!has_key(&p) && model->tables[p.subject].key_count == 0)
		return bkp_fail(err, BKP_INVALID,
		    "%s has no primary key; write a map that names the "
		    "subject's key, and plan again with it",
		    table);
	p.edges = bkp_alloc_array(model->edge_count + 1, sizeof(*p.edges), err);
	p.reached =
	    bkp_alloc_array(model->table_count + 1, sizeof(*p.reached), err);
	p.is_above =
	    bkp_alloc_array(model->table_count + 1, sizeof(*p.is_above), err);
	if (p.edges == NULL || p.reached == NULL || p.is_above == NULL)
		goto out;
	for (size_t i = 0; i < model->edge_count; i++)
		p.edges[i].kept = kept_edge(&p, i);
	bkp_propose_edges(&p);
	write_map(&p);
	rc = p.status == FMT_OK
		 ? 0
		 : bkp_fail_format(err, p.status, "proposing a map");
	if (rc < 0)
		out->len = start;
out:
	free(p.edges);
	free(p.reached);
	free(p.is_above);
	return rc;
}
