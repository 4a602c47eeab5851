/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/source/files_places.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"
#include "libbackup/source/files_impl.h"

/* Resolves as much of a path as exists; the rest is appended. */
static char *
resolve(const char *path, struct bkp_error *err)
{
	char *known = bkp_strdup(path[0] != '\0' ? path : "/", err);
	char *resolved = NULL, *answer = NULL;

	while (known != NULL) {
		char *slash = strrchr(known, '/');

		if ((resolved = realpath(known, NULL)) != NULL)
			break;
		if (errno != ENOENT || slash == NULL) {
			(void)bkp_fail_errno(err, errno, "%s", path);
			break;
		}
		if (slash == known)
			slash++;
		if (*slash == '\0')
			break;
		*slash = '\0';
	}
	if (resolved != NULL) {
		const char *rest = path + strlen(known);

		answer = bkp_format(err, "%s%s%s",
		    strcmp(resolved, "/") == 0 ? "" : resolved,
		    *rest != '\0' && *rest != '/' ? "/" : "",
		    strcmp(rest, "/") == 0 ? "" : rest);
	}
	free(resolved);
	free(known);
	return answer;
}

static int
resolve_folder(
    struct files_places *places, const char *to, struct bkp_error *err)
{
	char *here = NULL, *whole = NULL;

	if (to[0] != '/') {
		if ((here = getcwd(NULL, 0)) == NULL)
			return bkp_fail_errno(err, errno, "%s", to);
		whole = bkp_format(err, "%s/%s", here, to);
		free(here);
		if (whole == NULL)
			return -1;
	}
	places->folder = resolve(whole != NULL ? whole : to, err);
	free(whole);
	return places->folder != NULL ? 0 : -1;
}

bool
bkp_files_is_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	return strncmp(path, root, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

/* In place, the folder above a configured path may be reached through links
 * (/var/run); elsewhere the whole path is made as plain folders. */
static int
add_root(
    struct files_places *places, const json_t *value, struct bkp_error *err)
{
	struct files_root *root = &places->roots[places->root_count];
	char *whole = NULL, *parent = NULL, *slash;
	int rc = -1;

	if ((root->path = bkp_files_path_text(value, err)) == NULL)
		return -1;
	places->root_count++;
	if (strcmp(root->path, "/") == 0)
		root->path[0] = '\0';
	whole = bkp_format(err, "%s%s", places->folder, root->path);
	if (whole == NULL)
		goto out;
	slash = strrchr(whole, '/');
	if (places->is_elsewhere || slash == NULL || slash == whole) {
		root->place = whole;
		whole = NULL;
		rc = 0;
		goto out;
	}
	*slash = '\0';
	if ((parent = resolve(whole, err)) == NULL)
		goto out;
	root->place = bkp_format(err, "%s/%s", parent, slash + 1);
	rc = root->place != NULL ? 0 : -1;
out:
	free(parent);
	free(whole);
	return rc;
}

static int
resolve_roots(
    struct files_places *places, const json_t *paths, struct bkp_error *err)
{
	size_t count = json_array_size(paths);

	places->roots = bkp_alloc_array(count, sizeof(*places->roots), err);
	if (places->roots == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (add_root(places, json_array_get(paths, i), err) < 0)
			return -1;
	return 0;
}

/* No component of an entry's path may lead elsewhere. */
static bool
is_plain_path(const char *path)
{
	while (*path != '\0') {
		size_t len;

		if (*path++ != '/')
			return false;
		len = strcspn(path, "/");
		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
	}
	return true;
}

char *
bkp_files_place_of(
    const struct files_places *places, const char *path, struct bkp_error *err)
{
	size_t prefix_len = strlen(places->prefix);
	const char *recorded = path + prefix_len;

	if (strncmp(path, places->prefix, prefix_len) != 0 ||
	    !is_plain_path(recorded)) {
		(void)bkp_fail(err, BKP_CORRUPT,
		    "the path of the entry '%s' leads out of its source; "
		    "nothing of it is restored",
		    path);
		return NULL;
	}
	for (size_t i = 0; i < places->root_count; i++) {
		const struct files_root *root = &places->roots[i];

		if (bkp_files_is_below(recorded, root->path))
			return bkp_format(err, "%s%s", root->place,
			    recorded + strlen(root->path));
	}
	return bkp_format(err, "%s%s", places->folder, recorded);
}

int
bkp_files_places_init(struct files_places *places,
    const struct bkp_source_config *config,
    const struct bkp_target_options *options, struct bkp_supply *supply,
    struct bkp_error *err)
{
	const char *to = options->to;

	if (to == NULL)
		to = config->files.root;
	places->prefix = bkp_supply_prefix(supply);
	places->is_elsewhere = options->to != NULL || options->is_scratch;
	if (resolve_folder(places, to != NULL ? to : "/", err) < 0)
		return -1;
	return resolve_roots(
	    places, json_object_get(bkp_supply_info(supply), "paths"), err);
}

void
bkp_files_places_fini(struct files_places *places)
{
	for (size_t i = 0; i < places->root_count; i++) {
		free(places->roots[i].path);
		free(places->roots[i].place);
	}
	free(places->roots);
	free(places->folder);
}
