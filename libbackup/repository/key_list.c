/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"
#include "libbackup/key.h"
#include "libbackup/repository/archive_view.h"
#include "libbackup/repository/repository_own.h"

struct memory {
	struct bkp_roster roster;     /* owned */
	struct bkp_key_admin *admins; /* owned */
	struct bkp_key_host *hosts;   /* owned */
	char (*public_keys)[65];      /* owned */
};

static void
free_memory(struct memory *memory)
{
	if (memory == NULL)
		return;
	bkp_roster_free(&memory->roster);
	free(memory->admins);
	free(memory->hosts);
	free(memory->public_keys);
	free(memory);
}

static int
fill_admins(struct memory *memory, struct bkp_error *err)
{
	const struct bkp_roster *roster = &memory->roster;

	memory->admins =
	    bkp_alloc_array(roster->key_count, sizeof(*memory->admins), err);
	if (memory->admins == NULL)
		return -1;
	for (size_t i = 0; i < roster->key_count; i++) {
		const struct bkp_roster_key *key = &roster->keys[i];

		memory->admins[i] = (struct bkp_key_admin){.label = key->label,
		    .recipient = key->recipient,
		    .is_passphrase = key->passphrase.count > 0,
		    .added_us = key->added_us};
	}
	return 0;
}

static int
fill_hosts(struct memory *memory, struct bkp_error *err)
{
	const struct bkp_roster *roster = &memory->roster;

	memory->hosts =
	    bkp_alloc_array(roster->writer_count, sizeof(*memory->hosts), err);
	memory->public_keys = bkp_alloc_array(
	    roster->writer_count, sizeof(*memory->public_keys), err);
	if (memory->hosts == NULL || memory->public_keys == NULL)
		return -1;
	for (size_t i = 0; i < roster->writer_count; i++) {
		const struct bkp_roster_writer *writer = &roster->writers[i];

		fmt_hex(writer->public_key, 32, memory->public_keys[i]);
		memory->hosts[i] = (struct bkp_key_host){.name = writer->name,
		    .public_key = memory->public_keys[i],
		    .may_prune = writer->may_prune,
		    .added_us = writer->added_us,
		    .revoked_us = writer->revoked_us,
		    .believed = writer->snapshots.count};
	}
	return 0;
}

int
bkp_key_list(struct bkp_repository *repository, struct bkp_key_list *out,
    struct bkp_error *err)
{
	struct memory *memory = bkp_alloc(sizeof(*memory), err);
	const struct bkp_roster *roster;

	if (memory == NULL)
		return -1;
	if (bkp_archive_view_refuse(repository, "show the keys of", err) < 0 ||
	    bkp_roster_load(
		repository->store, &repository->keys, &memory->roster, err) < 0)
		goto fail;
	roster = &memory->roster;
	if (roster->number == 0) {
		if (err != NULL)
			*err = roster->damage;
		goto fail;
	}
	if (fill_admins(memory, err) < 0 || fill_hosts(memory, err) < 0)
		goto fail;
	*out = (struct bkp_key_list){.roster = roster->number,
	    .generation = roster->generation,
	    .changed_us = roster->time_us,
	    .admins = memory->admins,
	    .admin_count = roster->key_count,
	    .hosts = memory->hosts,
	    .host_count = roster->writer_count,
	    .is_joined = roster->is_joined,
	    .damaged = roster->damaged,
	    .damage = roster->damaged > 0 ? roster->damage.message : NULL,
	    .memory = memory};
	return 0;
fail:
	free_memory(memory);
	return -1;
}

void
bkp_key_list_free(struct bkp_key_list *list)
{
	free_memory(list->memory);
	*list = (struct bkp_key_list)BKP_KEY_LIST_INIT;
}
