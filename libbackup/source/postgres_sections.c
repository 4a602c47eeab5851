/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue, thing by thing: each begins with a remark of pg_restore,
 *
 *     -- Name: orders orders_user_fkey; Type: FK CONSTRAINT; Schema: public;
 * ...
 *
 * and belongs to a sort of things that people have a word for. Names may hold
 * whatever they like, so the remark is read from its end.
 */
#include <string.h>

#include "libbackup/source/postgres_source.h"

static const struct {
	const char *type, *section;
} sections[] = {{"ACL", "grants"}, {"AGGREGATE", "functions"},
    {"CAST", "functions"}, {"CHECK CONSTRAINT", "constraints"},
    {"COLLATION", "collations"}, {"COMMENT", "comments"},
    {"CONSTRAINT", "constraints"}, {"DATABASE", "database"},
    {"DATABASE PROPERTIES", "database"}, {"DEFAULT", "tables"},
    {"DEFAULT ACL", "grants"}, {"DOMAIN", "types"},
    {"EVENT TRIGGER", "triggers"}, {"EXTENSION", "extensions"},
    {"FK CONSTRAINT", "foreign-keys"}, {"FOREIGN TABLE", "tables"},
    {"FUNCTION", "functions"}, {"INDEX", "indexes"},
    {"INDEX ATTACH", "indexes"}, {"MATERIALIZED VIEW", "views"},
    {"OPERATOR", "functions"}, {"OPERATOR CLASS", "functions"},
    {"OPERATOR FAMILY", "functions"}, {"POLICY", "policies"},
    {"PROCEDURE", "functions"}, {"ROW SECURITY", "policies"},
    {"RULE", "triggers"}, {"SCHEMA", "schemas"}, {"SEQUENCE", "sequences"},
    {"SEQUENCE OWNED BY", "sequences"}, {"SHELL TYPE", "types"},
    {"STATISTICS", "tables"}, {"TABLE", "tables"}, {"TABLE ATTACH", "tables"},
    {"TRIGGER", "triggers"}, {"TYPE", "types"}, {"VIEW", "views"}};

static const char *
section_of(const char *type, size_t len)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (strlen(sections[i].type) == len &&
		    memcmp(sections[i].type, type, len) == 0)
			return sections[i].section;
	return "other";
}

/* The last place of a word in a text; NULL where it is not in it. */
static const char *
find_last(const char *text, size_t len, const char *word)
{
	const char *found = NULL, *at = text, *end = text + len;

	while (
	    (at = memmem(at, (size_t)(end - at), word, strlen(word))) != NULL)
		found = at++;
	return found;
}

static bool
begins(const char *at, const char *end, const char *with)
{
	size_t len = strlen(with);

	return (size_t)(end - at) >= len && memcmp(at, with, len) == 0;
}

/* What the remark that is the first line tells. */
static void
read_remark(struct bkp_text_part *part)
{
	static const char name[] = "-- Name: ", type[] = "; Type: ";
	const char *newline = memchr(part->text, '\n', part->len);
	size_t line =
	    newline != NULL ? (size_t)(newline - part->text) : part->len;
	const char *at = find_last(part->text, line, type);
	const char *end = part->text + line, *stop;

	if (!begins(part->text, end, name) || at == NULL)
		return;
	part->name = part->text + strlen(name);
	part->name_len = (size_t)(at - part->name);
	stop = find_last(at, (size_t)(end - at), "; Owner: ");
	part->key_len = stop != NULL ? (size_t)(stop - part->text) : line;
	at += strlen(type);
	stop = memchr(at, ';', (size_t)(end - at));
	part->section =
	    section_of(at, (size_t)((stop != NULL ? stop : end) - at));
}

bool
bkp_pg_next_part(const char **at, const char *end, struct bkp_text_part *out)
{
	const char *from = *at, *next;

	while (from < end && *from == '\n')
		from++;
	if (from == end)
		return false;
	next = memmem(from + 1, (size_t)(end - from - 1), "\n-- Name: ", 10);
	*at = next != NULL ? next : end;
	*out = (struct bkp_text_part){.text = from,
	    .len = (size_t)(*at - from),
	    .key_len = 0,
	    .name = "the rest",
	    .name_len = strlen("the rest"),
	    .section = "other"};
	read_remark(out);
	return true;
}
