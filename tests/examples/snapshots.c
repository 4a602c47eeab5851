/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program outside of the tree: lists the snapshots of a repository.
 *
 *     cc snapshots.c $(pkg-config --cflags --libs libbackup) -o snapshots
 *     ./snapshots /srv/backup /etc/libbackup/host.key
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <libbackup/libbackup.h>

static int
list(const char *location, const char *key_file, struct bkp_error *err)
{
	struct bkp_snapshot_list snapshots = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_repository *repository = NULL;
	struct bkp_keys keys = BKP_KEYS_INIT;
	size_t i;
	int rc = -1;

	keys.key_file = key_file;
	if (bkp_repository_open(location, &keys, &repository, err) < 0)
		goto out;
	if (bkp_snapshot_list(repository, &snapshots, err) < 0)
		goto out;
	for (i = 0; i < snapshots.count; i++)
		printf("%.12s  %" PRId64 "  %s\n", snapshots.items[i].name,
		    snapshots.items[i].time_us / 1000000,
		    snapshots.items[i].host);
	rc = 0;
out:
	bkp_snapshot_list_free(&snapshots);
	bkp_repository_close(repository);
	return rc;
}

int
main(int argc, char **argv)
{
	struct bkp_error err = BKP_ERROR_INIT;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("%s %s\n", BKP_VERSION, bkp_version());
		return 0;
	}
	if (argc != 3) {
		fprintf(stderr, "usage: snapshots REPOSITORY KEY-FILE\n");
		return 2;
	}
	if (list(argv[1], argv[2], &err) < 0) {
		fprintf(stderr, "snapshots: %s\n", err.message);
		return 1;
	}
	return 0;
}
