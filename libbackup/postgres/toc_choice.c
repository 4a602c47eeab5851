/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/postgres/toc_choice.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "libbackup/base/fail.h"

void
bkp_pg_choice_free(struct bkp_pg_choice *choice)
{
	fmt_buf_free(&choice->list);
	free(choice->entries);
	free(choice->needs);
	*choice = (struct bkp_pg_choice)BKP_PG_CHOICE_INIT;
}

/* ---- reading ---- */

/* Whether the entry has a place in a catalogue: "TABLE ATTACH" may be a table
 * in a schema of that name. */
static bool
has_class(const struct bkp_pg_view *line)
{
	const char *at = line->text, *end = line->text + line->len;

	(void)bkp_pg_read_number(&at, end);
	while (at < end && (*at == ';' || *at == ' '))
		at++;
	return bkp_pg_read_number(&at, end) != 0;
}

static enum bkp_pg_role
role_of(const struct bkp_pg_view *line)
{
	static const struct {
		const char *kind;
		enum { NONE, SOME, ANY } class;
		enum bkp_pg_role role;
	} roles[] = {{"TABLE ATTACH ", NONE, BKP_PG_ROLE_ATTACH},
	    {"SEQUENCE OWNED BY ", NONE, BKP_PG_ROLE_PART},
	    {"INDEX ATTACH ", NONE, BKP_PG_ROLE_PART},
	    {"TABLE ", SOME, BKP_PG_ROLE_TABLE},
	    {"VIEW ", SOME, BKP_PG_ROLE_TABLE},
	    {"MATERIALIZED VIEW ", SOME, BKP_PG_ROLE_TABLE},
	    {"FOREIGN TABLE ", SOME, BKP_PG_ROLE_TABLE},
	    {"DEFAULT ACL ", SOME, BKP_PG_ROLE_PLAIN},
	    {"DEFAULT ", SOME, BKP_PG_ROLE_PART},
	    {"CHECK CONSTRAINT ", SOME, BKP_PG_ROLE_PART},
	    {"FK CONSTRAINT ", SOME, BKP_PG_ROLE_PART},
	    {"CONSTRAINT ", SOME, BKP_PG_ROLE_PART},
	    {"INDEX ", SOME, BKP_PG_ROLE_PART},
	    {"STATISTICS ", SOME, BKP_PG_ROLE_PART},
	    {"TRIGGER ", SOME, BKP_PG_ROLE_PART},
	    {"RULE ", SOME, BKP_PG_ROLE_PART},
	    {"POLICY ", SOME, BKP_PG_ROLE_PART},
	    {"ROW SECURITY ", ANY, BKP_PG_ROLE_PART},
	    {"COMMENT ", ANY, BKP_PG_ROLE_PART},
	    {"ACL ", ANY, BKP_PG_ROLE_PART},
	    {"SECURITY LABEL ", ANY, BKP_PG_ROLE_PART},
	    {"PUBLICATION ", SOME, BKP_PG_ROLE_NEVER},
	    {"SUBSCRIPTION ", SOME, BKP_PG_ROLE_NEVER},
	    {"EVENT TRIGGER ", SOME, BKP_PG_ROLE_NEVER},
	    {"DATABASE ", SOME, BKP_PG_ROLE_NEVER},
	    {"DATABASE PROPERTIES ", ANY, BKP_PG_ROLE_NEVER},
	    {"ENCODING ", ANY, BKP_PG_ROLE_NEVER},
	    {"STDSTRINGS ", ANY, BKP_PG_ROLE_NEVER},
	    {"SEARCHPATH ", ANY, BKP_PG_ROLE_NEVER}};
	size_t at = bkp_pg_kind_at(line->text, line->len);
	int class = has_class(line) ? SOME : NONE;

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		size_t len = strlen(roles[i].kind);

		if (line->len - at >= len &&
		    memcmp(line->text + at, roles[i].kind, len) == 0 &&
		    (roles[i].class == ANY || (int)roles[i].class == class))
			return roles[i].role;
	}
	return BKP_PG_ROLE_PLAIN;
}

static int
add_entry(struct bkp_pg_choice *choice, const struct bkp_pg_view *line,
    struct bkp_error *err)
{
	const char *at = line->text;
	struct bkp_pg_chosen *entry;

	if (bkp_grow(&choice->entries, choice->count, &choice->cap,
		sizeof(*choice->entries), err) < 0)
		return -1;
	entry = &choice->entries[choice->count++];
	*entry = (struct bkp_pg_chosen){
	    .id = bkp_pg_read_number(&at, at + line->len),
	    .role = role_of(line),
	    .line = *line,
	    .first_need = choice->need_count};
	return 0;
}

