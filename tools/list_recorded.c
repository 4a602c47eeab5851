/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/list_recorded.h"

#include <string.h>

#include "tools/cli.h"

static const char *
text_of(const json_t *attributes, const char *name)
{
	return json_string_value(json_object_get(attributes, name));
}

static uint64_t
number_of(const json_t *attributes, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(attributes, name));

	return n > 0 ? (uint64_t)n : 0;
}

/* What a source recorded, borrowed from the snapshot's JSON; NULL where it
 * has nothing. */
static const json_t *
info_of(const json_t *snapshot, const char *prefix)
{
	const json_t *sources = json_object_get(snapshot, "sources");
	size_t i;

	for (i = 0; i < json_array_size(sources); i++) {
		const json_t *source = json_array_get(sources, i);
		const char *name = text_of(source, "prefix");

		if (name != NULL && strcmp(name, prefix) == 0)
			return json_object_get(source, "info");
	}
	return NULL;
}

/* ---- for people ---- */

/* Each database has a moment of its own. */
static void
print_moments(const json_t *databases)
{
	size_t i;

	for (i = 0; i < json_array_size(databases); i++) {
		const json_t *database = json_array_get(databases, i);
		const char *path = text_of(database, "path");
		const char *time = text_of(database, "time");
		const char *lsn = text_of(database, "lsn");

		if (path == NULL || time == NULL || lsn == NULL)
			continue;
		(void)printf("    ");
		cli_print_escaped(stdout, path);
		(void)printf("  ");
		cli_print_escaped(stdout, time);
		(void)printf("  ");
		cli_print_escaped(stdout, lsn);
		(void)putchar('\n');
	}
}

static void
print_reference(const json_t *reference)
{
	const char *name = text_of(reference, "name");
	uint64_t keys = number_of(reference, "keys");
	uint64_t missing = number_of(reference, "missing");
	uint64_t accepted = number_of(reference, "accepted");
	char a[CLI_TEXT_SIZE], b[CLI_TEXT_SIZE];

	if (name == NULL)
		return;
	(void)printf("    ");
	cli_print_escaped(stdout, name);
	if (missing > 0)
		(void)printf("  %s of %s key%s without an object",
		    cli_count(missing, a), cli_count(keys, b),
		    keys == 1 ? "" : "s");
	else
		(void)printf("  %s key%s, none without an object",
		    cli_count(keys, b), keys == 1 ? "" : "s");
	if (missing > 0 && accepted > 0)
		(void)printf(", %s accepted", cli_count(accepted, a));
	(void)putchar('\n');
}

static void
print_references(const char *prefix, const json_t *info)
{
	const json_t *references = json_object_get(info, "references");
	uint64_t unnamed = number_of(info, "objects_no_row_names");
	char a[CLI_TEXT_SIZE];
	size_t i;

	for (i = 0; i < json_array_size(references); i++)
		print_reference(json_array_get(references, i));
	if (unnamed == 0)
		return;
	(void)printf("    ");
	cli_print_escaped(stdout, prefix);
	(void)printf("/references  %s object%s named by no row\n",
	    cli_count(unnamed, a), unnamed == 1 ? "" : "s");
}

void
list_recorded_print(const struct bkp_snapshot *s)
{
	json_t *json = s->json != NULL ? json_loads(s->json, 0, NULL) : NULL;
	size_t i;

	for (i = 0; i < s->source_count; i++) {
		const json_t *info = info_of(json, s->sources[i].prefix);

		print_moments(json_object_get(info, "databases"));
		print_references(s->sources[i].prefix, info);
	}
	json_decref(json);
}

/* ---- for programs ---- */

static json_t *
moments(const json_t *databases)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < json_array_size(databases); i++) {
		const json_t *database = json_array_get(databases, i);
		const char *name = text_of(database, "name");
		const char *time = text_of(database, "time");
		const char *lsn = text_of(database, "lsn");

		if (name != NULL && time != NULL && lsn != NULL)
			(void)json_array_append_new(list,
			    json_pack("{s:o, s:s, s:s}", "name",
				cli_json_text(name), "time", time, "lsn", lsn));
	}
	return list;
}

static json_t *
references_member(const json_t *references)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < json_array_size(references); i++) {
		const json_t *it = json_array_get(references, i);
		const char *name = text_of(it, "name");

		if (name != NULL)
			(void)json_array_append_new(list,
			    json_pack("{s:o, s:I, s:I, s:I}", "name",
				cli_json_path(name), "keys",
				(json_int_t)number_of(it, "keys"), "missing",
				(json_int_t)number_of(it, "missing"),
				"accepted",
				(json_int_t)number_of(it, "accepted")));
	}
	return list;
}

void
list_recorded_add(const json_t *snapshot, const char *prefix, json_t *source)
{
	const json_t *info = info_of(snapshot, prefix);
	const json_t *databases = json_object_get(info, "databases");
	const json_t *references = json_object_get(info, "references");
	const json_t *unnamed = json_object_get(info, "objects_no_row_names");

	if (databases != NULL)
		(void)json_object_set_new(
		    source, "databases", moments(databases));
	if (references != NULL)
		(void)json_object_set_new(
		    source, "references", references_member(references));
	if (json_is_integer(unnamed))
		(void)json_object_set_new(source, "objects_no_row_names",
		    json_integer(json_integer_value(unnamed)));
}
