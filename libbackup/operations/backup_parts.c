/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of a backup, each with what is there of it already. */
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"
#include "libbackup/operations/backup_impl.h"
#include "libbackup/repository/joined.h"

/* ---- which sources ---- */

static bool
is_wanted(const struct bkp_backup_options *options, const char *prefix)
{
	if (options->source_count == 0)
		return true;
	for (size_t i = 0; i < options->source_count; i++)
		if (strcmp(options->sources[i], prefix) == 0)
			return true;
	return false;
}

static int
check_names(const struct bkp_backup_options *options, struct bkp_error *err)
{
	const struct bkp_config *config = options->config;

	for (size_t i = 0; i < options->source_count; i++) {
		bool is_known = false;

		for (size_t k = 0; k < config->source_count; k++)
			if (strcmp(options->sources[i],
				config->sources[k].prefix) == 0)
				is_known = true;
		if (!is_known)
			return bkp_fail(err, BKP_INVALID,
			    "the configuration names no source '%s'; a source "
			    "is named by kind and name, as in 'postgres/app'",
			    options->sources[i]);
	}
	return 0;
}

int
bkp_backup_check_sources(
    const struct bkp_backup_options *options, struct bkp_error *err)
{
	if (check_names(options, err) < 0)
		return -1;
	if (options->config->source_count == 0)
		return bkp_fail(err, BKP_INVALID,
		    "the configuration names no source, so there is nothing "
		    "to back up; add one under 'sources:'");
	return 0;
}

int
bkp_backup_choose_parts(struct backup *backup,
    const struct bkp_backup_options *options, struct bkp_error *err)
{
	const struct bkp_config *config = options->config;

	backup->parts =
	    bkp_alloc_array(config->source_count, sizeof(*backup->parts), err);
	if (backup->parts == NULL)
		return -1;
	for (size_t i = 0; i < config->source_count; i++) {
		struct backup_part *part = &backup->parts[backup->part_count];

		if (!is_wanted(options, config->sources[i].prefix))
			continue;
		part->config = &config->sources[i];
		part->kind = bkp_kind_of(part->config->kind);
		backup->part_count++;
	}
	return 0;
}

/* ---- what was there before ---- */

/* The others of the group need nothing of it: all is read then. */
static int
do_without(struct backup *backup, struct backup_part *part,
    const struct bkp_error *problem, struct bkp_error *err)
{
	if (bkp_session_is_joined(backup->session) &&
	    problem->code != BKP_NOMEM && problem->code != BKP_CANCELLED) {
		part->unread = *problem;
		return 0;
	}
	if (err != NULL)
		*err = *problem;
	return -1;
}

static int
load_previous(struct backup *backup, struct backup_part *part,
    const struct bkp_snapshot_list *list, struct bkp_error *err)
{
	struct bkp_place *place = bkp_group_first(backup->group);
	struct bkp_error problem = BKP_ERROR_INIT;
	const char *name = NULL;
	int rc =
	    bkp_previous_find(place->repository, list, part->config->prefix,
		&part->earlier, &name, &part->previous, &problem);

	if (name != NULL) {
		part->earlier_place = place;
		memcpy(part->earlier_name, name, sizeof(part->earlier_name));
	}
	return rc < 0 ? do_without(backup, part, &problem, err) : 0;
}

/* ---- open ---- */

int
bkp_backup_open_parts(struct backup *backup, struct bkp_error *err)
{
	struct bkp_snapshot_list list = BKP_SNAPSHOT_LIST_INIT;
	int rc = -1;

	if (bkp_contents_new(backup->session, bkp_run_workers(backup->run),
		&backup->contents, err) < 0)
		return -1;
	if (bkp_group_list(backup->group, backup->run, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < backup->part_count; i++) {
		struct backup_part *part = &backup->parts[i];

		if (load_previous(backup, part, &list, err) < 0)
			goto out;
		if (bkp_sink_new(backup->run, backup->contents, backup->session,
			part->config->prefix, &part->previous, &part->sink,
			err) < 0)
			goto out;
		if (part->kind->source_open(part->config, &part->source, err) <
		    0) {
			(void)bkp_fail_in(err, "%s", part->config->prefix);
			goto out;
		}
	}
	rc = 0;
out:
	bkp_snapshot_list_free(&list);
	return rc;
}

void
bkp_backup_tell_earlier(struct backup *backup, struct backup_part *part)
{
	const struct bkp_error *problem = part->unread.code != BKP_OK
					      ? &part->unread
					      : bkp_sink_damage(part->sink);
	const char *where;
	bool is_damage;

	if (problem == NULL)
		return;
	where = backup->group->is_alone ? NULL : part->earlier_place->name;
	is_damage = problem->code == BKP_CORRUPT || problem->code == BKP_AUTH ||
		    problem->code == BKP_NOTFOUND ||
		    problem->code == BKP_UNSUPPORTED;
	bkp_run_message(backup->run, BKP_WARNING, part->config->prefix,
	    "an earlier snapshot (%.12s%s%s) %s than had changed: %s%s",
	    part->earlier_name, where != NULL ? " in " : "",
	    where != NULL ? where : "",
	    is_damage ? "is damaged, so that more was read and stored"
		      : "could not be read, so that more was read",
	    problem->message,
	    is_damage ? "; backup-check tells what else is hurt" : "");
	part->earlier_place->result.problem_count++;
}

void
bkp_backup_parts_free(struct backup *backup)
{
	for (size_t i = 0; i < backup->part_count; i++) {
		struct backup_part *part = &backup->parts[i];

		if (part->source != NULL)
			part->source->ops->close(part->source);
		bkp_sink_free(part->sink);
		fmt_snapshot_free(&part->earlier);
	}
	free(backup->parts);
}
