/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a map of decisions: read, or refused with a message. What was
 * read has names that read as themselves, and no SQL that leaves its
 * brackets. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/subject/map.h"
#include "libbackup/subject/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_edge(const struct bkp_map *map, const struct bkp_map_edge *edge)
{
	struct fmt_buf again = FMT_BUF_INIT;

	if (bkp_map_edge(map, edge->id) != edge)
		abort();
	if (edge->decided == BKP_SKIP && edge->reason == NULL)
		abort();
	if (!edge->is_declared &&
	    (bkp_subject_read_edge(&again, edge->id) != FMT_OK ||
		strcmp(fmt_buf_text(&again), edge->id) != 0))
		abort();
	if (edge->when != NULL && bkp_subject_expression(edge->when) != NULL)
		abort();
	fmt_buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bkp_error err = BKP_ERROR_INIT;
	struct bkp_map map = BKP_MAP_INIT;

	if (bkp_map_parse("fuzz.yaml", data, size, &map, &err) < 0) {
		if (err.code == BKP_OK || err.message[0] == '\0')
			abort();
		return 0;
	}
	for (size_t i = 0; i < map.edge_count; i++)
		check_edge(&map, &map.edges[i]);
	for (size_t i = 0; i < map.table_count; i++)
		if (bkp_map_table(&map, map.tables[i].id) != &map.tables[i])
			abort();
	bkp_map_free(&map);
	return 0;
}
