/* SPDX-License-Identifier: Apache-2.0 */
/* What a column is known to be, so that nobody is asked. */
#include <string.h>

#include "libbackup/subject/names.h"
#include "libbackup/subject/propose_own.h"

static bool
is_of_key(const struct bkp_model *model, size_t table, size_t column)
{
	for (size_t i = 0; i < model->edge_count; i++) {
		const struct bkp_model_edge *edge = &model->edges[i];

		for (size_t k = 0; k < edge->column_count; k++)
			if ((edge->child == table &&
				edge->child_columns[k] == column) ||
			    (edge->parent == table &&
				edge->parent_columns[k] == column))
				return true;
	}
	return false;
}

static bool
is_inherited(const struct bkp_model *model, const char *table, const char *name)
{
	for (size_t i = 0; i < model->split_count; i++) {
		const struct bkp_model_split *split = &model->splits[i];
		const struct bkp_model_edge *edge = &model->edges[split->edge];

		if (!split->is_inherited || strcmp(split->without, table) != 0)
			continue;
		for (size_t k = 0; k < edge->column_count; k++)
			if (strcmp(model->tables[edge->child]
				       .columns[edge->child_columns[k]]
				       .name,
				name) == 0)
				return true;
	}
	return false;
}

static bool
is_in_list(const struct bkp_strings *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], name) == 0 ||
		    bkp_subject_mentions(list->items[i], name))
			return true;
	return false;
}

static bool
is_declared(const struct bkp_map *map, const char *table, const char *name)
{
	for (size_t i = 0; i < map->edge_count; i++) {
		const struct bkp_map_edge *edge = &map->edges[i];

		if (!edge->is_declared)
			continue;
		if (strcmp(edge->child, table) == 0 &&
		    (is_in_list(&edge->child_values, name) ||
			(edge->when != NULL &&
			    bkp_subject_mentions(edge->when, name))))
			return true;
		if (strcmp(edge->parent, table) == 0 &&
		    is_in_list(&edge->parent_columns, name))
			return true;
	}
	return false;
}

static bool
is_of_file(const struct bkp_map *map, const char *table, const char *name)
{
	for (size_t i = 0; i < map->file_count; i++) {
		const struct bkp_map_file *file = &map->files[i];
		const char *const texts[] = {
		    file->key, file->prefix, file->name, file->when};

		for (size_t k = 0; strcmp(file->table, table) == 0 && k < 4;
		     k++)
			if (texts[k] != NULL &&
			    bkp_subject_mentions(texts[k], name))
				return true;
	}
	return false;
}

bool
bkp_propose_is_declared(const struct proposal *p, size_t table, size_t column)
{
	const struct bkp_model_table *t = &p->model->tables[table];

	return is_declared(p->before, t->id, t->columns[column].name);
}

bool
bkp_propose_is_known(const struct proposal *p, size_t table, size_t column)
{
	const struct bkp_model_table *t = &p->model->tables[table];
	const char *name = t->columns[column].name;
	const struct bkp_map_column *said =
	    bkp_map_column(bkp_map_table(p->before, t->id), name);

	if (said != NULL && (said->is_plain || said->treatment != BKP_KEEP))
		return true;
	return is_of_key(p->model, table, column) ||
	       is_inherited(p->model, t->id, name) ||
	       is_declared(p->before, t->id, name) ||
	       is_of_file(p->before, t->id, name);
}
