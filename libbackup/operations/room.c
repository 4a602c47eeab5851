/* SPDX-License-Identifier: Apache-2.0 */
/* Room on a server that is in use, before a database is built there. */
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

static int
look(const struct bkp_source_config *config, struct bkp_run *run, char **folder,
    uint64_t *room, struct bkp_error *err)
{
	struct bkp_pg pg = BKP_PG_INIT;

	if (bkp_pg_open_front(&pg, &config->postgres, run, err) < 0)
		return -1;
	*folder = folder_of(&pg);
	bkp_pg_close(&pg);
	*room = *folder != NULL ? bkp_place_room(*folder) : UINT64_MAX;
	return 0;
}

static unsigned long long
in_mib(uint64_t bytes)
{
	return (unsigned long long)(bytes >> 20);
}

static bool
is_unknown(const char *folder, uint64_t room)
{
	return folder == NULL || room == UINT64_MAX;
}

int
bkp_room_look(const struct bkp_chosen *chosen,
    const struct bkp_source_config *config, struct bkp_run *run,
    struct bkp_error *err)
{
	uint64_t need, room;
	char *folder;
	int rc = 0;

	if (chosen->kind->kind != BKP_KIND_POSTGRES ||
	    (need = bkp_scratch_recorded(chosen)) == 0)
		return 0;
	if (look(config, run, &folder, &room, err) < 0)
		return -1;
	if (is_unknown(folder, room))
		bkp_run_message(run, BKP_INFO, chosen->source->prefix,
		    "putting it back takes about %llu MiB beside what is "
		    "there; whether the server has that much room cannot be "
		    "seen from here",
		    in_mib(need) + 1);
	else if (room < need)
		rc = bkp_fail(err, BKP_IO,
		    "putting it back takes about %llu MiB beside what is "
		    "there, and %s has room for %llu MiB: make room, as by "
		    "dropping what 'backup-restore --former %s' tells",
		    in_mib(need) + 1, folder, in_mib(room),
		    chosen->source->prefix);
	free(folder);
	return rc;
}

int
bkp_room_look_for_drill(const struct bkp_chosen *chosen,
    const struct bkp_amount *amount, const struct bkp_source_config *place,
    struct bkp_run *run, struct bkp_error *err)
{
	uint64_t need = bkp_scratch_need(chosen, amount), room;
	char *folder;
	int rc = 0;

	if (look(place, run, &folder, &room, err) < 0)
		return -1;
	if (is_unknown(folder, room))
		bkp_run_message(run, BKP_INFO, chosen->source->prefix,
		    "scratch databases take about %llu MiB; whether the "
		    "server has that much room cannot be seen from here",
		    in_mib(need) + 1);
	else if (room < need)
		rc = bkp_fail(err, BKP_IO,
		    "%s takes about %llu MiB in scratch databases, and %s of "
		    "the server has room for %llu MiB: name a server that has "
		    "more, or none, to have one made below "
		    "--scratch-directory",
		    chosen->selection, in_mib(need) + 1, folder, in_mib(room));
	free(folder);
	return rc;
}
