/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/archive/parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libbackup/base/fail.h"

char *
bkp_archive_part_name(
    const char *location, size_t n, int digits, struct bkp_error *err)
{
	return bkp_format(err, "%s.%0*zu", location, digits, n);
}

int
bkp_archive_part_digits(uint64_t expected, uint64_t split)
{
	return expected / split < BKP_ARCHIVE_PARTS_FEW ? 3 : 5;
}

int
bkp_archive_part_allow(
    size_t count, int digits, uint64_t split, struct bkp_error *err)
{
	if (count <
	    (digits == 3 ? BKP_ARCHIVE_PARTS_FEW : BKP_ARCHIVE_PARTS_MANY))
		return 0;
	return bkp_fail(err, BKP_INVALID,
	    "the archive needs more than %zu parts of %llu bytes; make them "
	    "ten times as large",
	    count, (unsigned long long)split);
}

void
bkp_archive_parts_free(struct bkp_archive_parts *parts)
{
	for (size_t i = 0; i < parts->count; i++)
		free(parts->names[i]);
	free(parts->names);
	*parts = (struct bkp_archive_parts)BKP_ARCHIVE_PARTS_INIT;
}

size_t
bkp_archive_part_number(const char *name, const char *base, int digits)
{
	size_t len = strlen(base);

	if (strncmp(name, base, len) != 0 || name[len] != '.')
		return 0;
	name += len + 1;
	if (strlen(name) != (size_t)digits ||
	    strspn(name, "0123456789") != (size_t)digits)
		return 0;
	return strtoul(name, NULL, 10);
}

/* The highest number of a part that is there. */
static int
find_last(const char *location, int digits, size_t *out, struct bkp_error *err)
{
	const char *slash = strrchr(location, '/');
	const char *base = slash != NULL ? slash + 1 : location;
	char *folder = slash != NULL
			   ? strndup(location, (size_t)(slash - location) + 1)
			   : strdup(".");
	struct dirent *item;
	DIR *dir;

	*out = 0;
	if (folder == NULL)
		return bkp_fail_nomem(err, "looking for an archive");
	if ((dir = opendir(folder)) == NULL) {
		(void)bkp_fail_errno(
		    err, errno, "looking for the archive %s", location);
		free(folder);
		return -1;
	}
	while ((item = readdir(dir)) != NULL) {
		size_t n = bkp_archive_part_number(item->d_name, base, digits);

		if (n > *out)
			*out = n;
	}
	(void)closedir(dir);
	free(folder);
	return 0;
}

bool
bkp_archive_has_parts(const char *location)
{
	size_t last = 0;

	return (find_last(location, 3, &last, NULL) == 0 && last > 0) ||
	       (find_last(location, 5, &last, NULL) == 0 && last > 0);
}

/* ---- a part that is named alone ---- */

/* A whole archive may have a number for its ending, too; but only the first
 * part of one begins as age files do. */
static bool
begins_as_age(const char *path)
{
	static const char intro[] = BKP_ARCHIVE_INTRO;
	char head[sizeof(intro) - 1];
	FILE *file = fopen(path, "re");
	bool is_age = file != NULL &&
		      fread(head, 1, sizeof(head), file) == sizeof(head) &&
		      memcmp(head, intro, sizeof(head)) == 0;

	if (file != NULL)
		(void)fclose(file);
	return is_age;
}

/* The second part of an archive of this name, where it is there. */
static int
has_second(const char *base, int digits, bool *out, struct bkp_error *err)
{
	char *name = bkp_archive_part_name(base, 2, digits, err);

	if (name == NULL)
		return -1;
	*out = access(name, F_OK) == 0 && !begins_as_age(name);
	free(name);
	return 0;
}

size_t
bkp_archive_part_of(const char *name, size_t *base, int *digits)
{
	const char *dot = strrchr(name, '.');
	size_t len = dot != NULL ? strspn(dot + 1, "0123456789") : 0;

	if ((len != 3 && len != 5) || dot[1 + len] != '\0' || dot == name)
		return 0;
	*base = (size_t)(dot - name);
	*digits = (int)len;
	return strtoul(dot + 1, NULL, 10);
}

int
bkp_archive_part_fail(const char *name, size_t base, struct bkp_error *err)
{
	return bkp_fail(err, BKP_INVALID,
	    "%s is part %lu of an archive: keep all of its parts together and "
	    "name it without the number, %.*s",
	    name, strtoul(name + base + 1, NULL, 10), (int)base, name);
}

int
bkp_archive_part_refuse(const char *path, struct bkp_error *err)
{
	bool is_part = !begins_as_age(path);
	size_t len = 0, number;
	int digits = 0, rc = 0;
	char *base;

	if ((number = bkp_archive_part_of(path, &len, &digits)) == 0)
		return 0;
	if ((base = strndup(path, len)) == NULL)
		return bkp_fail_nomem(err, "looking for an archive");
	if (number == 1)
		rc = has_second(base, digits, &is_part, err);
	if (rc == 0 && is_part)
		rc = bkp_archive_part_fail(path, len, err);
	free(base);
	return rc;
}

/* ---- all parts ---- */

int
bkp_archive_part_missing(
    const char *location, const char *part, struct bkp_error *err)
{
	return bkp_fail(err, BKP_CORRUPT,
	    "the archive %s: its part %s is missing; without it nothing behind "
	    "it can be read, so bring it back from another copy",
	    location, part);
}

int
bkp_archive_part_check(const char *location, const char *part, uint64_t size,
    uint64_t largest, struct bkp_error *err)
{
	if (size == largest)
		return 0;
	return bkp_fail(err, BKP_CORRUPT,
	    "the archive %s: its part %s is cut: it has %llu bytes, and others "
	    "have %llu; get it again",
	    location, part, (unsigned long long)size,
	    (unsigned long long)largest);
}

static int
add_part(struct bkp_archive_parts *parts, const char *location, int digits,
    struct bkp_error *err)
{
	size_t n = parts->count;

	if (bkp_grow(&parts->names, n, &parts->cap, sizeof(*parts->names),
		err) < 0 ||
	    (parts->names[n] = bkp_archive_part_name(
		 location, n + 1, digits, err)) == NULL)
		return -1;
	parts->count++;
	if (access(parts->names[n], F_OK) == 0)
		return 0;
	return bkp_archive_part_missing(location, parts->names[n], err);
}

int
bkp_archive_parts_find(
    const char *location, struct bkp_archive_parts *out, struct bkp_error *err)
{
	struct bkp_archive_parts parts = BKP_ARCHIVE_PARTS_INIT;
	size_t last = 0;
	int digits = 3, rc;

	rc = find_last(location, digits, &last, err);
	if (rc == 0 && last == 0)
		rc = find_last(location, digits = 5, &last, err);
	if (rc == 0 && last == 0)
		rc = bkp_fail(err, BKP_NOTFOUND,
		    "there is neither an archive %s nor its first part "
		    "%s.001",
		    location, location);
	while (rc == 0 && parts.count < last)
		rc = add_part(&parts, location, digits, err);
	if (rc < 0) {
		bkp_archive_parts_free(&parts);
		return -1;
	}
	*out = parts;
	return 0;
}
