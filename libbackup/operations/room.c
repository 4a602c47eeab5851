/* SPDX-License-Identifier: Apache-2.0 */
/* Room beside what is in use, before a database is built there. */
#include "libbackup/operations/room.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libbackup/base/fail.h"
#include "libbackup/base/place.h"
#include "libbackup/operations/scratch.h"
#include "libbackup/postgres/front.h"

/* On this machine, as far as the connection tells. */
static bool
is_near(const struct bkp_pg *pg)
{
	const char *host = PQhost(pg->conn);

	return host == NULL || host[0] == '\0' || host[0] == '/' ||
	       strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
	       strncmp(host, "127.", 4) == 0;
}

/* The folder of the server; NULL: it cannot be looked at from here, as where
 * this role may not ask, or the server is in a container. */
static char *
folder_of(struct bkp_pg *pg)
{
	struct stat st;
	char *folder;

	if (!is_near(pg))
		return NULL;
	folder = bkp_pg_text(pg,
	    "SELECT coalesce((SELECT setting FROM pg_catalog.pg_settings"
	    " WHERE name = 'data_directory'), '')",
	    NULL);
	if (folder != NULL && folder[0] == '/' && stat(folder, &st) == 0 &&
	    S_ISDIR(st.st_mode))
		return folder;
	free(folder);
	return NULL;
}

int
bkp_room_look(const struct bkp_chosen *chosen,
    const struct bkp_source_config *config, struct bkp_run *run,
    struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;
	uint64_t need, room;
	char *folder;

	if (chosen->kind->kind != BKP_KIND_POSTGRES ||
	    (need = bkp_scratch_recorded(chosen)) == 0)
		return 0;
	if (bkp_pg_open_front(&pg, &config->postgres, run, err) < 0)
		return -1;
	folder = folder_of(&pg);
	bkp_pg_close(&pg);
	if (folder == NULL) {
		bkp_run_message(run, BKP_INFO, chosen->source->prefix,
		    "putting it back takes about %llu MiB beside what is "
		    "there; whether the server has that much room cannot be "
		    "seen from here",
		    (unsigned long long)(need >> 20) + 1);
		return 0;
	}
	room = bkp_place_room(folder);
	if (room < need)
		(void)bkp_fail(err, BKP_IO,
		    "putting it back takes about %llu MiB beside what is "
		    "there, and %s has room for %llu MiB: make room, as by "
		    "dropping what 'backup-restore --former %s' tells",
		    (unsigned long long)(need >> 20) + 1, folder,
		    (unsigned long long)(room >> 20), chosen->source->prefix);
	free(folder);
	return room < need ? -1 : 0;
}
