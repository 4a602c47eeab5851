/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest program: the names of the snapshots in a repository.
 *
 *     cc example.c $(pkg-config --cflags --libs libbackup)
 *     ./a.out /srv/backup /etc/libbackup/host.key
 */
#include <libbackup/libbackup.h>
#include <stdio.h>

static int
list(const char *location, const char *key_file, struct bkp_error *err)
{
	struct bkp_keys keys = BKP_KEYS_INIT;
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	struct bkp_repository *repository = NULL;
	int rc = -1;

	keys.key_file = key_file;
	if (bkp_repository_open(location, &keys, &repository, err) < 0)
		return -1;
	if (bkp_snapshot_list(repository, &list, err) == 0) {
		for (size_t i = 0; i < list.count; i++)
			printf("%s\n", list.items[i].name);
		rc = 0;
	}
	bkp_snapshot_list_free(&list);
	bkp_repository_close(repository);
	return rc;
}

int
main(int argc, char **argv)
{
	struct bkp_error err = BKP_ERROR_INIT;

	printf("libbackup %s\n", bkp_version());
	if (argc < 3)
		return 0;
	if (list(argv[1], argv[2], &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	return 0;
}
