/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_SUBJECT_MAP_OWN_H
#define LIBBACKUP_SUBJECT_MAP_OWN_H

/* How the parts of the reader of maps read one mapping each. */

#include "libbackup/subject/map.h"

struct map_reader {
	struct config_file file;
	struct bkp_map *map; /* being filled */
	size_t budget;       /* of strings: YAML's aliases multiply */
};

/* A key that a mapping may have. `read` fills the slot, which lies at `offset`
 * in the struct that is read; key and value are its nodes. */
struct map_field {
	const char *name; /* NULL ends */
	int (*read)(struct map_reader *r, const char *name,
	    const yaml_node_t *value, void *slot, struct bkp_error *err);
	size_t offset;
	bool is_required;
};

/* Reads the mapping `node`, which messages call `what`, into `base`. */
int bkp_map_read_fields(struct map_reader *r, const char *what,
    const struct map_field *fields, const yaml_node_t *node, void *base,
    struct bkp_error *err);

/* Calls `each` for every pair of a mapping. */
int bkp_map_read_pairs(struct map_reader *r, const char *what,
    const yaml_node_t *node,
    int (*each)(struct map_reader *r, const yaml_node_t *key,
	const yaml_node_t *value, void *arg, struct bkp_error *err),
    void *arg, struct bkp_error *err);

/* Calls `each` for every item of the list that is the field `name`; nothing
 * is an empty one. */
int bkp_map_read_items(struct map_reader *r, const char *name,
    const yaml_node_t *value,
    int (*each)(
	struct map_reader *r, const yaml_node_t *node, struct bkp_error *err),
    struct bkp_error *err);

yaml_node_t *bkp_map_node(struct map_reader *r, int index);

/* True for the word alone. */
bool bkp_map_is_undecided(const yaml_node_t *node);

/* Fields that are one string (never empty), a table's name, an SQL
 * expression, a list of strings or one alone, true or false, an origin. */
int bkp_map_read_text(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err);
int bkp_map_read_table(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err);
int bkp_map_read_sql(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err);
int bkp_map_read_list(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err);
int bkp_map_read_flag(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err);

/* `what` ("edge", "table") is named twice: says so with the line of the
 * first. */
int bkp_map_fail_twice(struct map_reader *r, const char *what, const char *name,
    unsigned first, unsigned second, struct bkp_error *err);

/* The sections: map_edges.c, map_tables.c. */
int bkp_map_read_edges(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err);
int bkp_map_read_references(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err);
int bkp_map_read_tables(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err);
int bkp_map_read_files(struct map_reader *r, const char *name,
    const yaml_node_t *value, void *slot, struct bkp_error *err);

/* Sorts, and refuses what is there twice. */
int bkp_map_settle_edges(struct map_reader *r, struct bkp_error *err);
int bkp_map_settle_tables(struct map_reader *r, struct bkp_error *err);

#endif
