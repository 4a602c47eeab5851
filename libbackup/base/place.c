/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/base/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libbackup/base/fail.h"

/* How one of the two is looked for. */
struct search {
	const char *what;
	const char *own, *systemd, *xdg; /* of the environment */
	const char *below_home, *system;
};

static const struct search state = {"state", "BACKUP_STATE_DIR",
    "STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state/libbackup",
    "/var/lib/libbackup"};
static const struct search cache = {"cache", "BACKUP_CACHE_DIR",
    "CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache/libbackup",
    "/var/cache/libbackup"};

static const char *
get_variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] == '/' ? value : NULL;
}

/* systemd names several directories with ':' between them. */
static int
first_length(const char *list)
{
	return (int)strcspn(list, ":");
}

static char *
find(const struct search *search, struct bkp_error *err)
{
	const char *value;

	if ((value = get_variable(search->own)) != NULL)
		return bkp_strdup(value, err);
	if ((value = get_variable(search->systemd)) != NULL)
		return bkp_format(err, "%.*s", first_length(value), value);
	if ((value = get_variable(search->xdg)) != NULL)
		return bkp_format(err, "%s/libbackup", value);
	if ((value = get_variable("HOME")) != NULL)
		return bkp_format(err, "%s/%s", value, search->below_home);
	return bkp_strdup(search->system, err);
}

/* Makes every folder of the path that is missing. */
static int
make_all(char *path, struct bkp_error *err)
{
	for (char *slash = strchr(path + 1, '/');;
	     slash = strchr(slash + 1, '/')) {
		int rc;

		if (slash != NULL)
			*slash = '\0';
		rc = mkdir(path, 0700);
		if (rc < 0 && errno != EEXIST)
			return bkp_fail_errno(err, errno, "making %s", path);
		if (slash == NULL)
			return 0;
		*slash = '/';
	}
}

static char *
get_directory(
    const struct search *search, const char *below, struct bkp_error *err)
{
	char *base = find(search, err), *path = NULL;

	if (base != NULL)
		path = below != NULL ? bkp_format(err, "%s/%s", base, below)
				     : bkp_strdup(base, err);
	if (path != NULL && make_all(path, err) < 0) {
		(void)bkp_fail_in(err,
		    "no place for the %s of this machine; %s may name one",
		    search->what, search->own);
		free(path);
		path = NULL;
	}
	free(base);
	return path;
}

char *
bkp_state_directory(const char *below, struct bkp_error *err)
{
	return get_directory(&state, below, err);
}

char *
bkp_cache_directory(const char *below, struct bkp_error *err)
{
	return get_directory(&cache, below, err);
}
