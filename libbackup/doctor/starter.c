/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/doctor/starter.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define PATH_SIZE 4096
#define NAME_SIZE 512

static const char timer_end[] = ".timer";

static bool
mentions_backup(const char *path)
{
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(path, "re");
	bool answer = false;

	if (file == NULL)
		return false;
	while (!answer && fgets(line, sizeof(line), file) != NULL)
		answer = line[0] != '#' &&
			 (strstr(line, "backup-run") != NULL ||
			     strstr(line, "backup-create") != NULL);
	(void)fclose(file);
	return answer;
}

/* ---- systemd ---- */

/* The unit that a timer starts: what its Unit= says, or the one of its name. */
static void
read_unit(const char *path, const char *timer, char *unit, size_t size)
{
	size_t len = strlen(timer) - strlen(timer_end);
	char line[LINE_MAX_BYTES];
	FILE *file = fopen(path, "re");

	(void)snprintf(unit, size, "%.*s.service", (int)len, timer);
	if (file == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		char *at = line + strspn(line, " \t");

		if (strncmp(at, "Unit", 4) != 0)
			continue;
		at += 4 + strspn(at + 4, " \t");
		if (*at++ != '=')
			continue;
		at += strspn(at, " \t");
		at[strcspn(at, " \t\r\n")] = '\0';
		if (*at != '\0')
			(void)snprintf(unit, size, "%s", at);
	}
	(void)fclose(file);
}

/* The first file of that name is the one that counts, as for systemd. 1 or 0;
 * -1: there is none. */
static int
ask_unit(const char *root, const char *unit)
{
	static const char *const folders[] = {"/etc/systemd/system",
	    "/usr/lib/systemd/system", "/lib/systemd/system", NULL};
	char path[PATH_SIZE];

	for (size_t i = 0; folders[i] != NULL; i++) {
		(void)snprintf(
		    path, sizeof(path), "%s%s/%s", root, folders[i], unit);
		if (access(path, F_OK) == 0)
			return mentions_backup(path);
	}
	return -1;
}

/* "libbackup@nightly.service" is made of "libbackup@.service" where it has no
 * file of its own. */
static bool
starts_backup(const char *root, const char *unit)
{
	const char *instance = strchr(unit, '@'), *end = strrchr(unit, '.');
	char name[NAME_SIZE];
	int answer = ask_unit(root, unit);

	if (answer < 0 && instance != NULL && end != NULL && instance < end) {
		(void)snprintf(name, sizeof(name), "%.*s%s",
		    (int)(instance + 1 - unit), unit, end);
		answer = ask_unit(root, name);
	}
	return answer > 0;
}

/* Timers that are switched on are links there; a unit alone starts nothing. */
static bool
find_timer(const char *root, char *found, size_t size)
{
	char folder[PATH_SIZE], unit[NAME_SIZE];
	const struct dirent *entry;
	bool answer = false;
	DIR *dir;

	(void)snprintf(folder, sizeof(folder),
	    "%s/etc/systemd/system/timers.target.wants", root);
	if ((dir = opendir(folder)) == NULL)
		return false;
	while (!answer && (entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name), tail = strlen(timer_end);

		if (len <= tail ||
		    strcmp(entry->d_name + len - tail, timer_end) != 0)
			continue;
		(void)snprintf(found, size, "%s/%s", folder, entry->d_name);
		read_unit(found, entry->d_name, unit, sizeof(unit));
		answer = starts_backup(root, unit);
	}
	(void)closedir(dir);
	return answer;
}

/* ---- cron ---- */

/* The first file of a folder that names one of our commands. */
static bool
find_in(const char *root, const char *folder, char *found, size_t size)
{
	char path[PATH_SIZE];
	const struct dirent *entry;
	bool answer = false;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s%s", root, folder);
	if ((dir = opendir(path)) == NULL)
		return false;
	while (!answer && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(found, size, "%s/%s", path, entry->d_name);
		answer = mentions_backup(found);
	}
	(void)closedir(dir);
	return answer;
}

bool
bkp_exam_starter(const char *root, char *found, size_t size)
{
	static const char *const folders[] = {"/etc/cron.d", "/etc/cron.daily",
	    "/etc/cron.hourly", "/var/spool/cron/crontabs", "/var/spool/cron",
	    NULL};

	if (find_timer(root, found, size))
		return true;
	for (size_t i = 0; folders[i] != NULL; i++)
		if (find_in(root, folders[i], found, size))
			return true;
	(void)snprintf(found, size, "%s/etc/crontab", root);
	return mentions_backup(found);
}