/* ";\tdepends on: 215 216", of the last entry. */
static int
add_needs(struct bkp_pg_choice *choice, const struct bkp_pg_view *line,
    struct bkp_error *err)
{
	const char *at = line->text, *end = line->text + line->len;
	unsigned long id;

	while ((id = bkp_pg_next_number(&at, end)) != 0) {
		if (bkp_grow(&choice->needs, choice->need_count,
			&choice->need_cap, sizeof(*choice->needs), err) < 0)
			return -1;
		choice->needs[choice->need_count++] = id;
		choice->entries[choice->count - 1].need_count++;
	}
	return 0;
}

static int
compare_ids(const void *a, const void *b)
{
	const struct bkp_pg_chosen *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static struct bkp_pg_chosen *
find(const struct bkp_pg_choice *choice, unsigned long id)
{
	const struct bkp_pg_chosen wanted = {.id = id};

	return choice->count == 0
		   ? NULL
		   : bsearch(&wanted, choice->entries, choice->count,
			 sizeof(*choice->entries), compare_ids);
}

/* The n-th of what an entry needs; NULL where the archive does not have it. */
static struct bkp_pg_chosen *
need_of(const struct bkp_pg_choice *choice, const struct bkp_pg_chosen *entry,
    size_t n)
{
	struct bkp_pg_chosen *need =
	    find(choice, choice->needs[entry->first_need + n]);

	return need == NULL || need == entry ? NULL : need;
}

/* The partition comes first of the two, and its parent last. It is made by
 * itself, though the archive says that it needs that. */
static void
mark_partitions(struct bkp_pg_choice *choice)
{
	for (size_t i = 0; i < choice->count; i++) {
		const struct bkp_pg_chosen *entry = &choice->entries[i];
		struct bkp_pg_chosen *first = NULL, *last = NULL;

		if (entry->role != BKP_PG_ROLE_ATTACH)
			continue;
		for (size_t n = 0; n < entry->need_count; n++) {
			struct bkp_pg_chosen *need = need_of(choice, entry, n);

			if (need == NULL || need->role != BKP_PG_ROLE_TABLE)
				continue;
			first = first == NULL ? need : first;
			last = need;
		}
		if (first != NULL && first != last)
			first->parent = last->id;
	}
}

int
bkp_pg_choice_read(struct bkp_pg_choice *choice, struct bkp_error *err)
{
	static const char needs[] = ";\tdepends on:";
	const char *at = (const char *)choice->list.data;
	const char *end = at != NULL ? at + choice->list.len : at;

	while (at < end) {
		struct bkp_pg_view line = bkp_pg_next_line(&at, end);
		int rc = 0;

		if (isdigit((unsigned char)line.text[0]))
			rc = add_entry(choice, &line, err);
		else if (choice->count > 0 && line.len >= sizeof(needs) - 1 &&
			 memcmp(line.text, needs, sizeof(needs) - 1) == 0)
			rc = add_needs(choice, &line, err);
		if (rc < 0)
			return -1;
	}
	if (choice->count > 0)
		qsort(choice->entries, choice->count, sizeof(*choice->entries),
		    compare_ids);
	mark_partitions(choice);
	return 0;
}

/* ---- choosing ---- */

size_t
bkp_pg_choice_take(struct bkp_pg_choice *choice, const struct fmt_buf *list)
{
	const char *at = (const char *)list->data;
	const char *end = at != NULL ? at + list->len : at;
	size_t taken = 0;

	while (at < end) {
		struct bkp_pg_view line = bkp_pg_next_line(&at, end);
		const char *number = line.text;
		struct bkp_pg_chosen *entry;

		if (!isdigit((unsigned char)line.text[0]))
			continue;
		entry = find(
		    choice, bkp_pg_read_number(&number, line.text + line.len));
		if (entry == NULL || (entry->role != BKP_PG_ROLE_PLAIN &&
					 entry->role != BKP_PG_ROLE_TABLE))
			continue;
		entry->is_in = true;
		taken++;
	}
	return taken;
}

/* How much of what it depends on the archive has, and how much of that is in:
 * tables, or where there is none of them, everything. */
struct owners {
	size_t tables, tables_in;
	size_t all, all_in;
};

static struct owners
count_owners(
    const struct bkp_pg_choice *choice, const struct bkp_pg_chosen *entry)
{
	struct owners owners = {.tables = 0};

	for (size_t i = 0; i < entry->need_count; i++) {
		const struct bkp_pg_chosen *need = need_of(choice, entry, i);
		size_t in = need != NULL && need->is_in ? 1 : 0;

		if (need == NULL)
			continue;
		owners.all++;
		owners.all_in += in;
		if (need->role == BKP_PG_ROLE_TABLE) {
			owners.tables++;
			owners.tables_in += in;
		}
	}
	return owners;
}

static bool
is_of_kind(const struct bkp_pg_chosen *entry, const char *kind)
{
	size_t at = bkp_pg_kind_at(entry->line.text, entry->line.len);
	size_t len = strlen(kind);

	return entry->line.len - at >= len &&
	       memcmp(entry->line.text + at, kind, len) == 0;
}

/* Of an attached partition. */
static bool
has_parent_in(
    const struct bkp_pg_choice *choice, const struct bkp_pg_chosen *entry)
{
	for (size_t i = 0; i < entry->need_count; i++) {
		const struct bkp_pg_chosen *need = need_of(choice, entry, i);
		const struct bkp_pg_chosen *parent =
		    need != NULL ? find(choice, need->parent) : NULL;

		if (parent != NULL)
			return parent->is_in;
	}
	return false;
}

/* One that was made later than its domain. */
static bool
is_of_domain_in(
    const struct bkp_pg_choice *choice, const struct bkp_pg_chosen *entry)
{
	for (size_t i = 0; i < entry->need_count; i++) {
		const struct bkp_pg_chosen *need = need_of(choice, entry, i);

		if (need != NULL && need->is_in && is_of_kind(need, "DOMAIN "))
			return true;
	}
	return false;
}

/* A sequence that depends on a table is the identity of a column. */
static bool
belongs(const struct bkp_pg_choice *choice, const struct bkp_pg_chosen *entry)
{
	struct owners owners;

	if (entry->role == BKP_PG_ROLE_ATTACH)
		return has_parent_in(choice, entry);
	if (entry->role != BKP_PG_ROLE_PART && !is_of_kind(entry, "SEQUENCE "))
		return false;
	owners = count_owners(choice, entry);
	if (owners.tables > 0 || entry->role != BKP_PG_ROLE_PART)
		return owners.tables > 0 && owners.tables_in == owners.tables;
	if (is_of_kind(entry, "CHECK CONSTRAINT "))
		return is_of_domain_in(choice, entry);
	return is_of_kind(entry, "INDEX ATTACH ")
		   ? owners.all > 0 && owners.all_in == owners.all
		   : owners.all_in > 0;
}

/* A partition goes without its parent, and what belongs to it without what
 * belongs to that. */
static bool
can_go_without(
    const struct bkp_pg_chosen *entry, const struct bkp_pg_chosen *need)
{
	return need->role == BKP_PG_ROLE_NEVER || need->id == entry->parent ||
	       (entry->role == BKP_PG_ROLE_PART &&
		   need->role == BKP_PG_ROLE_PART);
}

/* True where something has come in. */
static bool
take_needs(struct bkp_pg_choice *choice, const struct bkp_pg_chosen *entry)
{
	bool has_changed = false;

	for (size_t i = 0; i < entry->need_count; i++) {
		struct bkp_pg_chosen *need = need_of(choice, entry, i);

		if (need == NULL || need->is_in || can_go_without(entry, need))
			continue;
		need->is_in = true;
		has_changed = true;
	}
	return has_changed;
}

void
bkp_pg_choice_complete(struct bkp_pg_choice *choice)
{
	bool has_changed = true;

	while (has_changed) {
		has_changed = false;
		for (size_t i = 0; i < choice->count; i++) {
			struct bkp_pg_chosen *entry = &choice->entries[i];

			if (!entry->is_in && belongs(choice, entry)) {
				entry->is_in = true;
				has_changed = true;
			}
			if (entry->is_in && take_needs(choice, entry))
				has_changed = true;
		}
	}
}

bool
bkp_pg_choice_has(
    const struct bkp_pg_choice *choice, const char *line, size_t len)
{
	const char *at = line;
	const struct bkp_pg_chosen *entry =
	    find(choice, bkp_pg_read_number(&at, line + len));

	return entry != NULL && entry->is_in;
}

bool
bkp_pg_choice_is_torn(
    const struct bkp_pg_choice *choice, const struct bkp_pg_chosen *entry)
{
	if (entry->is_in || is_of_kind(entry, "INDEX ATTACH ") ||
	    (entry->role != BKP_PG_ROLE_PART &&
		entry->role != BKP_PG_ROLE_ATTACH))
		return false;
	return count_owners(choice, entry).tables_in > 0;
}
